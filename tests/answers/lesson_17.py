"""Answers to the exercises of lesson 17: other right routes, and wrong ones that no table holds."""

import numpy as np
import pandas as pd
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn.ensemble import IsolationForest
from sklearn.metrics import silhouette_samples

from answers import changed
from course.checks import lesson_17


def lloyd_by_cdist(x, centres):
    nearest = cdist(x, centres).argmin(axis=1)
    means = pd.DataFrame(x).groupby(nearest).mean()
    return nearest, means.reindex(range(len(centres))).fillna(pd.DataFrame(centres)).to_numpy()


def lloyd_by_loop(x, centres):
    nearest = [int(np.argmin([np.linalg.norm(row - c) for c in centres])) for row in x]
    moved = []
    for k, centre in enumerate(centres):
        own = [row for row, number in zip(x, nearest, strict=True) if number == k]
        moved.append(sum(own) / len(own) if own else centre)
    return nearest, moved


def lloyd_in_place(x, centres):
    nearest, moved = lesson_17._lloyd(x, centres)
    centres[:] = moved
    return nearest, centres


def silhouette_by_scikit_learn(x, cluster, i):
    return silhouette_samples(x, cluster)[i]


def silhouette_by_loop(x, cluster, i):
    means = {}
    for name in set(cluster.tolist()):
        apart = [np.linalg.norm(x[i] - x[j]) for j in np.flatnonzero(cluster == name) if j != i]
        means[name] = np.mean(apart) if apart else None
    a = means.pop(cluster[i])
    return 0 if a is None else (min(means.values()) - a) / max(a, *[min(means.values())])


def gaussian_by_cholesky(x, generator):
    root = np.linalg.cholesky(np.cov(x, rowvar=False))
    return x.mean(0) + generator.standard_normal(x.shape) @ root.T


def gaussian_by_eigenvectors(x, generator):
    values, vectors = np.linalg.eigh(np.cov(x.T))
    return x.mean(0) + (generator.normal(size=x.shape) * np.sqrt(values)) @ vectors.T


def gaussian_by_scipy(x, generator):
    return stats.multivariate_normal(x.mean(0), np.cov(x.T)).rvs(len(x), random_state=generator)


def gaussian_by(covariance, mean=lambda x: x.mean(axis=0)):
    """A draw with another covariance, or another mean."""
    return lambda x, generator: generator.multivariate_normal(
        mean(x), covariance(np.cov(x.T)), len(x)
    )


def about_zero(x, generator):
    """The mean of squares and products, for the covariance."""
    return generator.multivariate_normal(x.mean(axis=0), x.T @ x / len(x), len(x))


def by_wrong_eigenvectors(x, generator):
    values, vectors = np.linalg.eigh(np.cov(x.T))
    return x.mean(0) + (generator.normal(size=x.shape) * np.sqrt(values)) @ vectors


def by_root(root):
    """A draw by standard normal rows times a matrix that the learner takes for the root."""
    return lambda x, generator: x.mean(0) + generator.standard_normal(x.shape) @ root(np.cov(x.T))


def uniform_with_the_covariance(x, generator):
    flat = generator.uniform(-(3**0.5), 3**0.5, x.shape)
    return x.mean(0) + flat @ np.linalg.cholesky(np.cov(x.T)).T


def precision_by_groups(score, anomalous, k):
    left = places = min(k, len(score))
    found = 0.0
    for _, own in sorted(pd.Series(anomalous).groupby(score), key=lambda pair: -pair[0]):
        found += min(left, len(own)) * own.mean()
        left = max(0, left - len(own))
    return found / places


def skewness(counts):
    return np.abs(stats.skew(counts, axis=1))


def second_by_second(counts):
    """The largest deviation of bins of 4 s from the mean, in standard deviations of quartiles."""
    binned = counts.reshape(len(counts), 32, 16).mean(axis=2)
    low, middle, high = np.percentile(binned, [25, 50, 75], axis=1)
    return [max(abs(b - m)) / (h - q) for b, q, m, h in zip(binned, low, middle, high, strict=True)]


