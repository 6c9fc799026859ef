"""What theory says of a detector with dead time: its rate, its noise, and the signal that is left.

Between two events that a detector registers lies one dead time and one waiting time: a renewal
process, whose statistics have closed forms. `dead_time` is tested against them.
"""

import math

import torch
from torch import Tensor

from helpers.dead_time import DeadTimeDistribution

__all__ = ["detected_rate", "incident_rate", "signal_transfer", "white_noise"]


def detected_rate(rate, dead_time, paralyzable=False):
    """The rate r/(1 + rτ) that is left of a constant one; r e^{-rτ} if paralyzable.

    Args:
        rate: incident rate r, 1/s; a number, an array or a tensor, as is the result.
        dead_time: τ, s; the mean, if it varies (not paralyzable).
        paralyzable: whether photons that are not registered cause dead time too.

    Example:
        >>> [f"{detected_rate(1000.0, 2.5e-3, kind):.2f}" for kind in (False, True)]
        ['285.71', '82.08']
    """
    lost = rate * dead_time
    if paralyzable:
        return rate * (torch.exp(-lost) if isinstance(lost, Tensor) else math.e**-lost)
    return rate / (1 + lost)


def incident_rate(detected, dead_time):
    """The inverse of `detected_rate` of a non-paralyzable detector: r = r_d/(1 - r_d τ).

    Raises:
        ValueError: if more is detected than one event per dead time.

    Example:
        >>> f"{incident_rate(285.71, 2.5e-3):.0f}"
        '1000'
    """
    live = 1 - detected * dead_time
    if not bool((torch.as_tensor(live) > 0).all()):
        raise ValueError(
            "A non-paralyzable detector registers less than one event per dead time: this rate "
            "and this dead time are not of one detector."
        )
    return detected / live


def white_noise(
    frequency: Tensor, rate, dead_time, *, bin_size=None, paralyzable: bool = False
) -> Tensor:
    """Leahy power (n_frequencies,) in float64 of a constant source: 2 without dead time.

    With the characteristic function φ = E[e^{iωτ}] r/(r - iω) of the time from one event to the
    next, ω = 2πf, P = 2 (1 - |φ|²)/|1 - φ|²; paralyzable, P = 2 - 4 r_d sin(ωτ)/ω. Bins alias:
    P_b = 2 + Σ_k [P(|f + k/Δ|) - 2] sinc²(fΔ + k).

    For the fractional normalisation divide by the mean rate of the light curve; adding detectors of
    the same rate leaves the Leahy power as it is.

    Reference: Cox & Lewis 1966, The Statistical Analysis of Series of Events. Zhang et al. 1995,
    ApJ 449, 930, have the binned one for constant τ as a series (`stingray.deadtime.model`).

    Args:
        frequency: (n_frequencies,) f, Hz.
        rate: incident rate r of the detector, 1/s.
        dead_time: τ, s: a number, or a `DeadTimeDistribution` (not paralyzable).
        bin_size: Δ, s; None for times that were not binned.
        paralyzable: whether photons that are not registered cause dead time too.

    Raises:
        ValueError: for a paralyzable detector whose dead time varies, for which there is no formula.

    Example:
        >>> white_noise(torch.tensor([1e-3]), 1000.0, 2.5e-3) * (1 + 2.5) ** 2 / 2
        tensor([1.0000], dtype=torch.float64)
    """
    if paralyzable and isinstance(dead_time, DeadTimeDistribution):
        raise ValueError("There is no formula for a paralyzable detector whose dead time varies.")
    frequency = frequency.double()
    if bin_size is None:
        return _unbinned(frequency, rate, dead_time, paralyzable)
    k = torch.arange(-200, 201, dtype=torch.float64, device=frequency.device)[:, None]
    excess = _unbinned((frequency + k / bin_size).abs(), rate, dead_time, paralyzable) - 2
    return 2 + (excess * torch.sinc(frequency * bin_size + k).square()).sum(dim=0)


def signal_transfer(frequency: Tensor, rate, dead_time) -> Tensor:
    """The factor H(f) = 1/[1 + r (1 - e^{-iωτ})/(iω)] on a small signal's fractional amplitude.

    Complex, (n_frequencies,). Of a non-paralyzable detector; ω = 2πf. H(0) = 1/(1 + rτ). Power is
    multiplied by |H|². Derived, to first order, from the share of time that the detector is live,
    1 - ∫ r_d over the last τ.

    Args:
        frequency: (n_frequencies,) f, Hz, above zero.
        rate: incident rate r of the detector, 1/s.
        dead_time: τ, s: a number, or a `DeadTimeDistribution`.

    Example:
        A signal is damped at low frequencies, and not at all at 1/τ:

        >>> signal_transfer(torch.tensor([20.0, 200.0, 400.0]), 1000.0, 2.5e-3).abs()
        tensor([0.2873, 0.5320, 1.0000], dtype=torch.float64)
    """
    i_omega = 2j * math.pi * frequency.double()
    mean_phase = _mean_phase(i_omega, dead_time).conj()
    return 1 / (1 + rate * (1 - mean_phase) / i_omega)


def _unbinned(frequency, rate, dead_time, paralyzable):
    # At f = 0 the formulae are limits. Nearer to it than this, rounding would be the larger error.
    omega = 2 * math.pi * frequency.clamp(min=1e-2)
    if paralyzable:
        return 2 - 4 * detected_rate(rate, dead_time, True) * torch.sin(omega * dead_time) / omega
    phi = _mean_phase(1j * omega, dead_time) * rate / (rate - 1j * omega)
    return 2 * (1 - phi.abs().square()) / (1 - phi).abs().square()


def _mean_phase(i_omega, dead_time):
    """E[e^{iωτ}], exact for a distribution function that is linear in pieces."""
    if not isinstance(dead_time, DeadTimeDistribution):
        return torch.exp(i_omega * dead_time)
    # What lies beyond the table has the table's first or last value.
    tau = [dead_time.values[0], *dead_time.values, dead_time.values[-1]]
    tau = torch.tensor(tau, dtype=torch.float64, device=i_omega.device)
    probability = tau.new_tensor([0.0, *dead_time.probabilities, 1.0]).diff()
    middle, half = (tau[1:] + tau[:-1]) / 2, (tau[1:] - tau[:-1]) / 2
    phase = i_omega[..., None]
    piece = torch.exp(phase * middle) * torch.sinc(phase.imag * half / math.pi)
    return (piece * probability).sum(dim=-1)
