"""Shared fixtures: unit tests start no Ray, open no socket and do not sleep; real data where it is."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

REAL_PARTS = {"kafka", "cluster", "browser", "command"}
ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("SOR_SWEEP_TEST_DATA", ROOT.parent / "shared" / "data"))


def pytest_collection_modifyitems(items):
    """Unit tests first: they are quick to fail."""
    items.sort(key=lambda item: bool(REAL_PARTS & {mark.name for mark in item.iter_markers()}))


@pytest.fixture(autouse=True)
def _unit_tests_stay_inside(request, monkeypatch):
    """Raise where a test without a marker for real parts opens a socket, sleeps or starts Ray."""
    if REAL_PARTS & {mark.name for mark in request.node.iter_markers()}:
        return

    def refuse(*_arguments, **_keywords):
        pytest.fail("a unit test opened a socket, slept or started Ray: mark it, or leave that to an integration test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "bind", refuse)
    monkeypatch.setattr(time, "sleep", refuse)


def _data(name):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"real market data {path} is absent (set SOR_SWEEP_TEST_DATA)")
    return path


@pytest.fixture(scope="session")
def l1_day():
    """AAPL 2024-08-01 13:36:32 - 13:45:14 UTC, one venue."""
    return _data("l1_day.csv.gz")


@pytest.fixture(scope="session")
def taq_day():
    """A US stock, 2018-01-02, twelve venues."""
    return _data("taq_2018-01-02.csv.gz")
