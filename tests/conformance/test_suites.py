"""What is built in passes the suites that are shipped for what others bring."""

from typing import ClassVar

import pytest

from allocator.baselines import LOOKING_AHEAD, SCHEDULES
from allocator.placement.policy import Placement
from allocator.policies import POLICIES, Pseudocode, Static
from feed.codecs import arrow_codec
from feed.codecs.registry import CODECS
from feed.files.registry import READERS, WRITERS
from sweep.search.samplers import SAMPLERS
from sweep.testing import BaselineSuite, CodecSuite, PolicySuite, ReaderSuite, SamplerSuite

NANO = 10**9


class TestStatic(PolicySuite):
    name = "static"
    may_exceed = True  # whole lots
    policies = (
        Static(),
        Static(reference="touch", participation=NANO // 5),
        Static(reference="mid", schedule="twap"),
        Static(reference="arrival", lots_only=True),
    )


class TestPseudocode(PolicySuite):
    name = "pseudocode"
    may_exceed = True
    policies = (Pseudocode(), Pseudocode(infeasible="wait"), Pseudocode(step=50, lots_only=True))


class TestPlacement(PolicySuite):
    """It does not decide by views: what does not ask it to holds for it as well."""

    name = "placement"
    policies = (Placement(slice=5 * NANO, samples=30), Placement(posting="inside", at_T="buy", adverse="none"))
    test_equal_views_have_equal_answers = None
    test_it_sends_what_is_there_and_missing = None


class _Schedule:
    """A schedule of a table, which may hold functions that no other process knows by name."""

    def __init__(self, conventions, name):
        self._conventions, self._name = conventions, name
        self.lookahead = name in LOOKING_AHEAD

    def __call__(self, book, order):
        return SCHEDULES[self._conventions][self._name](book, order)


class TestFairSchedules(BaselineSuite):
    baselines: ClassVar = {name: _Schedule("fair", name) for name in SCHEDULES["fair"]}


class TestClassicSchedules(BaselineSuite):
    baselines: ClassVar = {name: _Schedule("classic", name) for name in SCHEDULES["classic"]}


class TestJson(CodecSuite):
    codec = CODECS["json"]


class TestArrow(CodecSuite):
    codec = CODECS["arrow"]


class TestSmallArrow(CodecSuite):
    """Several messages in a small tape."""

    codec = CODECS["arrow"]

    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch):
        monkeypatch.setattr(arrow_codec, "SNAPSHOTS", 3)
        monkeypatch.setattr(arrow_codec, "BATCH_ROWS", 5)


class OurReaders(ReaderSuite):
    def write(self, tapes, path):
        WRITERS[self.ending](tapes[0], path)

    test_a_symbol_is_picked = None  # our writers write one


class TestCsv(OurReaders):
    ending, depth, trades = ".csv", 3, False  # a trade of its own has no row to be written with


class TestParquet(OurReaders):
    ending, depth = ".parquet", 10


class TestRandom(SamplerSuite):
    name = "random"


class TestSobol(SamplerSuite):
    name = "sobol"


class TestZoom(SamplerSuite):
    name = "zoom"


class TestOptuna(SamplerSuite):
    name = "optuna"


def test_nothing_built_in_is_forgotten():
    tested = [each for each in globals().values() if isinstance(each, type)]
    assert {each.name for each in tested if issubclass(each, PolicySuite) and each.name} == {*POLICIES}
    assert {each.name for each in tested if issubclass(each, SamplerSuite) and each.name} == {*SAMPLERS}
    codecs = [each.codec for each in tested if issubclass(each, CodecSuite) and each.codec is not None]
    assert all(codec in codecs for codec in CODECS.values())
    assert {each.ending for each in tested if issubclass(each, OurReaders)} <= {"", *READERS}
