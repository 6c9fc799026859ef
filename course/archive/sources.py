"""Draw the truth of the course's archive: X-ray binaries, their outbursts, and the state at each pointing.

A source has outbursts, an outburst is a path through luminosity and accretion state, and a pointing is
a day on this path. Everything here is drawn, nothing is measured: `course.archive.pointings` simulates
the measurement. Ranges are published ones, from the table in data/README.md; the relations between
them are chosen by this course.
"""

from functools import partial

import numpy as np
import pandas as pd
import torch

from helpers.light_curves import lorentzian, power_law_noise
from helpers.spectra import absorption, blackbody, cutoff_power_law, disc_blackbody, energy_flux

__all__ = [
    "EDDINGTON",
    "ERAS",
    "STATES",
    "draw_outbursts",
    "draw_pointings",
    "draw_sources",
    "photon_flux",
    "power_spectrum",
    "sphere",
]

#: The accretion states in the order in which an outburst passes them: low-hard, hard-intermediate,
#: soft-intermediate and high-soft. Neighbours in this tuple follow each other in an outburst.
STATES = ("LHS", "HIMS", "SIMS", "HSS")

#: First and last day, MJD, on which each instrument observed.
ERAS = {"rxte": (50100.0, 55920.0), "nicer": (57930.0, 60500.0)}

EDDINGTON = 1.26e38  # erg/s per solar mass, for hydrogen

# The softness of a pointing is from 0, hard, to 1, soft; these are the borders between states.
_BOUNDARIES = (0.33, 0.66, 0.76)
_KPC = 3.0857e21  # cm
_STAY_HARD = 0.38  # share of outbursts that never leave the hard state
_PIVOT = 8.0  # keV, where the photon index is that of the spectrum
_LONGEST = 355.0  # d, the length of an outburst with the longest phases
_VISIBLE = 1e-9  # erg/cm^2/s at 0.5-100 keV: fainter sources are not observed


def draw_sources(
    generator: np.random.Generator, n_black_holes: int = 20, n_neutron_stars: int = 40
) -> pd.DataFrame:
    """Draw sources, each with its own parameters.

    The photon index of the corona follows the QPO frequency ν as
    Γ = A - D B ln(1 + exp((ν_tr - ν)/D)), with ν scaled to a black hole of 10 solar masses: the
    true frequency is larger by 10 M_sun / M, and by 4 to 7 for a neutron star, with 20 per cent of
    scatter between sources. Lags become shorter with the same scale: a delay of 7 ms (f / Hz)^-0.7 at
    the scaled frequencies is multiplied by scale^-0.3 at the frequencies of the source.

    Reference: Shaposhnikov & Titarchuk 2009, ApJ 699, 453, Eq. 1, for the relation.

    Args:
        generator: numpy random generator.
        n_black_holes, n_neutron_stars: number of each.

    Returns:
        One row per source: `source_id`, `object` ("BH" or "NS"), `mass` [M_sun], `distance` [kpc],
        `n_h` [1e22/cm^2], `inclination` [deg], `frequency_scale`, the relation's `gamma_soft` A,
        `gamma_slope` B [1/Hz], `nu_transition` [Hz] and `gamma_width` D [Hz], the exponential
        `cutoff` [keV] of the hard state, `kt_soft` [keV], the disc's temperature at the Eddington
        luminosity, `kt_layer` [keV] and `layer_share`, of a neutron star's boundary layer, offsets
        of disc share and rms, `noise_tilt`, which shifts noise from low to high frequencies,
        `lag_factor`, and `qpo_strength`, which grows with inclination.

    Example:
        >>> sources = draw_sources(np.random.default_rng(1), 2, 3)
        >>> sources.groupby("object").mass.max().round(1).to_dict()["NS"] < 2.1
        True
    """
    n = n_black_holes + n_neutron_stars
    hole = generator.permutation(n) < n_black_holes

    def choose(black_hole, neutron_star):
        return np.where(hole, black_hole, neutron_star)

    def uniform(low, high):
        return generator.uniform(low, high, n)

    mass = choose(uniform(4.5, 15), uniform(1.2, 2.0))
    inclination = np.degrees(np.arccos(uniform(np.cos(np.radians(80)), np.cos(np.radians(20)))))
    distance = choose(uniform(3.0, 10.0), uniform(2.5, 8.0))
    # The hard end of the relation determines its transition frequency, 3-8 Hz.
    gamma_soft, gamma_hard = uniform(2.2, 2.8), uniform(1.40, 2.00)
    gamma_slope = np.clip(uniform(0.15, 0.35), (gamma_soft - gamma_hard) / 8, None)
    gamma_slope = np.minimum(gamma_slope, (gamma_soft - gamma_hard) / 3)
    # The usual cut-off is two to three times the electron temperature. Below 25 keV, in the band of the
    # instruments, Comptonisation bends the spectrum less: the cut-off is up to four times it.
    electrons = choose(np.exp(uniform(np.log(30), np.log(200))), uniform(15, 25))
    scale = choose(10 / mass, uniform(4.0, 7.0)) * np.exp(0.2 * generator.standard_normal(n))
    return pd.DataFrame(
        {
            "source_id": [f"S{i:02d}" for i in range(1, n + 1)],
            "object": np.where(hole, "BH", "NS"),
            "mass": mass,
            "distance": distance,
            "n_h": 0.12 * distance * np.exp(0.6 * generator.standard_normal(n)),
            "inclination": inclination,
            "frequency_scale": scale,
            "gamma_soft": gamma_soft,
            "gamma_slope": gamma_slope,
            "nu_transition": (gamma_soft - gamma_hard) / gamma_slope,
            "gamma_width": uniform(0.5, 1.0),
            "cutoff": electrons * uniform(2.5, 4.0),
            "kt_soft": choose(uniform(1.15, 1.75), uniform(0.9, 1.5)),
            "kt_layer": choose(np.nan, uniform(1.5, 2.3)),
            "layer_share": choose(0.0, uniform(0.02, 0.18)),
            "disc_offset": 0.4 * generator.standard_normal(n),
            "rms_factor": np.exp(0.15 * generator.standard_normal(n)),
            "noise_tilt": uniform(-0.3, 0.3),
            "lag_factor": scale**-0.3 * np.exp(0.45 * generator.standard_normal(n)),
            "qpo_strength": 0.5 + 0.8 * np.sin(np.radians(inclination)) ** 2,
        }
    )


