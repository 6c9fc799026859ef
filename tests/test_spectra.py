"""The response and the spectral models, against closed forms and numerical integrals."""

import math
from inspect import signature

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import constants
from scipy.integrate import quad
from scipy.special import gamma, zeta
from torch.func import grad, hessian, jacfwd, jacrev, vmap

from helpers.data import load_response
from helpers.spectra import (
    Response,
    absorption,
    blackbody,
    cutoff_power_law,
    disc_blackbody,
    energy_flux,
    power_law,
)

N_ENERGIES, N_CHANNELS = 7, 5


@pytest.fixture
def response(device):
    """A small response with no symmetry, whose rows do not sum to one."""
    generator = torch.Generator().manual_seed(1)
    edges = torch.linspace(0.5, 4.0, N_ENERGIES + 1)
    channels = torch.linspace(0.0, 5.0, N_CHANNELS + 1)
    made = Response(
        energy_lo=edges[:-1],
        energy_hi=edges[1:],
        effective_area=100 * torch.rand(N_ENERGIES, generator=generator),
        redistribution=torch.rand(N_ENERGIES, N_CHANNELS, generator=generator) / N_CHANNELS,
        channel_lo=channels[:-1],
        channel_hi=channels[1:],
    )
    return made.to(device)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fold_sums_what_photons_of_each_energy_give(response, dtype, device):
    moved = response.to(dtype=dtype)
    flux = torch.rand(2, N_ENERGIES, generator=torch.Generator().manual_seed(2)).to(device, dtype)
    expected = torch.zeros(2, N_CHANNELS, device=device, dtype=dtype)
    for i in range(N_ENERGIES):
        expected += flux[:, i, None] * moved.effective_area[i] * moved.redistribution[i]
    torch.testing.assert_close(moved.fold(flux), expected)
    double = moved.to(dtype=torch.float64)
    assert torch.autograd.gradcheck(double.fold, flux.double().requires_grad_())


@pytest.mark.parametrize("shape", [(), (N_CHANNELS,), (N_ENERGIES, 1), (2, N_ENERGIES + 1)])
def test_a_flux_of_the_wrong_shape_is_named(response, shape):
    with pytest.raises(ValueError, match=f"must be the {N_ENERGIES} energy bins"):
        response.fold(torch.ones(shape))


@pytest.mark.parametrize(
    ("field", "shape"),
    [
        ("energy_hi", (N_ENERGIES + 1,)),
        ("effective_area", (N_CHANNELS,)),
        ("channel_lo", (N_CHANNELS, 1)),
        ("redistribution", (N_CHANNELS, N_ENERGIES)),
        ("redistribution", (N_ENERGIES,)),
    ],
)
def test_a_response_whose_shapes_do_not_fit_is_refused(response, field, shape):
    arrays = {**vars(response), field: torch.ones(shape)}
    with pytest.raises(ValueError, match="matrix"):
        Response(**arrays)


# From a bin of 1 eV at 10 keV to one bin over the whole X-ray band.
EDGES = torch.tensor([0.1, 0.3, 0.301, 1.0, 2.0, 9.999, 10.0, 100.0], dtype=torch.float64)


def binned(density, lo, hi, **options):
    """∫ density(E) dE over each bin with scipy, the reference of the models without a closed form."""
    options = {"epsabs": 0, "epsrel": 1e-10, **options}
    return np.array(
        [
            quad(density, *edges, **options)[0]
            for edges in zip(lo.tolist(), hi.tolist(), strict=True)
        ]
    )


