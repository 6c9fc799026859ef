"""Neural posterior estimation inside a box, and two tests of whether its widths can be trusted."""

import contextlib
import io
import tempfile
import warnings

import torch
from sbi.inference import NPE
from sbi.neural_nets import posterior_nn
from sbi.utils.tracking import TensorBoardTracker
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from helpers.networks import seeded

__all__ = ["BoxPosterior", "coverage", "ranks", "train_posterior"]


class BoxPosterior:
    """q(θ|x) between two corners, as `train_posterior` makes it.

    Args:
        flows: density estimators of sbi for logit[(θ - low)/(high - low)], all weighing the same.
        low, high: (P,) corners of the uniform prior.
    """

    def __init__(self, flows, low: Tensor, high: Tensor):
        self.flows, self.low, self.high = list(flows), low, high

    def sample(self, n: int, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """(n, ..., P) draws for data x (..., N), each inside the box."""
        data = x.reshape(-1, x.shape[-1])
        shares = [len(part) for part in torch.arange(n).tensor_split(len(self.flows))]
        with seeded(generator), _quiet(), torch.no_grad():
            draws = torch.cat(
                [
                    flow.sample((m,), condition=data)
                    for flow, m in zip(self.flows, shares, strict=True)
                ]
            )
        # Rounding must put none on an edge, where the density of its logit ends.
        draws = self.low + (self.high - self.low) * torch.sigmoid(draws).clamp(1e-6, 1 - 1e-6)
        return draws.reshape(n, *x.shape[:-1], len(self.low))

    def log_prob(self, theta: Tensor, x: Tensor) -> Tensor:
        """(..., n) densities ln q of θ (..., n, P) given x (n, N), inside the box."""
        share = (theta - self.low) / (self.high - self.low)
        with _quiet(), torch.no_grad():
            flat = torch.logit(share).reshape(-1, *theta.shape[-2:])
            of_each = torch.stack([flow.log_prob(flat, condition=x) for flow in self.flows])
        density = torch.logsumexp(of_each, dim=0) - torch.tensor(float(len(self.flows))).log()
        jacobian = (share * (1 - share) * (self.high - self.low)).log().sum(dim=-1)
        return density.reshape(theta.shape[:-1]) - jacobian


def train_posterior(
    theta: Tensor,
    x: Tensor,
    low: Tensor,
    high: Tensor,
    *,
    generator: torch.Generator,
    n_flows: int = 1,
    model: str = "nsf",
    n_transforms: int = 4,
    embedding: nn.Module | None = None,
    progress: bool = False,
    **training,
) -> BoxPosterior:
    """Neural posterior estimation with sbi: θ ~ U(low, high), x its simulations.

    The density is one of logit[(θ - low)/(high - low)], so that none is lost outside the box. Several
    flows, which differ in their starting weights and in the samples that stop their training, are
    less sure of themselves than one.

    Reference: Papamakarios & Murray 2016, arXiv:1605.06376; Durkan et al. 2019, arXiv:1906.04032,
    for the spline flow.

    Args:
        theta: (n, P) draws from the prior, on the device that shall do the work.
        x: (n, N) simulations, finite; of positive quantities that span decades, their logarithms.
        low, high: (P,) corners.
        generator: torch generator, on the CPU, of weights, order and split.
        n_flows: how many flows share the posterior.
        model, n_transforms: what sbi's `posterior_nn` makes.
        embedding: from (n, N) to (n, M), trained along; by default 32 weighted sums.
        progress: whether sbi counts the epochs.
        **training: further arguments of sbi's `train`.

    Returns:
        The posterior.

    Raises:
        ValueError: if shapes differ, x is not finite, or a θ is not inside the box.

    Example:
        One number, seen with an error of 0.1:

        >>> generator = torch.Generator().manual_seed(1)
        >>> theta = torch.rand(500, 1, generator=generator)
        >>> x = theta + 0.1 * torch.randn(500, 1, generator=generator)
        >>> box = torch.zeros(1), torch.ones(1)
        >>> posterior = train_posterior(theta, x, *box, generator=generator, stop_after_epochs=1)
        >>> draws = posterior.sample(100, torch.tensor([[0.3], [0.6]]), generator=generator)
        >>> draws.shape, bool(((draws > 0) & (draws < 1)).all())
        (torch.Size([100, 2, 1]), True)
    """
    if theta.ndim != 2 or x.ndim != 2 or len(theta) != len(x) or theta.shape[1:] != low.shape:
        raise ValueError(
            f"theta {tuple(theta.shape)}, x {tuple(x.shape)} and corners {tuple(low.shape)}: they "
            "must be (n, P), (n, N) and (P,)."
        )
    if not bool(x.isfinite().all()):
        raise ValueError("x holds NaN or infinity: does a summary take the logarithm of zero?")
    if not bool(((theta > low) & (theta < high)).all()):
        raise ValueError("Some theta are not between low and high, the corners of their prior.")
    logits = torch.logit((theta - low) / (high - low))
    options = {"training_batch_size": 200, "learning_rate": 1e-3, "stop_after_epochs": 8}
    flows = []
    for _ in range(n_flows):
        with seeded(generator), tempfile.TemporaryDirectory() as folder, _quiet(progress):
            net = embedding or nn.Linear(x.shape[1], 32)
            estimator = posterior_nn(model, num_transforms=n_transforms, embedding_net=net)
            # What sbi would else write into the folder that one works in.
            writer = SummaryWriter(folder)
            inference = NPE(
                density_estimator=estimator, device=str(theta.device),
                show_progress_bars=progress, tracker=TensorBoardTracker(writer),
            )  # fmt: skip
            inference.append_simulations(logits, x)
            flows.append(inference.train(**(options | training)))
            writer.close()
    return BoxPosterior(flows, low, high)


def ranks(draws: Tensor, theta: Tensor) -> Tensor:
    """(n, P) share of the posterior's draws (S, n, P) below the truth (n, P): uniform if calibrated.

    The ranks of simulation-based calibration. Necessary, not sufficient: the prior passes.

    Reference: Talts et al. 2018, arXiv:1804.06788.

    Example:
        >>> ranks(torch.arange(4.0).reshape(4, 1, 1), torch.tensor([[1.5]]))
        tensor([[0.5000]], dtype=torch.float64)
    """
    return (draws < theta).double().mean(dim=0)


def coverage(draws: Tensor, theta: Tensor, references: Tensor) -> Tensor:
    """(n,) share of the draws (S, n, P) nearer to a reference (n, P) than the truth is: uniform too.

    Tests of accuracy with random points (TARP): each reference is the centre of a region that just
    excludes the truth. Distances are Euclidean: scale the parameters. References that depend on the
    data, not on the truth, show what ranks cannot: that the prior says nothing of them.

    Reference: Lemos et al. 2023, arXiv:2302.03026, algorithm 2.

    Example:
        >>> draws = torch.tensor([[[0.1, 0.0]], [[0.9, 0.0]]])
        >>> coverage(draws, torch.tensor([[0.5, 0.0]]), torch.zeros(1, 2))
        tensor([0.5000], dtype=torch.float64)
    """
    nearer = (draws - references).norm(dim=-1) < (theta - references).norm(dim=-1)
    return nearer.double().mean(dim=0)


@contextlib.contextmanager
def _quiet(progress=False):
    """Without what sbi prints of its success, and what torch says to the library below sbi."""
    silence = contextlib.nullcontext() if progress else contextlib.redirect_stdout(io.StringIO())
    with silence, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.triangular_solve is deprecated")
        yield
