"""Messages without our headers, read only on request: nothing numbers them, nothing says where they end.

All that the topic holds when the plan is made is read, each message once however often it was sent; the provenance says
that nobody can know whether anything is missing. Messages of aborted transactions are left out, and those of open ones
are not read, as no end record tells them from the rest.
"""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from feed.codecs import REFUSALS, Decoded, Record, decode_json, gather
from feed.console import listing, quoted
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.kafka.address import Address, parse_address
from feed.kafka.bounded_read import STALL_SECONDS, records
from feed.kafka.client import open_consumer
from feed.kafka.foreign_symbols import Name, by_symbol, outside
from feed.kafka.tolerance import Tolerance, put_aside, spans, tolerated
from feed.kafka.topic import partitions_of
from feed.provenance import BadMessage, Provenance
from feed.tape import UNNAMED, Tape, by_label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from feed.kafka.foreign_shapes import ShapedPlan
    from feed.options import ReadOptions
    from feed.plan import TapeSpan
    from feed.tape import Int64

RANGE_OFFSETS = 2**17
"""Offsets in one range; nothing says how many bytes they hold."""

SYMBOLS = 1024
"""Maximum symbols of a topic; where all keys differ, they are no symbols."""

NOTE = "messages without headers, taken as they came: nothing proves that none is missing"


@dataclass(frozen=True, slots=True, eq=False)
class ForeignBlock:
    """Content of one range: M messages of the symbol asked for, and without a symbol.

    Attributes
    ----------
    rows : Decoded
    hashes : bytes
        SHA-256, 32 bytes, of each message and its symbol.
    names : tuple of Name
    codes : (M,) int64
        Index into `names` of each message.
    others : frozenset of Name
        Names of messages of other symbols, up to `SYMBOLS`.
    bad : tuple of BadMessage
        Put aside.
    doubtful : dict of str to list of BadMessage
        Malformed messages whose key is not the symbol asked for, the first ones of each key. The key is another symbol
        if other messages of the topic are of it too.
    nbytes : int
        Bytes of the values.
    empty : int
        Offsets that hold no record.
    headed, aborted, tombstones, other_symbol : int
        Messages left out: of replays, of aborted transactions, without a value, of other symbols.
    """

    rows: Decoded
    hashes: bytes
    names: tuple[Name, ...]
    codes: Int64
    others: frozenset[Name]
    bad: tuple[BadMessage, ...]
    doubtful: dict[str, list[BadMessage]]
    nbytes: int
    empty: int
    headed: int
    aborted: int
    tombstones: int
    other_symbol: int


@dataclass(slots=True)
class Seen:
    """Records of a range, and those that were left out."""

    records: int = 0
    headed: int = 0
    aborted: int = 0
    tombstones: int = 0


def without_headers(raw: Iterable[Record], seen: Seen) -> Iterator[Record]:
    """Yield the messages that are of no replay, and count the others: of replays, aborted, without a value."""
    for record in raw:
        seen.records += 1
        if record.aborted:
            seen.aborted += 1
        elif any(name == "replay" for name, _ in record.headers):
            seen.headed += 1
        elif record.tombstone:
            seen.tombstones += 1
        else:
            yield record