@pytest.mark.parametrize("index", [-1.0, 0.0, 0.9999, 1.0, 1.0 + 1e-9, 1.4, 2.0, 3.5])
def test_power_law_and_its_gradient_are_the_integrals(index):
    lo, hi = EDGES[:-1], EDGES[1:]
    expected = binned(lambda energy: 0.3 * energy**-index, lo, hi, epsrel=1e-12)
    photon_index = torch.tensor(index, dtype=torch.float64, requires_grad=True)
    flux = power_law(lo, hi, photon_index, 0.3)
    np.testing.assert_allclose(flux.detach(), expected, rtol=1e-10)
    single = power_law(lo.float(), hi.float(), index, 0.3)
    # What is left in float32 is the rounding of the edges, 1 eV apart at 10 keV.
    np.testing.assert_allclose(single, expected, rtol=1e-3)
    np.testing.assert_allclose(single[[0, 2, 3, 4, 6]], expected[[0, 2, 3, 4, 6]], 3e-6)
    # dF/dΓ = -K ∫ ln(E) E^-Γ dE
    gradient = torch.autograd.grad(flux[3], photon_index)[0]
    expected = quad(lambda energy: -0.3 * np.log(energy) * energy**-index, 1, 2, epsrel=1e-12)[0]
    assert gradient.item() == pytest.approx(expected, rel=1e-9)


def disc_density(temperature):
    """N(E) of a disc with norm 1 as Mitsuda et al. 1984 write it, integrated over t with scipy."""

    def density(energy):
        def ring(t):
            x = energy / (temperature * t)
            return t ** (-11 / 3) / math.expm1(x) if x < 700 else 0.0

        # Far in the Wien tail only the innermost rings shine; point quad at them.
        near = 1 - min(0.5, 5 * temperature / energy)
        total = quad(ring, 0, near, epsabs=0, epsrel=1e-9, limit=200)[0]
        total += quad(ring, near, 1, epsabs=0, epsrel=1e-9, limit=200)[0]
        return energy**2 * total / 361.27

    return density


def edges_of(response):
    """The energy bins of a response in float64, as one row of edges."""
    return torch.cat([response.energy_lo, response.energy_hi[-1:]]).double()


def call(model, edges, *parameters):
    return model(edges[:-1], edges[1:], *parameters)


RXTE, NICER = (edges_of(load_response(name)) for name in ("rxte_pca", "nicer"))
# From the edge of the extreme ultraviolet to hard X-rays, as fine as the responses in data/ are.
FINE = torch.logspace(-2, 2, 501, dtype=torch.float64)

MODELS = {
    power_law: (1.7, 0.3),
    cutoff_power_law: (1.7, 20.0, 0.3),
    blackbody: (1.1, 0.3),
    disc_blackbody: (0.6, 300.0),
    absorption: (0.5,),
}
models = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)


def check_integral(model, parameters, density, *, every=5, faintest=1e-10, rtol=1e-7, **options):
    """On the grids of two telescopes, where a bin has more than the faintest share of the brightest."""
    for edges in (RXTE, NICER):
        lo, hi = edges[:-1][::every], edges[1:][::every]
        flux = model(lo, hi, *parameters)
        shines = flux > faintest * flux.max()
        expected = binned(density, lo[shines], hi[shines], **options)
        np.testing.assert_allclose(flux[shines], expected, rtol=rtol)
        single = model(lo.float(), hi.float(), *parameters)
        # exp(-20) has lost 20 times the rounding of one number.
        np.testing.assert_allclose(single[shines], expected, rtol=1e-5)


@pytest.mark.parametrize("cutoff", [1.0, 20.0, 200.0])
@pytest.mark.parametrize("index", [-1.0, 1.0, 2.5])
def test_cutoff_power_law_is_the_integral(index, cutoff):
    def density(energy):
        return 0.3 * energy**-index * math.exp(-energy / cutoff)

    check_integral(cutoff_power_law, (index, cutoff, 0.3), density)


@pytest.mark.parametrize("temperature", [0.05, 0.3, 2.0, 10.0])
def test_blackbody_is_the_integral(temperature):
    def density(energy):
        x = energy / temperature
        return 0.3 * 8.0525 * energy**2 / temperature**4 * math.exp(-x) / -math.expm1(-x)

    check_integral(blackbody, (temperature, 0.3), density)


@pytest.mark.parametrize("temperature", [0.05, 0.3, 1.0, 3.0])
def test_disc_blackbody_is_the_integral(temperature):
    # A bin with less than 1e-20 of the brightest one never gives a count.
    check_integral(
        disc_blackbody, (temperature, 1.0), disc_density(temperature),
        every=40, faintest=1e-20, rtol=1e-6, epsrel=1e-7,
    )  # fmt: skip


