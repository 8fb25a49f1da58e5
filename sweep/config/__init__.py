"""The configuration: its keys, how they are read, and how the conventions fill those left open.

Config : the keys, validated.
load_config : read a configuration from a YAML file and KEY=VALUE words.
"""

from __future__ import annotations

from sweep.config.loading import load_config
from sweep.config.schema import Config

__all__ = ["Config", "load_config"]
