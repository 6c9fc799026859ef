"""Draw the figures by which an astronomer judges the course's archive: look before you publish.

    python -m course.archive.figures FOLDER

draws the archive that `make data` left in this folder: tracks, power colours, spectra, power
spectra, and what goes with what.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from course.archive.observer import INSTRUMENTS
from course.archive.simulate import Archive
from course.archive.sources import STATES, photon_flux, power_spectrum
from helpers.data import load_observations, load_response, load_segments, load_truth
from helpers.features import HUE_CENTRE, HUES
from helpers.plotting import (
    hardness_intensity,
    power_colour_wheel,
    power_spectra,
    steps,
    use_course_style,
)

_BRIGHT = 300.0  # 1/s, all detectors: where power colours are measured well
_COMPONENTS = {"disc": "--", "boundary layer": "-.", "corona": ":"}


def draw(archive, folder):
    """Draw all figures of an archive into a folder, as PNG.

    Args:
        archive: as `simulate_archive` returns it.
        folder: where to; made if missing.

    Returns:
        The paths of the figures.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with plt.rc_context():
        use_course_style()
        for name, function in _FIGURES.items():
            figure = function(archive)
            paths.append(folder / f"{name}.png")
            figure.savefig(paths[-1])
            plt.close(figure)
    return paths


def read():
    """The archive as `make data` wrote it."""
    tables = load_observations("rxte"), load_observations("nicer"), load_truth()
    return Archive(*tables, vars(load_segments()))


def tracks(archive):
    """Hardness-intensity diagrams of four black holes and four neutron stars."""
    rxte, _ = _clean(archive)
    figure, axes = plt.subplots(2, 4, figsize=(19, 10))
    for row, kind in zip(axes, ("BH", "NS"), strict=True):
        own = rxte[(rxte.object_label == kind) & rxte.hr_soft.notna()]
        richness = own.groupby(["source_id", "outburst_id"]).state_label.agg(_richness)
        richest = richness.sort_values(ascending=False).reset_index().drop_duplicates("source_id")
        for ax, chosen in zip(row, richest.head(4).itertuples(), strict=False):
            table = own[own.source_id == chosen.source_id]
            hardness_intensity(ax, table, outburst=chosen.outburst_id)
            ax.set(xlabel="colour 6–10 / 3–6 keV (Crab)")
            ax.set(ylabel="net rate per PCU, 3–25 keV (1/s)")
            ax.set_title(f"{kind} {chosen.source_id}")
    return figure


def wheels(archive):
    """Power colours of bright black holes and neutron stars."""
    rxte, _ = _clean(archive)
    figure, axes = plt.subplots(1, 2, figsize=(16, 7))
    for ax, kind in zip(axes, ("BH", "NS"), strict=True):
        own = rxte[(rxte.object_label == kind) & (rxte.rate > _BRIGHT)]
        power_colour_wheel(ax, own, HUES, HUE_CENTRE)
        ax.set_title(f"{kind}, RXTE, more than {_BRIGHT:g} counts/s")
    return figure


def spectra(archive):
    """Folded spectra of a bright black hole and a bright neutron star, one row per state."""
    _, truth = _clean(archive)
    figure, axes = plt.subplots(4, 4, figsize=(20, 16), sharex="col")
    columns = [(kind, name) for kind in ("BH", "NS") for name in INSTRUMENTS]
    for (kind, name), column in zip(columns, axes.T, strict=True):
        instrument = INSTRUMENTS[name]
        response = load_response(instrument.response).to(dtype=torch.float64)
        edges = torch.cat([response.channel_lo, response.channel_hi[-1:]]).numpy()
        shown = (edges[:-1] >= instrument.fit_band[0]) & (edges[1:] <= instrument.fit_band[1])
        edges = edges[np.append(shown, False) | np.append(False, shown)]
        middle, width = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
        for ax, row in zip(column, _examples(truth[truth.object == kind]), strict=True):
            if row is None:
                continue
            flux = photon_flux(response.energy_lo, response.energy_hi, row)
            parts = response.fold(flux)[:, 0].numpy()[:, shown] / width / instrument.detectors
            steps(ax, edges, parts.sum(0), color="black", label="all")
            for number, (part, (label, line)) in enumerate(
                zip(parts, _COMPONENTS.items(), strict=True)
            ):
                if part.max() > 0:
                    steps(ax, edges, part, color=f"C{number}", linestyle=line, label=label)
            sky = instrument.background(middle) / instrument.detectors
            ax.plot(middle, sky, color="0.6", linewidth=0.8, label="background")
            t = row.iloc[0]
            ax.set(xscale="log", yscale="log", ylim=(parts.sum(0).max() / 3e4, None))
            ax.set_title(
                f"{kind} {t.source_id} {t.state} {name}: Γ {t.gamma:.2f}, kT {t.kt_in:.2f} keV,\n"
                f"thermal {t.thermal_share:.2f}, L {t.luminosity:.3f}, N_H {t.n_h:.2f}"
            )
            ax.legend(fontsize=8)
        column[-1].set_xlabel("energy (keV)")
    for ax in axes[:, 0]:
        ax.set_ylabel("counts/s/keV/detector")
    return figure


