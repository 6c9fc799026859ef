"""Should PyTorch come without CUDA?  `python course/torch_index.py INDEX`, as the Makefile asks before it installs.

Prints the address of INDEX, which has PyTorch without CUDA, where that is the better one: on Linux without an NVIDIA
driver (macOS has no CUDA anyway), if INDEX answers within two seconds. Prints nothing where not.
"""

import shutil
import sys
import threading
import urllib.request
from http.client import HTTPException
from pathlib import Path

__all__ = ["answers"]

# What a driver leaves beside its program nvidia-smi, which in WSL need not be on the path.
DRIVER = (Path("/proc/driver/nvidia"), Path("/usr/lib/wsl/lib/nvidia-smi"))


def answers(index, seconds=2.0):
    """True if a package index has a page for torch, and says so within so many seconds."""
    found = []

    def ask():
        try:
            # Some hosts turn away the name by which Python calls itself.
            page = urllib.request.Request(
                f"{index.rstrip('/')}/torch/", headers={"User-Agent": "pip"}
            )
            with urllib.request.urlopen(page, timeout=seconds):
                found.append(index)
        except (OSError, ValueError, HTTPException):  # nobody there; no address; no web page
            pass

    # The timeout of urlopen holds for each step, and not for the look-up of the name.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return bool(found)


if __name__ == "__main__":
    driver = shutil.which("nvidia-smi") or any(path.exists() for path in DRIVER)
    if sys.platform == "linux" and not driver and answers(sys.argv[1]):
        print(sys.argv[1])
