#!/usr/bin/env bash
# stingray 2.3.2: the first power colour is upside down, and the hue made from it is of another state.
#
# Heil, Uttley & Klein-Wolt (2015, MNRAS 448, 3339) define PC1 = variance 0.25-2 Hz / variance 1/256-1/32 Hz.
# stingray.power_colors.power_color returns variance 1/256-1/32 Hz / variance 0.25-2 Hz in its place, while
# hue_from_power_color expects the published one (its centre, 4.5192, is that of PC1). Handing the one's result to the
# other gives a wrong hue without a word. The second colour is as published. Way out: take 1/PC1 before the hue.
#
# A spectrum that is flat up to 1 Hz and falls as f^-2 above it, without noise: PC1 is 45.7 by integration. Its error
# is also the linear sum of the relative errors, not their root of squares.
#
# Seen with numpy 2.4.6, stingray 2.3.2:
#   PC1, PC2 by integration:     45.71 0.50
#   power_color returns:         0.0219 0.50
#   hue as it comes, and with 1/PC1 (deg): 316 133
#   relative error over the root of squares: 1.11
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 stingray==2.3.2
"$folder/venv/bin/python" -W ignore - <<'END'
import math

import numpy as np
from stingray.power_colors import hue_from_power_color, power_color

df = 1 / 512
frequency = np.arange(1, 64 * 512) * df
power = np.where(frequency < 1, 1.0, frequency**-2.0)
pc1, pc1_err, pc2, pc2_err = power_color(frequency, power, df=df, m=100)


def variance(low, high):  # of the same spectrum, in closed form
    flat = max(0.0, min(high, 1) - low)
    return flat + max(0.0, 1 / max(low, 1) - 1 / high) * (high > 1)


right = variance(0.25, 2) / variance(1 / 256, 1 / 32), variance(1 / 32, 0.25) / variance(2, 16)
hues = [math.degrees(hue_from_power_color(first, pc2)) % 360 for first in (pc1, 1 / pc1)]


def relative(low, high):  # each power scatters by power / sqrt(m)
    inside = (frequency >= low) & (frequency < high)
    return math.sqrt((power[inside] ** 2).sum()) / 10 / power[inside].sum()


quadrature = math.hypot(relative(0.25, 2), relative(1 / 256, 1 / 32))
print(f"PC1, PC2 by integration:     {right[0]:.2f} {right[1]:.2f}")
print(f"power_color returns:         {pc1:.4f} {pc2:.2f}")
print(f"hue as it comes, and with 1/PC1 (deg): {hues[0]:.0f} {hues[1]:.0f}")
print(f"relative error over the root of squares: {pc1_err / pc1 / quadrature:.2f}")
upside_down = abs(pc1 * right[0] - 1) < 0.1 and abs(pc2 / right[1] - 1) < 0.1
raise SystemExit(not (upside_down and abs(hues[0] - hues[1]) > 60 and pc1_err / pc1 > 1.05 * quadrature))
END
