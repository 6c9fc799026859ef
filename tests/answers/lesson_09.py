"""Answers to the exercises of lesson 09: other right routes, and wrong ones that no table holds."""

import itertools

import numpy as np
import torch
from scipy.spatial import KDTree
from sklearn.neighbors import KNeighborsClassifier

from answers import changed
from course.checks import lesson_09

RIGHT_XOR, SYMPTOMS = lesson_09.xor.reference(), lesson_09.symptoms.reference()


def vote_by_scikit_learn(x, y, new, k):
    return KNeighborsClassifier(k).fit(x, y).predict_proba(new[None])[0, 1]


def vote_by_tree(x, y, new, k):
    return np.mean(y[KDTree(x).query(new, [*range(1, k + 1)])[1]])


def forward_by_torch(x, layers):
    x = torch.tensor(x)
    for i, (weight, bias) in enumerate(layers):
        x = torch.nn.functional.linear(x, torch.tensor(weight), torch.tensor(bias))
        x = x.relu() if i < len(layers) - 1 else x
    return x.requires_grad_()


def forward_by_einsum(x, layers):
    for k, (weight, bias) in enumerate(layers):
        x = np.einsum("ni,oi->no", np.where(x > 0, x, 0) if k else x, weight) + bias
    return x


def forward_one_by_one(x, layers):
    return [lesson_09._forward(x[i, :], layers) for i in range(len(x))]


def count_by_torch(sizes):
    layers = [torch.nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
    return sum(p.numel() for layer in layers for p in layer.parameters())


def step_by_the_network(network, loss_of, optimiser, x, y):
    network.zero_grad()
    (loss := loss_of(network(x), y)).backward()
    optimiser.step()
    return loss


def step_without_a_graph(network, loss_of, optimiser, x, y):
    with torch.no_grad():
        return lesson_09._train_step(network, loss_of, optimiser, x, y)


OTHER_ROUTES = [
    (lesson_09.train_step, lesson_09._step("backward", "step", "zero")),
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
            "hidden biases": [(1.5, -0.5)],
            "output weights": torch.tensor([[3], [3]]),
            "output bias": [np.float64(-4)],
        },
    ),
    (lesson_09.forward, forward_by_torch),
    (lesson_09.forward, forward_by_einsum),
    (lesson_09.n_parameters, count_by_torch),
    (lesson_09.train_step, step_by_the_network),
    (lesson_09.bump_filter, [-1, 0, 0, 2, 0, 0, -1]),
    (lesson_09.bump_filter, np.array([[0, -1, 0.0, 2, 0, -1, 0]]).T),
    (lesson_09.bump_filter, np.array([-2, -1, 1, 4, 1, -1, -2]) * 1e-9),
]

WRONG = [
    (lesson_09.neighbours_vote, lambda x, y, new, k: y[x[:, 0].argsort()][:k].mean(), "and you"),
    (lesson_09.symptoms, changed(SYMPTOMS, random_rows="overfitting"), "both sides"),
    (lesson_09.symptoms, changed(SYMPTOMS, **{"the_held-out": "leak"}), "training rows only"),
    *(
        (lesson_09.xor, changed(RIGHT_XOR, **changes), hint)
        for hint, changes in (
            ("That is OR", {"output_weights": [1, 0]}),
            ("opposite", {"output_weights": [-1, 1], "output_bias": 0.5}),
            ("exactly on the line", {"hidden_biases": [-1, -1.5]}),
            ("no output can tell", {"hidden_weights": np.eye(2), "hidden_biases": [-0.5, 0.5]}),
            ("same problem again", {"hidden_weights": np.eye(2), "hidden_biases": [-0.5, -0.5]}),
            ("hidden layer is fine", {"output_bias": -1.5}),
            # (0, 1) and (1, 0) lie on the line of the second, and may
            ("hidden layer is fine", {"hidden_biases": [-0.5, -1], "output_weights": [-1, -1]}),
            ("shape", {"hidden_weights": [1, 1]}),
            ("no answer yet", {"hidden_weights": ...}),
            ("no answer yet", {"hidden_weights": [[..., ...], [..., ...]]}),
        )
    ),
    (lesson_09.forward, lambda x, layers: lesson_09._forward(np.tanh(x), layers), "what is below"),
    (lesson_09.forward, forward_one_by_one, "one sample at a time"),
    (lesson_09.n_parameters, lambda sizes: max(sizes) ** 2, "layer to layer"),
    (lesson_09.train_step, lesson_09._step("zero", "backward", "step", "step"), "once downhill"),
    (lesson_09.train_step, lambda *given: lesson_09._train_step(*given) * 30, "as it was before"),
    (lesson_09.train_step, step_without_a_graph, "does not require grad"),
    *(
        (lesson_09.bump_filter, numbers, hint)
        for hint, numbers in (
            ("sum to zero", [0, 0, 1, 2, 1, 0, 0]),
            ("straight slope", [-3, -2, -1, 0, 1, 2, 3]),
            ("negative", [1, 1, -1, -2, -1, 1, 1]),
            ("off the middle", [-2, 1, 1, 0, 1, 1, -2]),
            ("off the middle", [0, 0, 0, 0, -1, 2, -1]),
            ("off the middle", [-1, 0.5, 1, -1, 1, 0.5, -1]),
            ("All zero", np.zeros(7)),
        )
    ),
]
