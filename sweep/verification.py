"""Verifies a stored run: reads its data again, and recomputes its answer and a sample of its rows."""

from __future__ import annotations

import json
import random
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.order import FIELDS
from sweep import caveats, tasks
from sweep.answering import answer_of, bests_of, joined_market, markets_of
from sweep.asking import job_of, on_tape, orders_of, tapes_of
from sweep.chunks import Chunk
from sweep.environment import sources_hash
from sweep.errors import ConfigError, WorkersLost
from sweep.executors import Lost
from sweep.plugins import refuse_other
from sweep.progress import Silent
from sweep.pruning import bound
from sweep.reduce import Reduction
from sweep.report import feed_section, order_section, rules_section, search_section
from sweep.result import combinations_frame
from sweep.runs import (
    COMBINATIONS,
    ORDERS,
    VENUES,
    VIEWS,
    config_of,
    plugins_of,
    read_columns,
    read_combinations,
    read_complete,
    read_document,
    read_table,
)
from sweep.sink import KEYS
from sweep.tapes import Phases, open_session
from sweep.views import Timelines, views_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from sweep.answering import Answer, Market
    from sweep.config import Question, Variants
    from sweep.executors import Handle
    from sweep.progress import Progress
    from sweep.reduce import Best
    from sweep.runs import Manifest
    from sweep.search import Grid
    from sweep.statistics import Orders
    from sweep.tapes import Session

SAMPLE = 64
"""Rows that are recomputed by default."""

LISTED = 20
"""Differences that are listed one by one, at most."""

PLACE_ONLY = (
    "source",
    "place",
    "topic",
    "replay",
    "partitions",
    "messages",
    "resent",
    "empty",
    "bad",
    "ignored",
    "notes",
)
"""Keys of the document's section `feed` that say where and how the data was read."""


UNCHECKED = ("failed", "run")
"""Keys of the document that are not recomputed: what failed has no row, and a run is not repeated."""


def verify(
    home: Path | str,
    assignments: Sequence[str] = (),
    progress: Progress | None = None,
    *,
    sample: int = SAMPLE,
    seed: int | None = None,
) -> dict[str, Any]:
    """Check a complete run against its source.

    Parameters
    ----------
    home : Path or str
        Its folder.
    assignments : sequence of str
        KEY=VALUE, only of keys that say where to read and where to run.
    progress : Progress, optional
        Told what happens; silent by default.
    sample : int
        Rows that are recomputed beside the winner, drawn at random; all rows if there are fewer.
    seed : int, optional
        Of the draw; by default a new one each time, which the result names.

    Returns
    -------
    dict
        `identical`, `differs` (stored and recomputed values, at most `LISTED`), the number of `differences`, and what
        was `checked`.

    Raises
    ------
    ConfigError
        The run is not complete, or a file of it cannot be read.
    FeedError
        The source cannot be read.
    """
    home, progress = Path(home), progress or Silent()
    manifest = read_complete(home)
    question = config_of(manifest, assignments).question
    refuse_other(plugins_of(manifest), str(home))
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    checked: dict[str, Any] = {}
    differs = list(_check(home, manifest, question, progress, sample, seed, checked))
    return {
        "run": manifest.id,
        "identical": not differs,
        "differences": len(differs),
        "differs": differs[:LISTED],
        "checked": checked,
        "same_code": manifest.sources_hash == sources_hash(),
    }


