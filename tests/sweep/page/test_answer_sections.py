"""Verdict, out of sample and realism: what they say of documents that are written down by hand."""

import pytest

from sweep.page.element import html
from sweep.page.intervals import Reach, reach_of
from sweep.page.numbers import counted
from sweep.page.sections.held_out import held_out
from sweep.page.sections.realism import flips, realism, shown
from sweep.page.sections.verdict import KINDS, verdict
from sweep.statistics.verdict import Kind
from tests.support.made_runs import (
    HOSTILE,
    cells_of,
    descriptions,
    document,
    interval,
    lead_of,
    made_run,
    statistics,
    words,
)

MINUS = "\N{MINUS SIGN}"


def facts_of(made):
    pairs = [each for each in made.iter("div") if each.find("dt") is not None]
    return {words(each.find("dt")): words(each.find("dd")) for each in pairs}


def judged(kind="better", sentence="It saves.", **known):
    kinds = {"kind": kind, "winner": None, "against": "best_ask", "sentence": sentence}
    return document(verdict=kinds, statistics=statistics(**known))


FULL = {
    "blocks": 38,
    "looked_at": 455,
    "distinct": 30,
    "saving_bps": {"best_ask": interval(1.25, 0.5, 2.0)},
    "execution_bps": interval(1.0, -0.25, 2.25),
    "best_of": {"p": 0.0004},
    "confidence_set": {"level": 0.9, "combinations": 21, "percent": 4.62},
    "corrected_bps": {"mean": 0.75, "low": -0.5, "high": 2.0},
    "pbo": {"probability": 0.125},
    "detectable_bps": 0.42,
    "days_for_bps": {"0.2": 4, "0.5": None, "1": 1},
    "held_out": {"validate": "folds=5", "saving_bps": {"strongest": interval(1.5, 0.25, 2.75)}, "folds": []},
}


def test_each_kind_of_verdict_has_a_class_and_a_name():
    assert set(KINDS) == set(Kind.__args__)
    assert {each for each, _ in KINDS.values()} == {"better", "unclear", "worse"}


@pytest.mark.parametrize("kind", [*KINDS, HOSTILE])
def test_the_sentence_is_whole_and_its_first_clause_is_large(kind):
    sentence = "It saves 1.25 bps (95 % interval 0.50 to 2.00; adjusted p 0.001); all agree; so be it."
    made = verdict(made_run(judged(kind, sentence)))
    (large,) = [each for each in made.iter("p") if each.get("class") == "sentence"]

    assert words(large) == sentence
    assert large.text == "It saves 1.25 bps (95 % interval 0.50 to 2.00; adjusted p 0.001)"
    assert f'class="verdict {KINDS.get(kind, ("unclear",))[0]}"' in html(made)


def test_a_verdict_with_everything():
    made = verdict(made_run(judged(**FULL)))

    assert facts_of(made) == {
        "Best parameters": "lambda_over 0, theta_queue 0.02",
        "Saved in sample against best_ask": "+0.10 $",  # 1 bps of 1,000 $
        "Arrival notional": "1,000 $",
        "Orders, blocks of time, days": "1 / 1 / 1",
        "p of the best of 455": "below 0.001",
        "Cannot be told from the best, 90 %": "21 (4.62 %)",
        "Smallest effect seen, 80 % power": "0.42 bps",
        "Probability of overfitting (PBO)": "0.12",
        "Days needed": "4 for 0.2 bps, 1 for 1 bps",
    }
    assert descriptions(made)[0] == (
        "held out +1.50 (+0.25 to +2.75) bps; in sample +1.25 (+0.50 to +2.00) bps; corrected for the choice +0.75 "
        f"({MINUS}0.50 to +2.00) bps; execution part +1.00 ({MINUS}0.25 to +2.25) bps. Effects smaller than 0.42 bps "
        "in size are not seen."
    )


def test_the_marks_stand_where_the_axis_has_their_values():
    made = verdict(made_run(judged(**FULL)))
    broad = next(each for each in made.iter("svg") if each.get("class") == "broad")
    ticks = {each.text: float(each.get("x")) for each in broad.iter("text") if each.get("class") == "muted middle"}
    zero, one = ticks["0"], ticks["1"]
    mean = next(each for each in broad.iter("circle"))
    band = next(each for each in broad.iter("rect") if each.get("class") == "band")

    assert float(mean.get("cx")) == pytest.approx(zero + 1.5 * (one - zero), abs=0.2)
    assert float(band.get("x")) == pytest.approx(zero - 0.42 * (one - zero), abs=0.2)
    assert float(band.get("width")) == pytest.approx(0.84 * (one - zero), abs=0.2)


