"""Windows and orders by the regular session: each date its own, half days and holidays too."""

from __future__ import annotations

import numpy as np
import pytest

from feed.errors import FeedUnavailable
from feed.files.parquet import write_parquet
from feed.instants import parse_instant
from feed.tape import Tape, join
from sweep.config.loading import build_config, load_config
from sweep.driver import run
from sweep.errors import ConfigError
from sweep.progress import Silent
from sweep.router import config_for, document_of, export, read_router

SECOND = 10**9
SESSIONS = {
    "2024-11-27": ("2024-11-27T14:30:00Z", "2024-11-27T21:00:00Z"),
    "2024-11-29": ("2024-11-29T14:30:00Z", "2024-11-29T18:00:00Z"),  # a half day
    "2024-12-02": ("2024-12-02T14:30:00Z", "2024-12-02T21:00:00Z"),
}
ORDER = {"size": 200, "every": "1h", "horizon": "10m"}
GRID = {"lambda_over": 0, "lambda_under": [0, 0.02], "theta_queue": 0}


class Listening(Silent):
    """Keeps what is said."""

    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


def day_tape(day):
    """A quote every minute at two venues, from 13:00 to 21:30 UTC."""
    rows = 511
    ts = np.repeat(parse_instant(f"{day}T13:00:00Z") + 60 * SECOND * np.arange(rows), 2)
    cents = 100_00 + np.arange(2 * rows) % 7
    return Tape.build(
        "XYZ",
        ts=ts,
        venue=np.tile([2, 43], rows),
        bid_px=(cents - 2) * 10**7,
        ask_px=cents * 10**7,
        bid_sz=np.full(2 * rows, 150),
        ask_sz=np.full(2 * rows, 150),
        sequence=np.arange(2 * rows),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A file of each day, one of all of them, and one of a day without a session."""
    folder = tmp_path_factory.mktemp("days")
    for name in ("shut", "all"):
        (folder / name).mkdir()
    for day in SESSIONS:
        write_parquet([day_tape(day)], folder / f"{day}.parquet")
    write_parquet([join([day_tape(day) for day in SESSIONS])], folder / "all" / "days.parquet")
    for day in ("2025-01-08", "2025-01-09", "2025-01-10"):
        write_parquet([day_tape(day)], folder / "shut" / f"{day}.parquet")
    return folder


def swept(source, window=None, listening=None, **order):
    window = {} if window is None else {"window": window}
    tree = {"source": str(source), "executor": "inline", "order": {**ORDER, **order}, "grid": GRID, **window}
    return run(build_config(tree), listening or Silent())


@pytest.fixture(scope="module")
def alone(folder):
    """Sweep a day by itself, each question once."""
    kept = {}

    def sweep(day, window=None, **order):
        key = day, str(window), str(order)
        if key not in kept:
            kept[key] = swept(folder / f"{day}.parquet", window, **order)
        return kept[key]

    return sweep


@pytest.mark.parametrize("day", SESSIONS)
def test_a_window_of_the_session_is_that_window_of_its_date(folder, alone, day):
    start, end = SESSIONS[day]
    by_session = alone(day, "session")
    by_hand = swept(folder / f"{day}.parquet", {"start": start, "end": end})
    assert (by_session.table == by_hand.table).all()
    assert by_session.document["feed"]["digest"] == by_hand.document["feed"]["digest"]
    if day == "2024-11-29":
        half = swept(folder / f"{day}.parquet", {"start": "session", "end": end})
        assert (half.table == by_hand.table).all()


def test_orders_by_the_session_are_those_between_its_bounds(folder, alone):
    for day, (start, end) in SESSIONS.items():
        result = alone(day, **{"from": "session", "to": "session"})
        frame = result.orders_frame().query("strategy == 'twap'")
        first, last = (parse_instant(each) for each in (start, end))
        assert frame["start"].tolist() == list(range(first, last + 1, 3600 * SECOND))
        by_hand = swept(folder / f"{day}.parquet", **{"from": start[11:19], "to": end[11:19]})
        assert (result.table == by_hand.table).all()


@pytest.mark.parametrize("source", ["*.parquet", "all/days.parquet"])
@pytest.mark.parametrize(
    ("window", "order"),
    [("session", {}), (None, {"from": "session", "to": "session"}), ("session", {"from": "session"})],
)
def test_of_several_dates_each_has_its_own_session(folder, alone, source, window, order):
    together = swept(folder / source, window, **order)
    frame = together.orders_frame().query("strategy == 'twap'")
    assert frame.groupby("tape").size().tolist() == [7, 4, 7]
    for number, day in enumerate(SESSIONS):
        rows = together.table[together.table[:, 0] == number]
        assert (rows[:, 1:] == alone(day, window, **order).table[:, 1:]).all()


def test_a_day_without_a_session_is_refused_or_left_out(folder):
    reason = "2025-01-09 has no session of XNYS, the next is 2025-01-10"
    with pytest.raises(FeedUnavailable, match=rf"window: {reason}; choose other dates, or the calendar of its exch"):
        swept(folder / "shut" / "2025-01-09.parquet", "session")
    with pytest.raises(ConfigError, match=f"order.from: {reason}"):
        swept(folder / "shut" / "2025-01-09.parquet", **{"from": "session"})
    with pytest.raises(FeedUnavailable, match=rf"no quotes in the window: XYZ 2025-01-09 \({reason}\); set tapes.skip"):
        swept(folder / "shut", "session")
    with pytest.raises(ConfigError, match=rf"order.from: {reason} \(XYZ 2025-01-09\); tapes.skip_empty=true"):
        swept(folder / "shut", **{"from": "session"})
    tree = {"source": str(folder / "shut"), "executor": "inline", "order": ORDER, "grid": GRID, "window": "session"}
    listening = Listening()
    result = run(build_config({**tree, "tapes": {"skip_empty": True}}), listening)
    assert result.document["orders"]["days"] == 2
    assert any(f"XYZ 2025-01-09 ({reason}): left out" in line for line in listening.lines)


def test_another_calendar(folder):
    tree = {"source": str(folder / "shut" / "2025-01-09.parquet"), "executor": "inline", "grid": GRID}
    order = {**ORDER, "from": "13:00"}  # open since 8:00, but that is when the quotes begin
    result = run(build_config({**tree, "order": order, "window": "session", "calendar": "XLON"}), Silent())
    assert len(result.orders_frame().query("strategy == 'twap'")) == 4  # it closes at 16:30


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"window": "sessions"}, "window: expected session, or a mapping"),
        ({"window": "session", "calendar": "XNYZ"}, "calendar: 'XNYZ' is no calendar of exchange_calendars"),
        ({"calendar": "XNYZ"}, "calendar: 'XNYZ' is no calendar"),
        ({"window": {"start": "Session"}}, "window.start: 'Session' is no instant"),
        ({"order": {"every": "1h", "horizon": "1m", "from": "open"}}, "order.from: 'open' is no time of day"),
        ({"order": {"start": "session"}}, "order.start: 'session' is no instant"),
    ],
)
def test_what_is_no_session_is_one_line(keys, message):
    with pytest.raises(ConfigError, match=message):
        build_config({"source": "x.csv", **keys})


def test_one_word_stands_for_a_section_that_others_go_on_top_of(tmp_path):
    (tmp_path / "run.yaml").write_text("source: x.csv\nwindow: session\n")
    end = "2024-11-29T16:00:00Z"
    config = load_config(str(tmp_path / "run.yaml"), [f"window.end={end}"])
    assert (config.window.start, config.window.end) == ("session", end)
    typed = load_config(None, ["source=x.csv", "window=session", "window.warmup=60s"])
    assert (typed.window.start, typed.window.end, typed.window.warmup) == ("session", "session", "60s")
    assert build_config({"source": "x.csv", "window": "session"}).window == config_of_session()


def config_of_session():
    return build_config({"source": "x.csv", "window.start": "session", "window.end": "session"}).window


def test_the_hash_is_of_the_session_and_of_its_calendar():
    def hashed(**keys):
        return build_config({"source": "x.csv", **keys}).question.config_hash

    assert hashed(window="session") == hashed(window={"start": "session", "end": "session"}, calendar="XNYS")
    assert len({hashed(), hashed(window="session"), hashed(window="session", calendar="XLON")}) == 3


def test_a_router_keeps_the_session_and_so_runs_on_another_day(folder, tmp_path):
    tree = {"source": str(folder / "2024-11-27.parquet"), "executor": "inline", "order": {**ORDER, "from": "session"}}
    config = build_config({**tree, "grid": GRID, "window": "session", "output": str(tmp_path)})
    document = run(config, Silent()).document
    router = export(tmp_path / "runs" / document["run"]["id"])
    path = tmp_path / "router.json"
    path.write_text(document_of(router))
    other = config_for(read_router(path), str(folder / "2024-11-29.parquet"), ["executor=inline"])
    assert other.window.start == other.window.end == other.order.first == "session"
    assert len(run(other, Silent()).orders_frame().query("strategy == 'twap'")) == 4
