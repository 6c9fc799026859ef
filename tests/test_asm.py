"""The RXTE/ASM set: where it is looked for, what is verified, and what a learner is told."""

import hashlib
import os
import re
import shutil
from contextlib import contextmanager

import numpy as np
import pooch
import pytest
from stand_ins import served

from helpers import asm, data
from helpers.asm import load_asm
from helpers.data import DataError

REAL_ASM = os.environ.get("XRAY_TIMING_ASM")
# Look-alikes of the set's files: names of system and type apart and glued, three rows to hundreds.
LOOK_ALIKES = {
    "Training/1538m522comp.asc": ("J1538-522 Pulsar", 3),
    "Training/cygx2comp.asc": ("CygX-2 Zsource", 300),
    "Training/gx9p9comp.asc": ("GX9+9 Atoll", 200),
    "Validation/gx5m1comp.asc": ("gx5m1Nonpulsar", 150),
    "Validation/LMCX3comp.asc": ("LMCX3HMBH", 90),
    "Validation/1744m28comp.asc": ("1744m28Pulsar", 69),
    "Unclass/gx3p1comp.asc": ("GX3+1unclass", 64),
    "Unclass/1636m53comp.asc": ("1636m53Unclass", 68),
}
N = len(LOOK_ALIKES)


def registry_of(folder):
    """{file: "sha256:..."} of what lies in a folder, as asm_registry.txt spells it."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): "sha256:"
        + hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder of look-alikes; the loader knows their hashes, an empty cache, and no folder."""
    folder = tmp_path / "home"
    generator = np.random.default_rng(5)
    for name, (label, n) in LOOK_ALIKES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        rows = zip(50087.4 + np.arange(n), *generator.normal(1, 0.5, (3, n)), strict=True)
        text = "".join(f"{label}      {t:.1f}  {i:.6g}  {a:.6g}  {b:.6g}\n" for t, i, a, b in rows)
        (folder / name).write_text(text, "ascii", newline="\n")
    lines = "# a comment\n" + "".join(f"{n} {d}\n" for n, d in registry_of(folder).items())
    (tmp_path / "asm_registry.txt").write_text(lines)
    digest = hashlib.sha256(lines.encode()).hexdigest()
    (tmp_path / "SHA256SUMS").write_text(f"{digest}  asm_registry.txt\n")
    monkeypatch.setattr(data, "FOLDER", tmp_path)
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    monkeypatch.setattr(asm, "URL", "http://127.0.0.1:9/")  # where nobody answers
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("XRAY_TIMING_ASM", raising=False)
    return folder


@pytest.fixture
def cache(home):
    return home.parent / "cache/ml-xray-spectral-timing/asm"


@contextmanager
def fetched(folder, monkeypatch):
    """The set's public home; gives the list of the files that were asked for."""
    with served(folder) as (address, asked), monkeypatch.context() as patch:
        patch.setattr(asm, "URL", f"{address}/")
        yield asked


def check_table(table):
    columns = "system type mjd intensity colour_1 colour_2 folder file"
    assert " ".join(table.columns) == columns
    labels = table.groupby(table.folder + "/" + table.file)[["system", "type"]].agg(set)
    for name, (label, _) in LOOK_ALIKES.items():
        ((system,), (kind,)) = labels.loc[name]
        assert label.replace(" ", "") == system + kind
        assert kind.lower() in ("pulsar", "zsource", "atoll", "nonpulsar", "hmbh", "unclass")
    assert (table.file == "1538m522comp.asc").sum() == 3
    assert (table[["colour_1", "colour_2"]] < 0).any(axis=None)  # kept, not cleaned
    assert np.isfinite(table.select_dtypes("number")).all(axis=None)


def test_registry_lists_the_41_files():
    lines = data.read_file("asm_registry.txt").decode().splitlines()[1:]
    registry = dict(line.split() for line in lines)
    assert len(registry) == 41
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", digest) for digest in registry.values())
    assert set(LOOK_ALIKES) <= set(registry)


def test_asm_files_are_not_in_the_project():
    assert not list(data.FOLDER.parent.glob("**/*comp.asc"))


