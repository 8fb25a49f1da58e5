"""Figures of `sweep`: the default grid, a million combinations, Ray against a pool, memory, and the whole command."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from allocator.book import build_book
from allocator.order import Order, execution_of
from allocator.simulate import run_baselines, run_combinations
from benchmarks import contenders
from benchmarks.feed_bench import write_mbp10
from benchmarks.frame import Case, Duel, Scale, Side
from feed import Provenance, Tape, synthetic
from feed.instants import format_instant
from feed.source import SCHEMES
from feed.tape import DAY, no_trades
from sweep import tasks
from sweep.chunks import Chunk
from sweep.config.loading import build_config
from sweep.config.schema import Config
from sweep.driver import run
from sweep.executors.inline import Inline
from sweep.executors.on_ray.executor import OnRay
from sweep.search.classes import each_alone
from tests.support import footprint
from tests.support.tapes import first_rows, long_tape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.book import Book
    from allocator.order import ParameterColumns
    from sweep.config.conventions import Settings
    from sweep.search.grid import Grid

VENUES = 8
ROOT = Path(__file__).resolve().parent.parent
PLACE_AND_TIME = {"run", "feed"}
"""What two runs of the same question may differ in."""


@dataclass(frozen=True, slots=True)
class DefaultGrid:
    """The default grid on the default stream, for an order of any size."""

    book: Book
    settings: Settings
    order: Order
    grid: Grid
    job: tasks.Job

    @classmethod
    def of(cls, size: int | None = None) -> DefaultGrid:
        """The default question; of another size where one is given."""
        config = Config()
        settings = config.question.settings
        start, end = synthetic.WINDOW
        book = build_book(synthetic.generate(levels=1).clip(start - settings.warmup, end), settings.book)
        order, grid = Order(config.order.side, size or config.order.size, start, end), config.question.grid
        return cls(book, settings, order, grid, tasks.Job((order,), settings, each_alone(grid)))

    @property
    def fees(self) -> Sequence[int]:
        """Of each venue of the book, 1e-9 $ per share."""
        return self.settings.fees.of(self.book)

    @property
    def parameters(self) -> ParameterColumns:
        """Of all combinations."""
        return self.grid.parameters(0, len(self.grid))

    def inline(self):
        """Rows of all combinations and outcomes of the baselines, as the driver has them without Ray."""
        executor = Inline()
        outcomes = executor.call(tasks.baselines, self.book, self.job, 0, 1)
        (answer,) = executor.stream(
            tasks.run_chunk, (self.book, self.job), partial(next, iter([(Chunk(0, 0, 0, len(self.grid)),)]), None)
        )
        return answer[1].rows[answer[1].of], outcomes

    @property
    def sizes(self) -> str:
        """What there is, in words."""
        return (
            f"{len(self.grid)} combinations and the baselines, {self.order.size:,} shares, T={len(self.book.ts):,} "
            f"V={len(self.book.venues)}"
        )


def _sweep(_scale: Scale) -> Duel:
    question = DefaultGrid.of()
    book, order, settings = question.book, question.order, question.settings

    def reference():
        rows = run_combinations(
            book, order, settings.rules, settings.policy, question.fees, question.parameters, kernel="reference"
        ).table
        return rows, run_baselines(book, order, settings.rules, question.fees, settings.conventions, engine="reference")

    def guard():
        (rows, outcomes), (their_rows, their_baselines) = question.inline(), reference()
        baselines = {name: execution_of(outcome.rows[0].tolist()) for name, outcome in outcomes.items()}
        assert np.array_equal(rows, their_rows), "the combinations' rows differ"
        assert baselines == their_baselines, "the baselines differ"

    return Duel(Side(question.inline), Side(reference), guard, question.sizes)


L1_SNAPSHOTS = 54_305
"""As many as the published study's day has."""


