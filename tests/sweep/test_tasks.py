"""What runs on a worker: chunks whose combinations share rows or fail, and the choice of a kernel."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator import kernels
from allocator.book import build_book
from allocator.errors import AllocatorError
from allocator.order import Order
from allocator.policies import Static
from allocator.runners import SHARED
from allocator.simulate import Outcomes, run_combinations
from feed import synthetic
from sweep import tasks
from sweep.chunks import Chunk
from sweep.config.loading import build_config
from sweep.planning import make_plan
from sweep.search.classes import each_alone
from sweep.search.grid import PARAMETERS
from sweep.sink import MemorySink, expand
from sweep.statistics import Orders


@pytest.fixture(scope="module")
def book():
    return build_book(synthetic.generate(seconds=30.0, warmup=5.0, levels=1), build_config({}).question.settings.book)


def job_of(book, grid=None, size=2000, **keys):
    config = build_config({"grid": grid or {}, **keys})
    order = Order("buy", size, int(book.ts[0]), int(book.ts[-1]))
    return tasks.Job((order,), config.question.settings, each_alone(config.question.grid))


def each_a_group(orders):
    return Orders(orders, tuple((order.side, n) for n, order in enumerate(orders)), tuple(range(len(orders) + 1)))


def rows_by_combination(result):
    return [None if at < 0 else tuple(result.rows[at].tolist()) for at in result.of.tolist()]


def test_a_chunk_holds_the_rows_of_its_combinations_and_its_seconds(book):
    job = job_of(book)
    whole = tasks.run_chunk(book, job, Chunk(0, 0, 0, 27))
    part = tasks.run_chunk(book, job, Chunk(0, 0, 5, 9))
    assert rows_by_combination(part) == rows_by_combination(whole)[5:9]
    assert whole.seconds > 0
    assert (whole.of.dtype, whole.rows.dtype, whole.failures) == (np.int32, np.int64, ())


@pytest.mark.parametrize("broken", [set(), {0}, {3, 4}, {26}, {0, 5, 13, 25, 26}, set(range(27))])
@pytest.mark.parametrize("shares", [False, True])
def test_those_that_fail_are_found_and_the_others_keep_their_rows(book, monkeypatch, broken, shares):
    job = job_of(book)
    expected = rows_by_combination(tasks.run_chunk(book, job, Chunk(0, 0, 0, 27)))

    def fails(*arguments, **keywords):
        point = {tuple(getattr(p, name) for name in p.__slots__) for p in arguments[-1]}
        if any(tuple(job.grid.point(number).values()) in point for number in broken):
            raise ZeroDivisionError("a bug in one corner")
        table = run_combinations(*arguments, **keywords).table
        if not shares:
            return Outcomes(table, np.arange(len(table), dtype=np.int32))
        rows, of = np.unique(table, axis=0, return_inverse=True)
        return Outcomes(rows, of.reshape(-1).astype(np.int32))

    monkeypatch.setattr(tasks, "run_combinations", fails)
    result = tasks.run_chunk(book, job, Chunk(0, 0, 0, 27))
    assert [failure.combination for failure in result.failures] == sorted(broken)
    assert rows_by_combination(result) == [None if n in broken else row for n, row in enumerate(expected)]
    assert len({id(failure.details) for failure in result.failures}) <= 1


def test_the_kernel_of_a_job_reaches_the_simulation(book, monkeypatch):
    seen = []

    def listening(*arguments, **keywords):
        seen.append(keywords)
        return run_combinations(*arguments, **keywords)

    monkeypatch.setattr(tasks, "run_combinations", listening)
    job = job_of(book)
    tasks.run_chunk(book, tasks.replace(job, kernel="reference"), Chunk(0, 0, 0, 1))
    assert seen == [{"kernel": "reference", "collapse": False}]


def expanded(classes, result):
    """The row of each combination of a grid, from a chunk of all classes."""
    rows = np.concatenate([np.zeros((len(classes), 3), np.int64), result.rows[result.of]], axis=1)
    rows[:, 2] = np.arange(len(classes))
    return expand(rows, classes)[:, 3:].tolist()


SWITCHES = [{}, {"reference": "mid"}, {"lots_only": True}, {"policy": "pseudocode"}]
SWITCHES += [{"policy": "pseudocode", "infeasible": "wait"}]


@pytest.mark.parametrize("switches", SWITCHES)
def test_a_class_has_the_row_of_each_of_its_combinations(book, switches):
    job = job_of(book, {"lambda_under": [0.002, 0, 0.03, float("inf")]}, size=20_000, **switches)
    alone = tasks.run_chunk(book, job, Chunk(0, 0, 0, 36))
    classes = tasks.classify(job, [[book]])
    shared = tasks.run_chunk(book, tasks.replace(job, classes=classes), Chunk(0, 0, 0, len(classes)))
    assert len(shared.rows) == len(classes) < 36
    assert expanded(classes, shared) == [list(row) for row in rows_by_combination(alone)]


def test_classes_of_orders_of_both_sides_decide_alike_for_each(book):
    job = job_of(book)
    sell = tasks.replace(job, orders=(*job.orders, tasks.replace(job.order, side="sell")))
    for some in (
        tasks.classify(sell, [[book]]),
        tasks.classify(tasks.replace(sell, orders=sell.orders[::-1]), [[book]]),
    ):
        for order in sell.orders:
            alone = tasks.replace(job, orders=(order,))
            expected = rows_by_combination(tasks.run_chunk(book, alone, Chunk(0, 0, 0, 27)))
            shared = tasks.run_chunk(book, tasks.replace(alone, classes=some), Chunk(0, 0, 0, len(some)))
            assert expanded(some, shared) == [list(row) for row in expected]


def test_a_policy_of_which_nothing_is_known_has_a_class_for_each_combination(book):
    class Mine(Static):
        """A policy that no table names."""

    job = job_of(book)
    classes = tasks.classify(tasks.replace(job, settings=tasks.replace(job.settings, policy=Mine())), [[book]])
    assert len(classes) == 27


def test_every_kernel_is_calibrated_and_the_cheapest_wins(book, monkeypatch):
    cost = {"slow": 0.005, "quick": 0.001, "hopeless": 0.2, "shares": 0.004}
    now, ran = [0.0], []

    def counted(*arguments, kernel, collapse):
        ran.append((kernel, len(arguments[-1])))
        now[0] += cost[kernel] * (1 if kernel == "shares" else len(arguments[-1]))

    monkeypatch.setattr(tasks, "run_combinations", counted)
    monkeypatch.setattr(tasks, "kernels_for", lambda *_: tuple(cost))
    monkeypatch.setattr(tasks, "prepare", lambda _, _book: None)
    monkeypatch.setattr(tasks.time, "thread_time", lambda: now[0])
    job = job_of(book)
    measured = tasks.calibrate(book, job)
    assert ran == [*((name, 1) for name in cost), ("slow", 16), ("quick", 16), ("shares", 16)]
    assert measured["quick"] == ((1, pytest.approx(0.001)), (16, pytest.approx(0.016)))
    assert measured["hopeless"] == ((1, pytest.approx(0.2)),)
    plan = make_plan(job.classes, each_a_group(job.orders), (), 2, [measured])
    assert (plan.kernel, plan.measured) == ("shares", measured["shares"])


def test_a_calibration_that_would_take_long_runs_a_smaller_sample(book, monkeypatch):
    now, ran = [0.0], []

    def counted(*arguments, **_):
        ran.append(len(arguments[-1]))
        now[0] += 0.01 * len(arguments[-1])

    monkeypatch.setattr(tasks, "run_combinations", counted)
    monkeypatch.setattr(tasks, "kernels_for", lambda *_: ("walk",))
    monkeypatch.setattr(tasks.time, "thread_time", lambda: now[0])
    tasks.calibrate(book, job_of(book, {"lambda_over": {"start": 0, "stop": 1, "num": 20}}))
    tasks.calibrate(book, job_of(book, {"lambda_over": {"start": 0, "stop": 1, "num": 200}}))
    assert ran == [1, 4, 1, 16]


def test_a_kernel_of_one_pass_is_calibrated_on_many_combinations(book, monkeypatch):
    now, ran = [0.0], []

    def counted(*arguments, kernel, **_):
        ran.append((kernel, len(arguments[-1])))
        now[0] += 0.05 if kernel == "stairs" else 0.001 * len(arguments[-1])

    monkeypatch.setattr(tasks, "run_combinations", counted)
    monkeypatch.setattr(tasks, "kernels_for", lambda *_: ("rows", "stairs"))
    monkeypatch.setattr(tasks.time, "thread_time", lambda: now[0])
    job = job_of(book, {"lambda_over": {"start": 0, "stop": 1, "num": 200}})
    measured = tasks.calibrate(book, job)
    assert ran == [("rows", 1), ("stairs", 1), ("rows", 16), ("stairs", 1800)]
    assert make_plan(job.classes, (job.order,), (), 2, [measured]).kernel == "stairs"
    few = job_of(book, {"lambda_over": {"start": 0, "stop": 1, "num": 3}})
    measured = tasks.calibrate(book, few)
    assert ran[4:] == [("rows", 1), ("stairs", 1), ("rows", 16), ("stairs", 27)]
    assert make_plan(few.classes, (few.order,), (), 2, [measured]).kernel == "rows"


def test_nothing_is_calibrated_where_there_is_nothing_to_decide(book, monkeypatch):
    monkeypatch.setattr(tasks, "run_combinations", None)
    monkeypatch.setattr(tasks, "kernels_for", lambda *_: ("walk",))
    job = job_of(book)
    measured = tasks.calibrate(book, job)
    assert measured == {"walk": ()}
    plan = make_plan(job.classes, each_a_group(job.orders), (), 1, [measured])
    assert (plan.kernel, plan.measured) == ("walk", ())


def test_an_order_that_cannot_be_run_is_refused_by_the_calibration(book):
    grid = {"lambda_over": {"start": 0, "stop": 1, "num": 20}}
    with pytest.raises(AllocatorError, match=r"^order\.size: .* at most"):
        tasks.calibrate(book, job_of(book, grid, size=2**31 - 1, unfilled_penalty=100))


def test_a_combination_that_fails_does_not_end_the_calibration(book, monkeypatch):
    def fails(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(tasks, "run_combinations", fails)
    grid = {"lambda_over": {"start": 0, "stop": 1, "num": 20}}
    assert set(tasks.calibrate(book, job_of(book, grid))) == {"rows", "lanes", "wide", "stairs"}


def test_warming_loads_every_kernel_and_nothing_else(monkeypatch):
    loaded = []
    monkeypatch.setattr(kernels, "import_module", loaded.append)
    tasks.warm()
    names = (
        "bound",
        "compiling",
        "deep_walk",
        "delayed",
        "derive",
        "levels",
        "placement",
        "placement_approximation",
        "placement_bound",
        "queues",
        "settling",
        "slices",
        "stairs",
        "stateful",
        "stateless",
        "walk",
    )
    assert sorted(loaded) == [f"allocator.kernels.{name}" for name in names]


@given(st.sets(st.integers(1, 63), max_size=12), st.randoms(use_true_random=False))
def test_the_table_is_the_same_however_the_grid_is_cut(book, cuts, random):
    job = job_of(book, {name: [0, 0.01, 0.02, 0.05] for name in PARAMETERS}, size=3000)

    def table_of(ends):
        chunks = [Chunk(0, 0, first, past) for first, past in pairwise(ends)]
        random.shuffle(chunks)
        sink = MemorySink([1], 64)
        for chunk in chunks:
            sink.append(chunk, tasks.run_chunk(book, job, chunk))
        return sink.table().tobytes()

    assert table_of([0, *sorted(cuts), 64]) == table_of([0, 64])


def many_orders(book, sizes, **keys):
    job = job_of(book, **keys)
    starts = [int(ts) for ts in book.ts[np.linspace(0, len(book.ts) // 2, len(sizes)).astype(int)]]
    orders = tuple(Order("buy", size, start, int(book.ts[-1])) for size, start in zip(sizes, starts, strict=True))
    return tasks.replace(job, orders=orders)


def test_orders_of_one_chunk_have_the_rows_of_a_chunk_each(book):
    job = many_orders(book, [500, 20_000, 900_000])
    each = MemorySink([3], 27)
    for order in range(3):
        chunk = Chunk(0, order, 0, 27)
        each.append(chunk, tasks.run_chunk(book, job, chunk))
    shared, sink = tasks.replace(job, kernel=SHARED), MemorySink([3], 27)
    for first, past in ((0, 10), (10, 27)):
        chunk = Chunk(0, 0, first, past, 3)
        result = tasks.run_chunk(book, shared, chunk)
        assert len(result.of) == len(chunk) == 3 * (past - first)
        sink.append(chunk, result)
    assert sink.table().tobytes() == each.table().tobytes()


def test_an_order_that_fails_for_one_combination_leaves_the_others_their_rows(book, monkeypatch):
    job = many_orders(book, [500, 20_000, 900_000])
    expected = rows_by_combination(tasks.run_chunk(book, tasks.replace(job, kernel=SHARED), Chunk(0, 0, 0, 27, 3)))

    def fails(book, order, *rest, **keywords):
        if order.size == 20_000 and any(p.theta_queue == 0 for p in rest[-1]):
            raise ZeroDivisionError("a bug in one corner")
        return run_combinations(book, order, *rest, **keywords)

    def always(*_, **__):
        raise ZeroDivisionError("the shared walk")

    monkeypatch.setattr(tasks, "run_combinations", fails)
    monkeypatch.setattr(tasks, "run_orders", always)
    result = tasks.run_chunk(book, job, Chunk(0, 0, 0, 27, 3))
    broken = {27 + number for number in range(0, 27, 3)}
    assert rows_by_combination(result) == [None if at in broken else row for at, row in enumerate(expected)]
    assert [failure.combination for failure in result.failures] == list(range(0, 27, 3))


def test_the_plan_lets_orders_share_a_walk_where_that_is_cheaper(book):
    job = many_orders(book, [1000] * 40)
    quick, slow = ((1, 0.001), (16, 0.004)), ((1, 0.02),)
    alone = make_plan(job.classes, each_a_group(job.orders), (), 2, [{SHARED: slow, "lanes": quick}])
    assert alone.kernel == "lanes"  # 0.25 ms an order and combination, against 0.5
    assert {chunk.orders for chunk in iter(alone.cutter().take, None)} == {1}
    sharing = make_plan(job.classes, each_a_group(job.orders), (), 2, [{SHARED: ((1, 0.008),), "lanes": quick}])
    assert sharing.kernel == SHARED
    chunks = list(iter(sharing.cutter().take, None))
    assert {(chunk.order, chunk.orders) for chunk in chunks} == {(0, 40)}
    assert [n for chunk in chunks for n in range(chunk.first, chunk.past)] == list(range(27))
    measured = tasks.calibrate(book, job)
    assert next(iter(measured)) == SHARED
    assert len(measured[SHARED]) == 1
