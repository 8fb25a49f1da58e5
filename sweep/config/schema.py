"""The keys of the configuration, their types and defaults."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from allocator.order import Latency, amount
from feed.access import Access
from feed.tables import QuoteMapping
from sweep.config.rules import parse_latency

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sweep.config.question import Question
    from sweep.search import Axis, Grid

Instant = str | int | None


class Window(Struct, frozen=True, forbid_unknown_fields=True):
    """The span of the tape, start and end included, or its date's regular session; the warm-up only builds the book."""

    start: Instant = None
    end: Instant = None
    warmup: str | int | UnsetType = UNSET


class OrderSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """The parent orders: each side, size and start together; start and end default to the window's."""

    side: Literal["buy", "sell"] | tuple[Literal["buy", "sell"], ...] = "buy"
    size: int | tuple[int, ...] = 5000
    start: Instant | tuple[str | int, ...] = None
    end: Instant = None
    horizon: str | int | None = None
    every: str | int | None = None
    first: str | None = field(default=None, name="from")
    last: str | None = field(default=None, name="to")
    zone: str | None = None


class FeedSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """How long the reader of a topic waits, how much it tolerates, and where it puts what it tolerated."""

    max_bad: int = 0
    quarantine: str = "quarantine.jsonl"
    wait: str | int = "0s"
    deadline: str | int = "1h"
    max_bytes: int | None = None  # `MAX_BYTES`, and of a file what its size allows
    foreign: bool = False


class TapesSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """What is done where a source of several tapes has none, or an empty one, where one is expected."""

    skip_empty: bool = False


class SearchSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """Which combinations of the grid are looked at; every one by default."""

    kind: str = "grid"  # list, a name of `sweep.search.SAMPLERS`, or of a plug-in
    points: tuple[dict[str, Any], ...] = ()
    combinations: int | None = None
    seconds: float | None = None
    seed: int = 0
    prune: bool = False


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """The configuration of a sweep, as it was written; docs/reference.md says what each key means.

    Keys left UNSET follow `conventions`. `question` is what it asks, parsed when it is first needed and kept.
    """

    source: str = "embedded"  # EMBEDDED, below
    window: Window = Window()
    order: OrderSpec = OrderSpec()
    policy: str = "static"
    switches: dict[str, Any] = {}
    step: int = 100
    reference: Literal["touch", "best", "mid", "arrival"] | UnsetType = UNSET
    infeasible: Literal["sweep", "wait"] = "sweep"
    lots_only: bool = False
    participation: float = 1.0
    schedule: Literal["now", "twap", "pov"] = "now"
    slice: str | int = "30s"
    posting: str = "touch"
    at_T: Literal["roll", "buy"] = "roll"  # noqa: N815 - T is the paper's
    samples: int = 200
    adverse: Literal["measured", "none"] = "measured"
    condition: Literal["none", "queue", "volume", "both"] = "none"
    catch_up: float = 1.0
    conventions: Literal["fair", "classic"] = "fair"
    book: Literal["consolidated", "event"] | UnsetType = UNSET
    uncross: bool | UnsetType = UNSET
    stub_band: float | UnsetType | None = UNSET
    max_age: str | int | UnsetType | None = UNSET
    liquidity: Literal["persist", "refresh"] | UnsetType = UNSET
    leftover: Literal["last_ask", "sweep"] | UnsetType = UNSET
    leftover_band: float | UnsetType | None = UNSET
    baseline: Literal["best_ask", "best_available"] = "best_ask"
    baselines: tuple[str, ...] = ()
    unfilled_penalty: float = 0.05
    fees: dict[str, dict[str, float]] | UnsetType = UNSET
    latency: str | int | tuple[str | int, ...] | dict[str, str | int | tuple[str | int, ...]] = 0
    phi: float | Literal["neutral"] = "neutral"
    rho: float = 0.185  # `allocator.order.RHO`
    calendar: str = "XNYS"
    grid: dict[str, Any] = {}
    where: str | tuple[str, ...] = ()
    search: SearchSpec = SearchSpec()
    symbol: str | None = None
    replay: str | None = None
    venues: tuple[int, ...] | None = None
    depth: int | None = None  # as many as the source has; classic 1
    tapes: TapesSpec = TapesSpec()
    feed: FeedSpec = FeedSpec()
    kafka: Access = Access()
    quotes: QuoteMapping = QuoteMapping()
    detail: Literal["best", "all"] | tuple[int, ...] = "best"
    validate: str = "none"
    executor: Literal["ray", "inline"] = "ray"
    address: str = "local"
    workers: int | None = None
    collapse: bool = True
    output: str | None = None

    @cached_property
    def question(self) -> Question:
        """The question that is asked; ConfigError where a value cannot be used."""
        from sweep.config.question import ask  # which takes a Config

        return ask(self, self.places)

    @property
    def places(self) -> NDArray[Any] | None:
        """What its search has looked at, once it has ended; None where that is known before."""
        return self.__dict__.get("places")

    @property
    def held(self) -> Any:  # noqa: ANN401 - whatever speaks the Arrow C interface
        """The table in memory that is its source; None where the source is a place."""
        return self.__dict__.get("held")

    def holding(self, table: Any) -> Config:  # noqa: ANN401 - the same
        """The same configuration, of a source that is a table in memory."""
        config = msgspec.structs.replace(self)
        config.__dict__["held"] = table
        return config

    def having(self, places: NDArray[Any]) -> Config:
        """The same configuration, with the question about what its search has looked at.

        Parameters
        ----------
        places : (K,) int32 or int64
            On the lattice that the axes of its grid span, ascending.
        """
        config = msgspec.structs.replace(self)
        config.__dict__.update(held=self.held, places=places)
        return config


