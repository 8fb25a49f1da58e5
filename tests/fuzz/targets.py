"""The fuzzers' targets, by name: valid inputs, changes to them, and what must hold of any input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.fuzz import files, mutations, partition, queues, tables, vendors, wire
from tests.fuzz.oracles import quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from random import Random

    from feed.tape import Tape


@dataclass(frozen=True)
class Target:
    """One reader of bytes from outside.

    Attributes
    ----------
    check : callable
        Input -> whether it was accepted, in whole or in part; any exception that leaves it is a finding.
    valid : callable
        A tape -> inputs made of it, most of which are accepted.
    change : callable
        Input and random numbers -> another input that gets past the parser.
    size : int
        Bytes of an input at most.
    compiled : bool
        By numba: under atheris it is interpreted, so that what is covered can be seen.
    """

    check: Callable[[bytes], bool]
    valid: Callable[[Tape], Iterable[bytes]]
    change: Callable[[bytes, Random], bytes]
    size: int = 8192
    compiled: bool = False


TARGETS = {
    "json": Target(wire.check_json, lambda tape: wire.values_of("json", tape), mutations.change_json),
    "arrow": Target(wire.check_arrow, lambda tape: wire.values_of("arrow", tape), mutations.change_arrow),
    "end": Target(wire.check_end, wire.end_records, mutations.change_json),
    "batch": Target(partition.check_batch, partition.batches_of, partition.change_batch),
    "compressed": Target(partition.check_compressed, partition.compressed_batches, partition.change_compressed),
    "range": Target(partition.check_range, partition.range_programs, mutations.damage, 512),
    "csv": Target(files.check_csv, files.csv_files, mutations.change_csv),
    "plain": Target(files.check_plain, files.csv_files, mutations.change_csv, 4096, compiled=True),
    "gzip": Target(
        files.check_gzip, files.packed_files("gzip"), mutations.change_packed("gzip", mutations.change_csv), 4096
    ),
    "zstd": Target(
        files.check_zstd, files.packed_files("zstd"), mutations.change_packed("zstd", mutations.change_csv), 4096
    ),
    "dbn": Target(files.check_dbn, files.dbn_files, mutations.change_dbn),
    "bbo": Target(files.check_dbn, files.schema_files, mutations.change_dbn),
    "mbo": Target(files.check_orders, files.order_files, mutations.change_dbn, compiled=True),
    "table": Target(tables.check_table, tables.table_files, mutations.change_csv, 4096, compiled=True),
    "parquet": Target(files.check_parquet, files.parquet_files, mutations.change_parquet, 16384),
    "lobster": Target(vendors.check_lobster, vendors.lobster_pairs, vendors.change_pair, 4096, compiled=True),
    "taq": Target(vendors.check_taq, vendors.taq_files, vendors.change_taq),
    "lean": Target(vendors.check_lean, vendors.lean_archives, vendors.change_archive, 4096),
    "tardis": Target(vendors.check_tardis, vendors.tardis_files, vendors.change_lines(","), 4096, compiled=True),
    "queues": Target(queues.check_queues, queues.markets_of, queues.change_market, 513, compiled=True),
}


def accepted(target: Target, data: bytes) -> bool:
    """Hold an input against all that must hold of it; whether it was accepted."""
    with quiet():
        return bool(target.check(data))