@pytest.mark.parametrize(("widest", "wide", "tolerance"), [(0.1, 1.0, 1e-6), (0.5, 2.0, 1e-4)])
def test_coarse_bins_are_as_accurate_as_the_docstring_says(widest, wide, tolerance):
    for x in (0.01, 0.3, 1.0, 3.0, 10.0, 30.0):  # E / E_c
        edges = torch.tensor([x, x + min(widest * x, wide)], dtype=torch.float64)
        for index in (-1.0, 0.5, 2.0, 4.0):
            expected = binned(
                lambda energy, g=index: energy**-g * math.exp(-energy), edges[:1], edges[1:]
            )
            flux = call(cutoff_power_law, edges, index, 1.0, 1.0)
            np.testing.assert_allclose(flux, expected, rtol=tolerance)
        expected = binned(
            lambda energy: 8.0525 * energy**2 / math.expm1(energy), edges[:1], edges[1:]
        )
        np.testing.assert_allclose(call(blackbody, edges, 1.0, 1.0), expected, rtol=tolerance)


def test_without_a_cutoff_it_is_the_power_law():
    expected = call(power_law, FINE, 1.7, 0.3)
    np.testing.assert_allclose(call(cutoff_power_law, FINE, 1.7, math.inf, 0.3), expected, 1e-9)
    # and near it, the first order in E / E_c
    ratio = call(cutoff_power_law, FINE, 1.7, 1e6, 0.3) / expected
    np.testing.assert_allclose(ratio, 1 - (FINE[:-1] * FINE[1:]).sqrt() / 1e6, rtol=1e-7)


def test_cutoff_power_law_has_the_photons_of_the_gamma_function():
    # ∫_0^∞ K E^-Γ exp(-E/E_c) dE = K Γ(1 - Γ) E_c^(1 - Γ)
    edges = torch.logspace(-8, 3, 2001, dtype=torch.float64)
    total = call(cutoff_power_law, edges, -0.5, 7.0, 2.0).sum().item()
    assert total == pytest.approx(2.0 * gamma(1.5) * 7.0**1.5, rel=1e-8)


def test_blackbody_obeys_stefan_boltzmann():
    # However hot, the energy flux is L / (4π D^2), here 1e39 erg/s at 10 kpc, and the number of
    # photons that flux over the mean energy of a photon, π^4 / (30 ζ(3)) kT.
    luminosity, distance = 1e39, 1e4 * constants.parsec * 100
    nominal = luminosity / (4 * np.pi * distance**2)
    erg_per_kev = constants.e * 1e10
    constant = 15 / np.pi**4 * nominal / erg_per_kev
    assert constant == pytest.approx(8.0329, abs=5e-5)  # XSPEC's 8.0525 is 0.24 per cent more
    temperature = torch.tensor([0.1, 0.5, 2.0], dtype=torch.float64)
    edges = torch.logspace(-4, 2.5, 3001, dtype=torch.float64)
    flux = call(blackbody, edges, temperature, 1.0)
    energy = energy_flux(edges[:-1], edges[1:], flux, 1e-4, 300)
    np.testing.assert_allclose(energy, nominal * 8.0525 / constant, rtol=1e-5)
    mean = energy / erg_per_kev / flux.sum(dim=-1)
    np.testing.assert_allclose(mean, np.pi**4 / (30 * zeta(3)) * temperature, rtol=1e-5)


def test_disc_blackbody_scales():
    # Hotter by 3 at 3 times the energy: the same spectrum, N(E) dE 27 times as bright.
    flux = call(disc_blackbody, FINE, 0.4, 200.0)
    np.testing.assert_allclose(call(disc_blackbody, 3 * FINE, 1.2, 200.0), 27 * flux, rtol=1e-9)
    np.testing.assert_allclose(call(disc_blackbody, FINE, 0.4, 50.0), flux / 4, rtol=1e-12)


