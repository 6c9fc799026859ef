"""Answers to the exercises of lesson 16: other right routes, and wrong ones with their hints."""

import numpy as np
import torch

from answers import changed
from course.checks import lesson_16


def ranks_by_sorting(draws, theta):
    place = np.sort(draws.numpy(), axis=0)
    rows = np.array(
        [[np.searchsorted(place[:, i, j], theta[i, j].item()) for j in range(theta.shape[1])]
         for i in range(theta.shape[0])]
    )  # fmt: skip
    return rows / len(draws)


def tarp_in_numpy(draws, theta, references):
    inside = []
    for d, t, r in zip(draws.movedim(1, 0).numpy(), theta.numpy(), references.numpy(), strict=True):
        inside.append(np.mean(np.hypot.reduce(d - r, axis=-1) < np.hypot.reduce(t - r)))
    return inside


def together_about_the_largest(log_q):
    top = log_q.max(0).values
    return top + (log_q - top).exp().mean(0).log()


def weigh_by_hand(log_likelihood, log_q):
    log_w = (log_likelihood - log_q).double().numpy()
    w = np.exp(log_w - log_w.max())
    return w / w.sum(), w.sum() ** 2 / (w**2).sum()


def mmd2_by_squares(a, b, width):
    """One matrix of all points; the mean of k against the vector (1/n, -1/m)."""
    both = torch.cat([a, b])
    k = torch.exp(-((both[:, None] - both) ** 2).sum(-1) / (2 * width**2))
    sign = torch.cat([torch.full((len(a),), 1 / len(a)), torch.full((len(b),), -1 / len(b))])
    return sign @ k @ sign


OTHER_ROUTES = [
    (lesson_16.ranks, ranks_by_sorting),
    (lesson_16.ranks, lambda d, t: 1 - (d >= t).float().mean(0)),
    (lesson_16.tarp, tarp_in_numpy),
    (
        lesson_16.tarp,
        lambda d, t, r: (((d - r) ** 2).sum(-1) < ((t - r) ** 2).sum(-1)).float().mean(0),
    ),
    (lesson_16.together, together_about_the_largest),
    (lesson_16.together, lambda q: np.logaddexp.reduce(q.numpy(), axis=0) - np.log(len(q))),
    (lesson_16.weigh, weigh_by_hand),
    (lesson_16.mmd2, mmd2_by_squares),
    (lesson_16.mmd2, lesson_16._without_selves),
    (lesson_16.ranks, lambda d, t: (d.numpy() <= t.numpy()).mean(0)),
    (
        lesson_16.tarp,
        lambda d, t, r: (np.linalg.norm(d - r, axis=-1) < np.linalg.norm(t - r, axis=-1)).mean(0),
    ),
]

_ranks, _tarp, _together, _weigh, _mmd2 = (
    getattr(lesson_16, name).reference() for name in ("ranks", "tarp", "together", "weigh", "mmd2")
)
_report = lesson_16.report.reference()


def mean_of_kernel(kernel, cross=2.0):
    return lambda a, b, h: (
        kernel(torch.cdist(a, a), h).mean()
        + kernel(torch.cdist(b, b), h).mean()
        - cross * kernel(torch.cdist(a, b), h).mean()
    )


def gaussian(d, h):
    return torch.exp(-(d**2) / (2 * h**2))


