"""The json codec: one message per instant, quotes and trades together, in the published study's field names.

`snapshot` is always there, empty where an instant has only trades; `trades` is left out where there are none. A quote
of a tape of several levels has the fields of each, `ask_px_01` and so on, 0 where there is none.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from feed.codecs.json_rows import REFUSALS, JsonRows
from feed.codecs.messages import Message, batches, by_instant, too_large
from feed.levels import MOST_LEVELS
from feed.options import MAX_BYTES
from feed.tape import AGGRESSOR_LETTERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from feed.codecs.messages import Decoded, Record
    from feed.tape import Tape

_NANO = 10**9
_CHUNK = 4096
_QUOTE, _TRADE = "venue ask_px ask_sz bid_px bid_sz sequence", "venue px sz side sequence"


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
    instants, *starts = by_instant(tape)
    dollars = _Dollars()
    for first in range(0, len(instants), _CHUNK):
        chunk = instants[first : first + _CHUNK]
        stamps = np.datetime_as_string(chunk.astype("datetime64[ns]")).tolist()
        quote_at, trade_at = (start[first : first + len(chunk) + 1].tolist() for start in starts)
        quotes = [
            f'{venue},"ask_px_00":{dollars[ask]},"ask_sz_00":{ask_sz},"bid_px_00":{dollars[bid]},"bid_sz_00":{bid_sz},'
            f'{behind}"sequence":{sequence}}}'
            for (venue, ask, ask_sz, bid, bid_sz, sequence), behind in zip(
                _rows(tape, _QUOTE, quote_at), _behind(tape, quote_at, dollars), strict=True
            )
        ]
        trades = [
            f'{venue},"price":{dollars[px]},"size":{size},"side":"{AGGRESSOR_LETTERS[side]}","sequence":{sequence}}}'
            for venue, px, size, side, sequence in _rows(tape.trades, _TRADE, trade_at)
        ]
        quote, trade = quote_at[0], trade_at[0]
        for ts, stamp, quote_end, trade_end in zip(chunk.tolist(), stamps, quote_at[1:], trade_at[1:], strict=True):
            prefix = f'{{"ts_event":"{stamp}Z","publisher_id":'
            separator = f",{prefix}"
            texts = quotes[quote - quote_at[0] : quote_end - quote_at[0]]
            text = f'{{"snapshot":[{prefix}{separator.join(texts)}]' if texts else '{"snapshot":[]'
            texts = trades[trade - trade_at[0] : trade_end - trade_at[0]]
            if texts:
                text += f',"trades":[{prefix}{separator.join(texts)}]'
            yield Message(ts, f"{text}}}".encode(), quote_end - quote + trade_end - trade)
            quote, trade = quote_end, trade_end


def _behind(tape: Tape, bounds: list[int], dollars: _Dollars) -> Iterable[str]:
    """The fields of the levels behind the first, of the rows between the bounds."""
    rows = slice(bounds[0], bounds[-1])
    if tape.levels is None:
        return repeat("", rows.stop - rows.start)
    levels = tape.levels.take(rows)
    columns = []
    for level in range(tape.depth - 1):
        for side in ("ask", "bid"):
            px, sz = (getattr(levels, f"{side}_{kind}")[:, level].tolist() for kind in ("px", "sz"))
            name = f"{level + 1:02}"
            columns.append(
                [
                    f'"{side}_px_{name}":{dollars[one]},"{side}_sz_{name}":{other},'
                    for one, other in zip(px, sz, strict=True)
                ]
            )
    return map("".join, zip(*columns, strict=True))


def _rows(columns: Any, names: str, bounds: list[int]) -> Iterator[tuple[int, ...]]:  # noqa: ANN401 - Tape or Trades
    """Rows between the bounds, as tuples."""
    rows = slice(bounds[0], bounds[-1])
    return zip(*(getattr(columns, name)[rows].tolist() for name in names.split()), strict=True)


class _Dollars(dict[int, str]):
    """Text in dollars of nanodollars, cached: a stream has few distinct prices."""

    def __missing__(self, px: int) -> str:
        whole, nano = divmod(px, _NANO)
        fraction = f"{nano:09d}".rstrip("0") or "0"
        self[px] = text = f"{whole}.{fraction}"
        return text


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
