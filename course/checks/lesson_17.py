"""Checks of lesson 17: k-means, silhouettes, a null without clusters, precision, a score for events, claims."""

import functools

import numpy as np
from scipy import signal, stats
from sklearn.metrics import silhouette_samples

from course.checks import Hint, exercise, explained, forms
from course.checks.examples import by_example, repeatable, shaped, sorting
from helpers import data

__all__ = ["claims", "event_score", "lloyd", "one_gaussian", "precision_at", "silhouette"]


def _lloyd(x, centres):
    """A function: rows (n, p), centres (k, p) -> nearest centre of each row (n,), moved centres (k, p)."""
    return _both_steps(x, centres)


def _nearest(x, centres, distance=np.square, best=np.argmin):
    return best(distance(np.abs(x[:, None] - centres)).sum(axis=2), axis=1)


def _moved(x, nearest, centres, mean=np.mean, empty=lambda centre: centre):
    """Return the centres of the clusters; an option gives a mistake."""
    groups = [x[nearest == k] for k in range(len(centres))]
    return np.array(
        [
            mean(own, axis=0) if len(own) else empty(centre)
            for own, centre in zip(groups, centres, strict=True)
        ]
    )


def _both_steps(x, centres, distance=np.square, best=np.argmin, **options):
    nearest = _nearest(x, centres, distance, best)
    return nearest, _moved(x, nearest, centres, **options)


def _distances(x, centres):
    return ((x[:, None] - centres) ** 2).sum(axis=2)


def _moved_first(x, centres):
    moved = _lloyd(x, centres)[1]
    return _nearest(x, moved), moved


def _moved_twice(x, centres):
    return _lloyd(x, _lloyd(x, centres)[1])


def _middle_row(rows, axis):
    """Return the row that is nearest to the mean."""
    return rows[_distances(rows, rows.mean(axis=0)[None]).argmin()]


def _without_empty(x, centres):
    nearest = _nearest(x, centres)
    return nearest, np.array([x[nearest == k].mean(axis=0) for k in np.unique(nearest)])


def _some_rows_and_centres():
    """Return shuffled clouds, whose axes differ in scale; in the first question nobody chooses one centre."""
    generator, questions = np.random.default_rng(171), []
    for n, p, k, alone in ((60, 2, 4, True), (45, 3, 3, False), (80, 4, 5, False)):
        middles = generator.normal(0, 3, (k, p))
        x = (
            middles[generator.integers(k, size=n)]
            + generator.exponential(1, (n, p)) * [1, 3, 1, 1][:p]
        )
        centres = x[generator.choice(n, k, replace=False)] + 0.3
        if alone:
            centres[1] = 90.0
        questions.append((x, centres))
    return questions