def test_one_order_has_no_interval_and_says_so():
    made = verdict(made_run())

    assert "No intervals: these take 20 blocks of time." in words(made)
    assert set(facts_of(made)) == {
        "Best parameters",
        "Saved in sample against best_ask",
        "Arrival notional",
        "Orders, blocks of time, days",
    }
    assert descriptions(made)[0] == "in sample +1.00 bps."


def test_what_is_not_known_says_why():
    made = verdict(made_run(judged(**{**FULL, "pbo": None, "distinct": 9})))

    assert facts_of(made)["Probability of overfitting (PBO)"] == "not known: 9 results differ"


def test_a_document_of_an_earlier_version_has_fewer_parts():
    few = {name: statistics()[name] for name in ("blocks", "looked_at", "against", "saving_bps")}

    assert "in sample" in words(verdict(made_run(document(statistics=few))))
    assert "No blocks were held out" in lead_of(held_out(made_run(document(statistics=few))))


def test_many_warnings_are_folded():
    made = verdict(made_run(document(warnings=[f"warning {number}" for number in range(9)])))
    box = next(each for each in made.iter("div") if each.get("class") == "warnings")

    assert [len(each) for each in box.iter("ul")] == [6, 3]
    assert "3 more" in words(box)
    assert all(each.get("class") != "warnings" for each in verdict(made_run()).iter("div"))


def part(side, size, mean, **known):
    figures = statistics(saving_bps={"best_ask": interval(mean, mean - 1, mean + 1)}, **known)
    return {"side": side, "size": size, "verdict": {"kind": "flat"}, **figures}


def test_parts_stand_in_a_table_with_their_intervals():
    parts = [part(None, 5000, -0.25), part("sell", 5000, 0.5, best_of={"p": 0.25}, execution_bps=interval(0.1, 0, 1))]
    heading, *rows = cells_of(verdict(made_run(judged(parts=parts))))

    assert heading[3] == "Saving, bps"
    assert rows[0][:5] == ["5,000", "1", "best_ask", f"{MINUS}0.25", f"{MINUS}1.25 to +0.75"]
    assert rows[1][:5] == ["sell 5,000", "1", "best_ask", "+0.50", f"{MINUS}0.50 to +1.50"]
    assert rows[1][6:] == ["+0.10", "0.250", "flat"]


def test_very_many_parts_are_named_not_shown():
    made = verdict(made_run(judged(parts=[part("buy", size, 0.0) for size in range(1, 101)])))

    assert len(cells_of(made)) == 41
    assert "60 more are in result.json, statistics.parts." in words(made)


@pytest.mark.parametrize("figure", [1e9, -1e9, 1e-9, 0.0])
def test_figures_of_any_size_are_drawn(figure):
    made = verdict(made_run(judged(saving_bps={"best_ask": interval(figure, figure, figure)})))

    assert "nan" not in html(made)


@pytest.mark.parametrize(
    ("section", "printed", "between"),
    [
        (interval(1.0, -0.004, 2.0), "+1.00 (0.00 to +2.00)", "0.00 to +2.00"),
        (interval(-1234.5), f"{MINUS}1,234.50", "\N{EN DASH}"),
    ],
)
def test_an_interval_in_words(section, printed, between):
    assert (str(reach_of(section)), reach_of(section).between) == (printed, between)
    assert reach_of(None) is None
    assert reach_of(interval(None)) is None
    assert str(Reach(0.5, None, None)) == "+0.50"


@pytest.mark.parametrize(
    ("count", "verb", "printed"),
    [(1, "save", "1 saves"), (0, "save", "0 save"), (1, "have", "1 has"), (2000, "are", "2,000 are")],
)
def test_verbs_agree(count, verb, printed):
    assert counted(count, verb) == printed


def fold(hour, trained, tested, queue=0.0):
    return {
        "from": f"2024-05-06T{hour:02}:00:00.000000000Z",
        "to": f"2024-05-06T{hour + 1:02}:00:00.000000000Z",
        "trained_blocks": 30,
        "tested_blocks": 8,
        "best_parameters": {"theta_queue": queue},
        "against": "twap",
        "in_sample_bps": trained,
        "saved_bps": tested,
    }


def held(folds, **known):
    outside = {"validate": "folds=2", "saving_bps": {"strongest": interval(0.5, -1.0, 2.0)}, "folds": folds}
    return made_run(
        document(statistics=statistics(held_out=outside, blocks=38), savings_are="held out by folds=2", **known)
    )


