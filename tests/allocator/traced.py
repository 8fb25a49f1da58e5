"""Runs whose fills were kept, in a form that two of them can be compared in."""


def comparable(traced):
    """Of a run, or of each of several, its execution, trace and fills, these in an order that no engine decides."""
    if isinstance(traced, dict):
        return {name: comparable(run) for name, run in traced.items()}
    return traced.execution, traced.trace, None if traced.fills is None else sorted(traced.fills.tolist())


def rows_of(run):
    """The fills of a recorded execution, as `comparable` gives them."""
    return sorted([fill.snapshot, fill.venue, fill.shares, fill.price] for fill in run.fills)
