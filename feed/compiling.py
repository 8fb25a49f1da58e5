"""How kernels of the feed are compiled: when their module is imported, once, and kept where there is a place to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numba import njit

if TYPE_CHECKING:
    from collections.abc import Callable


def compiled(signature: Any, **options: Any) -> Callable[[Callable[..., Any]], Any]:  # noqa: ANN401 - numba's own
    """Compile a function when its module is imported, or load what was compiled where there is a place to cache it.

    Parameters
    ----------
    signature : numba type
    **options
        Of numba, such as ``error_model="numpy"``. No function holds the interpreter's lock.
    """

    def compile_it(function: Callable[..., Any]) -> Any:  # noqa: ANN401 - the compiled function
        try:
            return njit(signature, cache=True, nogil=True, **options)(function)
        except RuntimeError:  # neither the module's folder nor the user's cache folder may be written
            return njit(signature, nogil=True, **options)(function)

    return compile_it
