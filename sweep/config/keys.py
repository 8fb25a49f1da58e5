"""Checks what a user typed: known keys, values of the right kind; and finds where each was written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import contextmanager
from datetime import datetime
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin

import msgspec
from msgspec import Struct

from feed.access import refuse_literal
from feed.console import unknown_key, without_secrets
from feed.markets import SCENARIOS
from feed.options import parse_venues
from feed.quantities import parse_bytes, parse_count, parse_counts
from feed.tables import EXPECTED as QUOTES
from feed.tables import parse_mapping
from feed.yaml_text import line_of
from sweep.config.rules import by_publisher
from sweep.errors import ConfigError
from sweep.search import AXES, PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_INSTANT: Final = "an instant, such as 2024-08-01T13:36:32Z"
_DURATION: Final = "a duration, such as 60s"
_BOUND: Final = f"{_INSTANT}, or session"
_CLOCK: Final = "a time of day, such as 09:40, or session"
_SHARES: Final = "a whole number of shares, such as 5000, 5k or 5e3"
_DOLLARS: Final = "dollars per share, such as 0.003"
_FEES: Final = f"a file, a scenario ({', '.join(SCENARIOS)}), or a mapping such as {{XNAS: {{taker: 0.003}}}}"

EXPECTED: Final = {
    "source": "text, such as file:day.csv.gz or kafka://127.0.0.1:9092/quotes",
    "window": "session, or a mapping, such as {start: 2024-08-01T13:36:32Z}",
    "window.start": _BOUND,
    "window.end": _BOUND,
    "window.warmup": _DURATION,
    "order": "a mapping, such as {side: buy, size: 5000}",
    "order.side": "buy, sell, or both: [buy, sell]",
    "order.size": f"{_SHARES}, or a list of them",
    "order.start": f"{_INSTANT}, or a list of them",
    "order.end": _INSTANT,
    "order.horizon": _DURATION,
    "order.every": _DURATION,
    "order.from": _CLOCK,
    "order.to": _CLOCK,
    "order.zone": "a time zone, such as America/New_York",
    "policy": "text, such as static",
    "switches": "a mapping, such as {patience: 0.01}",
    "step": _SHARES,
    "slice": "a duration of 5s or more, such as 30s",
    "posting": "touch, inside or deep:N, such as deep:1",
    "samples": "a whole number, such as 200",
    "catch_up": "a multiple, such as 1 or 0.5",
    "phi": "neutral, or a number from 0 to 1, such as 0.5",
    "rho": "a number from 0 to 1, such as 0.2",
    "stub_band": "a number from 0 to 1, such as 0.1, or null for none",
    "max_age": f"{_DURATION}, or null for none",
    "leftover_band": "a number from 0 to 1, such as 0.005, or null for none",
    "baselines": "names of plug-ins' baselines, such as [half_time]",
    "unfilled_penalty": _DOLLARS,
    "fees": _FEES,
    "latency": "a duration such as 500us, a list to draw from, or a mapping such as {default: 1ms, '2': 50us, seed: 7}",
    "participation": "a share of what is displayed, above 0 and up to 1, such as 0.2",
    "calendar": "a calendar of exchange_calendars, such as XNYS or 24/7",
    "grid": "a mapping of axes to values, such as {theta_queue: [0, 0.01]}",
    "where": "a condition, such as lambda_over < lambda_under, or a list of them",
    "search": "a mapping, such as {kind: random, combinations: 1000}",
    "search.kind": "grid, list, random, sobol, zoom, optuna, or a plug-in's name",
    "search.points": "a list of points, such as [{lambda_over: 0, lambda_under: 0.03, theta_queue: 0.01}]",
    "search.combinations": "a whole number, such as 1000, 10k or 1e6",
    "search.seconds": "a number of seconds, such as 30",
    "search.seed": "a whole number, such as 7",
    "symbol": "text, such as AAPL",
    "replay": "text, such as the id that python -m feed replays lists",
    "venues": "publisher ids, such as [2, 43]",
    "tapes": "a mapping, such as {skip_empty: true}",
    "feed": "a mapping, such as {wait: 60s}",
    "feed.max_bad": "a whole number, such as 10",
    "feed.quarantine": "text, such as quarantine.jsonl",
    "feed.wait": _DURATION,
    "feed.deadline": _DURATION,
    "feed.max_bytes": "a size in bytes, such as 16GiB or 500MB",
    "quotes": "a file, or a mapping such as {time: ts, venue: exchange, bid_px: bid, ask_px: ask, ...}",
    **{f"quotes.{name}": expected for name, expected in QUOTES.items()},
    "kafka": "a mapping, such as {security_protocol: SASL_SSL}",
    "kafka.security_protocol": "text, such as SASL_SSL",
    "kafka.sasl_mechanism": "text, such as SCRAM-SHA-256",
    "kafka.sasl_username": "text, such as alice",
    "kafka.sasl_password_env": "the name of an environment variable, such as KAFKA_PASSWORD",
    "kafka.sasl_password_file": "the path of a file, such as /run/secrets/kafka",
    "kafka.ssl_cafile": "the path of a PEM file, such as ca.pem",
    "kafka.ssl_certfile": "the path of a PEM file, such as client.pem",
    "kafka.ssl_keyfile": "the path of a PEM file, such as client.key",
    "kafka.api_version": "text, such as '2.3'",
    "kafka.client": "kafka-python or confluent",
    "depth": "a whole number, such as 10",
    "validate": "none, folds=5, rolling, anchored or leave_one_day_out",
    "detail": "best, all, or numbers of combinations, such as [0, 26]",
    "address": "text, such as local, auto or ray://HOST:PORT",
    "workers": "a whole number, such as 4",
    "output": "text, such as results",
}
"""What a value of each key looks like, with an example, where its type alone does not say it."""

_OF_TYPE: Final[dict[Any, str]] = {bool: "true or false", str: "text", int: "a whole number", float: "a number"}

READ: Final[dict[str, Callable[[object], object]]] = {
    "order.size": parse_counts,
    "step": parse_count,
    "workers": parse_count,
    "depth": parse_count,
    "samples": parse_count,
    "search.combinations": parse_count,
    "search.seed": parse_count,
    "feed.max_bad": parse_count,
    "feed.max_bytes": parse_bytes,
    "venues": parse_venues,
}
"""Keys that are a count, a size in bytes or a list of ids, with the function that reads 5e3, 5k, 16GiB or 2,43."""

_KINDS: Final[dict[type, str]] = {str: "text", int: "a number", float: "a number", list: "a list", dict: "a mapping"}
_SCALARS: Final = {int, float, str, bool}
_SHOWN: Final = 60

_NAMED: Final = re.compile(r"(?:unknown key )?([^\s:;]+)")
"""The key at the start of a message."""


def keys_of(struct: type[Struct], prefix: str = "") -> Iterator[str]:
    """Every dotted key of a configuration, the grid's axes included."""
    for field in msgspec.structs.fields(struct):
        key = f"{prefix}{field.encode_name}"
        if _is_section(field.type):
            yield from keys_of(field.type, f"{key}.")
        elif key == "grid":
            yield from (f"grid.{axis}" for axis in AXES)
        else:
            yield key