lloyd = by_example(
    "Exercise 17.1",
    _lloyd,
    _some_rows_and_centres,
    {
        "A centre that no row has chosen has no mean: let it stay where it is.": [
            lambda *two: _both_steps(*two, empty=lambda centre: centre + np.nan),
            lambda *two: _both_steps(*two, empty=lambda centre: 0 * centre),
            lambda x, c: _both_steps(x, c, empty=lambda centre: x.mean(axis=0)),
            lambda x, c: _both_steps(x, c, empty=lambda centre: x[0]),
            _without_empty,
        ],
        "The distance adds *squares* of differences: theirs, not their absolute values.": lambda *two: (
            _both_steps(*two, distance=np.abs)
        ),
        "Near is what has a small sum of squares of *all* differences, not a small largest one.": (
            lambda x, c: _moved_on(x, c, np.abs(x[:, None] - c).max(axis=2).argmin(axis=1))
        ),
        "A sum of differences lets those below zero cancel the others: square them.": lambda x, c: (
            _moved_on(x, c, (x[:, None] - c).sum(axis=2).argmin(axis=1))
        ),
        "Each *row* chooses a centre; with you each centre chooses a row.": lambda x, c: (
            _distances(x, c).argmin(axis=0),
            _lloyd(x, c)[1],
        ),
        "That is how far the nearest centre is; return its number.": [
            lambda x, c: (_distances(x, c).min(axis=1), _lloyd(x, c)[1]),
            lambda x, c: (np.sqrt(_distances(x, c).min(axis=1)), _lloyd(x, c)[1]),
        ],
        "The choices come first, then the moved centres.": lambda x, c: _lloyd(x, c)[::-1],
        "Those are the farthest centres: argmin, not argmax.": lambda *two: _both_steps(
            *two, best=np.argmax
        ),
        "First every row chooses one of the centres that are *given*, then they move: return that choice.": (
            _moved_first
        ),
        "That is more than one round: the rows choose once, and the centres move once.": [
            _moved_twice,
            lambda x, c: (_nearest(x, c), _moved_twice(x, c)[1]),
        ],
        "k-means moves a centre to the *mean* of its rows.": [
            lambda *two: _both_steps(*two, mean=np.median),
            lambda *two: _both_steps(*two, mean=_middle_row),
        ],
        "A mean for each column: axis=0. Yours is one number for all columns.": lambda *two: (
            _both_steps(*two, mean=lambda rows, axis: np.full(rows.shape[1], rows.mean()))
        ),
        "Each centre moves to the mean of the rows that chose *it*, not of all rows.": lambda x, c: (
            _nearest(x, c),
            np.tile(x.mean(axis=0), (len(c), 1)),
        ),
        "That is half of the way: the old centre is no part of the mean.": lambda x, c: (
            _nearest(x, c),
            (c + _lloyd(x, c)[1]) / 2,
        ),
        "That is the sum of the rows of each cluster: divide by how many they are.": [
            lambda *two: _both_steps(*two, mean=np.sum),
            lambda x, c: _both_steps(x, c, mean=lambda own, axis: own.sum(axis) / len(x)),
        ],
        "The choice is right, and the centres have not moved.": lambda x, c: (_nearest(x, c), c),
        "Numbers of centres begin with 0.": lambda x, c: (_nearest(x, c) + 1, _lloyd(x, c)[1]),
        "That continues until nothing moves: one round, please.": lambda x, c: _until_nothing_moves(
            x, c
        ),
    },
    returns=forms.tuple_of(
        "the number of the nearest centre of each row, and the moved centres",
        forms.array("a number for each row", int),
        forms.array("centres"),
    ),
    otherwise="Among the {part} we find {ours} where you find {yours}: each row chooses the nearest centre, then each "
    "centre moves to the mean of its rows.",
    names=("choices of the rows", "moved centres"),
)


def _moved_on(x, centres, nearest):
    return nearest, _moved(x, nearest, centres)


def _until_nothing_moves(x, centres):
    for _ in range(100):
        nearest, centres = _lloyd(x, centres)
    return nearest, centres


def _silhouette(x, cluster, i):
    """A function: rows (n, p), clusters (n,), number of a row -> its silhouette."""
    return _s(x, cluster, i)


def _s(
    x,
    cluster,
    i,
    *,
    distance=lambda d: np.sqrt((d**2).sum(axis=1)),
    of_others=min,
    of_rows=np.mean,
    of_own=None,
    itself=0,
    alone=0.0,
    divide=lambda a, b: (b - a) / max(a, b),
):
    """Compute a silhouette; an option gives a mistake."""
    apart, own = distance(x - x[i]), cluster == cluster[i]
    if own.sum() == 1:
        return alone
    a = (of_own or of_rows)(np.append(np.delete(apart, i)[np.delete(own, i)], [0.0] * itself))
    b = of_others([of_rows(apart[cluster == other]) for other in np.unique(cluster[~own])])
    return divide(a, b)


