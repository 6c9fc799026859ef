"""Checks of lesson 09: a (more complex?) algorithm."""

import copy
import itertools
import numbers

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from helpers import plotting

from . import Hint, array, exercise, function, number, sorting

__all__ = [
    "bump_filter",
    "forward",
    "n_parameters",
    "neighbours_vote",
    "symptoms",
    "train_step",
    "xor",
]


def _neighbours_vote(x_train, y_train, x_new, k):
    distance = np.sqrt(((x_train - x_new) ** 2).sum(axis=1))
    return y_train[np.argsort(distance)[:k]].mean()


@exercise("Exercise 9.1", reference=lambda: _neighbours_vote)
def neighbours_vote(answer):
    """A function: rows (n, d), labels (n,), a new row (d,), k -> share of ones among the k nearest."""
    answer = function(answer)
    generator = np.random.default_rng(91)
    # Heavy tails and eight features: other distances choose other neighbours.
    x = generator.standard_t(2, size=(200, 8))
    y = (generator.random(200) < 1 / (1 + np.exp(-2 * x[:, 0]))).astype(int)
    cases = [(k, generator.normal(size=8)) for k in (7, 31, 12, 61)]
    found = [
        number(answer(x.copy(), y.copy(), new.copy(), k), "a share between 0 and 1")
        for k, new in cases
    ]

    def same(route):
        return np.allclose(
            found, [route(np.argsort(((x - new) ** 2).sum(axis=1)), k, new) for k, new in cases]
        )

    if same(lambda order, k, new: y[order[:k]].mean()):
        return
    for route, hint in (
        (
            lambda order, k, new: y[order[:k]].sum(),
            "That is the number of ones, not their share: divide by k.",
        ),
        (lambda order, k, new: 1 - y[order[:k]].mean(), "That is the share of zeros."),
        (
            lambda order, k, new: y[order[:k]].mean() > 0.5,
            "That is the verdict of the vote; return the share, which says how clear it was.",
        ),
        (
            lambda order, k, new: y[order[-k:]].mean(),
            "Those are the k farthest rows: argsort puts the smallest first.",
        ),
        (
            lambda order, k, new: y[:k].mean(),
            "That is the same for every new row: use the order of the distances to choose labels.",
        ),
        (
            lambda order, k, new: y[order[1 : k + 1]].mean(),
            "The nearest row was skipped; but the new row is not in the training set.",
        ),
        (
            lambda order, k, new: y[np.argsort((x - new).sum(axis=1))[:k]].mean(),
            "Differences of opposite sign cancel: square them before you sum.",
        ),
        (
            lambda order, k, new: y[np.argsort(np.abs(x - new).sum(axis=1))[:k]].mean(),
            "That is the sum of absolute differences; Euclid's distance squares them.",
        ),
    ):
        if same(route):
            raise Hint(hint)
    for (k, new), share in zip(cases, found, strict=True):
        right = _neighbours_vote(x, y, new, k)
        if not np.isclose(share, right):
            raise Hint(
                f"For {k} of 200 neighbours with eight features we find a share of {right:.3f} and you {share:.3f}: "
                "one distance per row, so sum over the features (axis 1)."
            )


symptoms = sorting(
    "Exercise 9.2",
    {
        "training rows 0.99, held-out sources 0.60": (
            "overfitting",
            "it knows by heart what it has seen, and little else.",
        ),
        "training rows 0.62, held-out sources 0.61, a rival reaches 0.75 on both": (
            "underfitting",
            "nothing was learned by heart here; but was enough learned?",
        ),
        "random rows held out 0.97, whole sources held out 0.88": (
            "leak",
            "the model is the same; who sat on both sides in the first number?",
        ),
        "the held-out loss rises since epoch 6, the training loss falls on": (
            "overfitting",
            "what it still learns helps on the training rows only.",
        ),
        "training rows 0.78, held-out sources 0.75 ± 0.02": (
            "healthy",
            "compare the gap with the error bar.",
        ),
        "four states, and the model never names two of them, not even on training rows": (
            "underfitting",
            "it fails on rows that it has seen: more of the same training will not help.",
        ),
    },
)

_CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float)
_XOR = {
    "hidden weights": [[1, 1], [1, 1]],
    "hidden biases": [-0.5, -1.5],
    "output weights": [1, -1],
    "output bias": -0.5,
}


