"""YAML as this project reads it: numbers are numbers, text stays text."""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

from feed.console import SENSITIVE
from sweep.errors import ConfigError

_NUMBER = re.compile(
    r"[-+]?(?:0|[1-9][0-9_]*)(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?|[-+]?\.[0-9]+(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)")
_SECRET = re.compile(SENSITIVE, re.IGNORECASE)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without its surprises.

    Its defaults lose the nanoseconds of a stamp, read 1e-3 as text, 13:36:32 as a number, and ``no`` as false; an alias
    can make a short text expand without bound.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse aliases."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not read")
        return super().compose_node(parent, index)


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
    """A mapping whose keys stand once."""
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str | int):
            raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is neither text nor a number")
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", key_node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:float", _number)
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def parse_yaml(text: str, where: str) -> Any:  # noqa: ANN401 - YAML holds anything
    """Read one YAML document, safely.

    Parameters
    ----------
    text : str
    where : str
        The file or key, for the message.

    Raises
    ------
    ConfigError
        No YAML, a key that stands twice, or a tag that would build an object.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError, TypeError, LookupError, AttributeError) as error:  # tags, too
        # What PyYAML quotes of the text may hold what somebody takes for a configuration's business: a password.
        said = " ".join(str(error).split()) if not _SECRET.search(text) else _place(error)
        raise ConfigError(f"{where}: no valid YAML ({said})") from None


def _place(error: Exception) -> str:
    """Where an error of PyYAML's is, without what stands there."""
    mark = getattr(error, "problem_mark", None)
    return "it speaks of a secret" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}"
