"""Tests of trust on problems whose answer is known: each finds what it must, and nothing where nothing is."""

import math

import numpy as np
import pytest
import torch
from contract import seeded
from scipy import stats
from torch import nn

from helpers import diagnostics, posteriors

SIGMA = 0.5


@pytest.fixture
def generator():
    return seeded(seed=17)


def normal_log_prob(draws, mean, sd):
    return (-(((draws - mean) / sd) ** 2) / 2 - math.log(sd)).sum(dim=-1)


def gaussian_tests(generator, stretch, n=2000, n_draws=1000):
    """ln q of draws (S, n) and of truths (n,): truths N(0, 1) in 2-D, seen with an error of SIGMA.

    The posterior is normal with mean x/(1 + SIGMA²); q has its width stretched.
    """
    theta = torch.randn(n, 2, generator=generator)
    x = theta + SIGMA * torch.randn(n, 2, generator=generator)
    sd = SIGMA / math.sqrt(1 + SIGMA**2)
    mean = x / (1 + SIGMA**2)
    draws = mean + stretch * sd * torch.randn(n_draws, n, 2, generator=generator)
    log_q = (normal_log_prob(t, mean, stretch * sd) for t in (draws, theta))
    return diagnostics.credibility(*log_q)


def test_coverage_counts_the_draws_nearer_than_the_truth():
    draws = torch.tensor([0.9, 0.99, 1.01, 1.1])[:, None, None] * torch.tensor([[[0.6, 0.8]]])
    truth, reference = torch.tensor([[0.0, -1.0]]), torch.zeros(1, 2)
    assert diagnostics.coverage(draws, truth, reference).tolist() == [0.5]
    assert diagnostics.coverage(draws + 5, truth + 5, reference + 5).tolist() == [0.5]


def test_a_replica_that_equals_the_observation_counts():
    total = lambda data: data.sum(-1)  # noqa: E731
    replicas = torch.tensor([[3.0], [4.0], [4.0], [5.0]])
    p = diagnostics.predictive_p(replicas, lambda theta, _: theta, total, torch.tensor([4.0]))
    assert float(p) == 0.75


@pytest.mark.parametrize("stretch", [0.5, 1.0, 2.0])
def test_credibility_of_any_width_is_what_the_formula_says(generator, stretch):
    # r²/sd² of the truth is χ² with 2 degrees of freedom, and so is that of the draws over stretch²:
    # within the level c lie all truths with r²/sd² < -2 stretch² ln(1 - c).
    shares = np.asarray(gaussian_tests(generator, stretch))
    for level in (0.3, 0.68, 0.95):
        wanted = 1 - (1 - level) ** (stretch**2)
        error = math.sqrt(wanted * (1 - wanted) / 2000)
        assert abs((shares < level).mean() - wanted) < 4 * error + 0.01


@pytest.mark.parametrize("n", [100, 1000])
@pytest.mark.parametrize("probability", [0.68, 0.99])
def test_the_band_holds_uniform_numbers_as_often_as_it_says(n, probability):
    levels = torch.tensor([0.1, 0.5, 0.9])
    low, high = (n * bound.numpy() for bound in diagnostics.uniform_band(n, levels, probability))
    low, high = np.ceil(low - 1e-6), np.floor(high + 1e-6)
    number = stats.binom(n, levels.double().numpy())
    assert (number.cdf(high) - number.cdf(low - 1) >= probability).all()
    # And a narrower one would hold fewer.
    assert (number.cdf(high - 1) - number.cdf(low) < probability).all()


class TestPredictive:
    """Ten numbers with a normal distribution of unknown mean and a known width of 1."""

    @staticmethod
    def simulate(theta, generator):
        return theta + torch.randn(len(theta), 10, generator=generator)

    @staticmethod
    def both(data):
        return torch.stack([data.mean(-1), data.std(-1)], -1)

    def p_values(self, generator, width, n=300):
        found = []
        for _ in range(n):
            observed = width * torch.randn(10, generator=generator)
            samples = observed.mean() + 10**-0.5 * torch.randn(200, 1, generator=generator)
            found.append(
                diagnostics.predictive_p(samples, self.simulate, self.both, observed, generator)
            )
        return torch.stack(found).T

    def test_a_width_that_the_model_cannot_imitate_is_found(self, generator):
        of_mean, of_spread = self.p_values(generator, 1.0)
        # Of a statistic that the parameter does not enter.
        assert stats.kstest(of_spread.numpy(), "uniform").pvalue > 1e-3
        assert of_mean.std() < 0.08  # of what was fitted, which tests nothing
        assert abs(of_mean.mean() - 0.5) < 0.03
        assert (self.p_values(generator, 2.0)[1] < 0.01).double().mean() > 0.8
        assert (self.p_values(generator, 0.4)[1] > 0.99).double().mean() > 0.8


