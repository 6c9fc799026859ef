"""Scripts of the course that belong to no package, as modules."""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def script(path):
    """A module of its own from a script, named by its path in the project."""
    name = str(Path(path).with_suffix("")).replace("/", "_")
    spec = importlib.util.spec_from_file_location(name, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    # Where the processes that it starts look for its functions
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
