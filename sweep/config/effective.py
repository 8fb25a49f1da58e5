"""The configuration that is in effect, as YAML that is read back to the same, each value with where it comes from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET, Struct

from feed.console import mask_secrets, printable
from feed.yaml_text import line_of
from sweep.config.conventions import PLACED, TABLE, places
from sweep.config.keys import nested
from sweep.config.loading import assign, load_config, read_mapping
from sweep.search import AXES, PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sweep.config.schema import Config

LOOKED_UP_BYTES: Final = 2**16
"""Of a file at most whose lines are looked up."""

NOT_SHOWN: Final = "set, not shown"

_PLAIN: Final = re.compile(r"(?!(?:true|false|null)$)[A-Za-z_/][A-Za-z0-9_./+-]*|[0-9]+[a-z]{1,2}")
"""Text that needs no quotes: words, paths, durations."""

_ESCAPED: Final = {'"': r"\"", "\\": r"\\"}


@dataclass(frozen=True, slots=True)
class Value:
    """One key of a configuration.

    Attributes
    ----------
    key : str
        Dotted.
    value
        As YAML and JSON hold it.
    origin : str
        ``command line``, ``FILE:line``, ``default``, or of a value that follows from others, from which.
    follows : bool
        Whether nobody wrote it and it is no default of its own: written out, it would be another question.
    secret : bool
        Whether it may hold a secret, and is not shown.
    """

    key: str
    value: Any
    origin: str
    follows: bool = False
    secret: bool = False


def effective(file: str | None = None, assignments: Sequence[str] = ()) -> list[Value]:
    """Every key of the configuration that `sweep.config.load_config` makes of the same, in the order of the schema.

    Raises
    ------
    ConfigError, FeedUnavailable
        As `load_config`.
    """
    config = load_config(file, assignments)
    tree = assign(nested(read_mapping(file)) if file is not None else {}, assignments)
    origins = _Origins(file, tuple(assignments), tree)
    values = [*_section(config, "", origins)]
    return [*values, *_implied(config)]


@dataclass(frozen=True, slots=True)
class _Origins:
    file: str | None
    assignments: tuple[str, ...]
    tree: Mapping[str, Any]

    def of(self, key: str) -> str:
        """Where the value of a key was written last."""
        if not self._is_written(key):
            return "default"
        typed = [word.partition("=")[0].strip() for word in self.assignments]
        if any(f"{key}.".startswith(f"{each}.") for each in typed):
            return "command line"
        also = ", command line" if any(each.startswith(f"{key}.") for each in typed) else ""
        if self.file is None:
            return "command line"
        return f"{self.file}{self._line(key)}{also}"

    def _is_written(self, key: str) -> bool:
        section: Any = self.tree
        for part in key.split("."):
            if not isinstance(section, dict):
                return True  # one word stands for the section, such as window=session
            if part not in section:
                return False
            section = section[part]
        return True

    def _line(self, key: str) -> str:
        try:
            short = Path(self.file or "").stat().st_size <= LOOKED_UP_BYTES
        except OSError:
            short = False
        line = line_of(self.file or "", key) if short else None
        return "" if line is None else f":{line}"


def _section(struct: Struct, prefix: str, origins: _Origins) -> Iterator[Value]:
    """The keys of a section that are set, or have a default of their own."""
    for field in msgspec.structs.fields(struct):
        key, value = f"{prefix}{field.encode_name}", getattr(struct, field.name)
        if value is UNSET:
            continue
        if key == "quotes":  # most of its keys exclude others
            yield from (each for each in _section(value, "quotes.", origins) if each.origin != "default")
        elif isinstance(value, Struct):
            yield from _section(value, f"{key}.", origins)
        elif key == "grid":
            for axis, values in value.items():
                yield _value(f"grid.{axis}", values, origins)
        else:
            yield _value(key, value, origins)


def _value(key: str, value: Any, origins: _Origins) -> Value:  # noqa: ANN401 - each key has its own type
    plain = msgspec.to_builtins(value)
    return Value(key, plain, origins.of(key), secret=mask_secrets(plain) != plain)


def _implied(config: Config) -> Iterator[Value]:
    """What follows from other keys where it is left to them."""
    origin = f"conventions={config.conventions}"
    table = TABLE[config.conventions]
    for field in msgspec.structs.fields(config):
        if getattr(config, field.name) is UNSET:
            yield Value(field.name, table.get(field.name), origin, follows=True)
    if config.window.warmup is UNSET:
        if places(config):
            yield Value("window.warmup", PLACED["warmup"], "policy=placement", follows=True)
        else:
            yield Value("window.warmup", table["warmup"], origin, follows=True)
    named = {*config.grid, *(axis for point in config.search.points for axis in point)}
    for axis in PARAMETERS:
        if axis not in named:
            yield Value(f"grid.{axis}", list(AXES[axis].default), "default", follows=True)


def as_yaml(values: Sequence[Value]) -> str:
    """YAML that `--config` takes, a line for each key; one that begins with # follows from others."""
    lines = ["# What follows from other keys begins with #: written out, it would be another run's question."]
    section = ""
    for value in values:
        if value.follows:
            continue
        parent, _, leaf = value.key.rpartition(".")
        if parent != section and parent:
            lines.append(f"{parent}:")
        section = parent
        indent = "  " if parent else ""
        if value.secret:
            lines.append(f"{indent}# {leaf}: {NOT_SHOWN}; {printable(value.origin)}")
        else:
            lines.append(f"{indent}{_scalar(leaf)}: {_flow(value.value)}  # {printable(value.origin)}")
    lines += [f"# {value.key}: {_flow(value.value)}  # {printable(value.origin)}" for value in values if value.follows]
    return "\n".join(_without_empty_sections(lines))


def _without_empty_sections(lines: Sequence[str]) -> Iterator[str]:
    """A section of which nothing is shown would be one without a value."""
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.endswith(":") and not line.startswith(("#", " ")) and not re.match(r"  [^#]", following):
            yield f"# {line}"
        else:
            yield line


def as_json(values: Sequence[Value]) -> dict[str, dict[str, Any]]:
    """By key its value, as JSON holds it, and its origin."""
    return {
        value.key: {
            **({"set": True, "shown": False} if value.secret else {"value": _finite(value.value)}),
            "origin": value.origin,
        }
        for value in values
    }


def _finite(value: Any) -> Any:  # noqa: ANN401 - what YAML holds
    """The same with infinite numbers as YAML writes them, which JSON has none of."""
    match value:
        case float() if value in {float("inf"), float("-inf")}:
            return _scalar(value)
        case dict():
            return {str(name): _finite(item) for name, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
        case _:
            return value


def _flow(value: Any) -> str:  # noqa: ANN401 - what YAML holds
    match value:
        case dict():
            return f"{{{', '.join(f'{_scalar(name)}: {_flow(item)}' for name, item in value.items())}}}"
        case list() | tuple():
            return f"[{', '.join(map(_flow, value))}]"
        case _:
            return _scalar(value)


def _scalar(value: Any) -> str:  # noqa: ANN401 - a scalar of YAML
    """A scalar that `feed.yaml_text` reads back as it is, without a character that a terminal would obey."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float():
            return repr(value).replace("inf", ".inf").replace("nan", ".nan")
        case int():
            return str(value)
        case _:
            text = str(value)
    if _PLAIN.fullmatch(text):
        return text
    return f'"{"".join(_ESCAPED.get(letter) or printable(letter) for letter in text)}"'
