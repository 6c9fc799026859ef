"""Check of the exam: refuse answers that cannot be scored, then open the truth, and count the openings."""

import functools
import io
from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np
import pandas as pd
from IPython.display import display
from scipy.stats import spearmanr
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, recall_score, roc_auc_score
from sklearn.pipeline import make_pipeline

from course.checks import NOT_ATTEMPTED, NOT_YET, Hint, Verdict, first_line, forms
from helpers.data import load_observations, read_file
from helpers.preprocessing import GROUPS, STATE_FEATURES, preprocessor
from helpers.resampling import resample_sources

__all__ = ["open_truth"]

STATES = ["LHS", "HIMS", "SIMS", "HSS"]
_KINDS = {"obs_id": str, "state": str, **dict.fromkeys([*STATES, "BH"], float)}
_PROMISES = {
    "readers": "balanced accuracy of the state against the readers",
    "truth": "balanced accuracy of the state against the truth",
    "object": "AUC of BH against the truth",
}
_WIDEST = 0.4
_SKIES = 200  # drawn for the error of each score
_CLOSED = " (The truth stays closed.)"

_openings = []  # the scores of each opening in this process


def open_truth(predictions=..., promise=...):
    """Score the answers of the exam against the truth, if predictions and promise are complete.

    Args:
        predictions: a table with a row for each sealed pointing, in any order: `obs_id`; `state`, the call; LHS, HIMS,
            SIMS, HSS, their probabilities; BH, the probability that the source is a black hole.
        promise: {"readers": (low, high), "truth": (low, high), "object": (low, high)}: 95 per cent intervals of the
            three scores.

    Returns:
        None if the truth stayed closed; else `scores` (a row for yours, the simple model and the majority),
        `kept` ({promise: whether it was}), `states`, `sources` (who went wrong), and `opening`, the number of it.
    """
    try:
        if predictions is ...:
            return _refuse(NOT_ATTEMPTED, "Give the table of your predictions.")
        promise = _promised(promise)
        rows = _aligned(predictions)
    except Hint as hint:
        return _refuse(NOT_YET, str(hint))
    except Exception as error:
        return _refuse(NOT_YET, f"It raised {type(error).__name__}: {first_line(error)}")
    if promise is None:
        return _refuse(
            NOT_ATTEMPTED, "A promise is made before the truth is opened: fill in all three."
        )
    truth = pd.read_csv(io.BytesIO(read_file("another_sky_truth.csv"))).set_index("obs_id")
    result = _judge(rows, promise, truth.loc[rows["yours"].obs_id].reset_index())
    _openings.append(result.scores.loc["yours"])
    result.opening = len(_openings)
    _tell(result, promise)
    return result


def _refuse(state, message):
    display(Verdict("Another sky", state, message + _CLOSED))


def _promised(promise):
    """Return {name: (low, high)}, or None if one is not yet written."""
    if promise is ... or (isinstance(promise, Mapping) and any(map(_open, promise.values()))):
        return None
    ends = {
        name: forms.tuple_of(f"the low and the high end of promise {name!r}", *2 * [forms.number()])
        for name in _PROMISES
    }
    promise = forms.mapping(ends)(promise)
    for name, (low, high) in promise.items():
        if not (np.isfinite([low, high]).all() and 0 <= min(low, high) <= max(low, high) <= 1):
            raise Hint(
                f"Promise {name!r}: both scores lie between 0 and 1; you wrote {low:g} and {high:g}."
            )
        if low >= high:
            raise Hint(
                f"Promise {name!r}: first the low end, then the high one; you wrote {low:g} and {high:g}."
            )
        if high - low > _WIDEST:
            raise Hint(
                f"Promise {name!r}: in an interval wider than {_WIDEST:g} nothing could surprise you."
            )
    return promise


def _open(interval):
    """Whether it is not yet written, or one end of it is not. (Arrays have no ends to be compared with `...`.)"""
    return interval is ... or (
        isinstance(interval, tuple | list) and any(end is ... for end in interval)
    )


