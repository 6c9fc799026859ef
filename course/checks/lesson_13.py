"""Checks of lesson 13: simulation-based inference from the ground up."""

import math

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from course.checks import Hint, array, exercise, first_line, function, number, sorting
from helpers.spectra import Response, power_law

__all__ = ["abc", "c2st", "choices", "coupling", "expected", "log_likelihood", "mdn_loss"]


def _detector():
    edges = torch.linspace(2.0, 8.0, 4)
    return Response(
        energy_lo=edges[:-1],
        energy_hi=edges[1:],
        effective_area=torch.tensor([100.0, 300.0, 200.0]),
        redistribution=torch.tensor([[0.9, 0.0], [0.3, 0.6], [0.0, 0.8]]),
        channel_lo=torch.tensor([2.0, 5.0]),
        channel_hi=torch.tensor([5.0, 8.0]),
    )


def _expected(theta, detector, exposure):
    flux = power_law(detector.energy_lo, detector.energy_hi, theta[..., 0], 10 ** theta[..., 1])
    return exposure * detector.fold(flux)


def _first_line(error):
    return first_line(error) or "which says no more"


def _tensor(found):
    """A hint where the notebook, which goes on with what the function returns, would trip over it."""
    if not isinstance(found, torch.Tensor):
        raise Hint(
            f"What comes next wants a tensor, and yours is of type {type(found).__name__}: stay with "
            "torch, or wrap the result in torch.as_tensor."
        )


def _close(found, right, rtol=1e-3):
    return np.allclose(found, right, rtol=rtol, atol=1e-6)


@exercise("Exercise 13.1", reference=lambda: _expected)
def expected(answer):
    """A function: theta (..., 2), response, exposure -> expected counts (..., n_bins)."""
    answer, detector = function(answer), _detector()
    generator = torch.Generator().manual_seed(1)
    for batch in ((), (5,), (3, 4)):
        theta = torch.tensor([1.2, -1.5]) + torch.rand(*batch, 2, generator=generator)
        right = _expected(theta, detector, 7.0).numpy()
        try:
            found = answer(given := theta.clone(), detector, 7.0)
        except (IndexError, RuntimeError, ValueError) as error:
            if "norm must be" in str(error):
                raise Hint("The norm is K, and theta holds lg K: ten to its power.") from None
            raise Hint(
                f"For theta of shape {tuple(theta.shape)} it raised {type(error).__name__}, "
                f"{_first_line(error)}: the parameters are the last dimension, theta[..., 0] "
                "and theta[..., 1]."
            ) from None
        if not torch.equal(given, theta):
            raise Hint("Your function changes theta itself, which its owner still needs.")
        if np.shape(found) == (*batch, len(detector.energy_lo)):
            raise Hint(
                "One number for each photon energy: detector.fold sorts the photons into channels."
            )
        returned = found
        found = array(found, right.shape, f"counts for theta of shape {tuple(theta.shape)},")
        if _close(found, right):
            _tensor(returned)
            if returned.dtype != theta.dtype:
                raise Hint(f"theta is {theta.dtype}, the counts {returned.dtype}: keep the dtype.")
            continue
        if (found == np.round(found)).all():
            raise Hint("Whole numbers: return the expected counts; the Poisson noise comes later.")
        if _close(found, right / 7):
            raise Hint("That is counts per second: the exposure is missing.")
        if _close(found, _expected(theta.flip(-1), detector, 7.0).numpy()):
            raise Hint("Γ comes first in theta, then lg K: yours are swapped.")
        for wrong in (theta[..., 1].exp(), theta[..., 1].abs(), 2 ** theta[..., 1]):
            flux = power_law(detector.energy_lo, detector.energy_hi, theta[..., 0], wrong)
            if _close(found, 7 * detector.fold(flux).numpy()):
                raise Hint(
                    "The second parameter is lg K, to the base of ten: K is 10 to its power."
                )
        flux = power_law(detector.energy_lo, detector.energy_hi, theta[..., 0], 10 ** theta[..., 1])
        if _close(found, 7 * detector.fold(flux * detector.effective_area).numpy()):
            raise Hint("The effective area counts twice: detector.fold has it.")
        raise Hint(
            "With another detector of two channels we find "
            f"{right.reshape(-1)[0]:.4g} counts in the first and you {found.reshape(-1)[0]:.4g}."
        )


