# %% [markdown]
# # 18 · Features, or no features
#
# | **The question** | How much of an expert can a network learn without labels, and what does it learn instead? |
# |---|---|
# | **Afterwards you can** | say what a label costs, and read it from a learning curve; train two networks on two views of one pointing, and judge them by more than their own loss; find out what is in an embedding |
# | **Time** | 35 min of reading or teaching, 62 min of exercises |
# | **Data** | simulated: the short light curves of the RXTE archive, and new pointings from its factory |
# | **Run time** | below 90 s on two cores |

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import balanced_accuracy_score, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.nn.functional import cross_entropy, normalize
from tqdm.auto import tqdm

# %%
from course.archive import sources as factory
from course.archive.observer import INSTRUMENTS
from course.checks import lesson_18 as check
from helpers import data, plotting
from helpers.features import light_curve_features
from helpers.light_curves import averaged_periodogram, log_bin, simulate_light_curves
from helpers.networks import NetworkClassifier, feed_forward, seeded

plotting.use_course_style()

# %% [markdown]
# Lesson 09 asked whether a network can make its own features, and lesson 17 what a computer finds when nobody names anything. Here both questions meet. What does a *label* cost, with good features and without? And what does a network learn when it gets many data and no label at all?
#
# ## The price of a label
#
# To label a pointing, somebody looks at its spectra and writes one word. Here the words are *hard*, *intermediate* (HIMS and SIMS together) and *soft*. Of each pointing we have three light curves of 128 s, in bins of 0.25 s, without a photon in common. The column `label` is what a reader wrote (a few in a hundred are wrong). `state` is the truth. Models learn from `label`, on two thirds of the sources; `state` is for judging, on the others.

# %%
three = {"LHS": "hard", "HIMS": "intermediate", "SIMS": "intermediate", "HSS": "soft"}
light = data.load_segments()
apart = light.start % light.length == 0  # every second piece: neighbours overlap
names = ("obs_id", "source_id", "object_label", "state_label")
table = pd.DataFrame({name: getattr(light, name)[apart] for name in names})
table["label"] = table.state_label.map(three)
true_state = data.load_truth().set_index("obs_id").state
table["state"] = table.obs_id.map(true_state).map(three)
counts = light.counts[apart]
folds = data.deal_sources(table.source_id, table.object_label, 3, seed=0)
table.groupby("state")[["obs_id", "source_id"]].nunique()

# %% [markdown] tags=["slide"]
# ## Exercise 18.1 · Three shapes by hand  ·  core · 10 min · ●●○
#
# Richards et al. (2011) told kinds of variable stars apart by a list of numbers for each light curve, and the list has been used for everything since. Write two of its numbers, and one that is not on it. `counts` are photons in a bin, background included.
#
# - `percent_amplitude`: the largest $|x - \mathrm{median}|$, over the median (a fraction, in spite of its name)
# - `skew`: the mean of $(x - \bar x)^3$, over $\sigma^3$
# - `excess_variance`: the variance, less that of the photons alone, over the squared mean (lesson 01)


# %%
def shapes(counts):
    """Table of three columns, one row for each light curve (n, n_bins)."""
    # solution: three columns, a number for each light curve; what is the variance of photons alone?
    median, mean, variance = np.median(counts, 1), counts.mean(1), counts.var(1)
    largest = np.abs(counts - median[:, None]).max(1)
    cube = ((counts - mean[:, None]) ** 3).mean(1)
    return pd.DataFrame(
        {
            "percent_amplitude": largest / median,
            "skew": cube / variance**1.5,
            "excess_variance": (variance - mean) / mean**2,
        }
    )
    # end solution


shapes = check.shapes(shapes)

# %% [markdown]
# None of the three has a unit. Does that mean that they do not depend on the brightness? We use **thinning**: of the photons we keep one in ten, at random. A detector with a tenth of the area would have seen this, of the same source, in the same second.

# %%
generator = np.random.default_rng(18)
thinned = generator.binomial(counts, 0.1)
bright = counts.mean(1) > 100  # so that ten photons are left in a bin
both = {"all photons": shapes(counts[bright]), "one in ten": shapes(thinned[bright])}
by_label = pd.concat(both, axis=1).groupby(table.label[bright].to_numpy())
by_label.median().T.swaplevel().sort_index().round(3)

