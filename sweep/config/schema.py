"""The keys of the configuration, their types and defaults."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from sweep.search.grid import build_grid

Instant = str | int | None


class Window(Struct, frozen=True, forbid_unknown_fields=True):
    """The span of the tape, start and end included; the warm-up before it only builds the book."""

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
    """How long the reader of a topic waits, how much it tolerates, and where it puts what it tolerated."""

    max_bad: int = 0
    quarantine: str = "quarantine.jsonl"
    wait: str | int = "0s"
    deadline: str | int = "1h"
    max_bytes: int | None = None  # `MAX_BYTES`, and of a file what its size allows
    foreign: bool = False


class KafkaSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """How to log in to the source's broker: the names of `feed.access.Access`; none of them holds a secret."""

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
    """The validated configuration of a sweep; docs/reference.md says what each key means.

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
    venues: tuple[int, ...] | None = None
    feed: FeedSpec = FeedSpec()
    kafka: KafkaSpec = KafkaSpec()
    executor: Literal["ray", "inline"] = "ray"
    address: str = "local"
    workers: int | None = None
    collapse: bool = True
    output: str | None = None


EMBEDDED = "embedded"
"""The name of the source that is our own broker, filled with the synthetic stream."""


WHERE_ONLY = ("source", "replay", "feed", "kafka", "executor", "address", "workers", "collapse", "output")
"""Keys that say where and how a sweep reads and runs; they change no result row."""


def config_hash(config: Config) -> str:
    """SHA-256 of the keys that decide the result rows, 64 hexadecimal digits; their spelling plays no part."""
    content = {name: value for name, value in msgspec.to_builtins(config).items() if name not in WHERE_ONLY}
    if content["venues"] is None:  # as before this key existed, so that older stored runs are found
        del content["venues"]
    content["grid"] = [[axis.name, [str(value) for value in axis.values]] for axis in build_grid(config.grid).axes]
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()