def nested(tree: Mapping[Any, Any]) -> dict[Any, Any]:
    """Convert a mapping of nested or dotted keys to nested keys only, and its values to what YAML would hold.

    Raises
    ------
    ConfigError
        A key that stands twice, once nested and once dotted.
    """
    merged: dict[Any, Any] = {}
    for name, value in tree.items():
        *parents, leaf = name.split(".") if isinstance(name, str) else [name]
        section = merged
        for parent in parents:
            section = section.setdefault(parent, {})
            if not isinstance(section, dict):
                raise ConfigError(f"{name}: {parent} has a value of its own; write it once")
        if isinstance(value, Mapping) and isinstance(section.get(leaf), dict) and not set(value) & set(section[leaf]):
            section[leaf] |= _plain(value)
        elif leaf in section:
            raise ConfigError(f"{name}: it stands twice, nested and dotted; write it once")
        else:
            section[leaf] = _plain(value)
    return merged


def _plain(value: Any) -> Any:  # noqa: ANN401 - what a notebook holds: tuples, arrays, numbers of numpy's, paths
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | range):
        if {*map(type, value)} <= _SCALARS:
            return list(value)
        return [_plain(item) for item in value]
    if isinstance(value, PathLike):
        return fspath(value)
    if isinstance(value, datetime):  # a Timestamp of pandas too, with its nanoseconds
        return value.isoformat()
    return _plain(value.tolist()) if hasattr(value, "tolist") else value


