"""Posteriors, and whether to trust them."""

import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage

from helpers.plotting.figures import line_style


def corner(axes, samples, names, *, truth=None, limits=None):
    """Draw samples of one or several posteriors: marginals on the diagonal, pairs below it.

    A contour is the line of equal density that holds 68 or, thinner, 95 per cent of the samples.
    The density is a histogram along the principal axes of the samples, smoothed by n^(-1/6)
    of their spread (Scott's rule); a distribution with a hard edge spills over it by that much.

    Args:
        axes: (n, n) axes, as `plt.subplots(n, n)` makes them.
        samples: {label: (n_samples, n)} arrays or tensors, a look for each of up to seven, or the
            samples of a single one.
        names: n names of the parameters, with their units.
        truth: (n,) what the parameters are, drawn as thin lines, or None.
        limits: n pairs (from, to) of the axes, or None for what holds 99.8 per cent of each label.

    Returns:
        The axes.

    Raises:
        ValueError: if a shape does not fit, or samples are not finite or do not vary.

    Example:
        >>> samples = np.random.default_rng(1).normal((1.7, -1.0), (0.1, 0.05), (500, 2))
        >>> axes = plt.figure().subplots(2, 2)
        >>> axes = corner(axes, {"exact": samples}, ["photon index", "lg K"], truth=(1.7, -1.0))
        >>> axes[1, 0].get_xlabel(), axes[1, 0].get_ylabel()
        ('photon index', 'lg K')
        >>> plt.close(axes[0, 0].figure)
    """
    several = samples if isinstance(samples, dict) else {"": samples}
    several = {
        label: np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, float)
        for label, values in several.items()
    }
    n = len(names)
    for label, values in several.items():
        if values.ndim != 2 or values.shape[1] != n or len(values) <= n:
            raise ValueError(
                f"samples {label} must be (n_samples, {n}), one column for each name and more "
                f"samples than columns, not {values.shape}."
            )
        varies = np.isfinite(values).all() and (values.std(axis=0) > 0).all()
        # Of correlations, for covariances of a flux are small in any unit
        if not varies or np.linalg.matrix_rank(np.corrcoef(values.T)) < n:
            raise ValueError(f"samples {label} must be finite, and vary in {n} dimensions.")
    for what, wanted, shape in (
        ("axes", axes, (n, n)),
        ("truth", truth, (n,)),
        ("limits", limits, (n, 2)),
    ):
        if wanted is not None and np.shape(wanted) != shape:
            raise ValueError(f"{what} must be of shape {shape}, not {np.shape(wanted)}.")
    if limits is None:
        ends = [np.quantile(values, (0.001, 0.999), axis=0) for values in several.values()]
        low, high = np.min(ends, axis=(0, 1)), np.max(ends, axis=(0, 1))
        limits = np.transpose([low - 0.05 * (high - low), high + 0.05 * (high - low)])

    colours = plt.rcParams["axes.prop_cycle"].by_key()["color"]
    for (i, j), ax in np.ndenumerate(axes):
        if j > i:
            ax.axis("off")
            continue
        for number, (label, values) in enumerate(several.items()):
            style = {"linestyles": line_style(number)}
            style["colors"] = colours[number % len(colours)]
            if i == j:
                density, edges = np.histogram(values[:, i], 40, limits[i], density=True)
                line = {"linestyle": style["linestyles"], "color": style["colors"]}
                ax.stairs(density, edges, baseline=None, linewidth=1.4, label=label, **line)
            else:
                x, y, density, levels = _smooth(values[:, [j, i]])
                ax.contour(x, y, density, levels, linewidths=(0.8, 1.6), **style)
        if truth is not None:
            line = {"color": "black", "linewidth": 0.7}
            ax.axvline(truth[j], label="truth", **line)
            if i != j:
                ax.axhline(truth[i], **line)
        ax.set_xlim(limits[j])
        ax.locator_params(nbins=4)
        ax.tick_params(labelbottom=i == n - 1, labelleft=j == 0 and i > 0)
        if i == n - 1:
            ax.set_xlabel(names[j])
        if i == j:
            ax.set(yticks=[], ylim=(0, None))
        else:
            ax.set_ylim(limits[i])
            if j == 0:
                ax.set_ylabel(names[i])
    axes[0, 0].figure.align_ylabels(axes[:, 0])
    if list(several) != [""] or truth is not None:
        # Beside the first marginal, where nothing is drawn; a single one has no such place.
        place = {"loc": "upper left", "bbox_to_anchor": (1.05, 1), "borderaxespad": 0}
        axes[0, 0].legend(**(place if n > 1 else {})).set_in_layout(n == 1)
    return axes