@dataclass(frozen=True, slots=True)
class HeldPlan:
    """A source that is parsed already: its one range is held in memory."""

    tape: Tape

    @property
    def ranges(self) -> tuple[HeldPlan, ...]:
        """The one range."""
        return (self,)

    @property
    def held(self) -> None:
        """No bound but that of what is there."""

    def read(self) -> HeldPlan:
        """The block, which is there."""
        return self

    def merge(self, blocks: list[HeldPlan]) -> tuple[tuple[Tape, Provenance], ...]:
        """The tape, and its digest."""
        (block,) = blocks
        tape = block.tape
        return ((tape, Provenance("held", "memory", tape.digest(), tape.snapshots, tape.rows, 0)),)


def _after_parse(_scale: Scale) -> Duel:
    """The whole sweep of a parsed day of one venue: digest, checks, book, baselines, grid, sensitivity, document."""
    held = HeldPlan(long_tape(L1_SNAPSHOTS, 1))
    SCHEMES["held"] = lambda *_: held
    config = build_config({"source": "held:memory", "executor": "inline", "window": {"warmup": 0}})
    settings = config.question.settings
    book = build_book(held.tape, settings.book)
    order, grid = Order("buy", config.order.size, int(book.ts[0]), int(book.ts[-1])), config.question.grid
    arguments = book, order, settings.rules
    fees, parameters = settings.fees.of(book), grid.parameters(0, len(grid))

    def reference():
        rows = run_combinations(*arguments, settings.policy, fees, parameters, kernel="reference").table
        return rows, run_baselines(*arguments, fees, settings.conventions, engine="reference")

    def guard():
        result = run(config)
        rows, baselines = reference()
        assert np.array_equal(result.table[:, 3:], rows), "the combinations' rows differ"
        assert result.document["baselines"]["vwap"]["total_cash"] == round(baselines["vwap"].total_cash / 1e9, 2)

    return Duel(
        Side(partial(run, config)),
        Side(reference),
        guard,
        f"{len(grid)} combinations and baselines, inline, after the parse, T={L1_SNAPSHOTS:,} V=1, everything up to "
        "the document (baseline combinations and baselines only)",
    )


def _book_of_cold_run(scale: Scale) -> Duel:
    """How little of a run from a file is the book."""
    rows = scale.pick(600_000, 20_000)
    tape, path = first_rows(long_tape(rows, VENUES), rows), scale.scratch / "mbp-10.csv"
    write_mbp10(tape, path)
    config = build_config({"source": str(path), "executor": "inline", "order": {"size": 100_000}})
    book = build_book(tape, config.question.settings.book)

    def guard():
        result = run(config)
        assert result.document["feed"]["snapshots"] == len(book.ts)

    return Duel(
        Side(partial(build_book, tape, config.question.settings.book)),
        Side(partial(run, config)),
        guard,
        f"Tape to Book, T={len(book.ts):,} V={VENUES}, against the whole run: a file of {rows:,} rows x 74 columns is "
        "parsed and checked, 27 combinations of 100,000 shares and the baselines, inline",
    )


def _process(*arguments: str) -> str:
    """What a fresh interpreter prints, or a failure with what it said."""
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr[-500:]}"
    return done.stdout


def _document(*words: str) -> dict:
    return json.loads(_process("-m", "sweep", *words))


def _many_orders(scale: Scale) -> Duel:
    """One command for many orders, and the command of one order, which would run once for each."""
    count = scale.pick(400, 40)
    path = scale.scratch / "orders.csv.gz"
    synthetic.write_csv(synthetic.generate(seconds=6.0 * count, levels=1), path)
    start, _ = synthetic.window(6.0 * count)
    axes = [
        f"grid.{name}={{start: 0, stop: 0.05{digit}, num: 100}}"
        for name, digit in (("lambda_under", ""), ("theta_queue", "005"))
    ]
    words = (
        f"source={path}",
        "grid.lambda_over=0",
        *axes,
        "order.size=2000",
        f"window.start={format_instant(start)}",
        f"window.end={format_instant(start + 6 * 10**9 * count)}",
    )
    last = f"order.start={format_instant(start + 6 * 10**9 * (count - 1))}"
    together = (*words, "workers=2", "order.every=6s", "order.horizon=6s")

    def one():
        return _document(*words, "workers=2", last, f"order.end={format_instant(start + 6 * 10**9 * count)}")

    def guard():
        document = _document(*together)
        assert document["orders"]["count"] == count, "some orders are missing"

    return Duel(
        Side(partial(_document, *together), count),
        Side(one, 1),
        guard,
        f"python -m sweep, whole process, 2 workers, {count} orders of 6 s, 10,000 combinations, per order",
        lambda document: document["run"]["seconds"],
    )


