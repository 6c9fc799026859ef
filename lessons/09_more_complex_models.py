# %% [markdown]
# # 9 · A (more complex?) algorithm
#
# | **The question** | Does anything more complex beat logistic regression on this archive, by more than the error bar? |
# |---|---|
# | **Afterwards you can** | compare models on the same held-out sources, with the error of the difference; build a network layer by layer, train it, and see it overfit; say when complexity is worth its price |
# | **Time** | 40 min of reading or teaching, 59 min of exercises |
# | **Data** | training and validation set of the simulated RXTE archive, and its light curves, see `data/README.md` |
# | **Run time** | below 60 s on two cores |

# %%
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict, validation_curve
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier, export_text
from torch import nn
from tqdm.auto import tqdm

# %%
from course.archive import sources as simulator
from course.archive.observer import INSTRUMENTS
from course.checks import lesson_09 as check
from helpers import data, plotting
from helpers.networks import NetworkClassifier, convolutional, feed_forward, probabilities
from helpers.preprocessing import GROUPS, STATE_FEATURES, preprocessor
from helpers.resampling import resample_sources

plotting.use_course_style()
train, validation = data.load_split()
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

# %% [markdown]
# ## The bar
#
# Lesson 07 gave us a straight line for the log odds. Before we try anything complex, we ask: how good is it on sources that it has not seen, and how well do we know that? We have two tasks. Each has its columns and its metric: the *state* (balanced accuracy) and the *object* (ROC AUC; the lags help).

# %%
columns = {"state": list(STATE_FEATURES), "object": [*STATE_FEATURES, *GROUPS["lags"]]}


# %%
def out_of_fold(model, task, seed=0):
    """Probabilities for each training row, by a model that has not seen its source."""
    deal = GroupKFold(5, shuffle=True, random_state=seed)
    how = {"groups": train.source_id, "cv": deal, "method": "predict_proba"}
    return cross_val_predict(model, train[columns[task]], train[f"{task}_label"], **how)


# %%
def score(table, task, chance, weight=None):
    """Balanced accuracy of the state, or ROC AUC of the object, from probabilities."""
    right, _ = pd.factorize(table[f"{task}_label"], sort=True)  # the order of predict_proba
    if task == "object":
        return roc_auc_score(right, chance[:, 1], sample_weight=weight)
    return balanced_accuracy_score(right, chance.argmax(axis=1), sample_weight=weight)


# %%
def draw_skies(source_id, n=40):
    """Weights of the rows (1 + n, n_rows): as observed, then with sources drawn anew (lesson 02)."""
    names, source = np.unique(source_id, return_inverse=True)
    rng, shares = np.random.default_rng(9), np.full(len(names), 1 / len(names))
    return np.vstack([np.ones(len(source)), rng.multinomial(len(names), shares, n)[:, source]])


# %%
def compare(found, bar):
    """The score, its gain over the bar, and their errors; both as observed, then in each sky."""
    gain, names = found - bar, ["score", "error", "gain", "its error"]
    return pd.Series([found[0], found[1:].std(), gain[0], gain[1:].std()], names)


# %%
skies, scores = draw_skies(train.source_id), {}
for task in columns:
    straight = make_pipeline(preprocessor(columns[task]), LogisticRegression(max_iter=2000))
    chance = out_of_fold(straight, task)
    scores[task] = np.array([score(train, task, chance, sky) for sky in skies])
pd.DataFrame({task: compare(found, found) for task, found in scores.items()}).T.iloc[:, :2].round(3)

# %% [markdown] tags=["slide"]
# The sources are dealt into five folds (lesson 08). The error is the scatter of the score over 40 skies, in which whole sources are drawn anew. **Whatever comes now has to beat these two numbers by more than the error of the difference.** For each task, write down whether you expect it.

# %% [markdown]
# ## Nearest neighbours
#
# No formula at all: look up the $k$ training pointings that are most similar, and let them vote. "Similar" means a small distance, so every feature needs the same scale first (lesson 05). In the sum over many features, noise counts as much as signal.

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
# Here are four models of the state (LHS: low/hard, HIMS: hard-intermediate, SIMS: soft-intermediate, HSS: high/soft). They see only two features, the hard colour and the rms. All that they have learned fits into a map. Above each map is its *accuracy*, on the rows that it learned from and out of fold, and how often it says SIMS, out of fold.

