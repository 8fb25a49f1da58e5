"""What a run found, for whoever routes by it: one small document, written once and read back with suspicion."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import numpy as np
from msgspec import UNSET, Struct

from allocator.order import FIELDS
from feed import synthetic
from feed.instants import format_instant
from sweep.config import EMBEDDED, PLACED, PLACEMENT, SESSION, WHERE_ONLY, assign, axis_values, build_config, placed
from sweep.errors import ConfigError
from sweep.judging import Ground
from sweep.reduce import Reduction
from sweep.report import rules_section
from sweep.runs import MALFORMED, describe_malformed, open_regular, read_table, reason
from sweep.search import MARKET, PARAMETERS, each_alone
from sweep.statistics import FEWEST_BLOCKS, blocks_of, confidence_set
from sweep.stored import read_stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from sweep.config import Config, World
    from sweep.search import Label
    from sweep.stored import Stored

SCHEMA: Final = "sor-sweep router"

VERSION: Final = 1
"""Raised when what a field means changes, or one is added; readers refuse every other one."""

LIMIT: Final = 2**20
"""Bytes of a router's file at most."""

CHALLENGERS: Final = 3
"""Combinations beside the best, by default."""

MOST_CHALLENGERS: Final = 8
"""At most: each one is run on every new day, and each takes a share of the 5 % of false alarms."""

ROUTER: Final = ("policy", "reference", "participation", "schedule", *PLACEMENT)
"""What a router chooses beside its parameters, and a grid may vary."""

QUANTITIES: Final = ("participation", "slice", "samples", "catch_up")
"""Those of it that are more or less; the others are names."""

FIXED: Final = ("step", "infeasible", "lots_only")
"""What a policy has beside, and no grid varies."""

ANY_FILE: Final = "day.csv"
"""Stands for a source that brings no rules of its own, as the embedded one does."""

_ASKED: Final = (*WHERE_ONLY, "grid", "where", "search", "detail", "validate", "window", "symbol", *ROUTER)
"""Keys that a router's `question` does not hold."""


class Figure(Struct, frozen=True, forbid_unknown_fields=True):
    """A mean and its 95 % interval, which is null where the blocks are too few; bps."""

    mean: float
    low: float | None
    high: float | None


class Judgement(Struct, frozen=True, forbid_unknown_fields=True):
    """The verdict of the run."""

    kind: str
    against: str
    sentence: str


class TapeRead(Struct, frozen=True, forbid_unknown_fields=True):
    """A tape that the run read."""

    symbol: str
    start: str
    end: str
    digest: str


