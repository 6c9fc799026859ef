"""Fit many X-ray spectra of one source with a disc and a power law behind known absorption.

All spectra are folded with the detector's response together, so that thousands take seconds. As in
`measurements`, a quantity that the data cannot give is NaN, never zero.
"""

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
import torch
from scipy.interpolate import CubicSpline

from helpers.spectra import absorption, disc_blackbody, energy_flux, power_law

__all__ = ["SpectralFit", "fit_spectra"]

# Tabulated shapes; a cubic spline of the logarithm has an error of 1e-6 between them.
_GAMMA = np.linspace(1.0, 5.0, 41)
_LOG_KT = np.linspace(np.log(0.1), np.log(3.0), 69)
# Every second shape is a node of the first search.
_STRIDE = 2
# Longest step in Γ and in ln kT_in for which the linear approximation of the model holds.
_LONGEST_STEP = 0.5
# Two more parameters must lower χ² by this much.
_NEEDED = 9.0
# Required net counts, and their required number of standard deviations above zero.
_LEAST_COUNTS = 20
_DETECTED = 3.0
# keV. No continuum has a feature this narrow, and no detector of silicon could resolve it.
_NARROWEST = 0.09
# Counts. Without this limit one photon would dominate Pearson's χ² of a channel with few expected counts.
_LEAST_VARIANCE = 0.1
_CHUNK = 500
_MAX_ITERATIONS = 100


@dataclass(frozen=True, eq=False)
class SpectralFit:
    """Results of the fits of n spectra; errors are one standard deviation.

    Attributes:
        gamma, gamma_err: (n,) photon index Γ of the power law; NaN where none is needed.
        kt_in, kt_in_err: (n,) temperature of the disc's inner edge, keV; NaN where no disc is needed.
        disc_frac: (n,) share of the disc in the energy flux from 2 to 20 keV before absorption.
        log_flux_2_10: (n,) log10 of the energy flux from 2 to 10 keV before absorption, erg/cm^2/s.
        red_chi2: (n,) χ² over `dof`.
        dof: (n,) number of fitted bins minus fitted parameters, for the chosen model.
    """

    gamma: np.ndarray
    gamma_err: np.ndarray
    kt_in: np.ndarray
    kt_in_err: np.ndarray
    disc_frac: np.ndarray
    log_flux_2_10: np.ndarray
    red_chi2: np.ndarray
    dof: np.ndarray


def fit_spectra(
    counts, background, exposure, response, n_h, band, *, systematic=0.0
) -> SpectralFit:
    """Fit absorption(N_H) (disc_blackbody + power_law) by minimising χ² = Σ (C - B - M)² / V.

    V = M + B + (systematic M)² depends on the model M, not on the counts C, which would bias faint
    spectra low. Without a systematic error the result is the maximum of the Poisson likelihood, except
    in bins with fewer than 0.1 expected counts, whose variance is set to 0.1. N_H is fixed at the known
    value of the source. Γ is sought from 1 to 5, kT_in from 0.1 to 3 keV, from three starts: the best
    node of a grid, and for each component alone the best addition of the other. Channels narrower than
    0.09 keV are summed to about this width.

    A component is reported only if it is needed, that is, if it lowers χ² by 9 or more at the V of both
    together. Otherwise Γ is NaN and `disc_frac` 1, or kT_in is NaN and `disc_frac` 0. If either one
    alone is enough, the one with the lower χ² is taken. About 1 per cent of pure power laws seem to
    need a disc, because the best kT_in of a whole range is taken. A parameter at the end of its range
    is NaN, and so is its error. All results are NaN for a spectrum with fewer than 20 net counts, or
    fewer than three times their standard deviation √ΣC. Errors come from the curvature at the minimum.
    They include neither the errors of N_H and the background nor the choice of the model. If a disc is
    barely detected, χ² is not parabolic, and kT_in may be wrong by many times its error.

    Reference: Arnaud, Smith & Siemiginowska 2011, Handbook of X-ray Astronomy, ch. 7, for fits
    through a response; Wheaton et al. 1995, ApJ 438, 322, for the variance from the model.

    Args:
        counts: (n, n_channels) source and background together, 0 or more.
        background: (n, n_channels) expected counts of the background alone, 0 or more.
        exposure: (n,) s, multiplied by the number of detectors if the response is that of one.
        response: the `helpers.spectra.Response` of the detector.
        n_h: N_H in 1e22 hydrogen atoms/cm^2, a number.
        band: (low, high) keV; channels whose nominal middle lies between are fitted.
        systematic: standard deviation of the response's errors, as a share of the model in each
            fitted bin, independent from bin to bin.
    """
    counts, background, exposure = (
        np.asarray(x, dtype=float) for x in (counts, background, exposure)
    )
    shape = len(exposure), len(response.channel_lo)
    for name, value in (("counts", counts), ("background", background)):
        if value.shape != shape:
            raise ValueError(
                f"{name} has shape {value.shape}, not {shape}: one row per spectrum, with all "
                f"{shape[1]} channels of the response. A single one is {name}[None]."
            )
    starts, channels = _bins(response, band)

    power, disc = _tables(response, n_h, starts, channels)
    counts, background = (
        np.add.reduceat(x[:, channels], starts, axis=-1) for x in (counts, background)
    )
    net = (counts - background).sum(-1)
    fitted = np.flatnonzero((net >= _LEAST_COUNTS) & (net >= _DETECTED * np.sqrt(counts.sum(-1))))

    result = {f.name: np.full(len(counts), np.nan) for f in fields(SpectralFit)}
    for start in range(0, len(fitted), _CHUNK):
        rows = fitted[start : start + _CHUNK]
        data = _Data(counts[rows], background[rows], exposure[rows, None], systematic)
        for name, values in _fit_and_choose(data, power, disc).items():
            result[name][rows] = values
    return SpectralFit(**result)


