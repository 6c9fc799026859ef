"""Turn columns of an archive into features of a model: logarithms, angles, filled gaps, scaling.

Lesson 05 builds these steps and gives the reasons; later lessons import them.
"""

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from helpers.arguments import numbers

__all__ = ["GROUPS", "STATE_FEATURES", "prepare", "preprocessor"]

#: {group: columns} of the features that both telescopes measure, grouped by their origin.
GROUPS = {
    "colours": ("hr_soft", "hr_hard"),
    "rms": ("rms_0p004_0p03", "rms_0p03_0p25", "rms_0p25_2", "rms_2_16", "rms_hf", "rms_0p1_64"),
    "spectral fit": ("gamma", "kt_in", "disc_frac"),
    "power spectrum": ("nu_break", "qpo_freq", "hue"),
    "lags": ("lag_0p1_1", "lag_1_10", "coherence"),
}
#: Features that are expected to depend on the accretion state.
STATE_FEATURES = tuple(name for group, names in GROUPS.items() if group != "lags" for name in names)

# Positive features that span decades. (Lags change their sign: they have no logarithm.)
_LOGARITHMIC = {
    *GROUPS["rms"],
    *("rms_3_10", "nu_break", "qpo_freq", "qpo_q", "qpo_rms", "pc1", "pc2"),
    *("rate", "exposure", "lum_edd_est"),
}


def prepare(table: pd.DataFrame, columns) -> pd.DataFrame:
    """Convert columns of an archive into features for a model. Nothing is learned from the rows.

    Features that span decades become log10, where they are above zero. The hue becomes the sine and
    the cosine of its angle, so that 359 and 1 deg are neighbours. Other features stay unchanged.

    Args:
        table: rows of observations.
        columns: names of columns of this table that hold numbers.

    Returns:
        (n_rows, n_features) table whose names show the conversion; NaN without value or logarithm.

    Example:
        >>> table = pd.DataFrame({"hue": [90.0], "rms_2_16": [0.1], "gamma": [1.7]})
        >>> prepare(table, ["gamma", "rms_2_16", "hue"]).round(3)
           gamma  log_rms_2_16  hue_sin  hue_cos
        0    1.7          -1.0      1.0      0.0
    """
    missing = [name for name in columns if name not in table]
    if missing:
        raise ValueError(f"table lacks {', '.join(missing)}: give the rows of observations.")
    features, bare = {}, pd.DataFrame(table)  # no attrs, which pandas copies with each column
    for name in columns:
        values, dtype = bare[name].to_numpy(), bare[name].dtype
        if getattr(dtype, "kind", "O") not in "biuf" or hasattr(dtype, "na_value"):
            values = numbers(name, bare[name], missing=True)
        if name == "hue":
            features["hue_sin"] = np.sin(np.radians(values))
            features["hue_cos"] = np.cos(np.radians(values))
        elif name in _LOGARITHMIC:
            features[f"log_{name}"] = np.log10(np.where(values > 0, values, np.nan))
        else:
            features[name] = values
    return pd.DataFrame(features, index=table.index)


def preprocessor(columns=STATE_FEATURES) -> Pipeline:
    """Make a Pipeline with the steps of lesson 05 before a model: `prepare`, fill gaps, scale.

    A gap is filled with the median of the rows of `fit`, and an indicator column marks it, because
    missing values carry information in this archive. Then every feature is scaled to mean zero and
    variance one. In a Pipeline with a model, medians and scales come from the training rows only.
    The input is a table of observations, the output a DataFrame of features.

    Args:
        columns: names of columns of the observations.

    Example:
        >>> from helpers.data import load_observations
        >>> table = load_observations("first")
        >>> preprocessor(["gamma", "rate"]).fit_transform(table).columns.tolist()
        ['gamma', 'log_rate', 'missingindicator_gamma']
    """
    columns = list(columns)
    return make_pipeline(
        FunctionTransformer(prepare, kw_args={"columns": columns}, feature_names_out=_names),
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
    ).set_output(transform="pandas")


def _names(transformer, _):
    """Return the names of the features that `prepare` makes."""
    columns = transformer.kw_args["columns"]
    return prepare(pd.DataFrame(columns=columns, dtype=float), columns).columns.to_numpy()
