"""What cannot fit is refused before anything is swept, with the arithmetic; what only takes long is not."""

import pytest

from sweep import cli, planning, tasks
from sweep.driver import run
from sweep.environment import memory_bytes
from sweep.errors import ConfigError
from sweep.forecast import forecast
from sweep.progress import Silent
from tests.support.minute import config_of

SIZES = list(range(100, 600, 10))
MANY = {
    "order": {"side": ["buy", "sell"], "size": SIZES, "every": "30s", "horizon": "1s"},
    "grid": {
        "lambda_over": 0,
        "lambda_under": {"start": 0, "stop": 0.09, "num": 3163},
        "theta_queue": {"start": 0, "stop": 0.02, "num": 3163},
    },
}
"""100 cells with two orders each, with a block each, by 10,004,569 combinations: 2 * 10^9 cells."""


@pytest.fixture
def memory(monkeypatch):
    """Sets the memory of this machine; a sweep that begins fails the test."""

    def swept(*_):
        pytest.fail("it was swept")

    monkeypatch.setattr(tasks, "run_chunk", swept)
    monkeypatch.setattr(tasks, "baselines", swept)

    def of(nbytes):
        monkeypatch.setattr(planning, "memory_bytes", lambda: nbytes)

    return of


REFUSAL = (
    "grid: 200 orders x 10,004,569 combinations = 2,000,913,800 cells, whose rows take 178.1 GB (200 groups x "
    "10,004,569 that differ, 89 bytes each), and here is 64.0 GB of memory; ask for fewer combinations or sizes, or "
    "split the sweep"
)


@pytest.mark.parametrize("command", [[], ["plan"]])
def test_a_thousand_million_cells_are_refused_with_the_arithmetic(stream, memory, capsys, command):
    memory(64 * 10**9)
    config = config_of(stream)
    words = [
        f"source={stream}", "executor=inline", f"window.start={config.window.start}", f"window.end={config.window.end}",
        f"order.size={SIZES}", "order.side=[buy, sell]", "order.every=30s", "order.horizon=1s", "collapse=false",
        *(f"grid.{name}={value}".replace("'", "") for name, value in MANY["grid"].items()),
    ]  # fmt: skip
    assert cli.main([*command, *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert [line for line in captured.err.splitlines() if line.startswith("error: ")] == [f"error: {REFUSAL}"]


def test_rows_that_decide_alike_are_kept_once_and_do_not_count_until_they_are_stored(stream, memory, monkeypatch):
    axes = {
        name: {"start": 0, "stop": stop, "num": 1000} for name, stop in (("lambda_under", 0.09), ("theta_queue", 0.02))
    }
    keys = {**MANY, "grid": {**MANY["grid"], **axes}}
    memory(8 * 10**9)
    with pytest.raises(ConfigError) as refused:
        forecast(config_of(stream, **keys, output="nowhere"), Silent())
    assert "35.2 GB (200 groups x 1,000,000 to store, 176 bytes each)" in str(refused.value)
    monkeypatch.undo()
    monkeypatch.setattr(planning, "memory_bytes", lambda: 8 * 10**9)  # less than all rows would take, kept or stored
    document = forecast(config_of(stream, **keys), Silent())
    assert document["combinations"] * document["orders"] == 200_000_000
    assert document["bytes"]["while_reduced"] < 10**9
    assert document["here"]["seconds"]["sweep"]["likely"] > 0


def test_orders_take_memory_too(stream, memory):
    memory(5 * 10**6)
    keys = {"order": {"size": 100, "every": "100ms", "horizon": "1s"}, "grid": {"theta_queue": 0}}
    with pytest.raises(ConfigError, match=r"0\.0 GB \(591 orders, 21,000 bytes each\), and here is 0\.0 GB of memory"):
        run(config_of(stream, **keys))
    memory(50 * 10**6)
    with pytest.raises(pytest.fail.Exception, match="it was swept"):
        run(config_of(stream, **keys))


@pytest.mark.parametrize(
    ("lines", "limits", "expected"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": "70000000\n"}, 70_000_000),
        ("0::/a/b\n", {"a/b/memory.max": "60000000\n", "memory.max": "70000000\n"}, 60_000_000),
        ("0::/outside\n", {"memory.max": "70000000\n"}, 70_000_000),
        ("3:cpu:/x\n4:memory:/d\n", {"memory/d/memory.limit_in_bytes": "80000000\n"}, 80_000_000),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712\n"}, None),
        ("nothing of the kind\n", {}, None),
    ],
)
def test_the_memory_is_that_of_the_control_groups_where_they_have_less(tmp_path, lines, limits, expected):
    machine = memory_bytes(tmp_path / "proc", tmp_path)
    assert machine > 10**8
    for path, text in {"proc/self/cgroup": lines, **{f"groups/{name}": text for name, text in limits.items()}}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert memory_bytes(tmp_path / "proc", tmp_path / "groups") == (expected or machine)
