"""What a user may write, and what is refused with which line."""

import os
import threading
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import yaml

from allocator.money import nano
from allocator.policies import Pseudocode, Static
from feed import synthetic
from feed.errors import FeedUnavailable
from feed.yaml_text import parse_yaml
from sweep.config import searches
from sweep.config.conventions import resolve
from sweep.config.keys import keys_of
from sweep.config.loading import as_config, build_config, load_config
from sweep.config.schema import Config, OrderSpec
from sweep.errors import ConfigError
from sweep.search.grid import build_grid


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        (".5", 0.5),
        ("-3", -3),
        (".inf", float("inf")),
        ("1_000", 1000),
        ("13:36:32", "13:36:32"),
        ("2024-08-01T13:36:32.491911683Z", "2024-08-01T13:36:32.491911683Z"),
        ("2024-08-01", "2024-08-01"),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("0123", "0123"),
        ("0x1F", "0x1F"),
        ("~", None),
        ("", None),
        ("[0.1, 0.5]", [0.1, 0.5]),
    ],
)
def test_yaml_without_its_surprises(text, value):
    assert parse_yaml(text, "x") == value


@pytest.mark.parametrize(
    "text",
    [
        "{a: 1, a: 2}",
        "[1, 2",
        "&a [*a]",
        "{a: &x 1, b: *x}",
        "!!python/object/apply:os.system ['true']",
        "[" * 3000,
        "a: b: c",
        "\x00",
    ],
)
def test_yaml_that_is_refused(text):
    with pytest.raises(ValueError, match=r"^here: no valid YAML"):
        parse_yaml(text, "here")


def test_the_loader_is_no_other_than_a_safe_one():
    from feed.yaml_text import _Loader

    assert issubclass(_Loader, yaml.SafeLoader)


