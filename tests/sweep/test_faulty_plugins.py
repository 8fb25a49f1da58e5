"""Plug-ins that do what they should not, in a sweep: one line with the cause, and nothing that is wrong in a result."""

import json
import os
import subprocess
import sys

import pytest

from sweep import cli
from tests.support import ROOT
from tests.support.distributions import install

POLICIES = """
import sys
from dataclasses import dataclass
from allocator import ChildOrder

def cheapest(view, remaining):
    shown = [supply for supply, shares in enumerate(view.available) if shares]
    supply = min(shown, key=lambda each: view.costs[each])
    return supply, min(view.available[supply], remaining)

@dataclass(frozen=True)
class Greedy:
    def decide(self, view, remaining, parameters):
        supply, shares = cheapest(view, remaining)
        return [ChildOrder(supply, shares + (10**6 if parameters.theta_queue else 0), view.prices[supply])]

@dataclass(frozen=True)
class Reading(Greedy):
    def decide(self, view, remaining, parameters):
        if parameters.theta_queue:
            open("/absent/table.csv")
        return super().decide(view, remaining, parameters)

@dataclass(frozen=True)
class Leaving(Greedy):
    def decide(self, view, remaining, parameters):
        if parameters.theta_queue:
            sys.exit(0)
        return super().decide(view, remaining, parameters)

@dataclass(frozen=True)
class Typed(Greedy):
    reference: int = 3
"""

BASELINES = """
import numpy as np
from allocator.baselines import Schedule

def made(share, how="best_available"):
    def make(book, order):
        first, past = book.span(order)
        return Schedule(first, order.size, np.full(past - first, round(order.size * share), np.int64), how=how)
    return make

triple, negative, twice, once = made(3), made(-1), made(1, "burst"), made(1)
"""

READERS = """
def nothing(path, request):
    return None

def wrong(path, request):
    raise TypeError("of its own\\nmaking")

def leaving(path, request):
    raise SystemExit(0)

def damaged(path, request):
    raise ValueError("no number")

def cut(path, request):
    raise EOFError("Compressed file ended before the end-of-stream marker was reached")

def locked(path, request):
    raise PermissionError(13, "Permission denied")
"""


def swept(capsys, stream, *words):
    code = cli.main([f"source={stream}", "executor=inline", "-q", *words])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else None, err


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("greedy", "IllegalOrderError: a policy sent "),
        ("reading", "FileNotFoundError: [Errno 2] No such file or directory: '/absent/table.csv'"),
        ("leaving", "SystemExit: 0"),
    ],
)
def test_what_a_policy_does_wrong_is_of_that_combination(stream, tmp_path, monkeypatch, capsys, policy, message):
    points = {"greedy": "bad_policies:Greedy", "reading": "bad_policies:Reading", "leaving": "bad_policies:Leaving"}
    install(tmp_path, monkeypatch, "bad-policies", "sor_sweep.policies", points, POLICIES)
    grid = ["grid.lambda_over=0", "grid.lambda_under=[0, 0.01]", "grid.theta_queue=[0, 0.01]"]
    code, document, err = swept(capsys, stream, f"grid.policy=[static, {policy}]", *grid)
    assert code == 4
    failed = [each["parameters"] for each in document["failed"]]
    assert {(each["policy"], each["theta_queue"]) for each in failed} == {(policy, 0.01)}
    assert len(failed) == 2
    assert all(each["error"].startswith(message) for each in document["failed"])
    assert err.count("Traceback") == len({each["error"] for each in document["failed"]}), "one for each cause"
    assert message in err


def test_a_field_that_a_key_fills_has_its_type(stream, tmp_path, monkeypatch, capsys):
    install(tmp_path, monkeypatch, "bad-policies", "sor_sweep.policies", {"typed": "bad_policies:Typed"}, POLICIES)
    code, _, err = swept(capsys, stream, "policy=typed")
    assert (code, err) == (
        2,
        "error: policy: the key reference fills the field of typed: Expected `int`, got `str` (command line)\n",
    )


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        ("triple", "due: expected 0 to 150, but it had 450 to 450"),
        ("negative", "due: expected 0 to 150, but it had -150 to -150"),
        ("twice", "due: expected 150 in all to buy at once, but it had "),
    ],
)
def test_a_schedule_beyond_the_order_is_refused(stream, tmp_path, monkeypatch, capsys, baseline, message):
    points = {name: f"bad_baselines:{name}" for name in ("triple", "negative", "twice", "once")}
    install(tmp_path, monkeypatch, "bad-baselines", "sor_sweep.baselines", points, BASELINES)
    code, _, err = swept(capsys, stream, "order.size=150", f"baselines=[{baseline}]")
    assert code == 2
    assert err.startswith(f"error: baseline {baseline}: {message}")
    assert err.count("\n") == 1
    code, document, _ = swept(capsys, stream, "order.size=150", "baselines=[once]")
    assert code == 0
    assert document["baselines"]["once"]["filled"] == 150


def test_what_runs_in_any_case_is_no_plug_in(stream, capsys):
    for name in ("optimized", "twap"):
        code, _, err = swept(capsys, stream, f"baselines=[{name}]")
        assert code == 2
        assert err.startswith(f"error: baselines: {name} is built in, and runs in any case; name those of plug-ins")
        assert err.count("\n") == 1


@pytest.mark.command
@pytest.mark.parametrize(
    ("reader", "code", "message"),
    [
        ("nothing", 2, "reader nothing of bad-readers 1.0"),
        ("wrong", 2, "reader wrong of bad-readers 1.0"),
        ("leaving", 2, "reader leaving of bad-readers 1.0"),
        ("damaged", 3, "reader damaged: ValueError: no number"),
        ("cut", 3, "the file is damaged: 'Compressed file ended"),
        ("locked", 2, "the file may not be read"),
    ],
)
def test_what_a_reader_does_wrong_is_one_line_with_its_name(tmp_path, monkeypatch, reader, code, message):
    names = ("nothing", "wrong", "leaving", "damaged", "cut", "locked")
    points = {name: f"bad_readers:{name}" for name in names}
    install(tmp_path / "lib", monkeypatch, "bad-readers", "sor_sweep.readers", points, READERS)
    file = tmp_path / f"file.{reader}"
    file.write_text("hello\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "lib"), str(ROOT)])}
    ran = subprocess.run(
        [sys.executable, "-m", "feed", "check", file], capture_output=True, text=True, check=False, env=environment
    )
    assert ran.returncode == code, ran.stderr
    assert message in ran.stderr
    assert ran.stderr.count("\n") == 1