class TestAnomalies:
    def test_one_in_a_hundred_of_what_is_known_is_below_one_per_cent(self, generator):
        known = torch.randn(2000, 3, generator=generator) * torch.tensor([1.0, 100.0, 0.01])
        new = torch.randn(3000, 3, generator=generator) * torch.tensor([1.0, 100.0, 0.01])
        p = diagnostics.anomaly_p(new, known)
        for level in (0.01, 0.1, 0.5):
            share = (p < level).double().mean()
            # Both samples are random: that of the known decides what the level is.
            error = math.sqrt(level * (1 - level) * (1 / 3000 + 1 / 2000))
            assert abs(share - level) < 4 * error + 0.003

    def test_a_feature_that_never_varies_does_no_harm(self, generator):
        known = torch.cat([torch.randn(500, 1, generator=generator), torch.ones(500, 1)], 1)
        p = diagnostics.anomaly_p(known[:5].clone(), known)
        assert bool(p.isfinite().all())
        assert diagnostics.anomaly_p(torch.tensor([[0.0, 2.0]]), known) == 0.0


def test_misspecification_is_found_where_there_is_one():
    """That p-values are uniform if there is none is a claim of evidence/claims/test_methods.py."""
    generator = seeded(seed=1)
    known = torch.randn(450, 2, generator=generator) * torch.tensor([1.0, 1e-3])
    state = torch.random.get_rng_state()
    shifted = known[:50] + torch.tensor([0.0, 1e-3])
    assert diagnostics.misspecification_p(shifted, known[50:], generator) < 0.01
    assert torch.equal(state, torch.random.get_rng_state())
    # Five p-values that all are below 0.1 would be one chance in 100,000.
    p = [
        diagnostics.misspecification_p(known[:30], known[30:130], generator)
        for known in torch.randn(5, 130, 2, generator=generator)
    ]
    assert max(p) > 0.1


def as_it_is(shape):
    return nn.Identity()


LOW, HIGH = torch.tensor([-1.0]), torch.tensor([3.0])


@pytest.fixture(scope="module")
def posterior():
    """Of a number in a box, seen with an error of 0.1; a poor one: 200 simulations, few epochs."""
    generator = seeded(seed=3)
    theta = LOW + (HIGH - LOW) * torch.rand(200, 1, generator=generator)
    x = theta + 0.1 * torch.randn(200, 1, generator=generator)
    return posteriors.train_posterior(
        theta, x, LOW, HIGH, generator=generator, embedding=as_it_is, n_flows=1, batch_size=50,
        max_epochs=15,
    )  # fmt: skip


class TestImportanceSampling:
    """The exact posterior is a truncated normal."""

    @pytest.mark.parametrize("x", [0.5, 2.0, 2.98])
    def test_the_exact_posterior_comes_out(self, posterior, x):
        def log_likelihood(theta):
            return -(((theta[:, 0] - x) / 0.1) ** 2) / 2

        draws, weights = diagnostics.importance_sample(
            posterior, torch.tensor([x]), log_likelihood, 20_000, seeded(seed=1)
        )
        assert float(weights.sum()) == pytest.approx(1)
        worth = float(1 / weights.square().sum())
        exact = stats.truncnorm((-1 - x) / 0.1, (3 - x) / 0.1, x, 0.1)
        mean = float((weights * draws[:, 0]).sum())
        variance = float((weights * (draws[:, 0] - mean) ** 2).sum())
        assert abs(mean - exact.mean()) < 4 * exact.std() / math.sqrt(worth)
        assert variance**0.5 == pytest.approx(exact.std(), rel=4 / math.sqrt(worth))
        # and without weights it does not
        raw = draws[:, 0]
        off = abs(float(raw.mean()) - exact.mean()) + abs(float(raw.std()) - exact.std())
        assert off > 0.02 * exact.std()

    @pytest.mark.parametrize(
        "log_likelihood",
        [
            lambda theta: -(((theta[:, 0] + 0.8) / 0.01) ** 2) / 2,
            lambda theta: torch.full((len(theta),), -math.inf),
        ],
        ids=["elsewhere", "zero everywhere"],
    )
    def test_a_likelihood_of_other_data_is_refused_with_its_draws(self, posterior, log_likelihood):
        with pytest.raises(diagnostics.TooFewError, match="are for different data") as refused:
            diagnostics.importance_sample(
                posterior, torch.tensor([2.0]), log_likelihood, 1000, seeded(seed=1)
            )
        draws, weights = refused.value.estimate
        assert draws.shape == (1000, 1)
        assert weights.shape == (1000,)