def test_the_command_line_wins_over_the_file_and_the_last_repeat_over_the_first(tmp_path):
    file = tmp_path / "sweep.yaml"
    file.write_text("order: {size: 100, side: sell}\ngrid:\n  theta_queue: [0, 1e-3]\n")
    config = load_config(str(file), ["order.size=1", "order.size=2", "grid.lambda_over=0.5"])
    assert (config.order.size, config.order.side) == (2, "sell")
    assert config.grid == {"theta_queue": [0, 0.001], "lambda_over": 0.5}


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("ordr.size=5", "unknown key ordr.size; the nearest valid one is order.size"),
        ("order.sise=5", "unknown key order.sise; the nearest valid one is order.size"),
        ("grid.lambda_overr=5", "unknown key grid.lambda_overr; the nearest valid one is grid.lambda_over"),
        ("lambda_under=0.1", "unknown key lambda_under; the nearest valid one is grid.lambda_under"),
        ("size=100", "unknown key size; the nearest valid one is order.size"),
        ("start=5", "unknown key start; the nearest valid ones are window.start and order.start"),
        ("theta=1", "unknown key theta; the nearest valid one is grid.theta_queue"),
        ("maxage=5s", "unknown key maxage; the nearest valid one is max_age"),
        ("order={sise: 5}", "unknown key order.sise; the nearest valid one is order.size"),
        (
            "order.size=5kk",
            "order.size: expected a whole number of shares, such as 5000, 5k or 5e3, or a list of them, but it had",
        ),
        ("order.size=1.0001k", "order.size: expected a whole number of shares"),
        ("feed.max_bytes=16GBB", "feed.max_bytes: expected a size in bytes, such as 16GiB or 500MB, but it had '16"),
        ("fees={2: {taker: x}}", "fees.2.taker: expected dollars per share, such as 0.003, but it had 'x'"),
        ("lots_only=yes", "lots_only: expected true or false, but it had 'yes'"),
        ("liquidty=persist", "unknown key liquidty; the nearest valid one is liquidity"),
        ("order.size=0", "order.size: expected a whole number, 1 to 2,147,483,647, but it had 0"),
        ("order.size=-5", "order.size: expected a whole number, 1 to 2,147,483,647, but it had -5"),
        (
            "order.size=many",
            "order.size: expected a whole number of shares, such as 5000, 5k or 5e3, or a list of them, but it had",
        ),
        (
            "order.size=2.5",
            "order.size: expected a whole number of shares, such as 5000, 5k or 5e3, or a list of them, but it had 2.5",
        ),
        ("order.size=2147483648", "order.size: expected a whole number, 1 to 2,147,483,647, but it had 2147483648"),
        ("order.size=" + "9" * 5000, "order.size: no valid YAML"),
        ("order.size=!!int foo", "order.size: no valid YAML"),
        ("unfilled_penalty=!!float x", "unfilled_penalty: no valid YAML"),
        ("lots_only=!!bool foo", "lots_only: no valid YAML"),
        ("order.start=!!timestamp 2020-13-45", "order.start: no valid YAML"),
        ("grid.theta_queue=1e400", "1e400 is beyond any number; infinity is written .inf"),
        ("order.side=BUY", "order.side: expected buy, sell, or both: [buy, sell], but it had 'BUY'"),
        ("reference=Mid", "reference: expected touch or best or mid or arrival, but it had 'Mid'"),
        ("liquidity=x", "liquidity: expected persist or refresh, but it had 'x'"),
        (
            "source=",
            "source: expected text, such as file:day.csv.gz or kafka://127.0.0.1:9092/quotes, but it had nothing",
        ),
        ("order=5", "order: expected a mapping, such as {side: buy, size: 5000}, but it had 5"),
        ("order.side=hold", "order.side: expected buy, sell, or both: [buy, sell], but it had 'hold'"),
        ("grid.theta_queue=abc", "grid.theta_queue: expected a number, but it had 'abc'"),
        ("grid.theta_queue=[0.1, x]", "grid.theta_queue: expected a number, but it had 'x'"),
        ("grid.theta_queue=true", "grid.theta_queue: expected a number, but it had True"),
        ("grid.theta_queue=[.nan]", "grid.theta_queue: expected a number, but it had NaN"),
        ("grid.theta_queue=[0.1, 0.1]", "grid.theta_queue: 0.1 stands twice"),
        ("grid.theta_queue=[0.1, 1e-1]", "grid.theta_queue: 0.1 stands twice"),
        ("grid.theta_queue=[]", "grid.theta_queue: expected one value or more, but it had an empty list"),
        ("grid.theta_queue=[-0.1]", "grid.theta_queue: expected 0 or more, but it had -0.1"),
        (
            "grid.theta_queue=null",
            "grid.theta_queue: expected a number, but it had nothing; write 0.01, [0, 0.01] or {start",
        ),
        ("grid=5", "grid: expected a mapping of axes to values"),
        ("window.start=2024-08-01T13:36:32", "window.start: '2024-08-01T13:36:32' is no instant"),
        ("window.warmup=5", "window.warmup: '5' is no duration"),
        ("max_age=soon", "max_age: 'soon' is no duration"),
        ("stub_band=2", "stub_band: expected 0 to 1"),
        ("stub_band=.nan", "stub_band: expected 0 to 1"),
        ("unfilled_penalty=-1", "unfilled_penalty: expected 0 or more"),
        ("leftover_band=1.5", "leftover_band: expected 0 to 1, or null for none, but it had 1.5"),
        ("leftover_band=1e-10", "leftover_band: 1e-10 rounds to 0"),
        ("policy=greedy", "policy: expected one of static, pseudocode, placement, but it had 'greedy'"),
        ("step=0", "step: expected a whole number, 1 to"),
        ("workers=0", "workers: expected a whole number, 1 to"),
        ("feed.max_bad=-1", "feed.max_bad: expected a whole number, 0 to 10,000"),
        ("feed.max_bad=10001", "feed.max_bad: expected a whole number, 0 to 10,000"),
        ("feed.max_bytes=0", "feed.max_bytes: expected a whole number, 1 to"),
        ("feed.wait=5", "feed.wait: '5' is no duration"),
        ("feed.deadline=never", "feed.deadline: 'never' is no duration"),
        ("feed.patience=5s", "unknown key feed.patience; the nearest valid one is feed."),
        ("kafka.security_protocl=SSL", "unknown key kafka.security_protocl; the nearest valid one is kafka.security_p"),
        ("kafka=5", "kafka: expected a mapping, such as {security_protocol: SASL_SSL}, but it had a number"),
        ("feed=5", "feed: expected a mapping, such as {wait: 60s}, but it had 5"),
        ("executor=dask", "executor: expected ray or inline, but it had 'dask'"),
        ("address=10.0.0.1", "address: expected local, auto or ray://HOST:PORT"),
        ("fees={nasdak: {taker: 0.003}}", "fees.nasdak: 'nasdak' is no venue, did you mean 2 XNAS Nasdaq"),
        ("fees={XNAS: {taker: 0.003}, nasdaq: {taker: 0.002}}", "fees.nasdaq: it is venue 2, as XNAS is; write"),
        ("fees={124: {taker: 0.003}, XNAS: {taker: 0.002}}", "fees.XNAS: it is venue 124, as 124 is; write"),
        ("fees={XNAS: {taker: 300}}", "fees.XNAS.taker: 300.0 $ per share is above 100 $"),
        ("fees=us-2019", "fees: 'us-2019' is neither a file nor a scenario: us-2018, us-2026-cap30, us-2026-cap10"),
        ("fees={2: {takr: 0.003}}", "unknown key fees.2.takr; the nearest valid one is fees.2.taker"),
        ("fees={2: {taker: 3000}}", "fees.2.taker: 3000.0 $ per share is above 100 $"),
        (
            "fees={2: 0.003}",
            "fees.2: expected a mapping of dollars per share, such as {taker: 0.003, maker: -0.002}, but",
        ),
        ("fees=absent.yaml", "absent.yaml: cannot be read"),
        ("order.size", "expected KEY=VALUE"),
        ("=5", "expected KEY=VALUE"),
        ("order.size=[1", "order.size: no valid YAML"),
    ],
)
def test_bad_values_are_refused_with_one_line(assignment, says):
    with pytest.raises(ConfigError) as error:
        load_config(None, [assignment])
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    if "=" in assignment.lstrip("=") and "absent.yaml" not in assignment:
        assert str(error.value).endswith(" (command line)")


