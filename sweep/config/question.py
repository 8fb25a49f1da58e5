"""The question that a configuration asks: its keys parsed, once; everything downstream takes it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET
from msgspec.structs import replace

from feed.instants import at_clock, format_instant, parse_clock, parse_duration, parse_instant
from feed.markets import CALENDAR, check_calendar, session_on
from feed.options import BYTES_LIMIT, MAX_BYTES, ReadOptions
from feed.tables import QuoteMapping
from feed.tape import SHARES_LIMIT
from sweep.config.rules import Parsed, UNSET_or_none, check_count, check_rules, check_switches, parsed
from sweep.config.schema import EMBEDDED, config_hash
from sweep.config.searches import in_rounds, looked_at, most_of, spanned_by
from sweep.config.validation import parse_validation
from sweep.config.variants import axis_values, variants_of
from sweep.errors import ConfigError
from sweep.plugins import BASELINE, POLICY, SAMPLER, kinds, plugins_of
from sweep.search import kept_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    from allocator.order import Side
    from feed.plugins import Plugin
    from sweep.config.conventions import Settings
    from sweep.config.schema import Config, OrderSpec, Window
    from sweep.config.validation import Validation
    from sweep.config.variants import Variants
    from sweep.search import Grid

MAX_BAD = 10_000
"""Malformed messages that can be tolerated at most: all are kept until the quarantine file is written."""


SESSION: Final = "session"
"""What a bound may be in place of a time: where the regular session of the date begins or ends."""


@dataclass(frozen=True, slots=True)
class Span:
    """What a configuration says of a span; UTC nanoseconds, both ends included, None = it does not say.

    Attributes
    ----------
    start, end : int, optional
    opens, closes : bool
        Whether it starts, or ends, with the regular session of each date.
    calendar : str
        Whose session.
    """

    start: int | None
    end: int | None
    opens: bool = False
    closes: bool = False
    calendar: str = CALENDAR

    @property
    def by_session(self) -> bool:
        """Whether it is another one on each date."""
        return self.opens or self.closes

    def on(self, day: int) -> Span:
        """The span on a UTC date, in days since 1970.

        Raises
        ------
        ValueError
            It is of a session, and the date has none, or is beyond those that are known.
        """
        if not self.by_session:
            return self
        session = session_on(day, self.calendar)
        return Span(session.opens if self.opens else self.start, session.closes if self.closes else self.end)


@dataclass(frozen=True, slots=True)
class Clock:
    """When orders start on each date of a tape.

    Attributes
    ----------
    every : int
        Nanoseconds.
    first, last : int, optional
        The first start, and the instant after which none starts: nanoseconds since midnight by the clocks of the zone;
        None = the window's bounds.
    zone : str
        An IANA name.
    opens, closes : bool
        Whether the first start is where the regular session of the date begins, and none is after its end.
    calendar : str
        Whose session.
    """

    every: int
    first: int | None
    last: int | None
    zone: str
    opens: bool = False
    closes: bool = False
    calendar: str = CALENDAR

    @property
    def bounded(self) -> bool:
        """Whether both bounds are of the date itself, and not the window's."""
        return (self.opens or self.first is not None) and (self.closes or self.last is not None)


