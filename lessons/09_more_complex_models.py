# %% [markdown]
# # 9 · A (more complex?) algorithm
#
# | **The question** | Does anything more complex beat logistic regression on this archive, by more than the error bar? |
# |---|---|
# | **Afterwards you can** | compare models on the same held-out sources, with the error of the difference; build a network layer by layer, train it, and see it overfit; say when complexity is worth its price |
# | **Time** | 45 min of reading or teaching, 59 min of exercises |
# | **Data** | training and validation set of the simulated RXTE archive, and its light curves, see `data/README.md` |
# | **Run time** | below 60 s on two cores |

# %%
import time
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier, export_text, plot_tree
from torch import nn
from tqdm.auto import tqdm

from course.archive import sources as simulator
from course.archive.observer import INSTRUMENTS
from course.checks import lesson_09 as check

# %%
from helpers import data, features, plotting
from helpers.networks import NetworkClassifier, convolutional, feed_forward, probabilities
from helpers.networks import train as train_network
from helpers.preprocessing import GROUPS, STATE_FEATURES, preprocessor
from helpers.resampling import resample_sources

plotting.use_course_style()
train, validation = data.load_split()
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

# %% [markdown]
# ## The bar
#
# Lesson 07 gave us a straight line for the log odds. Before anything complex: how good is it, on sources that it has not seen, and how well do we know that? Two tasks, each with its columns and its metric: the *state* (balanced accuracy) and the *object* (ROC AUC, and the lags help).

# %%
columns = {"state": list(STATE_FEATURES), "object": [*STATE_FEATURES, *GROUPS["lags"]]}
labels = {task: train[f"{task}_label"].to_numpy(str) for task in columns}
classes, number = {}, {}
for task in columns:  # the labels as numbers, in the order of predict_proba
    classes[task], number[task] = np.unique(labels[task], return_inverse=True)


def draw_skies(source_id):
    """How often each row counts if its sources are drawn anew, 60 times (lesson 02)."""
    rows = pd.DataFrame({"source_id": source_id, "row": range(len(source_id))})
    rng = np.random.default_rng(9)
    return [np.bincount(resample_sources(rows, rng).row, minlength=len(rows)) for _ in range(60)]


skies = draw_skies(train.source_id.to_numpy())


def score(task, chance, weight=None):
    """Balanced accuracy of the state, or ROC AUC of the object, from probabilities (n, n_classes)."""
    if task == "object":
        return roc_auc_score(number[task], chance[:, 1], sample_weight=weight)
    return balanced_accuracy_score(number[task], chance.argmax(axis=1), sample_weight=weight)


# %%
def out_of_fold(model, task, seed):
    """Probabilities for each training row, by a model that has not seen its source."""
    deal = GroupKFold(5, shuffle=True, random_state=seed)
    how = {"groups": train.source_id, "cv": deal, "method": "predict_proba"}
    return cross_val_predict(model, train[columns[task]], number[task], **how)


chances = {}
for task in columns:
    bar = make_pipeline(preprocessor(columns[task]), LogisticRegression(max_iter=2000))
    deals = [out_of_fold(bar, task, seed) for seed in range(3)]
    chances |= {(task, "logistic regression", seed): deals[seed] for seed in range(3)}
    error = np.std([score(task, deals[0], sky) for sky in skies], ddof=1)
    print(f"{task:6s}", *(f"{score(task, chance):.3f}" for chance in deals), f" ± {error:.3f}")

# %% [markdown] tags=["slide"]
# Three deals of sources into five folds (lesson 08), and the error from drawing whole sources. **Whatever comes now has to beat these numbers by more than the error of the difference.** Write down for each of the two tasks whether you expect it.

# %% [markdown]
# ## Nearest neighbours
#
# No formula at all: look up the $k$ training pointings that are most similar, and let them vote. "Similar" means a small distance, so that every feature needs the same scale first (lesson 05); and in the sum over many features, noise counts as much as signal.

# %% [markdown] tags=["slide"]
# ## Exercise 9.1 · A vote by hand  ·  core · 8 min · ●●○
#
# Return the share of ones among the labels of the `k` nearest training rows, by Euclidean distance.


# %%
def neighbours_vote(x_train, y_train, x_new, k):
    """Share of ones among the k nearest; x_train (n, d), y_train (n,) of 0 and 1, x_new (d,)."""
    # solution: distances to all rows at once, np.argsort tells who is near, the mean of 0 and 1 is a share
    distance = np.sqrt(((x_train - x_new) ** 2).sum(axis=1))
    return y_train[np.argsort(distance)[:k]].mean()
    # end solution


neighbours_vote = check.neighbours_vote(neighbours_vote)

# %% [markdown]
# Four models of the state that see only two features, the hard colour and the rms: everything that they have learned fits into a map. Above each map is its *accuracy* on the rows that it learned from, and out of fold.

# %%
two = ["hr_hard", "rms_0p1_64"]
rows = train.dropna(subset=two).query("hr_hard < 1.6 and 0.01 < rms_0p1_64 < 0.7")
plane = np.log10(rows[two].to_numpy())
called = rows.state_label.to_numpy(str)
looks = dict(zip(features.HUES, (("C0", "o"), ("C2", "^"), ("C3", "s"), ("C1", "D")), strict=True))
maps = {
    "1 neighbour": make_pipeline(StandardScaler(), KNeighborsClassifier(1)),
    "50 neighbours": make_pipeline(StandardScaler(), KNeighborsClassifier(50)),
    "tree of depth 3": DecisionTreeClassifier(max_depth=3, random_state=0),
    "logistic regression": make_pipeline(StandardScaler(), LogisticRegression()),
}


