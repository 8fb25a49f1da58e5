"""The command line: ``python -m sweep [run] [--config FILE] [KEY=VALUE ...] [--output DIR]`` and other commands."""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from _typeshed import SupportsWrite

    from sweep.progress import Loudness, Progress
    from sweep.result import Result

OK = 0
UNUSABLE = 2
DIFFERS = 3
FAILED_SOME = 4
DRIFTED = 5
INTERRUPTED = 130
BUG = 1

_EXIT_CODES = """\
exit codes: 0 ok; 2 configuration, missing file or no data; 3 the feed is malformed or incomplete, what was verified
differs, or workers were lost on the way; 4 some combinations failed; 5 a monitored router drifts; 130 interrupted;
143 terminated; 1 a bug
"""

_EXAMPLES = """\
examples:
  python -m sweep
      the embedded broker and the synthetic stream, no set-up
  python -m sweep source=kafka://127.0.0.1:9092/quotes order.size=20000 --output .
  python -m sweep source=file:day.csv.gz window.start=2024-08-01T13:36:32Z window.end=2024-08-01T13:45:14Z \\
      'grid.theta_queue={start: 0, stop: 0.05, num: 11}'
  python -m sweep resume runs/0123456789abcdef

"""


class _Parser(argparse.ArgumentParser):
    """A parser whose error messages repeat no secret."""

    def error(self, message: str) -> NoReturn:
        from feed.console import without_secrets  # imported late: --help has to be fast

        super().error(without_secrets(message))

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        """As that of `feed.console.Parser`, which would load numpy."""
        stream = file or sys.stderr
        try:
            if stream is not None:
                stream.write(message)
        except OSError:
            if stream is not sys.stderr:
                raise


@dataclass(frozen=True, slots=True)
class Call:
    """A parsed command line.

    Attributes
    ----------
    command : Command
    places : tuple of str
        The words after the command's name, such as a run's folder.
    assignments : list of str
        KEY=VALUE words.
    options : dict
        The options that were given, by name.
    loudness : str
        As of `sweep.progress.LOUDNESS`.
    """

    command: Command
    places: tuple[str, ...]
    assignments: list[str]
    options: dict[str, Any]
    loudness: Loudness = "usual"


def parse(argv: Sequence[str]) -> Call:
    """Read a command line; its command may stand anywhere among KEY=VALUE, and is `run` by default.

    Raises SystemExit after a help page, the version or an error message.
    """
    position = _position_of_command(argv)
    if position is None and {"-h", "--help", "--version"} & {*argv}:
        _front_page().parse_args([word for word in argv if word in {"-h", "--help", "--version"}][:1])
    name = "run" if position is None else argv[position]
    if name not in COMMANDS:
        _front_page().error(f"unknown command {name!r}: expected one of {', '.join(COMMANDS)}, or KEY=VALUE")
    command = COMMANDS[name]
    parser = _page_of(name, command)
    # the words after the name come first: a path among them may hold a =
    parsed = vars(
        parser.parse_intermixed_args([*argv] if position is None else [*argv[position + 1 :], *argv[:position]])
    )
    words, loudness = parsed.pop("words"), parsed.pop("loudness")
    places, assignments = words[: len(command.places)], words[len(command.places) :]
    places += [word for word in assignments if not _is_assignment(word)]
    assignments = [word for word in assignments if _is_assignment(word)]
    if len(places) != len(command.places) and not (command.repeats and len(places) > len(command.places)):
        expected = " ".join(command.places) or "nothing but KEY=VALUE"
        parser.error(f"expected {expected}, but it had {' '.join(places) or 'nothing'}")
    options = {option: value for option, value in parsed.items() if value is not None}
    if options.get("output") == "":
        parser.error("--output: expected a folder, but it had nothing")
    if options.get("sample", 1) < 1:
        parser.error("--sample: expected 1 or more")
    if "output" in options:
        assignments.append(f"output={json.dumps(options.pop('output'), ensure_ascii=False)}")
    return Call(command, tuple(places), assignments, options, loudness)


def _is_assignment(word: str) -> bool:
    """Whether a word is KEY=VALUE: an address or a path may hold a =, too."""
    key, equals, _ = word.partition("=")
    return bool(equals) and "/" not in key