def noise(archive):
    """Power spectra, model and measurement, of a black hole and a neutron star in each state."""
    _, truth = _clean(archive)
    segments = archive.segments
    truth = truth[truth.obs_id.isin(segments["obs_id"])]
    frequency = segments["frequency"]
    fine = torch.logspace(-2.3, np.log10(64), 600, dtype=torch.float64)
    figure, axes = plt.subplots(2, 4, figsize=(20, 9), sharex=True)
    for line, kind in zip(axes, ("BH", "NS"), strict=True):
        for ax, row in zip(line, _examples(truth[truth.object == kind]), strict=True):
            if row is None:
                continue
            t = row.iloc[0]
            own = segments["obs_id"] == t.obs_id
            power, level = segments["power"][own].mean(0), segments["noise"][own].mean()
            # Of five segments that overlap by half, three are independent.
            error = power / np.sqrt(3 * segments["n_averaged"])
            name = "measured, noise off"
            power_spectra(ax, frequency, {name: power - level}, {name: error})
            ax.plot(frequency, frequency * level, "k:", linewidth=0.8, label="photon noise")
            model = fine * power_spectrum(fine, row)[0]
            for share, style, label in (
                (t.thermal_share, "--", "model, by flux share at 2–20 keV"),
                (_constant_share(row), "-", "model, by share of counts"),
            ):
                ax.plot(fine, (1 - share) ** 2 * model, style, color="C1", label=label)
            qpo = f", {t.qpo_type} at {t.nu_qpo:.1f} Hz" if t.qpo_type else ""
            ax.set_title(f"{kind} {t.source_id} {t.state}, softness {t.softness:.2f}{qpo}")
            ax.set(ylim=(1e-6, 0.3))
            ax.legend(fontsize=8)
    return figure


def relations(archive):
    """What goes with what: index and QPO, rms and disc, rms and hardness, outbursts in time."""
    rxte, truth = _clean(archive)
    figure, axes = plt.subplots(3, 4, figsize=(21, 14))
    for ax, kind in zip(axes[0], ("BH", "NS"), strict=False):
        own = rxte[(rxte.object_label == kind) & rxte.qpo_det & rxte.gamma.notna()]
        shapes = "o^sDvP<X>*"
        for k, name in enumerate(own.source_id.value_counts().index[:10]):
            mine = own[own.source_id == name]
            style = {"color": f"C{k % 7}", "markersize": 4, "label": name}
            ax.plot(mine.qpo_freq, mine.gamma, shapes[k], **style)
        ax.set(xscale="log", xlabel="QPO frequency (Hz)", ylabel="photon index Γ, fitted")
        ax.set_title(f"{kind}, ten sources with most QPOs")
        ax.legend(fontsize=7, ncol=2)
    good = rxte[rxte.rate > 100]
    _scatter(axes[0, 2], good, "disc_frac", "rms_0p1_64", "disc's share, fitted", "rms, 0.1–64 Hz")
    _scatter(axes[0, 3], good, "hr_hard", "rms_0p1_64", "hard colour (Crab)", "rms, 0.1–64 Hz")
    axes[0, 3].set_xscale("log")
    _scatter(axes[1, 0], good, "hr_soft", "hr_hard", "soft colour (Crab)", "hard colour (Crab)")
    axes[1, 0].set_xscale("log")
    _scatter(axes[1, 1], good, "hue", "rms_0p1_64", "hue (deg)", "rms, 0.1–64 Hz")
    _scatter(axes[1, 2], good, "qpo_freq", "qpo_rms", "QPO frequency (Hz)", "QPO rms")
    axes[1, 2].set_xscale("log")
    _scatter(axes[1, 3], good, "rms_0p1_64", "lag_1_10", "rms, 0.1–64 Hz", "lag, 1–10 Hz (s)")
    axes[1, 3].set_yscale("symlog", linthresh=1e-3)
    for ax in (axes[0, 2], axes[0, 3], axes[1, 1], axes[1, 2]):
        ax.set_yscale("log")
    axes[1, 3].set_xscale("log")
    richness = truth.groupby(["object", "outburst_kind", "outburst_id"]).state.agg(_richness)
    for ax, (kind, way) in zip(
        axes[2], (("BH", "full"), ("BH", "hard"), ("NS", "full"), ("NS", "bright")), strict=True
    ):
        if (kind, way) not in richness:
            continue
        outburst = richness[kind, way].idxmax()
        _light_curve(ax, truth[truth.outburst_id == outburst].sort_values("mjd"))
        ax.set_title(f"{kind}, {outburst}, {way}")
    return figure


