"""Functions that numba compiles where it is installed, and Python runs where not."""

import inspect
from collections.abc import Callable
from typing import Any

try:
    import numba
except ImportError:
    numba = None


def inlined(function: Callable) -> Any:
    """The function, compiled as a part of the one that calls it."""
    return _compiled(function, forceinline=True)


def compiled(function: Callable) -> Any:
    """The function, compiled by numba if there is one.

    What is compiled stays in the user's cache, frees the interpreter's lock, divides by
    zero as NumPy does, and never fuses, reorders or skips floating-point operations.
    """
    return _compiled(function)


def _compiled(function: Callable, **options: Any) -> Any:
    function = inspect.unwrap(function)
    if numba is None:
        return function
    compile_with = numba.njit(cache=True, nogil=True, error_model="numpy", **options)
    return compile_with(function)


def require_numba(what: str) -> None:
    """Says how to get numba if it is missing.

    Raises:
        ImportError: if it is.
    """
    if numba is None:
        raise ImportError(
            f"{what}: expected numba, got none: pip install 'bojax[zero]'"
        )