class TestWhatIsNotWhole:
    """Each diagnostic refuses it by name, with the number of rows; before, most gave a number."""

    @pytest.fixture
    def whole(self, generator):
        theta = torch.rand(120, 2, generator=generator)
        return torch.rand(110, 120, 2, generator=generator), theta, theta.flip(0)

    @staticmethod
    def run(draws, theta, references):
        box = torch.zeros(2), torch.ones(2)
        return {
            "ranks": lambda: diagnostics.ranks(draws, theta),
            "coverage": lambda: diagnostics.coverage(draws, theta, references),
            "credibility": lambda: diagnostics.credibility(draws[..., 0], theta[..., 0]),
            "calibration": lambda: diagnostics.calibration(draws, theta, *box, seeded(seed=1)),
        }

    @pytest.mark.parametrize("name", ["ranks", "coverage", "credibility", "calibration"])
    def test_draws_and_truths(self, whole, name):
        draws, theta, references = whole
        self.run(*whole)[name]()
        for wrong in (math.nan, math.inf):
            broken = draws.clone()
            broken[[3, 5], 7, 0] = wrong
            with pytest.raises(ValueError, match="draws holds NaN or infinity in 2 of 110 rows"):
                self.run(broken, theta, references)[name]()
            broken = theta.clone()
            broken[[3, 5, 8], 0] = wrong
            with pytest.raises(ValueError, match="holds NaN or infinity in 3 of 120 rows"):
                self.run(draws, broken, references)[name]()
        for fewer in (theta[:1], theta[:9], theta[:, :1], theta[None], theta[:0]):
            if name != "credibility" or fewer.shape[:-1] != theta.shape[:-1]:
                with pytest.raises(ValueError, match=r"not \(n, .+\) and \(S, n, .+\) with n"):
                    self.run(draws, fewer, references)[name]()
        with pytest.raises(ValueError, match="with n and S above 0"):
            self.run(draws[:0], theta, references)[name]()
        with pytest.raises(TypeError, match=r"Tensor|must be a torch tensor"):
            self.run(draws.numpy(), theta.numpy(), references.numpy())[name]()

    def test_a_truth_outside_its_prior_is_the_least_probable(self):
        log_q = torch.tensor([[-1.0], [-2.0]])
        assert float(diagnostics.credibility(log_q, torch.tensor([-math.inf]))) == 1.0

    def test_thetas_of_another_prior_and_points(self, whole):
        draws, theta, references = whole
        other = theta.index_put((torch.tensor([4, 9]),), torch.tensor([0.5, 40.0]))
        with pytest.raises(ValueError, match="2 of 120 truths are not between low and high"):
            self.run(draws, other, references)["calibration"]()
        points = draws.clone()
        points[:, 3:6, 1] = 0.5
        with pytest.raises(ValueError, match="3 of 120 posteriors are a single point"):
            self.run(points, theta, references)["calibration"]()

    @pytest.mark.parametrize(
        ("n", "levels", "probability"),
        [(0, 0.5, 0.9), (10, math.nan, 0.9), (10, 1.5, 0.9), (10, 0.5, 1.5), (2.5, 0.5, 0.9)],
    )
    def test_bands(self, n, levels, probability):
        with pytest.raises(ValueError, match=r"whole number|shares"):
            diagnostics.uniform_band(n, torch.tensor([levels]), probability)

    def test_predictions(self, generator):
        samples, observed = torch.rand(50, 1, generator=generator), torch.rand(4)
        replicate = lambda theta, _: theta + torch.zeros(len(theta), 4)  # noqa: E731
        total = lambda data: data.sum(-1)  # noqa: E731
        diagnostics.predictive_p(samples, replicate, total, observed)
        # A statistic that knows theta has one of the observed for each sample.
        distance = lambda data: (data - samples).square().sum(-1)  # noqa: E731
        assert diagnostics.predictive_p(samples, replicate, distance, observed) == 0
        infinite, few = lambda *_: torch.ones(50, 4) / 0, lambda *_: torch.ones(7, 4)
        for says, arguments in (
            ("observed holds NaN", (samples, replicate, total, observed * math.nan)),
            ("replicas holds NaN or infinity in 50 of 50", (samples, infinite, total, observed)),
            (
                "samples holds NaN or infinity in 50 of 50",
                (samples / 0, replicate, total, observed),
            ),
            ("50 replicas", (samples, few, total, observed)),
            ("50 replicas", (samples, replicate, lambda data: data[..., : len(data)], observed)),
        ):
            with pytest.raises(ValueError, match=says):
                diagnostics.predictive_p(*arguments)

    @pytest.mark.parametrize("p", [diagnostics.anomaly_p, diagnostics.misspecification_p])
    def test_features(self, p, generator):
        more = (generator,) if p is diagnostics.misspecification_p else ()
        new, known = (torch.randn(n, 3, generator=generator) for n in (20, 200))
        p(new, known, *more)
        new[[2, 4], 1] = math.nan
        with pytest.raises(ValueError, match="features holds NaN or infinity in 2 of 20 rows"):
            p(new, known, *more)
        for wrong in (known[0], known[:9, :2], known[:9, :1], known[None]):
            with pytest.raises(ValueError, match="must be"):
                p(wrong, known, *more)
        for few in ((known[:20], known[:99]), (known[:0], known)):
            with pytest.raises(diagnostics.TooFewError, match="simulate 1000"):
                p(*few, *more)

    @pytest.mark.parametrize(
        ("log_likelihood", "x", "says"),
        [
            (lambda theta: theta, [2.0], r"is \(200, 1\), with 0 NaN"),
            (lambda theta: theta[:, 0] * math.nan, [2.0], "200 NaN"),
            (lambda theta: theta[:, 0] + math.inf, [2.0], "200 NaN"),
            (lambda theta: theta[:, 0], [[2.0]], r"x is \(1, 1\), but one data set is \(1,\)"),
        ],
    )
    def test_weights(self, posterior, log_likelihood, x, says):
        with pytest.raises(ValueError, match=says):
            diagnostics.importance_sample(
                posterior, torch.tensor(x), log_likelihood, 200, seeded(seed=1)
            )


