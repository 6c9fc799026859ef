# %% [markdown]
# # 17 · Nobody gave you labels
#
# | **The question** | If nobody names the classes, does the computer find them, or does it find us? |
# |---|---|
# | **Afterwards you can** | cluster a table in three ways, and say what a silhouette and a BIC can and cannot choose; compare clusters with the truth, with gaps and with the telescope, and with a table that has no clusters; rank anomalies by several scores, and say what a reconstruction error finds |
# | **Time** | 35 min of reading or teaching, 62 min of exercises |
# | **Data** | simulated: the known sources of the RXTE archive, NICER, and the light curves; real: RXTE/ASM where present; see `data/README.md` |
# | **Run time** | below 60 s on two cores |

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from sklearn import metrics
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from tqdm.auto import tqdm

# %%
from course.checks import lesson_17 as check
from helpers import data, plotting
from helpers.asm import load_asm
from helpers.features import light_curve_features
from helpers.networks import feed_forward
from helpers.preprocessing import STATE_FEATURES, preprocessor

plotting.use_course_style()

# %% [markdown]
# In lessons 01 to 12 somebody had looked at every pointing and had given it a label. Most archives have no such reader. **Unsupervised** learning gets the table and nothing else, and returns groups, or odd rows.
#
# It *always* returns them. Ask for four groups and you get four, from pure noise, too. To make clusters takes one line of code. To say what they *are* takes the rest of this lesson: a kind of source, the brightness, a habit of the observer, or nothing.
#
# So our advice comes first: if you know your classes, and somebody can label some hundred rows, do that. You will see in numbers what it costs to go without.

# %%
known = pd.concat(data.load_split(), ignore_index=True)  # training and validation set
table = preprocessor().fit_transform(known)  # logarithms, gaps filled and marked, one scale
x = table.to_numpy()
print(f"{len(x)} pointings of {known.source_id.nunique()} sources, {x.shape[1]} columns, no labels")

# %% [markdown]
# The columns are those of lesson 05: colours, rms, spectral fit, power spectrum, and for each column with gaps one more that marks them. Every choice of columns and scales is a choice of what "near" means. Nobody can test this choice without labels.

# %% [markdown] tags=["slide"]
# ## Exercise 17.1 · Two steps, again and again  ·  core · 12 min · ●●○
#
# **k-means** is given a number $k$ and $k$ centres to start from. Then it repeats two steps. First, each row chooses the nearest centre (Euclidean distance). Second, each centre moves to the mean of the rows that chose it. Write one round of both. A centre that no row chose stays where it is.


# %%
def lloyd(x, centres):
    """Number of the nearest centre (n,) of each row of x (n, p), from 0, and moved centres (k, p)."""
    # solution: distances (n, k) of all rows to all centres; who is nearest? then the mean of each group
    distance = ((x[:, None] - centres) ** 2).sum(axis=2)
    nearest = distance.argmin(axis=1)
    moved = centres.astype(float)
    for k in np.unique(nearest):
        moved[k] = x[nearest == k].mean(axis=0)
    return nearest, moved
    # end solution


lloyd = check.lloyd(lloyd)


# %%
def k_means(x, centres):
    """Clusters (n,) after rounds until no centre moves, and the sum of squared distances."""
    for _ in range(300):
        cluster, moved = lloyd(x, centres)
        if np.allclose(moved, centres):
            break
        centres = moved
    return cluster, ((x - moved[cluster]) ** 2).sum()


# %%
generator, rows = np.random.default_rng(17), {}
for start in range(8):
    first = x[generator.choice(len(x), 4, replace=False)]
    cluster, squares = k_means(x, first)
    by_sklearn = KMeans(4, init=first, n_init=1, tol=0).fit_predict(x)
    rows[start] = {
        "sum of squares": round(squares),
        "pointings in each cluster": str(sorted(np.bincount(cluster).tolist())),
        "pairs as scikit-learn (ARI)": round(metrics.adjusted_rand_score(cluster, by_sklearn), 3),
    }
pd.DataFrame(rows).T.rename_axis("start")

# %% [markdown]
# Your two steps *are* k-means. The **adjusted Rand index** compares two partitions, whatever the clusters are called: of all pairs of rows, it counts those that are together in both or apart in both. It is 1 for the same partition and 0 on average for partitions at random.
#
# Now look down the columns: other starts end in other clusters. Each round lowers the sum of squares, but only to the nearest minimum. So take several starts, keep the lowest sum, and know that "the clusters" of a paper may be those of one start only.