# %% [markdown]
# These are medians. Only the excess variance stays, within its scatter. In a faint curve the largest deviation is a fluctuation of photons, and much of the skew, too: with a tenth of its photons, a soft curve comes near to a hard one in the amplitude, and overtakes it in the skew. **Free of units is not free of brightness.** The list was made for stars whose brightness is measured far more precisely than it varies. Most of our light curves are mostly noise. But we know how much noise: subtract it.
#
# ## Who needs how many?
#
# Four sets of numbers for each light curve, and the curve itself:
#
# - the mean rate, as a warning;
# - Richards' list, as far as it applies: 19 numbers;
# - the rms in 4 bands up to 2 Hz, which is all that bins of 0.25 s know, with the noise subtracted;
# - the rms in 5 bands up to 64 Hz, from the same photons in finer bins;
# - the raw curve, over its mean, for a convolutional network.


# %%
def band_rms(frequency, power, noise, width, edges):
    """Rms in bands (n, n_bands), noise subtracted; below zero where the noise won."""
    excess, position = (power - noise[:, None]) * width, np.digitize(frequency, edges)
    bands = [excess[:, position == k].sum(1) for k in range(1, len(edges))]
    return np.sign(np.stack(bands, 1)) * np.sqrt(np.abs(np.stack(bands, 1)))


# %%
mean, size = counts.mean(1), light.bin_size
time, rate = size * (np.arange(512) + 0.5), counts / size
richards = light_curve_features(time, rate, np.sqrt(mean)[:, None] / size)
f, slow = averaged_periodogram(counts.astype(float), size, light.length, "fractional")
slow = f.numpy(), slow.numpy(), 2 * size / mean, 1 / light.length
fast = light.power[apart], light.noise[apart], light.n_averaged / light.length
views = {
    "mean rate": np.log10(mean)[:, None],
    "19 of Richards": np.column_stack(list(richards.values())),
    "4 bands to 2 Hz": band_rms(*slow, (0, 1 / 32, 1 / 8, 1 / 2, 2)),
    "5 bands to 64 Hz": band_rms(light.frequency, *fast, (0, 1 / 32, 1 / 4, 2, 16, 64)),
    "raw curve, network": (counts / mean[:, None] - 1).astype(np.float32),
}
views["raw curve, network"] /= views["raw curve, network"].std()

# %% [markdown] tags=["slide"]
# ## Exercise 18.2 · A probe  ·  core · 12 min · ●●○
#
# Every set gets the same judge. Train `model` on rows of `z` that somebody has read (elsewhere `label` is `""`), but on none of a held-out source. Return the balanced accuracy of its predictions on **all** rows of the held-out sources, against `state`. If the model is a straight line, this is called a **linear probe**: it cannot compute much, so what it finds was there.


# %%
def probe(model, z, table, held_out):
    """Balanced accuracy; z (n, d), table with source_id, label, state, and names of sources."""
    # solution: two masks of rows: who may be learned from, and who is judged?
    outside = table.source_id.isin(held_out).to_numpy()
    read = (table.label != "").to_numpy() & ~outside
    said = model.fit(z[read], table.label[read]).predict(z[outside])
    return balanced_accuracy_score(table.state[outside], said)
    # end solution


probe = check.probe(probe)


# %%
line = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000))


def some_labels(table, n, held_out, seed):
    """The table with the labels of n pointings of each state, at sources that are not held out."""
    read = table.drop_duplicates("obs_id").sample(frac=1, random_state=seed)
    read = read[~read.source_id.isin(held_out)].groupby("label").head(n).obs_id
    return table.assign(label=table.label.where(table.obs_id.isin(read), ""))


def curve_network(n_bins, n_classes, *, generator):
    """Two layers of filters and a mean over time, so that no feature has a place."""
    with seeded(generator):
        return nn.Sequential(
            nn.Unflatten(1, (1, n_bins)),
            nn.Conv1d(1, 16, 9, stride=4), nn.ReLU(),
            nn.Conv1d(16, 32, 9, stride=4), nn.ReLU(),
            nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32, n_classes),
        )  # fmt: skip


# %% [markdown] tags=["slide"]
# ### Predict first
#
# Somebody reads 15 pointings of each state, and you have the four bands. Your rival has the network, and *all* labels: some 270 pointings. By how many points (of a hundred) is its balanced accuracy above yours? (Below zero: you win.)

