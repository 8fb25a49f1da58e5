"""The verdict: each rule, each sentence, and what decides where figures are missing or lie on an edge."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.statistics.verdict import Evidence, Saving, verdict
from tests.support.examples import examples

PLENTY = Evidence(
    blocks=38,
    combinations=27,
    distinct=9,
    baseline="best_ask",
    p=0.0124,
    in_sample=Saving(1.5, 0.6, 2.4),
    held_out=Saving(1.24, 0.41, 2.07),
    execution=Saving(0.9, 0.2, 1.6),
    grid_range=3.2,
    all_in_set=False,
    detectable=1.1,
    blocks_a_day=12.0,
    days=(430, 69, 18),
)
SAVES = (
    "On blocks held out the best combination saves 1.24 bps against best_ask (95 % interval 0.41 to 2.07; "
    "adjusted p 0.012 over 27 combinations)"
)
BETTER = f"{SAVES}; over all blocks its execution part is 0.90 bps (95 % interval 0.20 to 1.60)"
NEEDS = (
    "with 38 blocks a saving of 1.10 bps or more would show (80 % power); "
    "days needed in all: 430 for 0.2 bps, 69 for 0.5 bps, 18 for 1 bps."
)
BEATS = "In sample the best of 27 combinations beats best_ask (adjusted p 0.012), but"
NOT_SHOWN = (
    "38 blocks do not show that the best of 27 combinations saves anything against best_ask "
    "(in sample 1.50 bps, 95 % interval 0.60 to 2.40; adjusted p 0.300)"
)
SENTENCES = {
    "few blocks": (
        {"blocks": 12},
        "not enough data",
        "12 blocks of time are too few for an interval, which needs 20: about 1 more day at 12 a day.",
    ),
    "few blocks a day": (
        {"blocks": 19, "blocks_a_day": 0.0004},
        "not enough data",
        "19 blocks of time are too few for an interval, which needs 20: about 2,500 more days at 0.0004 a day.",
    ),
    "one block": (
        {"blocks": 1, "blocks_a_day": 0.0},
        "not enough data",
        "1 block of time is too few for an interval, which needs 20: 19 more.",
    ),
    "better": ({}, "better", f"{BETTER}."),
    "better, and alike": (
        {"all_in_set": True},
        "better",
        f"{BETTER}; no other combination can be told from it, so which one is used is not shown to matter.",
    ),
    "better, and the only one": ({"all_in_set": True, "distinct": 1}, "better", f"{BETTER}."),
    "better, and skewed": (
        {"skewed": True},
        "better",
        f"{BETTER}; block results are skewed, so the intervals are too short.",
    ),
    "drift": (
        {"execution": Saving(0.1, -0.3, 0.5)},
        "drift",
        (
            f"{SAVES}; its execution part over all blocks, 0.10 bps (95 % interval -0.30 to 0.50), cannot be told from "
            "0, so the saving may be no more than what the price did while orders waited."
        ),
    ),
    "drift, and a loss": (
        {"execution": Saving(-0.5, -0.9, -0.1)},
        "drift",
        (
            f"{SAVES}; its execution part over all blocks, -0.50 bps (95 % interval -0.90 to -0.10), is a loss, so the "
            "saving is what the price did while orders waited."
        ),
    ),
    "perhaps drift": (
        {"execution": None},
        "not enough data",
        f"{SAVES}; how much of it is execution is unknown, so it may be drift of the price.",
    ),
    "worse": (
        {"p": 0.9, "in_sample": Saving(-0.8, -1.4, -0.2)},
        "worse",
        "Even the best of 27 combinations costs 0.80 bps more than best_ask (95 % interval 0.20 to 1.40 more).",
    ),
    "worse, and the only one": (
        {"p": None, "combinations": 1, "distinct": 1, "in_sample": Saving(-1234.5, -2000, -0.001)},
        "worse",
        "The only combination costs 1,234.50 bps more than best_ask (95 % interval 0.001 to 2,000.00 more).",
    ),
    "flat, all alike": (
        {"distinct": 1, "p": 0.3},
        "flat",
        f"All 27 combinations give the same result, so on this data the parameters do not matter; {NOT_SHOWN}.",
    ),
    "flat, all alike, and unconfirmed": (
        {"distinct": 1, "held_out": Saving(0.2, -0.3, 0.7)},
        "flat",
        (
            "All 27 combinations give the same result, so on this data the parameters do not matter; "
            "in sample the best of 27 combinations beats best_ask (adjusted p 0.012), "
            "but held out its saving of 0.20 bps (95 % interval -0.30 to 0.70) includes 0."
        ),
    ),
    "flat, only one": (
        {"distinct": 1, "combinations": 1, "p": 0.3, "in_sample": None},
        "flat",
        (
            "Only one combination was tried, so there was nothing to choose; "
            "38 blocks do not show that the only combination saves anything against best_ask (adjusted p 0.300)."
        ),
    ),
    "flat, too small a range": (
        {"all_in_set": True, "p": 0.3, "grid_range": 0.004},
        "flat",
        (
            "No combination can be told from the best, and from best to worst the grid spans 0.004 bps, below the "
            f"1.10 bps that 38 blocks can show: the parameters hardly matter; {NOT_SHOWN}."
        ),
    ),
    "the baseline itself": (
        {"p": 1.0, "in_sample": Saving(0.0, 0.0, 0.0), "held_out": Saving(-0.1, -0.3, 0.1), "detectable": 0.0},
        "not enough data",
        "In each of 38 blocks the best of 27 combinations costs just what best_ask costs.",
    ),
    "the baseline itself, the only one": (
        {"p": 1.0, "combinations": 1, "distinct": 1, "in_sample": Saving(0.0, 0.0, 0.0)},
        "flat",
        (
            "Only one combination was tried, so there was nothing to choose; in each of 38 blocks the only combination "
            "costs just what best_ask costs."
        ),
    ),
    "too few held out": (
        {"held_out": None, "tested": 12},
        "not enough data",
        f"{BEATS} 12 blocks held out are too few to confirm it, which takes 20; {NEEDS}",
    ),
    "one held out": (
        {"held_out": None, "tested": 1},
        "not enough data",
        f"{BEATS} 1 block held out is too few to confirm it, which takes 20; {NEEDS}",
    ),
    "a zero has no sign": (
        {"held_out": Saving(-0.0, -0.2, 0.2)},
        "not enough data",
        f"{BEATS} held out its saving of 0.00 bps (95 % interval -0.20 to 0.20) includes 0; {NEEDS}",
    ),
    "not shown": ({"p": 0.3}, "not enough data", f"{NOT_SHOWN}; {NEEDS}"),
    "nothing known": (
        {"p": None, "in_sample": None, "detectable": None, "days": (None, None, None)},
        "not enough data",
        "38 blocks do not show that the best of 27 combinations saves anything against best_ask.",
    ),
    "some days known": (
        {"p": None, "in_sample": None, "days": (None, 1069, 1)},
        "not enough data",
        (
            "38 blocks do not show that the best of 27 combinations saves anything against best_ask; with 38 blocks a "
            "saving of 1.10 bps or more would show (80 % power); days needed in all: 1,069 for 0.5 bps, 1 for 1 bps."
        ),
    ),
    "not confirmed": (
        {"held_out": Saving(0.2, -0.3, 0.7)},
        "not enough data",
        f"{BEATS} held out its saving of 0.20 bps (95 % interval -0.30 to 0.70) includes 0; {NEEDS}",
    ),
    "refuted": (
        {"held_out": Saving(-0.6, -0.9, -0.3), "p": 0.0004},
        "not enough data",
        (
            "In sample the best of 27 combinations beats best_ask (adjusted p below 0.001), but held out its saving of "
            f"-0.60 bps (95 % interval -0.90 to -0.30) is below 0; {NEEDS}"
        ),
    ),
    "nothing held out": (
        {"held_out": None},
        "not enough data",
        f"{BEATS} no blocks were held out to confirm it; {NEEDS}",
    ),
    "not shown, and skewed": (
        {"p": 0.3, "skewed": True},
        "not enough data",
        f"{NOT_SHOWN}; {NEEDS[:-1]}; block results are skewed, so the intervals are too short.",
    ),
}


@pytest.mark.parametrize(("changes", "kind", "sentence"), SENTENCES.values(), ids=SENTENCES)
def test_each_sentence(changes, kind, sentence):
    judged = verdict(replace(PLENTY, **changes))
    assert (judged.kind, judged.sentence) == (kind, sentence)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"blocks": 20}, "better"),
        ({"blocks": 19}, "not enough data"),
        ({"p": 0.05}, "better"),
        ({"p": 0.0501}, "not enough data"),
        ({"held_out": Saving(1, 0.0, 2)}, "not enough data"),
        ({"held_out": Saving(1, 1e-9, 2)}, "better"),
        ({"execution": Saving(1, 0.0, 2)}, "drift"),
        ({"p": 0.3, "in_sample": Saving(-1, -2, 0.0)}, "not enough data"),
        ({"p": 0.3, "all_in_set": True, "grid_range": 1.1}, "not enough data"),
        ({"p": 0.3, "all_in_set": True, "grid_range": 1.09}, "flat"),
        ({"p": 0.3, "all_in_set": True, "grid_range": 0.0, "detectable": None}, "not enough data"),
        ({"p": 0.3, "all_in_set": False, "grid_range": 0.0}, "not enough data"),
        # the first rule that applies: worse before flat, better before worse
        ({"p": 0.3, "distinct": 1, "in_sample": Saving(-1, -2, -0.5)}, "worse"),
        ({"in_sample": Saving(-1, -2, -0.5)}, "better"),
        ({"blocks": 5, "distinct": 1}, "not enough data"),
    ],
)
def test_what_decides_on_an_edge(changes, kind):
    assert verdict(replace(PLENTY, **changes)).kind == kind


SAVINGS = st.none() | st.lists(st.floats(-9, 9), min_size=3, max_size=3).map(
    lambda three: Saving(sorted(three)[1], min(three), max(three))
)


@examples(300)
@given(
    st.builds(
        Evidence,
        blocks=st.integers(0, 60),
        combinations=st.integers(1, 10**8),
        distinct=st.integers(1, 3),
        baseline=st.just("twap"),
        p=st.none() | st.floats(0, 0.2),
        in_sample=SAVINGS,
        held_out=SAVINGS,
        execution=SAVINGS,
        grid_range=st.floats(0, 9),
        all_in_set=st.booleans(),
        detectable=st.none() | st.floats(0, 9),
        blocks_a_day=st.just(0.0) | st.floats(1e-3, 40),
        days=st.tuples(*[st.none() | st.integers(0, 10**6)] * 3),
        skewed=st.booleans(),
    )
)
def test_better_is_never_said_without_evidence_and_a_sentence_is_always_one(evidence):
    judged = verdict(evidence)
    assert judged.sentence.endswith(".")
    assert judged.sentence[0].isupper() or judged.sentence[0].isdigit()
    assert not any(word in judged.sentence for word in ("None", "nan", "  ", "\n", "-0.00 "))
    if judged.kind in {"better", "drift"}:
        assert evidence.blocks >= 20
        assert evidence.p <= 0.05
        assert evidence.held_out.low > 0
        assert (evidence.execution.low > 0) == (judged.kind == "better")
    if judged.kind == "worse":
        assert evidence.in_sample.high < 0
    if judged.kind == "flat":
        assert evidence.distinct == 1 or (evidence.all_in_set and evidence.grid_range < evidence.detectable)
