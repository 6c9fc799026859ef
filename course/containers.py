"""Containers in which learners may return right answers; tests and evidence put answers into each of them."""

import functools

import numpy as np
import pandas as pd

__all__ = ["CONTAINERS", "Packed", "pack"]


def _numbers_or_none(value):
    """Return a result as an array of numbers, bools or strings; None if it is none."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if isinstance(value, (bool, int, float, np.generic, np.ndarray)) and not isinstance(value, str):
        return np.asarray(value)
    return None


def _rows_of(given, n):
    """Return the index of an argument that has n rows of pandas, or None."""
    for other in given:
        if (
            isinstance(other, (pd.Series, pd.DataFrame))
            and len(other) == n
            and other.index.is_unique
        ):
            return other.index
    return None


def _list(values, given):
    return values.tolist() if values.ndim else None


def _tuple(values, given):
    return tuple(values.tolist()) if values.ndim else None


def _array(values, given):
    return values if values.ndim else np.array([values])


def _series(values, given):
    if values.ndim == 2:
        return pd.DataFrame(values)
    return pd.Series(np.atleast_1d(values)) if values.ndim < 2 else None


def _indexed(values, given):
    """Return rows in another order than given, with their index, or with an index of strings."""
    if values.ndim != 1 or not len(values):
        return None
    index = _rows_of(given, len(values))
    if index is not None:
        return pd.Series(values, index=index).iloc[::-1]
    return pd.Series(values, index=[f"row {k * 7 % len(values)} {k}" for k in range(len(values))])


def _column(values, given):
    return pd.DataFrame({"answer": values}).answer if values.ndim == 1 else None


def _torch(dtype=None, grad=False):
    def make(values, given):
        import torch

        if values.dtype.kind not in "biuf":
            return None
        made = torch.as_tensor(np.array(values))
        if dtype:
            made = made.to(getattr(torch, dtype)) if made.is_floating_point() else made
        return made.requires_grad_() if grad and made.is_floating_point() else made

    return make


def _float32(values, given):
    return np.float32(values) if values.dtype.kind == "f" else None


def _masked(values, given):
    if values.dtype.kind != "f" or not values.ndim:
        return None
    return np.ma.masked_invalid(values)


def _with_none(values, given):
    if values.dtype.kind != "f" or not values.ndim:
        return None
    return np.where(np.isnan(values), None, values.astype(object)).tolist()


def _nullable(values, given):
    if values.ndim != 1 or values.dtype.kind != "f":
        return None
    return pd.array(np.where(np.isnan(values), None, values.astype(object)), dtype="Float64")


CONTAINERS = {
    "list": _list,
    "tuple": _tuple,
    "array": _array,
    "series": _series,
    "series with an index": _indexed,
    "column": _column,
    "tensor": _torch(),
    "tensor with gradient": _torch("float64", grad=True),
    "tensor of float32": _torch("float32"),
    "float32": _float32,
    "masked array": _masked,
    "list with None": _with_none,
    "nullable array": _nullable,
}


def pack(value, how, given=()):
    """Put a result into another container; a result that does not fit into it stays as it is.

    Args:
        value: a number, array, tensor, table, dictionary, or a tuple of them.
        how: a key of `CONTAINERS`.
        given: the arguments of the call that returned it.

    >>> pack((1.5, np.arange(2)), "list")
    [1.5, [0, 1]]
    >>> pack(np.array([1, np.nan]), "list with None")
    [1.0, None]
    """
    if isinstance(value, tuple):
        parts = [pack(part, how, given) for part in value]
        if how == "array" and all(isinstance(part, (int, float)) for part in value):
            return np.array(value)
        if how.startswith("series") and all(isinstance(part, (int, float)) for part in value):
            return pd.Series(value)
        if how.startswith("tensor") and all(isinstance(part, float) for part in value):
            return CONTAINERS[how](np.array(value), given)
        return parts if how in ("list", "column") else tuple(parts)
    if isinstance(value, dict):
        return {key: pack(part, how, given) for key, part in value.items()}
    if isinstance(value, pd.DataFrame):
        if how == "series with an index" and value.index.is_unique:
            return value.iloc[::-1]
        return value[list(value)[::-1]] if how == "column" else value
    if hasattr(value, "requires_grad") and value.requires_grad:
        return value.double() if how == "tensor with gradient" else value  # keep its graph
    numbers = _numbers_or_none(value)
    packed = None if numbers is None else CONTAINERS[how](numbers, given)
    return value if packed is None else packed


class Packed:
    """Decorator that puts the results of a right answer into one container after the other.

    Args:
        hows: keys of `CONTAINERS`, used in turn.

    >>> twice = Packed(["list", "tuple"])(lambda x: 2 * np.asarray(x))
    >>> twice([1, 2]), twice([1, 2])
    ([2, 4], (2, 4))
    """

    def __init__(self, hows=tuple(CONTAINERS)):
        self.hows, self.calls = list(hows), 0

    def __call__(self, answer):
        if not callable(answer) or isinstance(answer, type):
            return pack(answer, self._next())

        @functools.wraps(answer)
        def call(*given, **named):
            return pack(answer(*given, **named), self._next(), (*given, *named.values()))

        return call

    def _next(self):
        how = self.hows[self.calls % len(self.hows)]
        self.calls += 1
        return how
