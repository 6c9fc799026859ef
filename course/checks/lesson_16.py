"""Checks of lesson 16: ranks, random points, ensembles, importance weights, MMD, sbi, and what to report."""

import contextlib
import io
import math
import warnings

import torch

from course.checks import Hint, exercise, forms
from course.checks.examples import by_example, same_slopes, shaped, sorting
from helpers import diagnostics
from helpers.dead_time import DeadTimeSimulator

__all__ = ["by_sbi", "mmd2", "ranks", "report", "tarp", "together", "weigh"]


def _some_draws():
    """Draws (S, n, P), truths and references (n, P) between 0 and 1."""
    generator, questions = torch.Generator().manual_seed(161), []
    for n_draws, *shape in ((20, 7, 3), (25, 6, 2)):
        sizes = (n_draws, *shape), shape, shape
        questions.append(tuple(torch.rand(size, generator=generator) for size in sizes))
    return questions


ranks = by_example(
    "Exercise 16.1",
    diagnostics.ranks,
    lambda: [question[:2] for question in _some_draws()],
    {
        "Torch takes no mean of a mask: turn it into numbers first, mask.double().": lambda draws, theta: (
            (draws < theta).mean(0)
        ),
        "The mean goes over the draws, axis 0: each test and parameter has a rank of its own.": [
            lambda draws, theta, axis=axis: (draws < theta).double().mean(axis)
            for axis in (1, 2, (0, 1))
        ],
        "Those are True and False for each draw; which share of them is True?": lambda draws, theta: (
            draws < theta
        ),
        "Those are numbers of draws; divide by how many there are.": lambda draws, theta: (
            draws < theta
        ).sum(0),
        "That is the share of draws *above* the truth: count those below it.": lambda draws, theta: (
            (draws > theta).double().mean(0)
        ),
        "Divide by the number of draws, so that a truth above all has rank 1.": [
            lambda draws, theta: (draws < theta).sum(0) / (len(draws) + 1),
            lambda draws, theta: ((draws < theta).sum(0) + 1) / (len(draws) + 1),
            lambda draws, theta: (draws < theta).sum(0) / len(theta),
        ],
    },
    returns=forms.tensor("shares for each test and parameter", dtype="float64"),
    otherwise="For one test and parameter we find that {ours} of the draws lie below the truth, and you {yours}.",
)


def _tarp_with(length, start=lambda draws, theta, references: references):
    """Make a mistake: another length of a distance, or another end of the truth's distance."""
    return lambda draws, *points: (
        (length(draws - points[1]) < length(points[0] - start(draws, *points))).double().mean(0)
    )


tarp = by_example(
    "Exercise 16.2",
    diagnostics.coverage,
    _some_draws,
    {
        "That is a share for each parameter: a distance adds up over the parameters, so that one share is left for "
        "each test.": _tarp_with(torch.abs),
        "That is the share of draws farther away than the truth: count those inside.": lambda *given: (
            1 - diagnostics.coverage(*given)
        ),
        "Those are numbers of draws; divide by how many there are.": lambda draws, *points: (
            diagnostics.coverage(draws, *points) * len(draws)
        ),
        "Both distances start at the reference: from it to the draws, and from it to the truth.": [
            lambda draws, theta, references: diagnostics.coverage(draws, references, theta),
            _tarp_with(lambda way: way.norm(dim=-1), start=lambda draws, *points: draws),
        ],
        "Distances are Euclidean: the root of the sum of *squares*.": [
            _tarp_with(lambda way: way.abs().sum(-1)),
            _tarp_with(lambda way: way.abs().amax(-1)),
            _tarp_with(lambda way: way.sum(-1).abs()),
        ],
    },
    returns=forms.tensor("a share for each test", dtype="float64"),
    otherwise="In one test we find that {ours} of the draws are nearer to the reference than the truth is, and you "
    "{yours}.",
)


def _together(log_q):
    """A function: logarithms of densities (K, n) -> that of their mean (n,)."""
    return torch.logsumexp(log_q, 0) - math.log(len(log_q))


def _some_members():
    """In the last question near and far truths, on which the members agree or not."""
    generator, questions = torch.Generator().manual_seed(165), []
    for low, members, n in ((-3.0, 4, 6), (-2000.0, 3, 5), (10.0, 5, 7)):
        questions.append((low - 4 * torch.rand(members, n, generator=generator),))
    mixed = questions[2][0]
    mixed[:, :2] -= 2000
    mixed[0, 3] -= 2000
    mixed[1:, 4] -= 2000
    return questions


def _about(center):
    """Make our mean relative to another logarithm than the largest of each column."""
    return lambda q: center(q) + (q - center(q)).exp().mean(0).log()


