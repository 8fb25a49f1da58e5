"""The question that a configuration asks: its keys parsed, once; everything downstream takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import UNSET

from allocator.errors import AllocatorError
from allocator.money import NANO, nano
from allocator.policies import POLICIES
from feed.console import unknown_key
from feed.instants import format_instant, parse_duration, parse_instant
from feed.levels import MOST_LEVELS
from feed.options import BYTES_LIMIT, MAX_BYTES, ReadOptions
from feed.tape import SHARES_LIMIT, VENUE_LIMIT
from sweep.config.conventions import resolve
from sweep.config.schema import EMBEDDED, config_hash
from sweep.errors import ConfigError
from sweep.search import build_grid, refuse_vanished

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from allocator.order import Side
    from sweep.config.conventions import Settings
    from sweep.config.schema import Config
    from sweep.search import Grid

Parsed = TypeVar("Parsed")

MAX_BAD = 10_000
"""Malformed messages that can be tolerated at most: all are kept until the quarantine file is written."""


@dataclass(frozen=True, slots=True)
class Span:
    """What a configuration says of a span; UTC nanoseconds, both ends included, None = it does not say.

    Attributes
    ----------
    start, end : int, optional
    """

    start: int | None
    end: int | None


@dataclass(frozen=True, slots=True)
class ParentOrder:
    """The parent order that is asked about; its span lies inside the window's.

    Attributes
    ----------
    side : str
    size : int
        Shares.
    span : Span
    """

    side: Side
    size: int
    span: Span


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
    order : ParentOrder
    settings : Settings
        Warm-up, book, rules, policy and fees, by the conventions.
    grid : Grid
    reading : ReadOptions
        For the reader of the source; its access is not checked.
    """

    config: Config
    config_hash: str
    window: Span
    order: ParentOrder
    settings: Settings
    grid: Grid
    reading: ReadOptions


def ask(config: Config) -> Question:
    """Parse a configuration; `Config.question` keeps the result.

    Raises
    ------
    ConfigError
        A value that types alone do not exclude; the message begins with its key.
    """
    window, order = _span("window", config.window), _span("order", config.order)
    feed = config.feed
    wait, deadline = (_parsed(f"feed.{key}", getattr(feed, key), parse_duration) for key in ("wait", "deadline"))
    for key, duration in (("window.warmup", config.window.warmup), ("max_age", config.max_age)):
        if not UNSET_or_none(duration):
            _parsed(key, duration, parse_duration)
    for key, number, least, limit in (
        ("order.size", config.order.size, 1, SHARES_LIMIT),
        ("step", config.step, 1, SHARES_LIMIT),
        ("workers", config.workers, 1, 2**31),
        ("depth", config.depth, 1, MOST_LEVELS + 1),
        ("feed.max_bad", feed.max_bad, 0, MAX_BAD + 1),
        ("feed.max_bytes", feed.max_bytes, 1, BYTES_LIMIT),
    ):
        if number is not None and not least <= number < limit:
            raise ConfigError(f"{key}: expected a whole number, {least} to {limit - 1:,}, but it had {number}")
    if config.policy not in POLICIES:
        raise ConfigError(f"policy: expected one of {', '.join(POLICIES)}, but it had {config.policy!r}")
    for name, band in (("stub_band", config.stub_band), ("leftover_band", config.leftover_band)):
        if not UNSET_or_none(band):
            if not 0 <= band <= 1:  # type: ignore[operator]
                raise ConfigError(f"{name}: expected 0 to 1, or null for none, but it had {band}")
            _check_amount(name, band, signed=False)  # type: ignore[arg-type]
    _check_amount("unfilled_penalty", config.unfilled_penalty, signed=False)
    if config.fees is not UNSET:
        check_fees(config.fees)
    if config.address not in {"local", "auto"} and not config.address.startswith("ray://"):
        raise ConfigError(f"address: expected local, auto or ray://HOST:PORT, but it had {config.address!r}")
    if "@" in config.address:
        raise ConfigError("address: it takes no name or password; Ray's token lies in ~/.ray/auth_token")
    source_fees: Mapping[str, Mapping[str, Any]] = {}
    if config.source == EMBEDDED:
        window, source_fees = _of_embedded(window)
    grid, settings = build_grid(config.grid), resolve(config, source_fees)
    if not UNSET_or_none(config.leftover_band) and settings.rules.leftover == "last_ask":
        raise ConfigError("leftover_band: it bounds what leftover=sweep takes, and leftover is last_ask")
    return Question(
        config=config,
        config_hash=config_hash(config, grid),
        window=window,
        order=ParentOrder(config.order.side, config.order.size, order),
        settings=settings,
        grid=grid,
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
            depth=config.depth,
            access=config.kafka,
        ),
    )


def _span(name: str, written: Any) -> Span:  # noqa: ANN401 - Window or OrderSpec
    """Parse the start and the end of a section."""
    start, end = (
        None if instant is None else _parsed(f"{name}.{key}", instant, parse_instant)
        for key, instant in (("start", written.start), ("end", written.end))
    )
    if start is not None and end is not None and start > end:
        raise ConfigError(
            f"{name}.start is after {name}.end: {format_instant(start)} and {format_instant(end)}; exchange the two"
        )
    return Span(start, end)


def _of_embedded(window: Span) -> tuple[Span, Mapping[str, Mapping[str, Any]]]:
    """The window and the fees of the embedded source, which the configuration need not name."""
    from feed import synthetic

    start = synthetic.WINDOW[0] if window.start is None else window.start
    end = synthetic.WINDOW[1] if window.end is None else window.end
    if start > end:
        raise ConfigError(
            f"window.start is after window.end: {format_instant(start)} and {format_instant(end)}, of which the source "
            "brings one; set both"
        )
    return Span(start, end), {str(venue): fee for venue, fee in synthetic.FEES.items()}


def UNSET_or_none(value: object) -> bool:  # noqa: N802 - named for the two constants
    """Whether a key was left to the conventions or switched off."""
    return value is UNSET or value is None


def _parsed(key: str, value: Any, parse: Callable[[Any], Parsed]) -> Parsed:  # noqa: ANN401 - text or a number
    try:
        return parse(value)
    except ValueError as error:
        raise ConfigError(f"{key}: {error}") from None


def check_fees(fees: Mapping[str, dict[str, float]]) -> None:
    """Refuse (ConfigError) fees of no venue, of another kind than taker and maker, or out of range."""
    for venue, fee in fees.items():
        key = f"fees.{venue}"
        if venue != "default" and not (venue.isascii() and venue.isdigit() and int(venue) < VENUE_LIMIT):
            raise ConfigError(f"{key}: expected a Databento publisher id or default")
        for name, value in fee.items():
            if name not in {"taker", "maker"}:
                raise ConfigError(unknown_key(f"{key}.{name}", [f"{key}.taker", f"{key}.maker"]))
            _check_amount(f"{key}.{name}", value, signed=True)


def _check_amount(key: str, value: float, *, signed: bool) -> None:
    try:
        amount = nano(value, key)
    except AllocatorError as error:
        raise ConfigError(str(error)) from None
    refuse_vanished(key, value, amount)
    if amount < 0 and not signed:
        raise ConfigError(f"{key}: expected 0 or more, but it had {value}")
    if abs(amount) > 100 * NANO:
        raise ConfigError(f"{key}: {value} $ per share is above 100 $; fees and penalties are in dollars per share")