def test_it_is_fetched_once_and_then_needs_no_network(home, cache, monkeypatch, capfd, caplog):
    pooch.get_logger().addHandler(caplog.handler)
    with fetched(home, monkeypatch) as asked:
        check_table(load_asm())
    pooch.get_logger().removeHandler(caplog.handler)
    assert not caplog.records  # pooch has a line for each file
    progress = capfd.readouterr().err
    assert "RXTE/ASM" in progress
    assert f"{N}/{N}" in progress
    assert registry_of(cache) == registry_of(home)
    assert len(asked) == N
    check_table(load_asm())
    check_table(load_asm(fetch=False))
    assert capfd.readouterr().err == ""


def test_without_leave_to_fetch_nothing_is_fetched_or_mended(home, cache, monkeypatch):
    with fetched(home, monkeypatch) as asked:
        with pytest.raises(DataError, match=f"holds 0 of the {N} files") as caught:
            load_asm(fetch=False)
        for word in ("fetch=False", "call load_asm()", "load_asm(path)", "XRAY_TIMING_ASM"):
            assert word in str(caught.value)
        assert not asked
        assert not cache.exists()
        shutil.copytree(home, cache)
        (cache / "Unclass/gx3p1comp.asc").write_text("spoilt")
        with pytest.raises(DataError, match=f"holds {N - 1} of the {N} files"):
            load_asm(fetch=False)
        assert (cache / "Unclass/gx3p1comp.asc").read_text() == "spoilt"
        check_table(load_asm())  # mends that file, and fetches no other
    assert [name.strip("/") for name in asked] == ["Unclass/gx3p1comp.asc"]


def test_without_a_server_it_says_what_to_do(home, cache):
    with pytest.raises(DataError, match=r"could not be fetched.*; 0 of 8 are in") as caught:
        load_asm()
    for word in (asm.URL, str(cache), "load_asm(path)", "XRAY_TIMING_ASM", "github.com"):
        assert word in str(caught.value)
    assert not registry_of(cache)


@pytest.mark.parametrize("fault", ["changed", "missing"])
def test_a_bad_download_is_refused_and_mended_later(home, cache, monkeypatch, fault):
    file = home / "Validation/gx5m1comp.asc"
    content = file.read_bytes()
    with fetched(home, monkeypatch) as asked:
        if fault == "missing":
            file.unlink()
        else:
            file.write_bytes(content[:100])
        with pytest.raises(DataError, match=r"/Validation/gx5m1comp\.asc: could not be fetched"):
            load_asm()
        kept = registry_of(cache)
        assert kept.items() < registry_of(home).items()
        assert "Validation/gx5m1comp.asc" not in kept  # and nothing half-written beside it
        file.write_bytes(content)
        asked.clear()
        check_table(load_asm())
    assert len(asked) == N - len(kept)


@pytest.mark.parametrize("way", ["argument", "text", "variable"])
def test_a_folder_is_read_where_it_lies(home, cache, monkeypatch, way):
    if way == "variable":
        monkeypatch.setenv("XRAY_TIMING_ASM", str(home))
    else:
        monkeypatch.setenv("XRAY_TIMING_ASM", "nowhere")  # the argument comes first
    path = {"argument": home, "text": str(home), "variable": None}[way]
    check_table(load_asm(path))
    assert not cache.exists()
    (home / "Training/gx9p9comp.asc").unlink()
    with (home / "Unclass/gx3p1comp.asc").open("a") as file:
        file.write("GX3+1unclass 1 2 3 4\n")
    with pytest.raises(DataError, match=f"2 of the {N} files are not right") as caught:
        load_asm(path)
    assert str(caught.value).startswith(f"{home}: ")
    assert "Training/gx9p9comp.asc (missing)" in str(caught.value)
    assert "Unclass/gx3p1comp.asc (changed)" in str(caught.value)


def test_a_changed_registry_is_named(home):
    with (data.FOLDER / "asm_registry.txt").open("a") as file:
        file.write("Unclass/new.asc sha256:0\n")
    with pytest.raises(DataError, match=r"asm_registry\.txt: was changed.*git checkout"):
        load_asm(home)


@pytest.mark.skipif(not REAL_ASM, reason="XRAY_TIMING_ASM names no folder of the real files")
def test_the_real_set_is_as_documented():
    table = load_asm()
    check_table(table)
    assert len(table) == 63911
    assert table.system.nunique() == 41
    assert (table[["colour_1", "colour_2"]] < 0).sum().tolist() == [8, 184]
    sizes = table.groupby("file").size()
    assert (sizes.min(), sizes.max()) == (3, 4888)
    assert table[table.system == "J1650-500"].mjd.max() < 50200