# %% [markdown] tags=["slide"]
# ## How many?
#
# ## Exercise 17.2 · The silhouette of one row  ·  core · 10 min · ●●○
#
# For row $i$ let $a$ be the mean distance to the *other* rows of its own cluster. For each other cluster take the mean distance to all its rows; $b$ is the smallest of these. The **silhouette** is $s = (b - a)/\max(a, b)$: near 1 well inside, 0 between two clusters, negative if another cluster is nearer. A row that is alone in its cluster has $s = 0$.


# %%
def silhouette(x, cluster, i):
    """Silhouette of row i of x (n, p), whose rows are in clusters cluster (n,)."""
    # solution: all distances from row i; their means by cluster; row i does not count for a
    distance = np.sqrt(((x - x[i]) ** 2).sum(axis=1))
    own = cluster == cluster[i]
    if own.sum() == 1:
        return 0.0
    a = distance[own].sum() / (own.sum() - 1)
    b = min(distance[cluster == other].mean() for other in np.unique(cluster[~own]))
    return (b - a) / max(a, b)
    # end solution


silhouette = check.silhouette(silhouette)

# %% [markdown]
# `metrics.silhouette_score` is the mean of yours over all rows, and is often used to choose $k$. Is a mean of 0.3 large? Nobody can say without a table that has *no* clusters.

# %% [markdown] tags=["slide"]
# ## Exercise 17.3 · A table without clusters  ·  core · 8 min · ●●○
#
# Draw as many rows as `x` has from **one Gaussian** that has the mean and the covariance of `x`. All columns then vary together as they do in the archive, and there is one group. Such a table without the structure in question is called a **null**.


# %%
def one_gaussian(x, generator):
    """As many rows as x (n, p), from the one Gaussian with the mean and the covariance of x."""
    # solution: what a Gaussian is given by, from x; then draws of the generator
    return generator.multivariate_normal(x.mean(axis=0), np.cov(x.T), len(x))
    # end solution


one_gaussian = check.one_gaussian(one_gaussian)

# %% [markdown] tags=["slide"]
# ### Predict first
#
# The archive has four accretion states and two kinds of objects. For which $k$, from 2 to 8, will the mean silhouette be largest?

# %%
my_guess_k = ...  # number of clusters


# %%
def clustered(x, k, seed=0):
    """Clusters (n,) of k-means, the best of five starts."""
    return KMeans(k, n_init=5, random_state=seed).fit_predict(x)


# %%
def silhouettes(x, seed=0):
    """Mean silhouette (over 1500 rows) for k = 2 to 8."""
    some = {"sample_size": 1500, "random_state": seed}
    return {k: metrics.silhouette_score(x, clustered(x, k, seed), **some) for k in range(2, 9)}


# %%
nulls = [silhouettes(one_gaussian(x, np.random.default_rng(seed)), seed) for seed in tqdm(range(3))]
nulls = pd.DataFrame(nulls)
mean_silhouette = pd.DataFrame({"archive": silhouettes(x), "one Gaussian": nulls.mean()})

# %% tags=["slide"]
style = {"xlabel": "number of clusters k", "ylabel": "mean silhouette", "ylim": (0, None)}
ax = mean_silhouette.plot(style=["o-", "s--"], figsize=(6, 3), **style)
plotting.mark_guess(ax, my_guess_k)
plotting.show(ax, "17_silhouettes")
mean_silhouette.assign(scatter=nulls.std()).T.round(3)

# %% [markdown]
# **The answer:** 2, and three are nearly as good.
#
# The null falls from k = 2 on, too: a silhouette prefers few clusters, since a long cloud can be cut in two. What counts is the distance between the curves. There *is* something in this table. What it is, the curve does not say.
#
# Two more methods have their own opinion. A **Gaussian mixture** is a density, $p(x) = \sum_k w_k\, \mathcal N(x \mid \mu_k, \Sigma_k)$, so it has a likelihood, and the **BIC** (−2 ln L, plus ln n for each parameter) can compare numbers of components. **HDBSCAN** looks for regions that are denser than their surroundings. It needs no $k$, only the size of the smallest cluster that interests you, and it may leave rows in none.