@exercise("Exercise 9.3", reference=lambda: copy.deepcopy(_XOR))
def xor(answer):
    """A dictionary of the nine numbers of two hidden perceptrons and one output."""
    if not isinstance(answer, dict) or set(answer) != set(_XOR):
        raise Hint(f"Expected a dictionary with the keys {', '.join(map(repr, _XOR))}.")
    for key, value in answer.items():
        if value is ...:
            raise Hint(f"{key!r} has no answer yet.")
    weight = array(answer["hidden weights"], (2, 2), "hidden weights, one row per perceptron")
    bias = array(answer["hidden biases"], (2,), "two hidden biases")
    out_weight = array(answer["output weights"], (2,), "two output weights")
    out_bias = number(answer["output bias"], "an output bias")

    def layers(points):
        z = points @ weight.T + bias
        return z, (z > 0) @ out_weight + out_bias

    _draw_plane(weight, bias, lambda points: layers(points)[1] > 0)
    z, out = layers(_CORNERS)
    hidden = (z > 0).astype(int)
    fires = out > 0
    if np.array_equal(fires, [False, True, True, False]):
        return
    if (np.abs(z) < 1e-9).any():
        row, unit = np.argwhere(np.abs(z) < 1e-9)[0]
        raise Hint(
            f"The corner {tuple(map(int, _CORNERS[row]))} lies exactly on the line of hidden "
            f"perceptron {unit + 1}, where z = 0 and it does not fire: shift the line."
        )
    if np.array_equal(fires, [False, True, True, True]):
        raise Hint(
            "That is OR: it fires at (1, 1) as well. Which hidden perceptron could forbid that?"
        )
    if np.array_equal(fires, [True, False, False, True]):
        raise Hint("That is the exact opposite: change the sign of the output weights and bias.")
    if np.array_equal(hidden[:, 0], hidden[:, 1]):
        raise Hint(
            "Both hidden perceptrons fire at the same corners, so that one of them is idle: let them "
            "draw two different lines."
        )
    ones, zeros = ({tuple(hidden[k]) for k in rows} for rows in ((1, 2), (0, 3)))
    if ones & zeros:
        raise Hint(
            f"The hidden layer sends a corner that should fire and one that should not to the same "
            f"pair {next(iter(ones & zeros))}: no output can tell them apart. Move one of the two lines."
        )
    raise Hint(
        "The hidden layer is fine: it turns the corners into "
        f"{', '.join(str(tuple(map(int, h))) for h in hidden)}. Now the output must fire for the second and third only."
    )


def _draw_plane(weight, bias, fires):
    fig, ax = plt.subplots(figsize=(3, 3))
    side = np.linspace(-0.5, 1.5, 101)
    x, y = np.meshgrid(side, side)
    inside = fires(np.column_stack([x.ravel(), y.ravel()])).reshape(x.shape)
    ax.contourf(x, y, inside, levels=[0.5, 1.5], colors=["0.85"])
    for (a, b), c, style in zip(weight, bias, ("-", "--"), strict=True):
        if np.ptp(a * x + b * y + c) > 0:
            ax.contour(x, y, a * x + b * y + c, levels=[0], colors="black", linestyles=style)
    for (a, b), wanted in zip(_CORNERS, (0, 1, 1, 0), strict=True):
        ax.plot(a, b, "o" if wanted else "^", color="C0" if wanted else "C1", markersize=9)
    ax.set(xlabel="first input", ylabel="second input", xticks=[0, 1], yticks=[0, 1])
    plotting.show(
        fig,
        alt=(
            "The four corners, circles where y should be 1 and triangles where it should be 0; the lines "
            "of your two hidden perceptrons, and in grey where your network fires."
        ),
    )


def _forward(x, layers):
    for weight, bias in layers[:-1]:
        x = np.maximum(x @ weight.T + bias, 0)
    weight, bias = layers[-1]
    return x @ weight.T + bias


_ANY_NUMBER = (
    "It fails for {} layer(s) of weights: there may be any number of layers, so write a loop."
)


