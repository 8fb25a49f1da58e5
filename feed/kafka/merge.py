"""Blocks of a replay joined in the order of sending, and proven against its end record."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from feed.codecs import gather
from feed.errors import FeedCorrupt
from feed.kafka.ranges import AGAIN
from feed.tape import by_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feed.kafka.address import Address
    from feed.kafka.headers import EndRecord, Listed
    from feed.kafka.ranges import KafkaBlock, KafkaRange
    from feed.tape import Int64, Tape


def merge_blocks(
    address: Address, end: EndRecord, ranges: Sequence[KafkaRange], blocks: Sequence[KafkaBlock], symbols: Sequence[str]
) -> tuple[tuple[Tape, ...], int]:
    """Join the blocks of a replay.

    Parameters
    ----------
    address : Address
    end : EndRecord
    ranges, blocks : sequence of KafkaRange, KafkaBlock
        By partition, then by offset; block i is that of range i.
    symbols : sequence of str
        Which tapes to make.

    Returns
    -------
    tapes : tuple of Tape
        One for each of `symbols`.
    resent : int
        Records dropped because an earlier range holds them.

    Raises
    ------
    FeedCorrupt
        Messages are missing, or a digest differs: that of each partition, and, where no message was put aside, of each
        tape.
    """
    order, count = _order(address, end, ranges, blocks)
    codes = np.concatenate([block.symbol for block in blocks])[order]
    proven = not any(block.bad for block in blocks)
    code = {symbol: number for number, symbol in enumerate(end.tapes)}
    places, starts = by_label(codes, len(code))
    messages = [order[places[starts[code[symbol]] : starts[code[symbol] + 1]]] for symbol in symbols]
    tapes = []
    rows = gather([block.rows for block in blocks], np.concatenate(messages))
    for symbol, part in zip(symbols, rows.cut(list(map(len, messages))), strict=True):
        tape = part.tape(symbol, owned=True)
        if proven and tape.digest() != end.tapes[symbol]:
            raise _differs(address, end, f"the digest of the tape of {symbol!r} differs from the end record's")
        tapes.append(tape)
    return tuple(tapes), sum(len(block.pseq) for block in blocks) - count


def _order(
    address: Address, end: EndRecord, ranges: Sequence[KafkaRange], blocks: Sequence[KafkaBlock]
) -> tuple[Int64, int]:
    """Indices of the messages of all blocks, each once, in the order of sending; and their number."""
    starts = np.cumsum([0, *(len(block.pseq) for block in blocks)])
    indices = []
    for partition, listed in sorted(end.partitions.items()):
        places = [i for i, block in enumerate(blocks) if block.partition == partition]
        first = int(starts[places[0]])
        unique = _contiguous(address, end, [ranges[i] for i in places], [blocks[i] for i in places], listed)
        hashes = np.concatenate([blocks[i].hashes for i in places])[unique]
        if hashlib.sha256(np.ascontiguousarray(hashes).data).hexdigest() != listed.digest:
            raise _differs(address, end, f"partition {partition}: the messages' digest differs from the end record's")
        indices.append(first + unique)
    index = np.concatenate(indices)
    seq = np.concatenate([block.seq for block in blocks])[index]
    order = index[np.argsort(seq, kind="stable")]
    if not np.array_equal(np.sort(seq), np.arange(end.messages)):
        raise _differs(address, end, "its messages are not numbered one by one over its partitions")
    return order, len(index)


def _contiguous(
    address: Address, end: EndRecord, ranges: Sequence[KafkaRange], blocks: Sequence[KafkaBlock], listed: Listed
) -> Int64:
    """Indices of a partition's messages, each once; FeedCorrupt where one is missing."""
    pseq = np.concatenate([block.pseq for block in blocks])
    before = np.maximum.accumulate(np.concatenate([[-1], pseq[:-1]])) if len(pseq) else pseq
    unique = np.flatnonzero(pseq > before)
    numbers = pseq[unique]
    wrong = np.flatnonzero(numbers != np.arange(len(numbers)))
    if len(wrong):
        at = int(unique[wrong[0]])
        starts = np.cumsum([0, *(len(block.pseq) for block in blocks)])
        which = int(np.searchsorted(starts, at, side="right")) - 1
        offset = int(np.concatenate([block.offsets for block in blocks])[at])
        raise ranges[which].hole(int(wrong[0]), int(pseq[at]), offset, compacted=blocks[which].empty > 0)
    if len(numbers) != listed.messages:
        last = ranges[-1]
        if len(numbers) > listed.messages:
            raise _differs(address, end, f"partition {last.partition}: {len(numbers)} of {listed.messages} messages")
        raise last.hole(len(numbers), listed.messages, last.end, compacted=blocks[-1].empty > 0)
    return unique


def _differs(address: Address, end: EndRecord, what: str) -> FeedCorrupt:
    return FeedCorrupt(f"replay {end.replay}, {what}", address.place, f"{AGAIN} {address.place}")
