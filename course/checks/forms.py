"""Forms: convert a learner's answer from any container into the form with which the lesson continues.

A form is a function (value, given=()) that returns the value as the lesson needs it, or raises `Hint`. `given` are the
arguments of the call that returned it: a tensor takes dtype and device from them, and rows of pandas their order.

>>> number("a rate")(np.array([3]))
3.0
>>> array("rates")(pd.Series([1, None], index=["b", "a"]))
array([ 1., nan])
>>> tuple_of("a mean and its error", number("a mean"), number("an error"))([3, 0.5])
(3.0, 0.5)
"""

import functools
import numbers
from collections.abc import Iterator, Mapping, MappingView

import numpy as np
import pandas as pd

from course.checks import Hint, speaking

__all__ = [
    "anything",
    "array",
    "function",
    "mapping",
    "number",
    "table",
    "tensor",
    "tuple_of",
]

_KINDS = {float: "numbers", int: "whole numbers", bool: "True or False", str: "strings"}


def anything(value, given=()):
    """Return the answer unchanged: an estimator, or a function of another kind."""
    return value


def number(what="a number", kind=float):
    """Make the form of one number: a float, or by `kind` an int or bool; NaN if the answer is `None`.

    A list or array with one number is accepted, too.
    """

    def form(value, given=()):
        found = _values(value, what, kind)
        if found.size != 1:
            raise Hint(f"Expected {what}; yours has shape {found.shape}.")
        return kind(found.reshape(()))

    return form


def array(what="an array", kind=float):
    """Make the form of an array of float, int, bool or str; `None` and masked values become NaN.

    Rows of pandas are returned in the order of the given rows.
    """

    def form(value, given=()):
        return _values(_in_order(value, given), what, kind)

    return form


def tensor(what="a tensor", *, dtype=None, number=False, gradient=False):
    """Make the form of a tensor, with dtype and device of the first tensor of numbers that was given.

    Args:
        what: description for the hint.
        dtype: name such as "float64", if it differs from that of the given tensor.
        number: whether it is one number, without a dimension.
        gradient: whether it keeps its graph; otherwise it is detached.
    """

    def form(value, given=()):
        import torch  # lessons 00 to 12 start faster without it

        model = next((x for x in given if torch.is_tensor(x) and x.is_floating_point()), None)
        if isinstance(value, (list, tuple)) and any(map(torch.is_tensor, value)):
            try:
                value = torch.stack([torch.as_tensor(part) for part in value])
            except (RuntimeError, TypeError, ValueError):
                raise Hint(f"Expected {what}; the parts of your list do not fit.") from None
        if not torch.is_tensor(value):
            value = torch.as_tensor(_values(_in_order(value, given), what, float))
        if value.is_complex():
            raise Hint(f"Expected {what}; yours holds complex numbers.")
        value = value if gradient and value.grad_fn is not None else value.detach()
        if number and value.numel() != 1:
            raise Hint(f"Expected {what}, one number; yours has shape {tuple(value.shape)}.")
        value = value.reshape(()) if number else value
        if model is not None:
            value = value.to(dtype=model.dtype, device=model.device)
        if dtype is not None:
            return value.to(getattr(torch, dtype))
        return value if value.is_floating_point() else value.to(torch.get_default_dtype())

    return form


def table(what="a table", columns=None):
    """Make the form of a pandas table, with its rows in the order of the given rows.

    Args:
        what: description for the hint.
        columns: a function of the arguments that returns the names in order, or None for any order.
    """

    def form(value, given=()):
        if isinstance(value, Mapping):
            try:
                value = pd.DataFrame(value)
            except ValueError:
                raise Hint(f"Expected {what}; your columns differ in length.") from None
        if not isinstance(value, pd.DataFrame):
            raise Hint(
                f"Expected {what}, as pandas has them; your answer is of type {type(value).__name__}."
            )
        value = _in_order(value, given)
        names = None if columns is None else list(columns(*given))
        if names is None or set(names) != set(value.columns):
            return value
        return value[names]

    return form


def tuple_of(what, *forms):
    """Make the form of a tuple with a form for each part; `what` names all parts."""

    def form(value, given=()):
        value = list(value) if isinstance(value, Iterator) else value
        if isinstance(value, pd.DataFrame):
            value = [value.iloc[:, number] for number in range(value.shape[1])]
        elif isinstance(value, pd.Series):
            value = value.tolist()
        if isinstance(value, (str, Mapping)) or not _has_length(value) or len(value) != len(forms):
            raise Hint(f"Expected {len(forms)} things: {what}.")
        return tuple(one(part, given) for one, part in zip(forms, value, strict=True))

    return form


def mapping(forms):
    """Make the form of a dictionary, {key: form}; a Series is accepted, too."""

    def form(value, given=()):
        value = value.to_dict() if isinstance(value, pd.Series) else value
        if not isinstance(value, Mapping):
            raise Hint(f"Expected a dictionary; your answer is of type {type(value).__name__}.")
        missing = [key for key in forms if key not in value]
        if missing:
            raise Hint(f"{len(missing)} of {len(forms)} keys are missing, such as {missing[0]!r}.")
        if more := [key for key in value if key not in forms]:
            raise Hint(f"The dictionary has a key too many, {more[0]!r}.")
        for key, part in value.items():
            if part is ...:
                raise Hint(f"{key!r} has no answer yet.")
        return {key: one(value[key], given) for key, one in forms.items()}

    return form


