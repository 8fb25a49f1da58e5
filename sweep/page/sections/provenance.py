"""Provenance: what was read, by which rules and code it was simulated, where, and how to do it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from feed.console import mask_secrets
from sweep.page.command import asking_again, masked, verifying
from sweep.page.element import element
from sweep.page.layout import folded, section, table
from sweep.page.names import plural, tape, tapes, venue
from sweep.page.numbers import NONE, decimal, label, whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sweep.page.element import Element
    from sweep.page.reading import Run

UNITS: Final[Mapping[str, str]] = {
    "warmup_s": "s",
    "max_age_s": "s",
    "latency_s": "s",
    "taker_fees": "$ per share",
    "maker_fees": "$ per share",
    "unfilled_penalty": "$ per share",
    "step": "shares",
    "stub_band": "of the price",
    "leftover_band": "of the price",
    "participation": "of what is displayed",
    "catch_up": "times the schedule",
    "samples": "past windows",
}
"""Of the rules that have one."""

LISTED: Final = 40
"""Tapes, or partitions, that are listed at most."""

SHORT: Final = 16
"""Digits of a digest where many are listed."""


def provenance(run: Run) -> Element:
    """What the figures rest on."""
    each = tapes(run.document)
    return section(
        "provenance",
        "Provenance",
        *_again(run),
        element("h3", {}, "What was read"),
        _table(("What", "Value"), _read(run), "What was read"),
        folded(f"Each of {plural(len(each), 'tape')}", *_each_tape(each)) if len(each) > 1 else None,
        element("h3", {}, "Rules of the simulation"),
        _halves(
            ("Rule", "Value"), list(_rules(mask_secrets(run.document.get("rules") or {}))), "Rules of the simulation"
        ),
        element("h3", {}, "Code and machine"),
        _table(("What", "Value"), _code(run), "Code and machine"),
        folded("Time spent, by phase", _phases(run)) if _seconds(run) else None,
        folded("Files of the run, with their SHA-256", _files(run)),
        lead=_lead(run),
    )


def _lead(run: Run) -> str:
    feed, depth = run.document["feed"], run.document["feed"].get("depth") or {}
    several = plural(len(tapes(run.document)), "tape")
    total = _seconds(run).get("total")
    took = "" if total is None else f" and took {decimal(total, 1)}\N{NO-BREAK SPACE}s"
    return (
        f"Run {run.manifest.id} read {whole(feed.get('snapshots'))} snapshots of {plural(len(depth), 'venue')} "
        f"({several}, {feed['symbol']}){took}."
    )


def _again(run: Run) -> Iterator[Element | None]:
    """The commands that do it again, and what has to be known about them."""
    command = asking_again(run.config)
    yield element("h3", {}, "Do it again")
    if command is None:
        yield element(
            "p",
            {},
            "No command can ask this question: its source was a table in memory, or its keys do not fit on a command "
            "line. They are in manifest.json, under config.",
        )
    else:
        yield element("p", {}, "This command computes the run anew and prints the same figures:")
        yield element("pre", {"tabindex": "0", "aria-label": "Command that computes the run anew"}, command)
    for remark in _remarks(run):
        yield element("p", {"class": "note"}, remark)
    yield element("p", {}, "This one reads the data again and recomputes the stored answer and a sample of its rows:")
    yield element("pre", {"tabindex": "0", "aria-label": "Command that verifies the stored run"}, verifying(run.home))


def _remarks(run: Run) -> Iterator[str]:
    if masked(run.config):
        yield "What may be a secret is masked by ... in it: put it back before you run it."
    if run.config.source == "-":
        yield "The source was standard input: give it the same stream."
    if run.config.search.seconds is not None:
        yield "The search was limited by time, so that it may look at other combinations on another machine."
    if (run.manifest.revision or "").endswith("+"):
        yield "Files of the checkout were changed since its commit: the hash of the sources below is what ran."


def _read(run: Run) -> Iterator[tuple[str, str]]:
    """Where the data came from, and what of them was used."""
    feed = run.document["feed"]
    first, window = tapes(run.document)[0], feed["window"]
    yield "Source", f"{feed['source']}: {feed['place']}"
    if feed.get("topic") is not None:
        yield "Topic", feed["topic"]
    if feed.get("replay") is not None:
        yield "Replay", feed["replay"]
    spans = feed.get("partitions") or []
    shown = [f"{each['partition']}: {each['start']:,} to {each['end'] - 1:,}" for each in spans[:LISTED]]
    if spans:
        more = f"; and {plural(len(spans) - LISTED, 'more partition')}" if len(spans) > LISTED else ""
        yield "Offsets by partition", f"{'; '.join(shown)}{more}"
    if feed.get("messages") is not None:
        yield "Messages", whole(feed["messages"])
    yield "Digest of the rows", feed["digest"]
    yield "Symbol", feed["symbol"]
    yield "Window, UTC", f"{window['start']} to {window['end']}"
    warmup = (run.document.get("rules") or {}).get("warmup_s")
    if warmup:
        yield "Quotes before it", f"up to {decimal(warmup, 0)} s, which only build the book"
    depth = feed.get("depth") or {}
    yield "Venues (levels)", ", ".join(f"{venue(int(each))}: {levels}" for each, levels in depth.items()) or NONE
    counts = (f"{whole(feed.get(name))} {name}" for name in ("snapshots", "rows", "trades"))
    yield "Counts", ", ".join(counts)
    for note in first.get("notes") or feed.get("notes") or []:
        yield "Format", note


def _each_tape(each: Any) -> Iterator[Element]:  # noqa: ANN401 - a sequence of the document's sections
    rows = [
        (tape(one), *(whole(one.get(name)) for name in ("snapshots", "rows", "trades")), one["digest"][:SHORT])
        for one in each[:LISTED]
    ]
    yield table(("Tape", "Snapshots", "Rows", "Trades", f"Digest, first {SHORT} digits"), rows, "Tapes that were read")
    if len(each) > LISTED:
        more = plural(len(each) - LISTED, "more tape")
        yield element("p", {"class": "note"}, f"{more}: in result.json, under feed.tapes.")


def _rules(rules: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in rules.items():
        unit = UNITS.get(name)
        yield name, f"{_rule(value)} {unit}" if unit and value not in (None, {}) else _rule(value)


def _rule(value: Any) -> str:  # noqa: ANN401 - JSON
    """A rule's value; ids of venues with their names, lists and tables on one line."""
    if isinstance(value, dict):
        by_venue = "default" in value  # else by the names of an axis
        parts = (f"{_party(name) if by_venue else name} {_nested(each)}" for name, each in value.items())
        return ", ".join(parts) or NONE
    if isinstance(value, list):
        return " or ".join(map(_rule, value)) or NONE
    if isinstance(value, float):
        return decimal(value, 9).rstrip("0").rstrip(".")
    return label(value)


