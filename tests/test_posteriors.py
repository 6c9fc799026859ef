"""Posteriors of problems whose answer is known, and tests of calibration that see what they must."""

import math
import os
import pickle
import warnings
from contextlib import chdir
from functools import partial

import numpy as np
import pytest
import torch
from contract import seeded
from scipy import stats
from torch import distributions as ds
from torch import nn

from helpers import diagnostics, posteriors

SIGMA = 0.15
LOW, HIGH = torch.tensor([1.0, -10.0]), torch.tensor([2.0, 30.0])


def problem(n, generator):
    """Two numbers in boxes of different size, each seen with an error of 0.15 of its box."""
    theta = LOW + (HIGH - LOW) * torch.rand(n, 2, generator=generator)
    x = theta + SIGMA * (HIGH - LOW) * torch.randn(n, 2, generator=generator)
    return theta, x


def as_it_is(shape):
    return nn.Identity()


@pytest.fixture(scope="module")
def generator():
    return seeded(seed=1)


@pytest.fixture(scope="module")
def posterior(generator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    state = torch.random.get_rng_state()
    with chdir(folder):  # in which nothing may be left
        made = posteriors.train_posterior(
            *problem(3000, generator), LOW, HIGH, generator=generator, embedding=as_it_is
        )
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not list(folder.iterdir())
    return made


def test_the_posterior_is_the_truncated_normal(posterior, generator):
    theta, x = problem(2000, generator)
    at = ((x - LOW) / (HIGH - LOW)).numpy()
    exact = stats.truncnorm(-at / SIGMA, (1 - at) / SIGMA, at, SIGMA)
    box = math.log(float((HIGH - LOW).prod()))
    log_exact = (
        torch.as_tensor(exact.logpdf(((theta - LOW) / (HIGH - LOW)).numpy())).sum(dim=1) - box
    )
    # Kullback & Leibler's divergence, and what there is to be learned: that of the prior.
    missing = float((log_exact - posterior.log_prob(theta[None], x)[0]).mean())
    information = float(log_exact.mean()) + box
    assert -0.02 < missing < 0.1 * information

    draws = posterior.sample(400, x[:300], generator=generator)
    assert bool(((draws > LOW) & (draws < HIGH)).all())
    unit = ((draws.mean(dim=0) - LOW) / (HIGH - LOW)).numpy()
    assert abs(unit - exact.mean()[:300]).mean() < 0.2 * exact.std()[:300].mean()


def test_the_density_is_one_and_that_of_the_draws(posterior, generator):
    x = LOW + torch.tensor([0.3, 0.9]) * (HIGH - LOW)
    n = 150
    middle = (torch.arange(n) + 0.5) / n
    grid = LOW + torch.cartesian_prod(middle, middle) * (HIGH - LOW)
    density = posterior.log_prob(grid[None], x[None])[0].exp()
    cell = float((HIGH - LOW).prod()) / n**2
    assert float(density.sum()) * cell == pytest.approx(1.0, abs=0.02)
    mean = (density[:, None] * grid).sum(dim=0) * cell
    draws = posterior.sample(4000, x, generator=generator)
    assert bool(((mean - draws.mean(dim=0)).abs() < 0.1 * draws.std(dim=0)).all())


def test_ranks_and_coverage_see_what_is_wrong(posterior, generator):
    theta, x = problem(500, generator)
    draws = posterior.sample(400, x, generator=generator)
    assert draws.shape == (400, 500, 2)
    mean = draws.mean(dim=0)
    references = LOW + (HIGH - LOW) * torch.rand(500, 2, generator=generator)

    def p_values(draws):
        unit = [(t - LOW) / (HIGH - LOW) for t in (draws, theta, references)]
        ranks = diagnostics.ranks(draws, theta).T.numpy()
        tarp = diagnostics.coverage(*unit).numpy()
        return [stats.kstest(values, "uniform").pvalue for values in (*ranks, tarp)]

    assert min(p_values(draws)) > 1e-3
    assert max(p_values(mean + (draws - mean) / 2)) < 1e-3  # overconfident
    assert max(p_values(mean + (draws - mean) * 2)) < 1e-3  # not confident enough
    assert max(p_values(draws + draws.std(dim=0))[:2]) < 1e-3  # biased


def test_the_seed_decides(generator):
    theta, x = problem(200, generator)
    draws = [
        posteriors.train_posterior(
            theta, x, LOW, HIGH, generator=seeded(seed=seed), max_epochs=2
        ).sample(3, x[:2], generator=seeded(seed=1))
        for seed in (1, 1, 2)
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_a_density_wants_a_theta_for_each_of_the_data(posterior, generator):
    theta, x = problem(5, generator)
    assert posterior.log_prob(theta, x).shape == (5,)
    assert posterior.log_prob(theta.expand(7, 5, 2), x).shape == (7, 5)
    assert posterior.log_prob(theta.expand(7, 5, 2), x[:1]).shape == (7, 5)
    for wrong in (theta[0], theta[:4], theta[:, :1], theta[:, None]):
        with pytest.raises(ValueError, match=r"must be \(\.\.\., 5, 2\)"):
            posterior.log_prob(wrong, x)


def test_all_work_is_done_where_the_simulations_are(device, generator, tmp_path):
    theta, x, low, high = (t.to(device) for t in (*problem(200, generator), LOW, HIGH))
    made = posteriors.train_posterior(theta, x, low, high, generator=generator, max_epochs=2)
    made.save(tmp_path / "posterior.pt")
    loaded = posteriors.load_posterior(tmp_path / "posterior.pt", device=device)
    draws = loaded.sample(100, x, generator=generator)
    log_q = loaded.log_prob(draws, x)
    found = diagnostics.calibration(draws, theta, low, high, generator)
    of_truth = loaded.log_prob(theta[None], x)[0]
    p = diagnostics.predictive_p(
        draws[:, 0], lambda theta, _: theta, lambda data: data.abs().sum(-1), x[0]
    )
    refined, weights = diagnostics.importance_sample(
        loaded, x[0], lambda theta: loaded.log_prob(theta[None], x[:1])[0], 200, generator
    )
    for tensor in (draws, log_q, found.bias, p, refined, weights, loaded.features(x)):
        assert tensor.device.type == device.type
        assert bool(tensor.isfinite().all())
    assert bool(diagnostics.credibility(log_q, of_truth).isfinite().all())
    known = loaded.features(x)
    assert len(diagnostics.anomaly_p(known[:9], known)) == 9
    assert 0 <= diagnostics.misspecification_p(known[:50], known[50:], generator) <= 1


def test_p_values_of_perfect_posteriors_are_uniform():
    """Without the last digits of the ranks, 100 draws make one p-value in four less than 0.05."""
    generator = seeded(seed=1)
    box = torch.zeros(2), torch.ones(2)
    found = []
    for _ in range(60):
        theta = torch.rand(3000, 2, generator=generator)
        draws = torch.rand(100, 3000, 2, generator=generator)
        result = diagnostics.calibration(draws, theta, *box, generator)
        found.append([*result.sbc_p.tolist(), result.tarp_p])
    found = torch.tensor(found)
    # 4.3 standard deviations of the binomial distribution, for SBC and for TARP
    for p in (found[:, :2].flatten(), found[:, 2]):
        share = (p < 0.1).double().mean()
        assert abs(share - 0.1) < 4.3 * (0.09 / len(p)) ** 0.5


def test_too_few_travels_between_processes():
    error = pickle.loads(pickle.dumps(diagnostics.TooFewError("too few", 3)))
    assert (str(error), error.estimate) == ("too few", 3)


def test_theta_may_lie_on_an_edge_of_its_prior(generator):
    theta, x = problem(100, generator)
    theta[0], theta[1, 1] = LOW, HIGH[1]
    made = posteriors.train_posterior(
        theta, x, LOW, HIGH, generator=generator, embedding=as_it_is, max_epochs=2
    )
    assert bool(made.log_prob(theta[None, :2], x[:2]).isfinite().all())
    beyond = torch.stack([LOW - 0.1, HIGH + 0.1])
    assert bool((made.log_prob(beyond[None], x[:2]) == -math.inf).all())


def test_data_that_are_not_finite_have_no_posterior(posterior, generator):
    theta, x = problem(3, generator)
    for wrong in (math.nan, -math.inf):
        x[1, 0] = wrong
        for ask in (lambda: posterior.sample(5, x), lambda: posterior.log_prob(theta, x)):
            with pytest.raises(ValueError, match="1 of 3 data sets hold NaN or infinity"):
                ask()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_theta_decides_the_dtype_and_a_file_keeps_all(dtype, generator, tmp_path):
    theta, x = problem(60, generator)
    counts = (100 * x).long()  # numbers of any kind, as numpy gives them
    made = posteriors.train_posterior(
        theta.to(dtype), counts, LOW, HIGH.double(), generator=generator, embedding=as_it_is,
        summary="two numbers", max_epochs=2,
    )  # fmt: skip
    made.save(tmp_path / "it")
    loaded = posteriors.load_posterior(tmp_path / "it", embedding=as_it_is)
    for other in (counts, counts.float(), counts.double()):
        log_q = loaded.log_prob(theta, other)
        assert log_q.dtype == dtype
        assert torch.equal(log_q, made.log_prob(theta, counts))
    draws = [p.sample(3, counts[:2], generator=seeded(seed=1)) for p in (made, loaded)]
    assert draws[0].dtype == dtype
    assert torch.equal(*draws)
    assert loaded.summary == "two numbers"


def test_weights_that_explode_are_an_error(generator):
    theta, x = problem(60, generator)
    with pytest.raises(ValueError, match="smaller learning_rate"):
        posteriors.train_posterior(
            theta, x * 1e30, LOW, HIGH, generator=generator, learning_rate=1e30, max_epochs=3
        )


def test_a_calibration_carries_its_estimate_if_it_is_refused(generator):
    theta = torch.rand(500, 2, generator=generator)
    draws = torch.rand(200, 500, 2, generator=generator)
    box = torch.zeros(2), torch.ones(2)
    for some in ((draws[:, :99], theta[:99]), (draws[:99], theta)):
        with pytest.raises(diagnostics.TooFewError, match="100 or more") as refused:
            diagnostics.calibration(*some, *box, generator)
        assert refused.value.estimate.bias.shape == (2,)


class TestFiles:
    @pytest.fixture
    def path(self, posterior, tmp_path):
        posterior.save(tmp_path / "posterior.pt")
        assert [path.name for path in tmp_path.iterdir()] == ["posterior.pt"]
        return tmp_path / "posterior.pt"

    def test_a_disk_that_fills_leaves_the_old_file_alone(self, path, posterior, monkeypatch):
        before = path.read_bytes()

        def half(content, file):
            file.write_bytes(b"half of it")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(torch, "save", half)
        with pytest.raises(OSError, match="No space"):
            posterior.save(path)
        assert path.read_bytes() == before
        assert [file.name for file in path.parent.iterdir()] == ["posterior.pt"]

    @pytest.mark.parametrize("made_by", [posteriors.weighted_sums, posteriors.convolution])
    def test_embeddings_of_this_module_need_no_help(self, made_by, tmp_path, generator):
        theta, _ = problem(100, generator)
        x = torch.rand(100, 2, 32, generator=generator) + theta[:, None, :1]
        made = posteriors.train_posterior(
            theta, x, LOW, HIGH, generator=generator, embedding=made_by, max_epochs=1, n_flows=1
        )
        made.save(tmp_path / "it")
        loaded = posteriors.load_posterior(tmp_path / "it")
        assert torch.equal(loaded.features(x), made.features(x))
        assert loaded.sample(3, x[:4, None]).shape == (3, 4, 1, 2)
        with pytest.raises(ValueError, match=r"shape \(2, 32\)"):
            loaded.sample(3, x[:, :1])

    @pytest.mark.parametrize("way", ["another", "the same name", "a partial"])
    def test_an_embedding_of_ones_own_must_be_given_again(self, way, tmp_path, generator):
        def weighted_sums(shape):
            return nn.Sequential(nn.Flatten(), nn.Linear(2, 16), nn.Tanh())

        own = {
            "another": as_it_is,
            "the same name": weighted_sums,
            "a partial": partial(posteriors.weighted_sums),
        }[way]
        made = posteriors.train_posterior(
            *problem(60, generator), LOW, HIGH, generator=generator, embedding=own, max_epochs=1
        )
        made.save(tmp_path / "it")
        with pytest.raises(posteriors.PosteriorFileError, match="embedding of its own"):
            posteriors.load_posterior(tmp_path / "it")
        loaded = posteriors.load_posterior(tmp_path / "it", embedding=own)
        _, x = problem(5, generator)
        assert torch.equal(loaded.features(x), made.features(x))

    def test_nothing_else_is_read_and_no_code_is_run(self, path, tmp_path):
        class Trap:
            def __reduce__(self):
                return (os.abort, ())

        with pytest.raises(FileNotFoundError):
            posteriors.load_posterior(tmp_path / "nowhere")
        with pytest.raises(posteriors.PosteriorFileError, match="another one today"):
            posteriors.load_posterior(path, embedding=posteriors.weighted_sums)
        content, whole = torch.load(path, weights_only=True), path.read_bytes()
        for damaged in (b"", b"a letter", whole[: len(whole) // 2], whole[:-1]):
            path.write_bytes(damaged)
            with pytest.raises(posteriors.PosteriorFileError, match="damaged"):
                posteriors.load_posterior(path)
        for says, foreign in (
            ("something else", [1, 2]),
            ("something else", {"format": "cheese"}),
            ("something else", torch.ones(3)),
            ("newer version", content | {"version": 99}),
            ("damaged", {"format": Trap()}),
        ):
            torch.save(foreign, path)
            with pytest.raises(posteriors.PosteriorFileError, match=says):
                posteriors.load_posterior(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda theta, x: (theta, x[1:]), "must be"),
        (lambda theta, x: (theta[:, :1], x), "must be"),
        (lambda theta, x: (theta[:9], x[:9]), "simulate thousands"),
        (lambda theta, x: (theta, x.log()), "NaN or infinity"),
        (lambda theta, x: (theta + torch.tensor([0.0, 40.0]), x), r"columns \[1\] are not between"),
        (lambda theta, x: (theta * math.nan, x), "not between low and high"),
    ],
)
def test_wrong_simulations_are_refused(generator, change, says):
    with pytest.raises(ValueError, match=says):
        posteriors.train_posterior(*change(*problem(50, generator)), LOW, HIGH, generator=generator)


class TestWhatCannotBeKnown:
    """A number in [0, 1], seen with an error of 0.1; beside it, or instead of it, what tells nothing."""

    @staticmethod
    def simulations(n=600):
        generator = seeded(seed=2)
        theta = torch.rand(n, 1, generator=generator)
        return theta, theta + 0.1 * torch.randn(n, 1, generator=generator)

    @staticmethod
    def train(theta, x, **options):
        options = {"max_epochs": 25, "embedding": as_it_is, "n_flows": 1} | options
        box = torch.zeros(1), torch.ones(1)
        return posteriors.train_posterior(theta, x, *box, generator=seeded(seed=1), **options)

    def test_a_few_simulations_that_went_astray_are_refused(self):
        # Before, the posterior was the prior, 0.50 ± 0.29, without a word.
        theta, x = self.simulations(2000)
        x[[7, 70, 71, 700, 1999]] = 1e4
        with pytest.raises(ValueError, match=r"5 of 2000 rows of x .* row 7 at \[0\].*logarithms"):
            self.train(theta, x)
        self.train(theta, x.clamp(max=3.0), max_epochs=1)

    @pytest.mark.parametrize("width", [1.0, 2.0])
    def test_long_tails_and_rare_counts_are_no_outliers(self, width):
        theta, x = self.simulations()
        generator = seeded(seed=3)
        tails = (width * torch.randn(600, 1, generator=generator)).exp()
        rare = torch.poisson(torch.full((600, 40), 0.002) * torch.arange(40), generator=generator)
        self.train(theta, torch.cat([x, tails, rare], dim=1), max_epochs=1)

    def test_rounding_makes_no_channel_of_a_constant(self):
        theta, x = self.simulations()
        x = torch.full_like(x, 0.1)
        assert float(x.std(dim=0)) > 0
        made = self.train(theta, x, max_epochs=1)
        with pytest.warns(UserWarning, match="lie far outside"):
            other = made.sample(50, x[:1] + 1e-3, generator=seeded(seed=1))
        assert torch.equal(other, made.sample(50, x[:1], generator=seeded(seed=1)))

    @pytest.mark.parametrize("constant", [0.0, 1 / 3, 1e6])
    def test_a_channel_that_never_varied_says_nothing_but_what_it_does_is_told(self, constant):
        # Before, 5 counts there moved the mean by 1.5 standard deviations.
        theta, x = self.simulations()
        made = self.train(theta, torch.cat([x, torch.full_like(x, constant)], dim=1))
        usual, other = torch.tensor([[0.5, constant], [0.5, constant + 5]])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            expected = made.sample(50, usual, generator=seeded(seed=1))
        with pytest.warns(UserWarning, match=r"1 of 1 data sets lie far outside .* at \[1\]"):
            found = made.sample(50, other, generator=seeded(seed=1))
        assert torch.equal(found, expected)

    def test_data_beyond_the_simulations_warn_and_data_like_them_do_not(self):
        theta, x = self.simulations(2000)
        made = self.train(theta, x, max_epochs=1)
        ask = (
            lambda x: made.sample(3, x),
            lambda x: made.log_prob(torch.full((len(x), 1), 0.5), x),
            made.features,
        )
        for function in ask:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                function(self.simulations(5000)[1])
            with pytest.warns(UserWarning, match="2 of 3 data sets .* such as 2.5 in data set 0"):
                function(torch.tensor([[2.5], [0.5], [-1.0]]))

    def test_exponential_tails_of_mocks_seldom_warn(self):
        # Of 200 sets of 300 mocks, with 50 numbers each: one in a thousand, by the formula.
        generator = seeded(seed=5)
        estimator = posteriors.train_posterior(
            torch.rand(500, 1), torch.rand(500, 50), torch.zeros(1), torch.ones(1),
            generator=generator, n_flows=1, max_epochs=1,
        )  # fmt: skip
        alarms = 0
        for _ in range(200):
            known, new = (-torch.rand(n, 50, generator=generator).log() for n in (500, 300))
            estimator._first.standardise(torch.rand(500, 1), known)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                estimator.features(new)
            alarms += len(caught)
        assert (
            alarms <= 3
        )  # more would be one chance in 10⁴ of a mean of 0.2, and tails are estimated

    def test_what_is_fixed_has_no_posterior(self):
        theta, x = self.simulations()
        for low, high in ((torch.zeros(1), torch.ones(1)), (torch.full((1,), 0.5),) * 2):
            with pytest.raises(ValueError, match=r"Columns \[0\] of theta never vary"):
                posteriors.train_posterior(
                    torch.full_like(theta, 0.5), x, low, high, generator=seeded(seed=1)
                )

    def test_other_kinds_of_arrays_and_no_draws(self):
        theta, x = self.simulations()
        for arrays, name in (((theta.numpy(), x), "theta"), ((theta, np.ma.array(x.numpy())), "x")):
            with pytest.raises(
                TypeError, match=rf"{name} must be a torch tensor, not \w+: torch.as"
            ):
                self.train(*arrays)
        made = self.train(theta, x, max_epochs=1)
        for n in (0, -1, 2.5):
            with pytest.raises(ValueError, match="n must be a whole number of at least 1"):
                made.sample(n, x[:1])
        assert made.sample(1, x[:2]).shape == (1, 2, 1)
        assert made.sample(3, x[:0]).shape == (3, 0, 1)
        for ask in (
            lambda: made.sample(3, x[:1].numpy()),
            lambda: made.log_prob(theta[:1].numpy(), x),
        ):
            with pytest.raises(TypeError, match="must be a torch tensor"):
                ask()
        with pytest.raises(ValueError, match="either low and high"):
            posteriors.train_posterior(theta, x, generator=seeded(seed=1))

    @pytest.mark.parametrize("share", [0.05, 0.3])
    def test_many_failures_are_refused_too(self, share):
        # Before, more than 2 per cent were taken for a part of the bulk, and the posterior was the prior.
        theta, x = self.simulations(2000)
        x[: int(share * 2000)] = -999.0
        with pytest.raises(ValueError, match=f"{int(share * 2000)} of 2000 rows of x .* row 0 at"):
            self.train(theta, x)

    def test_digits_that_theta_has_not_are_told(self):
        # Before, all x were 1e9 in float32, and the posterior was the prior.
        theta, x = self.simulations()
        for wide in (x.double() + 1e9, (1000 * x).long() + 10**10):
            with pytest.raises(
                ValueError, match=r"As torch.float32, like theta, x loses .* at \[0\]"
            ):
                self.train(theta, wide)
        self.train(
            theta, torch.cat([x.double(), torch.full_like(x, 0.1).double()], 1), max_epochs=1
        )

    def test_settings_and_corners(self):
        theta, x = self.simulations()
        for name in ("n_flows", "batch_size", "patience", "max_epochs"):
            with pytest.raises(ValueError, match=f"{name} must be a whole number of at least 1"):
                self.train(theta, x, **{name: 0})
        for low, high in ((0.0, math.inf), (1.0, 0.0), (math.nan, 1.0)):
            with pytest.raises(ValueError, match="is not below high"):
                posteriors.train_posterior(
                    theta, x, torch.tensor([low]), torch.tensor([high]), generator=seeded(seed=1)
                )
        with pytest.raises(TypeError, match="prior must be a distribution of torch, not list"):
            posteriors.train_posterior(theta, x, prior=[ds.Normal(0, 1)], generator=seeded(seed=1))

    def test_a_prior_without_a_density_can_be_saved(self, tmp_path):
        fold = ds.transforms.AbsTransform()
        prior = ds.TransformedDistribution(vectors(ds.Normal, [0.0], [1.0]), [fold])
        theta = torch.randn(600, 1, generator=seeded(seed=1)).abs()
        made = posteriors.train_posterior(
            theta, theta + 0.1, prior=prior, generator=seeded(seed=1), n_flows=1, max_epochs=1
        )
        made.save(tmp_path / "it")
        loaded = posteriors.load_posterior(tmp_path / "it", prior=prior)
        pair = [p.sample(5, theta[:2] + 0.1, generator=seeded(seed=1)) for p in (made, loaded)]
        assert torch.equal(*pair)


def vectors(kind, *parameters):
    return ds.Independent(kind(*map(torch.tensor, parameters)), 1)


def mixture(parts):
    return ds.MixtureSameFamily(ds.Categorical(torch.tensor([0.4, 0.6])), ds.Independent(parts, 1))


LOG_UNIFORM = ds.TransformedDistribution(
    ds.Independent(ds.Uniform(torch.tensor([-3.0]), torch.tensor([2.0])), 1),
    [ds.transforms.ExpTransform()],
)


def boxes(second):
    """A mixture of 0 to 1 and of another box."""
    return mixture(
        ds.Uniform(torch.tensor([[0.0], [second[0]]]), torch.tensor([[1.0], [second[1]]]))
    )


BOXES = boxes((2.0, 3.0))
# Priors of one number, each with a grid that covers its support, and beyond.
PRIORS = {
    "normal": (ds.MultivariateNormal(torch.tensor([1.0]), torch.tensor([[2.0]])), -10, 12),
    "log-normal": (vectors(ds.LogNormal, [0.0], [0.5]), -1, 40),
    "beta": (vectors(ds.Beta, [2.0], [3.0]), -0.1, 1.1),
    "Pareto": (vectors(ds.Pareto, [1.0], [3.0]), 0, 60),
    "box": (vectors(ds.Uniform, [-1.0], [2.0]), -2, 3),
    "log-uniform": (LOG_UNIFORM, -0.1, 8),
    "two normals": (mixture(ds.Normal(torch.tensor([[-3.0], [3.0]]), torch.ones(2, 1))), -12, 12),
    "two boxes": (BOXES, -1, 4),
    "boxes that overlap": (boxes((0.5, 2.0)), -1, 3),
    "boxes, each number its own": (
        ds.Independent(
            ds.MixtureSameFamily(
                ds.Categorical(torch.tensor([[0.4, 0.6]])),
                ds.Uniform(torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, 3.0]])),
            ),
            1,
        ),
        -1,
        4,
    ),
    "two boxes of logarithms": (
        ds.TransformedDistribution(boxes((2.0, 3.0)), [ds.transforms.ExpTransform()]),
        0.1,
        25,
    ),
    "a mixture of boxes of logarithms": (
        ds.MixtureSameFamily(
            ds.Categorical(torch.tensor([0.4, 0.6])),
            ds.TransformedDistribution(
                BOXES.component_distribution, [ds.transforms.ExpTransform()]
            ),
        ),
        0.1,
        25,
    ),
    "two Paretos": (
        mixture(ds.Pareto(torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [4.0]]))),
        0,
        60,
    ),
}


