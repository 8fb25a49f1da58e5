"""Where tasks run: in this process or on Ray, behind one contract."""

from sweep.executors.contract import Executor, Handle, Item, Lost, Where
from sweep.executors.inline import Inline
from sweep.executors.registry import cpus, from_outside, open_executor, surplus_workers_warning, workers_of

__all__ = [
    "Executor",
    "Handle",
    "Inline",
    "Item",
    "Lost",
    "Where",
    "cpus",
    "from_outside",
    "open_executor",
    "surplus_workers_warning",
    "workers_of",
]
