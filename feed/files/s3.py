"""Quotes in S3, ``s3://BUCKET/KEY``: an object, a prefix that ends in ``/``, or a glob of keys.

The plan lists the objects and their sizes; a range copies its object into a temporary file, from which the readers of
files may read it twice or from its end. Credentials come from the environment, the configuration of the AWS tools or
the instance; a place never holds any.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import has_magic
from itertools import takewhile
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from feed.console import listing
from feed.errors import FeedCorrupt, FeedError, FeedUnavailable
from feed.files.plan import FilePlan, known
from feed.files.registry import READER, read_file, reader_of
from feed.files.streams import limits_of, too_large
from feed.options import MAX_BYTES
from feed.plugins import check_same, refusing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from feed.files.fragments import FileBlock
    from feed.files.streams import Limit
    from feed.options import ReadOptions
    from feed.plugins import Plugin
    from feed.tables import QuoteMapping

SCHEME = "s3://"
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
"""Variables that name a store other than Amazon's, the more specific one first."""

REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")

CONNECT_SECONDS = 3
SILENT_SECONDS = 5
"""Seconds without an answer, or without progress, after which to give up."""

ATTEMPTS = 2
MOST = 10_000
"""Objects of one plan."""

CHUNK = 2**22

_CREDENTIALS = "give credentials (AWS_ACCESS_KEY_ID, a profile, an instance role) that may list and read it"
_NETWORK = "check AWS_ENDPOINT_URL, AWS_REGION and the network"
_ANSWERS = {
    "Path does not exist": ("no such object", "check the key"),
    "ACCESS_DENIED": ("access is denied", _CREDENTIALS),
    "INVALID_ACCESS_KEY_ID": ("the access key is not known", _CREDENTIALS),
    "SIGNATURE_DOES_NOT_MATCH": ("the secret key is wrong", _CREDENTIALS),
    "NETWORK_CONNECTION": ("the store cannot be reached, or does not answer", _NETWORK),
}
"""Meaning and remedy of a phrase in the client's message."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where the objects are; each process that reads finds its own credentials.

    Attributes
    ----------
    endpoint : str or None
        ``http://HOST:PORT`` of a store other than Amazon's.
    region : str or None
    """

    endpoint: str | None
    region: str | None

    def open(self) -> Any:  # noqa: ANN401 - pyarrow carries no types
        """Connect, bounded in time and attempts; returns a pyarrow.fs.S3FileSystem."""
        from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

        return S3FileSystem(
            endpoint_override=self.endpoint,
            region=self.region,
            connect_timeout=CONNECT_SECONDS,
            request_timeout=SILENT_SECONDS,
            retry_strategy=AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
        )


@dataclass(frozen=True, slots=True)
class S3Range:
    """One object.

    Attributes
    ----------
    store : Bucket
    key : str
        BUCKET/KEY.
    size : int
        Bytes at the time of the plan.
    symbol : str or None
    max_bytes : int or Share
        As `feed.files.streams.limits_of`.
    depth : int, optional
        Levels of a side at most.
    quotes : QuoteMapping, optional
        What the object does not say itself.
    plugin : Plugin, optional
        Whose reader it takes.
    """

    store: Bucket
    key: str
    size: int
    symbol: str | None
    max_bytes: Limit
    depth: int | None = None
    quotes: QuoteMapping | None = None
    plugin: Plugin | None = None

    def read(self) -> FileBlock:
        """Copy the object and read it.

        Raises
        ------
        FeedError
            As `feed.files.registry.read_file`; FeedUnavailable where the store cannot be reached or the copy finds no
            room; FeedCorrupt where the object has changed since the plan.
        """
        place = SCHEME + self.key
        with refusing(place):
            if self.plugin is not None:
                check_same(READER, self.plugin)
        limit = self.max_bytes if isinstance(self.max_bytes, int) else MAX_BYTES
        if self.size > limit:
            raise too_large(place, limit)
        with TemporaryDirectory(prefix="sor-sweep-") as folder:
            copy = Path(folder, PurePosixPath(self.key).name)  # some layouts are known by their names
            with _refusals_reported(place), copy.open("wb") as file, self._open() as stream:
                copied = 0
                while copied <= self.size and (chunk := stream.read(CHUNK)):
                    copied += file.write(chunk)
            if copied != self.size:
                raise FeedCorrupt(f"it changed while it was read, from {self.size} bytes", place, "repeat")
            try:
                return read_file(copy, self.symbol, self.max_bytes, self.depth, self.quotes)
            except FeedError as error:  # names the object, not the deleted copy
                raise type(error)(error.what, place, error.remedy) from None

    def _open(self) -> Any:  # noqa: ANN401 - as `Bucket.open`
        # by default pyarrow decompresses by the key's ending
        return self.store.open().open_input_stream(self.key, compression=None)


