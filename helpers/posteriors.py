"""Neural posterior estimation inside a box: training, sampling, and files to keep a posterior in."""

import copy
import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import torch
import zuko
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from helpers.networks import seeded

__all__ = [
    "BoxPosterior",
    "PosteriorFileError",
    "convolution",
    "load_posterior",
    "train_posterior",
    "weighted_sums",
]

_FORMAT, _VERSION = "xray-timing posterior", 1
# Draws that are made at a time: a few hundred MB.
_DRAWS = 200_000
# As near to a corner, as a share of the box, as logits go.
_EDGE = 1e-6


class PosteriorFileError(ValueError):
    """A file that does not hold a posterior this course can read."""


def weighted_sums(shape) -> nn.Module:
    """An embedding: 16 weighted sums of all data, for spectra whose logarithms carry the information."""
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), 16))


def convolution(shape) -> nn.Module:
    """An embedding for spectra side by side, (n_spectra, n_channels): two convolutions with pooling.

    Reference: after König et al. 2025, arXiv:2511.11863, with fewer features.
    """
    n_spectra, n_channels = shape
    return nn.Sequential(
        nn.Conv1d(n_spectra, 16, 7, padding=3), nn.ReLU(), nn.MaxPool1d(4),
        nn.Conv1d(16, 32, 7, padding=3), nn.ReLU(), nn.MaxPool1d(4),
        nn.Flatten(), nn.Linear(32 * (n_channels // 16), 32),
    )  # fmt: skip


_EMBEDDINGS = {f.__name__: f for f in (weighted_sums, convolution)}


class BoxPosterior:
    """q(θ|x) between two corners, as `train_posterior` makes it.

    Attributes:
        low, high: (P,) corners of the uniform prior.
        shape: that of one data set.
        summary: what data x are, in words.
    """

    def __init__(self, estimators, low: Tensor, high: Tensor, summary: str = ""):
        self.low, self.high, self.summary = low, high, summary
        self._estimators = list(estimators)
        self.shape = self._estimators[0].shape

    def sample(self, n: int, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """(n, ..., P) draws for data x (..., *shape), each inside the box."""
        data = self._flat(x)
        numbers = [len(part) for part in torch.arange(n).tensor_split(len(self._estimators))]
        parts = data.split(max(1, _DRAWS // n))
        with seeded(generator), torch.no_grad():
            of_each = [
                torch.cat([e.sample(m, part) for part in parts], dim=1)
                for e, m in zip(self._estimators, numbers, strict=True)
            ]
        # Rounding must put none on an edge, where the density of its logit ends.
        shares = torch.sigmoid(torch.cat(of_each)).clamp(_EDGE, 1 - _EDGE)
        draws = self.low + (self.high - self.low) * shares
        return draws.reshape(n, *x.shape[: x.ndim - len(self.shape)], len(self.low))

    def log_prob(self, theta: Tensor, x: Tensor) -> Tensor:
        """(..., n) densities ln q of θ (..., n, P), given x (n, *shape) or (1, *shape); -∞ outside the box."""
        data = self._flat(x)
        n, p = len(data), len(self.low)
        if theta.shape[-1:] != (p,) or (n > 1 and theta.shape[-2:-1] != (n,)):
            raise ValueError(
                f"theta {tuple(theta.shape)} does not fit {n} data sets of {p} parameters: it must "
                f"be (..., {n if n > 1 else 'n'}, {p})."
            )
        share = (theta.to(self.low) - self.low) / (self.high - self.low)
        inside = ((share >= 0) & (share <= 1)).all(dim=-1)
        share = share.clamp(_EDGE, 1 - _EDGE)
        with torch.no_grad():
            of_each = torch.stack([e.log_prob(torch.logit(share), data) for e in self._estimators])
        jacobian = (share * (1 - share) * (self.high - self.low)).log().sum(dim=-1)
        log_q = torch.logsumexp(of_each, dim=0) - math.log(len(of_each)) - jacobian
        return torch.where(inside, log_q, -math.inf)

    def features(self, x: Tensor) -> Tensor:
        """(..., M) what the first network's embedding makes of data x (..., *shape)."""
        with torch.no_grad():
            features = self._estimators[0].features(self._flat(x))
        return features.reshape(*x.shape[: x.ndim - len(self.shape)], -1)

    def save(self, path) -> None:
        """Write the posterior into one file: numbers and words, no code. See `load_posterior`."""
        path = Path(path)
        content = {
            "format": _FORMAT,
            "version": _VERSION,
            "settings": json.dumps(
                {"summary": self.summary, "torch": torch.__version__, "zuko": zuko.__version__}
                | self._estimators[0].settings
            ),
            "low": self.low,
            "high": self.high,
            "estimators": [e.state_dict() for e in self._estimators],
        }
        # Whole or not at all, whatever happens in between, and whoever else saves here.
        unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            torch.save(content, unfinished)
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)

    def _flat(self, x):
        if tuple(x.shape[x.ndim - len(self.shape) :]) != self.shape:
            raise ValueError(
                f"This posterior was trained on data of shape {self.shape}; x is {tuple(x.shape)}."
            )
        x = x.to(self.low.dtype).reshape(-1, *self.shape)
        if wrong := int((~x.isfinite()).flatten(1).any(dim=1).sum()):
            sets = f"{wrong} of {len(x)} data sets"
            raise ValueError(f"{sets} hold NaN or infinity: does a summary take the log of zero?")
        return x


def load_posterior(path, device=None, embedding: Callable | None = None) -> BoxPosterior:
    """Read a posterior that `BoxPosterior.save` wrote.

    Nothing in the file is run: it is read as numbers and words only (torch's `weights_only`).

    Args:
        path: the file.
        device: where it shall work; by default the CPU.
        embedding: the function that was given to `train_posterior`, if it was not one of this module's.

    Raises:
        FileNotFoundError: if there is no such file.
        PosteriorFileError: if it is damaged, of another kind or newer than this code, or needs an
            embedding that was not given.
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
    estimators, shape = [], tuple(settings["shape"])
    for state in content["estimators"]:
        estimator = _Estimator(shape, settings["n_parameters"], make).to(content["low"])
        try:
            estimator.load_state_dict(state)
        except RuntimeError as error:
            raise PosteriorFileError(
                f"{path} does not fit its own settings: it is damaged, or its embedding "
                f"{settings['embedding']!r} is another one today."
            ) from error
        estimators.append(estimator.eval().to(device))
    low, high = content["low"].to(device), content["high"].to(device)
    return BoxPosterior(estimators, low, high, settings["summary"])


def train_posterior(
    theta: Tensor,
    x: Tensor,
    low: Tensor,
    high: Tensor,
    *,
    generator: torch.Generator,
    n_flows: int = 2,
    embedding: Callable[[tuple], nn.Module] = weighted_sums,
    batch_size: int = 500,
    learning_rate: float = 3e-3,
    patience: int = 8,
    max_epochs: int = 300,
    summary: str = "",
) -> BoxPosterior:
    """Neural posterior estimation: θ ~ U(low, high), x its simulations; maximises mean ln q(θ|x).

    The density is one of logit[(θ - low)/(high - low)], so that none is lost outside the box. Each
    flow shifts and stretches first, then bends: an affine autoregressive transform can be as narrow
    as the data demand, which splines alone learn slowly, and the splines give it its shape. What is
    kept is a running mean of the weights over a hundred steps, from the epoch in which a held-out
    tenth of the simulations is most probable. Several flows, which differ in their first weights
    and in that tenth, are less sure of themselves than one.

    Reference: Papamakarios & Murray 2016, arXiv:1605.06376; Papamakarios et al. 2017,
    arXiv:1705.07057, and Durkan et al. 2019, arXiv:1906.04032, for the transforms.

    Args:
        theta: (n, P) draws from the prior, of the dtype and on the device that shall do the work.
        x: (n, ...) simulations, finite; of positive quantities that span decades, their logarithms.
        low, high: (P,) corners.
        generator: torch generator, on the CPU, of weights, order and split.
        n_flows: how many flows share the posterior.
        embedding: makes the network that comes before a flow, from the shape of one data set: from
            (n, *shape) to (n, M), trained along.
        batch_size, learning_rate: of the steps of Adam.
        patience: epochs without a gain after which the steps become short, and then training ends.
        max_epochs: epochs after which it ends anyway.
        summary: what x is, in words, to be saved along.

    Returns:
        The posterior.

    Raises:
        ValueError: if shapes differ, there are fewer than 20 simulations, x is not finite, a θ is
            outside the box, or no epoch had a finite loss.

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
    if theta.ndim != 2 or x.ndim < 2 or len(theta) != len(x) or theta.shape[1:] != low.shape:
        raise ValueError(
            f"theta {tuple(theta.shape)}, x {tuple(x.shape)} and corners {tuple(low.shape)}: they "
            "must be (n, P), (n, ...) and (P,)."
        )
    if len(theta) < 20:
        raise ValueError(f"{len(theta)} simulations cannot train a network: simulate thousands.")
    x, low, high = (t.to(theta) for t in (x, low, high))
    if not bool(x.isfinite().all()):
        raise ValueError("x holds NaN or infinity: does a summary take the logarithm of zero?")
    inside = ((theta >= low) & (theta <= high)).all(dim=0)
    if outside := torch.nonzero(~inside).flatten().tolist():
        raise ValueError(f"Some theta of columns {outside} are not between low and high.")
    # A uniform prior draws its edge now and then: once in ten million times, by rounding.
    logits = torch.logit(((theta - low) / (high - low)).clamp(_EDGE, 1 - _EDGE))
    estimators = []
    for _ in range(n_flows):
        with seeded(generator):
            estimator = _Estimator(tuple(x.shape[1:]), theta.shape[1], embedding).to(theta)
            estimator.standardise(logits, x)
            _fit(estimator, logits, x, batch_size, learning_rate, patience, max_epochs)
            estimators.append(estimator.eval())
    return BoxPosterior(estimators, low, high, summary)


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
            spread = sample.std(dim=0)
            # What never varies says nothing, and must not become something divided by zero.
            getattr(self, f"{name}_scale").copy_(torch.where(spread > 0, spread, 1.0))

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
    best, best_loss, epochs = None, math.inf, iter(range(max_epochs))
    # Widths are learnt that cover the jitter, which the mean does not have: short steps take it away.
    for rate in (learning_rate, 0.1 * learning_rate):
        optimiser = torch.optim.Adam(estimator.parameters(), rate)
        waited = 0
        for _ in epochs:
            for batch in kept[torch.randperm(len(kept)).to(z.device)].split(batch_size):
                optimiser.zero_grad()
                loss = -estimator.log_prob(z[batch], x[batch]).mean()
                loss.backward()
                nn.utils.clip_grad_norm_(estimator.parameters(), 5.0)
                optimiser.step()
                mean.update_parameters(estimator)
            with torch.no_grad():
                loss = -mean.module.log_prob(z[held_out], x[held_out]).mean().item()
            waited += 1
            if loss < best_loss:
                best, best_loss, waited = copy.deepcopy(mean.module.state_dict()), loss, 0
            if waited == patience:
                break
        if best is None:
            raise ValueError(
                "The training lost its way: no epoch had a finite loss. Take a smaller learning_rate, or "
                "look at x for values that are thousands of standard deviations away from the others."
            )
        estimator.load_state_dict(best)
        mean.module.load_state_dict(best)