@pytest.mark.parametrize(
    "key", [*keys_of(Config), "window", "order", "feed", "kafka", "grid", "fees.2", "fees.2.taker"]
)
def test_a_value_of_another_kind_is_answered_with_an_example(key, tmp_path):
    file = tmp_path / "sweep.yaml"
    file.write_text(f"# a comment\nsymbol: XYZ\n{key}: [[1]]\n".replace("symbol: XYZ\nsymbol", "\nsymbol"))
    with pytest.raises(ConfigError) as error:
        load_config(str(file))
    message = str(error.value)
    assert message.startswith(f"{key}: expected ")
    assert "such as" in message or " or " in message or "write" in message
    assert f"had {'a list' if key.startswith('kafka') else '[['}" in message or "had [1]" in message
    assert message.endswith(f"({file}, line 3)")


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("5k", 5000),
        ("5e3", 5000),
        ("5000.0", 5000),
        ("1.5k", 1500),
        ("1_000", 1000),
        ("2M", 2_000_000),
        ("'5e3'", 5000),
    ],
)
def test_counts_are_read_as_they_are_written(typed, number, tmp_path):
    assert load_config(None, [f"order.size={typed}"]).order.size == number
    (tmp_path / "sweep.yaml").write_text(f"order:\n  size: {typed}\nstep: {typed}\n")
    config = load_config(str(tmp_path / "sweep.yaml"))
    assert (config.order.size, config.step) == (number, number)
    assert config.question.config_hash == build_config({"order": {"size": number}, "step": number}).question.config_hash


