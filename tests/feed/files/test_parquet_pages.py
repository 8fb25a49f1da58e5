"""What the pages of a Parquet file say of themselves: the sum that an honest footer has too, of what is there."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feed.errors import FeedCorrupt
from feed.files import parquet_pages
from feed.files.parquet_pages import page_bytes

NAMES = ("ts", "px", "symbol")


def written(path, rows=5000, **how):
    columns = {
        "ts": np.arange(rows) * 7,
        "px": np.arange(rows) % 11,
        "symbol": [f"S{row % 3}" for row in range(rows)],
        "left_out": np.arange(rows),
    }
    pq.write_table(pa.table(columns), path, **how)
    return pq.read_metadata(path)


@pytest.mark.parametrize("compression", ["none", "zstd", "gzip", "snappy", "lz4"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("use_dictionary", [True, False])
def test_they_are_what_an_honest_footer_says_but_for_the_headers(tmp_path, compression, version, use_dictionary):
    how = {"data_page_version": version, "use_dictionary": use_dictionary, "write_page_checksum": True}
    footer = written(path := tmp_path / "a.parquet", compression=compression, row_group_size=2000, **how)
    sizes = list(page_bytes(path, footer, NAMES))
    assert [(group, name) for group, name, _, _ in sizes] == [(group, name) for group in range(3) for name in NAMES]
    for group, name, nbytes, values in sizes:
        assert values == footer.row_group(group).num_rows
        column = footer.row_group(group).column(("ts", "px", "symbol").index(name))
        assert column.total_uncompressed_size - 200 < nbytes < column.total_uncompressed_size


def test_many_pages_are_added_up(tmp_path):
    footer = written(path := tmp_path / "a.parquet", data_page_size=100, write_batch_size=10, use_dictionary=False)
    ((_, _, nbytes, values),) = page_bytes(path, footer, ["ts"])
    assert values == 5000
    assert 5000 * 8 < nbytes < footer.row_group(0).column(0).total_uncompressed_size - 500 * 10


@pytest.mark.parametrize("rows", [0, 1])
def test_nothing_and_next_to_nothing(tmp_path, rows):
    footer = written(path := tmp_path / "a.parquet", rows)
    assert len(list(page_bytes(path, footer, NAMES))) == rows * len(NAMES)


@pytest.mark.parametrize("byte", [0x00, 0xFF, 0x1C, 0x19, 0x15, 0x18, 0x2C])
def test_what_is_no_header_is_damage(tmp_path, byte):
    footer = written(path := tmp_path / "a.parquet", use_dictionary=False)
    whole = bytearray(path.read_bytes())
    at = footer.row_group(0).column(0).data_page_offset
    whole[at : at + 40] = bytes([byte]) * 40
    path.write_bytes(whole)
    with pytest.raises(
        FeedCorrupt, match=r"a.parquet: the file is damaged: a page has no whole header; copy or export"
    ):
        list(page_bytes(path, footer, NAMES))


def test_a_file_that_ends_in_a_header_is_damaged(tmp_path):
    footer = written(path := tmp_path / "a.parquet", use_dictionary=False)
    path.write_bytes(path.read_bytes()[: footer.row_group(0).column(0).data_page_offset + 3])
    with pytest.raises(FeedCorrupt, match="a page has no whole header"):
        list(page_bytes(path, footer, NAMES))


class Again:
    """A footer whose row groups are all the first one."""

    num_row_groups = 10_000

    def __init__(self, footer):
        self.row_group = lambda _: footer.row_group(0)


def test_pages_that_many_columns_share_are_not_looked_at_for_ever(tmp_path, monkeypatch):
    footer = written(path := tmp_path / "a.parquet", data_page_size=100, write_batch_size=10, use_dictionary=False)
    looked = []
    struct = parquet_pages._struct
    monkeypatch.setattr(parquet_pages, "_struct", lambda *given: looked.append(1) or struct(*given))
    with pytest.raises(FeedCorrupt, match="the file is damaged"):
        list(page_bytes(path, Again(footer), NAMES))
    assert len(looked) < 10_000
