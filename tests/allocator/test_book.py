"""The book kernel against the plain derivation, and the rules of model section 3 one by one."""

import pickle
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.book import OFF, BookRules, build_book
from allocator.errors import AllocatorError
from allocator.kernels import derive
from allocator.kernels.derive import NOTHING
from allocator.order import Order, ParameterColumns, Parameters, Rules
from allocator.policies import Static
from allocator.simulate import run_combinations
from feed.quality import carried
from feed.tape import Tape
from tests.support.examples import examples
from tests.support.plain_book import plain_book
from tests.support.strategies import CENT, OPEN, SECOND, random_tape, tapes


def tape_of(*rows):
    """Rows of (seconds, venue, bid, bid size, ask, ask size), prices in cents, sequence by position."""
    at, venue, bid, bid_sz, ask, ask_sz = np.array(rows, np.int64).T
    return Tape.build(
        "XYZ",
        ts=OPEN + at * SECOND,
        venue=venue,
        bid_px=bid * CENT,
        ask_px=ask * CENT,
        bid_sz=bid_sz,
        ask_sz=ask_sz,
        sequence=np.arange(len(rows)),
    )


def asks(book):
    return (book.ask_px // CENT).tolist()


def bids(book):
    return (book.bid_px // CENT).tolist()


@examples(100)
@given(
    tapes(trades=False),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, Fraction(0), Fraction(1, 10), Fraction(1, 3 * 10**9)]),
    st.sampled_from([None, 0, SECOND, 60 * SECOND]),
    st.sampled_from([None, "ask", "bid"]),
)
def test_the_kernel_derives_what_the_plain_rules_say(tape, carry, uncross, band, max_age, require):
    band = None if band is None else Fraction(int(band * 10**9), 10**9)
    rules = BookRules(
        "consolidated" if carry else "event",
        uncross,
        OFF if band is None else int(band * 10**9),
        OFF if max_age is None else max_age,
        require,
    )
    book = build_book(tape, rules)
    compare(book, plain_book(tape, carry=carry, uncross=uncross, band=band, max_age=max_age, require=require))


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("venues", [64, 65, 130])
def test_more_venues_than_a_word_has_bits(venues, dense):
    tape = random_tape(venues, 60, venues, dense=dense)
    compare(build_book(tape, BookRules()), plain_book(tape))
    event = build_book(tape, BookRules("event", uncross=False, stub_band=OFF))
    compare(event, plain_book(tape, carry=False, uncross=False, band=None))


def compare(book, plain):
    """Assert that a book is the plain one, and its tiles lay the same quotes out."""
    assert book.ts.tolist() == [snapshot["ts"] for snapshot in plain]
    shown = [px for snapshot in plain for side in ("bid", "ask") for px, _ in snapshot[side].values()]
    assert book.highest == max(shown, default=0)
    ids = book.venues.tolist()

    def named(flags):
        return [{v for v, flag in zip(ids, row, strict=True) if flag} for row in book.flags_of(flags).tolist()]

    for side in ("bid", "ask"):
        px, sz = getattr(book, f"{side}_px"), getattr(book, f"{side}_sz")
        rows = zip(px.tolist(), sz.tolist(), strict=True)
        shown = [{v: (p, s) for v, p, s in zip(ids, *row, strict=True) if p} for row in rows]
        assert shown == [snapshot[side] for snapshot in plain]
        assert not sz[px == 0].any()
        assert named(getattr(book, f"{side}_shown")) == [set(snapshot[side]) for snapshot in plain]
        assert named(getattr(book, f"{side}_moved")) == [snapshot["moved"][side] for snapshot in plain]
        assert getattr(book, f"{side}_volume").tolist() == [snapshot["volume"][side] for snapshot in plain]
        tiles = getattr(book, f"{side}_tiles")
        if tiles is not None:
            for grid, nothing, laid in ((getattr(book, f"{side}_ticks"), NOTHING, tiles.ticks), (sz, 0, tiles.sz)):
                flat = laid.swapaxes(1, 2).reshape(laid.shape[0] * laid.shape[2], len(ids))
                assert np.array_equal(flat[: len(grid)], np.where(grid != 0, grid, nothing))
                assert (flat[len(grid) :] == nothing).all()
    assert named(book.published) == [snapshot["fresh"] for snapshot in plain]
    assert book.mid2.tolist() == [snapshot["mid2"] for snapshot in plain]
    stands = any({*snapshot["bid"], *snapshot["ask"]} - snapshot["fresh"] for snapshot in plain)
    if book.ask_ticks.dtype == np.int32:
        assert [tiles is None for tiles in (book.bid_tiles, book.ask_tiles)] == [stands] * 2


