"""Checks of lesson 13: simulation-based inference from the ground up."""

import math
from functools import cache, partial

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from torch.distributions import Normal, Poisson
from torch.overrides import TorchFunctionMode

from course.checks import Hint, exercise, forms
from course.checks.examples import apart, by_example, sorting
from helpers.spectra import Response, power_law

__all__ = ["abc", "c2st", "choices", "coupling", "expected", "log_likelihood", "mdn_loss"]


class _Detector(Response):
    def __deepcopy__(self, memo):
        return self  # a copy would be another detector, and count as changed


def _detector(*area):
    edges = torch.linspace(2.0, 8.0, 4)
    return _Detector(
        energy_lo=edges[:-1],
        energy_hi=edges[1:],
        effective_area=torch.tensor(area),
        redistribution=torch.tensor([[0.9, 0.0], [0.3, 0.6], [0.0, 0.8]]),
        channel_lo=torch.tensor([2.0, 5.0]),
        channel_hi=torch.tensor([5.0, 8.0]),
    )


def _expected(theta, detector, exposure):
    """A function: theta (..., 2), response, exposure -> expected counts (..., n_bins)."""
    flux = power_law(detector.energy_lo, detector.energy_hi, theta[..., 0], 10 ** theta[..., 1])
    return exposure * detector.fold(flux)


def _model(
    split=lambda theta: theta.unbind(-1),
    norm=lambda lg: 10**lg,
    end=lambda flux, detector, exposure: exposure * detector.fold(flux),
):
    """Make our answer with another way to split theta, to convert lg K to K, or the flux to counts."""

    def answer(theta, detector, exposure):
        index, lg = split(theta)
        flux = power_law(detector.energy_lo, detector.energy_hi, index, norm(lg))
        return end(flux, detector, exposure)

    return answer


def _some_spectra():
    generator, spectra = torch.Generator().manual_seed(1), []
    for batch, exposure in (((), 7.0), ((5,), 7.0), ((3, 4), 2.5), ((1,), 2.5)):
        theta = torch.tensor([1.2, -1.5]) + torch.rand(*batch, 2, generator=generator)
        spectra.append((theta, _detector(100.0, 300.0 + exposure, 200.0), exposure))
    return spectra


class _Steps(TorchFunctionMode):
    number = 0

    def __torch_function__(self, function, types, given=(), named=None):
        self.number += 1
        return function(*given, **(named or {}))


def _all_at_once(answer):
    steps = []
    for n in (2, 200):
        with _Steps() as counted:
            answer(torch.ones(n, 2), _detector(100.0, 300.0, 200.0), 1.0)
        steps.append(counted.number)
    if steps[1] > 5 * steps[0]:
        raise Hint(
            f"Right, and slow: {steps[0]} steps of torch for 2 spectra, {steps[1]} for 200. Without a loop over the "
            "rows, theta[..., 0] and theta[..., 1] take them all at once."
        )


expected = by_example(
    "Exercise 13.1",
    _expected,
    _some_spectra,
    {
        "Counts per second: the exposure is missing.": _model(end=lambda flux, d, e: d.fold(flux)),
        "Γ comes first in theta, then lg K.": _model(lambda theta: theta.flip(-1).unbind(-1)),
        "The second parameter is lg K, to the base of ten: K is 10 to its power.": [
            _model(norm=norm) for norm in (lambda lg: lg, torch.exp, torch.abs, torch.exp2)
        ],
        "The parameters are the last dimension, whatever the others: theta[..., 0] and theta[..., 1].": [
            _model(lambda theta: (theta[:, 0], theta[:, 1])),
            _model(lambda theta: (theta[0], theta[1])),
            _model(lambda theta: theta),
            _model(lambda theta: theta.transpose(0, -1)),
        ],
        "One number for each photon energy: detector.fold sorts the photons into channels.": [
            _model(end=lambda flux, d, e: e * flux),
            _model(end=lambda flux, d, e: flux),
        ],
        "The effective area counts twice: detector.fold has it.": (
            _model(end=lambda flux, d, e: e * d.fold(flux * d.effective_area))
        ),
    },
    returns=forms.tensor("counts"),
    signs={
        "Whole numbers: return the expected counts; the Poisson noise comes later.": (
            lambda found, *given: torch.equal(found, found.round())
        )
    },
    otherwise="With another detector of two channels we find {ours} counts and you {yours}.",
    rtol=1e-4,
    then=_all_at_once,
)


