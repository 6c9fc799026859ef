"""Light curves and periodograms, against closed forms, direct calculations and stingray.

Every Monte Carlo tolerance is five standard errors, which the sample itself or theory gives.
"""

import math

import numpy as np
import pytest
import torch
from contract import seeded, z_score
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad
from stingray import AveragedCrossspectrum, AveragedPowerspectrum, Lightcurve, Powerspectrum

from helpers.light_curves import (
    averaged_cospectrum,
    averaged_periodogram,
    log_bin,
    lorentzian,
    power_law_noise,
    simulate_light_curves,
)

BIN = 0.01
NORMALISATIONS = {"leahy": "leahy", "fractional": "frac"}  # ours: stingray's


@pytest.fixture
def generator(device):
    return seeded(device)


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


def broad(frequency):
    """A model with power far above the Nyquist frequency, like that of a real source."""
    return lorentzian(frequency, 0.2, 3.0, 4.0) + power_law_noise(frequency, 0.1, 1.2, 0.1, 10.0)


def flat(frequency):
    return torch.full_like(frequency, 1e-3)


def raw_powers(light_curves):
    """|FFT|² 2 bin/n: fractional powers relative to the expected mean, 1, not to the sample's."""
    n = light_curves.shape[-1]
    amplitudes = np.fft.rfft(light_curves.cpu().numpy().astype(np.float64))
    return np.abs(amplitudes[..., 1:]) ** 2 * 2 * BIN / n


def realisations(model, rows, n, generator, device, dtype=torch.float64, bin_size=BIN):
    """(rows, n) light curves of one model."""
    return simulate_light_curves(
        lambda f: model(f).expand(rows, -1), n, bin_size, generator=generator, dtype=dtype,
        device=device,
    )  # fmt: skip