def rank_histograms(ax, ranks, *, n_bins=10, probability=0.99):
    """Draw histograms of the ranks of truths among posterior draws, and where flat ones would lie.

    Of posteriors that are too narrow they are a U, too wide a hump, biased a slope. Each bin of uniform
    ranks lies inside the grey band with the probability given: of ten bins at 99 per cent, one in
    ten times one peeks out.

    Args:
        ax: axes to draw on.
        ranks: {label: (n,)} shares from 0 to 1, as `diagnostics.ranks` gives for one parameter, or those
            of a single one. So that all bins are alike, draws plus one should be a multiple of
            `n_bins`.
        n_bins: how many bins.
        probability: of the band, for the smallest n.

    Returns:
        The axes.

    Raises:
        ValueError: if ranks are not one-dimensional shares from 0 to 1.

    Example:
        >>> ranks = np.random.default_rng(1).integers(0, 100, 500) / 99
        >>> ax = rank_histograms(plt.figure().add_subplot(), ranks)
        >>> ax.get_xlabel()
        'rank of the truth'
        >>> plt.close(ax.figure)
    """
    several = _shares(ranks)
    n = min(map(len, several.values()))
    low, high = _uniform_band(n, [1 / n_bins], probability)
    ax.axhspan(n_bins * low[0], n_bins * high[0], color="0.88", linewidth=0)
    ax.axhline(1, color="0.6", linewidth=0.8)
    edges = np.linspace(0, 1, n_bins + 1)
    for number, (label, values) in enumerate(several.items()):
        counts, _ = np.histogram(values, edges)
        style = {"linestyle": line_style(number), "color": f"C{number % 7}", "label": label}
        height = counts / len(values) * n_bins
        ax.stairs(height, edges, baseline=None, linewidth=1.4, **style)
        # Axes side by side may share this one.
        ax.set_ylim(0, max(ax.get_ylim()[1], 1.08 * height.max()))
    ax.set(xlim=(0, 1), xlabel="rank of the truth", ylabel="tests / expected")
    ax.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
    if list(several) != [""]:
        ax.legend()
    return ax


def coverage(ax, shares, *, probability=0.99):
    """Draw how often regions of each credibility hold the truth, and where honest ones would lie.

    Each region is just large enough for the truth; its credibility is the share of draws inside.
    Above the diagonal posteriors are too wide, below it too narrow. Curves of honest ones lie inside
    the grey band with the probability given at each credibility by itself.

    Args:
        ax: axes to draw on.
        shares: {label: (n,)} from 0 to 1, as `diagnostics.credibility` or `diagnostics.coverage` give,
            or those of a single one.
        probability: of the band, for the smallest n.

    Returns:
        The axes.

    Raises:
        ValueError: if shares are not one-dimensional and from 0 to 1.

    Example:
        >>> shares = np.random.default_rng(1).random(500)
        >>> ax = coverage(plt.figure().add_subplot(), {"honest": shares, "too narrow": shares**0.5})
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['honest', 'too narrow']
        >>> plt.close(ax.figure)
    """
    several = _shares(shares)
    levels = np.linspace(0, 1, 101)
    low, high = _uniform_band(min(map(len, several.values())), levels, probability)
    ax.fill_between(levels, low, high, color="0.88", linewidth=0)
    ax.plot((0, 1), (0, 1), color="0.6", linewidth=0.8)
    for number, (label, values) in enumerate(several.items()):
        held = np.searchsorted(np.sort(values), levels, side="right") / len(values)
        ax.plot(levels, held, line_style(number), color=f"C{number % 7}", label=label)
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    ax.set(xlabel="credibility of the region", ylabel="share of truths inside")
    if list(several) != [""]:
        ax.legend()
    return ax


def _shares(values):
    """{label: (n,)} numbers from 0 to 1, of several labels or of a single one without a name."""
    several = values if isinstance(values, dict) else {"": values}
    several = {
        label: np.asarray(v.detach().cpu() if hasattr(v, "detach") else v, float)
        for label, v in several.items()
    }
    for label, v in several.items():
        if v.ndim != 1 or len(v) == 0 or not ((v >= 0) & (v <= 1)).all():
            raise ValueError(
                f"{label or 'values'} must be (n,) numbers from 0 to 1, not of shape {v.shape}"
                + (f" and up to {v.max():g}." if v.size else ".")
            )
    return several


def _uniform_band(n, levels, probability):
    # Here, for it brings torch along, which no other figure needs
    import torch

    from helpers.diagnostics import uniform_band

    return [bound.numpy() for bound in uniform_band(n, torch.as_tensor(levels), probability)]


def _smooth(samples):
    """Positions x, y and density of smoothed samples (n, 2), and its levels that hold 95 and 68 %."""
    # Along the principal axes, a narrow correlation is smoothed no more than a round cloud.
    scale = np.linalg.cholesky(np.cov(samples.T))
    centre = samples.mean(axis=0)
    white = np.linalg.solve(scale, (samples - centre).T).clip(-6, 6)
    edges = np.linspace(-7, 7, 141)
    counts, *_ = np.histogram2d(*white, [edges, edges])
    width = len(samples) ** (-1 / 6) / (edges[1] - edges[0])
    density = ndimage.gaussian_filter(counts, width)
    at = (np.searchsorted(edges, axis) - 1 for axis in white)
    levels = np.quantile(density[tuple(at)], (0.05, 0.32))
    middle = (edges[1:] + edges[:-1]) / 2
    grid = np.stack(np.meshgrid(middle, middle, indexing="ij"))
    x, y = np.tensordot(scale, grid, 1) + centre[:, None, None]
    return x, y, density, levels
