"""Warnings about a result's figures, as plain lines for stderr and the document."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields
from math import prod
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from msgspec import UNSET

from allocator.baselines import MINUTE
from allocator.money import INFINITE, NANO, rounded
from allocator.placement.cost import ASSUMPTIONS
from feed.instants import format_instant, session_open
from feed.markets import FEE_CAPS, beyond, elsewhere, rule_on, session_on
from feed.publishers import in_us_equities
from feed.tape import DAY
from sweep.config import sampler_of
from sweep.plugins import POLICY, policy_named
from sweep.search import in_dollars

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from allocator.order import Execution, Order
    from sweep.config import Fees, Question
    from sweep.progress import Progress
    from sweep.reduce import Best
    from sweep.search import Grid, Label
    from sweep.statistics import Orders, Total
    from sweep.tapes import Facts
    from sweep.tasks import Around

BLANK: Final = 10
"""Percent of TWAP's slices that may lack a quote; with more, a saving against it means nothing."""

DEAR_FEE: Final = NANO // 100
"""1e-9 $ a share, together with `DEAR_SHARE` basis points of the price: no US exchange takes so much."""
DEAR_SHARE: Final = 10

FAR: Final = 10
"""Percent from the arrival price beyond which the average fill looks like a stub."""

WIDE: Final = 100
"""Basis points beyond the mid at the time of the fills beyond which their average does."""

DRIFT: Final = 1
"""Basis points of timing that are worth a warning where they are most of a saving."""


def could_act(around: Around) -> bool:
    """Whether TWAP had a quote in almost all of its slices."""
    return 100 * (around.slices - around.quoted) <= BLANK * around.slices


def before(question: Question, orders: Orders, tapes: Sequence[Facts], number: int, around: Around) -> Iterator[str]:
    """What is odd about the question on one tape, known before the simulation; of several tapes it names the one."""
    own, facts, variants = orders.on_tape(number), tapes[number], question.variants
    label = f"{facts.label}: " if len(tapes) > 1 else ""
    fees: list[tuple[Fees, str]] = []
    for world, market in enumerate(variants.worlds):
        name = "fees" if "fees" not in market.point else f"grid.fees.{market.point['fees']}"
        table = variants.of_world(world).settings.fees
        if all(table != other for other, _ in fees):
            fees.append((table, name))
    for lines in (
        _session(question, own.orders[0], facts),
        _clock(own, facts, around),
        _crossing(question, facts),
        *(_fees(table, name, facts, around) for table, name in fees),
    ):
        yield from (label + line for line in lines)


def left_out(orders: Orders, tapes: Sequence[Facts]) -> Iterator[str]:
    """Tapes and orders that were asked for and are not made, on all tapes together."""
    yield from orders.skipped
    if orders.left_out:
        window = f"the window, {format_instant(tapes[0].start)} to {format_instant(tapes[0].end)}"
        yield (
            f"{orders.left_out:,} of {orders.left_out + len(orders):,} orders are left out: they do not lie inside "
            f"{window if len(tapes) == 1 else 'the window of their tape'}"
        )


WITHOUT: Final[dict[str, Label]] = {"participation": 1.0, "schedule": "now"}
"""Keys of every router but `placement`, and the values that ask for nothing."""


def unheeded(question: Question) -> Iterator[str]:
    """Where a cap or a schedule is asked of a policy that has none: its figures would be read as if it had."""
    tried = {axis.name: axis.labels for axis in question.grid.further}
    asked = {name: tried.get(name, (getattr(question.config, name),)) for name in WITHOUT}
    names = [name for name, labels in asked.items() if any(label != WITHOUT[name] for label in labels)]
    if question.variants.placing and names:
        yield (
            f"policy=placement has no {' and no '.join(names)}: each slice is sent as the model decides, "
            "up to all that is displayed"
        )
    for plugin in question.plugins:
        if plugin.kind != POLICY.noun:
            continue
        own = {field.name for field in fields(policy_named(plugin.name))}
        if lacking := [name for name in names if name not in own]:
            yield f"policy={plugin.name} has no {' and no '.join(lacking)}: it decides as if that was not asked for"


