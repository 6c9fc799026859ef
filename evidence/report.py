"""Run the studies of what the course claims about its methods, and write docs/evidence.md.

    python evidence/report.py [--full]          (make evidence; make evidence FULL=1)
    python evidence/report.py --lesson 07       (make evidence LESSON=07)

Runs the ensembles of lessons 14 and 15 and the tests of each lesson's claims, two at a time, and writes one report.
Finished results are kept in build/evidence until their code changes, so that an interrupted run continues where it
stopped. This takes ten minutes on two quiet cores; --full uses more mocks and three seeds, adds the curves, and takes
half an hour.

--lesson tests the claims of one lesson in some seconds to two minutes and prints them. It writes no report, and its
exit status is 1 if a claim does not hold.
"""

import argparse
import ast
import datetime
import hashlib
import importlib.metadata
import math
import os
import platform
import statistics
import subprocess
import sys
import xml.etree.ElementTree as xml
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
# Relative to ROOT, where everything runs
KEPT = Path("build/evidence")
REPORT = Path("docs/evidence.md")
FIGURES = Path("docs/evidence")
CLAIMS = Path("evidence/claims")
PYTEST = ("-m", "pytest", "-q", "--every-claim", "-o", "junit_family=xunit1")
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
# Name in the summary: name in the output of the ensembles
MEASURES = {
    "(estimate − truth)/sd": "mean of (estimate - truth)/sd",
    "its scatter": "scatter of (estimate - truth)/sd",
    "least SBC p": "ranks uniform (SBC), p",
    "mean posterior sd": "mean posterior sd",
}
INTRODUCTIONS = {
    "dead_time_ensemble": """## Dead time

These studies test neural posteriors for data with dead time (lesson 14), in the set-ups of [Huppenkothen & Bachetti
2022](https://arxiv.org/abs/2104.03278). The tables quote the paper's numbers where it published them. HF and LF
periodograms are averaged over bins of frequency that grow by 5 % (the paper: 1 % for HF, none for LF). Mocks are drawn
from the prior. A mean of (estimate − truth)/sd near 0 means no bias. Its scatter is 1 for normal posteriors of the
right width. A small p is evidence against calibration; one p-value in a hundred is below 0.01 by chance.""",
    "pile_up_ensemble": """## Pile-up

These studies test neural posteriors from spectra in annuli (lesson 15), and fits of the same mocks. [König et al.
2025](https://arxiv.org/abs/2511.11863) train on 28,000 simulations by SIXTE. For the blackbody in eROSITA they report
mean absolute percentage errors well below 10 % for all three parameters, coverage on the diagonal for the flux and
about 5 % overconfident for kT and N_H, and much narrower posteriors than from a fit of the outer annulus alone.
Our detector is simpler (one telescope module, an approximate area, no background), and the exposure is 100 s.""",
    "claims": """## Claims of the lessons

A test over at least five seeds holds each claim of a lesson that depends on a random draw. The seeds vary the
simulation, the deal of sources into folds, or the sky that the sources are drawn from. The row of a claim begins with
the name of its test in `evidence/claims/test_lesson_NN.py`; numbers are means ± standard deviations over the seeds.""",
}


def studies(full):
    """Yield (section, name, command) of each study in the report."""
    for script, set_ups in ENSEMBLES.items():
        for set_up in set_ups:
            size = ["--mocks", "2000"] if full else []
            if script == "pile_up_ensemble" and not full:
                size = ["--simulations", "5000", "--fits", "100"]
            for seed in (1, 2, 3) if full else (1,):
                name = f"{script}-{set_up}-{seed}"
                extra = ["--seed", str(seed), "--figure", str(FIGURES / f"{_slug(name)}.png")]
                yield script, name, [f"evidence/{script}.py", "--set-up", set_up, *size, *extra]
        if full:
            for set_up in (s for s in set_ups if s in ("LF averaged", "HF", "eROSITA")):
                command = [f"evidence/{script}.py", "--set-up", set_up, "--curve", *size]
                yield script, f"{script}-{set_up}-curve", command
    for path in sorted((ROOT / CLAIMS).glob("test_*.py")):
        yield "claims", path.stem, [*PYTEST, str(CLAIMS / path.name)]


