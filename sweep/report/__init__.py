"""The result of a sweep as it is printed."""

from sweep.report.document import (
    answer_section,
    failed_section,
    feed_section,
    order_section,
    orders_section,
    rules_section,
    shortfall_section,
    strategies,
)

__all__ = [
    "answer_section",
    "failed_section",
    "feed_section",
    "order_section",
    "orders_section",
    "rules_section",
    "shortfall_section",
    "strategies",
]