def _log_likelihood(counts, mean):
    return (counts * mean.log() - mean).sum(-1)


@exercise("Exercise 13.2", reference=lambda: _log_likelihood)
def log_likelihood(answer):
    """A function: counts (..., n), mean (..., n) -> logarithm of the likelihood (...)."""
    answer = function(answer)
    generator = torch.Generator().manual_seed(2)
    counts = torch.poisson(torch.full((6,), 5.0), generator=generator)
    counts[0] = 0.0
    mean = 1 + 8 * torch.rand(40, 6, generator=generator)
    right = _log_likelihood(counts, mean).numpy()
    found = answer(counts.clone(), mean.clone())
    if np.shape(found) == (40, 6):
        raise Hint(
            "One number for each bin: the bins are independent, so sum over the last dimension."
        )
    if np.ndim(found) == 0:
        raise Hint(
            "One number for all 40 models: sum over the bins, the last dimension, and no other."
        )
    returned = found
    swapped = (mean * counts.log() - counts).sum(-1)  # infinite: one bin has no count
    if np.shape(found) == (40,) and np.allclose(found, swapped, equal_nan=True):
        raise Hint("Counts and mean are swapped: f is inside the logarithm.")
    found = array(found, (40,), "one log likelihood for each of 40 models,")

    def same(one, other):  # up to what does not depend on the parameters
        return np.abs(one - one.mean() - (other - other.mean())).max() < 1e-2

    if same(found, -right):
        raise Hint("The sign is turned round: the better the model, the larger the likelihood.")
    if same(found, -2 * right):
        raise Hint("That is Cash's C, which is -2 ln L: we want ln L.")
    if same(found, (counts * mean.log()).sum(-1).numpy()):
        raise Hint(
            "A model that predicts far too many counts would win: the factor e^(-f) is missing."
        )
    if same(found, right / 6):
        raise Hint("That is the mean over the bins: probabilities multiply, so logarithms add.")
    if same(found, (mean * counts.clamp(min=1).log() - counts).sum(-1).numpy()):
        raise Hint("Counts and mean are swapped: f is inside the logarithm.")
    for variance in (mean, counts.clamp(min=1)):
        chi_squared = (counts - mean) ** 2 / variance
        if same(found, (-0.5 * chi_squared).sum(-1).numpy()) or (
            same(found, (-0.5 * (chi_squared + variance.log())).sum(-1).numpy())
        ):
            raise Hint("That is χ², a Gaussian: with a handful of counts per bin, use Poisson.")
    if (found >= 0).all() and (found < 1).all():
        raise Hint("That looks like the likelihood itself, which underflows: return its logarithm.")
    if same(found, (counts * mean.log10() - mean).sum(-1).numpy()):
        raise Hint("The logarithm is the natural one, ln, not that to base ten.")
    if same(found, (counts * mean.log() + mean).sum(-1).numpy()):
        raise Hint("The logarithm of e^(-f) is -f: one sign is turned round.")
    if not same(found, right):
        raise Hint("Differences between models are off: ln of f^x e^(-f), summed over the bins.")
    _tensor(returned)
    # Batches of both, and hundreds of counts, where the likelihood itself would be zero
    counts = torch.randint(300, 400, (5, 1, 6), generator=generator).float()
    mean = 300 + 2000 * torch.rand(1, 7, 6, generator=generator)
    found = answer(counts, mean)
    if np.shape(found) == (5, 7) and not np.isfinite(np.asarray(found)).all():
        raise Hint(
            "For hundreds of counts per bin it is infinite: stay in the logarithm all the way."
        )
    found = array(found, (5, 7), "a log likelihood for counts (5, 1, 6) and means (1, 7, 6),")
    right = _log_likelihood(counts, mean).numpy()
    gap = found - right
    if np.abs(gap - gap.mean(axis=1, keepdims=True)).max() > 1:
        raise Hint(
            "For hundreds of counts per bin it goes wrong: stay in the logarithm all the way."
        )


