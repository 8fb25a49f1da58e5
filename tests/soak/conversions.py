"""Convert a small file many times on a busy machine: python tests/soak/conversions.py --runs 1000.

Each conversion reads a Parquet file, writes a compressed CSV and reads that back. Each must end with 0 and nothing on
stderr: a thread that still holds an object of Python when the interpreter ends aborts the process after its last line.
Prints how many ended how; ends with 1 where one ended otherwise.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SPIN = "while True: pass"
SECONDS = 300
"""After which a conversion is a hang."""


def convert(source: Path, out: Path) -> str:
    """Convert once in a process of its own; say how it ended."""
    command = [sys.executable, "-m", "feed", "convert", str(source), str(out)]
    try:
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"not after {SECONDS} s"
    out.unlink(missing_ok=True)
    return f"exit {ran.returncode}" + (f", {ran.stderr.strip().splitlines()[-1]}" if ran.stderr.strip() else "")


def main() -> int:
    parser = argparse.ArgumentParser(description="Convert a small file many times on a busy machine.")
    parser.add_argument("--runs", type=int, default=1000, help="conversions in all (default %(default)s)")
    parser.add_argument("--beside", type=int, default=2, help="conversions at a time (default %(default)s)")
    parser.add_argument("--spinning", type=int, default=2, help="busy loops beside them (default %(default)s)")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(words.beside) as pool:
        source = Path(folder, "in.parquet")
        made = [sys.executable, "-m", "feed", "synth", f"{folder}/in.csv", "--minutes", "0.2", "--seed", "1"]
        subprocess.run(made, cwd=ROOT, check=True, capture_output=True)
        if convert_once := convert_to(source, Path(folder, "in.csv")):
            print(convert_once)
            return 1
        spinning = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(words.spinning)]
        try:
            outs = (Path(folder, f"{number}.csv.zst") for number in range(words.runs))
            ended = Counter(pool.map(lambda out: convert(source, out), outs))
        finally:
            for process in spinning:
                process.kill()
                process.wait()
    for how, times in ended.most_common():
        print(f"{times:6} {how}")
    return 0 if set(ended) == {"exit 0"} else 1


def convert_to(out: Path, source: Path) -> str:
    """Make the file that is converted; say what went wrong, if anything."""
    command = [sys.executable, "-m", "feed", "convert", str(source), str(out)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return "" if ran.returncode == 0 else ran.stderr


if __name__ == "__main__":
    sys.exit(main())
