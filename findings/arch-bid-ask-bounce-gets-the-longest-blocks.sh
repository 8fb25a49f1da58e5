#!/usr/bin/env bash
# How long should the blocks of a bootstrap be for trade prices that bounce between bid and ask? The dependence is one
# step long; arch's optimal_block_length answers with its upper limit.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check arch==8.0.0 numpy==2.4.6
cd "$scratch"
"$scratch/venv/bin/python" - <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

import numpy as np
from arch.bootstrap import optimal_block_length

warnings.simplefilter("ignore")
print("guess:     never below 1; and 3 to 5 for a bounce on a moving mid, written down when differenced noise had")
print("           already given 66")


def block(changes):
    return float(optimal_block_length(changes)["stationary"].iloc[0])


rows = {"bounce, still mid": [], "bounce, slow mid": [], "mirror, sign +": [], "no dependence": []}
for seed in range(5):
    rng = np.random.default_rng(seed)
    side = rng.choice([-1.0, 1.0], 2000)
    noise = rng.standard_normal(2000)
    rows["bounce, still mid"].append(block(np.diff(side)))
    rows["bounce, slow mid"].append(block(np.diff(side + 0.5 * np.cumsum(noise))))
    rows["mirror, sign +"].append(block(side[1:] + side[:-1]))
    rows["no dependence"].append(block(noise))
print("behaviour: with the sign of the bounce blocks are ten times those of the mirror image, often exactly at the")
print("           limit; without dependence the answer can be below one observation")
for name, found in rows.items():
    print(f"output:    {name:18} lag-1 dependence, blocks of {', '.join(f'{x:.1f}' for x in found)}")
limit = 135.0  # min(3 sqrt(n), n / 3) for n = 2,000, rounded up
middle = {name: float(np.median(found)) for name, found in rows.items()}
same = (
    abs(middle["bounce, still mid"] - limit) < 0.5
    and middle["bounce, slow mid"] > 4 * middle["mirror, sign +"]
    and middle["mirror, sign +"] < 15
    and min(rows["no dependence"]) < 1
)
print("versions:  " + ", ".join(f"{name} {version(name)}" for name in ("arch", "numpy")))
print("measured:  2026-11-28")
if not same:
    sys.exit("CHANGED: optimal_block_length answers otherwise now")
print("for us:    a block length at the limit can mean a bounce, not a long memory; resample mids or per-order results instead")
PYTHON
