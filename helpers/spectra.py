"""Models of photon spectra, and the instrument response that turns them into counts per channel.

A spectral model gives the photon flux in each energy bin, and absorption gives the transmitted share
of it. `Response.fold` turns the flux into the count rate that the detector reports in each channel.

Models take energy_lo and energy_hi (n_energies,), increasing edges of bins above 0 keV, and numbers
or tensors (...) that broadcast; they return (..., n_energies) photons/cm^2/s in each bin, on the
energies' device, with gradients. Parameters that cannot be used give a ValueError with their name; if
their values cannot be read (torch.func.vmap), or they have a gradient (in a fit), the result is NaN.
"""

import contextlib
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from helpers.arguments import refuse_arrays, tensor

__all__ = [
    "Response", "absorption", "blackbody", "cutoff_power_law", "disc_blackbody", "energy_flux",
    "power_law",
]  # fmt: skip

# XSPEC's value, so that its norms hold; 15/π^4 times 1e39 erg/s / (4π (10 kpc)^2) in keV is 8.0329.
_BLACKBODY = 8.0525
# 16π/3 c/(hc)^3 (1 km / 10 kpc)^2, in photons/keV^3/cm^2/s
_DISC = 1 / 361.27
_ERG_PER_KEV = 1.602176634e-9

# Morrison & McCammon 1983, Table 2: up to this energy (keV), σ E^3 = c0 + c1 E + c2 E^2, in
# 1e-24 cm^2 keV^3 per hydrogen atom. The first two bands and the last are XSPEC's additions.
# Many copies have c2 = -0.75 below 7.111 keV: σ would then drop at the edge of calcium.
_CROSS_SECTION = (
    (0.0136, 0.0, 0.0, 0.0),
    (0.030, 33.6, 0.0, 0.0),
    (0.100, 17.3, 608.1, -2150.0),
    (0.284, 34.6, 267.9, -476.1),
    (0.400, 78.1, 18.8, 4.3),
    (0.532, 71.4, 66.8, -51.4),
    (0.707, 95.5, 145.8, -61.1),
    (0.867, 308.9, -380.6, 294.0),
    (1.303, 120.6, 169.3, -47.7),
    (1.840, 141.3, 146.8, -31.5),
    (2.471, 202.7, 104.7, -17.0),
    (3.210, 342.7, 18.7, 0.0),
    (4.038, 352.2, 18.7, 0.0),
    (7.111, 433.9, -2.4, 0.75),
    (8.331, 629.0, 30.9, 0.0),
    (10.00, 701.2, 25.2, 0.0),
    (float("inf"), 953.2, 0.0, 0.0),
)