together = by_example(
    "Exercise 16.3",
    _together,
    _some_members,
    {
        "At ln q = -2000 `exp` gives zero, and its logarithm minus infinity: torch.logsumexp is made for that.": (
            _about(lambda q: 0)
        ),
        "Each truth, a column, needs its own largest logarithm subtracted before `exp`: another one lets `exp` become "
        "zero or infinite.": [
            _about(torch.max),
            _about(torch.mean),
            _about(lambda q: q.mean(0)),
            _about(lambda q: q.amin(0)),
            _about(lambda q: q[0]),
        ],
        "That is the mean of the *logarithms*: one member that is far off would rule the others out. Average the "
        "densities.": lambda q: q.mean(0),
        "In logarithms, dividing by K is subtracting ln K, the natural logarithm of the number of members.": [
            lambda q: torch.logsumexp(q, 0) - math.log10(len(q)),
            lambda q: torch.logsumexp(q, 0) - math.log(4),
            lambda q: torch.logsumexp(q, 0) - math.log(q.shape[1]),
            lambda q: torch.logsumexp(q, 0) / len(q),
            lambda q: torch.logsumexp(q, 0) - len(q),
        ],
        "That is the sum of the densities: their mean is K times less.": lambda q: q.logsumexp(0),
        "That is the sum of the logarithms, as if the members were independent data.": lambda q: (
            q.sum(0)
        ),
        "That is the density itself; return its logarithm.": lambda q: q.exp().mean(0),
    },
    returns=forms.tensor("one logarithm for each truth"),
    otherwise="Of one of the columns the mean density has the logarithm {ours}, and yours {yours}.",
)


def _weigh(log_likelihood, log_q):
    """A function: ln L (n,), ln q (n,) -> weights (n,) that sum to one, and what they are worth."""
    return _worth(torch.softmax((log_likelihood - log_q).double(), 0))


def _worth(weights):
    return weights, 1 / (weights**2).sum().item()


def _some_logarithms():
    """Return both with any size and sign; in the last question both vary widely, but their difference does not."""
    generator, questions = torch.Generator().manual_seed(166), []
    sizes = (-5, 2, 1), (-3000, 2, 3000), (3000, 2, -2000), (0, 3000, 1), (-2000, 2, -2000)
    for low, spread, of_q in sizes:
        log_likelihood, log_q = torch.rand(2, 50, generator=generator)
        questions.append((low + spread * log_likelihood, of_q + 2 * log_q))
    wide = 3000 * torch.rand(40, generator=generator) - 1500
    return [*questions, (wide, wide - 2 * torch.rand(40, generator=generator))]


def _proportional(found, log_likelihood, log_q):
    weights, right, total = found[0], _weigh(log_likelihood, log_q)[0], found[0].sum()
    alike = weights.shape == right.shape and torch.allclose(weights / total, right, 1e-3)
    return alike and abs(total - 1) > 1e-3


weigh = by_example(
    "Exercise 16.4",
    _weigh,
    _some_logarithms,
    {
        "That leaves out the network: where it drew too often, each draw counts less. Divide by q.": (
            lambda p, q: _weigh(p, 0)
        ),
        "That multiplies by q: draws are already where q is high. Divide by it.": lambda p, q: (
            _weigh(p, -q)
        ),
        "That is upside down: the likelihood belongs above, q below.": lambda p, q: _weigh(q, p),
        "Those are logarithms; return exp of them, normalised.": [
            lambda p, q: (p - q, _weigh(p, q)[1]),
            lambda p, q: (torch.log_softmax(p - q, 0), _weigh(p, q)[1]),
            lambda p, q: _worth(p - q),
        ],
        "They are worth 1/Σw² draws, which is between one and all: no fraction.": [
            lambda *given: (_weigh(*given)[0], _weigh(*given)[1] / len(given[0])),
            lambda *given: (_weigh(*given)[0], 1 / _weigh(*given)[1]),
        ],
    },
    signs={
        "Weights are 0/0 or ∞/∞: take ln L - ln q first, subtract the largest of these, and only then `exp`.": (
            lambda found, *given: found[0].isnan().any()
        ),
        "The weights have the right proportions; divide by their sum.": _proportional,
    },
    returns=forms.tuple_of(
        "the weights, and how many draws they are worth",
        forms.tensor("a weight for each draw", dtype="float64"),
        forms.number("how many draws they are worth, one number after the weights"),
    ),
    otherwise="Weights are L/q, divided by their sum; equal ones are worth as many as there are, others 1/Σw². We find "
    "{ours} and you {yours}.",
    rtol=1e-3,
)


def _gaussian(distance, width):
    return torch.exp(-(distance**2) / (2 * width**2))


