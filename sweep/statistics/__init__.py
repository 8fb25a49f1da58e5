"""What many parent orders say: which they are, sums over them, and how sure a saving is.

interval, best_of, confidence_set, corrected, pbo : for anybody's matrix of block results.
"""

from sweep.statistics.blocks import Blocks, blocks_of
from sweep.statistics.calibration import Placing, Reliability, Resting, placing
from sweep.statistics.details import details, fills_by_venue, stacked
from sweep.statistics.differences import in_bps, saved_by_order
from sweep.statistics.filling import Filling
from sweep.statistics.folds import make_folds
from sweep.statistics.inference import FEWEST_BLOCKS, Interval, blocks_for, detectable, interval, t_quantile
from sweep.statistics.orders import MOST_ROWS, NoOrder, Orders, joined, no_orders, orders_on
from sweep.statistics.overfitting import Overfitting, pbo
from sweep.statistics.parts import Part, notional_by_group, paid_by_group, parts_of
from sweep.statistics.power import Power, powers
from sweep.statistics.selection import BestOf, Corrected, best_of, confidence_set, corrected
from sweep.statistics.sequence import FIRST_DAY, ConfidenceSequence, confidence_sequence
from sweep.statistics.totals import Outcome, Total, savings_of, shares_of, timings, total
from sweep.statistics.verdict import EFFECTS, Evidence, Saving, Verdict, verdict

__all__ = [
    "EFFECTS",
    "FEWEST_BLOCKS",
    "FIRST_DAY",
    "MOST_ROWS",
    "BestOf",
    "Blocks",
    "ConfidenceSequence",
    "Corrected",
    "Evidence",
    "Filling",
    "Interval",
    "NoOrder",
    "Orders",
    "Outcome",
    "Overfitting",
    "Part",
    "Placing",
    "Power",
    "Reliability",
    "Resting",
    "Saving",
    "Total",
    "Verdict",
    "best_of",
    "blocks_for",
    "blocks_of",
    "confidence_sequence",
    "confidence_set",
    "corrected",
    "details",
    "detectable",
    "fills_by_venue",
    "in_bps",
    "interval",
    "joined",
    "make_folds",
    "no_orders",
    "notional_by_group",
    "orders_on",
    "paid_by_group",
    "parts_of",
    "pbo",
    "placing",
    "powers",
    "saved_by_order",
    "savings_of",
    "shares_of",
    "stacked",
    "t_quantile",
    "timings",
    "total",
    "verdict",
]