def _check(
    home: Path,
    manifest: Manifest,
    question: Question,
    progress: Progress,
    sample: int,
    seed: int,
    checked: dict[str, Any],
) -> Iterator[dict[str, Any]]:
    """What differs, cheapest check first; where files or data differ, nothing is recomputed."""
    checked["files"] = sorted(manifest.files)
    try:
        stored, table = read_document(home, manifest), read_table(home, manifest)
        # earlier versions stored fewer of them
        tables: dict[str, dict[str, Any]]
        names = (ORDERS, VENUES, *VIEWS.values())
        tables = {name: read_columns(home, manifest, name) for name in names if name in manifest.files}
        if COMBINATIONS in manifest.files:
            tables[COMBINATIONS] = _columns(read_combinations(home, manifest))
    except ConfigError as error:
        yield {"what": "file", "where": str(home), "stored": None, "found": str(error)}
        return
    caveats.tell(stored, progress)
    with open_session(question, progress, Phases(progress.say, progress.detail)) as session:
        feed = feed_section(session.tapes.facts)
        checked["digest"] = feed["digest"]
        differences = list(_unequal("digest", feed["place"], manifest.digest, feed["digest"]))
        yield from differences
        if differences:
            return
        orders, grid = orders_of(question, session.tapes), question.grid
        variants, job = question.variants, job_of(question, orders)
        pruned = _pruned(table, stored, grid, orders) if question.config.search.prune else np.empty(0, np.int64)
        incomplete = list(_check_table(table, stored, grid, orders.groups_of, pruned))
        yield from incomplete
        if incomplete:
            return
        markets = [
            markets_of(session.executor, variants, session.tapes.fetch(number).books, on_tape(job, orders, number))
            for number in tapes_of(orders)
        ]
        of_worlds = [joined_market(each) for each in zip(*markets, strict=True)]
        same_code = manifest.sources_hash == sources_hash()
        reduction = Reduction.of(table, job.classes, orders.signs)
        bests = bests_of(reduction, variants, of_worlds)
        facts = session.tapes.facts
        early = [*caveats.left_out(orders, facts), *caveats.unheeded(question)]
        for number, (market, *_) in zip(tapes_of(orders), markets, strict=True):
            early += caveats.before(question, orders, facts, number, market.around)
        early += caveats.learned(question)
        checked["pruned"] = len(pruned)
        yield from _check_pruned(table, pruned, variants, grid, orders, bests, markets, reduction)
        timelines, looked = Timelines(session, orders), bool(tables.keys() & set(VIEWS.values()))
        look = timelines.look if looked else None
        answer = answer_of(session, question, job, orders, bests, of_worlds, reduction, len(pruned), look=look)
        yield from _check_document(stored, answer, early, session, question, orders, len(pruned), same_code=same_code)
        checked["document"] = [key for key in stored if key not in UNCHECKED]
        numbers = _draw(table, next(filter(None, bests)), sample, seed)
        checked["rows"] = {"computed_again": len(numbers), "of": len(table), "seed": seed}
        yield from _check_rows(table, numbers, session, variants, job, orders)
        again = {ORDERS: [answer.orders], VENUES: answer.venues()}
        if COMBINATIONS in tables:
            parts = answer.landscape.columns()
            again[COMBINATIONS] = (_columns(combinations_frame(part, grid)) for part in parts)
        if looked:
            views = views_of(session, question, job, orders, answer.first, timelines)
            again |= {VIEWS[name]: [columns] for name, columns in views.items()}
        for name, parts_again in again.items():
            if name in tables:
                yield from _check_columns(name.removesuffix(".parquet"), tables[name], parts_again, same_code=same_code)


def _pruned(table: NDArray[np.int64], stored: dict[str, Any], grid: Grid, orders: Orders) -> NDArray[np.int64]:
    """The combinations that neither failed nor have a row in every group; of these rows of whole tapes only."""
    counts = np.bincount(table[:, 2], minlength=len(grid))[: len(grid)]
    failed = [failure["combination"] for failure in stored["failed"]]
    return np.setdiff1d(np.flatnonzero(counts < orders.groups), failed)


def _check_pruned(
    table: NDArray[np.int64],
    pruned: NDArray[np.int64],
    variants: Variants,
    grid: Grid,
    orders: Orders,
    bests: Sequence[Best | None],
    markets: Sequence[Sequence[Market]],
    reduction: Reduction,
) -> Iterator[dict[str, Any]]:
    """Whether each combination that was left out of tapes could not have been the best of its world."""
    paid, whole = np.zeros(len(grid), object), np.ones(len(grid), np.bool_)
    tapes, rest = tapes_of(orders), np.zeros(len(grid), object)
    edges = grid.variant_edges.tolist()
    worlds = [variants.each[variant].world for variant in range(len(variants.each))]
    for tape, of_worlds in zip(tapes, markets, strict=True):
        signs, own = orders.on_tape(tape).signs, table[table[:, 0] == tape]
        counts = np.bincount(own[:, 2], minlength=len(grid))
        np.add.at(paid, own[:, 2], own[:, -1].astype(object) * np.array(signs, object)[own[:, 1]])
        left = counts < len(signs)
        # rows of a part of a tape, or after one that it was left out of, are no pruning
        broken = pruned[((counts[pruned] > 0) & left[pruned]) | (~whole & ~left)[pruned]]
        whole &= ~left
        for first, past, world in zip(edges, edges[1:], worlds, strict=False):
            if world >= 0:
                least = bound(orders, tape, of_worlds[world])
                rest[first:past] += np.where(left[first:past], least, 0).astype(object)
        yield from (_not_proven(number) for number in broken[:LISTED].tolist())
    for number in pruned.tolist():
        best = bests[worlds[grid.variant_of(number)]]
        sums = None if best is None else reduction.sums_of(best.combination)
        if sums is None or paid[number] + rest[number] <= sums.signed_cash:
            yield _not_proven(number)


