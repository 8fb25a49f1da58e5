import pytest
import ray
from ray._private.node import Node

from sweep.executors.on_ray.lean_start import NEEDLESS, lean


def test_the_hooks_are_there_in_the_version_that_is_pinned():
    assert ray.__version__ == "2.60.0", "look at what starts with this version, and at NEEDLESS"
    before = {name: vars(Node)[name] for name in NEEDLESS}
    with lean() as leaner:
        assert leaner
        for name in NEEDLESS:
            assert getattr(Node, name)(None, include_dashboard=False) is None
    assert {name: vars(Node)[name] for name in NEEDLESS} == before


def test_they_are_put_back_where_the_start_fails():
    before = {name: vars(Node)[name] for name in NEEDLESS}
    with pytest.raises(OSError, match="no room"), lean():
        raise OSError("no room")
    assert {name: vars(Node)[name] for name in NEEDLESS} == before


@pytest.mark.parametrize("missing", NEEDLESS)
def test_a_ray_without_one_of_them_starts_as_usual(monkeypatch, missing):
    monkeypatch.delattr(Node, missing)
    before = dict(vars(Node))
    with lean() as leaner:
        assert not leaner
        assert dict(vars(Node)) == before


def test_a_ray_that_has_no_such_node_starts_as_usual(monkeypatch):
    monkeypatch.delattr("ray._private.node.Node")
    with lean() as leaner:
        assert not leaner
