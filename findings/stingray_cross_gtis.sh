#!/usr/bin/env bash
# stingray 2.3.2: the intersection of good times holds time that is bad in one of them.
#
# stingray.gti.cross_gtis promises what is common to all lists, and EventList.read uses it where a file has several GTI
# extensions. Where an interval of one list ends at the very time at which one of the other begins (whole seconds make
# that common), all of the second can come out as good. Way out: count, between each two neighbouring edges, in how many
# lists it is good.
#
# Good in both of [[26, 27], [29, 31], [41, 44]] and [[13, 20], [31, 35]] is nothing. And of 3000 pairs or triples of
# lists with edges at random whole seconds, one in some twenty is wrong.
#
# Seen with numpy 2.4.6, stingray 2.3.2:
#   common to both, right: []
#   cross_gtis returns:    [[31.0, 35.0]]
#   wrong of 3000: 172
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 stingray==2.3.2
"$folder/venv/bin/python" -W ignore - <<'END'
import numpy as np
from stingray.gti import cross_gtis


def common(lists):  # good in all, in each second of the first minute
    middles = np.arange(60) + 0.5
    good = [((g[:, :1] < middles) & (middles < g[:, 1:])).any(axis=0) for g in lists]
    edges = np.flatnonzero(np.diff(np.all(good, axis=0), prepend=False, append=False))
    return edges.reshape(-1, 2).astype(float)


pair = [np.array([[26.0, 27], [29, 31], [41, 44]]), np.array([[13.0, 20], [31, 35]])]
theirs = np.array(cross_gtis(pair)).reshape(-1, 2)
print("common to both, right:", common(pair).tolist())
print("cross_gtis returns:   ", theirs.tolist())
generator, wrong = np.random.default_rng(0), 0
for _ in range(3000):
    lists = [
        np.sort(generator.choice(60, 2 * generator.integers(1, 5), replace=False)).reshape(-1, 2) * 1.0
        for _ in range(generator.integers(1, 4))
    ]
    wrong += not np.array_equal(np.array(cross_gtis(lists)).reshape(-1, 2), common(lists))
print("wrong of 3000:", wrong)
raise SystemExit(not (len(theirs) and wrong))
END
