"""How batches are compressed: zstd, and gzip for brokers that are older than it."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable

GZIP, ZSTD = 1, 4
"""Numbers in a batch's attributes."""

ZSTD_SINCE = (2, 1)
"""The first version of Kafka that takes zstd."""

FAST, DENSE = 1, 9
"""Levels of zstd: at the first JSON takes a thirtieth of the time of gzip's best and about its bytes; the second packs
as densely as that does also where there is little to find, such as prices of many levels."""

_GZIP_LEVEL = 4
_GZIP_FRAME = 31


def zstd(data: bytes | bytearray, level: int = FAST) -> bytes:
    """Compress what can be had at once, such as a batch."""
    packed: bytes = pa.Codec("zstd", compression_level=level).compress(pa.py_buffer(data), asbytes=True)
    return packed


def gzip(data: bytes | bytearray, level: int = _GZIP_LEVEL) -> bytes:
    """The same; byte for byte the same each time, as it holds no time."""
    packer = zlib.compressobj(level, zlib.DEFLATED, _GZIP_FRAME)
    return packer.compress(data) + packer.flush()


COMPRESSORS: dict[int, Callable[[bytes | bytearray], bytes]] = {GZIP: gzip, ZSTD: zstd}
"""By their numbers."""


def best_for(version: tuple[int, ...]) -> int:
    """The compression to send with to a broker of a version."""
    return ZSTD if version >= ZSTD_SINCE else GZIP