@dataclass(slots=True)
class _Tally(Seen):
    """Notes on a range while it is read."""

    other_symbol: int = 0
    nbytes: int = 0
    hashes: bytearray = field(default_factory=bytearray)
    codes: array[int] = field(default_factory=lambda: array("q"))
    names: dict[Name, int] = field(default_factory=dict)
    others: set[Name] = field(default_factory=set)
    doubtful: dict[str, list[BadMessage]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ForeignRange:
    """Offsets [start, end) of a partition; reading them is a pure function of these fields."""

    address: Address
    partition: int
    start: int
    end: int
    options: ReadOptions

    def read(self) -> ForeignBlock:
        """Read and decode what carries no headers of a replay.

        Raises
        ------
        FeedUnavailable
            The topic has too many symbols.
        FeedError
            As `feed.kafka.ranges.KafkaRange.read`.
        """
        tolerance, tally = Tolerance(self.options.max_bad), _Tally()
        with open_consumer(self.address, STALL_SECONDS, committed=True) as consumer:
            raw = records(
                consumer,
                self.address,
                self.partition,
                self.start,
                self.end,
                deadline=self.options.deadline,
                max_bytes=self.options.max_bytes,
            )
            to_decode = self._to_decode(raw, tally, tolerance.refuse)
            # nothing proves these messages, so that what is not asked for need not be right
            rows = decode_json(to_decode, tolerance.refuse, self.options.max_bytes, self.options.depth or 1)
        return ForeignBlock(
            rows,
            bytes(tally.hashes),
            tuple(tally.names),
            np.frombuffer(tally.codes, np.int64),
            frozenset(tally.others),
            tolerance.bad,
            tally.doubtful,
            tally.nbytes,
            self.end - self.start - tally.records,
            tally.headed,
            tally.aborted,
            tally.tombstones,
            tally.other_symbol,
        )

    def _to_decode(
        self, raw: Iterator[Record], tally: _Tally, refuse: Callable[[Record, str], None]
    ) -> Iterator[Record]:
        """Yield the messages to decode, with one of several symbols split by symbol, and note the symbol of each."""
        for record in without_headers(raw, tally):
            try:
                parts = by_symbol(record)
            except REFUSALS as error:
                if not self._is_of_another_symbol(record, str(error), tally):
                    refuse(record, str(error))
                continue
            tally.nbytes += len(record.value)
            for name, part in parts:
                if name.of not in {"", "venue"} and self.options.symbol not in {None, name.symbol}:
                    tally.other_symbol += 1
                    if len(tally.others) < SYMBOLS:
                        tally.others.add(name)
                    continue
                tally.codes.append(tally.names.setdefault(name, len(tally.names)))
                if len(tally.names) > SYMBOLS:
                    raise _too_many(self.address)
                tally.hashes += hashlib.sha256(b"%s\0%s" % (name.symbol.encode(), part.value)).digest()
                yield part

    def _is_of_another_symbol(self, record: Record, reason: str, tally: _Tally) -> bool:
        """Whether a malformed message is, or may be, of a symbol that is not asked for; if so, note it."""
        name = outside(record)
        if self.options.symbol is None or name.symbol in {"", self.options.symbol}:
            return False
        if name.of == "header":
            tally.other_symbol += 1
            return True
        if name.symbol not in tally.doubtful and len(tally.doubtful) == SYMBOLS:
            return False
        put_aside_so_far = tally.doubtful.setdefault(name.symbol, [])
        if len(put_aside_so_far) <= self.options.max_bad:  # more than one beyond the tolerated number are never needed
            put_aside_so_far.append(put_aside(record, reason))
        else:
            tally.other_symbol += 1
        return True


def _too_many(address: Address) -> FeedUnavailable:
    return FeedUnavailable(
        f"its messages name more than {SYMBOLS} symbols, by their rows' field symbol, header or key",
        address.place,
        "name one: symbol=...; where the keys are no symbols, send it as a header or in the rows, which win",
    )


@dataclass(frozen=True, slots=True)
class ForeignPlan:
    """All that a topic holds of messages without headers, frozen.

    Attributes
    ----------
    address : Address
    ranges : tuple of ForeignRange
    options : ReadOptions
    open : int
        Offsets that are not read, from the first open transaction of each partition on.
    """

    address: Address
    ranges: tuple[ForeignRange, ...]
    options: ReadOptions
    open: int = 0

    @property
    def held(self) -> int | None:
        """`max_bytes`, if the user set it."""
        return self.options.of_file

    @property
    def separate(self) -> bool:
        """Partitions hold rows of all tapes."""
        return False

    def spans(self, *_: object) -> tuple[TapeSpan, ...]:
        """Not asked for."""
        return ()

    def merge(self, blocks: Sequence[ForeignBlock]) -> tuple[tuple[Tape, Provenance], ...]:
        """Join the blocks, each message once, to a tape for each symbol.

        Raises
        ------
        FeedUnavailable
            No message is of the symbol asked for, or there are too many symbols.
        FeedCorrupt
            Too many malformed messages in all, too many bytes, or no message.
        """
        nbytes = sum(block.nbytes for block in blocks)
        if nbytes > self.options.max_bytes:
            raise FeedCorrupt(
                f"it holds {nbytes:,} bytes, more than the bound of {self.options.max_bytes:,}",
                self.address.place,
                "set feed.max_bytes",
            )
        index: dict[Name, int] = {}
        codes = np.concatenate(
            [_indices_of(block.names, index)[block.codes] for block in blocks] or [np.zeros(0, np.int64)]
        )
        counts = [np.zeros(0, np.int64), *(block.rows.quote_counts + block.rows.trade_counts for block in blocks)]
        filled = np.unique(codes[np.concatenate(counts) > 0])  # malformed messages name nothing
        names = {name for name, code in index.items() if code in filled}.union(*(block.others for block in blocks))
        named_symbols = {name.symbol for name in names if name.of != "venue"}
        doubtful = [
            (symbol, message) for block in blocks for symbol, listed in block.doubtful.items() for message in listed
        ]
        own_bad = [message for symbol, message in doubtful if symbol not in named_symbols]
        bad = tolerated(blocks, self.options.max_bad, own_bad)
        if not names:
            raise self._no_message(blocks, len(bad))
        symbol_of = _symbols(names)
        symbols = sorted({symbol or UNNAMED for symbol in symbol_of.values()})
        if self.options.symbol is None and len(symbols) > SYMBOLS:
            raise _too_many(self.address)
        position = {symbol: at for at, symbol in enumerate(symbols)}
        labels = np.array([position.get(symbol_of.get(name, "") or UNNAMED, len(symbols)) for name in index], np.int64)
        order, starts = by_label(labels[codes], len(symbols) + 1)
        hashes = np.frombuffer(b"".join(block.hashes for block in blocks), "S32")[order]
        others = sum(block.other_symbol for block in blocks) + len(doubtful) - len(own_bad)
        left_out = {
            "aborted": sum(block.aborted for block in blocks),
            "tombstone": sum(block.tombstones for block in blocks),
        }
        named = any(symbol_of.values())
        chosen = self._chosen_symbols(symbols, names) if named else symbols
        slices = [slice(*starts[position[symbol] : position[symbol] + 2]) for symbol in chosen]
        unique = [order[span][np.sort(np.unique(hashes[span], return_index=True)[1])] for span in slices]
        tapes = []
        rows = gather([block.rows for block in blocks], np.concatenate(unique))
        parts = rows.cut([len(messages) for messages in unique])
        for symbol, sent, messages, part in zip(chosen, slices, unique, parts, strict=True):
            name = symbol if named else self.options.symbol or UNNAMED
            tape = part.tape(name, owned=True).up_to(self.options.depth or 1)
            sent_count = sent.stop - sent.start
            # messages without a symbol were read in case no message has one
            other_symbol = others + (0 if self.options.symbol is None else len(codes) - sent_count)
            ignored = {"other_symbol": other_symbol, **left_out}
            tapes.append((tape, self._provenance(tape, blocks, int(sent_count), len(messages), ignored, bad)))
        return tuple(tapes)

    def _chosen_symbols(self, symbols: Sequence[str], names: Iterable[Name]) -> list[str]:
        """Choose the symbols to make tapes of; FeedUnavailable where the one asked for is missing."""
        symbol = self.options.symbol
        if symbol is None:
            return list(symbols)
        if symbol in symbols:
            return [symbol]
        remedy = listing("symbols", symbols)
        if {name.of for name in names} <= {"key", "venue", ""}:
            remedy += ": its keys; where they are no symbols, send it as a header or in the rows"
        raise FeedUnavailable(f"no message of symbol {quoted(symbol)}", self.address.place, remedy)

    def _no_message(self, blocks: Sequence[ForeignBlock], bad: int) -> FeedCorrupt:
        """Say why there is no message to make a tape of."""
        left_out = {
            "were aborted with their transactions": sum(block.aborted for block in blocks),
            "are tombstones": sum(block.tombstones for block in blocks),
            "are malformed": bad,
        }
        if any(left_out.values()):
            what = ", ".join(f"{count} {how}" for how, count in left_out.items() if count)
            what = f"it holds no quotes: {what.replace(' ', ' messages ', 1)}"
            return FeedCorrupt(what, self.address.place, "send them again")
        return FeedCorrupt("the topic holds no message without headers", self.address.place, "leave feed.foreign out")

    def _provenance(
        self,
        tape: Tape,
        blocks: Sequence[ForeignBlock],
        sent: int,
        distinct: int,
        ignored: dict[str, int],
        bad: tuple[BadMessage, ...],
    ) -> Provenance:
        notes = [NOTE]
        headed = sum(block.headed for block in blocks)
        if headed:
            notes.append(f"{headed} messages of replays were left out")
        if ignored["aborted"]:
            notes.append(f"{ignored['aborted']} messages of aborted transactions were left out")
        if self.open:
            notes.append(f"{self.open} offsets from an open transaction on were not read")
        return Provenance(
            source="kafka",
            place=self.address.place,
            digest=tape.digest(),
            snapshots=tape.snapshots,
            rows=tape.rows,
            trades=len(tape.trades.ts),
            topic=self.address.topic,
            partitions=spans(self.ranges),
            messages=distinct,
            resent=sent - distinct,
            empty=sum(block.empty for block in blocks),
            bad=bad,
            ignored={reason: count for reason, count in ignored.items() if count},
            notes=tuple(notes),
        )


def _indices_of(names: Iterable[Name], index: dict[Name, int]) -> Int64:
    """Indices of a block's names among all names; new ones are appended."""
    return np.array([index.setdefault(name, len(index)) for name in names], np.int64)


def _symbols(names: Iterable[Name]) -> dict[Name, str]:
    """Map the names of a topic to symbols; where every key is its message's venue, keys are no symbols."""
    keys = any(name.of == "key" for name in names)
    return {name: "" if name.of == "venue" and not keys else name.symbol for name in names}


def plan_foreign(source: str, options: ReadOptions) -> ForeignPlan | ShapedPlan:
    """Freeze a topic's offsets, up to the first transaction of each partition that is still open.

    Parameters
    ----------
    source : str
        As `feed.kafka.consumer.plan_replay`.
    options : ReadOptions
        `symbol` says which messages to take, and names the tape where no message has a symbol. `quotes` says which
        field holds what, where messages have not the fields of ours.

    Raises
    ------
    FeedUnavailable
        No broker, or an unknown topic.
    FeedCorrupt
        No message, or none before an open transaction.
    """
    address = parse_address(source, options.access)
    with open_consumer(address) as consumer:
        written = partitions_of(consumer, address)
    with open_consumer(address, committed=True) as consumer:
        stable = partitions_of(consumer, address)
    places = [
        (address, partition, low, min(low + RANGE_OFFSETS, last), options)
        for partition, (first, last) in stable.items()
        for low in range(first, last, RANGE_OFFSETS)
    ]
    held_up = sum(max(end - stable[partition][1], 0) for partition, (_, end) in written.items() if partition in stable)
    if not places and held_up:
        raise FeedCorrupt(
            f"none of its {held_up} offsets can be read: a transaction is open",
            address.place,
            "repeat when it has ended",
        )
    if not places:
        raise FeedCorrupt("the topic holds no message", address.place, "fill it first")
    if (quotes := options.quotes) is not None and quotes.names_columns:
        from feed.kafka.foreign_shapes import ShapedPlan, ShapedRange  # which is built on this module

        shaped = tuple(ShapedRange(*place, quotes) for place in places)
        return ShapedPlan(address, shaped, options, quotes, held_up)
    return ForeignPlan(address, tuple(ForeignRange(*place) for place in places), options, held_up)
