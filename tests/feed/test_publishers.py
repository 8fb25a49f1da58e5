"""Publisher ids: the shipped table against Databento's library, and which of them show one market twice."""

from __future__ import annotations

import json
import pickle
import re
from dataclasses import dataclass
from itertools import combinations

import databento_dbn as dbn
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed import cli
from feed.errors import FeedUnavailable
from feed.files.csv_writer import write_csv
from feed.options import ReadOptions, parse_venues
from feed.provenance import Provenance
from feed.publishers import PUBLISHERS, advice, find_twins
from feed.quality.checks import check
from feed.source import SCHEMES, plan_source, read_source
from feed.synthetic import VENUES, generate
from feed.tape import Tape, same
from tests.support.examples import examples
from tests.support.strategies import OPEN, SECOND


def named(venue):
    """The data set and venue that Databento's library calls a publisher id."""
    record = repr(dbn.MBP1Msg(venue, 1, 1, 1, 1, dbn.Action.TRADE, dbn.Side.BID, 0, 1))
    match = re.search(rf"publisher_id=([\w.]+)\.(\w+) \({venue}\)", record)
    return match and match.groups()


def doubled(tape, twin, of=VENUES[0]):
    """The same tape with one venue's rows once more, under another publisher id."""
    mine = tape.venue == of
    columns = {name: getattr(tape, name) for name in ("ts", "bid_px", "ask_px", "bid_sz", "ask_sz", "sequence")}
    columns = {name: np.concatenate([column, column[mine]]) for name, column in columns.items()}
    return Tape.build(tape.symbol, venue=np.concatenate([tape.venue, np.full(mine.sum(), twin)]), **columns)


@dataclass(frozen=True)
class Held:
    """A plan of what is there already."""

    tape: Tape
    provenance: Provenance
    ranges: tuple = ()
    held: None = None

    def merge(self, blocks):
        assert blocks == []
        return ((self.tape, self.provenance),)


@pytest.fixture(scope="module")
def tape():
    return generate(seconds=5, warmup=1)


def test_the_table_is_that_of_databento_s_library():
    assert {venue: (each.data_set, each.venue) for venue, each in PUBLISHERS.items()} == {
        venue: named(venue) for venue in range(1, 154)
    }


@pytest.mark.parametrize(
    ("venues", "twins"),
    [
        ((2, 81), "venues 2 (XNAS.ITCH) and 81 (XNAS.BASIC) are both XNAS"),
        ((2, 43, 46, 124), "venues 2 (XNAS.ITCH), 46 (XNAS.QBBO) and 124 (EQUS.SIP) are all XNAS"),
        ((2, 95), "venue 95 (EQUS.MINI) consolidates others, such as 2 (XNAS.ITCH)"),
        ((39, 41, 42, 59), "venue 59 (DBEQ.BASIC) consolidates others, such as 39 (DBEQ.BASIC) and 41 (DBEQ.BASIC)"),
        ((94, 95), "venue 95 (EQUS.MINI) consolidates others, such as 94 (EQUS.ALL)"),
        ((20, 30), "venue 30 (OPRA.PILLAR) consolidates others, such as 20 (OPRA.PILLAR)"),
        ((2, 135), "venue 135 (EQUS.SIP) consolidates others, such as 2 (XNAS.ITCH)"),
        ((2, 3, 4, 43), None),
        ((84, 85, 98), None),
        ((26, 117), None),
        ((1, 95), None),
        ((95,), None),
        ((2, 999, 0), None),
        (VENUES, None),
    ],
)
def test_one_market_under_two_ids_is_found(venues, twins):
    assert [str(each) for each in find_twins(venues)] == ([twins] if twins else [])


def test_every_pair_of_a_data_set_and_another_that_name_one_american_venue_is_found():
    for one, other in combinations(sorted(PUBLISHERS), 2):
        mine, its = PUBLISHERS[one], PUBLISHERS[other]
        if mine.venue == its.venue == "XNAS":
            (twins,) = find_twins([other, one])
            assert (twins.ids, twins.extra) == ((one, other), (other,))


def test_what_is_kept_of_twins_has_none():
    for venues in ((2, 43, 46, 95, 124), (59, 39, 38, 41), (94, 95, 90)):
        kept = [int(each) for each in advice(venues, find_twins(venues)).partition("=[")[2].rstrip("]").split(",")]
        assert find_twins(kept) == ()
        assert kept


def test_a_check_names_twins_and_unknown_ids(tape, tmp_path, capsys):
    assert check(tape).details == {}
    quality = check(doubled(doubled(tape, 81), 999))
    assert quality.counts["twin_venues"] == 1
    assert {"twin_venues", "unknown_publishers"} <= set(quality.warnings)
    kept = ", ".join(map(str, [*sorted(VENUES[:5]), 999]))
    assert quality.details == {
        "unknown_publishers": "ids 999",
        "twin_venues": "venues 2 (XNAS.ITCH) and 81 (XNAS.BASIC) are both XNAS: what is displayed there counts more "
        f"than once; choose, such as venues=[{kept}]",
    }
    assert quality.to_dict()["details"] == quality.details
    many = tape
    for venue in range(1000, 1013):
        many = doubled(many, venue)
    named = check(many).details["unknown_publishers"]
    assert named == f"ids {', '.join(map(str, range(1000, 1010)))} and 3 more"
    write_csv(doubled(tape, 81), tmp_path / "twice.csv")
    assert cli.main(["check", str(tmp_path / "twice.csv")]) == 0
    assert "twin_venues: venues 2 (XNAS.ITCH) and 81 (XNAS.BASIC) are both XNAS" in capsys.readouterr().out


