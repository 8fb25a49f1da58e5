#!/usr/bin/env bash
# Does any of my strategies beat the benchmark? Where none differs from it, arch's SPA answers with a p-value of 0.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check arch==8.0.0 numpy==2.4.6
cd "$scratch"
"$scratch/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from arch.bootstrap import SPA, StepM

print("guess:     models whose losses are those of the benchmark have a p-value of 1: none of them is better")
rng = np.random.default_rng(1)
benchmark = rng.normal(0, 1, 40)
models = {
    "the benchmark once more": benchmark[:, None],
    "27 times": np.repeat(benchmark[:, None], 27, axis=1),
    "the same and noise of 1e-6": benchmark[:, None] + 1e-6 * rng.normal(0, 1, (40, 1)),
}
found = {}
for name, losses in models.items():
    spa = SPA(benchmark, losses, reps=1000, seed=1)
    spa.compute()
    step = StepM(benchmark, losses, size=0.05, reps=1000, seed=1)
    step.compute()
    found[name] = float(spa.pvalues["consistent"]), len(step.superior_models)
print("behaviour: they have a p-value of 0, the strongest evidence that there is; StepM on the same losses names none of")
print("           them, and noise too small to matter takes the evidence away again")
for name, (p, better) in found.items():
    print(f"output:    {name:27} SPA p {p:.3f}, better by StepM {better}")
same = (
    found["the benchmark once more"] == (0.0, 0)
    and found["27 times"] == (0.0, 0)
    and found["the same and noise of 1e-6"][0] > 0.02
)
print("versions:  " + ", ".join(f"{name} {version(name)}" for name in ("arch", "numpy")))
print("measured:  2026-11-29")
if not same:
    sys.exit("CHANGED: SPA answers otherwise now")
print("for us:    parameters that decide nothing make copies of the benchmark; look for differences before asking for a p,")
print("           and count a tie with what was observed as reaching it")
PYTHON