# %%
my_guess_gain = ...  # points of a hundred, a number

# %% tags=["nbval-ignore-output"]
learning = []
for fold, n in tqdm([(fold, n) for fold in range(3) for n in (5, 15, 50, 300)]):
    held_out = table.source_id[folds[fold][1]].unique()
    known = some_labels(table, n, held_out, fold)
    n_epochs = round(300 * 32 / (known.label != "").sum())  # 300 steps of 32 curves
    training = {"n_epochs": n_epochs, "batch_size": 32, "learning_rate": 5e-3}
    network = NetworkClassifier(curve_network, seed=fold, training=training)
    for name, z in views.items():
        score = probe(network if "network" in name else line, z, known, held_out)
        learning.append((name, known.obs_id[known.label != ""].nunique(), n, fold, score))
learning = pd.DataFrame(
    learning, columns=["features", "pointings read", "per state", "fold", "score"]
)

# %% tags=["nbval-ignore-output", "slide"]
ax = plt.figure(figsize=(7, 4)).gca()
how = {"x": "per state", "y": "score", "hue": "features", "style": "features", "markers": True}
sns.lineplot(learning, **how, errorbar="sd", err_style="bars", ax=ax)
ax.set(xscale="log", xlabel="pointings read of each state, at most", ylabel="balanced accuracy")
ax.set_ylim(0.3, 1)
ax.legend(ncols=2, loc="upper left")
ax.axhline(1 / 3, color="0.6", linewidth=0.8)
plotting.show(ax, "18_labels")
score = learning.pivot_table("score", "features", "per state", ["mean", "std"]).round(2)
score.loc[list(views)]

# %% [markdown]
# **The answer:** about -10 points here, and below zero on each of five other archives. Four numbers and 45 labels beat a network with all of them.
#
# The bars are the scatter over three thirds of the sources; 300 stands for all that there are. Read the lines from above.
#
# - **Bands.** Five labels of each state give 0.75 or more, with a large scatter. The fifth band adds little.
# - **Richards' list.** It knows much, in 19 noisy numbers, of which a straight line has to find the good ones. That takes labels. A good general list is not physics either.
# - **The network.** It has the photons of the four bands, and could compute their variances: filters, squares, a mean over time. It has to *find* that, in some thirty sources. (Is it trained badly? One with finer steps in time, and six times the computing, reaches 0.72 with all labels.)
# - **The mean rate** is where it should be, near the 1/3 of pure guessing. Brightness will come back.

# %% [markdown] tags=["slide"]
# ## Exercise 18.3 · How many labels?  ·  stretch · 8 min · ●●○
#
# Turn the figure round: how many labels of each state does a set of features need for a score? Return the number at which the curve **first** reaches it, interpolated along a straight line in the logarithm of the number. If it never does, return NaN; if the first point does, the first number.


# %%
def labels_needed(labels, scores, wanted):
    """Number of labels for the score wanted, from a curve: labels (n,) ascending, scores (n,)."""
    # solution: on which piece of the curve is the score first reached? what at both ends?
    reached = np.flatnonzero(scores >= wanted)
    if not len(reached):
        return np.nan
    part = slice(max(reached[0] - 1, 0), reached[0] + 1)
    return np.exp(np.interp(wanted, scores[part], np.log(labels[part])))
    # end solution


labels_needed = check.labels_needed(labels_needed)

# %% tags=["nbval-ignore-output"]
curves = learning.groupby(["features", "per state"]).score.mean().unstack()
number = curves.columns.to_numpy(float)
wanted = {
    f"for {w:.2f}": [labels_needed(number, c.to_numpy(), w) for _, c in curves.iterrows()]
    for w in (0.6, 0.7, 0.8)
}
pd.DataFrame(wanted, index=curves.index).loc[list(views)].round(0)

# %% [markdown]
# These are pointings of *each* state. If a reader needs an hour for one, three times the table is your budget. NaN is an answer, too: no number of labels in this archive will do.
#
# ## No label at all: the auto-encoder
#
# An **auto-encoder** is two networks: one turns a light curve into a few numbers, the **embedding**, the other has to draw the same curve from them. Nobody needs to read anything. Naul et al. (2018) did this with the folded light curves of periodic stars, and what came out rivalled the best features made by hand. Ours gets all curves, the held-out ones too. This is allowed, since it uses no labels, and it even favours the auto-encoder.