class TestWhatWasTakenInSilence:
    def test_a_constant_that_differs_is_unlike_all_that_is_known(self, generator):
        """misspecification_p gave 1, for all distances were those in the constant."""
        known = torch.randn(400, 2, generator=generator)
        known = torch.cat([known, torch.full((400, 1), 0.1)], dim=1)
        for value, usual in ((0.1, True), (0.1 + 1e-8, True), (5.0, False)):
            new = torch.cat(
                [torch.randn(20, 2, generator=generator), torch.full((20, 1), value)], 1
            )
            p = diagnostics.misspecification_p(new, known, generator)
            assert (p > 1e-3) == usual
            assert bool((diagnostics.anomaly_p(new, known) > 0).any()) == usual

    def test_outliers_among_the_known_hide_all_others(self, generator):
        known = torch.randn(1000, 2, generator=generator)
        known[:5] = 1e8
        for ask in (diagnostics.anomaly_p, diagnostics.misspecification_p):
            with pytest.raises(ValueError, match="5 of 1000 rows of known are so far off"):
                ask(
                    torch.randn(20, 2) + 5, known, *[generator] * (ask is not diagnostics.anomaly_p)
                )

    def test_corners(self, generator):
        draws, theta = torch.rand(120, 110, 2), torch.rand(110, 2)
        for low, high, says in (
            (torch.zeros(2), torch.full((2,), math.inf), "high holds NaN or infinity"),
            (torch.full((2,), math.nan), torch.ones(2), "low holds NaN or infinity"),
            (torch.zeros(3), torch.ones(3), r"low \(3,\) and high \(3,\) must be \(P,\)"),
        ):
            with pytest.raises(ValueError, match=says):
                diagnostics.calibration(draws, theta, low, high, generator)

    def test_a_distance_needs_parameters(self):
        draws, theta = torch.rand(120, 110), torch.rand(110)
        with pytest.raises(ValueError, match=r"not \(n, P\) and \(S, n, P\)"):
            diagnostics.coverage(draws, theta, theta)

    def test_an_observation_is_one_of_the_data(self, generator):
        samples = torch.rand(300, 1)
        simulate = lambda theta, generator: theta + torch.randn(len(theta), 7, generator=generator)  # noqa: E731
        mean = lambda data: data.mean(dim=-1)  # noqa: E731
        for observed, n in ((torch.zeros(9), 300), (torch.zeros(1, 7), 300), (torch.zeros(7), 0)):
            with pytest.raises(ValueError, match=f"Of {n} samples, replicas and observed are"):
                diagnostics.predictive_p(samples[:n], simulate, mean, observed, generator)
        with pytest.raises(ValueError, match="statistic of 300 replicas"):
            diagnostics.predictive_p(samples, simulate, torch.mean, torch.zeros(7), generator)
