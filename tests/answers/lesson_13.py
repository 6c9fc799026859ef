"""Answers to the exercises of lesson 13: other right routes, and wrong ones with their hints."""

import math

import numpy as np
import torch
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    train_test_split,
)

from answers import changed
from course.checks import lesson_13
from helpers.spectra import power_law


def counts_by_hand(theta, detector, exposure):
    index, norm = theta.unbind(-1)
    slope = 1 - index[..., None]
    lo, hi = detector.energy_lo, detector.energy_hi
    flux = 10 ** norm[..., None] * (hi**slope - lo**slope) / slope
    return (flux * detector.effective_area) @ detector.redistribution * exposure


def model(norm, exposure=True, swap=False):
    """A model with a mistake: what becomes of lg K, and whether the exposure counts."""

    def answer(theta, detector, time):
        index, second = theta.unbind(-1)[:: -1 if swap else 1]
        flux = power_law(detector.energy_lo, detector.energy_hi, index, norm(second))
        return (time if exposure else 1) * detector.fold(flux)

    return answer


def only_a_batch(theta, detector, time):
    flux = power_law(detector.energy_lo, detector.energy_hi, theta[:, 0], 10 ** theta[:, 1])
    return time * detector.fold(flux)


def in_numpy(theta, detector, time):
    return lesson_13._expected(theta, detector, time).numpy()


def in_double_precision(theta, detector, time):
    return lesson_13._expected(theta, detector, time).double()


def changes_theta(theta, detector, time):
    theta[..., 1] = 10 ** theta[..., 1]
    return time * detector.fold(
        power_law(detector.energy_lo, detector.energy_hi, theta[..., 0], theta[..., 1])
    )


def without_folding(theta, detector, time):
    norm = 10 ** theta[..., 1]
    return time * power_law(detector.energy_lo, detector.energy_hi, theta[..., 0], norm)


def one_by_one(theta, detector, time):
    flat = [lesson_13._expected(row, detector, time) for row in theta.reshape(-1, 2)]
    return torch.stack(flat).reshape(*theta.shape[:-1], -1)


def poisson(counts, mean):
    return torch.distributions.Poisson(mean).log_prob(counts).sum(-1)


def abc_mistake(kind):
    def answer(observed, draw_prior, simulate, distance, tolerance, n, generator):
        theta = draw_prior(n, generator)
        x = simulate(theta, generator)
        close = distance(x, observed) <= tolerance
        return {
            "data": x[close],
            "mask": close,
            "far": theta[~close],
            "all": theta,
            "fixed": theta[distance(x, observed) <= 0.6],
            "nothing": theta[:0],
            "root": theta[distance(x, observed) <= tolerance**0.5],
            "shuffled": theta[torch.randperm(n, generator=generator)][close],
        }[kind]

    return answer


def abc_twice(observed, draw_prior, simulate, distance, tolerance, n, generator):
    x = simulate(draw_prior(n, generator), generator)
    return draw_prior(n, generator)[distance(x, observed) <= tolerance]


def abc_without_generator(observed, draw_prior, simulate, distance, tolerance, n, generator):
    theta = draw_prior(n, None)
    return theta[distance(simulate(theta, None), observed) <= tolerance]


def abc_with_its_own_seed(observed, draw_prior, simulate, distance, tolerance, n, generator):
    generator = torch.Generator().manual_seed(0)
    return lesson_13._abc(observed, draw_prior, simulate, distance, tolerance, n, generator)


def abc_in_a_loop(observed, draw_prior, simulate, distance, tolerance, n, generator):
    kept = []
    for _ in range(n):
        theta = draw_prior(1, generator)
        if distance(simulate(theta, generator), observed) <= tolerance:
            kept.append(theta)
    return torch.cat(kept)


def abc_by_index(observed, draw_prior, simulate, distance, tolerance, n, generator):
    theta = draw_prior(n, generator)
    far = distance(simulate(theta, generator), observed)
    order = far.argsort()
    return theta[order[: int((far <= tolerance).sum())]]


def mixture(logits, mean, log_sd, target):
    parts = torch.distributions.Normal(mean, log_sd.exp())
    weights = torch.distributions.Categorical(logits=logits)
    return -torch.distributions.MixtureSameFamily(weights, parts).log_prob(target).mean()


def terms(logits, mean, log_sd, target):
    z = (target[:, None] - mean) / log_sd.exp()
    return logits.log_softmax(1), -0.5 * z**2 - log_sd - 0.5 * math.log(2 * math.pi)


