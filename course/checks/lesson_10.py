"""Checks of lesson 10: hyperparameter tuning."""

import numpy as np
from scipy import integrate, stats

from helpers.data import deal_sources

from . import Hint, array, exercise, function, number, sorting

__all__ = ["expected_best", "finders", "log_uniform", "nested", "simplest_good", "smaller"]


def _smaller(groups, n_sources, n_rows, generator):
    drawn = generator.choice(np.unique(groups), n_sources, replace=False)
    rows = [generator.permutation(np.flatnonzero(groups == name))[:n_rows] for name in drawn]
    return np.concatenate(rows)


def _archive(generator, n_sources, mean=40):
    """The source of each row, in random order; every size between 3 and twice the mean."""
    sizes = generator.integers(3, 2 * mean, n_sources)
    return generator.permutation(np.repeat([f"S{i:02d}" for i in range(n_sources)], sizes))


@exercise("Exercise 10.1", reference=lambda: _smaller)
def smaller(answer):
    """A function: source of each row (n,), n_sources, n_rows, generator -> positions of rows."""
    answer = function(answer)
    generator = np.random.default_rng(101)
    for n_sources, n_rows in ((6, 20), (11, 1000), (3, 5)):
        groups = _archive(generator, 15)
        sizes = {name: np.sum(groups == name) for name in np.unique(groups)}

        def ask(seed, groups=groups, n_sources=n_sources, n_rows=n_rows):
            value = answer(groups.copy(), n_sources, n_rows, np.random.default_rng(seed))
            try:
                value = np.asarray(value)
            except ValueError:
                raise Hint("One list for each source: np.concatenate makes one of all.") from None
            if value.dtype == bool:
                raise Hint("That is a mask; np.flatnonzero makes positions of it.")
            if value.dtype.kind in "OSU":
                raise Hint("Return where the rows stand, as whole numbers, and not their sources.")
            if value.size and value.dtype.kind == "f":
                raise Hint("Positions are whole numbers: yours are floats; see .astype(int).")
            value = array(value, (value.size,), "positions of rows")
            if len(value) and (value.min() < 0 or value.max() >= len(groups) or (value % 1).any()):
                raise Hint(
                    f"Expected positions, from 0 to {len(groups) - 1}; yours hold {value.max():g}."
                )
            return value.astype(int)

        rows = ask(1)
        if len(np.unique(rows)) < len(rows):
            raise Hint(
                "Some row is drawn twice, but an archive has each pointing once: draw without replacement."
            )
        names, counts = np.unique(groups[rows], return_counts=True)
        if len(names) != n_sources:
            raise Hint(
                f"We asked for {n_sources} of 15 sources, and your rows are of {len(names)}: draw the sources "
                "first, then rows of each."
            )
        wanted = np.array([min(sizes[name], n_rows) for name in names])
        if (counts > wanted).any():
            raise Hint(
                f"We asked for at most {n_rows} rows of each source; yours has {counts.max()} of one."
            )
        if (counts < wanted).any():
            worst = (wanted - counts).argmax()
            raise Hint(
                f"A source with {sizes[names[worst]]} rows should give {wanted[worst]} of them, and yours gives "
                f"{counts[worst]}."
            )
        if set(ask(1)) != set(rows):
            raise Hint(
                "Equal generators draw different rows, so that nobody can repeat it: use `generator`."
            )
        others = [ask(seed) for seed in range(2, 10)]
        if all(set(groups[other]) == set(names) for other in others):
            raise Hint(
                "All generators draw the same sources: draw them at random, with `generator`."
            )
        if n_rows < 10:
            seen = {name: set() for name in sizes}
            times = dict.fromkeys(sizes, 0)
            for other in (rows, *others):
                for name in np.unique(groups[other]):
                    own = other[groups[other] == name]
                    seen[name].update(own)
                    times[name] += 1
            alike = [
                len(seen[name]) <= n_rows for name in sizes if times[name] > 1 and sizes[name] > 20
            ]
            if alike and all(alike):
                raise Hint(
                    "You always take the first rows of a source, that is the start of its first outburst: take them "
                    "at random."
                )


def _simplest_good(scores):
    loss = scores[scores.mean(axis=1).argmax()] - scores
    error = loss.std(axis=1, ddof=1) / np.sqrt(scores.shape[1])
    return np.flatnonzero(loss.mean(axis=1) <= error)[0]