WRONG = [
    (lesson_16.ranks, lambda d, t: (d < t).sum(0), "divide by how many"),
    (lesson_16.ranks, lambda d, t: (d > t).float().mean(0), "*above* the truth"),
    (lesson_16.ranks, lambda d, t: (d < t).float().mean(1), "over the tests"),
    (lesson_16.ranks, lambda d, t: d < t, "which share"),
    (lesson_16.ranks, lambda d, t: (d < t).sum(0) / (len(d) + 1), "number of draws"),
    (lesson_16.ranks, lambda d, t: (d.mean(0) < t).float(), "lie below the truth"),
    (lesson_16.tarp, lambda d, t, r: 1 - _tarp(d, t, r), "count those inside"),
    (lesson_16.tarp, lambda d, t, r: _tarp(d, t, r) * len(d), "divide by how many"),
    (
        lesson_16.tarp,
        lambda d, t, r: ((d - r).abs() < (t - r).abs()).float().mean(0),
        "each parameter",
    ),
    (
        lesson_16.tarp,
        lambda d, t, r: ((d - r).abs().sum(-1) < (t - r).abs().sum(-1)).float().mean(0),
        "Euclidean",
    ),
    (
        lesson_16.tarp,
        lambda d, t, r: ((d - t).norm(dim=-1) < (t - r).norm(dim=-1)).float().mean(0),
        "start at the reference",
    ),
    (lesson_16.tarp, lambda d, t, r: torch.full((len(t),), 0.5), "In the first test"),
    (lesson_16.together, lambda q: q.mean(0), "mean of the *logarithms*"),
    (lesson_16.together, lambda q: q.exp().mean(0).log(), "minus infinity"),
    (lesson_16.together, lambda q: torch.logsumexp(q, 0), "K times less"),
    (lesson_16.together, lambda q: q.sum(0), "independent data"),
    (lesson_16.together, lambda q: q.exp().mean(0), "density itself"),
    (lesson_16.together, lambda q: torch.logsumexp(q, 0) / len(q), "subtracting ln K"),
    (lesson_16.together, lambda q: q.max(0).values, "has the logarithm"),
    (lesson_16.weigh, lambda p, q: _weigh(p, q)[0], "two things"),
    (lesson_16.weigh, lambda p, q: _weigh(p, 0 * q), "leaves out the network"),
    (lesson_16.weigh, lambda p, q: _weigh(p, -q), "multiplies by q"),
    (lesson_16.weigh, lambda p, q: _weigh(q, p), "upside down"),
    (lesson_16.weigh, lambda p, q: (p - q, 50), "return exp"),
    (lesson_16.weigh, lambda p, q: (50 * _weigh(p, q)[0], _weigh(p, q)[1]), "divide by their sum"),
    (
        lesson_16.weigh,
        lambda p, q: ((p - q).exp() / (p - q).exp().sum(), _weigh(p, q)[1]),
        "subtract the largest",
    ),
    (lesson_16.weigh, lambda p, q: (_weigh(p, q)[0], 1 / _weigh(p, q)[1]), "one over it"),
    (lesson_16.weigh, lambda p, q: (_weigh(p, q)[0], _weigh(p, q)[1] / 50), "fraction"),
    (lesson_16.weigh, lambda p, q: (_weigh(p, q)[0], 1 / _weigh(p, q)[0].max()), "Equal weights"),
    (lesson_16.mmd2, mean_of_kernel(gaussian, 1.0), "*two* times"),
    (lesson_16.mmd2, mean_of_kernel(gaussian, -2.0), "*subtracted*"),
    (lesson_16.mmd2, mean_of_kernel(lambda d, h: torch.exp(-d / (2 * h**2))), "is squared"),
    (lesson_16.mmd2, mean_of_kernel(lambda d, h: torch.exp(-(d**2) / h**2)), "where is the 2"),
    (lesson_16.mmd2, lambda a, b, h: -_mmd2(a, b, h), "sign is turned"),
    (lesson_16.mmd2, lambda a, b, h: _mmd2(a, b, h).sqrt(), "Leave the root out"),
    (lesson_16.mmd2, lambda a, b, h: ((a.mean(0) - b.mean(0)) ** 2).sum(), "means of the clouds"),
    (lesson_16.mmd2, lambda a, b, h: _mmd2(a, b, h).item(), "slope is lost"),
    (lesson_16.mmd2, lambda a, b, h: gaussian(torch.cdist(a, b), h), "one number"),
    (
        lesson_16.report,
        changed(_report, the_ranks="in the paper"),
        "the sky does not come in",
    ),
    (lesson_16.report, changed(_report, the_prior="in the repository"), "the prior speaks"),
    (lesson_16.report, changed(_report, the_training="in the paper"), "converge, too"),
    (lesson_16.report, changed(_report, what_gain="no evidence"), "systematic error"),
    (lesson_16.ranks, lambda d, t: (d < t).mean(0), "mask.double()"),
    (lesson_16.together, lambda q: torch.logsumexp(q, 0) - np.log(4), "not always 4"),
    (lesson_16.together, lambda q: torch.logsumexp(q, 0) - np.log10(len(q)), "natural logarithm"),
    (lesson_16.weigh, lambda p, q: _weigh(p, q)[::-1], "In the other order"),
    (lesson_16.weigh, lambda p, q: (torch.log_softmax(p - q, 0), 50), "not log_softmax"),
    (lesson_16.mmd2, mean_of_kernel(lambda d, h: torch.exp(-(d**2) / 2 * h**2)), "in brackets"),
    (lesson_16.mmd2, lambda a, b, h: _mmd2(a, torch.tensor(b.numpy()), h), "stay in torch"),
]