def underflow(logits, mean, log_sd, target):
    weight, normal = terms(logits, mean, log_sd, target)
    return -torch.log((weight + normal).exp().sum(1)).mean()


def bounded(*given):
    weight, normal = terms(*given)
    return -torch.log((weight + normal).exp().sum(1) + 1e-30).mean()


def summed_over_simulations(*given):
    weight, normal = terms(*given)
    return -torch.logsumexp(weight + normal, 0).mean()


def weights_instead_of_logarithms(*given):
    weight, normal = terms(*given)
    return -torch.logsumexp(weight.exp() + normal, 1).mean()


def widths_cut_off(logits, mean, log_sd, target):
    return mixture(logits, mean, torch.tensor(log_sd.detach().numpy()), target)


def weighted_logarithms(*given):
    weight, normal = terms(*given)
    return -(weight.exp() * normal).sum(1).mean()


def without_softmax(logits, mean, log_sd, target):
    return -torch.logsumexp(logits + terms(logits, mean, log_sd, target)[1], 1).mean()


def without_width(logits, mean, log_sd, target):
    weight, normal = terms(logits, mean, log_sd, target)
    return -torch.logsumexp(weight + normal + log_sd, 1).mean()


def coupling_by_slices(theta, net, inverse=False):
    half = theta.shape[1] // 2
    s, t = net(theta[:, :half])
    second = (theta[:, half:] - t) / s.exp() if inverse else theta[:, half:] * s.exp() + t
    log_det = torch.log(s.exp()).sum(1)
    return torch.hstack([theta[:, :half], second]), -log_det if inverse else log_det


def coupling_in_place(theta, net, inverse=False):
    half, z = theta.shape[1] // 2, torch.empty(theta.shape, dtype=theta.dtype)
    s, t = net(theta[:, :half])
    z[:, :half] = theta[:, :half]
    z[:, half:] = (theta[:, half:] - t) / s.exp() if inverse else theta[:, half:] * s.exp() + t
    return [z, -s.sum(1) if inverse else s.sum(1)]


def net_of_everything(theta, net, inverse=False):
    first, second = theta.chunk(2, 1)
    s, t = net(theta)
    return torch.cat([first, second * s.exp() + t], 1), s.sum(1)


def coupling_with(change):
    """Our coupling layer, after a change of (z, log_det, inverse, s)."""

    def answer(theta, net, inverse=False):
        z, log_det = lesson_13._coupling(theta, net, inverse)
        return change(z, log_det, inverse, net(theta.chunk(2, 1)[0])[0])

    return answer


def shift_first(theta, net, inverse=False):
    first, second = theta.chunk(2, 1)
    s, t = net(first)
    if inverse:
        return torch.cat([first, second * torch.exp(-s) - t], 1), -s.sum(1)
    return torch.cat([first, (second + t) * s.exp()], 1), s.sum(1)


def wrong_inverse(theta, net, inverse=False):
    first, second = theta.chunk(2, 1)
    s, t = net(first)
    second = second * torch.exp(-s) - t if inverse else second * s.exp() + t
    return torch.cat([first, second], 1), -s.sum(1) if inverse else s.sum(1)


def stacked(one, other):
    return np.vstack([one, other]), np.repeat([0, 1], [len(one), len(other)])


def c2st_by_prediction(one, other, classifier):
    rows, labels = stacked(one, other)
    order = np.random.default_rng(1).permutation(len(rows))
    said = cross_val_predict(classifier, rows[order], labels[order], cv=5)
    return np.mean(said == labels[order])


def c2st_seen(one, other, classifier):
    rows, labels = stacked(one, other)
    return classifier.fit(rows, labels).score(rows, labels)


def c2st_in_order(one, other, classifier):
    return cross_val_score(classifier, *stacked(one, other), cv=5).mean()


def c2st_area(one, other, classifier):
    folds = StratifiedKFold(5, shuffle=True, random_state=1)
    return cross_val_score(classifier, *stacked(one, other), cv=folds, scoring="roc_auc_ovr").mean()


def c2st_own_classifier(one, other, classifier):
    return lesson_13._c2st(one, other, LogisticRegression())


def area_twice(theta, detector, time):
    flux = power_law(detector.energy_lo, detector.energy_hi, theta[..., 0], 10 ** theta[..., 1])
    return time * detector.fold(flux * detector.effective_area)


