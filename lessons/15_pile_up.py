# %% [markdown]
# # 15 · Pile-up
#
# | **The question** | A CCD takes two photons that hit the same pixels in the same frame for one. What does that do to a spectrum, and can we get the source back? |
# |---|---|
# | **Afterwards you can** | test real events for pile-up without a model; write a detector that piles up and predict its losses; choose among a plain fit, Davis' model, the cut-out core and a simulator, and criticise a posterior with what the network never saw |
# | **Time** | 50 min of reading or teaching, 65 min of exercises |
# | **Data** | real: Chandra events of the galaxy M82 (ObsID 10027), from stingray; simulated: sources seen by Chandra's ACIS and by eROSITA, made here |
# | **Run time** | below 150 s on two cores |

# %%
import time
from dataclasses import replace

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.optimize import minimize

from course.checks import lesson_15 as check
from helpers import data, plotting
from helpers.ccd import ACIS, EROSITA
from helpers.pile_up import (
    PileUpSimulator,
    absorbed_blackbody,
    absorbed_power_law,
    davis_spectrum,
)
from helpers.posteriors import convolution, train_posterior

plotting.use_course_style()

# %% [markdown]
# ## A bright source, photon by photon
#
# A CCD collects charge for a **frame**, then it is read out. A photon leaves its charge in one to four pixels; the pattern has a number, the **grade**, and odd patterns are thrown away, because particles make them too. Whoever comes second into the same pixels in the same frame adds charge. Two photons of 1 and 2 keV are then reported as one of 3 keV (**pile-up**), or, if the pattern is odd, not at all (**grade migration**).
#
# Chandra looked at M82, with only part of the chip read, so that a frame takes 0.44104 s. Is the brightest source piled up?

# %%
m82 = data.load_events("chandra_m82")
frame = np.rint((m82.time - m82.time[0]) / 0.44104).astype(int)
x0, y0 = 4452.0, 3835.6  # the brightest source, pixels
r = np.hypot(m82.x - x0, m82.y - y0)
core, away = r < 6, r > 20
print(f"{len(frame)} events in {frame.max() + 1} frames; grades {sorted(set(m82.grade.tolist()))}")
print(
    f"within 6 pixels of the source: {core.sum()}, or {core.sum() / (frame.max() + 1):.2f} per frame"
)

# %%
fig, ax = plt.subplots(figsize=(5, 3.6))
inside = r < 45
image, *edges = np.histogram2d(
    0.492 * (m82.x - x0)[inside], 0.492 * (m82.y - y0)[inside], 60, [(-20, 20)] * 2
)
shown = ax.pcolormesh(*edges, np.log10(image.T + 1))
ticks = [0, 1, 3, 10, 30, 100]
fig.colorbar(shown, ticks=np.log10(np.array(ticks) + 1)).ax.set(yticklabels=ticks, ylabel="events")
ax.add_patch(plt.Circle((0, 0), 6 * 0.492, fill=False, edgecolor="white", linestyle="--"))
ax.set(aspect="equal", xlabel="offset (arcsec)", ylabel="offset (arcsec)")
plotting.show(fig, "15_m82")

# %% [markdown]
# What would you look at first? Bad grades: they are gone, the archive keeps 0, 2, 3, 4 and 6. Then grades among the good ones, and energies. Grade 6 is charge in three or four pixels, which two photons make more easily than one.

# %%
print("                      grade 6 at 2-5 keV      5-10 keV among 2-10 keV")
hard = (m82.energy > 5) & (m82.energy < 10)
for name, here in (("at the source", core), ("away from it", away)):
    shares = []
    middle = here & (m82.energy > 2) & (m82.energy < 5)
    for which, among in (
        (m82.grade == 6, middle),
        (hard, here & (m82.energy > 2) & (m82.energy < 10)),
    ):
        share = which[among].mean()
        shares.append(f"{share:.3f} ± {(share * (1 - share) / among.sum()) ** 0.5:.3f}")
    print(f"{name:20s}  {shares[0]:22s}  {shares[1]}")

# %% [markdown]
# Grades do not differ by more than their errors. Energies do, and in the wrong direction: away from the source the light is harder. So what? It is *another* spectrum, of other sources and of particles. Neither comparison can answer, since nobody gave us the same source without pile-up.
#
# But there is something that every piled source must lack. **Two events that are neighbours in the same frame.** They would have been one. And how many there should be, *other frames* tell: events in frame $k$ and events in frame $k + 1$ have the same image, and cannot pile up.

# %% [markdown] tags=["slide"]
# ## Exercise 15.1 · The pairs that are missing  ·  core · 10 min · ●●○
#
# Count the ordered pairs of events $(i, j)$, $i \ne j$, of which $j$ comes exactly `lag` frames after $i$, closer together than `radius`; the list is in any order. Ordered: in the same frame, with `lag = 0`, each couple counts twice. So it can be compared with any other lag. (Why? In which direction do pairs count there?)


# %%
def n_close(frame, x, y, lag, radius):
    """Ordered pairs of events (n,) that are `lag` frames apart and closer than `radius`, a number."""
    # solution: x[:, None] - x has all differences at once; an event is no pair with itself
    apart = np.hypot(x[:, None] - x, y[:, None] - y)
    later = frame - frame[:, None] == lag  # of the column after the row
    close = (apart < radius) & later
    np.fill_diagonal(close, False)
    return close.sum()
    # end solution


n_close = check.n_close(n_close)

# %%
at_source = frame[core], m82.x[core], m82.y[core]
same = n_close(*at_source, 0, 2.0)
others = np.array([n_close(*at_source, lag, 2.0) for lag in range(1, 31)])
missing = (others.mean() - same) / 2  # each couple counted twice
error = others.std(ddof=1) / 2**0.5  # half of a count that holds every couple twice
print(f"couples closer than 2 pixels in the same frame: {same / 2:.0f}")
print(f"expected from frames 1 to 30 apart: {others.mean() / 2:.0f}")
print(f"missing: {missing:.0f} ± {error:.0f}, with {core.sum()} events")
neighbours = others.mean() / core.sum() * 3.2 / 0.44104
print(f"neighbours of an event in a frame of 3.2 s, if it were alike: {neighbours:.1f}")