@pytest.fixture(scope="module", params=PRIORS)
def with_a_prior(request):
    """Name, prior, a grid of theta, and a posterior of a theta that is seen with an error of 0.4."""
    prior, low, high = PRIORS[request.param]
    generator = seeded(seed=4)
    with torch.random.fork_rng():
        torch.manual_seed(6)
        theta = prior.sample((1000,))
    x = theta + 0.4 * torch.randn(theta.shape, generator=generator)
    made = posteriors.train_posterior(
        theta, x.asinh(), prior=prior, generator=generator, embedding=as_it_is, n_flows=1,
        max_epochs=12,
    )  # fmt: skip
    grid = torch.linspace(low, high, 20_001)[:, None]
    return request.param, prior, grid, made, theta


def log_prior(name, prior, theta):
    """ln p(θ) (n,), -∞ outside the support, where torch says anything."""
    log_p = prior.log_prob(theta).double()
    exp = math.exp
    apart, logarithms = [(0, 1), (2, 3)], [(1, exp(1)), (exp(2), exp(3))]
    known = {
        "log-uniform": [(exp(-3), exp(2))], "log-normal": [(0, 1e9)], "Pareto": [(1, 1e9)],
        "beta": [(0, 1)], "two boxes": apart, "boxes, each number its own": apart,
        "boxes that overlap": [(0, 2)], "two boxes of logarithms": logarithms,
        "a mixture of boxes of logarithms": logarithms, "two Paretos": [(1, 1e9)],
    }.get(name, [(-1e9, 1e9)])  # fmt: skip
    inside = sum((theta[:, 0] > low) & (theta[:, 0] < high) for low, high in known) > 0
    return log_p.where(inside & ~log_p.isnan(), -math.inf)


