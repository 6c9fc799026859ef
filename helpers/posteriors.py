"""Neural posterior estimation: training, sampling, and files to keep a posterior in."""

import copy
import json
import math
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
import zuko
from torch import Tensor, nn
from torch import distributions as ds
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from helpers.arguments import refuse_arrays, refuse_outliers, whole
from helpers.networks import seeded

__all__ = [
    "Posterior", "PosteriorFileError", "convolution", "load_posterior", "train_posterior",
    "weighted_sums",
]  # fmt: skip

_FORMAT, _VERSION = "xray-timing posterior", 2
# Draws that are made at a time: a few hundred MB.
_DRAWS = 200_000
# As near to a corner, as a share of the box, as logits go.
_EDGE = 1e-6
# Draws that tell how many are refused: to 2 per cent; with holes in the support, of half, too.
_TRIES = 100, 2500


class PosteriorFileError(ValueError):
    """Raised for a file that does not hold a posterior that this course can read."""


def weighted_sums(shape) -> nn.Module:
    """Embed data in 16 weighted sums, for spectra whose logarithms carry the information."""
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), 16))


def convolution(shape) -> nn.Module:
    """Embed spectra side by side, (n_spectra, n_channels), by two convolutions with pooling.

    Reference: after König et al. 2025, arXiv:2511.11863, with fewer features.
    """
    n_spectra, n_channels = shape
    return nn.Sequential(
        nn.Conv1d(n_spectra, 16, 7, padding=3), nn.ReLU(), nn.MaxPool1d(4),
        nn.Conv1d(16, 32, 7, padding=3), nn.ReLU(), nn.MaxPool1d(4),
        nn.Flatten(), nn.Linear(32 * (n_channels // 16), 32),
    )  # fmt: skip


_EMBEDDINGS = {f.__name__: f for f in (weighted_sums, convolution)}


class Posterior:
    """Density q(θ|x) on the support of a prior, as `train_posterior` makes it.

    Several flows share it by the geometric mean of their densities, plus a twentieth of their average.
    The average is too wide if each of them is right and they disagree (Gneiting & Ranjan 2013,
    arXiv:1106.1638); the twentieth keeps what one of them misses.

    Who asks it about data beyond what was simulated is warned: a network only guesses there.

    Attributes:
        prior: a distribution of torch.
        low, high: (P,) corners of its box, if it is uniform in one, or None.
        shape: that of one data set.
        summary: what data x are, in words.
    """

    def __init__(self, estimators, prior: ds.Distribution, summary: str = ""):
        self.prior, self.summary, self._estimators = prior, summary, list(estimators)
        self._first = self._estimators[0]
        self.shape = self._first.shape
        box = prior.base_dist if isinstance(prior, ds.Independent) else prior
        self.low, self.high = (box.low, box.high) if isinstance(box, ds.Uniform) else (None, None)

    def sample(self, n: int, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Return n draws (n, ..., P), n of 1 or more, for data x (..., *shape), in the prior's support."""
        n, data = whole("n", n, 1), self._flat(x)
        with seeded(generator), torch.no_grad():
            draws, _, refused = self._draws(n, data)
            for _ in range(200):
                if not (short := refused.any(dim=0)).any():
                    break
                # More for those that lack some; then the first n that are not refused.
                number = 2 * int(refused[:, short].sum() / short.sum()) + 10
                more, _, still = self._draws(number, data[short])
                still = torch.cat([refused[:, short], still])
                i = still.byte().argsort(dim=0, stable=True)[:n]
                draws[:, short] = torch.cat([draws[:, short], more]).take_along_dim(i[..., None], 0)
                refused[:, short] = still.take_along_dim(i, 0)
            else:
                sets = f"{int(short.sum())} of {len(data)} posteriors"
                raise ValueError(f"{sets} lie outside the support of the prior: simulate more.")
        return draws.reshape(n, *x.shape[: x.ndim - len(self.shape)], draws.shape[-1])

    def log_prob(self, theta: Tensor, x: Tensor) -> Tensor:
        """Return ln q (..., n) of θ (..., n, P), given x (n, *shape) or (1, *shape).

        -∞ outside the support. What makes it one in total is estimated from draws: for several flows
        to 2 per cent, the same for all θ; so, too, if the support has holes, as of a mixture of
        boxes. On a simplex it is a density of all parameters but the last.
        """
        refuse_arrays(theta=theta)
        data = self._flat(x)
        n, (p,) = len(data), self.prior.event_shape
        if theta.shape[-1:] != (p,) or (n > 1 and theta.shape[-2:-1] != (n,)):
            raise ValueError(
                f"theta {tuple(theta.shape)} does not fit {n} data sets of {p} parameters: it must "
                f"be (..., {n if n > 1 else 'n'}, {p})."
            )
        onto, theta = _support(self.prior), theta.to(self._first.z_mean)
        z, inside = _unbounded(onto, theta)
        inside &= _holds(self.prior, theta)
        with torch.no_grad():
            log_q = self._pool(z, data)[0]
            if len(self._estimators) > 1 or _holes(self.prior):
                with seeded(torch.Generator().manual_seed(0)):
                    log_q -= self._draws(_TRIES[_holes(self.prior)], data)[1].mean(dim=0).log()
        return torch.where(inside, log_q - onto.log_abs_det_jacobian(z, theta), -math.inf)

    def features(self, x: Tensor) -> Tensor:
        """Return the features (..., M) that the first flow's embedding makes of data x (..., *shape)."""
        with torch.no_grad():
            features = self._first.features(self._flat(x))
        return features.reshape(*x.shape[: x.ndim - len(self.shape)], -1)

    def save(self, path) -> None:
        """Write the posterior into one file: numbers and words, no code. See `load_posterior`."""
        path, prior = Path(path), {"low": self.low, "high": self.high}
        if self.low is None:  # it would be code: this tells whether the same one is given again
            with seeded(torch.Generator().manual_seed(0)):
                theta = self.prior.sample((9,))
            log_prob = _densities(self.prior, theta)
            prior = {"theta": theta, "log_prob": log_prob, "prior": str(self.prior)}
        notes = {"summary": self.summary, "torch": torch.__version__, "zuko": zuko.__version__}
        content = prior | {
            "format": _FORMAT,
            "version": _VERSION,
            "settings": json.dumps(notes | self._first.settings),
            "estimators": [e.state_dict() for e in self._estimators],
        }
        # Whole or not at all, whatever happens in between, and whoever else saves here.
        unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            torch.save(content, unfinished)
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)

    def _pool(self, z, data):
        """Return ln of the shared density at z, up to a constant, and its ratio to the flows' average, at most 1."""
        of_each = torch.stack([e.log_prob(z, data) for e in self._estimators])
        average = torch.logsumexp(of_each, dim=0) - math.log(len(of_each))
        ratio = ((of_each.mean(dim=0) - average).exp() + 0.05) / 1.05
        return average + ratio.log(), ratio

    def _draws(self, n, data):
        """Return draws (n, len(data), P) of the flows' average, their weights, 0 in holes, and which to refuse."""
        onto, m, parts = _support(self.prior), len(self._estimators), []
        for part in data.split(max(1, _DRAWS // n)):
            z = torch.cat([e.sample(-(-n // m), part) for e in self._estimators])
            if m > 1:  # each data set in an order of its own
                order = torch.rand(z.shape[:2], device=z.device).argsort(dim=0)[:n]
                z = z.take_along_dim(order[..., None], 0)
            weight = self._pool(z, part)[1] if m > 1 else torch.ones_like(z[..., 0])
            parts.append((onto(z), weight * _holds(self.prior, onto(z))))
        draws, weights = (torch.cat(column, dim=1) for column in zip(*parts, strict=True))
        return draws, weights, torch.rand_like(weights) >= weights

    def _flat(self, x):
        refuse_arrays(x=x)
        if tuple(x.shape[x.ndim - len(self.shape) :]) != self.shape:
            raise ValueError(f"This posterior takes shape {self.shape}; x is {tuple(x.shape)}.")
        first = self._first
        x = x.to(first.z_mean.dtype).reshape(-1, *self.shape)
        if wrong := int((~x.isfinite()).flatten(1).any(dim=1).sum()):
            sets = f"{wrong} of {len(x)} data sets"
            raise ValueError(f"{sets} hold NaN or infinity: does a summary take the log of zero?")
        # Of all numbers of data like the simulations one is out by chance, once in a thousand calls at most.
        n = float(first.x_number)
        reach = math.log(max(n / 10, 2000 * x.numel() / n, 1))
        low, high = (first.x_ends + reach * first.x_tails).unbind(-1)
        if sets := int((beyond := (x < low) | (x > high)).flatten(1).any(dim=1).sum()):
            row, *where = beyond.nonzero()[0].tolist()
            value, low, high = (float(t[tuple(where)]) for t in (x[row], *first.x_ends.unbind(-1)))
            warnings.warn(
                f"{sets} of {len(x)} data sets lie far outside what was simulated, such as {value:.4g} in "
                f"data set {row} at {where}: the network knows {low:.4g} to {high:.4g} there, and guesses "
                "beyond. Simulate a wider prior, or what the detector does; or are the units others?",
                stacklevel=3,
            )
        return x


def load_posterior(
    path, device=None, embedding: Callable | None = None, prior: ds.Distribution | None = None
) -> Posterior:
    """Read a posterior that `Posterior.save` wrote.

    Nothing in the file is run: it is read as numbers and words only (torch's `weights_only`).

    Args:
        path: the file.
        device: where it shall work; by default the CPU.
        embedding: the function that was given to `train_posterior`, if it was not one of this module's.
        prior: the one that was given to `train_posterior`, if it was no box; on `device`.

    Raises:
        FileNotFoundError: if there is no such file.
        PosteriorFileError: if it is damaged, of another kind or newer than this code, or needs an
            embedding or a prior that was not given.
    """
    with Path(path).open("rb") as file:
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged file can fail in torch at any step
            raise PosteriorFileError(
                f"{path} cannot be read: it is damaged, or no posterior at all "
                f"({type(error).__name__}). Save it anew."
            ) from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise PosteriorFileError(f"{path} holds something else than a posterior of this course.")
    if content["version"] > _VERSION:
        raise PosteriorFileError(
            f"{path} was written by a newer version of this course (format {content['version']}, "
            f"this one reads {_VERSION}): update the course, or train again."
        )
    settings = json.loads(content["settings"])
    ours = None if settings.get("own_embedding") else _EMBEDDINGS.get(settings["embedding"])
    make = embedding or ours
    if make is None:
        raise PosteriorFileError(
            f"{path} has an embedding of its own, {settings['embedding']!r}: give the function that "
            f"made it, load_posterior(path, embedding={settings['embedding']})."
        )
    if "low" in content:
        corners = (content[name].to(device) for name in ("low", "high"))
        prior = ds.Independent(ds.Uniform(*corners), 1)
    elif prior is None or not _is_that_of(content, prior):
        what = f"{path} has a prior of its own, {content['prior']}"
        raise PosteriorFileError(f"{what}: give the very same, load_posterior(path, prior=prior).")
    estimators, shape = [], tuple(settings["shape"])
    for state in content["estimators"]:
        estimator = _Estimator(shape, settings["n_parameters"], make).to(state["z_mean"])
        try:
            # Version 1 did not know where simulations end.
            estimator.load_state_dict(state, strict=content["version"] > 1)
        except RuntimeError as error:
            raise PosteriorFileError(
                f"{path} does not fit its own settings: it is damaged, or its embedding "
                f"{settings['embedding']!r} is another one today."
            ) from error
        estimators.append(estimator.eval().to(device))
    return Posterior(estimators, prior, settings["summary"])


def _is_that_of(content, prior):
    """Tell whether a prior is the one that was saved, by its name, nine draws and their densities."""
    if str(prior).split(":")[0] != content["prior"].split(":")[0]:
        return False
    theta = content["theta"].to(prior.sample())
    if theta.shape[1:] != prior.event_shape:
        return False
    inside = _unbounded(_support(prior), theta)[1] & _holds(prior, theta)
    before, now = content["log_prob"].to(theta), _densities(prior, theta)
    return bool(inside.all()) and torch.allclose(now, before, atol=1e-4, equal_nan=True)


def _densities(prior, theta):
    try:
        return prior.log_prob(theta)
    except (NotImplementedError, ValueError):
        # It has none; or torch's check, which wants θ in all parts of a mixture, does not know them.
        return torch.full(theta.shape[:-1], math.nan).to(theta)


def train_posterior(
    theta: Tensor,
    x: Tensor,
    low: Tensor | None = None,
    high: Tensor | None = None,
    *,
    prior: ds.Distribution | None = None,
    generator: torch.Generator,
    n_flows: int = 2,
    embedding: Callable[[tuple], nn.Module] = weighted_sums,
    batch_size: int = 250,
    learning_rate: float = 1e-2,
    patience: int = 5,
    max_epochs: int = 300,
    summary: str = "",
) -> Posterior:
    """Train a neural posterior: maximise the mean of ln q(θ|x) over θ from a prior and simulations x.

    The density is one of logit[(θ - low)/(high - low)], so that none is lost outside the box; with
    another prior, of the numbers that torch's `biject_to` stretches over its support. Each
    flow shifts and stretches first, then bends: an affine autoregressive transform can be as narrow
    as the data demand, which splines alone learn slowly, and the splines give it its shape. What is
    kept is a running mean of the weights over a hundred steps, from the epoch in which a held-out
    tenth of the simulations is most probable. Several flows, which differ in their first weights
    and in that tenth, know more together than one: see `Posterior`.

    Reference: Papamakarios & Murray 2016, arXiv:1605.06376; Papamakarios et al. 2017,
    arXiv:1705.07057, and Durkan et al. 2019, arXiv:1906.04032, for the transforms.

    Args:
        theta: (n, P) draws from the prior, of the dtype and on the device that shall do the work.
        x: (n, ...) simulations, finite; of positive quantities that span decades, their logarithms.
        low, high: (P,) corners of a uniform prior.
        prior: instead of them, any continuous distribution of vectors (P,) that torch can write, on
            theta's device: MultivariateNormal, Independent(LogNormal(...), 1), mixtures, transformed
            ones. `theta` must be its draws: beside its support, only they say what it is.
        generator: torch generator, on the CPU, of weights, order and split.
        n_flows: how many flows share the posterior.
        embedding: makes the network that comes before a flow, from the shape of one data set: from
            (n, *shape) to (n, M), trained along.
        batch_size, learning_rate: of the steps of Adam.
        patience: epochs without a gain of 0.1 in ln q after which steps shrink, and later training ends.
        max_epochs: epochs after which it ends anyway.
        summary: what x is, in words, to be saved along.

    Raises:
        ValueError: if shapes differ, there are fewer than 20 simulations, x is not finite, a few rows
            lie so far away that the rest looks constant, a θ is outside the prior's support or never
            varies, torch cannot map that support, or no epoch had a finite loss.

    Example:
        One number, seen with an error of 0.1:

        >>> generator = torch.Generator().manual_seed(1)
        >>> theta = torch.rand(500, 1, generator=generator)
        >>> x = theta + 0.1 * torch.randn(500, 1, generator=generator)
        >>> box = torch.zeros(1), torch.ones(1)
        >>> posterior = train_posterior(theta, x, *box, generator=generator, max_epochs=3)
        >>> draws = posterior.sample(100, torch.tensor([[0.3], [0.6]]), generator=generator)
        >>> draws.shape, bool(((draws > 0) & (draws < 1)).all())
        (torch.Size([100, 2, 1]), True)
    """
    if (low is None) == (prior is None):
        raise ValueError("Give either low and high, the corners of a box, or a prior.")
    if prior is None:
        refuse_arrays(low=low, high=high)
        size = low.shape
    else:
        _support(prior)  # refuses what it cannot map, before anything is trained
        size = prior.event_shape
    refuse_arrays(theta=theta, x=x)
    if theta.ndim != 2 or x.ndim < 2 or len(theta) != len(x) or theta.shape[1:] != size:
        raise ValueError(
            f"theta {tuple(theta.shape)}, x {tuple(x.shape)} and corners or draws {tuple(size)}: they "
            "must be (n, P), (n, ...) and (P,)."
        )
    if len(theta) < 20:
        raise ValueError(f"{len(theta)} simulations cannot train a network: simulate thousands.")
    numbers = {"n_flows": n_flows, "batch_size": batch_size, "patience": patience}
    for name, value in (numbers | {"max_epochs": max_epochs}).items():
        whole(name, value, 1)
    given, x = x, x.to(theta)
    if wrong := int((~x.isfinite()).flatten(1).any(dim=1).sum()):
        rows = f"{wrong} of {len(x)} rows of x hold NaN or infinity"
        raise ValueError(f"{rows}: does a summary take the logarithm of zero?")
    if given.dtype != x.dtype:
        given, spread = given.double(), given.double().std(dim=0)
        lost = (given - x).abs().amax(dim=0) > 0.01 * spread
        if (lost := (lost & (spread > 1e-12 * given.abs().amax(dim=0))).nonzero()).numel():
            problem = f"As {x.dtype}, like theta, x loses what varies at {lost[0].tolist()}"
            raise ValueError(f"{problem}: subtract a constant, or give theta.double().")
    if fixed := (theta == theta[0]).all(dim=0).nonzero().flatten().tolist():
        why = "a parameter that is fixed has no posterior. Leave it out, and let the simulator hold it"
        raise ValueError(f"Columns {fixed} of theta never vary: {why}.")
    if prior is None:
        low, high = low.to(theta), high.to(theta)
        if not ((low < high) & (high - low).isfinite()).all():
            raise ValueError(f"low {low.tolist()} is not below high {high.tolist()}, both finite.")
        prior, inside = ds.Independent(ds.Uniform(low, high), 1), (theta >= low) & (theta <= high)
        if outside := (~inside.all(dim=0)).nonzero().flatten().tolist():
            rows = f"{int((~inside.all(dim=1)).sum())} of {len(theta)}"
            raise ValueError(f"{rows} theta in columns {outside} are not between low and high.")
    z, inside = _unbounded(_support(prior), theta)
    if wrong := int((~(inside & _holds(prior, theta))).sum()):
        rows = f"{wrong} of {len(theta)} theta"
        raise ValueError(f"{rows} lie outside the support of their prior: draw them from it.")
    refuse_outliers("x", x)
    refuse_outliers("theta, made unbounded,", z)
    estimators = []
    for _ in range(n_flows):
        with seeded(generator):
            estimator = _Estimator(tuple(x.shape[1:]), z.shape[1], embedding).to(theta)
            estimator.standardise(z, x)
            _fit(estimator, z, x, batch_size, learning_rate, patience, max_epochs)
            estimators.append(estimator.eval())
    return Posterior(estimators, prior, summary)


class _Shares(ds.transforms.Transform):
    """θ in a box of z, the logits of its shares, number by number."""

    domain, codomain, bijective = ds.constraints.real, ds.constraints.real, True

    def __init__(self, low, high):
        super().__init__()
        self.low, self.high = low, high

    def _call(self, z):
        # Rounding must put none on an edge, where the density of its logit ends.
        return self.low + (self.high - self.low) * torch.sigmoid(z).clamp(_EDGE, 1 - _EDGE)

    def _share(self, theta):
        # A uniform prior draws its edge now and then: once in ten million times, by rounding.
        return ((theta - self.low) / (self.high - self.low)).clamp(_EDGE, 1 - _EDGE)

    def _inverse(self, theta):
        return torch.logit(self._share(theta))

    def log_abs_det_jacobian(self, z, theta):
        share = self._share(theta)
        return (share * (1 - share) * (self.high - self.low)).log()


def _support(prior):
    """The bijection from unbounded z (..., Z) onto the support of a prior of θ (..., P)."""
    if not isinstance(prior, ds.Distribution):
        raise TypeError(f"prior must be a distribution of torch, not {type(prior).__name__}.")
    if len(prior.event_shape) != 1 or prior.batch_shape:
        shapes = f"{tuple(prior.event_shape)} in batches of {tuple(prior.batch_shape)}"
        raise ValueError(f"A prior must be of vectors (P,), not {shapes}: Independent(prior, 1)?")
    try:
        onto = _onto(prior)
    except NotImplementedError as error:
        why = f"{error}. If a parameter is discrete, train once for each of its values"
        raise ValueError(f"torch has no bijection onto the support of {prior}: {why}.") from error
    # A bijection of single numbers would give a derivative for each of them.
    return ds.transforms.IndependentTransform(onto, 1 - onto.codomain.event_dim)


def _onto(prior, parts=None):
    """From unbounded numbers onto a prior's support; of a mixture's parts, side by side, onto their hull."""
    if isinstance(prior, ds.Independent):
        n = prior.reinterpreted_batch_ndims
        return ds.transforms.IndependentTransform(_onto(prior.base_dist, parts), n)
    if type(prior) is ds.TransformedDistribution and all(t.bijective for t in prior.transforms):
        # Its `support` is what the last step reaches from anywhere: all that is positive, for a LogUniform.
        if parts and any(_tensors(t) for t in prior.transforms):
            raise NotImplementedError("Parts of a mixture are transformed, each in its own way")
        return ds.transforms.ComposeTransform([_onto(prior.base_dist, parts), *prior.transforms])
    if isinstance(prior, ds.MixtureSameFamily):
        if parts:
            raise NotImplementedError("Parts of a mixture are mixtures: write one mixture of all")
        part = prior.component_distribution
        return _onto(part, -1 - len(part.event_shape))
    support = prior.support
    if parts and (ends := _tensors(support)):
        pick = {"lower_bound": torch.amin, "upper_bound": torch.amax}
        support = type(support)(**{name: pick[name](end, parts) for name, end in ends.items()})
    if isinstance(prior, ds.Uniform):
        return _Shares(support.lower_bound, support.upper_bound)
    return ds.biject_to(support)


def _tensors(thing):
    return {name: value for name, value in vars(thing).items() if torch.is_tensor(value)}


def _holes(prior, mixed=False):
    """Tell whether a prior is a mixture of parts that have two ends, such as boxes."""
    if isinstance(prior, ds.MixtureSameFamily):
        return _holes(prior.component_distribution, True)
    if hasattr(prior, "base_dist"):
        return _holes(prior.base_dist, mixed)
    return mixed and bool(_tensors(prior.support))


def _holds(prior, theta):
    """Tell whether θ is in one of the parts of a mixture; for other priors it always is."""
    if isinstance(prior, ds.Independent):
        n = prior.reinterpreted_batch_ndims
        return _holds(prior.base_dist, theta).flatten(-n).all(dim=-1)
    if type(prior) is ds.TransformedDistribution and all(t.bijective for t in prior.transforms):
        return _holds(prior.base_dist, ds.transforms.ComposeTransform(prior.transforms).inv(theta))
    if isinstance(prior, ds.MixtureSameFamily):
        part = prior.component_distribution
        theta = theta.unsqueeze(-1 - len(part.event_shape))
        return (_unbounded(_onto(part), theta)[1] & _holds(part, theta)).any(dim=-1)
    return theta.new_ones(theta.shape[: theta.ndim - len(prior.event_shape)], dtype=torch.bool)


def _unbounded(onto, theta):
    """Return z of θ, 0 outside the support, and whether θ is inside."""
    z = onto.inv(theta)
    # Outside, z is not finite, or comes back as a place on the edge, from which a step leads nowhere.
    off, step = (onto(z) - theta).abs(), (onto(z + 1) - onto(z - 1)).abs()
    near, finite = off <= step + 1e-6 * theta.abs(), z.isfinite()
    if not onto.codomain.event_dim:
        return z.where(near & finite, 0.0), near & finite
    inside = near.all(dim=-1) & finite.all(dim=-1)
    return z.where(inside[..., None], 0.0), inside


class _Estimator(nn.Module):
    """ln q(z|x) of unbounded parameters z: scales, an embedding of x, and a flow that it steers."""

    def __init__(self, shape, n_parameters, embedding):
        super().__init__()
        self.shape = shape
        name = getattr(embedding, "__name__", repr(embedding))
        self.settings = {
            "shape": shape, "n_parameters": n_parameters, "embedding": name,
            "own_embedding": _EMBEDDINGS.get(name) is not embedding,
        }  # fmt: skip
        for name, size in (("x", shape), ("z", (n_parameters,))):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_scale", torch.ones(size))
        # The extremes of simulations, how far it is from them until tails are 1/e of themselves, and n.
        self.register_buffer("x_ends", torch.tensor([-math.inf, math.inf]).repeat(*shape, 1))
        self.register_buffer("x_tails", torch.zeros(*shape, 2))
        self.register_buffer("x_number", torch.ones(()))
        self.embedding = embedding(shape)
        n_features = self.embedding(torch.zeros(2, *shape)).shape[1]
        layers = {"context": n_features, "hidden_features": (64, 64)}
        affine = zuko.flows.MAF(n_parameters, transforms=1, **layers)
        splines = zuko.flows.NSF(n_parameters, transforms=2, **layers)
        # The second of the splines, so that its order of the parameters is not the affine one's.
        steps = [*affine.transform.transforms, *splines.transform.transforms[1:]]
        self.flow = zuko.flows.Flow(steps, splines.base)

    def standardise(self, z, x):
        """Take the scales from a sample."""
        for name, sample in (("x", x), ("z", z)):
            getattr(self, f"{name}_mean").copy_(sample.mean(dim=0))
            # What never varies says nothing, now or later: infinitely wide, it is always zero. (Rounding can
            # make the standard deviation of equal numbers more than that.)
            least, most = sample.aminmax(dim=0)
            varies = most - least > 4 * torch.finfo(sample.dtype).eps * least.abs()
            getattr(self, f"{name}_scale").copy_(sample.std(dim=0).where(varies, math.inf))
        ordered, n = x[:: max(1, len(x) // 10_000)].sort(dim=0).values, len(x)
        tenth = len(ordered) // 10
        self.x_ends.copy_(torch.stack(x.aminmax(dim=0), dim=-1))
        tails = self.x_ends - torch.stack([ordered[tenth], ordered[-1 - tenth]], dim=-1)
        self.x_tails.copy_(tails / math.log(n / 10))
        self.x_number.fill_(n)

    def features(self, x):
        return self.embedding((x - self.x_mean) / self.x_scale)

    def log_prob(self, z, x):
        z = (z - self.z_mean) / self.z_scale
        return self.flow(self.features(x)).log_prob(z) - self.z_scale.log().sum()

    def sample(self, n, x):
        return self.flow(self.features(x)).sample((n,)) * self.z_scale + self.z_mean


def _fit(estimator, z, x, batch_size, learning_rate, patience, max_epochs):
    held_out, kept = torch.randperm(len(z)).to(z.device).tensor_split([max(2, len(z) // 10)])
    # Steps as long as these make the weights jitter around where they belong; their mean is there.
    mean = AveragedModel(estimator, multi_avg_fn=get_ema_multi_avg_fn(0.99))
    optimiser = torch.optim.Adam(estimator.parameters(), learning_rate, fused=True)
    best, best_loss, goal, latest, gained, rate = None, math.inf, math.inf, 0, 0, 1.0
    for epoch in range(max_epochs):
        for batch in kept[torch.randperm(len(kept)).to(z.device)].split(batch_size):
            optimiser.zero_grad()
            (-estimator.log_prob(z[batch], x[batch]).mean()).backward()
            nn.utils.clip_grad_norm_(estimator.parameters(), 5.0)
            optimiser.step()
            mean.update_parameters(estimator)
        with torch.no_grad():
            loss = -mean.module.log_prob(z[held_out], x[held_out]).mean().item()
        if loss < best_loss:
            best, best_loss, latest = copy.deepcopy(mean.module.state_dict()), loss, epoch
        if loss < goal:
            goal, gained = loss - 0.1, epoch
        # Widths are learnt that cover the jitter, which the mean does not have: short steps take it away.
        if epoch - gained >= patience:
            optimiser.param_groups[0]["lr"] = learning_rate * (rate := 0.8 * rate)
        if rate < 0.02 or (rate < 0.4 and epoch - latest >= patience):
            break
    if best is None:
        lost = "The training lost its way: no epoch had a finite loss. Take a smaller learning_rate, or look"
        raise ValueError(f"{lost} at x for values a thousand standard deviations from the others.")
    estimator.load_state_dict(best)