# %%
two = ["hr_hard", "rms_0p1_64"]
rows = train.dropna(subset=two).query("hr_hard < 1.6 and 0.01 < rms_0p1_64 < 0.7")
plane = np.log10(rows[two]).set_axis(["log10 hard colour (Crab)", "log10 rms, 0.1–64 Hz"], axis=1)
called = rows.state_label.to_numpy(str)
maps = {
    "1 neighbour": make_pipeline(StandardScaler(), KNeighborsClassifier(1)),
    "50 neighbours": make_pipeline(StandardScaler(), KNeighborsClassifier(50)),
    "tree of depth 3": DecisionTreeClassifier(max_depth=3, random_state=0),
    "logistic regression": make_pipeline(StandardScaler(), LogisticRegression()),
}

# %%
some, colours = plane.assign(state=called).sort_values("state")[::12], ["C2", "C1", "C0", "C3"]
points = {"x": plane.columns[0], "y": plane.columns[1], "palette": colours, "s": 20}
borders = {"response_method": "predict", "multiclass_colors": colours, "alpha": 0.4, "eps": 0.1}
fig, axes = plt.subplots(1, 4, figsize=(10.5, 3.6), sharey=True)
for ax, (name, model) in zip(axes, maps.items(), strict=True):
    deal = GroupKFold(5, shuffle=True, random_state=0)
    said = cross_val_predict(model, plane, called, groups=rows.source_id, cv=deal)
    seen = model.fit(plane, called).score(plane, called)
    DecisionBoundaryDisplay.from_estimator(model, plane, ax=ax, ylabel="", **borders)
    sns.scatterplot(some, hue="state", style="state", ax=ax, legend=ax is axes[0], **points)
    right, sims = np.mean(said == called), np.mean(said == "SIMS")
    title = f"{name}\ntrain {seen:.2f}, held out {right:.2f}\nsays SIMS: {sims:.1%}"
    ax.set_title(title, fontsize=10)
plotting.show(fig, "09_four_models")

# %% [markdown]
# One neighbour has learned its training set by heart, label noise included. It pays for that on new sources. The tree draws rectangles, logistic regression straight lines; on new sources the last three are alike. They hardly ever say SIMS: it shares its place with HSS, and these two features cannot separate them.
#
# ## A tree, read as physics
#
# A **decision tree** asks one question at a time: is this feature above this value? It picks the question that separates the labels best, then asks again on either side. It needs no scaling. It takes missing values: they go to the side that suits them better. And we can read it. (Colours are in units of the Crab, frequencies in Hz.)

# %%
small_tree = partial(DecisionTreeClassifier, max_depth=2, min_samples_leaf=20, random_state=0)
tree = small_tree().fit(train[columns["state"]], train.state_label)
print(export_text(tree, feature_names=columns["state"]))
asks_for_qpo = tree.tree_.feature == columns["state"].index("qpo_freq")
print("a missing QPO counts as 'at most':", *tree.tree_.missing_go_to_left[asks_for_qpo] == 1)

# %% [markdown]
# Would other sources have asked the same? Draw the sources anew, and grow the tree again:

# %%
generator, questions = np.random.default_rng(91), []
for _ in range(8):
    sky = resample_sources(train, generator)
    nodes = small_tree().fit(sky[columns["state"]], sky.state_label).tree_
    asked = zip(nodes.feature, nodes.threshold, strict=True)
    questions.append([f"{columns['state'][f]} ≤ {cut:.2f}" for f, cut in asked if f >= 0])
pd.DataFrame(questions, columns=["first question", "on the soft side", "on the hard side"])

# %% [markdown]
# The first question is the field's own: *hard or soft?* On the soft side it is mostly "was a QPO (quasi-periodic oscillation) seen above 1 Hz?" (no QPO: HSS), else one about the rms. On the hard side the question changes with the sources. Where a photon index is asked for, the cut is near 2.1, and that *is* the table of lesson 01. Nobody told the tree. But it learned from people who had read the table: it has found our habits, not the physics.

# %% [markdown] tags=["slide"]
# **Discuss with your neighbour** (5 min; alone, write two sentences): a tree says "no QPO, so HSS". Is that about the source, or about the telescope?

# %% [markdown] tags=["slide"]
# ## Too simple, too complex
#
# A tree of depth 1 can name two of the four states. A deep tree can give each training row a leaf of its own.
#
# ### Predict first
#
# At which depth will the score on held-out sources be best? Write a whole number between 1 and 16.