def test_any_prior_has_a_posterior_in_its_support(with_a_prior):
    name, prior, grid, made, theta = with_a_prior
    x = (theta[:3] + 0.2).asinh()
    log_q = made.log_prob(grid[:, None].expand(-1, 3, 1), x).double()
    q = log_q.exp() * float(grid[1] - grid[0])
    # What is lost in holes is estimated, to 2 per cent if it is half.
    atol = 4.5 * 0.02 if "boxes" in name else 5e-3
    torch.testing.assert_close(q.sum(dim=0), torch.ones(3).double(), rtol=0, atol=atol)
    outside = log_prior(name, prior, grid) == -math.inf
    assert bool(outside.any()) == (name not in ("normal", "two normals"))
    # An edge itself may be in or out, with rounding.
    assert int((log_q[outside] > -math.inf).any(dim=1).sum()) <= (4 if "boxes" in name else 1)
    draws = made.sample(4000, x, generator=seeded(seed=1))
    assert bool((log_prior(name, prior, draws.reshape(-1, 1)) > -math.inf).all())
    mean = (q * grid).sum(dim=0) / q.sum(dim=0)
    error = 4.5 * draws.std(dim=0)[:, 0] / 4000**0.5 + 2 * float(grid[1] - grid[0])
    assert bool(((draws.mean(dim=0)[:, 0] - mean).abs() < error).all())