@pytest.mark.parametrize(
    ("typed", "number"),
    [("16GiB", 2**34), ("1MB", 10**6), ("500 KiB", 500 * 2**10), ("1.5kB", 1500), ("2e9", 2 * 10**9)],
)
def test_sizes_are_read_as_they_are_written(typed, number):
    assert load_config(None, [f"feed.max_bytes={typed}"]).feed.max_bytes == number


@pytest.mark.parametrize("name", ["window", "order"])
def test_a_span_that_ends_before_it_begins_is_refused_in_words(name, tmp_path):
    file = tmp_path / "sweep.yaml"
    file.write_text(f"{name}:\n  start: 2024-08-01T13:40:00Z\n  end: 2024-08-01T13:36:00+00:00\n")
    with pytest.raises(ConfigError) as error:
        load_config(str(file))
    assert str(error.value) == (
        f"{name}.start is after {name}.end: 2024-08-01T13:40:00.000000000Z and 2024-08-01T13:36:00.000000000Z; "
        f"exchange the two ({file}, line 2)"
    )


def test_a_complaint_says_the_line_of_the_file_or_that_it_was_typed(tmp_path):
    file, fees = tmp_path / "sweep.yaml", tmp_path / "fees.yaml"
    file.write_text("order:\n  side: buy\n  sise: 100\ngrid.theta_queue: [x]\n")
    with pytest.raises(ConfigError, match=rf"^unknown key order.sise; .* order.size \({file}, line 3\)$"):
        load_config(str(file))
    file.write_text("order:\n  side: buy\n\ngrid.theta_queue: [x]\n")
    with pytest.raises(ConfigError, match=rf"^grid.theta_queue: .* \({file}, line 4\)$"):
        load_config(str(file))
    with pytest.raises(ConfigError, match=r"^grid.theta_queue: .*'y'.* \(command line\)$"):
        load_config(str(file), ["grid.theta_queue=y"])
    fees.write_text("default: {taker: 0.001}\n2:\n  taker: cheap\n")
    with pytest.raises(ConfigError, match=rf"^fees.2.taker: .*'cheap' \({fees}, line 3\)$"):
        load_config(None, [f"fees={fees}"])


def test_a_configuration_out_of_a_pipe_is_read_once(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)  # keeps the pipe's end open until what it holds was read
    os.write(writer, b"size: 5\n")
    threading.Timer(0.2, os.close, [writer]).start()
    with pytest.raises(ConfigError, match=r"^unknown key size; the nearest valid one is order.size$"):
        load_config(str(pipe))


def test_keys_may_be_dotted_and_stand_once():
    tree = {"order.size": 700, "order": {"side": "sell"}, "grid.theta_queue": (0, 0.01), "window.warmup": "1m"}
    assert build_config(tree) == build_config(
        {"order": {"size": 700, "side": "sell"}, "grid": {"theta_queue": [0, 0.01]}, "window": {"warmup": "1m"}}
    )
    assert build_config({"grid.theta_queue": np.array([0, 0.01]), "order.size": np.int64(5)}).order.size == 5
    assert build_config({"source": Path("day.csv")}).source == "day.csv"
    at = pd.Timestamp("2024-08-01T13:36:32.491911683", tz="UTC")
    assert build_config({"window.start": at}).window.start == "2024-08-01T13:36:32.491911683+00:00"
    with pytest.raises(ConfigError, match=r"^window.start: '2024-08-01T13:36:32' is no instant"):
        build_config({"window.start": datetime.fromisoformat("2024-08-01T13:36:32")})
    for twice in (
        {"order.size": 1, "order": {"size": 1}},
        {"order": {"size": 1}, "order.size": 1},
        {"step": 1, "step.x": 1},
    ):
        with pytest.raises(ConfigError, match="write it once"):
            build_config(twice)


@pytest.mark.parametrize("key", ["kafka.sasl_password", "kafka.ssl_password", " kafka.sasl_plain_password "])
@pytest.mark.parametrize("value", ["=hunter2", "=[hunter2", ":hunter2", " hunter2", "=", ""])
def test_a_password_that_is_written_out_is_refused_and_not_repeated(key, value):
    with pytest.raises(FeedUnavailable, match=r"a password is not written here.*kafka.sasl_password_env") as caught:
        load_config(None, [f"{key}{value}"])
    assert "hunter2" not in str(caught.value)