def _abc(observed, draw_prior, simulate, distance, tolerance, n, generator):
    theta = draw_prior(n, generator)
    return theta[distance(simulate(theta, generator), observed) <= tolerance]


@exercise("Exercise 13.3", reference=lambda: _abc)
def abc(answer):
    """A function: observation, prior, simulator, distance, tolerance, n, generator -> parameters."""
    answer, asked, generators = function(answer), [], []
    observed = torch.tensor([2.0, 2.0])

    def draw_prior(n, generator):
        asked.append(n)
        generators.append(generator)
        return torch.rand(n, 1, generator=generator) * 10 - 5

    def simulate(theta, generator):
        generators.append(generator)
        return theta + 0.5 * torch.randn(len(theta), 2, generator=generator)

    def distance(simulated, observed):
        return (simulated - observed).norm(dim=-1)

    def run(tolerance, seed, n=20_000):
        generator = torch.Generator().manual_seed(seed)
        kept = answer(observed, draw_prior, simulate, distance, tolerance, n, generator)
        return kept, all(handed is generator for handed in generators)

    kept, handed_on = run(0.6, 1)
    if isinstance(kept, tuple):
        raise Hint("Return the parameters that are kept, and nothing else.")
    shape = np.shape(kept)
    if shape == (20_000,):
        raise Hint(
            "That is one entry for each simulation, a mask perhaps: return the parameters it keeps."
        )
    if len(shape) == 2 and shape[1] == 2:
        raise Hint("Those are simulated data: keep the parameters that made them.")
    if len(shape) != 2 or shape[1] != 1:
        raise Hint(f"Expected the kept parameters, (n_kept, 1) here; yours have shape {shape}.")
    if sum(asked) > 20_000:
        raise Hint(f"You drew {sum(asked)} times from the prior, and n was 20,000: one batch of n.")
    if len(kept) == 20_000:
        raise Hint("All of the simulations were kept: where is the tolerance?")
    right = _abc(
        observed, draw_prior, simulate, distance, 0.6, 20_000, torch.Generator().manual_seed(1)
    )
    found = array(kept, shape, "parameters")
    if len(found) == 12_000:
        raise Hint("The tolerance is a distance, not the share of the simulations that you keep.")
    if len(found) > 10_000:
        raise Hint("More than half were kept, those far away: keep what is close.")
    if len(found) == 0:
        raise Hint(
            "Nothing was kept, though the tolerance is wide: which parameters made the close data?"
        )
    error = 5 * math.sqrt(len(right))
    if abs(len(found) - len(right)) > error:
        raise Hint(
            f"About {len(right)} of 20,000 should be kept, and {len(found)} are: the tolerance is "
            "compared with the distance between simulated and observed data."
        )
    if abs(found.mean() - 2) > 0.15:
        raise Hint(
            f"The data say 2, and what you keep has a mean of {found.mean():.2f}: is each simulation "
            "made from the parameters that you keep for it?"
        )
    if np.abs(found - 2).max() > 4:
        raise Hint(
            "Some parameters that you keep cannot have made these data: check which are paired."
        )
    if not handed_on:
        raise Hint("The same generator must give the same result: hand it on to both functions.")
    wide, _ = run(1.5, 1)
    if len(wide) <= len(found):
        raise Hint("A wider tolerance must keep more: is yours the argument `tolerance`?")


def _mdn_loss(logits, mean, log_sd, target):
    log_weight = torch.log_softmax(logits, dim=1)
    normal = torch.distributions.Normal(mean, log_sd.exp())
    return -torch.logsumexp(log_weight + normal.log_prob(target[:, None]), dim=1).mean()


