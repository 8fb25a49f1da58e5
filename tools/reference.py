"""The tables of docs/reference.md and docs/markets.md, of what there is: python -m tools.reference writes them."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET, Struct

from feed.markets import CROSSINGS, FEE_CAPS, ROUND_LOTS, SCENARIOS, TICKS, VENUES, fees_of
from feed.quality import CHECKS
from sweep.config import TABLE, Config, expected_of
from sweep.search import AXES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "reference.md"

MEANING: Final = {
    "source": "where quotes come from: [sources](sources.md)",
    "window.start": "the tape's first instant, included; the data's by default; `session`: when the date's regular "
    "session opens",
    "window.end": "the tape's last instant, included; the data's by default. Of a single tape, both on its UTC date; "
    "`session`: when it closes. `window=session` sets both: [markets](markets.md#sessions)",
    "window.warmup": "before start, this long, rows build the book and no order acts; 1800s where `placement` is tried",
    "order.side": "the parent order's side; each side, size and start of lists together is an order",
    "order.size": "its shares",
    "order.start": "when it begins to act; the window's start by default",
    "order.end": "when it ends; the window's end by default",
    "order.horizon": "how long an order lasts, instead of order.end; many orders need it",
    "order.every": "makes an order start so often, from the window's start on",
    "order.from": "with order.every: when the first one starts on each date; `session`: at the open",
    "order.to": "with order.every: when none starts any more, the last one itself included; `session`: after the close",
    "order.zone": "whose clocks order.from and order.to go by; UTC by default",
    "policy": "how shares are taken: [what is simulated](simulation.md)",
    "switches": "of a policy that a plug-in brings, by the names of its fields: [plug-ins](extending.md#a-policy)",
    "step": "shares of a lot, of `pseudocode` and of `lots_only`",
    "reference": "what `static` measures prices from: the lowest cost displayed, the lowest that our takes have left, "
    "the mid of the moment, or that of the order's start",
    "infeasible": "`pseudocode` without an exact split: act as `static`, or wait",
    "lots_only": "`static` in whole lots of `step`, where lambda_over acts too",
    "participation": "the share of the displayed size of a supply that the router takes at most",
    "schedule": "how much the router may have sent: all, or what the baseline of that name wants to have bought",
    "slice": "of `placement`: how long a decision holds, 5 s to 24 h; limit orders that are open then are cancelled",
    "posting": (
        "of `placement`: limit orders rest at the best price of their side, 0.01 $ better (0.0001 $ below 1 $), "
        "or N levels behind"
    ),
    "at_T": "of `placement`: what a slice misses at its end is left to the next one, or bought",
    "samples": "of `placement`: past outflows that a decision looks at, 30 to 5,000; with fewer than 30 it is `static`",
    "adverse": "of `placement`: what passive fills lose to the mid afterwards: as measured before, or nothing",
    "condition": "of `placement`: which past outflows count: all, or those of a like queue, volume or both",
    "catch_up": "of `placement`: how much of the measured cost of catching up lambda_under has beside it",
    "conventions": "`fair`, or `classic`: the published study with its faults; sets defaults",
    "book": "a quote stands until its venue publishes again, or for its instant only",
    "uncross": "hide a stale quote that crosses a newer one",
    "stub_band": "hide quotes farther than this share from the best or, alone, from the last mid; null for none",
    "max_age": "hide quotes older than this; null for none",
    "liquidity": "taken shares stay taken until the venue's price changes, or until it publishes",
    "leftover": "at the end: sweep what is available, or value all that is missing at the last ask",
    "leftover_band": "`sweep` takes up to this share above the lowest ask, the rest is valued there; null for no bound",
    "baseline": "as what twap, vwap and pov buy what is due: `best_ask` waits at the lowest ask displayed, "
    "`best_available` takes the lowest that is left",
    "baselines": "of plug-ins, beside those that are built in: [plug-ins](extending.md#a-baseline)",
    "unfilled_penalty": "$/share on top of that value for what stayed unfilled",
    "fees": "a YAML file, a scenario or a mapping: publisher id, MIC or name of a venue, or `default`, to "
    "{taker, maker} in $/share, negative for a rebate: [markets](markets.md#fees)",
    "latency": "how long a child order is under way: a duration, a list to draw from, or these by publisher id or "
    "`default`, with a `seed`",
    "phi": "of `placement`: the share of what is cancelled at a price that was ahead of us; `neutral`: as much as of "
    "the queue was",
    "rho": "of `placement`: the share of a decrease of size at a price that was traded, where the source has no "
    "trades; what `python -m tools.traded_share` measures on one that has",
    "calendar": "whose regular sessions `session` means: [markets](markets.md#sessions)",
    "grid.policy": "values of the key of that name, a choice of the router's: [axes](axes.md)",
    "grid.reference": "the same",
    "grid.participation": "the same",
    "grid.schedule": "the same",
    "grid.slice": "the same",
    "grid.posting": "the same",
    "grid.at_T": "the same",
    "grid.samples": "the same",
    "grid.adverse": "the same",
    "grid.condition": "the same",
    "grid.catch_up": "the same",
    "grid.liquidity": "values of the key of that name, of the market: what is best is found for each",
    "grid.fees": "the same, as tables by name",
    "grid.latency": "the same, as durations, or as latencies by name",
    "grid.depth": "the same",
    "grid.max_age": "the same",
    "grid.uncross": "the same",
    "grid.phi": "the same",
    "grid.rho": "the same",
    "grid.lambda_over": "$/share; a range is `{start, stop, num, scale: linear or log}`, both ends; `.inf` allowed",
    "grid.lambda_under": "the same",
    "grid.theta_queue": "the same",
    "where": "conditions between axes, such as `lambda_over < lambda_under`; what one drops is never numbered",
    "search.kind": "which combinations of the grid are looked at: all of them, or a part: [search](search.md)",
    "search.points": "of `list`: each a mapping of axes to a value",
    "search.combinations": "how many are looked at, at most; `zoom` may go without",
    "search.seconds": "no round of the search begins later than this; what is looked at then depends on the machine",
    "search.seed": "another one chooses other combinations",
    "search.prune": "of several tapes, leave combinations out of later ones that are proven not to be the best",
    "symbol": "which symbol, where the source has several; the only one by default",
    "replay": "which replay of a topic; the newest complete one by default",
    "venues": "publisher ids to keep; all by default. Rows of others are left out and counted",
    "depth": "levels of a side that are read and traded on, 1 to 10; by default as many as the source has, and 1 under "
    "`classic` or with `feed.foreign`: [depth](simulation.md#depth)",
    "tapes.skip_empty": "of several tapes, leave out the empty ones: [which these are](orders.md#days-without-quotes)",
    "quotes.format": "a vendor's [layout](sources.md); by default it is seen from the file",
    "quotes.delimiter": "between the fields of a row of text; a comma by default",
    "quotes.decimal": "before the fraction of a number of text: a comma, as in 157,23, needs another delimiter",
    "quotes.only": "rows that are read, where a table holds others too; those are counted as `other_kind`",
    "quotes.time": "the column of instants: [how a table of yours is read](mapping.md)",
    "quotes.time_unit": "ISO 8601 text, a time of day, or a number since 1970 (with `quotes.date`: since midnight); "
    "text and nanoseconds by default",
    "quotes.zone": "of times that name none; there is no default",
    "quotes.date": "of times of day",
    "quotes.date_order": "of dates that are no ISO 8601, such as 8/1/2024: which part comes first",
    "quotes.symbol": "names the symbol of each row; without it the table holds one",
    "quotes.venue": "names the venue of each row",
    "quotes.venues": "how that is read: any, id, mic, name, taq, lean, sip, databento, tardis, or what each text means",
    "quotes.at": "the venue of all rows, where no column names one",
    "quotes.sequence": "the venue's message number; the order of the rows stands in",
    "quotes.bid_px": "of rows that hold both sides: prices",
    "quotes.ask_px": "the same",
    "quotes.bid_sz": "sizes",
    "quotes.ask_sz": "the same",
    "quotes.side": "of rows that hold one level of one side: which side",
    "quotes.px": "its price",
    "quotes.sz": "its size; 0 takes the level away",
    "quotes.level": "its level, from 0 or 1; without it the best, or of snapshots by price",
    "quotes.bid": "what `quotes.side` holds for a bid; B, bid, buy by default",
    "quotes.ask": "the same for an ask; A, ask, S, sell, O, offer by default",
    "quotes.price_unit": "of prices; whole numbers without it are refused",
    "quotes.size_unit": "of sizes: shares, round lots of date and price, lots of N shares, or what one share of the "
    "tape stands for, such as 1e-6 of a coin",
    "quotes.rows": "whether what is not named at an instant stands (`updates`, the default), or is gone",
    "quotes.prices": "whether prices below 0 are refused, or taken as no quotes and counted",
    "quotes.symbols": "what tapes are called, by the symbol in a vendor's file",
    "quotes.sizes": "of a vendor's file: refuse a size that is no multiple of the unit, or show what is whole of it",
    "quotes.stamps": "of a vendor's file that has both: when a message arrived, or when the exchange sent it",
    "feed.max_bad": "malformed messages that are put aside instead of ending the run",
    "feed.quarantine": "the file that they are put into, one JSON line each",
    "feed.wait": "how long to wait, as long as nothing new comes, for a replay to begin or to end",
    "feed.deadline": "a source that is still being read then is an error",
    "feed.max_bytes": "decompressed bytes that are read: 16 GiB, and unless set no more memory than 704 MiB for a "
    "source of up to 4 MB, 320 times its size for a larger one",
    "feed.foreign": "read messages without our headers, of our fields or by `quotes`: "
    "[messages](messages.md); nothing proves that none is missing",
    "kafka.security_protocol": "or SSL, SASL_PLAINTEXT, SASL_SSL: [how](kafka.md#a-broker-that-asks-who-you-are)",
    "kafka.sasl_mechanism": "SCRAM-SHA-256, SCRAM-SHA-512, or PLAIN over SASL_SSL",
    "kafka.sasl_username": "the user",
    "kafka.sasl_password_env": "where the password is: the name of an environment variable",
    "kafka.sasl_password_file": "or the path of a file, of which one newline at the end is no part",
    "kafka.ssl_cafile": "whom to trust; the system's authorities by default",
    "kafka.ssl_certfile": "who we are",
    "kafka.ssl_keyfile": "its key, PEM and not encrypted",
    "kafka.api_version": "the protocol to speak, in quotes; negotiated by default; that of the address wins",
    "kafka.client": "what sends a replay: [clients](kafka.md#what-sends-a-replay); topics are read by kafka-python",
    "validate": "which blocks choose, and which others the document's savings are of: [statistics](statistics.md)",
    "detail": "of which combinations the tables of orders hold each order, beside the best and the baselines",
    "executor": "on Ray, or all in this process",
    "address": "Ray of our own here, or `auto` or `ray://HOST:PORT` to join a cluster: [clusters](cluster.md)",
    "workers": "tasks at once; all CPUs by default",
    "collapse": "simulate combinations once that provably decide alike; no result depends on it",
    "output": "keep the run in DIR/runs/ID: [runs](runs.md)",
}
"""What each key means, in the order of the configuration; every key has its line."""


def _fields(struct: type[Struct], prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Key, type and default of every key, the grid's axes one by one."""
    for field in msgspec.structs.fields(struct):
        key = f"{prefix}{field.encode_name}"
        if isinstance(field.type, type) and issubclass(field.type, Struct):
            yield from _fields(field.type, f"{key}.")
        elif key == "grid":
            yield from ((f"grid.{axis}", field.type, list(kind.default)) for axis, kind in AXES.items())
        else:
            yield key, field.type, {} if field.default is msgspec.NODEFAULT else field.default