# %% tags=["slide"]
apart = np.hypot(*(z[:, None] - z for z in at_source[1:]))
gap = at_source[0] - at_source[0][:, None]
bins = np.arange(0, 6.5, 0.5)
seen = np.histogram(apart[(gap == 0) & (apart > 0)], bins)[0] / 2
wanted = np.array([np.histogram(apart[gap == lag], bins)[0] for lag in range(1, 31)]) / 2
fig, ax = plt.subplots(figsize=(6, 3.2))
spread = wanted.std(0, ddof=1) * 2**0.5
band = wanted.mean(0) + spread, wanted.mean(0) - spread
ax.stairs(band[0], bins, baseline=band[1], fill=True, color="0.85", label="other frames")
plotting.steps(ax, bins, seen, color="C1", label="the same frame")
ax.set(xlabel="distance of two events (pixels)", ylabel="couples", xlim=(0, 6), ylim=(0, None))
ax.legend(loc="lower right")
plotting.show(fig, "15_couples")

# %% [markdown]
# That is pile-up, caught in the act, without any model. Beyond two pixels all couples are there; nearer, they became one event each, or none. (The few left near 1.2 pixels were two pixels apart: the archive blurs each position by up to half a pixel.) If *all* of the missing couples had good grades, one in ten events of this source would be piled; those that were rejected are lost for us, so a tenth is an upper limit. The subarray was a good idea: in ACIS' usual frame of 3.2 s a typical photon would have had company.

# %% [markdown] tags=["slide-next"]
# **Discuss with your neighbour:** the source is a few arcsec long, where Chandra's best image of a point is half an arcsec. Was that bad luck, or did somebody think?

# %% [markdown]
# ## The detector in the open
#
# Imagine one **detection cell**: whatever hits it in a frame becomes one event. $L$ photons are expected per frame.

# %% [markdown] tags=["slide"]
# ## Exercise 15.2 · A cell that cannot count  ·  core · 10 min · ●●○
#
# In each of `n_frames` frames a Poisson number of photons arrives, mean `load`. `draw(n, generator)` gives the energies of $n$ photons. A frame without photons has no event. Return the energy of each event, and how many photons it holds.


# %%
def cell(load, n_frames, draw, generator):
    """Energies (n_events,), keV, and numbers of photons (n_events,) of the events of one cell."""
    # solution: numbers per frame first; all energies in one draw; np.bincount with weights adds by frame
    photons = generator.poisson(load, n_frames)
    energies = draw(photons.sum(), generator)
    frame = np.repeat(np.arange(n_frames), photons)
    sums = np.bincount(frame, weights=energies, minlength=n_frames)
    return sums[photons > 0], photons[photons > 0]
    # end solution


cell = check.cell(cell)

# %% [markdown] tags=["slide"]
# ### Predict first
#
# *One* photon is expected per frame. Which share of the events holds more than one? Write your guess.

# %%
my_guess_piled = ...  # a share between 0 and 1

# %% [markdown] tags=["slide"]
# ## Exercise 15.3 · Lost and piled  ·  core · 8 min · ●○○
#
# Poisson's law gives no photon with probability $e^{-L}$ and one with $L e^{-L}$. How many events does a frame have on average? And which share *of the events* holds more than one photon?


# %%
def detected_and_piled(load):
    """Events per frame, and the share of them with more than one photon, for loads L > 0, number or (n,)."""
    # solution: an event is "at least one photon"; then: one minus the share of events with exactly one
    detected = 1 - np.exp(-load)
    return detected, 1 - load * np.exp(-load) / detected
    # end solution


detected_and_piled = check.detected_and_piled(detected_and_piled)

# %% [markdown]
# Now the third witness, `PileUpSimulator`, which does far more than ten lines: photons through the effective area, places from the telescope's image, Fano's noise, charge clouds over pixel edges, readout noise, thresholds, grades. To make it a cell, we give it a telescope that hits one pixel.

# %%
one_pixel = replace(
    ACIS, psf_core=1e-4, cloud=0.0, readout_noise=0.0, fano=0.0,
    event_threshold=0.0, split_threshold=0.0, upper_limit=1e9,
)  # fmt: skip
machine = PileUpSimulator(one_pixel, exposure=20_000 * 3.2, position=(0.0, 0.0))
power_law_photons = machine.photons(torch.tensor([-11.6, 2.0, 0.3])).double().numpy()
energy_bins = machine.energy_lo.numpy()


def draw(n, generator):
    """n photon energies, keV, of a power law as ACIS sees it."""
    share = power_law_photons / power_law_photons.sum()
    return generator.choice(energy_bins, n, p=share) + 0.01 * generator.random(n)


# %%
own = np.random.default_rng(15)
print("  L     events/frame: exact  yours  helpers     piled: exact  yours  helpers")
for log_flux in (-12.6, -11.9, -11.5, -11.2):
    theta = torch.tensor([log_flux, 2.0, 0.3])
    load = machine.photons(theta).sum().item()
    energies, photons = cell(load, 20_000, draw, own)
    events = machine.events(theta, torch.Generator().manual_seed(2))
    detected, piled = detected_and_piled(load)
    rates = f"{detected:12.3f}{len(energies) / 20_000:7.3f}{len(events.energy) / 20_000:8.3f}"
    shares = f"{piled:18.3f}{np.mean(photons > 1):7.3f}{(events.n_photons > 1).float().mean():8.3f}"
    print(f"{load:5.2f}{'':10s}{rates}{shares}")