# %%
NUMBERS, lowest, generator = (1, 2, 3, 4, 5, 6, 8, 10, 12), {}, np.random.default_rng(3)
for n in tqdm((400, 1200, len(x))):  # the same archive, with fewer rows
    fewer = x[generator.choice(len(x), n, replace=False)]
    fits = [GaussianMixture(k, reg_covar=1e-3, random_state=0).fit(fewer) for k in NUMBERS]
    lowest[n] = NUMBERS[np.argmin([fit.bic(fewer) for fit in fits])]
pd.Series(lowest, name="components with the lowest BIC, of 1 to 12").rename_axis("rows").to_frame()

# %%
dense = {size: HDBSCAN(min_cluster_size=size, copy=True).fit_predict(x) for size in (20, 80)}
opinions = {
    "clusters": {size: cluster.max() + 1 for size, cluster in dense.items()},
    "share of the rows in none": {size: np.mean(c < 0).round(2) for size, c in dense.items()},
}
pd.DataFrame(opinions).rename_axis("smallest cluster (rows)")

# %% [markdown]
# The three do not disagree about the data: they answer different questions. BIC asks how many *Gaussians* you can afford for this density, and you can afford more with more rows. (Twelve is the largest number that we tried.) No state is a Gaussian: it has a long tail, and a column of marks holds two values. So each takes several. HDBSCAN finds dense spots, as many as the size that you ask for allows, and leaves a quarter to a half of the pointings in none. **No criterion counts the classes that you have in mind.**

# %% [markdown] tags=["slide"]
# ## What are they?
#
# Now the reveal, which real archives do not have. What do clusters know about the *true* state, about the object (black hole or neutron star), the source, the brightness (in quarters), and the pattern of gaps of a pointing? The measure is the **adjusted mutual information** (AMI), again 1 for the same partition and 0 for chance; it can compare partitions into few and into many parts. Mean and standard deviation are over five draws of 24 of the sources.

# %%
truth = data.load_truth().set_index("obs_id")


def revealed(pointings):
    """The pointings with four columns more: what clusters of them may be."""
    rows = pointings.assign(object=truth.object.loc[pointings.obs_id].to_numpy())
    rows["true state"] = truth.state.loc[rows.obs_id].to_numpy()
    rows["brightness"] = pd.qcut(rows.rate / rows.n_det, 4, labels=False)
    rows["gaps"] = rows[list(STATE_FEATURES)].isna().astype(int).astype(str).agg("".join, axis=1)
    return rows


known, nicer = revealed(known), revealed(data.load_observations("nicer"))


# %%
def agreement(cluster, rows):
    """Adjusted mutual information of clusters (n,) with what they may be."""
    they_may_be = ["true state", "object", "source_id", "brightness", "gaps", "instrument"]
    varied, ami = rows[they_may_be].nunique() > 1, metrics.adjusted_mutual_info_score
    return {name: ami(rows[name], cluster) for name in varied.index[varied]}


# %%
def draw(seed):
    """Whether each pointing (n,) belongs to one of 24 sources drawn at random."""
    names = known.source_id.unique()
    return known.source_id.isin(np.random.default_rng(seed).choice(names, 24, replace=False))


def over_draws(rows, name):
    """Mean ± standard deviation over the draws, as text, in order of the first column."""
    groups = pd.DataFrame(rows).groupby(name, sort=False)
    mean, spread = (part.map("{:.2f}".format) for part in (groups.mean(), groups.std()))
    return (mean + " ± " + spread).replace("nan ± nan", "")


# %%
rows = []
for seed in tqdm(range(5)):
    inside = draw(seed).to_numpy()
    partitions = {f"k-means, {k}": clustered(x[inside], k) for k in (2, 3, 4, 8)}
    mixture = GaussianMixture(4, reg_covar=1e-3, random_state=seed)
    partitions["mixture, 4"] = mixture.fit_predict(x[inside])
    partitions["HDBSCAN"] = HDBSCAN(min_cluster_size=40, copy=True).fit_predict(x[inside])
    for clusters, cluster in partitions.items():
        rows.append({"clusters": clusters, **agreement(cluster, known[inside])})
over_draws(rows, "clusters")

# %% [markdown]
# The silhouette was right: there are *two* groups, and they are hard and soft. Ask for more, and the clusters know less about the state, and more about the gaps. Nobody finds black holes. Here are four clusters beside the four states (LHS and HSS are the hard and the soft one, HIMS and SIMS lie between), in the two directions of largest variance. The stripes are patterns of gaps.

