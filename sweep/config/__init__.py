"""What a sweep is told: its keys, how they are read, and what the conventions make of those left open.

Config : the keys, checked.
load_config : a configuration of a YAML file and KEY=VALUE words.
"""

from __future__ import annotations

from sweep.config.loading import load_config
from sweep.config.schema import Config

__all__ = ["Config", "load_config"]
