"""The synthetic stream: the same on every run, what it promises to contain, and its way through a file."""

from __future__ import annotations

import gzip
from decimal import Decimal
from functools import partial

import numpy as np
import pytest
from hypothesis import given

from feed import synthetic
from feed.codecs.registry import CODECS
from feed.files.registry import read_file
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
    assert stream.digest() == "e2c1531799c3b315bcbadd4223c945c85ed018e4310d4cf0408f734155ba1586"
    assert stream.up_to(1).digest() == "4d7184402b979086bc808e4a2db3f31ba68648e3e5bbee6f62325a8f28cfa5a5"
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


def test_as_messages_it_fits_the_embedded_broker_twice(stream):
    """As record batches, which `python -m sweep` sends, and as JSON in batches, which `feed replay` does by default."""
    assert sum(len(message.value) for message in CODECS["arrow"].encode(stream)) < 2.5 * 2**20
    values = [message.value for message in CODECS["json"].encode(stream)]
    batches = [b"".join(values[at : at + 100]) for at in range(0, len(values), 100)]
    assert sum(len(gzip.compress(batch)) for batch in batches) < 2.5 * 2**20


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
def test_a_written_file_reads_back_as_the_identical_tape(tmp_path, ending):
    tape, path = generate(seconds=60.0), tmp_path / f"stream{ending}"
    write_csv(tape, path)
    (block,) = read_file(path).fragments
    assert same(block.tape, tape)
    assert block.ignored == {}
    with path.open("rb") as file:
        assert file.read(2) == {".csv": b"ts", ".csv.gz": b"\x1f\x8b", ".csv.zst": b"\x28\xb5"}[ending]


@examples(40)
@given(tape=tapes(trades=False))
def test_any_tape_without_trades_survives_a_file(tape, tmp_path_factory):
    path = tmp_path_factory.mktemp("tape") / "tape.csv"
    write_csv(tape, path)
    assert same(read_file(path).tape, tape)


def test_several_prints_of_one_message_keep_their_order(tmp_path):
    quotes = {"ts": [STARTS] * 3, "venue": [2] * 3, "bid_px": [0] * 3, "bid_sz": [0] * 3, "sequence": [7] * 3}
    quotes |= {"ask_px": [CENT] * 3, "ask_sz": [30, 20, 10]}
    prints = {"ts": [STARTS] * 2, "venue": [2] * 2, "px": [CENT] * 2, "sz": [5, 3], "side": [0, 1], "sequence": [7] * 2}
    columns, trades = ({name: np.array(values) for name, values in each.items()} for each in (quotes, prints))
    tape = Tape.build("XYZ", **columns, trades=trades)
    write_csv(tape, tmp_path / "a.csv")
    assert same(read_file(tmp_path / "a.csv").tape, tape)
    alone = {name: values[:1] for name, values in columns.items()}
    with pytest.raises(ValueError, match="1 trades have no row"):
        write_csv(Tape.build("XYZ", **alone, trades=trades), tmp_path / "b.csv")


def test_levels_behind_the_first_leave_it_as_it_is():
    flat, deep, five = (synthetic.generate(seconds=60.0, warmup=5.0, levels=levels) for levels in (1, 10, 5))
    assert same(deep.up_to(1), flat)
    assert same(deep.up_to(5), five)
    assert deep.depth == 10
    assert (deep.levels.ask_px[deep.ask_px > 0] > 0).all()
    assert same(synthetic.generate(seconds=60.0, warmup=5.0, levels=10), deep)


def test_levels_are_a_cent_apart_and_hold_more_the_deeper_they_are(stream):
    for side, away in (("bid", -CENT), ("ask", CENT)):
        px, behind = getattr(stream, f"{side}_px"), getattr(stream.levels, f"{side}_px")
        quoted = px > 0
        assert (behind[quoted] == px[quoted, None] + away * np.arange(1, 10)).all()
        assert not behind[~quoted].any()
        sizes = getattr(stream.levels, f"{side}_sz")[quoted]
        assert sizes.min() >= 1
        means = [getattr(stream, f"{side}_sz")[quoted].mean(), *sizes.mean(axis=0)]
        assert (np.diff(means) > 0).all()


def test_what_a_print_takes_of_the_touch_is_there_again_within_seconds(stream):
    waits = []
    for side, sign in (("ask", 1), ("bid", -1)):
        px, sz, trades = getattr(stream, f"{side}_px"), getattr(stream, f"{side}_sz"), stream.trades
        for venue in stream.venues.tolist():
            rows, prints = np.flatnonzero(stream.venue == venue), (trades.venue == venue) & (trades.side == sign)
            for ts, price in zip(trades.ts[prints].tolist(), trades.px[prints].tolist(), strict=True):
                before, after = (int(np.searchsorted(stream.ts[rows], ts, how)) for how in ("left", "right"))
                if before and px[rows[before - 1]] == price:
                    later = rows[after:]
                    full = later[(px[later] == price) & (sz[later] >= sz[rows[before - 1]])]
                    waits += [(stream.ts[full[0]] - ts) / 1e9] if len(full) else []
    assert len(waits) > 1000
    assert 0.1 < np.median(waits) < 2
    assert 1 < np.percentile(waits, 75) < 5


def behind(*rows, away=1, depth=3):
    """Shares behind the touch of rows of (seconds, tick of the touch, its shares), and what is usual at a tick."""
    seconds, touch, shown = (np.array(column) for column in zip(*rows, strict=True))
    ts = (seconds * 1e9).astype(np.int64)
    return synthetic._behind(ts, touch, shown, away, depth, (1, 2, 3)), partial(synthetic._usual, (1, 2, 3))


@pytest.mark.parametrize("away", [1, -1])
def test_what_the_touch_leaves_behind_comes_back_by_halves(away):
    """Half of what is missing, or too much, each two seconds; of a price that the touch has gone beyond, all is."""
    near, at, far = 100, 100 + away, 100 + 2 * away
    assert synthetic.HALF_LIFE == 2 * 10**9
    for left in (7, 5_000):
        shares, usual = behind((0, near, 1), (10, at, left), (12, near, 1), (14, near, 1), (100, near, 1), away=away)
        full, beyond = usual(at), usual(far)
        assert full % 100 == beyond % 100 == 0
        assert shares[0].tolist() == [full, beyond]  # nothing has disturbed them
        missing = abs(full - left)
        halves = [missing // 2, missing // 4, 0]
        assert shares[2:, 0].tolist() == [full - each if left < full else full + each for each in halves]
        assert (shares[2:, 1] == beyond).all()
    shares, usual = behind((0, near, 1), (10, far, 50), (10, near, 1), (12, near, 1), (100, near, 1), away=away)
    full = usual(at)
    assert shares[2:, 0].tolist() == [1, full - full // 2, full]
    assert shares[2:, 1].tolist() == [50, usual(far) - (usual(far) - 50) // 2, usual(far)]


@pytest.mark.parametrize("levels", [0, 11])
def test_levels_out_of_bounds_are_refused(levels):
    with pytest.raises(ValueError, match=f"levels: expected 1 to 10, but it had {levels}"):
        synthetic.generate(seconds=1.0, levels=levels)