# %%
def auto_encode(x, generator, n_epochs=25):
    """Embedding (n, 16) of x (n, n_bins), and what is drawn from it."""
    x = torch.tensor(x)
    sizes = (x.shape[1], 16), (16, x.shape[1])
    parts = nn.Sequential(*[feed_forward(*s, generator=generator, hidden=(128,)) for s in sizes])
    settings = {"lr": 2e-3, "weight_decay": 0.01, "fused": True}
    optimiser = torch.optim.AdamW(parts.parameters(), **settings)
    for _ in tqdm(range(n_epochs)):
        for batch in torch.randperm(len(x), generator=generator).split(64):
            optimiser.zero_grad()
            (parts(x[batch]) - x[batch]).square().mean().backward()
            optimiser.step()
    with torch.no_grad():
        return parts[0](x).numpy(), parts(x).numpy()


# %% tags=["nbval-ignore-output"]
embedding, drawn = auto_encode(views["raw curve, network"], torch.Generator().manual_seed(18))
curve = views["raw curve, network"]
left = ((drawn - curve) ** 2).sum() / (curve**2).sum()
of_16 = []
for fold in range(3):
    held_out = table.source_id[folds[fold][1]].unique()
    for n in (5, 15, 50, 300):
        known = some_labels(table, n, held_out, fold)
        of_16.append((n, probe(line, embedding, known, held_out)))
print(f"it draws {1 - left:.0%} of the variance of all curves")
of_16 = pd.DataFrame(of_16, columns=["per state", "16 of the auto-encoder"])
of_16.groupby("per state").agg(["mean", "std"]).round(2)

# %% tags=["nbval-ignore-output", "slide"]
hard = np.flatnonzero((table.label == "hard") & (mean > 300))[[0, 5]]
fig, axes = plt.subplots(1, 2, figsize=(9, 2.8), sharey=True)
for ax, row in zip(axes, hard, strict=True):
    ax.plot(time, curve[row], color="0.6", linewidth=0.8, label="light curve")
    ax.plot(time, drawn[row], "C1--", linewidth=1.2, label="drawn from 16 numbers")
    ax.set(xlabel="time (s)", title=table.obs_id[row])
axes[0].set_ylabel("(rate / mean − 1) / σ of all")
axes[0].legend()
plotting.show(fig, "18_auto_encoder")

# %% [markdown]
# It follows the slow waves of the curves that it was trained on, and its 16 numbers tell the states apart worse than everything above but the rate. Why did it work for periodic stars? **A periodic star repeats its light curve. A black hole repeats its power spectrum.** *When* its flares come is chance. The auto-encoder has to spend its 16 numbers on just that, because its loss compares bin by bin. A loss is a statement of what you care about.

# %% [markdown] tags=["slide"]
# ## Exercise 18.4 · Where is my partner?  ·  core · 10 min · ●●○
#
# Two pieces of one pointing, minutes apart: the same source, in the same state. If an embedding knows anything about the source, the two are neighbours. Rows `i` of `a` and of `b` are partners; similar is what has a large product $a_i \cdot b_j$. Return for each row of `a` the **rank** of its partner among all rows of `b`, from 1. Rows that are *as similar as* the partner stand before it. (What would the rank be otherwise, if all rows were equal?)


# %%
def partner_rank(a, b):
    """Rank (n,) of row i of b among all rows of b, by their product with row i of a; both (n, d)."""
    # solution: how similar is each row of b to a row of a? how many are as similar as its partner?
    products = a @ b.T
    return (products >= np.diag(products)[:, None]).sum(1)
    # end solution


partner_rank = check.partner_rank(partner_rank)


# %%
def first_ten(a, b):
    """Share of rows whose partner is among the first ten, both ways."""
    return np.mean([partner_rank(a, b) <= 10, partner_rank(b, a) <= 10])


# %% tags=["nbval-ignore-output"]
piece = table.groupby("obs_id").cumcount()
one, two = (np.flatnonzero(piece == k) for k in (0, 1))
shares = {"chance": 10 / len(one)}
for name, z in {**views, "16 of the auto-encoder": embedding}.items():
    if z.shape[1] > 1:  # a single number has no direction
        z = normalize(torch.tensor(StandardScaler().fit_transform(z)), dim=1).numpy()
        shares[name] = first_ten(z[one], z[two])