# %% tags=["slide"]
plane = pd.DataFrame(PCA(2).fit_transform(x), columns=["PC1", "PC2"])
plane["cluster"] = pd.Series(clustered(x, 4)).map("cluster {}".format)
plane["true state"] = pd.Categorical(known["true state"], ["LHS", "HIMS", "SIMS", "HSS"])
fig, axes = plt.subplots(1, 2, figsize=(9, 3.8), sharex=True, sharey=True)
for ax, hue in zip(axes, ("cluster", "true state"), strict=True):
    shown = plane.sample(frac=0.4, random_state=0).sort_values(hue)
    sns.scatterplot(shown, x="PC1", y="PC2", hue=hue, style=hue, s=14, alpha=0.6, ax=ax)
plotting.show(fig, "17_plane", colours=64)

# %% [markdown] tags=["slide"]
# ### Predict first
#
# An oracle helps, who knows the true state of each pointing: it names each of the four clusters by the commonest one. A pointing of a *new* source gets the name of the nearest cluster. Nine in ten are then right. What is the *balanced* accuracy, the mean of the shares of LHS, HIMS, SIMS and HSS that are found?

# %%
my_guess_balanced = ...  # a share between 0 and 1

# %% [markdown]
# The oracle is not of this world. A reader is: `state_label` is what readers wrote, and a few in a hundred are wrong. In the next cell readers name clusters, and a logistic regression learns from what they wrote. The true state judges all.


# %%
def called(seed):
    """Calls for pointings of new sources, by who named them and how many answers that took."""
    inside, generator = draw(seed).to_numpy(), np.random.default_rng(seed)
    state, label = known.loc[inside, ["true state", "state_label"]].to_numpy(str).T
    calls = {}
    for k in (4, 20):
        model = KMeans(k, n_init=5, random_state=seed).fit(x[inside])
        of_new, nearest = model.predict(x[~inside]), model.transform(x[inside]).argmin(axis=0)
        names = pd.crosstab(model.labels_, state).idxmax(axis=1).to_numpy()
        calls[f"{k} clusters, named by the oracle"] = names[of_new]
        calls[f"{k} clusters, a reader names the nearest row"] = label[nearest][of_new]
    for n in (20, len(label)):
        some = generator.choice(len(label), n, replace=False)
        line = LogisticRegression(max_iter=2000).fit(x[inside][some], label[some])
        name = f"logistic regression, {n} labels" if n == 20 else "logistic regression, all labels"
        calls[name] = line.predict(x[~inside])
    return calls, known.loc[~inside, "true state"]


# %% tags=["slide"]
rows = []
for seed in tqdm(range(5)):
    calls, state = called(seed)
    for name, call in calls.items():
        found = {"accuracy": metrics.accuracy_score(state, call)}
        found["balanced accuracy"] = metrics.balanced_accuracy_score(state, call)
        rows.append({"who names": name, **found})
over_draws(rows, "who names")

# %% [markdown]
# **The answer:** 0.50. In all five draws the four clusters get only *two* names, LHS and HSS. They score 0.90 and never find the states that you came for. (In five other archives, 21 draws of 25 do the same; the best of the others has 0.62.) HIMS and SIMS are one pointing in ten, and a sum of squares gains more by cutting a common state in two than by giving a rare one a centre.
#
# Labels find the rare states, if there are enough: with all of them, a straight line beats everything else in the table. With twenty, at random, it hardly finds them.
#
# Twenty clusters, and a reader who labels *one* row of each, seem to be worth more than twenty labels at random. "Let the clusters choose whom to ask" is a nice idea, and here it gains 0.08. We have tried it in five other archives, with other sources. There the gain has either sign. So we do not claim it: a result of one archive is no result, not even if its error bar is small.

# %% [markdown] tags=["slide"]
# ## Who else is in a cluster?
#
# Four more tables, each cut into two clusters: the columns that only mark the gaps; the shapes of light curves (lesson 02), in their own units; the true soft state alone, where you hope for black holes and neutron stars; and the pointings of two telescopes, RXTE and NICER, together. For each of the four, write down what its two clusters will be before you run on.

# %%
shapes = list(known.loc[:, "amplitude":"stetson_k"])
marks = [name for name in table if name.startswith("missing")]