def _text(value: Any) -> str:
    if value in (None, [], (), {}):
        return "none"
    text = value if isinstance(value, str) else json.dumps(value)
    return text.replace('"', "")


def _default(key: str, default: Any) -> str:
    """What holds where a key is not given; ``fair | classic`` where the conventions differ."""
    if default is not UNSET:
        return _text(default)
    name = key.rpartition(".")[2]
    fair, classic = (_text(TABLE[convention].get(name)) for convention in ("fair", "classic"))
    return fair if fair == classic else f"{fair} \\| {classic}"


def keys() -> str:
    """The reference of all keys, as a table in Markdown.

    Raises
    ------
    KeyError
        A key whose meaning is not told.
    """
    rows = ["| key | default | expected | meaning |", "|---|---|---|---|"]
    for key, kind, default in _fields(Config):
        expected = expected_of(key, kind)
        if key.startswith("grid."):
            expected = "a number, a list or a range" if default else "a list"
        rows.append(f"| `{key}` | {_default(key, default)} | {expected} | {MEANING[key]} |")
    return "\n".join(rows) + "\n"


def checks() -> str:
    """Every check of a feed, as a table in Markdown."""
    rows = [f"| `{name}` | {level} | {meaning} |" for name, (level, meaning) in CHECKS.items()]
    return "\n".join(["| check | level | counts |", "|---|---|---|", *rows]) + "\n"


