"""The site of the pages: it builds without a network or a warning, loads nothing, and shows what a forge shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from tests.support import ROOT
from tools import site

pytestmark = pytest.mark.command

WITHOUT_A_NETWORK = """
import socket
def refuse(*_):
    raise OSError("the site is to be built without a network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from mkdocs.__main__ import cli
cli()
"""

STRUCTURE = ("blockquote", "em", "h1", "h2", "h3", "li", "ol", "pre", "strong", "table", "td", "tr", "ul")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-c", WITHOUT_A_NETWORK, "build", "--strict", "--site-dir", folder]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    made = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return folder


class Tags(HTMLParser):
    """The tags of a page, and the addresses that a browser loads for it: not those of links."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.loaded = Counter(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        given = dict(attrs)
        names = ("src", "srcset", "data", "poster", *(("href",) if tag != "a" else ()))
        self.loaded += [(tag, given[name]) for name in names if given.get(name)]


FOREIGN = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
IN_A_SHEET = re.compile(r"(?:url\(|@import)\s*[\"']?\s*((?:https?:)?//[^)\"']*)")


def foreign(text):
    """What a page loads from elsewhere."""
    return [each for each in Tags(text).loaded if FOREIGN.match(each[1])]


def test_no_page_loads_anything_from_elsewhere(built):
    pages = sorted(built.rglob("*.html"))
    assert len(pages) > len(list(site.DOCS.rglob("*.md")))
    assert {str(page): loads for page in pages if (loads := foreign(page.read_text()))} == {}
    sheets = sorted(built.rglob("*.css"))
    assert sheets
    assert [url for sheet in sheets for url in IN_A_SHEET.findall(sheet.read_text())] == []
    # The theme's script would fetch one for a diagram: no page may have one.
    assert [page for page in pages if 'class="mermaid"' in page.read_text()] == []


def test_what_is_loaded_from_elsewhere_is_noticed():
    assert foreign('<script src="//x.example/a.js"></script><img src="a.png"><a href="https://x.example">x</a>') == [
        ("script", "//x.example/a.js")
    ]
    assert IN_A_SHEET.findall("@import 'https://x.example/a.css'; a {background: url( //x.example/b)}") == [
        "https://x.example/a.css",
        "//x.example/b",
    ]


def shown(address):
    """A page's file in the site."""
    path = address.removesuffix(".md") + ".html"
    return re.sub(r"README\.html$", "index.html", path)


def differences(text, page):
    """How often a tag stands in what a forge makes of a page, and in the site's, where that is not the same."""
    forge = Tags(MarkdownIt("commonmark").enable("table").render(text)).tags
    ours = Tags(re.search(r"<article[^>]*>(.*)</article>", page, re.DOTALL)[1]).tags
    return {tag: (forge[tag], ours[tag]) for tag in STRUCTURE if forge[tag] != ours[tag]}


def test_every_page_has_the_structure_that_a_forge_gives_it(built):
    """A list without an empty line before it, say, is one on a forge and none in the site."""
    pages = [*site.DOCS.rglob("*.md"), *(path for path in site.outside() if path.suffix == ".md")]
    unlike = {
        str(path): tags
        for path in pages
        if (tags := differences(path.read_text(), (built / shown(site.address_of(path))).read_text()))
    }
    assert unlike == {}
    assert differences("a\n- b\n", "<article><p>a - b</p></article>") == {"li": (1, 0), "ul": (1, 0)}


def addresses(entries):
    """The pages of a navigation, in their order."""
    for entry in entries:
        for each in entry.values() if isinstance(entry, dict) else [entry]:
            yield from addresses(each) if isinstance(each, list) else [each]


def test_the_navigation_has_every_page_once_in_four_groups(built):
    navigation = site.navigation()
    assert [name for entry in navigation[1:] for name in entry] == list(site.GROUPS)
    listed = list(addresses(navigation))
    assert len(listed) == len(set(listed))
    own = {path.relative_to(site.DOCS).as_posix() for path in site.DOCS.rglob("*.md")}
    assert own <= set(listed)
    assert [each for each in listed if not (built / shown(each)).is_file()] == []


def test_links_out_of_the_folder_lead_to_pages_and_files_of_the_site(built):
    page = (built / "cluster.html").read_text()
    assert 'href="checkout/cluster.yaml"' in page
    assert (built / "checkout" / "cluster.yaml").read_text() == (ROOT / "cluster.yaml").read_text()
    assert 'href="../statistics.html"' in (built / "checkout" / "index.html").read_text()