# %% tags=["slide"]
loads = np.geomspace(0.01, 6, 100)
fig, ax = plt.subplots(figsize=(6.2, 3.2))
detected, piled = detected_and_piled(loads)
ax.plot(loads, detected, label="events per frame")
ax.plot(loads, piled, "C1--", label="share of events that are piled")
ax.plot(loads, loads, color="0.6", linewidth=1, linestyle=":", label="photons per frame")
ax.set(xscale="log", xlabel="photons per frame, L", ylabel="number, or share", ylim=(0, 1.05))
ax.xaxis.set_major_formatter("{x:g}")
ax.legend()
plotting.mark_guess(ax, my_guess_piled, axis="y")
plotting.show(fig, "15_per_frame")

# %% [markdown]
# **Your prediction:** 0.42 of the events. A loss one sees in a light curve. The piled share starts as $L/2$: at 0.1 photons per frame already a twentieth of the events lies at the wrong energy.

# %% [markdown]
# ## Exercise 15.4 · Pile-up is a convolution  ·  stretch · 15 min · ●●●
#
# Let $S_i$ be the expected photons per frame in bins of equal width $w$; photons in `photons[i]` have the energy $(i+1)\,w$. The energy of *two* photons is distributed as $S * S$, and a frame holds exactly $p$ photons of the right sum with $e^{-L}\,S^{*p}/p!$, $L = \sum_i S_i$. Return the events per frame and bin, all $p$ together. Mind where the sum of bins $i$ and $j$ belongs. Sums beyond the last bin are left out.


# %%
def piled_spectrum(photons):
    """Expected events (n,) per frame of one cell; photons (n,) of energies (1, 2, 3, ...) times w."""
    # solution: np.convolve gives i + j, the energy is that of bin i + j + 1; each term follows from the last
    term = photons
    total = term
    for p in range(2, 60):
        term = np.append(0, np.convolve(term, photons))[: len(photons)] / p
        total = total + term
    return np.exp(-photons.sum()) * total
    # end solution


piled_spectrum = check.piled_spectrum(piled_spectrum)

# %% [markdown]
# That is the heart of the standard model, Davis (2001). It adds three numbers: a share $f$ of the photons that falls on cells that pile up; how many such cells there are; and $\alpha$: events of $p$ photons keep a good grade with probability $\alpha^{p-1}$. `davis_spectrum` of our helpers does all convolutions at once, by one Fourier transform. With $f = \alpha = 1$ it must be yours.

# %%
centres = 0.05 * np.arange(1, 240)  # keV
lo, hi = (torch.tensor(centres + shift) for shift in (-0.025, 0.025))
area = np.interp(centres, machine.energy_lo.numpy(), machine.effective_area.numpy())
flux = absorbed_power_law(lo, hi, torch.tensor([-11.3, 2.0, 0.3], dtype=torch.float64))
source = 3.2 * area * flux.numpy()
davis = davis_spectrum(torch.tensor(source), lo, hi, alpha=1.0, psf_fraction=1.0, fracexpo=1.0)
yours = np.asarray(piled_spectrum(source))
print(
    f"{source.sum():.2f} photons per frame, {yours.sum():.4f} events in yours, {davis.sum():.4f} in Davis'"
)
print(f"largest difference: {np.abs(yours - davis.numpy()).max():.0e}")

# %% [markdown] tags=["slide"]
# ## What it does to a power law
#
# ### Predict first
#
# A power law of photon index Γ = 2, with 1.8 photons per frame in ACIS. You fit as if there were no pile-up. Which Γ do you find? Write your guess.

# %%
my_guess_index = ...  # a photon index, a number

# %% [markdown]
# First look. Above: the image of the good events; the telescope nods a little, so that the source drifts over the pixels. Below: the spectrum inside 2″, and what it would be without pile-up, that is, through the **response**: area, losses and blur of *single* photons.

# %%
channels = torch.logspace(np.log10(0.5), 1, 65)  # 64 channels, 0.5 to 10 keV
acis = PileUpSimulator(
    ACIS, absorbed_power_law, 10_000.0, annuli=[0, 1, 2, 4], channels=channels,
    energies=(0.1, 12.1, 0.04),
)  # fmt: skip
response = acis.response.to(dtype=torch.float64)
lo, hi, share = acis.energy_lo, acis.energy_hi, acis.psf_fraction
energy_edges, width = acis.channels.numpy(), acis.channels.diff().numpy()


def unpiled(theta, share):
    """Expected counts (..., 64) for theta (..., 3) of this share of the photons, one by one."""
    return response.fold(absorbed_power_law(lo, hi, theta)) * acis.exposure * share


print("share of the photons in the rings 0-1, 1-2, 2-4 arcsec:", share.numpy().round(3))

# %%
nodding = PileUpSimulator(
    ACIS, exposure=25.6, annuli=[0, 4]
)  # 8 frames; 400 of them, each elsewhere
images, reported, wanted, titles = [], [], [], []
for log_flux in (-12.5, -11.3, -10.5):
    theta = torch.tensor([log_flux, 2.0, 0.3])
    events = nodding.events(theta.expand(400, 3), torch.Generator().manual_seed(1))
    x, y = (z[events.valid].numpy() for z in (events.x, events.y))
    images.append(np.histogram2d(x, y, 24, [(-3, 3)] * 2))
    reported.append(acis(theta, torch.Generator().manual_seed(1))[:2].sum(0).numpy() / width)
    wanted.append(unpiled(theta.double(), share[:2].sum()).numpy() / width)
    titles.append(f"{acis.photons(theta).sum():.2g} photons per frame")

# %%
fig, axes = plt.subplots(2, 3, figsize=(8.4, 5.6))
for i, (top, bottom) in enumerate(axes.T):
    image, *edges = images[i]
    top.pcolormesh(*edges, np.sqrt(image.T))
    top.set(aspect="equal", title=titles[i], xlabel="offset (arcsec)")
    plotting.steps(bottom, energy_edges, wanted[i], color="0.5", linestyle="--")
    plotting.steps(bottom, energy_edges, reported[i])
    bottom.set(xscale="log", yscale="log", xticks=[0.5, 1, 2, 5, 10], xlabel="energy (keV)")
    bottom.set_ylim(wanted[i].max() / 300, None)
    bottom.xaxis.set_major_formatter("{x:g}")
    bottom.minorticks_off()
