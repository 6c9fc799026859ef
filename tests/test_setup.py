"""One list of packages in four files, and a set-up that says what is wrong and what to do."""

import hashlib
import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from scripts import script
from stand_ins import program, served

from course import check_env, wheels

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
    *("jupyterlab", "matplotlib", "nbval", "numpy", "pandas"),
    *("sbi", "scikit-learn", "seaborn", "stingray", "torch"),
}


def test_the_packages_that_were_asked_for_are_declared():
    assert {requirement.name for requirement in REQUIREMENTS} >= ASKED_FOR


@pytest.mark.parametrize("requirement", [*REQUIREMENTS, *EXTRAS], ids=lambda r: r.name)
def test_every_requirement_is_pinned(requirement):
    assert PINS[canonicalize_name(requirement.name)] in requirement.specifier


def test_conda_and_binder_have_the_same_packages():
    environment = (ROOT / "environment.yml").read_text()
    assert (ROOT / "binder/environment.yml").read_text() == environment
    *conda, last = yaml.safe_load(environment)["dependencies"]
    versions = dict(entry.split("=") for entry in conda if "=" in entry)
    assert versions.pop("python") in SpecifierSet(PROJECT["requires-python"])
    with_pip = ("sbi", "zuko")
    names = {requirement.name for requirement in REQUIREMENTS} - set(with_pip)
    assert versions == {ON_CONDA.get(name, name): PINS[name] for name in names}
    assert last == {"pip": [f"{name}=={PINS[name]}" for name in with_pip]}


@pytest.mark.parametrize("name", ["binder/postBuild", "binder/start", ".ci/run"])
def test_scripts_can_run(name):
    assert os.access(ROOT / name, os.X_OK)
    subprocess.run(["bash", "-n", ROOT / name], check=True)


SETTINGS = "share/jupyter/lab/settings/overrides.json"


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
    made = json.loads((tmp_path / "prefix" / SETTINGS).read_text())
    news = made["@jupyterlab/apputils-extension:notification"]
    assert news == {"fetchNews": "false", "checkForUpdates": False}  # it does not call home


def test_post_build_stops_at_an_error(post_build, tmp_path):
    assert post_build(pip="exit 7").returncode == 7
    assert not list((tmp_path / "prefix").iterdir())


def test_start_limits_threads_and_becomes_the_command():
    command = [ROOT / "binder/start", "sh", "-c", "echo $OMP_NUM_THREADS; exit 5"]
    found = subprocess.run(command, capture_output=True, text=True)
    assert (found.stdout, found.returncode) == ("1\n", 5)
    assert (ROOT / "binder/start").read_text().splitlines()[-1] == 'exec "$@"'


@pytest.mark.parametrize(("verdict", "code"), [("", 0), ("<failure message='it fell'/>", 1)])
def test_the_weekly_run_fails_where_a_claim_does_not_hold(tmp_path, verdict, code):
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())
    _, look = [step["run"] for step in workflow["jobs"]["evidence"]["steps"] if "run" in step]
    case = f"<testsuite><testcase name='test_a_claim'>{verdict}</testcase></testsuite>"
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/evidence.md").write_text(script("evidence/report.py").claims(case))
    assert subprocess.run(["bash", "-e", "-c", look], cwd=tmp_path).returncode == code


def make(folder, *arguments, **more):
    # Not the flags and variables that `make test TORCH_INDEX=...` hands on to what its tests run
    command, bare = ["make", *arguments], {"PATH": os.environ["PATH"], **more}
    return subprocess.run(command, cwd=folder, env=bare, capture_output=True, text=True)


def test_make_help_names_every_target_and_machines_call_no_other():
    (phony,) = re.findall(r"^\.PHONY: (help .+)$", (ROOT / "Makefile").read_text(), re.M)
    lines = make(ROOT, "help").stdout.splitlines()
    assert [line.split()[1] for line in lines] == phony.split()
    for name in (".github/workflows/test.yml", ".ci/run"):
        called = re.findall(r"^ *(?:- run: )?make (\S+)", (ROOT / name).read_text(), re.M)
        assert {"test", "browser-test"} <= set(called) <= set(phony.split()), name


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["lab", "LAB_OPTIONS=--no-browser --port=9999"], " --no-browser --port=9999"),
        (["evidence", "LESSON=07"], " evidence/report.py --lesson 07"),
        (["evidence", "FULL=1", "LESSON=14"], " evidence/report.py --full --lesson 14"),
    ],
)
def test_variables_become_options(arguments, options):
    *_, command = make(ROOT, "--dry-run", *arguments).stdout.splitlines()
    assert " ".join(command.split()).endswith(options)


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

    def answering(index="", fails=0):
        log.write_text("")
        return stand_in(
            f"""echo "$*" >>{log}
            case "$*" in
                "-m venv .venv") mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
                *.py?http*) echo {index} ;;
                *--index-url*) exit {fails} ;;
            esac"""
        )

    answering.asked = lambda: log.read_text().splitlines()
    return answering


