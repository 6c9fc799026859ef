"""The archive: who is observed when, what humans add, and what is planted.

evidence/claims/test_archive.py holds it against the literature.
"""

import numpy as np
import pandas as pd
import pytest
from stand_ins import FEATURES, nothing

from course.archive import simulate, tables
from course.archive.pointings import observe
from course.archive.simulate import simulate_archive
from course.make_data import DATA, SEED
from helpers.data import load_observations, load_segments

SMALL = {
    **{"n_rxte": 20, "n_nicer": 20, "n_black_holes": 2, "n_neutron_stars": 2},
    **{"n_outbursts": 8, "n_segments": 10},
}
# What is drawn and filed before anything is observed
DRAWN = ["obs_id", "instrument", "mjd", "exposure", "n_det", "state_label", "label_trust"]


@pytest.fixture(scope="module")
def small():
    return simulate_archive(5, processes=1, **SMALL)


@pytest.fixture(scope="module")
def anew():
    """The archive of the course, measured in the first pointings of each telescope only; which ones."""
    rows = {}

    def first(truth, instrument, generator):
        if instrument.name in rows:
            return nothing(truth, instrument, generator)
        rows[instrument.name] = truth.index
        return observe(truth, instrument, generator)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulate, "observe", first)
        return simulate_archive(SEED, processes=1), rows


@pytest.fixture
def unobserved(anew):
    return anew[0]


def test_tables_and_segments_have_the_size_that_was_asked_for(small):
    assert len(small.rxte) == len(small.nicer) == 20
    both = pd.concat([small.rxte, small.nicer], ignore_index=True)
    assert (both.obs_id == small.truth.obs_id).all()
    assert both.obs_id.is_unique
    assert len(small.segments["counts"]) == 10


def test_the_seed_decides_and_the_number_of_processes_does_not(small, monkeypatch):
    again = simulate_archive(5, processes=2, **SMALL)
    for name in ("rxte", "nicer", "truth"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(small, name))
    for name, values in small.segments.items():
        np.testing.assert_array_equal(again.segments[name], values)
    monkeypatch.setattr(simulate, "observe", nothing)
    assert not simulate_archive(6, processes=1, **SMALL).truth.equals(small.truth)


def test_sources_are_shared_out_as_planned(unobserved):
    truth = unobserved.truth
    seen = truth.groupby(["instrument", "object"]).source_id.nunique()
    assert seen["rxte"].to_dict() == {"BH": 16, "NS": 32}
    assert seen["nicer"].to_dict() == {"BH": 6, "NS": 12}
    rxte = set(truth.source_id[truth.instrument == "rxte"])
    nicer = set(truth.source_id[truth.instrument == "nicer"])
    assert len(nicer - rxte) == 12
    assert len(rxte | nicer) == 60
    assert truth.outburst_id.nunique() > 140


def test_pointings_per_source_are_log_normal_between_5_and_700(unobserved):
    numbers = unobserved.truth[unobserved.truth.instrument == "rxte"].source_id.value_counts()
    assert numbers.sum() == 6000
    assert numbers.between(5, 700).all()
    # The limits take off the tails of the 1.1 that is drawn.
    assert np.log(numbers).std() == pytest.approx(1.0, rel=4 / np.sqrt(2 * len(numbers)))
    assert abs(np.log(numbers).skew()) < 4 * np.sqrt(6 / len(numbers))


def test_five_pointings_are_filed_under_a_source_of_the_other_kind(unobserved):
    truth, rxte = unobserved.truth, unobserved.rxte
    filed = truth[truth.filed_under != ""]
    assert len(filed) == 5
    for row in filed.index:
        assert rxte.source_id[row] == truth.filed_under[row] != truth.source_id[row]
        assert rxte.object_label[row] != truth.object[row]
        owner = truth.source_id[truth.outburst_id == rxte.outburst_id[row]]
        assert (owner == rxte.source_id[row]).all()


def test_the_luminosity_estimate_knows_only_the_source_it_is_filed_under(unobserved):
    # Where log_flux_2_10 is 100 only the distance of the literature is left.
    table = unobserved.rxte[unobserved.rxte.log_flux_2_10 == 100]
    assert table.outburst_id.nunique() > 100
    assert (table.groupby("source_id").lum_edd_est.nunique() == 1).all()


def test_the_exposure_gives_the_intermediate_states_away(unobserved):
    truth = unobserved.truth
    long = truth.groupby("state").exposure.apply(lambda x: (x > 2000).mean())
    assert long["HIMS"] == pytest.approx(0.7, abs=0.1)
    assert long["SIMS"] == pytest.approx(0.7, abs=0.1)
    assert long["LHS"] == long["HSS"] == 0
    assert (truth.exposure % 256 == 0).all()


def test_the_gain_drifts_between_resets(unobserved):
    rxte = unobserved.truth[unobserved.truth.instrument == "rxte"]
    assert rxte.gain.between(1.0, 1.02).all()
    assert rxte.gain.max() > 1.018
    last = rxte[rxte.mjd > 51677]
    assert np.corrcoef(last.mjd, last.gain)[0, 1] > 0.999
    assert (unobserved.truth.gain[unobserved.truth.instrument == "nicer"] == 1).all()


def test_outliers_are_rare_and_bursts_are_those_of_neutron_stars(unobserved):
    truth = unobserved.truth
    share = truth.outlier.value_counts() / len(truth)
    for name in ("slew", "flare"):
        assert share[name] == pytest.approx(0.004, abs=4 * np.sqrt(0.004 / len(truth)))
    assert 0.002 < share["burst"] < 0.012
    assert (truth.object[truth.outlier == "burst"] == "NS").all()


@pytest.mark.parametrize("n", [5, 1401])
def test_pointings_that_do_not_fit_are_refused(n):
    with pytest.raises(ValueError, match=f"{n} pointings of rxte do not fit its 2 sources: each"):
        simulate_archive(1, processes=1, **{**SMALL, "n_rxte": n})


# --- the archive in data/ -------------------------------------------------------------------------


def test_the_files_are_what_the_seed_makes(anew):
    """The truth and the first pointings of each telescope are those in data/ to the last digit."""
    fresh, rows = anew

    def same(name, table):
        stored = pd.read_csv(DATA / f"observations_{name}.csv", dtype=str, keep_default_na=False)
        stored = stored.loc[table.index, list(table)]
        text = tables.table_bytes(table).decode()
        return stored.to_csv(index=False, lineterminator="\n") == text

    # Which rows are filed wrongly depends on all rates, so the columns of filing are left out.
    assert same("truth", fresh.truth.drop(columns="filed_under"))
    for name, table in (("rxte", fresh.rxte), ("nicer", fresh.nicer)):
        assert same(name, table[DRAWN])
        own = rows[name] - (len(fresh.rxte) if name == "nicer" else 0)
        assert same(name, table.loc[own, FEATURES])


def test_the_segments_belong_to_bright_pointings():
    table = load_observations("rxte").set_index("obs_id")
    own = table.loc[np.unique(load_segments().obs_id)]
    assert len(own) == 400
    assert (own.bkg_frac < 0.5).mean() > 0.95
    assert own.source_id.nunique() > 30