axes[0, 0].set(ylabel="offset (arcsec)")
axes[1, 0].set(ylabel="counts per keV")
fig.legend(axes[1, 0].patches, ["without pile-up", "reported"], loc="outside upper center", ncols=2)
plotting.show(fig, "15_images")

# %% [markdown]
# At eleven photons per frame the image has a crater where the source is: nearly every pattern in the core is odd, or the sum lies above the limit. Now the fit: counts are Poisson, so maximise the Poisson likelihood (lesson 13), here with the gradient that torch provides.


# %%
LIMITS = np.array([(-13.5, -10.5), (0.0, 4.0), (0.0, 3.0), (0.05, 1.0)])  # log flux, Γ, N_H, α


def fit(counts, model, start, limits=LIMITS):
    """The parameters of greatest Poisson likelihood, and minus its logarithm."""
    scale = np.array([0.02, 0.1, 0.05, 0.1])[: len(start)]  # steps that change a fit about alike
    limits = limits[: len(start)] / scale[:, None]

    def loss(steps):
        p = torch.tensor(steps * scale, requires_grad=True)
        expected = model(p).clamp(min=1e-9)
        value = (expected - counts * expected.log()).sum()
        value.backward()
        return value.item(), p.grad.numpy() * scale

    found = minimize(loss, np.array(start) / scale, jac=True, method="L-BFGS-B", bounds=limits)
    return found.x * scale, found.fun


# %% tags=["nbval-ignore-output"]
fluxes, naive = np.linspace(-13.0, -11.1, 8), []
for log_flux in fluxes:
    theta = torch.tensor([log_flux, 2.0, 0.3], dtype=torch.float32)
    mocks = acis(theta.expand(10, 3), torch.Generator().manual_seed(3))[:, :2].sum(1).double()
    inside = share[:2].sum()
    naive.append(
        [fit(c, lambda p, part=inside: unpiled(p, part), [-12.0, 1.8, 0.3])[0] for c in mocks]
    )
naive = np.array(naive)
per_frame = [acis.photons(torch.tensor([f, 2.0, 0.3])).sum().item() for f in fluxes]
for load, gamma in zip(per_frame, naive[..., 1], strict=True):
    print(f"{load:5.2f} photons per frame: Γ = {gamma.mean():.2f} ± {gamma.std(ddof=1):.2f}")

# %% tags=["nbval-ignore-output", "slide"]
fig, ax = plt.subplots(figsize=(6.2, 3.2))
ax.errorbar(
    per_frame, naive[..., 1].mean(1), naive[..., 1].std(1, ddof=1), fmt="C0o", label="plain fit"
)
ax.axhline(2, color="0.3", linestyle=":", linewidth=1, label="truth")
ax.set(xscale="log", xlabel="photons per frame", ylabel="photon index Γ")
ax.xaxis.set_major_formatter("{x:g}")
ax.legend()
plotting.mark_guess(ax, my_guess_index, axis="y")
plotting.show(fig, "15_plain_fits")

# %% [markdown]
# **Your prediction:** Γ is near 1.2 at 1.8 photons per frame. A steep source is taken for a flat one, with an error bar that says nothing of it. Soft photons vanish, and their sums appear at high energies, where there are few counts.
#
# Play with flux and frame time. At which flux does the usual frame of 3.2 s start to matter? What does the subarray of M82 buy?


# %%
def draw_pile_up(log_flux, frame_time):
    """Spectrum within 2 arcsec of a power law, Γ = 2, with and without pile-up."""
    theta = torch.tensor([log_flux, 2.0, 0.3])
    simulate = PileUpSimulator(replace(ACIS, frame_time=frame_time), annuli=[0, 2], exposure=1e4)
    events = simulate.events(theta, torch.Generator().manual_seed(1))
    near = torch.hypot(events.x, events.y) < 2
    good = near & events.valid
    piled, bad = (events.n_photons[good] > 1).double().mean(), 1 - good.sum() / near.sum()
    counts = np.histogram(events.energy[good], energy_edges)[0] / width
    expected = unpiled(theta.double(), share[:2].sum()).numpy() / width
    fig, ax = plt.subplots(figsize=(6.5, 3.4))
    plotting.steps(ax, energy_edges, expected, color="0.5", linestyle="--", label="no pile-up")
    plotting.steps(ax, energy_edges, counts, label="reported")
    ax.set(xscale="log", yscale="log", xlabel="energy (keV)", ylabel="counts per keV")
    ax.set_ylim(1, None)
    ax.set_xticks([0.5, 1, 2, 5, 10], ["0.5", "1", "2", "5", "10"])
    ax.minorticks_off()
    ax.set_title(f"{piled:.0%} of the good events are piled, {bad:.0%} of all are rejected")
    ax.legend()
    plotting.show(
        fig, "15_cases_slider", log_flux=log_flux, frame_time=frame_time, piled=float(piled)
    )


# %% tags=["nbval-ignore-output"]
slow = {"continuous_update": False}
flux_slider = ipywidgets.FloatSlider(
    value=-11.6, min=-13, max=-10.5, step=0.1, description="log flux", **slow
)
frame_slider = ipywidgets.FloatSlider(
    value=3.2, min=0.4, max=3.2, step=0.2, description="frame, s", **slow
)
ipywidgets.interactive(draw_pile_up, log_flux=flux_slider, frame_time=frame_slider)

# %% [markdown]
# ## Where is it clean?
#
# The image has a core and wings. In the wings few photons share a cell. Our ACIS has a *King profile*, whose density of photons per square arcsec is $\propto [1 + (r/r_c)^2]^{-b}$. So cut the core out and fit the ring.

# %% [markdown] tags=["slide"]
# ## Exercise 15.5 · Cut the core out  ·  core · 8 min · ●●○
#
# An event of ACIS occupies 3 × 3 pixels: take that as the cell. `density(r)` is the share of the photons per square arcsec at radius $r$, and falls outwards. Return the smallest of the ascending `radii` at which no more than `limit` of the events are piled.