def test_a_password_in_a_file_is_refused_too(tmp_path):
    file = tmp_path / "sweep.yaml"
    file.write_text("kafka: {sasl_username: alice, sasl_password: hunter2}")
    with pytest.raises(FeedUnavailable, match=r"kafka\.sasl_password: a password is not written here") as caught:
        load_config(str(file))
    assert "hunter2" not in str(caught.value)


def test_the_embedded_source_brings_a_window_and_fees_and_what_is_written_wins():
    start, end = synthetic.WINDOW
    default = build_config({}).question
    assert (default.window.start, default.window.end) == synthetic.WINDOW
    assert default.settings.fees.venues == {venue: nano(fee["taker"]) for venue, fee in synthetic.FEES.items()}
    chosen = build_config({"window.start": start + 5, "fees": {"2": {"taker": 0.001}}}).question
    assert (chosen.window.start, chosen.window.end) == (start + 5, end)
    assert chosen.settings.fees.venues[2] == 1_000_000
    with pytest.raises(ConfigError, match="of which the source brings one; set both"):
        build_config({"window.start": end + 1})
    file = build_config({"source": "day.csv"}).question
    assert (file.window.start, file.window.end, file.settings.fees.venues) == (None, None, {})


def test_a_configuration_is_parsed_once_and_one_made_by_hand_too(monkeypatch):
    asked = []
    monkeypatch.setattr(searches, "build_grid", lambda *spec: asked.append(spec) or build_grid(*spec))
    config = build_config({"grid": {"theta_queue": 0}})
    assert config.question is config.question
    assert len(asked) == 1
    assert len(Config(grid={"theta_queue": 0}).question.grid) == 9
    with pytest.raises(ConfigError, match=r"order\.size: expected a whole number"):
        _ = Config(order=OrderSpec(size=0)).question


def test_a_policy_takes_those_switches_that_it_has():
    keys = {"step": 7, "reference": "mid", "infeasible": "wait", "lots_only": True}
    assert build_config(keys).question.settings.policy == Static(7, "mid", lots_only=True)
    pseudocode = build_config({**keys, "policy": "pseudocode"}).question.settings.policy
    assert pseudocode == Pseudocode(7, "wait", "mid", lots_only=True)


def test_security_settings_are_text_as_they_are():
    settings = ["kafka.api_version=2.10", "kafka.sasl_password_file=/run/a #1", "kafka.sasl_username=123"]
    kafka = load_config(None, settings).kafka
    assert (kafka.api_version, kafka.sasl_password_file, kafka.sasl_username) == ("2.10", "/run/a #1", "123")


@pytest.mark.parametrize("path", ["my #1.csv", "123", "a: b", "[a].csv", "*.csv", "it's.csv", "1e3"])
def test_paths_and_names_are_taken_as_they_are(path):
    for key in ("source", "output", "symbol", "replay"):
        assert getattr(load_config(None, [f"{key}={path}"]), key) == path
    assert load_config(None, ["source='a # b'"]).source == "a # b"
    assert load_config(None, ["symbol=null"]).symbol is None