def _log_likelihood(counts, mean):
    """A function: counts (..., n), mean (..., n) -> logarithm of the likelihood (...)."""
    return (counts * mean.log() - mean).sum(-1)


def _some_counts():
    """Return few counts, one of them zero, few expected in bin 1; then hundreds, where the likelihood underflows."""
    generator = torch.Generator().manual_seed(2)
    few = torch.poisson(torch.full((6,), 5.0), generator=generator)
    few[0], few[1] = 0.0, 3.0
    models = 1 + 8 * torch.rand(40, 6, generator=generator)
    models[:, 1] = 10 ** (-2 * torch.rand(40, generator=generator))
    many = torch.randint(300, 400, (5, 1, 6), generator=generator).float()
    return [
        (few, models),
        (many, 300 + 2000 * torch.rand(1, 7, 6, generator=generator)),
    ]


def _up_to_a_constant(values):
    """Allow terms that do not depend on the parameters, one number for each row of models, to be left out."""
    if values.ndim and np.isfinite(values).all():
        return values - values.mean(-1, keepdims=True)
    return values


def _poisson(counts, mean):
    return Poisson(mean).log_prob(counts)


def _chi_squared(counts, mean, variance):
    return ((counts - mean) ** 2 / variance).sum(-1)


_UNDERFLOW = "For hundreds of counts the likelihood is zero in a computer: stay in the logarithm all the way."

log_likelihood = by_example(
    "Exercise 13.2",
    _log_likelihood,
    _some_counts,
    {
        "One number for each bin: the bins are independent, so sum over the last dimension.": [
            _poisson,
            lambda x, f: x * f.log() - f,
        ],
        "One number for each model: sum over the bins, the last dimension, and no other.": [
            lambda x, f: _poisson(x, f).sum(),
            lambda x, f: (x * f.log() - f).sum(),
            lambda x, f: (x * f.log() - f).sum(0),
        ],
        "The sign: a better model has a larger likelihood.": lambda x, f: -_log_likelihood(x, f),
        "That is -2 ln L, Cash's C: we want ln L.": lambda x, f: -2 * _log_likelihood(x, f),
        "Without e^(-f) a model of too many counts would win.": lambda x, f: (x * f.log()).sum(-1),
        "Logarithms add: sum over bins, take no mean.": lambda x, f: (x * f.log() - f).mean(-1),
        "Counts and mean are swapped: f is inside the logarithm.": (
            lambda x, f: _log_likelihood(f, x.clamp(min=1))
        ),
        "One bin has no count, and it makes yours infinite: f is inside the logarithm, not x, and nothing is divided "
        "by counts.": lambda x, f: _log_likelihood(f, x),
        "0 ln 0 is NaN here. Leave ln x out.": lambda x, f: (x * (f / x).log() - f).sum(-1),
        "That is χ², a Gaussian: with a handful of counts per bin, use Poisson.": [
            lambda x, f: Normal(f, f.sqrt()).log_prob(x).sum(-1),
            lambda x, f: -0.5 * _chi_squared(x, f, f),
            lambda x, f: -0.5 * _chi_squared(x, f, x.clamp(min=1)),
            lambda x, f: _chi_squared(x, f, f),
        ],
        "A mean of 0.01 is a mean: no floor under f, in neither term.": [
            lambda x, f: _log_likelihood(x, f.clamp(min=1)),
            lambda x, f: (x * f.clamp(min=1).log() - f).sum(-1),
        ],
        "Take the natural logarithm, not lg.": lambda x, f: (x * f.log10() - f).sum(-1),
        "The logarithm of e^(-f) is -f, not f.": lambda x, f: (x * f.log() + f).sum(-1),
        _UNDERFLOW: [
            lambda x, f: (f**x * torch.exp(-f)).log().sum(-1),
            lambda x, f: (_poisson(x, f).sum(-1).exp() + 1e-30).log(),
        ],
        "That is the likelihood itself, which underflows: return its logarithm.": [
            lambda x, f: (f**x * torch.exp(-f)).prod(-1),
            lambda x, f: _poisson(x, f).sum(-1).exp(),
        ],
    },
    returns=forms.tensor("log likelihoods"),
    signs={_UNDERFLOW: lambda found, x, f: x.max() > 100 and found.shape == (5, 7)},
    otherwise="Differences between models are off: ln of f^x e^(-f), summed over the bins.",
    rtol=1e-3,
    atol=2e-2,  # of thousands, in float32
    seen=_up_to_a_constant,
)