# A Python whose venv makes a pip that fails: as when the network goes away
OFFLINE = """[ "$1" != -m ] || {
    mkdir -p .venv/bin; printf "#!/bin/sh\\nexit 3" >.venv/bin/python; chmod +x .venv/bin/python; }"""


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            '[ "$1" = --version ] && echo Python 3.9.2 || exit 1',
            "needs Python 3.11 to 3.14, .* is Python 3.9.2.*\n.* make PYTHON=python3.13 lab",
        ),
        ('[ "$1" != -m ]', "sudo apt install python3-venv"),
        (OFFLINE, "Installing"),
    ],
    ids=["old Python", "no venv", "no network"],
)
def test_a_set_up_that_fails_says_why_and_is_tried_again(fresh, stand_in, code, said):
    for _ in range(2):
        found = make(fresh, stand_in(code), "lab")
        assert found.returncode != 0
        assert re.search(said, found.stdout)
        assert not (fresh / ".venv/.ready").exists()


# What platform and sys say of a machine, and the words that refuse it
LINUX = {"system": "Linux", "machine": "x86_64", "mac_ver": ("",), "libc_ver": ("glibc", "2.28")}
MAC = {**LINUX, "system": "Darwin", "machine": "arm64", "mac_ver": ("14.0",), "libc_ver": ("", "")}
VIRTUAL = "on Binder or on Linux (another machine, or a virtual one"
OLDER = "`make PYTHON=python3.13 lab`"
REFUSED = {
    "Python 3.15": ({**LINUX, "version": (3, 15)}, "PyTorch 2.13.0 has wheels up to 3.14", OLDER),
    "Python 3.15, Mac": ({**MAC, "version": (3, 15)}, "Python 3.15.0 is too new", OLDER),
    "Intel Mac": (
        {**MAC, "machine": "x86_64"},
        "Intel Macs, .* no wheels for them since 2.2.2",
        VIRTUAL,
    ),
    "macOS 13": (
        {**MAC, "mac_ver": ("13.7.1",)},
        "macOS 14 or newer, and this is 13.7.1",
        "update macOS",
    ),
    "CentOS 7": ({**LINUX, "libc_ver": ("glibc", "2.17")}, "glibc 2.28 .* is glibc 2.17", VIRTUAL),
    "Alpine": ({**LINUX, "libc_ver": ("musl", "1.2.5")}, "glibc 2.28 .* is musl 1.2.5", VIRTUAL),
    "Alpine, older": ({**LINUX, "libc_ver": ("", "")}, "glibc 2.28 .* is none", VIRTUAL),
    "POWER": ({**LINUX, "machine": "ppc64le"}, "2.13.0 .* for Linux on ppc64le", VIRTUAL),
    "Windows": ({**LINUX, "system": "Windows"}, "no make, and no fcntl", "WSL 2 (`wsl --install`)"),
}
TAKEN = {
    "Linux": LINUX,
    "Linux on ARM, newer": {**LINUX, "machine": "aarch64", "libc_ver": ("glibc", "2.41")},
    "Mac": MAC,
    "newer Mac": {**MAC, "mac_ver": ("26.1",)},
    "Mac that names no version": {**MAC, "mac_ver": ("10.16",)},
    "Python 3.14": {**LINUX, "version": (3, 14)},
}


@pytest.fixture
def on(monkeypatch):
    """Return a function that makes this machine another."""

    def pretend(version=(3, 13), **says):
        for name, value in says.items():
            monkeypatch.setattr(platform, name, lambda value=value: value)
        monkeypatch.setattr(platform, "python_version", lambda: "{}.{}.0".format(*version))
        monkeypatch.setattr(sys, "version_info", (*version, 0, "final", 0))

    return pretend


