"""Answers to the exercises of lesson 09: other right routes, and wrong ones with their hints."""

import itertools

import numpy as np
import torch
from scipy.spatial import KDTree
from sklearn.neighbors import KNeighborsClassifier

from answers import changed
from course.checks import lesson_09

RIGHT_XOR = lesson_09.xor.reference()


def vote_by_scikit_learn(x, y, new, k):
    return KNeighborsClassifier(k).fit(x, y).predict_proba(new[None])[0, 1]


def vote_by_tree(x, y, new, k):
    return np.mean(y[KDTree(x).query(new, k)[1]])


def forward_by_torch(x, layers):
    x = torch.tensor(x)
    for i, (weight, bias) in enumerate(layers):
        x = torch.nn.functional.linear(x, torch.tensor(weight), torch.tensor(bias))
        x = x.relu() if i < len(layers) - 1 else x
    return x


def count_by_torch(sizes):
    layers = [torch.nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
    return sum(p.numel() for layer in layers for p in layer.parameters())


def steps(*calls, output=lambda z: z, result=torch.Tensor.item):
    """A training step that makes these calls, "zero", "backward" and "step", in this order."""

    def train_step(network, loss_of, optimiser, x, y):
        loss = loss_of(output(network(x)), y)
        do = {"zero": optimiser.zero_grad, "backward": loss.backward, "step": optimiser.step}
        for call in calls:
            do[call]()
        return result(loss)

    return train_step


def step_loss_after(network, loss_of, optimiser, x, y):
    steps("zero", "backward", "step")(network, loss_of, optimiser, x, y)
    return loss_of(network(x), y).item()


def order(x, new):
    return np.argsort(((x - new) ** 2).sum(1))


def without_relu(x, layers):
    for weight, bias in layers:
        x = x @ weight.T + bias
    return x


def relu_everywhere(x, layers):
    for weight, bias in layers:
        x = np.maximum(x @ weight.T + bias, 0)
    return x


def not_transposed(x, layers):
    for weight, bias in layers[:-1]:
        x = np.maximum(x @ weight + bias, 0)
    return x @ layers[-1][0] + layers[-1][1]


def with_softmax(x, layers):
    odds = np.exp(lesson_09._forward(x, layers))
    return odds / odds.sum(1, keepdims=True)


def pairs(sizes):
    return list(itertools.pairwise(sizes))


OTHER_ROUTES = [
    (lesson_09.neighbours_vote, vote_by_scikit_learn),
    (lesson_09.neighbours_vote, vote_by_tree),
    (
        lesson_09.xor,
        {  # one hidden perceptron for each of the two corners that fire
            "hidden weights": [[2, -2], [-2, 2]],
            "hidden biases": [-1, -1],
            "output weights": [1, 1],
            "output bias": -0.5,
        },
    ),
    (
        lesson_09.xor,
        {
            "hidden weights": np.array([[-1.0, -1.0], [1.0, 1.0]]),
            "hidden biases": (1.5, -0.5),
            "output weights": np.array([3, 3]),
            "output bias": np.float64(-4),
        },
    ),
    (lesson_09.forward, forward_by_torch),
    (lesson_09.n_parameters, count_by_torch),
    (lesson_09.train_step, steps("backward", "step", "zero")),
    (lesson_09.train_step, steps("zero", "backward", "step", result=torch.detach)),
    (lesson_09.bump_filter, [-1, 0, 0, 2, 0, 0, -1]),
    (lesson_09.bump_filter, (0, -1, 0.0, 2, 0, -1, 0)),
    (lesson_09.bump_filter, [-2, -1, 1, 4, 1, -1, -2]),
]


def forward_of_three_layers(x, layers):
    (a, c), (b, d), (e, f) = layers[0], layers[1], layers[2]
    return np.maximum(np.maximum(x @ a.T + c, 0) @ b.T + d, 0) @ e.T + f


def step_the_wrong_way_round(network, loss_of, optimiser, x, y):
    optimiser.zero_grad()
    loss = loss_of(y, network(x))
    loss.backward()
    optimiser.step()
    return loss.item()


def step_of_the_calls(network, loss_of, optimiser, x, y):
    return step_the_wrong_way_round(
        network, lambda y, outputs: loss_of(outputs.argmax(dim=1), y), optimiser, x, y
    )


def count_of_three_layers(s):
    return s[0] * s[1] + s[1] + s[1] * s[2] + s[2] + s[2] * s[3] + s[3]


WRONG = [
    (lesson_09.forward, forward_of_three_layers, "any number of layers"),
    (lesson_09.train_step, step_the_wrong_way_round, "then the classes"),
    (lesson_09.train_step, step_of_the_calls, "all outputs of the network first"),
    (lesson_09.n_parameters, count_of_three_layers, "any number of layers"),
    (
        lesson_09.n_parameters,
        lambda s: lesson_09._n_parameters(s) - s[-1],
        "The last layer has biases",
    ),
    (lesson_09.neighbours_vote, lambda x, y, n, k: y[order(x, n)[:k]].sum(), "divide by k"),
    (lesson_09.neighbours_vote, lambda x, y, n, k: 1 - y[order(x, n)[:k]].mean(), "zeros"),
    (
        lesson_09.neighbours_vote,
        lambda x, y, n, k: int(y[order(x, n)[:k]].mean() > 0.5),
        "verdict",
    ),
    (lesson_09.neighbours_vote, lambda x, y, n, k: y[order(x, n)[-k:]].mean(), "farthest"),
    (lesson_09.neighbours_vote, lambda x, y, n, k: y[:k].mean(), "every new row"),
    (lesson_09.neighbours_vote, lambda x, y, n, k: y[order(x, n)[1 : k + 1]].mean(), "skipped"),
    (
        lesson_09.neighbours_vote,
        lambda x, y, n, k: y[np.argsort((x - n).sum(1))[:k]].mean(),
        "cancel",
    ),
    (
        lesson_09.neighbours_vote,
        lambda x, y, n, k: y[np.argsort(np.abs(x - n).sum(1))[:k]].mean(),
        "absolute",
    ),
    (
        lesson_09.neighbours_vote,
        lambda x, y, n, k: y[np.argsort(np.abs(x - n)[:, 0])[:k]].mean(),
        "axis 1",
    ),
    (
        lesson_09.symptoms,
        changed(lesson_09.symptoms.reference(), random_rows="overfitting"),
        "both sides",
    ),
    (
        lesson_09.symptoms,
        changed(lesson_09.symptoms.reference(), **{"training_rows_0.78": "overfitting"}),
        "error bar",
    ),
    (lesson_09.xor, changed(RIGHT_XOR, output_weights=[1, 0]), "That is OR"),
    (lesson_09.xor, changed(RIGHT_XOR, output_weights=[-1, 1], output_bias=0.5), "opposite"),
    (lesson_09.xor, changed(RIGHT_XOR, hidden_biases=[-0.5, -0.5]), "two different lines"),
    (lesson_09.xor, changed(RIGHT_XOR, hidden_biases=[-1, -1.5]), "exactly on the line"),
    (
        lesson_09.xor,
        changed(RIGHT_XOR, hidden_weights=[[1, 0], [0, 1]], hidden_biases=[-0.5, 0.5]),
        "no output can tell",
    ),
    (lesson_09.xor, changed(RIGHT_XOR, output_bias=-1.5), "hidden layer is fine"),
    (lesson_09.xor, changed(RIGHT_XOR, hidden_weights=[1, 1]), "shape"),
    (lesson_09.xor, changed(RIGHT_XOR, hidden_weights=...), "no answer yet"),
    (lesson_09.forward, without_relu, "one matrix"),
    (lesson_09.forward, relu_everywhere, "after the last layer"),
    (lesson_09.forward, not_transposed, "transposed"),
    (lesson_09.forward, with_softmax, "softmax"),
    (
        lesson_09.forward,
        lambda x, layers: lesson_09._forward(x, [(w, 0 * b) for w, b in layers]),
        "biases are missing",
    ),
    (
        lesson_09.forward,
        lambda x, layers: lesson_09._forward(np.tanh(x), layers),
        "what is below 0",
    ),
    (lesson_09.n_parameters, lambda s: sum(a * b for a, b in pairs(s)), "has a bias"),
    (
        lesson_09.n_parameters,
        lambda s: sum(a * b for a, b in pairs(s)) + sum(s),
        "inputs are no perceptrons",
    ),
    (lesson_09.n_parameters, lambda s: sum(a * b + 1 for a, b in pairs(s)), "not one per layer"),
    (lesson_09.n_parameters, lambda s: sum(s), "connections"),
    (lesson_09.n_parameters, lambda s: np.prod(s), "do not multiply all"),
    (lesson_09.n_parameters, lambda s: sum(a * (b + 1) for a, b in pairs(s)), "layer to layer"),
    (lesson_09.train_step, steps("backward", "step"), "forget them"),
    (lesson_09.train_step, steps("zero", "backward"), "did not change"),
    (lesson_09.train_step, steps("backward", "zero", "step"), "did not change"),
    (
        lesson_09.train_step,
        steps("zero", "backward", "step", output=lambda z: z.softmax(-1)),
        "softmax itself",
    ),
    (
        lesson_09.train_step,
        steps("zero", "backward", "step", result=lambda loss: loss),
        "loss.item()",
    ),
    (lesson_09.train_step, step_loss_after, "before the step"),
    (lesson_09.bump_filter, [0, 0, 1, 2, 1, 0, 0], "sum to zero"),
    (lesson_09.bump_filter, [-3, -2, -1, 0, 1, 2, 3], "straight slope"),
    (lesson_09.bump_filter, [1, 1, -1, -2, -1, 1, 1], "negative"),
    (lesson_09.bump_filter, [2, -1, -1, 0, -1, -1, 2], "negative"),
    (lesson_09.bump_filter, [-2, 1, 1, 0, 1, 1, -2], "off the middle"),
    (lesson_09.bump_filter, np.zeros(7), "All zero"),
]