# %%
def four_tables(seed):
    """Rows of four tables, by name, and the numbers that are clustered."""
    rows = known[draw(seed)]
    soft = rows[rows["true state"] == "HSS"]
    both = pd.concat([rows, nicer], ignore_index=True)
    return {
        "marks of gaps": (rows, table.loc[rows.index, marks]),
        "shapes, in their units": (rows, rows[shapes].fillna(rows[shapes].median())),
        "soft state alone": (soft, table.loc[soft.index]),
        "RXTE and NICER": (both, preprocessor().fit_transform(both)),
    }


# %%
rows = []
for seed in tqdm(range(5)):
    for name, (own, numbers) in four_tables(seed).items():
        cluster = clustered(numbers.to_numpy(), 2)
        smaller = np.bincount(cluster).min() / len(cluster)
        rows.append({"table": name, **agreement(cluster, own), "smaller cluster": smaller})
over_draws(rows, "table")

# %%
rows = []
for seed in range(5):
    inside, soft = draw(seed).to_numpy(), (known["true state"] == "HSS").to_numpy()
    line = LogisticRegression(max_iter=2000).fit(x[inside & soft], known["object"][inside & soft])
    said = line.predict(x[~inside & soft])
    rows.append({"soft state": "logistic regression", **agreement(said, known[~inside & soft])})
over_draws(rows, "soft state")[["object"]]

# %% [markdown]
# (An empty cell: all pointings of this table are alike there.)
#
# - **Marks of gaps.** The clusters know the state: what a telescope cannot measure depends on the state (lesson 05). They look like physics, and they are a map of what *we* could not measure.
# - **Shapes in their units.** One cluster holds a few per cent of the pointings, and the other holds the rest. Amplitudes in counts per second have the largest variance, so a few bright or odd light curves get a cluster for themselves. Lesson 05 said it: a result that depends on units is no result.
# - **The soft state.** Two clusters know little of the object, and more of the gaps. Yet the columns hold the answer: with labels, a straight line names it far better, for sources that it has not seen. (How much better depends on the sources: with half as many of them, in five other archives, its AMI was 0.3 to 0.7.) The largest variance is not the difference that you want.
# - **Two telescopes.** We were sure that the clusters would be RXTE and NICER. They are not: again they are hard and soft. Our guess was wrong, and it stays here, so that you do not trust such guesses either.

# %% [markdown] tags=["slide-next"]
# **Discuss with your neighbour** (5 min): a paper finds "five classes of accretion" as clusters of light curves that an auto-encoder has learned. You are the referee. For which three tables of this lesson do you ask?

# %% [markdown] tags=["slide"]
# ## The odd ones
#
# A survey gives you a million light curves, and you want the odd ones. A detector of anomalies gives each a score, and you look at the $k$ largest. How many of these are worth your time?
#
# To know that, we plant events into the 2000 light curves of lesson 09 (128 s each). (A dropout to zero needs no detector: our features refuse it, with a sentence that names the bins. So ours leave a tenth of the photons.)

# %%
light = data.load_segments()


def plant(counts, generator):
    """Light curves (n, 512) with 20 bursts, 20 dips, 20 dropouts; names (n,), empty for the others."""
    counts, event = counts.copy(), np.full(len(counts), "", dtype="<U7")
    time = light.bin_size * np.arange(counts.shape[1])  # s
    for number, row in enumerate(generator.choice(len(counts), 60, replace=False)):
        since, kind = time - generator.uniform(10, 100), ("burst", "dip", "dropout")[number % 3]
        if kind == "burst":  # up to three times the mean, decays in 6 s
            shape = generator.uniform(1, 3) * np.exp(-since.clip(0) / 6) * (since > 0)
            counts[row] += generator.poisson(counts[row].mean() * shape)
        else:  # for 12 s a share of the photons is left; for 4 s a tenth
            share, length = (generator.uniform(0.2, 0.6), 12) if kind == "dip" else (0.1, 4)
            inside = (since > 0) & (since < length)
            counts[row] = generator.binomial(counts[row], np.where(inside, share, 1))
        event[row] = kind
    return counts, event


# %% [markdown] tags=["slide"]
# ## Exercise 17.4 · Precision among the first k  ·  core · 10 min · ●●○
#
# Return the share of anomalies among the $k$ rows of largest score. Rows whose scores are *equal* at the border share the places that are left: if two places are left for five such rows, each of them counts 2/5. If there are fewer than $k$ rows, all rows are the first.


