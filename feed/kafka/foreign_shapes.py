"""Topics of others in JSON of any shape: which field holds what is said by a mapping, as of a table.

All that `feed.kafka.foreign` says of such topics holds here. Of messages with the same bytes only the first counts
where they number themselves (`quotes.sequence`): without, a market that went there and back would lose its last state.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from feed.codecs import REFUSALS, Fields, MissingField, batches, names_in, too_large
from feed.console import listing, quoted
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.kafka.bounded_read import STALL_SECONDS, records
from feed.kafka.client import open_consumer
from feed.kafka.foreign import NOTE, SYMBOLS, Seen, without_headers
from feed.kafka.foreign_symbols import of_key, outside
from feed.kafka.tolerance import Tolerance, spans, tolerated
from feed.provenance import BadMessage, Provenance
from feed.tables import ArrowBlock, Mapper
from feed.tape import SYMBOL_BYTES, UNNAMED, Tape, by_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feed.codecs import Record
    from feed.kafka.address import Address
    from feed.options import ReadOptions
    from feed.plan import TapeSpan
    from feed.tables import QuoteMapping
    from feed.tape import Int64

KEY, TIMESTAMP, HEADER = "kafka.key", "kafka.timestamp", "kafka.header."
"""Names of columns that are not in a message's value: its key as text, its time in Kafka in ms since 1970, a header."""

_FEW = 2
"""Keys that are remembered: of more it is only said that there are several."""


@dataclass(frozen=True, slots=True, eq=False)
class ShapedBlock:
    """Content of one range: M messages.

    Attributes
    ----------
    columns : dict of str to (N, ...) arrays
        Rows as `feed.tables.Mapper` keeps them, codes by `symbols`; empty where there are none.
    symbols : tuple of str
    counts : (M,) int64
        Rows of each message.
    hashes : bytes
        SHA-256, 32 bytes, of each message and what names its symbol.
    flags : dict of str to bool, int or str
        What the mapper noticed of all rows.
    keys : frozenset of str
        Symbols that keys or headers may name, up to `_FEW`, where the mapping names no column of symbols.
    present : frozenset of str
        Columns that any message had.
    names : tuple of str
        Of the fields of the first message.
    left_out : Counter of str
        Rows left out, by reason.
    bad : tuple of BadMessage
    nbytes, empty : int
        Bytes of the values; offsets without a record.
    seen : Seen
    """

    columns: dict[str, Any]
    symbols: tuple[str, ...]
    counts: Int64
    hashes: bytes
    flags: dict[str, Any]
    keys: frozenset[str]
    present: frozenset[str]
    names: tuple[str, ...]
    left_out: Counter[str]
    bad: tuple[BadMessage, ...]
    nbytes: int
    empty: int
    seen: Seen


@dataclass(slots=True)
class _Rows:
    """Rows of a range while it is read."""

    parts: list[dict[str, Any]] = field(default_factory=list)
    symbols: dict[str, int] = field(default_factory=dict)
    flags: dict[str, Any] = field(default_factory=dict)
    counts: list[int] = field(default_factory=list)
    hashes: bytearray = field(default_factory=bytearray)
    nbytes: int = 0

    def add(self, mapper: Mapper) -> None:
        """Add what a mapper took, by our own codes of symbols."""
        ours = np.array([self.symbols.setdefault(name, len(self.symbols)) for name in mapper.symbols], np.int64)
        part = mapper.give()
        if part:
            part["code"] = ours[part["code"]] if len(ours) else np.zeros(len(part["ts"]), np.int64)
            self.nbytes += sum(column.nbytes for column in part.values())
            self.parts.append(part)
        self.flags = _both(self.flags, _flags_of(mapper))


def _flags_of(mapper: Mapper) -> dict[str, Any]:
    names = ("negative", "first_negative", "fractions", "priced", "floats")
    return {name: getattr(mapper, name) for name in names}


