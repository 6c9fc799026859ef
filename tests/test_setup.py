"""One list of packages in four files, and a set-up that says what is wrong and what to do."""

import hashlib
import http.server
import importlib
import importlib.metadata
import json
import os
import runpy
import shutil
import socket
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from scripts import script

from course import check_env, torch_index

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
# What those who asked for the course named.
ASKED_FOR = {
    "jupyterlab",
    "matplotlib",
    "nbval",
    "numpy",
    "pandas",
    "sbi",
    "scikit-learn",
    "seaborn",
    "stingray",
    "torch",
}


def test_the_packages_that_were_asked_for_are_declared():
    assert {requirement.name for requirement in REQUIREMENTS} >= ASKED_FOR


def test_no_list_names_a_package_twice():
    for requirements in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()):
        names = [canonicalize_name(Requirement(text).name) for text in requirements]
        assert len(names) == len(set(names)), names


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


@pytest.mark.parametrize("name", ["binder/postBuild", "binder/start", ".ci/run"])
def test_scripts_can_run(name):
    assert os.access(ROOT / name, os.X_OK)
    subprocess.run(["bash", "-n", ROOT / name], check=True)


def program(path, code):
    """A program in shell, to stand in for another."""
    path.write_text(f"#!/bin/sh\n{code}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def post_build(tmp_path):
    """Run binder/postBuild as repo2docker does: in a copy of the course, before conda is activated."""
    shutil.copytree(ROOT / "binder", tmp_path / "course/binder")
    (tmp_path / "bin").mkdir()
    (tmp_path / "prefix").mkdir()

    def run(pip="exit 0"):
        program(tmp_path / "bin/pip", pip)
        # Python as it is, but for where it is installed and for the kernel.
        real = f"exec {sys.executable} -c \"import sys; sys.prefix = '{tmp_path}/prefix'; $2\""
        program(tmp_path / "bin/python", f'[ "$1" = -m ] || {real}')
        environment = {name: value for name, value in os.environ.items() if name != "CONDA_PREFIX"}
        environment["PATH"] = f"{tmp_path}/bin:{environment['PATH']}"
        return subprocess.run(["binder/postBuild"], cwd=tmp_path / "course", env=environment)

    return run


def test_post_build_puts_the_settings_where_jupyterlab_looks(post_build, tmp_path):
    assert post_build().returncode == 0
    made = tmp_path / "prefix/share/jupyter/lab/settings/overrides.json"
    assert made.read_bytes() == (ROOT / "binder/overrides.json").read_bytes()


def test_post_build_stops_at_an_error(post_build, tmp_path):
    assert post_build(pip="exit 7").returncode == 7
    assert not list((tmp_path / "prefix").iterdir())


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
    assert all(runs[name][0].startswith("make test ") for name in ("test", "newest"))
    assert "CONSTRAINTS=/dev/null" in runs["newest"][0]
    browser = runs["test"][1]
    assert browser == 'make browser-test LESSONS="00 14"'
    evidence = workflow["jobs"]["evidence"]
    assert "github.event_name == 'schedule'" in evidence["if"]
    assert runs["evidence"][0].startswith("make evidence FULL=1 ")
    kept = evidence["steps"][-1]
    assert kept["uses"].startswith("actions/upload-artifact@")
    assert "docs/evidence.md" in kept["with"]["path"].split()
    ours = [line.strip() for line in (ROOT / ".ci/run").read_text().splitlines()]
    assert {"make test", browser} <= set(ours)


@pytest.mark.parametrize(("verdict", "code"), [("", 0), ("<failure/>", 1)])
def test_the_weekly_run_fails_where_a_claim_does_not_hold(tmp_path, verdict, code):
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())
    _, look = [step["run"] for step in workflow["jobs"]["evidence"]["steps"] if "run" in step]
    case = f"<testsuite><testcase name='test_a_claim'>{verdict}</testcase></testsuite>"
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/evidence.md").write_text(script("evidence/report.py").claims(case))
    assert subprocess.run(["bash", "-e", "-c", look], cwd=tmp_path).returncode == code


