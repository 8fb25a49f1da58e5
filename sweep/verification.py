"""Verifies a stored run: reads its data again, and recomputes its answer and a sample of its rows."""

from __future__ import annotations

import json
import random
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.order import FIELDS
from sweep import caveats, tasks
from sweep.chunks import Chunk
from sweep.driver import answer_of
from sweep.environment import sources_hash
from sweep.errors import ConfigError, WorkersLost
from sweep.executors import Lost
from sweep.planning import make_order
from sweep.progress import Silent
from sweep.reduce import find_best
from sweep.report import feed_section, order_section, rules_section
from sweep.runs import config_of, read_document, read_manifest, read_table
from sweep.search import each_alone, in_dollars
from sweep.sink import KEYS
from sweep.tapes import Phases, open_session

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from allocator.order import Execution
    from allocator.shortfall import Trace
    from sweep.config import Question
    from sweep.progress import Progress
    from sweep.reduce import Best
    from sweep.runs import Manifest
    from sweep.search import Grid
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
    manifest = read_manifest(home)
    if manifest.status != "complete":
        raise ConfigError(f"{home}: is not complete; python -m sweep resume {shlex.quote(str(home))} does the rest")
    question = config_of(manifest, assignments).question
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
    except ConfigError as error:
        yield {"what": "file", "where": str(home), "stored": None, "found": str(error)}
        return
    caveats.tell(stored, progress)
    incomplete = list(_check_table(table, stored, question.grid))
    yield from incomplete
    if incomplete:
        return
    with open_session(question, progress, Phases(progress.say)) as session:
        facts = session.tape.facts
        checked["digest"] = facts.provenance.digest
        differences = list(_unequal("digest", facts.provenance.place, manifest.digest, facts.provenance.digest))
        yield from differences
        if differences:
            return
        order, grid = make_order(question.order, facts), question.grid
        job = tasks.Job((order,), question.settings, each_alone(grid))
        baselines = session.executor.get(session.executor.call(tasks.traced_baselines, session.tape.book, job))
        best_ask, _ = baselines["best_ask"]
        best = find_best(table[:, 2], table[:, len(KEYS) :], job.classes, order.side, best_ask)
        same_code = manifest.sources_hash == sources_hash()
        yield from _check_document(stored, best, session, question, job, baselines, same_code=same_code)
        checked["document"] = [key for key in stored if key not in UNCHECKED]
        numbers = _draw(table, best, sample, seed)
        checked["rows"] = {"computed_again": len(numbers), "of": len(table), "seed": seed}
        yield from _check_rows(table, numbers, session, job, grid)


def _check_table(table: NDArray[np.int64], stored: dict[str, Any], grid: Grid) -> Iterator[dict[str, Any]]:
    """Whether each combination has a row or failed, and each row adds up."""
    failed = [failure["combination"] for failure in stored["failed"]]
    known = [combination for combination in failed if combination < len(grid)]
    keys = np.delete(np.arange(len(grid)), known)
    if len(known) < len(failed) or not np.array_equal(table[:, 2], keys) or table[:, :2].any():
        yield {
            "what": "table",
            "where": "combinations",
            "stored": f"{len(table):,} rows",
            "found": f"a row each of {len(keys):,}",
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
    best: Best,
    session: Session,
    question: Question,
    job: tasks.Job,
    baselines: dict[str, tuple[Execution, Trace | None]],
    *,
    same_code: bool,
) -> Iterator[dict[str, Any]]:
    """Recompute the answer from the stored rows and from baselines that were run again."""
    executor, book, order, grid = session.executor, session.tape.book, job.order, question.grid
    around = executor.get(executor.call(tasks.around, book, job))
    early_warnings = list(caveats.before(question, order, session.tape.facts, around))
    answer, late_warnings = answer_of(executor, book, job, grid, best, baselines, around)
    rules = rules_section(question)
    if not same_code:  # an earlier version may have lacked a rule
        rules = {name: rule for name, rule in rules.items() if name in stored["rules"]}
    recomputed = {
        **answer,
        "warnings": early_warnings + late_warnings,
        "order": order_section(order),
        "rules": rules,
    }
    for key, value in recomputed.items():
        if key not in stored and not same_code:
            continue  # an earlier version did not have this key
        yield from _unequal("document", key, stored.get(key), value)
    feed = feed_section(session.tape.facts)
    for key, value in feed.items():
        if key not in PLACE_ONLY and (key in stored["feed"] or same_code):
            yield from _unequal("document", f"feed.{key}", stored["feed"].get(key), value)


def _draw(table: NDArray[np.int64], best: Best, sample: int, seed: int) -> list[int]:
    """Positions in the table, ascending; the winner's is one of them."""
    drawn = random.Random(seed).sample(range(len(table)), min(sample, len(table)))
    return sorted({*drawn, int(np.searchsorted(table[:, 2], best.combination))})


def _check_rows(
    table: NDArray[np.int64], positions: list[int], session: Session, job: tasks.Job, grid: Grid
) -> Iterator[dict[str, Any]]:
    """Run the combinations of some rows again, each alone and by the default kernel."""
    chunks = [Chunk(0, 0, number, number + 1) for number in table[positions, 2].tolist()]
    stored = dict(zip(chunks, table[positions, len(KEYS) :].tolist(), strict=True))
    take = partial(next, ((each,) for each in chunks), None)
    for (chunk,), rows in session.executor.stream(tasks.run_chunk, (session.tape.book, job), take):
        if isinstance(rows, Lost):
            raise WorkersLost(f"combination {chunk.first}: {rows.why}")
        recomputed = rows.rows[rows.of[0]].tolist() if rows.of[0] >= 0 else [rows.failures[0].message]
        if recomputed != stored[chunk]:
            parameters = {name: in_dollars(value) for name, value in grid.point(chunk.first).items()}
            yield {
                "what": "row",
                "where": {"combination": chunk.first, "parameters": parameters, "columns": list(FIELDS)},
                "stored": stored[chunk],
                "found": recomputed,
            }


def _unequal(what: str, where: str, stored: object, recomputed: object) -> Iterator[dict[str, Any]]:
    recomputed = json.loads(json.dumps(recomputed))  # as the document is stored
    if stored != recomputed:
        yield {"what": what, "where": where, "stored": stored, "found": recomputed}
