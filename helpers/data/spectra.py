"""Observed spectra and the responses of their detectors: npz archives in data/."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from helpers.data.files import (
    _REPAIR,
    _check,
    _check_bins,
    _check_lengths,
    _choose,
    _course_file,
    _read_archive,
)

if TYPE_CHECKING:  # slow to import: a notebook pays only for what it uses
    from helpers.spectra import Response

__all__ = ["Spectrum", "load_response", "load_spectrum"]

_SPECTRA = ("nicer_maxi_j1820", "ixpe_swift_j1727")
_RESPONSES = ("nicer", "ixpe", "rxte_pca", "nustar_fpma", "xmm_pn", "swift_xrt")

_SPECTRUM_FIELDS = {
    **dict.fromkeys(("source", "telescope", "obs_id", "date", "response"), (np.str_, 0)),
    "exposure": (np.floating, 0),
    "channel": (np.integer, 1),
    **dict.fromkeys(("counts", "counts_err", "energy_lo", "energy_hi"), (np.floating, 1)),
}
_RESPONSE_FIELDS = {
    **dict.fromkeys(("energy_lo", "energy_hi", "effective_area"), (np.floating, 1)),
    "redistribution": (np.floating, 2),
    **dict.fromkeys(("channel_lo", "channel_hi"), (np.floating, 1)),
}


@dataclass(frozen=True, eq=False)
class Spectrum:
    """An observed spectrum: counts in the channels of the response that it names.

    Attributes:
        name: what `load_spectrum` calls it.
        source, telescope, obs_id, date: what was observed, with what, and when.
        response: the name of its response; the channels are those of `load_response(response)`.
        exposure: s.
        channel: (n_channels,) the first original detector channel of each.
        counts: (n_channels,)
        counts_err: (n_channels,) one standard deviation.
        energy_lo, energy_hi: (n_channels,) edges of the channels, nominal keV.
    """

    name: str
    source: str
    telescope: str
    obs_id: str
    date: str
    response: str
    exposure: float
    channel: np.ndarray
    counts: np.ndarray
    counts_err: np.ndarray
    energy_lo: np.ndarray
    energy_hi: np.ndarray

    @property
    def energy(self) -> np.ndarray:
        """(n_channels,) the middle of each channel, nominal keV."""
        return (self.energy_lo + self.energy_hi) / 2

    @property
    def rate(self) -> np.ndarray:
        """(n_channels,) counts/s in each channel."""
        return self.counts / self.exposure

    @property
    def rate_err(self) -> np.ndarray:
        """(n_channels,) one standard deviation of the rate, counts/s."""
        return self.counts_err / self.exposure


def load_spectrum(name: str) -> Spectrum:
    """An observed X-ray spectrum of a black-hole X-ray binary.

    - ``"nicer_maxi_j1820"``: MAXI J1820+070 on 2018-07-03, 96.5 million counts in 5962 s. Channels
      are three of the detector's, 30 eV. The file's history says that two pointings were combined.
      It holds nothing below 0.2 keV. No background was subtracted; Poisson errors.
    - ``"ixpe_swift_j1727"``: Swift J1727.8-1613 on 2023-09-07, Stokes I of detector unit 1, 40 eV.
      Each event is weighted, so counts are no integers and `counts_err` is the file's own.

    Args:
        name: one of the above.

    Returns:
        The spectrum, on the channels of its response.

    Raises:
        DataError: if there is no such spectrum, or its file is missing or damaged.

    Example:
        >>> spectrum = load_spectrum("nicer_maxi_j1820")
        >>> spectrum.source, round(spectrum.rate.sum())
        ('MAXI J1820+070', 16187)
    """
    _choose(name, _SPECTRA, "spectrum")
    return _read_spectrum(_course_file(f"spectrum_{name}.npz"), name)


def load_response(name: str) -> "Response":
    """The response of an X-ray detector: what it makes of a photon spectrum.

    - ``"nicer"``: NICER XTI, all detectors together, on axis; calibration of 2020.
    - ``"ixpe"``: one IXPE detector unit, for weighted events; its area below 2.5 keV is tiny, as
      behind the grey filter that very bright sources need.
    - ``"rxte_pca"``: RXTE PCA, its unit PCU 2 alone, for 2000-04-27; all 129 Standard 2 channels.
    - ``"nustar_fpma"``: NuSTAR, focal plane module A.
    - ``"xmm_pn"``: XMM-Newton EPIC pn, Thin 1 filter.
    - ``"swift_xrt"``: Swift XRT in windowed timing mode, grades 0 to 2.

    Channels and energies are grouped well below the resolution; data/README.md gives the price.

    Args:
        name: one of the above.

    Returns:
        The response on the CPU, in float32; `response.to(device, dtype)` moves it.

    Raises:
        DataError: if there is no such response, or its file is missing or damaged.

    Example:
        >>> response = load_response("rxte_pca")
        >>> response.redistribution.shape
        torch.Size([300, 129])
    """
    _choose(name, _RESPONSES, "response")
    return _read_response(_course_file(f"response_{name}.npz"))


def _read_spectrum(path, name):
    fields = _read_archive(path, _SPECTRUM_FIELDS)
    columns = {key: value for key, value in fields.items() if value.ndim == 1}
    _check_lengths(path, _REPAIR, columns)
    _check(path, _REPAIR, {"exposure": fields["exposure"]}, lowest=np.finfo(np.float32).tiny)
    _check(path, _REPAIR, {key: columns[key] for key in ("counts", "counts_err")}, lowest=0)
    _check(path, _REPAIR, {"channel": columns["channel"]}, lowest=0, increasing=True)
    _check_bins(path, _REPAIR, "energy", columns["energy_lo"], columns["energy_hi"])
    scalars = {key: value.item() for key, value in fields.items() if value.ndim == 0}
    return Spectrum(name=name, **scalars, **columns)


def _read_response(path):
    fields = _read_archive(path, _RESPONSE_FIELDS)
    with np.errstate(over="ignore"):  # what is too large for a float32 is found below
        fields = {name: values.astype(np.float32) for name, values in fields.items()}
    matrix = fields["redistribution"]
    energies = {k: fields[k] for k in ("energy_lo", "energy_hi", "effective_area")}
    channels = {k: fields[k] for k in ("channel_lo", "channel_hi")}
    _check_lengths(path, _REPAIR, {**energies, "redistribution": matrix})
    _check_lengths(path, _REPAIR, {**channels, "redistribution, across": matrix.T})
    _check_bins(path, _REPAIR, "energy", fields["energy_lo"], fields["energy_hi"])
    _check_bins(path, _REPAIR, "channel", fields["channel_lo"], fields["channel_hi"])
    _check(path, _REPAIR, {k: fields[k] for k in ("effective_area", "redistribution")}, lowest=0)
    lost = 1 - matrix.sum(axis=1, dtype=np.float64)
    _check(path, _REPAIR, {"1 - sum of redistribution": lost}, lowest=-1e-3)

    import torch

    from helpers.spectra import Response

    return Response(**{name: torch.from_numpy(values) for name, values in fields.items()})
