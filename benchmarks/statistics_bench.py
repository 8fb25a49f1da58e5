"""What is claimed of the best of many columns, against arch, which asks the same of bootstrap draws.

arch keeps three numbers a column and draw, so that a million columns and 1,000 draws would take it 24 GB: it is given
as many as fit, and compared by columns per second, of which it does fewer as they become more.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np

from benchmarks.frame import Case, Duel, Scale, Side
from benchmarks.peers_bench import Peer, interpreter_of
from feed import synthetic
from sweep import answering, judging
from sweep.driver import run
from sweep.statistics.inference import estimates
from sweep.statistics.selection import best_of, confidence_set, corrected

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sweep.judging import Judged

BLOCKS = 40
WINNERS = 25
"""Columns that save so much that nobody can miss it; what the others seem to save is noise."""


def matrix(columns: int) -> NDArray[np.int64]:
    """(n, N) int64, savings in 1e-9 $; the first columns are winners."""
    savings = np.random.default_rng(1).normal(0, 1e12, (BLOCKS, columns))
    savings[:, :WINNERS] += 5e12
    return savings.astype(np.int64)


def everything(savings: NDArray[np.int64]) -> None:
    """All that a document says of a matrix."""
    known = best_of(savings)
    confidence_set(savings, best=known.best)
    corrected(savings, best=known.best, distinct=known.distinct)
    estimates(savings)


def _against_arch(scale: Scale, test: str, *, whole: bool) -> Duel:
    interpreter_of("arch")
    columns, theirs = scale.pick(1_000_000, 20_000), scale.pick(20_000, 2_000)
    path, savings = scale.scratch / "savings.npy", matrix(columns)
    few = matrix(theirs)
    np.save(path, few.astype(np.float64))
    peer = Peer(scale, "bootstrap_tests", path, environment="arch")

    def guard():
        known = best_of(few)
        assert np.flatnonzero(known.rejected).tolist() == list(range(WINNERS)), "ours misses a winner, or invents one"
        assert peer.ask("superior") == list(range(WINNERS)), "arch's does"
        assert peer.ask("p") <= 0.05 >= known.p

    return Duel(
        Side(partial(everything if whole else best_of, savings), columns),
        peer.side(test, theirs),
        guard,
        f"{columns:,} columns, {BLOCKS} blocks, one core (baseline {theirs:,} columns, 1,000 draws, "
        f"{peer.ask('version')})",
    )


def _of_a_sweep(scale: Scale) -> Duel:
    """What is judged of a sweep of a million combinations, against all of the sweep."""
    path, length = scale.scratch / "hour.csv", scale.pick(3_660.0, 1_830.0)
    synthetic.write_csv(synthetic.generate(seconds=length, levels=1), path)
    values = scale.pick(100, 20)
    config = {
        "source": str(path),
        "executor": "inline",
        "order": {"size": 2_000, "every": "90s", "horizon": "45s"},
        "grid": {
            name: {"start": 0, "stop": stop, "num": values}
            for name, stop in (("lambda_over", 0.05), ("lambda_under", 0.09), ("theta_queue", 0.0197))
        },
    }
    asked = []

    def noting(*arguments: Any) -> Judged:
        asked.append(arguments)
        return judging.judge(*arguments)

    with mock.patch.object(answering, "judge", noting):
        document = run(config).document

    def guard():
        assert document["statistics"]["blocks"] >= 20
        assert judging.judge(*asked[0]).verdict.kind == document["verdict"]["kind"]

    return Duel(
        Side(partial(judging.judge, *asked[0])),
        Side(partial(run, config)),
        guard,
        f"{values**3:,} combinations, {document['statistics']['blocks']} blocks, one core (baseline: the whole sweep)",
    )


CASES = (
    Case("statistics_of_a_sweep", "s", "the whole sweep", _of_a_sweep, least_ratio=10, rounds=5),
    *(
        Case(
            f"arch_{test}{'' if whole else '_best_of'}",
            "columns/s",
            f"arch's {name}, 1,000 draws",
            partial(_against_arch, test=test, whole=whole),
            least_ratio=50,
            rounds=5,
        )
        for test, name, whole in (("stepm", "StepM", True), ("stepm", "StepM", False), ("spa", "SPA", False))
    ),
)
