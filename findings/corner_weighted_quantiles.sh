#!/usr/bin/env bash
# corner 2.3.0: weighted quantiles ignore the weight of the largest sample.
#
# Three samples 0, 1, 2, of which the last carries nearly all of the weight: the weighted median is 2. corner.quantile
# answers 1, the same as if that weight were nothing. With the heavy sample in the middle or at the low end, the heavy
# one does count. The cumulated weights are cut before the last one, then scaled to end at 1, so that the last weight
# never enters. For posteriors by importance sampling this moves titles and dashed lines whenever heavy weights sit at
# large values. Way out: resample with the weights first, and give corner plain samples.
#
# Seen with numpy 2.4.6, corner 2.3.0:
#   heaviest is the smallest, the middle, the largest: [0.5, 1.5, 1.0]
#   the same for a last weight of 1e-6, 1, 1e6: [1.0, 1.0, 1.0]
#   20000 draws weighted to a normal at +1: quantiles of corner and of a resampling agree: True
#   its heaviest draw is the largest: 1.0000 of the weight, median by corner below it: True
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 corner==2.3.0
"$folder/venv/bin/python" - <<'END'
import corner
import numpy as np


def median(weights):
    return corner.quantile([0.0, 1.0, 2.0], [0.5], weights=weights)[0]


places = [round(float(median(w)), 3) for w in ([1e6, 1, 1], [1, 1e6, 1], [1, 1, 1e6])]
last = [round(float(median([1.0, 1.0, w])), 3) for w in (1e-6, 1, 1e6)]
print("heaviest is the smallest, the middle, the largest:", places)
print("the same for a last weight of 1e-6, 1, 1e6:", last)

rng = np.random.default_rng(1)
x = rng.normal(size=20_000)
weights = np.exp(x - 0.5)
again = rng.choice(x, size=200_000, p=weights / weights.sum())
levels = [0.16, 0.5, 0.84]
close = np.allclose(corner.quantile(x, levels, weights=weights), np.quantile(again, levels), atol=0.05)
print("20000 draws weighted to a normal at +1: quantiles of corner and of a resampling agree:", close)
weights = np.where(x == x.max(), 1e9, 1.0)
share = weights.max() / weights.sum()
below = corner.quantile(x, [0.5], weights=weights)[0] < x.max() - 1
print(f"its heaviest draw is the largest: {share:.4f} of the weight, median by corner below it:", bool(below))
raise SystemExit(not (places == [0.5, 1.5, 1.0] and last == [1.0, 1.0, 1.0] and close and below))
END