# %%
def precision_at(score, anomalous, k):
    """Share of anomalies among the k rows of largest score (n,); anomalous (n,) is True or False."""
    # solution: where is the border? rows above it count 1, and those at it a share
    k = min(k, len(score))
    border = np.sort(score)[-k]
    above, at = score > border, score == border
    return (anomalous[above].sum() + (k - above.sum()) * anomalous[at].mean()) / k
    # end solution


precision_at = check.precision_at(precision_at)

# %% [markdown] tags=["slide"]
# ## Exercise 17.5 · A score for events  ·  core · 14 min · ●●●
#
# Write a score of your own, without any training. It must be
#
# - computed from each light curve alone, not from the others;
# - the same if *all* counts are doubled: the source is brighter, nothing else;
# - no alarm for a curve that always scatters much, such as the noise of a faint source: we plant 60 events, and at least 40 of your first 60 curves must have one;
# - larger if there is a burst, a dip or a dropout of some seconds, at any time. (A bin has 0.25 s.)


# %%
def event_score(counts):
    """One number for each light curve of counts (n, 512), large if something happens in it."""
    # solution: what does an event do to a curve that brightness, photon noise and flicker do not?
    binned = counts.reshape(len(counts), -1, 32).sum(axis=2)
    away = np.abs(binned - np.median(binned, axis=1, keepdims=True))
    return away.max(axis=1) / np.median(away, axis=1)
    # end solution


event_score = check.event_score(event_score)


# %% [markdown]
# Here are the rivals. An **isolation forest** cuts a table at random until each row is alone; odd rows are alone after few cuts. An **auto-encoder** is a network that copies its input through a bottleneck, here sixteen numbers for 512 bins. What it copies badly is taken for unusual: the error of the copy is a popular anomaly score. Others give the sixteen numbers to a forest (Villar et al. 2021, for supernovae).


# %%
def autoencoder(curves, seed):
    """Sixteen numbers (n, 16) for each of curves (n, 512), and the mean squared error (n,) of its copy."""
    generator, curves = torch.Generator().manual_seed(seed), torch.from_numpy(curves).float()
    network = feed_forward(512, 512, generator=generator, hidden=(64, 16, 64))
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(10):
        for batch in torch.randperm(len(curves), generator=generator).split(64):
            optimiser.zero_grad()
            (network(curves[batch]) - curves[batch]).square().mean().backward()
            optimiser.step()
    with torch.no_grad():
        copy = network(curves)
        return network[:3](curves).numpy(), (copy - curves).square().mean(dim=1).numpy()


# %%
def forest_score(numbers, seed):
    """Anomaly score (n,) of an isolation forest: large for rows that few random cuts isolate."""
    return -IsolationForest(random_state=seed).fit(numbers).score_samples(numbers)


def richards(counts):
    """Features (n, 19) of Richards et al. 2011, lesson 02."""
    time, rate = light.bin_size * np.arange(counts.shape[1]), counts / light.bin_size
    error = np.sqrt(counts.mean(axis=1, keepdims=True)) / light.bin_size
    return pd.DataFrame(light_curve_features(time, rate, error)).fillna(0)


# %%
def scores_of(counts, seed):
    """Scores (n,) of the light curves by each detector of anomalies."""
    mean, deviation = counts.mean(axis=1, keepdims=True), counts.std(axis=1, keepdims=True)
    features = richards(counts)
    _, error_of_counts = autoencoder(counts / counts.std(), seed)
    sixteen, error = autoencoder((counts - mean) / deviation, seed)
    return {
        "your score": event_score(counts),
        "|skew|": features["skew"].abs().to_numpy(),
        "forest, 19 features": forest_score(features, seed),
        "forest, auto-encoder's 16": forest_score(sixteen, seed),
        "χ² of a constant": (deviation**2 / mean)[:, 0],
        "error of the copy, counts": error_of_counts,
        "error of the copy, scaled": error,
    }


# %% [markdown] tags=["slide"]
# ### Predict first
#
# 60 of 2000 light curves have an event; two of them would be among 60 curves drawn at random. How many of the 60 are among the first 60 of the auto-encoder's error, if every light curve is first scaled to mean 0 and variance 1?

# %%
my_guess_events = ...  # events among the first 60


# %% tags=["nbval-ignore-output"]
plantings = []
for seed in tqdm(range(3)):
    counts, event = plant(light.counts, np.random.default_rng(seed))
    scores = scores_of(counts, seed)
    scores["the same, smallest first"] = -scores["error of the copy, scaled"]
    plantings.append((counts, event, scores))

