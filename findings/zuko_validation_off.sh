#!/usr/bin/env bash
# zuko 1.6.0, and so sbi.inference 0.27.0: importing it takes the checks out of all of torch's distributions.
#
# torch refuses a distribution whose parameters make none, and a density outside the support, unless it is told not to:
# Uniform(1, 0) is an error, Exponential(1).log_prob(-3) too. zuko/distributions.py has, for its own flows,
# `Distribution._validate_args = False; Distribution.arg_constraints = {}`: on torch's class, for everybody. After
# `import sbi.inference` (or sbi.utils; not after `import sbi`) a prior with its corners exchanged draws numbers, and an
# exponential prior has density e^3 = 20 at -3, which a sampler would go to. Whether a mistake in a prior is found depends
# on the order of imports. Way out: validate_args=True in each distribution, or `Distribution.set_default_validate_args`
# after the import. (arg_constraints of torch's own classes are untouched.)
#
# Beside it, torch 2.13.0: a mixture of boxes refuses its own draws while checks are on, because the check of
# MixtureSameFamily asks for a number to be in the support of all parts; an own draw is in one. With zuko it works.
#
# Seen with torch 2.13.0, zuko 1.6.0:
#   before the import: Uniform(1, 0) ValueError, Exponential(1).log_prob(-3) ValueError, mixture's own draws ValueError
#   after the import:  Uniform(1, 0) accepted, Exponential(1).log_prob(-3) 3.0, mixture's own draws accepted
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 zuko==1.6.0
"$folder/venv/bin/python" -W ignore - <<'END'
import importlib

import torch
from torch.distributions import Categorical, Exponential, MixtureSameFamily, Uniform


def uniform():
    Uniform(1.0, 0.0).sample()
    return "accepted"


def exponential():
    return f"{float(Exponential(1.0).log_prob(torch.tensor(-3.0))):.1f}"


def mixture():
    parts = Uniform(torch.tensor([0.0, 2.0]), torch.tensor([1.0, 3.0]))
    both = MixtureSameFamily(Categorical(torch.ones(2)), parts)
    both.log_prob(both.sample((9,)))
    return "accepted"


def tell(when):
    found = []
    for ask in (uniform, exponential, mixture):
        try:
            found.append(ask())
        except ValueError:
            found.append("ValueError")
    words = "Uniform(1, 0) {}, Exponential(1).log_prob(-3) {}, mixture's own draws {}".format(*found)
    print(f"{when} {words}")
    return found


before = tell("before the import:")
importlib.import_module("zuko")
after = tell("after the import: ")
raise SystemExit(not (before == ["ValueError"] * 3 and after == ["accepted", "3.0", "accepted"]))
END
