"""Tables of others: which column holds what, in which unit, and the columns of a tape that come of it.

QuoteMapping : which column holds what, the section `quotes` of a configuration; `parse_mapping` reads and checks
    it, `read_mapping` a file that holds it, `parse_word` one value of a command line.
propose : the mapping that a table seems to have, with reasons and doubts; `written` makes YAML of it.
Mapper : takes a table block after block, such as `ArrowBlock`, and makes the columns of a tape of it, `Mapped`.
integers, instants, prices_kept : columns of text turned into exact integers; `first_bad` finds what they refuse.
are_iso, are_nanos, below_a_cent, beyond_nanos, whole_numbers : how a column is written.
Arrow, Text : types of pyarrow's, which carries none.
"""

from typing import TYPE_CHECKING

from feed.lazy import exports

if TYPE_CHECKING:
    from feed.tables.blocks import ArrowBlock
    from feed.tables.mapped import Mapped, Mapper
    from feed.tables.mapping import EXPECTED, QuoteMapping, parse_mapping, parse_word, read_mapping
    from feed.tables.mapping_yaml import written
    from feed.tables.parsing import (
        Arrow,
        Text,
        are_iso,
        are_nanos,
        below_a_cent,
        beyond_nanos,
        first_bad,
        instants,
        integers,
        prices_kept,
        whole_numbers,
    )
    from feed.tables.proposal import propose
    from feed.tables.typed import UNITS, days_of_dates, is_text, localised
else:
    __getattr__ = exports(  # a mapping is read where pyarrow is not needed
        __name__,
        {
            "blocks": ("ArrowBlock",),
            "mapped": ("Mapped", "Mapper"),
            "mapping": ("EXPECTED", "QuoteMapping", "parse_mapping", "parse_word", "read_mapping"),
            "parsing": (
                "Arrow",
                "Text",
                "are_iso",
                "are_nanos",
                "below_a_cent",
                "beyond_nanos",
                "first_bad",
                "instants",
                "integers",
                "prices_kept",
                "whole_numbers",
            ),
            "mapping_yaml": ("written",),
            "proposal": ("propose",),
            "typed": ("UNITS", "days_of_dates", "is_text", "localised"),
        },
    )

__all__ = [
    "EXPECTED",
    "UNITS",
    "Arrow",
    "ArrowBlock",
    "Mapped",
    "Mapper",
    "QuoteMapping",
    "Text",
    "are_iso",
    "are_nanos",
    "below_a_cent",
    "beyond_nanos",
    "days_of_dates",
    "first_bad",
    "instants",
    "integers",
    "is_text",
    "localised",
    "parse_mapping",
    "parse_word",
    "prices_kept",
    "propose",
    "read_mapping",
    "whole_numbers",
    "written",
]