def _table(loss, error, generator, n_folds):
    """Scores whose paired losses against the last row have these means and standard errors."""
    rows = []
    for mean, one in zip(loss, error, strict=True):
        noise = generator.normal(size=n_folds)
        noise = (noise - noise.mean()) / noise.std(ddof=1)
        rows.append(mean + noise * one * np.sqrt(n_folds))
    luck = 0.85 + 0.06 * generator.normal(size=n_folds)  # hard and easy folds
    return luck - np.array(rows)


@exercise("Exercise 10.2", reference=lambda: _simplest_good)
def simplest_good(answer):
    """A function: scores (n_candidates, n_folds), the simplest first -> position of the chosen one."""
    answer = function(answer)
    generator = np.random.default_rng(102)
    cases = [
        # mean losses, their standard errors: the best candidate has zero and zero
        ((0.12, 0.060, 0.002, 0.0, 0.001), (0.01, 0.035, 0.004, 0.0, 0.003), 5),
        ((0.05, 0.012, 0.010, 0.004, 0.0), (0.01, 0.003, 0.003, 0.008, 0.0), 10),
        ((0.03, 0.009, 0.0, 0.008, 0.020), (0.01, 0.005, 0.0, 0.010, 0.002), 6),
        ((0.05, 0.011, 0.0, 0.020), (0.01, 0.012, 0.0, 0.010), 5),
    ]
    for loss, error, n_folds in cases:
        scores = _table(loss, error, generator, n_folds)
        mean, right = scores.mean(axis=1), _simplest_good(scores)
        try:
            value = number(answer(scores.copy()), "a position of a candidate")
        except (IndexError, StopIteration):
            raise Hint(
                "In your answer nobody is good enough, not even the best: take the differences from the *row* with "
                "the largest mean, and `<=`, so that it passes itself."
            ) from None
        if value == right:
            continue
        if not 0 <= value < len(scores) or value % 1:
            raise Hint(
                f"Expected a position from 0 to {len(scores) - 1}, not a score; yours is {value:g}."
            )
        difference = scores[mean.argmax()] - scores
        spread = difference.std(axis=1, ddof=1)
        alone = scores[mean.argmax()].std(ddof=1) / np.sqrt(n_folds)
        good = difference.mean(axis=1) < spread / np.sqrt(n_folds)
        if value == np.append(np.flatnonzero(good), len(scores))[0]:
            raise Hint("The best candidate is 0 ± 0 from itself, and *not larger*: take it, too.")
        small = difference.std(axis=1) / np.sqrt(n_folds)
        if value == np.flatnonzero(difference.mean(axis=1) <= small)[0]:
            raise Hint("So few folds make a difference here: the error has ddof = 1.")
        if value == mean.argmax():
            raise Hint(
                "That is the largest mean itself: a simpler candidate is within its error of it."
            )
        if value == np.flatnonzero(mean >= mean.max() - alone)[0]:
            raise Hint(
                "That uses the error of the best score alone, which holds the luck of hard and easy folds. Subtract "
                "fold by fold first, then take the error of the differences."
            )
        if value == np.flatnonzero(difference.mean(axis=1) <= spread)[0]:
            raise Hint(
                "That compares with the scatter of the differences; the error of their mean is smaller by √k."
            )
        if value == np.flatnonzero(difference.mean(axis=1) <= spread / np.sqrt(n_folds))[-1]:
            raise Hint("That is the most complex of the good ones; the simplest stand first.")
        raise Hint(
            f"Of {len(scores)} candidates with mean losses {np.round(difference.mean(axis=1), 3).tolist()} and "
            f"errors {np.round(spread / np.sqrt(n_folds), 3).tolist()} the rule takes number {right}, and you "
            f"number {value:g}."
        )


def _log_uniform(low, high, n, generator):
    return np.exp(generator.uniform(np.log(low), np.log(high), n))


