"""Simulate the course's archive of X-ray binaries: thousands of pointings with labels and flaws.

`course.archive.sources` draws sources and their outbursts; `course.archive.pointings` observes and
measures them. This module decides which source is observed when, and adds the effects of people
(labels, files, habits) and the flaws of real archives.
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
from course.archive.tables import columns

__all__ = ["Archive", "simulate_archive"]

_CHUNK = 40  # pointings per task; the result for a seed depends on it
_LEAST, _MOST = 5, 700  # pointings of a source
_N_MISFILED = 5
_BRIGHT = 3e-9  # erg/cm^2/s at 0.5-100 keV
_OVERLAPPING = 5  # segments cut from one light curve
# Days of new voltages, after which channels and energies agreed again; the drift between is invented
_GAIN_RESETS = (50100.0, 51259.0, 51677.0, 55920.0)
_GAIN_DRIFT = 0.02


@dataclass(frozen=True, eq=False)
class Archive:
    """Tables that `simulate_archive` returns.

    Attributes:
        rxte, nicer: one row per pointing, with the columns of data/columns.csv.
        truth: one row per pointing of both, in the same order: the true parameters.
        segments: {name: array} of overlapping light-curve segments, from RXTE pointings.
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
    """Draw sources and outbursts, observe them with two telescopes, and make the tables.

    NICER alone observes one in five sources, both telescopes one in ten, and RXTE alone the others. The
    numbers of pointings are log-normal, 5 to 700 per source. A human reader labels the state: 6 per
    cent of the labels are those of a neighbouring state. The result depends only on the arguments, not
    on the number of processes.

    Planted flaws are marked in the truth: a gain of RXTE that drifts by 2 per cent between resets;
    slews, bursts and particle flares; longer exposures in intermediate states; five pointings filed
    under another source; segments that overlap.

    `n_outbursts` is the number for all sources and both telescopes. The `n_segments` light-curve
    segments come in fives from chosen pointings, if enough pointings are bright. `processes` is the
    number of processes: all processors by default; 1 uses this process only.
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
    table = table[columns("observations")]
    rxte = (truth.instrument == "rxte").to_numpy()
    return Archive(
        rxte=table[rxte].reset_index(drop=True),
        nicer=table[~rxte].reset_index(drop=True),
        truth=truth.assign(obs_id=table.obs_id)[columns("truth")],
        segments=_pack(segments, table, truth),
    )


def _share_out(sources, generator):
    """Return {instrument: mask (n_sources,) of the sources that it observes}, balanced between objects."""
    nicer, new = np.zeros(len(sources), bool), np.zeros(len(sources), bool)
    for name in ("BH", "NS"):
        own = generator.permutation(np.flatnonzero(sources.object == name))
        n_new, n_both = max(round(0.2 * len(own)), 1), max(round(0.1 * len(own)), 1)
        new[own[:n_new]] = True
        nicer[own[: n_new + n_both]] = True
    return {"rxte": ~new, "nicer": nicer}


def _numbers_of_pointings(total, n, generator):
    """Draw n log-normal integers between two limits, with a given sum."""
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
    """Add the settings of each pointing: exposure, detectors, gain, and outlier."""
    n = len(truth)
    truth = truth.sort_values("mjd", kind="stable", ignore_index=True)
    truth["instrument"] = instrument
    # Observers of an intermediate state ask for long exposures: the exposure leaks the label.
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
    """Return the number of segments (n,) to keep of each pointing: few per source, so that none dominates.

    Only sources well above the background are used, because a segment is normalised by its net rate.
    """
    flux = truth.luminosity * truth.mass * EDDINGTON / sphere(truth.distance)
    bright = (truth.instrument == "rxte") & (flux > _BRIGHT) & (truth.outlier == "")
    order = generator.permutation(truth.index[bright].to_numpy())
    turn = truth.source_id[order].groupby(truth.source_id[order]).cumcount().to_numpy()
    chosen = order[np.argsort(turn, kind="stable")[: n_segments // _OVERLAPPING]]
    return np.where(truth.index.isin(chosen), _OVERLAPPING, 0)


def _observe_all(truth, seed, processes):
    """Return features of all pointings, and segments, whose `row` is that of the truth."""
    tasks = []
    # Each task has one source and telescope, and its own random stream
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
    """Yield a `map` that runs in several processes, or in this one, with one thread each.

    Sums are then computed in the same order on every machine.
    """
    if processes > 1:
        # Each process is a new interpreter: torch's threads do not survive a fork.
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
    """Add the columns that a human fills in."""
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
    """File a few bright RXTE pointings under a source of the other kind; return their mask (n,)."""
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
    """Return the segments as arrays."""
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