def _aligned(predictions):
    """{name: rows of `open_truth` in the order of the sealed table}, of the learner and of the two rivals."""
    sealed, rivals = load_observations("another_sky_sealed"), _rivals()
    table = _table(predictions)
    ids = pd.Index(table.obs_id)
    if ids.has_duplicates:
        raise Hint(
            f"Rows that repeat a pointing: {ids.duplicated().sum()}, such as {ids[ids.duplicated()][0]}."
        )
    if len(strange := ids.difference(sealed.obs_id)):
        raise Hint(
            f"Rows that are no sealed pointings: {len(strange)}, such as {strange[0]}; "
            'predict those of load_observations("another_sky_sealed").'
        )
    if len(missing := pd.Index(sealed.obs_id).difference(ids)):
        raise Hint(
            f"Pointings that are missing: {len(missing)} of {len(sealed)}, such as {missing[0]}."
        )
    yours = table.set_index("obs_id").loc[sealed.obs_id].reset_index()
    _examine(yours, rivals["simple model"])
    own = {"yours": yours, **rivals}
    return {name: rows.assign(source_id=sealed.source_id) for name, rows in own.items()}


def _table(predictions):
    """The columns in their kinds, from a table or a dictionary of columns in any container."""
    if isinstance(predictions, Mapping):
        pandas = (pd.Series, pd.Index)
        predictions = {
            name: value if isinstance(value, pandas) else forms.array(f"column {name}", _KINDS[name])(value)
            for name, value in predictions.items()
            if name in _KINDS
        }  # fmt: skip
    table = forms.table("a table with a row for each sealed pointing")(predictions)
    if "obs_id" not in table and table.index.inferred_type == "string":
        table = table.rename_axis("obs_id").reset_index()
    if absent := [name for name in _KINDS if name not in table]:
        raise Hint(f"Column {absent[0]!r} is missing; the columns are {', '.join(_KINDS)}.")
    if doubled := [name for name in _KINDS if table[name].ndim > 1]:
        raise Hint(f"There are two columns {doubled[0]!r}.")
    return pd.DataFrame(
        {k: forms.array(f"column {k}", kind)(table[k].to_numpy()) for k, kind in _KINDS.items()}
    )


def _examine(yours, simple):
    """Refuse values that are no probabilities, and columns that were exchanged; this needs no truth."""
    if strange := sorted(set(yours.state) - set(STATES)):
        raise Hint(f"{strange[0]!r} is no state: expected {', '.join(STATES)}.")
    chance = yours[[*STATES, "BH"]]
    if bad := (~np.isfinite(chance)).sum().sum():
        raise Hint(
            f"Probabilities that are NaN or infinite: {bad}; every sealed pointing needs all five."
        )
    if (chance < -1e-6).any(axis=None) or (chance > 1 + 1e-6).any(axis=None):
        raise Hint("Probabilities lie between 0 and 1: are yours in per cent, or logarithms?")
    total = yours[STATES].sum(axis=1)
    if (total - 1).abs().max() > 1e-3:
        worst = total[(total - 1).abs().idxmax()]
        raise Hint(
            f"LHS, HIMS, SIMS and HSS add up to 1 in each row; in one of yours to {worst:.3g}."
        )
    largest = yours[STATES].idxmax(axis=1)
    if (alike := np.mean(largest == yours.state)) < 0.5:
        raise Hint(
            f"In {alike:.0%} of the rows `state` is the state with the largest probability: are the columns in the "
            "order of the model's `classes_`?"
        )
    if yours.state.nunique() > 1 and abs(cohen_kappa_score(yours.state, simple.state)) < 0.1:
        raise Hint(
            "Your states agree with those of a simple model as if by chance: did `obs_id` and rows lose each other?"
        )
    if yours.BH.nunique() > 1 and spearmanr(yours.BH, simple.BH)[0] < -0.3:
        raise Hint(
            "Where a simple model sees black holes, your BH is small: is it the probability of the other class?"
        )


@functools.cache
def _rivals():
    """Return predictions of the simple model of lessons 07 and 08, and of the majority, for sealed pointings."""
    known, sealed = map(load_observations, ("another_sky", "another_sky_sealed"))
    columns, lags = list(STATE_FEATURES), list(GROUPS["lags"])

    def logistic(columns):
        return make_pipeline(preprocessor(columns), LogisticRegression(max_iter=2000))

    models = {
        "simple model": (logistic(columns), logistic([*columns, *lags])),
        "majority": (DummyClassifier(), DummyClassifier()),
    }
    said = {}
    for name, (state, kind) in models.items():
        state.fit(known, known.state_label)
        kind.fit(known, known.object_label)
        chance = pd.DataFrame(state.predict_proba(sealed), columns=state.classes_)[STATES]
        said[name] = chance.assign(
            obs_id=sealed.obs_id,
            state=state.predict(sealed),
            BH=kind.predict_proba(sealed)[:, list(kind.classes_).index("BH")],
        )
    return said


