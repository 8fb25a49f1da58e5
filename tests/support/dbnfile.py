"""DBN made by the library itself, and the CSV that the library makes of it."""

from __future__ import annotations

import io
from datetime import date
from types import SimpleNamespace

import databento_dbn as dbn

TS = 1722519392491911683
FIRST, PAST = date(2024, 8, 1), date(2024, 8, 2)
ACTIONS = {"T": dbn.Action.TRADE, "A": dbn.Action.ADD, "C": dbn.Action.CANCEL, "M": dbn.Action.MODIFY}
ACTIONS |= {"R": dbn.Action.CLEAR, "F": dbn.Action.FILL, "N": dbn.Action.NONE}
SIDES = {"B": dbn.Side.BID, "A": dbn.Side.ASK, "N": dbn.Side.NONE}
ROW = {
    "publisher_id": 2,
    "instrument_id": 38,
    "ts_event": TS,
    "price": 222_810_000_000,
    "size": 190,
    "action": "A",
    "side": "B",
    "ts_recv": TS + 170_625,
    "sequence": 46_542_624,
    "bid_px": 222_810_000_000,
    "ask_px": 222_830_000_000,
    "bid_sz": 421,
    "ask_sz": 36,
}
"""A row of AAPL."""


def mapping(symbol, *intervals):
    """Intervals (first date, date past the last, instrument id) of a symbol."""
    spans = [SimpleNamespace(start_date=first, end_date=past, symbol=str(number)) for first, past, number in intervals]
    return SimpleNamespace(raw_symbol=symbol, intervals=spans)


AAPL = mapping("AAPL", (FIRST, PAST, 38))


def metadata(*mappings, schema=dbn.Schema.MBP_1, version=3, ts_out=False, **stypes):
    stypes = {"stype_in": dbn.SType.RAW_SYMBOL, "stype_out": dbn.SType.INSTRUMENT_ID} | stypes
    return dbn.Metadata(
        dataset="XNAS.ITCH", start=TS, schema=schema, mappings=mappings, version=version, ts_out=ts_out, **stypes
    ).encode()


def record(levels=1, **change):
    """One record of mbp-1, or of mbp-10: changes to `ROW`."""
    row = ROW | change
    best = dbn.BidAskPair(
        bid_px=row.pop("bid_px"),
        ask_px=row.pop("ask_px"),
        bid_sz=row.pop("bid_sz"),
        ask_sz=row.pop("ask_sz"),
        bid_ct=1,
        ask_ct=1,
    )
    row |= {"action": ACTIONS[row["action"]], "side": SIDES[row["side"]], "depth": 0}
    if levels == 1:
        return bytes(dbn.MBP1Msg(levels=best, **row))
    return bytes(dbn.MBP10Msg(levels=[best] * levels, **row))


def shown(row, pair=dbn.BidAskPair, **others):
    """The one level of a record, taken out of its row."""
    sides = {name: row.pop(name) for name in ("bid_px", "ask_px", "bid_sz", "ask_sz")}
    return pair(**sides, **others)


def sampled_record(rtype=195, **change):
    """One record of bbo-1s, or of bbo-1m (196): changes to `ROW`, whose price and size are the last trade's."""
    row = {name: value for name, value in (ROW | change).items() if name != "action"}
    levels = shown(row, bid_ct=1, ask_ct=1)
    return bytes(dbn.BBOMsg(rtype=rtype, levels=levels, **row | {"side": SIDES[row["side"]]}))


def consolidated_record(rtype=177, bid_pb=43, ask_pb=2, **change):
    """One record of cmbp-1 (177), tcbbo (194), cbbo-1s (192) or cbbo-1m (193): changes to `ROW`."""
    row = {name: value for name, value in (ROW | change).items() if name != "sequence"}
    row["side"], action = SIDES[row["side"]], ACTIONS[row.pop("action")]
    levels = shown(row, dbn.ConsolidatedBidAskPair, bid_pb=bid_pb, ask_pb=ask_pb)
    if rtype in {192, 193}:
        return bytes(dbn.CBBOMsg(rtype=rtype, levels=levels, **row))
    return bytes(dbn.CMBP1Msg(rtype=rtype, levels=levels, action=action, **row))


ORDER = {
    "publisher_id": 2,
    "instrument_id": 38,
    "ts_event": TS,
    "order_id": 1,
    "price": 222_810_000_000,
    "size": 100,
    "action": "A",
    "side": "B",
    "ts_recv": TS + 170_625,
    "flags": dbn.F_LAST,
    "channel_id": 0,
    "sequence": 46_542_624,
}
"""A record of mbo."""


def order_record(**change):
    """One record of mbo: changes to `ORDER`."""
    row = ORDER | change
    return bytes(dbn.MBOMsg(**row | {"action": ACTIONS[row["action"]], "side": SIDES[row["side"]]}))


def trade_record():
    """One record of the schema trades, which is shorter and no book row."""
    return bytes(dbn.TradeMsg(2, 38, TS, 1, 1, dbn.Action.TRADE, dbn.Side.BID, 0, TS))


def live_metadata(version=3, **options):
    """Metadata as a live session has it: it maps nothing."""
    return metadata(schema=None, version=version, stype_in=None, **options)


def mapping_record(
    instrument, out, asked="", version=3, start=2**64 - 1, end=2**64 - 1, stype_out="raw_symbol", **options
):
    """A mapping record of a version: from what was asked for to what it stands for."""
    stypes = () if version == 1 else ("parent", stype_out)
    symbols = (asked, out) if version == 1 else (stypes[0], asked, stypes[1], out)
    message = dbn.SymbolMappingMsgV1 if version == 1 else dbn.SymbolMappingMsg
    if version > 1:
        symbols = (dbn.SType.from_str(symbols[0]), symbols[1], dbn.SType.from_str(symbols[2]), symbols[3])
    return bytes(message(0, instrument, TS - 10**9, *symbols, start, end, **options))


def csv_of(raw, **options):
    """The CSV that the library makes of DBN."""
    out = io.BytesIO()
    transcoder = dbn.Transcoder(out, dbn.Encoding.CSV, dbn.Compression.NONE, **options)
    transcoder.write(raw)
    transcoder.finish()
    return out.getvalue()
