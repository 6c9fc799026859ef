"""Photon spectra, and the instrument response that turns them into counts per channel.

A spectral model gives the photon flux in each energy bin; `Response.fold` turns it into the count
rate that the detector reports in each channel.
"""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

__all__ = ["Response", "power_law"]


@dataclass(frozen=True, eq=False)
class Response:
    """The linear map C_j = Σ_i F_i A_i R_ij from photon flux F_i to count rate C_j in channel j.

    Linear means: no pile-up and no dead time. A_i is the effective area and R_ij the probability
    that a photon of energy bin i is reported in channel j. The rows of R need not sum to one: a
    photon can fall below the threshold, or be rejected for its grade. The energy that a channel is
    named after is only nominal; a count in it may come from a photon of another energy.

    R is a dense tensor: matrices of X-ray detectors are 10 to 80 per cent full, and folding is then
    several times faster than with a sparse one on every processor.

    Reference: George et al. 1992, Legacy 2, 51 (OGIP memo CAL/GEN/92-002), the format's definition.

    Args:
        energy_lo: (n_energies,) lower edges of the photon energy bins, keV.
        energy_hi: (n_energies,) upper edges, keV.
        effective_area: (n_energies,) A, cm^2.
        redistribution: (n_energies, n_channels) R, probabilities.
        channel_lo: (n_channels,) lower edges of the channels, nominal keV.
        channel_hi: (n_channels,) upper edges, nominal keV.

    Raises:
        ValueError: if the shapes do not fit together.

    Example:
        A detector with two channels that sees half of the photons one channel too low:

        >>> response = Response(
        ...     energy_lo=torch.tensor([1.0, 2.0]),
        ...     energy_hi=torch.tensor([2.0, 3.0]),
        ...     effective_area=torch.tensor([100.0, 200.0]),
        ...     redistribution=torch.tensor([[1.0, 0.0], [0.5, 0.5]]),
        ...     channel_lo=torch.tensor([1.0, 2.0]),
        ...     channel_hi=torch.tensor([2.0, 3.0]),
        ... )
        >>> response.fold(torch.tensor([0.0, 1.0]))
        tensor([100., 100.])
    """

    energy_lo: Tensor
    energy_hi: Tensor
    effective_area: Tensor
    redistribution: Tensor
    channel_lo: Tensor
    channel_hi: Tensor

    def __post_init__(self):
        if self.redistribution.ndim != 2:
            raise ValueError(
                f"redistribution must be a matrix (n_energies, n_channels), "
                f"not of shape {tuple(self.redistribution.shape)}."
            )
        n_energies, n_channels = self.redistribution.shape
        expected = {
            "energy_lo": n_energies,
            "energy_hi": n_energies,
            "effective_area": n_energies,
            "channel_lo": n_channels,
            "channel_hi": n_channels,
        }
        for name, length in expected.items():
            shape = tuple(getattr(self, name).shape)
            if shape != (length,):
                raise ValueError(
                    f"{name} has shape {shape}, but the redistribution matrix of shape "
                    f"{(n_energies, n_channels)} needs ({length},)."
                )

    def fold(self, flux: Tensor) -> Tensor:
        """The expected count rate in each channel, differentiable with respect to the flux.

        Args:
            flux: (..., n_energies) photons/cm^2/s in each energy bin, on the response's device and
                of its dtype.

        Returns:
            (..., n_channels) counts/s in each channel.

        Raises:
            ValueError: if the last dimension of the flux is not the number of energy bins.
        """
        n_energies = len(self.effective_area)
        if flux.ndim == 0 or flux.shape[-1] != n_energies:
            raise ValueError(
                f"The flux has shape {tuple(flux.shape)}; its last dimension must be the "
                f"{n_energies} energy bins of the response. Evaluate the model on "
                "response.energy_lo and response.energy_hi."
            )
        return (flux * self.effective_area) @ self.redistribution

    def to(self, device=None, dtype=None) -> "Response":
        """The same response on another device, or of another floating-point dtype."""
        moved = {f.name: getattr(self, f.name).to(device=device, dtype=dtype) for f in fields(self)}
        return Response(**moved)


def power_law(energy_lo: Tensor, energy_hi: Tensor, photon_index, norm) -> Tensor:
    """Photon flux per energy bin of N(E) = K E^-Γ: F_i = K ∫ E^-Γ dE from lo_i to hi_i, exactly.

    For Γ = 1 the integral is K ln(hi/lo); value and gradient are smooth there.

    Args:
        energy_lo: (n_energies,) lower edges of the bins, keV, above zero.
        energy_hi: (n_energies,) upper edges, keV.
        photon_index: (...) Γ, a number or a tensor.
        norm: (...) K, photons/keV/cm^2/s at 1 keV, a number or a tensor that broadcasts with Γ.

    Returns:
        (..., n_energies) photons/cm^2/s in each bin.

    Raises:
        ValueError: if an energy is not above zero, where a power law has no finite integral.

    Example:
        >>> edges = torch.tensor([1.0, 2.0, 10.0])
        >>> power_law(edges[:-1], edges[1:], photon_index=2.0, norm=1.0)
        tensor([0.5000, 0.4000])
    """
    if not bool((energy_lo > 0).all()):
        raise ValueError("power_law needs energies above 0 keV: leave out the bin from 0.")
    photon_index, norm = (
        torch.as_tensor(x, dtype=None if isinstance(x, Tensor) else energy_lo.dtype).to(
            energy_lo.device
        )[..., None]
        for x in (photon_index, norm)
    )
    # With E0 = sqrt(lo hi), w = ln(hi/lo) and x = (1 - Γ) w, the integral is
    # E0^(1 - Γ) w sinh(x/2) / (x/2): unlike the difference of two powers it loses no digits in a
    # narrow bin, and it has no 0/0 at Γ = 1.
    width = torch.log1p((energy_hi - energy_lo) / energy_lo)
    middle = (torch.log(energy_hi) + torch.log(energy_lo)) / 2
    slope = 1 - photon_index
    return norm * torch.exp(slope * middle) * width * _sinhc(slope * width / 2)


def _sinhc(x):
    """sinh(x) / x, with a gradient that is exact at zero as well."""
    small = x.abs() < 0.1
    # Both branches are evaluated: the inner `where` keeps the 0/0 out of the gradient.
    safe = torch.where(small, torch.ones_like(x), x)
    square = x * x
    series = 1 + square / 6 * (1 + square / 20 * (1 + square / 42 * (1 + square / 72)))
    return torch.where(small, series, torch.sinh(safe) / safe)