def _of_kernel(kernel, cross=2.0, mean=torch.mean, distance=torch.cdist):
    """Compute MMD² with a kernel of distance and width; another kernel or an option gives a mistake."""

    def answer(a, b, width):
        pairs = (a, a), (b, b), (a, b)
        of_a, of_b, both = (mean(kernel(distance(u, v), width)) for u, v in pairs)
        return of_a + of_b - cross * both

    return answer


def _mmd2(a, b, width):
    """A function: points (n, M), points (m, M), width -> number that can be differentiated."""
    return _of_kernel(_gaussian)(a, b, width)


def _without_selves(a, b, width):
    """Compute the unbiased estimate, without pairs of a point with itself."""
    of_a, of_b = (_gaussian(torch.cdist(t, t), width).fill_diagonal_(0) for t in (a, b))
    n, m = len(a), len(b)
    both = _gaussian(torch.cdist(a, b), width).mean()
    return of_a.sum() / (n * (n - 1)) + of_b.sum() / (m * (m - 1)) - 2 * both


def _some_clouds():
    generator, questions = torch.Generator().manual_seed(167), []
    for n, m, width in ((30, 20, 1.5), (24, 28, torch.tensor(2.5))):
        a, b = (torch.randn(size, 4, generator=generator) for size in (n, m))
        questions.append((a.requires_grad_(), (b + 1).requires_grad_(), width))
    return [*questions, (a, a.detach().clone().requires_grad_(), 1.0)]  # equal clouds: 0


def _with_slope(value, given=()):
    found = forms.tensor("one number", gradient=True)(value, given)
    return found.reshape(()) if found.numel() == 1 else found


def _slopes(answer):
    """Test the derivatives that the training needs."""
    for a, b, width in _some_clouds():
        same_slopes(
            answer(a, b, width),
            _mmd2(a, b, width),
            (a, b),
            "both clouds move in training, so detach neither",
            ": a root has none at 0, where a point meets itself. torch.cdist knows that; or do without the root, since "
            "d² is wanted",
        )


mmd2 = by_example(
    "Exercise 16.5",
    _mmd2,
    _some_clouds,
    {
        "Features carry a gradient, which numpy and scipy cannot take: stay in torch.": (
            lambda a, b, width: _mmd2(a, torch.tensor(b.numpy()), width)
        ),
        "Take all pairs, a matrix of n × m, and the mean over both of its axes, so that one number is left.": [
            _of_kernel(_gaussian, mean=mean)
            for mean in (lambda k: k, lambda k: k.mean(0), lambda k: k.mean(1), torch.sum)
        ],
        "Subtract the pairs of one of each, *two* times their mean.": [
            _of_kernel(_gaussian, cross=cross) for cross in (1, -2, -1)
        ],
        "The distance in the exponent is squared.": _of_kernel(
            lambda d, width: torch.exp(-d / (2 * width**2))
        ),
        "The exponent is -d²/(2h²), with 2h² in brackets (x / 2 * h**2 multiplies by h²).": [
            _of_kernel(lambda d, width: torch.exp(-(d**2) / (2 * width))),
            _of_kernel(lambda d, width: torch.exp(-(d**2) / 2 * width**2)),
            _of_kernel(lambda d, width: torch.exp(-(d**2) / width**2)),
        ],
        "The sign is turned: two equal clouds give 0, different ones a positive number.": lambda *clouds: (
            -_mmd2(*clouds)
        ),
        "Leave the root out: MMD² is what we train with.": lambda *clouds: _mmd2(*clouds).sqrt(),
        "That compares the means of the clouds only; compare all pairs, through the kernel.": lambda a, b, width: (
            (a.mean(0) - b.mean(0)).square().sum()
        ),
        "That leaves out each point's pair with itself, a good estimate as well; here the means go over *all* pairs.": (
            _without_selves
        ),
    },
    returns=_with_slope,
    otherwise="For two clouds and a width of {2:g} MMD² is {ours}, and you found {yours}.",
    rtol=1e-3,
    atol=1e-5,
    then=_slopes,
)


