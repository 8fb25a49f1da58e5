"""Each suite fails for what it is there to find."""

import itertools
import pickle
import zlib
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest

from allocator import ChildOrder
from allocator.baselines import SCHEDULES
from allocator.errors import AllocatorError
from allocator.policies import Static
from allocator.testing import BaselineSuite, PolicySuite
from feed.codecs.registry import CODECS
from feed.errors import FeedCorrupt
from feed.testing import CodecSuite, ReaderSuite
from sweep.errors import ConfigError
from sweep.plugins import _Held
from sweep.search import SamplerKind
from sweep.search.samplers import RandomSampler
from sweep.testing import SamplerSuite

COUNTER = itertools.count()


def cheapest(view, remaining):
    """The cheapest supply, and as much of it as is there and missing."""
    shown = [supply for supply, shares in enumerate(view.available) if shares]
    if not shown:
        return []
    supply = min(shown, key=lambda each: view.costs[each])
    return [ChildOrder(supply, min(view.available[supply], remaining), view.prices[supply])]


@dataclass(frozen=True)
class Fine:
    def decide(self, view, remaining, parameters):
        return cheapest(view, remaining)


@dataclass(frozen=True)
class Moody(Fine):
    def decide(self, view, remaining, parameters):
        return cheapest(view, remaining) if next(COUNTER) % 2 else []


@dataclass(frozen=True)
class Counting(Fine):
    asked: int = 0

    def decide(self, view, remaining, parameters):
        object.__setattr__(self, "asked", self.asked + 1)
        return cheapest(view, remaining)


@dataclass(frozen=True)
class Meddling(Fine):
    def decide(self, view, remaining, parameters):
        object.__setattr__(view, "available", tuple(10 * each for each in view.available))
        return []


@dataclass(frozen=True)
class Greedy(Fine):
    def decide(self, view, remaining, parameters):
        return [replace(each, shares=each.shares + 1) for each in cheapest(view, remaining)]


@dataclass(frozen=True)
class Generous(Fine):
    def decide(self, view, remaining, parameters):
        sent = cheapest(view, remaining)
        return [replace(each, shares=view.available[each.venue]) for each in sent] if view.can_sell_back else sent


@dataclass(frozen=True)
class Floating(Fine):
    def decide(self, view, remaining, parameters):
        return [replace(each, shares=float(each.shares)) for each in cheapest(view, remaining)]


@dataclass(frozen=True)
class Beside(Fine):
    def decide(self, view, remaining, parameters):
        return [replace(each, venue=each.venue - len(view.costs)) for each in cheapest(view, remaining)]


@dataclass
class Thawed:
    decide = Fine.decide


@dataclass(frozen=True)
class Sealed(Fine):
    how: object = field(default_factory=lambda: lambda: None)


EQUAL, THERE = "test_equal_views_have_equal_answers", "test_it_sends_what_is_there_and_missing"
POLICIES = {
    "decides as it likes": (Moody(), EQUAL),
    "keeps a count": (Counting(), EQUAL),
    "changes what it sees": (Meddling(), EQUAL),
    "never acts": (replace(Static(reference="touch", participation=1)), EQUAL),
    "takes more than there is": (Greedy(), THERE),
    "takes more than is missing": (Generous(), THERE),
    "parts of a share": (Floating(), THERE),
    "a supply that there is none": (Beside(), THERE),
    "not frozen": (Thawed(), "test_it_is_a_frozen_dataclass_of_equal_values"),
    "not to be sent": (Sealed(), "test_it_is_sent_to_other_processes"),
}


@pytest.mark.parametrize(("policy", "test"), POLICIES.values(), ids=POLICIES)
def test_a_broken_policy_fails(policy, test):
    with pytest.raises((AssertionError, AllocatorError, AttributeError, TypeError)):
        getattr(PolicySuite(), test)(policy)


@pytest.mark.parametrize("test", [name for name in dir(PolicySuite) if name.startswith("test_")])
def test_a_plain_policy_passes(test):
    getattr(PolicySuite(), test)(Fine())


def test_a_suite_that_is_about_nothing_is_refused():
    about = SimpleNamespace(cls=PolicySuite, fixturenames=["policy"], parametrize=None)
    with pytest.raises(pytest.UsageError, match="PolicySuite: set policies"):
        PolicySuite.pytest_generate_tests(about)


def wavering(book, order):
    return SCHEDULES["fair"]["best_ask" if next(COUNTER) % 2 else "sweep_now"](book, order)


def seeing(book, order):
    return SCHEDULES["fair"]["vwap"](book, order)


