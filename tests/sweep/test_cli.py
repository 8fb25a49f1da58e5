"""The command line in this process: exit codes, one line on stderr, JSON alone on stdout."""

import gzip
import json
import os
import subprocess
import sys
from importlib import metadata

import pytest

from feed import cli as feed_cli
from feed.signals import Terminated
from sweep import cli
from tests.support.runfiles import TABLES

HEADER = "ts_event,publisher_id,sequence,bid_px_00,ask_px_00,bid_sz_00,ask_sz_00,symbol\n"
ROW = "2024-08-01T13:36:32.5Z,2,1,100.00,100.01,100,100,XYZ\n"


def call(capsys, *words):
    code = cli.main([*words])
    out, err = capsys.readouterr()
    return code, out, err


def refused(capsys, *words):
    """The exit code and the one line of a refusal, after what was said of the format."""
    code, out, err = call(capsys, "executor=inline", *words)
    assert out == ""
    assert "Traceback" not in err
    *_, last = err.splitlines()
    assert [line for line in err.splitlines() if line.startswith("error: ")] == [last]
    return code, last


def test_the_document_alone_is_on_stdout(stream, capsys, tmp_path):
    code, out, err = call(
        capsys, "run", "executor=inline", f"source={stream}", "order.size=300", "--output", str(tmp_path)
    )
    assert code == 0
    document = json.loads(out)
    home = tmp_path / "runs" / document["run"]["id"]
    assert json.loads((home / "result.json").read_text()) == document
    assert "27/27 combinations" in err
    import pandas as pd

    table = pd.read_parquet(home / "results.parquet")
    assert len(table) == 27
    assert (table["filled"] + table["unfilled"] - table["overfilled"] == 300).all()
    files = {"lock", "log.jsonl", "manifest.json", "result.json", *TABLES}
    assert {path.name for path in home.iterdir()} == files


def test_missing_empty_and_wrong_files(capsys, tmp_path):
    missing = tmp_path / "absent.csv"
    code, err = refused(capsys, f"source={missing}")
    assert code == 2
    assert "absent.csv" in err
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    code, err = refused(capsys, f"source=file:{empty}")
    assert code == 2
    assert "empty" in err
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("ts_event,publisher_id,sequence,bid_px_00\n1,2,3,4\n")
    code, err = refused(capsys, f"source={wrong}")
    assert code == 2
    assert all(name in err for name in ("ask_px_00", "bid_sz_00", "ask_sz_00"))
    assert code == 2
    headed = tmp_path / "headed.csv"
    headed.write_text(HEADER)
    assert refused(capsys, f"source={headed}")[0] == 2


def test_a_malformed_file_is_the_feeds_fault(capsys, tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text(HEADER + ROW + ROW.replace("100.01", "a lot"))
    code, err = refused(capsys, f"source={bad}")
    assert code == 3
    assert "a lot" in err
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress((HEADER + ROW * 1000).encode())[:-20])
    assert refused(capsys, f"source={cut}")[0] == 3


def test_a_window_without_data_says_what_span_there_is(capsys, tmp_path):
    file = tmp_path / "one.csv"
    file.write_text(HEADER + ROW)
    code, err = refused(capsys, f"source={file}", "window.start=2024-08-02T00:00:00Z")
    assert code == 2
    assert "2024-08-01T13:36:32.500000000Z" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["order.size=0"], "order.size"),
        (["order.size=-1"], "order.size"),
        (["grid.theta_queue=x"], "grid.theta_queue"),
        (["grid.theta_queue=.nan"], "NaN"),
        (["grid.theta_queue=[1,1]"], "stands twice"),
        (["grid.theta_queue=[]"], "empty list"),
        (["gird.theta_queue=1"], "the nearest valid one is grid"),
        (["--config", "absent.yaml"], "absent.yaml"),
        (["source=ftp://x"], "unknown kind of source"),
        (["source=kafka://nowhere"], "kafka://"),
        (["replay=x", "source=some.csv"], "a file holds no replay"),
        (["order.start=2020-01-01T00:00:00Z"], "no order acts on warm-up"),
    ],
)
def test_a_bad_configuration_is_refused_with_exit_2(words, says, capsys, tmp_path):
    file = tmp_path / "one.csv"
    file.write_text(HEADER + ROW)
    words = words if any(word.startswith("source=") for word in words) else [f"source={file}", *words]
    code, err = refused(capsys, *words)
    assert code == 2
    assert says in err


def test_yaml_that_is_no_mapping_is_refused(capsys, tmp_path):
    file = tmp_path / "list.yaml"
    file.write_text("- 1\n")
    code, err = refused(capsys, "--config", str(file))
    assert code == 2
    assert "expected a mapping" in err


def test_a_feed_that_never_showed_an_ask_ends_with_exit_2(capsys, tmp_path):
    file = tmp_path / "one.csv"
    file.write_text(HEADER + ROW.replace("100.01", ""))
    code, err = refused(capsys, f"source={file}")
    assert code == 2
    assert "no ask was displayed" in err


