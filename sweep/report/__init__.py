"""The result of a sweep as it is printed."""

from sweep.report.comparison import comparison_document
from sweep.report.document import (
    answer_section,
    best_parameters,
    failed_section,
    feed_section,
    fills_section,
    order_section,
    orders_section,
    rules_section,
    search_section,
    shortfall_section,
    strategies,
    worlds_section,
)
from sweep.report.judgement import judged_document, power_section
from sweep.report.placement import placement_section
from sweep.report.summary import print_summary

__all__ = [
    "answer_section",
    "best_parameters",
    "comparison_document",
    "failed_section",
    "feed_section",
    "fills_section",
    "judged_document",
    "order_section",
    "orders_section",
    "placement_section",
    "power_section",
    "print_summary",
    "rules_section",
    "search_section",
    "shortfall_section",
    "strategies",
    "worlds_section",
]
