"""The sample average of `allocator.placement` as a program for HiGHS: linear with optional fills, or the truth."""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np


@dataclass(frozen=True)
class Answer:
    """Costs per sample, in the unit of the problem: of the best orders known, and a bound below all; and M, L_1 .. ."""

    cost: float
    bound: float
    x: list[float]


def program(placing, *, exact):
    """Columns: M, L_k, shortfalls, fills of each venue and sample; and where exact, whether an order fills up to u.

    A fill is at most min(u, L): with costs as they are one may wish for less, which no market allows. Exact, a binary
    makes it that: 0 for a fill of L, 1 for one of u.
    """
    costs, size, through = placing.costs, placing.size, np.minimum(placing.through, placing.size)
    venues, samples = through.shape
    ((_, taking),) = placing.offered
    fills = 1 + venues + samples
    full = fills + venues * samples
    columns = full + venues * samples * exact
    cost = np.zeros(columns)
    cost[0] = taking + costs.theta + costs.over
    cost[1 : 1 + venues] = costs.theta
    cost[1 + venues : fills] = (costs.theta + costs.under + costs.over) / samples
    cost[fills:full] = np.repeat(costs.over - np.array(costs.gains), samples) / samples
    upper = np.full(columns, float(size))
    upper[fills:full] = through.ravel()
    upper[full:] = 1

    rows, lower, most = [], [], []

    def add(entries, low, high):
        rows.append(entries)
        lower.append(low)
        most.append(high)

    for i in range(samples):
        add([(0, 1), (1 + venues + i, 1), *((fills + k * samples + i, 1) for k in range(venues))], size, np.inf)
    for k in range(venues):
        add([(0, 1), (1 + k, 1)], -np.inf, size)
        for i in range(samples):
            fill, passed = fills + k * samples + i, int(through[k, i])
            add([(fill, 1), (1 + k, -1)], -np.inf, 0)
            if exact:
                whole = fill + venues * samples
                add([(fill, 1), (1 + k, -1), (whole, size - passed)], 0, np.inf)
                add([(fill, 1), (whole, -passed)], 0, np.inf)
    add([(k, 1) for k in range(1 + venues)], size, np.inf)

    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = columns, len(rows)
    unit = np.abs(cost).max() / samples  # a fill's cost is about 1: HiGHS takes reduced costs below 1e-7 for none
    model.col_cost_, model.offset_ = cost / unit, -costs.over * size / unit
    model.col_lower_, model.col_upper_ = np.zeros(columns), upper
    model.row_lower_, model.row_upper_ = np.array(lower, float), np.array(most, float)
    model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    model.a_matrix_.start_ = np.cumsum([0, *map(len, rows)])
    model.a_matrix_.index_ = np.array([column for entries in rows for column, _ in entries])
    model.a_matrix_.value_ = np.array([value for entries in rows for _, value in entries], float)
    if exact:
        kinds = [highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger]
        model.integrality_ = [kinds[column >= full] for column in range(columns)]
    return model, unit


def solver(model):
    """HiGHS with a model, on one thread, silent."""
    highs = highspy.Highs()
    highs.silent()
    highs.setOptionValue("threads", 1)
    highs.passModel(model)
    return highs


def declined(placing):
    """The linear program in which fills may be declined: a bound below the truth."""
    model, unit = program(placing, exact=False)
    highs = solver(model)
    highs.run()
    assert highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
    cost = highs.getInfo().objective_function_value * unit
    return Answer(cost, cost, list(highs.getSolution().col_value)[: placing.orders])


def truth(placing, x, within):
    """The mixed-integer program, begun at orders that are allowed, until its bound is `within` a cost of the best."""
    model, unit = program(placing, exact=True)
    highs = solver(model)
    through, limits = np.minimum(placing.through, placing.size), np.array(x[1:])[:, None]
    fills = np.minimum(through, limits)
    short = np.maximum(placing.size - x[0] - fills.sum(0), 0)
    start = highspy.HighsSolution()
    start.col_value = [*map(float, (*x, *short, *fills.ravel(), *(limits > through).ravel()))]
    highs.setSolution(start)
    highs.setOptionValue("mip_heuristic_effort", 0.0)
    highs.setOptionValue("mip_rel_gap", 0.0)
    highs.setOptionValue("mip_abs_gap", within / unit)
    highs.run()
    assert highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
    info = highs.getInfo()
    orders = list(highs.getSolution().col_value)[: placing.orders]
    return Answer(info.objective_function_value * unit, info.mip_dual_bound * unit, orders)
