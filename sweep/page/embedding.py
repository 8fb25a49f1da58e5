"""What a page holds besides what is seen: its scripts, and the figures that they read, as JSON that cannot end it."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib import resources
from typing import Any, Final

ESCAPES: Final[dict[str, str | int | None]] = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}
"""What could end a script element, or open a comment in one; JSON reads both spellings alike."""


def safe_json(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    """Compact JSON without a character of `ESCAPES`; what is no number of JSON is refused (ValueError)."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(str.maketrans(ESCAPES)).encode("utf-8", "replace").decode()


def data_script(identifier: str, value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    """The markup of an element that holds figures for a script: data, which the page's policy need not allow.

    Parameters
    ----------
    identifier : str
        In kebab case.
    value
        What JSON holds.
    """
    return f'<script type="application/json" id="{identifier}">{safe_json(value)}</script>'


def script_hash(text: str) -> str:
    """How the page's policy names a script or a style sheet that it allows: ``'sha256-...'``, quotes included."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def has_scripts() -> bool:
    """Whether the bundle was made."""
    return bool(scripts())


@cache
def scripts() -> tuple[str, ...]:
    """The scripts of a page, in their order: the bundle of ``make charts``, and ours; none without the bundle."""
    home = resources.files("sweep.page")
    bundle = home / "assets" / "charts.js"
    if not bundle.is_file():
        return ()
    return bundle.read_text("utf-8"), (home / "report.js").read_text("utf-8")
