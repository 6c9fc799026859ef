"""Check whether this machine is ready for the course: `python -m course.check_env`, or `make check-env`.

Prints one line per package, device and data file: OK or FAIL, and the remedy. Exits with 1 if anything fails.
"""

import filecmp
import hashlib
import importlib
import importlib.metadata
import importlib.util
import pkgutil
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from course.wheels import refusal

try:
    from jupyter_core import paths
except ImportError:
    paths = None

__all__ = ["data_files", "devices", "folder", "home", "main", "packages", "pins", "shadows"]

_ROOT = Path(__file__).resolve().parent.parent
# Packages whose name to import differs from the name to install.
_MODULES = {"ml-xray-spectral-timing": "helpers", "scikit-learn": "sklearn"}


def pins():
    """Return the lines `name==version` of constraints.txt, the tested versions."""
    lines = (_ROOT / "constraints.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def packages():
    """Yield (ok, name, result or remedy) for the course itself and every package that it declares."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    tested = dict(pin.split("==") for pin in pins())
    for requirement in (project["name"], *project["dependencies"]):
        name = re.match(r"[\w.-]+", requirement).group()
        try:
            importlib.import_module(_MODULES.get(name, name))
            version = importlib.metadata.version(name)
        except Exception as error:  # importing a broken package can raise any error
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            yield False, name, f"{reason}; remedy: `make clean lab`"
            continue
        release = version.split("+")[0]  # 2.13.0+cpu is a build of 2.13.0
        wanted = tested.get(name, release)
        yield True, name, version if release == wanted else f"{version} (tested with {wanted})"


def folder():
    """Yield one line: the folder from which notebooks import `helpers`, which may have been moved or copied."""
    code = (
        "from importlib.util import find_spec; print(getattr(find_spec('helpers'), 'origin', ''))"
    )
    # -P leaves out files in notebooks/, which `shadows` checks.
    started = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=_ROOT / "notebooks", capture_output=True, text=True
    )
    found = started.stdout.strip()
    place, prefix = Path(found).resolve().parent.parent, Path(sys.prefix).resolve()
    sources = [path.relative_to(_ROOT) for path in _ROOT.glob("helpers/**/*.py")]
    _, *differ = filecmp.cmpfiles(_ROOT, place, sources, shallow=False)
    if found and place == _ROOT:
        yield True, "helpers", f"from {place}"
    # On a server all users may share one installation, from another clone that is as new as this. A .venv belongs to
    # its own folder; `activate` in a copied .venv refers to the old folder.
    elif found and not any([*differ, *map(prefix.is_relative_to, (_ROOT, place))]):
        yield True, "helpers", f"from {place}, not from {_ROOT}"
    else:
        where = f"come from {place}" if found else "are not found"
        remedy = "remedy: `make lab`, or with conda `pip install --no-deps -e .`"
        yield False, "helpers", f"{where} in notebooks: was this folder moved or copied? {remedy}"


def shadows():
    """Yield one line for every file or folder in notebooks/ that would be imported instead of a package."""
    for place in ("notebooks", "solutions"):
        for module in pkgutil.iter_modules([_ROOT / place]):
            spec = importlib.util.find_spec(module.name)
            if spec and spec.has_location:
                why = f"notebooks import it instead of {spec.origin}; remedy: rename it"
                yield False, f"{place}/{module.name}", why


def home():
    """Yield one line that says whether Jupyter can write its files, which are usually in the home directory."""
    if paths is None:  # `packages` says so
        return
    try:
        for place in map(Path, (paths.jupyter_config_dir(), paths.jupyter_runtime_dir())):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=place).close()
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home directory
        remedy = "`make lab` keeps them in build/home; else `HOME=$PWD/build/home jupyter lab`"
        yield False, "home", f"Jupyter cannot keep its files: {error}; remedy: {remedy}"
    else:
        yield True, "home", f"Jupyter's files are in {place}"


def devices():
    """Yield one line for the processor, and one for each accelerator that torch can use."""
    try:
        import torch
    except Exception:  # `packages` says so
        return
    yield True, "device cpu", f"{torch.get_num_threads()} threads"
    for index in range(torch.cuda.device_count()):
        yield True, f"device cuda:{index}", torch.cuda.get_device_name(index)
    if torch.backends.mps.is_available():
        yield True, "device mps", "Apple GPU"


def data_files():
    """Yield one line for every file in data/, compared with its SHA-256 in data/SHA256SUMS."""
    try:
        sums = (_ROOT / "data" / "SHA256SUMS").read_text()
    except FileNotFoundError:
        yield False, "data/SHA256SUMS", "missing; remedy: `git checkout data/SHA256SUMS`"
        return
    for line in sums.splitlines():
        digest, name = line.split()
        path = _ROOT / "data" / name
        remedy = f"remedy: `git checkout data/{name}`, or `make data`"
        if not path.exists():
            yield False, f"data/{name}", f"missing; {remedy}"
        elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            yield False, f"data/{name}", f"changed; {remedy}"
        else:
            yield True, f"data/{name}", f"{path.stat().st_size / 1e6:.2f} MB"


def main():
    """Print one line for each requirement of the course; return 1 if anything fails, else 0."""
    failures, why, needed = 0, refusal(), list(packages())
    # Packages without wheels may have been built; but this does not help on Windows.
    ready = not why or (sys.platform != "win32" and all(ok for ok, *_ in needed))
    version = ".".join(map(str, sys.version_info[:3]))
    python = [(ready, "python", f"{version}; {why}" if why else version)]
    for group in (python, needed, folder(), shadows(), home(), devices(), data_files()):
        for ok, name, found in group:
            failures += not ok
            print(f"{'OK  ' if ok else 'FAIL'}  {name:<34} {found}")
    print(f"{failures} of these failed." if failures else "All is ready.")
    return 1 if failures else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--home"]:  # the only question of the Makefile before it starts Jupyter
        sys.exit(next((found for ok, _, found in home() if not ok), None))
    sys.exit(main())