def _not_proven(number: int) -> dict[str, Any]:
    return {"what": "table", "where": {"combination": number}, "stored": "left out", "found": "it might be the best"}


def _check_table(
    table: NDArray[np.int64],
    stored: dict[str, Any],
    grid: Grid,
    groups_of: Sequence[int],
    pruned: NDArray[np.int64],
) -> Iterator[dict[str, Any]]:
    """Whether each combination has a row in each group of orders, failed or was pruned, and each row adds up."""
    failed = [failure["combination"] for failure in stored["failed"]]
    known = [*pruned.tolist(), *(combination for combination in failed if combination < len(grid))]
    keys = np.delete(np.arange(len(grid)), known)
    present = table[:, :3]
    if known and sum(groups_of) > 1:  # what failed in one group may have a row in another
        present = present[~np.isin(table[:, 2], known)]
    groups = np.array([(tape, group) for tape, count in enumerate(groups_of) for group in range(count)], np.int64)
    expected = np.column_stack([np.repeat(groups, len(keys), axis=0), np.tile(keys, len(groups))])
    if len(known) < len(failed) + len(pruned) or not np.array_equal(present, expected):
        yield {
            "what": "table",
            "where": "combinations",
            "stored": f"{len(table):,} rows",
            "found": f"a row each of {len(expected):,}",
        }
        return
    column = dict(zip(FIELDS, table[:, len(KEYS) :].T, strict=True))
    sums = column["cash_filled"] + column["unfilled_value"] - column["overfilled_value"]
    for row in np.flatnonzero(sums != column["total_cash"])[:LISTED].tolist():
        yield {
            "what": "table",
            "where": {"combination": int(table[row, 2]), "columns": ["total_cash"]},
            "stored": int(column["total_cash"][row]),
            "found": int(sums[row]),
        }


def _check_document(
    stored: dict[str, Any],
    answer: Answer,
    early_warnings: list[str],
    session: Session,
    question: Question,
    orders: Orders,
    pruned: int,
    *,
    same_code: bool,
) -> Iterator[dict[str, Any]]:
    """Compare with the answer that follows from the stored rows and from baselines that were run again."""
    facts = session.tapes.facts
    recomputed = {
        **answer.document,
        "warnings": early_warnings + answer.warnings,
        "order": order_section(orders),
        "rules": rules_section(question),
        **search_section(question, pruned),
    }
    for key, value in recomputed.items():
        if not same_code and (key not in stored or key == "warnings"):
            continue  # an earlier version did not have this key, or put it in other words
        yield from _unequal("document", key, stored.get(key), value if same_code else _known_to(stored[key], value))
    feed = feed_section(facts)
    for key, value in feed.items():
        if key not in PLACE_ONLY and key != "tapes" and (key in stored["feed"] or same_code):
            yield from _unequal("document", f"feed.{key}", stored["feed"].get(key), value)
    for number, tape_section in enumerate(feed.get("tapes", ())):
        kept = (stored["feed"].get("tapes") or [])[number : number + 1]
        for key, value in tape_section.items():
            if key not in PLACE_ONLY:
                earlier = kept[0].get(key) if kept else None
                yield from _unequal("document", f"feed.tapes[{number}].{key}", earlier, value)


