"""Watches a router on new days: champion, challengers and baselines run on each, and a confidence sequence judges."""

from __future__ import annotations

import time
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from allocator.order import SIGN
from feed.console import without_secrets
from feed.instants import format_instant
from feed.tape import DAY
from sweep.daylog import open_log
from sweep.driver import put_aside, run_on
from sweep.environment import sources_hash
from sweep.errors import ConfigError, SweepError
from sweep.executors import open_executor
from sweep.progress import Silent
from sweep.router import ANY_FILE, config_for, numbers_of, read_router
from sweep.runs import now
from sweep.statistics import FIRST_DAY, confidence_sequence
from sweep.stored import TOTAL
from sweep.tapes import Phases, open_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sweep.config import Config
    from sweep.daylog import Line, Log
    from sweep.executors import Executor
    from sweep.progress import Progress
    from sweep.result import Result
    from sweep.router import Router
    from sweep.statistics import ConfidenceSequence
    from sweep.tapes import Facts

BPS: Final = 1e4

LEVEL: Final = 0.95
"""That none of the sequences of a log, the champion's and each challenger's, ever leaves its truth."""

POLL_SECONDS: Final = 2.0
"""How often a topic that is followed is asked whether anything came."""


class NotAll(SweepError):  # noqa: N818 - reads as what it says
    """The champion or a challenger could not be simulated on a day."""

    exit_code = 4