BASELINES = {
    "wavers": (wavering, "test_it_is_the_same_twice_and_by_both_engines"),
    "looks ahead": (seeing, "test_it_does_not_look_ahead_or_says_so"),
    "a function without a name": (lambda book, order: seeing(book, order=order), "test_it_is_sent_to_other_processes"),
}


@pytest.mark.parametrize(("baseline", "test"), BASELINES.values(), ids=BASELINES)
def test_a_broken_baseline_fails(baseline, test):
    with pytest.raises((AssertionError, AttributeError, pickle.PicklingError)):
        getattr(BaselineSuite(), test)(baseline)


JSON = CODECS["json"]


def lossy(tape):
    for message in JSON.encode(tape):
        yield message._replace(value=message.value.replace(b'"sequence":7', b'"sequence":8'))


def salted(tape):
    for message in JSON.encode(tape):
        yield message._replace(value=message.value + b" " * (next(COUNTER) % 5))


def lax(records, refuse, max_bytes):
    kept = [record if record.value[:1] == b"{" else record._replace(value=b"") for record in records]
    return JSON.decode([record for record in kept if record.value], refuse, max_bytes)


CODEC_FAULTS = {
    "lossy": (replace(JSON, encode=lossy), "test_every_tape_comes_back"),
    "salted": (replace(JSON, encode=salted), "test_the_same_tape_makes_the_same_bytes"),
    "passes over": (replace(JSON, decode=lax), "test_what_is_malformed_is_refused_by_name_and_the_rest_is_read"),
    "larger than it says": (replace(JSON, row_bytes=10, level_bytes=1), "test_no_message_is_larger_than_it_says"),
    "another order": (
        replace(JSON, stream=lambda tapes: JSON.stream(tapes[::-1])),
        "test_a_stream_of_tapes_is_the_messages_of_each_by_time",
    ),
    "no bound": (
        replace(JSON, decode=lambda records, refuse, _: JSON.decode(records, refuse, 2**40)),
        "test_rows_beyond_the_bound_are_refused",
    ),
}


@pytest.mark.parametrize(("codec", "test"), CODEC_FAULTS.values(), ids=CODEC_FAULTS)
def test_a_broken_codec_fails(codec, test):
    suite = CodecSuite()
    suite.codec = codec
    with pytest.raises((AssertionError, FeedCorrupt, pytest.fail.Exception, zlib.error)):
        getattr(suite, test)()


class Repeating(RandomSampler):
    def ask(self, count):
        return np.zeros(min(count, 1), np.int64)


class Beyond(RandomSampler):
    def ask(self, count):
        return super().ask(count) + self._space.places


class Drifting(RandomSampler):
    def __init__(self, space, seed, budget):
        super().__init__(space, next(COUNTER), budget)


class Failing(RandomSampler):
    def ask(self, count):
        raise ZeroDivisionError("own")


class Deaf(RandomSampler):
    def tell(self, places, costs):
        pass


ONCE = "test_it_asks_for_places_inside_each_once_and_the_same_for_a_seed"
SAMPLER_FAULTS = {
    "repeats": (Repeating, ONCE, "place 0 again"),
    "beyond": (Beyond, ONCE, "a place beyond"),
    "drifts": (Drifting, ONCE, "the same seed and costs"),
    "fails": (Failing, ONCE, "the sampler own failed with ZeroDivisionError: own"),
    "deaf": (Deaf, "test_it_does_not_ask_for_what_it_was_told", "again"),
}


@pytest.mark.parametrize(("sampler", "test", "message"), SAMPLER_FAULTS.values(), ids=SAMPLER_FAULTS)
def test_a_broken_sampler_fails_and_ends_a_run(monkeypatch, sampler, test, message):
    kind = SamplerKind(lambda space, seed, budget: _Held("own", space, sampler(space, seed, budget)), learns=True)
    monkeypatch.setattr("sweep.testing.sampler_named", lambda _: kind)
    suite = SamplerSuite()
    suite.name = "own"
    with pytest.raises((AssertionError, ConfigError), match=message):
        getattr(suite, test)()


class Faulty(ReaderSuite):
    ending = ".faulty"

    def write(self, tapes, path):
        path.write_bytes(b"".join(message.value + b"\n" for tape in tapes for message in JSON.encode(tape)))


@pytest.mark.parametrize("test", ["test_every_tape_comes_back", "test_what_was_read_is_sent_to_other_processes"])
def test_a_file_that_nothing_reads_fails(tmp_path, test):
    with pytest.raises(Exception, match=r"missing|no column|lacks|header"):
        getattr(Faulty(), test)(tmp_path)
