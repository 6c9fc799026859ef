"""Checks of lesson 10: hyperparameter tuning."""

import numpy as np
from scipy import integrate, stats
from sklearn.model_selection import KFold, StratifiedGroupKFold

from course.checks import Hint, exercise, explained, forms
from course.checks.examples import by_example, repeatable, shaped, sorting
from helpers.data import deal_sources

__all__ = ["expected_best", "finders", "log_uniform", "nested", "simplest_good", "smaller"]


def _smaller(groups, n_sources, n_rows, generator):
    drawn = generator.choice(np.unique(groups), n_sources, replace=False)
    rows = [generator.permutation(np.flatnonzero(groups == name))[:n_rows] for name in drawn]
    return np.concatenate(rows)


def _archive(generator, sizes):
    """Return the source of each row, in random order, with these numbers of rows."""
    return generator.permutation(np.repeat([f"S{i:02d}" for i in range(len(sizes))], sizes))


_TOO_FEW = (
    "Some source has fewer rows than you draw of it: take all of them then, min(n_rows, ...)."
)


@exercise(
    "Exercise 10.1",
    reference=lambda: _smaller,
    form=forms.function(forms.array("positions of rows in one array (np.concatenate joins)", int)),
)
def smaller(answer):
    """A function: source of each row (n,), n_sources, n_rows, generator -> positions of rows."""
    make = np.random.default_rng(101)
    for n_sources, n_rows in ((15, 1000), (6, 20), (11, 1000), (3, 5)):
        groups = _archive(make, make.integers(3, 80, 15))
        with explained(ValueError, {"larger sample": _TOO_FEW}):
            rows = answer(groups, n_sources, n_rows, np.random.default_rng(1))
        shaped(rows, (rows.size,), "positions of rows in one array")
        if len(np.unique(rows)) < len(rows):
            if rows.max() < max(np.sum(groups == name) for name in np.unique(groups)):
                raise Hint(
                    "Those look like positions inside each source: we want positions in `groups`, which "
                    "np.flatnonzero(groups == name) gives."
                )
            raise Hint(
                "Some row is drawn twice, but an archive has each pointing once: draw without replacement, both the "
                "sources and the rows."
            )
        names, counts = np.unique(groups[rows], return_counts=True)
        if len(names) != n_sources:
            raise Hint(
                f"We asked for {n_sources} of 15 sources, and your rows are of {len(names)}: draw the sources "
                "first, each once (replace=False), then rows of each."
            )
        for name, count in zip(names, counts, strict=True):
            size = np.sum(groups == name)
            if count != min(size, n_rows):
                raise Hint(
                    f"A source with {size} rows should give {min(size, n_rows)}, and yours gives {count}: at most "
                    f"{n_rows}, and all if there are fewer."
                )
    _evenly(answer)
    repeatable(lambda generator: answer(groups, 3, 5, generator))


def _evenly(answer):
    """Raise a hint if some sources, or some rows of a source, are drawn more often than others."""
    groups = np.repeat(list("abcdefgh"), [10] * 6 + [3, 100])
    draws = [np.sort(answer(groups, 2, 4, np.random.default_rng(seed))) for seed in range(200)]
    pairs = np.array([np.searchsorted(list("abcdefgh"), groups[rows[[0, -1]]]) for rows in draws])
    times = np.bincount(pairs.ravel(), minlength=8)  # should be 50
    if times.max() > 90 or times.min() < 15:
        raise Hint(
            f"Each of 8 sources should be among your 2 equally often, but in 200 draws one was {times.max()} times and "
            f"another {times.min()} times: draw with `generator`, from a list that has each source once, however many "
            "rows it has."
        )
    if np.isin(np.diff(pairs), (1, 7)).mean() > 0.6:  # should be 8 of 28
        raise Hint("The sources you draw are neighbours in the list: draw each by itself.")
    place = np.array([rows[:4] % 10 for rows in draws if rows[3] < 60])
    share = np.bincount(place.ravel(), minlength=10) / len(place)  # should be 4 of 10
    if share.max() > 0.55 or share.min() < 0.25:
        raise Hint(
            f"You take the first row of a source in {share[0]:.0%} of cases and the last of ten in {share[-1]:.0%}: "
            "take each with the same chance. The first rows are the start of its first outburst."
        )
    neighbours = np.diff(place, append=place[:, :1] + 10) == 1
    if np.mean(neighbours.sum(axis=1) >= 3) > 0.3:
        raise Hint(
            "The rows of a source are neighbours, one stretch of an outburst: draw each row by itself."
        )


def _first(good):
    return int(np.flatnonzero(good)[0])


def _loss(scores):
    return scores[scores.mean(axis=1).argmax()] - scores


def _error(values):
    return values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])


