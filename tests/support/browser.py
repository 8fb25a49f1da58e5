"""Pages in headless Chromium, opened from disk: what they say on the console, violate and ask for is kept."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PACKAGES = ROOT / "tools" / "charts" / "node_modules"
BUNDLE = ROOT / "sweep" / "page" / "assets" / "charts.js"

VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""
"""Run before anything of a page."""


@dataclass
class Opened:
    """A page, and what it did that a report must not do.

    Attributes
    ----------
    page
        Of playwright.
    messages : list of str
        Of the console, and errors.
    requests : list of str
        Addresses, but that of the file.
    """

    page: Any
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def violations(self) -> list[str]:
        """Of the page's policy."""
        violations: list[str] = self.page.evaluate("window.violations")
        return violations

    def drawn(self) -> int:
        """Wait for the heat map; how often it was drawn."""
        self.page.wait_for_selector("#landscape-chart[data-drawn]")
        return int(self.page.get_attribute("#landscape-chart", "data-drawn"))

    def redrawn(self, before: int) -> None:
        """Wait until the heat map was drawn more often than that."""
        condition = "(count) => Number(document.getElementById('landscape-chart').dataset.drawn) > count"
        self.page.wait_for_function(condition, arg=before)


def install(package: str = "axe-core") -> Path:
    """The folder of a package of tools/charts, installed by its lock if it is not yet; skips where npm is missing."""
    if not (PACKAGES / package).is_dir():
        if shutil.which("npm") is None:
            pytest.skip("npm is missing")
        command = ["npm", "ci", "--ignore-scripts", "--loglevel=error"]
        subprocess.run(command, cwd=PACKAGES.parent, check=True, capture_output=True, timeout=170)
    return PACKAGES / package


def bundle() -> None:
    """Make the script of the charts if it is not made yet; skips where npm is missing."""
    if not BUNDLE.is_file():
        if shutil.which("npm") is None:
            pytest.skip("npm is missing")
        subprocess.run(
            ["make", "--no-print-directory", "charts"], cwd=ROOT, check=True, capture_output=True, timeout=170
        )


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium of the system's packages; skips where there is none."""
    if CHROMIUM is None:
        pytest.skip("Chromium is missing: apt-get install -y chromium")
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            yield started
        finally:
            started.close()


@contextmanager
def opened(chromium: Any, path: Path, width: int = 1200, **settings: Any) -> Iterator[Opened]:
    """A page in a context of its own; `settings` as playwright's ``new_context`` takes them."""
    context = chromium.new_context(viewport={"width": width, "height": 900}, **settings)
    try:
        context.add_init_script(VIOLATIONS)
        page = context.new_page()
        page.set_default_timeout(30_000)
        shown = Opened(page)
        page.on("console", lambda message: shown.messages.append(message.text))
        page.on("pageerror", lambda error: shown.messages.append(str(error)))
        address = path.as_uri()
        page.on("request", lambda request: request.url == address or shown.requests.append(request.url))
        page.goto(address)
        yield shown
    finally:
        context.close()