def title(name):
    """Title of a file of claims in the report.

    >>> title("test_lesson_07"), title("test_archive"), title("test_methods")
    ('Lesson 07', 'The archive', 'Methods')
    """
    subject = name.removeprefix("test_").replace("_", " ")
    return {"archive": "The archive"}.get(subject, subject.capitalize())


def _slug(name):
    return "".join(c if c.isalnum() else "-" for c in name.lower())


def sources(section, name):
    """Yield the files on which the results of a study depend."""
    for path in ROOT.glob("helpers/**/*.py"):
        if not path.relative_to(ROOT / "helpers").parts[0].startswith(("plotting", "campaign")):
            yield path
    if section == "claims":
        # Claims that do not belong to one lesson may run any lesson.
        lesson = name.removeprefix("test_") if name.startswith("test_lesson_") else "lesson_*"
        patterns = (
            f"{CLAIMS}/{name}.py", f"course/checks/{lesson}.py", "course/checks/[!l]*.py",
            f"lessons/{lesson.removeprefix('lesson_')}_*.py", "course/lesson_cells.py",
            "course/containers.py", "course/archive/*.py", "conftest.py", "data/SHA256SUMS",
        )  # fmt: skip
    else:
        patterns = ("evidence/*ensemble*.py",)
    for pattern in patterns:
        yield from ROOT.glob(pattern)


def run(section, name, command):
    """Return what a study prints, or pytest's XML, from build/evidence if it has run before with the same code."""
    code = hashlib.sha256(repr(command).encode())
    for path in sorted(sources(section, name)):
        lines = path.read_bytes().splitlines(keepends=True)
        code.update(b"".join(line for line in lines if not line.startswith(b"#")))  # prose
    kept = ROOT / KEPT / f"{_slug(name)}-{code.hexdigest()[:12]}"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_suffix(".tmp")
        is_test = section == "claims"
        done = subprocess.run(
            [sys.executable, *command, *([f"--junitxml={unfinished}"] if is_test else [])],
            cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        )  # fmt: skip
        # Exit status 1 of pytest: a claim does not hold
        if done.returncode not in ((0, 1) if is_test else (0,)):
            raise RuntimeError(f"{name} failed: {(done.stderr or done.stdout)[-2000:]}")
        if not is_test:
            unfinished.write_text(done.stdout, encoding="utf-8")
        unfinished.replace(kept)
    return kept.read_text(encoding="utf-8")


def cases(text):
    """Yield (test, None or why it failed) for all tests that ran, from pytest's XML."""
    for case in xml.fromstring(text).iter("testcase"):
        if case.find("skipped") is None:
            trouble = [*case.iter("failure"), *case.iter("error")]
            yield case, trouble[0].get("message", "") if trouble else None


def claims(text):
    """Table of the claims of a lesson, from pytest's XML."""
    held, numbers = {}, {}
    for case, trouble in cases(text):
        name = case.get("name").partition("[")[0]
        held.setdefault(name, []).append(trouble is None)
        for recorded in case.iter("property"):
            value = ast.literal_eval(recorded.get("value"))
            values = numbers.setdefault(name, {}).setdefault(recorded.get("name"), [])
            values.extend(value if isinstance(value, list) else [value])
    rows = ["| claim | holds | numbers |", "|---|---|---|"]
    for name, results in held.items():
        claim = name.removeprefix("test_").replace("_", " ")
        verdict = "yes" if all(results) else f"**in {sum(results)} of {len(results)} tests**"
        cells = [f"{what}: {spread(values)}" for what, values in numbers.get(name, {}).items()]
        told = "; ".join(cells).replace("|", r"\|")
        rows.append(f"| {claim} | {verdict} | {told} |")
    return "\n".join(rows)