def abc_of_a_share(observed, draw_prior, simulate, distance, tolerance, n, generator):
    """The nearest ones, a share `tolerance` of all."""
    theta = draw_prior(n, generator)
    return theta[distance(simulate(theta, generator), observed).argsort()[: int(tolerance * n)]]


def without_an_axis_for_gaussians(logits, mean, log_sd, target):
    normal = torch.distributions.Normal(mean, log_sd.exp()).log_prob(target)
    return -torch.logsumexp(torch.log_softmax(logits, 1) + normal, 1).mean()


def log_sd_for_sigma(logits, mean, log_sd, target):
    normal = torch.distributions.Normal(mean, log_sd).log_prob(target[:, None])
    return -torch.logsumexp(torch.log_softmax(logits, 1) + normal, 1).mean()


def c2st_of_one_split(one, other, classifier):
    rows, labels = np.concatenate([one, other]), np.repeat([0, 1], [len(one), len(other)])
    seen, kept, of_seen, of_kept = train_test_split(rows, labels, random_state=0)
    return classifier.fit(seen, of_seen).score(kept, of_kept)


OTHER_ROUTES = [
    (lesson_13.expected, counts_by_hand),
    (lesson_13.expected, one_by_one),
    (lesson_13.log_likelihood, poisson),
    (
        lesson_13.log_likelihood,
        lambda x, f: torch.as_tensor(stats.poisson.logpmf(x.numpy(), f.numpy()).sum(-1)),
    ),
    (lesson_13.abc, abc_by_index),
    (lesson_13.abc, abc_in_a_loop),
    (lesson_13.mdn_loss, mixture),
    (lesson_13.coupling, coupling_by_slices),
    (lesson_13.coupling, coupling_in_place),
    (lesson_13.c2st, c2st_by_prediction),
    (lesson_13.log_likelihood, lambda x, f: (torch.xlogy(x, f) - f).sum(-1)),
]

