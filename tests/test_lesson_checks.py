"""Every check of every lesson: right answers pass by any route, wrong ones get their own hint, nothing raises."""

import importlib
import pkgutil

import numpy as np
import pytest

import helpers.checks
from helpers.checks import lesson_00, lesson_01

ALL = [
    pytest.param(getattr(module, name), id=name)
    for module in (
        importlib.import_module(f"helpers.checks.{info.name}")
        for info in pkgutil.iter_modules(helpers.checks.__path__)
    )
    for name in module.__all__
]


@pytest.fixture
def verdict(monkeypatch):
    """Ask a check for its opinion: a function from check and answer to (state, message)."""

    def ask(check, answer):
        shown = []
        monkeypatch.setattr(helpers.checks, "display", shown.append)
        monkeypatch.setattr("helpers.plotting.display", lambda figure: None)
        returned = check(answer)
        assert len(shown) == 1
        if shown[0].state == "right":
            assert returned is answer
        else:
            assert returned is check.reference()
        return shown[0].state, shown[0].message

    return ask


@pytest.mark.parametrize("check", ALL)
class TestEveryCheck:
    def test_accepts_its_own_reference(self, check, verdict):
        assert verdict(check, check.reference()) == ("right", "")

    def test_knows_the_stub(self, check, verdict):
        reference = check.reference()
        stub = ...
        if isinstance(reference, dict):
            stub = dict.fromkeys(reference, ...)
        if isinstance(reference, tuple):
            stub = (...,) * len(reference)
        if callable(reference):

            def stub(*arguments):
                """The stub of a function."""
                ...

        assert verdict(check, stub)[0] == "not attempted"

    @pytest.mark.parametrize(
        "answer",
        [
            None,
            "forty-two",
            -1e9,
            float("nan"),
            [],
            {"what": "ever"},
            object(),
            np.zeros((2, 3)),
            lambda *arguments: print(end="") or None,
            lambda *arguments: "a string",
            lambda *arguments: np.zeros(3),
            lambda *arguments: (np.zeros(2), np.zeros(2)),
            lambda *arguments: 1 / 0,
            lambda: 1,
        ],
        ids=lambda answer: type(answer).__name__,
    )
    def test_answers_nonsense_with_a_sentence(self, check, answer, verdict):
        state, message = verdict(check, answer)
        assert state == "not yet"
        assert len(message) > 20


def changed(reference, **changes):
    """A copy of a reference dictionary with some values changed, keys found by how they begin."""
    answer = dict(reference)
    for start, value in changes.items():
        (key,) = [key for key in answer if key.replace(" ", "_").startswith(start)]
        answer[key] = value
    return answer


def excess_variance_of_the_population(counts):
    return (np.var(counts) - counts.mean()) / counts.mean() ** 2


def periodogram_by_full_fft(counts, bin_size):
    n = len(counts)
    half = slice(1, (n + 1) // 2)
    return np.fft.fftfreq(n, bin_size)[half], 2 * np.abs(
        np.fft.fft(counts)[half]
    ) ** 2 / counts.sum()


def fit_by_slope(counts, fold, chosen):
    """Photon index by least squares in the logarithm, which is another honest route."""
    grid = np.arange(1, 3, 0.005)
    scatter = [np.std(np.log(counts[chosen] / fold(index)[chosen])) for index in grid]
    return grid[np.argmin(scatter)]


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (lesson_00.count_rate, [4.88, 0.0719]),
        (lesson_00.estimate, lambda x: (x.mean(), x.std(ddof=1) / np.sqrt(x.size))),
        (
            lesson_00.is_linear,
            lambda f, n, g: np.allclose(
                f(np.full(n, 3.0)) + f(np.arange(1.0, n + 1)), f(np.arange(4.0, n + 4))
            ),
        ),
        (
            lesson_00.correlation_at_fixed_distance,
            lambda d, x, r: np.mean(
                [
                    np.corrcoef(x[(d >= low) & (d < high)], r[(d >= low) & (d < high)])[0, 1]
                    for low, high in zip(
                        np.arange(1, 10, 0.45), np.arange(1.45, 10.5, 0.45), strict=False
                    )
                ]
            ),
        ),
        (lesson_01.excess_variance, excess_variance_of_the_population),
        (lesson_01.leahy_periodogram, periodogram_by_full_fft),
        (lesson_01.photon_index, fit_by_slope),
        (lesson_01.twice_as_far, lambda x, g: [np.sum(g.random(int(n)) < 0.25) for n in x]),
    ],
    ids=lambda value: getattr(value, "__name__", "another route"),
)
def test_another_route_is_right_too(check, answer, verdict):
    assert verdict(check, answer) == ("right", "")