def _scores(rows):
    """Return the three promised scores, and the Brier score of the probabilities of the states."""
    happened = rows.real.to_numpy()[:, None] == STATES
    return {
        "readers": balanced_accuracy_score(rows.read, rows.state),
        "truth": balanced_accuracy_score(rows.real, rows.state),
        "object": roc_auc_score(rows.hole, rows.BH),
        "Brier": np.mean(np.sum((rows[STATES].to_numpy() - happened) ** 2, axis=1)),
    }


def _judge(rows, promise, truth):
    """All that the truth has to say; it lies in the order of the rows."""
    real = {"read": truth.state_label, "real": truth.state, "hole": truth.object == "BH"}
    rows = {name: own.assign(**real) for name, own in rows.items()}
    yours, simple = rows["yours"], rows["simple model"]
    scores = pd.DataFrame({name: _scores(own) for name, own in rows.items()}).T
    sources = _by_source(yours)
    kind = yours.source_id.map(sources.really)  # each kind of source is drawn separately
    generator = np.random.default_rng(0)
    skies = [
        _scores(pd.concat([resample_sources(own, generator) for _, own in yours.groupby(kind)]))
        for _ in range(_SKIES)
    ]
    wrong = yours[yours.state != yours.real].groupby("real").state
    states = {
        "pointings": yours.real.value_counts(),
        "yours": pd.Series(_recalls(yours), STATES),
        "simple model": pd.Series(_recalls(simple), STATES),
        "most often taken for": wrong.agg(lambda called: called.mode()[0]),
    }
    return SimpleNamespace(
        scores=scores,
        errors=pd.DataFrame(skies).std(),
        kept={
            name: bool(low <= scores.loc["yours", name] <= high)
            for name, (low, high) in promise.items()
        },
        states=pd.DataFrame(states, index=STATES).fillna({"most often taken for": "none"}),
        sources=sources,
    )


def _recalls(rows):
    return recall_score(rows.real, rows.state, labels=STATES, average=None)


def _by_source(rows):
    """One row for each source: the share of its pointings whose state is wrong, and on which side of 1/2 BH lies."""
    holes = rows.groupby("source_id").hole.mean() > 0.5  # a few pointings are filed under others
    side = (rows.BH > 0.5) != rows.source_id.map(holes)
    rows = rows.assign(states=rows.state != rows.real, side=side)
    found = rows.groupby("source_id").agg(
        pointings=("obs_id", "size"), states=("states", "mean"), mean=("BH", "mean"), side=("side", "mean")
    )  # fmt: skip
    found.insert(0, "really", np.where(holes, "BH", "NS"))
    names = {"states": "states wrong", "mean": "mean of BH", "side": "BH on the wrong side of 1/2"}
    worst = found.sort_values(["side", "states"], ascending=False)
    return worst.rename(columns=names)


def _tell(result, promise):
    """Print the answer: how often the truth was opened, what was kept, against whom, and what went wrong."""
    yours, n = result.scores.loc["yours"], result.opening
    if n == 1:
        print("The truth is open. This was the first time, and the only one that counts.")
    else:
        first = ", ".join(f"{name} {_openings[0][name]:.3f}" for name in _PROMISES)
        print(
            f"Opening number {n} in this kernel. Whoever has seen the truth can no longer be tested by it: "
            f"report the first opening ({first})."
        )
    for name, what in _PROMISES.items():
        low, high = promise[name]
        side = "above" if yours[name] > high else "below"
        kept = "kept" if result.kept[name] else f"missed, the score lies {side} it"
        print(
            f"{what}: {yours[name]:.3f} ± {result.errors[name]:.3f} (over other draws of as many sources); "
            f"promised {low:.3f} to {high:.3f}, {high - low:.3f} wide: {kept}"
        )
    low, high = promise["truth"]
    if not result.kept["truth"] and low <= yours["readers"] <= high:
        print(
            "For the truth you promised what the readers say: they err, and you were measured by their errors."
        )
    display(result.scores.round(3), result.states.round(2), result.sources.round(2))