# -- the model, tabulated ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Table:
    """Table of a folded component of norm 1 for any shape: counts per second in each bin."""

    grid: np.ndarray  # (n_grid,) Γ, or ln kT_in; evenly spaced
    rates: np.ndarray  # (n_grid, n_bins)
    coefficients: np.ndarray  # (n_grid - 1, 4, n_bins) of the cubic in ln(rate)
    flux: CubicSpline  # ln of the unabsorbed energy flux from 2 to 10 and from 2 to 20 keV

    def __call__(self, shape):
        """Return rates (n, n_bins), and their derivatives, for shapes (n,) within the grid."""
        step = self.grid[1] - self.grid[0]
        piece = np.clip(((shape - self.grid[0]) / step).astype(int), 0, len(self.grid) - 2)
        x = (shape - self.grid[piece])[:, None]
        c3, c2, c1, c0 = np.moveaxis(self.coefficients[piece], 1, 0)
        rate = np.exp(c0 + x * (c1 + x * (c2 + x * c3)))
        return rate, rate * (c1 + x * (2 * c2 + x * 3 * c3))


@lru_cache(maxsize=8)
def _photons(response):
    """Return for both components photons in the response's energy bins, and ln of the energy fluxes.

    Neither depends on N_H, so this half of the work is stored for the next source.
    """
    bins = response.energy_lo.double().cpu(), response.energy_hi.double().cpu()
    edges = torch.logspace(np.log10(2), np.log10(20), 401, dtype=torch.float64)
    edges[0], edges[-1] = 2.0, 20.0
    fine = edges[:-1], edges[1:]
    components = []
    for model, shape in ((power_law, _GAMMA), (disc_blackbody, np.exp(_LOG_KT))):
        shape = torch.as_tensor(shape)
        flux = model(*fine, shape, norm=1.0)
        flux = torch.stack([energy_flux(*fine, flux, 2, high) for high in (10, 20)], dim=-1)
        components.append((model(*bins, shape, norm=1.0).numpy(), flux.log().numpy()))
    return components