_FIGURES = {
    "hardness_intensity": tracks,
    "power_colours": wheels,
    "spectra": spectra,
    "power_spectra": noise,
    "relations": relations,
}


def _clean(archive):
    """Table and truth of RXTE, row by row, without slews, bursts, flares and misfiled pointings.

    The truth gets the measured `rate`, by which figures choose.
    """
    truth = archive.truth[archive.truth.instrument == "rxte"].reset_index(drop=True)
    clean = (truth.outlier == "") & (truth.filed_under == "")
    return archive.rxte[clean], truth.assign(rate=archive.rxte.rate)[clean]


def _richness(states):
    """How well an outburst is covered: pointings, if all four states are there."""
    return len(states) + 1000 * states.nunique()


def _examples(truth):
    """One row of the truth per state, or None: the brightest of the middle half in softness."""
    for state in STATES:
        own = truth[truth.state == state]
        middle = own[own.softness.between(*own.softness.quantile([0.25, 0.75]))]
        yield truth.loc[[middle.rate.idxmax()]] if len(middle) else None


def _constant_share(row):
    """Share of disc and boundary layer in the counts of the light curve."""
    instrument = INSTRUMENTS[row.instrument.iloc[0]]
    response = load_response(instrument.response).to(dtype=torch.float64)
    flux = photon_flux(response.energy_lo, response.energy_hi, row)
    middle = (response.channel_lo + response.channel_hi) / 2
    inside = (middle >= instrument.fit_band[0]) & (middle < instrument.fit_band[1])
    counts = response.fold(flux)[:, 0, inside].sum(-1)
    return float(counts[:2].sum() / counts.sum())


def _scatter(ax, table, x, y, xlabel, ylabel):
    for state, shape, colour in zip(STATES, "o^sD", ("C0", "C2", "C3", "C1"), strict=True):
        own = table[(table.state_label == state) & table[x].notna() & table[y].notna()]
        style = {"color": colour, "markerfacecolor": "none", "markersize": 3}
        ax.plot(own[x], own[y], shape, **style, label=f"{state} ({len(own)})")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend(fontsize=8)


def _light_curve(ax, truth):
    for state, shape, colour in zip(STATES, "o^sD", ("C0", "C2", "C3", "C1"), strict=True):
        own = truth[truth.state == state]
        ax.plot(own.mjd, np.log10(own.luminosity), shape, color=colour, markersize=4, label=state)
    changes = np.flatnonzero(truth.state.to_numpy()[1:] != truth.state.to_numpy()[:-1])
    for k in changes:
        ax.axvline(truth.mjd.iloc[k : k + 2].mean(), color="0.7", linewidth=0.6, zorder=0)
    ax.set(xlabel="MJD (d)", ylabel="log L / L_Edd")
    ax.legend(fontsize=8)


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Draw the figures of the simulated archive.")
    parser.add_argument("folder", help="where the figures go", type=Path)
    for path in draw(read(), parser.parse_args(arguments).folder):
        print(path)


if __name__ == "__main__":
    main()