@pytest.mark.parametrize(("machine", "why", "remedy"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_wheels_is_refused_with_the_reason_and_a_remedy(on, machine, why, remedy):
    on(**machine)
    reason, _, rest = wheels.refusal().partition("; remedy: ")
    assert re.search(why, reason)
    assert remedy in rest


@pytest.mark.parametrize("machine", TAKEN.values(), ids=TAKEN)
def test_what_has_wheels_is_not_refused(on, machine):
    on(**machine)
    assert wheels.refusal() == ""


def test_nothing_is_refused_where_the_tests_run():
    assert wheels.refusal() == ""


def test_the_wheels_are_those_of_the_pinned_versions():
    # Where this fails: look which wheels the new pins have, as with `pip install --dry-run --no-deps --target build/x
    # --only-binary=:all: --python-version 3.15 --platform macosx_14_0_x86_64 torch==2.13.0`.
    assert PINS["torch"] == wheels.TORCH
    torch = importlib.metadata.distribution("torch")
    tags = torch.read_text("WHEEL") or ""  # conda's has none
    if torch.version.startswith(wheels.TORCH):
        assert re.findall(r"macosx_(\d+)_", tags) in ([], [str(wheels.MACOS)])
        assert re.findall(r"manylinux_(\d+_\d+)_", tags) in ([], ["{}_{}".format(*wheels.GLIBC)])


def test_make_refuses_before_anything_is_made(fresh, stand_in):
    shutil.copytree(ROOT / "course", fresh / "course")
    code = "import runpy, sys; sys.version_info = (3, 15, 0); "
    code += "sys.argv[0] = path = sys.argv.pop(); runpy.run_path(path, run_name='__main__')"
    real = f'case "$1" in *.py) exec {sys.executable} -c "{code}" "$1" ;; -m) touch asked ;; esac'
    done = make(fresh, stand_in(real), "lab")
    assert done.returncode != 0
    assert "The course cannot be installed here: Python" in done.stderr
    assert {path.name for path in fresh.iterdir()}.isdisjoint({"asked", ".venv"})
    assert done.stdout == ""


@pytest.mark.parametrize("moved", [shutil.move, shutil.copytree])
def test_a_folder_that_was_moved_or_copied_is_set_up_anew(fresh, installing, tmp_path, moved):
    variable = installing()
    assert make(fresh, variable, ".venv/.ready").returncode == 0
    before = installing.asked()
    assert make(fresh, variable, ".venv/.ready").returncode == 0
    assert installing.asked() == before
    (fresh / ".venv/old").touch()
    place = tmp_path / "another $folder"
    moved(fresh, place)
    found = make(place, variable, "check-env")
    assert found.returncode == 0
    assert "This folder was moved or copied" in found.stdout
    assert installing.asked() == [*before, *before, "-m course.check_env"]
    assert not (place / ".venv/old").exists()
    assert "moved" not in make(place, variable, "check-env").stdout
    (place / ".venv/.ready").write_text("")  # a mark that names no folder
    assert "This folder was moved or copied" in make(place, variable, "check-env").stdout
    (place / ".venv/bin/python").unlink()  # as after an upgrade of the Python it leads to
    assert "or the Python of .venv is gone" in make(place, variable, "check-env").stdout


CACHES = {
    *("__pycache__", "some.egg-info", ".hypothesis", ".pytest_cache", ".ruff_cache"),
    *(".virtual_documents", "sbi-logs"),
}


def test_clean_leaves_what_is_in_git_and_the_checkpoints(fresh):
    command = ["git", "ls-files", "*/*"]
    tracked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folders = {"."} | {name.rpartition("/")[0] for name in tracked.splitlines() if name[0] != "."}
    stay = {"Makefile", "pyproject.toml", "constraints.txt", "binder/overrides.json"}
    # Folders of a learner's own are not looked into, save those within the course's.
    for name in (
        *("notebooks/.ipynb_checkpoints/00-checkpoint.ipynb", "notebooks/build/mine.txt"),
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
    assert not {Path(name).name for name in left} & CACHES
    assert not {".venv", "build", "slides"} & left


def test_clean_and_set_up_in_one_command(fresh, installing):
    variable = installing()
    make(fresh, variable, ".venv/.ready")
    before = installing.asked()
    make(fresh, variable, "clean", ".venv/.ready")
    assert installing.asked() == 2 * before


def test_the_browser_test_finds_a_browser_or_says_how_to_get_one(fresh):
    def found(path):
        command = [sys.executable, ROOT / "tests/browser/chromium.py"]
        environment = {**os.environ, "CHROMIUM": str(path)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    own = program(fresh / "chromium", "")
    assert found(own) == (0, f"{own}\n", "")
    code, _, said = found(fresh / "nowhere")
    assert code == 1
    for remedy in ("sudo apt install", "sudo dnf install", "brew install", "CHROMIUM="):
        assert remedy in said


@pytest.fixture
def report(monkeypatch, capsys):
    """check_env, which looks for all packages, but imports none: all it says, and its exit code."""

    def report(**errors):
        def import_module(name):
            if name in errors:
                raise errors[name]
            assert importlib.util.find_spec(name)

        monkeypatch.setattr(importlib, "import_module", import_module)
        code = check_env.main()
        return capsys.readouterr().out, code

    return report


def test_all_is_ready(report):
    out, code = report()
    assert code == 0
    assert "FAIL" not in out
    assert out.endswith("All is ready.\n")
    for name in (*(requirement.name for requirement in REQUIREMENTS), "device cpu", "data/"):
        assert f"\nOK    {name}" in out


@pytest.mark.parametrize("error", [ImportError("libfoo.so: not found\nat all"), ValueError()])
def test_a_package_that_does_not_import(report, error):
    out, code = report(sklearn=error)
    assert code == 1
    (line,) = (line for line in out.splitlines() if line.startswith("FAIL"))
    assert line.split()[1] == "scikit-learn"
    assert line.endswith("remedy: `make clean lab`")
    assert out.endswith("1 of these failed.\n")


def test_the_line_of_python_says_where_there_are_no_wheels(report, on, monkeypatch):
    def line(out):
        return next(line for line in out.splitlines() if " python " in line)

    on(**{**MAC, "machine": "x86_64"})
    out, code = report()  # somebody built them: all are here
    assert code == 0
    assert re.match("OK    python .* Intel Macs", line(out))
    assert re.match(
        "FAIL  python .* Intel Macs.*; remedy: work on Binder", line(report(torch=ImportError())[0])
    )
    on(**{**LINUX, "system": "Windows"})
    monkeypatch.setattr(sys, "platform", "win32")
    out, code = report()
    assert code == 1
    assert re.match("FAIL  python .* no make, and no fcntl.* WSL 2", line(out))


def test_campaigns_name_what_windows_lacks(monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(ImportError, match="native Windows lacks: work in WSL 2"):
        script("helpers/campaign/coordinator.py")


def test_a_version_that_was_not_tested(report, monkeypatch):
    monkeypatch.setattr(check_env, "pins", lambda: ["tqdm==0.1"])
    out, code = report()
    assert code == 0
    assert "(tested with 0.1)" in out


def test_helpers_of_another_folder(monkeypatch, tmp_path):
    def found(prefix):
        monkeypatch.setattr(sys, "prefix", str(prefix))
        ((ok, _, said),) = check_env.folder()
        return ok, said

    shutil.copytree(ROOT / "helpers", tmp_path / "helpers")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    shared = tmp_path.with_name("shared")
    assert found(shared) == (True, f"from {tmp_path}, not from {ROOT}")
    # .venv was copied with the folder; or `activate` in the copied one led to that of the old folder
    for prefix in (ROOT / ".venv", tmp_path / ".venv"):
        ok, said = found(prefix)
        assert not ok
        assert f"come from {tmp_path}" in said
        assert "remedy: `make lab`" in said
    (tmp_path / "helpers/data.py").write_text("older")
    assert not found(shared)[0]
    (tmp_path / "helpers/data.py").unlink()
    assert not found(shared)[0]


def test_helpers_of_a_folder_that_is_no_more(monkeypatch, tmp_path):
    bare = program(tmp_path / "python", f'exec {sys.executable} -S -E "$@"')
    monkeypatch.setattr(sys, "executable", str(bare))
    ((ok, _, found),) = check_env.folder()
    assert not ok
    assert "are not found in notebooks: was this folder moved or copied?" in found


def test_a_file_of_a_learner_that_hides_a_package(report, monkeypatch, tmp_path):
    mine = (
        "helpers",
        "stingray",
        "random",
        "time",
        "mysim",
    )  # nothing hides what is built in, as time is
    for place in ("notebooks", "solutions/seaborn"):
        (tmp_path / place).mkdir(parents=True)
    for name in (*(f"notebooks/{name}" for name in mine), "solutions/seaborn/__init__"):
        (tmp_path / f"{name}.py").touch()
    monkeypatch.setattr(check_env, "_ROOT", tmp_path)
    found = {name: said for ok, name, said in check_env.shadows() if not ok}
    assert list(found) == [*(f"notebooks/{name}" for name in sorted(mine[:3])), "solutions/seaborn"]
    assert found["notebooks/helpers"].endswith("helpers/__init__.py; remedy: rename it")
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    assert "FAIL  notebooks/stingray " in report()[0]


def test_it_hides_no_helpers_from_the_check_of_the_folder(monkeypatch, tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/helpers.py").touch()
    monkeypatch.setattr(check_env, "_ROOT", tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    ((_, _, said),) = check_env.folder()
    assert f"from {ROOT}" in said


@pytest.fixture
def no_home(monkeypatch, tmp_path):
    """A home in which nobody can write, not even root: it lies in a file."""
    for name in [name for name in os.environ if name.startswith(("JUPYTER_", "XDG_"))]:
        monkeypatch.delenv(name)
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file/home"))
    return tmp_path / "file/home"


def test_a_home_that_cannot_be_written(no_home, report, monkeypatch, tmp_path):
    out, code = report()
    assert code == 1
    (line,) = (line for line in out.splitlines() if line.startswith("FAIL"))
    assert re.match(
        rf"FAIL  home +Jupyter cannot keep its files: .*{no_home}.*; remedy: `make lab`", line
    )
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")
    for given in (names[:1], names[1:], names):
        with monkeypatch.context() as patch:
            for name in given:
                patch.setenv(name, str(tmp_path / "jupyter"))
            assert next(check_env.home())[0] == (given == names)


@pytest.mark.parametrize("target", ["lab", "test"])
def test_jupyter_gets_a_home(fresh, installing, no_home, target):
    variable = installing()
    assert make(fresh, variable, ".venv/.ready").returncode == 0
    shutil.copytree(ROOT / "course", fresh / "course")
    real = f'[ "$*" = "-m course.check_env --home" ] || exit 9; exec {sys.executable} "$@"'
    program(fresh / ".venv/bin/python", real)
    for name in ("ruff", "jupyter", "pytest"):
        program(fresh / ".venv/bin" / name, 'echo "$HOME"')
    done = make(fresh, target, HOME=str(no_home))
    assert done.stdout.splitlines()[-1] == str(fresh / "build/home")
    assert (fresh / "build/home").is_dir()
    assert "Jupyter cannot keep its files" in done.stderr
    done = make(fresh, target, HOME=str(fresh))
    assert (done.stdout.splitlines()[-1], done.stderr) == (str(fresh), "")


def test_data_files_are_compared_with_their_list(tmp_path, monkeypatch):
    def found():
        return list(check_env.data_files())

    monkeypatch.setattr(check_env, "_ROOT", tmp_path)
    file, sums = tmp_path / "data/a.npz", tmp_path / "data/SHA256SUMS"
    file.parent.mkdir()
    file.write_bytes(b"abc")
    sums.write_text(f"{hashlib.sha256(b'abc').hexdigest()}  a.npz\n")
    assert found() == [(True, "data/a.npz", "0.00 MB")]
    remedy = "remedy: `git checkout data/a.npz`, or `make data`"
    file.write_bytes(b"abd")
    assert found() == [(False, "data/a.npz", f"changed; {remedy}")]
    file.unlink()
    assert found() == [(False, "data/a.npz", f"missing; {remedy}")]
    sums.unlink()
    remedy = "remedy: `git checkout data/SHA256SUMS`"
    assert found() == [(False, "data/SHA256SUMS", f"missing; {remedy}")]


CPU = "https://example.org/cpu"


@pytest.mark.parametrize(
    ("index", "fails"),
    [(CPU, 0), ("", 0), (CPU, 1)],
    ids=["answers", "driver or no answer", "fails"],
)
def test_torch_comes_without_cuda_where_its_index_answers(fresh, installing, index, fails):
    found = make(fresh, installing(index, fails), "TORCH_INDEX=", ".venv/.ready")
    assert found.returncode == 0
    probe, *torch, everything, compiling, _ = installing.asked()[3:]
    assert probe == "course/wheels.py https://download.pytorch.org/whl/cpu"
    ours = f"--constraint constraints.txt --no-deps --index-url {CPU} torch"
    assert [line.endswith(ours) for line in torch] == ([True] if index else [])
    assert everything.endswith("--constraint constraints.txt --editable .[dev]")
    # What pip leaves uncompiled is compiled afterwards: not each process of a read-only .venv does it again.
    assert all("install --no-compile " in line for line in (*torch, everything))
    assert compiling == "-m compileall -qq -j 0 -x /tests/ .venv/lib"
    assert ("No NVIDIA driver is here" in found.stdout) == bool(index)
    assert ("That failed. PyTorch comes with the other packages" in found.stdout) == bool(fails)
    assert (fresh / ".venv" / SETTINGS).exists()


def test_the_index_that_a_user_names_is_taken_without_a_question(fresh, installing):
    mine = "TORCH_INDEX=https://example.org/rocm"
    variable = installing(CPU, fails=1)
    assert make(fresh, variable, mine, ".venv/.ready").returncode != 0  # and nothing else instead
    assert installing.asked()[-1].endswith("--no-deps --index-url https://example.org/rocm torch")
    variable = installing(CPU)
    assert make(fresh, variable, "TORCH_INDEX=none", ".venv/.ready").returncode == 0
    assert not any("index" in line for line in installing.asked())


def test_only_linux_without_a_driver_has_a_better_index(tmp_path, monkeypatch, capsys):
    there = set()  # what a driver brings; and no proxy
    monkeypatch.setattr(Path, "exists", lambda path: str(path) in there)
    monkeypatch.setattr(shutil, "which", lambda name: name if name in there else None)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("no_proxy", "*")

    def printed(address):
        monkeypatch.setattr(sys, "argv", ["wheels.py", address])
        runpy.run_path(str(ROOT / "course/wheels.py"), run_name="__main__")
        return capsys.readouterr().out

    (tmp_path / "cpu/torch").mkdir(parents=True)
    with served(tmp_path) as (address, _):
        index = f"{address}/cpu"
        assert printed(index) == f"{index}\n"
        assert printed(f"{index}/") == f"{index}/\n"
        assert printed(f"{address}/gpu") == ""
        for sign in ("nvidia-smi", "/proc/driver/nvidia", "/usr/lib/wsl/lib/nvidia-smi"):
            there.add(sign)
            assert printed(index) == "", sign
            there.clear()
        monkeypatch.setattr(sys, "platform", "darwin")
        assert printed(index) == ""


@pytest.mark.parametrize(
    "code",
    [
        "print(wheels.answers('http://127.0.0.1:1'))",
        "print(wheels.answers('no address'))",
        # A name that is looked up for ever
        "import socket, time; socket.getaddrinfo = lambda *_, **__: time.sleep(60); "
        "print(wheels.answers('http://a.b', 0.1))",
    ],
)
def test_an_index_that_is_not_there_costs_seconds_and_no_complaint(code):
    done = subprocess.run(
        [sys.executable, "-c", f"from course import wheels; {code}"],
        cwd=ROOT, env={**os.environ, "no_proxy": "*"}, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_workers_begin_with_the_last_lessons_and_keep_the_order_of_cells():
    """Or one of them waits at the end while the other one runs what takes longest."""
    order = runpy.run_path(str(ROOT / "conftest.py"))["pytest_collection_modifyitems"]
    cells = [f"{folder}/{n}.ipynb::{k}" for folder in ("a", "b") for n in (1, 2) for k in (0, 1)]
    names = ["tests/test_b.py::x", *cells, "tests/test_a.py::y"]
    items = [SimpleNamespace(name=name, path=Path(name.split("::")[0])) for name in names]
    config = SimpleNamespace(getoption={"--every-claim": True}.get)
    order(config, items)
    assert [item.name for item in items] == names
    config.workerinput = {}
    order(config, items)
    assert [item.name for item in items] == [
        *(cells[2:4] + cells[6:8] + cells[:2] + cells[4:6]),
        *("tests/test_b.py::x", "tests/test_a.py::y"),
    ]
