"""Numbers only: venues, cost, allocation, book, fill engine, policies, baselines, kernels.

Venue, compute_cost : one venue's ask, and the cost of a split (Cont & Kukanov).
venues_of_levels : the levels of a venue, as supplies for `allocate`.
allocate, Allocation : the least-cost split of an order at one snapshot.
Order, Parameters, Execution : a parent order, what a sweep varies, and the result.
Policy, View, ChildOrder : what decides, what it sees at a snapshot, and what it sends.
Schedule, Book : a baseline that follows the clock, and the book that it is made of.
NANO : the units of money in a dollar.
"""

from allocator.allocation import Allocation, allocate
from allocator.baselines import Schedule
from allocator.book import Book
from allocator.cost import Venue, compute_cost, venues_of_levels
from allocator.engine import ChildOrder, Policy, View
from allocator.errors import AllocatorError
from allocator.money import NANO
from allocator.order import Execution, Order, Parameters

__all__ = [
    "NANO",
    "Allocation",
    "AllocatorError",
    "Book",
    "ChildOrder",
    "Execution",
    "Order",
    "Parameters",
    "Policy",
    "Schedule",
    "Venue",
    "View",
    "allocate",
    "compute_cost",
    "venues_of_levels",
]