def _simplest_good(scores):
    """A function: scores (n_candidates, n_folds), the simplest first -> position of the chosen one."""
    loss = _loss(scores)
    return _first(loss.mean(axis=1) <= _error(loss))


def _paired(passes):
    """Make a rule from the candidates that pass, a function of (mean losses, their errors, number of folds)."""
    return lambda scores: _first(
        passes(_loss(scores).mean(axis=1), _error(_loss(scores)), scores.shape[1])
    )


def _unpaired(limit):
    """Make a rule from the largest loss that passes, a function of (errors of the scores, position of the best)."""
    return lambda scores: _first(
        _loss(scores).mean(axis=1) <= limit(_error(scores), scores.mean(axis=1).argmax())
    )


def _down_from_the_best(scores):
    loss, position = _loss(scores), scores.mean(axis=1).argmax()
    while position and loss[position - 1].mean() <= _error(loss)[position - 1]:
        position -= 1
    return position


def _some_scores():
    """Return scores from losses against the best candidate, and their errors; mistakes choose other candidates."""
    generator, questions = np.random.default_rng(102), []
    for n_folds, loss, error in (
        (
            5,
            (0.3, 0.105, 0.095, 0.033, 0.024, 0.021, 0.0185, 0.017, 0.2, 0.0095, 0, 0.003, 0.05),
            (0.004, 0.05, 0.05, 0.002, 0.003, 0.02, 0.02, 0.02, 0.01, 0.02, 0, 0.006, 0.004),
        ),
        (6, (0.03, 0.009, 0, 0.008, 0.02), (0.01, 0.005, 0, 0.01, 0.002)),
        (10, (0.05, 0.012, 0.0105, 0.004, 0), (0.01, 0.005, 0.009, 0.008, 0)),
    ):
        noise = stats.zscore(generator.normal(size=(len(loss) + 1, n_folds)), axis=1, ddof=1)
        noise *= np.sqrt(n_folds) * np.array([0.027, *error])[:, None]
        questions.append(
            (0.85 + noise[0] - noise[1:] - np.array(loss)[:, None],)
        )  # [0]: their luck
    return questions


simplest_good = by_example(
    "Exercise 10.2",
    _simplest_good,
    _some_scores,
    {
        "You take the largest mean itself: a simpler candidate is within its error of it, if differences keep their "
        "signs.": [
            lambda scores: scores.mean(axis=1).argmax(),
            lambda scores: _first(np.abs(_loss(scores)).mean(axis=1) <= _error(_loss(scores))),
        ],
        "That uses the errors of scores, which hold the luck of hard and easy folds. Subtract fold by fold first, then "
        "take the error of the differences.": [
            _unpaired(lambda errors, best: errors[best]),
            _unpaired(lambda errors, best: errors),
            _unpaired(lambda errors, best: np.hypot(errors, errors[best])),
        ],
        "That compares with the scatter of the differences; the error of their mean is smaller by √k.": _paired(
            lambda mean, error, k: mean <= error * np.sqrt(k)
        ),
        "The best candidate is 0 ± 0 from itself, and *not larger*: take it, too.": _paired(
            lambda mean, error, k: mean < error
        ),
        "So few folds make a difference here: the error has ddof = 1.": _paired(
            lambda mean, error, k: mean <= error * np.sqrt(1 - 1 / k)
        ),
        "The error of a mean of k differences is std(ddof=1) / √k, not / √(k - 1).": _paired(
            lambda mean, error, k: mean <= error * np.sqrt(k / (k - 1))
        ),
        "Look at *all* candidates, also beyond one that is not good enough.": _down_from_the_best,
        "One standard error is the rule here: no test by its p-value.": lambda scores: _first(
            ~(stats.ttest_1samp(_loss(scores), 0, axis=1).pvalue <= 0.05)
        ),
        "In your answer nobody is good enough, not even the best: take mean and error along each row (axis 1) of the "
        "differences from the *row* with the largest mean.": lambda scores: _first(
            (scores.max(axis=0) - scores).mean(axis=1) <= _error(scores.max(axis=0) - scores)
        ),
        "That is the most complex of the good ones; the simplest stand first.": lambda scores: (
            len(scores) - 1 - _first((_loss(scores).mean(axis=1) <= _error(_loss(scores)))[::-1])
        ),
        "You take the first, which loses in every fold: the difference is the row with the largest mean minus each.": (
            _paired(lambda mean, error, k: -mean <= error)
        ),
        "Positions are counted from 0.": lambda scores: _simplest_good(scores) + 1,
    },
    returns=forms.number("a position of a candidate", int),
    otherwise="Of {0.shape[0]} candidates on {0.shape[1]} folds the rule takes number {ours}, counted from 0, and you "
    "take {yours}.",
)


def _log_uniform(low, high, n, generator):
    return np.exp(generator.uniform(np.log(low), np.log(high), n))