WRONG = [
    (lesson_13.expected, model(lambda k: 10**k, exposure=False), "per second"),
    (lesson_13.expected, model(lambda k: k.exp()), "base of ten"),
    (lesson_13.expected, only_a_batch, "last dimension"),
    (lesson_13.expected, model(lambda k: 10**k, swap=True), "swapped"),
    (lesson_13.expected, model(lambda k: 3 * 10**k), "another detector"),
    (lesson_13.expected, in_numpy, "wants a tensor"),
    (lesson_13.expected, in_double_precision, "keep the dtype"),
    (lesson_13.expected, changes_theta, "changes theta"),
    (lesson_13.expected, without_folding, "detector.fold"),
    (
        lesson_13.expected,
        lambda *given: torch.poisson(lesson_13._expected(*given)),
        "noise comes later",
    ),
    (lesson_13.log_likelihood, lambda x, f: x * f.log() - f, "sum over the last"),
    (lesson_13.log_likelihood, lambda x, f: 2 * (f - x * f.log()).sum(-1), "Cash's C"),
    (
        lesson_13.log_likelihood,
        lambda x, f: torch.distributions.Normal(f, f.sqrt()).log_prob(x).sum(-1),
        "χ²",
    ),
    (
        lesson_13.log_likelihood,
        lambda x, f: stats.poisson.logpmf(x.numpy(), f.numpy()).sum(-1),
        "wants a tensor",
    ),
    (lesson_13.log_likelihood, lambda x, f: (x * f.log() - f).sum(), "One number for all"),
    (lesson_13.log_likelihood, lambda x, f: (f - x * f.log()).sum(-1), "turned round"),
    (lesson_13.log_likelihood, lambda x, f: (x * f.log()).sum(-1), "far too many"),
    (lesson_13.log_likelihood, lambda x, f: (x * f.log() - f).mean(-1), "logarithms add"),
    (lesson_13.log_likelihood, lambda x, f: -((x - f) ** 2 / f / 2).sum(-1), "χ²"),
    (lesson_13.log_likelihood, lambda x, f: poisson(x, f).exp(), "underflows"),
    (lesson_13.log_likelihood, lambda x, f: poisson(x.double(), f.double()).exp().log(), "stay in"),
    (lesson_13.abc, abc_mistake("data"), "simulated data"),
    (lesson_13.abc, abc_mistake("mask"), "mask"),
    (lesson_13.abc, abc_mistake("far"), "far away"),
    (lesson_13.abc, abc_mistake("all"), "All of the"),
    (lesson_13.abc, abc_mistake("fixed"), "wider tolerance"),
    (lesson_13.abc, abc_mistake("nothing"), "Nothing was kept"),
    (lesson_13.abc, abc_mistake("root"), "should be kept"),
    (lesson_13.abc, abc_mistake("shuffled"), "made from the parameters"),
    (lesson_13.abc, abc_twice, "one batch"),
    (lesson_13.abc, abc_without_generator, "same generator"),
    (lesson_13.abc, abc_with_its_own_seed, "same generator"),
    (lesson_13.mdn_loss, lambda *given: -mixture(*given), "turned round"),
    (lesson_13.mdn_loss, bounded, "small number"),
    (lesson_13.mdn_loss, widths_cut_off, "No gradient"),
    (lesson_13.mdn_loss, weights_instead_of_logarithms, "all are logarithms"),
    (lesson_13.mdn_loss, summed_over_simulations, "of each simulation"),
    (lesson_13.mdn_loss, lambda *given: 50 * mixture(*given), "take the mean"),
    (lesson_13.mdn_loss, underflow, "infinite"),
    (lesson_13.mdn_loss, weighted_logarithms, "weighted mean of the logarithms"),
    (lesson_13.mdn_loss, without_softmax, "softmax"),
    (lesson_13.mdn_loss, without_width, "ln σ is missing"),
    (lesson_13.mdn_loss, lambda *given: mixture(*given) - 0.5 * math.log(2 * math.pi), "√(2π)"),
    (lesson_13.mdn_loss, lambda *given: mixture(*given).item(), "No gradient"),
    (lesson_13.coupling, coupling_with(lambda z, d, i, s: (z, s.sum(1))), "wrong sign"),
    (lesson_13.coupling, coupling_with(lambda z, d, i, s: (z, d.exp())), "its logarithm"),
    (lesson_13.coupling, coupling_with(lambda z, d, i, s: z), "two things"),
    (lesson_13.coupling, coupling_with(lambda z, d, i, s: (z, d.sum())), "one number per row"),
    (lesson_13.coupling, coupling_with(lambda z, d, i, s: (z, d / s.shape[1])), "a mean"),
    (
        lesson_13.coupling,
        coupling_with(lambda z, d, i, s: (z, d.sum().expand(len(d)))),
        "All rows",
    ),
    (lesson_13.coupling, coupling_with(lambda z, d, i, s: (z.flip(1), d)), "first half"),
    (lesson_13.coupling, shift_first, "not stretched"),
    (lesson_13.coupling, net_of_everything, "half of P"),
    (lesson_13.coupling, coupling_with(lambda z, d, i, s: (z, 0 * d)), "diagonal"),
    (lesson_13.coupling, wrong_inverse, "undo the shift"),
    (lesson_13.coupling, lambda x, net, inverse=False: lesson_13._coupling(x, net), "goes forward"),
    (lesson_13.c2st, c2st_seen, "learned from"),
    (lesson_13.c2st, c2st_in_order, "shuffle"),
    (lesson_13.c2st, c2st_area, "no other score"),
    (lesson_13.c2st, c2st_own_classifier, "handed in"),
    (lesson_13.c2st, lambda *given: 1 - lesson_13._c2st(*given), "do not overlap"),
    (lesson_13.c2st, lambda *given: 2 * lesson_13._c2st(*given) - 1, "about 0.5"),
    (lesson_13.choices, changed(lesson_13.choices.reference(), one_spectrum="NPE"), "missing"),
    (lesson_13.choices, changed(lesson_13.choices.reference(), twenty="NPE"), "add"),
    (lesson_13.choices, changed(lesson_13.choices.reference(), a_posterior="sequential"), "chains"),
    (lesson_13.expected, model(lambda lg: lg), "theta holds lg K"),
    (lesson_13.expected, area_twice, "counts twice"),
    (lesson_13.log_likelihood, lambda x, f: (f * x.log() - x).sum(-1), "swapped"),
    (lesson_13.log_likelihood, lambda x, f: (x * f.log10() - f).sum(-1), "natural one"),
    (lesson_13.log_likelihood, lambda x, f: (x * f.log() + f).sum(-1), "one sign"),
    (lesson_13.abc, abc_of_a_share, "not the share"),
    (lesson_13.abc, lambda *given: (lesson_13._abc(*given), 7), "nothing else"),
    (lesson_13.mdn_loss, without_an_axis_for_gaussians, "target[:, None]"),
    (lesson_13.mdn_loss, log_sd_for_sigma, "is its exponential"),
    (lesson_13.c2st, c2st_of_one_split, "five folds"),
]
