"""One list of packages in four files, and a set-up that says what is wrong and what to do."""

import hashlib
import importlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from course import check_env

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIREMENTS = [Requirement(text) for text in PROJECT["dependencies"]]
EXTRAS = [
    Requirement(text) for extra in PROJECT["optional-dependencies"].values() for text in extra
]
PINS = {
    canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
    for pin in map(Requirement, check_env.pins())
}
ON_CONDA = {"torch": "pytorch-cpu"}  # names that differ


@pytest.mark.parametrize("requirement", [*REQUIREMENTS, *EXTRAS], ids=lambda r: r.name)
def test_every_requirement_is_pinned(requirement):
    assert PINS[canonicalize_name(requirement.name)] in requirement.specifier


def test_pins_install_on_the_oldest_python():
    oldest = PROJECT["requires-python"].removeprefix(">=") + ".0"
    for name, version in PINS.items():
        try:
            found = importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        python = found.get("Requires-Python")  # dask brings a metadata whose [] raises
        if found["Version"] == version and python:
            assert oldest in SpecifierSet(python), name


def test_conda_has_the_same_packages():
    *conda, last = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    versions = dict(entry.split("=") for entry in conda if "=" in entry)
    assert versions.pop("python") in SpecifierSet(PROJECT["requires-python"])
    with_pip = ("sbi", "zuko")
    names = {requirement.name for requirement in REQUIREMENTS} - set(with_pip)
    assert versions == {ON_CONDA.get(name, name): PINS[name] for name in names}
    assert last == {"pip": [f"{name}=={PINS[name]}" for name in with_pip]}


def test_binder_has_the_same_environment():
    assert (ROOT / "binder/environment.yml").read_text() == (ROOT / "environment.yml").read_text()


@pytest.mark.parametrize("script", ["binder/postBuild", "binder/start", ".ci/run"])
def test_scripts_can_run(script):
    assert os.access(ROOT / script, os.X_OK)
    subprocess.run(["bash", "-n", ROOT / script], check=True)


def test_post_build_stops_at_an_error(tmp_path):
    broken = tmp_path / "pip"
    broken.write_text("#!/bin/sh\nexit 7\n")
    broken.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert subprocess.run([ROOT / "binder/postBuild"], env=environment).returncode == 7


def test_start_limits_threads_and_becomes_the_command():
    command = [ROOT / "binder/start", "sh", "-c", "echo $OMP_NUM_THREADS; exit 5"]
    found = subprocess.run(command, capture_output=True, text=True)
    assert (found.stdout, found.returncode) == ("1\n", 5)
    assert (ROOT / "binder/start").read_text().splitlines()[-1] == 'exec "$@"'


def test_continuous_integration_runs_everything_everywhere():
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())
    matrix = workflow["jobs"]["test"]["strategy"]["matrix"]
    assert matrix == {"os": ["ubuntu-latest", "macos-latest"], "python": ["3.11", "3.13"]}
    assert set(workflow[True]) >= {"push", "pull_request", "schedule"}  # YAML reads `on` as True
    runs = {
        name: [step["run"] for step in job["steps"] if "run" in step]
        for name, job in workflow["jobs"].items()
    }
    assert all(commands[0].startswith("make test ") for commands in runs.values())
    assert "CONSTRAINTS=/dev/null" in runs["newest"][0]
    browser = runs["test"][1]
    assert browser == 'make browser-test LESSONS="00 14"'
    ours = [line.strip() for line in (ROOT / ".ci/run").read_text().splitlines()]
    assert {"make test", browser} <= set(ours)


def make(folder, *arguments):
    # `make test TORCH_INDEX=...` hands its flags and variables on to a make that its tests run.
    handed_on = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "CONSTRAINTS", "PYTHON", "TORCH_INDEX"}
    environment = {name: value for name, value in os.environ.items() if name not in handed_on}
    command = ["make", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_make_help_names_every_target():
    phony = next(
        line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY:")
    )
    lines = make(ROOT, "help").stdout.splitlines()
    assert [line.split()[1] for line in lines] == phony.split()[1:]


@pytest.fixture
def fresh(tmp_path):
    """What `make` reads, in a folder without a virtual environment."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def python(folder, code):
    """A stand-in for Python that answers in shell."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{code}\n")
    path.chmod(0o755)
    return f"PYTHON={path}"


def test_make_refuses_an_old_python(fresh):
    old = python(fresh, '[ "$1" = --version ] && echo Python 3.9.2 || exit 1')
    found = make(fresh, old, "lab")
    assert found.returncode != 0
    assert "needs Python 3.11 or newer" in found.stdout
    assert "is Python 3.9.2." in found.stdout
    assert "make PYTHON=python3.13 lab" in found.stdout
    assert not (fresh / ".venv").exists()


def test_make_says_what_a_python_without_venv_lacks(fresh):
    found = make(fresh, python(fresh, '[ "$1" = -c ]'), "lab")
    assert found.returncode != 0
    assert "sudo apt install python3-venv" in found.stdout