def of_venues(quoting, trading, silent=()):
    """A tape on which some ids display quotes, some report trades, and some have rows that display nothing."""
    venue = np.array([*quoting, *silent], np.int64)
    shown = np.array([1] * len(quoting) + [0] * len(silent), np.int64)
    ts, at = OPEN + SECOND * np.arange(len(venue)), np.array(list(trading), np.int64)
    trades = {"ts": OPEN + at, "venue": at, "px": 10**10 + at, "sz": 1 + at, "side": 0 * at, "sequence": at}
    sizes = {"bid_sz": 100 * shown, "ask_sz": 100 * shown}
    return Tape.build(
        "X", ts=ts, venue=venue, bid_px=10**10 * shown, ask_px=11 * 10**9 * shown, sequence=ts, trades=trades, **sizes
    )


@pytest.mark.parametrize(
    ("quoting", "trading", "silent"),
    [((95,), (53, 95), ()), ((2,), (2, 81), ()), ((95,), (2,), (53,)), ((), (2, 81), ())],
)
def test_what_trades_alone_or_displays_nothing_is_no_twin(quoting, trading, silent):
    quality = check(of_venues(quoting, trading, silent))
    assert (quality.counts["twin_venues"], quality.details) == (0, {})


@examples(100, deadline=None)
@given(*[st.frozensets(st.sampled_from((2, 43, 53, 81, 95, 94, 124, 135, 999)))] * 3)
def test_what_is_advised_quotes_whatever_trades_beside_it(quoting, trading, silent):
    twins = check(of_venues(quoting, trading, silent - quoting)).details.get("twin_venues")
    assert (twins is None) == (find_twins(quoting) == ())
    if twins is not None:
        kept = {int(each) for each in twins.partition("=[")[2].rstrip("]").split(",")}
        assert kept & quoting
        assert find_twins(kept & quoting) == ()


def test_venues_that_were_chosen_are_kept_and_the_rest_is_counted(tape, tmp_path, capsys):
    both = doubled(tape, 81)
    write_csv(both, tmp_path / "twice.csv")
    whole, _ = read_source(str(tmp_path / "twice.csv"))
    kept, provenance = read_source(str(tmp_path / "twice.csv"), ReadOptions(venues=VENUES[:5]))
    assert np.array_equal(kept.ts, whole.ts[whole.venue != 81])
    assert 81 not in kept.venues
    assert provenance.ignored["other_venue"] == whole.rows - kept.rows + len(whole.trades.ts) - len(kept.trades.ts) > 0
    assert (provenance.digest, provenance.rows) == (kept.digest(), kept.rows)
    assert "twin_venues" not in check(kept).warnings
    with pytest.raises(FeedUnavailable, match=r"no rows of venue 7, 999; venues there: 2, "):
        read_source(str(tmp_path / "twice.csv"), ReadOptions(venues=(2, 7, 999)))
    assert cli.main(["check", "--json", str(tmp_path / "twice.csv"), "venues=2"]) == 0
    assert list(json.loads(capsys.readouterr().out)["quality"]["venues"]) == ["2"]


def test_a_plan_of_some_venues_travels_and_is_proven_before_rows_are_left_out(tape, monkeypatch):
    provenance = Provenance("kafka", "kafka://h/q", tape.digest(), tape.snapshots, tape.rows, len(tape.trades.ts))
    monkeypatch.setitem(SCHEMES, "kafka", lambda *_: Held(tape, provenance))
    plan = pickle.loads(pickle.dumps(plan_source("kafka://h/q", ReadOptions(venues=(2,)))))  # noqa: S301 - our own bytes
    ((kept, proof),) = plan.merge([part.read() for part in plan.ranges])
    assert kept.venues.tolist() == [2]
    assert (proof.digest, proof.ignored) == (kept.digest(), {"other_venue": proof.ignored["other_venue"]})
    assert proof.rows + proof.trades + proof.ignored["other_venue"] == tape.rows + len(tape.trades.ts)


def test_nothing_chosen_leaves_all_as_it_was(tape, tmp_path):
    write_csv(tape, tmp_path / "day.csv")
    chosen, provenance = read_source(str(tmp_path / "day.csv"))
    everything, proof = read_source(str(tmp_path / "day.csv"), ReadOptions(venues=tuple(chosen.venues.tolist())))
    assert same(chosen, everything)
    assert (proof.digest, proof.ignored) == (provenance.digest, provenance.ignored | {"other_venue": 0})


@pytest.mark.parametrize(
    ("value", "venues"), [(2, (2,)), ([43, 2, 2], (2, 43)), ("2,43", (2, 43)), ("[ 2, 43 ]", (2, 43)), ("0", (0,))]
)
def test_publisher_ids_are_read_from_lists_and_text(value, venues):
    assert parse_venues(value) == venues


@pytest.mark.parametrize("value", ["", "XNAS", "2;43", [], [2.5], [True], [None], {"a": 1}, -1, "32768", "2,,3", None])
def test_what_names_no_publisher_ids_is_refused(value):
    with pytest.raises(ValueError, match="expected publisher ids"):
        parse_venues(value)