def _both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What was noticed of two sets of rows."""
    joined = {name: one.get(name, value) or value for name, value in other.items()}
    return joined | {"negative": one.get("negative", 0) + other["negative"]}


@dataclass(frozen=True, slots=True)
class ShapedRange:
    """Offsets [start, end) of a partition; reading them is a pure function of these fields."""

    address: Address
    partition: int
    start: int
    end: int
    options: ReadOptions
    quotes: QuoteMapping

    def read(self) -> ShapedBlock:
        """Read, decode and map what carries no headers of a replay.

        Raises
        ------
        FeedUnavailable
            The mapping does not fit: a unit in doubt, an unknown venue, too many symbols.
        FeedError
            As `feed.kafka.ranges.KafkaRange.read`.
        """
        options, seen, kept, nbytes = self.options, Seen(), _Rows(), 0
        tolerance, keys, names = Tolerance(options.max_bad), set[str](), list[str]()
        inside, beside = columns_of(self.quotes)
        columns = [*inside, *beside]
        fields = Fields(inside, {name for _, px, sz in self.quotes.quoted for name in (*px, *sz)})
        left_out: Counter[str] = Counter()
        at = None if self.quotes.symbol is None else columns.index(self.quotes.symbol)
        with open_consumer(self.address, STALL_SECONDS, committed=True) as consumer:
            raw = records(
                consumer,
                self.address,
                self.partition,
                self.start,
                self.end,
                deadline=options.deadline,
                max_bytes=options.max_bytes,
            )
            for batch in batches(without_headers(raw, seen)):
                nbytes += sum(len(record.value) for record in batch)
                names = names or (names_in(batch[0].value) if batch else [])
                if self.quotes.symbol is None:
                    keys.update(_names_of(batch) if len(keys) <= _FEW else ())
                rows = [(record, self._rows(record, fields, beside, at, tolerance, left_out)) for record in batch]
                self._map(
                    rows, columns, tolerance, kept, fields.present | {each for each in columns if _is_outside(each)}
                )
                if kept.nbytes > options.max_bytes:
                    raise too_large(batch[-1], options.max_bytes)
        if fields.others:
            left_out["no_quote"] += fields.others
        joined = {name: np.concatenate([part[name] for part in kept.parts]) for name in (kept.parts or [{}])[0]}
        return ShapedBlock(
            joined,
            tuple(kept.symbols),
            np.array(kept.counts, np.int64),
            bytes(kept.hashes),
            kept.flags,
            frozenset(keys - {""}),
            frozenset(fields.present).union(beside),
            tuple(names),
            left_out,
            tolerance.bad,
            nbytes,
            self.end - self.start - seen.records,
            seen,
        )

    def _rows(
        self,
        record: Record,
        fields: Fields,
        beside: Sequence[str],
        at: int | None,
        tolerance: Tolerance,
        left_out: Counter[str],
    ) -> list[list[str | None]]:
        """Rows of a message, but for those of other symbols, whose column is at `at`; none where it is put aside."""
        try:
            rows = fields.rows(record.value)
            if beside:
                own = [_outside(record, name) for name in beside]
                for row in rows:
                    row.extend(own)
            if at is not None:
                for row in rows:
                    _check_symbol(row[at])
        except MissingField as error:
            if error.name not in fields.present:
                raise _no_field(error.name, record, self.address.place) from None
            tolerance.refuse(record, str(error))
            return []
        except REFUSALS as error:
            tolerance.refuse(record, str(error))
            return []
        if at is None or self.options.symbol is None:
            return rows
        asked = [row for row in rows if (row[at] or UNNAMED) == self.options.symbol]
        left_out["other_symbol"] += len(rows) - len(asked)
        return asked

    def _map(
        self,
        rows: list[tuple[Record, list[list[str | None]]]],
        columns: Sequence[str],
        tolerance: Tolerance,
        kept: _Rows,
        present: set[str],
    ) -> None:
        """Map the rows of a batch; a message with a value that cannot be read is put aside, with all its rows."""
        rows = [(record, own) for record, own in rows if own]
        while rows:
            owners = np.repeat(np.arange(len(rows)), [len(own) for _, own in rows])
            asked: list[int] = []

            def place(row: int, owners: Int64 = owners, asked: list[int] = asked, rows: Any = rows) -> str:  # noqa: ANN401
                asked.append(int(owners[row]))
                return f"partition {self.partition}, offset {rows[asked[-1]][0].offset}"

            mapper = Mapper(self.quotes, self.address.place, place, depth=self.options.depth or 1)
            texts = zip(*(row for _, own in rows for row in own), strict=True)
            table = pa.table({name: pa.array(each, pa.string()) for name, each in zip(columns, texts, strict=True)})
            try:
                mapper.take(ArrowBlock.of(table, 0, self.quotes, mapper.where, place))
            except FeedCorrupt as error:
                record, _ = rows.pop(asked[-1])
                reason = error.what.partition(", column ")[2]
                if (name := next((each for each in columns if reason.startswith(f"{each}: ")), "")) not in present:
                    raise _no_field(name, record, self.address.place) from None
                tolerance.refuse(record, f"column {reason}")
                continue
            if len({*mapper.symbols, *kept.symbols}) > SYMBOLS:
                raise _too_many(self.address)
            kept.add(mapper)
            kept.counts += [len(own) for _, own in rows]
            for record, _ in rows:
                named = _outside(record, self.quotes.symbol) if _is_outside(self.quotes.symbol or "") else ""
                kept.hashes += hashlib.sha256(b"%s\0%s" % ((named or "").encode(), record.value)).digest()
            return


def _no_field(name: str, record: Record, place: str) -> FeedUnavailable:
    """Say which field no message has so far."""
    return FeedUnavailable(
        f"no message so far has the field {quoted(name)}: partition {record.partition}, offset {record.offset}",
        place,
        listing("fields", set(names_in(record.value))),
    )


def columns_of(quotes: QuoteMapping) -> tuple[list[str], list[str]]:
    """Every column that a mapping reads, that of dates included: fields of values, and what lies beside these."""
    own = [] if quotes.date is None or _is_date(quotes.date) else [quotes.date]
    columns = list(dict.fromkeys([*quotes.columns, *own]))
    return [name for name in columns if not _is_outside(name)], [name for name in columns if _is_outside(name)]


def _names_of(batch: Sequence[Record]) -> set[str]:
    """What headers and keys may name, as `feed.kafka.foreign_symbols` reads them."""
    return {outside(record).symbol for record in batch}


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_outside(name: str) -> bool:
    return name in {KEY, TIMESTAMP} or name.startswith(HEADER)


def _outside(record: Record, name: str | None) -> str | None:
    """What a message carries beside its value; ValueError where that is no text."""
    if name == TIMESTAMP:
        return str(record.timestamp)
    if name == KEY:
        return of_key(record.key).symbol or None
    value = next((each for own, each in reversed(record.headers) if f"{HEADER}{own}" == name), None)
    try:
        return value.decode() if value is not None else None
    except UnicodeDecodeError:
        raise ValueError(f"{name} is no text") from None


def _check_symbol(symbol: str | None) -> None:
    if symbol and (len(symbol.encode()) > SYMBOL_BYTES or not symbol.isprintable()):
        raise ValueError(f"symbol {quoted(symbol)} is not printable text of up to {SYMBOL_BYTES} bytes")


def _too_many(address: Address) -> FeedUnavailable:
    return FeedUnavailable(
        f"its messages name more than {SYMBOLS} symbols", address.place, "name one: symbol=...; is quotes.symbol right?"
    )


@dataclass(frozen=True, slots=True)
class ShapedPlan:
    """All that a topic holds of messages without headers, frozen.

    Attributes
    ----------
    address : Address
    ranges : tuple of ShapedRange
    options : ReadOptions
    quotes : QuoteMapping
    open : int
        Offsets that are not read, from the first open transaction of each partition on.
    """

    address: Address
    ranges: tuple[ShapedRange, ...]
    options: ReadOptions
    quotes: QuoteMapping
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

    def merge(self, blocks: Sequence[ShapedBlock]) -> tuple[tuple[Tape, Provenance], ...]:
        """Join the blocks to a tape for each symbol.

        Raises
        ------
        FeedUnavailable
            The mapping does not fit: fields that no message has, a unit in doubt, keys that may be symbols; no message
            of the symbol asked for.
        FeedCorrupt
            Too many malformed messages in all, too many bytes, or no quote.
        """
        place, quotes = self.address.place, self.quotes
        nbytes = sum(block.nbytes for block in blocks)
        if nbytes > self.options.max_bytes:
            what = f"it holds {nbytes:,} bytes, more than the bound of {self.options.max_bytes:,}"
            raise FeedCorrupt(what, place, "set feed.max_bytes")
        bad = tolerated(blocks, self.options.max_bad)
        self._check_present(blocks)
        keys = frozenset[str]().union(*(block.keys for block in blocks))
        if len(keys) > 1 and self.options.symbol is None:
            some = " and ".join(map(quoted, sorted(keys)[:_FEW]))
            raise FeedUnavailable(
                f"its messages have several keys, such as {some}, and nothing says whether these are symbols",
                place,
                f"set quotes.symbol={KEY}, or the field that names it; symbol=NAME takes all as one",
            )
        mapper = Mapper(quotes, place, str, depth=self.options.depth or 1)
        distinct, sent = self._fill(mapper, blocks)
        mapped = mapper.finish()
        if not mapped.quotes or not len(mapped.codes):
            raise self._no_quote(blocks, len(bad))
        names = mapped.symbols if mapped.named else (self.options.symbol or UNNAMED,)
        ignored = sum((block.left_out for block in blocks), Counter(mapped.ignored))
        ignored |= {
            "aborted": sum(block.seen.aborted for block in blocks),
            "tombstone": sum(block.seen.tombstones for block in blocks),
        }
        notes = (NOTE, *self._notes(blocks, keys), *mapped.notes)
        order, starts = by_label(mapped.codes, len(names))
        tapes = []
        for symbol, low, high in zip(names, starts[:-1], starts[1:], strict=True):
            rows = order[low:high]
            levels = None if mapped.levels is None else {name: each[rows] for name, each in mapped.levels.items()}
            tape = Tape.build(symbol, **{name: each[rows] for name, each in mapped.quotes.items()}, levels=levels)
            provenance = Provenance(
                source="kafka",
                place=place,
                digest=tape.digest(),
                snapshots=tape.snapshots,
                rows=tape.rows,
                trades=0,
                topic=self.address.topic,
                partitions=spans(self.ranges),
                messages=distinct,
                resent=sent - distinct,
                empty=sum(block.empty for block in blocks),
                bad=bad,
                ignored={reason: count for reason, count in ignored.items() if count},
                notes=notes,
            )
            tapes.append((tape, provenance))
        return tuple(tapes)

    def _check_present(self, blocks: Sequence[ShapedBlock]) -> None:
        """Refuse a mapping of fields that no message has."""
        wanted, _ = columns_of(self.quotes)
        missing = [name for name in wanted if not any(name in block.present for block in blocks)]
        names = next((block.names for block in blocks if block.names), ())
        if missing and names and not any(block.columns for block in blocks):
            missing = [name for name in missing if name not in names]
        if missing and names:
            raise FeedUnavailable(
                f"no message has the fields {', '.join(map(quoted, missing))}",
                self.address.place,
                listing("fields", set(names)),
            )

    def _fill(self, mapper: Mapper, blocks: Sequence[ShapedBlock]) -> tuple[int, int]:
        """Give a mapper the rows of all blocks; how many messages count, and how many there are."""
        filled = [block for block in blocks if block.columns]
        counts = np.concatenate([np.zeros(0, np.int64), *(block.counts for block in filled)])
        hashes = np.frombuffer(b"".join(block.hashes for block in filled), "S32")
        first = np.ones(len(counts), np.bool_)
        if self.quotes.sequence is not None and len(counts):
            first = np.zeros(len(counts), np.bool_)
            first[np.unique(hashes, return_index=True)[1]] = True
        keep = np.repeat(first, counts)
        flags: dict[str, Any] = {}
        at = 0
        for block in filled:
            rows = len(block.columns["ts"])
            own, at = keep[at : at + rows], at + rows
            columns = {name: column[own] for name, column in block.columns.items()}
            ours = [mapper.symbols.setdefault(name, len(mapper.symbols)) for name in block.symbols]
            columns["code"] = np.array(ours, np.int64)[columns["code"]] if ours else columns["code"]
            if self.quotes.sequence is None:
                columns["sequence"] = np.arange(mapper.rows, mapper.rows + len(columns["ts"]))
            mapper.rows += len(columns["ts"])
            if self.quotes.symbol is None:
                del columns["code"]
            mapper.add(columns)
            flags = _both(flags, block.flags)
        if len(mapper.symbols) > SYMBOLS:
            raise _too_many(self.address)
        for name, value in flags.items():
            setattr(mapper, name, value)
        return int(first.sum()), len(first)

    def _no_quote(self, blocks: Sequence[ShapedBlock], bad: int) -> FeedUnavailable | FeedCorrupt:
        """Say why there is nothing to make a tape of."""
        left_out = sum((block.left_out for block in blocks), Counter[str]())
        if self.options.symbol is not None and left_out["other_symbol"]:
            what = (
                f"no message of symbol {quoted(self.options.symbol)}; {left_out['other_symbol']:,} rows are of others"
            )
            return FeedUnavailable(what, self.address.place, "is quotes.symbol right?")
        reasons = {
            "are malformed": bad,
            "are of replays": sum(block.seen.headed for block in blocks),
            "were aborted with their transactions": sum(block.seen.aborted for block in blocks),
            "are tombstones": sum(block.seen.tombstones for block in blocks),
        }
        counted = ", ".join(f"{count} messages {how}" for how, count in reasons.items() if count)
        return FeedCorrupt(
            f"it holds no quotes{': ' if counted else ''}{counted}", self.address.place, "does quotes name the fields?"
        )

    def _notes(self, blocks: Sequence[ShapedBlock], keys: frozenset[str]) -> tuple[str, ...]:
        notes = []
        for count, what in (
            (sum(block.seen.headed for block in blocks), "messages of replays were left out"),
            (sum(block.seen.aborted for block in blocks), "messages of aborted transactions were left out"),
            (self.open, "offsets from an open transaction on were not read"),
            (
                sum(block.left_out["no_quote"] for block in blocks),
                "messages or rows have none of the fields of a quote",
            ),
        ):
            if count:
                notes.append(f"{count} {what}")
        if len(keys) > 1:
            notes.append("its keys differ, and were not taken for symbols")
        if self.quotes.sequence is None:
            notes.append("messages number nothing: one that was sent twice counts twice")
            if len({part.partition for part in self.ranges}) > 1:
                notes.append("it has several partitions: what one instant has in two of them is in the order of these")
        return tuple(notes)