def test_make_tries_again_after_an_install_that_failed(fresh):
    # A Python whose venv makes a pip that fails: as when the network goes away.
    code = (
        '[ "$1" = -c ] || { mkdir -p .venv/bin; printf "#!/bin/sh\\nexit 3" > .venv/bin/python; }'
    )
    for _ in range(2):
        found = make(fresh, python(fresh, f"{code}; chmod +x .venv/bin/python || true"), "lab")
        assert found.returncode != 0
        assert "Installing" in found.stdout
        assert not (fresh / ".venv/.ready").exists()


def test_lab_takes_options():
    command = make(ROOT, "--dry-run", "lab", "LAB_OPTIONS=--no-browser --port=9999").stdout
    assert command.splitlines()[-1].endswith(" --no-browser --port=9999")


def test_the_browser_test_finds_a_browser_or_says_how_to_get_one(fresh):
    command = [sys.executable, ROOT / "tests/browser/chromium.py"]
    own = fresh / "python"
    python(fresh, "")
    for path, code in ((own, 0), (fresh / "nowhere", 1)):
        environment = {**os.environ, "CHROMIUM": str(path)}
        found = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert found.returncode == code
        if code == 0:
            assert found.stdout == f"{own}\n"
        else:
            (line,) = found.stderr.splitlines()
            for remedy in ("sudo apt install", "sudo dnf install", "brew install", "CHROMIUM="):
                assert remedy in line


def report(capsys):
    """The exit code of check_env, and what it printed."""
    code = check_env.main()
    return code, capsys.readouterr().out


def test_all_is_ready(capsys):
    code, out = report(capsys)
    assert code == 0
    assert "FAIL" not in out
    assert out.endswith("All is ready.\n")
    for name in (*(requirement.name for requirement in REQUIREMENTS), "device cpu", "data/"):
        assert f"\nOK    {name}" in out


@pytest.mark.parametrize("error", [ImportError("libfoo.so: not found\nat all"), ValueError()])
def test_a_package_that_does_not_import(monkeypatch, capsys, error):
    real = importlib.import_module

    def import_module(name):
        if name == "sklearn":
            raise error
        return real(name)

    monkeypatch.setattr(importlib, "import_module", import_module)
    code, out = report(capsys)
    assert code == 1
    (line,) = (line for line in out.splitlines() if line.startswith("FAIL"))
    assert line.split()[1] == "scikit-learn"
    assert line.endswith("remedy: `make clean lab`")
    assert out.endswith("1 of these failed.\n")


def test_a_version_that_was_not_tested(monkeypatch, capsys):
    monkeypatch.setattr(check_env, "pins", lambda: ["tqdm==0.1"])
    code, out = report(capsys)
    assert code == 0
    assert "(tested with 0.1)" in out


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A course with one data file, instead of the real one."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.npz").write_bytes(b"abc")
    digest = hashlib.sha256(b"abc").hexdigest()
    (tmp_path / "data/SHA256SUMS").write_text(f"{digest}  a.npz\n")
    monkeypatch.setattr(check_env, "_ROOT", tmp_path)
    return tmp_path / "data"


def test_a_data_file(data):
    assert list(check_env.data_files()) == [(True, "data/a.npz", "0.00 MB")]
    (data / "a.npz").write_bytes(b"abd")
    remedy = "remedy: `git checkout data/a.npz`, or `make data`"
    assert list(check_env.data_files()) == [(False, "data/a.npz", f"changed; {remedy}")]
    (data / "a.npz").unlink()
    assert list(check_env.data_files()) == [(False, "data/a.npz", f"missing; {remedy}")]


def test_a_lost_list_of_data_files(data):
    (data / "SHA256SUMS").unlink()
    ((ok, name, found),) = check_env.data_files()
    assert not ok
    assert name == "data/SHA256SUMS"
    assert "git checkout data/SHA256SUMS" in found


def planned(*variables):
    """The pip commands with which make would set the course up."""
    plan = make(ROOT, "--dry-run", "--always-make", ".venv/.ready", *variables).stdout
    return [line for line in plan.splitlines() if "pip install" in line]


def test_torch_can_come_from_its_own_index_first():
    (everything,) = planned()
    assert "--index-url" not in everything
    torch, after = planned("TORCH_INDEX=https://example.org/cpu")
    assert torch.endswith("--index-url https://example.org/cpu torch")
    assert "--constraint constraints.txt" in torch
    assert after == everything


def test_jupyterlab_does_not_call_home():
    settings = json.loads((ROOT / "binder/overrides.json").read_text())
    notification = settings["@jupyterlab/apputils-extension:notification"]
    assert notification == {"fetchNews": "false", "checkForUpdates": False}
    for script in ("Makefile", "binder/postBuild"):
        assert "cp binder/overrides.json" in (ROOT / script).read_text()
