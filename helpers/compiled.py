"""Functions that numba compiles once, for all processes."""

import numba

__all__ = ["compiled"]


def compiled(function):
    """Compile a function, and keep the result on disk if its folder or the user's can be written."""
    try:
        return numba.njit(function, error_model="numpy", cache=True)
    except RuntimeError:  # numba finds no folder: each process compiles for itself
        return numba.njit(function, error_model="numpy")
