"""What `tools.traded_share` counts, by hand and on real trades."""

from allocator.book import OFF, BookRules, build_book
from allocator.order import RHO
from feed.source import read_source
from tests.allocator.test_depth import deep_tape_of
from tests.support.tapes import with_trades
from tools.traded_share import Share, measure

ASK = [(9_010, 100)]


def share_of(*bids, trades=()):
    tape = deep_tape_of(*((second, 2, each, ASK) for second, each in enumerate(bids)))
    return measure(build_book(with_trades(tape, *trades), BookRules(uncross=False, stub_band=OFF)), "buy")


def test_decreases_and_what_of_them_traded():
    bids = [[(9_000, 100)], [(9_000, 60)], [(9_000, 90)], [(8_999, 5)], [(9_000, 50)], [(9_000, 20)]]
    trades = [(0.5, 2, 9_000, 30, -1), (2.5, 2, 9_000, 70, 0), (2.5, 2, 9_001, 9, -1), (4.5, 2, 9_000, 9, 1)]
    expected = Share([70, 30], [90, 70], printed=100, absorbed=100, late=0, unknown=70)
    assert share_of(*bids, trades=trades) == expected
    assert share_of(*bids) == Share([70, 0], [90, 0])


def test_a_print_is_absorbed_once_by_the_row_of_its_stamp_or_the_next():
    bids = [[(9_000, 100)], [(9_000, 70)], [(9_000, 30)], [(9_000, 10)]]
    trades = [(1, 2, 9_000, 30, -1), (1, 2, 9_000, 25, -1), (1.5, 2, 9_000, 50, -1)]
    # of the 55 at 1 s that row shows 30, and the next one 25 more, 15 of the 50 after it, and forgets the rest
    assert share_of(*bids, trades=trades) == Share([90, 70], [0, 0], printed=105, absorbed=70, late=25)


def test_the_default_of_rho_is_what_real_trades_say(l1_day):
    book = build_book(read_source(str(l1_day))[0], BookRules())
    both = measure(book, "buy") + measure(book, "sell")
    decreased, traded = both.stays
    assert abs(traded / decreased - RHO / 1e9) < 0.001
    # every print of a known aggressor is absorbed, but one share in 400; one in 18 by a row later than its own
    assert (both.printed - both.unknown, both.absorbed, both.late) == (295_342, 294_634, 16_177)