def _to_centres(x, cluster, i):
    names = np.unique(cluster)
    apart = [np.linalg.norm(x[cluster == name].mean(axis=0) - x[i]) for name in names]
    a = apart[np.flatnonzero(names == cluster[i])[0]]
    b = min(np.delete(apart, np.flatnonzero(names == cluster[i])))
    return (b - a) / max(a, b)


def _near_centre(x, cluster, i):
    others = np.unique(cluster[cluster != cluster[i]])
    apart = [np.linalg.norm(x[cluster == name].mean(axis=0) - x[i]) for name in others]
    kept = np.isin(cluster, [cluster[i], *others[[np.argmin(apart)]]])
    return _s(x[kept], cluster[kept], kept[:i].sum())


def _pooled(x, cluster, i):
    return _s(x, np.where(cluster == cluster[i], 0, 1), i)


def _with_own(x, cluster, i):
    def of_all(means):
        own = np.linalg.norm(x[cluster == cluster[i]] - x[i], axis=1)
        return min(*means, own.mean())

    return _s(x, cluster, i, of_others=of_all)


def _numbered(x, cluster, i):
    """Take for granted that k clusters are called 0 to k - 1."""
    apart = np.linalg.norm(x - x[i], axis=1)
    numbers = [k for k in range(len(np.unique(cluster))) if k != cluster[i]]
    means = [apart[cluster == k].mean() for k in numbers if (cluster == k).any()]
    return _s(x, cluster, i, of_others=lambda _: min(means, default=np.nan))


def _some_clusters():
    """Return clouds; names of clusters need not be 0, 1, 2; one row is alone, one in the wrong cluster."""
    generator, questions = np.random.default_rng(172), []
    for n, p, names, lonely in (
        (40, 2, [3, 7, 8], False),
        (30, 3, [0, 1, 2, 5], False),
        (25, 2, [4, 1, 9], True),
        (36, 4, [0, 1], False),
    ):
        cluster = generator.choice(names, n)
        x = generator.normal(0, 2, (10, p))[cluster] + generator.normal(0, 1, (n, p))
        i = int(generator.integers(n))
        if lonely:
            cluster[cluster == cluster[i]] = names[0] if cluster[i] != names[0] else names[1]
            cluster[i] = 77
        questions.append((x, cluster, i))
    # The centre of the second cluster is near, and its rows are far.
    wide = np.array([[0.0], [1.0], [-9.0], [12.0], [4.0], [5.0]])
    questions.append((wide, np.array([0, 0, 1, 1, 2, 2]), 0))
    misplaced = cluster.copy()
    misplaced[i] = 1 - cluster[i]
    # The row stands twice in its cluster: a distance of 0 that counts; the names of clusters begin with 2.
    twice = np.array(
        [[0.0, 1.0], [2.0, 1.0], [0.0, 1.0], [1.0, 3.0], [5.0, 4.0], [6.0, 4.0], [9.0, 9.0]]
    )
    names = np.array([2, 2, 2, 2, 3, 3, 5])
    return [*questions, (x, misplaced, i), (twice, names, 0)]


