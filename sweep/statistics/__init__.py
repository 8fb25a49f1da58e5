"""What many parent orders say: which they are, and sums over them."""

from sweep.statistics.details import details, fills_by_venue, stacked
from sweep.statistics.filling import Filling
from sweep.statistics.orders import NoOrder, Orders, joined, no_orders, orders_on
from sweep.statistics.totals import Outcome, Total, savings_of, shares_of, total

__all__ = [
    "Filling",
    "NoOrder",
    "Orders",
    "Outcome",
    "Total",
    "details",
    "fills_by_venue",
    "joined",
    "no_orders",
    "orders_on",
    "savings_of",
    "shares_of",
    "stacked",
    "total",
]
