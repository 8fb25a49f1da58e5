#!/usr/bin/env bash
# Do tests of one xdist_group share a process under --dist loadgroup? With pytest 9.2 they do not, and nothing says so.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cat > "$scratch/test_broker.py" <<'PYTHON'
import os

import pytest


@pytest.mark.xdist_group("one broker")
@pytest.mark.parametrize("number", range(8))
def test_uses_the_broker(number):
    with open(os.environ["USED_BY"], "a") as file:
        print(os.environ["PYTEST_XDIST_WORKER"], file=file)
PYTHON

workers() {
    local venv="$scratch/venv-$1"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "pytest==$1" pytest-xdist==3.8.0
    (cd "$scratch" && USED_BY="$scratch/used-$1" PYTEST_ADDOPTS='' \
        "$venv/bin/python" -m pytest -q -p no:cacheprovider -n 2 --dist loadgroup test_broker.py >"$scratch/said-$1" 2>&1)
    sort -u "$scratch/used-$1" | wc -l
}

before=$(workers 9.1.1)
now=$(workers 9.2.0)
warned=$(grep -ciE 'warn|group' "$scratch/said-9.2.0" || true)
echo "guess:     the eight tests of a group run in one process, as pytest-xdist documents; a test run was built upon it"
echo "behaviour: with pytest 9.2.0 they are spread over all processes and the run passes without a word; with 9.1.1 they stay together"
echo "output:    pytest 9.1.1: processes used by the group: $before; pytest 9.2.0: $now, lines that warn: $warned"
echo "versions:  pytest 9.1.1 and 9.2.0, pytest-xdist 3.8.0"
echo "measured:  2026-11-28"
if ((before != 1 || now < 2 || warned)); then
    echo "CHANGED: groups are kept, or a warning says that they are not"
    exit 1
fi
echo "for us:    what tests share, a broker, a cluster, is started several times at once; a scheduler of one's own by file names holds"