# %% tags=["nbval-ignore-output", "slide"]
rows = []
for counts, event, scores in plantings:
    bright = counts.mean(axis=1) > np.quantile(counts.mean(axis=1), 0.9)
    for name, score in scores.items():
        found = {"precision among the first 60": precision_at(score, event != "", 60)}
        found["share of the brightest tenth in them"] = precision_at(score, bright, 60)
        rows.append({"score": name, **found})
over_draws(rows, "score")

# %% [markdown]
# **The answer:** none, in all three plantings.
#
# Read the last row. It is the same error, sorted the other way round, and it finds two thirds of the 60 events (in other archives, about half). **A reconstruction error ranks what cannot be compressed, and nothing is less compressible than noise.** An event is large and smooth: of all things in these curves it is the *easiest* to copy. Where photon noise is most of the variance, the error is largest. In counts, noise and flicker are largest where the source is bright, and so the alarms are bright sources. (Four times as many epochs change nothing: we have tried.)
#
# The sixteen numbers are better than the error, largest first. Nineteen features of an expert are better than the sixteen. And one of the nineteen alone, the skewness, is better than all of them together: each column that knows nothing of events adds its own odd rows.

# %% tags=["nbval-ignore-output", "slide"]
curves = [
    {"score": name, "k": k, "precision": precision_at(score, event != "", k)}
    for _, event, scores in plantings
    for name, score in scores.items()
    for k in (10, 20, 40, 60, 100, 200)
]
look = {"hue": "score", "style": "score", "markers": True, "errorbar": "sd"}
fig, ax = plt.subplots(figsize=(8, 3.6))
sns.lineplot(pd.DataFrame(curves), x="k", y="precision", ax=ax, **look)
ax.set(xscale="log", xlabel="first k of 2000", ylabel="precision")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plotting.show(fig, "17_precision", colours=64)

# %% tags=["nbval-ignore-output", "slide"]
counts, event, scores = plantings[0]
chosen = "|skew|", "forest, 19 features", "error of the copy, counts", "error of the copy, scaled"
fig, axes = plt.subplots(4, 5, figsize=(9, 6), sharex=True)
for name, panels in zip(chosen, axes, strict=True):
    panels[0].set_ylabel(name.replace(", ", ",\n"), fontsize=8)
    ranked = np.argsort(-scores[name], kind="stable")
    for rank, ax in zip((1, 15, 30, 45, 60), panels, strict=True):
        ax.plot(counts[ranked[rank - 1]].reshape(-1, 4).sum(axis=1), linewidth=0.8)
        ax.set_title(f"{rank}: {event[ranked[rank - 1]] or 'nothing planted'}", fontsize=8)
        ax.tick_params(labelsize=7)
fig.supxlabel("time (s); counts in 1 s", fontsize=9)
plotting.show(fig, "17_gallery", colours=64)

# %% [markdown]
# These are five of the first sixty, by their rank. In counts, the copy is worst where the source is brightest, with an event or without. Look at the last row: this is what a network finds most surprising.
#
# A fair objection: we planted what we had in mind, and we knew that a skewness sees it. But every benchmark of anomaly detection is like that. Its score holds for the anomalies that somebody thought of. The archive has others, which you met in lesson 02: slews, bursts and particle flares. Here are three scores for the pointings of the table:

# %%
odd = (truth.outlier.loc[known.obs_id] != "").to_numpy()
filled = known[shapes].fillna(known[shapes].median())
lists = {"|skew| of the light curve": filled["skew"].abs().to_numpy()}
lists["forest, 19 shapes of light curves"] = forest_score(filled, 0)
lists["forest, features of the state"] = forest_score(table, 0)
precise = {name: precision_at(score, odd, odd.sum()) for name, score in lists.items()}
pd.Series(precise, name=f"precision among the first {odd.sum()}").round(2).to_frame()

# %% [markdown]
# "Anomalous" is not a property of a row. It is one of a row *and a set of columns*.

# %% [markdown]
# ## With real data: the sky monitor of RXTE
#
# The ASM data of lesson 03 have two colours of 35 systems whose class is known: black holes, pulsars, other neutron stars. These are *three* classes. What do clusters of the two colours find? (At most 200 rows of each system, drawn five times.) The files carry no licence and are not part of the course. If they are on your machine, the next cells use them. If not, they show what *we* found.

