"""A row of Databento's mbp-1 in CSV, by column."""

ROW = {
    "ts_recv": "2024-08-01T13:36:32.600000000Z",
    "ts_event": "2024-08-01T13:36:32.491911683Z",
    "rtype": "1",
    "publisher_id": "2",
    "instrument_id": "38",
    "action": "A",
    "side": "B",
    "depth": "0",
    "price": "222.81",
    "size": "190",
    "flags": "130",
    "ts_in_delta": "170625",
    "sequence": "46542624",
    "bid_px_00": "222.81",
    "ask_px_00": "222.83",
    "bid_sz_00": "421",
    "ask_sz_00": "36",
    "bid_ct_00": "4",
    "ask_ct_00": "2",
    "symbol": "AAPL",
}
