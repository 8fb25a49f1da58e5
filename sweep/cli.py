"""The command line: ``python -m sweep [run] [--config FILE] [KEY=VALUE ...] [--output DIR]``, and others."""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sweep.progress import Progress
    from sweep.result import Result

OK = 0
UNUSABLE = 2
DIFFERS = 3
FAILED_SOME = 4
INTERRUPTED = 130
BUG = 1

_EPILOG = """\
commands:
  run [KEY=VALUE ...]          the sweep, which is what stands without a command too; --config, --output, --force
  plan [KEY=VALUE ...]         what it would take, here and on a cluster, and starts none; --config, --prices, --cluster
  resume RUN [KEY=VALUE ...]   run what is missing of DIR/runs/ID
  verify RUN [KEY=VALUE ...]   read its source again, compute its answer and some of its rows again; --sample, --seed

examples:
  python -m sweep
      the embedded broker and the synthetic stream, no set-up
  python -m sweep source=kafka://127.0.0.1:9092/quotes order.size=20000 --output .
  python -m sweep source=file:day.csv.gz window.start=2024-08-01T13:36:32Z window.end=2024-08-01T13:45:14Z \\
      'grid.theta_queue={start: 0, stop: 0.05, num: 11}'
  python -m sweep resume runs/0123456789abcdef

exit codes: 0 ok; 2 configuration, missing file or no data; 3 the feed is malformed or incomplete, what was verified
differs, or workers were lost on the way; 4 some combinations failed; 130 interrupted; 143 terminated; 1 a bug
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
        "words",
        nargs="*",
        metavar="[COMMAND] KEY=VALUE",
        help="configuration keys, dotted; VALUE is YAML; see docs/reference.md",
    )
    parser.add_argument("--config", metavar="FILE", help="a YAML file of the same keys; KEY=VALUE wins over it")
    parser.add_argument(
        "--output", metavar="DIR", help="store the run in DIR/runs/ID, as it goes; a stored one is found"
    )
    parser.add_argument("--force", action="store_true", default=None, help="run anew, whatever is stored")
    parser.add_argument("--prices", metavar="FILE", help="what nodes cost, over the prices of the package")
    parser.add_argument("--cluster", metavar="FILE", help="the nodes there would be (./cluster.yaml, if there is one)")
    parser.add_argument("--sample", metavar="N", type=int, help="rows to compute again (64)")
    parser.add_argument("--seed", metavar="N", type=int, help="which rows those are (drawn)")
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
    words = list(arguments.words)
    named = next((at for at, word in enumerate(words) if "=" not in word), None)
    name = "run" if named is None else words.pop(named)
    if name not in COMMANDS:
        parser.error(f"unknown command {name!r}: expected one of {', '.join(COMMANDS)}, or KEY=VALUE")
    command = COMMANDS[name]
    places = [] if named is None else words[named : named + len(command.places)]  # a path may hold a =
    del words[named or 0 : (named or 0) + len(places)]
    places += [word for word in words if "=" not in word]
    assignments = [word for word in words if "=" in word]
    if len(places) != len(command.places):
        expected = " ".join(command.places) or "nothing but KEY=VALUE"
        parser.error(f"{name}: expected {expected}, but it had {' '.join(places) or 'nothing'}")
    given = {option: value for option, value in vars(arguments).items() if option != "words" and value is not None}
    for option in given:
        if option not in command.options:
            parser.error(f"--{option} is no option of {name}")
    if given.get("output") == "":
        parser.error("--output: expected a folder, but it had nothing")
    if given.get("sample", 1) < 1:
        parser.error("--sample: expected 1 or more")
    if "output" in given:
        assignments.append(f"output={json.dumps(given.pop('output'), ensure_ascii=False)}")
    try:
        return _guarded(lambda: command.do(*places, assignments, **given))
    except KeyboardInterrupt:  # while modules were loaded
        return INTERRUPTED


def _guarded(do: Callable[[], int]) -> int:
    """Turn what can go wrong into one line on stderr and an exit code."""
    from allocator.errors import AllocatorError
    from feed.console import guard_streams, printable, refused
    from feed.errors import FeedError
    from feed.signals import TERMINATED, Terminated, raise_on_signals
    from sweep.errors import ConfigError, SweepError

    closed = sys.stdout is None
    guard_streams()
    if closed:
        print("error: stdout is closed; give the document somewhere to go", file=sys.stderr)
        return 2
    raise_on_signals()
    try:
        return do()
    except (FeedError, SweepError) as error:
        sys.last_value = error  # as below: what Ray kept for them is let go by asking a server that may have ended
        first, *rest = str(error).splitlines() or [type(error).__name__]
        _tell(f"error: {printable(first)}", *map(printable, rest), *_stored(error))
        return error.exit_code
    except AllocatorError as error:
        _tell(f"error: {printable(str(error))}")
        return 2
    except (KeyboardInterrupt, Terminated) as error:
        # the frames stay to the end: of what numba was making, a half may complain, or crash, when it is freed
        sys.last_value = error
        word, code = ("terminated", TERMINATED) if isinstance(error, Terminated) else ("interrupted", INTERRUPTED)
        _tell("; ".join([word, *(_stored(error) or ["nothing was stored"])]))
        return code
    except Exception as error:  # noqa: BLE001 - the only place that may print a traceback: a bug
        if (said := refused(error)) is not None:
            _tell(f"error: {printable(said)}", *_stored(error))
            return ConfigError.exit_code
        traceback.print_exc()
        print("this is a bug: please report the lines above and the command", file=sys.stderr)
        return BUG


def _tell(*lines: str) -> None:
    """Print to stderr, where that can be written: the exit code tells the rest."""
    try:
        print(*lines, sep="\n", file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _stored(error: BaseException) -> list[str]:
    """What the run store says of a run that was cut short."""
    from feed.console import printable

    return [printable(note) for note in getattr(error, "__notes__", [])]


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


def _run(assignments: list[str], config: str | None = None, *, force: bool = False) -> int:
    from sweep.config.loading import load_config
    from sweep.progress import open_progress
    from sweep.runs.folder import open_output

    loaded = load_config(config, assignments)
    if loaded.output is not None:
        open_output(loaded.output)
    elif force:
        raise _config_error("--force: there is nothing to run anew without --output DIR")
    from sweep.driver import run

    with open_progress() as progress:
        result = _told(run(loaded, progress, force=force), progress)
    return _show(result)


def _plan(assignments: list[str], config: str | None = None, **files: str) -> int:
    from sweep.config.loading import load_config
    from sweep.forecast.forecast import forecast
    from sweep.progress import open_progress

    with open_progress() as progress:
        found = forecast(load_config(config, assignments), progress, **files)
    _print(json.dumps(found, indent=2, allow_nan=False))
    return OK


def _resume(run: str, assignments: list[str]) -> int:
    from sweep.driver import resume
    from sweep.progress import open_progress

    with open_progress() as progress:
        result = _told(resume(Path(run), assignments, progress), progress)
    return _show(result)


def _verify(run: str, assignments: list[str], **sampling: int) -> int:
    from sweep.progress import open_progress
    from sweep.verification import verify

    with open_progress() as progress:
        found = verify(Path(run), assignments, progress, **sampling)
        progress.say(f"{run}: identical" if found["identical"] else f"{run}: {found['differences']:,} differences")
    _print(json.dumps(found, indent=2, allow_nan=False))
    return OK if found["identical"] else DIFFERS


def _config_error(message: str) -> Exception:
    from sweep.errors import ConfigError

    return ConfigError(message)


def _told(result: Result, progress: Progress) -> Result:
    """Say which combinations failed, and why."""
    for failure in result.failures:
        progress.say(f"combination {failure.combination} failed: {failure.message}")
        for line in failure.details.splitlines():
            progress.say(line)
    return result


def _show(result: Result) -> int:
    """Print a document and give the exit code; only after the progress, which takes stdout on a terminal, has ended."""
    _print(json.dumps(result.document, indent=2, allow_nan=False))
    return FAILED_SOME if result.failures else OK


@dataclass(frozen=True, slots=True)
class Command:
    """One command: what does it, what stands behind its name, the options that it has."""

    do: Callable[..., int]
    places: tuple[str, ...] = ()
    options: frozenset[str] = frozenset()


COMMANDS = {
    "run": Command(_run, options=frozenset({"config", "output", "force"})),
    "plan": Command(_plan, options=frozenset({"config", "prices", "cluster"})),
    "resume": Command(_resume, ("RUN",)),
    "verify": Command(_verify, ("RUN",), frozenset({"sample", "seed"})),
}
"""Every command by its name; without one it is the first."""