def summary(studies_):
    """Table of one section's ensembles, from (name, text): each parameter's calibration over the seeds."""
    found = {}
    for name, text in studies_:
        set_up, seed = name.partition("-")[2].rsplit("-", 1)
        if seed == "curve":
            continue
        table = [
            [cell.strip() for cell in line.split("|")[1:-1]]
            for line in text.splitlines()
            if "|" in line
        ]
        rows = {label: values for label, *values in table}
        for i, parameter in enumerate(rows[""]):
            for label in MEASURES.values():
                values = found.setdefault((set_up, parameter), {}).setdefault(label, [])
                values.append(float(rows[label][i]))
    lines = [
        "| set-up | parameter | " + " | ".join(MEASURES) + " |",
        "|---" * (len(MEASURES) + 2) + "|",
    ]
    for (set_up, parameter), measured in found.items():
        cells = [
            f"{min(values):.2g}" if label == MEASURES["least SBC p"] else spread(values)
            for label, values in measured.items()
        ]
        lines.append(f"| {set_up} | {parameter} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def spread(values):
    """Mean ± standard deviation over seeds, rounded to two digits of the standard deviation.

    >>> spread([0.911, 0.902, 0.893]), spread([1190.0, 1210.0]), spread([0.5])
    ('0.9020 ± 0.0090 (3)', '1200 ± 14 (2)', '0.5')
    """
    if len(values) == 1:
        return f"{values[0]:.3g}"
    mean, sd = statistics.fmean(values), statistics.stdev(values)
    digits = max(0, 1 - math.floor(math.log10(sd))) if sd else 3
    return f"{mean:.{digits}f} ± {sd:.{digits}f} ({len(values)})"


def machine():
    """One line with the processor and the versions."""
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), name)
    versions = ", ".join(f"{p} {importlib.metadata.version(p)}" for p in PACKAGES)
    return f"{name}, {os.cpu_count()} cores; Python {platform.python_version()}, {versions}"


def report(results, full):
    """The whole report, in Markdown."""
    git = ["git", "-C", str(ROOT)]
    describe = [*git, "describe", "--always"]
    commit = subprocess.run(describe, capture_output=True, text=True).stdout.strip()
    # The report and its figures are outputs: their changes do not count.
    if subprocess.run([*git, "diff", "--quiet", "HEAD", "--", ".", ":!docs"]).returncode:
        commit += "-dirty"
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
            parts.extend(f"### {title(name)}\n\n{claims(text)}" for name, text in studies_)
            continue
        parts.append(summary(studies_))
        for name, text in studies_:
            seed = name.rpartition("-")[2]
            which = "" if seed == "curve" else f", seed {seed}"
            heading, _, rest = text.strip().partition("\n")
            parts.append(f"{heading}{which}\n{rest}")
            if (ROOT / FIGURES / f"{_slug(name)}.png").exists():
                alt = "Ranks of the truths, for each parameter: how far their distribution is from uniform."
                parts.append(f"![{alt}](evidence/{_slug(name)}.png)")
    return "\n\n".join(parts) + "\n"


def one_lesson(number):
    """Print the claims of a lesson, and why a claim does not hold; return the number of failed tests.

    Also tests its right answers in other containers, and guesses.
    """
    found = {name: command for section, name, command in studies(False) if section == "claims"}
    number = number.zfill(2)
    name = f"test_lesson_{number}"
    if name not in found:
        raise SystemExit(f"No claims of lesson {number}: there are {', '.join(map(title, found))}.")
    texts = [run("claims", name, found[name])]
    if (answers := "test_right_answers") in found:
        texts.append(run("claims", f"{answers}_{number}", [*found[answers], "-k", f"[{number}]"]))
    print(f"{title(name)}\n\n{claims(texts[0])}")
    fallen = [
        (case.get("name"), why) for text in texts for case, why in cases(text) if why is not None
    ]
    for test, why in fallen:
        print(f"\nDoes not hold: {test}\n{why}")
    return len(fallen)


def everything(full):
    """Write the report."""
    (ROOT / FIGURES).mkdir(parents=True, exist_ok=True)
    todo = list(studies(full))
    with ThreadPoolExecutor(2) as pool:
        texts = pool.map(lambda study: run(*study), todo)
        results = [
            (section, name, text)
            for (section, name, _), text in zip(todo, tqdm(texts, total=len(todo)), strict=True)
        ]
    unfinished = ROOT / REPORT.with_suffix(".tmp")
    unfinished.write_text(report(results, full), encoding="utf-8")
    unfinished.replace(ROOT / REPORT)
    print(f"Written: {REPORT}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="half an hour instead of ten minutes")
    parser.add_argument("--lesson", metavar="NN", help="only print what this lesson claims")
    options = parser.parse_args()
    if options.lesson:
        sys.exit(min(one_lesson(options.lesson), 1))
    everything(options.full)
