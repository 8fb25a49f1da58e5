"""The benchmarks' frame: samples in turns, medians, ratios, the guard, the schema; nothing here is a real timing."""

from __future__ import annotations

import json

import pytest

from benchmarks import frame, run
from benchmarks.frame import UNITS, Case, Duel, Figure, Measured, Scale, Side, Unit, measure
from feed.tape import DAY
from tests.support.tapes import long_tape


@pytest.fixture(autouse=True)
def _no_collection(monkeypatch):
    """Before a sample the frame collects garbage: a whole test run's here, which no fake clock sees."""
    monkeypatch.setattr(frame.gc, "collect", lambda: 0)


class Time:
    """A clock that moves when a side is run, by the seconds it is told, and a log of who ran."""

    def __init__(self):
        self.now, self.log = 0.0, []

    def __call__(self):
        return self.now

    def side(self, name, seconds, work=1.0):
        """A side whose runs take these seconds, one after the other, the last one for ever."""
        left = list(seconds)

        def one():
            self.log.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]
            return {"phase": self.now}

        return Side(one, work)


def case(unit="s", target=None, least_ratio=None):
    return Case("fake", unit, "another fake", lambda _: None, target, least_ratio=least_ratio)


def duel(subject, baseline, guard=lambda: None, parts=None):
    return Duel(subject, baseline, guard, "one fake", parts)


def without_parts(_result):
    return {}


class TestMeasure:
    def test_sides_are_timed_in_turns(self):
        time = Time()
        measure(case(), duel(time.side("a", [1]), time.side("b", [2]), parts=without_parts), 3, time)
        assert time.log == ["a", "b"] * 3

    def test_medians_of_the_rounds_are_compared(self):
        time = Time()
        subject, baseline = time.side("a", [1, 9, 2]), time.side("b", [4, 90, 6])
        got = measure(case(), duel(subject, baseline, parts=without_parts), 3, time)
        assert got.figures == [Figure("fake", 2.0, "s", 6.0, 3.0, None, None)]
        assert got.spread == (1.0, 9.0)
        assert got.rounds == 3

    def test_a_slow_machine_is_slow_for_both(self):
        time = Time()
        subject, baseline = time.side("a", [1, 2, 3]), time.side("b", [10, 20, 30])
        (figure,) = measure(case(), duel(subject, baseline, parts=without_parts), 3, time).figures
        assert figure.ratio == 10

    def test_sides_may_do_different_amounts_of_work(self):
        time = Time()
        subject, baseline = time.side("a", [1], work=1e9), time.side("b", [1], work=1e6)
        (figure,) = measure(case("ns per t v"), duel(subject, baseline), 3, time).figures
        assert (figure.value, figure.baseline, figure.ratio) == (1, 1000, 1000)

    def test_what_is_short_is_repeated_within_a_sample(self):
        time = Time()
        short, long = time.side("a", [frame.SAMPLE_SECONDS / 8]), time.side("b", [1])
        (figure,) = measure(case("ms"), duel(short, long), 1, time).figures
        assert time.log == ["a", "b"] + ["a"] * 8 + ["b"]
        assert figure.value == pytest.approx(1e3 * frame.SAMPLE_SECONDS / 8)

    def test_a_clock_that_does_not_move_is_no_division_by_zero(self):
        assert frame.calls_per_sample(lambda: None, lambda: 0.0) > 1

    def test_the_guard_comes_first(self):
        time = Time()
        ready = duel(time.side("a", [1]), time.side("b", [1]), lambda: time.log.append("guard"))
        measure(case(), ready, 1, time)
        assert time.log.index("guard") == 0

    def test_nothing_is_timed_where_the_sides_disagree(self):
        time = Time()

        def guard():
            raise AssertionError("the rows differ")

        with pytest.raises(AssertionError, match="the rows differ"):
            measure(case(), duel(time.side("a", [1]), time.side("b", [1]), guard), 1, time)
        assert time.log == []

    def test_parts_are_figures_of_their_own(self):
        time = Time()
        seconds = iter([3.0, 1.0, 5.0, 1.0, 4.0, 2.0])
        ready = duel(time.side("a", [8]), time.side("b", [4]), parts=lambda _: {"start": next(seconds)})
        whole, part = measure(case(target=9), ready, 3, time).figures
        assert (whole.name, whole.value, whole.met) == ("fake", 8, True)
        assert part == Figure("fake.start", 4.0, "s", 1.0, 0.25, None, None)

    def test_a_least_ratio_is_a_figure_of_its_own(self):
        time = Time()
        sides = time.side("a", [1]), time.side("b", [3])
        whole, ratio = measure(case(least_ratio=2.5), duel(*sides), 3, time).figures
        assert whole == Figure("fake", 1.0, "s", 3.0, 3.0, None, None)
        assert ratio == Figure("fake.ratio", 3.0, "x", 1.0, 3.0, 2.5, True)

    @pytest.mark.parametrize(("least", "met"), [(3.0, True), (3.001, False)])
    def test_a_ratio_is_of_work_done_in_a_rate_too(self, least, met):
        time = Time()
        sides = time.side("a", [1], work=300), time.side("b", [1], work=100)
        _, ratio = measure(case("rows/s", 299, least), duel(*sides), 2, time).figures
        assert (ratio.value, ratio.ratio, ratio.met) == (3, 3, met)

    def test_a_least_ratio_is_held_against_the_rounds_pairs(self):
        # Twice as good in two of three rounds on a machine that slows down; the medians alone are 18 and 4.
        time = Time()
        sides = time.side("a", [1, 4, 9]), time.side("b", [2, 18, 18])
        whole, ratio = measure(case(least_ratio=2), duel(*sides, parts=without_parts), 3, time).figures
        assert whole.ratio == 4.5
        assert (ratio.value, ratio.met) == (2, True)

    def test_a_ratio_stands_before_the_parts(self):
        time = Time()
        sides = time.side("a", [1]), time.side("b", [1])
        ready = duel(*sides, parts=lambda _: {"start": 1.0})
        names = [figure.name for figure in measure(case(least_ratio=1), ready, 1, time).figures]
        assert names == ["fake", "fake.ratio", "fake.start"]

    def test_a_clock_that_stands_still_meets_no_ratio(self):
        sides = Side(lambda: 0), Side(lambda: 0)
        _, ratio = measure(case(least_ratio=1), duel(*sides, parts=without_parts), 1, lambda: 0.0).figures
        assert (ratio.value, ratio.met) == (0, False)

    def test_what_is_not_timed_is_what_a_side_returns(self):
        time = Time()
        sides = Side(lambda: 3 * 10**6), Side(lambda: 12 * 10**6)
        whole, ratio = measure(case("MB", 4, 4), duel(*sides), 3, time).figures
        assert whole == Figure("fake", 3.0, "MB", 12.0, 4.0, 4, True)
        assert ratio.value == 4

    def test_a_side_that_runs_elsewhere_takes_the_time_itself(self):
        time = Time()

        def asked():
            time.now += 7  # the way there, and the samples that it takes
            return 0.5

        whole, ratio = measure(
            case(least_ratio=2), duel(time.side("a", [0.25]), Side(asked, elsewhere=True)), 3, time
        ).figures
        assert (whole.value, whole.baseline) == (0.25, 0.5)
        assert (ratio.value, ratio.met) == (2, True)


