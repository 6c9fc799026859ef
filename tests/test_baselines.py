"""Published cuts as classifiers: sectors of a circle, and what a missing value decides."""

import numpy as np
import pandas as pd
import pytest

from helpers import data
from helpers.baselines import hue_states, remillard_mcclintock
from helpers.plotting import HUES


@pytest.fixture(scope="module")
def train():
    return data.load_split()[0]


def pointing(**changes):
    """One row that is thermal in every respect, with some of it changed."""
    row = {"disc_frac": 0.9, "gamma": 2.3, "rms_0p1_64": 0.02, "qpo_rms": np.nan, **changes}
    return pd.DataFrame([row])


def test_the_sectors_cover_the_circle():
    found, counts = np.unique(hue_states(np.arange(0, 360, 0.5)), return_counts=True)
    assert dict(zip(found, counts / 2, strict=True)) == {k: b - a for k, (a, b) in HUES.items()}


@pytest.mark.parametrize("state", HUES)
def test_a_border_belongs_to_the_sector_that_begins_there(state):
    low, high = HUES[state]
    assert hue_states(low) == state
    assert hue_states(high - 1e-9) == state
    assert hue_states(high) != state


def test_whole_turns_do_not_matter():
    hue = np.random.default_rng(1).uniform(0, 360, (3, 50))
    assert hue_states(hue).shape == hue.shape
    for turns in (-720, -360, 360):
        np.testing.assert_array_equal(hue_states(hue + turns), hue_states(hue))


def test_a_missing_hue_has_no_state(train):
    with np.errstate(all="raise"):
        assert hue_states([np.nan, np.inf, -np.inf]).tolist() == ["", "", ""]
    np.testing.assert_array_equal(hue_states(train.hue) == "", train.hue.isna())


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "HSS"),
        ({"rms_0p1_64": 0.08}, "intermediate"),
        ({"qpo_rms": 0.02}, "intermediate"),
        ({"disc_frac": 0.7}, "intermediate"),
        ({"gamma": np.nan}, "HSS"),
        ({"rms_0p1_64": np.nan}, ""),
        ({"disc_frac": np.nan}, ""),
        ({"disc_frac": 0.5, "rms_0p1_64": np.nan}, "intermediate"),
        ({"disc_frac": 0.1, "gamma": 1.7, "rms_0p1_64": 0.3}, "LHS"),
        ({"disc_frac": 0.1, "gamma": 1.7, "rms_0p1_64": 0.09}, "intermediate"),
        ({"disc_frac": 0.1, "gamma": 2.2, "rms_0p1_64": 0.3}, "intermediate"),
        ({"disc_frac": 0.1, "gamma": np.nan, "rms_0p1_64": 0.3}, "intermediate"),
        ({"disc_frac": 0.1, "gamma": 1.7, "rms_0p1_64": np.nan}, ""),
    ],
)
def test_each_cut_decides(changes, state):
    assert remillard_mcclintock(pointing(**changes)).tolist() == [state]


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match="lacks gamma, qpo_rms"):
        remillard_mcclintock(pointing().drop(columns=["gamma", "qpo_rms"]))


def test_on_bright_black_holes_both_agree_with_most_labels(train):
    """Far above the 0.44 of whoever always says LHS: the cuts were made for such sources."""
    bright = train[(train.object_label == "BH") & (train.rate > 500 * train.n_det)]
    wheel = hue_states(bright.hue)
    assert (wheel == bright.state_label)[wheel != ""].mean() > 0.7
    cuts = remillard_mcclintock(bright)
    merged = bright.state_label.replace({"HIMS": "intermediate", "SIMS": "intermediate"})
    assert (cuts == merged)[cuts != ""].mean() > 0.7
    hard = train[(train.state_label == "LHS") & (train.label_trust == "A")]
    cuts = remillard_mcclintock(hard)
    assert (cuts == "LHS")[cuts != ""].mean() > 0.8
