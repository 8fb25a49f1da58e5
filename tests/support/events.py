"""What a sweep tells, where a test cares for some of it only."""

from dataclasses import replace

from sweep.events import Finished

_EVENT = Finished("chunk 0/0/0-0", 1, 1, 0, 1, 0.1, 1, None, 0, 1)


def finished(**facts):
    return replace(_EVENT, **facts)
