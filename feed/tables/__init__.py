"""Tables of others: which column holds what, in which unit, and the columns of a tape that come of it.

QuoteMapping : which column holds what, the section `quotes` of a configuration.
integers, instants, prices_kept : columns of text turned into exact integers; `first_bad` finds what they refuse.
are_iso, are_nanos, below_a_cent, beyond_nanos, whole_numbers : how a column is written.
Arrow, Text : types of pyarrow's, which carries none.
"""

from typing import TYPE_CHECKING

from feed.lazy import exports

if TYPE_CHECKING:
    from feed.tables.mapping import QuoteMapping
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
else:
    __getattr__ = exports(  # a mapping is read where pyarrow is not needed
        __name__,
        {
            "mapping": ("QuoteMapping",),
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
        },
    )

__all__ = [
    "Arrow",
    "QuoteMapping",
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
]
