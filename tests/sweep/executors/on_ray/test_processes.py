"""What a start that was interrupted leaves behind is found through any number of parents, and ended."""

import os
import subprocess
import sys
import time

import pytest

from sweep.executors.on_ray.processes import descendants, end

CHILD = """
import subprocess, sys, time
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid, flush=True)
time.sleep(60)
"""


@pytest.mark.command
def test_children_of_children_are_found_and_ended_after_their_parent_is_gone():
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True, start_new_session=True)
    grandchild = int(child.stdout.readline())
    pids = descendants(os.getpid())
    assert {child.pid, grandchild} <= set(pids)
    child.kill()
    child.wait()
    mine = {pid: pids[pid] for pid in (child.pid, grandchild)}
    end(mine)
    for _ in range(100):
        if grandchild not in descendants(1):
            break
        time.sleep(0.05)
    assert grandchild not in descendants(1)


@pytest.mark.command
def test_a_later_process_of_the_same_id_is_left_alone():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    end({child.pid: "1"})
    assert child.poll() is None
    child.kill()
    child.wait()
