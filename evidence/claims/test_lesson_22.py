"""What lesson 22 says in words: on its file, on mocks of its set-up, and on files that other simulators made."""

import functools
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.io import fits
from scipy import stats

from course.lesson_cells import run_cells
from helpers.dead_time import DeadTimeSimulator
from helpers.dead_time_theory import incident_rate
from helpers.diagnostics import calibration, credibility
from helpers.light_curves import averaged_periodogram
from helpers.observations import live_time, read_events
from helpers.posteriors import train_posterior

SEEDS = range(5)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@functools.cache
def lesson():
    """The file, what is known of it, the lesson's answers, and its simulator."""
    starts = (
        "import tempfile", "from helpers", "path = ", "dead_time = ", "def segments", "segment, bin_size",
        "def live_time", "ends = ", "def band_noise", "setup = ", "def surprise",
    )  # fmt: skip
    scope = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run_cells("22", starts[:3], scope)
        events = scope["events"]
        scope["cost"] = 1e6 * (np.diff(events.time) - events.prior[1:])
        run_cells("22", starts[3:], scope)
    return scope


@functools.cache
def trained(seed, of="npe"):
    """The lesson's network, or that of the simulator that has forgotten the band, on simulations of this seed."""
    names = {**lesson(), "generator": seeded(seed), "seeded": seeded(100 + seed)}
    if of == "forgot":
        return run_cells("22", "forgot = ", names)
    return run_cells("22", "start = time", names, {"manual_seed(22)": f"manual_seed({seed})"})


@pytest.mark.quick
def test_the_file_is_noise_behind_a_dead_time_and_both_live_times_agree(record_property):
    scope = lesson()
    events, kept, tau = scope["events"], scope["kept"], scope["dead_time"]
    assert events.time[0] - events.gti[0, 0] > 0.4 < events.gti[-1, 1] - events.time[-1]
    assert tau == 1e-4
    assert abs(scope["live"] - scope["by_rate"]).max() < 1.01 * tau
    rate = float(scope["registered"].mean() / (1 - tau * scope["registered"].mean()))
    record_property("incident rate of the file by the formula (1/s)", rate)
    assert abs(rate - 2000) < 4 * (2000 / 1024) ** 0.5 * 6 / 5  # counts, and what is lost
    fine = scope["starts"][0] + np.arange(128 * 16384 + 1) / 16384
    for chosen, share in ((slice(None), 1.0), (scope["in_band"], kept)):
        counts = np.diff(np.searchsorted(events.time[chosen], fine))
        f, leahy = averaged_periodogram(torch.from_numpy(counts).double(), 1 / 16384, 1.0)
        expected = scope["band_noise"](f, rate, tau, share)
        for low in (0, 50, 100, 200, 400):
            here = slice(low, 2 * low or 50)
            ratio = (leahy / expected)[here]
            assert abs(ratio.mean() - 1) < 4 / (128 * len(ratio)) ** 0.5


@pytest.mark.parametrize("stretch", range(0, 32, 4))
def test_faults_hide_behind_each_other(stretch, record_property):
    change = {"manual_seed(7)": f"manual_seed({stretch})", "observed[0]": f"observed[{stretch}]"}
    table = run_cells("22", "wide = ", {**lesson()}, change)["table"]
    number = [row["numbers of 28 with p < 1 %"] for row in table.values()]
    record_property("impossible numbers of 28, after 0 to 4 faults were mended", number)
    assert number[3] >= 18
    assert max(number[:3] + number[4:]) <= 7