silhouette = by_example(
    "Exercise 17.2",
    _silhouette,
    _some_clusters,
    {
        "A row that is alone in its cluster has the silhouette 0.": [
            lambda *given: _s(*given, alone=np.nan),
            lambda *given: _s(*given, alone=1.0),
        ],
        "a is the mean over the *other* rows of its cluster: its distance to itself, 0, does not count.": (
            lambda *given: _s(*given, itself=1)
        ),
        "Another row may stand at the same place: its distance 0 counts. Leave out row i by its number.": [
            lambda *given: _s(*given, of_own=lambda d: d[d > 0].mean()),
            lambda *given: _s(*given, of_rows=lambda d: d[d > 0].mean()),
        ],
        "Distances, not their squares: take the root.": [
            lambda *given: _s(*given, distance=lambda d: (d**2).sum(axis=1)),
            lambda *given: _s(*given, distance=lambda d: (d**2).sum(axis=1), itself=1),
        ],
        "A mean of distances, not the root of a mean of squares.": lambda *given: _s(
            *given, of_rows=lambda d: np.sqrt(np.mean(d**2))
        ),
        "That is a sum of distances; we ask for the mean.": lambda *given: _s(
            *given, of_rows=np.sum
        ),
        "A mean of distances, not their median.": lambda *given: _s(*given, of_rows=np.median),
        "A mean of distances, not the largest.": [
            lambda *given: _s(*given, of_rows=np.max),
            lambda *given: _s(*given, of_own=np.max),
        ],
        "Euclidean distances: the root of the sum of squares.": lambda *given: _s(
            *given, distance=lambda d: np.abs(d).sum(axis=1)
        ),
        "b belongs to the *nearest* other cluster: the smallest of their means.": [
            lambda *given: _s(*given, of_others=max),
            lambda *given: _s(*given, of_others=np.mean),
        ],
        "b is a mean for each other cluster, of which you take the smallest; all others are not one cluster.": _pooled,
        "Mean distances to the rows, not to the nearest row alone.": [
            lambda *given: _s(*given, of_rows=np.min),
            lambda *given: _s(*given, of_own=np.min),
            lambda *given: _s(*given, of_rows=np.min, of_own=np.mean),
        ],
        "b belongs to the nearest *other* cluster: leave out its own.": _with_own,
        "Clusters are called as `cluster` calls them, which need not be 0, 1, 2.": _numbered,
        "Distances to all rows of a cluster, and then their mean; not the distance to its centre.": _to_centres,
        "A cluster may have its centre near and its rows far: b is the smallest of the mean distances.": _near_centre,
        "b - a, not a - b: near 1 means well inside.": lambda *given: _s(
            *given, divide=lambda a, b: (a - b) / max(a, b)
        ),
        "Divide by the larger of a and b.": [
            lambda *given: _s(*given, divide=lambda a, b: b - a),
            lambda *given: _s(*given, divide=lambda a, b: (b - a) / (a + b)),
            lambda *given: _s(*given, divide=lambda a, b: (b - a) / b),
            lambda *given: _s(*given, divide=lambda a, b: (b - a) / a),
            lambda *given: _s(*given, divide=lambda a, b: (b - a) / min(a, b)),
        ],
        "A silhouette below zero is an answer: another cluster is nearer. Leave its sign.": [
            lambda *given: abs(_s(*given)),
            lambda *given: max(_s(*given), 0.0),
        ],
        "That is the mean of all rows; we asked for row i.": lambda x, cluster, i: (
            silhouette_samples(x, cluster).mean()
        ),
    },
    returns=forms.number("one silhouette"),
    otherwise="For row {2} of one table the silhouette is {ours}, and yours {yours}. What are a and b of this row?",
)


def _one_gaussian(x, generator):
    """A function: rows (n, p), generator -> as many rows of one Gaussian with the same mean and covariance."""
    return generator.multivariate_normal(x.mean(axis=0), np.cov(x.T), len(x))


# What the covariance of a draw may be instead of the table's, C.
_COVARIANCES = {
    "Each column is drawn for itself: the variances are right, but the columns no longer vary together.": lambda c, _: (
        np.diag(np.diag(c))
    ),
    "The spread of each column is missing: these have the variance 1.": lambda c, _: np.eye(len(c)),
    "A covariance has squares of standard deviations on its diagonal.": lambda c, _: np.diag(
        np.sqrt(np.diag(c))
    ),
    "Standard normal rows times the covariance have its *square* as covariance: you need its root.": lambda c, _: (
        c @ c
    ),
    "L is the wrong way round: rows z of a standard normal become z @ L.T.": lambda c, _: (
        np.linalg.cholesky(c).T @ np.linalg.cholesky(c)
    ),
    "Those are correlations: np.corrcoef has no scale, np.cov has.": lambda c, _: (
        c / np.sqrt(np.outer(np.diag(c), np.diag(c)))
    ),
    "The eigenvectors are the columns of V: turn the rows back with V.T, not with V.": lambda c, _: (
        np.linalg.eigh(c)[1].T @ np.diag(np.linalg.eigh(c)[0]) @ np.linalg.eigh(c)[1]
    ),
    "A covariance is about the mean: subtract it before you multiply.": lambda c, mean: (
        c + np.outer(mean, mean)
    ),
    "multivariate_normal takes the covariance as it is, not the root of its elements.": lambda c, _: (
        np.sqrt(np.abs(c))
    ),
}


