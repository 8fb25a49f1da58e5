"""What names in the code say: what a value holds, not that somebody told, said or found it."""

from __future__ import annotations

import ast
import re

import pytest

from tests.support import ROOT

EMPTY = {"told", "said", "found", "there"}
"""Words that fit any value, and so name none."""
WORD = re.compile(rf"\b({'|'.join(EMPTY)})\b", re.IGNORECASE)
PACKAGES = ("allocator", "benchmarks", "feed", "sweep", "tests", "tools")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def given_by(node):
    """The names that a node of a syntax tree gives to something."""
    match node:
        case ast.Name(id=name) | ast.arg(arg=name):
            yield name
        case ast.Attribute(attr=name, ctx=ast.Store() | ast.Del()):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name.lower()
        case ast.ExceptHandler(name=name) | ast.MatchAs(name=name) | ast.MatchStar(name=name):
            yield name
        case ast.MatchMapping(rest=name):
            yield name
        case ast.alias(name=name, asname=other):
            yield other or name


def empty_names(text):
    """(line, name) of each empty word that is a name in a source text."""
    used = {(node.lineno, name) for node in ast.walk(ast.parse(text)) for name in given_by(node) if name in EMPTY}
    return sorted(used)


def test_no_name_is_an_empty_word():
    assert len(FILES) > 300
    holding = {path: text for path in FILES if WORD.search(text := path.read_text())}  # others need no syntax tree
    used = [(str(path.relative_to(ROOT)), *each) for path, text in holding.items() for each in empty_names(text)]
    assert used == [], "name it by what it holds"


@pytest.mark.parametrize(
    "line",
    [
        "said = 1",
        "for one, said in ():\n    pass",
        "def f(said):\n    pass",
        "def f(*, said=None):\n    pass",
        "lambda said: 0",
        "def said():\n    pass",
        "async def said():\n    pass",
        "class Said:\n    pass",
        "class C:\n    said: int",
        "self.said = 1",
        "self.said: int = 1",
        "del self.said",
        "[1 for said in ()]",
        "if (said := 1):\n    pass",
        "with open('x') as said:\n    pass",
        "try:\n    pass\nexcept OSError as said:\n    pass",
        "import json as said",
        "from x import y as said",
        "match 1:\n    case said:\n        pass",
        "match 1:\n    case [*said]:\n        pass",
        "match 1:\n    case {**said}:\n        pass",
        "print(f'{said}')",
    ],
)
def test_an_empty_word_is_noticed(line):
    assert [name for _, name in empty_names(f"x = 0\n{line}")] == ["said"]


def test_words_of_people_and_of_others_are_let_be():
    assert (
        empty_names('# said\n"""what was told"""\nx = {"found": "there"}\nx = library.found\nunsaid = x["found"]') == []
    )
