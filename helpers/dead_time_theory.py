"""Theory of a detector with dead time: its rate, its noise, and the signal that is left.

Between two events that a detector registers lies one dead time and one waiting time: a renewal
process, whose statistics have closed forms. `dead_time` is tested against them.
"""

import math

import torch
from torch import Tensor

from helpers.dead_time import DeadTimeDistribution, backgrounds

__all__ = ["detected_rate", "incident_rate", "signal_transfer", "white_noise"]


def detected_rate(rate, dead_time, paralyzable=False, *, kept=1.0, background=()):
    """Registered rate of a constant source: r/(1 + rτ), or r e^{-rτ} if paralyzable.

    With a share q of its events kept, and backgrounds of rates b, shares k and dead times τ_b:
    (q r + Σ k b)/(1 + rτ + Σ b τ_b), or times e^{-(rτ + Σ b τ_b)}.

    Args:
        rate: incident rate r, 1/s; a number, an array or a tensor, as is the result.
        dead_time: τ, s; the mean, if it varies (not paralyzable).
        paralyzable: whether photons that are not registered cause dead time too.
        kept, background: as of `dead_time.count_detected`.

    Example:
        >>> [f"{detected_rate(1000.0, 2.5e-3, kind):.2f}" for kind in (False, True)]
        ['285.71', '82.08']
    """
    others, lost = _of_background(dead_time, background)
    lost = rate * dead_time + lost
    arriving = kept * rate + others
    if paralyzable:
        return arriving * (torch.exp(-lost) if isinstance(lost, Tensor) else math.e**-lost)
    return arriving / (1 + lost)


def incident_rate(detected, dead_time, *, kept=1.0, background=()):
    """Incident rate of a constant source, for a non-paralyzable detector: r = r_d/(1 - r_d τ).

    With a share q kept, and backgrounds: r = [r_d (1 + Σ b τ_b) - Σ k b]/(q - r_d τ).

    Raises:
        ValueError: if more is detected than one event per dead time, or less than the background.

    Example:
        >>> f"{incident_rate(285.71, 2.5e-3):.0f}"
        '1000'
    """
    others, lost = _of_background(dead_time, background)
    live = kept - detected * dead_time
    if not bool((torch.as_tensor(live) > 0).all()):
        raise ValueError(
            "A non-paralyzable detector registers less than one event per dead time: this rate "
            "and this dead time are not of one detector."
        )
    of_source = detected * (1 + lost) - others
    if not bool((torch.as_tensor(of_source) >= 0).all()):
        raise ValueError("The background alone gives more events than were detected.")
    return of_source / live


def white_noise(
    frequency: Tensor, rate, dead_time, *, bin_size=None, paralyzable=False, kept=1.0, background=()
) -> Tensor:
    """Leahy power (n_frequencies,) in float64 of a constant source: 2 without dead time.

    With the characteristic function φ = E[e^{iωτ}] r/(r - iω) of the time from one event to the
    next, ω = 2πf, P = 2 (1 - |φ|²)/|1 - φ|²; paralyzable, P = 2 - 4 r_d sin(ωτ)/ω. Bins alias:
    P_b = 2 + Σ_k [P(|f + k/Δ|) - 2] sinc²(fΔ + k).

    For the fractional normalisation divide by the mean rate of the light curve. Adding detectors of
    the same rate leaves the Leahy power as it is; that of unequal ones is the mean of theirs, weighted
    by detected rates. Of events that are chosen after dead time, a share q of all, it is 2 + q (P - 2).
    If those left out have a dead time of their own, from one that is kept to the next
    φ = p W A/[1 - (1 - p) W B]: W that of the wait for an event of any kind, p the share kept, A and
    B = E[e^{iωτ}] of those kept and left out. A segment of n events lies higher near f = 0, where dead
    time leaves least (by a fifth at r τ = 50, below 80 Hz, in 1 s).

    Reference: Cox & Lewis 1966, The Statistical Analysis of Series of Events. Zhang et al. 1995,
    ApJ 449, 930, have the binned one for constant τ as a series (`stingray.deadtime.model`).

    Args:
        frequency: (n_frequencies,) f, Hz.
        rate: incident rate r of the detector, 1/s.
        dead_time: τ, s: a number, or a `DeadTimeDistribution` (not paralyzable).
        bin_size: Δ, s; None for times that were not binned.
        paralyzable, kept, background: as of `detected_rate`.

    Raises:
        ValueError: for a paralyzable detector whose dead time varies, for which there is no formula.

    Example:
        >>> white_noise(torch.tensor([1e-3]), 1000.0, 2.5e-3) * (1 + 2.5) ** 2 / 2
        tensor([1.0000], dtype=torch.float64)
    """
    background = backgrounds(background)
    own = any(b.dead_time not in (None, dead_time) for b in background)
    if paralyzable and (own or isinstance(dead_time, DeadTimeDistribution)):
        raise ValueError("There is no formula for a paralyzable detector whose dead time varies.")
    frequency, detector = frequency.double(), (rate, dead_time, paralyzable, kept, background)
    if bin_size is None:
        return _unbinned(frequency, *detector)
    k = torch.arange(-200, 201, dtype=torch.float64, device=frequency.device)[:, None]
    excess = _unbinned((frequency + k / bin_size).abs(), *detector) - 2
    return 2 + (excess * torch.sinc(frequency * bin_size + k).square()).sum(dim=0)


