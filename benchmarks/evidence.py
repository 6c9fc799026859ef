"""What the course claims of its methods, run anew and written down: docs/evidence.md.

    python benchmarks/evidence.py [--full]     (make evidence; make evidence FULL=1)

Runs the ensembles of lessons 13 to 16 and the tests of what each lesson says in words, two at a time, and writes one
report. Whatever is finished is kept in build/evidence until its code changes, so that an interrupted run goes on where
it stopped. About a quarter of an hour on two cores; --full takes more mocks, three seeds, and the curves: hours.
"""

import argparse
import datetime
import hashlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "build" / "evidence"
REPORT = ROOT / "docs" / "evidence.md"
FIGURES = ROOT / "docs" / "evidence"
PACKAGES = ("torch", "zuko", "sbi", "stingray", "scikit-learn", "numpy", "scipy")
ENSEMBLES = {
    "dead_time_ensemble": (
        "LF",
        "LF averaged",
        "HF",
        "HF averaged",
        "HF averaged, NuSTAR's dead time",
    ),
    "pile_up_ensemble": ("eROSITA", "ACIS"),
}
INTRODUCTIONS = {
    "dead_time_ensemble": """## Dead time

Neural posteriors behind dead time (lesson 14), in the set-ups of [Huppenkothen & Bachetti
2022](https://arxiv.org/abs/2104.03278), whose numbers stand where they published them; HF and LF periodograms
are averaged in bins of frequency that grow by 5 % (the paper: 1 % and none). Mocks are drawn from the prior.
A mean of (estimate − truth)/sd near 0 is no bias; its scatter is 1 for normal posteriors of the right width;
a small p speaks against calibration. Of so many p-values one in a hundred is below 0.01 by chance.""",
    "pile_up_ensemble": """## Pile-up

Neural posteriors of spectra in annuli (lesson 15), and fits of the same mocks. [König et al.
2025](https://arxiv.org/abs/2511.11863), with 28,000 simulations by SIXTE, state for the blackbody in eROSITA:
mean absolute percentage errors well below 10 % for all three parameters; coverage on the diagonal for the
flux, about 5 % overconfident for kT and N_H; much narrower posteriors than a fit of the outer annulus alone.
Our detector is simpler (one telescope module, a sketch of its area, no background), and looks for 100 s.""",
    "claims": """## What the lessons say in words

Each claim that depends on a random draw is held by a test over five seeds or more, in
`tests/test_claims_NN.py`; `make test` runs them all.""",
}


def studies(full):
    """(section, name, command) of everything in the report."""
    for script, set_ups in ENSEMBLES.items():
        for set_up in set_ups:
            size = ["--mocks", "2000"] if full else []
            if script == "pile_up_ensemble" and not full:
                size = ["--simulations", "5000", "--fits", "100"]
            for seed in (1, 2, 3) if full else (1,):
                name = f"{script}-{set_up}-{seed}"
                extra = ["--seed", str(seed), "--figure", str(FIGURES / f"{_slug(name)}.png")]
                yield script, name, [f"benchmarks/{script}.py", "--set-up", set_up, *size, *extra]
        if full:
            for set_up in {"HF", "LF averaged", "eROSITA"} & set(set_ups):
                command = [f"benchmarks/{script}.py", "--set-up", set_up, "--curve", *size]
                yield script, f"{script}-{set_up}-curve", command
    for path in sorted((ROOT / "tests").glob("test_claims_*.py")):
        command = ["-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", str(path)]
        yield "claims", path.stem, command


def _slug(name):
    return "".join(c if c.isalnum() else "-" for c in name.lower())


def run(name, command):
    """What a command prints, from memory if it has run before with the same code."""
    code = hashlib.sha256(repr(command).encode())
    patterns = ["benchmarks/*ensemble*.py", "helpers/inference/*.py", "helpers/simulators/*.py"]
    if "pytest" in command:
        lesson = name[-2:]
        patterns = [
            *(
                "helpers/[!p]*.py",
                "helpers/preprocessing.py",
                "helpers/[dis]*/*.py",
            ),  # not the plots
            *(f"helpers/checks/lesson_{lesson}.py", f"lessons/{lesson}_*.py", f"tests/{name}.py"),
        ]
    for path in sorted(path for pattern in patterns for path in ROOT.glob(pattern)):
        code.update(path.read_bytes())
    kept = KEPT / f"{_slug(name)}-{code.hexdigest()[:12]}.md"
    if not kept.exists():
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        if done.returncode and "pytest" not in command:
            raise RuntimeError(f"{name} failed: {done.stderr[-2000:]}")
        unfinished = kept.with_suffix(".tmp")
        unfinished.write_text(done.stdout, encoding="utf-8")
        unfinished.replace(kept)
    return kept.read_text(encoding="utf-8")


def machine():
    """One line on what all this ran on."""
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), name)
    versions = ", ".join(f"{p} {importlib.metadata.version(p)}" for p in PACKAGES)
    return f"{name}, {os.cpu_count()} cores; Python {platform.python_version()}, {versions}"


def report(results, full):
    """The whole report, in Markdown."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    parts = [
        "# Evidence",
        f"Made by `make evidence{' FULL=1' if full else ''}` on {datetime.date.today()} at commit {commit}. "
        f"{machine()}. Speed is in [benchmarks.md](benchmarks.md).",
    ]
    sections = {}
    for section, name, text in results:
        sections.setdefault(section, []).append((name, text))
    for section, studies_ in sections.items():
        parts.append(INTRODUCTIONS[section])
        if section == "claims":
            rows = [f"| {name[-2:]} | {text.strip().splitlines()[-1]} |" for name, text in studies_]
            parts.append("\n".join(["| lesson | its claims |", "|---|---|", *rows]))
            continue
        for name, text in studies_:
            parts.append(text.strip())
            if (FIGURES / f"{_slug(name)}.png").exists():
                alt = "Ranks of the truths, for each parameter: how far their distribution is from uniform."
                parts.append(f"![{alt}](evidence/{_slug(name)}.png)")
    return "\n\n".join(parts) + "\n"


def main(full):
    KEPT.mkdir(parents=True, exist_ok=True)
    FIGURES.mkdir(parents=True, exist_ok=True)
    todo = list(studies(full))
    with ThreadPoolExecutor(2) as pool:
        texts = pool.map(lambda study: run(*study[1:]), todo)
        results = [
            (section, name, text)
            for (section, name, _), text in zip(todo, tqdm(texts, total=len(todo)), strict=True)
        ]
    unfinished = REPORT.with_suffix(".tmp")
    unfinished.write_text(report(results, full), encoding="utf-8")
    shutil.move(unfinished, REPORT)
    print(f"Written: {REPORT.relative_to(ROOT)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="hours instead of a quarter of one")
    main(parser.parse_args().full)
