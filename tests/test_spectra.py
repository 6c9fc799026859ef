"""The response and the spectral models, against closed forms and numerical integrals."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from helpers.spectra import Response, power_law

N_ENERGIES, N_CHANNELS = 7, 5


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def response(request, device):
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
    return made.to(device, request.param)


def flux_like(response, *shape):
    generator = torch.Generator().manual_seed(2)
    return torch.rand(*shape, N_ENERGIES, generator=generator, dtype=torch.float64).to(
        response.effective_area
    )


def test_one_photon_energy_gives_its_column(response):
    for i, flux in enumerate(torch.eye(N_ENERGIES).to(response.effective_area)):
        expected = response.effective_area[i] * response.redistribution[i]
        torch.testing.assert_close(response.fold(flux), expected)


def test_counts_are_flux_times_area_times_what_is_detected(response):
    flux = flux_like(response)
    expected = (flux * response.effective_area * response.redistribution.sum(dim=1)).sum()
    torch.testing.assert_close(response.fold(flux).sum(), expected)


def test_fold_is_linear(response):
    a, b = flux_like(response, 2)
    torch.testing.assert_close(
        response.fold(2 * a + 3 * b), 2 * response.fold(a) + 3 * response.fold(b)
    )


def test_a_batch_gives_what_a_loop_gives(response):
    flux = flux_like(response, 2, 3)
    looped = torch.stack([torch.stack([response.fold(f) for f in row]) for row in flux])
    assert response.fold(flux).shape == (2, 3, N_CHANNELS)
    torch.testing.assert_close(response.fold(flux), looped)


def test_dtype_and_device_follow_the_response(response):
    dtype, device = response.effective_area.dtype, response.effective_area.device
    counts = response.fold(flux_like(response))
    assert (counts.dtype, counts.device) == (dtype, device)
    assert response.to(dtype=torch.float64).energy_lo.dtype == torch.float64
    assert response.to("cpu").energy_lo.dtype == dtype
    flux = power_law(response.energy_lo, response.energy_hi, 1.7, 1.0)
    assert (flux.dtype, flux.device) == (dtype, device)


def test_fold_has_the_right_gradient(response):
    response = response.to(dtype=torch.float64)
    assert torch.autograd.gradcheck(response.fold, flux_like(response, 3).requires_grad_())


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


@pytest.mark.parametrize("index", [-1.0, 0.0, 0.9999, 1.0, 1.0 + 1e-9, 1.4, 2.0, 3.5])
def test_power_law_is_the_integral(index):
    expected = [
        quad(lambda energy: 0.3 * energy**-index, lo, hi, epsabs=0, epsrel=1e-12)[0]
        for lo, hi in zip(EDGES[:-1].tolist(), EDGES[1:].tolist(), strict=True)
    ]
    flux = power_law(EDGES[:-1], EDGES[1:], index, 0.3)
    np.testing.assert_allclose(flux, expected, rtol=1e-10)
    single = power_law(EDGES[:-1].float(), EDGES[1:].float(), index, 0.3)
    assert single.dtype == torch.float32
    # What is left in float32 is the rounding of the edges, 1 eV apart at 10 keV.
    np.testing.assert_allclose(single, expected, rtol=1e-3)
    np.testing.assert_allclose(single[[0, 2, 3, 4, 6]], np.array(expected)[[0, 2, 3, 4, 6]], 3e-6)


def test_power_law_broadcasts_index_and_norm():
    index = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    norm = torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64)
    flux = power_law(EDGES[:-1], EDGES[1:], index, norm)
    assert flux.shape == (2, 3, len(EDGES) - 1)
    torch.testing.assert_close(flux[1, 2], power_law(EDGES[:-1], EDGES[1:], 2.0, 100.0))


@pytest.mark.parametrize("index", [1.0, 1.0 + 1e-7, 1.7, 4.0])
def test_power_law_has_the_right_gradient(index):
    parameters = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (index, 2.0)]
    assert torch.autograd.gradcheck(lambda *p: power_law(EDGES[:-1], EDGES[1:], *p), parameters)
    # An independent value: dF/dΓ = -K ∫ ln(E) E^-Γ dE
    flux = power_law(EDGES[3:4], EDGES[4:5], *parameters)
    gradient = torch.autograd.grad(flux.sum(), parameters[0])[0]
    expected = quad(lambda energy: -2 * np.log(energy) * energy**-index, 1, 2, epsrel=1e-12)[0]
    assert gradient.item() == pytest.approx(expected, rel=1e-9)


def test_power_law_refuses_the_energy_zero():
    with pytest.raises(ValueError, match="above 0 keV"):
        power_law(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 2.0]), 1.4, 1.0)
