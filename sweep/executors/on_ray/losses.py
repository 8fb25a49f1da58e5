"""Tasks without an answer: sorts Ray's exceptions by what to do about each."""

from __future__ import annotations

from enum import Enum, auto

LOGS = "see Ray's logs on that node, /tmp/ray/session_latest/logs"


class Loss(Enum):
    """What a driver does about a task without an answer."""

    AGAIN = auto()
    """The node is gone, or data on it: that says nothing about the task, which runs again, however often."""

    SUSPECT = auto()
    """The process that ran it is gone, while its node lives: the task may be the reason."""

    FINAL = auto()
    """Nothing can be done: Ray itself failed, or the task raised."""


def judge(error: Exception) -> Loss:
    """Which of the three an exception of `ray.get` is."""
    from ray import exceptions

    if isinstance(error, exceptions.RayTaskError):
        # an argument could not be recomputed; this task's own node is not lost, so retries are bounded
        return Loss.SUSPECT if isinstance(error.cause, exceptions.ObjectLostError) else Loss.FINAL
    table: dict[type[Exception], Loss] = {
        exceptions.NodeDiedError: Loss.AGAIN,
        exceptions.OwnerDiedError: Loss.FINAL,
        exceptions.ObjectFreedError: Loss.FINAL,
        exceptions.ReferenceCountingAssertionError: Loss.FINAL,
        exceptions.ObjectLostError: Loss.AGAIN,
        exceptions.WorkerCrashedError: Loss.SUSPECT,
        exceptions.OutOfMemoryError: Loss.SUSPECT,
    }
    return next((loss for kind, loss in table.items() if isinstance(error, kind)), Loss.FINAL)


def describe(error: Exception) -> str:
    """One line about a suspect."""
    from ray import exceptions

    if isinstance(error, exceptions.OutOfMemoryError):
        return f"its node was short of memory, and Ray ended the worker process; {LOGS}"
    if isinstance(error, exceptions.WorkerCrashedError):
        return f"the worker process that ran it ended: killed, out of memory, or a crash inside a library; {LOGS}"
    return "what it needs was lost and could not be made again"


def describe_room(error: OSError | MemoryError) -> str:
    """One line about what a machine could not give to a task: memory, disk space, a file."""
    text = " ".join(str(error).split())
    return (
        f"the machine that ran a task has no room for it ({type(error).__name__}{': ' if text else ''}{text}); give it "
        f"memory and disk, or use fewer workers; {LOGS}"
    )