def test_folds_side_by_side():
    made = held_out(held([fold(14, 2.0, 1.5), fold(15, 1.0, -0.5, 0.02)]))
    _, *rows = cells_of(made)

    assert lead_of(made) == (
        f"Of 2 folds 1 saves on blocks that did not choose, and 2 less than in sample; together +0.50 ({MINUS}1.00 to "
        "+2.00) bps, against +1.00 bps of the best combination in sample. The folds choose 2 different combinations."
    )
    assert rows == [
        ["2024-05-06 14:00 to 15:00", "30", "8", "twap", "+2.00", "+1.50", f"{MINUS}0.50", "theta_queue 0"],
        ["2024-05-06 15:00 to 16:00", "30", "8", "twap", "+1.00", f"{MINUS}0.50", f"{MINUS}1.50", "theta_queue 0.02"],
    ]
    assert "The savings of result.json are held out by folds=2." in words(made)
    assert f"2024-05-06 15:00 to 16:00: +1.00 to {MINUS}0.50" in descriptions(made)[0]


def test_the_line_of_a_fold_goes_from_what_chose_to_what_did_not():
    made = held_out(held([fold(14, 2.0, 1.0), fold(15, 1.0, 2.0)]))
    broad = next(each for each in made.iter("svg") if each.get("class") == "broad")
    lines = {
        each.get("class"): (float(each.get("x1")), float(each.get("x2")))
        for each in broad.iter("line")
        if each.get("class") in {"gain-line", "loss-line"}
    }

    assert lines["loss-line"] == lines["gain-line"][::-1]
    assert lines["gain-line"][0] < lines["gain-line"][1]


def test_folds_of_days_and_without_figures():
    overnight = {**fold(14, 1.0, None), "to": "2024-05-08T15:00:00.000000000Z"}
    made = held_out(held([overnight]))

    assert cells_of(made)[1][0] == "2024-05-06 to 2024-05-08"
    assert cells_of(made)[1][5:7] == ["\N{EN DASH}", "\N{EN DASH}"]
    assert "All folds choose the same combination." in lead_of(made)


def test_many_folds_are_not_all_drawn():
    made = held_out(held([fold(14, 1.0, 1.0)] * 100))

    assert "76 more folds are not drawn." in words(made)
    assert len(cells_of(made)) == 41


def test_without_blocks_held_out():
    assert lead_of(held_out(made_run())) == (
        "No blocks were held out: 1 of the 20 that it takes. Savings are in sample, of the data that the best "
        "combination was chosen on."
    )


def world(market, saved, kind="flat", cash=100.0, queue=0.0, same=100.0):
    return {
        "market": market,
        "best_parameters": {"theta_queue": queue, **market},
        "optimized": {"total_cash": cash},
        "verdict": {"kind": kind},
        "statistics": statistics(saving_bps={"best_ask": interval(saved, saved - 1, saved + 1)}),
        "first_best": None if same is None else {"total_cash": same, "savings_vs_baselines_bps": {"best_ask": saved}},
    }


WORLDS = [
    world({"liquidity": "persist", "latency": 0}, -0.25),
    world({"liquidity": "persist", "latency": "5ms"}, 0.5),
    world({"liquidity": "refresh", "latency": 0}, -0.5, "worse", 99.0, 0.02),
    world({"liquidity": "refresh", "latency": "5ms"}, -0.5, same=None),
]


def test_what_differs_from_the_first_world():
    assert [flips(WORLDS[0], each) for each in WORLDS] == [
        (False, False, False),
        (False, True, False),
        (True, False, True),
        (False, False, False),
    ]
    as_good = world({"liquidity": "refresh"}, -0.5, cash=99.0, queue=0.02, same=99.0)
    assert flips(WORLDS[0], as_good) == (False, False, False)


def test_worlds_are_a_matrix():
    made = realism(made_run(document(worlds=WORLDS)))
    heading, *rows = cells_of(made)

    assert lead_of(made) == (
        "Of 3 other worlds (liquidity x latency) 1 has another best combination, in 1 the sign of what the first one's "
        "best saves against best_ask is another (the intervals show that in 0), and 1 has another verdict. That best "
        f"saves from {MINUS}0.50 to +0.50 bps of the cash of best_ask."
    )
    assert heading == ["liquidity", "latency=0", "latency=5ms"]
    assert [row[0] for row in rows] == ["liquidity=persist", "liquidity=refresh"]
    assert f"{MINUS}0.25 ({MINUS}1.25 to +0.75)" in rows[0][1]
    assert "first best: +0.50, other sign" in rows[0][2]
    assert "another best: theta_queue 0.02" in rows[1][1]
    assert "first best: \N{EN DASH}" in rows[1][2]