def _qpos(n, seed):
    """The prior of ln(rms, ν₀, q, rate), n draws of it, and what is seen of them: those of the lesson."""
    typical = torch.tensor([0.3, 15.0, 8.0, 900.0]).log()
    prior = torch.distributions.MultivariateNormal(
        typical, torch.diag(torch.tensor([0.25, 0.4, 0.4, 0.25]) ** 2)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        theta = prior.sample((n,))
    return prior, theta, DeadTimeSimulator()(theta.exp(), torch.Generator().manual_seed(seed)).log()


def _by_sbi():
    from sbi.diagnostics import check_sbc, run_sbc
    from sbi.inference import NPE
    from sbi.neural_nets import posterior_nn

    prior, theta, x = _qpos(3100, 30)
    with torch.random.fork_rng(devices=[]), contextlib.redirect_stdout(io.StringIO()):
        torch.manual_seed(30)
        network = posterior_nn("maf", embedding_net=torch.nn.Linear(99, 16))
        inference = NPE(prior, density_estimator=network, show_progress_bars=False)
        inference.append_simulations(theta[:3000], x[:3000])
        # Twenty epochs and a hundred tests are enough to continue, so that an unsolved notebook need not wait.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Maximum number of epochs")
            inference.train(training_batch_size=200, learning_rate=2e-3, max_num_epochs=20)
        posterior, held = inference.build_posterior(), (theta[3000:], x[3000:])
        shares, averaged = run_sbc(*held, posterior, 100, show_progress_bar=False)
        found = check_sbc(shares, held[0], averaged, 100)["ks_pvals"]
    return posterior, found.double().numpy()


@exercise(
    "Exercise 16.6",
    reference=_by_sbi,
    form=forms.tuple_of(
        "the posterior, and a p-value for each parameter",
        forms.anything,
        forms.array('p-values, which `check_sbc` calls "ks_pvals"'),
    ),
)
def by_sbi(answer):
    """A posterior of sbi with an embedding for the QPOs of the lesson, and p-values of its ranks."""
    posterior, p = answer
    estimator = getattr(posterior, "posterior_estimator", None)
    if not hasattr(estimator, "embedding_net"):
        raise Hint(
            "That is no posterior of sbi: end the training with inference.build_posterior()."
        )
    prior, theta, x = _qpos(100, 31)
    theirs = getattr(posterior, "prior", None)
    if not hasattr(theirs, "log_prob") or not torch.allclose(
        theirs.log_prob(theta), prior.log_prob(theta), atol=1e-3
    ):
        raise Hint("It has another prior: give NPE `qpo_prior`, from which θ was drawn.")
    if not any(weights.numel() for weights in estimator.embedding_net.parameters()):
        raise Hint(
            "There is no embedding with weights: posterior_nn(..., embedding_net=nn.Linear(99, 16))."
        )
    shaped(p, (4,), "p-values")
    if not ((p >= 0) & (p <= 1)).all():
        raise Hint("p-values lie between 0 and 1: hand what run_sbc returns to check_sbc.")
    with torch.no_grad():
        # Nothing leaks out of a normal prior, and sbi would draw a million times to find that
        log_q = posterior.log_prob_batched(theta[None], x, norm_posterior=False)
    learned = log_q.mean() - prior.log_prob(theta).mean()
    if not learned > 2:
        raise Hint(
            f"On new simulations ln q of the truth is {float(learned):.1f} above that of the prior; 3 and more can be "
            "had. Did it see 3000 simulations, and train until it no longer got better?"
        )


_PAPER, _REPOSITORY, _NONE = "in the paper", "in the repository", "no evidence"
report = sorting(
    "Exercise 16.7",
    {
        "the prior, with its corners, and why": (
            _PAPER,
            "where data say little, the prior speaks: without it no posterior can be read.",
        ),
        "how many simulations, and that half of them give the same posterior": (
            _PAPER,
            "few simulations make overconfident networks, and the reader cannot see it otherwise.",
        ),
        "ranks and coverage of 500 fresh tests, with bands": (
            _PAPER,
            "it is what shows that error bars keep their promise, in the simulator's world.",
        ),
        "a predictive check with a statistic that the network did not see": (
            _PAPER,
            "it asks the data themselves whether the simulator can be right.",
        ),
        "what gain, PSF and dead time do to the result if they are a little wrong": (
            _PAPER,
            "it is the systematic error, which checks of the data may not show.",
        ),
        "a comparison with a likelihood or a fit, where one exists": (
            _PAPER,
            "an independent method is the best witness there is.",
        ),
        "simulator, seeds, versions; the posterior in a file that runs no code": (
            _REPOSITORY,
            "a reader needs it to repeat the work, not to follow the argument.",
        ),
        "tables of all runs, those that failed included": (
            _REPOSITORY,
            "it is long, and whoever doubts must be able to look at it.",
        ),
        "the posterior of one mock holds the truth, so it works": (
            _NONE,
            "a wide posterior always does, and a wrong one often.",
        ),
        "the training loss converged, so the posterior is right": (
            _NONE,
            "overconfident networks converge, too; the loss knows the simulations only.",
        ),
        "the ranks are flat, so the simulator is right": (
            _NONE,
            "ranks compare the network with the simulator; the sky does not come in.",
        ),
        "the MMD is small after adaptation, so the parameters are right": (
            _NONE,
            "for another population the MMD fell as well, and the errors rose.",
        ),
    },
)
