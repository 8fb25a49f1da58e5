"""S3, stood in for by moto on loopback: objects, prefixes and globs give the tapes of the files."""

from __future__ import annotations

import pickle
import socket
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from feed.cli import main
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.files import s3
from feed.files.registry import WRITERS
from feed.files.s3 import matches, plan_s3
from feed.options import ReadOptions
from feed.source import plan_source, read_source, read_tapes
from feed.synthetic import generate
from feed.tape import same

pytestmark = pytest.mark.s3

SECRET = "do-not-show-this/secret"
BUCKET = "quotes-of-a-test"


@pytest.fixture(scope="module")
def tape():
    return generate(seconds=5, warmup=1)


@pytest.fixture(scope="module")
def files(tape, tmp_path_factory):
    """The tape in every format, by ending."""
    folder = tmp_path_factory.mktemp("files")
    for ending, write in WRITERS.items():
        write(tape, folder / f"day{ending}")
    return {ending: (folder / f"day{ending}").read_bytes() for ending in WRITERS}


@pytest.fixture(scope="module")
def server():
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    yield "http://{}:{}".format(*running.get_host_and_port())
    running.stop()


@pytest.fixture(autouse=True)
def _environment(monkeypatch, tmp_path):
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDTESTTEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


@pytest.fixture
def put(server, monkeypatch):
    """An empty bucket: put objects into it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    client = boto3.client("s3", endpoint_url=server, region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)

    def put_objects(objects):
        for key, body in objects.items():
            client.put_object(Bucket=BUCKET, Key=key, Body=body)

    yield put_objects
    for each in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=each["Key"])
    client.delete_bucket(Bucket=BUCKET)


def place(key):
    return f"s3://{BUCKET}/{key}"


@pytest.mark.parametrize("ending", sorted(WRITERS))
def test_an_object_is_read_as_the_file_is(put, tape, files, ending, monkeypatch, tmp_path):
    put({f"a b/day{ending}": files[ending]})
    monkeypatch.setattr(s3, "CHUNK", 999)
    again, provenance = read_source(place(f"a b/day{ending}"))
    assert same(again, tape)
    assert (provenance.source, provenance.place) == ("s3", place(f"a b/day{ending}"))
    assert provenance.digest == tape.digest()
    assert not list((tmp_path / "tmp").iterdir())


def test_prefixes_and_globs_are_joined(put, tape, files):
    middle = int(tape.ts[tape.rows // 2])
    halves = tape.clip(0, middle), tape.clip(middle + 1, int(tape.ts[-1]))
    folder = Path(tempfile.gettempdir())
    for number, half in enumerate(halves):
        WRITERS[".parquet"](half, folder / f"{number}.parquet")
    parts = [(folder / f"{number}.parquet").read_bytes() for number in range(2)]
    put({"q/0.parquet": parts[0], "q/1.parquet": parts[1], "q/README.md": b"x", "q/deep/er/2.csv": files[".csv"]})
    for key in ("q/", "q", "q/*", "q/*.parquet", "q/[01].*", "**/?.parquet", "?/?.parquet"):
        ((again, provenance),) = read_tapes(place(key))
        assert same(again, tape)
        assert provenance.place == place(key)
        assert provenance.notes[0] == "read from 2 of 2 files"
    for key in ("q/**/*.csv", "**/2.csv", "q/deep/*/*", "q/deep/er/"):
        assert same(read_tapes(place(key))[0][0], tape)
    assert read_tapes(place("q/**"))[0][1].notes[0] == "read from 3 of 3 files"


def test_the_whole_bucket_is_a_prefix(put, tape, files):
    put({"day.csv": files[".csv"], ".half.csv": b"x"})
    for source in (f"s3://{BUCKET}", f"s3://{BUCKET}/", f"s3://{BUCKET}/*"):
        assert same(read_source(source)[0], tape)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("s3://no-such-bucket-here/day.csv", "there is no such bucket"),
        ("s3://no-such-bucket-here/*.csv", "there is no such bucket"),
        (place("q/none.csv"), r"no such object; objects there: day\.csv, empty\.csv, note\.txt"),
        (place("q/*.parquet"), r"no object matches; objects there: day\.csv"),
        (place("none/"), "no object matches; there are no objects"),
        (place("q/*.txt"), r"no file there ends in one of .*; files there: note\.txt"),
        (place("q/empty.csv"), r"q/empty\.csv: the file is empty"),
        ("s3://", "it names no bucket"),
        ("s3:/day.csv", "it names no bucket"),
        ("s3://b*/day.csv", "it names no bucket"),
        (f"s3://AKID:{SECRET.replace('/', '')}@bucket/day.csv", "a place holds no credentials"),
    ],
)
def test_what_is_not_there_is_one_line_within_seconds(put, files, capsys, source, message):
    put({"q/day.csv": files[".csv"], "q/empty.csv": b"", "q/note.txt": b"x"})
    began = time.monotonic()
    with pytest.raises(FeedUnavailable, match=message):
        plan_source(source)
    assert main(["check", source]) == 2
    assert time.monotonic() - began < 10
    stderr = capsys.readouterr().err
    assert len(stderr.splitlines()) == 1
    assert SECRET.replace("/", "") not in stderr.replace("/", "")


def test_a_damaged_object_is_named_by_its_place(put, files, tmp_path):
    put({"cut.csv.gz": files[".csv.gz"][:-99]})
    with pytest.raises(FeedCorrupt, match="damaged") as caught:
        read_tapes(place("cut.csv.gz"))
    assert caught.value.where == place("cut.csv.gz")
    assert str(tmp_path) not in str(caught.value)
    assert not list((tmp_path / "tmp").iterdir())


def test_an_object_is_what_its_bytes_say_padding_included(put, files):
    put({"padded.csv.gz": files[".csv.gz"] + bytes(999), "plain.csv": files[".csv.gz"]})
    assert len(read_tapes(place("padded.csv.gz"))) == 1
    with pytest.raises(FeedUnavailable, match=r"it is text inside gzip, not text; rename it to \.csv\.gz") as caught:
        read_tapes(place("plain.csv"))
    assert caught.value.where == place("plain.csv")


def test_an_object_that_changes_or_goes_between_plan_and_read_is_noticed(put, server, files):
    put({"day.csv": files[".csv"]})
    plan = plan_source(place("day.csv"))
    for body in (files[".csv"] + b"\n", files[".csv"][:-1]):
        put({"day.csv": body})
        with pytest.raises(FeedCorrupt, match="it changed while it was read"):
            plan.ranges[0].read()
    boto3.client("s3", endpoint_url=server, region_name="us-east-1").delete_object(Bucket=BUCKET, Key="day.csv")
    with pytest.raises(FeedUnavailable, match="no such object"):
        plan.ranges[0].read()


def test_bounds_hold_for_objects_too(put, files, monkeypatch):
    put({"day.csv": files[".csv"], "b.csv": files[".csv"]})
    with pytest.raises(FeedCorrupt, match="more than 1000 bytes"):
        read_tapes(place("day.csv"), ReadOptions(max_bytes=1000))
    monkeypatch.setattr(s3, "MOST", 1)
    with pytest.raises(FeedUnavailable, match="2 objects are more than the 1 of one plan"):
        plan_source(place("*.csv"))


def test_no_room_for_a_copy_is_said(put, files, monkeypatch):
    put({"day.csv": files[".csv"]})
    plan = plan_source(place("day.csv"))

    class Full:
        def __init__(self, *_):
            pass

        def __enter__(self):
            raise OSError(28, "No space left on device")

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(Path, "open", Full)
    with pytest.raises(FeedUnavailable, match=r"no room for a copy.*TMPDIR"):
        plan.ranges[0].read()


def test_a_plan_holds_no_secret(put, files):
    put({"day.csv": files[".csv"]})
    plan = plan_source(place("day.csv"))
    assert SECRET.encode() not in pickle.dumps(plan)
    assert SECRET not in repr(plan)


class Refusing(BaseHTTPRequestHandler):
    """Answers as S3 does to a key it does not like."""

    def do_GET(self):
        code = self.path.split("/")[1].partition("?")[0]
        body = f"<Error><Code>{code}</Code><Message>no {SECRET}</Message></Error>".encode()
        self.send_response(403)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("AccessDenied", "access is denied; give credentials"),
        ("InvalidAccessKeyId", "the access key is not known; give credentials"),
        ("SignatureDoesNotMatch", "the secret key is wrong; give credentials"),
        ("AccountProblem", "S3 refuses: .*; check AWS_ENDPOINT_URL"),
    ],
)
def test_a_refusal_is_one_line_without_the_secret(monkeypatch, capsys, code, message):
    with HTTPServer(("127.0.0.1", 0), Refusing) as refusing:
        threading.Thread(target=refusing.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{refusing.server_port}")
        with pytest.raises(FeedUnavailable, match=message):
            plan_source(f"s3://{code}/")
        assert main(["check", f"s3://{code}/"]) == 2
        refusing.shutdown()
    stderr = capsys.readouterr().err
    assert len(stderr.splitlines()) == 1
    assert SECRET not in stderr


@pytest.mark.parametrize("silent", [False, True])
def test_a_store_that_is_not_there_or_says_nothing_is_given_up_within_seconds(monkeypatch, silent):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if silent:
            server.listen()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(FeedUnavailable, match=r"cannot be reached, or does not answer; check AWS_ENDPOINT_URL"):
            plan_source("s3://bucket/day.csv")
        assert time.monotonic() - began < 30


def test_the_region_of_the_environment_is_taken_and_the_special_endpoint_wins(put, server, files, monkeypatch):
    put({"day.csv": files[".csv"]})
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    (part,) = plan_s3(place("day.csv"), ReadOptions()).ranges
    assert (part.store.endpoint, part.store.region) == (server, "eu-central-1")


def test_a_sweep_over_an_object_is_that_over_the_file(put, tape, files, tmp_path):
    import sweep
    from sweep.config.loading import load_config

    put({"day.csv.gz": files[".csv.gz"]})
    (tmp_path / "day.csv.gz").write_bytes(files[".csv.gz"])
    one, other = (
        sweep.run(load_config(None, ["executor=inline", f"source={source}", "order.size=500"]))
        for source in (place("day.csv.gz"), str(tmp_path / "day.csv.gz"))
    )
    assert (one.table == other.table).all()
    assert one.document["feed"]["digest"] == tape.digest()
    assert one.document["feed"]["place"] == place("day.csv.gz")


@pytest.mark.parametrize(
    ("key", "pattern", "fits"),
    [
        ("a.csv", "*.csv", True),
        ("b/a.csv", "*.csv", False),
        ("b/a.csv", "*/*.csv", True),
        ("b/a.csv", "**/*.csv", True),
        ("a.csv", "**/*.csv", True),
        ("c/b/a.csv", "**/*.csv", True),
        ("c/b/a.csv", "c/**", True),
        ("c/b/a.csv", "c/**/b/*", True),
        ("c/b/a.csv", "d/**", False),
        ("a.csv", "**", True),
        ("A.csv", "a.csv", False),
        ("a/b", "a", False),
    ],
)
def test_a_glob_of_keys_is_a_glob_of_paths(key, pattern, fits):
    assert matches(key.split("/"), pattern.split("/")) == fits