def checked(tree: Mapping[Any, Any], struct: type[Struct]) -> dict[str, Any]:
    """Check the keys and values of a nested mapping; return it with counts as whole numbers.

    Parameters
    ----------
    tree : mapping
    struct : type of Struct
        The class of the configuration.

    Raises
    ------
    ConfigError
        An unknown key (the nearest valid one is named), or a value of another kind: the key, what was expected, the
        value.
    """
    return _section(tree, struct, "", tuple(keys_of(struct)))


def _section(tree: Mapping[Any, Any], struct: type[Struct], prefix: str, valid: Sequence[str]) -> dict[str, Any]:
    kinds = {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
    values = {}
    for name, value in tree.items():
        key = f"{prefix}{name}"
        refuse_literal(key)
        if name not in kinds:
            raise ConfigError(_unknown(key, value, valid))
        if key == "grid":
            values[name] = _grid(_mapping(key, value), kinds, valid)
        elif key == "search":
            section = _section(_mapping(key, value), kinds[name], "search.", valid)
            points = (_point(point, kinds) for point in section.get("points", ()))
            values[name] = {**section, **({"points": tuple(points)} if "points" in section else {})}
        elif key == "quotes":
            try:
                values[name] = msgspec.to_builtins(parse_mapping(_mapping(key, value)))
            except ValueError as error:
                raise ConfigError(str(error)) from None
        elif _is_section(kinds[name]):
            values[name] = _section(_mapping(key, value), kinds[name], f"{key}.", valid)
        else:
            values[name] = _value(key, value, kinds[name])
    return values


def _grid(grid: Mapping[Any, Any], kinds: Mapping[str, Any], valid: Sequence[str]) -> dict[str, Any]:
    """The axes of a grid; those that are no parameters with values as the key of their name takes them."""
    axes: dict[str, Any] = {}
    for axis, spec in grid.items():
        key = f"grid.{axis}"
        if axis not in AXES:
            raise ConfigError(_unknown(key, spec, valid))
        if axis in PARAMETERS:
            axes[axis] = spec
        elif axis in NAMED and isinstance(spec, Mapping):
            axes[axis] = {}
            for label, value in spec.items():
                name = str(label)
                if name in axes[axis]:
                    raise ConfigError(f"{key}: {name} stands twice; each name once")
                axes[axis][name] = _value(f"{key}.{name}", value, kinds[axis], axis)
        elif axis == "fees":
            raise ConfigError(f"{key}: expected tables by name, such as {_TABLES}, but it had {_shown(key, spec)}")
        elif isinstance(spec, list):
            axes[axis] = [_value(key, value, kinds[axis], axis) for value in spec]
        else:
            axes[axis] = spec if isinstance(spec, Mapping) else _value(key, spec, kinds[axis], axis)
    return axes


def _point(point: Mapping[str, Any], kinds: Mapping[str, Any]) -> dict[str, Any]:
    """A point of a list, with values as the key of their axis takes them; of an axis of names, names."""
    for axis in point:
        if axis not in AXES:
            raise ConfigError(f"search.points: {unknown_key(axis, list(AXES))}")
    return {
        axis: value
        if axis in PARAMETERS
        else _value("search.points", value, str | int if axis in NAMED else kinds[axis], "" if axis in NAMED else axis)
        for axis, value in point.items()
    }


NAMED: Final = ("fees", "latency")
"""Axes whose values may have names: a mapping of names to values."""

_TABLES: Final = "{today: {default: {taker: 0.003}}}, or scenarios, such as [us-2018, us-2026-cap30]"


def _value(key: str, value: Any, kind: Any, rule: str = "") -> Any:  # noqa: ANN401 - as written, and a type
    """A value in the type of a key; of an axis, the key whose `rule` it follows has another name."""
    rule = rule or key
    if rule == "fees":
        table = _mapping(key, value, EXPECTED[rule])
        return by_publisher(key, {str(venue): _fee(f"{key}.{venue}", fee) for venue, fee in table.items()})
    if rule in READ and value is not None:
        try:
            value = READ[rule](value)
        except ValueError:
            raise ConfigError(_wrong_kind(key, value, kind, expected_of(rule, kind))) from None
    return _converted(key, value, kind, expected_of(rule, kind))


def _fee(key: str, fee: Any) -> dict[str, float]:  # noqa: ANN401 - a value as it was written
    amounts = _mapping(key, fee, "a mapping of dollars per share, such as {taker: 0.003, maker: -0.002}")
    return {name: _converted(f"{key}.{name}", amount, float, _DOLLARS) for name, amount in amounts.items()}


def _converted(key: str, value: Any, kind: Any, expected: str = "") -> Any:  # noqa: ANN401 - the same, and a type
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        raise ConfigError(_wrong_kind(key, value, kind, expected)) from None


def _mapping(key: str, value: Any, expected: str = "") -> Mapping[Any, Any]:  # noqa: ANN401 - the same
    if not isinstance(value, Mapping):
        raise ConfigError(f"{key}: expected {expected or EXPECTED[key]}, but it had {_shown(key, value)}")
    return value


def _is_section(kind: Any) -> bool:  # noqa: ANN401 - a type
    return isinstance(kind, type) and issubclass(kind, Struct)


def _wrong_kind(key: str, value: Any, kind: Any, expected: str = "") -> str:  # noqa: ANN401 - the same
    return f"{key}: expected {expected or expected_of(key, kind)}, but it had {_shown(key, value)}"


def expected_of(key: str, kind: Any) -> str:  # noqa: ANN401 - a type
    """What a value of a key looks like, mostly with an example."""
    return EXPECTED.get(key) or _describe_kind(kind)


def _describe_kind(kind: Any) -> str:  # noqa: ANN401 - a type
    parts = get_args(kind) if get_origin(kind) is not Literal else [kind]
    for part in parts or [kind]:
        if get_origin(part) is Literal:
            return " or ".join(get_args(part))
    return next(words for python_type, words in _OF_TYPE.items() if python_type in (parts or [kind]))


def _shown(key: str, value: Any) -> str:  # noqa: ANN401 - a value as it was written
    """A value for a message: shortened, and without secrets."""
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if key.startswith("kafka"):
        return _KINDS.get(type(value), "something else")
    text = without_secrets(repr(value))
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _unknown(key: str, value: Any, valid: Sequence[str]) -> str:  # noqa: ANN401 - the same
    """The message about an unknown key; where its value is a mapping, about the first key in that."""
    while isinstance(value, Mapping) and value and not key.startswith("grid."):
        name, value = next(iter(value.items()))
        key = f"{key}.{name}"
        refuse_literal(key)
    return unknown_key(key, valid)


class _Placed(ConfigError):  # noqa: N818 - reads as what it says
    """The message says where the value was written."""


@contextmanager
def placed(file: str | None = None, assignments: Sequence[str] = (), *, below: str = "") -> Iterator[None]:
    """Add to an error about a key where that key was written: the line of a file, or the command line.

    Parameters
    ----------
    file : str, optional
        A YAML file.
    assignments : sequence of str
        KEY=VALUE, which win over the file.
    below : str
        The key under which the file's keys are put.
    """
    try:
        yield
    except _Placed:
        raise
    except ConfigError as error:
        match = _NAMED.match(str(error))
        key = match[1].rstrip(",") if match else ""
        typed = (word.partition("=")[0].strip() for word in assignments)
        if any(
            f"{word_key}.".startswith(f"{key}.") or f"{key}.".startswith(f"{word_key}.") for word_key in typed if key
        ):
            raise _Placed(f"{error} (command line)") from None
        if file is None or str(error).startswith(file):  # it names the file already
            raise
        line = line_of(file, key.removeprefix(below).lstrip("."))
        if line is None:
            raise
        raise _Placed(f"{error} ({file}, line {line})") from None
