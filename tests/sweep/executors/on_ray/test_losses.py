"""Ray's exceptions as it raises them."""

import pytest
from ray import exceptions

from sweep.executors.on_ray.losses import Loss, describe, judge

A_NAME = "f" * 56


def of_the_argument(cause):
    return exceptions.RayTaskError("run_chunk", "traceback", cause)


@pytest.mark.parametrize(
    ("error", "loss"),
    [
        (exceptions.NodeDiedError("gone"), Loss.AGAIN),
        (exceptions.ObjectLostError(A_NAME, None, ""), Loss.AGAIN),
        (exceptions.ObjectFetchTimedOutError(A_NAME, None, ""), Loss.AGAIN),
        (exceptions.WorkerCrashedError(), Loss.SUSPECT),
        (exceptions.OutOfMemoryError("short"), Loss.SUSPECT),
        (of_the_argument(exceptions.ObjectLostError(A_NAME, None, "")), Loss.SUSPECT),
        (of_the_argument(ZeroDivisionError("a bug")), Loss.FINAL),
        (exceptions.LocalRayletDiedError(), Loss.FINAL),
        (exceptions.OwnerDiedError(A_NAME, None, ""), Loss.FINAL),
        (exceptions.TaskUnschedulableError("nowhere"), Loss.FINAL),
    ],
    ids=lambda each: type(each).__name__,
)
def test_only_what_says_nothing_of_the_task_is_run_again_without_end(error, loss):
    assert judge(error) is loss
    if loss is Loss.SUSPECT:
        assert describe(error)
        assert "\n" not in describe(error)