def _tables(response, n_h, starts, channels):
    """Return the tables of the power law and of the disc behind this N_H, in these bins."""
    photons = _photons(response)
    response = response.to(device="cpu", dtype=torch.float64)
    seen = response.effective_area * absorption(response.energy_lo, response.energy_hi, n_h)
    matrix = np.add.reduceat(response.redistribution.numpy()[:, channels], starts, axis=-1)
    matrix = seen.numpy()[:, None] * matrix
    tables = []
    for grid, (flux, log_energy_flux) in zip((_GAMMA, _LOG_KT), photons, strict=True):
        rates = np.maximum(flux @ matrix, 1e-140)  # a cold disc may have no flux left
        spline = CubicSpline(grid, np.log(rates))
        coefficients = np.ascontiguousarray(np.moveaxis(spline.c, 0, 1))
        tables.append(_Table(grid, rates, coefficients, CubicSpline(grid, log_energy_flux)))
    return tables


def _bins(response, band):
    """Return where the fitted bins start among the band's channels, and the numbers of these channels."""
    lo, hi = (x.double().cpu().numpy() for x in (response.channel_lo, response.channel_hi))
    middle = (lo + hi) / 2
    channels = np.flatnonzero((middle >= band[0]) & (middle <= band[1]))
    starts, width = [0], 0.0
    for place, channel in enumerate(channels):
        if width > _NARROWEST * (1 - 1e-3):
            starts.append(place)
            width = 0.0
        width += hi[channel] - lo[channel]
    return np.array(starts), channels


# -- the minimum of χ² ---------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Data:
    counts: np.ndarray  # (n, n_bins)
    background: np.ndarray  # (n, n_bins)
    exposure: np.ndarray  # (n, 1)
    systematic: float

    def __getitem__(self, rows):
        return _Data(self.counts[rows], self.background[rows], self.exposure[rows], self.systematic)

    def variance(self, model):
        return np.maximum(model + self.background + (self.systematic * model) ** 2, _LEAST_VARIANCE)

    def chi2(self, model, variance):
        return ((self.counts - self.background - model) ** 2 / variance).sum(-1)


def _fit_and_choose(data, power, disc):
    """Return the columns of `SpectralFit` for spectra with enough counts."""
    n, n_bins = data.counts.shape
    tables = [power, disc]
    alone = [_minimise(data, [table], _start(data, [table])) for table in tables]
    starts = [_start(data, tables)] + [_beside(data, tables, alone[k], k) for k in (0, 1)]
    ends = _minimise(data[np.tile(np.arange(n), 3)], tables, np.concatenate(starts))
    both = ends.at(slice(n))
    for k in (1, 2):
        both = _better(data, both, ends.at(slice(k * n, (k + 1) * n)))

    variance = data.variance(both.model)
    chi2 = data.chi2(both.model, variance)
    lost = []
    for table in tables:
        fit = _minimise(data, [table], _start(data, [table], variance), variance)
        lost.append(data.chi2(fit.model, variance) - chi2)
    # 0: the power law alone, 1: the disc alone, 2: both
    choice = np.where(np.minimum(*lost) >= _NEEDED, 2, np.where(lost[0] <= lost[1], 0, 1))

    shape, error = np.full((2, n, 2), np.nan)
    flux = np.zeros((n, 2, 2))  # (spectrum, component, band)
    best = np.zeros_like(both.model)
    for model, (fit, parts) in enumerate(((alone[0], [0]), (alone[1], [1]), (both, [0, 1]))):
        rows = np.flatnonzero(choice == model)
        fit = fit.at(rows)
        used = [tables[k] for k in parts]
        best[rows] = fit.model
        errors = _errors(data[rows], used, fit)
        for k, (column, table) in enumerate(zip(parts, used, strict=True)):
            x = fit.shape[:, k]
            edge = 1e-6 * (table.grid[-1] - table.grid[0])
            told = (x > table.grid[0] + edge) & (x < table.grid[-1] - edge)
            told &= np.isfinite(errors[:, k]) & (fit.norm[:, k] > 0)
            shape[rows, column] = np.where(told, x, np.nan)
            error[rows, column] = np.where(told, errors[:, k], np.nan)
            flux[rows, column] = fit.norm[:, k, None] * np.exp(table.flux(x))

    dof = n_bins - np.where(choice == 2, 4.0, 2.0)
    kt = np.exp(shape[:, 1])
    total = flux.sum(1)
    total = np.where(total > 0, total, np.nan)
    return {
        "gamma": shape[:, 0],
        "gamma_err": error[:, 0],
        "kt_in": kt,
        "kt_in_err": kt * error[:, 1],
        "disc_frac": flux[:, 1, 1] / total[:, 1],
        "log_flux_2_10": np.log10(total[:, 0]),
        "red_chi2": data.chi2(best, data.variance(best)) / dof,
        "dof": dof,
    }


