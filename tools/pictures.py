"""The pictures of the documentation, of a real run of a synthetic stream: ``make pictures``."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.sync_api import Browser

ROOT: Final = Path(__file__).resolve().parents[1]
PICTURES: Final = ROOT / "docs" / "pictures"

STREAM: Final = ("synth", "day.csv.gz", "--minutes", "60", "--venues", "4")
SWEEP: Final = (
    *("run", "source=day.csv.gz", "executor=inline", "depth=1", "--output", "."),
    *("order.side=[buy,sell]", "order.size=[2000,20000]", "order.every=30s", "order.horizon=20s"),
    *("grid.lambda_over={start: 0, stop: 0.03, num: 7}", "grid.lambda_under={start: 0, stop: 0.09, num: 10}"),
    "grid.theta_queue={start: 0, stop: 0.02, num: 5}",
)

SHOTS: Final = {
    "report-light.png": ("light", 1200, 1000, None),
    "report-dark.png": ("dark", 1200, 900, "landscape"),
    "report-path.png": ("light", 1200, 900, "path"),
    "report-phone.png": ("light", 390, 844, None),
}
"""Of a report, by file: scheme, width and height in px, and the section at the top."""

COLUMNS: Final = 92


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser of the system's."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        sys.exit("pictures: expected chromium on the PATH; install it, such as with apt-get install chromium")
    alone = ["--no-sandbox"] if os.geteuid() == 0 else []  # as root it does not start otherwise
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=alone)
        yield browser
        browser.close()


def on_terminal(words: Sequence[str], folder: Path, *, answer: bool = False) -> str:
    """What a command prints on a terminal on stderr, and where `answer` is asked for on stdout, too."""
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        words, stdout=child if answer else subprocess.DEVNULL, stderr=child, cwd=folder, env=environment, close_fds=True
    ) as running:
        os.close(child)
        read = b""
        while part := _read(parent):
            read += part
    if running.returncode:
        sys.exit(f"pictures: {' '.join(words)} ended with {running.returncode}: {read.decode(errors='replace')[-400:]}")
    return read.decode(errors="replace")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other end is closed
        return b""


def settled(printed: str) -> list[str]:
    """The lines that stand on a terminal once everything is printed: a live line is kept as it was at last."""
    lines = printed.replace("\r\n", "\n").split("\n")
    return [line.rstrip().rpartition("\r")[2] for line in lines if "\x1b[2K" not in line or "100%" in line]


def terminal_page(lines: Sequence[str]) -> str:
    """HTML of a terminal that shows some lines, colours included."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    for line in lines:
        console.print(Text.from_ansi(line), soft_wrap=True)
    frame = (
        "<!doctype html><meta charset='utf-8'><style>{stylesheet} "
        "body {{ margin: 0; background: #14171b; color: #e8ebee }}"
        " pre {{ font: 15px/1.45 'DejaVu Sans Mono', monospace; padding: 18px 22px; margin: 0 }}</style>"
        "<body><pre>{code}</pre></body>"
    )
    return console.export_html(code_format=frame)


def main() -> None:
    """Make the run, its report, and all pictures."""
    PICTURES.mkdir(exist_ok=True)
    with TemporaryDirectory() as scratch, chromium() as browser:
        folder = Path(scratch)
        python = [sys.executable, "-m"]
        on_terminal([*python, "feed", *STREAM], folder)
        swept = on_terminal([*python, "sweep", *SWEEP], folder)
        (home,) = (folder / "runs").iterdir()
        on_terminal([*python, "sweep", "report", str(home), "--to", "report.html"], folder)
        watched = on_terminal([*python, "sweep", "watch", f"runs/{home.name}", "--once"], folder, answer=True)
        shown = [
            f"$ python -m sweep {' '.join(SWEEP[:4])} ...",
            *settled(swept),
            "",
            f"$ python -m sweep watch runs/{home.name}",
        ]
        page = browser.new_page(viewport={"width": 900, "height": 400})
        page.set_content(terminal_page([*shown, *settled(watched)]))
        page.screenshot(path=PICTURES / "terminal.png", full_page=True)
        for name, (scheme, width, height, top) in SHOTS.items():
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.goto((folder / "report.html").as_uri())
            page.wait_for_selector("#landscape-live:not([hidden])")
            if top is not None:
                page.evaluate("top => document.getElementById(top).scrollIntoView()", top)
            page.screenshot(path=PICTURES / name)
            print(PICTURES / name, file=sys.stderr)


if __name__ == "__main__":
    main()
