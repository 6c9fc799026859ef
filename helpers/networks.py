"""Small neural networks for features and power spectra, and the loop that trains them.

Lesson 09 writes both step by step; later lessons import them. Bad input gives a ValueError.
"""

from contextlib import contextmanager

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from torch import Tensor, nn

__all__ = ["NetworkClassifier", "convolutional", "feed_forward", "probabilities", "seeded", "train"]


def feed_forward(n_features: int, n_classes: int, *, generator, hidden=(64, 32)) -> nn.Sequential:
    """Make a feed-forward network with the layers linear, ReLU, linear, ReLU, ..., linear.

    Args:
        n_features, n_classes: number of features of a sample, and number of classes.
        generator: torch generator of the initial weights, in torch's default distribution.
        hidden: number of units in each hidden layer; () gives a logistic regression.

    Returns:
        A network from (n, n_features) to (n, n_classes) logits, on the CPU.

    Example:
        >>> network = feed_forward(5, 2, generator=torch.Generator().manual_seed(1), hidden=(8,))
        >>> network(torch.zeros(3, 5)).shape, sum(p.numel() for p in network.parameters())
        (torch.Size([3, 2]), 66)
    """
    with seeded(generator):
        layers = []
        for size in hidden:
            layers += [nn.Linear(n_features, size), nn.ReLU()]
            n_features = size
        return nn.Sequential(*layers, nn.Linear(n_features, n_classes))


