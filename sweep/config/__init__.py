"""The configuration: its keys, how they are read, and how the conventions fill those left open.

Config : the keys, validated.
load_config : read a configuration from a YAML file and KEY=VALUE words.
"""

from __future__ import annotations

from sweep.config.conventions import OTHER_LIQUIDITY, PLACED, TABLE, Fees, Settings, switches
from sweep.config.effective import as_json, as_yaml, effective
from sweep.config.keys import expected_of, keys_of, placed
from sweep.config.loading import FILE_LIMIT, assign, build_config, load_config, read_mapping, with_keys
from sweep.config.question import SESSION, Clock, ParentOrders, Question, Span
from sweep.config.rules import PLACEMENT
from sweep.config.schema import EMBEDDED, WHERE_ONLY, Config
from sweep.config.searches import ROUNDS_LIMIT, in_rounds, like, sampler_of
from sweep.config.validation import Validation
from sweep.config.variants import BookAsked, Variants, World, axis_values

__all__ = [
    "EMBEDDED",
    "FILE_LIMIT",
    "OTHER_LIQUIDITY",
    "PLACED",
    "PLACEMENT",
    "ROUNDS_LIMIT",
    "SESSION",
    "TABLE",
    "WHERE_ONLY",
    "BookAsked",
    "Clock",
    "Config",
    "Fees",
    "ParentOrders",
    "Question",
    "Settings",
    "Span",
    "Validation",
    "Variants",
    "World",
    "as_json",
    "as_yaml",
    "assign",
    "axis_values",
    "build_config",
    "effective",
    "expected_of",
    "in_rounds",
    "keys_of",
    "like",
    "load_config",
    "placed",
    "read_mapping",
    "sampler_of",
    "switches",
    "with_keys",
]
