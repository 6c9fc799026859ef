"""Checks of lesson 00: start here."""

import numpy as np

from course.checks import Hint, exercise, forms
from course.checks.examples import by_example, by_value, repeatable, sorting

__all__ = [
    "cautions",
    "correlation_at_fixed_distance",
    "count_rate",
    "estimate",
    "is_linear",
    "kinds",
]

_RATE, _ERROR = 4612 / 945.1, np.sqrt(4612) / 945.1

count_rate = by_value(
    "Exercise 0.1",
    (_RATE, _ERROR),
    {
        "That is seconds per count; a rate is counts per second.": (1 / _RATE, _ERROR),
        "√4612 is the error of the number of counts: divide it, too.": (_RATE, np.sqrt(4612)),
        "Counts have a Poisson error, rates do not: take √N, then divide.": (_RATE, _RATE**0.5),
        "That is the variance of the rate; its root is the standard error.": (_RATE, _ERROR**2),
        "That is the relative error: multiply it by the rate.": (_RATE, _ERROR / _RATE),
        "That is rounded: write the formula, and let Python keep the digits.": [
            (round(_RATE, 1), round(_ERROR, 2)),
            (round(_RATE), round(_ERROR, 1)),
        ],
    },
    form=forms.tuple_of(
        "the rate and its standard error", forms.number("a rate"), forms.number("an error")
    ),
    signs={
        "The rate is the number of photons divided by the exposure, and it comes first.": (
            lambda found: not np.isclose(found[0], _RATE, rtol=1e-3)
        )
    },
    otherwise="The variance of a Poisson count equals its mean, so the error of N counts is √N.",
)


def _estimate(light_curve):
    """A function: light curve (n,) of Poisson counts -> mean count per bin, standard error of it."""
    mean = np.mean(light_curve)
    return mean, np.sqrt(mean / len(light_curve))


def _mean_and_error(value, given):
    """Form of both numbers. The scatter of all bins is a valid error; the lesson continues with √(µ/n)."""
    form = forms.tuple_of(
        "the mean and its standard error", *map(forms.number, ("a mean", "an error"))
    )
    mean, error = form(value, given)
    fair = [np.std(given[0], ddof=ddof) / len(given[0]) ** 0.5 for ddof in (0, 1)]
    return (mean, float(_estimate(given[0])[1])) if np.isclose(error, fair).any() else (mean, error)


def _claims(error):
    """Make a mistake: the right estimate with another error, a function of the mean and the number of bins."""
    return lambda x: (x.mean(), error(x.mean(), len(x)))


estimate = by_example(
    "Exercise 0.2",
    _estimate,
    lambda: [(np.array(x),) for x in ([3, 0, 12, 1, 1, 4, 8], [9, 5, 14, 30, 2, 7])],
    {
        "The mean comes first, then its error.": lambda x: _estimate(x)[::-1],
        "That is the sum over the bins; divide by their number.": lambda x: (sum(x), sum(x) ** 0.5),
        "That is the median, which lies below the mean where a histogram is skewed, as Poisson's is.": [
            lambda x: (np.median(x), np.sqrt(x.mean() / len(x))),
            lambda x: (np.median(x), np.sqrt(np.median(x) / len(x))),
        ],
        "Counts are whole numbers, and their mean need not be: keep its digits.": lambda x: (
            int(x.mean()),
            np.sqrt(int(x.mean()) / len(x)),
        ),
        "That is the scatter of one bin: divide it by √n.": _claims(lambda mean, n: mean**0.5),
        "That is the variance of the mean: take its root.": _claims(lambda mean, n: mean / n),
        "A bin scatters by √µ, not by µ.": _claims(lambda mean, n: mean / n**0.5),
        "That is the error of the sum: divide it by n.": _claims(lambda mean, n: (mean * n) ** 0.5),
        "By n, not n - 1: µ comes from Poisson's law, not from differences to the mean.": (
            _claims(lambda mean, n: (mean / (n - 1)) ** 0.5)
        ),
    },
    returns=_mean_and_error,
    otherwise="Where we find {ours} you find {yours}: every bin says as much about µ as the next, so take the mean of "
    "all n, whose standard error is √(µ/n).",
)