@dataclass(frozen=True, eq=False)
class Response:
    """Linear map C_j = Σ_i F_i A_i R_ij from photon flux F_i to count rate C_j in channel j.

    The map is linear, so it has neither pile-up nor dead time. The rows of R need not sum to one: a
    photon can fall below the threshold, or be rejected for its grade. A channel's energy is nominal: a
    count in it may come from a photon of another energy. R is a dense tensor: X-ray matrices are 10 to
    80 per cent full, and folding is then several times faster than with a sparse tensor.

    Reference: George et al. 1992, Legacy 2, 51 (OGIP memo CAL/GEN/92-002), which defines the format.

    Args:
        energy_lo, energy_hi: (n_energies,) edges of the photon energy bins, keV.
        effective_area: (n_energies,) A, cm^2.
        redistribution: (n_energies, n_channels) R, probability of channel j for a photon of bin i.
        channel_lo, channel_hi: (n_channels,) edges of the channels, nominal keV.

    Example:
        A detector with two channels that reports half of the upper photons one channel too low:

        >>> lo, hi, area = torch.tensor([[1.0, 2.0], [2.0, 3.0], [100.0, 200.0]])
        >>> matrix = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
        >>> response = Response(lo, hi, area, matrix, channel_lo=lo, channel_hi=hi)
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
        refuse_arrays(**vars(self))
        shape = tuple(self.redistribution.shape)
        if len(shape) != 2:
            wanted = "a matrix (n_energies, n_channels)"
            raise ValueError(f"redistribution must be {wanted}, not of shape {shape}.")
        for name, array in vars(self).items():
            length = shape[1] if name.startswith("channel") else shape[0]
            if array is not self.redistribution and tuple(array.shape) != (length,):
                raise ValueError(
                    f"{name} has shape {tuple(array.shape)}, but the redistribution matrix of "
                    f"shape {shape} needs ({length},)."
                )

    def fold(self, flux: Tensor) -> Tensor:
        """Compute the expected counts/s (..., n_channels) in each channel, differentiable.

        Args:
            flux: (..., n_energies) photons/cm^2/s in each bin, with the response's device and dtype.
        """
        refuse_arrays(flux=flux)
        if flux.dtype != self.redistribution.dtype:
            raise ValueError(
                f"The flux is {flux.dtype} and the response {self.redistribution.dtype}: make one like "
                f"the other, response.to(dtype={flux.dtype}) or theta.to({self.redistribution.dtype})."
            )
        _refuse_other_bins(flux, len(self.effective_area))
        return (flux * self.effective_area) @ self.redistribution

    def to(self, device=None, dtype=None) -> "Response":
        """Return the response on another device, or in another floating-point dtype."""
        return Response(*(x.to(device=device, dtype=dtype) for x in vars(self).values()))


def power_law(energy_lo: Tensor, energy_hi: Tensor, photon_index, norm) -> Tensor:
    """Compute the photon flux per bin of N(E) = K E^-Γ: F_i = K ∫ E^-Γ dE from lo_i to hi_i, exactly.

    The result is (..., n_energies) photons/cm^2/s in each bin. For Γ = 1 it is K ln(hi/lo); value
    and gradient are continuous there.

    Args:
        energy_lo, energy_hi: (n_energies,) edges of the bins, keV, above zero, increasing.
        photon_index: (...) Γ.
        norm: (...) K, photons/keV/cm^2/s at 1 keV.

    Example:
        >>> edges = torch.tensor([1.0, 2.0, 10.0])
        >>> power_law(edges[:-1], edges[1:], photon_index=2.0, norm=1.0)
        tensor([0.5000, 0.4000])
    """
    photon_index, norm = _checked(energy_lo, energy_hi, photon_index=photon_index, norm=norm)
    # The integral is E0^(1 - Γ) w sinh(x/2) / (x/2), E0 = √(lo hi), w = ln(hi/lo), x = (1 - Γ) w:
    # unlike a difference of powers, it loses no digits in narrow bins, and has no 0/0 at Γ = 1.
    width = _log_width(energy_lo, energy_hi)
    middle = (torch.log(energy_hi) + torch.log(energy_lo)) / 2
    slope = 1 - photon_index
    return norm * torch.exp(slope * middle) * width * _sinhc(slope * width / 2)


def cutoff_power_law(energy_lo: Tensor, energy_hi: Tensor, photon_index, cutoff, norm) -> Tensor:
    """Compute the photon flux per bin of N(E) = K E^-Γ exp(-E/E_c); bins and result as of `power_law`.

    The integral over a bin is a three-point Gauss-Legendre sum in ln E. Its relative error falls with
    the sixth power of the bin width: it is at most 1e-6 in bins narrower than E_c and a tenth of their
    energy, and 1e-4 for bins up to 2 E_c and half their energy. On the grids of RXTE and NICER in
    data/ it is below 1e-7 in all bins with more than 1e-10 of the flux of the brightest bin.

    Reference: Rybicki & Lightman 1979, sect. 7.5, for thermal Comptonisation, which this imitates.

    Args:
        photon_index: (...) Γ.
        cutoff: (...) E_c, keV, above zero; infinity gives the power law without a cut-off.
        norm: (...) K, photons/keV/cm^2/s at 1 keV if there were no cut-off.

    Example:
        >>> edges = torch.tensor([1.0, 1.1, 1.2])
        >>> cutoff_power_law(edges[:-1], edges[1:], 1.7, torch.tensor([1.0, 100.0]), norm=1.0)
        tensor([[0.0323, 0.0250],
                [0.0912, 0.0781]])
    """
    given = {"photon_index": photon_index, "cutoff": cutoff, "norm": norm}
    photon_index, cutoff, norm = _checked(energy_lo, energy_hi, **given)
    return norm * _integrate(
        lambda energy: energy**-photon_index * torch.exp(-energy / cutoff), energy_lo, energy_hi
    )


def blackbody(energy_lo: Tensor, energy_hi: Tensor, temperature, norm) -> Tensor:
    """Compute the photon flux per bin of N(E) = 8.0525 K E^2 / ((kT)^4 (exp(E/kT) - 1)): XSPEC's bbody.

    Bins and result are as of `power_law`. Integrals are those of `cutoff_power_law` with kT instead of
    E_c, and as accurate. XSPEC's constant is 0.24 per cent too high for the definition of K below.

    Reference: Arnaud 1996, ASP Conf. 101, 17 (XSPEC); the manual, model bbody.

    Args:
        temperature: (...) kT, keV, above zero.
        norm: (...) K, (L / 1e39 erg/s) / (distance / 10 kpc)^2.

    Example:
        A hotter body of the same luminosity emits fewer photons:

        >>> edges = torch.logspace(-2, 2, 1001)
        >>> blackbody(edges[:-1], edges[1:], torch.tensor([1.0, 2.0]), norm=1.0).sum(dim=-1)
        tensor([19.3587,  9.6795])
    """
    temperature, norm = _checked(energy_lo, energy_hi, temperature=temperature, norm=norm)

    def density(energy):
        x = energy / temperature
        # exp(-x) rather than exp(x): far in the Wien tail it becomes zero, not infinite.
        return energy**2 * torch.exp(-x) / -torch.expm1(-x)

    return norm * _BLACKBODY / temperature**4 * _integrate(density, energy_lo, energy_hi)


def disc_blackbody(energy_lo: Tensor, energy_hi: Tensor, temperature, norm) -> Tensor:
    """Compute a disc's flux per bin, N(E) = K/361.3 E^2 ∫_0^1 t^(-11/3) / (exp(E/(kT_in t)) - 1) dt.

    Each ring of a geometrically thin, optically thick disc is a blackbody, and t = (r/R_in)^(-3/4)
    is its temperature relative to the inner edge: XSPEC's diskbb. The model has no relativity, no
    colour correction and no outer edge. The integral over t has an error of 1e-6 at any energy; that
    over the bin is as in `cutoff_power_law`. Bins and result are as of `power_law`.

    Reference: Mitsuda et al. 1984, PASJ 36, 741, eq. 4; Makishima et al. 1986, ApJ 308, 635.

    Args:
        temperature: (...) kT_in, keV, above zero.
        norm: (...) K = (R_in / km)^2 / (distance / 10 kpc)^2 cos(inclination), R_in apparent.

    Example:
        A detector above 3 keV does not see a disc of 0.1 keV, as in a hard state:

        >>> edges = torch.tensor([0.5, 0.6, 3.0, 3.1])
        >>> lo, hi = edges[::2], edges[1::2]
        >>> disc_blackbody(lo, hi, torch.tensor([0.1, 1.0]), norm=1000.0)
        tensor([[8.5996e-05, 5.2592e-15],
                [7.2129e-01, 6.7512e-02]])
    """
    temperature, norm = _checked(energy_lo, energy_hi, temperature=temperature, norm=norm)

    def density(energy):
        # With q^3 = E/(kT t) and q0^3 = x = E/kT the integral is x^(-8/3) ∫ 3 q^7 / (exp(q^3) - 1) dq
        # from q0: smooth in q for all x, and ended at q1^3 = x + 22, where a share e^-22 of it remains.
        x = energy / temperature
        q0, q1 = x ** (1 / 3), (x + 22) ** (1 / 3)
        length = 22 / (q0 * q0 + q0 * q1 + q1 * q1)  # q1 - q0, without loss of digits
        total = 0
        for node, weight in _gauss(16):
            step = length * node
            q = q0 + step
            beyond = step * (3 * q0 * q + step * step)  # q^3 - x, again without loss of digits
            cube = q * q * q
            below = -torch.expm1(-x - beyond)
            total = total + weight * cube * cube * q * torch.exp(-beyond) / below
        return 3 * energy**2 * q0**-8 * torch.exp(-x) * length * total

    return norm * _DISC * _integrate(density, energy_lo, energy_hi)


def absorption(energy_lo: Tensor, energy_hi: Tensor, n_h) -> Tensor:
    """Compute the share exp(-N_H σ(E)) of photons that interstellar gas transmits: XSPEC's wabs.

    σ is per hydrogen atom, for neutral gas of cosmic abundances without dust. The transmission is
    the mean over the bin for photons that are uniform in ln E, computed in parts if the bin contains
    an absorption edge. Above 10 keV σ falls as E^-3; below 0.0136 keV it is zero. Bins are as of
    `power_law`; multiply the flux of a model by the result, (..., n_energies) from 0 to 1.

    Reference: Morrison & McCammon 1983, ApJ 270, 119, Table 2.

    Args:
        n_h: (...) N_H, the column density in 1e22 hydrogen atoms/cm^2, not negative.

    Example:
        >>> edges = torch.tensor([0.5, 0.52, 2.0, 2.1, 6.4, 6.5])
        >>> absorption(edges[::2], edges[1::2], torch.tensor([0.0, 1.0]))
        tensor([[1.0000e+00, 1.0000e+00, 1.0000e+00],
                [9.8353e-04, 6.6898e-01, 9.8338e-01]])
    """
    (n_h,) = _checked(energy_lo, energy_hi, n_h=n_h)
    top, *coefficients = energy_lo.new_tensor(_CROSS_SECTION).T
    bottom = torch.cat([top.new_zeros(1), top[:-1]])
    lo = torch.maximum(energy_lo[:, None], bottom)
    hi = torch.minimum(energy_hi[:, None], top)
    energy_bin, band = torch.nonzero(lo < hi, as_tuple=True)
    lo, hi = lo[energy_bin, band], hi[energy_bin, band]
    c0, c1, c2 = (c[band] for c in coefficients)

    def transmission(energy):
        depth = 0.01 * n_h * (c0 + energy * (c1 + energy * c2)) / energy**3
        return torch.exp(-depth) / energy

    pieces = _integrate(transmission, lo, hi)
    bins = pieces.new_zeros(*pieces.shape[:-1], len(energy_lo))
    return bins.index_add(-1, energy_bin, pieces) / _log_width(energy_lo, energy_hi)


def energy_flux(energy_lo: Tensor, energy_hi: Tensor, flux: Tensor, low, high) -> Tensor:
    """Compute the energy flux F = ∫ E N(E) dE (...), erg/cm^2/s, of a photon flux in energy bins.

    Photons are assumed to be uniform in ln E inside each bin, also in bins that the band cuts. For
    w = ln(hi/lo) and N(E) ∝ E^-Γ, whole bins then have a relative error of (Γ - 1) w^2/12: 3e-5
    between 2 and 10 keV on the RXTE grid with Γ = 3.

    Args:
        flux: (..., n_energies) photons/cm^2/s of a spectral model, in bins as of `power_law`.
        low, high: ends of the band, keV, two numbers; the bins must cover the whole band.

    Example:
        The share of a disc in the energy flux of a soft state between 2 and 20 keV:

        >>> edges = torch.logspace(0, 2, 1001)
        >>> lo, hi = edges[:-1], edges[1:]
        >>> disc = energy_flux(lo, hi, disc_blackbody(lo, hi, 0.8, norm=2000.0), 2, 20)
        >>> tail = energy_flux(lo, hi, power_law(lo, hi, 2.4, norm=1.0), 2, 20)
        >>> round(float(disc / (disc + tail)), 2)
        0.77
    """
    _checked(energy_lo, energy_hi)
    _refuse_other_bins(flux, len(energy_lo))
    lo, hi = (x.clamp(low, high) for x in (energy_lo, energy_hi))
    covered = float(_log_width(lo, hi).sum()) if 0 < low < high else 0.0
    if not abs(covered - np.log(high / low if covered else np.e)) < 1e-4:
        raise ValueError(
            f"The band from {low} to {high} keV is not covered exactly once by energy bins from "
            f"{float(energy_lo[0]):.4g} to {float(energy_hi[-1]):.4g} keV: choose 0 < low < high "
            "within them, or evaluate the model on a grid without gaps that covers the band."
        )
    # A photon of a bin is in the band with probability ln(hi/lo) / w, with mean (hi - lo) / ln(hi/lo).
    return _ERG_PER_KEV * (flux * (hi - lo) / _log_width(energy_lo, energy_hi)).sum(dim=-1)


# The condition that each parameter must fulfil, and its text.
_RULES = {
    "photon_index": (torch.isfinite, "finite"),
    "cutoff": (lambda x: x > 0, "above 0 keV (float('inf') for no cut-off)"),
    "temperature": (lambda x: (x > 0) & torch.isfinite(x), "above 0 keV and finite"),
    "norm": (lambda x: (x >= 0) & torch.isfinite(x), "0 or more, and finite"),
    "n_h": (lambda x: (x >= 0) & torch.isfinite(x), "0 or more, in 1e22 per cm^2, and finite"),
}


def _checked(energy_lo, energy_hi, **parameters):
    """Return the checked parameters as tensors (..., 1) on the energies' device."""
    refuse_arrays(energy_lo=energy_lo, energy_hi=energy_hi)
    if not (energy_lo.ndim == 1 and energy_lo.shape == energy_hi.shape):
        raise ValueError(
            f"energy_lo has shape {tuple(energy_lo.shape)} and energy_hi {tuple(energy_hi.shape)}; "
            "both must be (n_energies,): the lower and the upper edges of the same bins."
        )
    if not (energy_lo.is_floating_point() and energy_hi.is_floating_point()):
        raise ValueError("energy_lo and energy_hi must be floating-point: convert with .float().")
    for name, value in parameters.items():
        dtype = None if isinstance(value, Tensor) else energy_lo.dtype
        parameters[name] = tensor(name, value, missing=True).to(energy_lo.device, dtype)
    try:
        np.broadcast_shapes(*(value.shape for value in parameters.values()))
    except ValueError as error:
        shapes = ", ".join(f"{name} {tuple(x.shape)}" for name, x in parameters.items())
        raise ValueError(
            f"The shapes of the parameters do not broadcast: {shapes}. "
            "Give each its own dimension, as in temperature[:, None]."
        ) from error

    grid = (energy_lo > 0).all() & (energy_hi > energy_lo).all() & energy_hi.isfinite().all()
    grid = grid & (energy_lo[1:] > energy_lo[:-1]).all()
    usable = [grid, *(_RULES[name][0](value).all() for name, value in parameters.items())]
    moves = any(value.requires_grad for value in parameters.values())
    # On a GPU every `if` on a tensor waits for all work before it: one wait, and details on failure.
    try:
        fine = bool(torch.stack(usable).all())
    except RuntimeError:  # values are hidden inside vmap
        fine, moves = False, True
    if not fine:
        with contextlib.suppress(RuntimeError):
            grid = bool(grid)
        if grid is False:
            raise ValueError(
                "Energies must be finite, above 0 keV, increasing, and energy_lo below energy_hi: "
                "leave out the bin from 0, and sort the bins."
            )
        for name, value in parameters.items():
            rule, wanted = _RULES[name]
            if moves:
                parameters[name] = value * torch.where(rule(value) & grid, 1.0, torch.nan)
            elif len(wrong := value[~rule(value)]):
                raise ValueError(
                    f"{name} must be {wanted}, but {len(wrong)} of {value.numel()} are not, such "
                    f"as {float(wrong[0])}: narrow the range it is drawn from, or fill in what is "
                    "missing."
                )
    return [value[..., None] for value in parameters.values()]


