#!/usr/bin/env bash
# Does it matter for `import ray` what else lies in the environment? It does where JupyterLab does: by jupyter-events it
# brings jsonschema's format checks, of which one builds a grammar when it is imported, and Ray imports jsonschema.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
pip() { "$scratch/venv/bin/pip" install --quiet --disable-pip-version-check "$@"; }
pip ray==2.60.0 jsonschema==4.26.0
cd "$scratch"
export RAY_USAGE_STATS_ENABLED=0 HOME="$scratch"

imports() {
    "$scratch/venv/bin/python" - <<'PYTHON'
import statistics
import subprocess
import sys

code = ("import sys, time; began = time.process_time(); import ray; taken = time.process_time() - began; "
        "print(taken, 'rfc3987_syntax' in sys.modules)")
runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(6)][1:]  # the first one reads the files
print(statistics.median(float(taken) for taken, _ in runs), runs[0][1])
PYTHON
}

read -r alone _ <<<"$(imports)"
pip jupyter-events==0.12.1 rfc3987-syntax==1.1.0 lark==1.3.1
read -r beside grammar <<<"$(imports)"
"$scratch/venv/bin/python" - "$alone" "$beside" "$grammar" <<'PYTHON'
import sys
from importlib.metadata import version

alone, beside, grammar = float(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
print("guess:     a package that is not asked for costs nothing; import ray takes as long with it as without")
print("behaviour: import ray imports jsonschema, which imports what its extra format-nongpl brought, and that builds a grammar")
print(f"output:    import ray takes {alone:.1f} s of CPU alone, {beside:.1f} s beside jupyter-events, as JupyterLab has it")
names = ("ray", "jsonschema", "jupyter-events", "rfc3987-syntax", "lark")
print("versions: ", ", ".join(f"{name} {version(name)}" for name in names))
print("measured:  2026-11-30")
if grammar != "True" or beside < 1.5 * alone:
    sys.exit("CHANGED: import ray does not build the grammar now, or builds it quickly")
print("for us:    driver, dashboard, agents and each worker pay it: keep JupyterLab in an environment of its own, and make the "
      "other one a kernel of it; nodes of a cluster never need it")
PYTHON