TABLES: Final[dict[str, Callable[[], str]]] = {
    "<!-- made by python -m tools.reference: keys -->\n": keys,
    "<!-- made by python -m tools.reference: checks -->\n": checks,
}
"""Each table by the line above it; `END` stands below."""
END: Final = "<!-- end -->\n"


MARKETS: Final = PAGE.with_name("markets.md")


def _dollars(nanos: int) -> str:
    return f"{Decimal(nanos) / 10**9:f} $"


def venues() -> str:
    """Every venue of US equities and beside them, as a table in Markdown; of crypto exchanges a line each."""
    rows = ["| id | MIC | name | letters | Lean | known from | to | note |", "|---|---|---|---|---|---|---|---|"]
    for each in VENUES.values():
        letters, lean = ", ".join(each.taq) or each.tardis, ", ".join(each.lean)
        dates = f"{each.first or ''} | {each.last or ''}"
        rows.append(f"| {each.id} | {each.mic} | {each.name} | {letters} | {lean} | {dates} | {each.note} |")
    return "\n".join(rows) + "\n"


def market_rules() -> str:
    """Ticks, round lots, caps and crossing by date, as a table in Markdown."""
    rows = ["| from | what | rule | source | note |", "|---|---|---|---|---|"]
    for tick in TICKS:
        rule = f"{_dollars(tick.whole)} from 1 $ on, {_dollars(tick.below)} below"
        rows.append(f"| {tick.first} | tick | {rule} | {tick.source} | {tick.note} |")
    for lot in ROUND_LOTS:
        tiers = [f"{shares} up to {_dollars(limit)}" for limit, shares in lot.tiers]
        beyond = f"{lot.beyond} above" if tiers else str(lot.beyond)
        rows.append(f"| {lot.first} | round lot, shares | {', '.join([*tiers, beyond])} | {lot.source} | {lot.note} |")
    for cap in FEE_CAPS:
        rule = f"{_dollars(cap.amount)} a share from 1 $ on, {Decimal(cap.parts) / 10**4:f} % below"
        rows.append(f"| {cap.first} | most for access | {rule} | {cap.source} | {cap.note} |")
    for crossing in CROSSINGS:
        rule = "may be displayed" if crossing.allowed else "may not be displayed: hide them (`uncross`)"
        rows.append(f"| {crossing.first} | locked and crossed quotes | {rule} | {crossing.source} | {crossing.note} |")
    return "\n".join(rows).replace("1970-01-01", "always") + "\n"