def learned(question: Question) -> Iterator[str]:
    """What a search that learns leaves open, as it went where these quotes were kind."""
    sampler = sampler_of(question.config)
    if sampler is not None and sampler.learns:
        apart = f" validate={question.config.validate} holds no block out of it;" if question.validation else ""
        yield (
            f"search.kind={question.config.search.kind} went where costs on all of these orders led it:{apart} what is "
            f"said of chance counts the {len(question.grid):,} combinations that it looked at, not those that it "
            "passed by; judge the best on other days"
        )


def _session(question: Question, order: Order, facts: Facts) -> Iterator[str]:
    """Where nothing says when an order starts, and the source begins before the regular session."""
    parents = question.orders
    window, clock = question.window, parents.clock
    by_clock = clock is not None and (clock.opens or clock.first is not None)
    asked = window.opens or window.start is not None or parents.starts or by_clock
    if not asked and in_us_equities(facts.venues):
        opens = session_open(order.start)
        if order.start < opens:
            yield (
                f"the order starts with the source, at {format_instant(order.start)}, before the regular session; "
                f"set window.start={format_instant(opens)}, or order.start to what you mean"
            )


def _clock(orders: Orders, facts: Facts, around: Around) -> Iterator[str]:
    """Where an order lasts longer than its quotes: schedules pile up on the first quote, or end early."""
    if around.first is None or around.last is None:
        return
    start, end = orders.orders[0].start, orders.orders[-1].end
    first, last = ("the order", "the order") if len(orders) == 1 else ("the first order", "the last order")
    if start < around.first - MINUTE:
        yield f"{first} starts {(around.first - start) / 1e9:,.0f} s before the first quote"
    if end > around.last + MINUTE:
        yield f"{last} ends {(end - around.last) / 1e9:,.0f} s after the last quote{_closed(facts, end)}"