class TestFastest:
    def test_elsewhere_the_better_of_two_answers_counts(self):
        time, answers = Time(), iter([9.0, 2.0])
        sides = {"asked": Side(lambda: next(answers), elsewhere=True), "timed": time.side("timed", [3, 3])}
        assert frame.fastest(sides, time)[0] == "asked"

    def test_the_better_of_two_runs_counts(self):
        time = Time()
        sides = {"cold": time.side("cold", [9, 2]), "even": time.side("even", [3, 3])}
        name, note = frame.fastest(sides, time)
        assert (name, note) == ("cold", "baseline cold, the fastest of cold 2 s, even 3 s")
        assert time.log == ["cold", "cold", "even", "even"]

    def test_work_counts(self):
        time = Time()
        sides = {"small": time.side("a", [1], work=1), "large": time.side("b", [2], work=4)}
        assert frame.fastest(sides, time)[0] == "large"


class TestUnits:
    @pytest.mark.parametrize(
        ("name", "larger_is_better"),
        [
            ("ns per t v k", False),
            ("MB", False),
            ("x", True),
            ("GB/s", True),
            ("combinations/s", True),
            ("chunks/s", True),
        ],
    )
    def test_every_unit_has_a_better_side(self, name, larger_is_better):
        assert UNITS[name].meets(2, 1) is larger_is_better
        assert UNITS[name].meets(1, 2) is not larger_is_better

    def test_a_time_per_work(self):
        unit = Unit(1e9)
        assert unit.value(seconds=2, work=1e9) == 2
        assert unit.ratio(2, 6) == 3
        assert [unit.meets(2, target) for target in (2, 1, None)] == [True, False, None]

    def test_work_per_time(self):
        unit = Unit(rate=True)
        assert unit.value(seconds=2, work=100) == 50
        assert unit.ratio(50, 25) == 2
        assert [unit.meets(50, target) for target in (50, 51, None)] == [True, False, None]

    @pytest.mark.parametrize("rate", [True, False])
    def test_nothing_has_no_ratio(self, rate):
        assert Unit(rate=rate).ratio(0, 1) is None
        assert Unit(rate=rate).ratio(1, 0) is None