def fees() -> str:
    """Every fee scenario, as a table in Markdown."""
    rows = ["| scenario | venue | model | taker | maker | as of | source | note |", "|---|---|---|---|---|---|---|---|"]
    for name, scenario in SCENARIOS.items():
        numbers = f"{scenario.taker} | {scenario.maker} | {scenario.date}"
        rows.append(f"| `{name}` | others | | {numbers} | {scenario.source} | {scenario.about} |")
        table = fees_of(name)
        for each in scenario.venues:
            fee = table[each.mic]
            amounts = f"{fee['taker']:g} | {fee['maker']:g}" if "maker" in fee else f"{fee['taker']:g} |"
            rows.append(f"| | {each.mic} | {each.model} | {amounts} | {each.date} | {each.source} | {each.note} |")
    return "\n".join(rows) + "\n"


OF_MARKETS: Final[dict[str, Callable[[], str]]] = {
    "<!-- made by python -m tools.reference: venues -->\n": venues,
    "<!-- made by python -m tools.reference: market rules -->\n": market_rules,
    "<!-- made by python -m tools.reference: fees -->\n": fees,
}
"""Those of docs/markets.md."""


def page(text: str, tables: Mapping[str, Callable[[], str]] = TABLES) -> str:
    """Put the tables between their marks in a page."""
    for mark, table in tables.items():
        before, _, rest = text.partition(mark)
        _, _, after = rest.partition(END)
        text = f"{before}{mark}\n{table()}\n{END}{after}"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
    MARKETS.write_text(page(MARKETS.read_text(), OF_MARKETS))
