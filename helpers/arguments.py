"""What a user hands to a simulator, refused by name where it cannot be used."""

import math
from numbers import Integral

from torch import Tensor

__all__ = ["one_of", "rows_of", "seconds", "tensors", "whole"]


def seconds(name: str, value) -> float:
    """A positive number of seconds."""
    value = float(value)
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be a positive number of seconds, not {value:g}.")
    return value


def whole(name: str, value, at_least: int) -> int:
    """A whole number, of numpy too."""
    if not isinstance(value, Integral) or value < at_least:
        raise ValueError(f"{name} must be a whole number of at least {at_least}, not {value!r}.")
    return int(value)


def one_of(name: str, value, choices):
    """One of a few words."""
    if value not in choices:
        expected = " or ".join(f'"{choice}"' for choice in choices)
        raise ValueError(f"{name} must be {expected}, not {value!r}.")
    return value


def rows_of(theta: Tensor) -> Tensor:
    """(n, P) the parameters of each simulation, of theta (..., P)."""
    if theta.ndim == 0 or not theta.dtype.is_floating_point:
        raise ValueError("theta must be a tensor (..., P) of real numbers.")
    return theta.detach().reshape(-1, theta.shape[-1])


def tensors(**values):
    """Refuse whatever is no tensor of torch, by its name."""
    for name, value in values.items():
        if not isinstance(value, Tensor):
            raise TypeError(
                f"{name} must be a torch tensor, not {type(value).__name__}: torch.as_tensor({name}) "
                "makes one, of the same numbers and dtype."
            )
