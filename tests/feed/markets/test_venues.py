"""Venues by what others call them: one answer or one clear line; every entry with a source and a date."""

from __future__ import annotations

import json
import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed import cli
from feed.markets.venues import CONSOLIDATED_QUOTE, CRYPTO, US_EQUITIES, VENUE_KINDS, VENUES, ids_of, venue_of
from feed.publishers import PUBLISHERS, in_us_equities
from tests.support.examples import examples

AMERICAN = [each for each in VENUES.values() if each.market == US_EQUITIES]


@pytest.mark.parametrize("venue", VENUES.values(), ids=str)
def test_every_venue_has_a_source_and_dates_that_are_dates(venue):
    assert venue.source
    assert venue.name
    assert date.fromisoformat(venue.checked) <= date(2026, 11, 29)
    dates = [date.fromisoformat(each) for each in (venue.first, venue.last) if each is not None]
    assert dates == sorted(dates)


def test_ids_are_databentos_direct_feeds_and_our_own_from_20_000():
    direct = {
        "N": 9, "P": 43, "T": 2, "Q": 2, "Z": 5, "K": 8, "B": 3, "Y": 6, "J": 7, "X": 4, "V": 38, "A": 11, "M": 12,
        "C": 10, "U": 15, "H": 16, "L": 80, "G": 115, "F": 114, "D": 133,
    }  # fmt: skip
    assert {letter: venue_of(letter, "taq", "2026-11-27") for letter in direct} == direct
    assert {letter: venue_of(letter, "sip", "2026-11-27") for letter in direct} == direct
    assert all((each in PUBLISHERS) != (20_000 <= each < 32_768) for each in VENUES)
    assert venue_of("consolidated") == CONSOLIDATED_QUOTE == 20_000


def test_every_publisher_of_us_equities_is_of_one_venue_or_consolidated():
    publishers = {number for number, each in PUBLISHERS.items() if in_us_equities([number])}
    held = [number for each in AMERICAN for number in each.databento.values()]
    assert len(held) == len(set(held))
    left = {PUBLISHERS[number].venue for number in publishers.difference(held)}
    assert left == {"CTA", "UTP", "EQUS", "DBEQ"}


@pytest.mark.parametrize("field", ["taq", "sip"])
@pytest.mark.parametrize("day", ["2007-06-01", "2009-06-01", "2012-06-01", "2018-01-02", "2024-08-01", "2026-11-27"])
def test_on_a_date_no_letter_is_two_venues(field, day):
    letters = [letter for each in AMERICAN if each.known_on(day) for letter in getattr(each, field)]
    assert len(letters) == len(set(letters))


@pytest.mark.parametrize(
    ("text", "kind", "venue"),
    [
        ("XNAS", "any", 2),
        ("xnas", "mic", 2),
        ("nasdaq", "name", 2),
        ("NASDAQ_OMX", "lean", 2),
        ("nyse-arca", "any", 43),
        ("NYSE Chicago", "any", 12),
        ("National Stock Exchange", "name", 10),
        ("Direct Edge X", "any", 8),
        ("MP", "lean", 16),
        ("XNAS.ITCH", "databento", 2),
        ("EQUS.SIP.XNAS", "any", 124),
        ("GLBX", "any", 1),
        ("9", "any", 9),
        ("31999", "id", 31_999),
        (43, "any", 43),
        ("binance-us", "tardis", 20_101),
        ("Kraken", "any", 20_106),
        ("NBBO", "any", 20_000),
    ],
)
def test_what_names_a_venue(text, kind, venue):
    assert venue_of(text, kind) == venue


def test_a_letter_that_was_anothers_is_told_apart_by_the_date():
    assert venue_of("X", "taq", "2008-01-02") == 20_002
    assert venue_of("X", "taq", date(2018, 1, 2)) == 4
    assert venue_of("X", "taq") == 4
    with pytest.raises(
        ValueError, match=r"'X' had no quotes on 2009-06-01: 4 XPSX Nasdaq PSX is known from 2010-10-08"
    ):
        venue_of("X", "taq", "2009-06-01")