def _abc(observed, draw_prior, simulate, distance, tolerance, n, generator):
    theta = draw_prior(n, generator)
    return theta[distance(simulate(theta, generator), observed) <= tolerance]


def _problem(shift, asked):
    """Return prior, simulator, whose noise depends on θ, and distance; `asked` records the calls."""

    def draw_prior(n, generator):
        asked.append((n, generator))
        return torch.rand(n, 2, generator=generator) * (6 + shift) - 2

    def simulate(theta, generator):
        asked.append((0, generator))
        noise = torch.sin(theta[:, [1, 0, 1]] * torch.tensor([700.0, 900.0, 1100.0]))
        return theta[:, [0, 0, 1]] + shift + noise

    def distance(simulated, observed):  # not the same the other way round
        return ((simulated - observed) / (1 + shift + observed)).norm(dim=-1)

    return draw_prior, simulate, distance


def _parameters(value, given):
    if isinstance(value, tuple) and np.ndim(value[0]) == 2:
        raise Hint(f"Return the kept parameters alone; yours are {len(value)} things.")
    return forms.tensor("the kept parameters")(value, given)


@exercise("Exercise 13.3", lambda: _abc, forms.function(_parameters))
def abc(answer):
    """A function: observation, prior, simulator, distance, tolerance, n, generator -> parameters."""
    for shift, tolerance, n in ((0.0, 0.4, 1500), (1.0, 0.6, 1000), (0.0, 0.13, 120)):
        generator = torch.Generator().manual_seed(1)
        observed = torch.tensor([2.0, 2.0, 1.0]) + shift
        given = observed, *_problem(shift, asked := []), tolerance, n
        found = answer(*given, generator)
        if any(handed is not generator for _, handed in asked):
            raise Hint("Hand on your `generator` to both functions: equal ones, equal results.")
        if found.shape == (n,):
            raise Hint("One entry for each simulation, a mask: return the parameters it keeps.")
        if found.shape[1:] == (3,):
            raise Hint("Those are simulated data: keep the parameters that made them.")
        right = _abc(*given, generator.manual_seed(1))
        if found.shape[1:] != (2,):
            raise Hint(
                f"Expected the parameters, {tuple(right.shape)} here, not {tuple(found.shape)}."
            )
        if (drawn := sum(number for number, _ in asked[:-2])) != n:
            raise Hint(f"You drew {drawn} times from the prior, and n is {n}: one batch of n.")
        if abs(len(found) - tolerance * n) < 2:
            raise Hint("The tolerance is a distance, not the share of simulations that you keep.")
        if len(found) > n / 2:
            raise Hint("You keep all, or those far away: keep what is within the tolerance.")
        if len(found) != len(right):
            raise Hint(
                f"{len(right)} of {n} should be kept, and {len(found)} are: compare distance(simulated, observed), in "
                "this order, with the tolerance."
            )
        if not np.allclose(*(sorted(kept.tolist()) for kept in (right, found))):
            raise Hint(
                "Of each simulation within the tolerance keep the parameters that made it, a row of theta as it is: "
                "yours are others."
            )


_LN_NORM = 0.5 * math.log(2 * math.pi)


def _mdn_terms(logits, mean, log_sd, target):
    """Return ln w and ln N, (n, k) each."""
    return logits.log_softmax(1), Normal(mean, log_sd.exp()).log_prob(target[:, None])


def _mdn_loss(*given):
    """A function: logits, means, log widths (n, k), target (n,) -> mean of -ln q."""
    weight, normal = _mdn_terms(*given)
    return -torch.logsumexp(weight + normal, 1).mean()


def _terms(change):
    """Make the loss after a change of its terms (n, k), a function of (ln w, ln N, logits, ln σ)."""

    def answer(logits, mean, log_sd, target):
        terms = change(*_mdn_terms(logits, mean, log_sd, target), logits, log_sd)
        return -torch.logsumexp(terms, 1).mean()

    return answer


def _end(change):
    """Make the loss with another last step, a function of ln (w N), (n, k)."""
    return lambda *given: change(sum(_mdn_terms(*given)))


