"""``watch``: shows a stored run from another process, live on a terminal, as plain lines elsewhere."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING, Any, Final

from feed.console import printable
from sweep.errors import ConfigError
from sweep.runs import LOG, is_held, open_regular, read_manifest, reason
from sweep.watched import Lines, Watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO, TextIO

LOOK_SECONDS: Final = 0.5
"""Between two looks at the log."""

PLAIN_SECONDS: Final = 2.0
"""Between two plain lines at least."""

SILENT_SECONDS: Final = 5.0
"""Without a new line after which the lock is looked at."""

BLOCK: Final = 2**20
"""Bytes of the log that are read at a time."""

SHOWN_NODES: Final = 12
SHOWN: Final = 200
"""Characters of a name or a line from the log that are shown."""


class Follower:
    """Reads what a run's log has more, again and again.

    Parameters
    ----------
    home : Path
        The run's folder.

    Raises
    ------
    ConfigError
        There is no run, or its log cannot be read.
    """

    def __init__(self, home: Path) -> None:
        self._home, self._lines, self._at = home, Lines(), 0
        self.watched = Watched()
        try:
            self._file: BinaryIO = open_regular(home / LOG)
        except OSError as error:
            raise self._refused(error) from None

    def _refused(self, error: OSError) -> ConfigError:
        return ConfigError(
            f"{self._home / LOG}: cannot be read ({reason(error)}); expected the folder of a run, such as DIR/runs/ID"
        )

    def read(self) -> bool:
        """Read to the end as it is now; return whether anything came.

        Raises
        ------
        ConfigError
            The log cannot be read any more.
        """
        came = False
        try:
            self._file.seek(0, 2)
            end, at = self._file.tell(), self._at
            self._file.seek(at)
            while at < end and (block := self._file.read(min(BLOCK, end - at))):
                came, at = True, at + len(block)
                for line in self._lines.whole(block):
                    self.watched.add(line)
        except OSError as error:
            raise self._refused(error) from None
        self._at = at
        self.watched.passed_over += self._lines.passed_over
        self._lines.passed_over = 0
        return came

    def judge(self) -> None:
        """Note that the run is over where neither its log says so nor a driver works on it.

        The manifest alone may say that it is complete: the last line of a log may be missing.
        """
        if is_held(self._home) is not False:
            return
        self.read()  # what it wrote before it let go
        if not self.watched.over:
            self.watched.status = "complete" if _is_complete(self._home) else "left"

    def close(self) -> None:
        """Close the log."""
        self._file.close()


def _is_complete(home: Path) -> bool:
    try:
        return read_manifest(home).status == "complete"
    except ConfigError:
        return False


def watch(home: Path, stream: TextIO, *, once: bool = False, wait: Callable[[float], None] = time.sleep) -> Watched:
    """Show a stored run until it is over: live where the stream is a terminal, by plain lines elsewhere.

    Parameters
    ----------
    home : Path
        The run's folder, DIR/runs/ID.
    stream : TextIO
    once : bool
        Show it as it is now, and no more.
    wait : callable
        Takes seconds.

    Returns
    -------
    Watched
        The run as it was shown last.

    Raises
    ------
    ConfigError
        There is no run, or its log cannot be read.
    OSError
        The stream cannot be written.
    """
    follower = Follower(home)
    try:
        follower.read()
        follower.judge()
        if once or follower.watched.over:
            _print(stream, *lines_of(follower.watched, home))
        elif stream.isatty():
            _show_live(follower, home, stream, wait)
        else:
            _show_plain(follower, home, stream, wait)
    finally:
        follower.close()
    return follower.watched


def _looks(follower: Follower, wait: Callable[[float], None]) -> Iterator[bool]:
    """Look again and again until the run is over; yields whether anything came."""
    silent = 0.0
    while not follower.watched.over:
        wait(LOOK_SECONDS)
        came = follower.read()
        silent = 0.0 if came else silent + LOOK_SECONDS
        if silent >= SILENT_SECONDS:
            silent = 0.0
            follower.judge()
        yield came


def _show_plain(follower: Follower, home: Path, stream: TextIO, wait: Callable[[float], None]) -> None:
    shown, since = "", PLAIN_SECONDS
    _print(stream, f"{home}: {_progress(follower.watched)}")
    for _ in _looks(follower, wait):
        since += LOOK_SECONDS
        line = f"{_progress(follower.watched)}{_ahead(follower.watched)}"
        if since >= PLAIN_SECONDS and line != shown:
            shown, since = line, 0.0
            _print(stream, line)
    _print(stream, *lines_of(follower.watched, home))


def _show_live(follower: Follower, home: Path, stream: TextIO, wait: Callable[[float], None]) -> None:
    from rich.console import Console
    from rich.live import Live

    with Live(drawn(follower.watched, home), console=Console(file=stream), auto_refresh=False) as live:
        for came in _looks(follower, wait):
            if came or follower.watched.status != "running":
                live.update(drawn(follower.watched, home), refresh=True)
        live.update(drawn(follower.watched, home), refresh=True)


def _print(stream: TextIO, *lines: str) -> None:
    print(*(printable(line) for line in lines), sep="\n", file=stream, flush=True)


def drawn(watched: Watched, home: Path) -> Any:  # noqa: ANN401 - rich is imported only where there is a terminal
    """The run for a terminal: a bar, facts, and a table of nodes; names of others are text, not markup."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    def text(value: str, style: str = "") -> Text:
        return Text(printable(value), style=style)

    styles = {"complete": "bold green", "cut short": "bold red", "left": "bold red"}
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in facts_of(watched):
        facts.add_row(text(name), text(value))
    bar = Table.grid()  # a bar by itself ends no line
    bar.add_row(ProgressBar(total=watched.total or None, completed=watched.done, width=_BAR, pulse=not watched.total))
    parts: list[Any] = [
        text(f"{home}: {_status(watched, home)}", styles.get(watched.status, "bold")),
        text(_progress(watched)),
        bar,
        facts,
    ]
    if watched.nodes:
        nodes = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        nodes.add_column("node", overflow="fold")
        for heading in NODE_COLUMNS[1:]:
            nodes.add_column(heading, justify="right", no_wrap=True)
        for row in nodes_of(watched):
            nodes.add_row(*map(text, row))
        parts.append(nodes)
    return Group(*parts)