@pytest.mark.parametrize("seed", SEEDS)
def test_coverage_over_mocks_and_the_constant_source_of_the_envelope(seed, record_property):
    scope = trained(seed)
    npe, draw, simulate = scope["npe"], scope["draw_prior"], scope["simulate"]
    low, high, observed, generator = (scope[n] for n in ("low", "high", "observed", "generator"))
    truths = draw(500, generator)
    mocks = simulate(truths, generator).log()
    draws = npe.sample(199, mocks, generator=generator)
    log_q = npe.log_prob(truths[None], mocks)[0]
    shares = credibility(npe.log_prob(draws, mocks), log_q)
    found = calibration(draws, truths, low, high, generator)
    for level in (0.68, 0.9):
        held = float((shares < level).double().mean())
        record_property(f"500 truths in {level:.0%} regions", held)
        # A network's own error, beside the binomial one.
        assert abs(held - level) < 4 * (level * (1 - level) / 500) ** 0.5 + 0.03
    record_property("bias in sd, of rms, ν₀, q and rate", found.bias.tolist())
    assert found.bias.abs().max() < 0.25
    assert log_q.mean() > -10 > -13.8  # the prior's
    posterior = npe.sample(1000, observed, generator=generator)
    rates, limits = posterior[..., 3], posterior[..., 0].quantile(0.95, 0)
    spread = float(rates.std(0).mean())
    record_property("rate of the file, truth 2000/s", float(rates.mean()))
    record_property("sd of the rate, one stretch", spread)
    record_property("scatter of the 32 rates over their sd", float(rates.mean(0).std()) / spread)
    record_property("rms limits, least and greatest", [limits.min().item(), limits.max().item()])
    assert abs(rates.mean() - 2000) < 4 * spread / 32**0.5 + 0.25 * spread
    assert 0.5 < rates.mean(0).std() / spread < 1.3
    assert 0.04 < limits.min() < limits.max() < 0.19
    for rms, seen in ((0.04, False), (0.14, True)):
        theta = torch.tensor([rms, 30.0, 10.0, 2000.0]).expand(40, 4)
        lowest = npe.sample(500, simulate(theta, generator).log(), generator=generator)[..., 0]
        lowest = lowest.quantile(0.05, 0)
        share = float((lowest > 0.03).double().mean())
        record_property(f"share of mocks with rms above 0.03 at 95 %, truth {rms}", share)
        assert share > 0.85 if seen else share < 0.2


@pytest.mark.parametrize("seed", SEEDS)
def test_only_the_live_share_knows_of_the_band(seed, record_property):
    scope = {**trained(seed), "rows": []}
    scope |= {name: value for name, value in trained(seed, "forgot").items() if "forgot" in name}
    scope = run_cells("22", "witness = ", scope)
    for (model, name), p in scope["p_values"].items():
        record_property(f"mean p, {model}, {name}", p)
        if (model, name) == ("forgot", "live share"):
            assert p > 0.99
        else:
            assert 0.1 < p < 0.9
    record_property("smallest p(SBC) of the network that forgot", scope["p_forgot"].min().item())
    assert scope["p_forgot"].min() > 1e-3  # nothing that a reader would stop at
    rate = scope["npe_forgot"].sample(500, scope["observed"], generator=seeded(1))[..., 3].mean()
    record_property("rate of the network that forgot", float(rate))
    assert 1250 < rate < 1400


@pytest.mark.parametrize("seed", SEEDS)
def test_two_tools_learn_far_more_than_the_prior(seed, record_property):
    scope = {**trained(seed), "draws": None}
    change = {"manual_seed(0)": f"manual_seed({seed})"}
    run_cells("22", ("torch.manual_seed(0)", "truths = draw_prior(400"), scope, change)
    ours, theirs, prior = (scope[name].mean().item() for name in ("of_ours", "of_sbi", "of_prior"))
    theirs -= scope["inside"].log().mean().item()
    record_property("ln q of the truth, helpers", ours)
    record_property("ln q of the truth, sbi, inside of the box", theirs)
    assert prior == pytest.approx(-13.84, abs=0.01)
    assert min(ours, theirs) > prior + 3
    assert abs(ours - theirs) < 2


# --- files that other simulators made --------------------------------------------------------------