def _some_mixtures():
    generator, mixtures = torch.Generator().manual_seed(4), []
    for n, k, sure, shift in ((50, 3, 1, 0), (20, 5, 1, 0), (20, 2, 1, 300), (9, 3, 200, 0)):
        logits, mean, log_sd = (torch.randn(n, k, generator=generator) for _ in range(3))
        target = torch.randn(n, generator=generator) + shift
        mixtures.append((sure * logits, mean, 0.5 * log_sd, target))
    return mixtures


def _gradients_of(right, inputs, ask):
    """Make a check that an answer has our gradients with respect to some inputs, for each question."""

    def then(answer):
        for question in inputs():
            ours, yours = (
                torch.autograd.functional.jacobian(partial(ask, f), question)
                for f in (right, answer)
            )
            if any(slope.isnan().any() for slope in yours):
                raise Hint(
                    "The values are right, but a gradient is NaN where a weight is so small that it is exactly 0: "
                    "torch.log_softmax goes from `logits` to ln w without w."
                )
            if not all(map(partial(torch.allclose, rtol=1e-2, atol=1e-4), ours, yours)):
                raise Hint(
                    "The values are right, but no gradient comes through, or not to all that it should reach: stay "
                    "with tensors of torch, without item(), numpy() or detach()."
                )

    return then


mdn_loss = by_example(
    "Exercise 13.4",
    _mdn_loss,
    _some_mixtures,
    {
        "The target (n,) meets k Gaussians, (n, k), as target[:, None].": [
            lambda logits, mean, log_sd, target: Normal(mean, log_sd.exp()).log_prob(target),
            lambda logits, mean, log_sd, target: target - mean,
        ],
        "`log_sd` is ln σ and `logits` are not yet weights, so that both may be negative: σ is an exponential, and w a "
        "softmax.": [
            lambda logits, mean, log_sd, target: Normal(mean, log_sd),
            lambda logits, mean, log_sd, target: log_sd.log().mean(),
        ],
        "Turn the sign round: yours would make q small.": _end(lambda q: q.logsumexp(1).mean()),
        "One number for each simulation: return their mean.": _end(lambda q: -q.logsumexp(1)),
        "Take the mean over the simulations, not the sum.": _end(lambda q: -q.logsumexp(1).sum()),
        "logsumexp over the Gaussians, dim=1.": _end(lambda q: -q.logsumexp(0).mean()),
        "Far from all Gaussians it is infinite: exp came before the sum; use torch.logsumexp.": (
            _end(lambda q: -q.exp().sum(1).log().mean())
        ),
        "Take the mean of ln q, not ln of the mean.": _end(lambda q: -q.exp().sum(1).mean().log()),
        "The weights must sum to one: softmax first.": _terms(lambda w, g, logits, s: logits + g),
        "The Gaussians have weights, the softmax of `logits`.": _terms(lambda w, g, *_: g),
        "exp of a large logit is infinite: torch.log_softmax never leaves the logarithm.": (
            _terms(lambda w, g, x, s: x - x.exp().sum(1, keepdim=True).log() + g)
        ),
        "There may be any number k of Gaussians: take them all.": (
            lambda *given: _mdn_loss(*(one[:, :3] for one in given[:3]), given[3])
        ),
        "Softmax over the Gaussians, dim=1.": _terms(lambda w, g, x, s: x.log_softmax(0) + g),
        "Inside logsumexp the weights are logarithms, too.": _terms(lambda w, g, *_: w.exp() + g),
        "A Gaussian has 1/σ in front, or it could grow wide for free: minus ln σ.": [
            _terms(lambda w, g, logits, s: w + g + s),
            _terms(lambda w, g, logits, s: w + g + 2 * s),
        ],
        "A factor 1/√(2π) is missing: q is a density.": _terms(lambda w, g, *_: w + g + _LN_NORM),
        "The exponent of a Gaussian has a factor 1/2.": (
            _terms(lambda w, g, logits, s: w + 2 * g + s + _LN_NORM)
        ),
        "σ is exp(log_sd), neither its root nor its square.": [
            lambda logits, mean, s, target, k=k: _mdn_loss(logits, mean, k * s, target)
            for k in (0.5, 2)
        ],
        "That is the weighted mean of the logarithms; the mixture is the logarithm of the weighted sum.": (
            lambda *given: -(_mdn_terms(*given)[0].exp() * _mdn_terms(*given)[1]).sum(1).mean()
        ),
    },
    returns=forms.tensor("a loss", number=True, gradient=True),
    signs={
        "Far from all Gaussians the loss must keep growing: a small number added inside the logarithm hides how "
        "wrong the network is. Use torch.logsumexp.": lambda found, *given: (
            given[3].min() > 100 and 0 < found.max() < 1000
        )
    },
    otherwise="For some random simulations and Gaussians we find {ours} and you {yours}.",
    rtol=1e-4,
    then=_gradients_of(_mdn_loss, _some_mixtures, lambda loss, *given: loss(*given)),
)