def make(folder, *arguments):
    # `make test TORCH_INDEX=...` hands its flags and variables on to a make that its tests run.
    handed_on = {
        "CONSTRAINTS",
        "CPU_INDEX",
        "LESSON",
        "MAKEFLAGS",
        "MAKELEVEL",
        "MFLAGS",
        "PYTHON",
        "TORCH_INDEX",
    }
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
    folder = tmp_path / "a learner's folder"
    (folder / "binder").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "binder/overrides.json"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture
def stand_in(tmp_path):
    """Return the variable that makes `make` run a Python which answers in shell."""
    return lambda code: f"PYTHON={program(tmp_path / 'python', code)}"


@pytest.fixture
def installing(tmp_path, stand_in):
    """Return that variable for a Python that makes .venv and installs nothing, and a reader of what it was asked."""
    log = tmp_path / "log"

    def answering(index="", torch=0):
        log.write_text("")
        return stand_in(
            f"""echo "$*" >>{log}
            case "$*" in
                "-m venv .venv") mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
                course/torch_index.py*) echo {index} ;;
                *--index-url*) exit {torch} ;;
            esac"""
        )

    answering.asked = lambda: log.read_text().splitlines()
    answering.torch = lambda: [line for line in answering.asked() if "--index-url" in line]
    return answering


def test_make_refuses_an_old_python(fresh, stand_in):
    old = stand_in('[ "$1" = --version ] && echo Python 3.9.2 || exit 1')
    found = make(fresh, old, "lab")
    assert found.returncode != 0
    assert "needs Python 3.11 or newer" in found.stdout
    assert "is Python 3.9.2." in found.stdout
    assert "make PYTHON=python3.13 lab" in found.stdout
    assert not (fresh / ".venv").exists()


def test_make_says_what_a_python_without_venv_lacks(fresh, stand_in):
    found = make(fresh, stand_in('[ "$1" = -c ]'), "lab")
    assert found.returncode != 0
    assert "sudo apt install python3-venv" in found.stdout


def test_make_tries_again_after_an_install_that_failed(fresh, stand_in):
    # A Python whose venv makes a pip that fails: as when the network goes away.
    code = (
        '[ "$1" = -c ] || { mkdir -p .venv/bin; printf "#!/bin/sh\\nexit 3" > .venv/bin/python; }'
    )
    for _ in range(2):
        found = make(fresh, stand_in(f"{code}; chmod +x .venv/bin/python || true"), "lab")
        assert found.returncode != 0
        assert "Installing" in found.stdout
        assert not (fresh / ".venv/.ready").exists()


def test_lab_takes_options():
    command = make(ROOT, "--dry-run", "lab", "LAB_OPTIONS=--no-browser --port=9999").stdout
    assert command.splitlines()[-1].endswith(" --no-browser --port=9999")


@pytest.mark.parametrize("mend", ["lab", "check-env"])
@pytest.mark.parametrize("moved", [shutil.move, shutil.copytree])
def test_a_folder_that_was_moved_or_copied_is_set_up_anew(fresh, installing, tmp_path, moved, mend):
    variable = installing()
    assert make(fresh, variable, ".venv/.ready").returncode == 0
    (fresh / ".venv/old").touch()
    before = installing.asked()
    assert make(fresh, variable, ".venv/.ready").returncode == 0
    assert installing.asked() == before
    place = tmp_path / "another $folder"
    moved(fresh, place)
    program(place / ".venv/bin/jupyter", "exit 0")  # with the old folder in its first line
    found = make(place, variable, mend)
    assert "This folder was moved or copied" in found.stdout
    assert installing.asked()[: 2 * len(before)] == 2 * before
    assert not (place / ".venv/old").exists()
    if mend == "check-env":
        assert found.returncode == 0
        assert installing.asked()[-1] == "-m course.check_env"
        assert "moved" not in make(place, variable, mend).stdout


def test_a_mark_without_a_folder_is_not_trusted(fresh, installing):
    variable = installing()
    make(fresh, variable, ".venv/.ready")
    (fresh / ".venv/.ready").write_text("")
    assert "This folder was moved or copied" in make(fresh, variable, ".venv/.ready").stdout