# %%
my_guess_depth = ...  # depth, a number

# %%
depths, curves = pd.Index([1, 2, 4, 6, 10, 16], name="depth"), {}
for seed in range(2):  # two deals
    deal = GroupKFold(5, shuffle=True, random_state=seed)
    curves["training rows", seed], curves["held-out sources", seed] = validation_curve(
        DecisionTreeClassifier(random_state=0), train[columns["state"]], train.state_label,
        param_name="max_depth", param_range=depths, scoring="balanced_accuracy",
        cv=deal, groups=train.source_id,
    )  # fmt: skip
curves = pd.DataFrame({key: folds.mean(axis=1) for key, folds in curves.items()}, index=depths)

# %% tags=["slide"]
ax = curves.plot(style=["C1o--", "C0o-", "C1s:", "C0s-."], ylabel="balanced accuracy")
ax.legend(title="rows, deal")
plotting.mark_guess(ax, my_guess_depth)
plotting.show(ax, "09_depth_and_trees")

# %%
curves["held-out sources"].round(2).add_prefix("deal ")

# %% [markdown]
# **The answer:** a depth of 4 in these two deals; 6 and 10 are hardly worse.
#
# **Underfitting**: both scores are low. **Overfitting**: they part. Between them lies a plateau, not a point; which value on it comes out best is chance. The gap between the curves alone is no illness. What counts is the *held-out* curve.

# %% [markdown] tags=["slide"]
# ## Exercise 9.2 · Symptoms  ·  core · 6 min · ●○○
#
# Sort these symptoms into `"underfitting"`, `"overfitting"`, `"leak"`, `"healthy"`.

# %%
# solution: look for both scores in each sentence, and ask who was held out
symptoms = {
    "training rows 0.99, held-out sources 0.60": "overfitting",
    "training rows 0.62, held-out sources 0.61, a rival reaches 0.75 on both": "underfitting",
    "random rows held out 0.97, whole sources held out 0.88": "leak",
    "the held-out loss rises from epoch 6 on, the training loss continues to fall": "overfitting",
    "training rows 0.78, held-out sources 0.75 ± 0.02": "healthy",
    "four states, and the model never names two of them, not even on training rows": "underfitting",
}
# end solution

symptoms = check.symptoms(symptoms)

# %% [markdown]
# ## Many trees
#
# One tree is unstable: you saw it change with the sources. There are two cures.
#
# - A **random forest** grows many deep trees and averages them. Each has rows drawn anew, and a random choice of features at each question. Their errors differ, so they cancel in part.
# - **Gradient boosting** grows small trees one after the other. Each learns what the sum of those before got wrong (along the gradient of the loss of lesson 07).
#
# Both will compete below. First comes the other family.

# %% [markdown]
# ## The perceptron
#
# $$y = s\Big(\sum_i w_i x_i + b\Big)$$
#
# A perceptron has **weights** $w_i$, a **bias** $b$ and an **activation** $s$. With $s(z) = 1/(1+e^{-z})$ a single perceptron *is* lesson 07's logistic regression: $w$ are its coefficients, $b$ its intercept. Let us copy them.

# %%
is_star = (train.object_label == "NS").to_numpy()
straight = make_pipeline(preprocessor(columns["object"]), LogisticRegression(max_iter=2000))
straight.fit(train, is_star)
inputs = torch.tensor(straight[:-1].transform(train).to_numpy(np.float32))
perceptron = nn.Linear(inputs.shape[1], 1)
with torch.no_grad():
    perceptron.weight[:] = torch.tensor(straight[-1].coef_)
    perceptron.bias[:] = torch.tensor(straight[-1].intercept_)
    fires = perceptron(inputs).sigmoid()[:, 0]
print("the same:", np.allclose(fires, straight.predict_proba(train)[:, 1], atol=1e-5))

# %% [markdown]
# So it can draw one straight border, and no more. The smallest problem on which that fails is **exclusive or**: y = 1 if *one* of two inputs is 1, but not both. No line separates the corners (0, 1) and (1, 0) from (0, 0) and (1, 1).

