"""The section `quotes`: what does not go together is refused by its key, before anything is read."""

from __future__ import annotations

from fractions import Fraction

import msgspec
import pytest

from feed.errors import FeedUnavailable
from feed.options import options_of
from feed.tables import EXPECTED, QuoteMapping, parse_mapping, parse_word, read_mapping
from sweep.config import load_config
from sweep.errors import ConfigError

WIDE = {"time": "t", "venue": "v", "bid_px": "b", "ask_px": "a", "bid_sz": "bs", "ask_sz": "as"}
LONG = {"time": "t", "venue": "v", "side": "s", "px": "p", "sz": "z"}


@pytest.mark.parametrize(
    ("tree", "why"),
    [
        ("desk", "quotes: expected a mapping"),
        (WIDE | {"bid": 1, "tim": "t"}, "unknown key quotes.tim; the nearest valid one is quotes.time"),
        ({"bid_px": "b"}, "quotes.time: which column holds the time"),
        (WIDE | {"date": "2024-08-01"}, "quotes.date: a time of day needs its zone"),
        (WIDE | {"date": "2024-02-30", "zone": "UTC"}, "quotes.date: '2024-02-30' is no date"),
        (WIDE | {"time_unit": "clock", "zone": "UTC"}, "quotes.time_unit: a time of day needs its date"),
        (WIDE | {"time_unit": "days"}, "quotes.time_unit: expected iso, clock, s, ms, us or ns, but it had"),
        (WIDE | {"zone": "Mars/Olympus"}, "quotes.zone: 'Mars/Olympus' is no time zone"),
        (WIDE | {"venue": None}, "quotes.venue: which column names the venue"),
        (WIDE | {"at": 2}, "quotes.at: quotes.venue names the venue of each row"),
        (WIDE | {"price_unit": "euros"}, "quotes.price_unit: expected dollars, cents, or dollars such as 1e-4"),
        (WIDE | {"price_unit": -1}, "quotes.price_unit: expected dollars"),
        (WIDE | {"price_unit": "1e-999999999"}, "quotes.price_unit: expected dollars"),
        (WIDE | {"size_unit": "lots of 0"}, "quotes.size_unit: expected shares, lots, lots of 100"),
        (WIDE | {"size_unit": 100}, "quotes.size_unit: write lots of 100"),
        (WIDE | {"delimiter": "ab"}, "quotes.delimiter: expected a character, or tab"),
        (WIDE | {"rows": "deltas"}, "quotes.rows: expected updates or snapshots"),
        (WIDE | {"level": "l"}, "quotes.level: rows of both sides have no level"),
        (WIDE | {"ask_sz": None}, "quotes.ask_sz: a row of both sides needs"),
        (WIDE | {"bid_px": ["b1", "b2"]}, "quotes.ask_px: 1 levels, but quotes.bid_px has 2"),
        (
            WIDE | {name: list("abcdefghijk") for name in ("bid_px", "ask_px", "bid_sz", "ask_sz")},
            "11 levels, at most 10",
        ),
        (WIDE | {"px": "p"}, "quotes.px: a row holds both sides"),
        (LONG | {"sz": None}, "quotes.sz: a row of one side needs side, px and sz"),
        (WIDE | {"time": [1, 2]}, "quotes.time: "),
    ],
)
def test_what_does_not_go_together_is_refused_by_its_key(tree, why):
    with pytest.raises(ValueError, match=why):
        parse_mapping(tree)


def test_every_key_has_an_example():
    assert {field.name for field in msgspec.structs.fields(QuoteMapping)} == set(EXPECTED)


def test_units_are_exact():
    def units(**keys):
        quotes = parse_mapping(WIDE | keys)
        return quotes.dollars, quotes.shares

    assert units() == (None, 1)
    assert units(price_unit="cents", size_unit="lots of 100") == (Fraction(1, 100), 100)
    assert units(price_unit=1e-4, size_unit="lots") == (Fraction(1, 10**4), None)
    assert units(price_unit="1e-9", size_unit="shares") == (Fraction(1, 10**9), 1)
    assert units(price_unit="dollars", size_unit=1e-6) == (Fraction(1, 10**6), 10**6)
    assert units(size_unit="1e-6") == (Fraction(1, 10**6), 10**6)


def test_names_that_are_numbers_are_names_and_layouts_need_no_columns():
    quotes = parse_mapping({"time": 0, "at": 2, "side": 1, "px": 2, "sz": 3, "level": 4})
    assert (quotes.columns, quotes.at) == (("0", "1", "4", "2", "3"), "2")
    assert not parse_mapping({"format": "taq", "date": "2018-01-02", "zone": "UTC"}).names_columns
    assert QuoteMapping().given == {}
    assert quotes.given["px"] == "2"


def test_words_of_a_command_line_are_text_unless_they_are_a_list_or_a_mapping():
    assert parse_word("Bid Price: #1", "x") == "Bid Price: #1"
    assert parse_word("'tab'", "x") == "tab"
    assert parse_word("[b1, b 2]", "x") == ["b1", "b 2"]
    assert parse_word("{ARCA: ARCX}", "x") == {"ARCA": "ARCX"}
    assert parse_word(" ", "x") is None
    with pytest.raises(ValueError, match="no valid YAML"):
        parse_word("[b1", "quotes.bid_px")


@pytest.fixture
def desk(tmp_path):
    path = tmp_path / "desk.yaml"
    path.write_text("quotes: {time: t, venue: v, bid_px: b, ask_px: a, bid_sz: bs, ask_sz: as}\nsource: x.csv\n")
    return path


def test_a_file_of_a_mapping_is_read_by_both_command_lines_and_single_keys_win(desk):
    words = [f"quotes={desk}", "quotes.bid_px=best bid", "quotes.zone=UTC"]
    expected = parse_mapping(WIDE | {"bid_px": "best bid", "zone": "UTC"})
    assert options_of(words).quotes == expected
    assert load_config(assignments=words).question.reading.quotes == expected
    assert load_config(str(desk)).quotes == parse_mapping(WIDE)
    assert options_of([]).quotes is None
    assert load_config().question.reading.quotes is None


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["quotes=nowhere.yaml"], "nowhere.yaml"),
        (["quotes.time=t", "quotes.ask_px=a", "quotes.venue=v"], "quotes.bid_px: a row of both sides needs"),
        (["quotes.tme=t"], "unknown key quotes.tme"),
    ],
)
def test_both_command_lines_refuse_alike(words, why):
    with pytest.raises(FeedUnavailable, match=why):
        options_of(words)
    with pytest.raises(ConfigError, match=why):
        load_config(assignments=words)


@pytest.mark.parametrize("content", [b"- a\n", b"\xff\xfe", b"quotes: 3\n", b"a: [\n"])
def test_a_file_that_holds_no_mapping_is_refused(tmp_path, content):
    path = tmp_path / "desk.yaml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"desk.yaml"):
        read_mapping(str(path))


def test_how_a_table_is_read_is_no_part_of_what_decides_the_rows(desk):
    plain, mapped = load_config(), load_config(assignments=[f"quotes={desk}"])
    assert plain.question.config_hash == mapped.question.config_hash