def function(form=anything):
    """Make the form of a function, whose results have their own form."""

    def wrapped(value, given=()):
        if not callable(value):
            raise Hint(f"Expected a function; your answer is of type {type(value).__name__}.")

        @functools.wraps(value, updated=())
        def call(*arguments, **named):
            with speaking() as tried:
                before = [_copy(one) for one in arguments * tried]
                found = value(*arguments, **named)
            if any(_differ(*pair) for pair in zip(before, arguments, strict=False)):
                raise Hint("Your function changes what it was given: work on a copy.")
            if found is None:
                raise Hint("Your function returns None: does it end in `return`?")
            return form(found, (*arguments, *named.values()))

        return call

    return wrapped


def _copy(value):
    """Return a copy of an argument that an answer might change by mistake; None for other arguments."""
    if isinstance(value, (np.ndarray, pd.Series, pd.DataFrame)):
        return value.copy()
    if hasattr(value, "detach"):
        return value.detach().clone().requires_grad_(value.requires_grad)
    return None


def _differ(before, after):
    """Return whether an argument has changed; switching on its gradient is a change."""
    if before is None:
        return False
    if isinstance(before, (pd.Series, pd.DataFrame)):
        return not (before.equals(after) and before.index.equals(after.index))
    if hasattr(before, "detach"):
        if before.requires_grad != after.requires_grad:
            return True
        before, after = before.detach().cpu().numpy(), after.detach().cpu().numpy()
    numbers = before.dtype.kind == "f" and after.dtype.kind == "f"
    return not np.array_equal(before, after, equal_nan=numbers)


def _has_length(value):
    try:
        return len(value) >= 0
    except TypeError:
        return False


def _in_order(value, given):
    """Return rows of pandas in the order of the first argument with the same rows; or by number, if numbered."""
    if isinstance(value, (pd.Series, pd.DataFrame)) and value.index.is_unique:
        orders = [x.index for x in given if isinstance(x, (pd.Series, pd.DataFrame))]
        for order in (*orders, pd.RangeIndex(len(value))):
            if len(order) == len(value) and set(order) == set(value.index):
                return value.loc[order]
    return value


def _values(value, what, kind):
    """Return an array of a kind from any container, or raise a hint."""
    found = _plain(value, what)
    if found.dtype == kind:  # the common case, also in loops of a lesson
        return found if found.flags.writeable else found.copy()  # pandas returns read-only arrays
    if kind is str:
        if found.size and not all(isinstance(one, str) for one in found.reshape(-1).tolist()):
            raise Hint(f"Expected {what}: strings.")
        return found.astype(str)
    if found.dtype == object:
        found = np.array([_gap(one) for one in found.reshape(-1)]).reshape(found.shape)
    mask = found.dtype == bool and not (kind is bool or (kind is float and found.ndim))
    if found.dtype.kind not in "biuf" or mask:
        raise Hint(f"Expected {what}: {_KINDS[kind]}, not {_type(value)}.")
    if kind is float:
        return found.astype(float)
    whole = np.isin(found, (0, 1)) if kind is bool else found == np.round(found)
    if not whole.all() or not np.isfinite(found).all():
        raise Hint(f"Expected {what}: {_KINDS[kind]}; yours holds {found[~whole][:1]}.")
    return found.astype(kind)


def _type(value):
    kind = getattr(value, "dtype", None)
    return type(value).__name__ if kind is None else f"{type(value).__name__} of {kind}"


def _plain(value, what):
    """Return an array with the contents of a container."""
    if hasattr(value, "unit"):
        raise Hint(f"Expected {what} without a unit; `.to_value(...)` gives the bare numbers.")
    if callable(value) or isinstance(value, (Mapping, set)):
        raise Hint(f"Expected {what}; your answer is of type {type(value).__name__}.")
    if isinstance(value, (pd.Series, pd.DataFrame)):
        return value.to_numpy()
    if isinstance(value, np.ma.MaskedArray):
        return np.where(np.ma.getmaskarray(value), None, value.data)
    if hasattr(value, "detach"):  # a tensor, perhaps with a gradient or on another device
        return value.detach().cpu().resolve_conj().resolve_neg().numpy()
    if isinstance(value, (Iterator, MappingView, range)):
        value = list(value)
    if isinstance(value, (list, tuple)):
        value = [
            _plain(part, what) if _has_length(part) or hasattr(part, "detach") else part
            for part in value
        ]
        value = [
            part[()] if isinstance(part, np.ndarray) and not part.ndim else part for part in value
        ]
    try:
        return np.asarray(value)
    except ValueError:
        raise Hint(f"Expected {what}; the rows of yours differ in length.") from None


def _gap(value):
    """Return a number of a mixed container; NaN if there is no value."""
    if value is None or value is pd.NA or value is pd.NaT:
        return np.nan
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return value if isinstance(value, (str, complex)) else "?"
    return float(value)