def test_disc_blackbody_has_the_constant_of_planck():
    # 2π cos i / D^2 ∫ r dr 2 E^2 c / (hc)^3 / (exp(E/kT) - 1) with r = R_in t^(-4/3)
    kev = 1e3 * constants.e
    constant = 16 * np.pi / 3 * kev**3 / (constants.h**3 * constants.c**2) / 1e4
    constant *= (1e3 / (1e4 * constants.parsec)) ** 2
    assert 1 / constant == pytest.approx(361.27, abs=5e-3)
    # All of its energy: each ring radiates σT^4, so that L = 4π σ R_in^2 T_in^4, of which the
    # observer receives L cos i / (2π D^2).
    edges = torch.logspace(-4, 2, 3001, dtype=torch.float64)
    flux = call(disc_blackbody, edges, 0.5, 1.0)
    energy = energy_flux(edges[:-1], edges[1:], flux, 1e-4, 100)
    sigma, kelvin = constants.sigma * 1e3, kev / constants.k  # erg/cm^2/s/K^4
    expected = 2 * sigma * (0.5 * kelvin) ** 4 * (1e3 / (1e4 * constants.parsec)) ** 2
    assert energy.item() == pytest.approx(expected, rel=1e-4)


def test_disc_blackbody_has_its_two_limits():
    # Below kT: N ∝ E^(-2/3), with ∫_0^∞ s^(5/3) / (e^s - 1) ds = Γ(8/3) ζ(8/3).
    edges = torch.tensor([1e-5, 1.01e-5], dtype=torch.float64)
    middle, width = 1.005e-5, 1e-7
    expected = gamma(8 / 3) * zeta(8 / 3) * middle ** (-2 / 3) * width / 361.27
    assert call(disc_blackbody, edges, 1.0, 1.0).item() == pytest.approx(expected, rel=2e-5)
    # Far above: only the inner edge shines, N -> E^2 exp(-x) / x (1 + 5/(3x) + ...) with x = E/kT.
    edges = torch.tensor([60.0, 60.001], dtype=torch.float64)
    x = 60.0005
    series = 1 + 5 / (3 * x) + 10 / (9 * x**2) - 10 / (27 * x**3)
    expected = x * math.exp(-x) * series * 1e-3 / 361.27
    assert call(disc_blackbody, edges, 1.0, 1.0).item() == pytest.approx(expected, rel=1e-5)


def cross_section(energy):
    """σ in 1e-24 cm^2, measured through the transmission of a bin that is very narrow."""
    energy = torch.as_tensor(energy, dtype=torch.float64)
    lo, hi = energy * (1 - 1e-7), energy * (1 + 1e-7)
    n_h = 0.1 * energy**3  # a depth below one, for each energy, so that no digits are lost
    return -absorption(lo, hi, n_h).diagonal().log() / n_h * 100


def test_cross_section_has_the_values_of_morrison_and_mccammon():
    measured = cross_section([0.3, 0.5, 1.0, 2.0, 5.0]).tolist()
    assert [float(f"{sigma:.4g}") for sigma in measured] == [3116, 735.6, 242.2, 43.01, 3.525]
    # the additions of XSPEC: E^-3 above 10 keV and below 0.03 keV, nothing below 0.0136 keV
    np.testing.assert_allclose(cross_section([0.02, 40.0]), [33.6 / 0.02**3, 953.2 / 40**3], 1e-6)
    assert cross_section([0.013]).item() == pytest.approx(0, abs=1e-6)


def test_cross_section_jumps_up_at_the_edges_and_nowhere_else():
    jumps = torch.tensor(
        [0.284, 0.4, 0.532, 0.707, 0.867, 1.303, 1.84, 2.471, 3.21, 4.038, 7.111, 8.331],
        dtype=torch.float64,
    )
    ratio = cross_section(jumps * (1 + 1e-6)) / cross_section(jumps * (1 - 1e-6))
    assert ratio.min() > 1.015  # argon and calcium are the weakest
    assert ratio[[2, 10]].min() > 1.65  # oxygen and iron
    joints = torch.tensor([0.03, 0.1, 10.0], dtype=torch.float64)
    ratio = cross_section(joints * (1 + 1e-6)) / cross_section(joints * (1 - 1e-6))
    np.testing.assert_allclose(ratio, 1, atol=5e-4)


