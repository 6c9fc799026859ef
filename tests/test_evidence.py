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
    (tmp_path / "conftest.py").write_text(CONFTEST)
    return module


# As the course's own, without what takes time
CONFTEST = """
def pytest_addoption(parser):
    parser.addoption("--every-claim", action="store_true")

def pytest_collection_modifyitems(config, items):
    if not config.getoption("--every-claim"):
        items.clear()
"""


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

def test_a_claim_that_nobody_could_try(missing_fixture):
    pass

def test_yes_or_no():
    pass
"""


TABLE = [
    "| claim | holds | numbers |",
    "|---|---|---|",
    "| a claim over seeds | yes | its number: 2.0 ± 1.0 (3) |",
    "| a claim in one go | yes | first: 0.50 ± 0.35 (2); \\|second\\|: 7 |",
    "| a claim that falls | **in 0 of 1 tests** | too low: 0.100 ± 0.000 (2) |",
    "| a claim that nobody could try | **in 0 of 1 tests** |  |",
    "| yes or no | yes |  |",
]


def test_claims_are_tried_once_and_kept_until_their_code_changes(
    evidence, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # three times half of the time
    path = tmp_path / "evidence/claims/test_lesson_07.py"
    path.write_text(CLAIMS)
    assert evidence.one_lesson("7") == 2
    printed = capsys.readouterr().out
    assert printed.splitlines()[:9] == ["Lesson 07", "", *TABLE]
    assert "Does not hold: test_a_claim_that_falls\nassert False" in printed
    assert "Does not hold: test_a_claim_that_nobody_could_try" in printed
    assert not (tmp_path / "docs").exists()
    (kept,) = (tmp_path / evidence.KEPT).iterdir()
    report = evidence.report([("claims", "test_lesson_07", kept.read_text())], full=False)
    assert "### Lesson 07" in report
    assert "1.0 (3)" in report
    kept.write_text("<testcase name='test_remembered'/>")
    assert evidence.one_lesson("07") == 0
    assert "remembered" in capsys.readouterr().out
    path.write_text("import nothing_of_this_name")
    with pytest.raises(RuntimeError, match="nothing_of_this_name"):
        evidence.one_lesson("07")
    with pytest.raises(SystemExit, match="there are Lesson 07"):
        evidence.one_lesson("70")


OF_LESSON_07 = [
    *("lessons/07_logistic_regression.py", "course/checks/lesson_07.py", "course/lesson_cells.py"),
    *("course/archive/sources.py", "helpers/data.py", "helpers/data/loading.py"),
    "evidence/claims/test_lesson_07.py",
]
OF_OTHERS = [
    *("lessons/08_results.py", "course/checks/lesson_08.py", "evidence/claims/test_lesson_08.py"),
    *("helpers/plotting.py", "helpers/plotting/style.py", "helpers/campaign/store.py"),
]


@pytest.mark.parametrize("path", OF_LESSON_07 + OF_OTHERS)
def test_what_is_kept_belongs_to_the_code_that_a_claim_runs(evidence, tmp_path, path):
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).touch()
    matters = tmp_path / path in evidence.sources("claims", "test_lesson_07")
    assert matters == (path in OF_LESSON_07)


def test_claims_of_the_archive_and_of_methods_have_sections_of_their_own(evidence, tmp_path):
    for name in ("lesson_07", "archive", "methods"):
        (tmp_path / f"evidence/claims/test_{name}.py").touch()
    names = [name for section, name, _ in evidence.studies(False) if section == "claims"]
    assert list(map(evidence.title, names)) == ["The archive", "Lesson 07", "Methods"]


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
        evidence.run("dead_time_ensemble", "a study", ["broken.py"])
    script.write_text("print('all of it')")
    assert evidence.run("dead_time_ensemble", "a study", ["broken.py"]) == "all of it\n"


def test_the_report_in_docs_names_every_study():
    module = script("evidence/report.py")
    report = (ROOT / module.REPORT).read_text(encoding="utf-8")
    for section, name, _ in module.studies(full=False):
        set_up, seed = name.split("-")[1:] if section != "claims" else ("", "")
        heading = module.title(name) if section == "claims" else f"{set_up}, seed {seed}"
        assert f"\n### {heading}\n" in report, name