def _default_run(scale: Scale) -> Duel:
    expected = _document("executor=inline")

    def checked(*words):
        document = _document(*words)
        assert _answer(document) == _answer(expected), "the answers differ"
        return document

    def guard():
        # the first run, which loads from a cold disk; a quick run leaves it out, as each timed run is checked as well
        if not scale.quick:
            checked()

    return Duel(
        Side(checked),
        Side(partial(checked, "executor=inline")),
        guard,
        f"python -m sweep, whole process, {'' if scale.quick else 'second run, '}"
        f"{expected['feed']['snapshots']:,} snapshots through the embedded broker, all CPUs",
        lambda document: document["run"]["seconds"],
    )


def _answer(document: dict) -> dict:
    """What every run of the same question has in common: all but place and time, and the data's digest."""
    return {key: part for key, part in document.items() if key not in PLACE_AND_TIME} | {
        "digest": document["feed"]["digest"]
    }


def _help(_scale: Scale) -> Duel:
    show = partial(_process, "-m", "sweep", "--help")

    def guard():
        assert show().startswith("usage: python -m sweep")
        assert not _process("-c", "pass")

    return Duel(Side(show), Side(partial(_process, "-c", "pass")), guard, "python -m sweep --help, whole process")


def _stream_and_side(scale: Scale) -> tuple[Path, int, str]:
    """The default stream as a file, the length of three axes, and both in words."""
    source, side = scale.scratch / "synthetic.csv.gz", scale.pick(100, 40)
    synthetic.write_csv(synthetic.generate(levels=1), source)
    return source, side, f"{side**3:,} combinations on the default stream, 5,000 shares"


def _million(scale: Scale) -> Duel:
    source, side, sizes = _stream_and_side(scale)
    axes = [f"grid.{name}={json.dumps(footprint.axis(side))}" for name in footprint.AXES]

    def sweep(*words: str) -> dict:
        document = _document(f"source={source}", *axes, *words)
        assert document["objective"]["combinations"] == side**3
        assert not document["failed"]
        return document

    def guard() -> None:
        assert _answer(sweep()) == _answer(sweep("executor=inline")), "the answers differ"

    return Duel(
        Side(sweep),
        Side(partial(sweep, "executor=inline")),
        guard,
        f"python -m sweep, whole process; {sizes}, all CPUs",
        lambda document: document["run"]["seconds"],
    )


def _million_memory(scale: Scale) -> Duel:
    source, side, sizes = _stream_and_side(scale)

    def grown(executor: str) -> int:
        report = json.loads(_process("-m", "tests.support.footprint", str(source), str(side), executor))
        assert report["rows"] == side**3, "rows are missing"
        return report["grown"]

    return Duel(
        Side(partial(grown, "ray")),
        Side(partial(grown, "inline")),
        lambda: None,
        f"{sizes}; peak RSS of the driver during the run over its RSS before it",
    )


def _orders_memory(scale: Scale) -> Duel:
    """The driver of many orders in 40 blocks, and of five times as many in as many blocks."""
    blocks = scale.pick(40, 4)
    path = scale.scratch / "blocks.csv.gz"
    synthetic.write_csv(synthetic.generate(seconds=240.0 * blocks, levels=1), path)

    def peak(every: str, orders: int) -> int:
        report = json.loads(_process("-m", "tests.support.footprint", "orders", str(path), every))
        assert report["blocks"] == blocks, report
        assert abs(report["orders"] - orders) <= orders // 20, report
        return report["peak"]

    return Duel(
        Side(partial(peak, "24s", 10 * blocks)),
        Side(partial(peak, "4800ms", 50 * blocks)),
        lambda: None,
        f"whole process, 2 workers, {10 * blocks} orders in {blocks} blocks, 10,000 combinations, each simulated",
    )