# %%
def inner_radius(radii, photons_per_frame, density, cell_area, limit):
    """The smallest of the radii (n,), arcsec, where the piled share of events is at most the limit."""
    # solution: the load of a cell at each radius; exercise 15.3 turns it into a share
    load = photons_per_frame * density(radii) * cell_area
    piled = detected_and_piled(load)[1]
    return radii[piled <= limit][0]
    # end solution


inner_radius = check.inner_radius(inner_radius)


# %%
def king(r, core=ACIS.psf_core, slope=ACIS.psf_slope):
    """Share of the photons per square arcsec at radius r, arcsec."""
    return (slope - 1) / (np.pi * core**2) * (1 + (np.asarray(r) / core) ** 2) ** -slope


def king_share(r, core=ACIS.psf_core, slope=ACIS.psf_slope):
    """Share of the photons within a radius, arcsec: the density's integral."""
    return 1 - (1 + (np.asarray(r) / core) ** 2) ** (1 - slope)


# %%
cell_area = 9 * ACIS.pixel**2  # square arcsec
radii = np.arange(0.1, 4, 0.1)
cases = {"mild": -11.9, "heavy": -11.3}
for name, log_flux in cases.items():
    n = acis.photons(torch.tensor([log_flux, 2.0, 0.3])).sum().item()
    start = inner_radius(radii, n, king, cell_area, 0.01)
    print(
        f"{name}: {n:.2f} photons per frame, less than 1 % piled from {start:.1f} arcsec on, "
        f"where {1 - king_share(start):.0%} of the photons are"
    )

# %%
fig, ax = plt.subplots(figsize=(6.2, 3.2))
rings = np.array([0.3, 0.6, 1.0, 1.5, 2.0, 2.7, 4.0])  # arcsec
middle = np.sqrt(rings[1:] * rings[:-1])
for (name, log_flux), look in zip(cases.items(), ("C0o-", "C1s--"), strict=True):
    theta = torch.tensor([log_flux, 2.0, 0.3])
    events = acis.events(theta.expand(20, 3), torch.Generator().manual_seed(4))
    distance = torch.hypot(events.x, events.y).numpy()[events.valid]
    piled = events.n_photons.numpy()[events.valid] > 1
    number, of_them = (np.histogram(d, rings)[0] for d in (distance, distance[piled]))
    error = of_them**0.5 / number
    ax.errorbar(middle, of_them / number, error, fmt=look[:3], label=f"{name}, simulated")
    load = acis.photons(theta).sum().item() * king(radii) * cell_area
    ax.plot(radii, detected_and_piled(load)[1], look[:2] + look[3:], label=f"{name}, by 15.3")
ax.axhline(0.01, color="0.3", linestyle=":", linewidth=1)
ax.set(xscale="log", yscale="log", xlabel="radius (arcsec)", ylabel="piled share", ylim=(1e-3, 1))
ax.set(xlim=(0.3, 4))
ax.xaxis.set_major_formatter("{x:g}")
ax.legend(ncols=2, fontsize=8)
plotting.show(fig, "15_radius")

# %% [markdown]
# The price: five photons of six in the mild case, nine of ten in the heavy one. Formula and simulation agree only roughly: couples with a bad grade are not among the good events, which the formula does not know. It errs on the safe side.

# %% [markdown]
# ## Four ways, the same mocks
#
# 20 mocks each of a **mild** case, 0.44 photons per frame, and of a **heavy** one, 1.8; 10 ks, Γ = 2, $N_H = 0.3\times10^{22}$/cm². Three of the four are fits:
#
# 1. **plain**: inside 2″, as if nothing were.
# 2. **Davis**: inside 2″; $\alpha$ is free. For $f$ the handbooks of the fitting programs say .95; or the share that our image puts into 3 × 3 pixels. The model can have *two* best fits, a faint and a bright one: we start twice.
# 3. **core cut out**: 1″ to 4″ (mild, a little inside of what exercise 15.5 says) or 2″ to 4″ (heavy).

# %%
truth = {name: torch.tensor([flux, 2.0, 0.3]) for name, flux in cases.items()}
mocks = {
    name: acis(theta.expand(20, 3), torch.Generator().manual_seed(7)).double()
    for name, theta in truth.items()
}
# For the middle cell, a circle of its area
cell_share = king_share(np.sqrt(cell_area / np.pi)) / king_share(2.0)
print(f"share of the photons within 2 arcsec that fall into the middle cell: {cell_share:.2f}")


def davis(p, f):
    """Expected counts (64,) inside 2 arcsec by Davis' model of p = log flux, Γ, N_H, α."""
    photons = acis.photons(p[:3]) * share[:2].sum()
    settings = dict(n_frames=acis.n_frames, alpha=p[3], psf_fraction=f, fracexpo=1.0)
    return davis_spectrum(photons, lo, hi, **settings) @ response.redistribution


# %%
found = {name: {} for name in cases}
for name, counts in mocks.items():
    first = 1 if name == "mild" else 2
    inner, outer = counts[:, :2].sum(1), counts[:, first:].sum(1)
    ring = share[first:].sum()
    start = [-12.0, 1.8, 0.3]
    found[name]["plain"] = [fit(c, lambda p: unpiled(p, share[:2].sum()), start)[0] for c in inner]
    for f in (0.95, cell_share):
        found[name][f"Davis, f = {f:.2f}"] = [
            min((fit(c, lambda p, f=f: davis(p, f), [s, 1.8, 0.3, 0.5]) for s in (-12.0, -11.0)),
                key=lambda result: result[1])[0]
            for c in inner
        ]  # fmt: skip
    found[name]["core cut out"] = [
        fit(c, lambda p, ring=ring: unpiled(p, ring), start)[0] for c in outer
    ]
    print(
        f"{name}: {inner.sum(1).mean():.0f} counts within 2 arcsec, {outer.sum(1).mean():.0f} in the ring"
    )


