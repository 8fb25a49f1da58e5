"""Tasks that fail, wait, or tell where they run."""

import os
import signal
import time
import uuid


def pid_then_wait(folder, seconds):
    """Say which process this is, by a file, and take a while."""
    (folder / str(os.getpid())).touch()
    time.sleep(seconds)
    return os.getpid()


def ends_its_process(number):
    """Give a number back, or end as a crash inside a library would."""
    if number < 0:
        os.kill(os.getpid(), signal.SIGSEGV)
        time.sleep(10)
    return number


def ends_when_large(bad, first, past):
    """End the process where one of [first, past) is bad."""
    if first <= bad < past:
        os._exit(1)


def raises(folder):
    """Leave a file for each time it ran."""
    (folder / uuid.uuid4().hex).touch()
    raise ZeroDivisionError("a bug")


def node_of(seconds):
    """Take a while, and say which node this is."""
    import ray

    time.sleep(seconds)
    return ray.get_runtime_context().get_node_id()


def nothing(_):
    """Be done at once."""


def waits(seconds):
    """Take a while."""
    time.sleep(seconds)


def held_total(column, number, folder):
    """Sum; after the first two numbers once FOLDER/go is there, and until then FOLDER/NUMBER names the node."""
    if number >= 2:
        (folder / f".{number}").write_text(node_of(0.0))
        (folder / f".{number}").rename(folder / str(number))
        deadline = time.monotonic() + 90
        while not (folder / "go").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
    return int(column.sum()) + number


def name_of(_):
    """Say what this task is called."""
    import ray

    return ray.get_runtime_context().get_task_name()
