"""Load the RXTE/ASM light curves from a folder, or download them from their public repository."""

import io
import os
import re
from pathlib import Path

import pandas as pd
import pooch
from tqdm.auto import tqdm

from helpers.data import DataError, read_file

__all__ = ["URL", "load_asm"]

URL = (
    "https://raw.githubusercontent.com/ggopalan/XRay-Binary-Classification/"
    "c10284c72340c519c7ae46fcf89f11e2d1307ce9/"
)
_VARIABLE = "XRAY_TIMING_ASM"
# System and type, with or without a space between them, then date, intensity and two colours
_LINE = re.compile(
    r"\s*(\S+?)\s*(LMBH|HMBH|Pulsar|Nonpulsar|Zsource|Atoll|Burster|[Uu]nclass)"
    r"\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s*"
)
_NUMBERS = ("mjd", "intensity", "colour_1", "colour_2")
_REMEDY = (
    "Go online and call load_asm() again: it fetches only what is missing. Or get the files from "
    "https://github.com/ggopalan/XRay-Binary-Classification elsewhere, and name their folder in "
    f"load_asm(path) or in the environment variable {_VARIABLE}."
)


def load_asm(path=None, *, fetch=True) -> pd.DataFrame:
    """Intensities and colours of 41 X-ray binaries from the RXTE All-Sky Monitor, with labels.

    The data are those of Gopalan et al. 2015 (arXiv:1507.03538). Their authors state no licence, so
    the course does not contain them. They are read from the first of: the folder `path`; the folder
    that the environment variable XRAY_TIMING_ASM names; the cache on this machine, which is filled
    from github.com/ggopalan/XRay-Binary-Classification (4.2 MB; files in it are not fetched again).
    Each file must have the SHA-256 in data/asm_registry.txt. A `DataError` says what to do if a file
    has another one, or is missing and cannot be fetched (or fetch is False).

    Nothing is cleaned: values that look wrong are wrong in the files. Finding them is an exercise.

    Args:
        path: a folder with the subfolders Training, Validation, Burster_Test and Unclass.
        fetch: whether to use the network if the cache is incomplete and no folder is named.

    Returns:
        One row per measurement: `folder`, `file`, `system`, `type` as spelled there, `mjd` [days],
        `intensity`, `colour_1` (3-5 keV / 1.5-3 keV) and `colour_2` (5-12 keV / 1.5-3 keV).
    """
    cache = pooch.create(pooch.os_cache("ml-xray-spectral-timing") / "asm", URL)
    cache.load_registry(io.BytesIO(read_file("asm_registry.txt")))
    named = path or os.environ.get(_VARIABLE)
    folder = Path(named or cache.path)
    faults = _faults(folder, cache.registry)
    if faults and named:
        listed = ", ".join(f"{name} ({fault})" for name, fault in faults.items())
        problem = f"{len(faults)} of the {len(cache.registry)} files are not right: {listed}."
        raise DataError(folder, problem, _REMEDY)
    if faults and not fetch:
        have = f"holds {len(cache.registry) - len(faults)} of the {len(cache.registry)} files"
        raise DataError(folder, f"{have}, and fetch=False forbids the download.", _REMEDY)
    if faults:
        _fetch(cache, faults)
    rows = [
        (*_LINE.fullmatch(line).groups(), *name.split("/"))
        for name in cache.registry
        for line in (folder / name).read_text("ascii").splitlines()
    ]
    table = pd.DataFrame(rows, columns=["system", "type", *_NUMBERS, "folder", "file"])
    return table.astype(dict.fromkeys(_NUMBERS, float))


def _faults(folder, registry):
    """Return {file: fault} of the files that are missing or changed in the folder."""
    faults = {}
    for name, digest in registry.items():
        try:
            if f"sha256:{pooch.file_hash(folder / name)}" != digest:
                faults[name] = "changed"
        except OSError:
            faults[name] = "missing"
    return faults


def _fetch(cache, names):
    """Fetch files into the cache; pooch stores a file only if its SHA-256 is right."""
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")  # the progress bar is enough
    try:
        for name in tqdm(names, desc="RXTE/ASM", unit="file"):
            cache.fetch(name, downloader=pooch.HTTPDownloader(timeout=30))
    except (OSError, ValueError) as error:  # no network, a broken server, a full or read-only disk
        n_here = len(cache.registry) - len(_faults(cache.path, cache.registry))
        have = f"{n_here} of {len(cache.registry)} are in {cache.path}"
        raise DataError(URL + name, f"could not be fetched ({error}); {have}.", _REMEDY) from error
    finally:
        logger.setLevel(level)
