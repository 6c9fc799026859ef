"""Find out which wheels this machine gets: `python course/wheels.py [INDEX]`, run by the Makefile before it installs.

Without INDEX it fails if the tested packages have no wheels here, with the reason and the remedy. It needs no network.

INDEX is the address of an index with PyTorch without CUDA. With INDEX it prints this address on Linux without an
NVIDIA driver (macOS has no CUDA anyway), if INDEX answers within two seconds. Otherwise it prints nothing.
"""

import platform
import re
import shutil
import sys
import threading
import tomllib
import urllib.request
from http.client import HTTPException
from pathlib import Path

__all__ = ["answers", "refusal"]

# Files of a driver besides its program nvidia-smi, which need not be on the path in WSL.
DRIVER = (Path("/proc/driver/nvidia"), Path("/usr/lib/wsl/lib/nvidia-smi"))
# Requirements of the wheels of this PyTorch, from their names; pyproject.toml has the range of Pythons. The other
# packages of constraints.txt require no more. Intel Macs have no wheel of numba 0.68.1 either.
TORCH, MACOS, GLIBC = "2.13.0", 14, (2, 28)
MACHINES = {("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "arm64")}


def refusal():
    """Return why the tested packages have no wheels here, or the course does not run, and the remedy; else ""."""
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    last = int(re.search(r"<3\.(\d+)", tomllib.loads(text)["project"]["requires-python"])[1]) - 1
    system, machine = platform.system(), platform.machine()
    macos, libc = platform.mac_ver()[0], platform.libc_ver()
    remedy = "work on Binder or on Linux (another machine, or a virtual one on this)"
    if system == "Windows":
        why = "native Windows has no make, and no fcntl, by which campaigns (lesson 14) lock their files"
        remedy = "WSL 2 (`wsl --install`), and in it all as on Linux"
    elif sys.version_info[:2] > (3, last):
        why = f"Python {platform.python_version()} is too new: PyTorch {TORCH} has wheels up to 3.{last}"
        remedy = "name an older one, `make PYTHON=python3.13 lab`"
    elif (system, machine) == ("Darwin", "x86_64"):
        why = "this Python is one for Intel Macs, and PyTorch has no wheels for them since 2.2.2"
        remedy += ", or, if this Mac has an Apple processor, name a Python for it: "
        remedy += "`make PYTHON=/opt/homebrew/bin/python3 lab`"
    elif (system, machine) not in MACHINES:
        why = f"PyTorch {TORCH} has no wheels for {system} on {machine}"
    elif system == "Darwin" and macos.partition(".")[0] in map(str, range(11, MACOS)):
        why = f"the wheels of PyTorch {TORCH} need macOS {MACOS} or newer, and this is {macos}"
        remedy = f"update macOS, or {remedy}"
    elif system == "Linux" and [*map(int, re.findall(r"\d+", libc[1]))] < [*GLIBC]:
        found = " ".join(libc).strip() or "none"  # musl gives a version below 2, or none
        why = (
            f"the wheels of PyTorch {TORCH} need glibc 2.28 (of 2018) or newer, and here is {found}"
        )
    else:
        return ""
    return f"{why}; remedy: {remedy}"


def answers(index, seconds=2.0):
    """Return True if a package index has a page for torch, and answers within this time, in seconds."""
    found = []

    def ask():
        try:
            # Some hosts refuse Python's default user agent.
            page = urllib.request.Request(
                f"{index.rstrip('/')}/torch/", headers={"User-Agent": "pip"}
            )
            with urllib.request.urlopen(page, timeout=seconds):
                found.append(index)
        except (OSError, ValueError, HTTPException):  # no host, no valid address, or no web page
            pass

    # The timeout of urlopen is for each step, and not for the look-up of the name.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return bool(found)


if __name__ == "__main__":
    driver = shutil.which("nvidia-smi") or any(path.exists() for path in DRIVER)
    if len(sys.argv) == 1:
        if why := refusal():
            sys.exit(f"The course cannot be installed here: {why}")
    elif sys.platform == "linux" and not driver and answers(sys.argv[1]):
        print(sys.argv[1])