@exercise(
    "Exercise 10.3",
    reference=lambda: _log_uniform,
    form=forms.function(forms.array("values")),
)
def log_uniform(answer):
    """A function: low, high, n, generator -> values (n,), uniform in their logarithm."""
    for low, high, n in ((1e-4, 1e2, 20_000), (2.0, 2000.0, 15_000), (0.5, 3.0, 20_000)):
        drawn, again = (
            shaped(answer(low, high, n, np.random.default_rng(seed)), (n,), "values")
            for seed in (1, 2)
        )
        ends = np.array([drawn.min(), drawn.max()])
        for name, log in (("10 **", np.log10), ("np.exp", np.log)):
            if np.allclose(ends, log([low, high]), rtol=0.02, atol=0.02):
                raise Hint(f"Those are the logarithms: {name} leads back to the values.")
        share = np.log(np.maximum(drawn, low / 1e9) / low) / np.log(high / low)
        if stats.kstest((drawn - low) / (high - low), "uniform").pvalue > 1e-5:
            raise Hint(
                "That is uniform in the value itself: nine of ten draws fall into the last decade."
            )
        if share.min() < -1e-6 or share.max() > 1 + 1e-6 or np.ptp(share) < 0.9:
            raise Hint(
                f"Yours run from {ends[0]:.3g} to {ends[1]:.3g}, and should fill all between {low:g} and {high:g}. Is "
                "the same base taken for the logarithm and for the way back?"
            )
        if np.allclose(np.sort(drawn), np.sort(again)):
            raise Hint(
                "Two generators give the same values, as a grid does: draw at random, with `generator`."
            )
        if np.all(np.diff(drawn) >= 0) or np.all(np.diff(drawn) <= 0):
            raise Hint("Yours are in order of size: leave them as they are drawn.")
        if len(np.unique(drawn)) < 0.99 * n:
            raise Hint("Some values come more than once: draw each of the n by itself.")
        share, wanted = np.sort(share), np.arange(1, n + 1) / n
        worst = np.abs(share - wanted).argmax()
        if stats.kstest(share, "uniform").pvalue < 1e-5:
            raise Hint(
                f"Below {low * (high / low) ** share[worst]:.3g} should lie {share[worst]:.0%} of draws between "
                f"{low:g} and {high:g}, and {wanted[worst]:.0%} of yours do: are their logarithms uniform?"
            )
    repeatable(lambda generator: answer(low, high, 50, generator))


def _expected_best(n, sigma, generator):
    """A function: n, sigma, generator -> expected maximum of n Gaussian scores of that sigma."""
    return generator.normal(0, sigma, (20_000, n)).max(axis=1).mean()


def _largest(n):
    """Return the expected maximum of n standard Gaussians, by integration."""

    def weighted(x):
        return x * n * stats.norm.pdf(x) * stats.norm.cdf(x) ** (n - 1)

    return integrate.quad(weighted, -9, 9, limit=200)[0]


def _within_two_per_cent(answer):
    ratios = [answer(n, 2.0, np.random.default_rng(n)) / 2 / _largest(n) for n in range(3, 21, 3)]
    if abs(np.mean(ratios) - 1) > 0.02:
        raise Hint(
            f"For n from 3 to 18 yours is {np.mean(ratios):.1%} of ours on average: is it the mean of the largest (not "
            "their median), over many repetitions?"
        )


expected_best = by_example(
    "Exercise 10.4",
    _expected_best,
    lambda: [
        (n, sigma, np.random.default_rng(n))
        for n, sigma in ((5, 1.7), (2, 1.0), (50, 0.5), (5, 0.6), (1, 0.4))
    ],
    {
        "√(2 ln n) holds for very large n; below, a simulation gives less.": lambda n, sigma, generator: (
            sigma * np.sqrt(2 * np.log(n))
        ),
        "That scales with sigma squared: numpy wants the standard deviation.": lambda n, sigma, generator: (
            _expected_best(n, sigma**2, generator)
        ),
        "That is the range, from the smallest to the largest: the mean of the largest alone.": lambda *given: (
            2 * _expected_best(*given)
        ),
        "In units of the score, please: scale with sigma.": lambda n, sigma, generator: (
            _expected_best(n, 1, generator)
        ),
        "Near zero: that is the mean of all scores. Take the largest of each n, then the mean of those.": (
            lambda *given: 0
        ),
    },
    returns=forms.number("one number"),
    otherwise="For n = {0} and σ = {1:g} we find {ours} and you {yours}: is it the mean of the largest, over many "
    "repetitions?",
    rtol=0.03,
    atol=0.03,
    then=_within_two_per_cent,
)