CACHES = (
    "__pycache__",
    "some.egg-info",
    ".hypothesis",
    ".pytest_cache",
    ".ruff_cache",
    ".virtual_documents",
    "sbi-logs",
)


def test_clean_leaves_what_is_in_git_and_the_checkpoints(fresh):
    command = ["git", "ls-files", "*/*"]
    tracked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folders = {"."} | {name.rpartition("/")[0] for name in tracked.splitlines() if name[0] != "."}
    stay = {"Makefile", "pyproject.toml", "constraints.txt", "binder/overrides.json"}
    # Folders of a learner's own are not looked into, save those within the course's.
    for name in (
        "notebooks/.ipynb_checkpoints/00-checkpoint.ipynb",
        "notebooks/build/mine.txt",
        "my venv/lib/six.egg-info/PKG-INFO",
    ):
        (fresh / name).parent.mkdir(parents=True)
        (fresh / name).touch()
        stay.add(name)
    for folder in folders:
        (fresh / folder).mkdir(parents=True, exist_ok=True)
        (fresh / folder / "mine.txt").touch()
        stay.add(str(Path(folder) / "mine.txt"))
        for cache in CACHES:
            (fresh / folder / cache / "deeper").mkdir(parents=True)
    for name in (".venv/bin", "build/evidence", "slides"):
        (fresh / name).mkdir(parents=True)
    assert make(fresh, "clean").returncode == 0
    left = {str(path.relative_to(fresh)) for path in fresh.rglob("*")}
    assert {name for name in left if (fresh / name).is_file()} == stay
    assert not {Path(name).name for name in left - {"my venv/lib/some.egg-info"}} & set(CACHES)
    assert not {".venv", "build", "slides"} & left


def test_clean_and_set_up_in_one_command(fresh, installing):
    variable = installing()
    make(fresh, variable, ".venv/.ready")
    before = installing.asked()
    make(fresh, variable, "clean", ".venv/.ready")
    assert installing.asked() == 2 * before


def test_evidence_of_one_lesson():
    for variables, options in (
        (["LESSON=07"], ["--lesson", "07"]),
        (["FULL=1"], ["--full"]),
        (["FULL=1", "LESSON=14"], ["--full", "--lesson", "14"]),
        ([], []),
    ):
        plan = make(ROOT, "--dry-run", "evidence", *variables).stdout.splitlines()
        assert plan[-1].split()[1:] == ["evidence/report.py", *options]


def test_the_browser_test_finds_a_browser_or_says_how_to_get_one(fresh):
    command = [sys.executable, ROOT / "tests/browser/chromium.py"]
    own = program(fresh / "chromium", "")
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
    report(capsys)  # from here on no other package imports this one
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


def test_helpers_of_another_folder(monkeypatch, tmp_path):
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers/__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "shared"))
    ((ok, _, found),) = check_env.folder()
    assert ok
    assert found == f"from {tmp_path}, not from {ROOT}"
    monkeypatch.setattr(sys, "prefix", str(ROOT / ".venv"))  # it was copied with the folder
    ((ok, _, found),) = check_env.folder()
    assert not ok
    assert f"come from {tmp_path}" in found
    assert "remedy: `make lab`" in found


def test_helpers_of_a_folder_that_is_no_more(monkeypatch, tmp_path):
    bare = program(tmp_path / "python", f'exec {sys.executable} -S -E "$@"')
    monkeypatch.setattr(sys, "executable", str(bare))
    ((ok, _, found),) = check_env.folder()
    assert not ok
    assert "are not found in notebooks: was this folder moved or copied?" in found


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


def test_torch_comes_without_cuda_where_its_index_answers(fresh, installing):
    found = make(fresh, installing(index="https://example.org/cpu"), "TORCH_INDEX=", ".venv/.ready")
    *_, probe, torch, everything, _ = installing.asked()
    assert probe == "course/torch_index.py https://download.pytorch.org/whl/cpu"
    assert torch.endswith(
        "--constraint constraints.txt --no-deps --index-url https://example.org/cpu torch"
    )
    assert everything.endswith("--constraint constraints.txt --editable .[dev]")
    assert "No NVIDIA driver is here" in found.stdout
    assert "That failed" not in found.stdout