def test_a_sign_is_shown_where_no_interval_holds_0():
    below, around, above = (world({"fees": name}, saved) for name, saved in (("a", -2.0), ("b", 0.5), ("c", 2.0)))

    assert [shown(below, each) for each in (below, around, above)] == [False, False, True]
    assert shown(above, below)
    assert not shown(above, {**below, "statistics": statistics()})
    lead = lead_of(realism(made_run(document(worlds=[below, around, above]))))
    assert (
        "in 2 the sign of what the first one's best saves against best_ask is another (the intervals show that in 1)"
        in lead
    )


def test_worlds_that_agree_say_so():
    worlds = [world({"fees": name}, 0.5) for name in ("none", HOSTILE)]
    made = realism(made_run(document(worlds=worlds)))

    assert lead_of(made).startswith(
        "The answer is the same in all 2 worlds (fees): best combination, sign and verdict."
    )
    assert "<img" not in html(made)


def test_a_matrix_may_have_gaps_and_an_end():
    worlds = [world({"liquidity": "persist", "fees": str(number)}, 0.5) for number in range(70)]
    made = realism(made_run(document(worlds=[*worlds[:2], world({"liquidity": "refresh", "fees": "1"}, 0.5)])))
    assert cells_of(made)[2][:2] == ["liquidity=refresh", "\N{EN DASH}"]
    assert "10 more worlds are in result.json, worlds." in words(realism(made_run(document(worlds=worlds))))


def test_without_worlds_the_other_rule_is_said():
    other = {"refresh": {"savings_vs_baselines_bps": {"best_ask": -0.5}}}
    made = realism(made_run(document(sensitivity=other)))

    assert lead_of(made) == (
        "With liquidity=refresh instead of persist the same combination saves "
        f"{MINUS}0.50 bps of the cash of best_ask instead of +1.00: the sign changes. Nothing else of the market was "
        "varied."
    )
    assert "grid.latency=[0, 1ms]" in words(made)
    assert lead_of(realism(made_run())).startswith("The market was assumed in one way only")


@pytest.mark.parametrize("make", [verdict, held_out, realism], ids=lambda make: make.__name__)
def test_hostile_text_is_text(make):
    hostile = document(
        HOSTILE,
        best_parameters={HOSTILE: HOSTILE},
        warnings=[HOSTILE],
        savings_are=HOSTILE,
        baselines={HOSTILE: {}},
        savings_vs_baselines_bps={HOSTILE: 1.0},
        sensitivity={HOSTILE: {"savings_vs_baselines_bps": {HOSTILE: 1.0}}},
        statistics=statistics(
            HOSTILE,
            held_out={
                "validate": HOSTILE,
                "saving_bps": {"strongest": interval(1.0)},
                "folds": [{**fold(14, 1.0, 1.0), "against": HOSTILE, "best_parameters": {HOSTILE: HOSTILE}}],
            },
        ),
    )
    cash = {"optimized": [999.0], "best_ask": [1000.0], HOSTILE: [1000.0]}
    shown = html(make(made_run(hostile, cash=cash)))

    assert "&lt;img" in shown
    assert not any(bad in shown for bad in ("<img", "\x1b", "\u202e", "</script"))


def test_worlds_whose_values_are_almost_alike_are_two():
    worlds = [world({"latency": at, "fees": "a"}, saved) for at, saved in ((12345678, 1.0), (12345679, 2.0))]
    heading, row = cells_of(realism(made_run(document(worlds=worlds))))

    assert heading == ["fees", "latency=12345678", "latency=12345679"]
    assert "+1.00" in row[1]
    assert "+2.00" in row[2]


def test_no_folds_because_of_pruning():
    made = held_out(made_run(document(search={"pruned": 1200}, statistics=statistics(blocks=60))))

    assert lead_of(made).startswith(
        "No blocks were held out: 1,200 combinations were pruned (search.prune), and folds need all of them in every "
        "block. Savings are in sample"
    )
    unpruned = held_out(made_run(document(search={"pruned": 0}, statistics=statistics(blocks=6))))
    assert lead_of(unpruned).startswith("No blocks were held out: 6 of the 20 that it takes.")
