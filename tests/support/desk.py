"""A table as a desk has it: clocks of New York, names of venues, dollars, no sequence and no symbol."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from pathlib import Path

    from feed.tape import Tape

NAMES = {2: "NASDAQ", 3: "BX", 43: "ARCA"}


def write_desk(tape: Tape, path: Path) -> None:
    """Write the first level of a tape; a venue without a name is called NASDAQ."""
    frame = tape.to_frame()
    clocks = pd.to_datetime(frame["ts"], utc=True).dt.tz_convert("America/New_York").dt.tz_localize(None)
    desk = {
        "Time": clocks.astype("string").str.replace("T", " "),
        "Exch": frame["venue"].map(NAMES).fillna("NASDAQ"),
        "Bid": [f"{px / 1e9:.4f}" if px else "" for px in frame["bid_px"]],
        "Ask": [f"{px / 1e9:.4f}" if px else "" for px in frame["ask_px"]],
        "BidSize": frame["bid_sz"],
        "AskSize": frame["ask_sz"],
    }
    pd.DataFrame(desk).to_csv(path, index=False)