def grid(n, **options):
    return torch.arange(1, n // 2 + 1, **options) / (n * BIN)


# ---- models


@pytest.mark.parametrize(
    ("rms", "centroid", "fwhm"), [(0.2, 0.0, 3.0), (0.1, 5.0, 0.5), (0.3, 1.0, 20.0)]
)
def test_the_integral_of_a_lorentzian_is_its_variance(rms, centroid, fwhm):
    def model(f):
        return float(lorentzian(torch.tensor([f], dtype=torch.float64), rms, centroid, fwhm))

    split = centroid + fwhm
    total = quad(model, 0, split, points=[centroid], epsabs=1e-12)[0]
    total += quad(model, split, np.inf, epsabs=1e-12)[0]
    assert total == pytest.approx(rms**2, rel=1e-8)


def test_a_lorentzian_peaks_at_its_centroid_and_halves_at_half_its_width(device, dtype):
    frequency = torch.tensor([5.0, 4.75, 5.25], device=device, dtype=dtype)
    power = lorentzian(frequency, 0.1, 5.0, 0.5)
    torch.testing.assert_close(power[1:], power[0].expand(2) / 2)


@pytest.mark.parametrize("index", [0.0, 0.7, 1.0, 1.0 + 1e-9, 2.0, -1.0])
def test_a_power_law_has_its_rms_in_its_band(index):
    def model(f):
        frequency = torch.tensor([f], dtype=torch.float64)
        return float(power_law_noise(frequency, 0.3, index, 0.2, 7.0))

    assert quad(model, 0.2, 7.0, epsabs=1e-12)[0] == pytest.approx(0.3**2, rel=1e-8)
    assert model(20.0) / model(10.0) == pytest.approx(2**-index)  # outside of the band as well


def test_models_and_light_curves_have_the_right_gradient():
    def simulate(rms, centroid, fwhm, index):
        def model(f):
            return lorentzian(f, rms, centroid, fwhm) + power_law_noise(f, rms, index, 1.0, 9.0)

        generator = torch.Generator().manual_seed(1)
        curve = simulate_light_curves(model, 8, 0.05, generator=generator, dtype=torch.float64)
        return averaged_periodogram(curve, 0.05, 0.4, "fractional")[1]

    parameters = torch.tensor([0.2, 3.0, 2.0, 1.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(simulate, [p.requires_grad_() for p in parameters.unbind()])


# ---- simulation


@pytest.mark.parametrize("n", [64, 65])
def test_the_mean_periodogram_is_the_model_and_the_rms_scatters_around_it(
    device, dtype, generator, n
):
    rows = 20_000
    # Every other light curve has four times the power: each follows its own parameters.
    factor = torch.tensor([1.0, 4.0], dtype=dtype, device=device).repeat(rows // 2)[:, None]
    curves = simulate_light_curves(
        lambda f: broad(f) * factor, n, BIN, generator=generator, dtype=dtype, device=device
    )
    torch.testing.assert_close(curves.mean(dim=-1), torch.ones_like(curves[:, 0]))
    model = broad(grid(n, dtype=torch.float64)).numpy()
    ratio = raw_powers(curves) / model / factor.cpu().numpy()
    assert np.abs(z_score(ratio[::2], 1.0)).max() < 5
    assert np.abs(z_score(ratio[1::2], 1.0)).max() < 5

    inner = ratio[:, : (n - 1) // 2]
    assert stats.kstest(2 * inner.ravel(), stats.chi2(2).cdf).pvalue > 1e-4
    if n % 2 == 0:
        assert stats.kstest(ratio[:, -1], stats.chi2(1).cdf).pvalue > 1e-4

    weights = np.ones(n // 2)
    weights[-1] = 0.5 if n % 2 == 0 else 1.0
    variances = (curves.var(dim=-1, correction=0) / factor[:, 0]).double().cpu().numpy()
    assert abs(z_score(variances, (weights * model).sum() / (n * BIN))) < 5
    # Σ w² of independent χ²₂ powers: the scatter that nature has.
    scatter = math.sqrt(
        (weights[:-1] @ model[:-1] ** 2 + model[-1] ** 2 / (2 - n % 2)) / (n * BIN) ** 2
    )
    kurtosis = stats.kurtosis(variances, fisher=False)
    error = scatter * math.sqrt((kurtosis - 1) / (4 * rows))
    assert abs(variances.std() - scatter) < 5 * error


def test_bin_averages_of_a_finer_light_curve_have_the_documented_spectrum(device, generator):
    n, fine = 32, 8

    def hard(frequency):  # enough power near the Nyquist frequency of the coarse bins for aliasing
        return lorentzian(frequency, 0.2, 40.0, 30.0)

    curves = realisations(hard, 10_000, n * fine, generator, device, bin_size=BIN / fine)
    powers = raw_powers(curves.unflatten(-1, (n, fine)).mean(dim=-1))
    frequency = grid(n, dtype=torch.float64).numpy()
    # With finite fine bins, the sinc of the instantaneous rate is the Dirichlet kernel's.
    expected = np.zeros_like(frequency)
    for k in range(-fine // 2, fine // 2 + 1):
        at = frequency + k / BIN
        inside = np.abs(at) * BIN < fine / 2
        kernel = np.sinc(at * BIN) / np.sinc(at * BIN / fine)
        expected += np.where(inside, hard(torch.as_tensor(np.abs(at))).numpy() * kernel**2, 0.0)
    assert np.abs(z_score(powers, expected)).max() < 5


@pytest.mark.parametrize(("sigma", "loss"), [(0.3, 0.0004), (0.4, 0.006), (0.5, 0.024)])
def test_clipping_costs_the_rms_that_the_docstring_says(device, generator, sigma, loss):
    n = 64
    white = sigma**2 / (0.5 / BIN)  # expected variance: the n // 2 frequencies, Nyquist counts half
    curves = realisations(
        lambda f: torch.full_like(f, white * n / (n - 1)), 20_000, n, generator, device
    )
    clipped = curves.clamp(min=0)
    cdf, density = stats.norm.cdf(1 / sigma), stats.norm.pdf(1 / sigma)
    mean, square = cdf + sigma * density, (1 + sigma**2) * cdf + sigma * density
    rms = math.sqrt(square / mean**2 - 1)
    assert abs(z_score(clipped.mean(dim=-1).cpu(), mean)) < 5
    assert abs(z_score(clipped.square().mean(dim=-1).cpu(), square)) < 5
    assert round(1 - rms / sigma, len(str(loss)) - 2) == loss


def test_light_curves_of_a_batch_share_no_noise(device, generator):
    """The correlation of independent white light curves scatters by 1/sqrt(n - 1)."""
    n = 1001
    curves = realisations(flat, 100, n, generator, device)
    correlation = torch.corrcoef(curves).triu(1).abs().max()
    assert correlation < 5 / math.sqrt(n - 1)


# ---- counts and periodograms


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_constant_poisson_counts_have_the_poisson_level(device, dtype, generator, normalisation):
    rate = 500.0
    expected = torch.full((2000, 101), rate * BIN, device=device, dtype=dtype)
    counts = torch.poisson(expected, generator)
    power = averaged_periodogram(counts, BIN, 101 * BIN, normalisation)[1].mean(dim=-1)
    assert power.dtype == dtype
    # Given their number N, counts fall into bins uniformly, and E|FFT|² = N at every frequency but
    # zero: 2 in Leahy normalisation exactly, and 2T E[1/N] in fractional normalisation.
    n_counts = 101 * rate * BIN
    level = 2 if normalisation == "leahy" else 2 / rate * (1 + 1 / n_counts)
    assert abs(z_score(power.cpu().double(), level)) < 5


@pytest.fixture
def counts(device):
    """(2, 3, 1003) counts with a signal."""
    generator = torch.Generator(device=device).manual_seed(4)
    curves = realisations(broad, 6, 1003, generator, device).reshape(2, 3, 1003)
    return torch.poisson(800 * BIN * curves.clamp(min=0), generator)


def stingray_light_curve(counts):
    n = len(counts)
    return Lightcurve(
        (np.arange(n) + 0.5) * BIN, counts.cpu().numpy(), dt=BIN, gti=[[0, n * BIN]],
        skip_checks=True,
    )  # fmt: skip


@pytest.mark.parametrize(("ours", "theirs"), NORMALISATIONS.items())
@pytest.mark.parametrize("segment", [0.5, 1.25, 10.02, 10.03])
def test_averaged_spectra_are_stingrays(counts, segment, ours, theirs):
    options = {"segment_size": segment, "norm": theirs, "silent": True}
    frequency, power = averaged_periodogram(counts, BIN, segment, ours)
    cross_frequency, cross = averaged_cospectrum(counts[0], counts[1], BIN, segment, ours)
    assert torch.equal(cross_frequency, frequency)
    for i in range(3):
        pair = [stingray_light_curve(counts[k, i]) for k in range(2)]
        for k in range(2):
            peer = AveragedPowerspectrum(pair[k], **options)
            np.testing.assert_allclose(frequency.cpu(), peer.freq, rtol=1e-12)
            np.testing.assert_allclose(power[k, i].cpu(), peer.power, rtol=1e-6)
        peer = AveragedCrossspectrum(*pair, **options).power
        np.testing.assert_allclose(
            cross[i].cpu(), peer.real, rtol=1e-6, atol=1e-6 * abs(peer).max()
        )


@pytest.mark.parametrize(("f", "first"), [(0.0, 0), (0.01, 0), (0.05, 0), (0.23, 0), (0.05, 100)])
def test_log_bin_is_stingrays_without_its_empty_bins(counts, f, first):
    frequency, power = averaged_periodogram(counts, BIN, 10.03)
    binned_frequency, binned_power, number = log_bin(frequency[first:], power[..., first:], f)
    for i in np.ndindex(2, 3):
        peer = Powerspectrum(stingray_light_curve(counts[i]), norm="leahy")
        peer.freq, peer.power, peer.power_err = (
            x[first:] for x in (peer.freq, peer.power, peer.power_err)
        )
        peer.unnorm_power = peer.unnorm_power_err = None
        peer = peer.rebin_log(f)
        filled = np.isfinite(peer.freq)
        assert filled.all() == (first == 0)
        np.testing.assert_allclose(binned_frequency.cpu(), peer.freq[filled], rtol=1e-6)
        np.testing.assert_allclose(binned_power[i].cpu(), peer.power[filled], rtol=1e-6)
        np.testing.assert_array_equal(number.cpu(), peer.k[filled])


@pytest.mark.parametrize("spacing", [0.1, 0.3, 1 / 7, 1.0])
def test_a_frequency_on_an_edge_belongs_to_the_upper_bin(device, dtype, spacing):
    """For f = 0.5 the edges are 0.5, 1.5, 3, 5.25, 8.625, ... times the spacing."""
    frequency = spacing * torch.arange(1, 9, device=device, dtype=dtype)
    assert log_bin(frequency, frequency, 0.5)[2].tolist() == [1, 1, 3, 3]


def test_counts_may_be_whole_numbers(counts):
    frequency, power = averaged_periodogram(counts.long(), BIN, 1.0)
    assert frequency.dtype == power.dtype == torch.get_default_dtype()
    torch.testing.assert_close(power, averaged_periodogram(counts.float(), BIN, 1.0)[1])


def test_a_segment_without_counts_enters_the_average():
    counts = torch.ones(3, 8, dtype=torch.float64) + torch.eye(3, 8, dtype=torch.float64)
    counts[1] = 0
    power = averaged_periodogram(counts.flatten(), 0.5, 4.0)[1]
    # |FFT|² of a single event is 1 at every frequency: 2/N × (1 + 0 + 1)/3 with N = 18/3.
    torch.testing.assert_close(power, torch.full_like(power, 2 / 6 * 2 / 3))


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(3, 70),
    batch=st.lists(st.integers(1, 3), max_size=2),
    bin_size=st.floats(1e-5, 1e3),
    f=st.floats(0, 2),
    seed=st.integers(0, 2**32),
)
def test_whatever_the_shape(n, batch, bin_size, f, seed):
    """Parseval's theorem, and bins that hold every frequency."""
    generator = torch.Generator().manual_seed(seed)
    curves = torch.rand(*batch, n, generator=generator, dtype=torch.float64)
    frequency, power = averaged_periodogram(curves, bin_size, n * bin_size, "fractional")
    assert power.shape == (*batch, (n - 1) // 2)
    assert frequency.shape == power.shape[-1:]
    torch.testing.assert_close(
        frequency, torch.fft.rfftfreq(n, bin_size, dtype=torch.float64)[1 : (n + 1) // 2]
    )
    mean = curves.mean(dim=-1)
    variance = curves.var(dim=-1, correction=0) / mean**2
    if n % 2 == 0:  # what the Nyquist frequency holds
        signs = 1 - 2 * (torch.arange(n) % 2)
        variance = variance - ((curves * signs).mean(dim=-1) / mean) ** 2
    torch.testing.assert_close(power.sum(dim=-1) / (n * bin_size), variance)

    if n > 4:
        binned_frequency, binned, number = log_bin(frequency, power, f)
        assert binned.shape == (*batch, len(number))
        assert number.sum() == len(frequency)
        assert (number > 0).all()
        assert (binned_frequency.diff() > 0).all()
        torch.testing.assert_close(binned @ number.double(), power.sum(dim=-1))
        single = log_bin(frequency.float(), power.float(), f)
        assert torch.equal(single[2], number)
        assert single[0].dtype == single[1].dtype == torch.float32


# ---- what is refused

ONES = torch.ones(2, 16)
GRID = torch.arange(1.0, 9.0)
NAN = float("nan")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lorentzian(GRID, NAN, 1.0, 1.0), "rms must be zero or positive"),
        (lambda: lorentzian(GRID, 0.1, -1.0, 1.0), "centroid must be zero or positive"),
        (lambda: lorentzian(GRID, 0.1, 1.0, 0.0), "fwhm must be positive"),
        (
            lambda: lorentzian(GRID, torch.tensor([0.1, -0.2, -0.3]), 1.0, 1.0),
            "2 of 3 values are not, the first is -0.2",
        ),
        (lambda: power_law_noise(GRID, 0.1, math.inf, 1.0, 2.0), "index must be finite"),
        (lambda: power_law_noise(GRID, 0.1, 1.0, 0.0, 2.0), "low must be positive"),
        (lambda: power_law_noise(GRID, 0.1, 1.0, 2.0, 2.0), "band of power_law_noise is empty"),
        (lambda: power_law_noise(-GRID, 0.1, 1.0, 1.0, 2.0), "frequencies of 0 Hz or more"),
        (lambda: simulate_light_curves(flat, 1, BIN), "n_bins must be a whole number"),
        (lambda: simulate_light_curves(flat, 10.5, BIN), "n_bins must be a whole number"),
        (lambda: simulate_light_curves(flat, 16, -BIN), "bin_size must be a positive number"),
        (lambda: simulate_light_curves(lambda f: f[:-1], 16, BIN), "must be the 8 frequencies"),
        (lambda: simulate_light_curves(lambda f: f.sum(), 16, BIN), "must be the 8 frequencies"),
        (lambda: simulate_light_curves(lambda f: f - 20, 16, BIN), "finite and not negative"),
        (lambda: simulate_light_curves(lambda f: f * NAN, 16, BIN), "finite and not negative"),
        (lambda: averaged_periodogram(ONES, BIN, 0.1, "frac"), 'must be "leahy" or "fractional"'),
        (lambda: averaged_periodogram(ONES, 0.0, 0.1), "bin_size must be a positive number"),
        (lambda: averaged_periodogram(ONES, BIN, 2 * BIN), "at least 3 bins"),
        (lambda: averaged_periodogram(torch.tensor(1.0), BIN, 0.1), "at least 3 bins"),
        (
            lambda: averaged_periodogram(ONES * torch.tensor([[1.0], [0.0]]), BIN, 0.1),
            r"1 of 2 light curves .* \(first: 0, at index \[1\]\)",
        ),
        (lambda: averaged_periodogram(ONES * NAN, BIN, 0.1), "2 of 2 light curves"),
        (lambda: averaged_periodogram(ONES, BIN, 0.0), "segment must be a positive number"),
        (lambda: averaged_periodogram(ONES, BIN, 0.085), "Use segment=0.08"),
        (lambda: averaged_periodogram(ONES, BIN, 0.17), "17 bins"),
        (lambda: averaged_cospectrum(ONES, ONES[:, 1:], BIN, 0.1), "both need the same bins"),
        (lambda: log_bin(GRID, ONES[:, :8], -0.1), "f must be a growth"),
        (lambda: log_bin(GRID, ONES[:, :8], NAN), "f must be a growth"),
        (lambda: log_bin(GRID, ONES, 0.1), "at least two frequencies"),
        (lambda: log_bin(GRID.square(), ONES[:, :8], 0.1), "evenly spaced"),
        (lambda: log_bin(GRID.flip(0), ONES[:, :8], 0.1), "evenly spaced"),
        (lambda: log_bin(GRID - 1, ONES[:, :8], 0.1), "evenly spaced"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