# %%
def print_table(found):
    """Mean ± scatter over the mocks of all ways."""
    print(f"{'':22s}log flux          Γ             N_H")
    for name, ways in found.items():
        print(
            f"{name}, truth".ljust(22)
            + "{:.2f}           {:.2f}          {:.2f}".format(*truth[name])
        )
        for way, values in ways.items():
            values = np.array([v[:3] for v in values])
            columns = zip(values.mean(0), values.std(0, ddof=1), strict=True)
            print(f"  {way:18s}" + "   ".join(f"{m:7.2f} ± {s:.2f}" for m, s in columns))


print_table(found)

# %% [markdown]
# In the heavy case the plain fit is wrong by many times its scatter. Davis' model, with the *right* $f$, gets Γ back from the very counts that the plain fit misread: **where it is enough, fit it.** But look at $f$: the usual number belongs to a sharper image, and with it the heavy case goes astray, further than the plain fit, in the other direction. The cut-out core hardly needs to know anything, and pays in width.
#
# All of them use a part of what is there: the core *or* the ring.

# %% [markdown]
# ## Infer through the detector
#
# The fourth way sees all rings at once: 3 spectra of 64 channels. After König, Huppenkothen et al. (2025) a small **convolutional** network reads the spectra side by side, and a flow turns what it reads into a posterior (lesson 13). Counts go in as their square roots, whose noise is alike everywhere.

# %% tags=["nbval-ignore-output"]
low, high = torch.tensor([-12.7, 1.0, 0.05]), torch.tensor([-11.0, 3.0, 1.0])
names = ["log flux (erg/cm²/s)", "photon index Γ", "N_H (10²²/cm²)"]
generator = torch.Generator().manual_seed(15)


def draw_prior(n, generator, low=low, high=high):
    """Parameters (n, 3), uniform in the box."""
    return low + (high - low) * torch.rand(n, 3, generator=generator).clamp(1e-6, 1 - 1e-6)


start = time.perf_counter()
theta = draw_prior(5000, generator)
x = acis(theta, generator)
print(f"{len(theta):,} simulations in {time.perf_counter() - start:.0f} s")
start = time.perf_counter()
seeded = torch.Generator().manual_seed(0)  # of weights, order of batches and held-out simulations
npe = train_posterior(
    theta, x.sqrt(), low, high, generator=seeded, embedding=convolution, n_flows=1
)
print(f"trained in {time.perf_counter() - start:.0f} s")

# %% tags=["nbval-ignore-output"]
posterior = {}
for name, counts in mocks.items():
    posterior[name] = npe.sample(1000, counts.float().sqrt(), generator=seeded)
    found[name]["NPE, all rings"] = posterior[name].mean(0).numpy()
print_table(found)

# %% tags=["nbval-ignore-output", "slide"]
fig, axes = plt.subplots(1, 2, figsize=(8, 3.2), sharey=True)
for ax, (name, ways) in zip(axes, found.items(), strict=True):
    for i, values in enumerate(ways.values()):
        gamma = np.array([v[1] for v in values])
        ax.errorbar(gamma.mean(), i, xerr=gamma.std(ddof=1), fmt="s", color=f"C{i % 2}", capsize=3)
        ax.plot(gamma, np.full(20, i + 0.25), "|", color="0.5", markersize=6)
    ax.axvline(2, color="0.3", linestyle=":", linewidth=1)
    ax.set(title=name, xlabel="photon index Γ", yticks=range(len(ways)), yticklabels=ways)
    ax.set_ylim(len(ways) - 0.4, -0.6)
plotting.show(fig, "15_all_ways")

# %% tags=["nbval-ignore-output"]
fig, axes = plt.subplots(3, 3, figsize=(6.6, 6))
both = {f"NPE, {name}": draws[:, 0] - truth[name] for name, draws in posterior.items()}
plotting.corner(axes, both, [f"{n.split(' (')[0]} − truth" for n in names], truth=[0.0, 0.0, 0.0])
plotting.show(fig, "15_posteriors")
fresh = draw_prior(300, generator)
drawn = npe.sample(500, acis(fresh, generator).sqrt(), generator=seeded)
z = (drawn.mean(0) - fresh) / drawn.std(0)
for name, mean, sd in zip(names, z.mean(0), z.std(0), strict=True):
    print(
        f"{name:22s} (mean - truth)/sd: {mean:+.2f} ± {sd / 300**0.5:.2f}, scatter {sd:.2f} (wanted: 0 and 1)"
    )

# %% [markdown]
# In the mild case Davis' model with the right $f$ is right too, and only somewhat wider: please fit. In the heavy one NPE knows the flux several times better than Davis, and the index clearly better than the ring. It uses the core *and* the rings, and what they say together about how many photons there were.
#
# And it believes in our simulator, unconditionally.

# %% [markdown]
# ## Criticise it
#
# Suppose the telescope is a little less sharp than we think: the true $r_c$ is 20 % wider. Would we notice? We look for the bias, and ask the **posterior predictive check** of lesson 14: does the observation look like the replicas? Two statistics. The share of the counts that falls into the central ring: the network saw it. And one that no spectrum contains:

# %% [markdown] tags=["slide"]
# ## Exercise 15.6 · Ask those who were rejected  ·  core · 8 min · ●●○
#
# An event list holds *all* events; the spectra only those that are `valid`. Return, for each of `n` simulations, the share of the events within `radius` of the source that is *not* valid. `events` has 1-D tensors: `simulation` (0 to n - 1), `x`, `y` (arcsec from the source), `valid`, in any order. A simulation without events there has no share: NaN.


# %%
def rejected_share(events, n, radius):
    """(n,) share of the events within the radius, arcsec, that were rejected, for each simulation."""
    # solution: two masks, near and near & rejected; torch.bincount(..., minlength=n) counts by simulation
    near = torch.hypot(events.x, events.y) < radius
    rejected = torch.bincount(events.simulation[near & ~events.valid], minlength=n)
    return rejected / torch.bincount(events.simulation[near], minlength=n)
    # end solution