@dataclass(frozen=True, slots=True)
class ParentOrders:
    """The parent orders that are asked about: each side, size and start together; they lie inside the window.

    Attributes
    ----------
    sides : tuple of str
    sizes : tuple of int
        Shares.
    starts : tuple of int
        UTC nanoseconds; () = by the clock, or the window's start.
    end : int, optional
        UTC nanoseconds, of a single start; None = by the horizon, or the window's end.
    horizon : int, optional
        Nanoseconds.
    clock : Clock, optional
    """

    sides: tuple[Side, ...]
    sizes: tuple[int, ...]
    starts: tuple[int, ...] = ()
    end: int | None = None
    horizon: int | None = None
    clock: Clock | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A configuration, parsed.

    Attributes
    ----------
    config : Config
        The keys, of which nothing is left to parse.
    config_hash : str
        SHA-256 of the keys that decide the result rows, 64 hexadecimal digits.
    window : Span
        Of the tape, without the warm-up before it.
    orders : ParentOrders
    settings : Settings
        Warm-up, book, rules, policy and fees, by the conventions; those of the first combination.
    grid : Grid
    variants : Variants
        What the axes of the grid change beyond the router's parameters.
    validation : Validation, optional
        How blocks are split; None = all of them choose, and are reported.
    reading : ReadOptions
        For the reader of the source; its access is not checked.
    most : int
        How many combinations the grid has; before a search in rounds, as many as it may look at, or a guess.
    searching : bool
        The grid is the lattice that a search in rounds is still to look at a part of.
    plugins : tuple of Plugin
        Those that it names, ascending.
    """

    config: Config
    config_hash: str
    window: Span
    orders: ParentOrders
    settings: Settings
    grid: Grid
    variants: Variants
    validation: Validation | None
    reading: ReadOptions
    most: int
    searching: bool = False
    plugins: tuple[Plugin, ...] = ()

    def using(self, plugins: Iterable[Plugin]) -> Question:
        """The same, with further plug-ins: those that its source takes."""
        return dataclasses.replace(self, plugins=tuple(sorted({*self.plugins, *plugins})))


def ask(config: Config, places: NDArray[Any] | None = None) -> Question:
    """Parse a configuration; `Config.question` keeps the result.

    Parameters
    ----------
    config : Config
    places : (K,) int64, optional
        What a search in rounds has looked at, on the lattice that the axes span, ascending.

    Raises
    ------
    ConfigError
        A value that types alone do not exclude; the message begins with its key.
    """
    calendar = config.calendar
    if calendar != CALENDAR or _of_sessions(config):  # to look takes a moment
        parsed("calendar", calendar, check_calendar)
    window, orders = _window(config.window, calendar), _parent_orders(config.order, calendar)
    feed = config.feed
    wait, deadline = (parsed(f"feed.{key}", getattr(feed, key), parse_duration) for key in ("wait", "deadline"))
    if config.window.warmup is not UNSET:
        parsed("window.warmup", config.window.warmup, parse_duration)
    for key, number, least, limit in (
        *(("order.size", size, 1, SHARES_LIMIT) for size in orders.sizes),
        ("step", config.step, 1, SHARES_LIMIT),
        ("workers", config.workers, 1, 2**31),
        ("feed.max_bad", feed.max_bad, 0, MAX_BAD + 1),
        ("feed.max_bytes", feed.max_bytes, 1, BYTES_LIMIT),
    ):
        if number is not None:
            check_count(key, number, least, limit)
    check_rules(config)
    if config.address not in {"local", "auto"} and not config.address.startswith("ray://"):
        raise ConfigError(f"address: expected local, auto or ray://HOST:PORT, but it had {config.address!r}")
    if "@" in config.address:
        raise ConfigError("address: it takes no name or password; Ray's token lies in ~/.ray/auth_token")
    source_fees: Mapping[str, Mapping[str, Any]] = {}
    if config.source == EMBEDDED:
        window, source_fees = _of_embedded(window)
    # with the axes that the points of a search name
    spanning = replace(config, grid=spanned_by(config))
    plugins = _plugins(spanning)
    further = axis_values(spanning)
    grid = looked_at(spanning, {name: labels for name, (labels, _) in further.items()})
    identity, most = config_hash(config, grid, spanning.grid), most_of(config, grid)
    _check_detail(config, len(grid))
    validation = parse_validation(config.validate)
    values_of = {name: values for name, (_, values) in further.items()}
    variants = variants_of(spanning, grid, values_of, source_fees)
    if places is not None:
        grid = kept_of(grid, places)
        variants = variants_of(spanning, grid, values_of, source_fees, variants.books)
    settings = variants.first
    if not UNSET_or_none(config.leftover_band) and settings.rules.leftover == "last_ask":
        raise ConfigError("leftover_band: it bounds what leftover=sweep takes, and leftover is last_ask")
    return Question(
        config=config,
        config_hash=identity,
        window=window,
        orders=orders,
        settings=settings,
        grid=grid,
        variants=variants,
        validation=validation,
        reading=ReadOptions(
            symbol=config.symbol,
            replay=config.replay,
            max_bad=feed.max_bad,
            wait=wait / 1e9,
            deadline=deadline / 1e9,
            max_bytes=MAX_BYTES if feed.max_bytes is None else feed.max_bytes,
            sized=feed.max_bytes is None,
            foreign=feed.foreign,
            venues=config.venues,
            depth=variants.depth,
            quotes=None if config.quotes == QuoteMapping() else config.quotes,
            access=config.kafka,
        ),
        most=most,
        searching=places is None and in_rounds(config),
        plugins=plugins,
    )


def _plugins(config: Config) -> tuple[Plugin, ...]:
    """The plug-ins that a configuration names; ConfigError where one cannot be used, or its switches are none."""
    key, varied = ("grid.policy", config.grid["policy"]) if "policy" in config.grid else ("policy", config.policy)
    policies = [varied] if isinstance(varied, str) else list(varied)
    for name in _several("baselines", config.baselines) if config.baselines else ():
        if name in BASELINE.built_in:
            raise ConfigError(f"baselines: {name} is built in, and runs in any case; name those of plug-ins")
    plugins = [
        *parsed(key, policies, lambda names: plugins_of(POLICY, names)),
        *parsed("baselines", config.baselines, lambda names: plugins_of(BASELINE, names)),
        *parsed("search.kind", [config.search.kind], lambda names: plugins_of(SAMPLER, names)),
    ]
    if config.quotes.format is not None:
        plugins += parsed("quotes.format", [config.quotes.format], lambda names: plugins_of(kinds()["reader"], names))
    check_switches(config, policies)
    return tuple(sorted(plugins))


def _check_detail(config: Config, combinations: int) -> None:
    """Refuse (ConfigError) a number that is no combination's, or stands twice."""
    if isinstance(config.detail, str):
        return
    for number in _several("detail", config.detail):
        if not 0 <= number < combinations:
            raise ConfigError(f"detail: {number} is no combination; they are numbered from 0 to {combinations - 1:,}")