def test_a_thousand_random_events_of_hendrics(record_property):
    """monol_testA.evt: by HENDRICS, 1000 events at random in 1025 s, NuSTAR's format, no dead time."""
    import stingray

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        events = read_events(Path(stingray.__file__).parent / "tests/data/monol_testA.evt")
    starts = lesson()["segments"](events.gti, 32.0)
    edges = starts[:, None] + 0.25 * np.arange(129)
    counts = np.diff(np.searchsorted(events.time, edges)).reshape(1, -1)
    simulate = DeadTimeSimulator(1024.0, 0.25, 32.0, 2.5e-3, 1, log_f=0.2)
    low, high = torch.tensor([0.0, 0.1, 1.0, 0.3]), torch.tensor([1.0, 1.5, 10.0, 3.0])
    generator = seeded(1)
    theta = low + (high - low) * torch.rand(2000, 4, generator=generator).clamp(1e-6, 1 - 1e-6)
    npe = train_posterior(theta, simulate(theta, generator).log(), low, high, generator=generator)
    observed = simulate.summarise(torch.from_numpy(counts).float()).log()
    draws = npe.sample(1000, observed, generator=generator)
    limit, rate = draws[:, 0].quantile(0.95).item(), draws[:, 3]
    record_property("monol_testA.evt: rate, truth 0.976/s", rate.mean().item())
    record_property("monol_testA.evt: sd of the rate", rate.std().item())
    record_property("monol_testA.evt: rms below (95 %), truth 0", limit)
    assert abs(rate.mean() - 1000 / 1025) < 3 * rate.std()
    assert limit < 0.6


@pytest.mark.quick
def test_the_template_takes_the_ratio_of_what_arrives(record_property):
    """600 and 400 photons/s, by numpy, and stingray's dead time: what is registered has another ratio."""
    from stingray.filters import filter_for_deadtime

    tau, generator, counts = 2.5e-3, np.random.default_rng(3), []
    for rate in (600.0, 400.0):
        arrived = np.sort(generator.uniform(0, 512, generator.poisson(512 * rate)))
        seen = np.histogram(filter_for_deadtime(arrived, tau), np.arange(512 * 200 + 1) / 200)[0]
        counts.append(seen.reshape(16, 32 * 200))
    scope = {
        "stretches": torch.from_numpy(np.stack(counts, 1)).float(), "bands": [np.ones(9, bool)] * 2,
        "dead_time": tau, "segment": 1.0, "bin_size": 1 / 200, "in_stretch": 32, "lists": [0, 1],
        "np": np, "DeadTimeSimulator": DeadTimeSimulator, "incident_rate": incident_rate,
    }  # fmt: skip
    scope = run_cells("my", "kept, registered", scope)
    ratio = scope["rates"][1] / scope["rates"][0]
    registered = scope["registered"][1] / scope["registered"][0]
    record_property(
        "ratio of 400 and 600/s, incident and registered", [float(ratio), float(registered)]
    )
    # A registered event tells as much of the incident rate as one of a Poisson process would.
    error = float((1 / scope["stretches"].sum((0, 2))).sum().sqrt())
    assert abs(ratio / (2 / 3) - 1) < 4 * error < 0.02
    assert abs(registered / (5 / 6) - 1) < 4 * error


