"""What a machine should have one of at a time is in one group, whichever process runs it."""

import re

from tests.support import ROOT
from tests.support.long import LONG
from tests.support.together import GROUP, TOGETHER

KAFKA = {"kafka_one", "kafka_three", "kafka_fresh"}


def test_what_starts_ray_hosts_or_kafka_is_in_a_group(request):
    shared = {
        item.path.name
        for item in request.session.items
        if item.get_closest_marker("cluster") or KAFKA.intersection(item.fixturenames)
    }
    assert shared <= set(GROUP), f"name them in TOGETHER of tests/support/together.py: {sorted(shared - set(GROUP))}"


def test_a_group_names_files_that_there_are(request):
    modules = {path.name for path in request.config.rootpath.glob("tests/integration/test_*.py")}
    assert set(GROUP) <= modules
    assert len(GROUP) == sum(map(len, TOGETHER.values()))


def test_what_is_left_to_the_long_run_is_there():
    (*files,) = (path for path in (ROOT / "tests").rglob("test_*.py") if path.name in LONG)
    assert sorted(path.name for path in files) == sorted(LONG)
    for path in files:
        defined = set(re.findall(r"(?:def|class) (\w+)", path.read_text()))
        assert {name.partition("[")[0] for name in LONG[path.name]} <= defined, path
