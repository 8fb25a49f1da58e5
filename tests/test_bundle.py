"""What the charts' script is made of: exact versions, a digest for each, no address; and what it ships beside it."""

import json
import re
import shutil
import subprocess

import pytest

from tests.support import ROOT
from tests.support.browser import BUNDLE, bundle, install

HOME = ROOT / "tools" / "charts"


def test_lock_pins_each_package_by_its_digest_and_names_no_address():
    wanted = json.loads((HOME / "package.json").read_text())
    lock = json.loads((HOME / "package-lock.json").read_text())["packages"]
    asked = {**wanted["dependencies"], **wanted["devDependencies"]}
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in asked.values())
    packages = {name.removeprefix("node_modules/"): each for name, each in lock.items() if name}
    assert {name: packages[name]["version"] for name in asked} == asked
    assert all(each["integrity"].startswith("sha512-") for each in packages.values())
    assert not any("resolved" in each for each in packages.values())


@pytest.mark.browser
def test_bundle_is_the_same_bytes_again_and_has_its_licences_beside_it(tmp_path):
    if shutil.which("node") is None:
        pytest.skip("node is missing")
    bundle()
    install("vega")
    subprocess.run(["node", HOME / "bundle.mjs", tmp_path], check=True, timeout=100)
    for name in ("charts.js", "THIRD_PARTY.txt"):
        assert (tmp_path / name).read_bytes() == (BUNDLE.parent / name).read_bytes()
    text = BUNDLE.read_text("ascii")
    assert len(text) < 800_000
    assert "</script" not in text.lower()
    assert str(ROOT) not in text
    licences = (BUNDLE.parent / "THIRD_PARTY.txt").read_text("utf-8")
    lock = json.loads((HOME / "package-lock.json").read_text())["packages"]
    for name in ("vega", "vega-lite", "vega-interpreter", "d3-scale"):
        assert f"\n{name} {lock[f'node_modules/{name}']['version']} (" in licences