# %% tags=["nbval-ignore-output"]
try:
    asm = load_asm(fetch=False)
except data.DataError:
    asm = None
    print("Not here. Call load_asm() once, online (4.2 MB), and run on from this cell.")
ours = {"silhouette": [0.57, 0.51, 0.45], "AMI with the kind": [0.15, 0.19, 0.20]}
ours["AMI with the system"] = [0.22, 0.26, 0.30]  # means of five draws, which scatter by 0.01
by_colours = pd.DataFrame(ours, pd.Index([2, 3, 4], name="clusters"))


# %%
def of_asm(seed):
    """What k-means finds in the two colours of a draw of rows."""
    kinds = {"LMBH": "BH", "HMBH": "BH", "Zsource": "NS", "Atoll": "NS", "Burster": "NS"}
    kinds["Pulsar"] = "pulsar"
    own = asm.assign(kind=asm.type.map(kinds)).dropna(subset="kind")
    own = own.sample(frac=1, random_state=seed).groupby("system").head(200)
    colours = own[["colour_1", "colour_2"]]
    colours = ((colours - colours.mean()) / colours.std()).to_numpy()
    ways = []
    for k in (2, 3, 4):
        cluster = clustered(colours, k, seed)
        score = metrics.silhouette_score(colours, cluster, sample_size=1500, random_state=seed)
        ami = [metrics.adjusted_mutual_info_score(own[c], cluster) for c in ("kind", "system")]
        ways.append(dict(zip(("clusters", *ours), (k, score, *ami), strict=True)))
    return ways


# %% tags=["nbval-ignore-output"]
if asm is not None:
    by_colours = over_draws([way for seed in tqdm(range(5)) for way in of_asm(seed)], "clusters")
by_colours

# %% [markdown]
# The silhouette prefers two clusters, and there are three kinds. For each number of clusters, they know *which system* a row belongs to better than which kind it is: each binary has its own colours. Nothing was wrong with k-means. The difference between a black hole and a neutron star is not the largest one in these colours.

# %% [markdown] tags=["slide"]
# ## Exercise 17.6 · What was found?  ·  core · 8 min · ●●○
#
# Sort sentences from imaginary abstracts. `"found"`: the numbers of this lesson support it. `"found us"`: the pattern is there, and our instruments, units or habits made it. `"not shown"`: the number is right, and it does not say that.

# %%
# solution: for each: would it look the same for a null? who made the pattern? what did the criterion count?
claims = {
    "the two clusters of highest silhouette are mostly the hard and the soft states": "found",
    "BIC is lowest for twelve components: there are twelve kinds of pointings": "not shown",
    "columns that mark gaps fall into two clusters: there are two populations": "found us",
    "a few per cent have large amplitudes in counts/s: a new class of light curves": "found us",
    "four clusters are right in nine of ten pointings: they are the four states": "not shown",
    "the auto-encoder copies the brightest sources worst, in counts: they are the oddest": "found us",
    "bursts and dips are at the top of a list sorted by |skew|": "found",
    "three clusters of the ASM's colours are black holes, pulsars and other neutron stars": "not shown",
}
# end solution

claims = check.claims(claims)

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - Clustering always returns clusters. Draw a table that has none, with the same mean and covariance, and compare.
# - Silhouette, BIC and HDBSCAN count three different things, and none of them counts your classes.
# - Clusters follow the largest variance: here hard and soft, then gaps. A score of 0.90 can hide that the rare states were never found.
# - A gain that only one archive shows is none, however small its error bar.
# - For anomalies, begin with a number that knows what an event is. A reconstruction error is an alarm for noise.
# - Say in which columns something is odd, and keep your wrong guesses.

# %% [markdown]
# **Further reading.** S. Fotopoulou ([arXiv:2406.17316](https://arxiv.org/abs/2406.17316): unsupervised methods in astronomy, a review) · D. Baron ([arXiv:1904.07248](https://arxiv.org/abs/1904.07248): clusters, outliers and distances, side by side) · V. A. Villar et al. 2021 ([arXiv:2103.12102](https://arxiv.org/abs/2103.12102): anomalous transients from an auto-encoder and an isolation forest) · P. Rousseeuw, *Silhouettes* (J. Comput. Appl. Math. 20, 53, 1987: two readable pages of definition) · scikit-learn user guide, [*Clustering*](https://scikit-learn.org/stable/modules/clustering.html) (all methods on the same toy tables, and when each fails).
