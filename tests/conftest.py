"""What the tests share: figures without a screen, and a suite that runs on any device."""

import matplotlib
import pytest

matplotlib.use("agg")


def pytest_addoption(parser):
    parser.addoption(
        "--device", default="cpu", help="where tensors live in the tests: cpu, cuda or mps"
    )


@pytest.fixture(autouse=True)
def threads():
    """As many threads for torch after a test as before: numba's parallel loops leave it more."""
    import torch

    number = torch.get_num_threads()
    yield
    if torch.get_num_threads() != number:
        torch.set_num_threads(number)


@pytest.fixture(scope="session")
def device(request):
    """The device that `pytest --device` asks for."""
    import torch

    device = torch.device(request.config.getoption("--device"))
    try:
        torch.zeros(1, device=device)
    except (AssertionError, RuntimeError) as error:
        pytest.skip(f"no {device} here: {str(error).splitlines()[0]}")
    return device
