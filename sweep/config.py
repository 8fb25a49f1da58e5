"""The configuration: one YAML file, KEY=VALUE on top, validated once, here."""

from __future__ import annotations

import difflib
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec
from msgspec import UNSET, Struct, UnsetType

from allocator.errors import AllocatorError
from allocator.money import NANO, nano
from allocator.policies import POLICIES
from feed.access import NAMES, refuse_literal
from feed.instants import parse_duration, parse_instant
from sweep.errors import ConfigError
from sweep.grid import AXES, build_grid, refuse_vanished
from sweep.text import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Instant = str | int | None


class Window(Struct, frozen=True, forbid_unknown_fields=True):
    """The span of the tape: start and end included; warm-up before it only builds the book."""

    start: Instant = None
    end: Instant = None
    warmup: str | int | UnsetType = UNSET


class OrderSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """The parent order; start and end default to the window's."""

    side: Literal["buy", "sell"] = "buy"
    size: int = 5000
    start: Instant = None
    end: Instant = None


class FeedSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """How patient and how tolerant the reader of a topic is, and where it puts what it tolerated."""

    max_bad: int = 0
    quarantine: str = "quarantine.jsonl"
    wait: str | int = "0s"
    deadline: str | int = "1h"
    max_bytes: int | None = None  # `MAX_BYTES`, and of a file what its size allows
    foreign: bool = False


class KafkaSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """How the broker of the source lets us in: the names of `feed.access.Access`, none of them a secret."""

    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password_env: str | None = None
    sasl_password_file: str | None = None
    ssl_cafile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    api_version: str | None = None


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a sweep is told, checked; the README's configuration reference says what each key means.

    Keys left UNSET follow `conventions`.
    """

    source: str = "embedded"  # EMBEDDED, below
    window: Window = Window()
    order: OrderSpec = OrderSpec()
    policy: str = "static"
    step: int = 100
    reference: Literal["best", "mid", "arrival"] = "best"
    infeasible: Literal["sweep", "wait"] = "sweep"
    lots_only: bool = False
    conventions: Literal["fair", "classic"] = "fair"
    book: Literal["consolidated", "event"] | UnsetType = UNSET
    uncross: bool | UnsetType = UNSET
    stub_band: float | UnsetType | None = UNSET
    max_age: str | int | UnsetType | None = UNSET
    liquidity: Literal["persist", "refresh"] | UnsetType = UNSET
    leftover: Literal["last_ask", "sweep"] | UnsetType = UNSET
    unfilled_penalty: float = 0.05
    fees: dict[str, dict[str, float]] | UnsetType = UNSET
    grid: dict[str, Any] = {}
    symbol: str | None = None
    replay: str | None = None
    feed: FeedSpec = FeedSpec()
    kafka: KafkaSpec = KafkaSpec()
    executor: Literal["ray", "inline"] = "ray"
    address: str = "local"
    workers: int | None = None
    collapse: bool = True
    output: str | None = None


EMBEDDED = "embedded"
"""The source that is a broker of our own, filled with the synthetic stream."""

MAX_BAD = 10_000
"""Malformed messages that can be tolerated: each is kept until the quarantine file is written."""

_STRUCTS: dict[str, type[Struct]] = {
    "": Config,
    "window": Window,
    "order": OrderSpec,
    "feed": FeedSpec,
    "kafka": KafkaSpec,
}

TEXT_KEYS = ("source", "symbol", "replay", "address", "output", "feed.quarantine", *(f"kafka.{name}" for name in NAMES))
"""Keys whose VALUE on the command line is taken as it is."""

FILE_LIMIT = 2**20
"""Bytes of a configuration or fee file."""

WHERE_ONLY = ("source", "replay", "feed", "kafka", "executor", "address", "workers", "collapse", "output")
"""Keys that say where and how a sweep runs and reads, and change no result row."""


def config_hash(config: Config) -> str:
    """SHA-256 of what decides the result rows, 64 hexadecimal digits; spelling and place play no part."""
    content = {name: value for name, value in msgspec.to_builtins(config).items() if name not in WHERE_ONLY}
    content["grid"] = [[axis.name, [str(value) for value in axis.values]] for axis in build_grid(config.grid).axes]
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()


def load_config(file: str | None = None, assignments: Sequence[str] = ()) -> Config:
    """Read a configuration: defaults, then the file, then KEY=VALUE, the last repeat winning.

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
    """
    return build_config(assign(read_file(file) if file is not None else {}, assignments))


def assign(tree: dict[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """Put KEY=VALUE words into a nested mapping, which is changed and returned.

    Raises
    ------
    ConfigError
        A word without ``=``, YAML that is none, a secret.
    """
    for text in assignments:
        key, equals, value = text.partition("=")
        refuse_literal(key)
        if not equals or not key.strip():
            raise ConfigError(f"{key!r}: expected KEY=VALUE, such as order.size=5000")
        path = key.strip().split(".")
        _assign(tree, path, _verbatim(value) if key.strip() in TEXT_KEYS else parse_yaml(value, key))
    return tree


def build_config(tree: Mapping[str, Any]) -> Config:
    """Make a configuration of a nested mapping, as a YAML file gives it.

    Raises
    ------
    ConfigError
        As `load_config`.
    """
    _refuse_unknown(tree, Config, "")
    tree = dict(tree)
    if isinstance(tree.get("fees"), str):
        tree["fees"] = read_file(tree["fees"])
    if isinstance(tree.get("fees"), dict):
        tree["fees"] = {str(venue): fee for venue, fee in tree["fees"].items()}
    for name in ("symbol", "replay"):
        if isinstance(tree.get(name), int) and not isinstance(tree[name], bool):
            tree[name] = str(tree[name])
    try:
        config = msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        said, _, where = str(error).partition(" - at `$")
        where = where.rstrip("`").lstrip(".")
        raise ConfigError(f"{where or 'config'}: {said[0].lower()}{said[1:]}{_choices(where)}") from None
    _check(config)
    return config


def _verbatim(value: str) -> Any:  # noqa: ANN401 - text or None
    """A path or a name as it was typed: '#', ': ' or '[' in it mean nothing; quotes around it may stand."""
    value = value.strip()
    if value in {"", "~", "null"}:
        return None
    return parse_yaml(value, "value") if value[0] in "'\"" and value[-1] == value[0] else value


def read_file(name: str) -> dict[str, Any]:
    """Read a YAML file that holds a mapping; nothing in it is an empty one.

    Raises
    ------
    ConfigError
        A file that is missing, too large, no text, no YAML or no mapping.
    """
    try:
        with Path(name).open("rb") as file:
            content = file.read(FILE_LIMIT + 1)
        text = content.decode()
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: is no text file") from None
    if len(content) > FILE_LIMIT:
        raise ConfigError(f"{name}: is over {FILE_LIMIT:,} bytes, which no configuration needs; check the path")
    tree = parse_yaml(text, name)
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{name}: expected a mapping of keys to values, but it had {type(tree).__name__}")
    return tree


def _assign(tree: dict[str, Any], path: list[str], value: Any) -> None:  # noqa: ANN401 - YAML holds anything
    *parents, leaf = path
    for parent in parents:
        child = tree.get(parent)
        if isinstance(child, str) and parent == "fees":
            child = read_file(child)
        child = dict(child) if isinstance(child, dict) else {}
        tree[parent] = child
        tree = child
    tree[leaf] = value


def _refuse_unknown(tree: Mapping[str, Any], struct: type[Struct], prefix: str) -> None:
    valid = {field.name: field.type for field in msgspec.structs.fields(struct)}
    for key, value in tree.items():
        refuse_literal(f"{prefix}{key}")
        nested = valid.get(key)
        if nested is None:
            raise ConfigError(unknown_key(f"{prefix}{key}", [f"{prefix}{name}" for name in valid]))
        if isinstance(nested, type) and issubclass(nested, Struct) and isinstance(value, dict):
            _refuse_unknown(value, nested, f"{prefix}{key}.")
        elif key == "grid" and not prefix:
            if not isinstance(value, dict):
                raise ConfigError(f"grid: expected a mapping of axes to values, but it had {value!r}")
            for axis in value:
                if axis not in AXES:
                    raise ConfigError(unknown_key(f"grid.{axis}", [f"grid.{name}" for name in AXES]))


def _choices(where: str) -> str:
    """What a key with few values may be, for the end of a message."""
    parent, _, leaf = where.rpartition(".")
    struct = _STRUCTS.get(parent, Config)
    for field in msgspec.structs.fields(struct):
        if field.name == leaf:
            options = [each for part in (field.type, *get_args(field.type)) for each in get_args(part)]
            names = dict.fromkeys(each for each in (*options, *get_args(field.type)) if isinstance(each, str))
            return f"; expected {' or '.join(names)}" if names else ""
    return ""


def unknown_key(key: str, valid: list[str]) -> str:
    """What is said of a key that nobody knows: the nearest of those that there are."""
    near = difflib.get_close_matches(key, valid, 1, cutoff=0.0)
    return f"unknown key {key}; the nearest valid one is {near[0]}" if near else f"unknown key {key}"


def _check(config: Config) -> None:
    """What types alone cannot say."""
    window, order = config.window, config.order
    for key, instant in (
        ("window.start", window.start),
        ("window.end", window.end),
        ("order.start", order.start),
        ("order.end", order.end),
    ):
        _parsed(key, instant, parse_instant)
    feed = config.feed
    for key, duration in (
        ("window.warmup", window.warmup),
        ("max_age", config.max_age),
        ("feed.wait", feed.wait),
        ("feed.deadline", feed.deadline),
    ):
        _parsed(key, duration, parse_duration)
    for key, number, least, limit in (
        ("order.size", order.size, 1, 2**31),
        ("step", config.step, 1, 2**31),
        ("workers", config.workers, 1, 2**31),
        ("feed.max_bad", feed.max_bad, 0, MAX_BAD + 1),
        ("feed.max_bytes", feed.max_bytes, 1, 2**50),
    ):
        if number is not None and not least <= number < limit:
            raise ConfigError(f"{key}: expected a whole number, {least} to {limit - 1:,}, but it had {number}")
    if config.policy not in POLICIES:
        raise ConfigError(f"policy: expected one of {', '.join(POLICIES)}, but it had {config.policy!r}")
    if not UNSET_or_none(config.stub_band) and not 0 <= config.stub_band <= 1:  # type: ignore[operator]
        raise ConfigError(f"stub_band: expected 0 to 1, or null for none, but it had {config.stub_band}")
    if not UNSET_or_none(config.stub_band):
        _amount("stub_band", config.stub_band, signed=False)  # type: ignore[arg-type]
    _amount("unfilled_penalty", config.unfilled_penalty, signed=False)
    if config.fees is not UNSET:
        for venue, fee in config.fees.items():
            _check_fee(venue, fee)
    if config.address not in {"local", "auto"} and not config.address.startswith("ray://"):
        raise ConfigError(f"address: expected local, auto or ray://HOST:PORT, but it had {config.address!r}")
    if "@" in config.address:
        raise ConfigError("address: it takes no name or password; Ray's token lies in ~/.ray/auth_token")
    build_grid(config.grid)


def UNSET_or_none(value: object) -> bool:  # noqa: N802 - named for the two constants
    """Whether a key was left to the conventions or switched off."""
    return value is UNSET or value is None


def _parsed(key: str, value: Any, parse: Callable[[Any], int]) -> None:  # noqa: ANN401 - text, number, None or UNSET
    if not UNSET_or_none(value):
        try:
            parse(value)
        except ValueError as error:
            raise ConfigError(f"{key}: {error}") from None


def _check_fee(venue: str, fee: dict[str, float]) -> None:
    key = f"fees.{venue}"
    if venue != "default" and not (venue.isascii() and venue.isdigit() and int(venue) < 2**15):
        raise ConfigError(f"{key}: expected a Databento publisher id or default")
    for name, value in fee.items():
        if name not in {"taker", "maker"}:
            raise ConfigError(unknown_key(f"{key}.{name}", [f"{key}.taker", f"{key}.maker"]))
        _amount(f"{key}.{name}", value, signed=True)


def _amount(key: str, value: float, *, signed: bool) -> None:
    try:
        amount = nano(value, key)
    except AllocatorError as error:
        raise ConfigError(str(error)) from None
    refuse_vanished(key, value, amount)
    if amount < 0 and not signed:
        raise ConfigError(f"{key}: expected 0 or more, but it had {value}")
    if abs(amount) > 100 * NANO:
        raise ConfigError(f"{key}: {value} $ per share is above 100 $; fees and penalties are in dollars per share")
