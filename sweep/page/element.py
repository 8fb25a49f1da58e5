"""Elements of HTML and SVG: trees that escape by construction, so that no text of a feed is markup.

element("p", {"class": "lead"}, "saves ", element("b", {}, "1.2 bps"))
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Mapping

Element = ET.Element

RAW: Final = frozenset({"script", "style"})
"""Elements whose text HTML does not unescape: only `sweep.page.document` makes them, from text of ours or safe JSON."""

_UNPRINTABLE: Final = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
"""What XML forbids, and what turns the direction of text."""


def element(tag: str, attributes: Mapping[str, Any] | None = None, *children: Element | str | None) -> Element:
    """An element.

    Parameters
    ----------
    tag : str
    attributes : mapping, optional
        None and False leave an attribute out, True sets it without a value.
    *children : Element, str or None
        None is left out.

    Raises
    ------
    ValueError
        The tag is one of `RAW`, or an attribute would run as a script or is a style, which the page's policy forbids.
    """
    if tag in RAW:
        raise ValueError(f"{tag}: expected an element whose text is escaped")
    made = ET.Element(tag)
    for name, value in (attributes or {}).items():
        if name == "style" or name.startswith("on"):
            raise ValueError(f"{name}: expected an attribute that the page's policy allows")
        if value is None or value is False:
            continue
        made.set(name, name if value is True else clean(str(value)))
    last: Element | None = None
    for child in children:
        if child is None:
            continue
        if isinstance(child, str):
            text = clean(child)
            if last is None:
                made.text = (made.text or "") + text
            else:
                last.tail = (last.tail or "") + text
        else:
            made.append(child)
            last = child
    return made


def clean(text: str) -> str:
    """Text without control characters: each is shown as U+FFFD."""
    return _UNPRINTABLE.sub("\ufffd", text)


def html(tree: Element) -> str:
    """The markup of a tree, all text and all attributes escaped."""
    return ET.tostring(tree, encoding="unicode", method="html")