def test_importance_sampling_knows_the_prior(with_a_prior):
    """Prior times likelihood on a grid is the exact posterior."""
    name, prior, grid, made, theta = with_a_prior
    x = theta[0] + 0.2

    def log_likelihood(theta):
        return -(((x - theta[:, 0]) / 0.4) ** 2) / 2

    draws, weights = diagnostics.importance_sample(
        made, x.asinh(), log_likelihood, 4000, seeded(seed=1)
    )
    exact = (log_prior(name, prior, grid) + log_likelihood(grid)).softmax(dim=0)
    mean = float((exact * grid[:, 0]).sum())
    sd = float((exact * (grid[:, 0] - mean) ** 2).sum().sqrt())
    worth = float(1 / weights.square().sum())
    step = float(grid[1] - grid[0])
    assert abs(float((weights * draws[:, 0]).sum()) - mean) < 4.5 * sd / worth**0.5 + step


def test_a_prior_must_be_given_again(with_a_prior, tmp_path):
    name, prior, _, made, theta = with_a_prior
    made.save(tmp_path / "it")
    if name == "box":
        loaded = posteriors.load_posterior(tmp_path / "it", embedding=as_it_is)
    else:
        for wrong in (
            None,
            vectors(ds.Normal, [9.0], [1.0]),
            lambda n: n,
        ):
            with pytest.raises(posteriors.PosteriorFileError, match="prior of its own"):
                posteriors.load_posterior(tmp_path / "it", embedding=as_it_is, prior=wrong)
        loaded = posteriors.load_posterior(tmp_path / "it", embedding=as_it_is, prior=prior)
    pair = [p.sample(5, theta[:2].asinh(), generator=seeded(seed=1)) for p in (made, loaded)]
    assert torch.equal(*pair)