# %% [markdown] tags=["slide"]
# ## Exercise 9.3 · Exclusive or, with your own hands  ·  core · 10 min · ●●○
#
# Two perceptrons look at the inputs. A third looks at those two. Each fires (1) if its sum $z$ is above 0, else not (0). Choose nine numbers: hidden weights (2 × 2, row $j$ for perceptron $j$), two hidden biases, two output weights, one output bias. A sketch of the four corners and two lines helps more than algebra.

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
# The hidden layer has made new *features*, in which the problem is a straight line again. That is all the magic there is. In practice gradient descent finds the numbers. This needs an activation with a slope: usually the **ReLU**, $s(z) = \max(z, 0)$. The next task is to tell points inside a circle (crosses) from points outside it (dots). The grey is the probability of "inside":

# %%
ring = np.random.default_rng(2).uniform(-1.2, 1.2, (500, 2))
inside = np.hypot(*ring.T) < 0.7
training = {"n_epochs": 60, "learning_rate": 0.03}
shades = {"response_method": "predict_proba", "cmap": "Greys", "vmax": 1.4, "eps": 0.1}
fig, axes = plt.subplots(1, 3, figsize=(8.4, 3.1), sharey=True)
for ax, hidden in zip(axes, ((), (2,), (16,)), strict=True):
    network = NetworkClassifier(partial(feed_forward, hidden=hidden), seed=2, training=training)
    DecisionBoundaryDisplay.from_estimator(network.fit(ring, inside), ring, ax=ax, **shades)
    sns.scatterplot(x=ring.T[0], y=ring.T[1], hue=inside, style=inside, s=14, legend=False, ax=ax)
    ax.set(title=f"{sum(hidden)} hidden", xlabel="input 1", ylabel="input 2", aspect="equal")
plotting.show(fig, "09_circle")

# %% [markdown]
# Each hidden perceptron contributes one straight border: two are too few to close a curve, sixteen make it nearly round. (Try other seeds. Now and then one of the two is 0 everywhere, has no slope to follow, and never learns again. It is *dead*. Among sixteen, nobody notices.)
#
# ## A feed-forward network, layer by layer
#
# Stack such layers. Each takes the outputs of the one before, multiplies by a matrix, adds a bias, applies the ReLU. The last layer has one output per class and *no* activation. Its outputs are called **logits**: log probabilities, but for one constant that all classes share. So the *difference* of two logits is a log odds. Softmax (lesson 07) turns them into probabilities.

# %% [markdown] tags=["slide"]
# ## Exercise 9.4 · The forward pass  ·  core · 10 min · ●●○
#
# `layers` is a list of pairs: weights (n_out, n_in), as torch keeps them, and biases (n_out,). Return the outputs of the last layer, one row per sample. Use numpy, and no loop over samples.


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
layers = [(part.weight.detach().numpy(), part.bias.detach().numpy()) for part in network[::2]]
ours, theirs = forward(inputs.numpy(), layers), network(inputs).detach().numpy()
print("torch does the same:", np.allclose(ours, theirs, atol=1e-4))

# %% [markdown] tags=["slide"]
# ## Exercise 9.5 · How many parameters?  ·  core · 5 min · ●○○
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
size, n_sources = n_parameters([inputs.shape[1], 64, 32, 2]), train.source_id.nunique()
print(f"{size} parameters, {len(train)} pointings, {n_sources} sources")

# %% [markdown]
# The network has more parameters than we have pointings, and over a hundred times as many as we have sources. Keep that in mind.

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
# Now comes the loop. One **epoch** is one pass through all samples, in **mini-batches** of random order. We use the optimiser AdamW. It is gradient descent with a step size for each parameter, and with **weight decay**, which pulls all weights towards zero (nearly the ridge penalty of lesson 07). The task is the object. One fold of sources is watched and never learned from.

# %%
keep, out = next(GroupKFold(5, shuffle=True, random_state=3).split(train, groups=train.source_id))
scaled = preprocessor(columns["object"]).fit(train.iloc[keep]).transform(train)
x = torch.tensor(scaled.to_numpy(np.float32), device=device)
y = torch.tensor(is_star, device=device).long()
loss_of = nn.CrossEntropyLoss()