# What numpy's draw from a Gaussian says of its arguments, in the words of the lesson.
_DIMENSIONS = {
    "same length": "A Gaussian of p columns has p means and a covariance (p, p): means go over the rows, axis=0, "
    "and np.cov takes each *row* of its argument for a column of a table.",
    "cov must be 2 dimensional": "Those are the variances alone; a covariance is a matrix (p, p), and says how columns "
    "vary together.",
}


def _two_clouds(seed, p):
    """Return a table (3000, p) in two clouds, with columns of different spread that vary together."""
    generator = np.random.default_rng(seed)
    mixing = generator.normal(0, 1, (p, p)) + 2 * np.diag(np.arange(1, p + 1))
    clouds = np.where(generator.random((3000, 1)) < 0.5, -1.5, 1.5)
    return (clouds + generator.normal(0, 1, (3000, p))) @ mixing + 40 + 25 * np.arange(p)


@exercise(
    "Exercise 17.3",
    reference=lambda: _one_gaussian,
    form=forms.function(forms.array("rows of numbers")),
)
def one_gaussian(answer):
    """A function: rows (n, p), generator -> as many rows of one Gaussian with the same mean and covariance."""
    for seed, p in ((173, 3), (174, 4)):
        x = _two_clouds(seed, p)

        def drawn(generator, x=x):
            with explained(ValueError, _DIMENSIONS):
                return shaped(answer(x.copy(), generator), x.shape, "as many rows as the table has")

        rows = repeatable(drawn)
        if all(np.isin(rows[:, k], x[:, k]).all() for k in range(p)):
            raise Hint(
                "Your numbers are those of the table, drawn again or shuffled. A Gaussian has numbers of its own, and "
                "they vary together as those of the table do."
            )
        mean, covariance, found = x.mean(axis=0), np.cov(x.T), np.cov(rows.T)
        error = np.sqrt(np.maximum(np.diag(covariance), np.diag(found)) / len(x))
        away = np.abs((rows.mean(axis=0) - mean) / error)
        if away.max() > 6:
            k = away.argmax()
            raise Hint(
                f"The mean of column {k} is {mean[k]:.3g} in the table and {rows[:, k].mean():.3g} in your draw: each "
                "column of the Gaussian has the mean of that of the table."
            )
        if not _one_covariance(found, covariance):
            for hint, other in _COVARIANCES.items():
                if _one_covariance(found, other(covariance, mean)):
                    raise Hint(hint)
            raise Hint(
                f"The first column has the variance {covariance[0, 0]:.3g} in the table and {found[0, 0]:.3g} in your "
                f"draw, and its covariance with the second is {covariance[0, 1]:.3g} and {found[0, 1]:.3g}."
            )
        away = rows - mean
        squared = (away @ np.linalg.inv(covariance) * away).sum(axis=1)
        if stats.kstest(squared, stats.chi2(p).cdf).pvalue < 1e-6:
            raise Hint("Mean and covariance are right, but that is not *one Gaussian*.")


def _one_covariance(found, wanted):
    """Return whether the covariance of 3000 rows is the wanted one, within six standard errors of a Gaussian."""
    spread = np.diag(wanted)
    error = np.sqrt((np.outer(spread, spread) + wanted**2) / 3000)
    return bool((np.abs(found - wanted) < 6 * error).all())