@pytest.mark.parametrize(
    ("prior", "other"),
    [
        (vectors(ds.Normal, [0.0], [1.0]), vectors(ds.Normal, [0.0], [1.1])),
        (vectors(ds.LogNormal, [0.0], [0.5]), vectors(ds.LogNormal, [0.01], [0.5])),
        (BOXES, boxes((2.0, 3.5))),
        (BOXES, mixture(ds.Normal(torch.tensor([[-3.0], [3.0]]), torch.ones(2, 1)))),
    ],
)
def test_a_prior_of_other_numbers_is_told(prior, other, tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        theta = prior.sample((100,))
    options = {"generator": seeded(seed=1), "n_flows": 1, "max_epochs": 1}
    posteriors.train_posterior(theta, theta, prior=prior, **options).save(tmp_path / "it")
    posteriors.load_posterior(tmp_path / "it", prior=prior)
    with pytest.raises(posteriors.PosteriorFileError, match="give the very same"):
        posteriors.load_posterior(tmp_path / "it", prior=other)


def test_a_box_is_a_box_however_it_is_written(generator):
    theta, x = problem(100, generator)
    box = ds.Independent(ds.Uniform(LOW, HIGH), 1)
    options = {"embedding": as_it_is, "max_epochs": 2}
    pair = [
        posteriors.train_posterior(
            theta, x, *corners, prior=prior, generator=seeded(seed=1), **options
        )
        for corners, prior in (((LOW, HIGH), None), ((), box))
    ]
    assert torch.equal(pair[0].log_prob(theta, x), pair[1].log_prob(theta, x))
    assert torch.equal(pair[1].low, LOW)


def test_correlated_parameters_and_a_simplex(generator):
    covariance = torch.tensor([[1.0, 0.9], [0.9, 1.0]])
    for prior in (
        ds.MultivariateNormal(torch.tensor([5.0, -3.0]), covariance),
        ds.Dirichlet(torch.tensor([2.0, 3.0, 4.0])),
    ):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            theta, other = prior.sample((1000,)), prior.sample((20_000,))
        nothing = torch.randn(1000, 1, generator=generator)  # so that the posterior is the prior
        made = posteriors.train_posterior(
            theta, nothing, prior=prior, generator=generator, n_flows=1, max_epochs=15
        )
        draws = made.sample(4000, nothing[:1], generator=generator)[:, 0]
        assert bool(prior.support.check(draws).all())
        torch.testing.assert_close(draws.mean(dim=0), prior.mean, rtol=0, atol=0.25)
        # E_p[q/p] is one where q is normalised, and no wider than p.
        ratio = (made.log_prob(other[:, None], nothing[:1])[:, 0] - prior.log_prob(other)).exp()
        assert abs(float(ratio.mean()) - 1) < 4 * float(ratio.std()) / 20_000**0.5 + 0.02


@pytest.mark.parametrize(
    ("prior", "says"),
    [
        (ds.Uniform(LOW, HIGH), r"of vectors \(P,\), not \(\) in batches of \(2,\)"),
        (ds.Normal(0.0, 1.0), "of vectors"),
        (ds.Wishart(torch.tensor(4.0), torch.eye(2)), "of vectors"),
        (vectors(ds.Poisson, [3.0, 3.0]), "no bijection .* discrete"),
        (
            ds.MixtureSameFamily(ds.Categorical(torch.ones(1)), BOXES.expand((1,))),
            "(?s)no bijection .* mixtures: write one mixture of all",
        ),
        (
            ds.MixtureSameFamily(
                ds.Categorical(torch.ones(2)),
                ds.TransformedDistribution(
                    BOXES.component_distribution,
                    [ds.transforms.AffineTransform(torch.zeros(2, 1), torch.ones(2, 1))],
                ),
            ),
            "(?s)no bijection .* each in its own way",
        ),
        (vectors(ds.HalfNormal, [3.0, 30.0]), r"\d+ of 100 theta lie outside the support"),
    ],
)
def test_priors_that_cannot_be_used(generator, prior, says):
    with pytest.raises(ValueError, match=says):
        posteriors.train_posterior(*problem(100, generator), prior=prior, generator=generator)


def test_files_of_the_first_version_are_read(posterior, tmp_path):
    posterior.save(tmp_path / "it")
    content = torch.load(tmp_path / "it", weights_only=True)
    content["version"] = 1
    for state in content["estimators"]:
        for name in ("x_ends", "x_tails", "x_number"):
            del state[name]
    torch.save(content, tmp_path / "it")
    old = posteriors.load_posterior(tmp_path / "it", embedding=as_it_is)
    x = torch.tensor([[1.5, 10.0]])
    draws = [p.sample(3, x, generator=seeded(seed=1)) for p in (posterior, old)]
    assert torch.equal(*draws)
    old.features(x + 1e9)  # of which nothing is known, so nothing is said


class Normal(nn.Module):
    """What stands in for a flow: z is normal, a shift away from x."""

    def __init__(self, shift, sd):
        super().__init__()
        self.shape, self.shift, self.sd, self.z_mean = (1,), shift, sd, torch.zeros(1)
        self.x_ends, self.x_tails = torch.tensor([[-math.inf, math.inf]]), torch.zeros(1, 2)
        self.x_number = torch.ones(())

    def log_prob(self, z, x):
        return ds.Normal(x + self.shift, self.sd).log_prob(z).sum(dim=-1)

    def sample(self, n, x):
        return x + self.shift + self.sd * torch.randn(n, *x.shape)


FLOWS = {
    "as far apart as those of ν₀": [(0.31, 1.0), (-0.31, 1.0)],
    "of other widths": [(0.5, 1.0), (-0.5, 0.5)],
    "three": [(0.0, 1.0), (0.5, 0.7), (-0.5, 0.8)],
    "that contradict each other": [(20.0, 1.0), (-20.0, 0.5)],
}
NOWHERE = vectors(ds.Normal, [0.0], [9.0])  # a prior whose z is θ


class TestSeveralFlowsShareAPosterior:
    @pytest.fixture(params=FLOWS)
    def shared(self, request):
        """The posterior, a grid around x = 0, the exact density there, and one error of its constant."""
        flows = [Normal(*flow) for flow in FLOWS[request.param]]
        grid = torch.linspace(-30, 30, 60_001).double()
        step = float(grid[1] - grid[0])
        of_each = torch.stack([ds.Normal(f.shift, f.sd).log_prob(grid) for f in flows]).exp()
        # The geometric mean of normal densities: precisions are averaged, and means weighted by them.
        shift, sd = torch.tensor(FLOWS[request.param]).double().T
        variance = 1 / (1 / sd**2).mean()
        normal = ds.Normal(variance * (shift / sd**2).mean(), variance.sqrt())
        average = of_each.mean(dim=0)
        left = float(of_each.log().mean(dim=0).exp().sum()) * step
        weight = (left * normal.log_prob(grid).exp() / average.clamp(min=1e-300) + 0.05) / 1.05
        mean = float((weight * average).sum()) * step
        spread = (float((weight**2 * average).sum()) * step - mean**2) ** 0.5
        exact = (left * normal.log_prob(grid).exp() + 0.05 * average) / (left + 0.05)
        return posteriors.Posterior(flows, NOWHERE), grid, exact, spread / mean / 100**0.5

    def test_the_density_is_the_geometric_mean(self, shared):
        posterior, grid, exact, error = shared
        off = posterior.log_prob(grid[:, None, None].float(), torch.zeros(1, 1))[:, 0] - exact.log()
        likely = exact > 1e-6
        constant = float(off[likely].mean())
        assert abs(constant) < 4.5 * error + 1e-4
        torch.testing.assert_close(off[likely], off[likely] * 0 + constant, rtol=0, atol=1e-3)
        again = posterior.log_prob(grid[:5, None, None].float(), torch.zeros(1, 1))[:, 0]
        torch.testing.assert_close(again - exact[:5].log(), off[:5])

    @pytest.mark.parametrize("n", [1, 3, 20_000])
    def test_draws_are_those_of_the_density(self, shared, n):
        posterior, grid, exact, _ = shared
        x = torch.arange(-(-20_000 // n)).float()[:, None] % 7
        draws = posterior.sample(n, x, generator=seeded(seed=n))
        below = (exact.cumsum(0) - exact / 2) * float(grid[1] - grid[0])
        where = (draws - x).flatten().double().numpy()
        assert stats.kstest(where, lambda t: np.interp(t, grid, below)).pvalue > 1e-3

    def test_holes_stay_empty(self):
        posterior = posteriors.Posterior([Normal(0.3, 1.0), Normal(-0.5, 2.0)], BOXES)
        x, grid = torch.tensor([[0.0], [0.5]]), torch.linspace(0, 3, 30_001)[:, None, None]
        q = posterior.log_prob(grid.expand(-1, 2, 1), x).exp() * 1e-4
        # Three in ten lie between the boxes.
        torch.testing.assert_close(q.sum(dim=0), torch.ones(2), rtol=0, atol=4.5 * 0.02)
        draws = posterior.sample(10_000, x, generator=seeded(seed=1))[..., 0]
        assert bool(((draws < 1) | (draws > 2)).all())
        for ours, density in zip(draws.T, q.T, strict=True):
            below = (density.cumsum(0) / density.sum()).numpy()
            p = stats.kstest(ours, lambda t, below=below: np.interp(t, grid[:, 0, 0], below)).pvalue
            assert p > 1e-3

    def test_one_flow_is_itself(self):
        flow, x = Normal(0.5, 2.0), torch.tensor([[0.0], [3.0]])
        alone = posteriors.Posterior([flow], NOWHERE)
        draws = alone.sample(100, x, generator=seeded(seed=1))
        with torch.random.fork_rng():
            torch.manual_seed(int(torch.randint(2**31, (), generator=seeded(seed=1))))
            assert torch.equal(draws, flow.sample(100, x))
        assert torch.equal(alone.log_prob(draws, x), flow.log_prob(draws, x))

    def test_each_is_asked_where_there_is_one_draw(self):
        """Before, a single draw was always the first flow's."""
        posterior = posteriors.Posterior([Normal(*flow) for flow in FLOWS["three"]], NOWHERE)
        draws = [
            posterior.sample(1, torch.zeros(1, 1), generator=seeded(seed=seed)).item()
            for seed in range(20)
        ]
        assert len(set(draws)) == 20