kinds = sorting(
    "Exercise 0.3",
    {
        "hard or soft state, from 6000 pointings labelled by experts": (
            "classification",
            "every sample has a label, and the label is one of two classes.",
        ),
        "spin of a black hole, from spectra simulated with known spin": (
            "regression",
            "every sample has a label, since we simulated it, and the label is a number.",
        ),
        "4000 segments of a light curve, nobody knows how many classes": (
            "unsupervised",
            "there are no labels at all, not even their number.",
        ),
        "300 bursts typed by eye among 40 000 that nobody looked at": (
            "semi-supervised",
            "a few samples have labels, and most have none.",
        ),
        "photon index, from the count spectrum in 5 bands": (
            "regression",
            "the label is a number (and the honest tool is a likelihood fit).",
        ),
        "which source to point at next, rewarded for each new outburst": (
            "reinforcement",
            "there are no samples to learn from, but actions and rewards.",
        ),
    },
)


def _is_linear(model, n, generator):
    p, q = generator.normal(size=(2, n))
    a, b = generator.normal(size=2)
    return bool(np.allclose(model(a * p + b * q), a * model(p) + b * model(q)))


@exercise(
    "Exercise 0.4",
    reference=lambda: _is_linear,
    form=forms.function(forms.number("one verdict", bool)),
)
def is_linear(answer):
    """A function: model, number of parameters, generator -> whether the model is linear in its parameters."""
    x = np.linspace(0.5, 10, 40)
    bump = 1.0 * (x == x[9]) - (x == x[19])
    cases = (
        ("a + b x", True, 2, lambda p: p[0] + p[1] * x),
        ("a + b x + c x² + d x³", True, 4, lambda p: sum(p[k] * x**k for k in range(4))),
        ("A cos x + B / x", True, 2, lambda p: p[0] * np.cos(x) + p[1] / x),
        ("K E^-Γ", False, 2, lambda p: p[0] * x ** -p[1]),
        ("1 + a x + b x², with its fixed 1,", False, 2, lambda p: 1 + p[0] * x + p[1] * x**2),
        ("a b x", False, 2, lambda p: p[0] * p[1] * x),
        ("∛(a³ + b³) x, which scales,", False, 2, lambda p: np.cbrt(p[0] ** 3 + p[1] ** 3) * x),
        ("a x + a b w(x), w of mean 0,", False, 2, lambda p: p[0] * (x + p[1] * bump)),
    )
    for name, linear, n, model in cases:
        verdicts = [answer(model, n, np.random.default_rng(seed)) for seed in range(9)]
        if linear and not any(verdicts) and answer(cases[3][3], 2, np.random.default_rng(1)):
            raise Hint("True is for models that are linear: yours says the opposite.")
        if linear and not all(verdicts):
            raise Hint(
                f"It finds that {name} is not linear: are both sides compared up to rounding (np.allclose)?"
            )
        # One draw may have parameters for which even this model seems linear, such as p parallel to q.
        if not linear and np.mean(verdicts) > 0.5:
            raise Hint(
                f"It calls {name} linear: compare f(αp + βq) with α f(p) + β f(q), at random p, q, α and β, "
                "all along the array."
            )

    def parameters_tried(generator):
        tried = []
        answer(lambda p: tried.append(np.array(p)) or p[0] + p[1] * x, 2, generator)
        return np.array(tried)

    repeatable(parameters_tried)


def _in_shells(of_shell, shells=lambda distance: np.array_split(np.argsort(distance), 20)):
    """Return the mean over shells of a function of the two quantities in a shell."""

    def answer(distance, x_rays, radio):
        return np.mean([of_shell(x_rays[s], radio[s]) for s in shells(distance)])

    return answer


