"""The report as one file: header, sections, figures for scripts, and the policy that allows these and nothing else."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Final

from sweep.page.element import clean, element, html
from sweep.page.embedding import data_script, script_hash, scripts
from sweep.page.numbers import whole
from sweep.page.sections import SECTIONS, landscape_figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.page.element import Element
    from sweep.page.reading import Run

FIGURES: Final = "landscape-figures"
"""The element whose figures the script reads."""


def page(run: Run) -> str:
    """The report of a run: HTML that needs no network, and answers with scripts off, too."""
    sections = [made for make in SECTIONS if (made := make(run)) is not None]
    title = title_of(run)
    body = element(
        "body",
        {},
        element("a", {"class": "skip", "href": "#main"}, "Skip to the answer"),
        element(
            "header",
            {"class": "page"},
            element("h1", {}, title),
            element("p", {"class": "muted"}, subtitle_of(run)),
        ),
        element("main", {"id": "main"}, sections[0], contents(sections[1:]), *sections[1:]),
        element(
            "footer",
            {"class": "page"},
            element("p", {}, f"sor-sweep {run.manifest.versions.get('sor-sweep', 'unknown')}, run {run.manifest.id}."),
        ),
    )
    style = resources.files("sweep.page").joinpath("style.css").read_text("utf-8")
    data = landscape_figures(run)
    code = () if data is None else scripts()
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(map(script_hash, code)) or chr(39) + 'none' + chr(39)}",
            f"style-src {script_hash(style)}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    head = (
        '<head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"{html(element('title', {}, title))}<style>{style}</style></head>"
    )
    tail = "" if not code else data_script(FIGURES, data) + "".join(f"<script>{each}</script>" for each in code)
    inside = html(body).removesuffix("</body>")
    return f'<!doctype html>\n<html lang="en">{head}\n{inside}{tail}</body></html>\n'


def title_of(run: Run) -> str:
    """What was swept: symbols and dates."""
    feed = run.document["feed"]
    first, last = (feed["window"][end][:10] for end in ("start", "end"))
    when = first if first == last else f"{first} to {last}"
    return clean(f"Order router sweep: {feed['symbol']}, {when}")


def subtitle_of(run: Run) -> str:
    """How much was swept."""
    document = run.document
    orders, order = document["orders"]["count"], document["order"]
    sides = order["side"] if isinstance(order["side"], str) else " and ".join(order["side"])
    sizes = order["size"] if isinstance(order["size"], list) else [order["size"]]
    each = ", ".join(map(whole, sizes[:4])) + (f" and {len(sizes) - 4} more sizes" if len(sizes) > 4 else "")
    worlds = document.get("worlds") or [document]
    combinations = f"{whole(sum(world['objective']['combinations'] for world in worlds))} combinations"
    where = f" in {len(worlds)} worlds" if len(worlds) > 1 else ""
    return (
        f"{whole(orders)} parent order{'' if orders == 1 else 's'} ({sides} {each} shares), "
        f"{combinations}{where}, run {run.manifest.id} of {run.manifest.created[:16].replace('T', ' ')} UTC."
    )


def contents(sections: Sequence[Element]) -> Element:
    """Links to the sections."""
    links = []
    for each in sections:
        heading = each.find("h2")
        if heading is not None:
            link = element("a", {"href": f"#{each.get('id')}"}, "".join(heading.itertext()))
            links.append(element("li", {}, link))
    return element("nav", {"class": "contents", "aria-label": "Contents"}, element("ol", {}, *links))
