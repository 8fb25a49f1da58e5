"""Several days and symbols in one sweep: each as if it were alone, read again where there is no room to keep them."""

import gzip
import shutil
from dataclasses import replace

import numpy as np
import pytest

from feed import synthetic
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.files.parquet import write_parquet
from feed.tape import DAY, QUOTE_DTYPES, Tape, join
from sweep import cli, verification
from sweep.config.loading import build_config
from sweep.driver import resume, run
from sweep.errors import ConfigError
from sweep.forecast import forecast
from sweep.progress import Silent
from sweep.tapes import materialise
from tests.sweep.runs.test_store import cut_short, home_of

ORDERS = {"side": ["buy", "sell"], "size": [300, 1000], "every": "4s", "horizon": "5s"}
NAMES = ("AAPL", "MSFT")
DAYS = 2


@pytest.fixture(scope="module")
def each(tmp_path_factory):
    """A file for each symbol and date, by symbol and date."""
    folder = tmp_path_factory.mktemp("tapes")
    paths = {}
    for n, name in enumerate(NAMES):
        for day in range(DAYS):
            tape = synthetic.generate(seed=10 * n + day, seconds=20.0 + 3 * day, warmup=2.0, levels=1)
            columns = {column: getattr(tape, column) for column in QUOTE_DTYPES}
            paths[name, day] = folder / f"{name}-{day}.csv.gz"
            synthetic.write_csv(Tape.build(name, **columns | {"ts": tape.ts + day * DAY}), paths[name, day])
    return paths


def config_of(source, **keys):
    return build_config({"source": str(source), "executor": "inline", "order": ORDERS, **keys})


@pytest.fixture(scope="module")
def together(each):
    return run(config_of(each["AAPL", 0].parent))


@pytest.fixture(scope="module")
def alone(each):
    return [run(config_of(path)) for path in each.values()]


def without_run(document):
    return {name: section for name, section in document.items() if name != "run"}


def test_each_tape_has_the_rows_that_it_has_alone(together, alone):
    assert len(alone) == 4
    for number, one in enumerate(alone):
        rows = together.table[together.table[:, 0] == number]
        assert (rows[:, 1:] == one.table[:, 1:]).all()
    assert len(together.table) == sum(len(one.table) for one in alone)


def test_the_document_adds_up_its_tapes(together, alone):
    document, documents = together.document, [one.document for one in alone]
    assert document["orders"]["count"] == sum(one["orders"]["count"] for one in documents)
    blocks = sum(one["orders"]["blocks"] for one in documents) // 2  # both symbols share them
    assert document["orders"]["blocks"] == document["statistics"]["blocks"] == blocks
    assert (document["orders"]["days"], document["orders"]["symbols"]) == (2, 2)
    for name in document["baselines"]:
        cash = [one["baselines"][name]["total_cash"] for one in documents]
        assert document["baselines"][name]["total_cash"] == pytest.approx(sum(cash), abs=0.03)
        parts = [one["shortfall"]["baselines"][name]["shortfall"] for one in documents]
        assert document["shortfall"]["baselines"][name]["shortfall"] == pytest.approx(sum(parts), abs=0.03)
    frame = together.orders_frame()
    twap = frame[frame["strategy"] == "twap"]
    assert twap["order"].tolist() == [n for one in documents for n in range(one["orders"]["count"])]
    assert twap["tape"].tolist() == [t for t, one in enumerate(documents) for _ in range(one["orders"]["count"])]
    alone_twap = np.concatenate(
        [one.orders_frame().query("strategy == 'twap'")[["group", "total_cash"]].to_numpy() for one in alone]
    )
    assert (twap[["group", "total_cash"]].to_numpy() == alone_twap).all()


def test_the_feed_names_each_tape(together, alone):
    feed = together.document["feed"]
    assert feed["tapes"] == [
        {**one.document["feed"], "place": feed["place"], "notes": section["notes"]}
        for one, section in zip(alone, feed["tapes"], strict=True)
    ]
    assert feed["rows"] == sum(section["rows"] for section in feed["tapes"])
    assert feed["symbol"] == "AAPL, MSFT"
    assert len({feed["digest"], *(section["digest"] for section in feed["tapes"])}) == 5


