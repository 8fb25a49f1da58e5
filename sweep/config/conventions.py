"""The two conventions as one table, and the rules that follow from a configuration (model sections 1, 3, 4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import UNSET

from allocator.book import OFF, Book, BookRules
from allocator.money import nano
from allocator.order import MakerFees, Rules
from feed.instants import parse_duration
from sweep.config.rules import SWITCHES, made_policy, parse_latency, parse_placement, parse_share
from sweep.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from allocator.baselines import Conventions, Follower
    from allocator.engine import Policy
    from allocator.order import Liquidity
    from allocator.units import Scale
    from sweep.config.schema import Config

TABLE: dict[str, dict[str, Any]] = {
    "fair": {
        "book": "consolidated",
        "uncross": True,
        "stub_band": 0.10,
        "warmup": "300s",
        "reference": "touch",
        "liquidity": "persist",
        "leftover": "sweep",
        "leftover_band": 0.005,
        "fees": {"default": {"taker": 0.003, "maker": -0.002}},
    },
    "classic": {
        "book": "event",
        "uncross": False,
        "stub_band": None,
        "warmup": 0,
        "reference": "best",
        "liquidity": "refresh",
        "leftover": "last_ask",
        "leftover_band": None,
        "fees": {"default": {"taker": 0.003, "maker": 0.0}},
    },
}
"""What each convention sets; explicit keys override it. Neither sets `max_age`."""

PLACED: Final[dict[str, Any]] = {"warmup": "1800s"}
"""What a convention sets otherwise where a policy of the grid is `placement`, which learns from what came before."""

OTHER_LIQUIDITY: Final[dict[Liquidity, Liquidity]] = {"persist": "refresh", "refresh": "persist"}


@dataclass(frozen=True, slots=True)
class Fees:
    """Taker fees by publisher id, 1e-9 $ per share, negative = rebate; `default` for every other venue."""

    default: int
    venues: dict[int, int]

    def of(self, book: Book | Scale) -> tuple[int, ...]:
        """The fees of a book's V venues."""
        return tuple(self.venues.get(venue, self.default) for venue in book.venues.tolist())


@dataclass(frozen=True, slots=True)
class Settings:
    """A configuration resolved against its conventions: what the allocator needs, all in integers.

    Attributes
    ----------
    conventions : str
    warmup : int
        Nanoseconds.
    book : BookRules
    rules : Rules
    policy : Policy
    baseline : str
        As which baseline twap and vwap buy.
    fees : Fees
    """

    conventions: Conventions
    warmup: int
    book: BookRules
    rules: Rules
    policy: Policy
    baseline: Follower
    fees: Fees


def switches(config: Config) -> dict[str, Any]:
    """The switches of a configuration, by key."""
    return {name: _chosen(config, name) for name in SWITCHES}


def places(config: Config) -> bool:
    """Whether any combination of a configuration is one of the policy `placement`."""
    written = config.grid.get("policy", config.policy)
    return "placement" in (written if isinstance(written, list | tuple) else [written])


def _chosen(config: Config, name: str) -> Any:  # noqa: ANN401 - each key has its own type
    """A key, or what the conventions set where it was left to them."""
    value = getattr(config, name)
    return TABLE[config.conventions][name] if value is UNSET else value


def _warmup(config: Config) -> int:
    written = config.window.warmup
    if written is UNSET:
        written = (TABLE[config.conventions] | (PLACED if places(config) else {}))["warmup"]
    return parse_duration(written)


def resolve(config: Config, source_fees: Mapping[str, Mapping[str, Any]]) -> Settings:
    """Fill a configuration's open keys from its conventions.

    Parameters
    ----------
    config : Config
    source_fees : mapping
        The fees that come with a source, in the form of the `fees` key; explicit fees are merged over them.
    """
    table, chosen = TABLE[config.conventions], partial(_chosen, config)
    band, leftover = chosen("stub_band"), chosen("leftover")
    leftover_band = chosen("leftover_band") if leftover == "sweep" else None  # nothing else is swept
    fees, maker_fees = _fees(table["fees"], source_fees, {} if config.fees is UNSET else config.fees)
    return Settings(
        conventions=config.conventions,
        warmup=_warmup(config),
        book=BookRules(
            book=chosen("book"),
            uncross=chosen("uncross"),
            stub_band=OFF if band is None else nano(band, "stub_band"),
            max_age=OFF if config.max_age is UNSET or config.max_age is None else parse_duration(config.max_age),
            require=_required(config) if config.conventions == "classic" else None,
        ),
        rules=Rules(
            chosen("liquidity"),
            leftover,
            nano(config.unfilled_penalty, "unfilled_penalty"),
            None if leftover_band is None else nano(leftover_band, "leftover_band"),
            parse_latency(config.latency),
            parse_share("phi", config.phi),
            parse_share("rho", config.rho),
            maker_fees,
        ),
        policy=made_policy(
            config,
            {
                **switches(config),
                **parse_placement(config),
                "participation": nano(config.participation, "participation"),
            },
        ),
        baseline=config.baseline,
        fees=fees,
    )


def _required(config: Config) -> Literal["ask", "bid"]:
    """The side without which classic ignores a row: that which the orders take from."""
    match config.order.side:
        case "buy" | ("buy",):
            return "ask"
        case "sell" | ("sell",):
            return "bid"
        case _:
            raise ConfigError("order.side: conventions=classic drops rows by the side of the order; ask for one side")


def _fees(*tables: Mapping[str, Mapping[str, Any]]) -> tuple[Fees, MakerFees]:
    """Merge tables, the later over the earlier; a venue's missing number is the default's."""
    merged: dict[str, dict[str, Any]] = {}
    for table in tables:
        for venue, fee in table.items():
            merged[venue] = {**merged.get(venue, {}), **fee}
    default = merged.pop("default")

    def of(kind: str) -> tuple[int, dict[int, int]]:
        own = {int(venue): nano(fee.get(kind, default[kind]), f"fees.{venue}.{kind}") for venue, fee in merged.items()}
        return nano(default[kind], f"fees.default.{kind}"), own

    maker, makers = of("maker")
    return Fees(*of("taker")), MakerFees(maker, tuple(sorted(makers.items())))
