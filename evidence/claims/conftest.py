"""The claims share the fixtures of the tests: one device, one thread, numbers that can be recorded."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from conftest import *  # noqa: F403