def draw_map(ax, model):
    """The plane in the colours of what the model says, and some of the pointings it learned from."""
    x, y = np.meshgrid(np.linspace(-0.95, 0.2, 160), np.linspace(-2, -0.15, 160))
    said = model.predict(np.column_stack([x.ravel(), y.ravel()])).reshape(x.shape)
    for state, (colour, marker) in looks.items():
        ax.contourf(10**x, 10**y, said == state, levels=[0.5, 1.5], colors=[colour], alpha=0.3)
        some = np.flatnonzero(called == state)[::10]
        ax.plot(*10 ** plane[some].T, marker, color=colour, markersize=2.5, label=state)
    ax.set(xscale="log", yscale="log", xlabel="hard colour (Crab)")
    ax.set_xticks([0.2, 0.5, 1], ["0.2", "0.5", "1"])
    ax.minorticks_off()


# %%
fig, axes = plt.subplots(1, 4, figsize=(10.5, 3.4), sharey=True)
for ax, (name, model) in zip(axes, maps.items(), strict=True):
    deal = GroupKFold(5, shuffle=True, random_state=0)
    said = cross_val_predict(model, plane, called, groups=rows.source_id, cv=deal)
    draw_map(ax, model.fit(plane, called))
    seen, new = np.mean(model.predict(plane) == called), np.mean(said == called)
    ax.set_title(f"{name}\ntrain {seen:.2f}, held out {new:.2f}", fontsize=10)
axes[0].set_ylabel("fractional rms, 0.1–64 Hz")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, markerscale=2)
plotting.show(fig, "09_four_models")

# %% [markdown]
# One neighbour has learned its training set by heart, label noise included, and pays for it on new sources. The tree draws rectangles, logistic regression straight lines; on new sources the last three are not apart. And they hardly ever say SIMS: it shares its place with HSS, and these two features cannot tell them apart.
#
# ## A tree, read as physics
#
# A **decision tree** asks one question at a time: is this feature above this value? It picks the question that separates the labels best, then asks again on either side. It needs no scaling, and it takes missing values: they are sent to the side that suits them better. And it can be read.

# %%
tree = DecisionTreeClassifier(max_depth=2, min_samples_leaf=20, random_state=0)
tree.fit(train[columns["state"]], labels["state"])
fig, ax = plt.subplots(figsize=(8.2, 3.6))
boxes = plot_tree(
    tree, ax=ax, feature_names=columns["state"], class_names=list(tree.classes_), proportion=True,
    impurity=False, precision=2, fontsize=9,
)  # fmt: skip
for box in boxes:  # four shares in each box are too many to read: keep the most common label
    lines = [line for line in box.get_text().split("\n") if not line.startswith("value")]
    box.set_text("\n".join(lines).replace("<=", "≤").replace("class =", "mostly"))
plotting.show(fig, "09_tree")

# %% [markdown]
# Would other sources have asked the same? Draw the 24 sources anew, and grow again:

# %%
generator = np.random.default_rng(91)
print("first question          on the soft side          on the hard side")
for _ in range(8):
    again = resample_sources(train, generator)
    grown = DecisionTreeClassifier(max_depth=2, min_samples_leaf=20, random_state=0)
    grown.fit(again[columns["state"]], again.state_label)
    nodes = zip(grown.tree_.feature, grown.tree_.threshold, strict=True)
    print("".join(f"{columns['state'][f]:>12s} ≤ {cut:<9.2f}" for f, cut in nodes if f >= 0))
gap = tree.tree_.missing_go_to_left[tree.tree_.feature == columns["state"].index("qpo_freq")]
print(f"a missing QPO counts as 'at most': {bool(gap[0])}")

# %% [markdown]
# The first question is the field's own: *hard or soft?*, near a colour of 0.9. On the soft side it is "was a QPO seen above 1 Hz?" (no QPO: HSS), or an rms of about 10 %; compare the table of lesson 01, where the thermal state ends at 7.5 % and the hard one begins at 10 %. On the hard side the question changes with the sources: the state is decided there already. Where a photon index is asked for, the cut is near 2.1, and that *is* the table. Nobody told the tree. But it learned from people who had read the table: it has found our habits, not the physics.

# %% [markdown] tags=["slide"]
# **Discuss with your neighbour** (5 min; alone, write two sentences): a tree says "no QPO, so HSS". Is that about the source, or about the telescope?

# %% [markdown] tags=["slide"]
# ## Too simple, too complex
#
# A tree of depth 1 can name two states of the four. A deep tree can give each training row a leaf of its own.
#
# ### Predict first
#
# At which depth will the score on held-out sources be best? Write a whole number between 1 and 16.

# %%
my_guess_depth = ...  # depth, a number

# %% tags=["nbval-ignore-output"]
depths, numbers = (1, 2, 3, 4, 6, 10, 16), (1, 3, 10, 30, 100, 300)
# Medians and scales of all rows: a tiny leak, for speed
ready = preprocessor(columns["state"]).fit_transform(train)
models = [
    [DecisionTreeClassifier(max_depth=depth, random_state=0) for depth in depths],
    [KNeighborsClassifier(k) for k in numbers],
]
right, curves = labels["state"], []
for row in tqdm(models):
    seen = [balanced_accuracy_score(right, m.fit(ready, right).predict(ready)) for m in row]
    new = np.empty((len(row), 3))  # three deals
    for place, seed in np.ndindex(new.shape):
        deal = GroupKFold(5, shuffle=True, random_state=seed)
        said = cross_val_predict(row[place], ready, right, groups=train.source_id, cv=deal)
        new[place, seed] = balanced_accuracy_score(right, said)
    curves.append((seen, new))