def _days_memory(scale: Scale) -> Duel:
    """Three symbols on thirty days, and on five of them with six times as many orders, each in a file of its own."""
    many, few = scale.pick(30, 4), scale.pick(5, 2)
    folders = {days: scale.scratch / f"days-{days}" for days in (many, few)}
    for folder in folders.values():
        folder.mkdir()
    for day, symbol in product(range(many), range(3)):
        tape = synthetic.generate(seed=3 * day + symbol, seconds=120.0, warmup=10.0)
        own = replace(tape, symbol=f"S{symbol}", ts=tape.ts + day * DAY, trades=no_trades())
        for days, folder in folders.items():
            if day < days:
                synthetic.write_csv(own, folder / f"{symbol}-{day}.csv.gz")

    def peak(days: int, every: str) -> int:
        report = json.loads(_process("-m", "tests.support.footprint", "days", str(folders[days]), every))
        assert report["tapes"] == 3 * days, report
        return report["peak"]

    return Duel(
        Side(partial(peak, many, "100s")),
        Side(partial(peak, few, "15s")),
        lambda: None,
        f"whole process, inline, {3 * many} tapes, each read again to be swept, against {3 * few} with as many orders",
    )


def _worker_memory(scale: Scale) -> Duel:
    """What a worker has for itself after a task on a large book and on a small one."""
    large, small = scale.pick(10**9, 10**8), 10**6

    @cache
    def uss() -> tuple[int, int]:
        with OnRay("local", 1) as executor:
            books = [executor.call(footprint.make_book, nbytes) for nbytes in (small, large)]
            return footprint.worker_memory(executor, *books)

    return Duel(
        Side(lambda: max(0, uss()[1] - uss()[0])),
        Side(lambda: uss()[0]),
        lambda: None,
        f"USS of one worker after a task on a book of {large:,} bytes over its USS after one of {small:,} bytes",
    )


def _contend(seconds: float, chunks: tuple[int, int], scale: Scale) -> Duel:
    """Chunks of so many seconds, (full, quick) of them, on Ray and in a pool."""
    return contenders.prepare(seconds, scale.pick(*chunks))


POOL = "multiprocessing.Pool.imap_unordered"

CASES = (
    Case("sweep_27", "ms", "the plain-Python reference engine", _sweep, rounds=5),
    Case("after_parse", "ms", "the plain-Python reference engine", _after_parse, target=50.0, rounds=5),
    Case("book_share", "s", "the whole run from a file, inline", _book_of_cold_run, rounds=5),
    Case("million", "s", "the same with executor=inline", _million, rounds=3, quick_rounds=1),
    Case(
        "million_memory", "MB", "the same with executor=inline", _million_memory, target=400, rounds=1, quick_rounds=1
    ),
    Case(
        "days_memory",
        "MB",
        "five of the days, about as many orders",
        _days_memory,
        rounds=1,
        quick_rounds=1,
        least_ratio=0.9,
    ),
    Case(
        "orders_memory",
        "MB",
        "five times as many orders in as many blocks",
        _orders_memory,
        target=300,
        rounds=1,
        quick_rounds=1,
    ),
    Case("worker_memory", "MB", "that USS on the small book", _worker_memory, target=10, rounds=1, quick_rounds=1),
    Case("default_run", "s", "the same with executor=inline", _default_run, target=20.0, rounds=3, quick_rounds=1),
    Case("orders_command", "s", "the command of one order", _many_orders, rounds=3, quick_rounds=1, least_ratio=100),
    Case("help", "s", "python -c pass", _help, target=0.5, rounds=15, quick_rounds=5),
    # last: what they start runs until the process ends
    Case(
        "ray_grid",
        "combinations/s",
        "the kernel on one core, times the workers",
        contenders.endless_grid,
        rounds=5,
        quick_rounds=2,
        least_ratio=0.85,
    ),
    Case("ray_100ms", "chunks/s", POOL, partial(_contend, 0.1, (80, 12)), rounds=5, quick_rounds=2, least_ratio=0.92),
    Case("ray_1s", "chunks/s", POOL, partial(_contend, 1.0, (6, 2)), rounds=5, quick_rounds=1, least_ratio=0.97),
)