def _precision_at(score, anomalous, k):
    """A function: scores (n,), anomalous or not (n,), k -> share of anomalies among the first k."""
    return _share(score, anomalous, k)


def _share(score, anomalous, k, ties="shared", over="places"):
    """Compute the share; an option gives a mistake."""
    places = min(k, len(score))
    border = np.sort(score)[-places]
    above, at = score > border, score == border
    n_above = above.sum()
    found, taken = {
        "shared": lambda: (
            anomalous[above].sum() + (places - n_above) * anomalous[at].mean(),
            places,
        ),
        "all": lambda: (anomalous[above | at].sum(), (above | at).sum()),
        "none": lambda: (anomalous[above].sum(), max(n_above, 1)),
        "half": lambda: (anomalous[above].sum() + anomalous[at].sum() / 2, places),
        "one place": lambda: (anomalous[above].sum() + anomalous[at].mean(), places),
        "stable": lambda: (anomalous[np.argsort(-score, kind="stable")[:k]].sum(), places),
        "numpy": lambda: (anomalous[np.argsort(score)[::-1][:k]].sum(), places),
        "last": lambda: (anomalous[np.argsort(score, kind="stable")[::-1][:k]].sum(), places),
        "best": lambda: (anomalous[np.lexsort((~anomalous, -score))[:k]].sum(), places),
        "worst": lambda: (anomalous[np.lexsort((anomalous, -score))[:k]].sum(), places),
    }[ties]()
    return (
        found / {"places": places, "k": k, "taken": taken, "all": anomalous.sum(), "one": 1}[over]
    )


def _turned(change, answer=_share, **options):
    """Make a mistake that gives `answer` changed scores, or changes its result."""
    return lambda s, a, k: change(functools.partial(answer, **options), s, a, k)


_ARGSORT = "stable", "numpy", "last"
_TIES = "shared", "all", "none", *_ARGSORT


def _in_all_ways(change, over=("places",)):
    """Return a mistake in each way to treat rows at the border: learners make two mistakes at a time."""
    return [_turned(change, ties=ties, over=by) for ties in _TIES for by in over]


def _some_scores():
    """Return whole scores, of which many are equal; more places than rows; anomalies only; scores below zero."""
    generator, questions = np.random.default_rng(174), []
    for n, k, width, share in (
        (40, 12, 2, 0.3),
        (30, 7, 3, 0.5),
        (9, 20, 2, 0.4),
        (25, 10, 2, 1.0),
        (50, 16, 1, 0.2),
    ):
        anomalous = generator.random(n) < share
        score = np.round(width * generator.normal(0.8 * anomalous - 1, 1))
        questions.append((score, anomalous, k))
    return questions