def _nested(value: Any) -> str:  # noqa: ANN401 - JSON
    return f"({_rule(value)})" if isinstance(value, dict | list) else _rule(value)


def _party(name: str) -> str:
    return venue(int(name)) if name.isascii() and name.isdigit() and len(name) < SHORT else name


def _code(run: Run) -> Iterator[tuple[str, str]]:
    manifest, ran, host = run.manifest, run.document.get("run") or {}, run.manifest.host
    yield "Run", manifest.id
    yield "Begun, UTC", manifest.created
    if manifest.finished is not None:
        yield "Finished, UTC", manifest.finished
    yield "Hash of the question", manifest.config_hash
    yield "Hash of the sources", manifest.sources_hash
    yield "Revision", manifest.revision or "none: not run from a checkout"
    yield "Versions", ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    for each in ran.get("plugins") or []:
        yield f"Plug-in, {each['kind']} {each['name']}", f"{each['distribution']} {each['version']}, {each['sources']}"
    parts = [str(host[name]) for name in ("cpu", "machine", "system") if host.get(name)]
    if host.get("cpus"):
        parts.insert(1, plural(int(host["cpus"]), "CPU"))
    yield "Machine of the driver", ", ".join(parts) or NONE
    if ran:
        where = f" at {ran['address']}" if ran.get("address") else ""
        yield "Executor", f"{ran.get('executor')}{where}, {plural(int(ran.get('workers') or 0), 'worker')}"
        yield "Kernel", str(ran.get("kernel"))
        yield "Simulated", f"{whole(ran.get('simulated'))} rows in {plural(int(ran.get('chunks') or 0), 'chunk')}"


def _seconds(run: Run) -> Mapping[str, float]:
    seconds: Mapping[str, float] = (run.document.get("run") or {}).get("seconds") or {}
    return seconds


def _phases(run: Run) -> Element:
    rows = [(name, decimal(seconds, 3)) for name, seconds in _seconds(run).items()]
    return table(("Phase", "Seconds"), rows, "Seconds by phase")


def _files(run: Run) -> Element:
    rows = [(name, element("code", {}, digest)) for name, digest in run.manifest.files.items()]
    return table(("File", "SHA-256"), rows, "Files of the run")


def _table(columns: Sequence[str], pairs: Iterable[tuple[str, str]], caption: str) -> Element:
    """Rows of a name and a value that wraps where it is long."""
    rows = ((name, element("code", {}, value)) for name, value in pairs)
    return element("div", {"class": "pairs"}, table(columns, rows, caption))


def _halves(columns: Sequence[str], pairs: Sequence[tuple[str, str]], caption: str) -> Element:
    """The same, side by side where there is room."""
    middle = -(-len(pairs) // 2)
    parts = [pairs[:middle], pairs[middle:]]
    named = (f"{caption}, part {at} of 2" for at in (1, 2))
    tables = (_table(columns, part, name) for part, name in zip(parts, named, strict=True) if part)
    return element("div", {"class": "halves"}, *tables)