rejected_share = check.rejected_share(rejected_share)


# %%
def central_share(events, n):
    """(n,) share of the good events within 4 arcsec that lie within 1 arcsec."""
    distance = torch.hypot(events.x, events.y)
    within = [events.simulation[events.valid & (distance < r)] for r in (1, 4)]
    one, four = (torch.bincount(s, minlength=n) for s in within)
    return one / four


# %%
def both_statistics(events, n):
    """(2, n) central and rejected shares."""
    rejected = torch.as_tensor(rejected_share(events, n, 2.0))
    return torch.stack([central_share(events, n), rejected])


def criticise(name, detector, n_draws=60):
    """Of 20 mocks by this detector: posterior draws, statistics of the replicas and of the mocks."""
    theta = truth[name].expand(20, 3)
    real = PileUpSimulator(
        detector,
        exposure=10_000.0,
        annuli=[0, 1, 2, 4],
        channels=channels,
        energies=(0.1, 12.1, 0.04),
    )
    counts = real(theta, torch.Generator().manual_seed(8))
    draws = npe.sample(n_draws, counts.sqrt(), generator=seeded)
    observed = both_statistics(real.events(theta, torch.Generator().manual_seed(8)), 20)
    again, replicas = torch.Generator().manual_seed(9), []
    for some in draws.reshape(-1, 3).split(200):  # all at once would take a gigabyte
        replicas.append(both_statistics(acis.events(some, again), len(some)))
    return draws, torch.cat(replicas, 1).reshape(2, n_draws, 20), observed


# %% tags=["nbval-ignore-output"]
telescopes = {"as believed": ACIS, "r_c 20 % wider": replace(ACIS, psf_core=1.2 * ACIS.psf_core)}
print("                          (mean - truth)/sd, mean of 20 mocks     p < 2.5 % or > 97.5 %")
print("                          log flux      Γ      N_H            central share  rejected share")
for name in cases:
    for telescope, detector in telescopes.items():
        draws, replicas, observed = criticise(name, detector)
        p = (replicas >= observed[:, None]).double().mean(1)
        z = ((draws.mean(0) - truth[name]) / draws.std(0)).mean(0)
        odd = ((p < 0.025) | (p > 0.975)).double().mean(1)
        line = f"{name + ', ' + telescope:24s}" + "".join(f"{value:+9.1f}" for value in z)
        print(f"{line}{odd[0]:20.0%}{odd[1]:16.0%}")

# %% tags=["nbval-ignore-output"]
typical = p[0].argsort()[10]  # of the last row: half of the mocks have a lower p
fig, axes = plt.subplots(1, 2, figsize=(7.6, 2.9))
for ax, values, seen, what in zip(
    axes, replicas, observed, ("central share", "rejected share"), strict=True
):
    ax.hist(values[:, typical].numpy(), 15, color="0.75", label="replicas")
    ax.axvline(seen[typical].item(), color="C1", label="observed")
    ax.set(xlabel=what, yticks=[])
axes[0].set_ylabel("replicas per bin")
axes[0].legend()
plotting.show(fig, "15_replicas")

# %% [markdown]
# In the mild case less goes wrong, and the central share objects in many mocks. In the heavy case Γ is wrong by about two error bars, and the central share leans to one side, but rarely far enough: there a wider core looks much like a brighter source, and the network explains most of it away. The *rejected* object nearly always. Lesson 14 in one line, again: **keep a statistic for the critic.**
#
# The cure: let the simulations vary the image of a point (the point spread function, PSF) too, in the range that you do not know it. The posterior grows wider, and honest.

# %% [markdown]
# ## A blackbody in eROSITA
#
# Now the published problem, smaller. König, Huppenkothen et al. (2025) infer an absorbed blackbody from eROSITA spectra in rings of 0–30, 30–60, 60–120 and 120–240″: flux $10^{-12}$ to $10^{-8}$ erg/cm²/s (0.2–2 keV), $kT$ 30 to 200 eV, $N_H$ 0.2 to $2\times10^{22}$/cm². A hot luminous spot on a white dwarf can pile up in 50 ms.

# %% tags=["nbval-ignore-output"]
soft = PileUpSimulator(
    EROSITA, absorbed_blackbody, 100.0, annuli=[0, 30, 60, 120, 240],
    channels=torch.linspace(0.2, 2.76, 65), energies=(0.1, 12.1, 0.02),
)  # fmt: skip
soft_low, soft_high = torch.tensor([-12.0, 0.03, 0.2]), torch.tensor([-8.0, 0.2, 2.0])
start = time.perf_counter()
theta = draw_prior(3000, generator, soft_low, soft_high)
x = soft(theta, generator)
print(f"{len(theta):,} simulations in {time.perf_counter() - start:.0f} s")
start = time.perf_counter()
blackbody = train_posterior(
    theta, x.sqrt(), soft_low, soft_high, generator=seeded, embedding=convolution, n_flows=1
)
print(f"trained in {time.perf_counter() - start:.0f} s")

# %% tags=["nbval-ignore-output"]
fresh = draw_prior(300, generator, soft_low, soft_high)
x = soft(fresh, generator)
draws = blackbody.sample(300, x.sqrt(), generator=seeded)
mean = draws.mean(0)
wrong = torch.stack([10 ** (mean - fresh)[:, 0] - 1, *(mean / fresh - 1)[:, 1:].T], 1).abs()
z = ((mean - fresh) / draws.std(0)).std(0)
print("mean absolute percentage error       flux     kT      N_H      median counts")
for name, from_, to in (
    ("all", -12, -8),
    *((f"10^{k} to 10^{k + 1}", k, k + 1) for k in range(-12, -8)),
):
    these = (fresh[:, 0] >= from_) & (fresh[:, 0] < to)
    line = "".join(f"{v:8.1%}" for v in wrong[these].mean(0))
    print(f"  {name:30s}{line}{x[these].sum((1, 2)).median():14.0f}")