# %% tags=["slide"]
fig, axes = plt.subplots(1, 2, figsize=(8, 3.4), sharey=True)
for ax, x, (seen, new) in zip(axes, (depths, numbers), curves, strict=True):
    ax.plot(x, seen, "o--", color="C1", label="training rows")
    ax.plot(x, new.mean(axis=1), "s-", color="C0", label="held-out sources")
    ax.plot(x, new, color="C0", linewidth=0.6, alpha=0.6)
axes[0].set(xlabel="depth of the tree (complex →)", ylabel="balanced accuracy of the state")
axes[1].set(xlabel="neighbours that vote (← complex)", xscale="log")
axes[0].set_xticks([1, 4, 7, 10, 13, 16])
axes[0].legend()
plotting.mark_guess(axes[0], my_guess_depth)
plotting.show(fig, "09_depth_and_trees")
for name, x, (_, new) in zip(("depth", "neighbours"), (depths, numbers), curves, strict=True):
    best = new.mean(axis=1).argmax()
    print(f"best {name}: {x[best]}, held out {new[best].mean():.2f}")

# %% [markdown]
# **Your prediction:** a depth of 6, in these deals.
#
# **Underfitting**: both scores low. **Overfitting**: they part. In between lies a plateau, not a point; which value on it comes out best is chance. Note that the gap between the curves is no illness by itself. What counts is the *held-out* curve.

# %% [markdown] tags=["slide"]
# ## Exercise 9.2 · Symptoms  ·  core · 6 min · ●○○
#
# Sort into `"underfitting"`, `"overfitting"`, `"leak"`, `"healthy"`.

# %%
# solution: look for both scores in each sentence, and ask who was held out
symptoms = {
    "training rows 0.99, held-out sources 0.60": "overfitting",
    "training rows 0.62, held-out sources 0.61, a rival reaches 0.75 on both": "underfitting",
    "random rows held out 0.97, whole sources held out 0.88": "leak",
    "the held-out loss rises since epoch 6, the training loss falls on": "overfitting",
    "training rows 0.78, held-out sources 0.75 ± 0.02": "healthy",
    "four states, and the model never names two of them, not even on training rows": "underfitting",
}
# end solution

symptoms = check.symptoms(symptoms)

# %% [markdown]
# ## Many trees
#
# One tree is unstable: you saw it change with the sources. Two cures:
#
# - A **random forest** grows many deep trees, each on rows drawn anew and with a random choice of features at each question, and averages them. Their errors differ, so that they cancel.
# - **Gradient boosting** grows small trees one after the other, each on what the sum of those before got wrong (along the gradient of the loss of lesson 07).
#
# Both will compete below. First, the other family.

# %% [markdown]
# ## The perceptron
#
# $$y = s\Big(\sum_i w_i x_i + b\Big)$$
#
# **Weights** $w_i$, a **bias** $b$, an **activation** $s$. With $s(z) = 1/(1+e^{-z})$ a single perceptron *is* lesson 07's logistic regression: $w$ are its coefficients, $b$ its intercept. Let us copy them over.

# %%
is_star = labels["object"] == "NS"
bar = make_pipeline(preprocessor(columns["object"]), LogisticRegression(max_iter=2000))
bar.fit(train, is_star)
inputs = bar[:-1].transform(train).to_numpy()
perceptron = nn.Linear(inputs.shape[1], 1, dtype=torch.float64)
with torch.no_grad():
    perceptron.weight[:] = torch.tensor(bar[-1].coef_)
    perceptron.bias[:] = torch.tensor(bar[-1].intercept_)
    fires = torch.sigmoid(perceptron(torch.tensor(inputs)))[:, 0]
print("the same probabilities:", np.allclose(fires, bar.predict_proba(train)[:, 1]))

# %% [markdown]
# So it can draw one straight border, and no more. Take the smallest problem on which that fails, **exclusive or**: y = 1 if *one* of two inputs is 1, but not both. No line separates the corners (0, 1) and (1, 0) from (0, 0) and (1, 1).

# %% [markdown] tags=["slide"]
# ## Exercise 9.3 · Exclusive or, with your own hands  ·  core · 10 min · ●●○
#
# Two perceptrons look at the inputs, a third looks at those two. All fire (1) if their sum $z$ is above 0, else not (0). Choose nine numbers: hidden weights (2 × 2, row $j$ for perceptron $j$), two hidden biases, two output weights, one output bias. A sketch of the four corners and two lines helps more than algebra.

# %%
# solution: which two questions about the corners can two straight lines answer? And how do they combine?
xor = {
    "hidden weights": [[1, 1], [1, 1]],
    "hidden biases": [-0.5, -1.5],
    "output weights": [1, -1],
    "output bias": -0.5,
}
# end solution

xor = check.xor(xor)

# %% [markdown]
# The hidden layer has made new *features*, in which the problem is a straight line again. That is all the magic there is. The numbers are found by gradient descent instead of by hand, which needs an activation with a slope: usually the **ReLU**, $s(z) = \max(z, 0)$. The same on a ring:

# %%
generator = torch.Generator().manual_seed(2)
points = 2.4 * torch.rand(500, 2, generator=generator) - 1.2
inside = (points.norm(dim=1) < 0.7).long()
grid = torch.cartesian_prod(*[torch.linspace(-1.2, 1.2, 120)] * 2)