@pytest.mark.parametrize("n_h", [0.0, 0.03, 0.5])
def test_a_bin_over_an_edge_has_the_mean_transmission(n_h):
    def density(energy):
        return math.exp(-0.01 * n_h * cross_section([energy]).item()) / energy

    # Over the edge of carbon; none; nitrogen and oxygen together; iron. Up to a depth of 18.
    jumps = (0.284, 0.4, 0.532, 7.111)
    for lo, hi in ((0.27, 0.3), (0.3, 0.33), (0.38, 0.55), (7.0, 7.2)):
        inside = [x for x in jumps if lo < x < hi]
        total = quad(density, lo, hi, epsabs=0, epsrel=1e-5, points=inside)[0]
        edges = torch.tensor([lo, hi], dtype=torch.float64)
        share = call(absorption, edges, n_h).item()
        assert share == pytest.approx(total / math.log(hi / lo), rel=3e-4)


@pytest.mark.parametrize(
    ("index", "low", "high"), [(1.0, 2, 10), (1.7, 2.0, 10.0), (2.0, 2.003, 9.87), (4.0, 0.5, 2)]
)
def test_energy_flux_is_the_integral(index, low, high):
    expected = quad(lambda energy: 0.3 * energy ** (1 - index), low, high)[0] * constants.e * 1e10
    for edges, tolerance in ((RXTE, 1e-4), (NICER, 2e-4)):
        if low >= edges[0]:
            flux = call(power_law, edges, index, 0.3)
            measured = energy_flux(edges[:-1], edges[1:], flux, low, high)
            assert measured.item() == pytest.approx(expected, rel=tolerance)


def test_energy_flux_adds_up_over_bands_that_cut_bins():
    lo, hi = FINE[:-1], FINE[1:]
    flux = disc_blackbody(lo, hi, torch.tensor([[0.3], [1.0]], dtype=torch.float64), 20.0)
    parts = [energy_flux(lo, hi, flux, *band) for band in ((0.5, 1.999), (1.999, 2.0), (2.0, 10.0))]
    assert parts[0].shape == (2, 1)
    torch.testing.assert_close(sum(parts), energy_flux(lo, hi, flux, 0.5, 10.0))


@models
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_parameters_broadcast_and_numbers_take_the_energies_dtype(model, dtype, device):
    edges = FINE.to(device, dtype)
    first, *rest = (torch.tensor(x, dtype=dtype, device=device) for x in MODELS[model])
    scale = torch.tensor([0.5, 1.0, 2.0], dtype=dtype, device=device)
    rest[-1:] = [x * scale for x in rest[-1:]]
    batch = call(model, edges, first * scale[:2, None], *rest)
    assert batch.shape == (2, 3 if rest else 1, len(edges) - 1)
    single = call(model, edges, *(np.float64(x.flatten()[-1].item()) for x in (first, *rest)))
    torch.testing.assert_close(batch[1, -1], single)
    total = energy_flux(edges[:-1], edges[1:], single, 2, 10)
    assert (total.dtype, total.device.type) == (dtype, device.type)


@models
def test_single_precision_is_enough(model):
    # The spectrum itself is what is compared, not the rounding of the edges.
    single = FINE.float()
    exact = call(model, single.double(), *MODELS[model])
    bright = exact > 1e-12 * exact.max()
    deviation = (call(model, single, *MODELS[model]) / exact - 1).abs()
    assert deviation[bright].max() < 2e-5


@models
def test_gradients_are_right(model):
    edges = torch.tensor([0.3, 0.35, 0.52, 0.54, 1.0, 1.1, 6.0, 6.5], dtype=torch.float64)
    parameters = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in MODELS[model]]
    assert torch.autograd.gradcheck(lambda *p: call(model, edges, *p), parameters)
    assert torch.autograd.gradgradcheck(lambda *p: call(model, edges, *p), parameters)


RANGES = {
    power_law: ((-2.0, 5.0), (0.0, 1e3)),
    cutoff_power_law: ((-2.0, 5.0), (0.01, 1e6), (0.0, 1e3)),
    blackbody: ((1e-3, 100.0), (0.0, 1e6)),
    disc_blackbody: ((1e-3, 100.0), (0.0, 1e9)),
    absorption: ((0.0, 1e4),),
}