def draw_outbursts(
    sources: pd.DataFrame,
    instrument: str,
    n_outbursts: int,
    generator: np.random.Generator,
    *,
    weights=None,
) -> pd.DataFrame:
    """Draw outbursts of sources, at least one of each, and the luminosities of their state changes.

    An outburst leaves the hard state at a luminosity that differs from one outburst to the next and
    returns at a lower one: hysteresis. Some never leave it; bright neutron stars may stay soft.

    Reference: Maccarone 2003, A&A 409, 697, for the return at log L/L_Edd = -1.7; Vahdat Motlagh et
    al. 2019, MNRAS 485, 2744; Tetarenko et al. 2016, ApJS 222, 15, for the share that stays hard.

    Args:
        sources: as `draw_sources` returns them.
        instrument: "rxte" or "nicer", during whose years they happen.
        n_outbursts: total number, at least one per source.
        generator: numpy random generator.
        weights: (n_sources,) relative probability of each source to have further outbursts.

    Returns:
        One row per outburst: `outburst_id`, `source_id`, `kind` ("full", "hard" or "bright"),
        `start` [MJD], durations [d] of its phases, luminosities [L/L_Edd] `l_peak`, `l_to_soft`,
        `l_to_hard` and `l_visible`, below which it is not observed, `softest`, the largest softness
        that it reaches, and `gamma_offset`, the offset of its photon indices from the relation.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> outbursts = draw_outbursts(draw_sources(rng, 4, 4), "rxte", 30, rng)
        >>> full = outbursts[outbursts.kind == "full"]
        >>> bool((full.l_to_soft > full.l_to_hard).all())
        True
    """
    n = n_outbursts
    weights = np.ones(len(sources)) if weights is None else weights
    more = generator.multinomial(n - len(sources), weights / weights.sum())
    owner = np.repeat(np.arange(len(sources)), 1 + more)

    kind = np.full(n, "full", dtype=object)
    kind[generator.permutation(n) < round(_STAY_HARD * n)] = "hard"
    star = (sources.object.to_numpy() == "NS")[owner]
    kind[(kind == "full") & star & (generator.random(n) < 0.2)] = "bright"
    hard, bright = kind == "hard", kind == "bright"

    l_to_soft = 10 ** np.clip(generator.normal(-0.9, 0.2, n), np.log10(0.05), np.log10(0.4))
    l_to_hard = 10 ** np.clip(generator.normal(-1.7, 0.25, n), -2.3, np.log10(l_to_soft / 1.5))
    l_peak = np.minimum(l_to_soft * np.exp(generator.uniform(0.1, 1.0, n)), 0.7)
    l_peak[hard] = l_to_soft[hard] * generator.uniform(0.15, 0.9, hard.sum())
    l_peak[bright] = generator.uniform(0.35, 1.2, bright.sum())
    # A third of the outbursts that stay hard enter the intermediate state before they return.
    softest = np.ones(n)
    softest[hard] = np.where(
        generator.random(hard.sum()) < 0.33,
        generator.uniform(0.36, 0.55, hard.sum()),
        generator.uniform(0.12, 0.31, hard.sum()),
    )

    eddington = EDDINGTON * sources.mass.to_numpy()
    visible = np.maximum(_VISIBLE * sphere(sources.distance.to_numpy()) / eddington, 1e-3)

    def days(low, high):
        return generator.uniform(low, high, n)

    return pd.DataFrame(
        {
            "outburst_id": [f"{instrument[0].upper()}{i:03d}" for i in range(1, n + 1)],
            "source_id": sources.source_id.to_numpy()[owner],
            "kind": kind,
            "start": _starts(owner, *ERAS[instrument], generator),
            "hard_rise": days(10, 60),
            "to_soft": days(5, 15),
            "soft_intermediate": days(1, 10),
            "soft": days(60, 200),
            "to_hard": days(5, 10),
            "hard_decay": days(30, 60),
            "l_peak": l_peak,
            "l_to_soft": l_to_soft,
            "l_to_hard": l_to_hard,
            "l_visible": visible[owner],
            "softest": softest,
            "gamma_offset": 0.08 * generator.standard_normal(n),
        }
    )


