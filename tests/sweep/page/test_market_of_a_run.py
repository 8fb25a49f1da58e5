"""The sections of the market of a real run: their figures are the document's and the tables'."""

from __future__ import annotations

import pytest

from allocator.money import NANO, rounded
from feed import synthetic
from feed.instants import format_instant
from feed.tape import Tape
from sweep.config import load_config
from sweep.driver import run as sweep
from sweep.page.element import html
from sweep.page.numbers import decimal
from sweep.page.paired import BPS, paired
from sweep.page.reading import read_run
from sweep.page.sections.calibration import calibration
from sweep.page.sections.extremes import extremes
from sweep.page.sections.path import path, path_of
from sweep.page.sections.provenance import provenance
from sweep.page.sections.quality import quality
from sweep.page.sections.venues import by_venue, total, venues
from sweep.page.shown import shown
from tests.support.paper_run import HOSTILE, lead, tables, words
from tests.sweep.page.test_command import words_of


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """24 orders that are posted, of a tape whose symbol is markup."""
    folder = tmp_path_factory.mktemp("market")
    tape = synthetic.generate(seed=5, seconds=62.0, warmup=60.0, levels=3)
    columns = {name: getattr(tape, name) for name in Tape.__dataclass_fields__ if name != "symbol"}
    synthetic.write_csv(Tape(HOSTILE, **columns), folder / "day.csv.gz")
    result = sweep(
        {
            "source": str(folder / "day.csv.gz"),
            "executor": "inline",
            "output": str(folder),
            "policy": "placement",
            "slice": "5s",
            "window": {"start": format_instant(synthetic.window(62.0)[0]), "warmup": "60s"},
            "order": {"side": ["buy", "sell"], "size": 1000, "every": "5s", "horizon": "5s"},
            "fees": {"default": {"taker": 0.003, "maker": -0.002}, "38": {"taker": -0.001, "maker": 0.001}},
            "grid": {"lambda_over": 0.02, "lambda_under": 0.03, "theta_queue": [0, 0.001]},
        }
    )
    return read_run(result.home)


def test_fills_by_venue_add_up_to_the_document(run):
    for name in run.strategies:
        of = run.document["fills"]["optimized"] if name == "optimized" else run.document["fills"]["baselines"][name]
        each = by_venue(run.venues, name)
        if of is None:
            assert not each
            continue
        assert of["venues"] == {
            str(venue): {"shares": own.shares, "fees": rounded(own.fees, NANO, 2)} for venue, own in each.items()
        }
        sums = total(each.values())
        assert {f"{at}s": decimal(sums.mark_out(at)) for at in (1, 10, 60)} == {
            at: decimal(bps) for at, bps in of["mark_out_bps"].items()
        }
        assert (sums.crossed, sums.old) == (of["crossed_shares"], of["old_shares"])


def test_fees_are_printed_as_the_document_rounds_them(run):
    rows = tables(venues(run))["Fills of the best combination, by venue"][1:-1]
    fees = [each["fees"] for each in run.document["fills"]["optimized"]["venues"].values()]

    assert sorted(float(row[4].replace(",", "")) for row in rows) == sorted(fees)


def test_what_rests_is_the_documents(run):
    rows = tables(venues(run))["Limit orders of the best combination, by venue"]
    placed = run.document["placement"]["limit_orders"]

    assert rows[-1][1:5] == [f"{placed[name]:,}" for name in ("sent", "refused", "shares", "filled")]
    assert placed["sent"] > 0


def test_predictions_are_the_documents(run):
    scores = run.document["placement"]["calibration"]
    rows = tables(calibration(run))["Predictions of complete fills, by venue and by length of the queue"]

    assert rows[-1][1] == f"{scores['orders']:,}"
    assert rows[-1][4] == f"{scores['brier']:.4f}"
    assert lead(calibration(run))[1:] == f"{scores['sentence'][1:]}."


def test_savings_of_orders_add_up_to_the_document(run):
    pairs = paired(run)
    mean = run.document["statistics"]["saving_bps"][run.against]["mean"]

    assert len(pairs.saved) == run.document["orders"]["count"] == 24
    assert sum(pairs.saved.tolist()) / sum(pairs.notional) * BPS == pytest.approx(mean, abs=0.005)
    best, worst = tables(extremes(run)).values()
    for row in (*best[1:], *worst[1:]):
        assert float(row[7]) == rounded(int(pairs.saved[int(row[0])]), NANO, 2)
    assert float(worst[1][8]) == round(float(pairs.bps.min()), 2)
    assert float(best[1][8]) == round(float(pairs.bps.max()), 2)


def test_paths_fill_what_the_orders_table_says(run):
    filled = run.orders.pivot_table(index=["tape", "order"], columns="strategy", values="filled", sort=True)
    kinds = shown(run, paired(run))

    assert list(kinds) == ["median", "best", "worst"]
    for position in kinds.values():
        one = path_of(run, position)
        for fills in one.each:
            for name in fills.names:
                assert fills.filled == filled[name].iloc[position]
        assert (one.ts >= one.start).all()
        assert (one.ts <= one.end).all()


def test_a_path_has_the_average_price_of_its_order(run):
    best = run.orders[run.orders["strategy"] == "optimized"]
    for position in shown(run, paired(run)).values():
        cash, filled, fees = (int(best[name].iloc[position]) for name in ("cash_filled", "filled", "fees"))
        before_fees = cash - fees if best["side"].iloc[position] == "buy" else cash + fees
        rows = tables(path(run))[f"Fills of order {position} by venue"]

        assert rows[-1][1:3] == [f"{filled:,}", f"{rounded(before_fees, filled * NANO, 4):,.4f}"]


def test_links_of_orders_lead_to_their_paths(run):
    anchors = {each.get("id") for each in path(run).iter() if each.get("id")}
    links = {each.get("href")[1:] for each in extremes(run).iter("a")}

    assert links
    assert links <= anchors


def test_quality_counts_are_the_documents(run):
    counted = run.document["feed"]["quality"]["counts"]
    rows = {row[0]: row[2] for row in tables(quality(run))["Checks that count something"][1:]}

    assert rows == {name: f"{count:,}" for name, count in counted.items() if count}
    (tape,) = tables(quality(run))["Quality by tape"][1:]
    assert tape[1] == f"{run.timeline['snapshots'].sum():,}"
    assert tape[-1].endswith(f" of {len(run.timeline)}")


def test_the_command_asks_the_same_question(run):
    command = next(provenance(run).iter("pre")).text
    config = load_config(assignments=words_of(command))

    assert config.question.config_hash == run.manifest.config_hash
    assert config.output is None


@pytest.mark.parametrize("make", [venues, calibration, path, extremes, quality, provenance])
def test_a_section_is_small_safe_and_has_no_name_twice(run, make):
    made = make(run)
    text = html(made)

    assert "<img" not in text
    assert "nan" not in words(made).lower().split()
    ids = [each.get("id") for each in made.iter() if each.get("id")]
    assert len(ids) == len(set(ids))
    drawings = [svg for svg in made.iter("svg") if svg.get("role") == "img"]
    assert all(len(html(svg)) < 25_000 for svg in drawings)
    assert all(words(svg.find("desc")) for svg in drawings)
