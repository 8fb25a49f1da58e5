"""The command that asks a stored run's question again, as a shell reads it."""

from __future__ import annotations

import math
import re
import shlex
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from feed.console import mask_secrets
from feed.plan import MEMORY
from feed.yaml_text import parse_yaml
from sweep.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECTIONS: Final = ("window", "order", "grid", "search", "tapes", "feed", "kafka")
"""Keys whose own keys are written one by one, after a dot."""

LONGEST: Final = 16_000
"""Characters of a command at most: beyond, a file holds a configuration better."""

_ELSEWHERE: Final = ("output",)
"""Keys that are left out: the stored result would be found again instead of computed."""

_PLAIN: Final = re.compile(r"[A-Za-z_][\w.-]*")
_BREAK: Final = " \\\n    "


def asking_again(config: Config) -> str | None:
    """The command that computes a run anew; None where no command can: its source was a table in memory, or it is long.

    Parameters
    ----------
    config : Config
        As `sweep.runs.config_of` gives it: with absolute paths, and the replay that was read.
    """
    if config.source == MEMORY:
        return None
    words = [shell(f"{key}={value}") for key, value in assignments(config)]
    command = _BREAK.join(["python -m sweep run", *words])
    return command if len(command) <= LONGEST else None


def verifying(home: Path) -> str:
    """The command that reads the data of a stored run again, and recomputes its answer and a sample of its rows."""
    return f"python -m sweep verify {shell(str(home.absolute()))}"


def assignments(config: Config) -> Iterator[tuple[str, str]]:
    """The keys of a configuration that are not at their defaults, and its source: dotted names, values as YAML.

    What may be a secret is masked: see `masked`.
    """
    tree, default = mask_secrets(msgspec.to_builtins(config)), msgspec.to_builtins(Config())
    if not config.feed.max_bad:  # which nothing is written to then
        tree["feed"] = {**tree["feed"], "quarantine": default["feed"]["quarantine"]}
    for key, value in tree.items():
        if key in _ELSEWHERE or (key != "source" and key in default and value == default[key]):
            continue
        if key not in SECTIONS:
            yield key, written(value)
            continue
        usual = default[key]
        for name, each in value.items():
            if key == "grid" or each != usual.get(name):
                yield f"{key}.{name}", written(each)


def masked(config: Config) -> bool:
    """Whether the command masks something that may be a secret, and so does not run as it stands."""
    plain = msgspec.to_builtins(config)
    return bool(mask_secrets(plain) != plain)


def written(value: Any, *, inside: bool = False) -> str:  # noqa: ANN401 - YAML holds anything
    """A value as YAML that `sweep.config` reads back as the same; `inside`: of a list or a mapping."""
    if isinstance(value, dict):
        pairs = (f"{written(name, inside=True)}: {written(each, inside=True)}" for name, each in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(written(each, inside=True) for each in value) + "]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, str):
        return _text(value, inside=inside)
    if isinstance(value, float):
        return _float(value)
    return str(value)


def shell(word: str) -> str:
    """A word as a shell reads it; what cannot be printed is escaped, so that it can be copied."""
    if word.isprintable():
        return shlex.quote(word)
    escaped = "".join(
        each if each.isprintable() and each not in "\\'" else "".join(f"\\x{byte:02x}" for byte in _bytes(each))
        for each in word
    )
    return f"$'{escaped}'"


def _bytes(character: str) -> bytes:
    return character.encode("utf-8", "surrogateescape")


def _text(text: str, *, inside: bool) -> str:
    plain = (
        _PLAIN.fullmatch(text) if inside else text.isprintable() and text[:1] not in "'\"[{" and text == text.strip()
    )
    if plain and text and _read(text) == text:
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def _float(value: float) -> str:
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    decimals = format(Decimal(repr(value)), "f")  # as YAML reads 1e-05 as text
    return decimals if "." in decimals else f"{decimals}.0"


def _read(text: str) -> Any:  # noqa: ANN401 - YAML holds anything
    try:
        return parse_yaml(text, "value")
    except ValueError:
        return None