EMBEDDED = "embedded"
"""The name of the source that is our own broker, filled with the synthetic stream."""


WHERE_ONLY = ("source", "replay", "feed", "kafka", "quotes", "executor", "address", "workers", "collapse", "output")
"""Keys that say where and how a sweep reads and runs; they change no result row."""


LATER: Final[dict[str, Any]] = {
    "venues": None,
    "switches": {},
    "baselines": (),
    "participation": 1.0,
    "schedule": "now",
    "slice": "30s",
    "posting": "touch",
    "at_T": "roll",
    "samples": 200,
    "adverse": "measured",
    "condition": "none",
    "catch_up": 1.0,
    "phi": "neutral",
    "rho": 0.185,
    "latency": msgspec.to_builtins(Latency()),
    "where": (),
    "tapes": {"skip_empty": False},
    "calendar": "XNYS",
    "detail": "best",
    "validate": "none",
    "search": msgspec.to_builtins(SearchSpec()),
}
"""Keys that came later; at their defaults they play no part, so that older stored runs are found."""


def config_hash(config: Config, grid: Grid, written_grid: dict[str, Any] | None = None) -> str:
    """SHA-256 of the keys that decide the result rows, 64 hexadecimal digits.

    Parameters
    ----------
    config : Config
    grid : Grid
        Its grid: how a number or a range is spelled plays no part.
    written_grid : dict, optional
        The axes as written, with those that points of a search name; by default those of the configuration.
    """
    written = msgspec.to_builtins(msgspec.structs.replace(config, grid={}))
    content = {name: value for name, value in written.items() if name not in WHERE_ONLY}
    where = [config.where] if isinstance(config.where, str) else config.where
    content["where"] = tuple(condition.strip() for condition in where)
    content["latency"] = msgspec.to_builtins(parse_latency(config.latency))
    if config.search.points:  # as places, however they are spelled and whatever their order
        content["search"]["points"] = [] if grid.kept is None else grid.kept.tolist()
    for name, default in LATER.items():
        if content[name] == default:
            del content[name]
    content["order"] = {
        name: value[0] if isinstance(value, tuple) and len(value) == 1 else value
        for name, value in content["order"].items()
        if value is not None or name in {"start", "end"}
    }
    content["grid"] = [[axis.name, _values_of(axis, written_grid or config.grid)] for axis in grid.axes]
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()


def _values_of(axis: Axis, written: dict[str, Any]) -> list[Any]:
    """The values of an axis: numbers however they were spelled; of others what was written, with their names."""
    if not axis.labels:
        return [str(amount(value)) for value in axis.values.tolist()]
    values = written[axis.name]
    if isinstance(values, dict):
        return [[name, value] for name, value in values.items()]
    return list(axis.labels)
