"""The book: the dense, carried, uncrossed view of a tape on which policies and baselines trade (model section 3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import gcd
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from allocator.errors import AllocatorError
from allocator.prints import prints_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.kernels import derive
    from allocator.order import Order, Side
    from allocator.prints import Prints
    from feed.levels import Levels
    from feed.tape import Tape

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]
Int16 = NDArray[np.int16]
Flags = NDArray[np.bool_]
Bits = NDArray[np.uint64]
Ticks = NDArray[Any]
"""int32 or int64."""

OFF = -1


def freeze(*arrays: NDArray[Any]) -> None:
    """Make arrays read-only: what is shared by all is written to by none."""
    for array in arrays:
        array.setflags(write=False)


@dataclass(frozen=True, slots=True)
class BookRules:
    """How a tape becomes a book.

    Attributes
    ----------
    book : str
        ``consolidated``: a venue's quote stands until it publishes again. ``event``: only this instant's rows.
    uncross : bool
        Hide the older of two quotes that cross.
    stub_band : int
        1e-9 of the best price beyond which a quote is hidden; at most 1e9; `OFF` = none.
    max_age : int
        Nanoseconds after which a quote is hidden; `OFF` = never.
    require : str, optional
        ``ask`` or ``bid``: rows without that side are ignored (classic).
    """

    book: Literal["consolidated", "event"] = "consolidated"
    uncross: bool = True
    stub_band: int = 100_000_000
    max_age: int = OFF
    require: Literal["ask", "bid"] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """The quotes of V venues at each of T snapshots; read-only, shared by all.

    A price is base + tick * ticks. Sets of venues are bits: venue v is bit v % 64 of word v // 64.

    Attributes
    ----------
    ts : (T,) int64
        UTC nanoseconds, strictly ascending; warm-up included.
    venues : (V,) int16
        Publisher ids, ascending: the index order is the id order.
    base, tick : int
        1e-9 $.
    bid_ticks, ask_ticks : (T, V) int32, or int64 where the prices do not fit
        Above 0; 0 = nothing displayed (none, or hidden).
    bid_sz, ask_sz : (T, V) int32
        Shares displayed.
    bid_moved, ask_moved : (T, W) uint64
        Venues whose published price changes here; a withdrawal is a change, hiding is none.
    published : (T, W) uint64
        Venues that publish here.
    bid_shown, ask_shown : (T, W) uint64
        Venues that display a quote.
    mid2 : (T,) int64
        Best bid + best ask, 1e-9 $; 0 = one-sided.
    bid_volume, ask_volume : (T,) int64
        Shares of the rows published here, the last row of each venue.
    bid_tiles, ask_tiles : Tiles, optional
        The same quotes column by column, if every displayed quote is published at its snapshot: where quotes stand,
        no walk over columns is exact.
    highest : int
        The highest price displayed, 1e-9 $; 0 = none.
    counts : dict of str to int
        How often quotes were crossed, locked and hidden.
    levels : BookLevels, optional
        All levels, of which the columns above are the first; None where the depth is 1.
    prints : Prints, optional
        What traded at these venues; None where the tape shows no trade of them.
    """

    ts: Int64
    venues: Int16
    base: int
    tick: int
    bid_ticks: Ticks
    ask_ticks: Ticks
    bid_sz: Int32
    ask_sz: Int32
    bid_moved: Bits
    ask_moved: Bits
    published: Bits
    bid_shown: Bits
    ask_shown: Bits
    mid2: Int64
    bid_volume: Int64
    ask_volume: Int64
    bid_tiles: Tiles | None
    ask_tiles: Tiles | None
    highest: int
    counts: dict[str, int]
    levels: BookLevels | None = None
    prints: Prints | None = None

    def __post_init__(self) -> None:
        freeze(*(column for name in self.__slots__ if isinstance(column := getattr(self, name), np.ndarray)))

    def __reduce__(self) -> tuple[Any, ...]:
        return Book, tuple(getattr(self, name) for name in self.__slots__)  # what pickle makes is frozen, too

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        own = sum(column.nbytes for name in self.__slots__ if isinstance(column := getattr(self, name), np.ndarray))
        own += sum(tiles.ticks.nbytes + tiles.sz.nbytes for tiles in (self.bid_tiles, self.ask_tiles) if tiles)
        return own + sum(part.nbytes for part in (self.levels, self.prints) if part is not None)

    @property
    def depth(self) -> int:
        """Levels of a side."""
        return 1 if self.levels is None else self.levels.ask_ticks.shape[1]

    @property
    def bid_px(self) -> Int64:
        """(T, V) int64, 1e-9 $, 0 = nothing displayed; computed when asked for."""
        return self._prices(self.bid_ticks)

    @property
    def ask_px(self) -> Int64:
        """(T, V) int64, 1e-9 $, 0 = nothing displayed; computed when asked for."""
        return self._prices(self.ask_ticks)

    def _prices(self, ticks: Ticks) -> Int64:
        return np.where(ticks != 0, self.base + self.tick * ticks.astype(np.int64), 0)

    def flags_of(self, bits: Bits) -> Flags:
        """Convert sets of venues to booleans: (..., W) uint64 to (..., V) bool."""
        v = np.arange(len(self.venues))
        flags: Flags = (bits[..., v // 64] >> (v % 64).astype(np.uint64) & np.uint64(1)).astype(np.bool_)
        return flags

    def take_side(self, side: Side) -> TakeSide:
        """The side that an order of `side` takes from, and the prices of the other one."""
        levels, deep = None, self.levels
        if side == "buy":
            own = self.ask_ticks, self.ask_sz, self.ask_moved, self.ask_shown, self.ask_volume, self.ask_tiles
            if deep is not None:
                levels = SideLevels(deep.rows, deep.ask_count, deep.ask_ticks, deep.ask_sz)
            return TakeSide(1, *own, self.bid_ticks, levels)
        own = self.bid_ticks, self.bid_sz, self.bid_moved, self.bid_shown, self.bid_volume, self.bid_tiles
        if deep is not None:
            levels = SideLevels(deep.rows, deep.bid_count, deep.bid_ticks, deep.bid_sz)
        return TakeSide(-1, *own, self.ask_ticks, levels)

    def price_list(self, ticks: Sequence[int]) -> list[int]:
        """Prices in 1e-9 $ of some ticks; 0 = nothing displayed."""
        return [self.base + self.tick * each if each else 0 for each in ticks]

    def span(self, order: Order) -> tuple[int, int]:
        """The snapshots [first, past) at which an order acts."""
        return int(self.ts.searchsorted(order.start)), int(self.ts.searchsorted(order.end, "right"))

    def arrival(self, order: Order) -> tuple[int, int]:
        """The snapshot whose mid is the arrival price, and twice that mid (1e-9 $).

        The last snapshot at or before the order's start; if that is one-sided or missing, the first two-sided one
        after it; (T, 0) if there is none.
        """
        last = int(np.searchsorted(self.ts, order.start, "right")) - 1
        if last >= 0 and self.mid2[last]:
            return last, int(self.mid2[last])
        later = np.flatnonzero(self.mid2[last + 1 :])
        if not len(later):
            return len(self.ts), 0
        two_sided = last + 1 + int(later[0])
        return two_sided, int(self.mid2[two_sided])


@dataclass(frozen=True, slots=True, eq=False)
class Tiles:
    """One side of a book column by column, in tiles that fit a first-level cache.

    Attributes
    ----------
    ticks, sz : (B, V, R) int32
        Snapshot t is entry t % R of a column of tile t // R. Where nothing is displayed, and beyond the book's end,
        ticks are 2^31 - 1 (dearer than any cost, so that a minimum ignores it) and sizes 0.
    """

    ticks: Int32
    sz: Int32

    def __post_init__(self) -> None:
        freeze(self.ticks, self.sz)

    def __reduce__(self) -> tuple[Any, ...]:
        return Tiles, (self.ticks, self.sz)


@dataclass(frozen=True, slots=True, eq=False)
class TakeSide:
    """The columns that an order takes from.

    Attributes
    ----------
    sign : int
        1 for a buy, -1 for a sell: the order minimises sign * price.
    ticks, sz : (T, V)
    moved, shown : (T, W) uint64
    tiles : Tiles, optional
    volume : (T,) int64
        Of the side taken from, as in `Book`.
    other_ticks : (T, V)
        Of the opposite side.
    levels : SideLevels, optional
        Of the side taken from.
    """

    sign: int
    ticks: Ticks
    sz: Int32
    moved: Bits
    shown: Bits
    volume: Int64
    tiles: Tiles | None
    other_ticks: Ticks
    levels: SideLevels | None = None


@dataclass(frozen=True, slots=True, eq=False)
class BookLevels:
    """The levels of R published rows, and which row of each of V venues stands at each of T snapshots.

    Attributes
    ----------
    rows : (T, V) int32
        The row of a venue's last publication; -1 = none yet.
    bid_count, ask_count : (T, V) int8
        How many levels of it are displayed; 0 where the first one is hidden.
    bid_ticks, ask_ticks : (R, D) as the book's ticks
        As published, also what is hidden; 0 = no level.
    bid_sz, ask_sz : (R, D) int32
        Shares.
    """

    rows: Int32
    bid_count: NDArray[np.int8]
    ask_count: NDArray[np.int8]
    bid_ticks: Ticks
    ask_ticks: Ticks
    bid_sz: Int32
    ask_sz: Int32

    def __post_init__(self) -> None:
        freeze(*(getattr(self, name) for name in self.__slots__))

    def __reduce__(self) -> tuple[Any, ...]:
        return BookLevels, tuple(getattr(self, name) for name in self.__slots__)

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        return sum(getattr(self, name).nbytes for name in self.__slots__)


@dataclass(frozen=True, slots=True, eq=False)
class SideLevels:
    """One side of `BookLevels`.

    Attributes
    ----------
    rows : (T, V) int32
    count : (T, V) int8
    ticks, sz : (R, D)
    """

    rows: Int32
    count: NDArray[np.int8]
    ticks: Ticks
    sz: Int32


TILE_BYTES = 32 * 1024
"""Bytes of prices and sizes of a tile: two thirds of a first-level data cache of 48 KiB."""


def tile_rows(venues: int) -> int:
    """Snapshots of a tile."""
    return max(16, min(1024, TILE_BYTES // (8 * venues) // 16 * 16))


def build_book(tape: Tape, rules: BookRules) -> Book:
    """Derive the book of a tape, once.

    Parameters
    ----------
    tape : Tape
        Window and warm-up only.
    rules : BookRules

    Raises
    ------
    AllocatorError
        A band or an age out of range.

    Examples
    --------
    Two venues, a second between the rows. The first moves up, and its bid of 100.02 $ crosses the older ask of the
    second, 100.00 $, which is hidden from then on:

    >>> import numpy as np
    >>> from allocator.book import BookRules, build_book
    >>> from feed import Tape
    >>> tape = Tape.build(
    ...     "XYZ",
    ...     ts=np.arange(3) * 10**9,
    ...     venue=np.array([2, 43, 2]),
    ...     bid_px=np.array([9999, 9998, 10002]) * 10**7,
    ...     ask_px=np.array([10001, 10000, 10003]) * 10**7,
    ...     bid_sz=np.array([100, 200, 300]),
    ...     ask_sz=np.array([100, 200, 300]),
    ...     sequence=np.arange(3),
    ... )
    >>> book = build_book(tape, BookRules())
    >>> book.venues.tolist()
    [2, 43]
    >>> (book.ask_px / 1e9).tolist()
    [[100.01, 0.0], [100.01, 100.0], [100.03, 0.0]]
    >>> book.ask_sz.tolist()
    [[100, 0], [100, 200], [300, 0]]
    >>> (book.mid2 / 2e9).tolist()
    [100.0, 99.995, 100.025]
    >>> book.counts["crossed_snapshots"], book.counts["uncrossed_quotes"]
    (1, 1)
    """
    from allocator.kernels import derive

    if not OFF <= rules.stub_band <= 10**9:
        raise AllocatorError(f"stub_band: expected 0 to 1, but it had {rules.stub_band / 1e9}")
    if rules.max_age < OFF:
        raise AllocatorError(f"max_age: expected 0 or more, but it had {rules.max_age} ns")
    rows = slice(None) if rules.require is None else getattr(tape, f"{rules.require}_px") > 0
    taken = derive.Rows(*(np.ascontiguousarray(getattr(tape, name)[rows]) for name in derive.Rows._fields))
    freeze(*taken)  # views of the tape's columns, or copies
    has_rows, scale = np.zeros(derive.IDS, np.bool_), np.zeros(4, np.int64)
    derive.outline(taken, has_rows, scale)
    snapshots, least, most, tick = scale.tolist()
    behind = None if tape.levels is None else _contiguous(tape.levels.take(rows))
    if behind is not None:
        least, most, tick = _scale_of_levels(behind, least, most, tick)
    publishers = derive.Venues(
        (np.flatnonzero(has_rows) - derive.IDS // 2).astype(np.int16), (np.cumsum(has_rows) - 1).astype(np.int64)
    )
    freeze(*publishers)
    made = derive.Rules(rules.book == "consolidated", rules.uncross, rules.stub_band, rules.max_age)

    def derived(tick: int) -> tuple[Book, bool]:
        fits = (most - least) // tick < TICK_LIMIT
        base, tick, dtype = (least - tick, tick, np.int32) if fits else (0, 1, np.int64)
        columns = derive.Columns(**empty_columns(snapshots, len(publishers.ids), dtype))
        tiles = derive.Tiles(*empty_tiles(snapshots if fits else 0, len(publishers.ids)))
        counts = np.zeros(len(derive.COUNTS) + 3, np.int64)
        derive.derive(taken, publishers, base, tick, made, columns, tiles, fits, counts)
        stateless = fits and not counts[derive.STANDING]
        # of displayed, not of published prices: a hidden stub of 200,000 $ would limit every order
        top = int(counts[derive.HIGHEST])
        book = Book(
            venues=publishers.ids,
            base=base,
            tick=tick,
            bid_tiles=Tiles(tiles.bid_ticks, tiles.bid_sz) if stateless else None,
            ask_tiles=Tiles(tiles.ask_ticks, tiles.ask_sz) if stateless else None,
            highest=base + tick * top if top else 0,
            counts=dict(zip(derive.COUNTS, counts.tolist(), strict=False)),
            **columns._asdict(),
        )
        if behind is not None and not counts[derive.OFF_GRID]:
            deep = _with_levels(book, taken, behind, publishers.index_of, rules)
            return (book, True) if deep is None else (deep, False)
        return book, bool(counts[derive.OFF_GRID])

    def all_prices() -> int:
        common: int = derive.divisor(taken.bid_px, taken.ask_px, least, tick, len(tape.ts))
        if behind is not None:
            flat = [px.reshape(-1) for px in (behind.bid_px, behind.ask_px)]
            common = derive.divisor(*flat, least, common, len(flat[0]))
        return int(common) or 1

    book, off_grid = derived(tick or all_prices())
    if off_grid:  # the first prices did not reveal the tick
        del book  # or both would be held at once
        book, off_grid = derived(all_prices())
        if off_grid:
            raise AssertionError("a price is no whole number of the divisor of all prices")
    prints = prints_of(tape.trades, book.ts, book.venues)
    return book if prints is None else replace(book, prints=prints)


def _contiguous(levels: Levels) -> Levels:
    """The same in contiguous, frozen columns, as kernels take them."""
    columns = {name: np.ascontiguousarray(column) for name, column in levels.columns.items()}
    views = {name: column.view() for name, column in columns.items()}  # the tape's own stay as they are
    freeze(*views.values())
    return type(levels)(**views)


def _scale_of_levels(levels: Levels, least: int, most: int, tick: int) -> tuple[int, int, int]:
    """Widen the lowest and the highest price to those of all levels; the tick is still to be divided by theirs."""
    from allocator.kernels.levels import bounds

    for px in (levels.bid_px, levels.ask_px):
        lowest, highest = map(int, bounds(px))
        most = max(most, highest)
        if lowest < least:
            tick, least = gcd(tick, least - lowest), lowest
    return least, most, tick


def _with_levels(book: Book, tape: derive.Rows, behind: Levels, index_of: Int64, rules: BookRules) -> Book | None:
    """Add to a book of first levels all levels, in its ticks; None where a price is no whole number of them."""
    from allocator.kernels import levels

    ticks, sizes = {}, {}
    for side in ("bid", "ask"):
        first, further = getattr(tape, f"{side}_px"), getattr(behind, f"{side}_px")
        ticks[side] = np.empty((len(first), behind.depth), book.ask_ticks.dtype)
        if not levels.in_ticks(first, further, book.base, book.tick, ticks[side]):
            return None
        sizes[side] = np.empty((len(first), behind.depth), np.int32)
        sizes[side][:, 0], sizes[side][:, 1:] = getattr(tape, f"{side}_sz"), getattr(behind, f"{side}_sz")
        freeze(ticks[side])
    standing = levels.Standing(
        np.empty(book.ask_ticks.shape, np.int32), *(np.empty(book.ask_ticks.shape, np.int8) for _ in range(2))
    )
    top = levels.stand(
        levels.Rows(tape.ts, tape.venue, index_of, ticks["bid"], ticks["ask"]),
        levels.Displayed(book.bid_ticks, book.ask_ticks, book.base, book.tick, rules.stub_band),
        standing,
    )
    return replace(
        book,
        highest=max(book.highest, book.base + book.tick * int(top) if top else 0),
        levels=BookLevels(
            *standing, bid_ticks=ticks["bid"], ask_ticks=ticks["ask"], bid_sz=sizes["bid"], ask_sz=sizes["ask"]
        ),
    )


def book_bytes(snapshots: int, venues: int, rows: int = 0, depth: int = 1, trades: int = 0) -> int:
    """Bytes of a book at most while it is derived: int32 prices with tiles; int64 prices, without, take less.

    With several levels those of each row are there, too, their prices for a while as int64; and of trades what says
    for a while which of them are kept.
    """
    cell, snapshot = 4 * 4 + 4 * 4, 4 * 8 + 5 * 8 * -(-venues // 64)
    levels = snapshots * venues * (4 + 1 + 1) + rows * depth * 2 * (8 + 8 + 4) if depth > 1 else 0
    prints = 8 * (snapshots + 1) + trades * (2 + 8 + 4 + 1 + 8 + 17) if trades else 0
    return snapshots * (cell * venues + snapshot) + levels + prints


TICK_LIMIT = 2**30
"""Prices are int32 ticks where they span fewer ticks than this."""


def empty_columns(snapshots: int, venues: int, dtype: type) -> dict[str, NDArray[Any]]:
    """Room for the columns that are derived, of the types that `Book` says; ticks are of `dtype`."""
    grid, bits = (snapshots, venues), (snapshots, -(-venues // 64))
    return {
        **{name: np.empty(grid, dtype) for name in ("bid_ticks", "ask_ticks")},
        **{name: np.empty(grid, np.int32) for name in ("bid_sz", "ask_sz")},
        **{
            name: np.empty(bits, np.uint64)
            for name in ("bid_moved", "ask_moved", "published", "bid_shown", "ask_shown")
        },
        **{name: np.empty(snapshots, np.int64) for name in ("ts", "mid2", "bid_volume", "ask_volume")},
    }


def empty_tiles(snapshots: int, venues: int) -> tuple[Int32, Int32, Int32, Int32]:
    """Room for the tiles of both sides, ticks and then sizes; memory costs nothing before it is written to."""
    rows = tile_rows(max(venues, 1))
    one, two, three, four = (np.empty((-(-snapshots // rows), venues, rows), np.int32) for _ in range(4))
    return one, two, three, four
