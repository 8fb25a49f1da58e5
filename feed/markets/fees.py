"""Fee scenarios: what takers and makers of US equities paid at some exchanges on a date, with a source for each number.

A scenario is a plausible market, never a venue's complete schedule: volume tiers, tapes, auctions, hidden orders and
prices below 1 $ are left out. An exchange that is not in it has the scenario's default.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

_CAP = "17 CFR 242.610(c)"
_CLASSES = "SEC Release 34-84875, 84 FR 5202 (2019): seven exchanges pay makers, four pay takers, two do neither"
_BZX = "Bats BZX Exchange Fee Schedule, http://bats.com/us/equities/membership/fee_schedule/bzx/"
_EDGA = "Cboe EDGA fee codes, https://www.maoxian.com/thoughts/edga-fee-codes-and-associated-fees"
_MAKER_TAKER = "maker-taker since 2024-11-01: SEC Release 34-101492, 89 FR 88068"


@dataclass(frozen=True, slots=True)
class VenueFee:
    """What one exchange charges, dollars a share of 1 $ and more, without any tier.

    Attributes
    ----------
    mic : str
    model : str
        ``maker-taker`` pays makers, ``inverted`` pays takers, ``flat`` neither.
    taker : str
        Decimal text; below 0: a rebate.
    maker : str, optional
        The same, of displayed orders; None: the default's.
    date : str
        The day, ISO, of which the numbers are, or by which they were seen.
    source, note : str
    """

    mic: str
    model: Literal["maker-taker", "inverted", "flat"]
    taker: str
    maker: str | None
    date: str
    source: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Fees by exchange, and those of every other one.

    Attributes
    ----------
    date : str
        ISO.
    about : str
        What it supposes.
    taker, maker : str
        Decimal text, dollars a share: of exchanges that are not in the table.
    source : str
        Of these.
    venues : tuple of VenueFee
    cap : str, optional
        Decimal text: takers pay no more than this, whatever their exchange charged.
    """

    date: str
    about: str
    taker: str
    maker: str
    source: str
    venues: tuple[VenueFee, ...]
    cap: str | None = None


_2018 = (
    VenueFee("BATS", "maker-taker", "0.0030", "-0.0020", "2017-09-01", _BZX),
    VenueFee(
        "XNYS",
        "maker-taker",
        "0.00275",
        None,
        "2018-05-01",
        "New York Stock Exchange Price List 2018, https://www.readkong.com/page/new-york-stock-exchange-price-list-2018-2275237",
        "the charge for taking of the exchange's market makers",
    ),
    VenueFee(
        "XNAS",
        "maker-taker",
        "0.0030",
        None,
        "2015-02-01",
        "https://www.interactivebrokers.com/en/accounts/fees/INETstkfee.php",
        "as a broker passed it on",
    ),
    VenueFee(
        "BATY",
        "inverted",
        "-0.0016",
        "0.0018",
        "2014-04-01",
        "BATS BYX Exchange Fee Schedule, https://vdocuments.us/bats-y-exchange-fee-schedule-040114-byx-exchange-fee-schedule-"
        "effective-april.html",
        "the last schedule that was looked at",
    ),
    VenueFee(
        "XBOS",
        "inverted",
        "0",
        "0.0020",
        "2014-11-24",
        "https://expydoc.com/doc/4593894/summary-of-fee-changes-at-exchanges; it pays takers: SEC, SR-BX-2019-024, "
        "federal.elaws.us/fr/citation/2019-16093",
        "how much it pays a taker depends on tiers and is left at nothing",
    ),
    VenueFee("EDGA", "flat", "0.0003", "0.0003", "2017-09-01", f"{_BZX}, code AA: routed to EDGA"),
    VenueFee(
        "XASE",
        "flat",
        "0.0002",
        "0.0002",
        "2017-09-01",
        f"{_BZX}, code 8: adds at NYSE American",
        "of makers; takers are taken to pay the same",
    ),
)

_2026 = (
    VenueFee("BATS", "maker-taker", "0.0030", None, "2025-01-01", f"{_EDGA}, code AZ"),
    VenueFee("EDGX", "maker-taker", "0.0030", None, "2025-01-01", f"{_EDGA}, code AX"),
    VenueFee("EDGA", "maker-taker", "0.0030", "-0.0027", "2025-01-01", f"{_EDGA}, codes B and BB; {_MAKER_TAKER}"),
    VenueFee("ARCX", "maker-taker", "0.0030", "-0.0022", "2025-01-01", f"{_EDGA}, codes G and 10"),
    VenueFee("XNYS", "maker-taker", "0.0028", "-0.0015", "2025-01-01", f"{_EDGA}, codes D and F"),
    VenueFee("BATY", "inverted", "-0.0002", None, "2025-01-01", f"{_EDGA}, code BY"),
    VenueFee("XBOS", "inverted", "-0.0005", None, "2025-01-01", f"{_EDGA}, code C"),
    VenueFee(
        "EPRL",
        "maker-taker",
        "0.0030",
        "-0.0016",
        "2025-10-01",
        "https://www.miaxglobal.com/alert/2025/09/30/miax-pearl-equities-exchange-october-1-2025-fee-changes",
    ),
    VenueFee(
        "IEXG",
        "flat",
        "0.0006",
        "0",
        "2022-04-01",
        "https://exchange.iex.io/resources/trading/fee-schedule/, codes TL and ML: displayed",
        "the last schedule whose numbers were seen",
    ),
    VenueFee("MEMX", "maker-taker", "0.0030", "-0.0018", "2023-06-01", "https://info.memxtrading.com/fee-schedule/"),
)

SCENARIOS: Final = {
    "us-2018": Scenario(
        "2018-01-02",
        "exchanges of 2018 under the cap of 0.0030 $",
        "0.0030",
        "-0.0020",
        f"the cap of {_CAP}, which most exchanges charged takers: {_CLASSES}; makers as on Cboe BZX",
        _2018,
    ),
    "us-2026-cap30": Scenario(
        "2026-11-29",
        "exchanges of the 2020s under the cap of 0.0030 $, which stays until the first business day of November 2027",
        "0.0030",
        "-0.0020",
        f"the cap of {_CAP}; put off: SEC Release 34-105656 of 2026-06-11",
        _2026,
    ),
    "us-2026-cap10": Scenario(
        "2026-11-29",
        "the same exchanges, had the amended cap of 0.0010 $ been in force: takers pay no more, makers get the less",
        "0.0010",
        "0",
        "17 CFR 242.610(c) as amended by SEC Release 34-101070, 89 FR 81620; in force from 2027-11-01 on: SEC Release "
        "34-105656",
        _2026,
        cap="0.0010",
    ),
}
"""Every scenario, by name."""


def fees_of(name: str) -> dict[str, dict[str, float]]:
    """A scenario as the key `fees` takes it: MIC, or ``default``, to dollars a share.

    Parameters
    ----------
    name : str
        One of `SCENARIOS`.
    """
    scenario = SCENARIOS[name]
    table = {"default": {"taker": float(scenario.taker), "maker": float(scenario.maker)}}
    for each in scenario.venues:
        taker, maker = Decimal(each.taker), None if each.maker is None else Decimal(each.maker)
        cut = max(taker - Decimal(scenario.cap), Decimal(0)) if scenario.cap is not None else Decimal(0)
        table[each.mic] = {"taker": float(taker - cut)}
        if maker is not None:
            table[each.mic]["maker"] = float(min(maker + cut, Decimal(0)) if cut else maker)
    return table
