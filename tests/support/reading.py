"""Memory that reading takes: a file, or a replay whose messages come from a file in place of a broker."""

from __future__ import annotations

import hashlib
import itertools
import json
import pickle
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import pyarrow.parquet  # noqa: F401 - what reading imports is no part of what it takes

from feed.codecs.json_codec import encode_json
from feed.codecs.messages import Record
from feed.kafka import ranges
from feed.kafka.address import Address
from feed.kafka.consumer import RANGE_BYTES, RANGE_ROWS, ReplayPlan
from feed.kafka.headers import EndRecord, Listed, data_headers
from feed.kafka.ranges import KafkaRange
from feed.source import read_source
from feed.tape import QUOTE_DTYPES, TRADE_DTYPES, Tape
from tests.support.footprint import peak_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from feed.kafka.ranges import KafkaBlock

REPLAY = "0" * 32
PLACE = Address(("127.0.0.1:9092",), "quotes")


def bytes_of(tape: Tape) -> int:
    """Bytes of a tape's columns."""
    columns = ((tape, QUOTE_DTYPES), (tape.trades, TRADE_DTYPES))
    return sum(getattr(part, name).nbytes for part, dtypes in columns for name in dtypes)


def replay_of(tape: Tape, values: Iterable[bytes], pieces: int | None = None) -> ReplayPlan:
    """The plan of a tape's messages in one partition; in as many ranges as it is usually cut into, or in `pieces`."""
    hashes, messages, nbytes = hashlib.sha256(), 0, 0
    for value in values:
        hashes.update(hashlib.sha256(value).digest())
        messages, nbytes = messages + 1, nbytes + len(value)
    pieces = pieces or max(-(-nbytes // RANGE_BYTES), -(-tape.rows // RANGE_ROWS))
    listed = Listed(messages, tape.rows + len(tape.trades.ts), nbytes, 0, messages, hashes.hexdigest())
    end = EndRecord(REPLAY, "json", "1.0", messages, tape.digest(), {tape.symbol: tape.digest()}, {0: listed})
    bounds = itertools.pairwise(messages * piece // pieces for piece in range(pieces + 1))
    parts = [KafkaRange(PLACE, 0, low, high, REPLAY, "json", (tape.symbol,), first=not low) for low, high in bounds]
    return ReplayPlan(PLACE, end, tuple(parts), (tape.symbol,))


def blocks_of(plan: ReplayPlan, values: Callable[[int, int], Iterable[bytes]]) -> list[KafkaBlock]:
    """The blocks of a plan; `values` gives the messages of the offsets [start, end)."""
    (symbol,) = plan.symbols

    def records(_consumer: object, _address: object, partition: int, start: int, end: int, **_: object) -> Iterator:
        for offset, value in enumerate(values(start, end), start):
            headers = data_headers(REPLAY, symbol, "json", offset, offset)
            yield Record(partition, offset, value, common=tuple(headers[:-2]), own=tuple(headers[-2:]))

    with patch.multiple(ranges, open_consumer=lambda *_: nullcontext(), records=records):
        return [part.read() for part in plan.ranges]


def write_lines(tape: Tape, path: Path) -> None:
    """Write a tape's messages, a line each, and beside them the plan to read them by."""
    with path.open("wb") as file:
        file.writelines(message.value + b"\n" for message in encode_json(tape))
    with path.open("rb") as file:
        plan = replay_of(tape, (line[:-1] for line in file))
    path.with_suffix(".plan").write_bytes(pickle.dumps(plan))


def read_lines(path: Path) -> Tape:
    """Read such messages: ranges one after the other, then their merge."""
    plan = pickle.loads(path.with_suffix(".plan").read_bytes())  # noqa: S301 - written above
    with path.open("rb") as file:
        blocks = blocks_of(plan, lambda start, end: (line[:-1] for line in itertools.islice(file, end - start)))
    ((tape, _),) = plan.merge(blocks)
    return tape


def growth(read: Callable[[], Tape]) -> dict[str, int | str]:
    """How many bytes this process grows by while it reads a tape: the peak of RSS over RSS before."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # sets the peak back to what is there now
    before = peak_bytes()
    tape = read()
    return {"grown": peak_bytes() - before, "tape": bytes_of(tape), "digest": tape.digest()}


if __name__ == "__main__":
    source = Path(sys.argv[1])
    print(json.dumps(growth(lambda: read_lines(source) if source.suffix == ".lines" else read_source(str(source))[0])))
