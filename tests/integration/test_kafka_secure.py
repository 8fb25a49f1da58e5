"""A real broker that asks who we are: TLS with an authority of our own, SCRAM, both; and every way to be refused."""

import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from feed.access import CLIENTS, access_of
from feed.errors import FeedUnavailable
from feed.kafka.address import parse_address
from feed.kafka.consumer import plan_replay
from feed.kafka.producer import replay
from feed.options import ReadOptions
from feed.source import read_source
from feed.tape import same
from tests.support import ROOT
from tests.support.kafka.certificates import Authority
from tests.support.kafka.handmade import tape
from tests.support.waits import without_waits
from tools.kafka.cluster import Cluster, Listener

pytestmark = [pytest.mark.kafka, pytest.mark.command]

SECRET = "correct-horse-battery-staple"
VARIABLE = "SOR_SWEEP_TEST_PASSWORD"
LISTENERS = (
    Listener("TLS", "SSL", "localhost"),
    Listener("MUTUAL", "SSL", "localhost"),
    Listener("SCRAM", "SASL_PLAINTEXT"),
    Listener("BOTH", "SASL_SSL", "localhost"),
    Listener("EXPIRED", "SSL", "localhost"),
    Listener("OTHER", "SSL", "localhost"),
    Listener("PLAINLY", "SASL_SSL", "localhost"),
    Listener("ELSEWHERE", "SSL", "127.0.0.1"),  # a name that its certificate does not hold
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"), "test-ca")


@pytest.fixture(scope="module")
def cluster(kafka_runs, authority, tmp_path_factory):
    """One broker with a listener for each way in, and two whose certificates are wrong."""
    right = authority.issue("broker", "localhost")
    certificates = {
        "tls": right,
        "mutual": right,
        "both": right,
        "plainly": right,
        "elsewhere": right,
        "expired": authority.issue("expired", "localhost", expired=True),
        "other": authority.issue("other", "broker.example"),
    }
    properties = {"sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512"}
    for name, issued in certificates.items():
        way = f"listener.name.{name}"
        properties |= {
            f"{way}.ssl.keystore.type": "PEM",
            f"{way}.ssl.keystore.location": str(issued.both),
            f"{way}.ssl.truststore.type": "PEM",
            f"{way}.ssl.truststore.location": str(authority.path),
        }
    properties["listener.name.mutual.ssl.client.auth"] = "required"
    for name in ("scram", "both"):
        properties[f"listener.name.{name}.sasl.enabled.mechanisms"] = "SCRAM-SHA-256,SCRAM-SHA-512"
        for mechanism in ("scram-sha-256", "scram-sha-512"):
            properties[f"listener.name.{name}.{mechanism}.sasl.jaas.config"] = (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            )
    properties["listener.name.plainly.sasl.enabled.mechanisms"] = "PLAIN"
    properties["listener.name.plainly.plain.sasl.jaas.config"] = (
        f'org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="{SECRET}";'
    )
    properties |= {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
    }
    users = [f"SCRAM-SHA-{bits}=[name=alice,password={SECRET}]" for bits in (256, 512)]
    folder = tmp_path_factory.mktemp("kafka-secure")
    with Cluster(folder, properties=properties, listeners=LISTENERS, scram=users) as running:
        yield running


@pytest.fixture(scope="module")
def ways(authority):
    """The settings of each way in."""
    client = authority.issue("client")
    trust = {"ssl_cafile": str(authority.path)}
    user = {"sasl_username": "alice", "sasl_password_env": VARIABLE}
    return {
        "TLS": {"security_protocol": "SSL", **trust},
        "MUTUAL": {
            "security_protocol": "SSL",
            **trust,
            "ssl_certfile": str(client.certificate),
            "ssl_keyfile": str(client.key),
        },
        "SCRAM": {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "SCRAM-SHA-256", **user},
        "BOTH": {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512", **user, **trust},
        "PLAINLY": {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", **user, **trust},
    }


@pytest.fixture(autouse=True)
def _password(monkeypatch):
    monkeypatch.setenv(VARIABLE, SECRET)


@pytest.fixture
def short():
    """A folder for Ray, whose sockets have no room for a long name."""
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:
        yield Path(folder)


def words(settings):
    return [f"kafka.{name}={value}" for name, value in settings.items()]


def run(home, package, *words, **environment):
    began = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-m", package, *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, "HOME": str(home), **environment},
        cwd=ROOT,
        timeout=100,
        check=False,
    )
    return ran, time.monotonic() - began


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("way", ["TLS", "MUTUAL", "SCRAM", "BOTH", "PLAINLY"])
def test_what_goes_in_comes_out_by_every_way(cluster, ways, way, client):
    cluster.create_topic(f"in-{way}-{client}", 2)
    source = cluster.address(f"in-{way}-{client}", way)
    access = access_of({**ways[way], "client": client})
    done = replay(tape(), parse_address(source, access), partition="spread")
    options = ReadOptions(access=access)
    plan = plan_replay(source, options)
    assert SECRET.encode() not in pickle.dumps(plan)
    assert SECRET not in repr(plan)
    got, provenance = read_source(source, options)
    assert same(got, tape())
    assert provenance.digest == done.digest
    assert provenance.place == source


def test_a_user_who_may_not_ask_how_a_topic_is_set_is_told_and_goes_on(cluster, ways):
    from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType

    def quiet(topic, **configs):
        cluster.create_topic(topic, configs=configs)
        allowed = (ACLOperation.READ, ACLOperation.WRITE, ACLOperation.DESCRIBE)
        pattern = ResourcePattern(ResourceType.TOPIC, topic)
        with cluster.admin() as admin:
            admin.create_acls([ACL("User:alice", "*", each, ACLPermissionType.ALLOW, pattern) for each in allowed])
        return parse_address(cluster.address(topic, "SCRAM"), access_of(ways["SCRAM"]))

    notes, address = [], quiet("quiet")
    replay(tape(), address, on_note=notes.append)
    assert notes == [
        "the broker does not say how the topic is set (TopicAuthorizationFailedError): it may not keep a whole replay"
    ]
    assert same(read_source(address.place, ReadOptions(access=address.access))[0], tape())
    with pytest.raises(
        FeedUnavailable, match=r"does not take such a message \(.*Compacted topic .*; set cleanup.policy"
    ):
        replay(tape(), quiet("quiet-compacted", **{"cleanup.policy": "compact"}))


@pytest.mark.cluster
@pytest.mark.parametrize("place", ["variable", "file"])
def test_the_commands_take_the_settings_and_nobody_hears_the_secret(cluster, ways, tmp_path, short, l1_day, place):
    topic = f"commands-{place}"
    cluster.create_topic(topic)
    source = cluster.address(topic, "BOTH")
    settings = dict(ways["BOTH"])
    if place == "file":
        (tmp_path / "password").write_text(f"{SECRET}\n")
        del settings["sasl_password_env"]
        settings["sasl_password_file"] = str(tmp_path / "password")
    given = words(settings)
    sent, _ = run(tmp_path, "feed", "replay", l1_day, source, "depth=1", "--codec", "arrow", *given)
    checked, _ = run(tmp_path, "feed", "check", *given, source, "--json")
    listed, _ = run(tmp_path, "feed", "replays", source, *given)
    config = tmp_path / "sweep.yaml"
    executor = "ray" if place == "variable" else "inline"
    content = {"source": source, "kafka": settings, "executor": executor, "workers": 1, "conventions": "classic"}
    config.write_text(json.dumps(content))
    swept, _ = run(tmp_path, "sweep", "--config", config, "--output", tmp_path / "runs", RAY_TMPDIR=str(short))
    for ran in (sent, checked, listed, swept):
        assert ran.returncode == 0, ran.stderr
        assert SECRET not in ran.stdout + ran.stderr
        assert ("chmod 600" in ran.stderr) == (place == "file")
    digest = json.loads(sent.stdout)["digest"]
    assert json.loads(checked.stdout)["feed"]["digest"] == json.loads(swept.stdout)["feed"]["digest"] == digest
    kept = [path for folder in (tmp_path, short) for path in folder.rglob("*") if path.is_file()]
    kept = [path for path in kept if path != tmp_path / "password"]
    assert any("logs" in path.parts for path in kept) == (executor == "ray")
    assert [path for path in kept if SECRET.encode() in path.read_bytes()] == []


def refused(cluster, settings, listener, says, seconds=5, host=None):
    """Be refused in one line and in time, by the reader and by the producer."""
    source = cluster.address("quotes", listener)
    if host is not None:
        source = source.replace("localhost", host).replace("127.0.0.1", host)
    access = access_of(settings)
    for attempt in (
        lambda: read_source(source, ReadOptions(access=access)),
        lambda: replay(tape(), parse_address(source, access)),
    ):
        began = time.monotonic()
        with pytest.raises(FeedUnavailable, match=says) as caught:
            attempt()
        assert time.monotonic() - began < seconds
        assert "\n" not in str(caught.value)
        assert SECRET not in str(caught.value)
        assert caught.value.exit_code == 2


def test_an_authority_that_is_not_trusted(cluster, ways, tmp_path):
    stranger = Authority(tmp_path, "stranger")
    refused(cluster, {**ways["TLS"], "ssl_cafile": str(stranger.path)}, "TLS", "its certificate is refused: ")
    refused(cluster, {"security_protocol": "SSL"}, "TLS", "its certificate is refused: ")


def test_a_certificate_for_another_host(cluster, ways):
    refused(cluster, ways["TLS"], "OTHER", "its certificate is refused: Hostname mismatch")
    refused(cluster, ways["TLS"], "TLS", "its certificate is refused: IP address mismatch", host="127.0.0.1")


def test_a_cluster_that_names_its_brokers_so_that_no_certificate_holds(cluster, ways):
    says = (
        r"the cluster names brokers that are of no use from here \(127.0.0.1:\d+: its certificate is refused: "
        r"IP address mismatch.*check the brokers' advertised.listeners"
    )
    refused(cluster, ways["TLS"], "ELSEWHERE", says, seconds=30, host="localhost")


def test_a_certificate_that_has_expired(cluster, ways):
    refused(cluster, ways["TLS"], "EXPIRED", "its certificate is refused: certificate has expired")


def test_a_client_without_the_certificate_that_is_asked_for(cluster, ways):
    refused(cluster, ways["TLS"], "MUTUAL", "it may ask for kafka.ssl_certfile and kafka.ssl_keyfile")


def test_plain_to_tls_and_tls_to_plain(cluster, ways):
    refused(cluster, {}, "TLS", "it speaks TLS: set kafka.security_protocol=SSL")
    refused(cluster, ways["TLS"], "PLAINTEXT", "TLS failed .*it may not speak TLS at that port")


@pytest.mark.parametrize("listener", ["SCRAM", "BOTH", "PLAINLY"])
def test_a_wrong_password_or_user(cluster, ways, monkeypatch, listener):
    mechanism = ways[listener]["sasl_mechanism"]
    says = f"the broker does not accept 'alice' by {mechanism}.*check kafka.sasl_username"
    monkeypatch.setenv(VARIABLE, "wrong-secret")
    refused(cluster, ways[listener], listener, says)
    monkeypatch.setenv(VARIABLE, SECRET)
    refused(
        cluster, {**ways[listener], "sasl_username": "mallory"}, listener, f"does not accept 'mallory' by {mechanism}"
    )


@pytest.mark.parametrize("command", ["check", "replay", "sweep"])
def test_a_wrong_password_ends_a_command_at_once(cluster, ways, tmp_path, l1_day, command):
    source = cluster.address("quotes", "BOTH")
    package, given = {
        "check": ("feed", ["check", source]),
        "replay": ("feed", ["replay", l1_day, source]),
        "sweep": ("sweep", [f"source={source}"]),
    }[command]
    ran, seconds = run(tmp_path, package, *given, *words(ways["BOTH"]), **{VARIABLE: "wrong-secret"})
    assert (ran.returncode, ran.stdout) == (2, "")
    (line,) = without_waits(ran.stderr).splitlines()
    assert "the broker does not accept 'alice' by SCRAM-SHA-512" in line
    assert "wrong-secret" not in line
    assert seconds < 15  # most of it is loading modules


def test_a_mechanism_that_is_not_offered_and_a_name_that_nobody_asks_for(cluster, ways):
    refused(
        cluster, {**ways["PLAINLY"], "sasl_mechanism": "SCRAM-SHA-256"}, "PLAINLY", "by SCRAM-SHA-256, but by PLAIN"
    )
    refused(cluster, ways["BOTH"], "TLS", "it does not ask who we are")
    refused(cluster, ways["SCRAM"], "PLAINTEXT", "it does not ask who we are")


def test_a_broker_that_asks_who_we_are_when_nobody_says_so(cluster, ways):
    says = "it asks who we are, by SASL with SCRAM-SHA-256, SCRAM-SHA-512.*set kafka.security_protocol="
    refused(cluster, {}, "SCRAM", says)
    refused(cluster, ways["TLS"], "BOTH", says)


@pytest.mark.parametrize(
    ("word", "environment", "says"),
    [
        (f"kafka.sasl_password={SECRET}", {}, "kafka.sasl_password: a password is not written here"),
        ("kafka.sasl_password_env=ABSENT", {}, "the environment variable 'ABSENT' is not set"),
        ("kafka.ssl_check_hostname=false", {}, "kafka.ssl_check_hostname"),
        (f"kafka.sasl_password_env={SECRET}", {}, "expected the name of an environment variable"),
    ],
)
def test_the_commands_refuse_settings_in_one_line(cluster, ways, tmp_path, word, environment, says):
    source = cluster.address("quotes", "BOTH")
    for package, command in (("feed", ["check", source]), ("sweep", [f"source={source}", "executor=inline"])):
        ran, seconds = run(tmp_path, package, *command, *words(ways["BOTH"]), word, **environment)
        assert (ran.returncode, ran.stdout) == (2, "")
        (line,) = without_waits(ran.stderr).splitlines()
        assert says in line
        assert SECRET not in line
        assert seconds < 20