precision_at = by_example(
    "Exercise 17.4",
    _precision_at,
    _some_scores,
    {
        "If there are fewer rows than k, all rows are the first: divide by their number.": [
            lambda s, a, k: _share(s, a, k, over="k"),
            lambda s, a, k: _share(s, a, k) if k <= len(s) else np.nan,
            lambda s, a, k: _share(s, a, k) if k <= len(s) else 0.0,
            lambda s, a, k: _share(s, a, k) + 0 * np.sort(s)[-k],
            lambda s, a, k: _share(s, a, k) + 0 * np.sort(s)[::-1][k - 1],
            lambda s, a, k: _share(s, a, k) + 0 * np.partition(s, -k)[-k],
        ],
        "Those are the *smallest* scores; anomalies have large ones.": _in_all_ways(
            lambda share, s, a, k: share(-s, a, k), ("places", "k")
        ),
        "Sort the scores, not their absolute values: a large score is one far above zero.": _in_all_ways(
            lambda share, s, a, k: share(np.abs(s), a, k)
        ),
        "That is the recall, the share of all anomalies that are found; divide by k.": _in_all_ways(
            lambda share, s, a, k: share(s, a, k), ["all"]
        ),
        "That is the number of anomalies among the first k; divide by k.": _in_all_ways(
            lambda share, s, a, k: share(s, a, k), ["one"]
        ),
        "That is the share among all rows: take the first k.": lambda s, a, k: a.mean(),
        "The share of anomalies, not of the others.": _in_all_ways(
            lambda share, s, a, k: 1 - share(s, a, k)
        ),
        "As a share, not in per cent.": _in_all_ways(lambda share, s, a, k: 100 * share(s, a, k)),
        "Where scores are equal at the border, argsort takes those that happen to stand first. Let them share the free "
        "places: each counts as places over rows.": [
            _turned(lambda share, *given: share(*given), ties=ties, over=over)
            for ties in (*_ARGSORT, "best", "worst")
            for over in ("places", "k")
        ],
        "All rows at the border are more than k: let them share the places that are left.": [
            _turned(lambda share, *given: share(*given), ties="all", over=over)
            for over in ("taken", "places", "k")
        ],
        "The rows at the border have a share in the places that are left.": [
            _turned(lambda share, *given: share(*given), ties="none", over=over)
            for over in ("taken", "places", "k")
        ],
        "What a row at the border counts depends on how many places are left for how many rows.": [
            _turned(lambda share, *given: share(*given), ties=ties)
            for ties in ("half", "one place")
        ],
    },
    returns=forms.number("a share from 0 to 1"),
    otherwise="Among the first {2} of {0.size} rows the precision is {ours}, and yours {yours}. What do you divide by?",
)


def _event_score(counts):
    """A function: light curves (n, 512) -> a score for each (n,), large if something happens."""
    binned = counts.reshape(len(counts), -1, 32).sum(axis=2)
    away = np.abs(binned - np.median(binned, axis=1, keepdims=True))
    return away.max(axis=1) / np.median(away, axis=1)


@functools.cache
def _course_curves():
    """Return the lesson's light curves (2000, 512), of which 60 have an event, and which these are (2000,)."""
    counts, generator = data.load_segments().counts.copy(), np.random.default_rng(176)
    chosen, time = generator.choice(len(counts), 60, replace=False), 0.25 * np.arange(512)
    for row, change in zip(chosen, [*_EVENTS.values()] * 20, strict=True):
        counts[row] = change(time - generator.uniform(10, 100), counts[row], generator)
    return counts, np.isin(np.arange(len(counts)), chosen)


def _quiet(n, generator):
    """Return light curves (n, 512) of sources that flicker on 1 s; their rates differ by a factor of fifty."""
    rate = np.exp(generator.uniform(np.log(20), np.log(1000), (n, 1)))
    steps = generator.normal(0, np.sqrt(1 - 0.8**2), (n, 612))
    flicker = 0.15 * signal.lfilter([1], [1, -0.8], steps, axis=1)[:, 100:]
    return generator.poisson(rate * np.exp(flicker - 0.15**2 / 2))


_EVENTS = {
    "burst": lambda since, counts, generator: (
        counts
        + generator.poisson(2 * counts.mean() * np.where(since > 0, np.exp(-since.clip(0) / 6), 0))
    ),
    "dip": lambda since, counts, generator: generator.binomial(
        counts, np.where((since > 0) & (since < 12), 0.3, 1.0)
    ),
    "dropout": lambda since, counts, generator: counts * ~((since > 0) & (since < 5)),
}


