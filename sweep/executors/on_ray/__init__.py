"""Ray: the one room that imports it."""

from typing import TYPE_CHECKING

from feed.lazy import exports

if TYPE_CHECKING:
    from sweep.executors.on_ray.executor import OnRay
    from sweep.executors.on_ray.losses import describe_room
    from sweep.executors.on_ray.meter import open_meters
else:
    __getattr__ = exports(
        __name__,
        {
            "executor": ("OnRay",),
            "losses": ("describe_room",),
            "meter": ("open_meters",),
        },
    )

__all__ = ["OnRay", "describe_room", "open_meters"]
