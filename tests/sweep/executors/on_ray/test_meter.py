import pytest
from ray.util import metrics

from sweep.config.loading import build_config
from sweep.events import Started
from sweep.executors.on_ray.meter import COUNTERS, GAUGES, RayMeter, open_meters
from tests.support.events import finished


class Fake:
    def __init__(self, kind):
        self.kind, self.value, self.tags = kind, 0, {}

    def set_default_tags(self, tags):
        self.tags = tags

    def inc(self, more):
        assert self.kind == "Counter"
        assert more > 0, "Ray refuses it"
        self.value += more

    def set(self, value):
        assert self.kind == "Gauge"
        self.value = value


@pytest.fixture
def made():
    return {}


@pytest.fixture
def now():
    return [100.0]


@pytest.fixture
def meter(made, now):
    def make(kind, name, description):
        assert getattr(metrics, kind)
        assert description.endswith(".")
        made[name] = Fake(kind)
        return made[name]

    return RayMeter("0123", make, lambda: now[0])


def figures(made):
    return {name.removeprefix("sor_sweep_"): metric.value for name, metric in made.items()}


def test_figures_are_reported_once_a_second_and_at_the_end(meter, made, now):
    meter.started(Started(1000, 0, 7_000_000, 3))
    for done, retries, at in ((100, 0, 100.2), (200, 1, 100.4)):
        now[0] = at
        meter.finished(finished(done=done, again=retries))
    assert figures(made)["combinations_total"] == 0
    now[0] = 102.0
    meter.finished(finished(done=400, again=1))
    assert figures(made) == {
        "combinations_total": 400,
        "combinations_per_second": pytest.approx(200.0),
        "object_store_bytes": 7_000_000,
        "bad_messages_total": 3,
        "retries_total": 1,
    }
    now[0] = 102.5
    meter.finished(finished(done=500, again=4))
    meter.ended()
    assert figures(made)["combinations_total"] == 500
    assert figures(made)["combinations_per_second"] == pytest.approx(200.0)
    assert figures(made)["retries_total"] == 4


def test_what_a_resumed_run_had_is_not_counted_again(meter, made, now):
    meter.started(Started(1000, 300, 7_000_000, 0))
    now[0] = 102.0
    meter.finished(finished(done=400, again=0))
    assert figures(made)["combinations_total"] == 100
    assert figures(made)["combinations_per_second"] == pytest.approx(50.0)


def test_every_figure_carries_the_run(meter, made):
    assert set(made) == {*COUNTERS, *GAUGES}
    assert all(metric.tags == {"run": "0123"} for metric in made.values())


def test_where_no_node_of_ray_is_here_nobody_reads_a_meter(monkeypatch):
    for keys in ({"executor": "inline"}, {"address": "ray://head:10001"}):
        assert open_meters(build_config(keys), "0123") == ()
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    assert open_meters(build_config({"address": "auto"}), "0123") == ()