@dataclass(eq=False)
class _Minimum:
    shape: np.ndarray  # (n, n_components) Γ and ln kT_in, or one of them
    norm: np.ndarray  # (n, n_components)
    model: np.ndarray  # (n, n_bins) counts above background

    def at(self, rows):
        return _Minimum(self.shape[rows], self.norm[rows], self.model[rows])


def _start(data, tables, variance=None):
    """Return the best shapes (n, n_components) among the nodes of the grids, each with its best norms."""
    nodes = [table.rates[::_STRIDE] for table in tables]
    places = [table.grid[::_STRIDE] for table in tables]
    signal = data.counts - data.background
    rows = np.arange(len(signal))
    if len(nodes) == 2:
        products = (nodes[0][:, None] * nodes[1]).reshape(-1, signal.shape[1]).T
    # Without a model, its variance is first estimated from the data, then from the first result.
    first = variance is None
    if first:
        near = np.apply_along_axis(np.convolve, -1, data.counts, np.ones(5) / 5, mode="same")
        variance = np.maximum(near, 1) + (data.systematic * near) ** 2
    for _ in range(2 if first else 1):
        weight = data.exposure / variance
        b = [(weight * signal) @ node.T for node in nodes]
        weight = data.exposure * weight
        a = [weight @ (node**2).T for node in nodes]
        if len(nodes) == 1:
            norm = np.maximum(b[0], 0) / np.maximum(a[0], 1e-290)
            best = ((b[0] * norm).argmax(-1),)
            norms = [norm[rows, best[0]]]
        else:
            cross = (weight @ products).reshape(len(rows), len(nodes[0]), len(nodes[1]))
            p, d = _two_norms(
                a[0][:, :, None], a[1][:, None], cross, b[0][:, :, None], b[1][:, None]
            )
            # At the best norms χ² is lower by b·norm than without the source.
            gain = b[0][:, :, None] * p + b[1][:, None] * d
            best = np.divmod(gain.reshape(len(rows), -1).argmax(-1), len(nodes[1]))
            norms = [p[rows, *best], d[rows, *best]]
        model = sum(
            norm[:, None] * node[k] for norm, node, k in zip(norms, nodes, best, strict=True)
        )
        variance = data.variance(data.exposure * model)
    return np.stack([place[k] for place, k in zip(places, best, strict=True)], axis=-1)


def _beside(data, tables, alone, k):
    """Return starting shapes for spectra in which component k alone is nearly enough, and the other is weak.

    A weak component lowers χ² by less than a shape of k between two nodes does, so `_start` does not
    find it. Here k can follow: to first order around its best fit alone, a weighted linear fit of its
    norm, its shape and the norm of the other component, for each node of the other.
    """
    table, other = tables[k], tables[1 - k]
    variance = data.variance(alone.model)
    rate, slope = (data.exposure * x for x in table(alone.shape[:, 0]))
    base = np.stack([rate, alone.norm * slope], axis=1)
    nodes = other.rates
    weight = data.exposure / variance
    residual = data.counts - data.background - alone.model
    own = (base / variance[:, None]) @ base.swapaxes(1, 2)
    length = np.maximum(np.sqrt(np.diagonal(own, axis1=1, axis2=2)), 1e-290)
    base = base / length[..., None]
    own = own / length[:, :, None] / length[:, None] + 1e-9 * np.eye(2)
    overlap = (base * weight[:, None]) @ nodes.T
    cross = np.linalg.solve(own, overlap)
    offset = np.linalg.solve(own, (base / variance[:, None]) @ residual[..., None])
    # The part of the other component, and of the residual, that the first cannot describe
    free = (data.exposure * weight) @ (nodes**2).T
    left = free - (overlap * cross).sum(1)
    signal = (weight * residual) @ nodes.T - (overlap * offset).sum(1)
    usable = left > 1e-9 * free
    gain = np.where(usable, np.maximum(signal, 0) ** 2 / np.where(usable, left, 1), 0)
    rows, node = np.arange(len(gain)), gain.argmax(-1)
    norm = np.maximum(signal[rows, node], 0) / np.where(usable, left, np.inf)[rows, node]
    change = (offset[:, 1, 0] - cross[rows, 1, node] * norm) / length[:, 1]
    change = np.clip(np.nan_to_num(change), -_LONGEST_STEP, _LONGEST_STEP)
    shape = np.empty((len(rows), 2))
    shape[:, k] = np.clip(alone.shape[:, 0] + change, table.grid[0], table.grid[-1])
    shape[:, 1 - k] = other.grid[node]
    return shape


