"""Every claim about speed, measured: python -m benchmarks.run."""
