"""The command line: ``python -m feed replay | synth | check | convert | venues | broker``."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from feed.access import exposed, parse_words, refuse_literal
from feed.console import Parser, guard_streams, printable, reader_compiles, refused, resembles, waiting, without_secrets
from feed.errors import FeedError, FeedUnavailable
from feed.signals import INTERRUPTED, TERMINATED, Terminated, raise_on_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from feed.options import ReadOptions
    from feed.provenance import Provenance
    from feed.tape import Tape

_PLAIN_SECONDS = 2.0
_SETTING = re.compile(r"kafka\.[\w.-]*(=|passw)|(feed\.\w+|quotes(\.\w+)?|symbol|replay|venues)=")
"""A setting; also one without its =, where a password may follow."""
_KEY = re.compile(r"([A-Za-z_][\w.]{0,79})=")
_FOLDED = re.compile(r"(symbol|replay|venues)=[^/]*/")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; by default those of the process.

    Returns
    -------
    int
        0 ok, 2 usage or nothing to read, 3 the feed is malformed or incomplete, 130 interrupted, 143 terminated.
    """
    guard_streams()
    try:
        try:
            words, settings = _split(sys.argv[1:] if argv is None else argv)
            arguments = build_parser().parse_args(words)
            arguments.settings = settings
            if settings and arguments.run not in {_replay, _check, _replays, _convert, _map}:
                raise FeedUnavailable("this command reads no topic, so settings of a source do nothing")
        except SystemExit:
            _answer("", end="")  # flushes what --help printed
            raise
        except OSError as error:
            _unwritten(error)
        raise_on_signals()
        code: int = arguments.run(arguments)
    except FeedError as error:
        _tell(f"error: {printable(str(error))}")
        return error.exit_code
    except KeyboardInterrupt:
        _tell("interrupted")
        return INTERRUPTED
    except Terminated:
        _tell("terminated")
        return TERMINATED
    except BrokenPipeError:
        # The reader of our output has closed it.
        return 0
    except Exception as error:
        if (message := refused(error)) is None:
            raise
        _tell(f"error: {printable(message)}")
        return FeedUnavailable.exit_code
    return code


def _answer(text: str, end: str = "\n") -> None:
    """Print to stdout at once, so that a failed write is an error here and not when the interpreter exits."""
    try:
        print(text, end=end, flush=True)
    except OSError as error:
        _unwritten(error)


def _unwritten(error: OSError) -> NoReturn:
    """Give up on stdout, and say why; that its reader has closed it is raised as it is."""
    _drop(sys.stdout)
    if isinstance(error, BrokenPipeError):
        raise error
    raise FeedUnavailable(f"stdout cannot be written: {error.strerror or error}") from error


def _tell(text: str) -> None:
    """Print to stderr; where that fails, go on without it."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        _drop(sys.stderr)


def _drop(stream: TextIO) -> None:
    """Redirect a stream to nowhere, or the interpreter flushes it again at exit and fails."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError):  # a stream without a file
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


