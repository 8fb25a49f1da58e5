"""The suites that every codec, baseline and sampler passes, and what these are for."""

from house_kit import PACKED, Corners, half_time

from sweep.search import Space
from sweep.testing import BaselineSuite, CodecSuite, SamplerSuite


class TestPacked(CodecSuite):
    codec = PACKED


class TestHalfTime(BaselineSuite):
    baselines = {"half_time": half_time}


class TestCorners(SamplerSuite):
    name = "corners"


def test_corners_come_first():
    assert Corners(Space((3, 4), (True, True)), 0, None).ask(5).tolist() == [0, 3, 8, 11, 1]
