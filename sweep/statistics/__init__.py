"""What many parent orders say: which they are, and sums over them."""

from sweep.statistics.details import details, stacked
from sweep.statistics.orders import NoOrder, Orders, joined, no_orders, orders_on
from sweep.statistics.totals import Outcome, Total, savings_of, shares_of, total

__all__ = [
    "NoOrder",
    "Orders",
    "Outcome",
    "Total",
    "details",
    "joined",
    "no_orders",
    "orders_on",
    "savings_of",
    "shares_of",
    "stacked",
    "total",
]