print("scatter of (mean - truth)/sd     ", "".join(f"{value:8.2f}" for value in z))

# %% tags=["nbval-ignore-output"]
fig, axes = plt.subplots(1, 3, figsize=(8.6, 3))
labels = ["log flux (erg/cm²/s)", "kT (eV)", "N_H (10²²/cm²)"]
for ax, label, m, t, scale in zip(axes, labels, mean.T, fresh.T, (1, 1000, 1), strict=True):
    bright = fresh[:, 0] > -11
    ax.plot(scale * t[~bright], scale * m[~bright], "C1x", markersize=4, label="flux < 10⁻¹¹")
    ax.plot(scale * t[bright], scale * m[bright], "C0o", markersize=3, label="brighter")
    ax.axline((scale * t.mean().item(),) * 2, slope=1, color="0.3", linewidth=0.8)
    ax.set(xlabel=f"true {label}", ylabel="posterior mean")
axes[0].legend()
plotting.show(fig, "15_erosita")

# %% [markdown]
# And the likelihood? It is right for single photons. So fit the whole image, as if there were no pile-up, or the outermost ring alone, where there is hardly any. 10 mocks each of a faint, a bright and a very bright source.

# %% tags=["nbval-ignore-output"]
soft_response, parts = soft.response.to(dtype=torch.float64), soft.psf_fraction
soft_limits = np.array([(-13.0, -7.0), (0.2, 3.0), (0.05, 3.0)])


def fit_soft(counts, part, log_flux):
    """Best log flux, kT, N_H for counts (64,) in this share of the image."""

    def model(p):  # kT in units of 0.1 keV: then its steps are those of an index
        theta = p * torch.tensor([1.0, 0.1, 1.0])
        flux = absorbed_blackbody(soft.energy_lo, soft.energy_hi, theta)
        return soft_response.fold(flux) * soft.exposure * part

    return fit(counts.double(), model, [log_flux, 1.0, 0.5], soft_limits)[0] * [1.0, 0.1, 1.0]


# %% tags=["nbval-ignore-output"]
for log_flux in (-11.0, -9.5, -8.5):
    x = soft(torch.tensor([log_flux, 0.1, 0.5]).expand(10, 3), torch.Generator().manual_seed(6))
    inner, outer = x[:, :3].sum((1, 2)).mean(), x[:, 3].sum(1).mean()
    print(
        f"log flux {log_flux}, kT 0.100 keV, N_H 0.50; {inner:.0f} counts + {outer:.0f} outside 120″"
    )
    rows = {
        "fit, all counts": [fit_soft(c, parts.sum(), log_flux) for c in x.sum(1)],
        "fit, 120-240″": [fit_soft(c, parts[3], log_flux) for c in x[:, 3]],
        "NPE, all rings": blackbody.sample(500, x.sqrt(), generator=seeded).mean(0).numpy(),
    }
    for name, values in rows.items():
        columns = zip(np.mean(values, 0), np.std(values, 0, ddof=1), strict=True)
        print(f"  {name:16s}" + "   ".join(f"{m:.3f} ± {s:.3f}" for m, s in columns))

# %% [markdown]
# Fitted as if nothing piled up, the bright sources come out far too faint, and too hot, with tiny error bars. The outer ring is right. NPE is right within about one and a half of its error bars, and knows $kT$ and $N_H$ better; the flux too, while the ring has few counts.
#
# Beside that the paper's statements: mean absolute errors well below 10 % for all three, posteriors much narrower than those of the outermost ring, equal to the likelihood where nothing piles up; coverage good for the flux, a few per cent too confident for $kT$ and $N_H$.
#
# Ours tells the same story, and is **not the same set-up**. They simulated with SIXTE and measured calibration, we with round numbers and a sketch of the area, of one of seven cameras; no background; 100 s, which is our choice; 3000 simulations to learn from instead of 28,000, 64 channels instead of 1024, a smaller network. Where our errors are larger, below $10^{-11}$, there are a few dozen counts: that is not pile-up's fault. A comparison of numbers needs lesson 16 and one simulator for both.

# %% [markdown] tags=["slide"]
# ## Exercise 15.7 · Which tool?  ·  core · 6 min · ●○○
#
# For each task the *simplest* tool that is right: `"plain fit"`, `"Davis' model"`, `"cut the core out"`, `"simulator"`, `"count couples"`.

# %%
# solution: how many photons per frame? do you need every count? what do you know of the image?
tools = {
    "a source of 0.003 photons per frame": "plain fit",
    "is this source piled up at all? You have good events, with positions and frames": "count couples",
    "0.4 photons per frame, on axis, a PSF that is known well": "Davis' model",
    "two photons per frame, plenty of counts in the wings, a core that is known badly": "cut the core out",
    "two photons per frame, 300 counts in the wings, a detector that is known well": "simulator",
    "a thousand sources of a survey, many piled up, in rings, with the same detector": "simulator",
}
# end solution
tools = check.tools(tools)

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - **Pairs of neighbours in one frame are missing** in a piled source: a test without a model. Grades and hardness alone prove little.
# - In a cell, $1 - e^{-L}$ events per frame, of which about $L/2$ are piled while $L$ is small.
# - Pile-up makes a spectrum *too hard*, and the plain fit does not say so.
# - Davis' model is right where its $f$ and $\alpha$ are. If it is enough, fit it. A cut-out core needs least knowledge, and costs most of the counts.
# - NPE on spectra in rings uses everything, and is the narrowest of those that are right where pile-up is heavy. It believes the simulator: a PSF 20 % wider biases Γ by about two error bars.
# - What the network saw may not object; what it never saw, the rejected events, does.

# %% [markdown]
# **Further reading.** Davis 2001, ApJ 562, 575: the model of the fitting programs · [König, Huppenkothen et al. 2025](https://arxiv.org/abs/2511.11863): NPE through pile-up, the paper of this lesson · Ballet 1999, A&AS 135, 371: pile-up in X-ray CCDs, by the rates of patterns