def lines_of(watched: Watched, home: Path) -> list[str]:
    """The run as plain lines."""
    lines = [f"{home}: {_status(watched, home)}", _progress(watched)]
    lines += [f"{name}: {value}" for name, value in facts_of(watched)]
    if watched.nodes:
        rows = [NODE_COLUMNS, *nodes_of(watched)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for name, *figures in rows:
            aligned = (f"  {figure:>{width}}" for figure, width in zip(figures, widths[1:], strict=True))
            lines.append(f"{name:<{widths[0]}}{''.join(aligned)}")
    return lines


NODE_COLUMNS: Final = ("node", "load", "chunks", "combinations", "share, %")
"""Headings; load is how many tasks ran at once on average."""

_BAR: Final = 60


def nodes_of(watched: Watched) -> Iterator[tuple[str, ...]]:
    """A row of `NODE_COLUMNS` for each node, the busiest first; the last for those that are not shown."""
    ranked = sorted(watched.nodes.items(), key=lambda item: -item[1].combinations)
    everything = sum(node.combinations for node in watched.nodes.values()) or 1
    for name, node in ranked[:SHOWN_NODES]:
        yield (
            _short(name) or "unnamed",
            f"{node.load:.1f}",
            f"{node.chunks:,}",
            f"{node.combinations:,}",
            f"{100 * node.combinations / everything:.1f}",
        )
    if rest := [node for _, node in ranked[SHOWN_NODES:]]:
        combinations = sum(node.combinations for node in rest)
        yield (
            f"{len(rest):,} more",
            f"{sum(node.load for node in rest):.1f}",
            f"{sum(node.chunks for node in rest):,}",
            f"{combinations:,}",
            f"{100 * combinations / everything:.1f}",
        )


def _status(watched: Watched, home: Path) -> str:
    resume = f"python -m sweep resume {shlex.quote(str(home))} does the rest"
    return {
        "starting": "nothing has run yet",
        "running": "running",
        "complete": "complete",
        "cut short": f"cut short by {_short(watched.error or '')}; {resume}",
        "left": f"no driver works on it, and it is not complete; {resume}",
    }[watched.status]


def _progress(watched: Watched) -> str:
    rate, left = watched.rate, watched.seconds_left
    done = f"{watched.done:,}"
    if watched.total:
        done += f" of {watched.total:,} combinations ({100 * watched.done / watched.total:.1f} %)"
    else:
        done += " combinations"
    speed = "" if rate is None else f", {rate:,.0f}/s"
    if watched.status != "running" or not watched.total:
        return f"{done}{speed}"
    return f"{done}{speed}, {'time left unknown' if left is None else f'{_duration(left)} left'}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60:,} h {minutes % 60:02} min"


def _ahead(watched: Watched) -> str:
    leading = watched.leading
    return "" if leading is None else f"; best so far saves {leading.mean_saving_bps:.2f} bps"


def facts_of(watched: Watched) -> Iterator[tuple[str, str]]:
    """Names and values: what leads, what went wrong, where it runs."""
    leading = watched.leading
    if leading is not None:
        parameters = " ".join(f"{name}={value}" for name, value in leading.parameters.items())
        yield "best so far", _short(parameters)
        if leading.low is not None and leading.high is not None:
            sure = f"{100 * leading.level:g} % interval {leading.low:.2f} to {leading.high:.2f}"
        else:
            sure = f"no interval: {_short(leading.reason or 'it is not known why')}"
        groups = f"{leading.groups:,} of {leading.of:,} groups of orders"
        yield "saves", f"{leading.mean_saving_bps:.2f} bps against best_ask, {sure}; over {groups}"
    yield "failed", f"{watched.failed:,} combinations"
    yield "lost", f"{watched.lost:,} chunks with a worker process; {watched.again:,} ran again"
    for loss in watched.losses:
        yield "  last", _short(loss)
    yield "bad messages", f"{watched.bad_messages:,}"
    if watched.workers:
        yield "workers", f"{watched.workers:,} tasks at once"
    if watched.reports:
        yield "dashboard", _short(watched.dashboard or "none: address=local and executor=inline start none")
    if watched.passed_over:
        yield "passed over", f"{watched.passed_over:,} lines of the log that are none of a run"


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