@exercise("Exercise 13.4", reference=lambda: _mdn_loss)
def mdn_loss(answer):
    """A function: logits, means, log widths (n, k), target (n,) -> mean of -ln q."""
    answer = function(answer)
    generator = torch.Generator().manual_seed(4)
    logits, mean, log_sd = (torch.randn(50, 3, generator=generator) for _ in range(3))
    log_sd, target = 0.5 * log_sd, torch.randn(50, generator=generator)
    given = (logits, mean, log_sd, target)
    of_sigma = "`log_sd` is ln σ and may be negative; σ is its exponential"
    try:
        found = answer(*(value.clone() for value in given))
    except (RuntimeError, ValueError) as error:
        of_target = "the target (n,) meets k Gaussians, (n, k), as target[:, None]"
        sentence = of_sigma if "scale" in str(error) else of_target
        raise Hint(
            f"It raised {type(error).__name__}, {_first_line(error)[:60]} ...: {sentence}."
        ) from None
    if np.ndim(found) == 0 and np.isnan(float(found)):  # where torch does not look at its arguments
        raise Hint(f"The loss is nan: {of_sigma}.")
    if np.shape(found) == (50,):
        raise Hint("One number for each simulation: return their mean.")
    found, right = number(found, "one number, the loss"), _mdn_loss(*given).item()
    weight = torch.softmax(logits, dim=1)
    z = (target[:, None] - mean) / log_sd.exp()
    parts = torch.log_softmax(logits, dim=1)
    constant = 0.5 * math.log(2 * math.pi)
    normal = -0.5 * z**2 - log_sd - constant

    def loss(log_weight, log_normal):
        return -torch.logsumexp(log_weight + log_normal, dim=1).mean().item()

    if not math.isclose(found, right, rel_tol=1e-3):
        for wrong, sentence in (
            (
                -right,
                "The sign is turned round: training makes the loss small, and q should be large.",
            ),
            (right * 50, "That is the sum over the simulations: take the mean."),
            (
                loss(logits, normal),
                "The weights must sum to one: `logits` go through a softmax first.",
            ),
            (
                loss(weight.log(), normal + log_sd),
                "Without 1/σ each Gaussian could grow wide for free: ln σ is missing.",
            ),
            (
                loss(weight.log(), normal + constant),
                "A density integrates to one: a factor √(2π) is missing.",
            ),
            (
                loss(weight.log(), normal + 0.5 * z**2 - z**2),
                "The exponent of a Gaussian has a factor 1/2.",
            ),
            (
                -(weight * normal).sum(1).mean().item(),
                "That is the weighted mean of the logarithms; the mixture is the logarithm of the weighted sum.",
            ),
            (
                loss(
                    weight.log(),
                    torch.distributions.Normal(mean, log_sd.exp() ** 0.5).log_prob(target[:, None]),
                ),
                "σ is exp(log_sd), not its root: check σ and σ².",
            ),
            (
                loss(weight, normal),
                "Inside logsumexp all are logarithms, the weights too: log_softmax.",
            ),
            (
                -torch.logsumexp(parts + normal, dim=0).mean().item(),
                "logsumexp over the Gaussians of each simulation, dim=1.",
            ),
            (
                -torch.logsumexp(torch.log_softmax(logits, dim=0) + normal, dim=1).mean().item(),
                "Softmax over the Gaussians, dim=1: the weights of each simulation sum to one.",
            ),
        ):
            if math.isclose(found, wrong, rel_tol=1e-3):
                raise Hint(sentence)
        raise Hint(
            f"For 50 random simulations and three Gaussians we find {right:.3f} and you {found:.3f}."
        )
    far = answer(logits, mean, log_sd, target + 300.0)
    value = far.item() if getattr(far, "ndim", None) == 0 else far
    if not math.isfinite(value):
        raise Hint(
            "Far from all Gaussians it is infinite: exp came before the sum; use torch.logsumexp."
        )
    if not math.isclose(value, _mdn_loss(logits, mean, log_sd, target + 300.0), rel_tol=1e-3):
        raise Hint(
            "Far from all Gaussians the loss must go on growing: a small number added inside the "
            "logarithm hides how wrong the network is. Use torch.logsumexp."
        )
    network = [value.clone().requires_grad_() for value in (logits, mean, log_sd)]
    try:
        answer(*network, target).backward()
        blocked = any(value.grad is None for value in network)
    except (AttributeError, RuntimeError, TypeError):
        blocked = True
    if blocked:
        raise Hint(
            "No gradient comes through, or not to all three: stay with tensors of torch, without "
            "item(), numpy() or detach()."
        )


