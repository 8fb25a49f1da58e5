"""Attack the readers of bytes from outside, one after the other: python -m fuzz.run, or make fuzz.

Prints a table: inputs tried, how many a second, how many were accepted, edges of the code covered, inputs that were
kept because they covered more, findings. Ends with 1 where there is a finding, or where a target tried nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.corpus import fill
from tests.fuzz.targets import TARGETS
from tests.support import ROOT

INPUT_SECONDS = 5
MEMORY_MB = 1536
STATUS = re.compile(r"^#\d+\s.*\bcov: (\d+) .*\bcorp: (\d+)/", re.MULTILINE)
TRIED = re.compile(r"^stat::number_of_executed_units:\s*(\d+)", re.MULTILINE)
ROW = "{:<9} {:>9} {:>8} {:>9} {:>6} {:>7} {:>9}"


@dataclass
class Outcome:
    """What came of one target's attack."""

    name: str
    seeds: int = 0
    seconds: float = 0.0
    inputs: int = 0
    accepted: int = 0
    edges: int = 0
    kept: int = 0
    findings: list[str] = field(default_factory=list)

    def row(self):
        rate = self.inputs / self.seconds if self.seconds else 0
        return ROW.format(
            self.name, self.inputs, f"{rate:.0f}", self.accepted, self.edges, self.kept, len(self.findings)
        )


def attack(name, seconds, corpus, findings):
    """Attack a target for so many seconds; where something ends the process, begin again."""
    outcome = Outcome(name, len(list(corpus.iterdir())))
    began = time.monotonic()
    tally = corpus.with_suffix(".json")
    while (left := seconds - (time.monotonic() - began)) >= 1 or not outcome.seconds:
        command = [
            *(sys.executable, "-m", "tests.fuzz.attack", name, str(findings), str(corpus), str(tally)),
            *(f"-max_total_time={max(1, round(left))}", f"-timeout={INPUT_SECONDS}", f"-rss_limit_mb={MEMORY_MB}"),
        ]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "RUST_BACKTRACE": "0"}
        if TARGETS[name].compiled:  # numbers that wrap around are meant to, and numpy warns of them
            environment |= {"NUMBA_DISABLE_JIT": "1", "PYTHONWARNINGS": "ignore"}
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            _, stderr = process.communicate(timeout=left + 60)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        outcome.seconds = time.monotonic() - began
        counts = json.loads(tally.read_text(encoding="utf-8")) if tally.exists() else {"accepted": 0, "findings": []}
        tally.unlink(missing_ok=True)
        status = STATUS.findall(stderr)
        if status:
            outcome.edges, outcome.kept = max(outcome.edges, int(status[-1][0])), int(status[-1][1])
        outcome.inputs += sum(map(int, TRIED.findall(stderr))) or counts.get("inputs", 0)
        outcome.accepted += counts["accepted"]
        outcome.findings += [each for each in counts["findings"] if each not in outcome.findings]
        if process.returncode:
            outcome.findings.append(f"the process ended with {process.returncode}: {' '.join(stderr.split())[-1500:]}")
            if len(outcome.findings) > 20:
                break
    return outcome


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m fuzz.run", description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"{', '.join(TARGETS)}; all by default")
    parser.add_argument("--seconds", type=float, default=600, help="of all targets together")
    parser.add_argument("--findings", type=Path, help="folder for inputs that were found; a new one by default")
    parser.add_argument(
        "--corpus", type=Path, help="folder that keeps inputs from one run to the next; none by default"
    )
    parser.add_argument("--least", type=int, default=1, help="inputs that each target has to try beside its seeds")
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.targets) - set(TARGETS))
    if unknown:
        parser.error(f"no target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    names = given.targets or list(TARGETS)
    findings = given.findings or Path(tempfile.mkdtemp(prefix="sor-sweep-findings-"))
    findings.mkdir(parents=True, exist_ok=True)
    print(ROW.format("target", "inputs", "a second", "accepted", "edges", "corpus", "findings"), flush=True)
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="sor-sweep-corpus-") as temporary:
        for name in names:
            corpus = (given.corpus or Path(temporary)) / name
            fill(TARGETS[name], corpus)
            outcomes.append(attack(name, given.seconds / len(names), corpus, findings))
            print(outcomes[-1].row(), flush=True)
    idle = [each.name for each in outcomes if each.inputs - each.seeds < given.least or not each.accepted]
    lines = [f"{each.name}: {finding}" for each in outcomes for finding in each.findings]
    for line in [*lines, *(f"{name}: too little was tried, or nothing of it accepted" for name in idle)]:
        print(line)
    if lines:
        print(f"inputs and tracebacks: {findings}")
    return 1 if lines or idle else 0


if __name__ == "__main__":
    sys.exit(main())