fig, axes = plt.subplots(1, 3, figsize=(8.4, 3.1), sharey=True)
for ax, hidden in zip(axes, ((), (2,), (16,)), strict=True):
    network = feed_forward(2, 2, generator=generator, hidden=hidden)
    train_network(network, points, inside, generator=generator, n_epochs=100, learning_rate=0.02)
    shade = probabilities(network, grid)[:, 1].reshape(120, 120).T
    ax.imshow(shade, extent=[-1.2, 1.2] * 2, origin="lower", cmap="Greys", vmin=0, vmax=1.4)
    for k, (colour, marker) in enumerate((("C1", "^"), ("C0", "o"))):
        ax.plot(*points[inside == k][:120].T, marker, color=colour, markersize=3)
    ax.set(title=f"hidden perceptrons: {sum(hidden)}", xlabel="first input", aspect="equal")
axes[0].set_ylabel("second input")
plotting.show(fig, "09_circle")

# %% [markdown]
# Each hidden perceptron contributes one straight border: two are too few to close a ring, sixteen make it nearly round. (Try other seeds: now and then one of the two is 0 everywhere, has no slope to follow, and never learns again. It is *dead*. Among sixteen, nobody notices.)
#
# ## A feed-forward network, layer by layer
#
# Stack such layers: each takes the outputs of the one before, multiplies by a matrix, adds a bias, applies the ReLU. The last layer has one output per class and *no* activation: its outputs are logarithms of odds, and softmax (lesson 07) makes probabilities of them.

# %% [markdown] tags=["slide"]
# ## Exercise 9.4 · The forward pass  ·  core · 10 min · ●●○
#
# `layers` is a list of pairs: weights (n_out, n_in), as torch keeps them, and biases (n_out,). Return the outputs of the last layer, one row per sample. numpy, and no loop over samples.


# %%
def forward(x, layers):
    """Outputs (n, n_classes) of a feed-forward network of ReLUs for samples x (n, n_features)."""
    # solution: one layer after the other; which way round do the weights stand, what follows the last layer?
    for weight, bias in layers[:-1]:
        x = np.maximum(x @ weight.T + bias, 0)
    weight, bias = layers[-1]
    return x @ weight.T + bias
    # end solution


forward = check.forward(forward)

# %%
network = feed_forward(inputs.shape[1], 2, generator=torch.Generator().manual_seed(1))
print(network)
linear = [layer for layer in network if isinstance(layer, nn.Linear)]
layers = [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in linear]
some = inputs[:100].astype(np.float32)  # as the weights of the network are
theirs = network(torch.tensor(some)).detach().numpy()
print("torch does the same:", np.allclose(forward(some, layers), theirs, atol=1e-5))

# %% [markdown] tags=["slide"]
# ## Exercise 9.5 · How many numbers can it turn?  ·  core · 5 min · ●○○
#
# Count the parameters of a feed-forward network from the sizes of its layers, inputs first: `(27, 64, 32, 2)`.


# %%
def n_parameters(sizes):
    """Number of weights and biases of a feed-forward network with layers of these sizes."""
    # solution: count what lies between each two neighbouring layers, then add
    return sum((sizes[k] + 1) * sizes[k + 1] for k in range(len(sizes) - 1))
    # end solution


n_parameters = check.n_parameters(n_parameters)

# %%
sizes = [inputs.shape[1], 64, 32, 2]
print(
    f"{sizes}: {n_parameters(sizes)} parameters; torch counts {sum(p.numel() for p in network.parameters())}"
)
print(f"logistic regression: {n_parameters([sizes[0], 1])}")
print(f"we have {len(train)} pointings, of {train.source_id.nunique()} sources")

# %% [markdown]
# More parameters than pointings, and over a hundred times as many as sources. Hold that thought.

# %% [markdown] tags=["slide"]
# ## Exercise 9.6 · The training step  ·  core · 10 min · ●●○
#
# Every network in the world is trained by repeating one step on a handful of samples: forget the old gradients, forward pass, loss, backward pass (`loss.backward()` leaves the gradient in each parameter), step downhill. Write it. `loss_of(outputs, y)` wants the outputs as they are, without softmax.


# %%
def train_step(network, loss_of, optimiser, x, y):
    """One step on a batch; changes the network and returns the loss before the step as a number."""
    # solution: four lines with zero_grad, the loss, backward, step; .item() makes a number of the loss
    optimiser.zero_grad()
    loss = loss_of(network(x), y)
    loss.backward()
    optimiser.step()
    return loss.item()
    # end solution


train_step = check.train_step(train_step)

# %% [markdown]
# Now the loop. One **epoch** is one pass through all samples, in **mini-batches** of random order. The steps are AdamW's: descent with a step size of its own for each parameter, and **weight decay**, which pulls all weights towards zero (lesson 07's ridge, nearly). The task is the object; one fold of sources is watched and never learned from.

# %%
keep, out = next(GroupKFold(5, shuffle=True, random_state=3).split(train, groups=train.source_id))
scaled = preprocessor(columns["object"]).fit(train.iloc[keep])
x = torch.tensor(scaled.transform(train).to_numpy(), dtype=torch.float32, device=device)
y = torch.tensor(is_star, device=device).long()
loss_of = nn.CrossEntropyLoss()


