"""The synthetic stream: the same on every run, what it promises to contain, and its way through a file."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given

from feed import synthetic
from feed.files.csv_reader import read_csv
from feed.synthetic import (
    CENT,
    CLOSES,
    FEES,
    OPENS,
    SEED,
    STARTS,
    SYMBOL,
    VENUES,
    WINDOW,
    generate,
    window,
    write_csv,
)
from feed.tape import DAY, Tape, same
from tests.support.examples import examples
from tests.support.strategies import tapes


@pytest.fixture(scope="module")
def stream():
    return generate()


def test_the_default_stream_is_the_one_written_down(stream):
    assert stream.digest() == "4d7184402b979086bc808e4a2db3f31ba68648e3e5bbee6f62325a8f28cfa5a5"
    assert stream.symbol == SYMBOL
    assert same(generate(seed=SEED), stream)
    assert not same(generate(seed=SEED + 1), stream)


def test_the_default_stream_has_its_size(stream):
    start, end = WINDOW
    inside = stream.clip(start, end)
    assert end - start == 522 * 10**9
    assert 19_000 <= inside.snapshots <= 21_000
    assert inside.venues.tolist() == sorted(VENUES[:5])
    first, last = stream.span
    assert 60 * 10**9 <= start - first <= 300 * 10**9
    assert last <= end
    assert first // DAY == last // DAY
    assert first >= OPENS
    assert last <= CLOSES


def test_prices_are_whole_cents_and_own_quotes_stay_one_to_many_ticks_apart(stream):
    for px in (stream.bid_px, stream.ask_px, stream.trades.px):
        assert not (px % CENT).any()
    both = (stream.bid_px > 0) & (stream.ask_px > 0)
    apart = (stream.ask_px - stream.bid_px)[both] // CENT
    assert apart.min() >= 1
    assert {1, 2, 3} <= set(apart.tolist())


def test_it_contains_what_a_router_must_cope_with(stream):
    assert 0 < np.mean(stream.ask_px == 0) < 0.02
    assert 0 < np.mean(stream.bid_px == 0) < 0.02
    assert np.mean(stream.ask_sz % 100 != 0) > 0.2
    assert set(stream.trades.side.tolist()) == {-1, 1}
    assert len(stream.trades.ts) > 500
    several = np.diff(stream.ts) == 0
    assert (several & (np.diff(stream.venue) != 0)).any()
    assert (several & (np.diff(stream.venue) == 0)).any()
    best_ask, best_bid = {}, {}
    crossed = 0
    for ts, venue, bid, ask in zip(stream.ts, stream.venue, stream.bid_px, stream.ask_px, strict=True):
        if ts < WINDOW[0] + 100 * 10**9:
            best_bid[venue], best_ask[venue] = bid, ask
            asks = [px for px in best_ask.values() if px]
            crossed += bool(asks) and max(best_bid.values()) > min(asks)
    assert 0 < crossed < 0.2 * stream.rows


def test_minutes_are_quiet_and_busy(stream):
    minutes = np.bincount((stream.ts - stream.ts[0]) // (60 * 10**9))
    assert minutes[:9].max() > 2 * minutes[:9].min()


def test_one_venue_goes_silent(stream):
    last = {venue: int(stream.ts[stream.venue == venue][-1]) for venue in stream.venues.tolist()}
    dead = last.pop(VENUES[4])
    assert dead < WINDOW[0] + 200 * 10**9
    assert min(last.values()) > WINDOW[1] - 5 * 10**9


def test_sequences_ascend_at_each_venue_and_trades_have_their_row(stream):
    for venue in stream.venues:
        assert (np.diff(stream.sequence[stream.venue == venue]) > 0).all()
    rows = set(zip(stream.ts.tolist(), stream.venue.tolist(), stream.sequence.tolist(), strict=True))
    trades = stream.trades
    assert rows >= set(zip(trades.ts.tolist(), trades.venue.tolist(), trades.sequence.tolist(), strict=True))


def test_as_messages_it_fits_the_embedded_broker(stream):
    names = ("publisher_id", "bid_px_00", "ask_px_00", "bid_sz_00", "ask_sz_00", "sequence")
    columns = (stream.venue, stream.bid_px / 1e9, stream.ask_px / 1e9, stream.bid_sz, stream.ask_sz, stream.sequence)
    stamps = np.datetime_as_string(stream.ts.astype("datetime64[ns]")).tolist()
    rows = zip(stamps, *(column.tolist() for column in columns), strict=True)
    lines = [json.dumps(dict(zip(("ts_event", *names), row, strict=True))) for row in rows]
    batches = ["\n".join(lines[at : at + 100]).encode() for at in range(0, len(lines), 100)]
    assert sum(len(gzip.compress(batch)) for batch in batches) < 2 * 2**20


@pytest.mark.parametrize("venues", [1, 2, 16])
def test_any_number_of_venues_up_to_sixteen(venues):
    tape = generate(seconds=20, warmup=5, venues=venues)
    assert tape.venues.tolist() == sorted(VENUES[:venues])
    assert tape.span[1] <= window(20)[1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"seconds": 0},
        {"seconds": (CLOSES - STARTS) / 1e9 + 1},
        {"warmup": -1},
        {"warmup": 3601},
        {"venues": 0},
        {"venues": 17},
    ],
)
def test_numbers_out_of_bounds_are_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        generate(**wrong)


def test_every_venue_has_fees_in_decimal_text():
    assert set(FEES) == set(VENUES)
    for fees in FEES.values():
        assert set(fees) == {"taker", "maker"}
        assert all(abs(Decimal(amount)) <= Decimal("0.003") for amount in fees.values())
    assert any(Decimal(fees["taker"]) < 0 for fees in FEES.values())


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".csv.zst"])
def test_a_written_file_reads_back_as_the_identical_tape(stream, tmp_path, ending):
    path = tmp_path / f"stream{ending}"
    write_csv(stream, path)
    (block,) = read_csv(path).fragments
    assert same(block.tape, stream)
    assert block.ignored == {}
    with path.open("rb") as file:
        assert file.read(2) == {".csv": b"ts", ".csv.gz": b"\x1f\x8b", ".csv.zst": b"\x28\xb5"}[ending]


@examples(40)
@given(tape=tapes(trades=False))
def test_any_tape_without_trades_survives_a_file(tape, tmp_path_factory):
    path = tmp_path_factory.mktemp("tape") / "tape.csv"
    write_csv(tape, path)
    assert same(read_csv(path).tape, tape)


def test_several_prints_of_one_message_keep_their_order(tmp_path):
    quotes = {"ts": [STARTS] * 3, "venue": [2] * 3, "bid_px": [0] * 3, "bid_sz": [0] * 3, "sequence": [7] * 3}
    quotes |= {"ask_px": [CENT] * 3, "ask_sz": [30, 20, 10]}
    prints = {"ts": [STARTS] * 2, "venue": [2] * 2, "px": [CENT] * 2, "sz": [5, 3], "side": [0, 1], "sequence": [7] * 2}
    columns, trades = ({name: np.array(values) for name, values in each.items()} for each in (quotes, prints))
    tape = Tape.build("XYZ", **columns, trades=trades)
    write_csv(tape, tmp_path / "a.csv")
    assert same(read_csv(tmp_path / "a.csv").tape, tape)
    alone = {name: values[:1] for name, values in columns.items()}
    with pytest.raises(ValueError, match="1 trades have no row"):
        write_csv(Tape.build("XYZ", **alone, trades=trades), tmp_path / "b.csv")


def test_levels_behind_the_first_leave_it_as_it_is_and_refill_over_seconds():
    flat, deep, five = (synthetic.generate(seconds=60.0, warmup=5.0, levels=levels) for levels in (1, 10, 5))
    assert same(deep.up_to(1), flat)
    assert same(deep.up_to(5), five)
    assert deep.depth == 10
    assert (deep.levels.ask_px[deep.ask_px > 0] > 0).all()
    assert same(synthetic.generate(seconds=60.0, warmup=5.0, levels=10), deep)
    shares = {}  # of each venue's asks behind the touch: when, and how far from the usual
    for row in np.flatnonzero(deep.venue == 2).tolist():
        prices, sizes = deep.levels.ask_px[row].tolist(), deep.levels.ask_sz[row].tolist()
        for px, sz in zip(prices, sizes, strict=True):
            shares.setdefault(px, []).append((int(deep.ts[row]), sz))
    changing = [series for series in shares.values() if len({sz for _, sz in series}) > 1]
    assert changing
    for series in changing:
        assert min(sz for _, sz in series) > 0


def test_what_the_touch_leaves_comes_back_by_halves():
    queues = synthetic._Queues((1, 2, 3))
    (usual,) = queues.behind(0, 100 * CENT, 7, [101 * CENT])
    assert usual % 100 == 0
    second = synthetic.HALF_LIFE
    for shares in (0, 5_000):
        queues.behind(10 * second, 101 * CENT, shares, [])
        after = [queues.at(101 * CENT, (10 + k) * second) for k in range(3)]
        assert after == [
            shares,
            *(usual - ((usual - shares) // 2**k if shares < usual else -((shares - usual) // 2**k)) for k in (1, 2)),
        ]
        assert queues.at(101 * CENT, 100 * second) == usual


@pytest.mark.parametrize("levels", [0, 11])
def test_levels_out_of_bounds_are_refused(levels):
    with pytest.raises(ValueError, match=f"levels: expected 1 to 10, but it had {levels}"):
        synthetic.generate(seconds=1.0, levels=levels)
