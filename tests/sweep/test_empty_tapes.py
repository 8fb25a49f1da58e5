"""Days without quotes among others: named and refused, or left out and that is said."""

import gzip
import shutil

import numpy as np
import pytest

from feed import synthetic
from feed.errors import FeedUnavailable
from feed.files.parquet import write_parquet
from feed.instants import format_instant
from feed.tape import DAY, QUOTE_DTYPES, Tape
from sweep import cli, verification
from sweep.config.loading import build_config
from sweep.driver import resume, run
from sweep.errors import ConfigError
from sweep.forecast import forecast
from sweep.progress import Silent
from tests.sweep.runs.test_store import cut_short, home_of

START, END = synthetic.window(20.0)
ORDERS = {"side": ["buy", "sell"], "size": 300, "every": "4s", "horizon": "5s"}
SKIP = {"tapes": {"skip_empty": True}}


def tape_of(day, name="AAPL", *, kept=slice(None), **changed):
    tape = synthetic.generate(seed=day, seconds=20.0, warmup=2.0, levels=1)
    columns = {column: getattr(tape, column) for column in QUOTE_DTYPES} | {"ts": tape.ts + day * DAY} | changed
    return Tape.build(name, **{column: values[kept] for column, values in columns.items()})


@pytest.fixture
def days(tmp_path):
    """A folder with a file of each of two days, and room for more."""
    folder = tmp_path / "days"
    folder.mkdir()
    for day in range(2):
        synthetic.write_csv(tape_of(day), folder / f"{day}.csv")
    return folder


def config_of(source, **keys):
    return build_config({"source": str(source), "executor": "inline", "order": ORDERS, **keys})


def without_run(document):
    return {name: section for name, section in document.items() if name != "run"}


class Listening(Silent):
    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


def header_only(folder, name="2.csv"):
    header = (folder / "0.csv").read_text().splitlines(keepends=True)[0]
    (folder / name).write_text(header)


def withdrawn(folder):
    nothing = np.zeros(tape_of(2).rows, np.int64)
    blank = {name: nothing.astype(QUOTE_DTYPES[name]) for name in ("bid_px", "ask_px", "bid_sz", "ask_sz")}
    synthetic.write_csv(tape_of(2, **blank), folder / "2.csv")


def short(folder):
    """A day whose quotes span three seconds, less than an order lasts."""
    tape = tape_of(2)
    synthetic.write_csv(tape_of(2, kept=tape.ts < tape.ts[0] + 3 * 10**9), folder / "2.csv")


def outside(folder):
    """A day with quotes before 10 s after the start of the window only."""
    tape = tape_of(2)
    synthetic.write_csv(tape_of(2, kept=tape.ts < START + 2 * DAY + 10 * 10**9), folder / "2.csv")


CLOCK = {**ORDERS, "from": format_instant(START + 12 * 10**9)[11:19], "every": "2s", "horizon": "2s"}

EMPTY = {
    "no row": (header_only, {}, "no quotes: 2.csv (no rows)", "2.csv (no rows): left out, as it has no quotes"),
    "withdrawn": (
        withdrawn,
        {},
        "AAPL 2025-03-14 has rows but no quote: each is withdrawn or hidden",
        "AAPL 2025-03-14: left out, as it has rows but no quote: each is withdrawn or hidden",
    ),
    "too short": (
        short,
        {},
        "none lies inside the window",
        "AAPL 2025-03-14: left out, as no order lies inside its window",
    ),
    "before the orders": (
        outside,
        {"order": CLOCK, "window": {"start": START, "end": END + 2 * DAY}},
        "AAPL 2025-03-14 has no quotes while its orders last, 2025-03-14T",
        "AAPL 2025-03-14: left out, as it has no quotes while its orders last, 2025-03-14T",
    ),
}