def _check_columns(
    what: str, stored: dict[str, Any], tables: Iterable[dict[str, Any]], *, same_code: bool
) -> Iterator[dict[str, Any]]:
    """Compare a stored table with what follows from the same runs once more, part by part; each column differs once."""
    first, differing = 0, set()
    for columns in tables:
        rows = len(next(iter(columns.values())))
        for name, column in columns.items():
            kept = _listed(stored.get(name, [])[first : first + rows])
            again = _listed(column)
            if kept == again or name in differing or (name not in stored and not same_code):
                continue
            differing.add(name)
            at = next((n for n, (old, new) in enumerate(zip(kept, again, strict=False)) if old != new), None)
            shown = (len(kept), rows) if at is None else (kept[at], again[at])
            where = {"row": None if at is None else first + at, "column": name}
            yield {"what": what, "where": where, "stored": shown[0], "found": shown[1]}
        first += rows
    if (rows := len(next(iter(stored.values()), []))) > first:
        yield {"what": what, "where": {"row": first, "column": None}, "stored": rows, "found": first}


def _columns(frame: pd.DataFrame) -> dict[str, list[Any]]:
    """The columns of a frame as lists, with None for what is missing."""
    return {str(name): column.astype(object).where(column.notna(), None).tolist() for name, column in frame.items()}


def _listed(column: Any) -> list[Any]:  # noqa: ANN401 - an array, masked or not, or a list
    return column if isinstance(column, list) else column.tolist()


def _known_to(stored: object, recomputed: Any) -> Any:  # noqa: ANN401 - JSON
    """Of what is recomputed the keys that a stored mapping has: an earlier version may lack some, at any depth."""
    if not isinstance(stored, dict) or not isinstance(recomputed, dict):
        return recomputed
    return {key: _known_to(stored[key], value) for key, value in recomputed.items() if key in stored}


def _draw(table: NDArray[np.int64], best: Best, sample: int, seed: int) -> list[int]:
    """Positions in the table, ascending; the winner's are among them."""
    drawn = random.Random(seed).sample(range(len(table)), min(sample, len(table)))
    return sorted({*drawn, *np.flatnonzero(table[:, 2] == best.combination).tolist()})


def _check_rows(
    table: NDArray[np.int64],
    positions: list[int],
    session: Session,
    variants: Variants,
    job: tasks.Job,
    orders: Orders,
) -> Iterator[dict[str, Any]]:
    """Run the combinations of some rows again, each alone and by the default kernel."""
    for tape in range(len(session.tapes)):
        at = [position for position in positions if table[position, 0] == tape]
        for book, handle in enumerate(session.tapes.fetch(tape).books if at else ()):
            ranges = variants.ranges(book, job.grid.variant_edges.tolist())
            own = [n for n in at if any(first <= table[n, 2] < past for first, past in ranges)]
            if own:
                yield from _check_rows_of(table[own], session, handle, on_tape(job, orders, tape), tape)


def _check_rows_of(
    table: NDArray[np.int64], session: Session, book: Handle, job: tasks.Job, tape: int
) -> Iterator[dict[str, Any]]:
    """The same of one book of a tape."""
    chunks = [Chunk(tape, group, number, number + 1) for group, number in table[:, 1:3].tolist()]
    stored = dict(zip(chunks, table[:, len(KEYS) :].tolist(), strict=True))
    take = partial(next, ((each,) for each in chunks), None)
    for (chunk,), rows in session.executor.stream(tasks.run_chunk, (book, job), take):
        if isinstance(rows, Lost):
            raise WorkersLost(f"combination {chunk.first}: {rows.why}")
        recomputed = rows.rows[rows.of[0]].tolist() if rows.of[0] >= 0 else [rows.failures[0].message]
        if recomputed != stored[chunk]:
            parameters = job.grid.printed(chunk.first)
            yield {
                "what": "row",
                "where": {
                    "combination": chunk.first,
                    **({"tape": tape} if len(session.tapes) > 1 else {}),
                    **({"order": chunk.order} if job.groups > 1 else {}),
                    "parameters": parameters,
                    "columns": list(FIELDS),
                },
                "stored": stored[chunk],
                "found": recomputed,
            }


def _unequal(what: str, where: str, stored: object, recomputed: object) -> Iterator[dict[str, Any]]:
    recomputed = json.loads(json.dumps(recomputed))  # as the document is stored
    if stored != recomputed:
        yield {"what": what, "where": where, "stored": stored, "found": recomputed}
