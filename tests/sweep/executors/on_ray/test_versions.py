import pytest
from ray import cloudpickle

from sweep.environment import stamp
from sweep.executors.on_ray.versions import NodeDiffers, make_probe, refuse_other

HERE = {"Python": "3.11.9", "ray": "2.60.0", "numpy": "2.4.6", "sor-sweep": "0.1.0 (sources 0123456789ab)"}


def test_the_same_is_not_refused():
    refuse_other(HERE, dict(HERE), "10.0.0.5")
    refuse_other(stamp(), make_probe()(), "10.0.0.5")


def test_what_differs_is_named_with_both_values_and_a_remedy():
    with pytest.raises(NodeDiffers) as error:
        refuse_other(HERE, {**HERE, "numpy": "2.4.5", "Python": "3.11.8"}, "10.0.0.5")
    assert error.value.exit_code == 2
    assert str(error.value) == (
        "node 10.0.0.5 differs from the driver: Python 3.11.8 instead of 3.11.9, numpy 2.4.5 instead of 2.4.6; bring "
        "both to the same: ray up again from the driver's checkout, or pip install -c constraints.txt -e . there"
    )


def test_a_probe_needs_nothing_of_the_project(monkeypatch):
    """Ray sends it as it is pickled here; a node without the project unpacks and runs it."""
    import sys

    sent = cloudpickle.dumps(make_probe())
    monkeypatch.setitem(sys.modules, "sweep.environment", None)
    stamped = cloudpickle.loads(sent)()
    assert stamped["Python"] == stamp()["Python"]
    assert stamped["sor-sweep"].startswith("that cannot be imported (")
    with pytest.raises(NodeDiffers, match="node h1 differs from the driver: sor-sweep that cannot be imported"):
        refuse_other(stamp(), stamped, "h1")


def test_a_stamp_knows_the_sources():
    assert set(stamp()) == {"Python", "ray", "numpy", "numba", "sor-sweep"}
    assert "(sources " in stamp()["sor-sweep"]