def test_the_best_is_that_of_the_sums(together):
    table = together.table.astype(object)
    signs = {}
    for tape, one in enumerate(together.document["feed"]["tapes"]):
        groups = int(table[table[:, 0] == tape][:, 1].max()) + 1
        signs |= {(tape, group): 1 if group < groups // 2 else -1 for group in range(groups)}
        assert one["symbol"] in NAMES
    paid = dict.fromkeys(range(27), 0)
    for row in table:
        paid[row[2]] += signs[row[0], row[1]] * row[-1]
    best = next(n for n in range(27) if paid[n] == min(paid.values()))
    point = together.config.question.grid.point(best)
    assert together.document["best_parameters"] == {name: value / 1e9 for name, value in point.items()}


def test_tapes_that_find_no_room_are_read_again_and_nothing_changes(each, together, monkeypatch):
    monkeypatch.setattr(materialise, "KEPT_BYTES", 0)
    reads, most = [], [0]
    original = materialise.Tapes._begin
    keep = materialise.Tapes._keep

    def counting(tapes, number):
        reads.append(number)
        return original(tapes, number)

    def watching(tapes, number, tape):
        keep(tapes, number, tape)
        most[0] = max(most[0], len(tapes._kept))

    monkeypatch.setattr(materialise.Tapes, "_begin", counting)
    monkeypatch.setattr(materialise.Tapes, "_keep", watching)
    again = run(config_of(each["AAPL", 0].parent))
    assert again.table.tobytes() == together.table.tobytes()
    assert without_run(again.document) == without_run(together.document)
    assert most == [1]
    assert reads == [0, 1, 2, 3, 1, 2, 3, 1, 2, 3]  # once for what there is, once to sweep, once for the best


def test_a_source_that_changes_meanwhile_is_refused(each, tmp_path, monkeypatch):
    folder = tmp_path / "days"
    shutil.copytree(each["AAPL", 0].parent, folder)
    monkeypatch.setattr(materialise, "KEPT_BYTES", 0)
    original = materialise.Tapes.fetch

    def changing(tapes, number):
        if number == 2:
            shutil.copy(each["MSFT", 1], folder / "MSFT-0.csv.gz")
            tapes._wanted[2] = tapes._wanted[3]
        return original(tapes, number)

    monkeypatch.setattr(materialise.Tapes, "fetch", changing)
    with pytest.raises(FeedCorrupt, match="the quotes of MSFT 2025-03-12 are not those that were read before"):
        run(config_of(folder))


@pytest.mark.parametrize("done", [100, 700])
def test_a_run_that_is_cut_short_goes_on_and_verifies(each, together, tmp_path, done):
    config = config_of(each["AAPL", 0].parent, output=str(tmp_path))
    cut_short(config, done)
    home = home_of(config)
    result = resume(home, progress=Silent())
    assert result.table.tobytes() == together.table.tobytes()
    assert without_run(result.document) == without_run(together.document)
    report = verification.verify(home, [], Silent(), sample=20, seed=1)
    assert (report["identical"], report["differs"]) == (True, [])


def test_a_window_over_dates_gives_each_its_part(each):
    start, end = synthetic.window(20.0)
    windows = {"start": start + 5 * 10**9, "end": end + DAY - 5 * 10**9}
    result = run(config_of(each["AAPL", 0].parent, window=windows, symbol="AAPL"))
    first, second = result.document["feed"]["tapes"]
    assert first["window"]["start"] == result.document["feed"]["window"]["start"]
    assert second["window"]["start"][:10] == "2025-03-13"
    only = {"start": end + DAY - 8 * 10**9, "end": end + DAY}
    document = run(config_of(each["AAPL", 0].parent, window=only, symbol="AAPL")).document
    assert "tapes" not in document["feed"]


def test_one_file_of_several_symbols_is_several_tapes(each, alone, tmp_path):
    lines = [gzip.decompress(each[name, 0].read_bytes()).decode().splitlines() for name in NAMES]
    path = tmp_path / "both.csv"
    path.write_text("\n".join([*lines[0], *lines[1][1:]]) + "\n")
    result = run(config_of(path))
    for number, one in enumerate((alone[0], alone[2])):
        rows = result.table[result.table[:, 0] == number]
        assert (rows[:, 1:] == one.table[:, 1:]).all()


def test_one_file_of_several_dates_is_several_tapes(each, alone, tmp_path):
    """The rows and digests are those of a file for each date; a window that leaves one of them is that one's."""
    lines = [gzip.decompress(each["AAPL", day].read_bytes()).decode().splitlines() for day in range(DAYS)]
    path = tmp_path / "days.csv"
    path.write_text("\n".join([*lines[0], *lines[1][1:]]) + "\n")
    result = run(config_of(path))
    for number, one in enumerate(alone[:DAYS]):
        assert (result.table[result.table[:, 0] == number][:, 1:] == one.table[:, 1:]).all()
        assert result.document["feed"]["tapes"][number]["digest"] == one.document["feed"]["digest"]
    assert (result.document["orders"]["days"], result.document["orders"]["symbols"]) == (DAYS, 1)
    start, end = synthetic.window(20.0)
    for window in ({"start": start + DAY + 10**9}, {"end": end - 10**9}, {"start": start, "end": end}):
        day = int("start" in window and window["start"] > start + DAY)
        narrow, one = (run(config_of(source, window=window)) for source in (path, each["AAPL", day]))
        assert narrow.table.tobytes() == one.table.tobytes()
        assert narrow.document["run"]["id"] == one.document["run"]["id"]
    with pytest.raises(FeedUnavailable, match=r"no quotes in the window; the data there spans 2025-03-12.*2025-03-13"):
        run(config_of(path, window={"start": start + 5 * DAY}))


def test_a_tape_without_an_order_is_named(each):
    with pytest.raises(ConfigError, match=r"none lies inside the window.*\(AAPL 2025-03-12\)"):
        run(config_of(each["AAPL", 0].parent, order={**ORDERS, "horizon": "22s"}))


def test_one_order_per_tape_is_the_whole_window_of_each(each):
    result = run(config_of(each["AAPL", 0].parent, order={"size": 500}))
    assert result.document["orders"]["count"] == 4
    assert result.table[::27, :2].tolist() == [[0, 0], [1, 0], [2, 0], [3, 0]]


def test_a_plan_counts_all_tapes(each):
    document = forecast(config_of(each["AAPL", 0].parent), Silent())
    assert (document["feed"]["tapes"], document["feed"]["symbol"]) == (4, "AAPL, MSFT")
    result = run(config_of(each["AAPL", 0].parent))
    assert document["result_rows"] == len(result.table)
    assert document["orders"] == result.document["orders"]["count"]


def test_the_id_covers_every_tape(each, together, tmp_path):
    folder = tmp_path / "days"
    shutil.copytree(each["AAPL", 0].parent, folder)
    assert run(config_of(folder)).document["run"]["id"] == together.document["run"]["id"]
    (folder / "MSFT-1.csv.gz").unlink()
    fewer = run(config_of(folder))
    assert fewer.document["run"]["id"] != together.document["run"]["id"]
    assert replace(fewer, home=None).document["orders"]["days"] == 2


def shifted(tape, day, **columns):
    kept = {name: getattr(tape, name) for name in QUOTE_DTYPES}
    return Tape.build("AAPL", **kept | {"ts": tape.ts + day * DAY} | columns)


@pytest.mark.parametrize("liquidity", ["persist", "refresh"])
@pytest.mark.parametrize("kind", ["many venues", "fine prices", "levels"])
def test_a_kernel_that_cannot_run_a_tape_is_not_used_on_it(tmp_path, kind, liquidity):
    first = synthetic.generate(seed=1, seconds=8.0, warmup=2.0)
    second = synthetic.generate(seed=2, seconds=8.0, warmup=2.0)
    if kind == "levels":
        changed = shifted(second, 1, levels=second.levels.columns)
    elif kind == "many venues":
        changed = shifted(second, 1, venue=(np.arange(second.rows) % 70 + 1).astype(np.int16))
    else:
        ask_px = second.ask_px.copy()
        ask_px[[100, 200, 300]] = 199_999_990_000_001
        changed = shifted(second, 1, ask_px=ask_px)
    paths = [tmp_path / f"{n}.csv.gz" for n in range(2)]
    for path, tape in zip(paths, (shifted(first, 0), changed), strict=True):
        synthetic.write_csv(tape, path)
    order = {"size": 3000, "every": "4s", "horizon": "4s"}
    together = run(config_of(tmp_path, order=order, liquidity=liquidity, stub_band=None))
    assert not together.failures
    for number, path in enumerate(paths):
        alone = run(config_of(path, order=order, liquidity=liquidity, stub_band=None))
        assert (together.table[together.table[:, 0] == number][:, 1:] == alone.table[:, 1:]).all()


def test_a_date_is_as_deep_as_it_is_whatever_file_holds_it(tmp_path):
    first, second = (synthetic.generate(seed=seed, seconds=5.0, warmup=2.0) for seed in (1, 2))
    days = [shifted(first, 0, levels=first.levels.columns), shifted(second, 1)]
    (folder := tmp_path / "days").mkdir()
    for number, tape in enumerate(days):
        synthetic.write_csv(tape, folder / f"{number}.csv.gz")
    write_parquet([join(days)], whole := tmp_path / "whole.parquet")
    order = {"size": 100, "every": "2s", "horizon": "2s"}
    one, each = (run(config_of(place, order=order)) for place in (whole, folder))
    assert [tape["digest"] for tape in one.document["feed"]["tapes"]] == [tape.digest() for tape in days]
    assert [tape["digest"] for tape in each.document["feed"]["tapes"]] == [tape.digest() for tape in days]
    assert (one.table == each.table).all()


def test_a_tape_with_quotes_around_the_window_but_none_inside_is_not_among_them(each, tmp_path):
    tape = synthetic.generate(seed=3, seconds=20.0, warmup=2.0, levels=1)
    start, end = synthetic.window(20.0)
    low, high = start + 8 * 10**9, start + 12 * 10**9
    around = (tape.ts < low - 10**9) | (tape.ts > high + 10**9)
    columns = {name: getattr(tape, name)[around] for name in QUOTE_DTYPES}
    synthetic.write_csv(Tape.build("ZZZ", **columns), tmp_path / "z.csv.gz")
    shutil.copy(each["AAPL", 0], tmp_path / "a.csv.gz")
    assert end > high
    keys = {"window": {"start": low, "end": high}, "order": {"size": 100}}
    with pytest.raises(FeedUnavailable, match=r"no quotes in the window: ZZZ 2025-03-12; set tapes.skip_empty=true"):
        run(config_of(tmp_path, **keys))
    document = run(config_of(tmp_path, **keys, tapes={"skip_empty": True})).document
    assert document["warnings"][0] == "ZZZ 2025-03-12: left out, as it has no quotes"
    assert document["feed"]["symbol"] == "AAPL"
    assert "tapes" not in document["feed"]


def test_a_venue_may_be_missing_on_one_date_but_not_on_all(tmp_path):
    for day in range(2):
        tape = synthetic.generate(seed=day, seconds=15.0, warmup=2.0, levels=1)
        kept = tape if day == 0 else tape.of_venues(tuple(tape.venues.tolist()[:-1]))
        synthetic.write_csv(shifted(kept, day), tmp_path / f"{day}.csv.gz")
    venues = tape.venues.tolist()
    document = run(config_of(tmp_path, venues=[venues[0], venues[-1]], order={"size": 100})).document
    assert [len(part["depth"]) for part in document["feed"]["tapes"]] == [2, 1]
    with pytest.raises(FeedUnavailable, match="no rows of venue 999 on any date"):
        run(config_of(tmp_path, venues=[venues[0], 999], order={"size": 100}))


def test_starts_that_are_listed_go_to_the_tapes_of_their_dates(each):
    start, _ = synthetic.window(20.0)
    starts = [start + 10**9, start + DAY + 2 * 10**9, start + DAY + 9 * 10**9]
    result = run(config_of(each["AAPL", 0].parent, symbol="AAPL", order={"start": starts, "horizon": "3s"}))
    frame = result.orders_frame().query("strategy == 'optimized'")
    assert list(zip(frame["tape"], frame["start"], strict=True)) == [(0, starts[0]), (1, starts[1]), (1, starts[2])]
    assert result.document["orders"]["left_out"] == 0
    one = run(config_of(each["AAPL", 0].parent, order={"start": starts[:1], "horizon": "3s"}))
    assert one.table[:, 0].tolist() == [0] * 27 + [2] * 27
    assert (one.document["orders"]["days"], one.document["orders"]["symbols"]) == (1, 2)
    with pytest.raises(ConfigError, match="no tape is of the date of any of them"):
        run(config_of(each["AAPL", 0].parent, order={"start": [start + 9 * DAY, start + 8 * DAY], "horizon": "3s"}))


def test_the_order_section_spans_all_tapes(together, alone):
    order = together.document["order"]
    assert order["start"] == min(one.document["order"]["start"] for one in alone)
    assert order["end"] == max(one.document["order"]["end"] for one in alone)


def test_what_is_the_same_of_every_tape_stands_once(each):
    lines = []

    class Listening(Silent):
        def say(self, text):
            lines.append(text)

    source = each["AAPL", 0].parent
    result = run(config_of(source), Listening())
    assert lines.count(f"{source}: prices are decimal dollars") == 1
    left_out = result.document["orders"]["left_out"]
    assert left_out > 0
    warned = [line for line in result.document["warnings"] if "are left out" in line]
    every = left_out + result.document["orders"]["count"]
    assert warned == [f"{left_out} of {every} orders are left out: they do not lie inside the window of their tape"]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Two days of five venues each, of which the first has one that the second lacks, and the other way round."""
    folder, paths = tmp_path_factory.mktemp("mixed"), []
    for day in range(2):
        tape = synthetic.generate(seed=day, seconds=20.0, warmup=2.0, venues=6, levels=1)
        venues = tape.venues.tolist()
        absent = venues[-1 - day]
        paths.append(folder / f"{day}.csv.gz")
        synthetic.write_csv(shifted(tape.of_venues(tuple(each for each in venues if each != absent)), day), paths[-1])
    return paths


FEES = {"default": {"taker": 0.003}, "38": {"taker": 0.0009}, "3": {"taker": -0.0014}, "8": {"taker": 0.004}}


@pytest.mark.parametrize("liquidity", ["persist", "refresh"])
@pytest.mark.parametrize("policy", ["static", "pseudocode"])
def test_tapes_of_different_venues_are_swept_with_the_fees_of_those_that_each_has(mixed, policy, liquidity):
    keys = {"fees": FEES, "policy": policy, "liquidity": liquidity, "order": {**ORDERS, "every": "8s"}}
    together = run(config_of(mixed[0].parent, **keys))
    present = [set(section["depth"]) for section in together.document["feed"]["tapes"]]
    assert len(present[0] - present[1]) == len(present[1] - present[0]) == 1
    assert set(together.document["feed"]["depth"]) == present[0] | present[1]
    assert together.document["objective"]["distinct"] > 1
    for number, path in enumerate(mixed):
        absent = "".join(present[1 - number] - present[number])
        own = {venue: fee for venue, fee in FEES.items() if venue != absent}
        for fees in (FEES, own, own | {absent: {"taker": 0.0073}}):  # whatever an absent venue takes
            alone = run(config_of(path, **keys | {"fees": fees}))
            assert (together.table[together.table[:, 0] == number][:, 1:] == alone.table[:, 1:]).all()
    split = run(config_of(mixed[0].parent, **keys, collapse=False))
    assert split.table.tobytes() == together.table.tobytes()
    assert without_run(split.document) == without_run(together.document)


def test_a_fee_of_a_venue_that_is_absent_on_a_day_changes_that_day_alone_and_is_warned_of_there(mixed):
    absent = (set(venues_of(mixed[0])) - set(venues_of(mixed[1]))).pop()
    plain = run(config_of(mixed[0].parent, fees=FEES))
    dear = run(config_of(mixed[0].parent, fees=FEES | {str(absent): {"taker": 3.0}}))
    changed = (plain.table != dear.table).any(axis=1)
    assert {*plain.table[changed][:, 0].tolist()} == {0}
    warned = [line for line in dear.document["warnings"] if f"fees.{absent}.taker" in line]
    assert [line[: len("AAPL 2025-03-12: ")] for line in warned] == ["AAPL 2025-03-12: "]


def venues_of(path):
    return map(int, run(config_of(path, order={"size": 100})).document["feed"]["depth"])


HORIZONS = {
    "list": {"start": "[{0}, {1}]", "horizon": "24s"},
    "clock": {"every": "2s", "horizon": "24s"},
    "after": {"start": "[{2}, {3}]", "horizon": "1s"},
}


@pytest.mark.parametrize("orders", HORIZONS)
@pytest.mark.parametrize("many", [False, True])
def test_an_order_list_that_lies_beyond_the_data_is_one_line(each, capsys, orders, many):
    """The first day has 22 s of quotes, the second 25; the third of these instants is after both."""
    start, end = synthetic.window(20.0)
    instants = [start, start + 10**9, end + 10 * 10**9, end + 11 * 10**9]
    path = each["AAPL", 0]
    words = [f"order.{name}={value.format(*instants)}" for name, value in HORIZONS[orders].items()]
    source = path.parent if many else path
    for command in ([], ["plan"]):
        assert cli.main([*command, f"source={source}", "symbol=AAPL", "executor=inline", *words]) == 2
        captured = capsys.readouterr()
        (line,) = (line for line in captured.err.splitlines() if line.startswith("error: "))
        assert (captured.out, "none lies inside the window" in line) == ("", True)
        assert "choose other starts, or a shorter order.horizon" in line
        assert ("(AAPL 2025-03-12); tapes.skip_empty=true" in line) == many