class Origin(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a router comes from."""

    run: str
    combination: int
    combinations: int
    config_hash: str
    digest: str
    tapes: list[TapeRead]
    created: str
    version: str
    revision: str | None
    sources_hash: str


class Challenger(Struct, frozen=True, forbid_unknown_fields=True):
    """A combination beside the best; `in_confidence_set` is null where the blocks were too few for such a set."""

    combination: int
    in_confidence_set: bool | None
    parameters: dict[str, Any]


class Router(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An exported router; docs/router.md says what each field means."""

    schema: Literal["sor-sweep router"]
    version: int
    winner: bool
    verdict: Judgement
    parameters: dict[str, Any]
    saving_bps: Figure
    held_out_bps: Figure | None
    challengers: list[Challenger]
    question: dict[str, Any]
    orders_are_given: bool
    rules: dict[str, Any]
    validity: list[str]
    origin: Origin

    @property
    def id(self) -> str:
        """16 hexadecimal digits: the same for the same content."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:16]

    @property
    def points(self) -> list[dict[str, Any]]:
        """The parameters of the champion, then of each challenger."""
        return [self.parameters, *(each.parameters for each in self.challengers)]

    @property
    def searched(self) -> set[tuple[str, str]]:
        """Symbol and date of each tape that chose the parameters, on which these look better than they are."""
        return {(tape.symbol, tape.start[:10]) for tape in self.origin.tapes}

    @property
    def symbols(self) -> list[str]:
        """Of the tapes that the run read."""
        return sorted({tape.symbol for tape in self.origin.tapes})


def export(home: Path | str, challengers: int = CHALLENGERS) -> Router:
    """Make a router of the best combination of a complete run, or of its first world; from its files alone.

    Parameters
    ----------
    home : Path or str
        The run's folder.
    challengers : int
        Combinations of the confidence set beside it, at most.

    Raises
    ------
    ConfigError
        The run is not complete or damaged, or was judged by nothing; or there are too many challengers.
    """
    if not 0 <= challengers <= MOST_CHALLENGERS:
        raise ConfigError(f"--challengers: expected 0 to {MOST_CHALLENGERS}, but it had {challengers}")
    run = read_stored(Path(home))
    document, manifest = run.document, run.manifest
    try:
        judged, figures = document["verdict"], document["statistics"]
        against = judged["against"]
        saving, held_out = _figure(figures["saving_bps"][against]), None
        if figures["held_out"] is not None:
            held_out = _figure(figures["held_out"]["saving_bps"]["strongest"])
        validity = list(_validity(run))
    except MALFORMED as error:
        raise ConfigError(
            f"{home}: holds no verdict that this version reads ({describe_malformed(error)}); run it anew with --force"
        ) from None
    parameters = _parameters(run, run.combination)
    question, given = _question(run, parameters)
    feed = document["feed"]
    router = Router(
        schema="sor-sweep router",
        version=VERSION,
        winner=judged["kind"] == "better",
        verdict=Judgement(judged["kind"], against, judged["sentence"]),
        parameters=parameters,
        saving_bps=saving,
        held_out_bps=held_out,
        challengers=[
            Challenger(number, close, _parameters(run, number))
            for number, close in _challengers(run, against, challengers)
        ],
        question=question,
        orders_are_given=given,
        rules={},
        validity=validity,
        origin=Origin(
            run=manifest.id,
            combination=run.combination,
            combinations=len(run.config.question.grid),
            config_hash=manifest.config_hash,
            digest=manifest.digest,
            tapes=[
                TapeRead(tape["symbol"], tape["window"]["start"], tape["window"]["end"], tape["digest"])
                for tape in feed.get("tapes") or [feed]
            ],
            created=manifest.created,
            version=manifest.versions.get("sor-sweep", "unknown"),
            revision=manifest.revision,
            sources_hash=manifest.sources_hash,
        ),
    )
    return msgspec.structs.replace(router, rules=_rules(_built(router, ANY_FILE)))


def _figure(interval: Mapping[str, Any]) -> Figure:
    return Figure(float(interval["mean"]), interval["low"], interval["high"])


def _parameters(run: Stored, combination: int) -> dict[str, Label]:
    """What a router has to be set to, for a combination."""
    rules = run.document["rules"]
    fixed = {name: rules[name] for name in (*ROUTER, *FIXED) if name in rules and not isinstance(rules[name], list)}
    printed = run.config.question.grid.printed(combination)
    varied = {name: value for name, value in printed.items() if name not in MARKET}
    return {name: value for name, value in (fixed | varied).items() if value is not None}


def _question(run: Stored, parameters: Mapping[str, Label]) -> tuple[dict[str, Any], bool]:
    """The keys that ask the same of another day, and whether these say when orders start there."""
    config = run.config
    asked = {name: value for name, value in run.manifest.config.items() if name not in {*_ASKED, *parameters}}
    if config.source == EMBEDDED:
        own = {} if config.fees is UNSET else config.fees
        asked["fees"] = {
            **{str(venue): {name: float(each) for name, each in fee.items()} for venue, fee in synthetic.FEES.items()},
            **own,
        }
    for name, (labels, values) in axis_values(config).items():
        if name in MARKET:
            asked[name] = msgspec.to_builtins(values[labels.index(run.market[name])])
    window = config.question.window
    placing = PLACED if config.question.variants.placing else {}  # also where the best is of another policy
    warmup = placing.get("warmup", UNSET) if config.window.warmup is UNSET else config.window.warmup
    of_window = {
        **({} if warmup is UNSET else {"warmup": warmup}),
        **({"start": SESSION} if window.opens else {}),
        **({"end": SESSION} if window.closes else {}),
    }
    if of_window:
        asked["window"] = of_window
    parents = config.question.orders
    order = {name: value for name, value in asked["order"].items() if value is not None}
    whole = window.start is None and window.end is None
    clocked = parents.clock is not None and parents.clock.bounded
    given = not parents.starts and parents.end is None and (whole or clocked)
    asked["order"] = {name: value for name, value in order.items() if name not in {"start", "end"}}
    return asked, given


def _validity(run: Stored) -> Iterator[str]:
    """For what a router was found, and under which assumptions, in words."""
    document, rules, parents = run.document, run.document["rules"], run.config.question.orders
    kind, sentence, orders = document["verdict"]["kind"], document["verdict"]["sentence"], document["orders"]
    shown = "A winner is shown" if kind == "better" else f"No winner is shown ({kind}); this is what did best, no more"
    yield f"{shown}. {sentence}"
    sides = " and ".join(f"{side}s" for side in parents.sides)
    spans = sorted({order.end - order.start for order in run.orders.orders})
    lasting = f"{spans[0] / 1e9:,g} s" if len(spans) == 1 else f"{spans[0] / 1e9:,g} to {spans[-1] / 1e9:,g} s"
    yield f"It is about {sides} of {', '.join(f'{size:,}' for size in parents.sizes)} shares that last {lasting}."
    alone: dict[str, list[str]] = {}
    for part in document["statistics"].get("parts") or []:
        which = f"{part['side']}s of {part['size']:,}" if part["side"] else f"orders of {part['size']:,}"
        alone.setdefault(part["verdict"]["kind"], []).append(which)
    for each, which_ones in alone.items():
        yield f"The verdict is {each} on {', '.join(which_ones)} by themselves."
    dates = sorted({order.start // 86_400_000_000_000 for order in run.orders.orders})
    first, last = (format_instant(day * 86_400_000_000_000)[:10] for day in (dates[0], dates[-1]))
    yield (
        f"It was found on {orders['count']:,} orders in {orders['blocks']:,} blocks of time on {orders['days']:,} "
        f"day{'' if orders['days'] == 1 else 's'} ({first if first == last else f'{first} to {last}'}) of "
        f"{document['feed']['symbol']}."
    )
    liquidity = run.market.get("liquidity", rules["liquidity"])
    yield (
        "Liquidity is assumed to come back when a venue's price changes, not before (persist)."
        if liquidity == "persist"
        else "Liquidity is assumed to come back whenever a venue publishes (refresh)."
    )
    latency = rules["latency_s"]
    if "latency" not in run.market:
        fixed = f"are under way for {latency} s" if latency else "arrive at once"
        differs = "are under way for a time that differs by venue or is drawn"
        yield f"Orders {differs if isinstance(latency, dict | list) else fixed}."
    if _parameters(run, run.combination).get("policy") == "placement":
        phi, rho = (run.market.get(name, rules[name]) for name in ("phi", "rho"))
        yield (
            f"Its limit orders wait in queues of which quotes do not show all: phi={phi} is assumed, and rho={rho} "
            "where no trades are known."
        )
    if run.market:
        point = ", ".join(f"{name}={value}" for name, value in run.market.items())
        yield f"The market was varied as well; this is what is best for {point}."
    yield (
        "It is the result of a simulation on past quotes, in which nobody answers to the orders: no order to trade, "
        "and no promise."
    )


def _challengers(run: Stored, against: str, most: int) -> list[tuple[int, bool | None]]:
    """Combinations beside the best, and whether they are of the confidence set.

    First those of it, as far from the best and from one another as can be; of few blocks, which tell nothing apart, all
    combinations of the world are in it. Then those that pay least. What pays the same as one that was chosen, in every
    group of orders, is none; nor is what fills less than best_ask, which cannot be the best.
    """
    if not most:
        return []
    grid = run.config.question.grid
    edges = grid.variant_edges.tolist()
    variant = grid.variant_of(run.combination)
    world = next(each for each in run.config.question.variants.worlds if variant in each.variants)
    ranges = [(edges[number], edges[number + 1]) for number in world.variants]
    table = read_table(run.home, run.manifest)
    all_rows = Reduction.of(table, each_alone(grid), run.orders.signs).within(ranges)
    reduction, place = all_rows.told_apart()
    ground = Ground(
        orders=run.orders,
        blocks=blocks_of(run.orders),
        reduction=reduction,
        simulated=all_rows.simulated,
        place=place,
        looked_at=len(all_rows.simulated),
        everyone=run.baselines,
        filled=np.zeros(run.orders.groups, np.int64),
        notional=run.notional,
        looking_ahead=frozenset(name for name, each in run.document["baselines"].items() if each.get("lookahead")),
    )
    every = np.arange(run.orders.groups)
    notional = ground.by_block(every, ground.notional)
    best = int(place[np.searchsorted(all_rows.simulated, run.combination)])
    enough = len(notional) >= FEWEST_BLOCKS
    inside = np.ones(len(reduction.simulated), np.bool_)
    if enough:
        inside = confidence_set(ground.savings(every, against), notional, best)
    places = np.column_stack([*_places(run, reduction.simulated)])
    paid = reduction.cube[:, :, FIELDS.index("total_cash")]
    costs = (paid * ground.signs[:, None].astype(np.float64)).sum(axis=0)
    left, apart, chosen = _filling(run, world, reduction, best), np.full(len(inside), np.inf), best
    numbers: list[tuple[int, bool | None]] = []
    while True:
        left &= (paid != paid[:, [chosen]]).any(axis=0)
        apart = np.minimum(apart, np.abs(places - places[chosen]).sum(axis=1))
        if len(numbers) == most or not left.any():
            return numbers
        close = left & inside
        chosen = int(
            np.argmax(np.where(close, apart, -1.0)) if close.any() else np.argmin(np.where(left, costs, np.inf))
        )
        numbers.append((int(reduction.simulated[chosen]), bool(inside[chosen]) if enough else None))


def _filling(run: Stored, world: World, reduction: Reduction, best: int) -> NDArray[np.bool_]:
    """(R,) bool: what fills no less than best_ask does in its world; all, where not even the best of them does."""
    section = next(
        each for each in run.document.get("worlds") or [run.document] if each.get("market", {}) == world.point
    )
    base = section["baselines"]["best_ask"]
    shares = reduction.cube[:, :, FIELDS.index("filled")] - reduction.cube[:, :, FIELDS.index("overfilled")]
    enough: NDArray[np.bool_] = shares.sum(axis=0) >= base["filled"] - base["overfilled"]
    return enough if enough[best] else np.ones_like(enough)


def _places(run: Stored, numbers: NDArray[np.int64]) -> Iterator[NDArray[np.float64]]:
    """Where combinations lie on each axis, from 0 to 1 by position; of names whether they are the best's."""
    grid = run.config.question.grid
    positions, own = grid.positions(numbers), grid.positions(np.array([run.combination]))
    for axis in grid.axes:
        if axis.labels and axis.name not in QUANTITIES:
            yield (positions[axis.name] != own[axis.name]).astype(np.float64)
        else:
            yield positions[axis.name] / max(len(axis) - 1, 1)


def read_router(path: Path | str) -> Router:
    """Read an exported router.

    Raises
    ------
    ConfigError
        It cannot be read, is too large, no router, or of another version; or it holds what no export writes.
    """
    path = Path(path)
    try:
        with open_regular(path) as file:
            content = file.read(LIMIT + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({reason(error)}); expected what export wrote") from None
    if len(content) > LIMIT:
        raise ConfigError(f"{path}: is over {LIMIT:,} bytes, which no router is")
    try:
        head = msgspec.json.decode(content, type=_Head)
    except (msgspec.DecodeError, *MALFORMED) as error:
        raise ConfigError(f"{path}: is no router ({describe_malformed(error)}); expected what export wrote") from None
    if (head.schema, head.version) != (SCHEMA, VERSION):
        raise ConfigError(
            f"{path}: has schema {head.schema[:40]!r} {head.version}, and this version reads {SCHEMA!r} {VERSION}; "
            "export the run anew"
        )
    try:
        router = msgspec.json.decode(content, type=Router)
        _check_values(router)
        rules = _rules(_built(router, ANY_FILE))
    except (msgspec.DecodeError, *MALFORMED) as error:
        raise ConfigError(
            f"{path}: is damaged, or was changed ({describe_malformed(error)}); export the run anew"
        ) from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}; export the run anew") from None
    if changed := sorted(name for name in {*rules, *router.rules} if rules.get(name) != router.rules.get(name)):
        raise ConfigError(
            f"{path}: its question means other rules to this version ({', '.join(changed)}); use version "
            f"{router.origin.version[:40]}, or export the run anew"
        )
    return router


class _Head(Struct, frozen=True):
    """What every version of the document has."""

    schema: str
    version: int


def _check_values(router: Router) -> None:
    """Check what types leave open; anybody may have written the file.

    Raises
    ------
    ValueError
        Names the field.
    """
    if len(router.challengers) > MOST_CHALLENGERS:
        raise ValueError(f"challengers: expected {MOST_CHALLENGERS} at most")
    names = {*ROUTER, *FIXED, *PARAMETERS}
    for point in router.points:
        if not all(isinstance(value, str | int | float | bool) for value in point.values()):
            raise ValueError("parameters: expected text, numbers, true or false")
        if not {*PARAMETERS} <= point.keys() <= names or point.keys() != router.parameters.keys():
            raise ValueError("parameters: expected the same names in each, and no others")
        if any(point[name] != router.parameters[name] for name in FIXED if name in point):
            raise ValueError(f"challengers: expected the same {', '.join(FIXED)}")
    if unknown := {*router.question} & {*_ASKED} - {"window"}:
        raise ValueError(f"question: expected no {', '.join(sorted(unknown))}")
    window = router.question.get("window", {})
    if not isinstance(window, dict) or {*window} - {"warmup"} - {
        name for name in ("start", "end") if window.get(name) == SESSION
    }:
        raise ValueError("question.window: expected no more than warmup, and session")
    figures = [router.saving_bps, *([] if router.held_out_bps is None else [router.held_out_bps])]
    if not all(math.isfinite(value) for each in figures for value in (each.mean, each.low or 0, each.high or 0)):
        raise ValueError("saving_bps: expected finite numbers")


ALLOWED: Final = tuple(name for name in WHERE_ONLY if name not in {"source", "output"})
"""Keys that may be given beside a router, with symbol; and order, where the router's orders are of fixed instants."""


def config_for(router: Router, source: str, assignments: Sequence[str] = ()) -> Config:
    """The configuration that runs a router's champion and challengers on a source.

    Parameters
    ----------
    router : Router
    source : str
    assignments : sequence of str
        KEY=VALUE: where to read and to run, and ``order`` where the router's orders are of fixed instants.

    Raises
    ------
    ConfigError
        A key that would ask something else; or as `sweep.config.load_config`.
    """
    for word in assignments:
        section, _, _ = word.partition("=")[0].strip().partition(".")
        if section == "order" and not router.orders_are_given:
            continue
        if section not in {*ALLOWED, "symbol"}:
            takes = f"{', '.join(ALLOWED)}, symbol{'' if router.orders_are_given else ', order'}"
            raise ConfigError(f"{word}: would ask something else than the router does; it takes {takes}")
    if not router.orders_are_given and not any(word.startswith("order.") for word in assignments):
        raise ConfigError(
            "order.every: the router's orders are of fixed instants; say when they start on other days, such as "
            "order.every=10m order.horizon=10m order.from=09:40 order.to=15:40 order.zone=America/New_York"
        )
    with placed(assignments=assignments):
        return _built(router, source, assignments)


def _built(router: Router, source: str, assignments: Sequence[str] = ()) -> Config:
    tree: dict[str, Any] = {**router.question, "source": source, "grid": {}}
    points = router.points
    varied = []
    for name in router.parameters:
        values = list({_key(point[name]): _value(point[name]) for point in points}.values())
        if name in PARAMETERS or len(values) > 1:
            tree["grid"][name] = values
        else:
            tree[name] = values[0]
        if len(values) > 1:
            varied.append(name)
    if varied:
        tree["search"] = {
            "kind": "list",
            "points": [{name: _value(point[name]) for name in varied} for point in points],
        }
    return build_config(assign(tree, assignments))


def _key(value: object) -> tuple[str, object]:
    return type(value).__name__, value


def _value(value: Any) -> Any:  # noqa: ANN401 - JSON
    return math.inf if value == ".inf" else value


def numbers_of(router: Router, config: Config) -> list[int]:
    """The combination of each of a router's points in its configuration's grid, the champion's first."""
    grid = config.question.grid
    printed = {
        tuple(sorted((name, _key(value)) for name, value in grid.printed(number).items())): number
        for number in range(len(grid))
    }
    names = [axis.name for axis in grid.axes]
    return [
        printed[tuple(sorted((name, _key(_as_printed(name, point[name]))) for name in names))]
        for point in router.points
    ]


def _as_printed(name: str, value: Any) -> Any:  # noqa: ANN401 - JSON
    return float(value) if name in PARAMETERS and value != ".inf" else value


def _rules(config: Config) -> dict[str, Any]:
    """The rules of a configuration, as JSON holds them, without what the router chooses."""
    rules = msgspec.json.decode(msgspec.json.encode(rules_section(config.question)))
    return {name: value for name, value in rules.items() if name not in {*ROUTER, *FIXED}}


def document_of(router: Router) -> str:
    """The text of a router's file."""
    return msgspec.json.format(msgspec.json.encode(router), indent=2).decode()