@exercise("Exercise 9.4", reference=lambda: _forward)
def forward(answer):
    """A function: samples (n, d), [(weight, bias), ...] -> outputs (n, n_classes)."""
    answer = function(answer)
    generator = np.random.default_rng(94)
    for sizes in ((5, 8, 3), (4, 4, 4, 4), (6, 7, 5, 2), (3, 2)):
        layers = [
            (generator.normal(size=(after, before)), generator.normal(size=after))
            for before, after in itertools.pairwise(sizes)
        ]
        x = generator.normal(size=(40, sizes[0]))
        try:
            value = answer(x.copy(), [(w.copy(), b.copy()) for w, b in layers])
        except ValueError as error:
            raise Hint(
                "The shapes do not fit: weights are (n_out, n_in) and samples (n, n_in), so multiply "
                f"by the transposed weights, x @ weight.T. (numpy says: {error})"
            ) from None
        except IndexError:
            raise Hint(_ANY_NUMBER.format(len(layers))) from None
        found = array(
            value, (40, sizes[-1]), "outputs, one row per sample and one column per class,"
        )
        right = _forward(x, layers)
        if np.allclose(found, right):
            continue
        plain = x
        for weight, bias in layers:
            plain = plain @ weight.T + bias
        if len(layers) > 1 and np.allclose(found, plain):
            raise Hint(
                "Without the ReLU, all layers together are one matrix, and the network is a straight line."
            )
        if np.allclose(found, np.maximum(right, 0)):
            raise Hint("No ReLU after the last layer: logarithms of odds may be negative.")
        odds = np.exp(right - right.max(axis=1, keepdims=True))
        if np.allclose(found, odds / odds.sum(axis=1, keepdims=True)):
            raise Hint("That is the softmax of the outputs; return the outputs themselves.")
        bare = [(weight, 0 * bias) for weight, bias in layers]
        if np.allclose(found, _forward(x, bare)):
            raise Hint("The biases are missing.")
        if sizes == (4, 4, 4, 4) and np.allclose(found, _forward(x, [(w.T, b) for w, b in layers])):
            raise Hint("Weights are (n_out, n_in): row j belongs to perceptron j, so use weight.T.")
        raise Hint(
            f"For layers of {sizes} perceptrons the outputs differ: each layer is x @ weight.T + bias, then "
            "what is below 0 becomes 0, but for the last one."
        )


def _n_parameters(sizes):
    return sum((before + 1) * after for before, after in itertools.pairwise(sizes))


@exercise("Exercise 9.5", reference=lambda: _n_parameters)
def n_parameters(answer):
    """A function: sizes of the layers -> number of weights and biases."""
    answer = function(answer)
    for sizes in ((7, 4, 3), (27, 64, 32, 2), (10, 3), (5, 1), (71, 128, 9, 5, 4)):
        try:
            found = number(answer(sizes), "a number of parameters")
        except (IndexError, ValueError):
            raise Hint(_ANY_NUMBER.format(len(sizes) - 1)) from None
        right = _n_parameters(sizes)
        if found == right:
            continue
        weights = sum(a * b for a, b in itertools.pairwise(sizes))
        if found == np.prod(sizes) != weights:
            raise Hint(
                "Layers follow one another: add what lies between each two, do not multiply all."
            )
        if found == weights:
            raise Hint("Those are the weights; each perceptron has a bias as well.")
        if found == weights + sum(sizes):
            raise Hint("The inputs are no perceptrons: they have no bias.")
        if found == weights + sum(sizes[1:-1]):
            raise Hint("The last layer has biases, too, though no activation follows it.")
        if found == weights + len(sizes) - 1:
            raise Hint("One bias per perceptron, not one per layer.")
        if found in (sum(sizes), sum(sizes[1:])):
            raise Hint(
                "Those are the perceptrons; count the connections between them, and the biases."
            )
        if found == np.prod(sizes):
            raise Hint(
                "Layers follow one another: add what lies between each two, do not multiply all."
            )
        raise Hint(f"For {sizes} we count {right} and you {found:g}: go from layer to layer.")


def _train_step(network, loss_of, optimiser, x, y):
    optimiser.zero_grad()
    loss = loss_of(network(x), y)
    loss.backward()
    optimiser.step()
    return loss.item()


def _loss_of(outputs, y):
    """The cross entropy, for which torch has no good words if it is given something else."""
    if np.shape(outputs) != (len(outputs), 2) or np.shape(y) != (len(outputs),):
        raise Hint(
            "`loss_of(outputs, y)` wants all outputs of the network first, then the classes."
        )
    return nn.functional.cross_entropy(outputs, y)


