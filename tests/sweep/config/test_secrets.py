"""A password that a user wrote where it does not belong is refused by both command lines, and never repeated."""

import pytest

import feed.cli
import sweep.cli
from feed.console import without_secrets

SECRET = "hunter2/x=="


def refusal(capsys, main, *words):
    try:
        code = main(list(words))
    except SystemExit as ended:
        code = ended.code
    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert "hunter2" not in err
    assert "Traceback" not in err
    return err


KEYS = [
    "kafka.sasl_password",
    "kafka.sasl_plain_password",
    "kafka.ssl_password",
    "kafka.sasl-password",
    "kafka.password",
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("form", ["{}={}", "{}:{}", "{} {}", "{}=[{}"])
@pytest.mark.parametrize("command", ["feed", "sweep"])
def test_a_password_on_the_command_line(capsys, command, key, form):
    words = form.format(key, SECRET).split()
    if command == "feed":
        err = refusal(capsys, feed.cli.main, "check", "a.csv", *words)
    else:
        err = refusal(capsys, sweep.cli.main, "executor=inline", *words)
    assert "password" in err


@pytest.mark.parametrize("word", [f"--password={SECRET}", f"--kafka.sasl_password={SECRET}", f"sasl_password={SECRET}"])
def test_a_password_as_an_option_that_there_is_not(capsys, word):
    refusal(capsys, feed.cli.main, "check", "a.csv", word)
    refusal(capsys, sweep.cli.main, word)


@pytest.mark.parametrize(
    "text",
    [
        "kafka: {{sasl_password: {}}}",
        "kafka: {{sasl_password: '{}}}",
        "kafka:\n  sasl_password: [{}\n",
        "kafka: {{sasl_plain_password: !{}}}",
        "kafka: {{sasl_password: *{}}}",
        "password: {}",
        "feed: {{password: {}}}",
        "kafka: {{ssl_password: {}}}",
    ],
)
def test_a_password_in_a_file_whether_it_is_yaml_or_not(capsys, tmp_path, text):
    file = tmp_path / "sweep.yaml"
    file.write_text(text.format(SECRET))
    err = refusal(capsys, sweep.cli.main, "--config", str(file))
    assert "a password is not written here" in err or "no valid YAML" in err


@pytest.mark.parametrize(
    "source",
    [
        f"kafka://me:{SECRET}@localhost:9092/q",
        f"kafka://me:{SECRET.replace('/', '#')}@localhost:9092/q",
        f"kafka://me:{SECRET.replace('/', '?')}@localhost:9092/q",
        "kafka://localhost:9092/q?sasl_password=hunter2",
        "kafka://localhost:9092/q?api_version=2.3&pass=hunter2",
        "kafka://localhost:9092/q#hunter2",
        f"kafka+ssl://me:{SECRET}@localhost:9092/q",
        f"Kafka://me:{SECRET}@localhost:9092/q",
    ],
)
def test_a_password_in_an_address(capsys, source):
    assert "kafka" in refusal(capsys, feed.cli.main, "check", source)
    refusal(capsys, feed.cli.main, "replay", "a.csv", source)
    refusal(capsys, sweep.cli.main, "executor=inline", f"source={source}", "feed.wait=1s")


def test_what_is_no_secret_is_shown():
    for text in ("kafka://a:1,b:2/q?api_version=2.3", "unrecognized arguments: --speeed 3", "a file/with@sign.csv"):
        assert without_secrets(text) == text


def test_settings_where_they_do_nothing(capsys):
    assert "do nothing" in refusal(capsys, feed.cli.main, "synth", "x.csv.gz", "kafka.security_protocol=SSL")
