"""Numbers only: venues, cost, allocation, book, fill engine, policies, baselines, kernels.

Venue, compute_cost : one venue's ask, and the cost of a split (Cont & Kukanov).
venues_of_levels : the levels of a venue, as supplies for `allocate`.
allocate, Allocation : the least-cost split of an order at one snapshot.
Order, Parameters, Execution : a parent order, what a sweep varies, and the result.
"""

from allocator.allocation import Allocation, allocate
from allocator.cost import Venue, compute_cost, venues_of_levels
from allocator.errors import AllocatorError
from allocator.order import Execution, Order, Parameters

__all__ = [
    "Allocation",
    "AllocatorError",
    "Execution",
    "Order",
    "Parameters",
    "Venue",
    "allocate",
    "compute_cost",
    "venues_of_levels",
]