def test_an_output_that_cannot_be_made_is_refused_before_anything_runs(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    code, err = refused(capsys, "source=absent.csv", "--output", str(tmp_path / "file" / "below"))
    assert code == 2
    assert "output" in err


def test_an_unknown_command_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["sweeep"])
    assert stop.value.code == 2
    assert "unknown command 'sweeep'" in capsys.readouterr().err


def test_some_failed_combinations_exit_4_with_the_document(stream, capsys, monkeypatch):
    from allocator import simulate
    from sweep import tasks

    original = simulate.run_combinations

    def fails(book, order, rules, policy, fees, parameters, **keywords):
        if any(p.theta_queue == 20_000_000 for p in parameters):
            raise ZeroDivisionError("a bug")
        return original(book, order, rules, policy, fees, parameters, **keywords)

    monkeypatch.setattr(tasks, "run_combinations", fails)
    code, out, err = call(capsys, "executor=inline", f"source={stream}")
    assert code == 4
    assert len(json.loads(out)["failed"]) == 9
    assert "ZeroDivisionError: a bug" in err


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (Terminated(), 143), (ZeroDivisionError("bug"), 1)]
)
def test_interrupts_and_bugs_have_their_own_codes(error, code, capsys, monkeypatch):
    def raises(*_):
        raise error

    monkeypatch.setitem(cli.COMMANDS, "run", cli.Command(raises, "fail"))
    assert cli.main([]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert ("Traceback" in err) == (code == 1)


def test_the_command_may_stand_anywhere_and_once(stream, capsys):
    assert call(capsys, "executor=inline", f"source={stream}", "run")[0] == 0
    for words in (["run", "run"], ["--output="], ["resume"], ["verify", "a", "b"], ["--sample=3"]):
        with pytest.raises(SystemExit) as stop:
            cli.main(words)
        assert stop.value.code == 2


@pytest.mark.command
@pytest.mark.parametrize(
    ("redirection", "code", "message"),
    [
        (">/dev/full", 2, "error: stdout cannot be written (No space left on device)"),
        ("| true", 0, ""),
        ("2>/dev/full >/dev/null", 0, ""),
        ("2>&- >/dev/null", 0, ""),
        (">&-", 2, "error: stdout is closed"),
    ],
)
def test_a_stream_that_is_gone_is_no_bug(stream, redirection, code, message):
    command = f"set -o pipefail; {sys.executable} -m sweep executor=inline source={stream} {redirection}"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert ran.returncode == code, ran.stderr
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr + ran.stdout
    assert ran.stdout == ""


@pytest.mark.command
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("words", "redirection", "code", "message"),
    [
        ("--help", ">/dev/full", 2, "error: stdout cannot be written (No space left on device)\n"),
        ("report --help", ">/dev/full", 2, "error: stdout cannot be written (No space left on device)\n"),
        ("--version", ">/dev/full", 2, "error: stdout cannot be written (No space left on device)\n"),
        ("--version", "| true", 0, ""),
        ("nonsense", "2>&-", 2, ""),
    ],
)
def test_a_page_of_help_that_nobody_can_read_is_one_line(words, redirection, code, message, unbuffered):
    command = f"set -o pipefail; {sys.executable} -m sweep {words} {redirection}"
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, env=environment)
    assert (ran.returncode, ran.stderr) == (code, message)


