"""Where a sweep reads: what is wrong with it is found before anything starts."""

from __future__ import annotations

import pytest

from feed.errors import FeedUnavailable
from sweep.config import build_config
from sweep.origin import open_origin
from sweep.progress import Silent


@pytest.mark.parametrize("source", ["embedded", "kafka://localhost:9/quotes", "day.csv"])
def test_a_wrong_setting_is_found_whatever_the_source(source):
    # A broker would open a socket, which no unit test may.
    config = build_config({"source": source, "kafka": {"security_protocol": "TLS"}})
    with (
        pytest.raises(FeedUnavailable, match=r"kafka\.security_protocol: expected one of"),
        open_origin(config, Silent()),
    ):
        pytest.fail("it was opened")