def signal_transfer(
    frequency: Tensor, rate, dead_time, *, paralyzable: bool = False, kept=1.0, background=()
) -> Tensor:
    """The factor H(f) = 1/[1 + r (1 - e^{-iωτ})/(iω)] on a small signal's fractional amplitude.

    Complex, (n_frequencies,); ω = 2πf. H(0) = 1/(1 + rτ). Power is multiplied by |H|². Paralyzable,
    H = 1 - r T, T = (1 - e^{-iωτ})/(iω). Derived, to first order, from the share of time that the
    detector is live, 1 - ∫ r_d over the last τ. With backgrounds B = Σ b T_b, and H of the source's
    events is (1 + B)/(1 + r T + B). All that is kept has [q r H + Σ k b (H - 1)]/(q r + Σ k b): steady
    events get the signal upside down, from the time that it takes.

    Args:
        frequency: (n_frequencies,) f, Hz, above zero.
        rate, dead_time, paralyzable, kept, background: as of `white_noise`; τ may always vary.

    Example:
        A signal is damped at low frequencies, and not at all at 1/τ:

        >>> signal_transfer(torch.tensor([20.0, 200.0, 400.0]), 1000.0, 2.5e-3).abs()
        tensor([0.2873, 0.5320, 1.0000], dtype=torch.float64)
    """
    i_omega = 2j * math.pi * frequency.double()

    def blind(tau):
        return (1 - _mean_phase(i_omega, tau).conj()) / i_omega

    of_source, background = blind(dead_time), backgrounds(background)
    if paralyzable:
        h = 1 - rate * of_source
    else:
        others = 1 + sum(b.rate * blind(_own(b, dead_time)) for b in background)
        h = others / (others + rate * of_source)
    source, others = kept * rate, sum(b.kept * b.rate for b in background)
    return (source * h + others * (h - 1)) / (source + others)


def _of_background(dead_time, background):
    """Return the rates that arrive and are kept, 1/s, and the share Σ b τ_b."""
    background = backgrounds(background)
    lost = sum(b.rate * _own(b, dead_time) for b in background)
    return sum(b.kept * b.rate for b in background), lost


def _own(background, dead_time):
    return dead_time if background.dead_time is None else background.dead_time


def _unbinned(frequency, rate, dead_time, paralyzable, kept, background):
    # At f = 0 the formulae are limits. Nearer to it than this, rounding would be the larger error.
    omega = 2 * math.pi * frequency.clamp(min=1e-2)
    kinds = [(rate, kept, dead_time), *((b.rate, b.kept, _own(b, dead_time)) for b in background)]
    total = sum(r for r, _, _ in kinds)
    p = sum(r * share for r, share, _ in kinds) / total
    if paralyzable:
        registered = detected_rate(total, dead_time, True)
        return 2 - p * 4 * registered * torch.sin(omega * dead_time) / omega
    wait = total / (total - 1j * omega)
    phases = [(r, share, _mean_phase(1j * omega, tau)) for r, share, tau in kinds]
    # Times their probabilities: p A and (1 - p) B.
    of_kept = sum(r * share * phase for r, share, phase in phases)
    of_others = sum(r * (1 - share) * phase for r, share, phase in phases)
    phi = wait * of_kept / total / (1 - wait * of_others / total)
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
