"""What several tests use: strategies, oracles, files, and the real parts that they run."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""