def _better(data, first, second):
    """Return the deeper of two minima of each spectrum, by χ² at the variances of both."""
    difference = 0
    for fit in (first, second):
        variance = data.variance(fit.model)
        difference = difference + data.chi2(second.model, variance)
        difference = difference - data.chi2(first.model, variance)
    take = (difference < 0)[:, None]
    return _Minimum(
        *(np.where(take, getattr(second, f.name), getattr(first, f.name)) for f in fields(first))
    )


def _two_norms(aa, bb, ab, a, b):
    """Return norms p, d >= 0 that minimise p² aa + 2 p d ab + d² bb - 2 p a - 2 d b."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        determinant = aa * bb - ab * ab
        p, d = (a * bb - b * ab) / determinant, (b * aa - a * ab) / determinant
        inside = (determinant > 1e-12 * aa * bb) & (p >= 0) & (d >= 0)
        only_p, only_d = np.maximum(a, 0) / aa, np.maximum(b, 0) / bb
        take_p = a * only_p >= b * only_d
    p = np.where(inside, p, np.where(take_p, only_p, 0))
    d = np.where(inside, d, np.where(take_p, 0, only_d))
    return np.nan_to_num(p, posinf=0), np.nan_to_num(d, posinf=0)


def _norms(data, templates, variance):
    """Return the best norms (n, n_components), 0 or more, for folded components."""
    signal = (data.counts - data.background) / variance
    b = [(t * signal).sum(-1) for t in templates]
    a = [(t * t / variance).sum(-1) for t in templates]
    if len(templates) == 1:
        return (np.maximum(b[0], 0) / np.maximum(a[0], 1e-290))[:, None]
    cross = (templates[0] * templates[1] / variance).sum(-1)
    return np.stack(_two_norms(*a, cross, *b), axis=-1)


def _curvature(data, templates, slopes, norm, model, variance):
    """Return gradient (n, 2k) and curvature (n, 2k, 2k) of -χ²/2 in k shapes, then k norms."""
    columns = [norm[:, k, None] * slope for k, slope in enumerate(slopes)]
    columns = np.stack([*columns, *templates], axis=1)
    weighted = columns / variance[:, None]
    residual = data.counts - data.background - model
    return (weighted @ residual[..., None])[..., 0], weighted @ columns.swapaxes(1, 2)


def _step(gradient, curvature, frozen, damping, k):
    """Return the damped Gauss-Newton step (n, 2k) with the frozen parameters held."""
    scale = np.sqrt(np.diagonal(curvature, axis1=1, axis2=2))
    scale = np.where((scale > 0) & ~frozen, scale, np.inf)
    scaled = curvature / scale[:, :, None] / scale[:, None]
    diagonal = np.arange(2 * k)
    extra = np.zeros_like(scale)
    extra[:, :k] = damping[:, None]
    scaled[:, diagonal, diagonal] = 1 + extra + 1e-13
    return np.linalg.solve(scaled, (gradient / scale)[..., None])[..., 0] / scale


def _minimise(data, tables, shape, variance=None):
    """Find the minimum of χ² near the given shapes, by Levenberg-Marquardt for all spectra at once.

    The variance is the given one, or else that of the model: each step lowers χ² at the variance of the
    previous model, and the iteration ends when both agree.
    """
    n, k = shape.shape
    lowest = np.array([table.grid[0] for table in tables])
    highest = np.array([table.grid[-1] for table in tables])

    def evaluate(data, shape):
        pairs = [table(x) for table, x in zip(tables, shape.T, strict=True)]
        return tuple([data.exposure * pair[j] for pair in pairs] for j in (0, 1))

    def combine(norm, templates):
        return sum(norm[:, j, None] * template for j, template in enumerate(templates))

    # First find norms at a variance from the data, then at that of their own model.
    templates, slopes = evaluate(data, shape)
    trial = np.maximum(data.counts, 1) if variance is None else variance
    for _ in range(3 if variance is None else 1):
        norm = _norms(data, templates, trial)
        model = combine(norm, templates)
        trial = data.variance(model) if variance is None else variance

    result = _Minimum(shape.copy(), norm.copy(), model.copy())
    rows = np.arange(n)
    damping = np.full(n, 1e-3)
    for _ in range(_MAX_ITERATIONS):
        here = data.variance(model) if variance is None else variance[rows]
        gradient, curvature = _curvature(data, templates, slopes, norm, model, here)
        value = np.concatenate([shape, norm], axis=1)
        floor = np.concatenate([lowest, np.zeros(k)])
        ceiling = np.concatenate([highest, np.full(k, np.inf)])
        frozen = ((value <= floor) & (gradient <= 0)) | ((value >= ceiling) & (gradient >= 0))
        step = _step(gradient, curvature, frozen, damping, k)
        newton = _step(gradient, curvature, frozen, np.zeros(len(rows)), k)
        # Half of the remaining decrease of χ²; 1e-7 is 3e-4 standard deviations from the minimum.
        done = ((gradient * np.where(frozen, 0, newton)).sum(-1) < 1e-7) | (damping > 1e8)

        move = np.clip(step[:, :k], -_LONGEST_STEP, _LONGEST_STEP)
        trial_shape = np.clip(shape + move, lowest, highest)
        trial_templates, trial_slopes = evaluate(data, trial_shape)
        trial_norm = _norms(data, trial_templates, here)
        trial_model = combine(trial_norm, trial_templates)
        old = data.chi2(model, here)
        better = data.chi2(trial_model, here) <= old * (1 + 1e-13)
        damping = np.where(better, damping * 0.1, np.maximum(damping, 1e-4) * 10)

        take = better[:, None]
        shape, norm = np.where(take, trial_shape, shape), np.where(take, trial_norm, norm)
        model = np.where(take, trial_model, model)
        templates, slopes = (
            [np.where(take, new, old) for new, old in zip(*pair, strict=True)]
            for pair in ((trial_templates, templates), (trial_slopes, slopes))
        )
        if done.any():
            result.shape[rows[done]] = shape[done]
            result.norm[rows[done]] = norm[done]
            result.model[rows[done]] = model[done]
            left = ~done
            rows, data, damping = rows[left], data[left], damping[left]
            shape, norm, model = shape[left], norm[left], model[left]
            templates, slopes = [t[left] for t in templates], [s[left] for s in slopes]
            if len(rows) == 0:
                break
    result.shape[rows], result.norm[rows], result.model[rows] = shape, norm, model
    return result


def _errors(data, tables, fit):
    """Return standard deviations (n, n_components) of the shapes, with all other parameters free."""
    pairs = [table(x) for table, x in zip(tables, fit.shape.T, strict=True)]
    templates, slopes = ([data.exposure * pair[j] for pair in pairs] for j in (0, 1))
    variance = data.variance(fit.model)
    _, curvature = _curvature(data, templates, slopes, fit.norm, fit.model, variance)
    scale = np.sqrt(np.diagonal(curvature, axis1=1, axis2=2))
    scale = np.where(scale > 0, scale, np.inf)
    scaled = curvature / scale[:, :, None] / scale[:, None]
    diagonal = np.arange(scaled.shape[-1])
    scaled[:, diagonal, diagonal] = 1 + 1e-13
    covariance = np.diagonal(np.linalg.inv(scaled), axis1=1, axis2=2)
    return np.sqrt(np.maximum(covariance, 0))[:, : len(tables)] / scale[:, : len(tables)]
