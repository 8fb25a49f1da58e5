"""The json codec: one message per instant, quotes and trades together, in the published study's field names.

`snapshot` is always there, empty where an instant has trades only; `trades` is left out where there are none.
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from feed.instants import format_instant
from feed.jsonrows import REFUSALS, SIDES, JsonRows
from feed.messages import Message, batches, too_large
from feed.options import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from feed.messages import Decoded, Record
    from feed.tape import Tape

_NANO = 10**9


def encode_json(tape: Tape) -> Iterator[Message]:
    """Write a tape as JSON, one message per instant that has quotes or trades.

    Parameters
    ----------
    tape : Tape

    Yields
    ------
    Message
        Ascending instants; rows in the tape's order; prices in dollars, whose decimal text is exact.
    """
    quotes = groupby(
        zip(*(_listed(tape, "ts venue ask_px ask_sz bid_px bid_sz sequence")), strict=True), key=itemgetter(0)
    )
    trades = groupby(zip(*(_listed(tape.trades, "ts venue px sz side sequence")), strict=True), key=itemgetter(0))
    dollars = _Dollars()
    quote_ts, quote_rows = next(quotes, (None, None))
    trade_ts, trade_rows = next(trades, (None, None))
    while quote_ts is not None or trade_ts is not None:
        ts: int = min(instant for instant in (quote_ts, trade_ts) if instant is not None)
        stamp = f'{{"ts_event":"{format_instant(ts)}","publisher_id":'
        text = '{"snapshot":['
        count = 0
        if quote_ts == ts and quote_rows is not None:
            listed = [
                f'{stamp}{venue},"ask_px_00":{dollars[ask]},"ask_sz_00":{ask_sz},"bid_px_00":{dollars[bid]},'
                f'"bid_sz_00":{bid_sz},"sequence":{sequence}}}'
                for _, venue, ask, ask_sz, bid, bid_sz, sequence in quote_rows
            ]
            text += ",".join(listed)
            count += len(listed)
            quote_ts, quote_rows = next(quotes, (None, None))
        text += "]"
        if trade_ts == ts and trade_rows is not None:
            listed = [
                f'{stamp}{venue},"price":{dollars[px]},"size":{size},"side":"{SIDES[side]}","sequence":{sequence}}}'
                for _, venue, px, size, side, sequence in trade_rows
            ]
            text += f',"trades":[{",".join(listed)}]'
            count += len(listed)
            trade_ts, trade_rows = next(trades, (None, None))
        yield Message(ts, f"{text}}}".encode(), count)


def _listed(columns: Any, names: str) -> list[list[int]]:  # noqa: ANN401 - a Tape or its Trades
    return [getattr(columns, name).tolist() for name in names.split()]


class _Dollars(dict[int, str]):
    """Nanodollars to dollars as text, remembered: a stream has few distinct prices."""

    def __missing__(self, px: int) -> str:
        whole, nano = divmod(px, _NANO)
        fraction = f"{nano:09d}".rstrip("0") or "0"
        self[px] = text = f"{whole}.{fraction}"
        return text


def decode_json(
    records: Iterable[Record], refuse: Callable[[Record, str], None], max_bytes: int = MAX_BYTES
) -> Decoded:
    """Read JSON messages back into the rows they were written from.

    Parameters
    ----------
    records : iterable of Record
        In order of arrival; a batch is dropped once its rows are in the columns.
    refuse : callable
        Told of each malformed message and why it is; where it returns, the message counts no rows.
    max_bytes : int
        Of all rows together.

    Returns
    -------
    Decoded
        Prices in 1e-9 $; one with more than nine decimals is malformed.

    Raises
    ------
    FeedCorrupt
        More bytes than that; whatever `refuse` raises.
    """
    rows = JsonRows()
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