@models
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_anywhere_in_range_flux_and_gradients_are_finite(model, dtype, data):
    parameters = [
        torch.tensor(
            [lowest, data.draw(st.floats(lowest, highest)), highest], dtype=dtype
        ).requires_grad_()
        for lowest, highest in RANGES[model]
    ]
    flux = call(model, FINE.to(dtype), *parameters)
    assert flux.isfinite().all()
    assert (flux >= 0).all()
    if model is absorption:
        assert (flux <= 1 + 1e-6).all()
    for gradient in torch.autograd.grad(flux.sum(), parameters):
        assert gradient.isfinite().all()


@models
@pytest.mark.parametrize("wrong", [math.nan, -1.0])
def test_a_parameter_out_of_range_is_named(model, wrong):
    names = [name for name in signature(model).parameters if not name.startswith("energy")]
    for i, name in enumerate(names):
        if name == "photon_index" and wrong == -1.0:
            continue
        parameters = list(MODELS[model])
        parameters[i] = torch.tensor([parameters[i], wrong, wrong])
        with pytest.raises(ValueError, match=f"^{name} must be .* 2 of 3 are not, such as {wrong}"):
            call(model, FINE, *parameters)


@pytest.mark.parametrize("model", [blackbody, disc_blackbody])
@pytest.mark.parametrize("wrong", [0.0, math.inf])
def test_a_temperature_of_zero_or_infinity_is_refused(model, wrong):
    with pytest.raises(ValueError, match="temperature must be above 0 keV and finite"):
        call(model, FINE, wrong, 1.0)


@models
@pytest.mark.parametrize(
    ("edges", "says"),
    [
        ([0.0, 1.0, 2.0], "leave out the bin from 0"),
        ([1.0, 3.0, 2.0], "increasing"),
        ([3.0, 2.0, 1.0], "increasing"),
        ([1.0, math.nan, 2.0], "finite"),
        ([1.0, 2.0, math.inf], "finite"),
        ([1, 2, 3], "floating-point"),
        ([[1.0], [2.0], [3.0]], "n_energies"),
    ],
)
def test_energies_that_are_no_grid_are_refused(model, edges, says):
    with pytest.raises(ValueError, match=says):
        call(model, torch.tensor(edges), *MODELS[model])


FLUX = torch.ones(500)
KEPT = torch.arange(500) != 300
WITH_A_GAP = FINE[:-1][KEPT], FINE[1:][KEPT], FLUX[KEPT]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: blackbody(FINE, FINE[1:], 1.0, 1.0), "same bins"),
        (lambda: blackbody(FINE[:-1].flip(0), FINE[1:].flip(0), 1.0, 1.0), "sort the bins"),
        (
            lambda: call(blackbody, FINE, torch.ones(3), torch.ones(2)),
            r"temperature \(3,\), norm \(2,\)",
        ),
        (lambda: call(energy_flux, FINE, torch.ones(501), 2, 10), "must be the 500 energy bins"),
        (lambda: energy_flux(*WITH_A_GAP, 2, 10), "without gaps"),
    ],
)
def test_what_does_not_fit_is_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        wrong()


@pytest.mark.parametrize("band", [(0.001, 10), (2, 101), (10, 2), (2, 2), (-1, 2), (math.nan, 2)])
def test_a_band_that_the_bins_do_not_cover_is_refused(band):
    with pytest.raises(
        ValueError, match=r"covered exactly once by energy bins from 0\.01 to 100 keV"
    ):
        call(energy_flux, FINE, FLUX, *band)
    assert energy_flux(*WITH_A_GAP, 0.1, 1.0) > 0


