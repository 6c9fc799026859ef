"""Checks of lesson 09: a (more complex?) algorithm."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.special import expit, softmax
from torch import nn

from course.checks import Hint, exercise, forms
from course.checks.examples import by_example, shaped, sorting
from helpers import plotting

__all__ = [
    "bump_filter",
    "forward",
    "n_parameters",
    "neighbours_vote",
    "symptoms",
    "train_step",
    "xor",
]


def _nearest(x_train, x_new):
    return np.argsort(((x_train - x_new) ** 2).sum(axis=1))


def _neighbours_vote(x_train, y_train, x_new, k):
    """A function: rows (n, d), labels (n,), a new row (d,), k -> share of ones among the k nearest."""
    return y_train[_nearest(x_train, x_new)[:k]].mean()


def _some_rows():
    """Return rows with heavy tails in many features: each mistake takes other rows, and gives another share."""
    generator, questions = np.random.default_rng(1), []
    for n, n_features, k in ((1500, 8, 401), (150, 8, 7), (90, 5, 61), (40, 3, 1)):
        x = generator.standard_t(2, size=(n, n_features))
        y = (generator.random(n) < expit(2 * x[:, 0])).astype(int)
        order = np.argsort(generator.normal(size=n) - 2 * y)
        questions.append((x[order], y[order], generator.normal(size=n_features), k))
    return questions


neighbours_vote = by_example(
    "Exercise 9.1",
    _neighbours_vote,
    _some_rows,
    {
        "That is the number of ones, not their share: divide by k.": lambda x, y, new, k: y[
            _nearest(x, new)[:k]
        ].sum(),
        "That is the share of zeros.": lambda *given: 1 - _neighbours_vote(*given),
        "That is the label of a single row; k of them vote: mind the colon in [:k].": [
            lambda x, y, new, k: y[_nearest(x, new)[0]],
            lambda x, y, new, k: y[_nearest(x, new)[k]],
        ],
        "That is the verdict of the vote; return the share, which says how clear it was.": [
            lambda *given: int(_neighbours_vote(*given) > 0.5),
            lambda *given: _neighbours_vote(*given) > 0.5,
        ],
        "Those are the k farthest rows: argsort puts the smallest first.": lambda x, y, new, k: y[
            _nearest(x, new)[-k:]
        ].mean(),
        "That is the same for every new row: use the order of the distances to choose labels.": lambda x, y, new, k: (
            y[:k].mean()
        ),
        "The nearest row was skipped; but the new row is not in the training set.": lambda x, y, new, k: (
            y[_nearest(x, new)[1 : k + 1]].mean()
        ),
        "Those are k + 1 rows: the slice [:k] holds k.": lambda x, y, new, k: _neighbours_vote(
            x, y, new, k + 1
        ),
        "Differences of opposite sign cancel: square them before you sum.": [
            lambda x, y, new, k: y[np.argsort((x - new).sum(axis=1))[:k]].mean(),
            lambda x, y, new, k: y[np.argsort(np.abs((x - new).sum(axis=1)))[:k]].mean(),
        ],
        "That is the sum of absolute differences, or the largest; Euclid's distance sums their squares.": [
            lambda x, y, new, k: y[np.argsort(np.abs(x - new).sum(axis=1))[:k]].mean(),
            lambda x, y, new, k: y[np.argsort(np.abs(x - new).max(axis=1))[:k]].mean(),
        ],
        "One distance per row, so sum over the features (axis 1).": [
            lambda x, y, new, k: y[np.argsort(((x - new) ** 2).sum(axis=0))[:k]].mean(),
            lambda x, y, new, k: y[np.argsort(((x - new) ** 2).sum())[:k]].mean(),
        ],
    },
    returns=forms.number("a share between 0 and 1"),
    otherwise="For {3} neighbours we find a share of {ours} and you {yours}: take Euclid's distance of the new row "
    "from each training row, and the labels of the k smallest.",
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
        "the held-out loss rises from epoch 6 on, the training loss continues to fall": (
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
    "hidden weights": np.ones((2, 2)),
    "hidden biases": np.array([-0.5, -1.5]),
    "output weights": np.array([1.0, -1.0]),
    "output bias": -0.5,
}


def _bare(what):
    """Form of an array in which a row or a column of numbers becomes one-dimensional."""

    def form(value, given=()):
        if "Ellipsis" in repr(value):
            raise Hint(f"{what!r} has no answer yet.")
        return np.squeeze(forms.array(what)(value))

    return form


@exercise(
    "Exercise 9.3",
    reference=lambda: dict(_XOR),
    form=forms.mapping(
        {k: _bare(k) if np.ndim(value) else forms.number(k) for k, value in _XOR.items()}
    ),
)
def xor(answer):
    """A dictionary of the nine numbers of two hidden perceptrons and one output."""
    weight, bias, out_weight, out_bias = (
        shaped(answer[key], np.shape(value), key) for key, value in _XOR.items()
    )

    def layers(points):
        z = points @ weight.T + bias
        return z, (z > 0) @ out_weight + out_bias > 0

    _draw_plane(weight, bias, lambda points: layers(points)[1])
    z, fires = layers(_CORNERS)
    if np.array_equal(fires, [False, True, True, False]):
        return
    if np.array_equal(fires, [False, True, True, True]):
        raise Hint(
            "That is OR: it fires at (1, 1) as well. Which hidden perceptron could forbid that?"
        )
    if np.array_equal(fires, [True, False, False, True]):
        raise Hint("That is the exact opposite: change the sign of the output weights and bias.")
    hidden = [tuple(corner) for corner in (z > 0).astype(int).tolist()]
    ones, zeros = {hidden[1], hidden[2]}, {hidden[0], hidden[3]}
    if not ones & zeros and len(ones | zeros) < 4:
        raise Hint(
            f"The hidden layer is fine: it turns the corners into {', '.join(map(str, hidden))}. Now the output must "
            "fire for the second and third only."
        )
    if (np.abs(z) < 1e-9).any():
        row, unit = np.argwhere(np.abs(z) < 1e-9)[0]
        raise Hint(
            f"The corner {tuple(map(int, _CORNERS[row]))} lies exactly on the line of hidden "
            f"perceptron {unit + 1}, where z = 0 and it does not fire: shift the line."
        )
    if ones & zeros:
        raise Hint(
            "The hidden layer sends a corner that should fire and one that should not to the same pair "
            f"{min(ones & zeros)}: no output can tell them apart. Move one of the two lines."
        )
    raise Hint(
        "The hidden layer turns four corners into four corners, so that the output faces the same problem again: let "
        "it send (0, 1) and (1, 0) to the same pair, or (0, 0) and (1, 1)."
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


def _relu(z):
    return np.maximum(z, 0)


def _forward(x, layers, activation=_relu):
    """A function: samples (n, d), [(weight, bias), ...] -> outputs (n, n_classes)."""
    for weight, bias in layers[:-1]:
        x = activation(x @ weight.T + bias)
    weight, bias = layers[-1]
    return x @ weight.T + bias


def _some_layers():
    """Return samples and layers; in the first question all matrices are square, so that transposes fit, too."""
    generator, questions = np.random.default_rng(94), []
    for sizes in ((4, 4, 4, 4), (5, 8, 3), (6, 7, 5, 2), (3, 2)):
        layers = [
            (generator.normal(size=(after, before)), generator.normal(size=after))
            for before, after in itertools.pairwise(sizes)
        ]
        questions.append((generator.normal(size=(40, sizes[0])), layers))
    return questions


class _Samples(np.ndarray):
    """Samples that raise a hint if one of them is taken by its number."""

    def __getitem__(self, key):
        first = key[0] if isinstance(key, tuple) and key else key
        if isinstance(first, int) and first == 39:  # the last of forty
            raise Hint("Right, but one sample at a time: `x @ weight.T` takes all of them at once.")
        return super().__getitem__(key)


forward = by_example(
    "Exercise 9.4",
    _forward,
    _some_layers,
    {
        "Without the ReLU, all layers together are one matrix, and the network is a straight line.": (
            lambda x, layers: _forward(x, layers, activation=lambda z: z)
        ),
        "No ReLU after the last layer: logits may be negative.": lambda *given: _relu(
            _forward(*given)
        ),
        "The samples go into the first layer as they are: the ReLU follows each layer but the last.": (
            lambda x, layers: _forward(_relu(x), layers)
        ),
        "The activation is the ReLU: what is below 0 becomes 0, and the rest stays.": lambda x, layers: (
            _forward(x, layers, activation=expit)
        ),
        "Return the outputs themselves: no softmax of them, and not the class.": [
            lambda *given: softmax(_forward(*given), axis=1),
            lambda *given: _forward(*given).argmax(axis=1),
        ],
        "The biases are missing.": lambda x, layers: _forward(
            x, [(weight, 0) for weight, _ in layers]
        ),
        "Weights are (n_out, n_in) and samples (n, n_in): row j belongs to perceptron j, so x @ weight.T.": [
            lambda x, layers: _forward(x, [(weight.T, bias) for weight, bias in layers]),
            lambda x, layers: layers[0][0] @ x,
            lambda x, layers: layers[0][0] @ x.T + layers[0][1],
        ],
        "Go through all layers, however many there are: write a loop.": [
            lambda x, layers: _forward(x, layers[:2]),
            lambda x, layers: _forward(x, [layers[0], layers[1], layers[2]]),
        ],
    },
    returns=forms.array("outputs, one row per sample and one column per class"),
    otherwise="We find an output of {ours} where you have {yours}: each layer is x @ weight.T + bias, then what is "
    "below 0 becomes 0, but for the last one.",
    then=lambda answer: answer(np.ones((40, 3)).view(_Samples), _some_layers()[-1][1]),
)


def _n_weights(sizes):
    return sum(before * after for before, after in itertools.pairwise(sizes))


def _n_parameters(sizes):
    """A function: sizes of the layers -> number of weights and biases."""
    return _n_weights(sizes) + sum(sizes[1:])


n_parameters = by_example(
    "Exercise 9.5",
    _n_parameters,
    lambda: [((9, 7, 5, 4, 2),), ([27, 64, 32, 2],), ((10, 3),), ((5, 1),)],
    {
        "Those are the weights; each perceptron has a bias as well.": _n_weights,
        "The inputs are no perceptrons: they have no bias. All others have one.": [
            lambda sizes: _n_weights(sizes) + sum(sizes),
            lambda sizes: _n_weights(sizes) + sum(sizes[:-1]),
        ],
        "The last layer has biases, too, though no activation follows it.": lambda sizes: (
            _n_weights(sizes) + sum(sizes[1:-1])
        ),
        "One bias per perceptron, not one per layer.": lambda sizes: (
            _n_weights(sizes) + len(sizes) - 1
        ),
        "Those are the perceptrons; count the connections between them, and the biases.": [
            lambda sizes: sum(sizes),
            lambda sizes: sum(sizes[1:]),
        ],
        "Layers follow one another: add what lies between each two, do not multiply all.": [
            lambda sizes: np.prod(sizes),
            lambda sizes: np.prod(sizes) + sum(sizes[1:]),
        ],
        "Count all layers, however many there are, in a loop.": [
            lambda sizes: _n_parameters(sizes[:3]),
            lambda sizes: _n_parameters(sizes[:4]),
        ],
    },
    returns=forms.number("a number of parameters", int),
    otherwise="For {0} we count {ours} and you {yours}: go from layer to layer.",
)


def _step(*calls, loss_by=lambda loss_of, outputs, y: loss_of(outputs, y)):
    """A function: network, loss, optimiser, samples, classes -> the loss; it makes these calls in this order."""

    def step(network, loss_of, optimiser, x, y):
        loss = loss_by(loss_of, network(x), y)
        do = {"zero": optimiser.zero_grad, "backward": loss.backward, "step": optimiser.step}
        for call in calls:
            do[call]()
        return loss.item()

    return step


_CALLS = "zero", "backward", "step"
_train_step = _step(*_CALLS)


def _loss_after_the_step(network, loss_of, optimiser, x, y):
    _train_step(network, loss_of, optimiser, x, y)
    return loss_of(network(x), y).item()


def _experience(step):
    """Return losses and weights in six steps of two networks, or the error that one raises."""
    generator, seen = torch.Generator().manual_seed(96), []
    for momentum, balance in ((0.0, [1.0, 1.0]), (0.5, [1.0, 3.0])):
        x, network = torch.randn(30, 3, generator=generator), nn.Linear(3, 2)
        y, loss_of = (x[:, 0] > 0).long(), nn.CrossEntropyLoss(torch.tensor(balance))
        with torch.no_grad():
            network.weight.copy_(torch.randn(2, 3, generator=generator))
            network.bias.zero_()
        optimiser = torch.optim.SGD(network.parameters(), lr=0.5, momentum=momentum)
        for _ in range(3):
            try:
                loss = step(network, loss_of, optimiser, x, y)
            except Exception as error:
                return error
            seen.append([loss, *network.weight.detach().clone().flatten(), network.training])
    return np.array(seen)


def _alike(one, other):
    if isinstance(one, Exception) or isinstance(other, Exception):
        return repr(one) == repr(other)
    return np.allclose(one, other, rtol=1e-4, atol=1e-5)


@exercise(
    "Exercise 9.6",
    reference=lambda: _train_step,
    form=forms.function(forms.number("the loss of this batch")),
)
def train_step(answer):
    """A function: network, loss, optimiser, samples, classes -> the loss; the network has learned."""
    found = _experience(answer)
    if _alike(found, _experience(_train_step)):
        return
    for hint, wrong in train_step.mistakes:
        if _alike(found, _experience(wrong)):
            raise Hint(hint)
    if isinstance(found, Exception):
        raise found
    raise Hint(
        "The network or the loss differs from ours after some step: once forward, once backward, once downhill, and "
        "the loss of this batch as it was before."
    )


train_step.mistakes = [
    (hint, wrong)
    for hint, *wrongs in (
        (
            "The network did not change: first zero_grad, then backward, which leaves new gradients, then step, which "
            "walks along them.",
            _step("zero", "backward"),
            _step("backward", "zero", "step"),
        ),
        (
            "torch adds new gradients to the old ones unless you forget these: optimiser.zero_grad().",
            _step("backward", "step"),
        ),
        (
            "The network has to stay in training mode: no network.eval() here.",
            lambda network, *rest: _train_step(network.eval(), *rest),
        ),
        ("Return the loss of this batch as it was before the step.", _loss_after_the_step),
        (
            "`loss_of` applies the softmax itself: give it the outputs as they are.",
            _step(*_CALLS, loss_by=lambda loss_of, outputs, y: loss_of(outputs.softmax(-1), y)),
        ),
        (
            "`loss_of(outputs, y)` wants all outputs of the network first, then the classes.",
            _step(loss_by=lambda loss_of, outputs, y: loss_of(y, outputs)),
            _step(loss_by=lambda loss_of, outputs, y: loss_of(outputs.argmax(dim=1), y)),
        ),
    )
    for wrong in wrongs
]


@exercise(
    "Exercise 9.7",
    reference=lambda: np.array([-1.0, -1, 1, 2, 1, -1, -1]),
    form=_bare("seven numbers"),
)
def bump_filter(answer):
    """Seven weights that detect a bump on any straight line."""
    kernel = shaped(answer, (7,), "seven numbers")
    size = np.abs(kernel).sum()
    if size == 0:
        raise Hint("All zero: it answers zero to everything, bumps included.")
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
    strength = np.correlate(bump, kernel / size, "valid")
    middle = len(strength) // 2
    if strength[middle] < -1e-9 and np.sum(strength <= strength[middle] + 1e-9) == 1:
        raise Hint("In front of a bump it answers with a negative number: turn all signs round.")
    rivals = np.flatnonzero(strength >= strength[middle] - 1e-9) - middle
    if len(rivals) > 1:
        off = np.abs(rivals[rivals != 0]).min()
        raise Hint(
            f"Its answer is as large, or larger, where the bump sits {off} bin(s) off the middle: make the middle of "
            "the filter the highest part, and as wide as the bump."
        )
