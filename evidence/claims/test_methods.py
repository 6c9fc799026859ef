"""What helpers promise of posteriors and their tests holds for several seeds."""

import numpy as np
import pytest
import torch
from scipy import stats

from helpers.diagnostics import calibration, misspecification_p
from helpers.posteriors import train_posterior


@pytest.mark.parametrize("seed", range(4))
def test_the_jitter_of_training_does_not_make_posteriors_wide(seed, record_property):
    """The scatter is 0.77 to 0.84 with steps of one length, 0.91 to 0.98 with short ones at the end."""
    generator = torch.Generator().manual_seed(seed)

    def see(theta):
        x = torch.cat([torch.sin(9 * theta), torch.cos(5 * theta), theta.exp()], dim=1)
        return x + 0.03 * torch.randn(x.shape, generator=generator)

    theta, tests = torch.rand(2, 3000, 1, generator=generator).clamp(1e-6, 1 - 1e-6)
    box = torch.zeros(1), torch.ones(1)
    made = train_posterior(theta, see(theta), *box, generator=generator, n_flows=1)
    draws = made.sample(400, see(tests), generator=generator)
    found = calibration(draws, tests, *box, generator)
    record_property("scatter of (mean − truth)/sd", found.scatter)
    assert 0.88 < found.scatter < 1.1
    assert found.sbc_p > 1e-3


def test_misspecification_is_uniform_if_there_is_none_and_small_if_there_is(record_property):
    p = []
    for seed in range(40):
        generator = torch.Generator().manual_seed(seed)
        known = torch.randn(330, 2, generator=generator)
        p.append(misspecification_p(known[:30], known[30:], generator))
    record_property("p-value without misspecification", p)
    assert stats.kstest(p, "uniform").pvalue > 1e-3
    assert 0.3 < np.mean(p) < 0.7
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        known = torch.randn(450, 2, generator=generator) * torch.tensor([1.0, 1e-3])
        shifted = known[:50] + torch.tensor([0.0, 1e-3])
        assert misspecification_p(shifted, known[50:], generator) < 0.01
