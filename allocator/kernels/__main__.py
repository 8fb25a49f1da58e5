"""``python -m allocator.kernels`` compiles every kernel now, so that no run has to."""

from allocator.kernels import load

if __name__ == "__main__":
    load()