def test_help_loads_neither_ray_nor_numba():
    script = (
        "import sys\n"
        "from sweep import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'ray', 'numba', 'pandas', 'pyarrow', 'kafka', 'numpy'} & set(sys.modules)), file=sys.stderr)"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "KEY=VALUE" in shown.stdout
    assert shown.stderr.strip() == "[]"


def test_a_plan_is_printed_and_nothing_is_stored(stream, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prices = tmp_path / "prices.yaml"
    prices.write_text("date: 2026-01-02\ntypes: {c7i.4xlarge: {spot: 0.25, spot_date: 2026-01-02}}\n")
    code, out, _ = call(capsys, "plan", f"source={stream}", "executor=inline", "--prices", str(prices))
    assert code == 0
    document = json.loads(out)
    assert document["combinations"] == 27
    assert document["cluster"] is None
    assert list(tmp_path.iterdir()) == [prices]
    code, out, err = call(capsys, "plan", f"source={stream}", "--cluster", "absent.yaml")
    assert (code, out) == (2, "")
    assert "absent.yaml" in err


def test_an_exchange_under_two_ids_is_warned_of_and_chosen_from(capsys, tmp_path):
    file = tmp_path / "twice.csv"
    rows = [f"2024-08-01T13:36:{at}Z,{venue},1,100.00,100.01,100,100,XYZ\n" for at in (32, 33) for venue in (2, 81)]
    file.write_text(HEADER + "".join(rows))
    words = ["executor=inline", f"source={file}", "order.size=500", "leftover=sweep", "grid.theta_queue=0"]
    code, out, err = call(capsys, *words)
    assert (code, json.loads(out)["optimized"]["filled"]) == (0, 200)
    assert (
        "warning in the quotes: twin_venues 1: venues 2 (XNAS.ITCH) and 81 (XNAS.BASIC) are both XNAS: what is "
        "displayed there counts more than once; choose, such as venues=[2]"
    ) in err
    code, chosen, err = call(capsys, *words, "venues=[2]", "--output", str(tmp_path))
    document = json.loads(chosen)
    assert (code, document["optimized"]["filled"]) == (0, 100)
    assert "twin_venues" not in err
    assert document["feed"]["ignored"]["other_venue"] == 2
    assert document["run"]["config_hash"] != json.loads(out)["run"]["config_hash"]
    home = str(tmp_path / "runs" / document["run"]["id"])
    assert call(capsys, "resume", home)[:2] == (0, chosen)
    assert call(capsys, "verify", home, "executor=inline", "--sample", "1")[0] == 0
    code, err = refused(capsys, *words[1:], "venues=[2, 9]")
    assert (code, err) == (2, f"error: {file}: no rows of venue 9; venues there: 2, 81")


@pytest.mark.parametrize("folder", ["out \U0001f600", "a=b c", "'quoted'", "a: b #c"])
def test_a_folder_of_any_name_is_stored_into_resumed_and_verified(folder, stream, capsys, tmp_path):
    code, out, _ = call(capsys, "executor=inline", f"source={stream}", "--output", str(tmp_path / folder))
    assert code == 0
    (home,) = (tmp_path / folder / "runs").iterdir()
    assert call(capsys, "resume", str(home))[:2] == (0, out)
    assert call(capsys, "verify", str(home), "executor=inline", "--sample", "1")[0] == 0


def test_a_folder_whose_name_is_no_text_is_refused(stream, capsys):
    code, out, err = call(capsys, "executor=inline", f"source={stream}", "--output", "ou\udcff")
    assert (code, out) == (2, "")
    assert "Traceback" not in err


def test_an_address_with_a_password_is_refused_and_not_repeated(stream, capsys):
    code, err = refused(capsys, f"source={stream}", "address=ray://user:hidden@host:1")
    assert code == 2
    assert "hidden" not in err


@pytest.mark.command
@pytest.mark.parametrize(
    ("limit", "command"),
    [
        ("-f 1", "feed convert {stream} {folder}/day.parquet"),
        ("-f 1", "sweep executor=inline source={stream} --output {folder}"),
        ("-n 8", "sweep executor=inline source={stream} --output {folder}"),
        ("-v 400000", "sweep executor=inline source={stream}"),
    ],
)
def test_what_the_machine_refuses_is_one_line_and_no_bug(stream, tmp_path, limit, command):
    words = f"ulimit {limit}; exec {sys.executable} -m {command.format(stream=stream, folder=tmp_path)}"
    ran = subprocess.run(["bash", "-c", words], capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 2, ran.stderr
    assert "Traceback" not in ran.stderr
    assert sum(line.startswith("error: ") for line in ran.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", [None, *cli.COMMANDS])
def test_every_command_has_a_help_page_of_its_own(name, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.parse([*([name] if name else []), "--help"])
    assert stop.value.code == 0
    page = capsys.readouterr().out
    assert "exit codes: 0 ok" in page
    options = {option for option in cli.OPTIONS if f"\n  --{option} " in page}
    assert options == (set(cli.COMMANDS[name].options) if name else set())
    assert all(each in page for each in (cli.COMMANDS if name is None else cli.COMMANDS[name].places))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ("run", (), [], {})),
        (["order.size=5", "plan"], ("plan", (), ["order.size=5"], {})),
        (["--config", "plan", "plan"], ("plan", (), [], {"config": "plan"})),
        (["executor=inline", "verify", "runs/a=b", "--sample", "3", "workers=1"],
         ("verify", ("runs/a=b",), ["workers=1", "executor=inline"], {"sample": 3})),
        (["--force", "--output=x"], ("run", (), ['output="x"'], {"force": True})),
    ],
)  # fmt: skip
def test_a_command_stands_anywhere_among_its_words(words, expected):
    call = cli.parse(words)
    name = next(name for name, command in cli.COMMANDS.items() if command is call.command)
    assert (name, call.places, call.assignments, call.options) == expected


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--sample", "3"], "run: error: unrecognized arguments: --sample"),
        (["verify"], "expected RUN, but it had nothing"),
        (["resume", "a", "b"], "expected RUN, but it had a b"),
        (["plan", "elsewhere"], "expected nothing but KEY=VALUE, but it had elsewhere"),
        (["verify", "run", "--sample", "0"], "--sample: expected 1 or more"),
        (["--output", ""], "--output: expected a folder"),
    ],
)
def test_what_a_command_does_not_take_is_said(words, says, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.parse(words)
    assert stop.value.code == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(("main", "says"), [(cli.main, "sor-sweep "), (feed_cli.main, "sor-feed ")])
def test_the_version_is_said(main, says, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"{says}{metadata.version('sor-sweep')}\n"