def test_torch_comes_with_the_rest_where_there_is_a_driver_or_no_answer(fresh, installing):
    assert make(fresh, installing(index=""), ".venv/.ready").returncode == 0
    assert not installing.torch()
    assert installing.asked()[-2].endswith("--editable .[dev]")


def test_torch_comes_with_the_rest_where_its_index_fails(fresh, installing):
    found = make(fresh, installing(index="https://example.org/cpu", torch=1), ".venv/.ready")
    assert found.returncode == 0
    assert "That failed. PyTorch comes with the other packages" in found.stdout
    assert installing.asked()[-2].endswith("--editable .[dev]")


def test_the_index_that_a_user_names_is_taken_without_a_question(fresh, installing):
    mine = "TORCH_INDEX=https://example.org/rocm"
    variable = installing(index="https://example.org/cpu", torch=1)
    assert make(fresh, variable, mine, ".venv/.ready").returncode != 0  # and nothing else instead
    (torch,) = installing.torch()
    assert torch.endswith("--no-deps --index-url https://example.org/rocm torch")
    variable = installing(index="https://example.org/cpu")
    assert make(fresh, variable, "TORCH_INDEX=none", ".venv/.ready").returncode == 0
    assert not installing.torch()
    assert not any("torch_index" in line for line in installing.asked())


@pytest.fixture
def no_driver(monkeypatch, tmp_path):
    """A Linux without an NVIDIA driver, whatever the tests run on; and no proxy."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(torch_index, "DRIVER", (tmp_path / "driver",))
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def index():
    """The address of a package index that has a page for torch."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/cpu/torch/" else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/cpu"
        server.shutdown()


def test_without_a_driver_the_index_is_asked(no_driver, index):
    assert torch_index.better(index)
    assert torch_index.better(f"{index}/")
    assert not torch_index.better(index.replace("cpu", "gpu"))


def test_with_a_driver_no_index_is_asked(no_driver, index, monkeypatch, tmp_path):
    (tmp_path / "driver").mkdir()
    assert not torch_index.better(index)
    (tmp_path / "driver").rmdir()
    monkeypatch.setattr(shutil, "which", {"nvidia-smi": "/usr/bin/nvidia-smi"}.get)
    assert not torch_index.better(index)


def test_only_linux_has_two_builds(no_driver, index, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not torch_index.better(index)


def asked(code, timeout=30):
    """What a Python of its own prints and complains of, which has so many seconds to end."""
    done = subprocess.run(
        [sys.executable, "-c", f"from course import torch_index; {code}"],
        cwd=ROOT, env={**os.environ, "no_proxy": "*"}, capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip
    return done.stdout, done.stderr


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "no address"])
def test_an_index_that_is_not_there(address):
    assert asked(f"print(torch_index.answers({address!r}))") == ("False\n", "")


def test_an_index_that_says_nothing_costs_two_seconds():
    # The system accepts a connection for a program that never looks.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        assert asked(f"print(torch_index.answers({address!r}))") == ("False\n", "")
        assert time.monotonic() - started < 10  # Python's own start, on a busy machine, within


def test_a_name_that_is_looked_up_for_ever_costs_no_more():
    hang = "import socket, time; socket.getaddrinfo = lambda *_, **__: time.sleep(60)"
    assert asked(f"{hang}; print(torch_index.answers('http://a.b', 0.1))") == ("False\n", "")


def test_the_script_prints_the_index_or_nothing(no_driver, index, monkeypatch, capsys):
    for address, printed in ((index, f"{index}\n"), (f"{index}/old", "")):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["torch_index.py", address])
            patch.setattr(
                Path, "exists", lambda path: False
            )  # the script run anew has its own DRIVER
            runpy.run_path(str(ROOT / "course/torch_index.py"), run_name="__main__")
        assert capsys.readouterr().out == printed


def test_jupyterlab_does_not_call_home():
    settings = json.loads((ROOT / "binder/overrides.json").read_text())
    notification = settings["@jupyterlab/apputils-extension:notification"]
    assert notification == {"fetchNews": "false", "checkForUpdates": False}
    for name in ("Makefile", "binder/postBuild"):
        assert "cp binder/overrides.json" in (ROOT / name).read_text()