def convolutional(n_bins: int, n_classes: int, *, generator) -> nn.Sequential:
    """Make a one-dimensional convolutional network for binned spectra.

    It has two blocks, with 16 and 32 filters. Each block applies its filters of 7 bins along the
    spectrum, then keeps the larger of two neighbours. A filter is the same at all frequencies.

    Args:
        n_bins: number of bins of a spectrum, four or more.
        n_classes, generator: as in `feed_forward`.

    Returns:
        A network from (n, n_bins) to (n, n_classes) logits, on the CPU.

    Example:
        >>> network = convolutional(71, 4, generator=torch.Generator().manual_seed(1))
        >>> network(torch.zeros(3, 71)).shape
        torch.Size([3, 4])
    """
    if n_bins < 4:
        raise ValueError(f"{n_bins} bins cannot be halved twice: a convolution needs four or more.")
    with seeded(generator):
        return nn.Sequential(
            nn.Unflatten(1, (1, n_bins)),
            nn.Conv1d(1, 16, 7, padding=3), nn.ReLU(), nn.MaxPool1d(2),
            nn.Conv1d(16, 32, 7, padding=3), nn.ReLU(), nn.MaxPool1d(2),
            nn.Flatten(), nn.Linear(32 * (n_bins // 4), n_classes),
        )  # fmt: skip


def train(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    generator: torch.Generator,
    held_out: tuple[Tensor, Tensor] | None = None,
    n_epochs: int = 60,
    batch_size: int = 64,
    learning_rate: float = 2e-3,
    weight_decay: float = 1e-3,
    balanced: bool = True,
) -> dict[str, list[float]]:
    """Train a classifier in place by mini-batch descent on the cross-entropy, with AdamW's steps.

    With `balanced`, rare classes are not ignored, and probabilities hold for equally common classes.
    (If many labels of a rare class are wrong, the balanced model can be worse: lesson 08.)

    Reference: Loshchilov & Hutter 2019, arXiv:1711.05101, for AdamW.

    Args:
        network: from (n, ...) to (n, n_classes) logits, on the device of x.
        x: (n, ...) samples, scaled and finite, on the device on which to train.
        y: (n,) class numbers from 0, each class at least once.
        generator: torch generator on the CPU, for the order of the samples.
        held_out: (x, y) of a held-out set, whose loss is computed but not minimised.
        n_epochs, batch_size: passes through the samples, and samples per step.
        learning_rate, weight_decay: initial learning rate, and strength of AdamW's weight decay.
        balanced: whether classes, rather than samples, have the same weight in the loss.

    Returns:
        A dictionary with "train" and, if given, "held_out": the loss after each epoch, a mean over
        samples, weighted as in the training. Equal probabilities give log(n_classes).

    Example:
        >>> generator = torch.Generator().manual_seed(1)
        >>> x = torch.randn(200, 2, generator=generator)
        >>> y = (x[:, 0] > 0).long()
        >>> network = feed_forward(2, 2, generator=generator, hidden=(8,))
        >>> losses = train(network, x, y, generator=generator)["train"]
        >>> len(losses), losses[-1] < 0.3
        (60, True)
    """
    if len(x) != len(y):
        raise ValueError(f"x has {len(x)} samples and y {len(y)} classes: give one class for each.")
    if not torch.isfinite(x).all():
        raise ValueError("x holds NaN or infinity: fill the gaps before you train.")
    counts = torch.bincount(y)
    if absent := torch.nonzero(counts == 0).flatten().tolist():
        raise ValueError(f"y has no sample of class {absent}: number the classes from 0.")
    weight = (len(y) / (len(counts) * counts)).to(x)
    loss_of = nn.CrossEntropyLoss(weight=weight if balanced else None)
    settings = {"lr": learning_rate, "weight_decay": weight_decay, "fused": True}
    optimiser = torch.optim.AdamW(network.parameters(), **settings)
    watched = {"train": (x, y)} | ({"held_out": held_out} if held_out else {})
    losses = {name: [] for name in watched}
    for _ in range(n_epochs):
        for batch in torch.randperm(len(x), generator=generator).to(x.device).split(batch_size):
            optimiser.zero_grad()
            loss_of(network(x[batch]), y[batch]).backward()
            optimiser.step()
        with torch.no_grad():
            for name, (samples, classes) in watched.items():
                losses[name].append(loss_of(network(samples), classes).item())
    return losses


def probabilities(network: nn.Module, x: Tensor) -> Tensor:
    """Compute the probabilities (n, n_classes) of the classes of samples x (n, ...), without gradients.

    Example:
        >>> network = feed_forward(2, 3, generator=torch.Generator().manual_seed(1))
        >>> probabilities(network, torch.zeros(1, 2)).sum().round(decimals=5).item()
        1.0
    """
    with torch.no_grad():
        return network(x).softmax(-1)


class NetworkClassifier(ClassifierMixin, BaseEstimator):
    """Classifier that gives a network the interface of scikit-learn, for pipelines and folds.

    Args:
        make: `feed_forward`, `convolutional`, or any function (n_features, n_classes, generator=...).
        seed: integer seed of the initial weights and of the order of the samples.
        device: torch's name of the device on which to compute.
        training: dictionary of further arguments of `train`, such as {"n_epochs": 10}.

    Attributes:
        classes_, network_: after `fit`, the sorted labels, and the trained network.

    Example:
        >>> x = np.random.default_rng(1).normal(size=(200, 2))
        >>> model = NetworkClassifier(seed=2, training={"n_epochs": 40})
        >>> model.fit(x, np.where(x[:, 0] > 0, "right", "left")).predict([[3.0, 0.0]])
        array(['right'], dtype='<U5')
    """

    def __init__(self, make=feed_forward, *, seed=0, device="cpu", training=None):
        self.make, self.seed, self.device, self.training = make, seed, device, training

    def fit(self, x, y):
        self.classes_, y = np.unique(y, return_inverse=True)
        x, generator = self._tensor(x), torch.Generator().manual_seed(self.seed)
        network = self.make(x.shape[1], len(self.classes_), generator=generator)
        self.network_ = network.to(self.device)
        y = torch.as_tensor(y, device=self.device)
        train(self.network_, x, y, generator=generator, **(self.training or {}))
        return self

    def predict_proba(self, x):
        return probabilities(self.network_, self._tensor(x)).cpu().numpy()

    def predict(self, x):
        return self.classes_[self.predict_proba(x).argmax(axis=1)]

    def _tensor(self, x):
        return torch.as_tensor(np.asarray(x, dtype=np.float32), device=self.device)


@contextmanager
def seeded(generator):
    """Seed torch's global generator from a generator inside this context, and restore it afterwards."""
    device = None if generator is None else generator.device
    seed = int(torch.randint(2**31, (), generator=generator, device=device))
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield
