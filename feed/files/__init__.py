"""Quotes in files: CSV, DBN and Parquet, here and in S3, read and written.

plan_files : the plan that reads files of this machine.
plan_s3 : the plan that reads objects of a store.
plan_table : the plan that reads a table in memory.
convert, check_place : write tapes to files; refuse a place for them before anything is read.
write_csv : write one tape as CSV.
READER : readers as plug-ins.
ending_of : the ending of a file's name, if it is one that can be read.
propose_mapping : look at a table, and write how it is read.
trusted : bytes of memory that a source of some size may take.
PASSED_OVER : how the note on folders that may not be looked into begins.
"""

from typing import TYPE_CHECKING

from feed.lazy import exports

if TYPE_CHECKING:
    from feed.files.conversion import check_place, convert
    from feed.files.csv_writer import write_csv
    from feed.files.memory import plan_table
    from feed.files.plan import PASSED_OVER, plan_files
    from feed.files.registry import READER, READERS, ending_of, read_file
    from feed.files.s3 import plan_s3
    from feed.files.streams import trusted
    from feed.files.table_reader import propose_mapping
else:
    __getattr__ = exports(  # pyarrow's CSV is loaded for CSV only
        __name__,
        {
            "conversion": ("check_place", "convert"),
            "csv_writer": ("write_csv",),
            "memory": ("plan_table",),
            "plan": ("PASSED_OVER", "plan_files"),
            "registry": ("READER", "READERS", "ending_of", "read_file"),
            "s3": ("plan_s3",),
            "streams": ("trusted",),
            "table_reader": ("propose_mapping",),
        },
    )

__all__ = [
    "PASSED_OVER",
    "READER",
    "READERS",
    "check_place",
    "convert",
    "ending_of",
    "plan_files",
    "plan_s3",
    "plan_table",
    "propose_mapping",
    "read_file",
    "trusted",
    "write_csv",
]
