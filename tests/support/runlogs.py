"""What a run's log says of the drivers that worked on it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def log_of(home: Path) -> list[dict[str, Any]]:
    """Every whole line of a run's log; one that is being written is left out."""
    lines = (home / "log.jsonl").read_bytes().split(b"\n")[:-1]
    return [json.loads(line) for line in lines]


def legs_of(home: Path) -> list[list[range]]:
    """The combinations of each chunk that arrived, driver by driver."""
    legs: list[list[range]] = []
    for event in log_of(home):
        if event["event"] in {"began", "resumed"}:
            legs.append([])
        elif event["event"] == "chunk":
            first, last = event["chunk"].rpartition("/")[2].split("-")
            legs[-1].append(range(int(first), int(last) + 1))
    return legs


def check_legs(home: Path, combinations: int, in_flight: int) -> None:
    """Assert that two drivers did everything, and that few chunks of the first came again."""
    first, second = legs_of(home)
    done, again = ({number for chunk in leg for number in chunk} for leg in (first, second))
    (stored,) = (event["arrived"] for event in log_of(home) if event["event"] == "resumed")
    assert stored + len(again) == combinations
    # the first driver may have ended after it stored a chunk, and before it logged that
    silent = set(range(combinations)) - done - again
    assert not silent or max(silent) - min(silent) + 1 == len(silent)
    assert sum(map(len, second)) == len(again)
    assert len([chunk for chunk in first if again.intersection(chunk)]) <= in_flight
    assert len(again) < combinations * 2 // 3