def _refuse_other_bins(flux, number):
    if flux.shape[-1:] != (number,):
        raise ValueError(
            f"The flux has shape {tuple(flux.shape)}; its last dimension must be the {number} energy "
            "bins. Evaluate the model on their energy_lo and energy_hi, those of the response to fold."
        )


def _log_width(energy_lo, energy_hi):
    """Return ln(hi/lo), without loss of digits in narrow bins."""
    return torch.log1p((energy_hi - energy_lo) / energy_lo)


@cache
def _gauss(n):
    """Return nodes and weights of Gauss-Legendre quadrature on (0, 1)."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return list(zip(((nodes + 1) / 2).tolist(), (weights / 2).tolist(), strict=True))


def _integrate(density, energy_lo, energy_hi):
    """Compute ∫ density(E) dE over each bin with three points in ln E, where spectra are smooth."""
    width = _log_width(energy_lo, energy_hi)
    total = 0
    for node, weight in _gauss(3):
        energy = energy_lo * torch.exp(node * width)
        total = total + weight * energy * density(energy)
    return width * total


def _sinhc(x):
    """Return sinh(x) / x, with a gradient that is exact at zero, too."""
    small = x.abs() < 0.1
    # Both branches are evaluated: the inner `where` keeps the 0/0 out of the gradient.
    safe = torch.where(small, torch.ones_like(x), x)
    square = x * x
    series = 1 + square / 6 * (1 + square / 20 * (1 + square / 42 * (1 + square / 72)))
    return torch.where(small, series, torch.sinh(safe) / safe)
