"""What a sweep reads: a SOURCE as it is, or the embedded broker, filled with the synthetic stream."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from feed import synthetic
from feed.access import PLAIN, check_access, exposed
from feed.console import waiting, without_secrets
from feed.source import plan_source
from sweep.config import EMBEDDED
from sweep.errors import ConfigError
from sweep.executors import from_outside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from feed.kafka import Replayed
    from feed.options import ReadOptions
    from feed.plan import SourcePlan
    from sweep.config import Question
    from sweep.progress import Progress


@dataclass(frozen=True, slots=True)
class Origin:
    """A source that is ready to be read, or soon will be.

    Attributes
    ----------
    plan : callable
        Waits until the source is ready, and returns its plan.
    here : bool
        Whether only this host can read it.
    """

    plan: Callable[[], SourcePlan]
    here: bool = True


def on_this_host(source: str) -> bool:
    """Whether only this host can read a SOURCE: a file, or brokers that listen on loopback."""
    if source == EMBEDDED:
        return True
    scheme, _, location = source.partition("://")
    if scheme == "kafka":
        servers = location.partition("/")[0].split(",")
        return all(_is_loopback(server.rpartition(":")[0].strip("[]")) for server in servers)
    return scheme != "s3"


def _is_loopback(host: str) -> bool:
    name = host.lower().rstrip(".")
    if name in {"localhost", "localhost.localdomain", "ip6-localhost"} or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


@contextmanager
def open_origin(question: Question, progress: Progress) -> Iterator[Origin]:
    """Make the source of a question ready, and clean up at the end.

    A source that is missing is found here, before an executor starts.

    Raises
    ------
    FeedError
        As `feed.source.plan_source`; or the embedded broker did not start.
    ConfigError
        Only this host can read the source, and it is not a node of the cluster.
    """
    config, options = question.config, question.reading
    if from_outside(config) and on_this_host(config.source):
        raise ConfigError(
            f"source: {without_secrets(config.source)} can be read on this host only, which {config.address} does not "
            "make a node of the cluster; use s3:// or a broker that the nodes reach, or run this on the head with "
            "address=auto"
        )
    check_access(options.access)
    if config.source == EMBEDDED:
        with _embedded(replace(options, access=PLAIN), progress) as plan:
            yield Origin(plan)
        return
    if config.held is not None:
        from feed.files import plan_table

        held_plan = plan_table(config.held, options)
        yield Origin(lambda: held_plan)
        return
    if options.wait:
        progress.say(f"waiting up to {config.feed.wait} for a complete replay at {without_secrets(config.source)}")
    for line in exposed(options.access):
        progress.warn(f"warning: {line}")
    place = without_secrets(config.source)
    activity = f"a complete replay at {place}" if options.wait else f"{place} is looked at"
    with waiting(progress.say, lambda: activity):
        source_plan = plan_source(config.source, options)
    yield Origin(lambda: source_plan, on_this_host(config.source))


@contextmanager
def _embedded(options: ReadOptions, progress: Progress) -> Iterator[Callable[[], SourcePlan]]:
    """Start an embedded broker, and fill it while the executor starts."""
    from feed.kafka import EmbeddedBroker, replay

    given_up = threading.Event()

    def fill(source: str) -> Replayed:
        # JSON of ten levels takes 4 s to send, as long as Ray takes to start
        return replay(synthetic.generate(), source, codec="arrow", on_progress=lambda *_: _stop_if_given_up(given_up))

    with EmbeddedBroker() as broker, ThreadPoolExecutor(1, "replay") as thread:
        source = broker.source()
        progress.say(f"embedded broker at {broker.server}; replaying the synthetic stream")
        filling = thread.submit(fill, source)

        def plan() -> SourcePlan:
            replayed = filling.result()
            progress.say(f"replayed {replayed.messages:,} messages in {replayed.seconds:.1f} s")
            return plan_source(source, options)

        try:
            yield plan
        finally:
            given_up.set()


def _stop_if_given_up(given_up: threading.Event) -> None:
    if given_up.is_set():
        raise CancelledError