def run(network, n_epochs, weight_decay, generator, watch):
    """Train on `keep`; return what `watch` says of the network after each epoch."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3, weight_decay=weight_decay)
    history = []
    for _ in range(n_epochs):
        for batch in torch.randperm(len(keep), generator=generator).split(256):
            chosen = torch.tensor(keep)[batch].to(device)
            train_step(network, loss_of, optimiser, x[chosen], y[chosen])
        with torch.no_grad():
            history.append(watch(network))
    return history


def losses(network):
    return [loss_of(network(x[rows]), y[rows]).item() for rows in (keep, out)]


# %% [markdown] tags=["slide"]
# ### Predict first
#
# Forty epochs. After which one will the loss of the *held-out* sources be lowest?

# %%
my_guess_epoch = ...  # epoch, a number

# %% tags=["nbval-ignore-output"]
histories, aucs = {}, {}
for decay in (0.0, 1.0):
    generator = torch.Generator().manual_seed(3)
    network = feed_forward(x.shape[1], 2, generator=generator).to(device)
    found = run(
        network, 40, decay, generator,
        lambda n: (*losses(n), roc_auc_score(is_star[out], probabilities(n, x[out])[:, 1].cpu())),
    )  # fmt: skip
    *histories[decay], aucs[decay] = np.transpose(found)
    best = histories[decay][1].argmin()
    print(f"weight decay {decay:g}: held-out loss lowest after epoch {best + 1}", end=", ")
    print(f"AUC there {aucs[decay][best]:.3f}, at the end {aucs[decay][-1]:.3f}")

# %% tags=["nbval-ignore-output", "slide"]
fig, ax = plt.subplots()
epochs = np.arange(1, 41)
for (decay, history), (colour, width) in zip(
    histories.items(), (("C1", 1), ("C0", 2.4)), strict=True
):
    for values, style, what in zip(
        history, ("--", "-"), ("training rows", "held-out sources"), strict=True
    ):
        ax.plot(
            epochs, values, style, color=colour, linewidth=width, label=f"{what}, decay {decay:g}"
        )
ax.set(xlabel="epoch", ylabel="loss (mean of −ln p)", ylim=(0, None))
plotting.mark_guess(ax, my_guess_epoch)
ax.legend(fontsize=9)
plotting.show(fig, "09_epochs")

# %% [markdown]
# **Your prediction:** after a few epochs; the cell above prints the epoch.
#
# Overfitting, seen live: from some epoch on, the network gets better on what it knows and *worse* on what it does not. (When, depends on the sources that are held out: with other deals it is anything from the first to the 25th.) Look at the AUC, too: it loses one to three points here. The network goes on ranking pointings nearly as before; what gets worse is its **confidence** in the mistakes. Whoever needs probabilities must stop early; whoever needs a ranking may not even notice.
#
# Two cures: **early stopping**, at the epoch where the sources that you watch are best (so that these are no test any more), and **weight decay**. In `helpers.networks` all this is one function, `train`; a test of this course holds that it walks exactly like our loop.

# %% [markdown]
# ## One more rival: a thought
#
# Before the contest, back to reading trees. This one learned the object:

# %%
tree = DecisionTreeClassifier(max_depth=2, min_samples_leaf=20, random_state=0)
tree.fit(train[columns["object"]], labels["object"])
print(export_text(tree, feature_names=columns["object"]))

fig, ax = plt.subplots(figsize=(7.2, 3.8))
plotting.distributions(ax, train, "disc_frac")
plotting.show(fig, "09_disc_share")

# %% [markdown]
# No disc: rather a black hole. Some disc: rather a neutron star. Almost nothing but disc: a black hole. The reason is physics: gas that lands on a *surface* shines too, so that a soft neutron star is never all disc. But a straight line in the log odds can only go up or down with the disc share; it cannot go down and up. A parabola can. So our last rival is **logistic regression with one more column: the disc share squared**. (It was found by looking at training sources. The validation sources will have to confirm it.)
#
# ## All of them, on the same sources

# %%
# Ten epochs: early stopping, by eye, from the curves above
settings = {"n_epochs": 10, "batch_size": 256, "learning_rate": 5e-3, "balanced": False}


def contestants(task, seed):
    """The models, ready for a table of observations; trees take it with its gaps and without scaling."""
    prepared = preprocessor(columns[task])
    bare = FunctionTransformer(pd.DataFrame.filter, kw_args={"items": columns[task]})
    square = FunctionTransformer(lambda x: x.assign(disc_squared=x.disc_frac**2))
    few = {"max_iter": 40, "max_leaf_nodes": 8, "random_state": seed}
    steps = {
        "logistic regression": (prepared, LogisticRegression(max_iter=2000)),
        "logistic + disc²": (prepared, square, LogisticRegression(max_iter=2000)),
        "10 neighbours": (prepared, KNeighborsClassifier(10)),
        "tree of depth 5": (bare, DecisionTreeClassifier(max_depth=5, random_state=seed)),
        "forest of 30": (bare, RandomForestClassifier(30, min_samples_leaf=5, random_state=seed)),
        "gradient boosting": (bare, HistGradientBoostingClassifier(**few)),
        "network 64-32": (prepared, NetworkClassifier(seed=seed, device=device, training=settings)),
    }
    return {name: make_pipeline(*parts) for name, parts in steps.items()}


# %% tags=["nbval-ignore-output"]
for task in columns:
    for seed in tqdm(range(3), desc=task):
        for name, model in contestants(task, seed).items():
            if (task, name, seed) not in chances:  # the bar is
                chances[task, name, seed] = out_of_fold(model, task, seed)
entries = [(task, name) for task in columns for name in contestants(task, 0)]

# %% tags=["nbval-ignore-output"]
results = []
for task, name in entries:
    three = np.array([score(task, chances[task, name, seed]) for seed in range(3)])
    bars = np.array([score(task, chances[task, "logistic regression", s]) for s in range(3)])
    sky = np.array([score(task, chances[task, name, 0], weight) for weight in skies])
    if name == "logistic regression":
        sky_of_bar = sky
    results.append({
        "task": task, "model": name, "score": three.mean(), "error": sky.std(ddof=1),
        "gain": (three - bars).mean(), "its error": (sky - sky_of_bar).std(ddof=1),
        "lowest": three.min(), "highest": three.max(),
    })  # fmt: skip
results = pd.DataFrame(results).set_index(["task", "model"])
results.round(3)

# %% tags=["slide"]
fig, axes = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True)
for ax, task in zip(axes, columns, strict=True):
    own, place = results.loc[task].iloc[::-1], np.arange(7)
    level, look = own.score["logistic regression"], {"color": "C1", "markersize": 4, "capsize": 3}
    ax.axvline(level, color="0.5", linewidth=1, linestyle=":")
    ax.hlines(place + 0.2, own.lowest, own.highest, "C0", linewidth=4, label="three deals")
    ax.errorbar(own.score, place, xerr=own.error, fmt="o", color="0.6", label="error of the score")
    gain, its_error = own.gain[:-1], own["its error"][:-1]  # the bar itself gains nothing
    label = "error of the difference to the bar"
    ax.errorbar(level + gain, place[:-1] - 0.2, xerr=its_error, fmt="D", label=label, **look)
    ax.set_yticks(place, own.index)
axes[0].set(xlabel="balanced accuracy", title="state, sources held out")
axes[1].set(xlabel="ROC AUC", title="object, sources held out")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
plotting.show(fig, "09_scores")

# %% [markdown]
# Read the orange diamonds: the error of the *difference* on the same sources, which is what a comparison needs.
#
# - **State.** Nobody beats the straight line by anything worth having: forest, boosting and network agree with it within a point or two. Neighbours and the single tree lie a little lower. (Label noise sets the ceiling, lesson 08.) **Simple wins.**
# - **Object.** Forest and boosting lie inside the error of the difference. (Deal into four folds instead of five, and they fall below the bar in some deals. It matters *which* of seven black holes they have seen.) The network lies above in every deal, by about two errors: a hint, no discovery. But look who is with it: logistic regression with the square of one feature. Has the network found the same parabola? Its weights do not say. But it does not beat the model that has one square and nothing else. **A thought wins**, and it can be explained to a referee.
#
# And the check on the 13 validation sources, which had no part in finding it, with the price:

# %% tags=["nbval-ignore-output"]
prices = []
for task, name in entries:
    start = time.perf_counter()
    model = contestants(task, 0)[name].fit(train, labels[task])
    seconds = time.perf_counter() - start
    chance = model.predict_proba(validation)
    right = np.searchsorted(classes[task], validation[f"{task}_label"].to_numpy(str))
    if task == "state":
        found = balanced_accuracy_score(right, chance.argmax(axis=1))
    else:
        found = roc_auc_score(right, chance[:, 1])
    prices.append({"task": task, "model": name, "validation": found, "training (s)": seconds})
pd.DataFrame(prices).set_index(["task", "model"]).round({"validation": 3, "training (s)": 2})

# %% [markdown]
# The parabola holds: one coefficient more than the bar does what the network needs thousands of weights for. On these sources forest and boosting gain as much; how well they do hangs on who is asked. (All are cheap here: with so few rows, the price of complexity is not the seconds. It is the explaining.)

# %% [markdown]
# ## Convolution
#
# So far, people made the features. Can a network make them, from the power spectrum itself? Our light curves come as 2000 segments of 128 s with 71 powers each. A feed-forward network would have to learn a QPO at 2 Hz and one at 3 Hz as two different things. A **convolution** slides one small filter along all frequencies: what it learns at one place, it knows at every place.

# %%
light = data.load_segments()
learn, judge = (np.isin(light.source_id, table.source_id) for table in (train, validation))
frequency, states = light.frequency, np.array(list(features.HUES))
state = np.searchsorted(np.sort(states), light.state_label)  # 0 to 3, in alphabetical order
for name, chosen in (("train", learn), ("validation", judge)):
    print(
        f"{name:10s} {chosen.sum()} segments of {len(set(light.obs_id[chosen]))} pointings of "
        f"{len(set(light.source_id[chosen]))} sources"
    )

# %% [markdown]
# The input will be $\log_{10}$ of power over noise level, scaled with the numbers of the training sources. (The noise is known; a network that must find it out pays for that.)

# %% [markdown] tags=["slide"]
# ## Exercise 9.7 · A filter that finds a bump  ·  core · 10 min · ●●●
#
# In $\log P$ against $\log f$, broad noise is nearly constant or a straight slope, and a QPO is a bump. Choose seven numbers $k_j$ such that the sliding sum $\sum_j k_j\,x_{i+j}$ is **zero** on every constant and every straight slope, and largest where a bump of three bins (1, 2, 1) sits in the *middle*.

# %%
# solution: symmetric, with a positive middle, and ends that make the sum zero. What does that do to a slope?
bump_filter = np.array([-1, -1, 1, 2, 1, -1, -1])
# end solution

bump_filter = check.bump_filter(bump_filter)

# %%
taps = np.asarray(bump_filter, dtype=float)
spectra = np.log10(light.power / light.noise[:, None])
types = np.flatnonzero(learn & (light.state_label == "HIMS"))
strength = np.array([np.correlate(spectra[k, 12:], taps, "valid").max() for k in types])
row = types[strength.argmax()]
by_hand = [taps @ spectra[row, i : i + 7] for i in range(71 - 6)]
one = torch.tensor(spectra[row], dtype=torch.float64)[None, None]
by_torch = nn.functional.conv1d(one, torch.tensor(taps)[None, None])
print("numpy the same:", np.allclose(by_hand, np.correlate(spectra[row], taps, "valid")))
print("torch the same:", np.allclose(by_hand, by_torch.numpy()))

# %%
fig, (top, bottom) = plt.subplots(2, sharex=True, figsize=(7.2, 4.4))
top.semilogx(frequency, spectra[row], "o-", markersize=3)
top.set(
    ylabel="log10 (power / noise)", title=f"{light.obs_id[row]}, labelled {light.state_label[row]}"
)
bottom.semilogx(frequency[3:-3], by_hand, "s-", color="C1", markersize=3)
bottom.axhline(0, color="0.5", linewidth=1)
bottom.set(xlabel="frequency (Hz)", ylabel="answer of the filter")
plotting.show(fig, "09_filter")

# %% [markdown]
# This is one filter of the 16 in the first layer of `helpers.networks.convolutional`; 32 more look at their answers, after **pooling** has kept the larger of each two neighbours. Their numbers start at random and are learned.
#
# The rival has to be fair: made by hand **from the same 128 s**. Seven numbers: the rms in the bands of the power colours, as far as 1/128–64 Hz reach, above them, and in all (noise subtracted; negative where noise won), and where $f P$ peaks.

# %%
bands = ((0, 1 / 32), (1 / 32, 1 / 4), (1 / 4, 2), (2, 16), (16, 64), (0, 64))  # Hz


def summaries(power, noise):
    """Seven numbers for each spectrum (n, 71) in (rms/mean)²/Hz with its noise level (n,)."""
    excess = power - noise[:, None]
    width = light.n_averaged / light.length  # Hz
    variance = [(excess * width * ((frequency >= a) & (frequency < b))).sum(1) for a, b in bands]
    rms = [np.sign(v) * np.sqrt(np.abs(v)) for v in variance]
    peak = frequency[np.where(frequency > 1 / 32, frequency * excess, -np.inf).argmax(axis=1)]
    return np.column_stack([*rms, np.log10(peak)])


def fit_on(kind, x, y, seed, n_epochs=10):
    """A model in a pipeline, classes balanced, trained."""
    if kind == "logistic":
        model = LogisticRegression(class_weight="balanced", max_iter=2000)
    else:
        model = NetworkClassifier(kind, seed=seed, device=device, training={"n_epochs": n_epochs})
    return make_pipeline(StandardScaler(), model).fit(x, y)


# %% tags=["nbval-ignore-output"]
hand = summaries(light.power, light.noise)
rivals = {
    "7 numbers by hand, logistic": ("logistic", hand, 0),
    "spectrum, logistic": ("logistic", spectra, 0),
    "spectrum, feed-forward, 10 epochs": (feed_forward, spectra, 10),
    "spectrum, convolutional, 10 epochs": (convolutional, spectra, 10),
    "spectrum, convolutional, 30 epochs": (convolutional, spectra, 30),
}
others = draw_skies(light.source_id[judge])
others = [sky for sky in others if set(state[judge][sky > 0]) == {0, 1, 2, 3}]  # have all states
duel, skies_of = {}, {}
for name, (kind, given, n_epochs) in tqdm(rivals.items()):
    both, draws = [], []
    for seed in range(1 if kind == "logistic" else 2):
        model = fit_on(kind, given[learn], state[learn], seed, n_epochs)
        said = model.predict(given)
        both.append([balanced_accuracy_score(state[c], said[c]) for c in (learn, judge)])
        weigh = partial(balanced_accuracy_score, state[judge], said[judge])
        draws.append([weigh(sample_weight=weight) for weight in others])
    skies_of[name] = np.mean(draws, axis=0)
    lead = skies_of[name] - skies_of["7 numbers by hand, logistic"]
    duel[name] = (*np.mean(both, axis=0), lead.mean(), lead.std(ddof=1))
heads = ["training sources", "validation sources", "minus 7 numbers", "error of that"]
pd.DataFrame(duel, heads).T.round(2)

# %% [markdown]
# The convolutional network, which has read all 71 powers, is *not better* than seven numbers and a straight line; the difference is inside the error bar. Train it longer, and it knows its training set by heart, while the score on other sources falls. Why? Its thousand segments are five overlapping pieces of each of 204 pointings, of 23 sources. **The sample size is 23.** In the seven numbers there is two centuries of Fourier analysis and six decades of X-ray astronomy; the network has to find all that in 23 examples.

# %% [markdown]
# ## More data
#
# How much does it lack? A **learning curve**: train on some of the sources, score on the validation sources. And then, do what only someone with a simulator can: draw *new* sources from the very distributions that made the archive. For this the lesson looks into the factory of the archive, `course/archive/`: `sources` draws the truth, and `INSTRUMENTS` says how a telescope sees it. Their power spectra are quickly made: a power is its expectation times a random number of known distribution.

# %%
pca = INSTRUMENTS["rxte"]
inside = pca.inside(pca.fit_band)
low, high = pca.channels
# counts/s of one detector
background = (pca.background((low + high) / 2) * (high - low))[inside].sum()


def new_pointings(n_sources, generator):
    """Pointings of sources that nobody has seen, where they are well above the background."""
    drawn = simulator.draw_sources(generator, n_sources // 3, n_sources - n_sources // 3)
    outbursts = simulator.draw_outbursts(drawn, "rxte", 3 * n_sources, generator)
    each = np.full(n_sources, 12)
    truth = simulator.draw_pointings(drawn, outbursts, each, generator)
    flux = simulator.photon_flux(pca.matrix.energy_lo, pca.matrix.energy_hi, truth)
    disc, layer, corona = pca.matrix.fold(flux).numpy()[..., inside].sum(axis=-1)
    total, on = disc + layer + corona, generator.integers(1, 6, len(truth))  # detectors switched on
    truth = truth.assign(steady=(disc + layer) / total, rate=total * on, background=background * on)
    return truth[truth.rate > 2 * truth.background]


# %%
def new_spectra(truth, generator):
    """Power spectra of 128 s as those of the archive, and their noise levels."""
    noise = (2 * (truth.rate + truth.background) / truth.rate**2).to_numpy()
    places = [
        frequency + part * light.n_averaged / light.length for part in (-0.4, -0.2, 0, 0.2, 0.4)
    ]
    corona = [simulator.power_spectrum(torch.tensor(f), truth).numpy() for f in places]
    diluted = np.mean(corona, axis=0) * (1 - truth.steady.to_numpy()[:, None]) ** 2
    # A power scatters as an exponential random number; the mean of n of them as a gamma variate.
    scatter = generator.gamma(light.n_averaged, size=diluted.shape) / light.n_averaged
    return (diluted + noise[:, None]) * scatter, noise


# %% tags=["nbval-ignore-output"]
def pair(power, noise, y, seed):
    """Scores on the validation sources of both rivals, trained on these spectra for some 120 steps."""
    n_epochs = max(5, round(120 * 64 / len(y)))
    network = fit_on(convolutional, np.log10(power / noise[:, None]), y, seed, n_epochs)
    straight = fit_on("logistic", summaries(power, noise), y, seed)
    said = network.predict(spectra[judge]), straight.predict(hand[judge])
    return [balanced_accuracy_score(state[judge], s) for s in said]


found = []
for seed in tqdm(range(2)):
    generator = np.random.default_rng(seed)
    order = generator.permutation(np.unique(light.source_id[learn]))
    for n in (6, 12, 23):
        some = np.isin(light.source_id, order[:n])
        if len(set(state[some])) == 4:
            found.append(
                ("archive", n, *pair(light.power[some], light.noise[some], state[some], seed))
            )
    for n in (23, 46, 92):
        truth = new_pointings(n, generator)
        y = np.searchsorted(np.sort(states), truth.state)
        found.append(("simulated", n, *pair(*new_spectra(truth, generator), y, seed)))

# %% tags=["nbval-ignore-output"]
found = pd.DataFrame(found, columns=["from", "sources", "network", "hand"])
middle = found.groupby(["from", "sources"])[["network", "hand"]].mean()
middle.round(3)

# %% tags=["nbval-ignore-output"]
fig, ax = plt.subplots()
for what, colour, marker in (("network", "C0", "o"), ("hand", "C1", "^")):
    for origin, face in (("archive", "white"), ("simulated", colour)):
        own = middle.loc[origin]
        style = {"color": colour, "marker": marker, "markerfacecolor": face}
        name = "convolutional network" if what == "network" else "7 numbers by hand"
        ax.plot(
            own.index,
            own[what],
            "--" if face == "white" else "-",
            label=f"{name}, {origin}",
            **style,
        )
    ax.plot(found.sources, found[what], marker, color=colour, markersize=2, alpha=0.5)
ax.set(xscale="log", xlabel="sources to learn from", ylabel="balanced accuracy, validation sources")
ax.set_xticks([6, 12, 23, 46, 92], ["6", "12", "23", "46", "92"])
ax.minorticks_off()
ax.legend(fontsize=9)
plotting.show(fig, "09_learning_curves")

# %% [markdown]
# Two lessons in one picture. Seven numbers learn all they can from a few dozen sources, then stop. The network needs more sources than the archive has; with two to four times as many, it has caught up. *Complexity is bought with data.* (Single trainings scatter by a few points, as the small dots show, and all are judged by the same dozen sources: believe the trend, not the third digit.)
#
# And the small print. These sources came from the **true** distributions, with the true labels. Outside this course nobody has them: your simulator is wrong in ways that you do not know, the network will learn its mistakes with great care, and its score on simulations will not tell. Lessons 13 to 16 are about that.

# %% [markdown]
# ## Other clever additions
#
# **Dropout** silences random perceptrons in training, so that none relies on one neighbour: for wide networks that overfit. **Batch normalisation** rescales the inputs of each layer: for networks of ten layers and more, which otherwise hardly train. **Attention** lets each part of the input decide which other parts matter: for long sequences of varying length, such as event lists, and for very large data sets. None of them adds information, and each adds choices. With two dozen sources, you need none.

# %% [markdown]
# ## When is complexity worth it?
#
# 1. Is the straight line, with its error bar, on the table? If not, stop here.
# 2. Is it limited by labels? Then nothing above it will help.
# 3. Does something complex beat it? Find out *what it has found*: a square, a product, a ratio? Write it down: one feature, no network.
# 4. Tables of features, thousands of rows: try gradient boosting. It takes gaps, and needs little tuning.
# 5. Raw spectra, images, light curves, *and* many independent sources (or a simulator that you trust): a network.
# 6. Is the gain larger than the error of the difference, and larger than the cost: of training, of explaining it to a referee, of keeping it alive after you have left? If not, go back to 1.

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - Compare on the same held-out sources; the error of the difference decides.
# - For the state, logistic regression wins by being as good and simpler. For the object, a network gains a little, and one squared feature gains the same.
# - A perceptron is logistic regression; hidden layers make features. More parameters than sources: watch the held-out loss.
# - A network on raw spectra needs more sources than we have. Physics in the features replaces data.

# %% [markdown]
# **Further reading.** V. Acquaviva, *Machine Learning for Physics and Astronomy* (Princeton, 2023): trees, ensembles, networks, with astronomers' data · D. Baron ([arXiv:1904.07248](https://arxiv.org/abs/1904.07248)): the families of algorithms, side by side · J. Buchner & S. Fotopoulou, 2024 ([arXiv:2502.08222](https://arxiv.org/abs/2502.08222)): choosing a model for a first project · scikit-learn user guide, [Ensembles: gradient boosting, random forests](https://scikit-learn.org/stable/modules/ensemble.html): what each setting does.
