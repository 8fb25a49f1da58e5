"""What both command lines share, where a stream that they print to is missing or takes nothing."""

from __future__ import annotations

import sys

from feed.console import guard_streams


def test_streams_that_are_missing_go_nowhere_and_others_stay(monkeypatch):
    mine = sys.stderr
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        guard_streams()
        print("to nowhere")
        sys.stdout.close()
        assert sys.stderr is mine
        patch.setattr(sys, "stderr", None)
        guard_streams()
        print("to nowhere", file=sys.stderr)
        sys.stderr.close()