def largest_in_deviations(counts):
    binned = pd.DataFrame(counts).T.rolling(32).mean().dropna()
    return (binned - binned.median()).abs().max() / (binned - binned.median()).abs().median()


def shifted(counts):
    return np.asarray(skewness(counts)) - 5


def over(scale, binned=32):
    """The largest deviation of a bin from the median, over some scale."""

    def score(counts):
        bins = counts.reshape(len(counts), -1, binned).sum(axis=2)
        return np.abs(bins - np.median(bins, axis=1, keepdims=True)).max(axis=1) / scale(bins)

    return score


def binned(counts, number=32):
    return counts.reshape(len(counts), -1, number).sum(axis=2)


def rms_without_noise(counts):
    """The fractional rms, with the photon noise subtracted and nothing below zero."""
    return (counts.var(axis=1) - counts.mean(axis=1)).clip(0) ** 0.5 / counts.mean(axis=1)


def scatter_of_seconds(counts):
    """The fractional rms of bins of 8 s: large for every source that is faint, or that flickers."""
    return binned(counts).std(axis=1) / binned(counts).mean(axis=1)


def largest_over_least(counts):
    return binned(counts).max(axis=1) / binned(counts).min(axis=1).clip(1e-9)


def smoothed_skewness(counts):
    return np.abs(stats.skew(binned(counts, 8), axis=1))


def online(x, centres):
    """A centre moves after each row, and the next row sees it there."""
    centres, nearest = centres.copy(), []
    for row in x:
        nearest.append(((row - centres) ** 2).sum(axis=1).argmin())
        centres[nearest[-1]] += (row - centres[nearest[-1]]) / 2
    return nearest, centres


def by_forest(counts):
    return -IsolationForest(random_state=0).fit(counts).score_samples(counts)


_claims = lesson_17.claims.reference()

OTHER_ROUTES = [
    (lesson_17.lloyd, lloyd_by_cdist),
    (lesson_17.lloyd, lloyd_by_loop),
    (lesson_17.silhouette, silhouette_by_scikit_learn),
    (lesson_17.silhouette, silhouette_by_loop),
    (lesson_17.one_gaussian, gaussian_by_cholesky),
    (lesson_17.one_gaussian, gaussian_by_eigenvectors),
    (lesson_17.one_gaussian, gaussian_by_scipy),
    (lesson_17.precision_at, precision_by_groups),
    (lesson_17.event_score, skewness),
    (lesson_17.event_score, second_by_second),
    (lesson_17.event_score, largest_in_deviations),
    (lesson_17.event_score, shifted),
    (lesson_17.event_score, smoothed_skewness),
    (lesson_17.event_score, lambda counts: stats.kurtosis(counts, axis=1)),
]

EXEMPT = {(lesson_17.event_score, "scaled"): "only the order of a score counts"}

