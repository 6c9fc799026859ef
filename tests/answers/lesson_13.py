"""Answers to the exercises of lesson 13: other right routes, and wrong ones that no table holds."""

import numpy as np
import torch
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    KFold,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
)
from sklearn.preprocessing import StandardScaler

from answers import changed
from course.checks import lesson_13


def counts_by_hand(theta, detector, exposure):
    index, norm = theta.unbind(-1)
    slope = 1 - index[..., None]
    lo, hi = detector.energy_lo, detector.energy_hi
    flux = 10 ** norm[..., None] * (hi**slope - lo**slope) / slope
    return ((flux * detector.effective_area) @ detector.redistribution * exposure).double().numpy()


def one_by_one(theta, detector, time):
    flat = [lesson_13._expected(row, detector, time) for row in theta.reshape(-1, 2)]
    return torch.stack(flat).reshape(*theta.shape[:-1], -1)


def poisson(counts, mean):
    return torch.distributions.Poisson(mean).log_prob(counts).sum(-1)


def abc_mistake(kind):
    def answer(observed, draw_prior, simulate, distance, tolerance, n, generator):
        theta = draw_prior(n, generator)
        x = simulate(theta, generator)
        far = distance(x, observed)
        close = far <= tolerance
        return {
            "data": x[close],
            "mask": close,
            "all": theta,
            "other way": theta[distance(observed, x) <= tolerance],
            "shuffled": theta[torch.randperm(n, generator=generator)][close],
            "share": theta[far.argsort()[: int(tolerance * n)]],
            "sorted": theta[close].sort(0).values,
            "squeezed": theta[close].squeeze(),
            "wider": theta[far <= 1.05 * tolerance],
            "number": (theta[close], int(close.sum())),
        }[kind]

    return answer


def abc_twice(observed, draw_prior, simulate, distance, tolerance, n, generator):
    x = simulate(draw_prior(n, generator), generator)
    return draw_prior(n, generator)[distance(x, observed) <= tolerance]


def abc_without_generator(observed, draw_prior, simulate, distance, tolerance, n, generator):
    theta = draw_prior(n, generator)
    return theta[distance(simulate(theta, None), observed) <= tolerance]


def abc_in_a_loop(observed, draw_prior, simulate, distance, tolerance, n, generator):
    kept = []
    for _ in range(n):
        theta = draw_prior(1, generator)
        if distance(simulate(theta, generator), observed) <= tolerance:
            kept.append(theta[0])
    return kept


def abc_by_index(observed, draw_prior, simulate, distance, tolerance, n, generator):
    theta = draw_prior(n, generator)
    far = distance(simulate(theta, generator), observed)
    order = far.argsort()
    return theta[order[: int((far <= tolerance).sum())]]


def mixture(logits, mean, log_sd, target):
    parts = torch.distributions.Normal(mean, log_sd.exp())
    weights = torch.distributions.Categorical(logits=logits)
    return -torch.distributions.MixtureSameFamily(weights, parts).log_prob(target).mean()


def bounded(*given):
    return -(sum(lesson_13._mdn_terms(*given)).exp().sum(1) + 1e-30).log().mean()


def log_of_softmax(logits, *rest):
    return lesson_13._mdn_loss(logits.softmax(1).log(), *rest)


def widths_cut_off(logits, mean, log_sd, target):
    return mixture(logits, mean, log_sd.detach(), target)


def coupling_in_place(theta, net, inverse=False):
    half, z = theta.shape[1] // 2, torch.empty(theta.shape, dtype=theta.dtype)
    s, t = net(theta[:, :half])
    z[:, :half] = theta[:, :half]
    z[:, half:] = (theta[:, half:] - t) / s.exp() if inverse else theta[:, half:] * s.exp() + t
    return [z, -s.sum(1) if inverse else s.exp().prod(1).log()]


def coupling_in_numpy(theta, net, inverse=False):
    return [part.detach().numpy() for part in lesson_13._coupling(theta, net, inverse)]


def stacked(one, other):
    return np.vstack([one, other]), np.repeat([0, 1], [len(one), len(other)])


def c2st_by_prediction(one, other, classifier):
    rows, labels = stacked(one, other)
    order = np.random.default_rng(1).permutation(len(rows))
    said = cross_val_predict(classifier, rows[order], labels[order], cv=5)
    return np.mean(said == labels[order])


def c2st_by_folds(average, **options):
    def answer(one, other, classifier):
        folds = StratifiedKFold(5, shuffle=True, random_state=1)
        return average(cross_val_score(classifier, *stacked(one, other), cv=folds, **options))

    return answer


def c2st_of_tensors(one, other, classifier):
    labels = torch.repeat_interleave(torch.tensor([0, 1]), torch.tensor([len(one), len(other)]))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return cross_val_score(classifier, torch.cat((one, other)), labels, cv=folds).mean()


def c2st_scaled(one, other, classifier):
    rows = StandardScaler().fit_transform(np.concatenate([one, other]))
    return lesson_13._c2st(rows[: len(one)], rows[len(one) :], classifier)