def test_a_venue_that_is_gone_is_known_without_a_date_and_refused_after_its_end():
    assert venue_of("W", "taq") == 20_001
    with pytest.raises(ValueError, match=r"known from 2007-03-01 to 2014-04-30"):
        venue_of("W", "taq", "2018-01-02")


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("nasdak", "any", r"'nasdak' is no venue, did you mean 2 XNAS Nasdaq"),
        ("n", "taq", r"'n' is no venue"),
        ("", "any", r"'' is no venue"),
        ("99999", "any", r"is no venue"),
        ("XOFF", "any", r"'XOFF' is more than one venue: 84 XOFF of IFEU.IMPACT"),
        ("EQUS.ALL", "databento", r"is more than one venue: 62 XCHI of EQUS.ALL.* and \d+ more; write the id"),
        ("XNAS", "letter", r"kind is one of id, mic"),
    ],
)
def test_what_names_none_or_several_is_one_line(text, kind, message):
    with pytest.raises(ValueError, match=message) as refusal:
        venue_of(text, kind)
    assert "\n" not in str(refusal.value)


def test_ids_of_a_venue_are_those_of_every_data_set():
    assert ids_of(2) == ids_of(124) == (2, 46, 47, 52, 66, 81, 124)
    assert ids_of(20_106) == (20_106,)
    assert ids_of(31_999) == (31_999,)


@given(st.sampled_from(sorted(VENUES)))
@examples(60)
def test_every_name_and_code_of_a_venue_finds_it(number):
    venue = VENUES[number]
    for text in filter(None, (str(number), venue.mic, venue.name, *venue.also, venue.tardis)):
        assert venue_of(text, date=venue.last) == number
    for text in venue.lean:
        assert venue_of(text, "lean", venue.last) == number


@given(st.text(max_size=12), st.sampled_from(VENUE_KINDS), st.none() | st.dates().map(date.isoformat))
@examples(200)
def test_any_text_is_a_venue_or_one_line(text, kind, day):
    try:
        outcome = venue_of(text, kind, day)
    except ValueError as error:
        outcome = str(error)
    if isinstance(outcome, int):
        assert 0 <= outcome < 32_768
    else:
        assert re.search(r"is no venue|more than one venue|had no quotes", outcome)


def test_the_crypto_exchanges_have_tardis_names_that_differ():
    names = [each.tardis for each in VENUES.values() if each.market == CRYPTO]
    assert all(names)
    assert len(set(names)) == len(names) >= 20


def test_the_command_lists_every_venue_once_with_its_ids(capsys):
    assert cli.main(["venues"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["id", "MIC", "name", "TAQ"]
    assert [int(line.split()[0]) for line in lines] == list(VENUES)
    assert "XNAS.ITCH 2, XNAS.QBBO 46" in next(line for line in lines if line.startswith("2 "))


def test_the_command_shows_the_one_venue_that_a_text_names_on_a_date(capsys):
    assert cli.main(["venues", "X", "--date", "2007-06-01", "--json"]) == 0
    (venue,) = json.loads(capsys.readouterr().out)["venues"]
    assert (venue["id"], venue["mic"], venue["last"]) == (20_002, "XPHL", "2008-10-31")
    assert "75 FR 56633" in venue["source"]
    assert cli.main(["venues", "EQUS.SIP.XNAS", "-v"]) == 0
    shown = capsys.readouterr().out
    assert "XNAS  Nasdaq" in shown
    assert "source, 2026-11-29: MIC: ISO 10383" in shown


def test_with_a_date_the_command_leaves_out_who_was_not_there(capsys):
    assert cli.main(["venues", "--date", "2018-01-02", "--json"]) == 0
    ids = {each["id"] for each in json.loads(capsys.readouterr().out)["venues"]}
    assert {9, 2, 38} <= ids
    assert not ids & {15, 16, 80, 114, 115, 20_001, 20_002}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nasdak"], "error: 'nasdak' is no venue, did you mean 2 XNAS Nasdaq"),
        (["W", "--date", "2018-01-02"], "error: 'W' had no quotes on 2018-01-02: 20001 CBSX is known from 2007-03-01"),
        (["--date", "yesterday"], "error: --date: 'yesterday' is no date: expected ISO 8601, such as 2024-08-01"),
    ],
)
def test_what_the_command_cannot_show_is_one_line(words, message, capsys):
    assert cli.main(["venues", *words]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = shown.err.splitlines()
    assert line.startswith(message)
