"""What mkdocs does beside its own for the site of docs/: a hook, named in mkdocs.yml.

The pages are written for a reader on a forge. So their navigation is what docs/README.md lists below the headings of
`GROUPS`, and what they link to outside docs/ becomes a page, or a file, below `OUTSIDE`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).resolve().parents[1]
DOCS: Final = ROOT / "docs"
INDEX: Final = DOCS / "README.md"

GROUPS: Final = ("Tutorial", "How-to", "Reference", "Explanation")
OUTSIDE: Final = "checkout"
DECISIONS: Final = "adr"

_CODE: Final = re.compile(r"^(```|~~~).*?^\1\s*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"(\]\(\s*<?)([^)\s>#]+)(#[^)\s>]*)?(>?(?:\s+\"[^\"]*\")?\s*\))")
_SCHEME: Final = re.compile(r"[a-z][a-z+.-]*:")


def _code(text: str) -> list[range]:
    """Where code stands, in which nothing is a link."""
    return [range(*match.span()) for match in _CODE.finditer(text)]


def links(text: str) -> Iterator[re.Match[str]]:
    """Links of a page to files, its code left out."""
    code = _code(text)
    for match in _LINK.finditer(text):
        if not _SCHEME.match(match[2]) and not any(match.start() in span for span in code):
            yield match


def address_of(path: Path) -> str:
    """Where a file of the checkout lies in the site's sources; of a folder, its page."""
    if path == DOCS / DECISIONS:
        path /= "README.md"
    return path.relative_to(DOCS).as_posix() if path.is_relative_to(DOCS) else f"{OUTSIDE}/{path.relative_to(ROOT)}"


def path_of(address: str) -> Path:
    """The file of the checkout that lies there."""
    outside = address.removeprefix(f"{OUTSIDE}/")
    return DOCS / address if outside == address else ROOT / outside


def linked(page: Path, text: str) -> Iterator[Path]:
    """The files of the checkout that a page links to."""
    for match in links(text):
        target = Path(os.path.normpath(page.parent / match[2]))
        if target.exists() and target.is_relative_to(ROOT):
            yield target


def outside() -> set[Path]:
    """The files outside docs/ that a page, or a page outside that one links to, links to."""
    waiting = sorted(DOCS.rglob("*.md"))
    seen = set(waiting)
    while waiting:
        page = waiting.pop()
        new = {path for path in linked(page, page.read_text()) if path.is_file()} - seen
        seen |= new
        waiting += [path for path in new if path.suffix == ".md"]
    return {path for path in seen if not path.is_relative_to(DOCS)}


def decisions() -> list[Path]:
    """The decision records, by number."""
    return sorted(path for path in (DOCS / DECISIONS).glob("*.md"))


def navigation() -> list[Any]:
    """What docs/README.md lists, below the headings of the four groups."""
    text = INDEX.read_text()
    groups: list[Any] = [{"Start": "README.md"}]
    for name in GROUPS:
        section = re.search(rf"^## {re.escape(name)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
        if section is None:
            raise ValueError(f"{INDEX.relative_to(ROOT)}: expected the heading {name}")
        entries: list[Any] = []
        for path in dict.fromkeys(linked(INDEX, section[1])):
            if path == DOCS / DECISIONS:
                entries.append({"Decisions": [address_of(path), *map(address_of, decisions())]})
            else:
                entries.append(address_of(path))
        groups.append({name: entries})
    return groups


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Set the navigation."""
    config.nav = navigation()
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies outside docs/, and a page that lists the decisions."""
    for path in sorted(outside()):
        files.append(File.generated(config, address_of(path), abs_src_path=str(path)))
    titles = [(path.name, path.read_text().partition("\n")[0].lstrip("# ")) for path in decisions()]
    listed = "".join(f"- [{title}]({name})\n" for name, title in titles)
    files.append(File.generated(config, f"{DECISIONS}/README.md", content=f"# Decisions\n\n{listed}"))
    return files


def on_page_markdown(markdown: str, page: Page, **_rest: object) -> str:
    """Turn links to files of the checkout into links within the site."""
    own = page.file.src_uri
    home = path_of(own).parent
    parts, end = [], 0
    for match in links(markdown):
        target = Path(os.path.normpath(home / match[2]))
        if target.exists() and target.is_relative_to(ROOT):
            place = os.path.relpath(address_of(target), Path(own).parent)
            parts += [markdown[end : match.start()], match[1], place, match[3] or "", match[4]]
            end = match.end()
    return "".join([*parts, markdown[end:]])