@models
def test_models_under_the_transforms_of_torch(model):
    rows = torch.tensor(MODELS[model]).double() * torch.linspace(0.8, 1.2, 6).double()[:, None]
    lo, hi = FINE[:-1:20], FINE[1::20]

    def flux(theta):
        return model(lo, hi, *theta.unbind(-1))

    def total(theta):
        return energy_flux(FINE[:-1], FINE[1:], call(model, FINE, *theta.unbind(-1)), 2, 10).sum()

    assert torch.equal(vmap(flux)(rows), flux(rows))
    moving = rows.clone().requires_grad_()
    (expected,) = torch.autograd.grad(sum(total(row) for row in moving), moving)
    torch.testing.assert_close(vmap(grad(total))(rows), expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(vmap(jacrev(flux))(rows), vmap(jacfwd(flux))(rows))
    assert bool(vmap(hessian(total))(rows).isfinite().all())


@models
def test_a_sampler_goes_on_where_a_parameter_went_astray(model):
    """What nobody can look at, or a gradient moves, becomes NaN; other rows keep their bits."""
    rows = torch.tensor(MODELS[model]).double().expand(4, -1).clone()
    rows[1] = -1.0
    rows[2] = math.nan

    def flux(theta):
        return call(model, FINE, *theta.unbind(-1))

    with pytest.raises(ValueError, match=r"\d of 4 are not"):
        flux(rows)
    moving = rows.clone().requires_grad_()
    for found in (vmap(flux)(rows), flux(moving)):
        assert found.isnan().all(dim=1).tolist() == [False, True, True, False]
        assert torch.equal(found[[0, 3]], flux(rows[[0, 0, 0, 3]])[[0, 3]])
    flux(moving).nansum(dim=1)[[0, 3]].sum().backward()
    assert bool(grad(lambda theta: flux(theta).sum())(rows[1]).isnan().all())
    # Energies do not move: they are refused as ever.
    with pytest.raises(ValueError, match="above 0 keV, increasing"):
        vmap(lambda theta: model(-FINE[:-1], FINE[1:], *theta.unbind(-1)))(rows)


def test_hamiltonian_steps_cross_the_edge_and_come_back():
    """Leapfrog from kT = 0.1 keV into negative temperatures: an energy of NaN, which is no error."""

    def energy(theta):
        return -call(blackbody, FINE, theta, 1.0).log().mean()

    theta, momentum = torch.tensor(0.1).double(), torch.tensor(-1.0).double()
    energies = []
    for _ in range(5):
        momentum = momentum - 0.05 * grad(energy)(theta)
        theta = theta + 0.05 * momentum
        energies.append(float(vmap(energy)(theta[None])[0]))
    assert math.isnan(energies[-1])


def test_numbers_of_other_kinds_are_refused_with_the_remedy(response):
    flux = torch.rand(N_ENERGIES, device=response.energy_lo.device)
    with pytest.raises(
        ValueError, match=r"float64 and the response torch\.float32.*dtype=torch\.float64"
    ):
        response.fold(flux.double())
    response.to(dtype=torch.float64).fold(flux.double())
    with pytest.raises(TypeError, match="flux must be a torch tensor, not ndarray"):
        response.fold(flux.cpu().numpy())
    with pytest.raises(TypeError, match="effective_area must be a torch tensor"):
        Response(**{**vars(response), "effective_area": np.ones(N_ENERGIES)})
    with pytest.raises(TypeError, match="energy_lo must be a torch tensor"):
        power_law(FINE[:-1].numpy(), FINE[1:].numpy(), 2.0, 1.0)


def test_a_gain_may_be_mapped_over():
    """A stretched scale of energies under vmap ended in torch's own words; a bad one gives NaN."""
    edges = torch.logspace(-1, 1, 20, dtype=torch.float64)
    stretch = torch.tensor([1.0, 1.1, -1.0], dtype=torch.float64)
    for model, *parameters in (
        (power_law, 2.0, 1.0), (cutoff_power_law, 2.0, 3.0, 1.0),
        (blackbody, 1.0, 1.0), (disc_blackbody, 1.0, 1.0),
    ):  # fmt: skip
        one = lambda s, m=model, p=parameters: m(s * edges[:-1], s * edges[1:], *p)  # noqa: E731
        found = torch.func.vmap(one)(stretch)
        torch.testing.assert_close(found[:2], torch.stack([one(s) for s in stretch[:2]]))
        assert bool(found[2].isnan().all())
