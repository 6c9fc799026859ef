"""The truth behind the archive: what is drawn lies where the literature puts it and adds up."""

import numpy as np
import pytest
import torch

from course.archive.sources import (
    ERAS,
    STATES,
    draw_outbursts,
    draw_pointings,
    draw_sources,
    photon_flux,
    power_spectrum,
)
from helpers.spectra import energy_flux


@pytest.fixture(scope="module")
def world():
    """200 sources, 1000 outbursts and 8000 pointings of RXTE."""
    generator = np.random.default_rng(7)
    sources = draw_sources(generator, 70, 130)
    outbursts = draw_outbursts(sources, "rxte", 1000, generator)
    truth = draw_pointings(sources, outbursts, np.full(200, 40), generator)
    return sources, outbursts, truth


def test_sources_lie_in_the_published_ranges(world):
    sources, _, _ = world
    holes, stars = sources[sources.object == "BH"], sources[sources.object == "NS"]
    assert (len(holes), len(stars)) == (70, 130)
    assert holes.mass.between(4.5, 15).all()
    assert stars.mass.between(1.2, 2.0).all()
    assert stars.frequency_scale.median() == pytest.approx(5.5, abs=0.5)
    scatter = np.log(holes.frequency_scale * holes.mass / 10)
    assert abs(scatter.mean()) < 4 * 0.2 / np.sqrt(70)
    assert scatter.std() == pytest.approx(0.2, rel=4 / np.sqrt(140))
    assert sources.gamma_soft.between(2.2, 2.8).all()
    assert sources.nu_transition.between(3, 8).all()
    assert (sources.gamma_slope <= 0.35).all()
    # Electrons of 15-25 keV around neutron stars, 30-200 keV around black holes
    assert stars.cutoff.between(2.5 * 15, 4 * 25).all()
    assert holes.cutoff.between(2.5 * 30, 4 * 200).all()
    # Isotropic orbits: cos i is uniform, so half of them lie above the mean cosine of the ends.
    middle = np.degrees(np.arccos((np.cos(np.radians(80)) + np.cos(np.radians(20))) / 2))
    assert abs((sources.inclination > middle).mean() - 0.5) < 4 * 0.5 / np.sqrt(len(sources))


def test_a_fixed_share_of_outbursts_stays_hard(world):
    _, outbursts, _ = world
    assert (outbursts.kind == "hard").mean() == 0.38
    stars = world[0].set_index("source_id").object[outbursts.source_id] == "NS"
    assert not (outbursts.kind == "bright")[~stars.to_numpy()].any()
    # The others become bright with probability 0.2.
    free = outbursts[stars.to_numpy() & (outbursts.kind != "hard").to_numpy()]
    error = np.sqrt(0.2 * 0.8 / len(free))
    assert abs((free.kind == "bright").mean() - 0.2) < 4 * error


def test_outbursts_return_at_a_lower_luminosity(world):
    _, outbursts, _ = world
    full = outbursts[outbursts.kind == "full"]
    assert full.l_to_soft.between(0.0499, 0.4001).all()
    log = np.log10(full.l_to_hard)
    # Maccarone 2003: -1.7 +- 0.25; the upper limit l_to_soft / 1.5 takes a little off.
    assert log.mean() == pytest.approx(-1.7, abs=0.02 + 4 * 0.25 / np.sqrt(len(full)))
    assert log.std() == pytest.approx(0.25, abs=0.05)
    assert np.median(full.l_to_soft / full.l_to_hard) > 3


def test_outbursts_that_stay_hard_never_get_bright_enough_to_leave(world):
    hard = world[1][world[1].kind == "hard"]
    assert (hard.l_peak < hard.l_to_soft).all()
    full = world[1][world[1].kind == "full"]
    assert (full.l_peak > full.l_to_soft).all()