@pytest.mark.parametrize("kind", EMPTY)
def test_a_day_without_quotes_is_named_and_refused_or_left_out(days, capsys, kind):
    fill, keys, refusal, warning = EMPTY[kind]
    expected = run(config_of(days, **keys))
    fill(days)
    with pytest.raises((ConfigError, FeedUnavailable)) as refused:
        run(config_of(days, **keys))
    assert refused.value.exit_code == 2
    message = str(refused.value)
    assert refusal in message
    assert "tapes.skip_empty=true" in message
    assert "\n" not in message
    assert ("2025-03-14" if kind != "no row" else "2.csv") in message
    with pytest.raises(type(refused.value)) as planned:
        forecast(config_of(days, **keys), Silent())
    assert str(planned.value) == message

    listening = Listening()
    result = run(config_of(days, **keys, **SKIP), listening)
    assert result.table.tobytes() == expected.table.tobytes()
    assert warning in result.document["warnings"][0]
    assert f"warning: {result.document['warnings'][0]}" in listening.lines
    assert result.document["warnings"][1:] == expected.document["warnings"]
    assert result.document["orders"] == expected.document["orders"]
    listening = Listening()
    assert forecast(config_of(days, **keys, **SKIP), listening)["result_rows"] == len(expected.table)
    assert f"warning: {result.document['warnings'][0]}" in listening.lines
    words = [f"source={days}", "executor=inline", *(f"order.{name}={value}" for name, value in ORDERS.items())]
    if not keys:
        assert cli.main([word.replace("'", "") for word in words]) == 2
        errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert errors == [f"error: {message}"]


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_a_file_without_rows_is_named_from_the_folder_of_the_source(days, tmp_path, ending):
    (days / "more").mkdir()
    (days / "0.csv").rename(days / "more" / "0.csv")
    header_only(days / "more", "2.csv")
    if ending == "csv.gz":
        path = days / "more" / "2.csv"
        (days / "more" / "2.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    elif ending == "parquet":
        (days / "more" / "2.csv").unlink()
        write_parquet([tape_of(2, kept=slice(0))], days / "more" / "2.parquet")
    with pytest.raises(FeedUnavailable, match=rf"/days/\*/\*: no quotes: more/2\.{ending} \(no rows\); set tapes"):
        run(config_of(f"{days}/*/*"))
    shutil.copy(days / "1.csv", days / "more" / "1.csv")
    result = run(config_of(f"{days}/*/*", **SKIP))
    assert result.document["warnings"][0] == f"more/2.{ending} (no rows): left out, as it has no quotes"
    assert result.document["feed"]["tapes"][0]["notes"][0] == "read from 1 of 3 files"
    moved = tmp_path / "elsewhere"
    days.rename(moved)
    assert run(config_of(f"{moved}/*/*", **SKIP)).document["run"]["id"] == result.document["run"]["id"]


def test_one_tape_beside_a_file_without_rows_is_swept_alone(days):
    (days / "1.csv").unlink()
    header_only(days)
    with pytest.raises(FeedUnavailable, match=r"2\.csv"):
        run(config_of(days))
    document = run(config_of(days, **SKIP)).document
    assert (document["orders"]["days"], "tapes" in document["feed"]) == (1, False)
    assert document["warnings"][0] == "2.csv (no rows): left out, as it has no quotes"


def test_the_only_tape_that_is_left_is_not_left_out(days):
    withdrawn(days)
    window = {"start": START + 2 * DAY}
    with pytest.raises(FeedUnavailable, match="AAPL 2025-03-14 has rows but no quote"):
        run(config_of(days, window=window))
    with pytest.raises(ConfigError, match="no tape has any: AAPL 2025-03-14: left out"):
        run(config_of(days, window=window, **SKIP))


def test_what_lies_on_no_date_of_the_window_is_no_empty_day(days):
    outside(days)
    document = run(config_of(days, window={"end": END + DAY})).document
    assert len(document["feed"]["tapes"]) == 2
    assert not any("left out, as" in line for line in document["warnings"])
    with pytest.raises(FeedUnavailable, match=r"no quotes in the window: AAPL 2025-03-14; set tapes.skip_empty=true"):
        # it ends on the third day, a second before the first quote there
        run(config_of(days, window={"start": START + DAY, "end": START + 2 * DAY - 3 * 10**9}))


@pytest.mark.parametrize("together", [False, True])
def test_a_symbol_without_quotes_in_the_window_is_named(tmp_path, together):
    """In a file of its own, of which only those are read that are needed, or beside the other one."""
    window = {"start": START + 8 * 10**9, "end": START + 16 * 10**9}
    tape = tape_of(0)
    around = (tape.ts < window["start"]) | (tape.ts > window["end"])
    paths = [tmp_path / "a.csv", tmp_path / "z.csv"]
    synthetic.write_csv(tape, paths[0])
    expected = run(config_of(paths[0], window=window, order={"size": 300}))
    synthetic.write_csv(tape_of(0, "ZZZ", kept=around), paths[1])
    if together:
        lines = [path.read_text().splitlines(keepends=True) for path in paths]
        (tmp_path / "z.csv").unlink()
        paths[0].write_text("".join([*lines[0], *lines[1][1:]]))
    source = paths[0] if together else tmp_path
    with pytest.raises(FeedUnavailable, match=r"no quotes in the window: ZZZ 2025-03-12; set tapes.skip_empty=true"):
        run(config_of(source, window=window, order={"size": 300}))
    result = run(config_of(source, window=window, order={"size": 300}, **SKIP))
    assert result.table.tobytes() == expected.table.tobytes()
    assert result.document["warnings"][0] == "ZZZ 2025-03-12: left out, as it has no quotes"


def test_a_day_without_the_chosen_venues_is_named(days):
    tape = tape_of(0)
    venues = tape.venues.tolist()
    kept = tape_of(2)
    synthetic.write_csv(tape_of(2, kept=kept.venue != venues[0]), days / "2.csv")
    with pytest.raises(FeedUnavailable, match="no quotes of the chosen venues: AAPL 2025-03-14; set"):
        run(config_of(days, venues=[venues[0]]))
    document = run(config_of(days, venues=[venues[0]], **SKIP)).document
    assert document["orders"]["days"] == 2


def test_a_start_on_a_date_without_a_tape_is_named(days):
    starts = [START + 10**9, START + DAY + 10**9, START + 5 * DAY]
    order = {"size": 300, "start": starts, "horizon": "3s"}
    with pytest.raises(ConfigError, match=r"order.start: no tape is of 2025-03-17, the date of some of them; tapes.sk"):
        run(config_of(days, order=order))
    result = run(config_of(days, order=order, **SKIP))
    expected = run(config_of(days, order={**order, "start": starts[:2]}))
    assert result.table.tobytes() == expected.table.tobytes()
    assert result.document["warnings"][0].startswith("2025-03-17: left out with the orders that start then")
    with pytest.raises(ConfigError, match="no tape is of 2025-03-17"):  # of a single tape too
        run(config_of(days / "0.csv", order={**order, "start": [starts[0], starts[2]]}))


def test_where_every_day_is_empty_nothing_is_left_out(days):
    for path in days.iterdir():
        path.write_text(path.read_text().splitlines(keepends=True)[0])
    with pytest.raises(FeedUnavailable, match=r"0.csv: the file holds a header and no rows; export it again"):
        run(config_of(days, **SKIP))
    for day in range(2):
        tape = tape_of(day)
        synthetic.write_csv(tape_of(day, kept=tape.ts < tape.ts[0] + 3 * 10**9), days / f"{day}.csv")
    with pytest.raises(ConfigError, match="order: no tape has any: AAPL 2025-03-12: left out, as no order lies inside"):
        run(config_of(days, **SKIP))


def test_a_run_with_a_day_left_out_is_stored_found_resumed_and_verified(days, tmp_path):
    withdrawn(days)
    header_only(days, "3.csv")
    config = config_of(days, **SKIP, output=str(tmp_path / "out"))
    expected = run(config_of(days, **SKIP))
    cut_short(config, 60)
    home = home_of(config)
    result = resume(home, progress=Silent())
    assert result.table.tobytes() == expected.table.tobytes()
    assert without_run(result.document) == without_run(expected.document)
    assert [line.partition(":")[0] for line in result.document["warnings"][:2]] == [
        "3.csv (no rows)",
        "AAPL 2025-03-14",
    ]
    report = verification.verify(home, [], Silent(), sample=20, seed=1)
    assert (report["identical"], report["differs"]) == (True, [])
    (days / "3.csv").unlink()
    other = run(config_of(days, **SKIP))
    assert other.document["run"]["id"] != result.document["run"]["id"]
    assert other.table.tobytes() == expected.table.tobytes()


def test_the_key_at_its_default_leaves_the_hashes_of_older_runs_as_they_are():
    lists = {"order.size": [1, 2], "order.every": "5m", "order.horizon": "5m", "venues": [2, 43]}
    for keys, known in ({"depth": 1}, KNOWN[0]), ({"depth": 1, **lists}, KNOWN[1]):
        assert build_config(keys).question.config_hash == known
        assert build_config({**keys, "tapes.skip_empty": False}).question.config_hash == known
        assert build_config({**keys, "tapes.skip_empty": True}).question.config_hash != known


KNOWN = (
    "bdba3f7e249b629d637a1b7dce9248db95cc9f465be49f8ac7a7b295f0328d93",
    "84183967a33b5060dcae3506487fd01bc99f6afb91347bf3d2da3215ac03e683",
)
"""As the version before this key made them, when one level was the default."""