def test_a_quote_stands_until_its_venue_publishes_again_and_a_withdrawal_ends_it():
    tape = tape_of((0, 1, 99, 100, 101, 200), (1, 2, 98, 100, 102, 300), (2, 1, 99, 100, 0, 0))
    assert asks(build_book(tape, BookRules())) == [[101, 0], [101, 102], [0, 102]]
    assert asks(build_book(tape, BookRules(book="event"))) == [[101, 0], [0, 102], [0, 0]]


def test_the_last_row_of_a_venue_at_an_instant_stands():
    tape = tape_of((0, 1, 99, 100, 101, 200), (0, 1, 99, 100, 102, 50))
    book = build_book(tape, BookRules())
    assert asks(book) == [[102]]
    assert book.ask_volume.tolist() == [50]


def test_classic_drops_rows_without_an_ask_before_the_last_one_is_kept():
    tape = tape_of((0, 1, 99, 100, 101, 200), (0, 1, 99, 100, 0, 0))
    assert asks(build_book(tape, BookRules("event", uncross=False, stub_band=OFF, require="ask"))) == [[101]]
    assert asks(build_book(tape, BookRules())) == [[0]]


def test_the_older_of_two_crossed_quotes_is_hidden_on_its_side_only():
    tape = tape_of((0, 1, 98, 100, 100, 100), (1, 2, 101, 100, 102, 100))
    book = build_book(tape, BookRules())
    assert asks(book)[1] == [0, 102]
    assert bids(book)[1] == [98, 101]
    assert book.counts["crossed_snapshots"] == 1
    assert book.counts["uncrossed_quotes"] == 1
    assert asks(build_book(tape, BookRules(uncross=False)))[1] == [100, 102]


def test_quotes_of_equal_age_that_cross_hide_the_lower_publisher_id():
    tape = tape_of((0, 1, 98, 100, 100, 100), (0, 2, 101, 100, 102, 100))
    assert asks(build_book(tape, BookRules())) == [[0, 102]]
    tape = tape_of((0, 1, 101, 100, 102, 100), (0, 2, 98, 100, 100, 100))
    book = build_book(tape, BookRules())
    assert (bids(book), asks(book)) == ([[0, 98]], [[102, 100]])


def test_of_quotes_of_one_price_and_age_the_lowest_publisher_id_stands_for_the_side():
    tape = tape_of((0, 1, 101, 100, 103, 100), (0, 2, 98, 100, 100, 100), (0, 3, 101, 100, 103, 100))
    book = build_book(tape, BookRules())  # 1 crosses 2 and is hidden, then 2 crosses 3 and is hidden
    assert (bids(book), asks(book)) == ([[0, 98, 101]], [[103, 0, 103]])


def test_a_locked_venue_stays_where_another_one_crosses_itself():
    book = build_book(tape_of((0, 1, 102, 100, 100, 100), (0, 2, 101, 100, 101, 100)), BookRules())
    assert (bids(book), asks(book)) == ([[0, 101]], [[0, 101]])


