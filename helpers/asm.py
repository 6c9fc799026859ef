"""The RXTE/ASM set: fetched from its public home, or read from a folder."""

import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from helpers.data.files import _REPAIR, DataError, _course_file

if TYPE_CHECKING:  # slow to import: a notebook pays only for what it uses
    from pandas import DataFrame

__all__ = ["load_asm"]

_ASM_URL = (
    "https://raw.githubusercontent.com/ggopalan/XRay-Binary-Classification/"
    "c10284c72340c519c7ae46fcf89f11e2d1307ce9/"
)
_ASM_VARIABLE = "XRAY_TIMING_ASM"
_ASM_TYPES = "LMBH|HMBH|Pulsar|Nonpulsar|Zsource|Atoll|Burster|[Uu]nclass"
# system and type, with or without a blank between them, then date, intensity and two colours
_ASM_LINE = re.compile(rf"\s*(\S+?)\s*({_ASM_TYPES})\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s*")
_ASM_REMEDY = (
    "Go online and call load_asm() again: it fetches only what is missing. Or get the files from "
    "https://github.com/ggopalan/XRay-Binary-Classification elsewhere, and name their folder in "
    f"load_asm(path) or in the environment variable {_ASM_VARIABLE}."
)


def load_asm(path=None, *, fetch=True) -> "DataFrame":
    """Intensities and colours of 41 X-ray binaries from the RXTE All-Sky Monitor, with labels.

    The set of Gopalan et al. 2015 (arXiv:1507.03538). Its authors state no licence, so the course
    does not contain it. It is read from, in this order: the folder `path`; the folder that the
    environment variable XRAY_TIMING_ASM names; the cache on this machine, which is filled from
    github.com/ggopalan/XRay-Binary-Classification (4.2 MB; what is there is not fetched again).
    Every file must have the SHA-256 that data/asm_registry.txt holds.

    Nothing is cleaned: labels are spelled as in the files, and what looks wrong in the numbers is
    wrong in the files. Finding it is an exercise.

    Args:
        path: a folder with the subfolders Training, Validation, Burster_Test and Unclass.
        fetch: whether to use the network. Without it, the set is read where it already lies whole,
            in a folder that is named or in the cache.

    Returns:
        One row per measurement: `system` and `type` as the file spells them, `mjd` [days],
        `intensity`, `colour_1` (3-5 keV / 1.5-3 keV), `colour_2` (5-12 keV / 1.5-3 keV), `folder`
        and `file`.

    Raises:
        DataError: if files are missing, changed or unreadable, or cannot be fetched, or must not
            be; the message says what to do.
    """
    import pandas as pd

    registry = _asm_registry()
    folder = path or os.environ.get(_ASM_VARIABLE)
    if folder:
        folder = Path(folder)
        _check_asm_folder(folder, registry)
    else:
        folder = _fetch_asm(registry) if fetch else _cached_asm(registry)
    return pd.concat([_read_asm_file(folder / name) for name in registry], ignore_index=True)


def _asm_registry():
    """{file: "sha256:..."} of the set."""
    path = _course_file("asm_registry.txt")
    try:
        lines = path.read_text("ascii").splitlines()
        return dict(line.split() for line in lines if not line.startswith("#"))
    except (OSError, ValueError) as error:
        raise DataError(path, f"cannot be read ({error}).", _REPAIR) from error


def _asm_faults(folder, registry):
    """{file: fault} for the files of the set that are not as they should be in the folder."""
    faults = {}
    for name, digest in registry.items():
        try:
            found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except OSError:
            faults[name] = "missing"
        else:
            if digest != f"sha256:{found}":
                faults[name] = "changed"
    return faults


def _check_asm_folder(folder, registry):
    faults = _asm_faults(folder, registry)
    if faults:
        listed = ", ".join(f"{name} ({fault})" for name, fault in faults.items())
        problem = f"{len(faults)} of the {len(registry)} files are not right: {listed}."
        raise DataError(folder, problem, _ASM_REMEDY)


def _asm_cache():
    """The folder of this machine's cache, whether it exists or not."""
    import pooch

    return pooch.os_cache("ml-xray-spectral-timing") / "asm"


def _cached_asm(registry):
    """The cache folder, if every file of the set is in it and right."""
    folder = _asm_cache()
    faults = _asm_faults(folder, registry)
    if faults:
        have = len(registry) - len(faults)
        problem = f"holds {have} of the {len(registry)} files, and fetch=False forbids to fetch."
        raise DataError(folder, problem, _ASM_REMEDY)
    return folder


def _fetch_asm(registry):
    """The cache folder, once every file of the set is in it and found to be right."""
    import pooch
    from tqdm.auto import tqdm

    cache = pooch.create(_asm_cache(), _ASM_URL, registry=registry)
    faults = _asm_faults(cache.path, registry)
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")  # the bar says enough
    try:
        for name in tqdm(faults, desc="RXTE/ASM", unit="file", disable=not faults):
            # pooch writes to a temporary file and moves it into place when its SHA-256 is right
            cache.fetch(name, downloader=pooch.HTTPDownloader(timeout=30))
    except Exception as error:  # no network, a broken server or proxy, a full or read-only disk
        have = len(registry) - len(_asm_faults(cache.path, registry))
        problem = f"could not be fetched ({error}); {have} of {len(registry)} are in {cache.path}."
        raise DataError(_ASM_URL + name, problem, _ASM_REMEDY) from error
    finally:
        logger.setLevel(level)
    return cache.path


def _read_asm_file(path):
    import pandas as pd

    rows = []
    try:
        lines = path.read_text("ascii").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(path, f"cannot be read ({error}).", _ASM_REMEDY) from error
    for number, line in enumerate(lines, start=1):
        try:
            system, label, *values = _ASM_LINE.fullmatch(line).groups()
            values = [float(value) for value in values]
            if not np.isfinite(values).all():
                raise ValueError
        except (AttributeError, ValueError):
            problem = f"line {number} is {line!r}, not a system, a type, a date and three numbers."
            raise DataError(path, problem, _ASM_REMEDY) from None
        rows.append((system, label, *values, path.parent.name, path.name))
    names = ("system", "type", "mjd", "intensity", "colour_1", "colour_2", "folder", "file")
    return pd.DataFrame(rows, columns=names)
