"""Checks of lesson 00: start here."""

import numpy as np

from . import Hint, exercise, function, number, sorting

__all__ = [
    "cautions",
    "correlation_at_fixed_distance",
    "count_rate",
    "estimate",
    "is_linear",
    "kinds",
]


@exercise("Exercise 0.1", reference=lambda: (4612 / 945.1, np.sqrt(4612) / 945.1))
def count_rate(answer):
    """A tuple: count rate and standard error in 1/s, of 4612 photons in 945.1 s."""
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise Hint("Expected two numbers: the rate and its standard error.")
    if ... in answer:
        raise Hint("One of the two numbers is still missing.")
    rate = number(answer[0], "a rate in 1/s")
    error = number(answer[1], "a standard error in 1/s")
    right = 4612 / 945.1
    if np.isclose(rate, 1 / right, rtol=1e-3):
        raise Hint("That is seconds per count; a rate is counts per second.")
    if not np.isclose(rate, right, rtol=0.01):
        raise Hint("The rate is the number of photons divided by the exposure.")
    if np.isclose(error, np.sqrt(4612), rtol=1e-3):
        raise Hint(
            "√4612 is the error of the number of counts; divide it by the exposure like the counts themselves."
        )
    if np.isclose(error, np.sqrt(right), rtol=1e-3):
        raise Hint(
            "Counts have a Poisson error, rates have not: take the root of the counts, and then divide."
        )
    right_error = np.sqrt(4612) / 945.1
    if np.isclose(error, right_error**2, rtol=0.01):
        raise Hint("That is the variance of the rate; its root is the standard error.")
    if np.isclose(error, 1 / np.sqrt(4612), rtol=0.01):
        raise Hint("That is the relative error, a share of the rate: multiply it by the rate.")
    if np.isclose(error, right_error, rtol=0.01):
        return
    if any(np.isclose(error, round(right_error, digits)) for digits in (1, 2)):
        raise Hint("That is rounded: write the formula, and let Python keep the digits.")
    raise Hint("The variance of a Poisson count equals its mean, so the error of N counts is √N.")


def _estimate(light_curve):
    mean = np.mean(light_curve)
    return mean, np.sqrt(mean / len(light_curve))


@exercise("Exercise 0.2", reference=lambda: _estimate)
def estimate(answer):
    """A function: light curve (n,) of Poisson counts -> mean count per bin, standard error of it."""
    answer = function(answer)
    generator = np.random.default_rng(2)
    for mean, n in ((4.0, 50), (9.0, 200)):
        light_curves = generator.poisson(mean, (400, n))
        pairs = np.array([_pair(answer(light_curve.copy())) for light_curve in light_curves])
        bound = np.sqrt(mean / n)
        if abs(pairs[:, 0].mean() - mean) > 5 * bound / np.sqrt(400):
            if np.isclose(pairs[:, 0].mean(), mean * n, rtol=0.05):
                raise Hint("That is the sum over the bins; divide by their number.")
            if np.isclose(pairs[:, 0].mean(), np.median(light_curves, axis=1).mean()):
                raise Hint(
                    "That is the median, which lies below the mean where a histogram is skewed, as Poisson's is."
                )
            raise Hint(
                f"On 400 light curves with mean {mean:g} your estimates average {pairs[:, 0].mean():.2f}."
            )
        # The mean of the claimed errors scatters by 1/sqrt(2 n 400) of itself if it is taken from the variance.
        if np.isclose(pairs[:, 1].mean(), np.sqrt(mean), rtol=0.05):
            raise Hint(
                "That is the scatter of a single bin; the mean of n bins scatters √n times less."
            )
        if not np.isclose(pairs[:, 1].mean(), bound, rtol=0.03):
            raise Hint(
                f"With mean {mean:g} and {n} bins the estimates scatter by {bound:.3f}, and you claim "
                f"{pairs[:, 1].mean():.3f} on average: the error of a mean of n bins is √(µ/n)."
            )


def _pair(value):
    if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != 2:
        raise Hint("Expected two numbers from your function: the mean and its standard error.")
    return number(value[0], "a mean"), number(value[1], "a standard error")


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
    p, q = generator.uniform(0.5, 2, (2, n))
    a, b = generator.uniform(0.5, 2, 2)
    return bool(np.allclose(model(a * p + b * q), a * model(p) + b * model(q)))


@exercise("Exercise 0.4", reference=lambda: _is_linear)
def is_linear(answer):
    """A function: model, number of parameters, generator -> whether the model is linear in its parameters."""
    answer = function(answer)
    x = np.linspace(0.5, 10, 40)
    cases = (
        ("a + b x", True, 2, lambda p: p[0] + p[1] * x),
        ("a + b x + c x² + d x³", True, 4, lambda p: np.polynomial.polynomial.polyval(x, p)),
        ("A cos x + B / x", True, 2, lambda p: p[0] * np.cos(x) + p[1] / x),
        ("K E^-Γ", False, 2, lambda p: p[0] * x ** -p[1]),
        ("1 + a x + b x², with its fixed 1,", False, 2, lambda p: 1 + p[0] * x + p[1] * x**2),
        ("a b x", False, 2, lambda p: p[0] * p[1] * x),
        (
            "∛(a³ + b³) x, which scales but does not add,",
            False,
            2,
            lambda p: np.cbrt(p[0] ** 3 + p[1] ** 3) * x,
        ),
    )
    for name, linear, n, model in cases:
        try:
            verdicts = [answer(model, n, np.random.default_rng(seed)) for seed in range(9)]
        except (IndexError, TypeError) as problem:
            raise Hint(
                "A model takes one vector of n parameters, model(p) with p = generator.normal(size=n), and a and b "
                f"are single numbers ({problem})."
            ) from None
        for verdict in verdicts:
            if not isinstance(verdict, (bool, np.bool_)):
                raise Hint(
                    f"Expected True or False; your function returns {type(verdict).__name__}."
                )
        if linear and not all(verdicts):
            raise Hint(
                f"It finds that {name} is not linear: are both sides compared up to rounding (np.allclose)?"
            )
        # One draw may hit parameters at which even this model obeys, such as p parallel to q.
        if not linear and np.mean(verdicts) > 0.5:
            raise Hint(
                f"It calls {name} linear: compare f(αp + βq) with α f(p) + β f(q), at random p, q, α and β."
            )


def _correlation_at_fixed_distance(distance, x_rays, radio):
    shells = np.array_split(np.argsort(distance), 20)
    return np.mean([np.corrcoef(x_rays[shell], radio[shell])[0, 1] for shell in shells])


@exercise("Exercise 0.5", reference=lambda: _correlation_at_fixed_distance)
def correlation_at_fixed_distance(answer):
    """A function: distance, x_rays, radio (n,) -> mean correlation in shells of distance."""
    answer = function(answer)
    generator = np.random.default_rng(5)
    n = 20_000
    distance = generator.uniform(1, 10, n)
    # Both quantities rise with distance; what is left at a fixed distance has the correlation that we give it.
    for true in (0.0, -0.5):
        own = generator.multivariate_normal([0, 0], [[1, true], [true, 1]], n).T
        x_rays, radio = own + distance
        found = number(
            answer(distance.copy(), x_rays.copy(), radio.copy()), "a correlation coefficient"
        )
        if np.isclose(found, np.corrcoef(x_rays, radio)[0, 1], atol=0.02):
            raise Hint(
                "That is the correlation of the whole catalogue: are the sources sorted by distance before the cut?"
            )
        # A shell holds 1/20 of the range of distances, which adds a variance of 0.45²/12 to each quantity; four
        # standard errors of the mean of 20 coefficients come on top.
        width = 0.45**2 / 12
        expected = (true + width) / (1 + width)
        error = 4 * (1 - true**2) / np.sqrt(n) + 0.01
        if abs(found - (1 + expected) / 2) < error:
            raise Hint(
                "np.corrcoef returns a matrix with ones on its diagonal: the coefficient is its element [0, 1]."
            )
        if abs(found - expected) > error:
            raise Hint(
                f"Two quantities whose correlation at fixed distance is {true:g} give {found:.2f}: take the "
                "coefficient in each of 20 shells by itself, then their mean."
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
        "a law of jets is read off the luminosities in a flux-limited catalogue": (
            "bias",
            "who is missing from the catalogue? You made such a correlation yourself in Exercise 0.5.",
        ),
        "volunteers label 100 000 images for nothing and are not named": (
            "ethics",
            "whose work is it?",
        ),
    },
)