def _position_of_command(argv: Sequence[str]) -> int | None:
    """Position of the command: the first word that is no option, no option's value and no KEY=VALUE."""
    valued = {f"--{option}" for option, settings in OPTIONS.items() if "action" not in settings}
    for position, word in enumerate(argv):
        if not word.startswith("-") and "=" not in word and not (position and argv[position - 1] in valued):
            return position
    return None


def _front_page() -> argparse.ArgumentParser:
    """The help page of the program, which lists its commands."""
    from sweep import __version__

    listed = "".join(
        f"  {f'{name} ' + ' '.join(command.places):<22} {command.does}\n" for name, command in COMMANDS.items()
    )
    parser = _Parser(
        prog="python -m sweep",
        usage="python -m sweep [COMMAND] [KEY=VALUE ...] [-q | -v] [--help] [--version]",
        description="Sweep a smart order router's parameters over a quote stream; one JSON document on stdout.",
        epilog=f"commands (run without one; python -m sweep COMMAND --help):\n{listed}\n{_EXAMPLES}{_EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"sor-sweep {__version__}")
    return parser


def _page_of(name: str, command: Command) -> argparse.ArgumentParser:
    """The parser of a command, and its help page."""
    shown = "".join(f"  python -m sweep {example}\n" for example in command.examples)
    parser = _Parser(
        prog=f"python -m sweep {name}",
        usage=" ".join(
            (f"python -m sweep {name}", *command.places, *["..."] * command.repeats, "[KEY=VALUE ...] [OPTION ...]")
        ),
        description=f"{command.does[0].upper()}{command.does[1:]}.",
        epilog=f"examples:\n{shown}\n{_EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "words", nargs="*", metavar="KEY=VALUE", help="configuration keys, dotted; VALUE is YAML; see docs/reference.md"
    )
    for option in command.options:
        parser.add_argument(f"--{option}", **OPTIONS[option])
    loudness = parser.add_mutually_exclusive_group()
    for option, (letter, settings) in LOUD_OPTIONS.items():
        loudness.add_argument(f"-{letter}", f"--{option}", dest="loudness", default="usual", const=option, **settings)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; the process's own by default.
    """
    try:
        try:
            call = parse(sys.argv[1:] if argv is None else argv)
        except SystemExit:
            print(end="", flush=True)  # what a page of help left in the buffer
            raise
    except OSError as error:
        if failure := _unwritten(error):
            _tell(f"error: {failure}")
            return UNUSABLE
        return OK
    from sweep.progress import LOUDNESS  # after --help, which has to be fast

    token = LOUDNESS.set(call.loudness)
    try:
        return _guarded(lambda: call.command.do(*call.places, call.assignments, **call.options))
    except KeyboardInterrupt:  # while modules were loaded
        return INTERRUPTED
    finally:
        LOUDNESS.reset(token)


def _guarded(do: Callable[[], int]) -> int:
    """Turn errors into one line on stderr and an exit code."""
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
        sys.last_value = error  # as below: to release what Ray holds for its frames asks a server that may have ended
        first, *rest = str(error).splitlines() or [type(error).__name__]
        _tell(f"error: {printable(first)}", *map(printable, rest), *_stored_notes(error))
        return error.exit_code
    except AllocatorError as error:
        _tell(f"error: {printable(str(error))}")
        return 2
    except (KeyboardInterrupt, Terminated) as error:
        # keep the frames to the end: what numba left half made may complain, or crash, when it is freed
        sys.last_value = error
        word, code = ("terminated", TERMINATED) if isinstance(error, Terminated) else ("interrupted", INTERRUPTED)
        _tell("; ".join([word, *(_stored_notes(error) or ["nothing was stored"])]))
        return code
    except Exception as error:  # noqa: BLE001 - the only place that may print a traceback: a bug
        if (message := refused(error)) is not None:
            _tell(f"error: {printable(message)}", *_stored_notes(error))
            return ConfigError.exit_code
        traceback.print_exc()
        print("this is a bug: please report the lines above and the command", file=sys.stderr)
        return BUG


def _tell(*lines: str) -> None:
    """Print to stderr if it can be written; otherwise the exit code has to do."""
    try:
        print(*lines, sep="\n", file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _remark(*lines: str) -> None:
    """Print to stderr what a quiet command leaves out."""
    from sweep.progress import LOUDNESS

    if LOUDNESS.get() != "quiet":
        _tell(*lines)


@contextmanager
def _progressing() -> Iterator[Progress]:
    """Progress on stderr, which a verbose command begins with the versions that results may depend on."""
    from sweep.environment import stamp
    from sweep.progress import open_progress

    with open_progress() as progress:
        progress.detail(", ".join(f"{name} {version}" for name, version in stamp().items()))
        yield progress


def _stored_notes(error: BaseException) -> list[str]:
    """What the run store noted about a run that was cut short."""
    from feed.console import printable

    return [printable(note) for note in getattr(error, "__notes__", [])]


def _print(document: str) -> None:
    """Write the document; a reader that went away, as in ``| head``, is no error."""
    from sweep.errors import ConfigError

    try:
        print(document, flush=True)
    except OSError as error:
        if failure := _unwritten(error):
            raise ConfigError(f"{failure}; use --output DIR to keep results") from None


def _unwritten(error: OSError) -> str | None:
    """Give up on stdout, and say why, unless its reader has closed it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return None if isinstance(error, BrokenPipeError) else f"stdout cannot be written ({error.strerror})"


def _run(assignments: list[str], config: str | None = None, *, force: bool = False) -> int:
    from sweep.config import load_config
    from sweep.runs import open_output

    loaded = load_config(config, assignments)
    if loaded.output is not None:
        open_output(loaded.output)
    elif force:
        raise _config_error("--force: there is nothing to run anew without --output DIR")
    from sweep.driver import run

    with _progressing() as progress:
        result = _report_failures(run(loaded, progress, force=force), progress)
    return _show(result)


def _plan(assignments: list[str], config: str | None = None, **files: str) -> int:
    from sweep.config import load_config
    from sweep.forecast import forecast

    with _progressing() as progress:
        document = forecast(load_config(config, assignments), progress, **files)
    _print(json.dumps(document, indent=2, allow_nan=False))
    return OK


def _resume(run: str, assignments: list[str]) -> int:
    from sweep.driver import resume

    with _progressing() as progress:
        result = _report_failures(resume(Path(run), assignments, progress), progress)
    return _show(result)


def _verify(run: str, assignments: list[str], **sampling: int) -> int:
    from sweep.verification import verify

    with _progressing() as progress:
        document = verify(Path(run), assignments, progress, **sampling)
        if document["identical"]:
            progress.say(f"{run}: identical")
        else:
            progress.warn(f"{run}: {document['differences']:,} differences")
    _print(json.dumps(document, indent=2, allow_nan=False))
    return OK if document["identical"] else DIFFERS


def _compare(run: str, other: str, assignments: list[str], **combinations: int) -> int:
    from sweep.comparison import compare
    from sweep.report import comparison_document

    _refuse_keys("compare", assignments)
    numbers = combinations.get("first"), combinations.get("second")
    document = comparison_document(compare(run, other, numbers))
    _remark(document["sentence"])
    _print(json.dumps(document, indent=2, allow_nan=False))
    return OK


def _report(run: str, assignments: list[str], *, to: str | None = None, open: bool = False) -> int:  # noqa: A002 - the option's name
    from feed.console import printable
    from sweep.page import has_scripts, write_report

    _refuse_keys("report", assignments)
    if to == "":
        raise _config_error("--to: expected a file, but it had nothing")
    path = write_report(run, to)
    _print(printable(str(path)))
    if not has_scripts():
        _remark("its charts do not move: this checkout lacks their scripts; make charts, which needs npm, makes them")
    if open and not _opened(path):
        _tell(f"{printable(str(path))}: no browser was found to open it with")
    return OK


def _opened(path: Path) -> bool:
    """Show a file in a browser; False where there is none."""
    import webbrowser

    return webbrowser.open(path.resolve().as_uri())


def _export(run: str, assignments: list[str], **limits: int) -> int:
    from sweep.router import document_of, export

    _refuse_keys("export", assignments)
    router = export(run, **limits)
    _remark(*router.validity)
    _print(document_of(router))
    return OK


def _monitor(router: str, *words: Any, log: str | None = None, follow: bool = False) -> int:  # noqa: ANN401
    from sweep.monitoring import monitor

    *sources, assignments = words
    if not log:
        raise _config_error("--log: expected a file, which every day is added to, such as --log monitor.jsonl")

    def tell(document: dict[str, Any]) -> None:
        _print(json.dumps(document, allow_nan=False))

    with _progressing() as progress:
        document = monitor(router, sources, log, assignments, progress, follow=follow, tell=tell)
    (_tell if document["state"] == "drift" else _remark)(document["sentence"])
    _print(json.dumps(document, indent=None if follow else 2, allow_nan=False))
    return DRIFTED if document["state"] == "drift" else OK


def _config(assignments: list[str], config: str | None = None, **layout: bool) -> int:
    from sweep.config import as_json, as_yaml, effective

    values = effective(config, assignments)
    _print(json.dumps(as_json(values), indent=2) if layout.get("json") else as_yaml(values))
    return OK


def _completion(shell: str, assignments: list[str]) -> int:
    from sweep.completion import SHELLS, Completed, script

    _refuse_keys("completion", assignments)
    if shell not in SHELLS:
        raise _config_error(f"completion: expected {', '.join(SHELLS)}, but it had {shell!r}")
    commands = {
        name: Completed(command.does, command.places, (*command.options, *LOUD_OPTIONS, "help"))
        for name, command in COMMANDS.items()
    }
    _print(script(shell, commands, {name: settings.get("metavar") for name, settings in OPTIONS.items()}))
    return OK


def _watch(run: str, assignments: list[str], *, once: bool = False) -> int:
    from sweep.watching import watch

    _refuse_keys("watch", assignments)
    try:
        watch(Path(run), sys.stdout, once=once)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:  # how one leaves; the run goes on
        return INTERRUPTED
    return OK


def _refuse_keys(command: str, assignments: list[str]) -> None:
    """Refuse KEY=VALUE where stored files alone are read."""
    if assignments:
        raise _config_error(f"{assignments[0]}: {command} reads stored files alone, and takes no keys")


def _config_error(message: str) -> Exception:
    from sweep.errors import ConfigError

    return ConfigError(message)


def _report_failures(result: Result, progress: Progress) -> Result:
    """Say which combinations failed and why: those of one cause together, with one traceback."""
    alike: dict[tuple[str, str], list[int]] = {}
    for failure in result.failures:
        alike.setdefault((failure.message, failure.details), []).append(failure.combination)
    for (message, details), (first, *others) in alike.items():
        more = f" and {len(others):,} more" if others else ""
        progress.warn(f"combination {first}{more} failed: {message}")
        for line in details.splitlines():
            progress.warn(line)
    return result


def _show(result: Result) -> int:
    """Print a document and return the exit code; not before the progress, which shares the terminal, has ended."""
    from sweep.progress import LOUDNESS
    from sweep.report import print_summary

    if LOUDNESS.get() != "quiet":
        print_summary(result.document, sys.stderr)
    _print(json.dumps(result.document, indent=2, allow_nan=False))
    return FAILED_SOME if result.failures else OK


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes
    ----------
    do : callable
        Takes the places, the KEY=VALUE words, and the options by name; returns the exit code.
    does : str
        What it does, in words.
    places : tuple of str
        The words after its name.
    options : tuple of str
        Names of `OPTIONS`.
    repeats : bool
        Whether the last of these words may be followed by more of its kind.
    examples : tuple of str
        What may follow ``python -m sweep``.
    """

    do: Callable[..., int]
    does: str
    places: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    repeats: bool = False
    examples: tuple[str, ...] = ()


OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "config": {"metavar": "FILE", "help": "a YAML file of the same keys; KEY=VALUE wins over it"},
    "output": {"metavar": "DIR", "help": "store the run in DIR/runs/ID, as it goes; a stored one is found"},
    "force": {"action": "store_true", "default": None, "help": "run anew, whatever is stored"},
    "prices": {"metavar": "FILE", "help": "what nodes cost, over the prices of the package"},
    "cluster": {"metavar": "FILE", "help": "the nodes there would be (./cluster.yaml, if there is one)"},
    "sample": {"metavar": "N", "type": int, "help": "rows to compute again (64)"},
    "seed": {"metavar": "N", "type": int, "help": "which rows those are (drawn)"},
    "log": {"metavar": "FILE", "help": "what is judged: a line is added for each new day and symbol"},
    "follow": {
        "action": "store_true",
        "default": None,
        "help": "of a topic: replay after replay, until ctrl-C or drift",
    },
    "challengers": {"metavar": "N", "type": int, "help": "combinations beside the best, 0 to 8 (3)"},
    "to": {"metavar": "FILE", "help": "where the report is written (RUN/report.html)"},
    "open": {"action": "store_true", "default": None, "help": "show it in a browser"},
    "json": {"action": "store_true", "default": None, "help": "print JSON: of each key its value and origin"},
    "once": {"action": "store_true", "default": None, "help": "show it as it is now, and no more"},
    "first": {"metavar": "N", "type": int, "help": "a combination of the first run (its best)"},
    "second": {"metavar": "N", "type": int, "help": "a combination of the second run (its best)"},
}
"""Every option with its arguments for argparse."""

LOUD_OPTIONS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "quiet": ("q", {"action": "store_const", "help": "on stderr warnings and errors alone"}),
    "verbose": (
        "v",
        {"action": "store_const", "help": "on stderr also versions, the seconds of each phase, and a line per chunk"},
    ),
}
"""Options of every command, by name: letter, and arguments for argparse."""

COMMANDS: Final = {
    "run": Command(
        _run,
        "sweep the grid, and print the document",
        (),
        ("config", "output", "force"),
        examples=("run source=file:day.csv.gz order.size=20000 --output .",),
    ),
    "plan": Command(
        _plan,
        "say what a sweep would take, here and on a cluster; start none",
        (),
        ("config", "prices", "cluster"),
        examples=("plan source=file:day.csv.gz order.size=20000",),
    ),
    "resume": Command(
        _resume,
        "run what is missing of a stored run, DIR/runs/ID",
        ("RUN",),
        examples=("resume runs/0123456789abcdef",),
    ),
    "verify": Command(
        _verify,
        "read a stored run's source again, and compute answer and some rows again",
        ("RUN",),
        ("sample", "seed"),
        examples=("verify runs/0123456789abcdef --sample 200",),
    ),
    "report": Command(
        _report,
        "write a stored run as one HTML file that needs no network, and print its name",
        ("RUN",),
        ("to", "open"),
        examples=(
            "report runs/0123456789abcdef --open",
            "report runs/0123456789abcdef --to monday.html",
        ),
    ),
    "compare": Command(
        _compare,
        "say what one stored run pays less than another for the same orders",
        ("RUN", "RUN"),
        ("first", "second"),
        examples=(
            "compare runs/0123456789abcdef runs/fedcba9876543210",
            "compare runs/0123456789abcdef runs/0123456789abcdef --second 0",
        ),
    ),
    "export": Command(
        _export,
        "print what a stored run found as a router, with what it is valid for",
        ("RUN",),
        ("challengers",),
        examples=("export runs/0123456789abcdef > router.json",),
    ),
    "monitor": Command(
        _monitor,
        "run a router on new days, and judge all days so far; exit code 5 where it drifts",
        ("ROUTER", "SOURCE"),
        ("log", "follow"),
        repeats=True,
        examples=(
            "monitor router.json monday.csv.gz tuesday.csv.gz --log monitor.jsonl",
            "monitor router.json kafka://127.0.0.1:9092/quotes --follow --log monitor.jsonl",
        ),
    ),
    "watch": Command(
        _watch,
        "show a stored run while it goes on, from another process, or after",
        ("RUN",),
        ("once",),
        examples=("watch runs/0123456789abcdef", "watch runs/0123456789abcdef --once | cat"),
    ),
    "config": Command(
        _config,
        "print the configuration as --config takes it, with the origin of each value",
        (),
        ("config", "output", "json"),
        examples=("config --config day.yaml order.size=20000 > effective.yaml", "config conventions=classic --json"),
    ),
    "completion": Command(
        _completion,
        "print a script that completes sor-sweep in a shell: bash, zsh or fish",
        ("SHELL",),
        examples=(
            "completion bash > ~/.local/share/bash-completion/completions/sor-sweep",
            'completion zsh > "${fpath[1]}/_sor-sweep"',
            "completion fish > ~/.config/fish/completions/sor-sweep.fish",
        ),
    ),
}
"""Every command by its name."""
