"""Which combinations a sweep tries."""
