"""The course's archive of X-ray binaries: thousands of pointings, measured, labelled, and flawed.

Sources and their outbursts are drawn by `course.archive.sources`; `course.archive.pointings`
observes them and measures. This module decides who is observed when, adds the human part - labels,
files, habits - and the flaws that real archives have.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from course.archive.observer import INSTRUMENTS
from course.archive.pointings import SEGMENT, SEGMENT_BIN, observe
from course.archive.sources import (
    EDDINGTON,
    STATES,
    draw_outbursts,
    draw_pointings,
    draw_sources,
    sphere,
)
from helpers.features import LIGHT_CURVE_FEATURES

__all__ = ["COLUMNS", "TRUTH_COLUMNS", "Archive", "simulate_archive"]

#: {column: (unit, meaning, why it can be missing)} of the tables of observations, in their order.
COLUMNS = {
    "obs_id": ("", "name of the pointing, in order of time", ""),
    "source_id": ("", "name of the source it is filed under", ""),
    "outburst_id": ("", "name of the outburst it is filed under", ""),
    "instrument": ("", "rxte (PCA) or nicer (XTI)", ""),
    "mjd": ("d", "start, modified Julian date", ""),
    "exposure": ("s", "length of the pointing", ""),
    "n_det": ("", "detectors switched on: PCUs of 5, NICER's of 52", ""),
    "state_label": ("", "accretion state as a human reader called it", ""),
    "object_label": ("", "BH or NS, as the literature has it", ""),
    "label_trust": ("", "how sure the reader of the state was: A, B or C", ""),
    "rate": ("1/s", "net count rate of all detectors, 3-25 keV (rxte), 0.5-10 keV (nicer)", ""),
    "rate_err": ("1/s", "its error", ""),
    "bkg_frac": ("", "estimated background over all counts", ""),
    "log_flux_2_10": ("erg/cm^2/s", "log10 of the unabsorbed flux at 2-10 keV", "too few counts"),
    "lum_edd_est": (
        "",
        "luminosity over Eddington's: three times the 2-10 keV flux at the distance of the "
        "literature, for 8 solar masses whatever the object is",
        "too few counts",
    ),
    "hr_soft": (
        "Crab",
        "soft colour, net counts 6-10 over 3-6 keV (rxte), 2-4 over 0.5-2 keV (nicer), divided by "
        "the same ratio of the Crab nebula",
        "below 3 sigma",
    ),
    "hr_soft_err": ("Crab", "its error", "as hr_soft"),
    "hr_hard": (
        "Crab",
        "hard colour, 10-20 over 6-10 keV (rxte), 4-10 over 2-4 keV (nicer)",
        "below 3 sigma",
    ),
    "hr_hard_err": ("Crab", "its error", "as hr_hard"),
    "hr_low": (
        "Crab",
        "colour 1-2 over 0.5-1 keV",
        "rxte sees nothing below 3 keV; below 3 sigma",
    ),
    "hr_low_err": ("Crab", "its error", "as hr_low"),
    "hr_3_10": (
        "Crab",
        "colour 6-10 over 3-6 keV, of both telescopes; for rxte it is hr_soft",
        "below 3 sigma",
    ),
    "hr_3_10_err": ("Crab", "its error", "as hr_3_10"),
    "gamma": ("", "photon index of the fitted power law", "not needed, or at the fit's limit"),
    "kt_in": ("keV", "inner temperature of the fitted disc", "no disc needed, or at the limit"),
    "disc_frac": ("", "disc's share of the fitted flux at 2-20 keV", "too few counts"),
    "red_chi2": ("", "chi-squared per degree of freedom of the fit", "too few counts"),
    "rms_0p1_64": (
        "",
        "fractional rms, 0.1-64 Hz; above 1 it is noise",
        "variance not above zero; source too faint",
    ),
    "rms_0p004_0p03": ("", "fractional rms, 1/256-1/32 Hz", "as rms_0p1_64"),
    "rms_0p03_0p25": ("", "fractional rms, 1/32-1/4 Hz", "as rms_0p1_64"),
    "rms_0p25_2": ("", "fractional rms, 0.25-2 Hz", "as rms_0p1_64"),
    "rms_2_16": ("", "fractional rms, 2-16 Hz", "as rms_0p1_64"),
    "rms_hf": ("", "fractional rms, 16-64 Hz", "as rms_0p1_64"),
    "rms_3_10": (
        "",
        "fractional rms, 0.1-64 Hz, of 3-10 keV alone",
        "as rms_0p1_64",
    ),
    "pc1": ("", "power colour, variance 0.25-2 over 1/256-1/32 Hz", "a variance below 3 sigma"),
    "pc2": ("", "power colour, variance 1/32-1/4 over 2-16 Hz", "a variance below 3 sigma"),
    "hue": ("deg", "angle on the power-colour wheel", "pc1 or pc2 missing, or error above 8 deg"),
    "nu_break": ("Hz", "break frequency of the band-limited noise", "no break found"),
    "qpo_det": ("", "whether a QPO was found, false alarms 1 per cent", ""),
    "qpo_freq": ("Hz", "centroid of the QPO", "no QPO found"),
    "qpo_q": ("", "its centroid over its full width", "no QPO found"),
    "qpo_rms": ("", "fractional rms of the QPO", "no QPO found"),
    "qpo_sig": ("", "square root of twice its log likelihood ratio", "no QPO found"),
    "lag_0p1_1": (
        "s",
        "time lag of hard behind soft, 0.1-1 Hz; split at 10 keV (rxte), 3 keV (nicer)",
        "phase uncertain by more than 0.25 rad",
    ),
    "lag_1_10": (
        "s",
        "time lag of hard behind soft, 1-10 Hz",
        "phase uncertain by more than 0.25 rad",
    ),
    "coherence": ("", "coherence of the two, 0.1-10 Hz", "uncertain by more than 0.2"),
    **dict.fromkeys(
        LIGHT_CURVE_FEATURES,
        ("", "of the net light curve in bins of 1 s; see light_curve_features", "not defined"),
    ),
}
for _unit, _names in (
    ("1/s", ("amplitude", "median_absolute_deviation", "std")),
    ("1/s^2", ("linear_trend", "max_slope")),
):
    COLUMNS |= {name: (_unit, *COLUMNS[name][1:]) for name in _names}

#: {column: (unit, meaning)} of the truth, in its order; what is empty does not exist there.
TRUTH_COLUMNS = {
    "obs_id": ("", "name of the pointing, as in the tables of observations"),
    "instrument": ("", "rxte or nicer"),
    "source_id": ("", "the source that was really observed"),
    "filed_under": ("", "the wrong source it is filed under, if it is"),
    "outburst_id": ("", "the outburst it really belongs to"),
    "outburst_kind": ("", "full, hard (never gets soft) or bright (never gets hard)"),
    "mjd": ("d", "start"),
    "exposure": ("s", "length"),
    "object": ("", "BH or NS"),
    "state": ("", "LHS, HIMS, SIMS or HSS"),
    "softness": ("", "how far from hard, 0, to soft, 1; the states meet at 0.33, 0.66 and 0.76"),
    "luminosity": ("L_Edd", "luminosity at 0.5-100 keV"),
    "mass": ("M_sun", "mass"),
    "distance": ("kpc", "distance"),
    "distance_literature": ("kpc", "distance as the observer believes"),
    "n_h": ("1e22/cm^2", "column density"),
    "n_h_literature": ("1e22/cm^2", "column density as the observer believes"),
    "inclination": ("deg", "inclination of the orbit"),
    "gain": ("", "true over nominal energy"),
    "outlier": ("", "slew, burst or flare; empty if nothing went wrong"),
    "gamma": ("", "photon index of the corona at 8 keV"),
    "e_cut": ("keV", "its exponential cut-off; empty in SIMS and HSS, which have none"),
    "kt_in": ("keV", "temperature of the disc's inner edge"),
    "kt_layer": ("keV", "temperature of the boundary layer; empty for black holes"),
    "disc_share": ("", "share of the disc in the flux at 2-20 keV"),
    "thermal_share": ("", "share of disc and boundary layer in it"),
    "norm_disc": ("", "norm of disc_blackbody"),
    "norm_layer": ("", "norm of blackbody"),
    "norm_corona": ("1/keV/cm^2/s", "norm of cutoff_power_law"),
    "nu_c": ("Hz", "frequency at which a type-C QPO is or would be"),
    "nu_1": ("Hz", "half width of the first zero-centred Lorentzian: the break"),
    "nu_2": ("Hz", "half width of the second"),
    "nu_3": ("Hz", "half width of the third"),
    "rms_1": ("", "fractional rms of the first, of the corona alone"),
    "rms_2": ("", "of the second"),
    "rms_3": ("", "of the third"),
    "rms_red": ("", "of the power law, 0.1-10 Hz"),
    "red_index": ("", "index of the power law"),
    "qpo_type": ("", "A, B or C; empty where there is no QPO"),
    "nu_qpo": ("Hz", "centroid of the QPO; empty where there is none"),
    "q_qpo": ("", "its quality factor; empty where there is none"),
    "rms_qpo": ("", "its fractional rms, of the corona alone"),
    "rms_harmonic": ("", "that of its harmonic"),
    "delay": ("s", "lag of hard photons at 1 Hz"),
    "coherence": ("", "coherence of the two light curves without noise"),
    "frequency_scale": ("", "the source's frequencies over those of 10 solar masses"),
    "gamma_soft": ("", "photon index at high frequencies, A of the source's relation"),
    "gamma_offset": ("", "by which the outburst lies off that relation"),
    "gamma_slope": ("1/Hz", "slope B of it"),
    "nu_transition": ("Hz", "where it bends, for 10 solar masses"),
    "gamma_width": ("Hz", "how sharply, D"),
}

_CHUNK = 40  # pointings per task; part of what the seed means
_LEAST, _MOST = 5, 700  # pointings of a source
_N_MISFILED = 5
_BRIGHT = 3e-9  # erg/cm^2/s at 0.5-100 keV
_OVERLAPPING = 5  # segments cut from one light curve
# Days of new voltages, after which channels and energies agreed again; the drift between is ours
_GAIN_RESETS = (50100.0, 51259.0, 51677.0, 55920.0)
_GAIN_DRIFT = 0.02


@dataclass(frozen=True, eq=False)
class Archive:
    """What `simulate_archive` returns.

    Attributes:
        rxte, nicer: one row per pointing, with the columns of `COLUMNS`.
        truth: one row per pointing of both, in the same order: what was drawn.
        segments: {name: array} of light-curve segments that overlap, from RXTE pointings.
    """

    rxte: pd.DataFrame
    nicer: pd.DataFrame
    truth: pd.DataFrame
    segments: dict


def simulate_archive(
    seed: int,
    *,
    n_rxte: int = 6000,
    n_nicer: int = 1000,
    n_black_holes: int = 20,
    n_neutron_stars: int = 40,
    n_outbursts: int = 150,
    n_segments: int = 2000,
    processes: int | None = None,
) -> Archive:
    """Draw sources and outbursts, observe them with two telescopes, and file what was measured.

    One in five sources is new to NICER, one in ten is seen by both, the rest by RXTE alone. The
    numbers of pointings are log-normal, 5 to 700 per source. A human reader names the state: 6 per
    cent of the labels are those of a neighbouring state. The result depends on the arguments alone,
    not on the number of processes.

    Planted, each with its mark in the truth: a gain of RXTE that drifts by 2 per cent between
    resets; slews, bursts and particle flares; longer exposures where the state was seen to be
    intermediate; five pointings filed under another source; segments that overlap.

    Args:
        seed: of everything.
        n_rxte, n_nicer: pointings of each telescope.
        n_black_holes, n_neutron_stars: sources.
        n_outbursts: of all sources and both telescopes.
        n_segments: light-curve segments, five of each chosen pointing, if so many are bright.
        processes: how many run side by side; all processors if not given, this one alone if 1.

    Returns:
        The tables, the truth and the segments.

    Raises:
        ValueError: if there are too few or too many pointings for the sources.

    Example:
        >>> archive = simulate_archive(
        ...     1, n_rxte=12, n_nicer=20, n_black_holes=2, n_neutron_stars=2, n_outbursts=8,
        ...     n_segments=0, processes=1,
        ... )
        >>> archive.rxte.shape, archive.truth.obs_id[12]
        ((12, 65), 'N00001')
    """
    generator = np.random.default_rng(seed)
    sources = draw_sources(generator, n_black_holes, n_neutron_stars)
    seen_by = _share_out(sources, generator)
    parts = []
    for instrument, n in (("rxte", n_rxte), ("nicer", n_nicer)):
        own = sources[seen_by[instrument]].reset_index(drop=True)
        if not _LEAST * len(own) <= n <= _MOST * len(own):
            raise ValueError(
                f"{n} pointings of {instrument} do not fit its {len(own)} sources: each is "
                f"observed {_LEAST} to {_MOST} times."
            )
        n_own = max(round(n_outbursts * (0.8 if instrument == "rxte" else 0.2)), len(own))
        numbers = _numbers_of_pointings(n, len(own), generator)
        outbursts = draw_outbursts(own, instrument, n_own, generator, weights=np.sqrt(numbers))
        truth = draw_pointings(own, outbursts, numbers, generator)
        parts.append(_schedule(truth, instrument, generator))
    truth = pd.concat(parts, ignore_index=True)
    literature = {s: np.exp(0.15 * generator.standard_normal(2)) for s in sources.source_id}
    n_h, distance = np.array([literature[s] for s in truth.source_id]).T
    truth["n_h_literature"] = n_h * truth.n_h
    truth["distance_literature"] = distance * truth.distance
    truth["segments"] = _choose_segments(truth, n_segments, generator)

    features, segments = _observe_all(truth, seed, processes)
    table = pd.concat([_file(truth, generator), features], axis=1)
    misfiled = _misfile(table, truth, generator)
    distance = dict(zip(truth.source_id, truth.distance_literature, strict=True))
    area = sphere(table.source_id.map(distance))
    table["lum_edd_est"] = 3 * 10**table.log_flux_2_10 * area / (8 * EDDINGTON)
    truth["filed_under"] = table.source_id.where(misfiled, "")
    table = table[list(COLUMNS)]
    rxte = (truth.instrument == "rxte").to_numpy()
    return Archive(
        rxte=table[rxte].reset_index(drop=True),
        nicer=table[~rxte].reset_index(drop=True),
        truth=truth.assign(obs_id=table.obs_id)[list(TRUTH_COLUMNS)],
        segments=_pack(segments, table, truth),
    )


def _share_out(sources, generator):
    """{instrument: (n_sources,) whether it observes the source}, balanced between the objects."""
    nicer, new = np.zeros(len(sources), bool), np.zeros(len(sources), bool)
    for name in ("BH", "NS"):
        own = generator.permutation(np.flatnonzero(sources.object == name))
        n_new, n_both = max(round(0.2 * len(own)), 1), max(round(0.1 * len(own)), 1)
        new[own[:n_new]] = True
        nicer[own[: n_new + n_both]] = True
    return {"rxte": ~new, "nicer": nicer}


def _numbers_of_pointings(total, n, generator):
    """n log-normal whole numbers between two limits, with a given sum."""
    weight = np.exp(1.1 * generator.standard_normal(n))
    numbers = np.full(n, _LEAST)
    while numbers.sum() < total:
        share = np.where(numbers < _MOST, weight, 0)
        left = total - numbers.sum()
        more = np.floor(left * share / share.sum()).astype(int)
        if not more.any():
            more[np.argsort(-share)[:left]] = 1
        numbers = np.minimum(numbers + more, _MOST)
    return numbers


def _schedule(truth, instrument, generator):
    """Add how each pointing was made: exposure, detectors, gain, and what went wrong."""
    n = len(truth)
    truth = truth.sort_values("mjd", kind="stable", ignore_index=True)
    truth["instrument"] = instrument
    # Whoever sees an intermediate state asks for a long look: the exposure knows the answer.
    long_look = truth.state.isin(("HIMS", "SIMS")) & (generator.random(n) < 0.7)
    units = np.where(long_look, generator.integers(8, 15, n), generator.integers(3, 7, n))
    truth["exposure"] = 256.0 * units
    if instrument == "rxte":
        late = truth.mjd.to_numpy() > 53000
        early_n = generator.choice((3, 4, 5), n, p=(0.3, 0.3, 0.4))
        truth["n_det"] = np.where(late, generator.choice((1, 2, 3), n, p=(0.3, 0.5, 0.2)), early_n)
        resets = np.array(_GAIN_RESETS)
        last = np.clip(np.searchsorted(resets, truth.mjd, "right") - 1, 0, len(resets) - 2)
        phase = (truth.mjd - resets[last]) / (resets[last + 1] - resets[last])
        truth["gain"] = 1 + _GAIN_DRIFT * phase
    else:
        truth["n_det"] = generator.integers(50, 53, n)
        truth["gain"] = 1.0
    chance = generator.random(n)
    bursts = (truth.object == "NS") & (truth.luminosity < 0.3)
    truth["outlier"] = np.select(
        [chance < 0.004, chance < 0.008, (chance < 0.020) & bursts], ["slew", "flare", "burst"], ""
    )
    return truth


def _choose_segments(truth, n_segments, generator):
    """(n,) segments to keep of each pointing: few per source, so that well observed ones do not reign.

    Only sources well above the background, for a segment is normalised by its own net rate.
    """
    flux = truth.luminosity * truth.mass * EDDINGTON / sphere(truth.distance)
    bright = (truth.instrument == "rxte") & (flux > _BRIGHT) & (truth.outlier == "")
    order = generator.permutation(truth.index[bright].to_numpy())
    turn = truth.source_id[order].groupby(truth.source_id[order]).cumcount().to_numpy()
    chosen = order[np.argsort(turn, kind="stable")[: n_segments // _OVERLAPPING]]
    return np.where(truth.index.isin(chosen), _OVERLAPPING, 0)


def _observe_all(truth, seed, processes):
    """Features of all pointings, and the segments, whose `row` is that of the truth."""
    tasks = []
    # Each of one source and telescope, and each with its own random stream
    for _, own in truth.groupby(["instrument", "source_id"], sort=True):
        for i in range(0, len(own), _CHUNK):
            tasks.append((own.iloc[i : i + _CHUNK], [seed, 1 + len(tasks)]))
    features, segments = [], []
    with (
        _workers(processes or os.cpu_count() or 1) as run,
        tqdm(total=len(truth), unit="pointing") as bar,
    ):
        for measured, pieces in run(_observe_task, tasks):
            features.append(measured)
            segments += pieces
            bar.update(len(measured))
    return pd.concat(features).loc[truth.index], segments


@contextmanager
def _workers(processes):
    """A `map` that runs in so many processes, or here; with one thread each, on two cores or twenty.

    Sums are then made in the same order whatever the machine.
    """
    if processes > 1:
        # A fresh interpreter each: torch's threads do not survive a fork.
        context = get_context("spawn")
        with ProcessPoolExecutor(processes, context, initializer=_be_alone) as pool:
            yield pool.map
        return
    before = torch.get_num_threads()
    with threadpool_limits(1):
        torch.set_num_threads(1)
        try:
            yield map
        finally:
            torch.set_num_threads(before)


def _be_alone():
    torch.set_num_threads(1)
    threadpool_limits(1)


def _observe_task(task):
    truth, stream = task
    instrument = INSTRUMENTS[truth.instrument.iloc[0]]
    return observe(truth, instrument, np.random.default_rng(stream))


def _file(truth, generator):
    """The columns that a human fills in."""
    n = len(truth)
    trust = generator.choice(list("ABC"), n, p=(0.6, 0.25, 0.15))
    wrong = generator.random(n) < np.select([trust == "A", trust == "B"], [0.03, 0.08], 0.14)
    state = truth.state.map({name: i for i, name in enumerate(STATES)}).to_numpy()
    step = np.where(generator.random(n) < 0.5, -1, 1)
    step = np.select([state == 0, state == len(STATES) - 1], [1, -1], step)
    label = np.array(STATES)[np.where(wrong, state + step, state)]
    order = truth.groupby("instrument").mjd.rank(method="first").astype(int)
    initial = truth.instrument.str[0].str.upper()
    names = ["source_id", "outburst_id", "instrument", "mjd", "exposure", "n_det"]
    return truth[names].assign(
        obs_id=[f"{i}{k:05d}" for i, k in zip(initial, order, strict=True)],
        state_label=label,
        object_label=truth.object,
        label_trust=trust,
    )


def _misfile(table, truth, generator):
    """Put a few bright RXTE pointings under a source of the other kind; (n,) which they are."""
    rxte = (truth.instrument == "rxte") & (table.rate > 50)
    misfiled = np.zeros(len(table), dtype=bool)
    for row in generator.choice(np.flatnonzero(rxte), _N_MISFILED, replace=False):
        others = rxte & (truth.object != truth.object[row])
        other = generator.choice(np.flatnonzero(others))
        table.loc[row, ["source_id", "outburst_id", "object_label"]] = truth.loc[
            other, ["source_id", "outburst_id", "object"]
        ].to_numpy()
        misfiled[row] = True
    return misfiled


def _pack(segments, table, truth):
    """The segments as arrays."""
    if not segments:
        return {}
    rows = [segment["row"] for segment in segments]
    names = ("obs_id", "source_id", "state_label", "object_label")
    return {
        **{name: table.loc[rows, name].to_numpy(dtype=str) for name in names},
        "start": np.array([segment["start"] for segment in segments]),
        "counts": np.array([segment["counts"] for segment in segments]),
        "power": np.array([segment["power"] for segment in segments], dtype=np.float32),
        "noise": np.array([segment["noise"] for segment in segments], dtype=np.float32),
        "frequency": segments[0]["frequency"],
        "n_averaged": segments[0]["n_averaged"],
        "bin_size": np.array(SEGMENT_BIN),
        "length": np.array(SEGMENT),
    }
