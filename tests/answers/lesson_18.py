"""Answers to the exercises of lesson 18: other right routes, and wrong ones that no table holds."""

import numpy as np
import pandas as pd
import torch
from scipy import stats
from sklearn.linear_model import LinearRegression
from sklearn.metrics import confusion_matrix, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import cross_entropy, normalize

from course.checks import lesson_18


def shapes_one_by_one(counts):
    """A loop over light curves, scipy's skew, and a variance with n - 1."""
    rows = []
    for curve in counts:
        median = np.median(curve)
        noiseless = curve.var(ddof=1) - curve.mean()
        largest = max(curve.max() - median, median - curve.min())
        rows.append(
            (largest / median, stats.skew(curve, bias=False), noiseless / curve.mean() ** 2)
        )
    return pd.DataFrame(rows, columns=["percent_amplitude", "skew", "excess_variance"])


def shapes_in_a_dictionary(counts):
    table = shapes_one_by_one(counts)
    return {name: torch.tensor(table[name].to_numpy()) for name in reversed(table.columns)}


def probe_row_by_row(model, z, table, held_out):
    held = set(held_out)
    pairs = list(zip(table.source_id, table.label, strict=True))
    learn = [k for k, (source, label) in enumerate(pairs) if label and source not in held]
    judge = [k for k, (source, _) in enumerate(pairs) if source in held]
    model.fit(z[learn], table.label.iloc[learn])
    truth, said = table.state.iloc[judge].to_numpy(), model.predict(z[judge])
    return np.mean([(said[truth == name] == name).mean() for name in np.unique(truth)])


def probe_from_a_confusion_matrix(model, z, table, held_out):
    rows = table.assign(k=np.arange(len(table))).set_index("source_id")
    inside, outside = rows.drop(held_out), rows.loc[rows.index.isin(held_out)]
    inside = inside.query("label != ''")
    said = model.fit(z[inside.k], inside.label.to_numpy()).predict(z[outside.k])
    matrix = confusion_matrix(outside.state, said)
    return (matrix.diagonal() / matrix.sum(axis=1)).mean()


def needed_by_a_loop(labels, scores, wanted):
    before = None
    for number, score in zip(labels, scores, strict=True):
        if score >= wanted:
            if before is None:
                return number
            share = (wanted - before[1]) / (score - before[1])
            return before[0] * (number / before[0]) ** share
        before = number, score
    return np.array([np.nan])


def needed_by_interp(labels, scores, wanted):
    reached = np.asarray(scores) >= wanted
    if not reached.any():
        return float("nan")
    k = int(reached.argmax())
    start = max(k - 1, 0)
    ends = scores[start : k + 1], np.log(labels[start : k + 1])
    return [np.exp(np.interp(wanted, *ends))]


def rank_by_a_loop(a, b):
    ranks = []
    for k, one in enumerate(a):
        like = [one @ other for other in b]
        ranks.append(sum(value >= like[k] for value in like))
    return ranks


def rank_by_sorting(a, b):
    """From the end of the sorted list, in torch."""
    like = torch.as_tensor(a) @ torch.as_tensor(b).T
    ordered, own = like.sort(dim=1).values, like.diagonal()[:, None].contiguous()
    return len(b) - torch.searchsorted(ordered, own)[:, 0]


def rank_by_rankdata(a, b):
    return stats.rankdata(-(a @ b.T), method="max", axis=1).diagonal()


def loss_by_logsumexp(a, b, temperature):
    a = a / a.norm(dim=1, keepdim=True)
    b = b / b.norm(dim=1, keepdim=True)
    like = a @ b.T / temperature
    own = like.diagonal()
    return (like.logsumexp(1) + like.logsumexp(0)).mean() / 2 - own.mean()


def loss_by_softmax(a, b, temperature):
    like = torch.cosine_similarity(a[:, None], b[None], dim=-1) / temperature
    p = like.softmax(0).diagonal() * like.softmax(1).diagonal()
    return -0.5 * p.log().mean()


def loss_by_a_matrix_of_answers(a, b, temperature):
    """The right answers as probabilities, which cross_entropy takes, too."""
    like = normalize(a) @ normalize(b).T / temperature
    own = torch.eye(len(a))
    return (cross_entropy(like, own) + cross_entropy(like.T, own)) / 2


def content_of_scaled_columns(z, targets, outside):
    line = make_pipeline(StandardScaler(), LinearRegression())
    said = line.fit(z[~outside], targets[~outside]).predict(z[outside])
    return pd.Series(r2_score(targets[outside], said, multioutput="raw_values"), list(targets))


def content_by_least_squares(z, targets, outside):
    design = np.column_stack([np.ones(len(z)), z])
    found = {}
    for name, y in targets.items():
        y = np.asarray(y)
        weights, *_ = np.linalg.lstsq(design[~outside], y[~outside], rcond=None)
        rest = y[outside] - design[outside] @ weights
        found[name] = 1 - rest.var() / y[outside].var() - rest.mean() ** 2 / y[outside].var()
    return found


def content_at_once(z, targets, outside):
    line = LinearRegression().fit(z[~outside], targets[~outside])
    y = targets[outside]
    rest = y - line.predict(z[outside])
    return 1 - (rest**2).sum() / ((y - y.mean()) ** 2).sum()


OTHER_ROUTES = [
    (lesson_18.shapes, shapes_one_by_one),
    (lesson_18.shapes, shapes_in_a_dictionary),
    (lesson_18.probe, probe_row_by_row),
    (lesson_18.probe, probe_from_a_confusion_matrix),
    (lesson_18.labels_needed, needed_by_a_loop),
    (lesson_18.labels_needed, needed_by_interp),
    (lesson_18.partner_rank, rank_by_a_loop),
    (lesson_18.partner_rank, rank_by_sorting),
    (lesson_18.info_nce, loss_by_logsumexp),
    (lesson_18.partner_rank, rank_by_rankdata),
    (lesson_18.info_nce, loss_by_softmax),
    (lesson_18.info_nce, loss_by_a_matrix_of_answers),
    (lesson_18.content, content_of_scaled_columns),
    (lesson_18.content, content_by_least_squares),
    (lesson_18.content, content_at_once),
]

EXEMPT = {
    (lesson_18.info_nce, "arguments 0 and 1 swapped"): "the loss asks both ways",
}


def without_slope(a, b, temperature):
    return loss_by_logsumexp(a, b, temperature).item()


def one_is_frozen(a, b, temperature):
    return loss_by_logsumexp(a, b.detach(), temperature)


WRONG = [
    (lesson_18.shapes, lambda c: shapes_one_by_one(c) * 2, "In the column percent_amplitude"),
    (lesson_18.shapes, lambda c: shapes_one_by_one(c).to_numpy(), "as pandas has them"),
    (lesson_18.shapes, lambda c: shapes_one_by_one(c).iloc[:, :2], "excess_variance is not there"),
    (lesson_18.probe, lambda *given: probe_row_by_row(*given) / 2, "who judges it?"),
    (lesson_18.labels_needed, lambda *given: 17.0, "For a score of"),
    (lesson_18.partner_rank, lambda a, b: np.full(len(a), 3), "at least as large as"),
    (lesson_18.info_nce, lambda *given: loss_by_logsumexp(*given) + 1, "we find a loss of"),
    (lesson_18.info_nce, without_slope, "its slope is lost"),
    (lesson_18.info_nce, one_is_frozen, "detach neither"),
    (lesson_18.content, lambda *given: content_at_once(*given) - 0.1, "For the column"),
]