WRONG = [
    (lesson_17.lloyd, lloyd_in_place, "work on a copy"),
    (lesson_17.lloyd, lambda x, c: lesson_17._lloyd(x, c)[::-1], "The choices come first"),
    (lesson_17.lloyd, lambda x, c: lesson_17._lloyd(x, c)[0], "2 things"),
    (
        lesson_17.lloyd,
        lambda x, c: (lesson_17._lloyd(x, c)[0], 0.9 * lesson_17._lloyd(x, c)[1]),
        "Among the moved centres",
    ),
    (lesson_17.lloyd, online, "each row chooses the nearest centre"),
    (lesson_17.silhouette, lambda x, cluster, i: 0.5, "What are a and b"),
    (lesson_17.silhouette, lambda x, cluster, i: silhouette_samples(x, cluster), "shape"),
    (lesson_17.one_gaussian, lambda x, generator: gaussian_by_cholesky(x, generator)[:50], "rows"),
    (
        lesson_17.one_gaussian,
        lambda x, generator: gaussian_by_cholesky(x, np.random.default_rng()),
        "Equal generators",
    ),
    (lesson_17.one_gaussian, lambda x, generator: generator.permuted(x, axis=0), "vary together"),
    (lesson_17.one_gaussian, lambda x, generator: generator.choice(x, len(x)), "of its own"),
    (lesson_17.one_gaussian, gaussian_by(lambda c: c, lambda x: 0 * x[0]), "The mean of column"),
    (
        lesson_17.one_gaussian,
        gaussian_by(lambda c: c, lambda x: 0 * x[0] + x.mean()),
        "The mean of column",
    ),
    (lesson_17.one_gaussian, gaussian_by(np.diag), "Those are the variances alone"),
    (
        lesson_17.one_gaussian,
        gaussian_by(lambda c: c, lambda x: x.mean(axis=1)),
        "has p means and a covariance",
    ),
    (lesson_17.one_gaussian, gaussian_by(lambda c: np.sqrt(np.abs(c))), "root of its elements"),
    (lesson_17.one_gaussian, about_zero, "A covariance is about the mean"),
    (lesson_17.one_gaussian, by_wrong_eigenvectors, "turn the rows back"),
    (lesson_17.one_gaussian, gaussian_by(lambda c: np.diag(np.diag(c))), "drawn for itself"),
    (
        lesson_17.one_gaussian,
        lambda x, generator: generator.normal(x.mean(0), x.std(0), x.shape),
        "drawn for itself",
    ),
    (
        lesson_17.one_gaussian,
        lambda x, generator: generator.normal(x.mean(0), 1, x.shape),
        "have the variance 1",
    ),
    (lesson_17.one_gaussian, gaussian_by(lambda c: np.diag(c.diagonal() ** 0.5)), "squares of"),
    (lesson_17.one_gaussian, by_root(lambda c: c), "its *square*"),
    (lesson_17.one_gaussian, by_root(np.linalg.cholesky), "the wrong way round"),
    (
        lesson_17.one_gaussian,
        gaussian_by(lambda c: c / np.sqrt(np.outer(c.diagonal(), c.diagonal()))),
        "np.corrcoef has no scale",
    ),
    (lesson_17.one_gaussian, gaussian_by(lambda c: 2 * c), "has the variance"),
    (lesson_17.one_gaussian, uniform_with_the_covariance, "not *one Gaussian*"),
    (lesson_17.precision_at, lambda s, a, k: 0.123, "the precision is"),
    (lesson_17.precision_at, lambda s, a, k: s[a][:k], "shape"),
    (lesson_17.event_score, lambda counts: np.ones(len(counts)), "the same score"),
    (lesson_17.event_score, lambda counts: np.abs(stats.skew(counts, axis=None)), "one score for"),
    (lesson_17.event_score, by_forest, "depends on which others"),
    (lesson_17.event_score, lambda counts: counts.std(axis=1), "times as large"),
    (lesson_17.event_score, lambda counts: counts.var(1) / counts.mean(1), "times as large"),
    (lesson_17.event_score, over(lambda b: np.sqrt(b.mean(axis=1))), "times as large"),
    (lesson_17.event_score, over(lambda b: b.mean(axis=1), 1), "photon noise"),
    (lesson_17.event_score, rms_without_noise, "subtract the photon noise"),
    (lesson_17.event_score, scatter_of_seconds, "are of the faintest third. A curve"),
    (lesson_17.event_score, largest_over_least, "always scatters much is no event"),
    (lesson_17.event_score, lambda counts: stats.skew(counts, axis=1), "Is it of either sign"),
    (lesson_17.event_score, lambda counts: counts[:, 0] / counts.mean(axis=1), "nine in ten"),
    (lesson_17.claims, changed(_claims, BIC="found"), "took fewer rows"),
    (lesson_17.claims, changed(_claims, columns_that="found"), "who could not measure"),
    (lesson_17.claims, changed(_claims, four_clusters="found"), "of the four names"),
    (lesson_17.claims, changed(_claims, three_clusters="found us"), "know better"),
]
