"""What every section of the report is made of: a section, a figure with its table and its alternative in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.page.element import element
from sweep.page.numbers import NONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sweep.page.element import Element


def section(identifier: str, title: str, *content: Element | str | None, lead: str | None = None) -> Element:
    """A section of the report.

    Parameters
    ----------
    identifier : str
        For links, in kebab case.
    title : str
    *content : Element, str or None
    lead : str, optional
        One sentence that says what the section shows, figures in it: what is read where nothing else is.
    """
    heading = f"{identifier}-title"
    return element(
        "section",
        {"id": identifier, "aria-labelledby": heading},
        element("h2", {"id": heading}, title),
        None if lead is None else element("p", {"class": "lead"}, lead),
        *content,
    )


def figure(drawing: Element, caption: str, table: Element | None = None, *, wide: bool = False) -> Element:
    """A drawing with its caption and its table.

    Parameters
    ----------
    drawing : Element
        As of `drawing`; or a container that a script fills, with what is seen without it.
    caption : str
        What is drawn, with units.
    table : Element, optional
        The same figures, as of `table`, folded away.
    wide : bool
        Whether it scrolls sideways where the screen is narrow, instead of shrinking.
    """
    box = element("div", {"class": "scroll", "tabindex": "0", "role": "group", "aria-label": caption}, drawing)
    return element(
        "figure",
        {},
        box if wide else drawing,
        element("figcaption", {}, caption),
        None if table is None else folded("Table", table),
    )


def folded(summary: str, *content: Element) -> Element:
    """Content that opens on demand; it is printed open."""
    return element("details", {}, element("summary", {}, summary), *content)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str | Element]], caption: str, *, first_is_name: bool = True
) -> Element:
    """A table whose cells are text; figures are right-aligned where a column has nothing else.

    Parameters
    ----------
    columns : (C,) sequence of str
        With units.
    rows : iterable of (C,) sequence of str or Element
    caption : str
        Read aloud; not shown where a figure's caption says the same.
    first_is_name : bool
        Whether the first cell of a row is its heading.
    """
    body = [list(row) for row in rows]
    numeric = [
        all(is_figure(row[at]) for row in body) and any(row[at] not in ("", NONE) for row in body)
        for at in range(len(columns))
    ]
    aligned = ["figure" if each else None for each in numeric]
    head = [element("th", {"scope": "col", "class": kind}, name) for name, kind in zip(columns, aligned, strict=True)]
    lines = []
    for row in body:
        cells = [
            element(
                "th" if first_is_name and at == 0 else "td",
                {"scope": "row" if first_is_name and at == 0 else None, "class": aligned[at]},
                cell,
            )
            for at, cell in enumerate(row)
        ]
        lines.append(element("tr", {}, *cells))
    made = element(
        "table",
        {},
        element("caption", {"class": "aloud"}, caption),
        element("thead", {}, element("tr", {}, *head)),
        element("tbody", {}, *lines),
    )
    return element("div", {"class": "scroll", "tabindex": "0", "role": "group", "aria-label": caption}, made)


def kept(text: str) -> Element:
    """Text for the cell of a table that is not broken into lines."""
    return element("span", {"class": "kept"}, text)


def is_figure(cell: str | Element) -> bool:
    """Whether a cell is a number as it is printed, or what stands where there is none."""
    if not isinstance(cell, str):
        return False
    if cell == NONE:
        return True
    bare = cell.strip().lstrip("+-\N{MINUS SIGN}").rstrip("% ").replace(",", "").replace("\N{THIN SPACE}", "")
    return not bare or bare.replace(".", "", 1).isdigit()
