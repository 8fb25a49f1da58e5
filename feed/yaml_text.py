"""YAML as this project reads it: numbers become numbers, text stays text."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import yaml

from feed.console import SENSITIVE

_NUMBER = re.compile(
    r"[-+]?(?:0|[1-9][0-9_]*)(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?|[-+]?\.[0-9]+(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)")
LONG = 2**13
"""Characters of a text from which on the C loader is tried first."""

_PLAIN = re.compile(r"[A-Za-z0-9_.+:,\[\] \n-]*")
_DEEP = re.compile(r"^ {32}|- *-[ \n]", re.MULTILINE)
_LISTS = 100
_UNREAD = object()
_SECRET = re.compile(SENSITIVE, re.IGNORECASE)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without its surprises.

    Its defaults lose the nanoseconds of a timestamp, and read 1e-3 as text, 13:36:32 as a number and ``no`` as false;
    an alias can make a short text expand without bound.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse aliases."""
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(
                None, None, f"aliases are not read, so write what *{event.anchor} stands for", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ANN401 - PyYAML's
        """Say where the text is that does not fit its tag."""
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from None


_Loader.yaml_implicit_resolvers = {}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(?:true|false)\Z"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(?:~|null|)\Z"), ["~", "n", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(rf"(?:{_WHOLE.pattern})\Z"), list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(rf"(?:{_NUMBER.pattern})\Z"), list("-+0123456789."))


def _number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    text = str(loader.construct_scalar(node)).replace("_", "").lower()
    number = float(text.replace(".inf", "inf").replace(".nan", "nan"))
    if math.isinf(number) and "inf" not in text:
        raise ValueError(f"{text} is beyond any number; infinity is written .inf")
    return number


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    """A mapping in which no key is repeated."""
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str | int):
            raise yaml.constructor.ConstructorError(
                None, None, f"key {key!r} is neither text nor a number", key_node.start_mark
            )
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", key_node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:float", _number)
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


class _QuickLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The same in C, several times faster; for long plain lists, which both read alike."""


_QuickLoader.yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers
_QuickLoader.yaml_constructors = _Loader.yaml_constructors


def _quick(text: str) -> Any:  # noqa: ANN401 - YAML holds anything
    """The value of a text of plain words, numbers and shallow lists; `_UNREAD` where `_Loader` has to decide."""
    if not _PLAIN.fullmatch(text) or _DEEP.search(text) or text.count("[") > _LISTS:
        return _UNREAD
    try:
        return yaml.load(text, Loader=_QuickLoader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return _UNREAD


def parse_yaml(text: str, where: str) -> Any:  # noqa: ANN401 - YAML holds anything
    """Read one YAML document, safely.

    Parameters
    ----------
    text : str
    where : str
        The file or key, for the message.

    Raises
    ------
    ValueError
        Invalid YAML, a repeated key, or a tag that would build an object.
    """
    if len(text) >= LONG and (value := _quick(text)) is not _UNREAD:
        return value
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, RecursionError) as error:
        # the text that PyYAML quotes may hold a password
        problem = _place(error, text) if _SECRET.search(text) else describe_yaml_error(error, text)
        raise ValueError(f"{where}: no valid YAML ({problem})") from None


def line_of(file: str, key: str) -> int | None:
    """The line of a YAML file that holds a dotted key, or the nearest key above it; None where there is none.

    Parameters
    ----------
    file : str
        A file that `parse_yaml` can read.
    key : str
    """
    if not Path(file).is_file():  # a pipe was read already; to read it again would wait for ever
        return None
    try:
        node = yaml.compose(Path(file).read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return None
    line, remaining = None, key.split(".")
    while remaining and isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            parts = str(name.value).split(".")
            if parts == remaining[: len(parts)]:
                line, node, remaining = name.start_mark.line + 1, value, remaining[len(parts) :]
                break
        else:
            break
    return line


def describe_yaml_error(error: Exception, text: str) -> str:
    """What is wrong with invalid YAML and where, in one line."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    if isinstance(error, yaml.reader.ReaderError):
        problem = f"the character {chr(error.character)!a} is none of a text"
    remedy = "; indent with spaces" if r"'\t'" in problem else ""
    return f"{_place(error, text)}: {' '.join(str(problem).split())}{remedy}"


def _place(error: Exception, text: str) -> str:
    """Where an error of PyYAML's is, without quoting the text."""
    if isinstance(error, yaml.reader.ReaderError):
        return f"line {text.count(chr(10), 0, error.position) + 1}"
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return "it speaks of a secret" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}"
