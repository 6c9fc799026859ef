"""The report of what the course claims: what it reads, what it keeps, and what it does when a claim falls."""

from pathlib import Path

import pytest
from scripts import script

ROOT = Path(__file__).parents[1]


@pytest.fixture
def evidence(tmp_path, monkeypatch):
    """The script, on a project of its own."""
    module = script("evidence/report.py")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    (tmp_path / "evidence/claims").mkdir(parents=True)
    (tmp_path / module.KEPT).mkdir(parents=True)
    return module


CLAIMS = """
import pytest

@pytest.mark.parametrize("seed", range(3))
def test_a_claim_over_seeds(seed, record_property):
    record_property("its number", 1.0 + seed)

def test_a_claim_in_one_go(record_property):
    record_property("first", [0.25, 0.75])
    record_property("|second|", 7.0)

def test_a_claim_that_falls(record_property):
    record_property("too low", [0.1, 0.1])
    assert False

def test_yes_or_no():
    pass
"""


def test_claims_are_read_with_their_numbers_and_kept_until_their_code_changes(evidence, tmp_path):
    path = tmp_path / "evidence/claims/test_lesson_07.py"
    path.write_text(CLAIMS)
    ((section, name, command),) = (s for s in evidence.studies(False) if s[0] == "claims")
    text = evidence.run(name, command)
    assert evidence.claims(text).splitlines() == [
        "| claim | holds | numbers |",
        "|---|---|---|",
        "| a claim over seeds | yes | its number: 2.0 ± 1.0 (3) |",
        "| a claim in one go | yes | first: 0.50 ± 0.35 (2); \\|second\\|: 7 |",
        "| a claim that falls | **in 0 of 1 tests** | too low: 0.100 ± 0.000 (2) |",
        "| yes or no | yes |  |",
    ]
    (kept,) = (tmp_path / evidence.KEPT).iterdir()
    kept.write_text(text.replace("its number", "remembered"))
    assert "remembered" in evidence.run(name, command)
    path.write_text(CLAIMS + "\n")
    assert "remembered" not in evidence.run(name, command)
    report = evidence.report([(section, name, text)], full=False)
    assert "### Lesson 07" in report
    assert "1.0 (3)" in report


ENSEMBLE = """
### LF

| | rms | q |
|---|---|---|
| mean of (estimate - truth)/sd | {} | -0.5 |
| scatter of (estimate - truth)/sd | 1 | 0.9 |
| ranks uniform (SBC), p | {} | 1e-09 |
| mean posterior sd | 0.1 | 2 |

| posterior of a mock | rms | q |
|---|---|---|
| truth | 0.4 | 10 |
"""


def test_ensembles_are_summed_up_over_their_seeds(evidence):
    texts = [ENSEMBLE.format(0.25, 0.5), ENSEMBLE.format(0.75, 0.03)]
    results = [
        ("dead_time_ensemble", f"dead_time_ensemble-LF-{seed}", text)
        for seed, text in zip((1, 2, "curve"), [*texts, "\n### LF\n\nagainst"], strict=True)
    ]
    report = evidence.report(results, full=True)
    assert (
        "\n| LF | rms | 0.50 ± 0.35 (2) | 1.000 ± 0.000 (2) | 0.03 | 0.100 ± 0.000 (2) |\n"
        "| LF | q | -0.500 ± 0.000 (2) | 0.900 ± 0.000 (2) | 1e-09 | 2.000 ± 0.000 (2) |\n"
    ) in report
    headings = [line for line in report.splitlines() if line.startswith("### ")]
    assert headings == ["### LF, seed 1", "### LF, seed 2", "### LF"]


def test_a_study_that_fails_is_an_error_and_leaves_nothing(evidence, tmp_path):
    script = tmp_path / "broken.py"
    script.write_text("print('half of it'); raise SystemExit('no more')")
    with pytest.raises(RuntimeError, match="a study failed: no more"):
        evidence.run("a study", ["broken.py"])
    script.write_text("print('all of it')")
    assert evidence.run("a study", ["broken.py"]) == "all of it\n"
    (tmp_path / "evidence/claims/test_lesson_01.py").write_text("import nothing_of_this_name")
    with pytest.raises(RuntimeError, match="nothing_of_this_name"):
        evidence.run("test_claims_01", ["-m", "pytest", "evidence/claims/test_lesson_01.py"])


def test_the_report_in_docs_names_every_study():
    module = script("evidence/report.py")
    report = (ROOT / module.REPORT).read_text(encoding="utf-8")
    for section, name, _ in module.studies(full=False):
        set_up, seed = name.split("-")[1:] if section != "claims" else ("", "")
        heading = f"Lesson {name[-2:]}" if section == "claims" else f"{set_up}, seed {seed}"
        assert f"\n### {heading}\n" in report, name