def _coupling(theta, net, inverse=False):
    first, second = theta.chunk(2, dim=1)
    s, t = net(first)
    if inverse:
        return torch.cat([first, (second - t) * torch.exp(-s)], dim=1), -s.sum(dim=1)
    return torch.cat([first, second * torch.exp(s) + t], dim=1), s.sum(dim=1)


@exercise("Exercise 13.5", reference=lambda: _coupling)
def coupling(answer):
    """A function: theta (n, P), net, inverse -> z (n, P), ln|det| (n,)."""
    answer = function(answer)
    generator = torch.Generator().manual_seed(5)
    weight = 0.5 * torch.randn(4, 2, 2, generator=generator, dtype=torch.float64)

    half = 1

    def net(first):
        size = first.shape[1]
        if size != half:
            raise Hint("`net` takes the first half of the parameters: half of P, whatever P is.")
        s, t = (torch.tanh(first @ weight[k, :size, :size]) for k in (0, 1))
        return 0.7 * s, 2 * t + 1

    def run(values, inverse):
        try:
            found = answer(values, net, inverse)
        except Hint:
            raise
        except RuntimeError as error:
            raise Hint(
                f"It raised a RuntimeError, {_first_line(error)}: do the shapes fit, row by row?"
            ) from None
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise Hint("Return two things: the output (n, P) and ln|det| (n,).")
        n = len(values)
        if np.shape(found[1]) != (n,):
            raise Hint(
                f"ln|det| must be one number per row, ({n},); yours has shape {np.shape(found[1])}."
            )
        if np.shape(found[0]) != tuple(values.shape):
            raise Hint(
                f"The output must be {tuple(values.shape)}, as theta is, not {np.shape(found[0])}."
            )
        return found

    for size in (2, 4):
        half = size // 2
        theta = torch.randn(6, size, generator=generator, dtype=torch.float64)
        for inverse in (False, True):
            z, log_det = run(theta.clone(), inverse)
            array(z, theta.shape, "the output")
            found = array(log_det, (6,), "ln|det|")
            which = "the inverse" if inverse else "the forward direction"
            if not np.allclose(z[:, : size // 2], theta[:, : size // 2]):
                raise Hint(f"In {which}, the first half must come out as it went in.")
            slope = torch.stack(
                [
                    torch.autograd.functional.jacobian(
                        lambda row, i=inverse: answer(row[None], net, i)[0][0], row
                    )
                    for row in theta
                ]
            )
            right = torch.linalg.slogdet(slope)[1].numpy()
            expected_z, _ = _coupling(theta, net, inverse)
            if not np.allclose(z, expected_z):
                if inverse and np.allclose(z, _coupling(theta, net)[0]):
                    raise Hint(
                        "With inverse=True it goes forward: solve z₂ = θ₂ exp(s) + t for θ₂."
                    )
                if inverse:
                    raise Hint(
                        "Forward, then inverse, must give theta back: undo the shift first, then the stretch."
                    )
                if np.allclose(
                    z,
                    torch.cat(
                        [
                            theta.chunk(2, 1)[0],
                            (theta.chunk(2, 1)[1] + net(theta.chunk(2, 1)[0])[1])
                            * net(theta.chunk(2, 1)[0])[0].exp(),
                        ],
                        1,
                    ),
                ):
                    raise Hint(
                        "First stretch by exp(s), then shift by t: the shift is not stretched."
                    )
                raise Hint(
                    "Forward, the second half is θ₂ exp(s) + t, with s and t from the first half."
                )
            if np.allclose(found, right):
                continue
            if np.allclose(found, -right):
                raise Hint(
                    f"In {which}, ln|det| has the wrong sign: what stretches one way shrinks the other."
                )
            if np.allclose(found, np.exp(right)):
                raise Hint("That is the determinant: return its logarithm.")
            if size > 2 and np.allclose(found, right / (size // 2)):
                raise Hint(
                    "That is a mean: the determinant of a triangle is the product of its diagonal."
                )
            if found.any() and np.allclose(found, found[0]):
                raise Hint(
                    "All rows have the same ln|det|: sum over the parameters, not over the rows."
                )
            raise Hint(
                f"In {which}, automatic differentiation finds ln|det| = {right[0]:.3f} for the first row "
                f"and you {found[0]:.3f}: the diagonal of the Jacobian is 1 and exp(s)."
            )


def _c2st(one, other, classifier):
    rows = np.concatenate([one, other])
    labels = np.repeat([0, 1], [len(one), len(other)])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return cross_val_score(classifier, rows, labels, cv=folds).mean()


@exercise("Exercise 13.6", reference=lambda: _c2st)
def c2st(answer):
    """A function: samples (n, P), samples (n, P), classifier -> held-out accuracy."""
    answer = function(answer)
    generator = np.random.default_rng(6)
    one, other = generator.normal(size=(2, 400, 2))
    nearest, line = KNeighborsClassifier(1), LogisticRegression()
    found = number(answer(torch.tensor(one), torch.tensor(other), nearest), "an accuracy")
    if found > 0.95:
        raise Hint(
            "Two samples of one distribution, and your accuracy is nearly 1: the classifier was scored on "
            "the rows that it learned from."
        )
    if not 0.4 < found < 0.6:
        raise Hint(
            f"Two samples of one distribution should give about 0.5, and yours give {found:.2f}."
        )
    found = number(answer(torch.tensor(one), torch.tensor(one + 20.0), line), "an accuracy")
    if found < 0.97:
        raise Hint(
            f"Samples that do not overlap should give 1, and yours give {found:.2f}: check the labels."
        )
    # The same mean, and five times the width: a straight line is blind to it, neighbours are not.
    near = KNeighborsClassifier(15)
    found = number(answer(torch.tensor(one), torch.tensor(5 * other), near), "an accuracy")
    if found < 0.7:
        raise Hint(
            f"Where one sample is five times as wide, the classifier that you are given scores "
            f"{_c2st(one, 5 * other, near):.2f} and yours {found:.2f}: use the one handed in."
        )
    # Shifted by 1.5 sigma: an accuracy of 0.77, an area under the ROC curve of 0.86.
    shifted = other + np.array([1.5, 0.0])
    found = number(answer(torch.tensor(one), torch.tensor(shifted), line), "an accuracy")
    if found > _c2st(one, shifted, line) + 0.04:
        raise Hint(
            f"Where we find an accuracy of {_c2st(one, shifted, line):.2f}, yours is {found:.2f}: the share "
            "of right answers is asked for, the mean over five folds, and no other score of lesson 06."
        )
    # Sorted samples, as a chain or a grid may leave them: folds must not follow the order.
    one, other = (np.sort(x[:, :1], axis=0) for x in (one, other + 0.6))
    right = _c2st(one, other, KNeighborsClassifier(15))
    found = number(
        answer(torch.tensor(one), torch.tensor(other), KNeighborsClassifier(15)), "an accuracy"
    )
    if abs(found - right) > 0.04:
        raise Hint(
            f"For two samples that lie in order, we find {right:.2f} and you {found:.2f}: shuffle before you "
            "deal, so that no fold is a stretch of its own."
        )


choices = sorting(
    "Exercise 13.7",
    {
        "one spectrum, Poisson counts, a model that takes a millisecond": (
            "likelihood",
            "what is missing there that a simulation would have to replace?",
        ),
        "50,000 archival pointings, one simulator with dead time, results by tonight": (
            "NPE",
            "train once, then only draw: who needs no sampler for each pointing?",
        ),
        "twenty observations of one constant source, to be combined; more may come": (
            "NLE or NRE",
            "log likelihoods of independent observations add; do posteriors?",
        ),
        "the referee wants the same result under two other priors": (
            "NLE or NRE",
            "which network has never seen the prior as part of what it learns?",
        ),
        "one bright source, and each simulation takes an hour": (
            "sequential",
            "few simulations, one observation: spend them where the posterior is.",
        ),
        "a posterior for each trigger, within a second, on board": (
            "NPE",
            "no time for Markov chains, and none for training.",
        ),
    },
)
