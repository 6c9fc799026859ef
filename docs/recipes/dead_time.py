"""A QPO seen by two detectors with a dead time of 2.5 ms: the low-frequency set-up of lesson 14.

Huppenkothen & Bachetti 2022 (arXiv:2104.03278): 10 s in bins of 5 ms. x is the logarithm of the
periodogram in bins of frequency that grow by five per cent.
"""

import torch
from torch.distributions import Independent, Uniform

from helpers.dead_time import DeadTimeSimulator

parameters = ("rms", "nu0", "q", "rate")  # fraction, Hz, ν₀ over full width, 1/s per detector
prior = Independent(
    Uniform(torch.tensor([0.1, 5.0, 3.0, 500.0]), torch.tensor([0.5, 40.0, 30.0, 1500.0])), 1
)
dead_time = DeadTimeSimulator(segment=None, log_f=0.05)


def simulate(theta, generator):
    """(n, N) logarithms of fractional powers, of theta (n, 4)."""
    return dead_time(theta, generator).log()