def test_a_finer_tick_than_the_first_prices_tell_is_found():
    for odd in (1, CENT // 2):
        tape = random_tape(5, 1500, 2)
        late = np.where((np.arange(tape.rows) == tape.rows - 9) & (tape.ask_px > 0), odd, 0)
        assert late.any()
        tape = replace(tape, ask_px=tape.ask_px + late)
        book = build_book(tape, BookRules())
        assert book.tick == odd
        compare(book, plain_book(tape))


def test_a_venue_that_crosses_itself_is_hidden_on_both_sides_and_a_locked_one_stays():
    tape = tape_of((0, 1, 101, 100, 100, 100), (0, 2, 98, 100, 102, 100))
    book = build_book(tape, BookRules())
    assert (bids(book), asks(book)) == ([[0, 98]], [[0, 102]])
    locked = build_book(tape_of((0, 1, 100, 100, 100, 100)), BookRules())
    assert (bids(locked), asks(locked)) == ([[100]], [[100]])
    assert locked.counts["locked_snapshots"] == 1


def test_stubs_are_hidden_strictly_beyond_the_band():
    tape = tape_of((0, 1, 100, 100, 100, 100), (0, 2, 90, 100, 110, 100), (0, 3, 89, 100, 111, 100))
    book = build_book(tape, BookRules())
    assert (bids(book), asks(book)) == ([[100, 90, 0]], [[100, 110, 0]])
    assert book.counts["stub_quotes"] == 2


def test_a_band_that_ends_between_two_ticks_hides_what_is_beyond_it():
    rows = [(0, 1, 101, 100, 101, 100), (0, 2, 91, 100, 111, 100), (0, 3, 90, 100, 112, 100)]
    book = build_book(tape_of(*rows), BookRules())  # 90.9 and 111.1
    assert (bids(book), asks(book)) == ([[101, 91, 0]], [[101, 111, 0]])


def test_hiding_is_no_change_of_price():
    tape = tape_of((0, 1, 98, 100, 100, 100), (1, 2, 101, 100, 102, 100), (2, 2, 99, 100, 102, 100))
    book = build_book(tape, BookRules())
    assert asks(book) == [[100, 0], [0, 102], [100, 102]]
    assert book.flags_of(book.ask_moved).tolist() == [[True, False], [False, True], [False, False]]


def test_max_age_hides_a_quote_strictly_older():
    tape = tape_of((0, 1, 98, 100, 100, 100), (2, 2, 97, 100, 102, 100), (3, 2, 97, 100, 102, 100))
    book = build_book(tape, BookRules(max_age=2 * SECOND))
    assert asks(book) == [[100, 0], [100, 102], [0, 102]]
    assert book.counts["expired_quotes"] == 2


def test_an_empty_tape_makes_an_empty_book():
    tape = tape_of((0, 1, 98, 100, 0, 0))
    book = build_book(tape, BookRules(require="ask"))
    assert book.ask_px.shape == (0, 0)


def test_the_arrival_mid_is_the_standing_book_at_the_start_or_the_first_two_sided_one_after():
    book = build_book(tape_of((0, 1, 98, 1, 100, 1), (2, 1, 98, 1, 0, 0), (4, 1, 99, 1, 101, 1)), BookRules())
    two_sided = {0: (0, 198 * CENT), 1: (0, 198 * CENT), 2: (2, 200 * CENT), 4: (2, 200 * CENT), 9: (2, 200 * CENT)}
    for second, expected in two_sided.items():
        assert book.arrival(Order("buy", 1, OPEN + second * SECOND, OPEN + 10 * SECOND)) == expected
    assert book.arrival(Order("buy", 1, OPEN - SECOND, OPEN)) == (0, 198 * CENT)
    none = build_book(tape_of((0, 1, 98, 1, 0, 0)), BookRules())
    assert none.arrival(Order("buy", 1, OPEN, OPEN)) == (1, 0)


def test_rules_out_of_range_are_refused():
    tape = tape_of((0, 1, 98, 100, 100, 100))
    with pytest.raises(AllocatorError, match="stub_band"):
        build_book(tape, BookRules(stub_band=10**9 + 1))
    with pytest.raises(AllocatorError, match="max_age"):
        build_book(tape, BookRules(max_age=-2))


def test_a_hidden_stub_does_not_bound_what_may_be_bought():
    tape = tape_of((0, 1, 99, 100, 101, 200), (0, 2, 99, 100, 19_999_999, 200), (1, 1, 99, 100, 102, 200))
    book = build_book(tape, BookRules())
    assert book.highest == 102 * CENT
    large = Order("buy", 2**62 // (200 * CENT), OPEN, OPEN + SECOND)
    rules = Rules("persist", "sweep", 50_000_000)
    done = run_combinations(book, large, rules, Static(), [0, 0], ParameterColumns.of([Parameters(0, 0, 0)]))
    assert done.rows[0, 0] == 400
    assert build_book(tape, BookRules(stub_band=OFF)).highest == 19_999_999 * CENT
    assert build_book(tape_of((0, 1, 0, 0, 0, 0)), BookRules()).highest == 0


def test_a_stub_that_stands_alone_is_hidden_beside_the_opposite_side():
    tape = tape_of((0, 9, 1, 100, 19_999_999, 100), (1, 2, 9_999, 100, 10_001, 300), (2, 2, 0, 0, 0, 0))
    book = build_book(tape, BookRules())
    assert bids(book) == [[0, 0], [9_999, 0], [0, 0]]
    assert asks(book) == [[0, 0], [10_001, 0], [0, 0]]
    assert book.counts["stub_quotes"] == 6  # two at each snapshot, alone or not
    assert (book.mid2.tolist(), book.highest) == ([0, 20_000 * CENT, 0], 10_001 * CENT)
    assert asks(build_book(tape, BookRules(stub_band=OFF)))[0] == [0, 19_999_999]


def test_of_a_stub_and_a_quote_the_last_mid_tells_which_is_which():
    stub = (1, 9, 1, 100, 19_999_999, 100)
    book = build_book(tape_of((0, 2, 9_999, 100, 10_001, 300), stub, (2, 2, 9_998, 100, 0, 0)), BookRules())
    assert (bids(book)[2], asks(book)[2]) == ([9_998, 0], [0, 0])
    book = build_book(tape_of((0, 2, 9_999, 100, 10_001, 300), stub, (2, 2, 0, 0, 10_003, 100)), BookRules())
    assert (bids(book)[2], asks(book)[2]) == ([0, 0], [10_003, 0])


def test_the_book_and_the_check_of_a_feed_mean_the_same_by_a_stub():
    assert derive.ALONE == carried.ALONE


@pytest.mark.parametrize(("px", "shown"), [(100_000, True), (100_001, False)])
def test_a_lone_ask_is_a_stub_beyond_ten_times_the_last_mid(px, shown):
    lone = build_book(tape_of((0, 2, 9_999, 100, 10_001, 300), (1, 2, 0, 0, px, 100)), BookRules())
    assert asks(lone) == [[10_001], [px * shown]]


@pytest.mark.parametrize(("px", "shown"), [(1_000, True), (999, False)])
def test_a_lone_bid_is_a_stub_below_a_tenth_of_the_last_mid(px, shown):
    lone = build_book(tape_of((0, 2, 9_999, 100, 10_001, 300), (1, 2, px, 100, 0, 0)), BookRules())
    assert bids(lone) == [[9_999], [px * shown]]


def test_a_wide_book_that_nothing_contradicts_is_shown():
    for ask in (15, 200, 500):  # an option, a stock in its first minute
        book = build_book(tape_of((0, 1, 5, 100, ask, 100), (1, 1, 0, 0, 900, 100)), BookRules())
        assert (bids(book), asks(book)) == ([[5], [0]], [[ask], [900]])
    assert asks(build_book(tape_of((0, 1, 5, 100, 501, 100)), BookRules())) == [[0]]


def test_a_market_that_moves_far_is_followed_as_soon_as_its_two_sides_agree():
    tape = tape_of((0, 1, 99, 100, 101, 100), (1, 1, 149, 100, 151, 100), (2, 1, 0, 0, 152, 100))
    assert asks(build_book(tape, BookRules())) == [[101], [151], [152]]


def test_a_market_that_falls_by_half_or_leaps_is_no_stub():
    for bid, ask in ((500, 650), (1_500, 1_900), (400, 1_000)):
        book = build_book(tape_of((0, 1, 995, 100, 1_005, 100), (1, 1, bid, 100, ask, 100)), BookRules())
        assert (bids(book), asks(book)) == ([[995], [bid]], [[1_005], [ask]])


def test_a_narrow_band_is_for_a_side_not_for_one_that_is_alone():
    tape = tape_of((0, 1, 99, 100, 101, 100), (1, 1, 0, 0, 109, 100), (2, 1, 0, 0, 1_001, 100))
    assert asks(build_book(tape, BookRules(stub_band=0))) == [[101], [109], [0]]


@pytest.mark.parametrize("dense", [True, False])
def test_nobody_writes_to_a_book_built_here_or_sent_by_another_process(dense):
    built = build_book(random_tape(1, 20, 3, dense=dense), BookRules("event" if dense else "consolidated"))
    sent = pickle.loads(pickle.dumps(built))  # noqa: S301 - our own
    for book in (built, sent, replace(built, ask_ticks=built.ask_ticks.copy())):
        assert (book.ask_tiles is not None) == dense
        of_book = [getattr(book, name) for name in book.__slots__]
        of_tiles = [array for tiles in (book.bid_tiles, book.ask_tiles) if tiles for array in (tiles.ticks, tiles.sz)]
        arrays = [array for array in (*of_book, *of_tiles) if isinstance(array, np.ndarray)]
        assert len(arrays) == (18 if dense else 14)
        for array in arrays:
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0