def c2st_seen(one, other, classifier):
    return classifier.fit(*stacked(one, other)).score(*stacked(one, other))


def c2st_in_order(one, other, classifier):
    return cross_val_score(classifier, *stacked(one, other), cv=5).mean()


def c2st_own_classifier(one, other, classifier):
    return lesson_13._c2st(one, other, LogisticRegression())


OTHER_ROUTES = [
    (lesson_13.expected, counts_by_hand),
    (lesson_13.log_likelihood, poisson),
    (lesson_13.log_likelihood, lambda x, f: stats.poisson.logpmf(x, f).sum(-1)),
    (lesson_13.log_likelihood, lambda x, f: (torch.xlogy(x, f) - f).sum(-1)),
    (lesson_13.abc, abc_by_index),
    (lesson_13.abc, abc_in_a_loop),
    (lesson_13.mdn_loss, mixture),
    (lesson_13.mdn_loss, lambda a, b, s, *rest: mixture(a, b, (s.exp() + 1e-6).log(), *rest)),
    (lesson_13.coupling, coupling_in_place),
    (lesson_13.c2st, c2st_by_prediction),
    (lesson_13.c2st, c2st_by_folds(np.mean)),
    (lesson_13.c2st, c2st_of_tensors),
    (lesson_13.c2st, c2st_scaled),
]

WRONG = [
    (lesson_13.expected, lambda *given: 3 * lesson_13._expected(*given), "another detector"),
    (lesson_13.expected, lambda *given: lesson_13._expected(*given).squeeze(), "shape (1, 2)"),
    (lesson_13.expected, one_by_one, "loop"),
    (
        lesson_13.expected,
        lambda *given: torch.poisson(lesson_13._expected(*given)),
        "noise comes later",
    ),
    (lesson_13.log_likelihood, lambda x, f: poisson(x.double(), f.double()).exp().log(), "stay in"),
    (lesson_13.log_likelihood, lambda x, f: -(f - x).abs().sum(-1), "Differences"),
    *[
        (lesson_13.abc, abc_mistake(kind), hint)
        for kind, hint in {
            "data": "simulated data",
            "mask": "mask",
            "all": "keep all",
            "sorted": "yours are others",
            "squeezed": "(1, 2) here, not (2,)",
            "wider": "should be kept",
            "number": "alone",
            "other way": "in this order",
            "shuffled": "yours are others",
            "share": "not the share",
        }.items()
    ],
    (lesson_13.abc, abc_twice, "one batch"),
    (lesson_13.abc, abc_without_generator, "Hand on"),
    (lesson_13.mdn_loss, bounded, "small number"),
    (lesson_13.mdn_loss, log_of_softmax, "gradient is NaN"),
    (lesson_13.mdn_loss, widths_cut_off, "no gradient"),
    (lesson_13.mdn_loss, lambda *given: mixture(*given).item(), "no gradient"),
    (lesson_13.mdn_loss, lambda *given: 1.1 * mixture(*given), "random simulations"),
    (lesson_13.coupling, coupling_in_numpy, "no gradient"),
    (lesson_13.coupling, lambda *given: lesson_13._coupling(*given)[0], "2 things"),
    (lesson_13.coupling, lambda x, net, inverse=False: (x, x[:, 0]), "on paper"),
    (lesson_13.c2st, c2st_seen, "learned from"),
    (lesson_13.c2st, c2st_in_order, "Shuffle"),
    (lesson_13.c2st, c2st_by_folds(np.mean, scoring="roc_auc"), "ROC curve"),
    (lesson_13.c2st, lambda *given: lesson_13._c2st(*given, KFold(5)), "Shuffle the rows"),
    (lesson_13.c2st, lambda a, b, c: lesson_13._c2st(a[:, :1], b[:, :1], c), "all columns"),
    (lesson_13.c2st, lambda *x: lesson_13._c2st(*x, ShuffleSplit(5, random_state=0)), "each row"),
    (lesson_13.c2st, lambda *given: max(0.5, lesson_13._c2st(*given)), "mean of five"),
    (lesson_13.c2st, c2st_by_folds(np.mean, scoring="f1"), "share of right"),
    (lesson_13.c2st, c2st_by_folds(np.max), "mean of five"),
    (lesson_13.c2st, c2st_own_classifier, "you are handed"),
    (lesson_13.c2st, lambda *given: 1 - lesson_13._c2st(*given), "do not overlap"),
    (lesson_13.c2st, lambda *given: 2 * lesson_13._c2st(*given) - 1, "about 0.5"),
    (lesson_13.choices, changed(lesson_13.choices.reference(), one_spectrum="NPE"), "missing"),
    (lesson_13.choices, changed(lesson_13.choices.reference(), twenty="NPE"), "add"),
]

EXEMPT = {
    (
        lesson_13.c2st,
        "arguments 0 and 1 swapped",
    ): "to tell one from the other is as hard as the other from one",
}