# %%
def run(network, n_epochs, weight_decay, generator, watch):
    """Train on `keep`; return what `watch` says of the network after each epoch."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3, weight_decay=weight_decay)
    history = []
    for _ in range(n_epochs):
        for batch in torch.randperm(len(keep), generator=generator).split(256):
            chosen = torch.tensor(keep)[batch].to(device)
            train_step(network, loss_of, optimiser, x[chosen], y[chosen])
        history.append(watch(network))
    return history


# %%
def losses(network):
    """The losses of training rows and of held-out sources, and the AUC of the latter."""
    with torch.no_grad():
        both = [loss_of(network(x[part]), y[part]).item() for part in (keep, out)]
    return *both, roc_auc_score(is_star[out], probabilities(network, x[out])[:, 1].cpu())


# %% [markdown] tags=["slide"]
# ### Predict first
#
# We train for forty epochs. After which one will the loss of the *held-out* sources be lowest?

# %%
my_guess_epoch = ...  # epoch, a number

# %% tags=["nbval-ignore-output"]
histories, names = {}, ["training rows", "held-out sources", "AUC"]
for decay in (0.0, 1.0):
    start = torch.Generator().manual_seed(3)
    network = feed_forward(x.shape[1], 2, generator=start).to(device)
    found = run(network, 40, decay, start, losses)
    histories[decay] = pd.DataFrame(found, index=range(1, 41), columns=names)
histories = pd.concat(histories, axis=1, names=["weight decay", "loss"])

# %% tags=["nbval-ignore-output", "slide"]
shown = [f"{name}, weight decay {decay:g}" for decay in (0.0, 1.0) for name in names[:2]]
by_epoch = histories.drop(columns="AUC", level=1).set_axis(shown, axis=1)
ax = by_epoch.plot(style=["C1--", "C1-", "C0:", "C0-."])
ax.set(xlabel="epoch", ylabel="loss (mean of −ln p)", ylim=(0, 0.7))
plotting.mark_guess(ax, my_guess_epoch)
plotting.show(ax, "09_epochs")

# %% tags=["nbval-ignore-output"]
histories.loc[[1, 5, 10, 20, 40]].rename_axis("epoch").round(3)

# %% [markdown]
# **The answer:** after a few epochs.
#
# This is overfitting, live: from some epoch on, the network gets better on what it knows and *worse* on what it does not know. (The epoch depends on the sources that are held out.) The AUC loses only a few points. So the network ranks pointings nearly as before; what gets worse is its **confidence** in the mistakes. If you need probabilities, stop early. If you only need a ranking, you may not even notice.
#
# There are two cures: **early stopping**, at the epoch where the sources that you watch are best (so these are no test any more), and **weight decay**. In `helpers.networks` all this is one function, `train`. A test of this course holds that it takes exactly the steps of our loop.

# %% [markdown]
# ## One more rival: a thought
#
# Before the contest, we read a tree again. This one learned the object:

# %%
tree_of_objects = small_tree().fit(train[columns["object"]], train.object_label)
print(export_text(tree_of_objects, feature_names=columns["object"]))
fig, ax = plt.subplots(figsize=(7.2, 3.8))
plotting.distributions(ax, train, "disc_frac")
plotting.show(fig, "09_disc_share")

# %% [markdown]
# Without a disc, the tree says black hole; with some disc, neutron star; with almost nothing but disc, black hole again. The reason is physics: gas that lands on a *surface* shines too, so a soft neutron star is never all disc. But a straight line in the log odds can only go up or down with the disc share. It cannot go down and then up. A parabola can. So our last rival is **logistic regression with one more column: the disc share squared**. (We found it by looking at training sources. The validation sources will have to confirm it.)
#
# ## All of them, on the same sources
#
# The network trains for ten epochs. This is early stopping, by eye, from the curves above.

# %%
settings = {"n_epochs": 10, "batch_size": 256, "learning_rate": 5e-3, "balanced": False}


# %%
def contestants(task, seed=0):
    """The models, ready for a table of observations; trees take it with its gaps and unscaled."""
    prepared = preprocessor(columns[task])
    bare = FunctionTransformer(pd.DataFrame.filter, kw_args={"items": columns[task]})
    square = FunctionTransformer(lambda table: table.assign(disc_squared=table.disc_frac**2))
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
entries = [(task, name) for task in columns for name in contestants(task)]
for task, name in tqdm(entries):
    chance = out_of_fold(contestants(task)[name], task)
    scores[task, name] = np.array([score(train, task, chance, sky) for sky in skies])
results = {entry: compare(scores[entry], scores[entry[0]]) for entry in entries}
results = pd.DataFrame(results).T
results.round(3)

# %% tags=["slide"]
gains = results.drop("logistic regression", level=1).unstack(0)[::-1]
look = {"subplots": True, "layout": (1, 2), "sharey": True, "figsize": (9, 3.8), "legend": False}
axes = gains["gain"].plot.barh(xerr=gains["its error"], color="0.8", xlabel="gain", **look)
plotting.show(axes[0, 0], "09_scores")

# %% [markdown]
# The figure shows the gain over logistic regression, in balanced accuracy or AUC. The error bar is that of the *difference* on the same sources. A comparison needs this error, not that of each score.
#
# - **State.** Nobody beats the straight line by anything worth having. Forest, boosting and network agree with it within a point or two. Neighbours and the single tree lie lower. (Label noise sets the ceiling, lesson 08.) **Simple wins.**
# - **Object.** Forest and boosting gain about one error, which means nothing. (It matters *which* of the few black holes they have seen.) The network lies above by about two errors: a hint, no discovery. But look at logistic regression with the square of one feature: it gains as much. Has the network found the same parabola? Its weights do not say. But it does not beat the model that has one square and nothing else. **A thought wins**, and it can be explained to a referee.
#
# Now the check on the validation sources, which had no part in finding it:

# %% tags=["nbval-ignore-output"]
confirmed = {}
for task, name in entries:
    model = contestants(task)[name].fit(train, train[f"{task}_label"])
    confirmed[task, name] = score(validation, task, model.predict_proba(validation))
pd.Series(confirmed).unstack(0).round(3)

# %% [markdown]
# The parabola holds: one coefficient more than the bar does what the network needs thousands of weights for. On these sources forest and boosting gain, too; how much depends on the sources. (With so few rows, the price of complexity is not the computing time. It is the explaining.)

# %% [markdown]
# ## Convolution
#
# So far, people made the features. Can a network make them, from the power spectrum itself? Our light curves come as segments of 128 s with 71 powers each. A feed-forward network would have to learn a QPO at 2 Hz and one at 3 Hz as two different things. A **convolution** slides one small filter along all frequencies: what it learns at one place, it knows at every place.

# %%
light = data.load_segments()
frequency = light.frequency
learn, judge = (np.isin(light.source_id, table.source_id) for table in (train, validation))
state, state_names = pd.factorize(light.state_label, sort=True)  # 0 to 3, alphabetical
ids = pd.DataFrame({"pointings": light.obs_id, "sources": light.source_id})
pd.concat({"training": ids[learn].describe()[:2], "validation": ids[judge].describe()[:2]})

# %% [markdown]
# (The count is that of the segments.) The input will be $\log_{10}$ of power over noise level, scaled with the numbers of the training sources. (The noise is known. A network that must find it needs more data.)

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
spectra = np.log10(light.power / light.noise[:, None])
answers = np.apply_along_axis(np.correlate, 1, spectra, bump_filter, "valid")  # at each place
hims = np.flatnonzero(learn & (light.state_label == "HIMS"))
row = hims[answers[hims, 12:].max(axis=1).argmax()]  # the clearest bump
fig, (top, bottom) = plt.subplots(2, sharex=True, figsize=(7.2, 4.4))
top.semilogx(frequency, spectra[row], "o-", markersize=4)
top.set(ylabel="log10 (power / noise)", title=f"{light.obs_id[row]}, labelled HIMS")
bottom.semilogx(frequency[3:-3], answers[row], "s-", color="C1", markersize=4)
bottom.set(xlabel="frequency (Hz)", ylabel="answer of the filter")
plotting.show(fig, "09_filter")

# %% [markdown]
# torch calls this sliding sum `conv1d`. Ours is one filter. `helpers.networks.convolutional` has 16 in its first layer, and 32 more that look at their answers, after **pooling** has kept the larger of each two neighbours. Their numbers start at random and are learned.
#
# The rival has to be fair: made by hand **from the same 128 s**. It has seven numbers: six rms (noise subtracted; negative where noise won), in the bands of the power colours, above them, and in all; and the frequency where $f P$ peaks.

# %%
bands = ((0, 1 / 32), (1 / 32, 1 / 4), (1 / 4, 2), (2, 16), (16, 64), (0, 64))  # Hz


# %%
def summaries(power, noise):
    """Seven numbers for each spectrum (n, 71) in (rms/mean)²/Hz with its noise level (n,)."""
    excess = power - noise[:, None]
    width = light.n_averaged / light.length  # Hz
    variance = [(excess * width * ((frequency >= a) & (frequency < b))).sum(1) for a, b in bands]
    rms = [np.sign(v) * np.sqrt(np.abs(v)) for v in variance]
    peak = frequency[np.where(frequency > 1 / 32, frequency * excess, -np.inf).argmax(axis=1)]
    return np.column_stack([*rms, np.log10(peak)])


# %%
def fit_on(kind, x, y, seed, n_epochs=10):
    """A model in a pipeline, classes balanced, trained."""
    if kind == "logistic":
        model = LogisticRegression(class_weight="balanced", max_iter=2000)
    else:
        model = NetworkClassifier(kind, seed=seed, device=device, training={"n_epochs": n_epochs})
    return make_pipeline(StandardScaler(), model).fit(x, y)


# %%
others = [s for s in draw_skies(light.source_id[judge]) if len(set(state[judge][s > 0])) == 4]


# %%
def on_validation(said):
    """Balanced accuracy on the validation spectra, as observed and in each sky."""
    return np.array([balanced_accuracy_score(state[judge], said, sample_weight=s) for s in others])


# %% tags=["nbval-ignore-output"]
hand, duel = summaries(light.power, light.noise), {}
rivals = {
    "7 numbers by hand": (hand, "logistic", 0),
    "network, 10 epochs": (spectra, convolutional, 10),
    "network, 30 epochs": (spectra, convolutional, 30),
}
for name, (given, kind, n_epochs) in rivals.items():
    model = fit_on(kind, given[learn], state[learn], 0, n_epochs)
    scores[name] = on_validation(model.predict(given[judge]))
    duel[name] = compare(scores[name], scores["7 numbers by hand"])
    seen = model.predict(given[learn])
    duel[name]["on training rows"] = balanced_accuracy_score(state[learn], seen)
pd.DataFrame(duel).T.round(2)

# %% [markdown]
# The convolutional network, which has read all 71 powers, is *not better* than seven numbers and a straight line; the table gives the gain and its error. Train it longer, and it knows its training set by heart, while the score on other sources falls. Why? Its thousand segments are overlapping pieces of 204 pointings, of 23 sources. **The sample size is 23.** The seven numbers hold two centuries of Fourier analysis and six decades of X-ray astronomy. The network has to find all that in 23 examples.

# %% [markdown]
# ## More data
#
# How many sources does the network lack? A **learning curve** says: train on few sources and on many, score on the validation sources. We have no more sources. But someone with a simulator can draw *new* ones, from the very distributions that made the archive. For this we look into the factory of the archive, `course/archive/`: `sources` draws the truth, and `INSTRUMENTS` says how a telescope sees it.

# %%
pca = INSTRUMENTS["rxte"]
inside_band = pca.inside(pca.fit_band)
low, high = pca.channels
per_detector = (pca.background((low + high) / 2) * (high - low))[inside_band].sum()  # counts/s


# %%
def new_pointings(n_sources, generator):
    """Pointings of sources that nobody has seen, where they are well above the background."""
    drawn = simulator.draw_sources(generator, n_sources // 3, n_sources - n_sources // 3)
    outbursts = simulator.draw_outbursts(drawn, "rxte", 3 * n_sources, generator)
    truth = simulator.draw_pointings(drawn, outbursts, np.full(n_sources, 12), generator)
    flux = simulator.photon_flux(pca.matrix.energy_lo, pca.matrix.energy_hi, truth)
    disc, layer, corona = pca.matrix.fold(flux).numpy()[..., inside_band].sum(axis=-1)
    total, on = disc + layer + corona, generator.integers(1, 6, len(truth))  # detectors switched on
    rates = {"rate": total * on, "background": per_detector * on, "steady": (disc + layer) / total}
    return truth.assign(**rates).query("rate > 2 * background")


# %% [markdown]
# Their power spectra are quickly made: a power is its expectation times a random number of known distribution. One power scatters as an exponential variate, the mean of n of them as a gamma variate.


# %%
def new_spectra(truth, generator):
    """Power spectra of 128 s as those of the archive, and their noise levels."""
    noise = (2 * (truth.rate + truth.background) / truth.rate**2).to_numpy()
    width = light.n_averaged / light.length  # of a bin, Hz: the spectrum is averaged over it
    places = [torch.tensor(frequency + part * width) for part in (-0.4, -0.2, 0, 0.2, 0.4)]
    corona = np.mean([simulator.power_spectrum(f, truth).numpy() for f in places], axis=0)
    diluted = corona * (1 - truth.steady.to_numpy()[:, None]) ** 2
    scatter = generator.gamma(light.n_averaged, size=diluted.shape) / light.n_averaged
    return (diluted + noise[:, None]) * scatter, noise


# %%
def pair(n_sources, seed):
    """Scores on the validation sources of network and 7 numbers, trained on new sources."""
    generator = np.random.default_rng(seed)
    truth = new_pointings(n_sources, generator)
    power, noise = new_spectra(truth, generator)
    y_new = np.searchsorted(state_names, truth.state)
    n_epochs = max(5, round(120 * 64 / len(y_new)))  # some 120 steps
    network = fit_on(convolutional, np.log10(power / noise[:, None]), y_new, seed, n_epochs)
    line = fit_on("logistic", summaries(power, noise), y_new, seed)
    return on_validation(network.predict(spectra[judge])), on_validation(line.predict(hand[judge]))


# %% tags=["nbval-ignore-output"]
growth = {}
for n in tqdm((12, 23, 92)):
    network, by_hand = np.mean([pair(n, seed) for seed in range(3)], axis=0)
    growth[n] = compare(network, by_hand)
    growth[n]["7 numbers"] = by_hand[0]
growth = pd.DataFrame(growth).T.rename(columns={"score": "network"}).rename_axis("sources")
growth.round(3)

# %% tags=["nbval-ignore-output"]
both = growth[["network", "7 numbers"]]
ax = both.plot(style=["o-", "^--"], xticks=both.index, ylabel="balanced accuracy")
plotting.show(ax, "09_learning_curves")

# %% [markdown]
# The picture holds two lessons. The seven numbers need few sources, and gain little from more. The network gains more: it needs more sources than the archive has. With four times as many it is as good as the seven numbers, within the error of the difference. *Complexity is bought with data.* (Single trainings scatter by a few points, and all are judged by the same dozen sources. So the error is as large as most differences here. Believe the trend, not the third digit.)
#
# Now the small print: these sources came from the **true** distributions, with the true labels. Outside this course nobody has them. Your simulator is wrong in ways that you do not know, the network will learn its mistakes with great care, and its score on simulations will not tell. Lessons 13 to 16 are about that.

# %% [markdown]
# ## Other clever additions
#
# **Dropout** silences random perceptrons in training, so that none relies on one neighbour. It helps wide networks that overfit. **Batch normalisation** rescales the inputs of each layer. It helps networks of ten layers and more, which otherwise hardly train. **Attention** lets each part of the input decide which other parts matter. It helps with long sequences of varying length, such as event lists, and needs very large data sets. None of them adds information, and each adds choices. With two dozen sources, you need none.

# %% [markdown]
# ## When is complexity worth it?
#
# 1. Is the straight line, with its error bar, on the table? If not, stop here.
# 2. Is it limited by labels? Then no other model will help.
# 3. Does something complex beat it? Find out *what it has found*: a square, a product, a ratio? Write it down: one feature, no network.
# 4. Tables of features, thousands of rows: try gradient boosting. It takes gaps, and needs little tuning.
# 5. Raw spectra, images, light curves, *and* many independent sources (or a simulator that you trust): a network.
# 6. Is the gain larger than the error of the difference? Is it larger than the cost of training, of explaining it to a referee, of keeping it alive after you have left? If not, go back to 1.

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - Compare on the same held-out sources; the error of the difference decides.
# - For the state, logistic regression wins: it is as good, and simpler. For the object, a network gains a little, and one squared feature gains the same.
# - A perceptron is logistic regression; hidden layers make features. With more parameters than sources, watch the held-out loss.
# - A network on raw spectra needs more sources than we have. Physics in the features replaces data.

# %% [markdown]
# **Further reading.** V. Acquaviva, *Machine Learning for Physics and Astronomy* (Princeton, 2023): trees, ensembles, networks, with astronomers' data · D. Baron ([arXiv:1904.07248](https://arxiv.org/abs/1904.07248)): the families of algorithms, side by side · J. Buchner & S. Fotopoulou, 2024 ([arXiv:2502.08222](https://arxiv.org/abs/2502.08222)): choosing a model for a first project · scikit-learn user guide, [Ensembles: gradient boosting, random forests](https://scikit-learn.org/stable/modules/ensemble.html): what each setting does.