def written_by_others(path, rms, centroid, quality, rate, seed):
    """Event files of two detectors, in NuSTAR's format: light curve, photons and dead time by stingray."""
    from stingray import EventList, Lightcurve
    from stingray.filters import filter_for_deadtime
    from stingray.simulator import Simulator

    tau, dt, exposure, generator = 2.5e-3, 1e-3, 64.0, np.random.RandomState(seed)
    np.random.seed(seed)  # noqa: NPY002, stingray draws photons from numpy's global generator
    long = Simulator(dt=dt, N=2**17, mean=rate, rms=rms, random_state=generator)
    half = centroid / quality / 2
    f = np.fft.rfftfreq(2**17, dt)[1:]
    curve = long.simulate(half**2 / ((f - centroid) ** 2 + half**2))
    counts = np.clip(curve.counts[: round(exposure / dt)], 0, None) * dt
    paths = []
    for module in "AB":
        events = EventList()
        events.simulate_times(
            Lightcurve(dt * (np.arange(len(counts)) + 0.5), counts, dt=dt, gti=[[0, exposure]])
        )
        seen = filter_for_deadtime(events.time, tau)
        prior = np.append(seen[0], np.diff(seen) - tau)
        columns = [fits.Column("TIME", "D", unit="s", array=8e7 + seen)]
        columns.append(fits.Column("PRIOR", "D", unit="s", array=prior))
        columns.append(fits.Column("PI", "J", array=generator.randint(35, 1909, len(seen))))
        table = fits.BinTableHDU.from_columns(columns, name="EVENTS")
        table.header.update(TELESCOP="NuSTAR", INSTRUME=f"FPM{module}", MJDREFI=55197, TSTART=8e7)
        table.header.update(MJDREFF=7.6601852e-4, TIMEUNIT="s", TIMEZERO=0.0, TSTOP=8e7 + exposure)
        gti = [
            fits.Column(n, "D", unit="s", array=[t])
            for n, t in (("START", 8e7), ("STOP", 8e7 + exposure))
        ]
        gti = fits.BinTableHDU.from_columns(gti, name="GTI")
        paths.append(path / f"{seed}{module}.evt")
        fits.HDUList([fits.PrimaryHDU(), table, gti]).writeto(paths[-1])
    return paths


def test_blind_files_with_a_qpo_that_stingray_simulated(tmp_path, record_property):
    """Thirty pairs of files: truths of the prior, stingray's light curves, photons and dead time."""
    simulate = DeadTimeSimulator(64.0, 5e-3, 1.0, 2.5e-3, 2, log_f=0.1)
    low, high = torch.tensor([0.1, 5.0, 3.0, 300.0]), torch.tensor([0.4, 40.0, 20.0, 1200.0])
    generator = seeded(2)
    theta = low + (high - low) * torch.rand(2000, 4, generator=generator).clamp(1e-6, 1 - 1e-6)
    npe = train_posterior(theta, simulate(theta, generator).log(), low, high, generator=generator)
    truths = low + (high - low) * torch.rand(30, 4, generator=generator)
    counts, shares = [], []
    for seed, truth in enumerate(truths.tolist()):
        pair = []
        for path in written_by_others(tmp_path, *truth, seed):
            events = read_events(path)
            starts = lesson()["segments"](events.gti, 1.0)
            edges = starts[:, None] + 5e-3 * np.arange(201)
            pair.append(np.diff(np.searchsorted(events.time, edges)).ravel())
            live = live_time(np.append(starts, starts[-1] + 1), events.time, events.prior)
            shares.append(live.sum() / 64 + 2.5e-3 * len(events.time) / 64)
        counts.append(np.stack(pair))
    observed = simulate.summarise(torch.from_numpy(np.stack(counts)).float()).log()
    draws = npe.sample(1000, observed, generator=generator)
    z = (draws.mean(0) - truths) / draws.std(0)
    held = credibility(npe.log_prob(draws, observed), npe.log_prob(truths[None], observed)[0])
    number = int((held < 0.68).sum())
    record_property("stingray's files: truths of 30 in 68 % regions", number)
    record_property(
        "stingray's files: mean of (estimate − truth)/sd, of rms, ν₀, q, rate", z.mean(0).tolist()
    )
    record_property("stingray's files: its scatter", z.std(0).tolist())
    np.testing.assert_allclose(shares, 1, atol=1e-3)  # live, and what the events cost
    assert stats.binomtest(number, 30, 0.68).pvalue > 1e-3
    assert (z.mean(0).abs() < 4 / 30**0.5 + 0.3).all()
    assert (z.std(0) < 1.6).all()
