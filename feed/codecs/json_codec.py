"""The json codec: one message per instant, quotes and trades together, in the published study's field names.

`snapshot` is always there, empty where an instant has only trades; `trades` is left out where there are none. A quote
of a tape of several levels has the fields of each, `ask_px_01` and so on, 0 where there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from feed.codecs.json_rows import REFUSALS, JsonRows
from feed.codecs.messages import Message, Messages, batches, by_instant, too_large
from feed.levels import MOST_LEVELS
from feed.options import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from feed.codecs.messages import Decoded, Record
    from feed.tape import Tape

_ROWS = 2**15
"""Rows of a tape that are written together: few enough that they stay in a cache."""

_MOST_ROWS = 2**18
"""The same of all tapes: many are written a little each at a time."""


def encode_json(tape: Tape) -> Iterator[Message]:
    """Write a tape as JSON, one message per instant that has quotes or trades.

    Parameters
    ----------
    tape : Tape

    Yields
    ------
    Message
        Ascending instants; rows in the tape's order; prices in dollars, as exact decimal text.
    """
    for each in stream_json([tape]):
        yield from map(Message, each.ts.tolist(), each.values.to_pylist(), each.rows.tolist())


def stream_json(tapes: Sequence[Tape]) -> Iterator[Messages]:
    """Write tapes as JSON, one message per instant of a tape that has quotes or trades.

    Parameters
    ----------
    tapes : sequence of Tape

    Yields
    ------
    Messages
        By time, at one instant by tape; each as `encode_json` writes it.
    """
    import pyarrow as pa

    from feed.codecs.json_text import json_texts

    places = list(map(by_instant, tapes))
    ts = np.concatenate([np.zeros(0, np.int64), *(instants for instants, _, _ in places)])
    of_tape = np.repeat(np.arange(len(tapes)), [len(instants) for instants, _, _ in places])
    rows = np.concatenate([np.zeros(0, np.int64), *(np.diff(quotes + trades) for _, quotes, trades in places)])
    if len(tapes) > 1:
        order = np.argsort(ts, kind="stable")
        ts, of_tape, rows = ts[order], of_tape[order], rows[order]
    ends = np.cumsum(rows)
    most = min(_ROWS * len(tapes), _MOST_ROWS)
    first, begun = 0, [0] * len(tapes)
    while first < len(ts):
        last = max(int(np.searchsorted(ends, (ends[first - 1] if first else 0) + most, "right")), first + 1)
        own = of_tape[first:last]
        texts = []
        for number in np.flatnonzero(counts := np.bincount(own)).tolist():
            begin, end = begun[number], begun[number] + int(counts[number])
            instants, quotes, trades = places[number]
            texts.append(
                json_texts(tapes[number], instants[begin:end], *(at[begin : end + 1] for at in (quotes, trades)))
            )
            begun[number] = end
        values = texts[0]
        if len(texts) > 1:  # written tape by tape
            values = pa.concat_arrays(texts).take(pa.array(np.argsort(np.argsort(own, kind="stable"))))
        yield Messages(ts[first:last], own, values, rows[first:last])
        first = last


def decode_json(
    records: Iterable[Record],
    refuse: Callable[[Record, str], None],
    max_bytes: int = MAX_BYTES,
    depth: int = MOST_LEVELS,
) -> Decoded:
    """Read JSON messages back into the rows they were written from.

    Parameters
    ----------
    records : iterable of Record
        In order of arrival; a batch is freed once its rows are in the columns.
    refuse : callable
        Called with each malformed message and the reason; if it returns, the message has no rows.
    max_bytes : int
        Of all rows together.
    depth : int
        At 1 levels behind the first are not looked at; otherwise all are read.

    Returns
    -------
    Decoded
        Prices in 1e-9 $; one with more than nine decimals is malformed.

    Raises
    ------
    FeedCorrupt
        More bytes than that; whatever `refuse` raises.
    """
    rows = JsonRows(depth)
    for batch in batches(records):
        if not rows.extend([record.value for record in batch]):
            for record in batch:
                try:
                    rows.append(record.value)
                except REFUSALS as error:
                    refuse(record, str(error))
                    rows.skip()
        if rows.nbytes > max_bytes:
            raise too_large(batch[-1], max_bytes)
    return rows.decoded()
