"""The nodes of a cluster file: of the one that comes with the project, and of files that cannot be used."""

import time

import pytest

from sweep.errors import ConfigError
from sweep.forecast.cluster_file import Node, find_cluster
from tests.support import ROOT

SMALL = """\
head_node_type: h
max_workers: 3
available_node_types:
    h: {node_config: {InstanceType: m7i.large}}
    w: {max_workers: 5, resources: {CPU: 8}, node_config: {InstanceType: c7i.4xlarge}}
    none: {max_workers: 0, node_config: {InstanceType: c7i.large}}
"""


def written(tmp_path, text):
    path = tmp_path / "cluster.yaml"
    path.write_text(text)
    return str(path)


def test_the_project_s_own_file():
    cluster = find_cluster(str(ROOT / "cluster.yaml"))
    assert cluster.head == Node("head", "m7i.large", 1, 0, spot=False)
    assert cluster.workers == (Node("worker", "c7i.4xlarge", 8, None, spot=True),)
    assert cluster.idle_minutes == 5


def test_the_working_directory_s_file_is_read_where_none_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_cluster() is None
    written(tmp_path, SMALL)
    assert find_cluster().file == "cluster.yaml"


def test_no_type_has_more_nodes_than_the_cluster(tmp_path):
    cluster = find_cluster(written(tmp_path, SMALL))
    assert cluster.workers == (Node("w", "c7i.4xlarge", 3, 8, spot=False),)
    assert cluster.head.cpus is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file: expected a mapping"),
        ("cluster_name: x", "available_node_types: expected a mapping"),
        (
            "available_node_types: {a: {}, b: {}}",
            "head_node_type: expected one of available_node_types, but it had None; node types there: a, b",
        ),
        (SMALL.replace("head_node_type: h", "head_node_type: [h]"), "head_node_type: .* but it had a list; node types"),
        (SMALL.replace("head_node_type: h", "head_node_type: {h: 1}"), "head_node_type: .* but it had a mapping"),
        (
            SMALL.replace("CPU: 8", "CPU: 1000000000"),
            "resources.CPU: expected a whole number of 0 to 1,000,000",
        ),
        (SMALL.replace("max_workers: 3", f"max_workers: 1{'0' * 400}"), "max_workers: expected a whole number of 0 to"),
        (SMALL.replace("CPU: 8", f"CPU: {'9' * 5000}"), r"no valid YAML \("),
        (SMALL.replace("InstanceType: c7i.4xlarge", "InstanceType: [a]"), "InstanceType: expected text, such as c7i"),
        (SMALL + "idle_timeout_minutes: .nan", "idle_timeout_minutes: expected a number of 0 or more, to 1,000,000"),
        (SMALL + "idle_timeout_minutes: .inf", "idle_timeout_minutes: expected a number of 0 or more, to 1,000,000"),
        ("a: [1\nb: 2\n", r"cluster.yaml: no valid YAML \(line \d, column "),
        (SMALL.replace("max_workers: 3", "max_workers: -3"), "max_workers: expected a whole number"),
        (SMALL.replace("CPU: 8", "CPU: many"), "available_node_types.w.resources.CPU: expected a whole number"),
        (SMALL + "idle_timeout_minutes: soon", "idle_timeout_minutes: expected a number"),
        (SMALL.replace("{InstanceType: c7i.4xlarge}", "7"), "available_node_types.w.node_config: expected a mapping"),
        ("a: [", "no valid YAML"),
        ("a: !!python/object/apply:os.getcwd []", "no valid YAML"),
        ("x" * (2**20 + 1), "over 1,048,576 bytes"),
    ],
)
def test_a_file_that_describes_no_cluster_is_refused_with_the_key(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        find_cluster(written(tmp_path, text))


def test_a_file_that_is_asked_for_and_is_not_there_is_named():
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read"):
        find_cluster("nowhere.yaml")


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is no text file"):
        find_cluster(str(tmp_path / "c.yaml"))


def laughs(of, more):
    """Nine times the one before, nine times over."""
    lines = [f"a0: &a0 {of}"]
    lines += [f"a{at + 1}: &a{at + 1} {more(', '.join([f'*a{at}'] * 9))}" for at in range(9)]
    return "\n".join(lines)


LISTS, MERGES = laughs("[x]", "[{}]".format), laughs("{x: 1}", "{{<<: [{}]}}".format)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LISTS + "\navailable_node_types: *a9\n", "expected a mapping, .* but it had a list$"),
        (
            laughs("[x]", "[{}]".format) + f"\n{SMALL.replace('head_node_type: h', 'head_node_type: *a9')}",
            "had a list;",
        ),
        (LISTS + f"\n{SMALL.replace('c7i.4xlarge', '*a9')}", "expected text, .* it had a list$"),
        (LISTS + f"\n{SMALL.replace('CPU: 8', 'CPU: *a9')}", "a whole number .* it had a list$"),
        (MERGES + f"\n{SMALL}", "no valid YAML .*: a mapping of over 10,000 keys"),
        ("a: &a [*a]\navailable_node_types: *a\n", "expected a mapping, .* but it had a list$"),
        ("a: &a {b: *a}\navailable_node_types: {h: *a}\nhead_node_type: x\n", "it had 'x'; node types there: h$"),
    ],
)
def test_aliases_cost_no_more_than_they_take_to_write(tmp_path, text, message):
    began = time.monotonic()
    with pytest.raises(ConfigError, match=message) as error:
        find_cluster(written(tmp_path, text))
    assert len(str(error.value)) < 500
    assert time.monotonic() - began < 30  # all that they stand for would take hours


def test_aliases_as_ray_reads_them_are_read(tmp_path):
    text = SMALL.replace("w: {max_workers: 5, ", "w: {<<: &more {max_workers: 2}, ").replace(
        "none: {max", "none: {<<: *more, max"
    )
    assert find_cluster(written(tmp_path, text)).workers == (Node("w", "c7i.4xlarge", 2, 8, spot=False),)
