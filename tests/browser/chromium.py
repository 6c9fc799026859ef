"""Where Chromium is: prints its path, or says how to get it and fails."""

import os
import shutil
import sys

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
MISSING = (
    "The browser test needs Chromium or Chrome. Debian, Ubuntu: sudo apt install chromium; Fedora: sudo dnf install "
    "chromium; macOS: brew install --cask google-chrome; if it is elsewhere: CHROMIUM=/path/to/it make browser-test"
)


def find():
    """The path of the browser that $CHROMIUM names, or of the first one found; None without one."""
    names = [os.environ["CHROMIUM"]] if os.environ.get("CHROMIUM") else NAMES
    return next(filter(None, map(shutil.which, names)), None)


if __name__ == "__main__":
    sys.exit(print(found) if (found := find()) else MISSING)
