"""Tasks that fail, each in a way of its own."""

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