def _closed(facts: Facts, end: int) -> str:
    """That US exchanges had closed before an instant, and how to end there; "" where they had not, or nobody knows."""
    if in_us_equities(facts.venues):
        with suppress(ValueError):
            closes = session_on(facts.start // DAY).closes
            if closes < end:
                return f"; the regular session ended at {format_instant(closes)}, and window.end=session ends there"
    return ""


def _crossing(question: Question, facts: Facts) -> Iterator[str]:
    """Crossed quotes that are hidden, on a market where no rule says that they are late ones."""
    hidden = facts.quality["book"]["uncrossed_quotes"]
    if (
        hidden
        and question.config.uncross is UNSET
        and "uncross" not in question.config.grid
        and elsewhere(facts.venues)
    ):
        yield (
            f"{hidden:,} quotes that cross newer ones are hidden: on US exchanges such a quote is a late one, here it "
            "may be a real one, which uncross=false keeps"
        )


def _fees(fees: Fees, key: str, facts: Facts, around: Around) -> Iterator[str]:
    """Fees that look as if they were not dollars per share, and those that no exchange may charge."""
    fee_by_name = {str(venue): fee for venue, fee in fees.venues.items() if venue in facts.venues}
    if len(fee_by_name) < len(facts.venues):
        fee_by_name = {"default": fees.default, **fee_by_name}
    price = around.arrival2
    above: dict[int, list[str]] = {}
    for name, fee in fee_by_name.items():
        dear = abs(fee) > DEAR_FEE and 20_000 * abs(fee) > DEAR_SHARE * price
        if dear or 200 * abs(fee) > price > 0:
            share = f", {rounded(20_000 * fee, price, 0):,.0f} bps of {price / 2 / NANO:,.2f} $" if price else ""
            why = ", not in basis points" if dear else "; below 1 $ exchanges charge a part of the price instead"
            yield f"{key}.{name}.taker is {in_dollars(fee)} $ a share{share}; fees are in dollars per share{why}"
        elif name == "default" or not elsewhere([int(name)]):
            above.setdefault(fee, []).append(name)
    cap = None if elsewhere(facts.venues) == facts.venues else rule_on(FEE_CAPS, format_instant(facts.start)[:10])
    if cap is None or not price:
        return
    most = cap.amount if price >= 2 * NANO else price * cap.parts // (2 * 10**6)
    for fee, names in above.items():
        if fee > most:
            yield (
                f"{key}.{','.join(names)}.taker is {in_dollars(fee)} $ a share: US exchanges may charge "
                f"{in_dollars(most)} $ at {price / 2 / NANO:,.2f} $ on {format_instant(facts.start)[:10]} (rule 610(c))"
                f"{f'; {late}' if (late := beyond(facts.start)) else ''}"
            )


def after(
    orders: Orders,
    grid: Grid,
    best: Best,
    totals: Mapping[str, Total],
    parts: dict[str, Any] | None,
    around: Around,
) -> Iterator[str]:
    """What is odd about the answer.

    Parameters
    ----------
    orders : Orders
    grid : Grid
    best : Best
    totals : mapping of str to Total
        The baselines and ``optimized``.
    parts : dict, optional
        The document's `shortfall`.
    around : Around
    """
    runs = {name: run.execution for name, run in totals.items()}
    size = sum(order.size for order in orders.orders)
    if not could_act(around):
        blank, missing = around.slices - around.quoted, runs["twap"].unfilled
        shares_left = f" and left {missing:,} of {size:,} shares unfilled" if missing else ""
        yield (
            f"twap had no quote in {blank:,} of its {around.slices:,} slices{shares_left}: "
            "what is saved against it is no saving; set order.start and order.end to where there are quotes"
        )
    unfilled: dict[tuple[int, int], list[str]] = {}
    for name, run in runs.items():
        if run.unfilled and (name != "twap" or could_act(around)):
            unfilled.setdefault((run.unfilled, run.unfilled_value), []).append(name)
    for (shares, value), names in unfilled.items():
        yield (
            f"{', '.join(names)}: {shares:,} of {size:,} shares stayed unfilled; "
            f"{rounded(value, NANO, 2):,.2f} $ of the total cash is their valuation, not a trade"
        )
    yield from _grid(grid, best)
    gain = totals["best_ask"].signed_cash - totals["optimized"].signed_cash
    if gain < 0:
        yield (
            f"the best combination loses {rounded(-gain, NANO, 2):,.2f} $ to best_ask: "
            "no combination of this grid beats a router without parameters"
        )
    if len(orders) == 1:
        yield from _far(orders.orders[0], runs["optimized"], parts, around)
    yield from _drift(parts, orders)


MOSTLY_THROUGH: Final = 50
"""Percent of the passive shares, from which on a warning says that they were filled by prices that went through."""


def placed(section: Mapping[str, Any] | None, market: Mapping[str, Label] | None = None) -> Iterator[str]:
    """What speaks against the decisions of the policy `placement`.

    Parameters
    ----------
    section : mapping, optional
        The document's.
    market : mapping, optional
        Of which world it is, where there are several.
    """
    if section is None:
        return
    where = f"placement, {named(market)}" if market else "placement"
    decisions, calibration, rho = section["decisions"], section["calibration"], section["queues"]["rho"]
    if rho is not None:
        yield (
            f"a tape shows no trades of these venues: of each decrease of a queue there, rho={rho:g} is taken to have "
            "been traded, and decides which limit orders fill"
        )
    if decisions["fallback"]:
        yield (
            f"{where}: {decisions['fallback']:,} of {decisions['slices']:,} slices were decided as static does, as "
            "fewer than 30 windows came before in which a limit order could rest where posting says (too short a "
            "warm-up, or nothing is displayed there), or the book was one-sided; see window.warmup and posting"
        )
    decided = decisions["slices"] - decisions["fallback"]
    for name, count in section["violations"].items():
        if count:
            yield (
                f"{where}: {name} does not hold in {count:,} of {decided:,} decisions ({ASSUMPTIONS[name]}); there the "
                "model posts nothing, or as much as it may (docs/model.md)"
            )
    if calibration["no_better"]:
        yield f"{where}: {calibration['sentence']}"
    if (through := section["limit_orders"]["through_percent"]) is not None and through >= MOSTLY_THROUGH:
        yield (
            f"{where}: {through:.0f} % of the passive shares are filled because the price went through theirs, which "
            "fills a limit order whole, however little traded there; orders that are large beside what trades look "
            "better than they are"
        )


def across(worlds: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Where the answer hangs on what is assumed of the market; takes the document's `worlds`."""
    first, *others = worlds
    shares = {world["market"].get("rho") for world in worlds}
    queues = [world["placement"]["queues"] for world in worlds if world.get("placement")]
    if len(shares) > 1 and queues and all(each["rho"] is None for each in queues):
        yield "grid.rho: every tape shows trades of these venues, so that rho plays no part and its worlds are the same"
    own = first["first_best"]
    gained = None if own is None else own["savings_vs_baselines_bps"]["best_ask"]
    for world in others:
        same = world["first_best"]
        here = None if same is None else same["savings_vs_baselines_bps"]["best_ask"]
        if gained is not None and here is not None and np.sign(gained) != np.sign(here):
            yield (
                f"the answer hangs on the market: what is best with {named(first['market'])} saves {gained:,.2f} bps "
                f"in sample against best_ask, and {here:,.2f} bps with {named(world['market'])}"
            )


def named(market: Mapping[str, Any]) -> str:
    """A world in words."""
    return ", ".join(f"{name}={value}" for name, value in market.items())


def _grid(grid: Grid, best: Best) -> Iterator[str]:
    """Where the grid says little: all combinations tie, or the best may lie beyond it."""
    objective = best.objective
    ties, of = objective["best_ties"], objective["combinations"]
    # with conditions the axes do not span all that is left
    inert = prod(len(axis) for axis in grid.axes if axis.name in objective["inert"]) if grid.kept is None else 1
    if objective["flat"] and of > 1:
        yield f"all {ties:,} combinations give the same result: no parameter of this grid matters here"
    elif ties > inert:
        yield f"{ties:,} of {of:,} combinations tie for the best; best_parameters is the first of them"
    point = grid.point(best.combination)
    for name, end in best.ends.items():
        if point[name] not in (0, INFINITE):  # nothing is below 0, or above .inf
            yield f"{name}: the best value {in_dollars(point[name])} is the {end} of its axis; widen grid.{name}"


def _far(order: Order, optimized: Execution, parts: dict[str, Any] | None, around: Around) -> Iterator[str]:
    """An average price far beyond the mid at the time of the fills, which a move of the market does not explain."""
    shares = optimized.filled
    paid, arrived = 2 * (optimized.cash_filled - order.sign * optimized.fees), shares * around.arrival2
    if not arrived or parts is None:
        return
    beyond = 20_000 * NANO * parts["optimized"]["spread"] / arrived
    if beyond <= WIDE:
        return
    if 100 * abs(paid - arrived) > FAR * arrived:
        yield (
            f"the best combination fills at {rounded(paid, 2 * shares * NANO, 2):,.2f} $ on average before fees, "
            f"{rounded(100 * abs(paid - arrived), arrived, 0):,.0f} % from the arrival price of "
            f"{rounded(around.arrival2, 2 * NANO, 2):,.2f} $: look for stub quotes (stub_band)"
        )
    else:
        yield (
            f"the best combination pays {beyond:,.0f} bps beyond the mid on average: "
            "the quotes that it takes are wide, or stubs (stub_band)"
        )


def _drift(parts: dict[str, Any] | None, orders: Orders) -> Iterator[str]:
    """Savings that are mostly a move of the market between the fills."""
    savings = parts["savings_parts_bps"] if parts else {}
    mostly = [
        f"{name} ({saved['timing']:,.2f} of {saved['total']:,.2f})" for name, saved in savings.items() if _drifts(saved)
    ]
    sides = {side for side, _ in orders.cells}
    other_side = f", and a {'sell' if 'buy' in sides else 'buy'} over the same data shows it with the other sign"
    if mostly:
        yield (
            f"timing is most of the bps saved against {', '.join(mostly)}: the market moved between the fills"
            f"{other_side if len(sides) == 1 else ''}"
        )


def _drifts(saved: dict[str, Any]) -> bool:
    """Whether timing is most of a saving, or of a loss."""
    total, timing = saved["total"], saved["timing"]
    return (
        saved["comparable"]
        and timing is not None  # no cash, or a bound
        and abs(timing) >= DRIFT
        and total * timing > 0
        and 2 * abs(timing) >= abs(total)
    )


def tell(document: Mapping[str, Any], progress: Progress) -> None:
    """Print the warnings of a stored document; it is input, which anybody may have written."""
    lines = document.get("warnings")
    for line in lines if isinstance(lines, list) else []:
        progress.warn(f"warning: {line}")
