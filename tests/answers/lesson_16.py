"""Answers to the exercises of lesson 16: other right routes, and wrong ones that no table holds."""

from types import SimpleNamespace

import numpy as np
import torch
from torch.distributions import Independent, Uniform

from answers import changed
from course.checks import lesson_16

_tarp, _together, _weigh, _mmd2 = (
    getattr(lesson_16, name).reference() for name in ("tarp", "together", "weigh", "mmd2")
)
_report = lesson_16.report.reference()


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


def about(center, total=torch.sum):
    """Weights about another logarithm than the largest."""

    def answer(log_likelihood, log_q):
        weights = (log_likelihood - log_q - center(log_likelihood - log_q)).exp()
        return lesson_16._worth(weights / total(weights))

    return answer


def quotient(above, below):
    return lesson_16._worth(above / below / (above / below).sum())


def mmd2_by_squares(a, b, width):
    """One matrix of all points; the mean of k against the vector (1/n, -1/m)."""
    both = torch.cat([a, b])
    k = torch.exp(-((both[:, None] - both) ** 2).sum(-1) / (2 * width**2))
    sign = torch.cat([torch.full((len(a),), 1 / len(a)), torch.full((len(b),), -1 / len(b))])
    return sign @ k @ sign


def of_distance(distance):
    return lesson_16._of_kernel(lesson_16._gaussian, distance=distance)


def by_a_root(u, v):
    return ((u[:, None] - v) ** 2).sum(-1).sqrt()


def posterior(log_q=4.0, prior=None, embedding=None):
    """What the check asks of a posterior of sbi, with a density that is known."""
    return SimpleNamespace(
        posterior_estimator=SimpleNamespace(embedding_net=embedding or torch.nn.Linear(99, 16)),
        prior=prior or lesson_16._qpos(1, 0)[0],
        log_prob_batched=lambda theta, x, **more: torch.full((1, len(x)), log_q),
    )


_p = np.array([0.1, 0.4, 0.7, 0.9])
_box = Independent(Uniform(torch.full((4,), -9.0), torch.full((4,), 9.0)), 1)

OTHER_ROUTES = [
    (lesson_16.ranks, lambda d, t: 1 - (d >= t).float().mean(0)),
    (lesson_16.ranks, lambda d, t: (d.numpy() < t.numpy()).mean(0)),
    (lesson_16.tarp, tarp_in_numpy),
    (
        lesson_16.tarp,
        lambda d, t, r: (((d - r) ** 2).sum(-1) < ((t - r) ** 2).sum(-1)).float().mean(0),
    ),
    (lesson_16.together, together_about_the_largest),
    (lesson_16.together, lambda q: np.logaddexp.reduce(q.numpy(), axis=0) - np.log(len(q))),
    (lesson_16.weigh, weigh_by_hand),
    (lesson_16.weigh, lambda p, q: lesson_16._worth((p - q).softmax(0))),
    (lesson_16.mmd2, mmd2_by_squares),
    (lesson_16.mmd2, of_distance(lambda u, v: (u[:, None] - v).norm(dim=-1))),
    (lesson_16.mmd2, lambda *clouds: _mmd2(*clouds)[None]),
    (lesson_16.by_sbi, (posterior(), _p.tolist())),
]

WRONG = [
    (lesson_16.ranks, lambda d, t: (d.mean(0) < t).float(), "lie below the truth"),
    (lesson_16.tarp, lambda d, t, r: torch.full((len(t),), 0.5), "nearer to the reference"),
    (lesson_16.together, lambda q: q.max(0).values, "has the logarithm"),
    (lesson_16.weigh, lambda p, q: _weigh(p, q)[0], "Expected 2 things"),
    (lesson_16.weigh, lambda p, q: _weigh(p, q)[::-1], "one number after the weights"),
    (lesson_16.weigh, about(torch.max, total=lambda w: 1), "divide by their sum"),
    (lesson_16.weigh, about(lambda log_w: 0), "subtract the largest"),
    (lesson_16.weigh, about(torch.min), "subtract the largest"),
    (lesson_16.weigh, lambda p, q: quotient((p - p.max()).exp(), q.exp()), "subtract the largest"),
    (lesson_16.weigh, lambda p, q: quotient(p.softmax(0), q.softmax(0)), "subtract the largest"),
    (lesson_16.weigh, lambda p, q: (_weigh(p, q)[0], len(p)), "equal ones"),
    (lesson_16.mmd2, lambda a, b, h: _mmd2(a, b, 1.1 * h), "you found"),
    (lesson_16.mmd2, lambda *clouds: _mmd2(*clouds).clamp(min=0.01), "you found 0.01"),
    (lesson_16.mmd2, lambda *clouds: _mmd2(*clouds).item(), "slope is lost"),
    (lesson_16.mmd2, lambda *clouds: _mmd2(*clouds).detach(), "slope is lost"),
    (lesson_16.mmd2, lambda a, b, h: _mmd2(a, b.detach(), h), "detach neither"),
    (lesson_16.mmd2, of_distance(by_a_root), "slope is NaN"),
    (lesson_16.by_sbi, (SimpleNamespace(train=print), _p), "build_posterior"),
    (lesson_16.by_sbi, (posterior().posterior_estimator, _p), "build_posterior"),
    (lesson_16.by_sbi, (posterior(prior=_box), _p), "another prior"),
    (lesson_16.by_sbi, (posterior(embedding=torch.nn.Identity()), _p), "no embedding"),
    (lesson_16.by_sbi, (posterior(), {"ks_pvals": _p}), "ks_pvals"),
    (lesson_16.by_sbi, (posterior(), _p[:2]), "p-values"),
    (lesson_16.by_sbi, (posterior(), 100 * _p), "between 0 and 1"),
    (lesson_16.by_sbi, (posterior(log_q=-1.0), _p), "above that of the prior"),
    (lesson_16.by_sbi, (posterior(log_q=float("nan")), _p), "above that of the prior"),
    (lesson_16.report, changed(_report, the_ranks="in the paper"), "the sky does not come in"),
    (lesson_16.report, changed(_report, the_prior="in the repository"), "the prior speaks"),
]