def test_outbursts_of_one_source_do_not_overlap():
    generator = np.random.default_rng(5)
    sources = draw_sources(generator, 5, 5)
    outbursts = draw_outbursts(sources, "rxte", 60, generator)
    phases = ["hard_rise", "to_soft", "soft_intermediate", "soft", "to_hard", "hard_decay"]
    end = outbursts.start + outbursts[phases].sum(axis=1)
    later = outbursts.groupby("source_id").start.shift(-1)
    assert later.notna().sum() == 50
    assert (later.dropna() > end[later.notna()]).all()
    assert (end <= ERAS["rxte"][1]).all()


def test_the_cut_off_is_gone_in_the_soft_states(world):
    truth = world[2]
    assert (truth.e_cut.isna() == truth.state.isin(("SIMS", "HSS"))).all()


def test_an_outburst_runs_through_the_states_in_order():
    generator = np.random.default_rng(4)
    sources = draw_sources(generator, 10, 10)
    outbursts = draw_outbursts(sources, "rxte", 20, generator)
    truth = draw_pointings(sources, outbursts, np.full(20, 400), generator)
    assert truth.mjd.between(*ERAS["rxte"]).all()
    assert (truth.groupby("source_id").mjd.diff().dropna() >= 0).all()
    rank = truth.state.map({name: i for i, name in enumerate(STATES)})
    for outburst in outbursts.itertuples():
        own = rank[truth.outburst_id == outburst.outburst_id].to_numpy()
        if outburst.kind == "full":
            # The SIMS may last a day, and two days of a pair may straddle it.
            assert np.mean(np.abs(np.diff(own)) <= 1) > 0.98
            assert (own[0], own[-1], own.max()) == (0, 0, 3)
            softest = np.flatnonzero(own == 3)
            assert (own[: softest[0]] < 3).all()
            assert set(own) == {0, 1, 2, 3}
        elif outburst.kind == "hard":
            assert set(own) <= {0, 1}
        else:
            assert own.min() >= 1


def test_states_are_as_frequent_as_on_one_pointing_a_day(world):
    share = world[2].state.value_counts(normalize=True)
    # Of full outbursts about LHS 40, HIMS 10, SIMS 4, HSS 46 per cent; the hard ones add LHS.
    assert 0.35 < share["LHS"] < 0.55
    assert 0.30 < share["HSS"] < 0.50
    assert 0.06 < share["HIMS"] < 0.15
    assert 0.02 < share["SIMS"] < 0.09


# Published ranges, as in data/README.md
RANGES = ("gamma", "kt_in", "thermal_share", "rms")
PUBLISHED = {
    "LHS": ((1.4, 2.1), (0.1, 0.4), (0, 0.2), (0.25, 0.45)),
    "HIMS": ((1.9, 2.5), (0.5, 0.9), (0.1, 0.6), (0.1, 0.25)),
    "SIMS": ((2.3, 2.7), (0.7, 1.0), (0.4, 0.8), (0.04, 0.1)),
    "HSS": ((2.1, 3.5), (0.4, 1.2), (0.75, 1), (0.005, 0.05)),
}


@pytest.mark.parametrize("state", STATES)
def test_black_holes_look_as_in_the_table_of_states(world, state):
    """The middle half of each state lies in its published ranges, widened by a third of them."""
    truth = world[2]
    own = truth[(truth.object == "BH") & (truth.state == state)].iloc[:400]
    edges = torch.logspace(-1, np.log10(64), 401, dtype=torch.float64)
    variance = (power_spectrum((edges[1:] * edges[:-1]).sqrt(), own) * edges.diff()).sum(-1).numpy()
    own = own.assign(rms=np.sqrt(variance) * (1 - own.thermal_share))
    for name, (low, high) in zip(RANGES, PUBLISHED[state], strict=True):
        quarter, median, three = own[name].quantile([0.25, 0.5, 0.75])
        assert low <= median <= high, f"{name} of {state}: median {median:.3f}"
        more = (high - low) / 3
        assert low - more <= quarter, f"{name} of {state}: lower quartile {quarter:.3f}"
        assert three <= high + more, f"{name} of {state}: upper quartile {three:.3f}"


