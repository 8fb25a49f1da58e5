"""What `feed map` makes of tables: a mapping with its reasons, and no guess where two readings fit."""

from __future__ import annotations

import pyarrow as pa
import pytest

from feed.errors import FeedCorrupt
from feed.tables import parse_mapping, propose, written
from feed.tables.blocks import ArrowBlock
from feed.tables.mapped import Mapper
from feed.yaml_text import parse_yaml

DESK = {
    "Time": ["2024-08-01 09:30:00.123456", "2024-08-01 09:30:00.5"],
    "Exch": ["ARCA", "NASDAQ"],
    "Ticker": ["ABC", "ABC"],
    "Bid": ["157.23", "157.2"],
    "Ask": ["157.25", "157.26"],
    "BidSize": ["300", "120"],
    "AskSize": ["100", "7"],
}
ZONE = {"zone": "America/New_York"}


def keys(columns, given=None, **others):
    proposal = propose(pa.table(columns), {**(given or {}), **others})
    assert not proposal.doubts, proposal.doubts
    return proposal.mapping


def doubts(columns, **given):
    return "; ".join(propose(pa.table(columns), given).doubts)


def test_a_desks_table_is_read_with_its_zone_alone():
    assert keys(DESK, ZONE) == {
        "time": "Time",
        "time_unit": "iso",
        "zone": "America/New_York",
        "symbol": "Ticker",
        "venue": "Exch",
        "venues": "name",
        "bid_px": "Bid",
        "ask_px": "Ask",
        "bid_sz": "BidSize",
        "ask_sz": "AskSize",
        "price_unit": "dollars",
        "size_unit": "shares",
    }


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"Time": ["2024-08-01T13:30:00Z"] * 2}, {"time_unit": "iso"}),
        ({"Time": ["1722519000", "1722519001.5"]}, {"time_unit": "s"}),
        ({"Time": [1722519000000, 1722519000500]}, {"time_unit": "ms"}),
        ({"Time": [1722519000000000] * 2}, {"time_unit": "us"}),
        ({"Time": ["1722519000000000000"] * 2}, {"time_unit": "ns"}),
        ({"Time": ["8/31/2024 9:30:00 AM", "8/1/2024 9:30:01 AM"]}, {"date_order": "mdy", "time_unit": "iso"}),
        ({"Time": ["31.8.2024 09:30:00", "1.8.2024 09:30:01"]}, {"date_order": "dmy"}),
        ({"Time": ["2024/8/31 09:30:00", "2024/08/01 9:30:01"]}, {"date_order": "ymd", "time_unit": "iso"}),
        ({"Time": ["2024-08-31 09:30:00", "2024-08-01 9:30:01"]}, {"date_order": "ymd"}),
        ({"Exch": ["XNAS", "ARCX"]}, {"venues": "mic"}),
        ({"Exch": [b"NASDAQ", b"ARCA"]}, {"venues": "name"}),
        ({"Exch": [2.0, 43.0]}, {"venues": "id"}),
        ({"Exch": ["2", "43"]}, {"venues": "id"}),
        ({"Exch": [2, 43]}, {"venues": "id"}),
        ({"Exch": ["N", "P"]}, {"venues": "taq"}),
        ({"Bid": [157230000000, 1], "Ask": [157250000000, 157260000000]}, {"price_unit": "1e-9"}),
        ({"Bid": [157.23, None], "Ask": [157.25, 157.26]}, {"price_unit": "dollars"}),
        ({"BidSize": ["0.00123", "1"]}, {"size_unit": "1e-5"}),
        ({"BidSize": [100, 200], "AskSize": [300, 100]}, {"size_unit": "shares"}),
    ],
)
def test_what_only_one_reading_fits_is_proposed(changed, expected):
    given = {} if "Time" in changed and "date_order" not in expected else ZONE
    proposed = keys(DESK | changed, given)
    assert {key: proposed[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("changed", "given", "asked"),
    [
        (
            {},
            {},
            r"'Time' names no time zone: quotes.zone=UTC makes the first row 2024-08-01T09:30.*New_York makes .*T13:30",
        ),
        (
            {"Bid": ["1575000", "1575100"], "Ask": ["1575200"] * 2},
            ZONE,
            r"quotes.price_unit=cents makes it 15,75\d.*1e-4 makes it 157.5",
        ),
        (
            {"Time": ["8/1/2024 09:30:00"] * 2},
            ZONE,
            "month first: quotes.date_order=mdy makes the first one 2024-08-01, quotes.date_order=dmy .*2024-01-08",
        ),
        ({"BidSize": [3, 2], "AskSize": [1, 9]}, ZONE, "quotes.size_unit=shares, or quotes.size_unit=lots of 100"),
        (
            {"Exch": ["dark one", "NYSE"]},
            ZONE,
            r"no venue is called 'dark one'; which are they\? quotes.venues=\{TEXT: MIC",
        ),
        ({"Time": ["09:30:00.1"] * 2}, ZONE, "'Time' is a time of day, of which date"),
        ({"Time": [34200, 34201]}, ZONE, r"is no instant in any unit: is it a time since midnight\?"),
        ({"Bid": ["ten", "1.5"]}, ZONE, "^$"),  # decimals, so dollars; reading says which value is none
    ],
)
def test_what_two_readings_fit_is_asked_with_each_of_them(changed, given, asked):
    import re

    assert re.search(asked, doubts(DESK | changed, **given)), doubts(DESK | changed, **given)


@pytest.mark.parametrize("missing", ["Time", "Bid", "AskSize", "Exch"])
def test_a_column_that_is_not_found_by_its_name_is_asked_for(missing):
    columns = {("x" if name == missing else name): values for name, values in DESK.items()}
    asked = doubts(columns, **ZONE)
    assert "which column" in asked
    assert "columns there" in asked


def test_what_is_given_settles_a_doubt_and_is_said_to_be_given():
    columns = DESK | {"Bid": ["1575000"] * 2, "Ask": ["1575200"] * 2, "px": ["x"] * 2}
    proposal = propose(pa.table(columns), {**ZONE, "price_unit": "1e-4", "venues": {"ARCA": 43, "NASDAQ": 2}})
    assert proposal.mapping["price_unit"] == "1e-4"
    assert {each.reason for each in proposal.keys if each.key in {"zone", "price_unit", "venues"}} == {"as given"}
    assert parse_mapping(proposal.mapping).venues == {"ARCA": 43, "NASDAQ": 2}


def test_levels_are_found_by_their_numbers():
    columns = {"ts": [1722519000000000000], "venue": ["XNAS"]}
    for level in (10, 2, 1):
        columns |= {
            f"bid_price_{level}": ["1.5"],
            f"ask_price_{level}": ["1.6"],
            f"bid_size_{level}": [100],
            f"ask_size_{level}": [200],
        }
    proposed = keys(columns)
    assert proposed["bid_px"] == ["bid_price_1", "bid_price_2", "bid_price_10"]
    assert proposed["ask_sz"] == ["ask_size_1", "ask_size_2", "ask_size_10"]


def test_rows_of_one_side_are_found_by_side_price_and_size():
    columns = {
        "timestamp": [1722519000000000],
        "exchange": ["kraken"],
        "side": ["bid"],
        "price": ["60000.5"],
        "amount": ["0.25"],
    }
    proposed = keys(columns)
    assert (proposed["side"], proposed["px"], proposed["sz"], proposed["size_unit"]) == (
        "side",
        "price",
        "amount",
        "1e-2",
    )


BOOK = {
    "timestamp": [1722519000000000] * 4,
    "exchange": ["kraken"] * 4,
    "side": ["bid", "bid", "ask", "ask"],
    "price": ["60000.5", "60000.0", "60001.0", "60001.5"],
    "amount": ["0.25", "1.5", "0.5", "2.5"],
}


def test_several_prices_of_a_side_at_an_instant_are_asked_about():
    # read as updates of the best bid, the last row would stand: 60000.0
    assert "quotes.rows=snapshots makes them one book" in doubts(BOOK)
    for settled in ({"rows": "snapshots"}, {"rows": "updates"}):
        assert keys(BOOK, settled)["rows"] == settled["rows"]
    assert keys(BOOK | {"level": [0, 1, 0, 1]})["level"] == "level"
    assert "rows" not in keys(BOOK | {"timestamp": [1722519000000000 + each for each in range(4)]})
    assert "rows" not in keys(BOOK | {"exchange": ["kraken", "binance"] * 2})


def test_sides_of_other_words_are_asked_for():
    book = {name: values[1:3] for name, values in BOOK.items()} | {"side": ["1", "2"]}
    assert doubts(book) == (
        "column 'side' ('1', '2'): which is a bid, which an ask? quotes.bid=..., quotes.ask=..., each a word or a list "
        "of them; or quotes.side=..."
    )
    for sides in (["1", "2"], [1, 2]):
        proposed = keys(book | {"side": sides}, {"bid": "1", "ask": ["2"]})
        assert (proposed["side"], proposed["px"]) == ("side", "price")


def test_a_time_of_day_takes_the_column_of_dates_and_other_dates_are_left_alone():
    columns = DESK | {"Time": ["09:30:00", "09:30:01"], "Date": ["20240801"] * 2}
    proposed = keys(columns, ZONE)
    assert (proposed["time_unit"], proposed["date"]) == ("clock", "Date")
    assert "date" not in keys(DESK | {"Date": ["20240801"] * 2}, ZONE)


def test_a_time_of_day_takes_dates_in_the_order_that_fits():
    columns = DESK | {"Time": ["09:30:00", "09:30:01"], "Date": ["8/1/2024", "8/13/2024"], "Exch": ["N", "P"]}
    assert keys(columns, ZONE)["date_order"] == "mdy"
    assert keys(columns | {"Date": ["08/13/2024"] * 2}, ZONE)["venues"] == "taq"
    assert "quotes.date_order=mdy makes" in doubts(columns | {"Date": ["8/1/2024"] * 2}, **ZONE)
    assert "date_order" not in keys(columns | {"Date": ["2024-08-01"] * 2}, ZONE)


def test_a_price_that_is_shown_is_one_of_the_tables():
    asked = doubts(DESK | {"Bid": ["15723", "4210"], "Ask": ["15725", "4212"]}, **ZONE)
    assert "prices are whole numbers, such as 15723, of what nothing says" in asked


def test_the_reasons_are_exact():
    reasons = {each.key: each.reason for each in propose(pa.table(DESK | {"Time": [1722519000000000123] * 2}), {}).keys}
    assert "as ns since 1970 the first is 2024-08-01T13:30:00.000000123Z" in reasons["time_unit"]
    reasons = {each.key: each.reason for each in propose(pa.table(DESK | {"Exch": ["1", "2"]}), ZONE).keys}
    assert reasons["venues"] == "each is one venue: '1' is 1 (GLBX), '2' is 2 (Nasdaq)"


@pytest.mark.parametrize(
    ("changed", "asked"),
    [
        ({"Exch": [["ARCA"], ["NASDAQ"]]}, "column 'Exch': expected names, but the column is list"),
        ({"Exch": [{"a": 1}, {"a": 2}]}, "column 'Exch': expected names, but the column is struct"),
        ({"Time": pa.array([1, 2], pa.duration("ns"))}, "is duration[ns]: quotes.time=..."),
        ({"Time": pa.array([1, 2], pa.date32())}, "is date32[day]: quotes.time=..."),
        ({"Time": [1722519000000000, 1722519000001]}, "as ms since 1970 expected a number of 1970-01-01 to 2262"),
    ],
)
def test_columns_of_types_that_cannot_be_read_are_said(changed, asked):
    assert asked in doubts(DESK | changed, **ZONE)


def test_long_texts_of_a_column_that_is_not_needed_are_left_alone():
    notes = pa.array(["x" * 300, "y"]).dictionary_encode()
    assert keys(DESK | {"Note": notes}, ZONE) == keys(DESK, ZONE)


@pytest.mark.parametrize(("size", "unit"), [(0.1 + 0.2, "1e-1"), (0.00003, "1e-5"), (1.5e-05, "1e-6"), (2.0, None)])
def test_the_decimals_of_floating_sizes_are_those_that_are_read(size, unit):
    changed = {"BidSize": [size, 1.0], "AskSize": [200.0, 7.0]}
    assert keys(DESK | changed, ZONE)["size_unit"] == (unit or "shares")


def test_the_yaml_is_the_mapping_with_its_reasons_and_reads_the_table():
    columns = {name.replace("Bid", "Bid: #"): values for name, values in DESK.items()} | {"true": ["x", "y"]}
    proposal = propose(pa.table(columns), {**ZONE, "bid_px": "Bid: #", "bid_sz": "Bid: #Size"})
    text = written(proposal, "my desk's.csv")
    tree = parse_yaml(text, "x")
    assert tree == {"source": "my desk's.csv", "quotes": proposal.mapping}
    assert "# by its name; 'ARCA', 'NASDAQ'" in text
    quotes = parse_mapping(tree["quotes"])
    mapper = Mapper(quotes, "x", str)
    mapper.take(ArrowBlock.of(pa.table(columns), 0, quotes, "x", str))
    assert mapper.finish().quotes["venue"].tolist() == [43, 2]


def test_commas_before_fractions_are_seen_unless_they_may_be_thousands():
    commas = DESK | {"Time": ["09:30:00,123", "09:30:00,5"], "Bid": ["157,23", "157,2"], "Ask": ["157,25", "158"]}
    given = ZONE | {"date": "2024-08-01"}
    proposed = keys(commas, given)
    assert (proposed["decimal"], proposed["time_unit"], proposed["price_unit"]) == ("comma", "clock", "dollars")
    quotes = parse_mapping(proposed)
    mapper = Mapper(quotes, "x", str)
    mapper.take(ArrowBlock.of(pa.table(commas), 0, quotes, "x", str))
    assert mapper.finish().quotes["ask_px"].tolist() == [157_250000000, 158 * 10**9]
    thousands = DESK | {"Bid": ["1,575", "1,576"], "Ask": ["1,577", "1,578"]}
    assert "have a comma: quotes.decimal=comma" in doubts(thousands, **ZONE)


def test_a_column_of_dates_has_an_order_too():
    columns = DESK | {"Time": ["09:30:00", "09:30:01"], "Date": ["01/08/2024"] * 2}
    assert "quotes.date_order=mdy makes the first one 2024-01-08, quotes.date_order=dmy" in doubts(columns, **ZONE)
    assert keys(columns | {"Date": ["31/08/2024"] * 2}, ZONE)["date_order"] == "dmy"


def test_a_point_among_commas_is_refused():
    columns = DESK | {"Bid": ["157,23", "157.2"]}
    quotes = parse_mapping(keys(DESK, ZONE) | {"decimal": "comma"})
    mapper = Mapper(quotes, "x", str)
    with pytest.raises(FeedCorrupt, match=r"column Bid: '157.2' .expected a number"):
        mapper.take(ArrowBlock.of(pa.table(columns), 0, quotes, "x", str))


def test_trades_among_quotes_are_asked_about():
    columns = DESK | {"Type": ["QUOTE", "TRADE"], "Note": ["a", "b"]}
    assert "column 'Type' holds 'QUOTE', 'TRADE': quotes.only={Type: QUOTE} reads the rows of quotes alone" in doubts(
        columns, **ZONE
    )
    assert keys(columns, ZONE, only={"Type": "QUOTE"})["only"] == {"Type": "QUOTE"}


def test_venues_that_a_desk_numbers_come_back_as_text():
    columns = DESK | {"Exch": ["1e3", "7"]}
    proposal = propose(pa.table(columns), {**ZONE, "venues": {"1e3": "ARCX", "7": "XNAS"}})
    assert parse_mapping(parse_yaml(written(proposal, "x.csv"), "x")["quotes"]).venues == {"1e3": "ARCX", "7": "XNAS"}
