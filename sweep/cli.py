"""The command line: ``python -m sweep [run] [--config FILE] [KEY=VALUE ...] [--output DIR]``."""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILED_SOME = 4
INTERRUPTED = 130
BUG = 1

COMMANDS = ("run",)

_EPILOG = """\
examples:
  python -m sweep
      the embedded broker and the synthetic stream, no set-up
  python -m sweep source=kafka://127.0.0.1:9092/quotes order.size=20000
  python -m sweep source=file:day.csv.gz window.start=2024-08-01T13:36:32Z window.end=2024-08-01T13:45:14Z \\
      'grid.theta_queue={start: 0, stop: 0.05, num: 11}'

exit codes: 0 ok; 2 configuration, missing file or no data; 3 the feed is malformed or incomplete; 4 some combinations
failed; 130 interrupted; 143 terminated; 1 a bug
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints repeat no secret."""

    def error(self, message: str) -> NoReturn:
        from feed.console import without_secrets  # not before: --help is to be fast

        super().error(without_secrets(message))


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = _Parser(
        prog="python -m sweep",
        description="Sweep a smart order router's parameters over a quote stream; one JSON document on stdout.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "words", nargs="*", metavar="[run] KEY=VALUE", help="configuration keys, dotted; VALUE is YAML; see README.md"
    )
    parser.add_argument("--config", metavar="FILE", help="a YAML file of the same keys; KEY=VALUE wins over it")
    parser.add_argument("--output", metavar="DIR", help="also write result.json and results.parquet below DIR")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; the process's own by default.
    """
    parser = build_parser()
    arguments = parser.parse_intermixed_args(argv)
    commands = [word for word in arguments.words if "=" not in word]
    words = [word for word in arguments.words if "=" in word]
    if commands not in ([], *([command] for command in COMMANDS)):
        parser.error(f"unknown command {' '.join(commands)!r}: expected run, or KEY=VALUE")
    if arguments.output == "":
        parser.error("--output: expected a folder, but it had nothing")
    if arguments.output is not None:
        words.append(f"output={json.dumps(arguments.output)}")
    try:
        return _guarded(arguments.config, words)
    except KeyboardInterrupt:  # while modules were loaded
        return INTERRUPTED


def _guarded(file: str | None, assignments: list[str]) -> int:
    """Turn what can go wrong into one line on stderr and an exit code."""
    from allocator.errors import AllocatorError
    from feed.console import TERMINATED, Terminated, guard_streams, printable, raise_on_sigterm
    from feed.errors import FeedError
    from sweep.errors import SweepError

    closed = sys.stdout is None
    guard_streams()
    if closed:
        print("error: stdout is closed; give the document somewhere to go", file=sys.stderr)
        return 2
    raise_on_sigterm()
    try:
        return _run(file, assignments)
    except (FeedError, SweepError) as error:
        first, *rest = str(error).splitlines() or [type(error).__name__]
        print(f"error: {printable(first)}", *map(printable, rest), sep="\n", file=sys.stderr)
        return error.exit_code
    except AllocatorError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; nothing was stored", file=sys.stderr)
        return INTERRUPTED
    except Terminated:
        print("terminated; nothing was stored", file=sys.stderr)
        return TERMINATED
    except Exception:  # noqa: BLE001 - the only place that may print a traceback: a bug
        traceback.print_exc()
        print("this is a bug: please report the lines above and the command", file=sys.stderr)
        return BUG


def _print(document: str) -> None:
    """Write the document; a reader that has gone, as in ``| head``, wanted no more of it."""
    from sweep.errors import ConfigError

    try:
        print(document, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ConfigError(f"stdout cannot be written ({error.strerror}); use --output DIR to keep results") from None


def _run(file: str | None, assignments: list[str]) -> int:
    from sweep.config import load_config
    from sweep.output import open_output, write_result
    from sweep.progress import open_progress

    config = load_config(file, assignments)
    folder = None if config.output is None else open_output(config.output)
    from sweep.driver import run

    with open_progress() as progress:
        result = run(config, progress)
        if folder is not None:
            progress.say(f"wrote {write_result(folder, result)}")
        for failure in result.failures:
            progress.say(f"combination {failure.combination} failed: {failure.message}")
            for line in failure.details.splitlines():
                progress.say(line)
    _print(json.dumps(result.document, indent=2, allow_nan=False))
    return FAILED_SOME if result.failures else 0