def plan_s3(place: str, options: ReadOptions) -> FilePlan:
    """Freeze the list of objects to read.

    Parameters
    ----------
    place : str
        ``s3://BUCKET/KEY``; KEY may end in ``/``, or hold ``*``, ``?``, ``[...]``, and ``**`` for any folders.
    options : ReadOptions

    Raises
    ------
    FeedUnavailable
        No such bucket or object, no credentials or permission, no answer, or no object with a known ending.
    """
    bucket, _, key = place.removeprefix(SCHEME).partition("/")
    if not place.startswith(SCHEME) or not bucket or has_magic(bucket):
        raise FeedUnavailable("it names no bucket", place, "expected s3://BUCKET/KEY")
    if "@" in bucket or ":" in bucket:  # not shown: it may be a secret
        raise FeedUnavailable(
            "a place holds no credentials", f"{SCHEME}...", "give them by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    if options.replay is not None:
        raise FeedUnavailable("a file holds no replay", place, "leave replay out")
    with _refusals_reported(place):
        store = _store(bucket)
        objects, joined = _objects(store.open(), place, bucket, key)
    if len(objects) > MOST:
        raise FeedUnavailable(f"{len(objects)} objects are more than the {MOST} of one plan", place, "narrow the glob")
    empty = next((path for path, size in objects.items() if not size), None)
    if empty is not None:
        raise FeedUnavailable("the file is empty", SCHEME + empty, "export it again")
    limits, held = limits_of(list(objects.values()), options.of_file)
    ranges = tuple(
        S3Range(
            store, path, size, options.symbol, limit, options.depth, options.quotes, reader_of(path, options.quotes)
        )
        for (path, size), limit in zip(objects.items(), limits, strict=True)
    )
    return FilePlan("s3", place, ranges, options.symbol, joined, held, depth=options.depth)


def _store(bucket: str) -> Bucket:
    """Find the endpoint and region of a bucket."""
    from pyarrow.fs import resolve_s3_region

    endpoint, region = (
        next((os.environ[name] for name in names if os.environ.get(name)), None) for names in (ENDPOINTS, REGIONS)
    )
    if endpoint is None and region is None:
        region = resolve_s3_region(bucket)
    return Bucket(endpoint, region or "us-east-1")


def _objects(files: Any, place: str, bucket: str, key: str) -> tuple[dict[str, int], bool]:  # noqa: ANN401
    """List the objects to read, BUCKET/KEY to bytes, and whether to join them."""
    from pyarrow.fs import FileSelector, FileType

    literal = f"{bucket}/{key}" if key and not key.endswith("/") else None
    entry = None if literal is None else files.get_file_info(literal)
    if entry is not None and entry.type == FileType.File:
        return {entry.path: entry.size}, False
    if entry is not None and entry.type == FileType.NotFound and not has_magic(key):
        folder = f"{bucket}/{key}".rpartition("/")[0]
        siblings = files.get_file_info(FileSelector(folder, allow_not_found=True))
        raise _no_objects(files, place, bucket, "no such object", {info.base_name for info in siblings})
    segments = key.split("/")
    fixed = list(takewhile(lambda segment: not has_magic(segment), segments))
    folder = "/".join([bucket, *fixed]).rstrip("/")
    pattern = segments[len(fixed) :] or ["*"]
    recursive = len(pattern) > 1 or "**" in pattern
    entries = files.get_file_info(FileSelector(folder, recursive=recursive, allow_not_found=True))
    sizes = {info.path: info.size for info in entries if info.type == FileType.File}
    paths = [path for path in sizes if matches(path[len(folder) + 1 :].split("/"), pattern)]
    if not paths:
        raise _no_objects(files, place, bucket, "no object matches", {path[len(folder) + 1 :] for path in sizes})
    return {path: sizes[path] for path in known(place, paths)}, True


def _no_objects(files: Any, place: str, bucket: str, what: str, names: set[str]) -> FeedUnavailable:  # noqa: ANN401
    """List what is there instead; the bucket itself is looked up only now, as that needs a permission of its own."""
    from pyarrow.fs import FileType

    if not names and files.get_file_info(bucket).type == FileType.NotFound:
        return FeedUnavailable("there is no such bucket", place, "check its name, and AWS_ENDPOINT_URL")
    return FeedUnavailable(what, place, listing("objects", names))


def matches(names: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether the folders and the name of a key match a glob; ``**`` stands for any number of folders."""
    if not wanted:
        return not names
    if wanted[0] == "**" and matches(names, wanted[1:] or ["*"]):
        return True
    if not names:
        return False
    if wanted[0] == "**":
        return matches(names[1:], wanted)
    return fnmatchcase(names[0], wanted[0]) and matches(names[1:], wanted[1:])


@contextmanager
def _refusals_reported(place: str) -> Iterator[None]:
    """Turn the client's errors into one line of ours, without secrets."""
    try:
        yield
    except ImportError:
        raise FeedUnavailable("this pyarrow was built without S3", place, "install pyarrow from PyPI") from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise FeedUnavailable("there is no room for a copy of it", place, "set TMPDIR to a larger disk") from None
        message = " ".join(str(error).split())
        for name in SECRETS:
            message = message.replace(os.environ.get(name) or "\0", "...")
        what, remedy = next(
            (answer for mark, answer in _ANSWERS.items() if mark in message), (f"S3 refuses: {message[:300]}", _NETWORK)
        )
        raise FeedUnavailable(what, place, remedy) from None
