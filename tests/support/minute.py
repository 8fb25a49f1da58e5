"""Sweeps of a synthetic minute in this process: their configuration."""

from feed import synthetic
from feed.instants import format_instant
from sweep.config.loading import build_config


def config_of(stream, **keys):
    """2,000 shares in the minute of a stream, and whatever else is said."""
    start, end = synthetic.window(60.0)
    tree = {
        "source": str(stream),
        "executor": "inline",
        "window": {"start": format_instant(start), "end": format_instant(end)},
        "order": {"size": 2000},
    }
    return build_config({**tree, **keys})