@exercise(
    "Exercise 17.5",
    reference=lambda: _event_score,
    form=forms.function(forms.array("a score for each light curve")),
)
def event_score(answer):
    """A function: light curves (n, 512) -> a score for each (n,), large if something happens."""
    generator = np.random.default_rng(175)
    quiet = _quiet(300, generator)
    score = shaped(answer(quiet.copy()), (300,), "one score for each of 300 light curves")
    if np.ptp(score) == 0:
        raise Hint("All quiet light curves get the same score, whatever they look like.")
    alone = shaped(answer(quiet[100:105].copy()), (5,), "one score for each of 5 light curves")
    if not np.allclose(alone, score[100:105], rtol=1e-6):
        raise Hint(
            "The score of a light curve depends on which others are in the table: compute it from that one alone."
        )
    for factor in (2, 3):
        larger = shaped(answer(factor * quiet), (300,), "one score for each of 300 light curves")
        if not np.allclose(larger, score, rtol=1e-6):
            change = np.median(np.abs(larger)) / np.median(np.abs(score))
            if 0.8 < change < 1.35:
                raise Hint(
                    f"With {factor} times the counts in each bin, your score is {change:.3g} times as large. If you "
                    "subtract the photon noise: such counts are no Poisson counts any more. Compare a deviation with "
                    "the scatter of the same curve, in which that noise is."
                )
            raise Hint(
                f"With {factor} times the counts in each bin, your score is {change:.3g} times as large: divide by "
                "something that grows with the brightness as it does."
            )
    faint = quiet.mean(axis=1) < np.quantile(quiet.mean(axis=1), 1 / 3)
    first = faint[np.argsort(-score)[:60]].mean()
    if first > 0.75:
        raise Hint(
            f"Of the 60 quiet curves with the highest scores, {first:.0%} are of the faintest third: photon noise is "
            "large there. Measure a deviation by the scatter of the same curve, not by its mean."
        )
    limit, time = np.quantile(score, 0.9), 0.25 * np.arange(512)
    for kind, change in _EVENTS.items():
        curves = [change(time - 10 - s, c, generator) for s, c in enumerate(quiet[:90])]
        seen = shaped(answer(np.array(curves)), (90,), "one score for each of 90 light curves")
        if (share := np.mean(seen > limit)) < 0.6:
            raise Hint(
                f"A {kind} lifts your score above that of nine in ten quiet curves in {share:.0%} of 90 cases; ours in "
                "nearly all. Is it of either sign, and are the bins about as long as an event?"
            )
    counts, event = _course_curves()
    score = shaped(answer(counts.copy()), event.shape, f"one score for each of {len(event)} curves")
    first = np.argsort(-score, kind="stable")[:60]
    if event[first].sum() < 40:
        false = first[~event[first]]
        faint = counts.mean(axis=1) < np.quantile(counts.mean(axis=1), 1 / 3)
        raise Hint(
            f"Among the course's light curves with 60 events, only {event[first].sum()} of your first 60 have one, and "
            f"{faint[false].mean():.0%} of the others are of the faintest third. A curve that always scatters much is "
            "no event: how large is the largest deviation beside those of the same curve?"
        )


claims = sorting(
    "Exercise 17.6",
    {
        "the two clusters of highest silhouette are mostly the hard and the soft states": (
            "found",
            "the null was far below, and a truth was there to compare with.",
        ),
        "BIC is lowest for twelve components: there are twelve kinds of pointings": (
            "not shown",
            "what happened to the number when we took fewer rows?",
        ),
        "columns that mark gaps fall into two clusters: there are two populations": (
            "found us",
            "who could not measure something there?",
        ),
        "a few per cent have large amplitudes in counts/s: a new class of light curves": (
            "found us",
            "would they be a cluster in another unit, or at twice the distance?",
        ),
        "four clusters are right in nine of ten pointings: they are the four states": (
            "not shown",
            "how many of the four names did they get?",
        ),
        "the auto-encoder copies the brightest sources worst, in counts: they are the oddest": (
            "found us",
            "the error is in counts; whose photon noise is largest in counts?",
        ),
        "bursts and dips are at the top of a list sorted by |skew|": (
            "found",
            "its precision stands in the table, over three plantings.",
        ),
        "three clusters of the ASM's colours are black holes, pulsars and other neutron stars": (
            "not shown",
            "three clusters and three classes: what did they know better, the class or the system?",
        ),
    },
)