def _rounds(
    cut=deal_sources,
    tune_on=lambda cuts, i: cuts[i][0],
    choice_of=lambda found, i: found[i][0],
    judge_on=lambda inside, outside: (inside, outside),
):
    """Make a nested cross-validation with other cuts, rows, or choices among the results of `tune`."""

    def nested(groups, label, k, seed, tune, judge):
        cuts = list(cut(groups, label, k, seed))
        found = [tune(tune_on(cuts, i)) for i in range(k)]
        outer = [judge(choice_of(found, i), *judge_on(*cuts[i])) for i in range(k)]
        return np.column_stack([[score for _, score in found], outer])

    return nested


def _nested(groups, label, k, seed, tune, judge):
    """A function: groups (n,), label (n,), k, seed, tune, judge -> inner and outer scores (k, 2)."""
    return _rounds()(groups, label, k, seed, tune, judge)


def _some_searches():
    """Return sources, and functions `tune` and `judge` whose scores show the rows of the call."""
    questions = []
    for k, seed in ((5, 1), (4, 2)):
        generator = np.random.default_rng([105, k])
        groups = _archive(generator, generator.integers(3, 20, 24))
        label = np.isin(groups, generator.permutation(np.unique(groups))[:8])
        worth = generator.random((3, len(groups)))

        def tune(inside, worth=worth):  # np.take takes positions, no mask
            strength, score = worth[:2].take(inside, axis=1).mean(axis=1)
            return {"C": strength}, score

        def judge(choice, inside, outside, worth=worth):
            return choice["C"] + worth[2].take(inside).mean() - worth[1].take(outside).mean() / 3

        questions.append((groups, label, k, seed, tune, judge))
    return questions


def _once_per_round(answer):
    *given, tune, judge = _some_searches()[0]
    calls = []
    answer(*given, lambda inside: calls.append(inside) or tune(inside), judge)
    if len(calls) > given[2]:
        raise Hint(
            f"Right, but `tune` ran {len(calls)} times for {given[2]} rounds: call it once in each, and keep both "
            "things that it returns."
        )


nested = by_example(
    "Exercise 10.5",
    _nested,
    _some_searches,
    {
        "`tune` was given all rows, so that the rows which judge the choice helped to make it: tune on the inside "
        "only.": _rounds(tune_on=lambda cuts, i: np.sort(np.concatenate(cuts[i]))),
        "Each round has to choose anew, from its own inside: `tune` belongs into the loop.": _rounds(
            tune_on=lambda cuts, i: cuts[0][0], choice_of=lambda found, i: found[0][0]
        ),
        "`tune` saw rows of the outer fold that judges its choice: give it the inside.": _rounds(
            tune_on=lambda cuts, i: cuts[i][1]
        ),
        "`deal_sources` returns the rows inside first, then those outside; and so does `judge` want them.": [
            _rounds(lambda *given: [cut[::-1] for cut in deal_sources(*given)]),
            _rounds(judge_on=lambda inside, outside: (outside, inside)),
        ],
        "`judge` trains on rows that it also judges: inside and outside overlap.": [
            _rounds(judge_on=lambda inside, outside: (inside, inside)),
            _rounds(judge_on=lambda *both: (np.sort(np.concatenate(both)), both[1])),
        ],
        "`tune` and `judge` want the positions of rows, as `deal_sources` returns them, not a mask.": _rounds(
            lambda g, *how: [
                [np.isin(np.arange(len(g)), x) for x in cut] for cut in deal_sources(g, *how)
            ]
        ),
        "A source lies inside and outside of the same round: `data.deal_sources` keeps them together.": [
            _rounds(lambda g, y, k, seed: KFold(k, shuffle=True, random_state=seed).split(g)),
        ],
        "Each seed must be another deal, with both kinds of sources in each fold: cut by "
        "`data.deal_sources(groups, label, k, seed)`.": [
            _rounds(lambda g, y, k, seed: StratifiedGroupKFold(k).split(g, y, g)),
            _rounds(lambda g, y, k, seed: deal_sources(g, y, k, 0)),
            _rounds(lambda g, y, k, seed: deal_sources(g, y & False, k, seed)),
        ],
        "Judge the choice of this round, and only that, not the best of all rounds or so far.": [
            _rounds(choice_of=lambda found, i: max(found, key=lambda pair: pair[1])[0]),
            _rounds(choice_of=lambda found, i: max(found[: i + 1], key=lambda pair: pair[1])[0]),
        ],
        "`tune` returns two things, the choice and its inner score: give `judge` the choice alone.": [
            _rounds(choice_of=lambda found, i: found[i]),
            _rounds(choice_of=lambda found, i: found[i][1]),
        ],
        "Inner score first, outer score second.": lambda *given: _nested(*given)[:, ::-1],
    },
    returns=forms.array("a table of inner and outer scores"),
    otherwise="We find a score of {ours} where you have {yours}: cut by `data.deal_sources(groups, label, k, seed)`; "
    "each row is what `tune` returned as its score, then what `judge` returned.",
    then=_once_per_round,
)


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