@exercise("Exercise 10.3", reference=lambda: _log_uniform)
def log_uniform(answer):
    """A function: low, high, n, generator -> values (n,), uniform in their logarithm."""
    answer = function(answer)
    n = 4000
    for low, high in ((1e-4, 1e2), (2.0, 2000.0)):
        drawn = array(answer(low, high, n, np.random.default_rng(1)), (n,), "values")
        again = array(answer(low, high, n, np.random.default_rng(2)), (n,), "values")
        inside = (drawn >= low * (1 - 1e-9)) & (drawn <= high * (1 + 1e-9))
        if not inside.all():
            if np.allclose([np.log10(low), np.log10(high)], [drawn.min(), drawn.max()], atol=0.1):
                raise Hint("Those are the logarithms: raise 10 to their power.")
            if np.allclose([np.log(low), np.log(high)], [drawn.min(), drawn.max()], atol=0.1):
                raise Hint("Those are the logarithms: take their exponential.")
            raise Hint(
                f"Between {low:g} and {high:g}, we said; yours run from {drawn.min():.3g} to {drawn.max():.3g}. "
                "Is the same base taken for the logarithm and for the way back?"
            )
        if np.allclose(np.sort(drawn), np.sort(again)):
            raise Hint("Two generators give the same values: that is a grid. Draw at random.")
        share = (np.log(drawn) - np.log(low)) / np.log(high / low)
        if stats.kstest(share, "uniform").pvalue > 1e-5:
            continue
        if stats.kstest((drawn - low) / (high - low), "uniform").pvalue > 1e-5:
            raise Hint(
                "That is uniform in the value itself: nine of ten draws fall into the last decade."
            )
        raise Hint(
            f"Half of the draws should lie below {np.sqrt(low * high):.3g}, the geometric middle of {low:g} and "
            f"{high:g}; of yours {np.mean(drawn < np.sqrt(low * high)):.0%} do."
        )


def _expected_best(n, sigma, generator):
    return generator.normal(0, sigma, (20_000, n)).max(axis=1).mean()


def _largest(n):
    """Expected maximum of n standard Gaussians, by integration."""

    def weighted(x):
        return x * n * stats.norm.pdf(x) * stats.norm.cdf(x) ** (n - 1)

    return integrate.quad(weighted, -9, 9, limit=200)[0]


@exercise("Exercise 10.4", reference=lambda: _expected_best)
def expected_best(answer):
    """A function: n, sigma, generator -> expected maximum of n Gaussian scores of that sigma."""
    answer = function(answer)
    for n, sigma in ((10, 1.0), (2, 1.0), (50, 0.02), (1, 3.0)):
        found = number(answer(n, sigma, np.random.default_rng(4)), "one number") / sigma
        right = _largest(n)
        if abs(found - right) < max(0.03 * right, 0.03):
            continue
        if sigma != 1 and abs(found / sigma - right) < 0.03 * max(right, 1):
            raise Hint("That scales with sigma squared: numpy wants the standard deviation.")
        if abs(found * sigma - right) < 0.03 * max(right, 1) and sigma != 1:
            raise Hint("In units of the score, please: scale with sigma.")
        if abs(found - np.sqrt(2 * np.log(n))) < 0.01:
            raise Hint(
                f"√(2 ln n) holds for very large n; for n = {n} it gives {found:.2f} σ, and a simulation less."
            )
        if abs(found) < 0.2 and n > 1:
            raise Hint(
                "Near zero: that is the mean of all scores. Take the largest of each n, then the mean of those."
            )
        if found > right + 1:
            raise Hint(
                f"{found:.1f} σ is the largest of a great many: simulate {n} scores, keep their largest, repeat often, "
                "and take the mean."
            )
        raise Hint(
            f"For n = {n} we find {right:.2f} σ and you {found:.2f} σ. The mean of the largest, over many repetitions?"
        )


def _nested(groups, label, k, seed, tune, judge):
    rounds = []
    for inside, outside in deal_sources(groups, label, k, seed):
        choice, inner = tune(inside)
        rounds.append((inner, judge(choice, inside, outside)))
    return np.array(rounds)


def _positions(rows, n):
    rows = np.asarray(rows)
    return np.flatnonzero(rows) if rows.dtype == bool and rows.shape == (n,) else rows.astype(int)