def _steps(step, n_steps=3):
    """Weights after each of some steps of plain descent on a small network, and the losses."""
    generator = torch.Generator().manual_seed(96)
    network = nn.Linear(3, 2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    optimiser = torch.optim.SGD(network.parameters(), lr=0.5)
    weights, losses = [], []
    for _ in range(n_steps):
        x = torch.randn(30, 3, generator=generator)
        y = (x[:, 0] > 0).long()
        losses.append(step(network, _loss_of, optimiser, x, y))
        weights.append(network.weight.detach().clone())
    return weights, losses


def _accumulating(network, loss_of, optimiser, x, y):
    loss = loss_of(network(x), y)
    loss.backward()
    optimiser.step()
    return loss.item()


def _with_softmax(network, loss_of, optimiser, x, y):
    return _train_step(lambda x: network(x).softmax(-1), loss_of, optimiser, x, y)


@exercise("Exercise 9.6", reference=lambda: _train_step)
def train_step(answer):
    """A function: network, loss, optimiser, samples, classes -> the loss; the network has learned."""
    answer = function(answer)
    weights, losses = _steps(answer)
    right, right_losses = _steps(_train_step)
    if torch.equal(weights[0], weights[-1]) and not torch.equal(right[0], weights[0]):
        raise Hint(
            "The network did not change: a step needs gradients (backward), and somebody who walks (step)."
        )
    if not torch.allclose(weights[0], right[0], atol=1e-5):
        if torch.allclose(weights[0], _steps(_with_softmax, 1)[0][0], atol=1e-5):
            raise Hint("`loss_of` applies the softmax itself: give it the outputs as they are.")
        raise Hint(
            "The first step leads elsewhere than the gradient: one forward pass, one backward, one step."
        )
    if not torch.allclose(weights[-1], right[-1], atol=1e-5):
        if torch.allclose(weights[-1], _steps(_accumulating)[0][-1], atol=1e-5):
            raise Hint(
                "The first step is right, the second not: torch adds new gradients to the old ones "
                "unless you forget them, optimiser.zero_grad()."
            )
        raise Hint(
            "The first step is right, later ones are not: forget the old gradients before backward(), "
            "not between backward() and step()."
        )
    for loss, expected in zip(losses, right_losses, strict=True):
        if isinstance(loss, torch.Tensor):
            if loss.requires_grad:
                raise Hint(
                    "The loss is a tensor that holds on to its whole history: return loss.item(), a number."
                )
            loss = loss.item()
        if not isinstance(loss, numbers.Real) or abs(loss - expected) > 1e-5:
            raise Hint("Return the loss of this batch as a number, as it was before the step.")


@exercise("Exercise 9.7", reference=lambda: np.array([-1, -1, 1, 2, 1, -1, -1]))
def bump_filter(answer):
    """Seven numbers that find a bump on any straight line."""
    kernel = array(answer, (7,), "seven numbers")
    if np.allclose(kernel, 0):
        raise Hint("All zero: it answers zero to everything, bumps included.")
    size = np.abs(kernel).sum()
    if abs(kernel.sum()) > 1e-6 * size:
        raise Hint(
            f"On a constant spectrum of 1 it answers {kernel.sum():.3g}: the seven numbers must sum to zero."
        )
    if abs(kernel @ np.arange(-3, 4)) > 1e-6 * size:
        raise Hint(
            f"On a straight slope it answers {kernel @ np.arange(-3, 4):.3g}, so that steep noise looks like "
            "a bump: what goes up on the left must do the same on the right."
        )
    bump = np.zeros(21)
    bump[9:12] = 1, 2, 1
    strength = np.correlate(bump, kernel, "valid")
    middle = len(strength) // 2
    if strength[middle] <= 0:
        raise Hint("In front of a bump it answers with a negative number: turn all signs round.")
    if strength.argmax() != middle or np.isclose(strength, strength.max()).sum() > 1:
        away = np.flatnonzero(strength >= strength[middle] - 1e-9)
        off = [int(k - middle) for k in away if k != middle]
        raise Hint(
            f"Its answer is as large, or larger, where the bump sits {abs(off[0])} bins off the middle: "
            "make the middle of the filter the highest part, and as wide as the bump."
        )