WRONG = [
    (lesson_00.count_rate, (945.1 / 4612, 0.07), "seconds per count"),
    (lesson_00.count_rate, (4612, 67.9), "divided by the exposure"),
    (lesson_00.count_rate, (4.88, np.sqrt(4612)), "error of the number of counts"),
    (lesson_00.count_rate, (4.88, np.sqrt(4.88)), "rates have not"),
    (lesson_00.count_rate, (4.88, 0.5), "variance of a Poisson count"),
    (lesson_00.count_rate, (4.88, ...), "missing"),
    (lesson_00.count_rate, 4.88, "two numbers"),
    (lesson_00.estimate, lambda x: (x.sum(), np.sqrt(x.sum())), "sum over the bins"),
    (lesson_00.estimate, lambda x: (np.median(x), np.sqrt(x.mean() / x.size)), "average"),
    (lesson_00.estimate, lambda x: (x.mean(), x.std()), "single bin"),
    (lesson_00.estimate, lambda x: (x.mean(), x.mean() / x.size), "√(µ/n)"),
    (lesson_00.estimate, lambda x: x.mean(), "two numbers"),
    (
        lesson_00.kinds,
        changed(lesson_00.kinds.reference(), spin="classification"),
        "the label is a number",
    ),
    (lesson_00.kinds, changed(lesson_00.kinds.reference(), spin="guessing"), "expected one of"),
    (lesson_00.kinds, changed(lesson_00.kinds.reference(), spin=...), "no answer yet"),
    (lesson_00.is_linear, lambda f, n, g: True, "calls K E^-Γ linear"),
    (lesson_00.is_linear, lambda f, n, g: False, "np.allclose"),
    (
        lesson_00.is_linear,
        lambda f, n, g: np.allclose(f(2 * np.arange(1.0, n + 1)), 2 * f(np.arange(1.0, n + 1))),
        "√(a² + b²)",
    ),
    (lesson_00.is_linear, lambda f, n, g: "linear", "True or False"),
    (
        lesson_00.correlation_at_fixed_distance,
        lambda d, x, r: np.corrcoef(x, r)[0, 1],
        "whole catalogue",
    ),
    (
        lesson_00.correlation_at_fixed_distance,
        lambda d, x, r: np.mean(
            [np.corrcoef(x[s], r[s])[0, 1] for s in np.array_split(np.arange(d.size), 20)]
        ),
        "sorted by distance",
    ),
    (lesson_00.correlation_at_fixed_distance, lambda d, x, r: 0.0, "each of 20 shells"),
    (
        lesson_00.correlation_at_fixed_distance,
        lambda d, x, r: abs(lesson_00.correlation_at_fixed_distance.reference()(d, x, r)),
        "each of 20 shells",
    ),
    (
        lesson_00.cautions,
        changed(lesson_00.cautions.reference(), a_law="statistics"),
        "missing from the catalogue",
    ),
    (lesson_01.excess_variance, lambda x: np.var(x) / np.mean(x) ** 2, "subtract"),
    (
        lesson_01.excess_variance,
        lambda x: (np.var(x) - np.mean(x)) / np.mean(x),
        "mean squared",
    ),
    (
        lesson_01.excess_variance,
        lambda x: np.sqrt(max(np.var(x) - np.mean(x), 0)) / np.mean(x),
        "leave the root out",
    ),
    (
        lesson_01.excess_variance,
        lambda x: (np.std(x) - np.mean(x)) / np.mean(x) ** 2,
        "should give",
    ),
    (
        lesson_01.excess_variance,
        lambda x: abs(np.var(x) - x.mean()) / x.mean() ** 2,
        "its sign",
    ),
    (
        lesson_01.excess_variance,
        lambda x: max(np.var(x) - x.mean(), 0) / x.mean() ** 2,
        "its sign",
    ),
    (lesson_01.leahy_periodogram, lambda x, dt: np.abs(np.fft.rfft(x)) ** 2, "two arrays"),
    (
        lesson_01.leahy_periodogram,
        lambda x, dt: (np.fft.rfftfreq(x.size, dt), np.abs(np.fft.rfft(x)) ** 2),
        "f = 0",
    ),
    (
        lesson_01.leahy_periodogram,
        lambda x, dt: (np.fft.rfftfreq(x.size, dt)[1:], np.fft.rfft(x)[1:]),
        "complex",
    ),
    (
        lesson_01.leahy_periodogram,
        lambda x, dt: (
            np.fft.rfftfreq(x.size, dt)[1:],
            np.abs(np.fft.rfft(x))[1:] ** 2 / x.sum(),
        ),
        "factor of 2",
    ),
    (
        lesson_01.leahy_periodogram,
        lambda x, dt: (
            np.fft.rfftfreq(x.size, dt)[1:],
            2 * np.abs(np.fft.rfft(x))[1:] ** 2 / x.size,
        ),
        "number of photons",
    ),
    (
        lesson_01.leahy_periodogram,
        lambda x, dt: (
            np.fft.rfftfreq(x.size)[1:],
            2 * np.abs(np.fft.rfft(x))[1:] ** 2 / x.sum(),
        ),
        "not in Hz",
    ),
    (
        lesson_01.leahy_periodogram,
        lambda x, dt: (
            2 * np.abs(np.fft.rfft(x))[1:] ** 2 / x.sum(),
            np.fft.rfftfreq(x.size, dt)[1:],
        ),
        "Frequencies first",
    ),
    (
        lesson_01.leahy_periodogram,
        lambda x, dt: (
            np.fft.rfftfreq(x.size, dt)[1:],
            2 * np.abs(np.fft.rfft(x))[1:] / x.sum(),
        ),
        "shape of the formula",
    ),
    (
        lesson_01.photon_index,
        lambda c, fold, m: lesson_01._photon_index(c, fold, np.ones_like(m)),
        "fits all channels",
    ),
    (
        lesson_01.photon_index,
        lambda c, fold, m: np.argmin([np.sum((c - fold(i))[m] ** 2) for i in lesson_01._GRID]) + 9,
        "a position or a χ²",
    ),
    (
        lesson_01.photon_index,
        lambda c, fold, m: min(
            lesson_01._GRID,
            key=lambda i: np.sum((c - fold(i) * c.sum() / fold(i).sum())[m] ** 2 / c[m]),
        ),
        "not in all of them",
    ),
    (
        lesson_01.photon_index,
        lambda c, fold, m: min(
            lesson_01._GRID,
            key=lambda i: np.sum((c - fold(i) * c[m].sum() / fold(i)[m].sum())[m] ** 2),
        ),
        "same weight",
    ),
    (
        lesson_01.photon_index,
        lambda c, fold, m: min(
            np.arange(1, 3, 0.01), key=lambda i: np.sum((c - fold(i))[m] ** 2 / c[m])
        ),
        "scaled",
    ),
    (
        lesson_01.photon_index,
        lambda c, fold, m: -np.polyfit(np.log(np.linspace(1, 10, 90))[m], np.log(c[m]), 1)[0],
        "Fold the model",
    ),
    (lesson_01.photon_index, lambda c, fold, m: 1.7, "of another telescope"),
    (lesson_01.tasks, changed(lesson_01.tasks.reference(), does_the_jet="prediction"), "cause"),
    (lesson_01.hardness, lambda r, i: 1 / lesson_01._hardness(r, i), "soft over hard"),
    (
        lesson_01.hardness,
        lambda r, i: (5 ** (1 - i) - 10 ** (1 - i)) / (3 ** (1 - i) - 5 ** (1 - i)),
        "before any telescope",
    ),
    (
        lesson_01.hardness,
        lambda r, i: (lesson_01._hardness(r, i) - 1) / (lesson_01._hardness(r, i) + 1),
        "another one",
    ),
    (lesson_01.hardness, lambda r, i: 1.0, "check the two bands"),
    (lesson_00.cautions, changed(lesson_00.cautions.reference(), volunteers="bias"), "whose work"),
    (lesson_01.tasks, changed(lesson_01.tasks.reference(), the_spin="description"), "uncertainty"),
    (lesson_01.twice_as_far, lambda x, g: x / 4, "quarter of a photon"),
    (lesson_01.twice_as_far, lambda x, g: x / 4 + g.random(x.size), "whole numbers"),
    (lesson_01.twice_as_far, lambda x, g: np.round(x / 4), "same counts every time"),
    (lesson_01.twice_as_far, lambda x, g: g.binomial(x.astype(int), 0.5), "half of the photons"),
    (lesson_01.twice_as_far, lambda x, g: g.binomial(x.astype(int), 0.75), "should remain"),
    (lesson_01.twice_as_far, lambda x, g: g.poisson(x / 4), "one coin for each photon"),
    (lesson_01.twice_as_far, lambda x, g: g.poisson(10, x.size), "near one"),
    (lesson_01.verdicts, changed(lesson_01.verdicts.reference(), sample="thinned"), "label column"),
    (
        lesson_01.verdicts,
        changed(lesson_01.verdicts.reference(), rxte_4u1636="no label"),
        "number of events",
    ),
]


@pytest.mark.parametrize("check", ALL)
def test_every_check_is_tried_with_two_wrong_answers(check):
    assert sum(tried is check for tried, _, _ in WRONG) >= 2


@pytest.mark.parametrize(
    ("check", "answer", "hint"),
    WRONG,
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", "answer"),
)
def test_a_plausible_wrong_answer_gets_its_own_hint(check, answer, hint, verdict):
    state, message = verdict(check, answer)
    assert state == "not yet"
    assert hint in message