@exercise("Exercise 10.5", reference=lambda: _nested)
def nested(answer):
    """A function: groups (n,), label (n,), k, seed, tune, judge -> inner and outer scores (k, 2)."""
    answer = function(answer)
    for k, seed in ((5, 1), (4, 2)):
        groups = _archive(np.random.default_rng([105, k]), 24, mean=10)
        label = np.char.endswith(groups, ("0")) | np.char.endswith(groups, ("5"))
        label |= np.char.endswith(groups, "3")
        n, tuned, judged = len(groups), [], []

        def tune(inside, n=n, tuned=tuned):
            tuned.append(_positions(inside, n))
            return f"choice {len(tuned)}", 0.9 - 0.001 * len(tuned)

        def judge(choice, inside, outside, n=n, judged=judged):
            judged.append((choice, _positions(inside, n), _positions(outside, n)))
            return 0.5 + 0.001 * len(judged)

        value = answer(groups.copy(), label.copy(), k, seed, tune, judge)
        _look_into(groups, k, tuned, judged)
        table = array(value, (k, 2), "a table of inner and outer scores")
        right = np.column_stack(
            [0.9 - 0.001 * np.arange(k, 0, -1), 0.5 + 0.001 * np.arange(1, k + 1)]
        )
        if np.allclose(np.sort(table, axis=0), right):
            continue
        if np.allclose(np.sort(table[:, ::-1], axis=0), right):
            raise Hint("Inner score first, outer score second.")
        raise Hint(
            "The rounds are right, but the table is not: each row is what `tune` returned as its score, then what "
            "`judge` returned."
        )


def _look_into(groups, k, tuned, judged):
    """A hint if what `tune` and `judge` were given is not a nested cross-validation."""
    n = len(groups)
    if not tuned or not judged:
        raise Hint("Call both `tune` and `judge` in each round.")
    if any(len(rows) == n for rows in tuned):
        raise Hint(
            "`tune` was given all rows, so that the rows which judge the choice helped to make it: tune on the inside "
            "only."
        )
    if len(tuned) < k:
        raise Hint(
            f"`tune` ran {len(tuned)} time(s) for {k} rounds: each round has to choose anew, from its own inside."
        )
    if len(judged) != k or len(tuned) != k:
        raise Hint(
            f"{k} rounds, but `tune` ran {len(tuned)} times and `judge` {len(judged)} times."
        )
    for (choice, inside, outside), (number_of, searched) in zip(
        judged, enumerate(tuned, 1), strict=True
    ):
        if np.intersect1d(inside, outside).size:
            raise Hint("`judge` trains on rows that it also judges: inside and outside overlap.")
        if np.intersect1d(searched, outside).size:
            raise Hint(
                "`tune` saw rows of the outer fold that judges its choice: give it the inside."
            )
        if set(groups[inside]) & set(groups[outside]):
            raise Hint(
                "A source lies inside and outside of the same round: `data.deal_sources` keeps them together."
            )
        if choice != f"choice {number_of}":
            raise Hint(
                f"Round {number_of} judges {choice!r}: judge the choice of this round, and only that (`tune` returns "
                "two things)."
            )
        if len(inside) + len(outside) != n or set(inside) != set(searched):
            raise Hint(
                "In each round every row is inside or outside, for `tune` and `judge` alike."
            )
    counts = np.bincount(np.concatenate([outside for _, _, outside in judged]), minlength=n)
    if (counts != 1).any():
        raise Hint("Over all rounds, each row should be outside exactly once: one round per fold.")


finders = sorting(
    "Exercise 10.6",
    {
        "best of 200 random networks: 2.6 σ above the mean of all": (
            "noise",
            "how far above their mean is the best of 200 equals?",
        ),
        "C = 1e-4 loses 0.12 ± 0.02 against C = 1, paired, on new deals": (
            "the search",
            "six standard errors, on deals that had no part in the choice.",
        ),
        "seed 42 of a network beats seeds 1 to 20 on the validation set": (
            "noise",
            "what is different from one seed to the next, but luck?",
        ),
        "best of 20 candidates: 6 σ above the mean of all, and 5 σ above it on new deals": (
            "the search",
            "the best of 20 equals would be 1.9 σ above, and back at zero on new deals.",
        ),
        "inner best 0.62 on true labels; 0.58 ± 0.04 on labels shuffled by source": (
            "noise",
            "what does the same search find where nothing can be found?",
        ),
        "leaving out the lags costs 0.05 ± 0.01 on sources that no search has seen": (
            "the search",
            "five standard errors on new sources: luck does not come along to those.",
        ),
    },
)
