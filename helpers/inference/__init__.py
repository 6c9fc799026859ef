"""Neural posteriors, and whether to trust them.

`posterior` trains, samples, saves and loads; `trust` tests what comes out.
"""

from helpers.inference.posterior import (
    BoxPosterior,
    PosteriorFileError,
    convolution,
    load_posterior,
    train_posterior,
    weighted_sums,
)
from helpers.inference.trust import (
    Calibration,
    TooFewError,
    anomaly_p,
    calibration,
    coverage,
    credibility,
    importance_sample,
    misspecification_p,
    predictive_p,
    ranks,
    uniform_band,
)

__all__ = [
    "BoxPosterior",
    "Calibration",
    "PosteriorFileError",
    "TooFewError",
    "anomaly_p",
    "calibration",
    "convolution",
    "coverage",
    "credibility",
    "importance_sample",
    "load_posterior",
    "misspecification_p",
    "predictive_p",
    "ranks",
    "train_posterior",
    "uniform_band",
    "weighted_sums",
]