def test_files_that_are_no_mapping_or_not_there_are_refused(tmp_path):
    for text, says in (
        ("- 1\n- 2\n", "expected a mapping"),
        ("just text", "expected a mapping"),
        ("a: [1", "no valid YAML"),
    ):
        file = tmp_path / "bad.yaml"
        file.write_text(text)
        with pytest.raises(ConfigError, match=says):
            load_config(str(file))
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(str(tmp_path / "absent.yaml"))
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(str(tmp_path))
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is no text file"):
        load_config(str(tmp_path / "binary.yaml"))
    (tmp_path / "large.yaml").write_text("#" * 2**20 + "\n")
    with pytest.raises(ConfigError, match="is over 1,048,576 bytes"):
        load_config(str(tmp_path / "large.yaml"))
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert load_config(str(tmp_path / "empty.yaml")) == build_config({})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"order:\n  size: [1\n", "no valid YAML (line 3, column 1: expected ',' or ']', but got '<stream end>')"),
        (b"order:\n  size: 1\n  size: 2\n", "no valid YAML (line 3, column 3: key 'size' stands twice)"),
        (
            b"order:\n\tsize: 1\n",
            "no valid YAML (line 2, column 1: found character '\\t' that cannot start any token; indent",
        ),
        (b"- 1\n", "line 1: expected a mapping of keys to values, such as order: {size: 5000}, but it had a list"),
        (
            b"just text\n",
            "line 1: expected a mapping of keys to values, such as order: {size: 5000}, but it had 'just text'",
        ),
        (b"step: 1\nsymbol: caf\xe9\n", "is no text file (line 2: byte 0xe9 is not UTF-8); save it as UTF-8"),
        ("step: 1\n".encode("utf-16"), "is no text file (line 1: byte 0xff is not UTF-8)"),
        (b"step: 1\nsymbol: \x07\n", "no valid YAML (line 2: the character '\\x07' is none of a text)"),
        (
            b"order: &a {size: 1}\nwindow: *a\n",
            "no valid YAML (line 2, column 9: aliases are not read, so write what *a",
        ),
        (b"step: 1\norder: " + b"[" * 1000, "no valid YAML (it is nested too deeply)"),
        (b"step: 1\norder: {size: !!int five}\n", "no valid YAML (line 2, column 15: "),
        (b"step: 1\ngrid: {theta_queue: 1e400}\n", "no valid YAML (line 2, column 21: 1e400 is beyond any number"),
        (b"? [a]\n: 1\n", "no valid YAML (line 1, column 3: "),
        (b"#" * 2**20 + b"\n", "is over 1,048,576 bytes"),
    ],
)
def test_what_is_wrong_with_a_file_names_it_and_the_line(content, says, tmp_path):
    file = tmp_path / "sweep.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as error:
        load_config(str(file))
    message = str(error.value)
    assert message.startswith((f"{file}: {says}", f"{file}, {says}"))
    assert "\n" not in message


def test_a_mark_of_utf_8_is_no_part_of_the_first_key(tmp_path):
    file = tmp_path / "sweep.yaml"
    file.write_bytes(b"\xef\xbb\xbfstep: 10\n")
    assert load_config(str(file)).step == 10


def test_conventions_fill_what_was_left_open():
    fair, classic = (build_config({"conventions": name}).question.settings for name in ("fair", "classic"))
    assert (fair.book.book, fair.book.uncross, fair.book.stub_band, fair.warmup) == (
        "consolidated",
        True,
        100_000_000,
        300 * 10**9,
    )
    assert (fair.rules.liquidity, fair.rules.leftover, fair.fees.default) == ("persist", "sweep", 3_000_000)
    assert (classic.book.book, classic.book.uncross, classic.book.stub_band, classic.warmup) == ("event", False, -1, 0)
    assert (classic.rules.liquidity, classic.rules.leftover, classic.book.require) == ("refresh", "last_ask", "ask")
    assert fair.book.require is None


def test_explicit_keys_override_the_conventions():
    tree = {
        "conventions": "classic",
        "liquidity": "persist",
        "stub_band": 0.2,
        "window": {"warmup": "2m"},
        "max_age": "500ms",
        "order": {"side": "sell"},
    }
    settings = build_config(tree).question.settings
    assert settings.rules.liquidity == "persist"
    assert settings.book.stub_band == 200_000_000
    assert settings.warmup == 120 * 10**9
    assert settings.book.max_age == 500_000_000
    assert settings.book.require == "bid"
    assert build_config({"stub_band": None}).question.settings.book.stub_band == -1