def _layer(forward, back):
    """Make a coupling layer from the transformation of the second half, given s and t, in both directions."""

    def answer(theta, net, inverse=False):
        first, second = theta.chunk(2, dim=1)
        s, t = net(first)
        z = torch.cat([first, (back if inverse else forward)(second, s, t)], dim=1)
        return z, -s.sum(dim=1) if inverse else s.sum(dim=1)

    return answer


def _stretch_and_shift(second, s, t):
    return second * torch.exp(s) + t


def _coupling(theta, net, inverse=False):
    """A function: theta (n, P), net, inverse -> z (n, P), ln|det| (n,)."""
    layer = _layer(_stretch_and_shift, lambda second, s, t: (second - t) * torch.exp(-s))
    return layer(theta, net, inverse)


def _after(change):
    """Make our layer, after a change of (z, ln|det|, s)."""

    def answer(theta, net, inverse=False):
        s, _ = net(theta.chunk(2, dim=1)[0])
        return change(*_coupling(theta, net, inverse), s)

    return answer


def _net(size):
    generator = torch.Generator().manual_seed(size)
    weight = 0.5 * torch.randn(2, size, size, generator=generator, dtype=torch.float64)

    def net(first):
        s, t = (torch.tanh(first @ one) for one in weight)
        return 0.7 * s, 2 * t + 1

    return net


def _some_layers():
    generator = torch.Generator().manual_seed(5)
    return [
        (torch.randn(6, 2 * size, generator=generator, dtype=torch.float64), _net(size), inverse)
        for size in (1, 2)
        for inverse in (False, True)
    ]


def _flow(layer, theta):
    """Return all results of a layer, for the gradients."""
    return torch.cat([part.flatten() for part in layer(theta, _net(2), False)])


