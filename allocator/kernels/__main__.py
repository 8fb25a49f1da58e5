"""``python -m allocator.kernels`` compiles every kernel now, so that no run has to."""

from allocator.kernels import compile_all

if __name__ == "__main__":
    compile_all()