def test_fees_are_merged_over_the_sources_own_and_over_the_default(tmp_path):
    fees = resolve(
        build_config({"fees": {2: {"taker": 0.001}}}), {"2": {"taker": "0.0005"}, "3": {"taker": "-0.0014"}}
    ).fees
    assert (fees.default, fees.venues) == (3_000_000, {2: 1_000_000, 3: -1_400_000})
    file = tmp_path / "fees.yaml"
    file.write_text("default: {taker: 0.002}\n43: {maker: -0.003}\n")
    fees = build_config({"fees": str(file), "source": "day.csv"}).question.settings.fees
    assert (fees.default, fees.venues) == (2_000_000, {43: 2_000_000})


def test_the_hash_is_of_what_decides_rows_and_not_of_spelling_or_place():
    base = build_config({}).question.config_hash
    same = [
        {"executor": "inline"},
        {"workers": 2},
        {"source": "file:x.csv"},
        {"output": "there"},
        {"feed": {"wait": "60s", "max_bad": 3}},
        {"kafka": {"security_protocol": "SSL"}},
        {"grid": {"lambda_over": [0.0, 1e-2, 0.05]}},
        {"grid": {"theta_queue": {"start": 0, "stop": 0.02, "num": 3}}},
    ]
    assert {build_config(tree).question.config_hash for tree in same} == {base}
    others = [{"step": 10}, {"order": {"size": 1}}, {"grid": {"lambda_over": 0}}, {"fees": {"2": {"taker": 0}}}]
    others += [{"depth": 1}, {"depth": 10}]  # a source that has ten by itself may have fewer tomorrow
    assert len({base, *(build_config(tree).question.config_hash for tree in others)}) == 7


def test_depth_is_the_sources_own_and_one_under_classic():
    for conventions, depth, read in (("fair", None, None), ("classic", None, 1), ("fair", 3, 3), ("classic", 3, 3)):
        config = build_config({"conventions": conventions} | ({} if depth is None else {"depth": depth}))
        assert config.question.reading.depth == read
    assert build_config({"depth": None}).question.reading.depth is None


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("max_age=99999999999h", "max_age: '99999999999h' is longer than the longest duration, 2562047h"),
        ("window.warmup=9223372037s", "window.warmup: .* is longer than"),
        ("feed.wait=2562048h", "feed.wait: .* is longer than"),
        ("feed.deadline=99999999999999999999h", "feed.deadline: .* is longer than"),
        ("max_age=0.4ns", "max_age: '0.4ns' rounds to 0; the shortest duration is 1ns"),
        (
            "fees={default: {taker: 1e-10}}",
            "fees.default.taker: 1e-10 rounds to 0; the smallest value .* 1e-9",
        ),
        ("fees={2: {maker: -1e-10}}", "fees.2.maker: -1e-10 rounds to 0"),
        ("unfilled_penalty=1e-10", "unfilled_penalty: 1e-10 rounds to 0"),
        ("stub_band=1e-10", "stub_band: 1e-10 rounds to 0"),
        ("grid.lambda_over=1e-10", "grid.lambda_over: 1e-10 rounds to 0"),
        ("grid.lambda_over=[0, 1e-10]", "grid.lambda_over: 1e-10 rounds to 0"),
        ("grid.theta_queue={start: 1e-12, stop: 1, num: 3, scale: log}", "grid.theta_queue.start: 1e-12 rounds to 0"),
    ],
)
def test_what_no_whole_number_keeps_is_refused(assignment, message):
    with pytest.raises(ConfigError, match=message):
        load_config(None, [assignment])


def test_the_longest_duration_is_one():
    assert load_config(None, ["max_age=2562047h"]).max_age == "2562047h"


def test_a_band_where_nothing_is_swept_is_refused():
    for keys in ({"conventions": "classic"}, {"leftover": "last_ask"}):
        with pytest.raises(ConfigError, match="leftover_band: it bounds what leftover=sweep takes"):
            _ = build_config({**keys, "leftover_band": 0.005}).question
    build_config({"conventions": "classic", "leftover": "sweep", "leftover_band": 0.005})


def test_a_lazy_frame_is_refused_with_what_to_do():
    with pytest.raises(ConfigError, match=r"source: expected a table, but it had a lazy one; collect\(\) it"):
        as_config({"source": pl.LazyFrame({"bid": [1.5]})})
