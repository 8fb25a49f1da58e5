"""What a sweep takes, in time, memory and money, before it is run."""

from sweep.forecast.estimate import forecast

__all__ = ["forecast"]