pd.Series(shares, name="partner among the first ten").round(3).to_frame()

# %% [markdown]
# The first piece of a pointing finds the second one, among 400, best with five bands; and with the auto-encoder little better than with the raw curve. This test needed no label: two looks at the same thing should agree. Let us train on exactly that.
#
# ## Two views of one pointing
#
# A network needs another task, for which nobody has to read anything. AstroCLIP (Parker et al. 2024) took images and spectra of galaxies: for each image, find the spectrum of the *same* galaxy, among many. This is **contrastive** learning. Partners are pulled together, all others are pushed apart. Whatever the two views have in common must then be in the embedding.
#
# Our two views of a pointing are its energy spectrum (1024 s) and the power spectrum of its light curve (256 s). The archive has kept no spectra. So we let its factory draw new sources, as in lesson 09, and look at them with its RXTE.

# %%
pca = INSTRUMENTS["rxte"]
in_band = pca.inside(pca.fit_band)
low, high = pca.channels
empty_sky = (pca.background((low + high) / 2) * (high - low))[in_band]  # 1/s in one detector


# %%
def new_pointings(n_sources, generator):
    """Bright pointings at new sources: their truth, and counts in the channels of 1024 s."""
    drawn = factory.draw_sources(generator, n_sources // 3, n_sources - n_sources // 3)
    outbursts = factory.draw_outbursts(drawn, "rxte", 3 * n_sources, generator)
    truth = factory.draw_pointings(drawn, outbursts, np.full(n_sources, 40), generator)
    flux = factory.photon_flux(pca.matrix.energy_lo, pca.matrix.energy_hi, truth)
    parts = pca.matrix.fold(flux).numpy()[..., in_band]  # disc, boundary layer, corona
    on = generator.integers(1, 6, len(truth))  # detectors
    truth["rate"], truth["background"] = parts.sum((0, 2)) * on, empty_sky.sum() * on
    truth["varies"] = parts[2].sum(1) / parts.sum((0, 2))
    spectra = generator.poisson(1024 * on[:, None] * (parts.sum(0) + empty_sky))
    bright = (truth.rate > 30) & (truth.rate > 2 * truth.background)
    truth["label"] = truth["state"] = truth.state.map(three)  # here no reader errs
    truth["obs_id"] = np.arange(len(truth))
    return truth[bright].reset_index(drop=True), spectra[bright]


# %%
def new_curves(truth, generator, bin_size=1 / 32, n_bins=8192):
    """Counts (n, n_bins) of light curves of 256 s, in which only the corona varies."""
    curves = []
    for start in tqdm(range(0, len(truth), 200)):
        some = truth[start : start + 200]
        given = some[["rate", "background", "varies"]].to_numpy().T[..., None]
        rate, background, varies = torch.tensor(given, dtype=torch.float32)
        power = lambda f, some=some: factory.power_spectrum(f, some)  # noqa: E731
        how = {"generator": generator, "dtype": torch.float32}
        x = simulate_light_curves(power, n_bins, bin_size, **how) - 1
        expected = rate * (1 + varies * x).clamp(min=0) + background
        curves.append(torch.poisson(bin_size * expected, generator=generator))
    return torch.cat(curves).numpy().astype(int)


# %%
def power_view(curves):
    """Logarithm of the power spectra, in (rms/mean)²/Hz and logarithmic bins of frequency."""
    good, views = np.ones(curves.shape[1], bool), []
    for some in np.array_split(curves, 10):
        f, power = averaged_periodogram(some.astype(float), 1 / 32, 64.0, "fractional", good)
        views.append(log_bin(f, power, 0.1)[1].log10())
    return torch.cat(views).numpy()


# %% tags=["nbval-ignore-output"]
generator = np.random.default_rng(18)
new, spectra = new_pointings(48, generator)
curves_256 = new_curves(new, torch.Generator().manual_seed(18))
observed = np.log10(spectra + 1), power_view(curves_256)
new.groupby("state").agg({"rate": ["size", "min", "median", "max"], "source_id": "nunique"}).round()

# %% [markdown] tags=["slide"]
# ## Exercise 18.5 · The contrastive loss  ·  core · 12 min · ●●●
#
# Two networks turn a batch of pointings into `a` and `b` (n, d). Row $i$ of both is one pointing. Make each row as long as 1. The similarity of $a_i$ and $b_j$ is their product over the **temperature** (the lower, the more a small difference counts). Now it is a classification in which each pointing is a class of its own: the cross-entropy for "which $b$ is the partner of $a_i$?", a mean over $i$; the same for "which $a$ belongs to $b_j$?"; return the mean of the two. This loss is called **InfoNCE**. (`cross_entropy` and `normalize` are imported.)


# %%
def info_nce(a, b, temperature):
    """Loss, one number with a gradient, for outputs (n, d) of two networks."""
    # solution: the similarities of all pairs; two questions, each with its right answers
    similar = normalize(a, dim=1) @ normalize(b, dim=1).T / temperature
    own = torch.arange(len(a))
    return (cross_entropy(similar, own) + cross_entropy(similar.T, own)) / 2
    # end solution


info_nce = check.info_nce(info_nce)


# %%
def train_pair(learned, asked, inside, seed):
    """Embeddings (n, 16) of two views asked about, by encoders that learn from rows inside."""
    generator = torch.Generator().manual_seed(seed)
    scalers = [StandardScaler().fit(x[inside]) for x in learned]
    learned, asked = (
        [torch.tensor(s.transform(x)).float() for s, x in zip(scalers, pair, strict=True)]
        for pair in (learned, asked)
    )
    how = {"generator": generator, "hidden": (64,)}
    encoders = nn.ModuleList([feed_forward(x.shape[1], 16, **how) for x in learned])
    optimiser = torch.optim.AdamW(encoders.parameters(), lr=2e-3, weight_decay=0.01, fused=True)
    for batch in torch.stack(
        [torch.randperm(len(inside), generator=generator)[:256] for _ in range(200)]
    ):
        rows = torch.from_numpy(inside)[batch]
        optimiser.zero_grad()
        info_nce(*[f(x[rows]) for f, x in zip(encoders, learned, strict=True)], 0.1).backward()
        optimiser.step()
    with torch.no_grad():
        return [normalize(f(x), dim=1).numpy() for f, x in zip(encoders, asked, strict=True)]


# %% [markdown]
# ## What the loss likes, and what you like
#
# We judge the two networks on sources that they have not seen. The loss wants *partners found*: in how many of 500 pointings is the right power spectrum among the ten most similar to the energy spectrum, and the other way round? You want the *state*: a linear probe, with five pointings of each state read by somebody. We do this twice.
#
# - **As observed**: counts in each channel; powers with the Poisson noise in them.
# - **In other units**: each spectrum divided by its sum, and each power by the level of its Poisson noise. Nothing else changes, and no photon is lost.
#
# ### Predict first
#
# In which of the two are more partners found, and in which is the probe better? Write "observed" or "units", twice.

# %%
my_guess_units = ...  # two words, such as "units, observed"

# %%
new_folds = data.deal_sources(new.source_id, new.object, 3, seed=0)
noise = 2 / 32 / curves_256.mean(1, keepdims=True)
units = np.log10((spectra + 1) / spectra.sum(1, keepdims=True)), observed[1] - np.log10(noise)
settings = {"as observed": (observed, observed), "in other units": (units, units)}


# %%
def judged(learned, asked, fold):
    """Partners found, probes of the embedding and of the views themselves, and the embedding."""
    inside, outside = new_folds[fold]
    held_out, row = new.source_id[outside].unique(), {}
    pair = train_pair(learned, asked, inside, fold)
    some = np.random.default_rng(fold).permutation(outside)[:500]
    row["partner in first ten"] = first_ten(pair[0][some], pair[1][some])
    for n in (5, 2000):
        known = [some_labels(new, n, held_out, seed) for seed in range(4 if n == 5 else 1)]
        for name, z in {"embedding": pair, "views": asked}.items():
            score = [probe(line, np.hstack(z), one, held_out) for one in known]
            row[name, n] = np.mean(score)
    return row, pair


# %% tags=["nbval-ignore-output"]
judgement, pairs = {}, {}
for name, fold in tqdm([(name, fold) for name in settings for fold in range(3)]):
    judgement[name, fold], pairs[name, fold] = judged(*settings[name], fold)


# %% tags=["nbval-ignore-output"]
def summary(rows):
    """Mean and scatter over the folds, as text, for each setting."""
    by_setting = pd.DataFrame(rows).T.groupby(level=0, sort=False)
    mean, sd = by_setting.mean(), by_setting.std()
    text = mean.map("{:.2f}".format) + " ± " + sd.map("{:.2f}".format)
    columns = [f"{what}, {n} read" for n in (15, "all") for what in ("embedding", "views")]
    return text.set_axis(["partner in first ten", *columns], axis=1).T


summary(judgement)

# %% tags=["nbval-ignore-output", "slide"]
outside = new_folds[0][1]
ranked = outside[np.argsort(new.rate[outside])][::4]
fig, axes = plt.subplots(1, 2, figsize=(9, 4.3), sharey=True)
for ax, name in zip(axes, settings, strict=True):
    spectrum, power = (view[ranked] for view in pairs[name, 0])
    image = ax.imshow(spectrum @ power.T, origin="lower", cmap="Greys", vmin=-1, vmax=1)
    ax.set(title=name, xlabel="power spectra, faint to bright")
axes[0].set_ylabel("energy spectra, faint to bright")
fig.colorbar(image, ax=axes, label="similarity")
plotting.show(fig, "18_partners", colours=32)

# %% [markdown]
# **The answer:** observed, units. **The better retrieval** (of partners) **has the worse representation** (of the state).
#
# In the figure held-out pointings are sorted by their rate. As observed, the dark cells follow the diagonal: a bright spectrum finds bright light curves. That is what two views of a pointing share most. The energy spectrum shows the brightness by its counts, the power spectrum by its noise level, and the loss is happy. In other units the diagonal is gone, and most of the partners with it.
#
# Now read the table as a referee. `views` is the same straight line on the two views themselves, without any network. As observed and with 15 labels, the embedding is *worse* than what went in. In other units it gains a few points, and the units alone have gained as much. With all labels nothing is gained in either. And whoever chooses a network by the partners that it finds takes the column on the left.

# %% [markdown] tags=["slide"]
# ## Exercise 18.6 · What is in an embedding?  ·  core · 10 min · ●●○
#
# Do not guess what a network has learned: ask it. For each column of `targets`, fit a `LinearRegression` from `z` on the rows that are not held out, and return its $R^2$ on those that are (`r2_score`): 1 is perfect, 0 is as good as the mean, and below zero is worse.


# %%
def content(z, targets, outside):
    """R² (m,) of each column of targets (n, m), from z (n, d); outside (n,) is True where held out."""
    # solution: who is learned from, and who is judged? one number for each column
    line = LinearRegression().fit(z[~outside], targets[~outside])
    return r2_score(targets[outside], line.predict(z[outside]), multioutput="raw_values")
    # end solution


content = check.content(content)

# %% tags=["nbval-ignore-output", "slide"]
targets = {"lg rate": np.log10(new.rate), "softness": new.softness, "photon index": new.gamma}
targets |= {"lg noise frequency": np.log10(new.nu_c), "lg absorption": np.log10(new.n_h)}
targets, inside_it = pd.DataFrame(targets), []
for (name, fold), pair in {**pairs, **{("no network", fold): units for fold in range(3)}}.items():
    outside = np.isin(np.arange(len(new)), new_folds[fold][1])
    for of, z in zip(("energies", "powers"), pair, strict=True):
        inside_it.append((of, name, *content(z, targets, outside)))
inside_it = pd.DataFrame(inside_it, columns=["of", "setting", *targets])
matrix = inside_it.groupby(["of", "setting"], sort=False).mean().sort_index(level=0).T
ax = plotting.heat_map(plt.figure(figsize=(6.5, 3.8)).gca(), matrix)
ax.set_xticklabels([f"{of}\n{setting}" for of, setting in matrix], rotation=0)
plotting.show(ax, "18_content")

# %% [markdown]
# Cells are $R^2$, of the embeddings of energy spectra and of power spectra; "no network" stands for the spectra themselves, in other units. (Softness is the truth of the archive's factory: from 0, hard, to 1, soft.)
#
# - As observed, both embeddings know the rate as well as anything else.
# - In other units most of it is gone from the *power* spectrum, and its embedding has little more. The *energy* spectrum's embedding still has it. Have we not divided by the sum? Yes; but the background is a larger share of a faint spectrum, in a shape of its own. (Without any background, $R^2$ falls below 0.5.) It is not enough to take something out. Ask whether it is out.
# - Compare with "no network". A straight line reads the softness and the photon index better from the embedding of a *power* spectrum than from the power spectrum. Nobody gave it a label: it has learned from the energy spectra. This is what two views are good for.
# - The network cannot add what the spectra hardly know, such as the absorption (they begin at 3 keV).
#
# ## A cure that needs no physics
#
# You may not know which units hide what you do not want. You often know an *operation* that should change nothing: here, fewer photons. So give each view its own random share of them, from all down to three in a hundred, by thinning. Now the brightness is a much poorer clue to the partner, and the loss has to look for other ones. Afterwards we ask the encoders about the views with all their photons. (Cut-outs and rotations of images do the same for galaxies: Hayat et al. 2021.)

# %% tags=["nbval-ignore-output"]
shares = 10 ** generator.uniform(-1.5, 0, (2, len(new), 1))
fewer = np.log10(generator.binomial(spectra, shares[0]) + 1)
fewer = fewer, power_view(generator.binomial(curves_256, shares[1]))
of_rate, name = [], "own share of photons"
for fold in tqdm(range(3)):
    judgement[name, fold], pairs[name, fold] = judged(fewer, observed, fold)
    outside = np.isin(np.arange(len(new)), new_folds[fold][1])
    of_rate.append([content(z, targets[["lg rate"]], outside)[0] for z in pairs[name, fold]])
print("R² of lg rate, energies and powers:", np.mean(of_rate, axis=0).round(2))
summary(judgement)

# %% [markdown]
# The cure works. Of the embeddings made from views as observed this one finds the fewest partners and is the better by some ten points; it has passed a straight line on its own views. That is more than half of the way to the right units, and nobody had to know what the right units are. The brightness is *not* out: a straight line still reads the rate from both embeddings. But it no longer crowds out the state. No photon of your data is lost: only the training sees fewer.
#
# With all labels, a straight line on the views is as good as any of this, or better. That is the honest size of the gain: **an embedding saves labels. It does not add information.**

# %% [markdown] tags=["slide-next"]
# **Discuss with your neighbour** (5 min): a colleague shows you an embedding of all X-ray spectra in an archive. Similar sources lie together, and a search by example works well. Which three questions do you ask before you use it for your sources? What else, besides the brightness, do all views of one pointing share?

# %% [markdown]
# ## Foundation models
#
# A **foundation model** is one network, trained once on very many data without labels, whose embedding then serves many tasks with few labels each. AstroCLIP is one for galaxies. What would one need here?
#
# - **Many independent objects.** Its training sees sources, not pointings; here there are dozens, there many thousands. More pointings of the same sources are not more sources (lesson 03).
# - **A task whose answer is physics.** You saw that the easiest answer wins. Brightness, exposure, the pattern of gaps, the observer's choice of target: all are shared by the views of one pointing.
# - **Your instrument.** Another response is another language (lesson 12).
# - **A rival.** Some numbers from physics, with a straight line, on the same labels. Without this row in the table, no score means anything.
#
# With all that, try it. If you have the features, you have a foundation already: a century of spectroscopy and half a century of timing.

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - A label costs a reader's time, a feature costs a thought. Four numbers from physics and 45 labels beat a network with all of them.
# - Free of units is not free of brightness: subtract the noise that you know.
# - An auto-encoder learns what its loss compares, here the times of flares. They are chance.
# - A contrastive network learns what its two views share *most easily*. Here the better retrieval has the worse representation.
# - Ask an embedding what is in it. Take out what you do not want by units; or train on views in which it differs, so that it does not crowd out the rest: thin each by its own share.
# - The rival is a straight line on what went in, with the same labels.

# %% [markdown]
# **Further reading.** Richards et al. 2011 ([arXiv:1101.1959](https://arxiv.org/abs/1101.1959): features of variable stars, and how to judge them) · Naul et al. 2018 ([arXiv:1711.10609](https://arxiv.org/abs/1711.10609): an auto-encoder that rivals them, on periodic stars) · Hayat et al. 2021 ([arXiv:2012.13083](https://arxiv.org/abs/2012.13083): self-supervised learning on images of galaxies) · Parker et al. 2024 ([arXiv:2310.03024](https://arxiv.org/abs/2310.03024): AstroCLIP) · van den Oord, Li & Vinyals 2018 ([arXiv:1807.03748](https://arxiv.org/abs/1807.03748): InfoNCE)
