"""Many parent orders in one sweep: each as if it were alone, summed by groups, whatever cuts and kernels."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from msgspec import structs
from pyarrow import parquet

from allocator import simulate
from allocator.errors import AllocatorError
from allocator.order import FIELDS
from allocator.shortfall import Shortfall
from allocator.simulate import KERNELS
from feed.instants import format_instant
from sweep import cli, tasks, verification
from sweep.chunks import Cutter
from sweep.driver import resume, run
from sweep.errors import ConfigError
from sweep.progress import Silent
from sweep.runs.files import sha256
from sweep.runs.manifest import read_manifest, write_manifest
from sweep.runs.table import read_result
from sweep.sink import KEYS
from tests.support.minute import config_of
from tests.sweep.runs.test_store import cut_short, home_of

MANY = {"side": ["buy", "sell"], "size": [500, 2000], "every": "5s", "horizon": "7s"}


@pytest.fixture(scope="module")
def many(stream):
    return run(config_of(stream, order=MANY))


@pytest.fixture(scope="module")
def alone(stream, many):
    """The result of each of these orders, asked for alone, in their order."""
    orders = many.config.question.orders
    start = many.config.question.window.start
    starts = range(start, start + 54 * 10**9, 5 * 10**9)
    return [
        run(config_of(stream, order={"side": side, "size": size, "start": at, "end": at + orders.horizon}))
        for side in orders.sides
        for size in orders.sizes
        for at in starts
        if at + orders.horizon <= many.config.question.window.end
    ]


def edges_of(count, cells, per_block):
    per_cell = count // cells
    firsts = range(0, per_cell, per_block)
    return [*(cell * per_cell + first for cell in range(cells) for first in firsts), count]


def test_each_group_is_the_sum_of_its_orders_run_alone(many, alone):
    assert len(alone) == many.document["orders"]["count"] == 44
    edges = edges_of(44, 4, 3)  # 14 s are three starts
    assert many.table.shape == (27 * (len(edges) - 1), len(KEYS) + 8)
    for number, (first, past) in enumerate(pairwise(edges)):
        rows = many.table[many.table[:, 1] == number]
        assert rows[:, 2].tolist() == list(range(27))
        assert (rows[:, 3:] == sum(each.table[:, 3:] for each in alone[first:past])).all()


def test_the_document_says_what_its_orders_say_together(many, alone):
    document = many.document
    best = sum(document["best_parameters"][name] * 10**9 for name in ("lambda_under", "theta_queue"))
    numbers = [n for n, p in enumerate(many.config.question.grid.parameters(0, 27)) if p.tau == round(best)]
    signs = [1 if each.config.order.side == "buy" else -1 for each in alone]
    totals = {k: sum(sign * int(each.table[k, -1]) for sign, each in zip(signs, alone, strict=True)) for k in range(27)}
    filled = {k: sum(int(each.table[k, 3]) for each in alone) for k in range(27)}
    assert min(numbers) == min(k for k in totals if totals[k] == min(v for n, v in totals.items() if filled[n]))
    shown = [each.document["baselines"]["twap"] for each in alone]
    twap = document["baselines"]["twap"]
    assert twap["filled"] == sum(each["filled"] for each in shown)
    assert twap["total_cash"] == pytest.approx(sum(each["total_cash"] for each in shown), abs=0.3)
    parts = document["shortfall"]["baselines"]["twap"]
    for name in ("shortfall", "timing", "spread", "fees", "leftover"):
        by_order = [each.document["shortfall"]["baselines"]["twap"][name] for each in alone]
        assert parts[name] == pytest.approx(sum(by_order), abs=0.3)
    cash = sum(int(each.table[min(numbers), -1]) for each in alone)
    assert document["optimized"]["total_cash"] == pytest.approx(cash / 1e9, abs=0.01)
    paid = {name: document["baselines"][name]["total_cash"] for name in document["baselines"]}
    assert set(paid) == set(document["savings_vs_baselines_bps"])
    section = document["orders"]
    assert (section["left_out"], section["blocks"], section["days"], section["symbols"]) == (8, 4, 1, 1)
    assert [(cell["side"], cell["size"], cell["orders"]) for cell in section["cells"]] == [
        (side, size, 11) for side in ("buy", "sell") for size in (500, 2000)
    ]
    assert document["order"]["side"] == ["buy", "sell"]
    assert document["order"]["size"] == [500, 2000]
    assert any("8 of 52 orders are left out" in line for line in document["warnings"])


def test_the_mean_saving_of_a_cell_is_that_of_its_orders(many, alone):
    number = next(
        n for n, point in enumerate(many.config.question.grid.parameters(0, 27)) if point.tau == round(
            sum(many.document["best_parameters"][name] for name in ("lambda_under", "theta_queue")) * 10**9
        )
    )  # fmt: skip
    savings = []
    for each in alone[:11]:
        cash = int(each.table[number, -1]) / 1e9
        base = each.document["baselines"]["best_ask"]["total_cash"]
        savings.append(1e4 * (base - cash) / base)
    cell = many.document["orders"]["cells"][0]
    assert cell["mean_saving_bps"]["best_ask"] == pytest.approx(np.mean(savings), abs=0.02)
    error = np.std(savings, ddof=1) / np.sqrt(11)
    assert cell["standard_error_bps"]["best_ask"] == pytest.approx(error, abs=0.02)


def test_one_order_has_its_saving_as_the_mean_and_no_error(alone):
    document = alone[0].document
    (cell,) = document["orders"]["cells"]
    assert cell["mean_saving_bps"] == document["savings_vs_baselines_bps"]
    assert set(cell["standard_error_bps"].values()) == {None}
    assert document["orders"]["count"] == 1


def test_the_parts_of_every_strategy_add_up(stream):
    config = config_of(stream, order={**MANY, "size": 100_000})
    parts = run(config).document["shortfall"]
    bound = parts["baselines"].pop("clairvoyant")
    assert (bound["timing"], bound["spread"], bound["first_fill"]) == (None, None, None)
    for loss in (parts["optimized"], *parts["baselines"].values()):
        total = loss["timing"] + loss["spread"] + loss["fees"] + loss["leftover"]
        assert loss["shortfall"] == pytest.approx(total, abs=0.03)
    assert set(Shortfall.__slots__) <= {*parts["optimized"]}


@pytest.mark.parametrize("size", [1, 5, 100])
def test_no_result_depends_on_cuts_or_on_the_collapse(stream, many, monkeypatch, size):
    monkeypatch.setattr(Cutter, "_size", lambda _: size)
    cut = run(config_of(stream, order=MANY, collapse=False))
    assert cut.table.tobytes() == many.table.tobytes()
    assert without_run(cut.document) == without_run(many.document)


def without_run(document):
    return {name: section for name, section in document.items() if name != "run"}


def test_every_kernel_gives_the_same_rows(stream, monkeypatch):
    buys = {**MANY, "side": "buy"}
    expected = run(config_of(stream, order=buys, depth=1))
    ran = set()
    original = tasks.calibrate

    for kernel in KERNELS:

        def only(book, job, kernel=kernel):
            names = original(book, job)
            return {kernel: ((1, 1e-4),)} if kernel in names or kernel in {"reference", "walk"} else names

        monkeypatch.setattr(tasks, "calibrate", only)
        result = run(config_of(stream, order=buys, depth=1))
        ran.add(result.document["run"]["kernel"])
        assert result.table.tobytes() == expected.table.tobytes()
    assert {"shared", "rows", "lanes", "wide", "walk", "reference"} <= ran


def test_a_combination_that_fails_for_one_order_is_reported_once(stream, monkeypatch):
    original = simulate.run_combinations

    def fails(book, order, rules, policy, fees, parameters, **keywords):
        bad = any(p.lambda_under == 30_000_000 and p.theta_queue == 0 for p in parameters)
        if bad and order.side == "sell" and order.size == 500:
            raise ZeroDivisionError("a bug in one corner")
        return original(book, order, rules, policy, fees, parameters, **keywords)

    whole = run(config_of(stream, order=MANY))
    together = tasks.add_orders

    def fails_together(book, orders, rules, policy, fees, parameters, out, **keywords):
        together(book, orders, rules, policy, fees, parameters, out, **keywords)
        for order in orders:
            fails(book, order, rules, policy, fees, parameters, **keywords)

    monkeypatch.setattr(tasks, "add_orders", fails_together)
    monkeypatch.setattr(tasks, "run_combinations", fails)
    monkeypatch.setattr(simulate, "run_combinations", fails)
    result = run(config_of(stream, order=MANY))
    assert [failure.combination for failure in result.failures] == [3, 12, 21]
    assert [failure["combination"] for failure in result.document["failed"]] == [3, 12, 21]
    kept = ~(np.isin(whole.table[:, 2], [3, 12, 21]) & np.isin(whole.table[:, 1], [8, 9, 10, 11]))
    assert result.table.tobytes() == whole.table[kept].tobytes()
    assert result.document["objective"]["distinct"] == whole.document["objective"]["distinct"] - 1


def test_a_run_that_is_cut_short_goes_on_where_it_was_and_verifies(stream, many, tmp_path):
    config = config_of(stream, order=MANY, output=str(tmp_path))
    cut_short(config, 60)
    home = home_of(config)
    result = resume(home, progress=Silent())
    assert result.table.tobytes() == many.table.tobytes()
    assert without_run(result.document) == without_run(many.document)
    report = verification.verify(home, [], Silent(), sample=5)
    assert report["identical"] is True
    assert report["checked"]["rows"]["of"] == len(many.table)


def test_sums_beyond_64_bits_are_refused_by_groups_and_exact_over_them(stream):
    size = 5_000_000
    keys = {"size": size, "every": "1s", "horizon": "1s", "side": ["buy", "sell"]}
    result = run(config_of(stream, order=keys, grid={"lambda_over": 0, "lambda_under": 0, "theta_queue": 0}))
    exact = sum(int(cash) for cash in result.table[result.table[:, 2] == 0][:, -1])
    assert exact > 2**63
    assert result.document["optimized"]["total_cash"] == pytest.approx(exact / 1e9, rel=1e-9)


def test_the_taq_day_by_ten_minutes_in_one_command(taq_day, capsys):
    words = (
        "order.every=10m", "order.horizon=10m", "order.from=09:40", "order.to=15:40", "order.zone=America/New_York",
        "order.size=[5000, 20000]", "fees={default: {taker: 0.003}}",
        "grid.lambda_over=0", "grid.lambda_under=0", "grid.theta_queue=0",
    )  # fmt: skip
    assert cli.main(["executor=inline", f"source={taq_day}", *words]) == 0
    document = json.loads(capsys.readouterr().out)
    shown = {
        cell["size"]: (cell["mean_saving_bps"]["best_ask"], cell["standard_error_bps"]["best_ask"])
        for cell in document["orders"]["cells"]
    }
    assert shown == {5000: (-0.5, 0.33), 20_000: (9.06, 1.56)}
    assert document["orders"]["count"] == 2 * 37


def test_the_running_best_is_not_guessed_from_parts(stream):
    seen = []

    class Noting(Silent):
        def finished(self, event):
            seen.append(event.best)

    run(config_of(stream, order=MANY), Noting())
    assert set(seen) == {None}


def test_an_order_that_ends_after_the_data_is_refused_where_none_is_left(stream, capsys):
    config = config_of(stream)
    start, end = config.window.start, config.window.end
    words = [f"source={stream}", "executor=inline", f"window.start={start}", f"window.end={end}"]
    assert cli.main([*words, "order.every=5s", "order.horizon=2m"]) == 2
    assert "error: order: of 13 orders of 120 s none lies inside the window" in capsys.readouterr().err
    at = format_instant(config.question.window.end)
    assert cli.main([*words, f"order.start=[{at}, {start}]", "order.horizon=2m"]) == 2


def test_groups_of_a_chunk_are_slices_of_the_orders(stream):
    job = tasks.Job(tuple("abcdef"), None, None, edges=(0, 2, 3, 6))
    chunk = replace(tasks_chunk(), order=1, orders=2)
    assert job.groups == 3
    assert job.groups_of(chunk) == (("c",), ("d", "e", "f"))
    assert tasks.Job(tuple("abc"), None, None).groups_of(chunk) == (("b",), ("c",))


def tasks_chunk():
    from sweep.chunks import Chunk

    return Chunk(0, 0, 0, 1)


def test_each_order_of_the_best_and_the_baselines_has_a_row_that_stands_on_disk(stream, many, alone, tmp_path):
    stored = run(config_of(stream, order=MANY, output=str(tmp_path)))
    frame = stored.orders_frame()
    pd.testing.assert_frame_equal(frame, many.orders_frame())
    pd.testing.assert_frame_equal(frame, read_result(stored.home, read_manifest(stored.home)).orders_frame())
    strategies = ["optimized", *many.document["baselines"]]
    assert frame["strategy"].tolist() == [name for name in strategies for _ in range(44)]
    one = pd.concat([each.orders_frame().query("strategy == 'twap'") for each in alone])
    both = ["side", "size", "start", "end", *FIELDS, "arrival_mid2", "first_fill", "last_fill"]
    both += [f"shortfall_{name}" for name in ("timing", "spread", "fees", "leftover")]
    twap = frame.query("strategy == 'twap'")
    pd.testing.assert_frame_equal(twap[both].reset_index(drop=True), one[both].reset_index(drop=True))
    sums = frame.query("strategy == 'optimized'").groupby("group")["total_cash"].sum()
    best = many.document["best_parameters"]
    rows = many.to_frame().query(" and ".join(f"{name} == {value}" for name, value in best.items()))
    assert sums.tolist() == rows["total_cash"].tolist()
    bound = frame["strategy"] == "clairvoyant"
    for name in ("shortfall_timing", "shortfall_spread", "first_fill", "last_fill"):
        assert frame.loc[bound, name].isna().all()
    frame = frame[~bound]
    assert frame["shortfall_timing"].notna().all()
    sign = np.where(frame["side"] == "buy", 1, -1)
    loss = sum(frame[f"shortfall_{name}"] for name in ("timing", "spread", "fees", "leftover"))
    assert (loss == sign * (2 * frame["total_cash"] - frame["size"] * frame["arrival_mid2"])).all()


def test_a_changed_row_of_an_order_is_found(stream, tmp_path):
    home = run(config_of(stream, order=MANY, output=str(tmp_path))).home
    path = home / "orders.parquet"
    table = parquet.read_table(path)
    values = table.column("filled").to_pylist()
    values[50] += 1
    parquet.write_table(table.set_column(table.schema.get_field_index("filled"), "filled", pa.array(values)), path)
    report = verification.verify(home, [], Silent(), sample=1)
    assert report["differs"][0]["what"] == "file"
    manifest = read_manifest(home)
    write_manifest(home, structs.replace(manifest, files={**manifest.files, path.name: sha256(path)}))
    report = verification.verify(home, [], Silent(), sample=1)
    assert report["differs"] == [
        {"what": "orders", "where": {"row": 50, "column": "filled"}, "stored": values[50], "found": values[50] - 1}
    ]


def test_halves_of_a_walk_that_all_orders_share_are_run_again_whole(stream, tmp_path, monkeypatch):
    keys = {"order": {**MANY, "side": "buy"}, "grid": {"lambda_over": 0}, "depth": 1}
    expected = run(config_of(stream, **keys))
    monkeypatch.setattr(tasks, "calibrate", lambda *_: {"shared": ((1, 1e-4),)})
    config = config_of(stream, output=str(tmp_path), **keys)
    original = Cutter.take
    handed = []

    def halved(cutter):
        chunk = original(cutter)
        if chunk is not None and not handed:
            handed.append(chunk)
            cutter.lost(chunk)
            chunk = original(cutter)
        return chunk

    monkeypatch.setattr(Cutter, "take", halved)
    cut_short(config, 9)
    assert handed[0].orders > 1
    result = resume(home_of(config), progress=Silent())
    assert result.document["run"]["kernel"] == "shared"
    assert result.table.tobytes() == expected.table.tobytes()


def test_orders_that_are_too_large_together_are_refused_before_the_sweep(stream):
    with pytest.raises(
        AllocatorError, match=r"beyond exact 64-bit money.*\(the \d+ orders of one side, size and block"
    ):
        run(config_of(stream, order={"size": 20_000_000, "every": "1s", "horizon": "20s"}))
    run(config_of(stream, order={"size": 20_000_000}, grid={"lambda_over": 0, "lambda_under": 0, "theta_queue": 0}))


def test_a_frame_s_instants_are_starts(stream):
    window = config_of(stream).question.window
    starts = pd.to_datetime([window.start + 10**9, window.start + 9 * 10**9], utc=True)
    for given in (starts, pd.Series(starts), list(starts), np.array([window.start + 10**9, window.start + 9 * 10**9])):
        config = config_of(stream, order={"start": given, "horizon": "2s"})
        assert config.question.orders.starts == (window.start + 10**9, window.start + 9 * 10**9)


def test_any_combination_has_its_orders_in_the_table(stream):
    order = {"side": ["buy", "sell"], "size": [300, 2000], "every": "5s", "horizon": "6s"}
    grid = {"liquidity": ["persist", "refresh"], "theta_queue": [0, 0.02]}
    results = {detail: run(config_of(stream, order=order, grid=grid, detail=detail)) for detail in ("best", "all")}
    some = run(config_of(stream, order=order, grid=grid, detail=[0, 17, 20]))
    frames = {detail: result.orders_frame() for detail, result in [*results.items(), ("some", some)]}
    for result in (*results.values(), some):
        assert result.document["best_parameters"] == some.document["best_parameters"]
    shared = frames["all"][~frames["all"]["strategy"].str.startswith("combination ")].reset_index(drop=True)
    assert shared.equals(frames["best"])
    sums = frames["all"].groupby(["combination", "side"])[["filled", "fees", "total_cash"]].sum()
    table = some.to_frame()
    table["side"] = np.where(table["order"] < table["order"].max() // 2 + 1, "buy", "sell")
    expected = table.groupby(["combination", "side"])[["filled", "fees", "total_cash"]].sum()
    assert len(sums) == 2 * len(some.config.question.grid)
    assert (sums.to_numpy(np.int64) == expected.to_numpy()).all()
    named = frames["some"]["combination"].dropna().unique().tolist()
    assert {0, 17, 20} <= {*named} <= {0, 17, 20, *frames["best"]["combination"].dropna()}


def test_detail_that_cannot_be_is_refused(stream):
    with pytest.raises(ConfigError, match=r"^detail: 27 is no combination; they are numbered from 0 to 26$"):
        config_of(stream, detail=[0, 27])
    with pytest.raises(ConfigError, match=r"^detail: 3 stands twice"):
        config_of(stream, detail=[3, 3])
    many = {"every": "1ms", "horizon": "10s"}
    with pytest.raises(ConfigError, match=r"^detail: 27 combinations x 50,001 orders are 1,350,027 runs, more than"):
        run(config_of(stream, order=many, detail="all"))