class TestCases:
    def test_names_are_of_one_case_each(self):
        names = [each.name for each in run.CASES]
        assert len(names) == len(set(names))

    @pytest.mark.parametrize("each", run.CASES, ids=lambda each: each.name)
    def test_it_has_a_unit_a_baseline_and_rounds(self, each):
        assert each.unit in UNITS
        assert each.against
        assert callable(each.prepare)
        assert each.rounds >= each.quick_rounds >= 1
        assert each.target is None or each.target > 0
        assert each.least_ratio is None or each.least_ratio > 0


def fake_case(name, seconds, target=None):
    """A case whose clock is real and whose work is nothing; its figures are not looked at."""
    return Case(name, "s", "nothing", lambda _: duel(Side(lambda: 0, seconds), Side(lambda: 0)), target, 1, 1)


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Run the command on fake cases, and give what it wrote."""

    def command(*arguments):
        monkeypatch.setattr(run, "HERE", tmp_path)
        monkeypatch.setattr(run, "CASES", (fake_case("one", 1, target=9.0), fake_case("other", 1)))
        monkeypatch.setattr(frame, "SAMPLE_SECONDS", 0)
        assert run.main(arguments) == 0
        return [json.loads((tmp_path / name).read_text()) for name in ("results.json", "machine.json")]

    return command


class TestCommand:
    def test_results_are_a_list_of_figures(self, written, capsys):
        results, _ = written()
        keys = ["name", "value", "unit", "baseline", "ratio", "target", "met"]
        assert [list(each) for each in results] == [keys, keys]
        assert [(each["name"], each["unit"], each["target"], each["met"]) for each in results] == [
            ("one", "s", 9.0, True),
            ("other", "s", None, None),
        ]
        for each in results:
            assert isinstance(each["value"], float)
            assert isinstance(each["baseline"], float)
        printed = capsys.readouterr().out
        assert all(name in printed for name in ("one", "other", "against nothing", "cores"))

    def test_the_machine_stands_beside_them(self, written):
        _, machine = written("--quick")
        assert machine["quick"] is True
        assert machine["cpu"]
        assert machine["cores"] >= 1
        assert {"numpy", "numba", "ray"} <= set(machine["versions"])
        assert machine["date"].endswith("+00:00")

    def test_only_some(self, written):
        results, _ = written("--only", "oth")
        assert [each["name"] for each in results] == ["other"]

    @pytest.mark.parametrize(
        ("arguments", "message"), [(["--only", "none"], "the cases are one, other"), (["--rounds", "0"], "1 or more")]
    )
    def test_refusals(self, written, capsys, arguments, message):
        with pytest.raises(SystemExit) as left:
            written(*arguments)
        assert left.value.code == 2
        assert message in capsys.readouterr().err

    def test_rounds(self, written, monkeypatch):
        asked = []

        def noted(case, _duel, rounds):
            asked.append(rounds)
            return Measured(case, "", rounds, [Figure(case.name, 1.0, "s", 1.0, 1.0, None, None)], (1.0, 1.0))

        monkeypatch.setattr(run, "measure", noted)
        written("--rounds", "4")
        assert asked == [4, 4]


def test_the_table_shows_every_figure():
    got = Measured(
        case("rows/s", 5.0),
        "ten rows",
        3,
        [
            Figure("fake", 123456.0, "rows/s", 2.0, 61728.0, 5.0, True),
            Figure("fake.part", 1.5, "s", 0.0, None, 1.0, False),
        ],
        (1.0, 200_000.0),
    )
    head, _, whole, part, _, note = frame.table([got]).splitlines()
    assert head.split()[:3] == ["name", "value", "unit"]
    assert whole.split() == ["fake", "123,456", "rows/s", "1", "-", "200,000", "2", "61,728x", "5", "yes"]
    assert part.split() == ["fake.part", "1.5", "s", "0", "-", "1", "NO"]
    assert note == "fake: ten rows; against another fake; 3 rounds"


def test_a_long_tape_has_as_many_snapshots_as_asked_for():
    tape = long_tape(30_000, 2)
    assert tape.snapshots == 30_000
    assert len(tape.venues) == 2
    assert len({ts // DAY for ts in tape.span}) == 1
    assert tape.ask_px[tape.ask_px > 0].min() > 10**9


def test_the_scale_picks_the_size(tmp_path):
    assert Scale(quick=True, scratch=tmp_path).pick(10, 2) == 2
    assert Scale(quick=False, scratch=tmp_path).pick(10, 2) == 10