State = Literal["learning", "ok", "drift"]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What the days of a log say.

    Attributes
    ----------
    state : str
        ``drift`` from the first day on that speaks against the champion, whatever comes after: the sequences hold for
        all days at once.
    since : str, optional
        That date.
    reasons : tuple of str
        What spoke against it then.
    dates : tuple of str
    saving : ConfidenceSequence
        Of the champion against the router's baseline, bps of each day's arrival notional.
    better : tuple of ConfidenceSequence
        What each challenger pays less than the champion.
    level : float
        Of each sequence, such that all of them together hold at `LEVEL`.
    """

    state: State
    since: str | None
    reasons: tuple[str, ...]
    dates: tuple[str, ...]
    saving: ConfidenceSequence
    better: tuple[ConfidenceSequence, ...]
    level: float


def judge_days(router: Router, lines: Sequence[Line]) -> Judged:
    """Judge the days of a log; the tapes of a date are one day.

    A day speaks against the champion where the sequence of its saving lies below 0, or below the low end of the saving
    that was exported (the held-out one, where there is one), or where that of a challenger's lies above 0.

    Parameters
    ----------
    router : Router
    lines : sequence of Line
        By date.
    """
    days = [(date, list(own)) for date, own in groupby(lines, lambda line: line.date)]
    level = 1 - (1 - LEVEL) / (1 + len(router.challengers))

    def sequence(saved: Callable[[Line], int]) -> ConfidenceSequence:
        values = [BPS * 2 * sum(map(saved, own)) / sum(line.notional2 for line in own) for _, own in days]
        return confidence_sequence(np.array(values, np.float64), level)

    def of_challenger(number: int) -> ConfidenceSequence:
        return sequence(lambda line: line.champion - line.challengers[number])

    against = router.verdict.against
    saving = sequence(lambda line: line.baselines[against] - line.champion)
    better = tuple(of_challenger(number) for number in range(len(router.challengers)))
    exported = router.saving_bps if router.held_out_bps is None else router.held_out_bps
    for day, (date, _) in enumerate(days):
        reasons = []
        if saving.high[day] < 0:
            reasons.append(f"the champion pays more than {against}")
        if exported.low is not None and saving.high[day] < exported.low:
            reasons.append(f"it saves less than the {exported.low:.2f} bps that it was exported with at least")
        reasons += [
            f"challenger {number} pays less than it" for number, each in enumerate(better, 1) if each.low[day] > 0
        ]
        if reasons:
            return Judged("drift", date, tuple(reasons), tuple(dict(days)), saving, better, level)
    state: State = "learning" if len(days) < FIRST_DAY else "ok"
    return Judged(state, None, (), tuple(dict(days)), saving, better, level)


@dataclass(slots=True)
class _Visit:
    """What happened at the sources of one call."""

    appended: list[dict[str, Any]]
    known: int
    passed_over: list[str]


class Monitor:
    """A router, its log, and how new days are added to it.

    Parameters
    ----------
    router : Router
    log : Log
    executor : Executor
        Open.
    progress : Progress
    """

    def __init__(self, router: Router, log: Log, executor: Executor, progress: Progress) -> None:
        self.router, self.log = router, log
        self._executor, self._progress = executor, progress
        self.visit = _Visit([], 0, [])

    def watch(self, config: Config, *, strict: bool = True) -> None:
        """Run what is new at a source, date by date.

        Parameters
        ----------
        config : Config
            Of the router there.
        strict : bool
            Refuse a day that cannot be added; otherwise pass over it.

        Raises
        ------
        ConfigError
            A day before the last one of the log, or other quotes of one that it has; nothing of the source is added.
        FeedError, AllocatorError
            The source cannot be read.
        NotAll
            The champion or a challenger could not be simulated.
        """
        progress, phases = self._progress, Phases(self._progress.say, self._progress.detail)
        with open_session(config.question, progress, phases, nullcontext(self._executor)) as session:
            put_aside(config.question, session, progress)
            facts = session.tapes.facts
            fresh = [number for number, tape in enumerate(facts) if self._is_new(tape, strict=strict)]
            for date, numbers in groupby(sorted(fresh, key=lambda n: _date(facts[n])), lambda n: _date(facts[n])):
                own = list(numbers)
                part = replace(session, tapes=session.tapes.only(own))
                result = run_on(part, config.question, phases, progress)
                lines = list(_lines(config, [facts[number] for number in own], result, numbers_of(self.router, config)))
                against = self.router.verdict.against
                if not all(against in line["baselines"] for line in lines):
                    raise ConfigError(f"verdict.against: {against[:40]} is no baseline; export the router anew")
                self.log.append(lines)
                self.visit.appended += [
                    {name: line[name] for name in ("date", "symbol", "digest", "replay", "orders")} for line in lines
                ]
                progress.say(f"{date}: added, {len(lines)} tape{'' if len(lines) == 1 else 's'}")

    def _is_new(self, tape: Facts, *, strict: bool) -> bool:
        """Whether a tape has to be run."""
        lines, digest = self.log.lines, tape.provenance.digest
        if any(line.digest == digest for line in lines):
            self.visit.known += 1
            self._progress.say(f"{tape.label}: is in the log already, and not counted twice")
            return False
        why = None
        if tape.symbol not in self.router.symbols:
            self._pass_over(f"{tape.label}: the router is of {', '.join(self.router.symbols)}")
            return False
        if (tape.symbol, _date(tape)) in self.router.searched:
            self._pass_over(f"{tape.label}: the router was found on it, so it is no new day")
            return False
        if lines and _date(tape) < lines[-1].date:
            why = f"is before the last day of the log, {lines[-1].date}; days are judged in their order"
        elif any((line.symbol, line.date) == (tape.symbol, _date(tape)) for line in lines):
            why = "is in the log with other quotes"
        if why is None:
            return True
        if strict:
            raise ConfigError(f"{tape.label}: {why}; begin another log to count it")
        self._pass_over(f"{tape.label}: {why}")
        return False

    def _pass_over(self, why: str) -> None:
        self.visit.passed_over.append(why)
        self._progress.warn(f"warning: passed over {why}")

    def document(self) -> dict[str, Any]:
        """What is printed."""
        return monitor_document(self.router, judge_days(self.router, self.log.lines), self.visit, self.log.cut)


def _date(tape: Facts) -> str:
    return format_instant(tape.start // DAY * DAY)[:10]


def _lines(config: Config, facts: Sequence[Facts], result: Result, numbers: Sequence[int]) -> Iterator[dict[str, Any]]:
    """What the log keeps of each tape that has orders."""
    if result.failures:
        raise NotAll(f"{facts[0].label}: a combination failed: {result.failures[0].message}")
    orders = result.load_orders()
    place = without_secrets(config.source)
    columns = ("strategy", "tape", "group", "side", "size", "arrival_mid2", "total_cash")
    rows = list(zip(*(_listed(orders[name]) for name in columns), strict=True))
    sides = {(tape, group): side for _, tape, group, side, *_ in rows}
    table = result.table
    for number, tape in enumerate(facts):
        of_tape = [row for row in rows if row[1] == number]
        baselines: dict[str, int] = {}
        notional2 = count = 0
        for strategy, _, _, side, size, mid2, cash in of_tape:
            if strategy != "optimized":
                baselines[strategy] = baselines.get(strategy, 0) + SIGN[side] * cash
            if strategy == "best_ask":
                notional2 += size * mid2 if mid2 else 2 * cash
                count += 1
        if not count:
            continue
        paid = dict.fromkeys(numbers, 0)
        for row in table[table[:, 0] == number].tolist():
            if row[2] in paid:
                paid[row[2]] += SIGN[sides[number, row[1]]] * row[TOTAL]
        champion, *challengers = (paid[each] for each in numbers)
        yield {
            "time": now(),
            "code": sources_hash(),
            "date": _date(tape),
            "symbol": tape.symbol,
            "digest": tape.provenance.digest,
            "place": place,
            "replay": tape.provenance.replay,
            "orders": count,
            "notional2": notional2,
            "champion": champion,
            "challengers": challengers,
            "baselines": baselines,
        }


def _listed(column: Any) -> list[Any]:  # noqa: ANN401 - an array, masked or not, or a list
    return column if isinstance(column, list) else column.tolist()


def monitor(
    path: Path | str,
    sources: Sequence[str],
    log: Path | str,
    assignments: Sequence[str] = (),
    progress: Progress | None = None,
    *,
    follow: bool = False,
    tell: Callable[[dict[str, Any]], None] = lambda _: None,
) -> dict[str, Any]:
    """Run a router on the days of some sources that its log does not have, and judge all days of the log.

    Parameters
    ----------
    path : Path or str
        Of the router.
    sources : sequence of str
        As `source` of a configuration; none = the log is judged as it is.
    log : Path or str
        Made where it is missing.
    assignments : sequence of str
        KEY=VALUE; see `sweep.router.config_for`.
    progress : Progress, optional
        Told what happens; silent by default.
    follow : bool
        Of the only source, a topic, read replay after replay, those that are whole and each that becomes so, until the
        days speak against the champion.
    tell : callable
        Takes the document after each replay that is followed.

    Returns
    -------
    dict
        The document.

    Raises
    ------
    ConfigError
        The router or the log cannot be used, or a day cannot be added.
    FeedError, AllocatorError, NotAll
        A source cannot be read, or not all be simulated on it; days before it are in the log.
    """
    router, progress = read_router(path), progress or Silent()
    configs = [config_for(router, source, assignments) for source in sources]
    if follow and (len(configs) != 1 or not configs[0].source.startswith("kafka://")):
        raise ConfigError("--follow: expected one SOURCE, a topic such as kafka://127.0.0.1:9092/quotes")
    if follow and (configs[0].replay is not None or configs[0].feed.foreign):
        raise ConfigError("--follow: goes from replay to replay; remove replay and feed.foreign")
    if len(configs) != 1 and any(config.replay is not None for config in configs):
        raise ConfigError("replay: it names one of one topic; give one SOURCE")
    with ExitStack() as stack:
        asked = configs[0] if configs else config_for(router, ANY_FILE, assignments)
        opened = stack.enter_context(open_log(Path(log), router.id, asked.question.config_hash))
        if opened.cut:
            progress.say(f"{log}: the last line has no end, as its process was killed; that tape is run again")
        executor, before = stack.enter_context(open_executor(asked)), len(opened.lines)
        monitoring = Monitor(router, opened, executor, progress)
        try:
            return _watched(monitoring, configs, progress, tell, follow=follow)
        except BaseException as error:
            added = len(opened.lines) - before
            error.add_note(f"{added} tape{'' if added == 1 else 's'} added to {log}; the same command goes on")
            raise


def _watched(
    monitoring: Monitor,
    configs: Sequence[Config],
    progress: Progress,
    tell: Callable[[dict[str, Any]], None],
    *,
    follow: bool,
) -> dict[str, Any]:
    if not follow:
        for config in configs:
            monitoring.watch(config)
        return monitoring.document()
    for document in _followed(monitoring, configs[0], progress):
        if document["state"] == "drift":
            return document
        tell(document)
    raise AssertionError("a topic is followed until something ends it")


def _followed(monitoring: Monitor, config: Config, progress: Progress) -> Iterator[dict[str, Any]]:
    """The document now, and after each replay that was added."""
    import msgspec

    from feed.kafka import NoTopic, ends_of, list_replays

    seen = {line.replay for line in monitoring.log.lines if line.place == without_secrets(config.source)}
    before: object = None
    yield monitoring.document()
    progress.say(f"following {without_secrets(config.source)}; ctrl-C ends it, and the same command goes on")
    while True:
        try:
            ends = ends_of(config.source, config.question.reading)
            replays = list_replays(config.source, config.question.reading)[0] if ends != before else []
        except NoTopic:  # not yet
            ends, replays = None, []
        before = ends
        for each in replays:
            if each.state != "whole" or each.replay in seen:
                continue
            monitoring.visit = _Visit([], 0, [])
            monitoring.watch(msgspec.structs.replace(config, replay=each.replay), strict=False)
            seen.add(each.replay)
            yield monitoring.document()
        time.sleep(POLL_SECONDS)


def monitor_document(router: Router, judged: Judged, visit: _Visit, cut: int) -> dict[str, Any]:
    """What `python -m sweep monitor` prints."""
    against = router.verdict.against
    exported = router.saving_bps if router.held_out_bps is None else router.held_out_bps
    return {
        "router": {"id": router.id, "run": router.origin.run, "winner": router.winner},
        "state": judged.state,
        "since": judged.since,
        "sentence": _sentence(judged, against),
        "days": len(judged.dates),
        "first": judged.dates[0] if judged.dates else None,
        "last": judged.dates[-1] if judged.dates else None,
        "level": round(judged.level, 6),
        "saving_bps": {
            "against": against,
            **_latest(judged.saving),
            "exported_mean": exported.mean,
            "exported_low": exported.low,
        },
        "challengers": [
            {"parameters": each.parameters, "pays_less_bps": _latest(sequence)}
            for each, sequence in zip(router.challengers, judged.better, strict=True)
        ],
        "appended": visit.appended,
        "known": visit.known,
        "passed_over": visit.passed_over,
        "cut_bytes": cut,
    }


def _latest(sequence: ConfidenceSequence) -> dict[str, float | None]:
    """The last interval of a sequence; null where nothing can be said."""
    ends = ([] if not len(sequence.mean) else [each[-1]] for each in (sequence.mean, sequence.low, sequence.high))
    mean, low, high = (round(float(end[0]), 2) + 0.0 if end and np.isfinite(end[0]) else None for end in ends)
    return {"mean": mean, "low": low, "high": high}


def _sentence(judged: Judged, against: str) -> str:
    days = f"{len(judged.dates):,} day{'' if len(judged.dates) == 1 else 's'}"
    if judged.state == "learning":
        return f"{days} of the {FIRST_DAY} from which on a sequence says something: nothing is judged yet."
    if judged.state == "drift":
        return f"Since {judged.since} the days speak against the champion: {'; '.join(judged.reasons)}."
    latest = _latest(judged.saving)
    shown = "" if latest["low"] is None else f" (at all times {latest['low']:.2f} to {latest['high']:.2f})"
    return (
        f"Over {days} the champion saves {latest['mean']:.2f} bps against {against}{shown}; nothing speaks against it."
    )
