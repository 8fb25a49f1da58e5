"""The tables of docs/reference.md that are made of what there is: python -m tools.reference writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET, Struct

from feed.quality import CHECKS
from sweep.config import TABLE, Config, expected_of
from sweep.search import AXES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "reference.md"

MEANING: Final = {
    "source": "where quotes come from: [sources](sources.md)",
    "window.start": "the tape's first instant, included; the data's by default",
    "window.end": "the tape's last instant, included; the data's by default. Of a single tape, both on its UTC date",
    "window.warmup": "before start, this long, rows build the book and no order acts",
    "order.side": "the parent order's side; each side, size and start of lists together is an order",
    "order.size": "its shares",
    "order.start": "when it begins to act; the window's start by default",
    "order.end": "when it ends; the window's end by default",
    "order.horizon": "how long an order lasts, instead of order.end; many orders need it",
    "order.every": "makes an order start so often, from the window's start on",
    "order.from": "with order.every: when the first one starts on each date",
    "order.to": "with order.every: when none starts any more, the last one itself included",
    "order.zone": "whose clocks order.from and order.to go by; UTC by default",
    "policy": "how shares are taken: [what is simulated](simulation.md)",
    "step": "shares of a lot, of `pseudocode` and of `lots_only`",
    "reference": "what `static` measures prices from: the lowest cost displayed, the lowest that our takes have left, "
    "the mid of the moment, or that of the order's start",
    "infeasible": "`pseudocode` without an exact split: act as `static`, or wait",
    "lots_only": "`static` in whole lots of `step`, where lambda_over acts too",
    "participation": "the share of the displayed size of a supply that the router takes at most",
    "schedule": "how much the router may have sent: all, or what the baseline of that name wants to have bought",
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
    "unfilled_penalty": "$/share on top of that value for what stayed unfilled",
    "fees": "a YAML file or a mapping: publisher id, or `default`, to {taker, maker} in $/share, negative for a rebate",
    "latency": "how long a child order is under way: a duration, a list to draw from, or these by publisher id or "
    "`default`, with a `seed`",
    "grid.policy": "values of the key of that name, a choice of the router's: [axes](axes.md)",
    "grid.reference": "the same",
    "grid.participation": "the same",
    "grid.schedule": "the same",
    "grid.liquidity": "values of the key of that name, of the market: what is best is found for each",
    "grid.fees": "the same, as tables by name",
    "grid.latency": "the same, as durations, or as latencies by name",
    "grid.depth": "the same",
    "grid.max_age": "the same",
    "grid.uncross": "the same",
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
    "feed.max_bad": "malformed messages that are put aside instead of ending the run",
    "feed.quarantine": "the file that they are put into, one JSON line each",
    "feed.wait": "how long to wait, as long as nothing new comes, for a replay to begin or to end",
    "feed.deadline": "a source that is still being read then is an error",
    "feed.max_bytes": "decompressed bytes that are read: 16 GiB, and unless set no more memory than 704 MiB for a "
    "source of up to 4 MB, 320 times its size for a larger one",
    "feed.foreign": "read messages without our headers: each once, but nothing proves that none is missing",
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
            yield key, field.type, field.default


def _text(value: Any) -> str:
    if value in (None, [], ()):
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


def page(text: str) -> str:
    """Put the tables between their marks in a page."""
    for mark, table in TABLES.items():
        before, _, rest = text.partition(mark)
        _, _, after = rest.partition(END)
        text = f"{before}{mark}\n{table()}\n{END}{after}"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