coupling = by_example(
    "Exercise 13.5",
    _coupling,
    _some_layers,
    {
        "`net` takes the first half of the parameters: half of P, whatever P is.": [
            lambda theta, net, inverse=False: net(theta),
            lambda theta, net, inverse=False: net(theta[:, :1]) and _coupling(theta, net, inverse),
        ],
        "The first half must come out as it went in, and first.": [
            _after(lambda z, d, s: (z.roll(s.shape[1], 1), d)),
            lambda theta, *rest: _coupling(theta.roll(theta.shape[1] // 2, 1), *rest),
        ],
        "The stretch is exp(s), not s.": _layer(
            lambda z, s, t: z * s + t, lambda z, s, t: (z - t) / s
        ),
        "With inverse=True it goes forward: solve z₂ = θ₂ exp(s) + t for θ₂.": (
            lambda theta, net, inverse=False: _coupling(theta, net)
        ),
        "Forward, then inverse, must give theta back: undo the shift first, then the stretch.": (
            _layer(_stretch_and_shift, lambda z, s, t: z * torch.exp(-s) - t)
        ),
        "First stretch by exp(s), then shift by t: the shift is not stretched.": (
            _layer(lambda z, s, t: (z + t) * s.exp(), lambda z, s, t: z * torch.exp(-s) - t)
        ),
        "ln|det| has the wrong sign in one direction: what stretches one way shrinks the other.": [
            _after(lambda z, d, s: (z, s.sum(1))),
            _after(lambda z, d, s: (z, -d)),
        ],
        "That is the determinant: return its logarithm.": _after(lambda z, d, s: (z, d.exp())),
        "ln|det| must be one number per row: sum over the parameters, not over the rows.": [
            _after(lambda z, d, s: (z, d.sum())),
            _after(lambda z, d, s: (z, d.sum().expand(len(s)))),
            _after(lambda z, d, s: (z, s)),
        ],
        "The determinant of a triangle is the product of its diagonal, so that its logarithm is a sum of s.": [
            _after(lambda z, d, s: (z, d / s.shape[1])),
            _after(lambda z, d, s: (z, s.prod(1) * d / s.sum(1))),
        ],
        "The diagonal of the Jacobian is 1 and exp(s), so that ln|det| is not zero.": (
            _after(lambda z, d, s: (z, 0 * d))
        ),
    },
    returns=forms.tuple_of(
        "z (n, P) and ln|det| (n,)",
        forms.tensor("the output", gradient=True),
        forms.tensor("ln|det|", gradient=True),
    ),
    otherwise="With inverse={2} we find {ours} in {part}, and you {yours}. Work it out on paper for P = 2: what is z₂, "
    "how does it change with θ₂, and what takes it back?",
    names=("the output", "ln|det|"),
    then=_gradients_of(_coupling, lambda: [(_some_layers()[2][0],)], _flow),
)


def _c2st(one, other, classifier, folds=None, **options):
    rows = np.concatenate([one, other])
    labels = np.repeat([0, 1], [len(one), len(other)])
    folds = folds or StratifiedKFold(5, shuffle=True, random_state=0)
    return cross_val_score(classifier, rows, labels, cv=folds, **options).mean()


class _Stubborn(ClassifierMixin, BaseEstimator):
    """Classifier that exchanges negative and positive numbers: any five folds have the same accuracy."""

    def fit(self, rows, labels):
        self.classes_ = np.unique(labels)
        largest = np.asarray(labels)[np.asarray(rows)[:, 0].argmax()]
        self.sign_ = -1 if largest == self.classes_[1] else 1
        return self

    def decision_function(self, rows):
        return self.sign_ * np.asarray(rows)[:, 0]

    def predict(self, rows):
        return self.classes_[(self.decision_function(rows) > 0).astype(int)]


@cache
def _some_samples():
    """(one, other, classifier, how far a right accuracy may be from ours, the hint)"""
    one, other = np.random.default_rng(6).normal(size=(2, 400, 2))
    near, line = KNeighborsClassifier(15), LogisticRegression()
    mixed = (abs(other) + 1) * np.where(np.arange(400) % 3, 1, -1)[:, None]
    mixed[1::30] = 6.0  # positive in all folds
    in_order = [np.sort(sample[:, :1], axis=0) for sample in (one, other + 0.6)]
    shifted = other + np.array(
        [0.0, 1.5]
    )  # an accuracy of 0.77, an area under the ROC curve of 0.86
    share = "the share of right answers is asked for, the mean of five folds, with each row held out once."
    shuffle = "they lie in order. Shuffle, or each fold is a stretch of its own."
    return (
        (one, other, KNeighborsClassifier(1), 0.1, "samples of one distribution give about 0.5."),
        (one, one + 20, line, 0.03, "samples that do not overlap give 1: check the labels."),
        # The same mean, and five times the width: a linear classifier does not see it, nearest neighbours do.
        (one, 5 * other, near, 0.05, "use the classifier that you are handed."),
        (one, shifted, line, 0.04, share),
        (one, other, DummyClassifier(), 0.1, share),
        (-mixed, mixed, _Stubborn(), 1e-6, share),
        (*in_order, near, 0.04, shuffle),
    )


_C2ST = {
    "Shuffle the rows, or each fold is a stretch of one sample.": partial(_c2st, folds=KFold(5)),
    "That is the area under a ROC curve, not accuracy.": partial(_c2st, scoring="roc_auc"),
    "Let the classifier see all columns.": lambda one, other, c: _c2st(one[:, :1], other[:, :1], c),
}


@cache
def _made(number, mistake=_c2st):
    """Return the accuracy of these samples by one method, computed once for all tries."""
    one, other, classifier, *_ = _some_samples()[number]
    return mistake(one, other, clone(classifier))


@exercise("Exercise 13.6", lambda: _c2st, forms.function(forms.number("an accuracy")))
def c2st(answer):
    """A function: samples (n, P), samples (n, P), classifier -> held-out accuracy."""
    for number, (*samples, classifier, tolerance, hint) in enumerate(_some_samples()):
        found, right = answer(*map(torch.tensor, samples), clone(classifier)), _made(number)
        if abs(found - right) < tolerance:
            continue
        for wrong, mistake in _C2ST.items():
            made = _made(number, mistake)
            if abs(found - made) < 0.02 < abs(right - made):
                raise Hint(wrong)
        if right < 0.6 and 0.95 < found <= 1:
            raise Hint(
                "Two samples of one distribution, and your accuracy is nearly 1: the classifier was scored on the rows "
                "that it learned from."
            )
        ours, yours = apart(right, found)
        raise Hint(f"We find {ours} and you {yours}: {hint}")


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
