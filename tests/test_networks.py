"""The small networks: what they learn, where their randomness comes from, and what they refuse."""

import numpy as np
import pytest
import torch
from contract import seeded
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from helpers.networks import (
    NetworkClassifier,
    convolutional,
    feed_forward,
    probabilities,
    train,
)


@pytest.fixture
def clouds():
    """Two overlapping clouds in three dimensions, one four times as common."""
    generator = seeded(seed=3)
    y = (torch.rand(1000, generator=generator) < 0.2).long()
    x = torch.randn(1000, 3, generator=generator) + y[:, None] * torch.tensor([1.0, -0.5, 0.0])
    return x, y


@pytest.mark.parametrize("balanced", [True, False])
def test_without_hidden_layers_it_is_the_logistic_regression_of_scikit_learn(
    clouds, device, balanced
):
    x, y = clouds
    network = feed_forward(3, 2, generator=seeded(), hidden=()).to(device)
    train(
        network, x.to(device), y.to(device), generator=seeded(), n_epochs=400, batch_size=1000,
        learning_rate=0.02, weight_decay=0.0, balanced=balanced,
    )  # fmt: skip
    weight = "balanced" if balanced else None
    reference = LogisticRegression(C=np.inf, class_weight=weight, tol=1e-8).fit(x, y)
    found = probabilities(network, x.to(device)).cpu()[:, 1]
    np.testing.assert_allclose(found, reference.predict_proba(x)[:, 1], atol=1e-3)


@pytest.mark.parametrize("make", [feed_forward, convolutional])
def test_it_learns_what_no_straight_line_can(make, device):
    """Whether a bump is narrow or broad, wherever it stands."""
    generator = seeded(seed=5)
    place = 8 + 24 * torch.rand(600, 1, generator=generator)
    y = (torch.rand(600, generator=generator) < 0.5).long()
    width = torch.where(y == 1, 1.0, 3.0)[:, None]
    x = torch.exp(-(((torch.arange(40) - place) / width) ** 2)).to(device)
    network = make(40, 2, generator=seeded()).to(device)
    losses = train(
        network, x[:400], y[:400].to(device), generator=seeded(),
        held_out=(x[400:], y[400:].to(device)), n_epochs=30,
    )  # fmt: skip
    assert losses["held_out"][0] > 0.4
    assert losses["held_out"][-1] < 0.2
    right = (probabilities(network, x[400:]).argmax(1).cpu() == y[400:]).float().mean()
    assert right > 0.95


def test_the_loss_of_a_guess_is_the_logarithm_of_the_number_of_classes(clouds):
    x, y = clouds
    network = feed_forward(3, 2, generator=seeded(), hidden=())
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    losses = train(
        network, x, y, generator=seeded(), held_out=(x, y), n_epochs=1, learning_rate=0.0
    )
    assert losses["train"] == losses["held_out"] == [pytest.approx(np.log(2), rel=1e-5)]


def test_the_generator_alone_decides_and_what_is_held_out_is_not_learned_from(clouds):
    x, y = clouds
    before = torch.random.get_rng_state()
    outputs = []
    for seed, held_out in ((1, None), (1, (x + 5, 1 - y)), (2, None)):
        network = feed_forward(3, 2, generator=seeded(seed=seed))
        train(network, x, y, generator=seeded(seed=seed), n_epochs=2, held_out=held_out)
        outputs.append(probabilities(network, x))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_in_a_pipeline_it_is_the_same_network(clouds, device):
    x, y = clouds
    names = np.array(["one", "other"])[y]
    model = NetworkClassifier(seed=4, device=device, training={"n_epochs": 3, "balanced": False})
    found = clone(model).fit(x.numpy(), names).predict_proba(x.numpy())
    generator = seeded(seed=4)
    network = feed_forward(3, 2, generator=generator).to(device)
    train(network, x.to(device), y.to(device), generator=generator, n_epochs=3, balanced=False)
    np.testing.assert_array_equal(found, probabilities(network, x.to(device)).cpu())
    right = model.fit(x.numpy(), names).score(x.numpy(), names)
    assert right == np.mean(names == np.array(["one", "other"])[found.argmax(axis=1)])


def test_bad_input_is_named(clouds):
    x, y = clouds
    network = feed_forward(3, 2, generator=seeded())
    with pytest.raises(ValueError, match="NaN or infinity"):
        train(network, x.log(), y, generator=seeded())
    with pytest.raises(ValueError, match="1000 samples and y 999"):
        train(network, x, y[1:], generator=seeded())
    with pytest.raises(ValueError, match=r"class \[1\]"):
        train(network, x, 2 * y, generator=seeded())
    with pytest.raises(ValueError, match="four or more"):
        convolutional(3, 2, generator=seeded())
