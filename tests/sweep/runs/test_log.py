"""The log of a run: a JSON object a line, also where the disk was full in the middle of one."""

import errno
import json

import pytest

from sweep.errors import ConfigError
from sweep.runs.log import LOG, RunLog


def events(home):
    return [json.loads(line)["event"] for line in (home / LOG).read_text().splitlines()]


class Filling:
    """A file with room for some bytes more."""

    def __init__(self, file, room):
        self._file, self._room = file, room

    def __getattr__(self, name):
        return getattr(self._file, name)

    def write(self, data):
        if not self._room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self._file.write(data[: self._room])
        self._room -= written
        return written


@pytest.mark.parametrize("room", [0, 1, 35, 60])
def test_a_line_that_finds_no_room_is_not_there(tmp_path, room):
    log = RunLog(tmp_path, "id")
    log.write("one")
    log._file = Filling(log._file, room)
    with pytest.raises(ConfigError, match="cannot be written"):
        log.write("two", text="long" * 20)
    log.close()
    assert events(tmp_path) == ["one"]