def draw_pointings(
    sources: pd.DataFrame,
    outbursts: pd.DataFrame,
    n_pointings,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Draw pointings: the state of the source and all parameters of its spectrum and noise.

    Within one day the luminosity scatters by 0.04 dex, the softness by 0.012, the frequency of the
    noise by 0.04 dex, the photon index by 0.02 and the disc's share by 20 per cent.

    Args:
        sources, outbursts: as drawn; every source needs an outburst.
        n_pointings: (n_sources,) integers, the number of pointings of each source.
        generator: numpy random generator.

    Returns:
        One row per pointing, in order of source and time: the source's columns, `outburst_id`,
        `mjd`, `state`, `softness`, `luminosity` [L/L_Edd], and the parameters that `photon_flux`
        and `power_spectrum` take.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> sources = draw_sources(rng, 2, 2)
        >>> outbursts = draw_outbursts(sources, "rxte", 8, rng)
        >>> truth = draw_pointings(sources, outbursts, [50, 50, 50, 50], rng)
        >>> set(truth.state) <= set(STATES), len(truth)
        (True, 200)
    """
    rows = []
    for index, source_id in enumerate(sources.source_id):
        own = outbursts[outbursts.source_id == source_id]
        rows.append(_days(own, n_pointings[index], generator).assign(source=index))
    days = pd.concat(rows, ignore_index=True)
    source = sources.iloc[days.pop("source")].reset_index(drop=True)
    truth = pd.concat([source, days], axis=1)
    truth["state"] = np.array(STATES)[np.searchsorted(_BOUNDARIES, truth.softness)]
    _draw_spectrum(truth, generator)
    _draw_noise(truth, generator)
    return truth


def photon_flux(energy_lo, energy_hi, truth: pd.DataFrame, *, absorbed: bool = True):
    """Compute photon spectra of pointings: disc, boundary layer and corona behind interstellar gas.

    The corona is a power law with an exponential cut-off, and Γ is its slope at 8 keV, in the band of
    the instruments: with a cut-off of 50 keV the power law itself is flatter by 8/50.

    Args:
        energy_lo, energy_hi: (n_energies,) tensors, edges of the bins, keV.
        truth: (n,) rows of `draw_pointings`.
        absorbed: whether to include absorption by the gas.

    Returns:
        (3, n, n_energies) photons/cm^2/s in each bin of disc, boundary layer and corona.

    Raises:
        ValueError: if a parameter is NaN or out of its range, as in `helpers.spectra`.
    """
    column = partial(_column, truth, energy_lo.dtype)
    lo, hi = energy_lo, energy_hi
    e_cut = column("e_cut").nan_to_num(torch.inf)
    flux = torch.stack(
        [
            disc_blackbody(lo, hi, column("kt_in"), column("norm_disc")),
            blackbody(lo, hi, column("kt_layer").nan_to_num(2.0), column("norm_layer")),
            cutoff_power_law(
                lo, hi, column("gamma") - _PIVOT / e_cut, e_cut, column("norm_corona")
            ),
        ]
    )
    return flux * absorption(lo, hi, column("n_h")) if absorbed else flux


def power_spectrum(frequency, truth: pd.DataFrame):
    """Compute the power spectrum of the corona's flux, a sum of Lorentzians and a power law.

    Three Lorentzians centred at zero describe the band-limited noise of the hard states, a power law
    the noise of the soft ones. The QPO and, for type C, its harmonic at twice the frequency are added.
    The disc is constant: in a band in which it and the boundary layer have a share s of the photons,
    the power is multiplied by (1 - s)^2.

    Args:
        frequency: (n_frequencies,) tensor, Hz, above zero.
        truth: (n,) rows of `draw_pointings`.

    Returns:
        (n, n_frequencies) (fractional rms)^2/Hz of the corona alone.

    Raises:
        ValueError: if a parameter is NaN or negative, as in `helpers.light_curves`.
    """
    column = partial(_column, truth, frequency.dtype)
    power = power_law_noise(frequency, column("rms_red"), column("red_index"), 0.1, 10.0)
    for k in (1, 2, 3):
        power += lorentzian(frequency, column(f"rms_{k}"), 0.0, 2 * column(f"nu_{k}"))
    nu, q = column("nu_qpo").nan_to_num(1.0), column("q_qpo").nan_to_num(1.0)
    power += lorentzian(frequency, column("rms_qpo"), nu, nu / q)
    power += lorentzian(frequency, column("rms_harmonic"), 2 * nu, 2 * nu / q)
    return power


def sphere(distance):
    """Return the area, cm^2, of a sphere with a radius in kpc: 4 pi d^2."""
    return 4 * np.pi * (distance * _KPC) ** 2


def _column(truth, dtype, name):
    return torch.tensor(truth[name].to_numpy(float), dtype=dtype)


def _days(outbursts, n, generator):
    """Draw n days of observation in the outbursts of one source, in order of time."""
    paths = [_path(outburst) for outburst in outbursts.itertuples()]
    length = np.array([time[-1] - time[0] for time, *_ in paths])
    weight = length * np.exp(0.5 * generator.standard_normal(len(length)))
    rows = []
    for k, (outburst, number) in enumerate(
        zip(outbursts.itertuples(), generator.multinomial(n, weight / weight.sum()), strict=True)
    ):
        time, luminosity, softness = paths[k]
        day = (np.arange(number) + generator.random(number)) / max(number, 1) * length[k]
        rows.append(
            pd.DataFrame(
                {
                    "outburst_id": outburst.outburst_id,
                    "outburst_kind": outburst.kind,
                    "gamma_offset": outburst.gamma_offset,
                    "mjd": outburst.start + day,
                    "luminosity": np.interp(day, time, luminosity),
                    "softness": np.interp(day, time, softness),
                }
            )
        )
    days = pd.concat(rows, ignore_index=True).sort_values("mjd", ignore_index=True)
    days["luminosity"] = 10 ** (days.luminosity + 0.04 * generator.standard_normal(n))
    # A neutron star that stays soft moves between soft and soft-intermediate.
    wander = np.where(days.outburst_kind == "bright", 0.07, 0.012)
    softness = days.softness + wander * generator.standard_normal(n)
    days["softness"] = np.clip(softness, 0.0, 1.0)
    return days


def _starts(owner, first, last, generator):
    """Draw the start days of outbursts, sorted for each source, so that none overlaps the next."""
    number = np.bincount(owner)[owner]
    order = np.arange(len(owner)) - np.searchsorted(owner, owner)
    slot = (last - first) / number
    return first + slot * order + generator.random(len(owner)) * np.maximum(slot - _LONGEST, 0)


def _path(outburst):
    """Return the corners (day, log10 L/L_Edd, softness) of the path of an outburst."""
    up, down = np.log10(outburst.l_to_soft), np.log10(outburst.l_to_hard)
    peak = np.log10(outburst.l_peak)
    low = min(np.log10(outburst.l_visible), down - 0.2, peak - 0.2)
    lhs, hims, sims = _BOUNDARIES
    if outburst.kind == "hard":
        corners = [
            (outburst.hard_rise, (low, 0.02), (peak, outburst.softest)),
            (outburst.to_soft, None, (peak - 0.05, 0.9 * outburst.softest)),
            (outburst.hard_decay, None, (low, 0.0)),
        ]
    elif outburst.kind == "bright":
        corners = [
            (outburst.soft / 2, (peak - 0.4, 0.85), (peak, 0.80)),
            (outburst.soft / 2, None, (peak - 0.5, 0.92)),
        ]
    else:
        corners = [
            (outburst.hard_rise, (low, 0.02), (up, lhs)),
            (outburst.to_soft, None, ((up + peak) / 2, hims)),
            (outburst.soft_intermediate, None, (peak, sims)),
            (0.15 * outburst.soft, None, (peak - 0.1 * (peak - down), 0.93)),
            (0.60 * outburst.soft, None, (down + 0.25 * (peak - down), 1.0)),
            (0.25 * outburst.soft, None, (down, sims + 0.02)),
            (0.3 * outburst.to_hard, None, (down - 0.03, hims)),
            (0.7 * outburst.to_hard, None, (down - 0.1, lhs)),
            (outburst.hard_decay, None, (low, 0.0)),
        ]
    time = np.cumsum([0.0] + [duration for duration, *_ in corners])
    luminosity, softness = np.transpose([corners[0][1]] + [corner for *_, corner in corners])
    return time, luminosity, softness


def _draw_spectrum(truth, generator):
    """Add the parameters of the spectrum to the pointings."""
    n = len(truth)
    x = truth.softness.to_numpy()
    # Frequency of the type-C QPO, visible or not, scaled to a black hole of 10 solar masses
    nu = 10 ** (np.interp(x, (0, 0.315, 0.345, 0.66, 1), (-1.0, 0.0, 0.46, 0.93, 1.0)))
    nu *= 10 ** (0.04 * generator.standard_normal(n))
    truth["nu_c"] = nu * truth.frequency_scale
    soft = truth.gamma_width * truth.gamma_slope
    gamma = truth.gamma_soft - soft * np.logaddexp(
        0, (truth.nu_transition - nu) / truth.gamma_width
    )
    truth["gamma"] = gamma + truth.gamma_offset + 0.02 * generator.standard_normal(n)
    star = (truth.object == "NS").to_numpy()
    # The cut-off decreases from the hard to the intermediate state, and is absent in the soft ones.
    low = np.where(star, truth.cutoff, np.clip(truth.cutoff, 40, 80))
    e_cut = np.exp(np.interp(x, (0.05, 0.4), (0, 1)) * np.log(low / truth.cutoff)) * truth.cutoff
    truth["e_cut"] = np.where(x > _BOUNDARIES[1], np.nan, e_cut)

    hot = truth.kt_soft * truth.luminosity**0.25
    cold = generator.uniform(0.12, 0.35, n)
    share = np.interp(x, (0.25, 0.45), (0, 1))
    truth["kt_in"] = np.exp((1 - share) * np.log(cold) + share * np.log(hot))
    # The share of disc and boundary layer in the energy flux at 0.5-20 keV
    x_known = (0.0, 0.2, 0.33, 0.5, 0.66, 0.76, 0.85, 1.0)
    known = np.array((0.08, 0.12, 0.22, 0.42, 0.64, 0.80, 0.91, 0.97))
    logit = np.interp(x, x_known, np.log(known / (1 - known)))
    scatter = 0.2 * generator.standard_normal(n)
    thermal = 1 / (1 + np.exp(-logit - truth.disc_offset - scatter))
    layer = truth.layer_share * np.exp(0.1 * generator.standard_normal(n))
    layer *= np.interp(x, (0.2, 0.6), (0.3, 1.0))

    edges = torch.logspace(np.log10(0.5), 2, 201, dtype=torch.float64)
    lo, hi = edges[:-1], edges[1:]
    names = ["norm_disc", "norm_layer", "norm_corona"]
    truth[names] = 1.0
    flux = photon_flux(lo, hi, truth, absorbed=False)
    share = np.stack([thermal * (1 - layer), thermal * layer, 1 - thermal])
    norm = share / energy_flux(lo, hi, flux, 0.5, 20.0).numpy()
    total = (norm * energy_flux(lo, hi, flux, 0.5, 100.0).numpy()).sum(0)
    wanted = truth.luminosity * EDDINGTON * truth.mass / sphere(truth.distance)
    truth[names] = (norm * wanted.to_numpy() / total).T
    parts = norm * energy_flux(lo, hi, flux, 2.0, 20.0).numpy()
    truth["disc_share"] = parts[0] / parts.sum(0)
    truth["thermal_share"] = (parts[0] + parts[1]) / parts.sum(0)


def _draw_noise(truth, generator):
    """Add the parameters of the power spectrum and of the lags to the pointings."""
    n = len(truth)
    x = truth.softness.to_numpy()
    scale, nu_c = truth.frequency_scale.to_numpy(), truth.nu_c.to_numpy()
    hard = np.interp(x, (0.65, 0.70), (1, 0))  # band-limited noise ends before the SIMS
    late = np.interp(x, (0.2, 0.66), (0, 1))
    strength = truth.rms_factor * np.exp(0.05 * generator.standard_normal(n))
    strength *= np.interp(x, (0.0, 0.33, 0.66), (1.15, 0.90, 0.75))
    truth["nu_1"] = nu_c / 5.5
    truth["nu_2"] = np.minimum(9 * truth.nu_1, 3.5 * scale)
    truth["nu_3"] = np.minimum(70 * truth.nu_1, 12 * scale)
    first, second, third = np.exp(0.12 * generator.standard_normal((3, n)))
    tilt = np.exp(truth.noise_tilt)
    truth["rms_1"] = strength * first / tilt * 0.24 * (1 - 0.3 * late) * hard
    truth["rms_2"] = strength * second * 0.22 * (1 - 0.4 * late) * hard
    truth["rms_3"] = strength * third * tilt * 0.18 * (1 - 0.3 * late) * np.maximum(hard, 0.15)
    truth["rms_red"] = strength * np.interp(x, (0.3, 0.66, 0.76, 1.0), (0.0, 0.12, 0.17, 0.45))
    truth["red_index"] = generator.uniform(0.82, 0.91, n)

    state = truth.state.to_numpy()
    type_c = np.isin(state, ("LHS", "HIMS")) & (x > 0.03)
    type_b = state == "SIMS"
    type_a = (state == "HSS") & (x < 0.80) & (generator.random(n) < 0.15)
    truth["qpo_type"] = np.select([type_c, type_b, type_a], ["C", "B", "A"], "")
    b_frequency, a_frequency = generator.uniform(4, 7, n), generator.uniform(6.5, 8.5, n)
    truth["nu_qpo"] = np.select([type_c, type_b, type_a], [nu_c, b_frequency, a_frequency], np.nan)
    quality = [generator.uniform(low, high, n) for low, high in ((7, 12), (6, 10), (1, 3))]
    truth["q_qpo"] = np.select([type_c, type_b, type_a], quality, np.nan)
    # Type C becomes stronger towards the intermediate state, and weaker at high frequencies.
    rise = np.interp(x, (0.03, 0.25), (0.7, 1.0)) * np.interp(x, (0.4, 0.66), (1.0, 0.75))
    rms_qpo = np.select([type_c, type_b, type_a], [0.12 * rise, 0.15, 0.05], 0.0)
    truth["rms_qpo"] = rms_qpo * truth.qpo_strength
    truth["rms_harmonic"] = np.where(type_c, 0.4 * truth.rms_qpo, 0.0)

    # The delay at 1 Hz; it is proportional to the frequency to the power -0.7.
    delay = 7e-3 * 4 ** np.interp(x, (0.15, 0.55, 0.70, 0.80), (0, 1, 0.8, 0.2))
    truth["delay"] = delay * truth.lag_factor * np.exp(0.25 * generator.standard_normal(n))
    truth["coherence"] = np.interp(x, (0.3, 0.66, 0.8), (0.97, 0.9, 0.75))