def test_the_spectrum_has_the_luminosity_and_the_shares_that_were_drawn(world):
    truth = world[2].iloc[::50].reset_index(drop=True)
    edges = torch.logspace(np.log10(0.5), 2, 1501, dtype=torch.float64)
    lo, hi = edges[:-1], edges[1:]
    flux = photon_flux(lo, hi, truth, absorbed=False)
    bolometric = energy_flux(lo, hi, flux.sum(0), 0.5, 100.0).numpy()
    sphere = 4 * np.pi * (truth.distance * 3.0857e21) ** 2
    luminosity = bolometric * sphere / (1.26e38 * truth.mass)
    # The norms come from a grid of 200 bins, good to 1e-3 where the disc falls steeply.
    np.testing.assert_allclose(luminosity, truth.luminosity, rtol=3e-3)
    disc, layer, _ = energy_flux(lo, hi, flux, 2.0, 20.0).numpy()
    total = energy_flux(lo, hi, flux.sum(0), 2.0, 20.0).numpy()
    np.testing.assert_allclose(disc / total, truth.disc_share, rtol=3e-3, atol=1e-3)
    np.testing.assert_allclose((disc + layer) / total, truth.thermal_share, rtol=3e-3, atol=1e-3)
    assert (layer[truth.object == "BH"] == 0).all()


def test_the_corona_has_its_photon_index_at_8_keV(world):
    truth = world[2].iloc[::100].reset_index(drop=True)
    edges = torch.tensor([7.99, 8.0, 8.01], dtype=torch.float64)
    corona = photon_flux(edges[:-1], edges[1:], truth, absorbed=False)[2].numpy()
    width = np.log(edges.diff().numpy())
    middle = np.log((edges[1:] * edges[:-1]).sqrt().numpy())
    slope = np.diff(np.log(corona) - width, axis=1)[:, 0] / np.diff(middle)
    np.testing.assert_allclose(-slope, truth.gamma, atol=1e-3)


def test_the_photon_index_follows_the_relation_of_its_source(world):
    truth = world[2]
    own = truth[(truth.object == "BH") & truth.state.isin(("LHS", "HIMS"))]
    nu = own.nu_c / own.frequency_scale
    bend = np.log1p(np.exp((own.nu_transition - nu) / own.gamma_width))
    relation = own.gamma_soft - own.gamma_width * own.gamma_slope * bend + own.gamma_offset
    rest = own.gamma - relation
    assert abs(rest.mean()) < 4 * 0.02 / np.sqrt(len(own))
    assert rest.std() == pytest.approx(0.02, rel=4 / np.sqrt(2 * len(own)))


def test_the_power_spectrum_holds_the_drawn_variance(world):
    truth = world[2].iloc[::100].reset_index(drop=True).assign(rms_red=0.0)
    edges = torch.cat([torch.zeros(1), torch.logspace(-5, 5, 20001)]).double()
    middle = (edges[1:] + edges[:-1]) / 2
    variance = (power_spectrum(middle, truth) * edges.diff()).sum(-1).numpy()
    drawn = truth[["rms_1", "rms_2", "rms_3", "rms_qpo", "rms_harmonic"]] ** 2
    # A Lorentzian of half width Delta has Delta/f above f: 300 Hz / 1e5 Hz at most.
    np.testing.assert_allclose(variance, drawn.sum(axis=1), rtol=4e-3, atol=1e-12)


def test_qpos_have_the_frequencies_and_widths_of_their_types(world):
    truth = world[2]
    for kind, (low, high), (low_q, high_q) in (
        ("C", (0.04, 150), (7, 12)),
        ("B", (4, 7), (6, 10)),
        ("A", (6.5, 8.5), (1, 3)),
    ):
        own = truth[truth.qpo_type == kind]
        assert len(own) > 20
        assert own.nu_qpo.between(low, high).all()
        assert own.q_qpo.between(low_q, high_q).all()
    assert truth.nu_qpo[truth.qpo_type == ""].isna().all()
    assert (truth.rms_qpo[truth.qpo_type == ""] == 0).all()