def _of_sessions(config: Config) -> bool:
    """Whether any bound is that of a session."""
    window, order = config.window, config.order
    return SESSION in {window.start, window.end, order.first, order.last}


def _window(written: Window, calendar: str) -> Span:
    opens, closes = written.start == SESSION, written.end == SESSION
    start, end = (
        _optional("window.start", None if opens else written.start, parse_instant),
        _optional("window.end", None if closes else written.end, parse_instant),
    )
    _check_span("window", start, end)
    return Span(start, end, opens, closes, calendar)


def _check_span(name: str, start: int | None, end: int | None) -> None:
    if start is not None and end is not None and start > end:
        raise ConfigError(
            f"{name}.start is after {name}.end: {format_instant(start)} and {format_instant(end)}; exchange the two"
        )


def _parent_orders(written: OrderSpec, calendar: str) -> ParentOrders:
    """Parse the section `order`."""
    sides, sizes = _several("order.side", written.side), _several("order.size", written.size)
    starts: tuple[int, ...] = ()
    if written.start is not None:
        starts = tuple(parsed("order.start", start, parse_instant) for start in _several("order.start", written.start))
    if len({*starts}) < len(starts):
        raise ConfigError("order.start: two of them are the same instant; write it once")
    end = _optional("order.end", written.end, parse_instant)
    horizon = _optional("order.horizon", written.horizon, _lasting)
    if written.every is not None and starts:
        raise ConfigError("order.every: order.start says when orders start; remove one of the two")
    if written.every is None:
        for key, value in (("from", written.first), ("to", written.last), ("zone", written.zone)):
            if value is not None:
                raise ConfigError(f"order.{key}: it bounds the starts that order.every makes; set order.every=10m")
    if horizon is None and (written.every is not None or len(starts) > 1):
        key = "order.start" if starts else "order.every"
        raise ConfigError(f"{key}: many orders need order.horizon, such as 10m, which says how long each one lasts")
    if end is not None and horizon is not None:
        raise ConfigError("order.end: order.horizon says when an order ends; remove one of the two")
    if len(starts) == 1:
        _check_span("order", starts[0], end)
    clock = None if written.every is None else _clock(written, calendar)
    return ParentOrders(sides, sizes, tuple(sorted(starts)), end, horizon, clock)


def _several(key: str, value: Any) -> tuple[Any, ...]:  # noqa: ANN401 - one of what a key takes, or a list of them
    """A value, or the values of a list, of which no two are the same."""
    values = value if isinstance(value, tuple) else (value,)
    if not values:
        raise ConfigError(f"{key}: expected one or more, but the list is empty")
    for position, each in enumerate(values):
        if each in values[:position]:
            raise ConfigError(f"{key}: {each} stands twice; write it once")
    return values


def _clock(written: OrderSpec, calendar: str) -> Clock:
    every = parsed("order.every", written.every, _lasting)
    opens, closes = written.first == SESSION, written.last == SESSION
    first, last = (
        _optional(f"order.{key}", None if value == SESSION else value, parse_clock)
        for key, value in (("from", written.first), ("to", written.last))
    )
    if first is not None and last is not None and first > last:
        raise ConfigError(f"order.from is after order.to: {written.first} and {written.last}; exchange the two")
    zone = "UTC" if written.zone is None else written.zone
    parsed("order.zone", zone, partial(at_clock, 0, 0))
    return Clock(every, first, last, zone, opens, closes, calendar)


def _lasting(text: str | float) -> int:
    """A duration that is not 0."""
    duration = parse_duration(text)
    if not duration:
        raise ValueError("expected more than 0, such as 10m")
    return duration


def _optional(key: str, value: Any, parse: Callable[[Any], Parsed]) -> Parsed | None:  # noqa: ANN401 - as `_parsed`
    return None if value is None else parsed(key, value, parse)


def _of_embedded(window: Span) -> tuple[Span, Mapping[str, Mapping[str, Any]]]:
    """The window and the fees of the embedded source, which the configuration need not name."""
    from feed import synthetic

    fees = {str(venue): fee for venue, fee in synthetic.FEES.items()}
    if window.by_session:
        return window, fees
    start = synthetic.WINDOW[0] if window.start is None else window.start
    end = synthetic.WINDOW[1] if window.end is None else window.end
    if start > end:
        raise ConfigError(
            f"window.start is after window.end: {format_instant(start)} and {format_instant(end)}, of which the source "
            "brings one; set both"
        )
    return Span(start, end), fees