class _Version(argparse.Action):
    """Prints the version, looked up only when asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_arguments: object) -> None:
        from importlib import metadata

        print(f"sor-feed {metadata.version('sor-sweep')}")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line, for words without settings of a source."""
    source = "a file, directory or glob, s3://BUCKET/KEY, or kafka://HOST:PORT[,HOST:PORT]/TOPIC[?api_version=X.Y]"
    parser = Parser(
        prog="python -m feed",
        description="Quotes in: replay, make, check, map, convert, record, serve them.",
        epilog="KEY=VALUE, anywhere, as in the sweep: symbol, replay, venues, quotes.* and feed.* say what to read, "
        "kafka.* how a broker lets us in (kafka.security_protocol=SASL_SSL)",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="say the version")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    replay = commands.add_parser("replay", help="send quotes into a Kafka topic", description="Send quotes into Kafka.")
    replay.add_argument("source", metavar="SOURCE", help=source)
    replay.add_argument("address", metavar="kafka://HOST:PORT/TOPIC", help="the topic to fill")
    replay.add_argument(
        "--speed", type=float, default=0.0, metavar="X", help="recorded gaps divided by X; 0 = as fast as it goes"
    )
    replay.add_argument("--start", type=_instant, metavar="ISO", help="first instant, such as 2024-08-01T13:36:32Z")
    replay.add_argument("--end", type=_instant, metavar="ISO", help="last instant, included")
    replay.add_argument(
        "--codec", default="json", help="how messages are written: json, arrow or a plug-in's (default %(default)s)"
    )
    replay.add_argument(
        "--partition",
        default="symbol",
        help="where messages go: symbol, those of one symbol to one partition; spread, in turn (default %(default)s)",
    )
    replay.add_argument("--replay", metavar="ID", help="what the replay is called (default: time and random digits)")
    replay.set_defaults(run=_replay)

    synth = commands.add_parser("synth", help="write a synthetic stream", description="Write a synthetic stream.")
    synth.add_argument("path", metavar="OUT.csv.gz", help="the file to write")
    synth.add_argument("--seed", type=_seed, metavar="N", help="the same seed writes the same stream")
    synth.add_argument("--minutes", type=_positive, default=8.7, metavar="M", help="length (default %(default)s)")
    synth.add_argument("--venues", type=int, default=5, metavar="V", help="how many venues (default %(default)s)")
    synth.add_argument("--levels", type=int, default=10, metavar="N", help="of a side (default %(default)s)")
    synth.set_defaults(run=_synth)

    check = commands.add_parser("check", help="count what is wrong with quotes", description="Check quotes.")
    check.add_argument("source", metavar="SOURCE", help=source)
    check.add_argument("--json", action="store_true", help="the counts as JSON")
    check.set_defaults(run=_check)

    replays = commands.add_parser("replays", help="list the replays of a topic", description="List replays.")
    replays.add_argument("source", metavar="kafka://HOST:PORT/TOPIC", help="the topic")
    replays.add_argument("--json", action="store_true", help="the list as JSON")
    replays.set_defaults(run=_replays)

    convert = commands.add_parser(
        "convert", help="write quotes to files", description="Write quotes to files, and prove what was written."
    )
    convert.add_argument("source", metavar="IN", help=source)
    convert.add_argument(
        "out",
        metavar="OUT",
        help="a file that ends in .csv, .csv.gz, .csv.zst, .parquet, .dbn or .dbn.zst, or a directory: "
        "one file per symbol and date",
    )
    convert.add_argument(
        "--ending", default=".parquet", metavar=".EXT", help="of the files in a directory (default %(default)s)"
    )
    convert.add_argument("--force", action="store_true", help="replace files that are there")
    convert.set_defaults(run=_convert)

    mapping = commands.add_parser(
        "map",
        help="propose how a table of yours is read",
        description="Look at a table, CSV or Parquet, and write the section quotes of a configuration: which column "
        "holds what, in which unit, and why. What two readings fit is asked, not guessed.",
    )
    mapping.add_argument("source", metavar="FILE", help="a CSV or Parquet file")
    mapping.add_argument("--output", metavar="YAML", help="write it there (default: stdout)")
    mapping.set_defaults(run=_map)

    venues = commands.add_parser(
        "venues", help="list venues: ids, MICs, letters, dates", description="List venues, or the one that TEXT names."
    )
    venues.add_argument("text", metavar="TEXT", nargs="?", help="an id, a MIC, a name or a letter (default: all)")
    venues.add_argument("--date", metavar="ISO", help="only those that may have quotes on this day, such as 2018-01-02")
    venues.add_argument("--json", action="store_true", help="the table as JSON, with sources")
    venues.add_argument("-v", "--verbose", action="store_true", help="with other names, notes and sources")
    venues.set_defaults(run=_venues)

    record = commands.add_parser(
        "record",
        help="record order books of crypto exchanges",
        description="Poll order books through ccxt, and write them as tardis.dev's incremental_book_L2, until ctrl-C.",
    )
    record.add_argument("path", metavar="OUT.csv.gz", help="the file to write, .csv or .csv.gz")
    record.add_argument("markets", metavar="EXCHANGE:SYMBOL", nargs="+", help="such as binance:BTC/USDT")
    record.add_argument("--seconds", type=_positive, metavar="S", help="how long (default: until ctrl-C)")
    record.add_argument(
        "--every", type=_positive, default=1.0, metavar="S", help="seconds between two questions (default %(default)s)"
    )
    record.add_argument(
        "--levels", type=int, default=20, metavar="N", help="of a side to ask for (default %(default)s)"
    )
    record.set_defaults(run=_record)

    broker = commands.add_parser(
        "broker", help="run the embedded broker until ctrl-C", description="Run the embedded Kafka broker on loopback."
    )
    broker.add_argument(
        "--port",
        type=int,
        default=0,
        metavar="P",
        help="the port of 127.0.0.1 that clients are given (default: a free one)",
    )
    broker.set_defaults(run=_broker)
    return parser


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate the settings, wherever they stand, from the other words: argparse wants those side by side."""
    settings = [word for word in words if _is_setting(word)]
    for word in settings:
        refuse_literal(word.partition("=")[0])  # before any complaint about other words
    return [word for word in words if word not in settings], settings


def _is_setting(word: str) -> bool:
    """Whether a word is KEY=VALUE with a known or mistyped key, and not a path, for which argparse would take it."""
    if _SETTING.match(word):  # BRK/B is a symbol, AAPL/*.csv is not
        return not (_FOLDED.match(word) and _names_files(word))
    if (match := _KEY.match(word)) is None or "/" in word or _names_files(word) or Path(word).exists():
        return False
    from feed.options import WORDS

    return match[1].startswith("quotes.") or resembles(match[1], WORDS)


def _names_files(word: str) -> bool:
    from feed.files import ending_of

    return word.endswith("/") or "*" in word or "?" in word or ending_of(word) is not None


def _options(arguments: argparse.Namespace) -> ReadOptions:
    """Read the settings: access to the broker of the source or the topic, and what to read of the source."""
    from feed.options import options_of

    access = parse_words([word for word in arguments.settings if word.startswith("kafka.")])
    for line in exposed(access):
        _tell(f"warning: {printable(line)}")
    return options_of([word for word in arguments.settings if not word.startswith("kafka.")], access)


def _read(arguments: argparse.Namespace, options: ReadOptions) -> tuple[tuple[Tape, Provenance], ...]:
    """Read the source; report a long wait, and what was passed over."""
    from feed.files import PASSED_OVER
    from feed.source import read_tapes

    def what() -> str:
        place = printable(without_secrets(arguments.source))
        return f"{f'a complete replay at {place}' if options.wait else f'{place} is read'}{reader_compiles()}"

    with waiting(_tell, what):
        tapes = read_tapes(arguments.source, options)
    for note in dict.fromkeys(
        note for _, provenance in tapes for note in provenance.notes if note.startswith(PASSED_OVER)
    ):
        _tell(f"warning: {printable(note)}")
    return tapes


def _instant(text: str) -> int:
    from feed.instants import parse_instant

    try:
        return parse_instant(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _positive(text: str) -> float:
    with suppress(ValueError):
        if 0 < (number := float(text)) < float("inf"):
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")


def _seed(text: str) -> int:
    with suppress(ValueError):
        if (number := int(text)) >= 0:
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 on")


def _replay(arguments: argparse.Namespace) -> int:
    from feed.kafka import check_fit, parse_address, replay, settings_of
    from feed.source import inside, select

    _refuse_reversed(arguments.start, arguments.end)
    options = _options(arguments)
    address = parse_address(arguments.address, options.access)
    # Checked before a long file is read: a broker may be missing, or its topic may not keep the replay.
    if (settings := settings_of(address)) is not None:
        check_fit(settings, address)
    window = arguments.start, arguments.end
    tapes = [select(*pair, *window)[0] for pair in inside(_read(arguments, options), *window)]
    with _progress(tapes) as advance:
        replayed = replay(
            tapes,
            address,
            speed=arguments.speed,
            codec=arguments.codec,
            partition=arguments.partition,
            replay_id=arguments.replay,
            on_progress=advance,
            on_note=lambda line: _tell(f"warning: {printable(line)}"),
        )
    snapshots = sum(tape.snapshots for tape in tapes)
    more = {"snapshots": snapshots, "depth": max(tape.depth for tape in tapes), "seconds": round(replayed.seconds, 3)}
    _answer(json.dumps(asdict(replayed) | more))
    return 0


def _refuse_reversed(start: int | None, end: int | None) -> None:
    from feed.instants import format_instant

    if start is not None and end is not None and start > end:
        instants = f"{format_instant(start)} and {format_instant(end)}"
        raise FeedUnavailable(f"--start is after --end: {instants}; exchange the two")


@contextmanager
def _progress(tapes: Sequence[Tape]) -> Iterator[Callable[[int, int], None]]:
    """Show the progress of a replay on stderr: a bar on a terminal, else a line now and then."""
    first, last = min(tape.span[0] for tape in tapes), max(tape.span[1] for tape in tapes)
    span = max(last - first, 1)
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = TextColumn("replay"), BarColumn(), TextColumn("{task.fields[sent]} messages"), TimeRemainingColumn()
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("replay", total=span, sent=0)
            shown = 0.0

            def draw(sent: int, ts: int) -> None:
                nonlocal shown
                if (now := time.monotonic()) - shown > 0.1 or ts == last:
                    shown = now
                    bar.update(task, completed=ts - first, sent=sent)

            yield draw
        return
    began = reported_at = time.monotonic()

    def say(sent: int, ts: int) -> None:
        nonlocal reported_at
        if (now := time.monotonic()) - reported_at > _PLAIN_SECONDS or ts == last:
            reported_at = now
            _tell(f"replay: {sent} messages, {100 * (ts - first) / span:.0f} %, {now - began:.1f} s")

    yield say


def _synth(arguments: argparse.Namespace) -> int:
    from feed import synthetic
    from feed.files import write_csv

    seed = synthetic.SEED if arguments.seed is None else arguments.seed
    try:
        seconds = round(arguments.minutes * 60)
        tape = synthetic.generate(seed=seed, seconds=seconds, venues=arguments.venues, levels=arguments.levels)
    except ValueError as error:
        raise FeedUnavailable(f"no such stream: {error}") from error
    try:
        write_csv(tape, Path(arguments.path))
    except OSError as error:
        raise FeedUnavailable(f"cannot be written: {error.strerror or error}", arguments.path) from error
    _tell(f"{arguments.path}: {tape.rows} rows, {len(tape.trades.ts)} trades, {tape.depth} levels, seed {seed}")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from feed.quality import check, render

    tapes = _read(arguments, _options(arguments))
    with waiting(_tell, lambda: f"{len(tapes):,} tapes are checked"):
        results = [(check(tape), provenance) for tape, provenance in tapes]
    if arguments.json:
        answers: list[dict[str, Any]] = [
            {"feed": provenance.to_dict(), "quality": quality.to_dict()} for quality, provenance in results
        ]
        _answer(json.dumps(answers[0] if len(answers) == 1 else {"tapes": answers}))
    else:
        _answer("\n\n".join(render(quality, provenance) for quality, provenance in results))
    return 3 if any(quality.errors for quality, _ in results) else 0


def _replays(arguments: argparse.Namespace) -> int:
    from feed.kafka import list_replays, render

    with waiting(_tell, lambda: f"{printable(without_secrets(arguments.source))} is looked through"):
        replays, bare = list_replays(arguments.source, _options(arguments))
    if arguments.json:
        _answer(json.dumps({"replays": [each.to_dict() for each in replays], "bare": bare}))
    else:
        _answer(render(replays, bare))
    return 0


def _convert(arguments: argparse.Namespace) -> int:
    from feed.files import check_place, convert

    check_place(arguments.out, arguments.ending, force=arguments.force)
    tapes = [tape for tape, _ in _read(arguments, _options(arguments))]
    with waiting(_tell, lambda: f"{printable(arguments.out)} is written, and read back"):
        written = convert(tapes, arguments.out, arguments.ending, force=arguments.force)
    totals = {name: sum(each[name] for each in written) for name in ("rows", "trades", "bytes")}
    _answer(json.dumps(written[0] if len(written) == 1 else totals | {"tapes": written}))
    return 0


def _map(arguments: argparse.Namespace) -> int:
    from feed.files import propose_mapping

    text = propose_mapping(arguments.source, arguments.settings)
    if arguments.output is None:
        _answer(text, end="")
        return 0
    try:
        Path(arguments.output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise FeedUnavailable(f"cannot be written: {error.strerror or error}", arguments.output) from error
    _tell(f"{printable(arguments.output)}: read it, then python -m sweep --config {printable(arguments.output)}")
    return 0


def _venues(arguments: argparse.Namespace) -> int:
    from feed.markets import as_dict, choose_venues, render_venues

    venues = choose_venues(arguments.text, arguments.date)
    if arguments.json:
        _answer(json.dumps({"venues": [as_dict(each) for each in venues]}))
    else:
        _answer(render_venues(venues, verbose=arguments.verbose))
    return 0


def _record(arguments: argparse.Namespace) -> int:
    from feed.recording import Recorder, market_of, record

    markets = [market_of(text) for text in arguments.markets]
    recorder = Recorder(Path(arguments.path), arguments.levels, tell=_tell)
    try:
        record(recorder, markets, arguments.every, arguments.seconds)
    finally:
        recorder.close()
        for each in markets:
            _tell(f"{each.name}: {each.polls} books, {each.rows} rows, {each.errors} errors")
    return 0


def _broker(arguments: argparse.Namespace) -> int:
    from feed.kafka import EmbeddedBroker

    with EmbeddedBroker(arguments.port) as broker:
        _answer(broker.source())
        _tell("embedded broker, in memory, 5 MiB per partition; ctrl-C ends it")
        threading.Event().wait()
    return 0