def _coefficient(x_rays, radio):
    return np.corrcoef(x_rays, radio)[0, 1]


def _correlation_at_fixed_distance(distance, x_rays, radio):
    """A function: distance, x_rays, radio (n,) -> mean correlation in shells of distance."""
    return _in_shells(_coefficient)(distance, x_rays, radio)


def _some_catalogues():
    """Return sources whose quantities rise with distance; near ones and both ends have other correlations."""
    generator, catalogues = np.random.default_rng(5), []
    for n, sign in ((4019, -1), (3999, 1)):
        distance = 1 + 9 * generator.uniform(0, 1, n) ** 2
        true = sign * (0.9 - 0.12 * distance)
        x_rays, own = generator.normal(size=(2, n))
        radio = true * x_rays + np.sqrt(1 - true**2) * own
        ends = np.r_[distance.argsort()[:9], distance.argsort()[-9:]]
        radio[ends] = 4 * x_rays[ends]
        catalogues.append((distance, 3 * (x_rays + distance), 0.2 * (radio + distance)))
    return catalogues


def _of_equal_width(distance):
    numbers = np.digitize(distance, np.linspace(distance.min(), distance.max(), 21)[1:-1])
    return [numbers == k for k in range(20)]


correlation_at_fixed_distance = by_example(
    "Exercise 0.5",
    _correlation_at_fixed_distance,
    _some_catalogues,
    {
        "That is the correlation of the whole catalogue: are the sources sorted by distance before the cut?": [
            lambda distance, x_rays, radio: _coefficient(x_rays, radio),
            _in_shells(_coefficient, lambda d: np.array_split(np.arange(len(d)), 20)),
        ],
        "np.corrcoef returns a matrix: take its element [0, 1].": _in_shells(np.corrcoef),
        "That is a covariance: use np.corrcoef.": _in_shells(lambda x, r: np.cov(x, r)[0, 1]),
        "Keep the sign: a correlation may be negative.": [
            _in_shells(lambda x, r: abs(_coefficient(x, r))),
            lambda *catalogue: abs(_correlation_at_fixed_distance(*catalogue)),
        ],
        "That is a correlation of ranks; take Pearson's (np.corrcoef), as for the whole catalogue.": (
            _in_shells(lambda x, r: _coefficient(x.argsort().argsort(), r.argsort().argsort()))
        ),
        "Cut into shells of equal numbers, not widths.": _in_shells(_coefficient, _of_equal_width),
        "The number of sources need not be a multiple of 20, and none may be left out: np.array_split does that.": [
            _in_shells(_coefficient, lambda d: np.split(np.argsort(d), 20)),
            _in_shells(_coefficient, lambda d: d.argsort()[: len(d) // 20 * 20].reshape(20, -1)),
        ],
    },
    returns=forms.number("a correlation coefficient"),
    otherwise="In one catalogue we find {ours} and you {yours}: take the coefficient in each of 20 shells by itself, "
    "then their mean.",
    rtol=0,
    atol=1e-3,  # where one shell ends and the next begins may differ by a source
)


cautions = sorting(
    "Exercise 0.6",
    {
        "a network finds the centroid of a single Lorentzian in a power spectrum with known noise": (
            "statistics",
            "the likelihood of that fit is known, and has been in use for decades.",
        ),
        "a forest trained on RXTE pointings labels the states in eROSITA light curves of 40 s": (
            "training data",
            "what was seen in training does not look like the target: other telescope, other band, other length.",
        ),
        "a law of jets is derived from the luminosities in a flux-limited catalogue": (
            "bias",
            "who is missing from the catalogue? You made such a correlation yourself in Exercise 0.5.",
        ),
        "volunteers label 100 000 images for nothing and are not named": (
            "ethics",
            "whose work is it?",
        ),
    },
)
