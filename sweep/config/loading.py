"""Reads a configuration: one YAML file, KEY=VALUE on top, validated once, here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from feed import yaml_text
from feed.access import NAMES, refuse_literal
from feed.markets import SCENARIOS, fees_of
from feed.plan import MEMORY, is_table
from sweep.config.keys import EXPECTED, checked, nested, placed
from sweep.config.question import SESSION
from sweep.config.schema import Config
from sweep.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence


TEXT_KEYS = ("source", "symbol", "replay", "address", "output", "feed.quarantine", *(f"kafka.{name}" for name in NAMES))
"""Keys whose VALUE on the command line is taken as it is."""

FILE_LIMIT = 2**20
"""Bytes of a configuration or fee file at most."""


def load_config(file: str | None = None, assignments: Sequence[str] = ()) -> Config:
    """Read a configuration: defaults, then the file, then KEY=VALUE; the last one wins.

    Parameters
    ----------
    file : str, optional
        A YAML mapping.
    assignments : sequence of str
        ``order.size=5000``, ``grid.theta_queue=[0, 0.01]``; VALUE is YAML.

    Raises
    ------
    ConfigError
        A missing or malformed file, an unknown key (the nearest valid one is named), a value of the wrong kind or out
        of range.

    Examples
    --------
    >>> from sweep.config import load_config
    >>> config = load_config(assignments=["source=day.csv.gz", "order.size=20_000", "grid.theta_queue=[0, 0.01]"])
    >>> config.source, config.order.side, config.order.size
    ('day.csv.gz', 'buy', 20000)
    >>> config.grid
    {'theta_queue': [0, 0.01]}
    """
    with placed(file, assignments):
        return build_config(assign(nested(read_mapping(file)) if file is not None else {}, assignments))


def assign(tree: dict[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """Put KEY=VALUE words into a nested mapping, which is changed and returned.

    Raises
    ------
    ConfigError
        A word without ``=``, invalid YAML, or a secret.
    """
    for text in assignments:
        key, equals, value = text.partition("=")
        refuse_literal(key)
        if not equals or not key.strip():
            raise ConfigError(f"{key!r}: expected KEY=VALUE, such as order.size=5000")
        path = key.strip().split(".")
        listed = value.strip().startswith(("[", "{"))
        verbatim = key.strip() in TEXT_KEYS or (path[0] in {"where", "quotes"} and not listed)
        _assign(tree, path, _verbatim(value) if verbatim else _parse(value, key))
    return tree


def build_config(tree: Mapping[str, Any]) -> Config:
    """Make a configuration from a mapping of nested or dotted keys, as a YAML file or a program gives it.

    Raises
    ------
    ConfigError
        As `load_config`.
    """
    tree = nested(tree)
    if isinstance(tree.get("quotes"), str):
        tree["quotes"] = _read_quotes(tree["quotes"])
    if isinstance(tree.get("window"), str):
        tree["window"] = _session_window(tree["window"])
    if isinstance(tree.get("fees"), str):
        tree["fees"] = _read_fees(tree["fees"])
    named = tree["grid"].get("fees") if isinstance(tree.get("grid"), dict) else None
    if isinstance(named, list) and all(isinstance(name, str) and name in SCENARIOS for name in named):
        named = {name: name for name in named}
    if isinstance(named, dict):  # a table of each name, or the file or the scenario of one
        tables = {name: _read_fees(table) if isinstance(table, str) else table for name, table in named.items()}
        tree["grid"] = {**tree["grid"], "fees": tables}
    for name in ("symbol", "replay"):
        if isinstance(tree.get(name), int) and not isinstance(tree[name], bool):
            tree[name] = str(tree[name])
    config = msgspec.convert(checked(tree, Config), Config)
    _ = config.question  # refuses here, where an error can name the file and the line, what types do not
    return config


def with_keys(config: Config | Mapping[str, Any] | None, keys: Mapping[str, Any]) -> Config:
    """A configuration, with further keys on top, or of these alone.

    Raises
    ------
    ConfigError
        As `as_config`; or keys are added to a `Config`, which is whole.
    """
    if config is None or not keys:
        return as_config(keys if config is None else config)
    if not isinstance(config, Mapping):
        raise ConfigError(f"{next(iter(keys))}: a Config is whole; give a mapping to add keys to")
    return as_config({**config, **keys})


def as_config(config: Config | Mapping[str, Any]) -> Config:
    """Return a configuration as it is, or make one from a mapping of its keys, nested or dotted.

    Raises
    ------
    ConfigError
        As `load_config`.
    """
    if not isinstance(config, Config | Mapping):
        raise ConfigError(
            f"expected a Config, or a mapping such as {{'order.size': 5000}}, but it had {type(config).__name__}; "
            "sweep.config.load_config reads a file"
        )
    if isinstance(config, Config):
        return config
    if not is_table(config.get("source")):
        if hasattr(config.get("source"), "collect"):
            raise ConfigError("source: expected a table, but it had a lazy one; collect() it")
        return build_config(config)
    return build_config({**config, "source": MEMORY}).holding(config["source"])


def _parse(text: str, where: str) -> Any:  # noqa: ANN401 - YAML holds anything
    try:
        return yaml_text.parse_yaml(text, where)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _verbatim(value: str) -> Any:  # noqa: ANN401 - text or None
    """A path or a name as it was typed: '#', ': ' and '[' mean nothing in it; quotes around it are allowed."""
    value = value.strip()
    if value in {"", "~", "null"}:
        return None
    return _parse(value, "value") if value[0] in "'\"" and value[-1] == value[0] else value


def read_mapping(name: str) -> dict[str, Any]:
    """Read a YAML file that holds a mapping; an empty file is an empty mapping.

    Raises
    ------
    ConfigError
        A file that is missing, too large, not text, not YAML or not a mapping.
    """
    try:
        with Path(name).open("rb") as file:
            content = file.read(FILE_LIMIT + 1)
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read ({error.strerror}); check the path") from None
    if len(content) > FILE_LIMIT:
        raise ConfigError(f"{name}: is over {FILE_LIMIT:,} bytes, which no configuration needs; check the path")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{name}: is no text file (line {line}: byte 0x{content[error.start]:02x} is not UTF-8); save it as UTF-8"
        ) from None
    tree = _parse(text, name)
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        kind = "a list" if isinstance(tree, list) else f"{str(tree)[:40]!r}"
        raise ConfigError(
            f"{name}, line 1: expected a mapping of keys to values, such as order: {{size: 5000}}, but it had {kind}"
        )
    return tree


def _assign(tree: dict[str, Any], path: list[str], value: Any) -> None:  # noqa: ANN401 - YAML holds anything
    *parents, leaf = path
    for parent in parents:
        child = tree.get(parent)
        if isinstance(child, str) and parent in _IN_FILES:
            child = _IN_FILES[parent](child)
        child = dict(child) if isinstance(child, dict) else {}
        tree[parent] = child
        tree = child
    tree[leaf] = value


def _read_quotes(file: str) -> dict[str, Any]:
    """Read a file that holds the section `quotes`, alone or, as `python -m feed map` writes it, under its name."""
    tree = read_mapping(file)
    section = tree.get("quotes", tree)
    if not isinstance(section, dict):
        raise ConfigError(f"{file}: expected the mapping quotes, but it had {str(section)[:40]!r}")
    return section


def _fee_table(text: str) -> dict[str, Any]:
    """The table of a scenario, or of a file, unchecked."""
    if text in SCENARIOS:
        return dict(fees_of(text))
    if text.startswith("us-") and not Path(text).exists():
        raise ConfigError(f"fees: {text!r} is neither a file nor a scenario: {', '.join(SCENARIOS)}")
    return read_mapping(text)


def _session_window(text: str) -> dict[str, Any]:
    """A window that is the regular session."""
    if text != SESSION:
        raise ConfigError(f"window: expected {EXPECTED['window']}, but it had {text[:40]!r}")
    return {"start": text, "end": text}


_IN_FILES = {"fees": _fee_table, "quotes": _read_quotes, "window": _session_window}
"""Sections that one word may stand for, mostly a file, with what reads it."""


def _read_fees(text: str) -> dict[str, dict[str, float]]:
    """The fees of a scenario, or of a file, which is checked here, where an error can name the line."""
    with placed(text, below="fees"):
        fees: dict[str, dict[str, float]] = checked({"fees": _fee_table(text)}, Config)["fees"]
    return fees
