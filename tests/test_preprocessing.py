"""What stands in front of the models: logarithms and directions, gaps and scales, learned from train alone."""

import numpy as np
import pandas as pd
import pytest

from helpers import data
from helpers.preprocessing import GROUPS, STATE_FEATURES, prepare, preprocessor


@pytest.fixture(scope="module")
def parts():
    return data.load_split()


def test_the_groups_are_columns_of_both_telescopes_and_share_none(parts):
    names = [name for group in GROUPS.values() for name in group]
    assert len(names) == len(set(names))
    for telescope in ("rxte", "nicer"):
        table = data.load_observations(telescope)
        assert table[names].notna().any().all()
    assert set(STATE_FEATURES) == set(names) - set(GROUPS["lags"])


def test_hues_on_both_sides_of_360_deg_are_neighbours():
    found = prepare(pd.DataFrame({"hue": [359.0, 1.0, 180.0]}), ["hue"]).to_numpy()
    assert np.linalg.norm(found[0] - found[1]) == pytest.approx(2 * np.sin(np.radians(1)))
    assert np.linalg.norm(found[0] - found[2]) > 1.99


def test_logarithms_are_taken_where_there_is_one():
    table = pd.DataFrame({"rate": [100.0, 0.0, -3.0, np.nan], "gamma": [1.5, -1.0, 2.0, np.nan]})
    with np.errstate(all="raise"):
        found = prepare(table, ["rate", "gamma"])
    np.testing.assert_array_equal(found.log_rate, [2, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(found.gamma, table.gamma)


def test_nothing_that_changes_its_sign_loses_it(parts):
    lags = list(GROUPS["lags"])
    assert (parts[0].lag_1_10 < 0).any()
    pd.testing.assert_frame_equal(prepare(parts[0], lags), parts[0][lags])


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match="lacks nu_break, hue"):
        prepare(pd.DataFrame({"gamma": [2.0]}), ["gamma", "nu_break", "hue"])


def test_medians_and_scales_are_those_of_the_rows_of_fit(parts):
    train, validation = parts
    steps = preprocessor().fit(train)
    own, other = steps.transform(train), steps.transform(validation)
    assert own.columns.tolist() == steps.get_feature_names_out().tolist()
    assert own.notna().all(axis=None)
    assert other.notna().all(axis=None)
    np.testing.assert_allclose(own.mean(), 0, atol=1e-9)
    np.testing.assert_allclose(own.std(ddof=0), 1, rtol=1e-9)
    assert np.abs(other.mean()).max() > 0.1  # other sources, other means
    before = prepare(train, STATE_FEATURES)
    filled = own.loc[before.gamma.isna(), "gamma"].unique()
    expected = before.gamma.fillna(before.gamma.median())
    assert filled == pytest.approx((before.gamma.median() - expected.mean()) / expected.std(ddof=0))


def test_a_gap_is_marked(parts):
    train, _ = parts
    marks = preprocessor(["qpo_freq"]).fit_transform(train).missingindicator_log_qpo_freq
    assert ((marks > 0) == train.qpo_freq.isna()).all()
