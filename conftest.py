"""Common settings of the tests: figures without a screen, and tests that run on any device."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest

matplotlib.use("agg")


def pytest_addoption(parser):
    parser.addoption(
        "--device", default="cpu", help="device of tensors in the tests: cpu, cuda or mps"
    )
    parser.addoption(
        "--every-claim",
        action="store_true",
        help="all of evidence/claims, not only those marked quick",
    )


def pytest_configure(config):
    config.addinivalue_line("markers", "quick: a claim of a lesson that is tested in seconds")


def pytest_collection_modifyitems(config, items):
    """Claims over seeds take minutes: `make test` runs the quick ones, `make evidence` all.

    Of several workers none shall wait at the end while another one has a long lesson before it: notebooks
    come first, the last lessons before all, which are the longest.
    """
    if not config.getoption("--every-claim"):
        claims = Path(__file__).parent / "evidence"
        kept, for_evidence = [], []
        for item in items:
            quick = claims not in item.path.parents or item.get_closest_marker("quick")
            (kept if quick else for_evidence).append(item)
        config.hook.pytest_deselected(items=for_evidence)
        items[:] = kept
    if hasattr(config, "workerinput"):
        notebooks = [item for item in items if item.path.suffix == ".ipynb"]
        rest = [item for item in items if item.path.suffix != ".ipynb"]
        # A sort that is stable, reversed too: the cells of a notebook stay in their order.
        items[:] = sorted(notebooks, key=lambda item: item.path.name, reverse=True) + rest


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """Set one thread for torch, before the fixtures of each test.

    Several threads only wait for each other in such small steps. Numba's parallel loops in stingray
    reset the number of threads that the environment had limited.
    """
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def device(request):
    """Return the device of `pytest --device`."""
    import torch

    device = torch.device(request.config.getoption("--device"))
    try:
        torch.zeros(1, device=device)
    except (AssertionError, RuntimeError) as error:
        pytest.skip(f"no {device} here: {str(error).splitlines()[0]}")
    return device


@pytest.fixture
def record_property(record_property):
    """Extend pytest's fixture to numbers of numpy and torch, which cannot leave a worker's process."""
    return lambda name, value: record_property(name, np.asarray(value, dtype=float).tolist())
