"""How the real course data are built: responses read, made compact, written whole."""

import io
import zipfile

import numpy as np
import pytest
from astropy.io import fits

from course import make_data


def ogip(matrix, first, tlmin, variable):
    """An OGIP response file of a known matrix, rows written as runs of channels without zeros."""
    n_energies, n_channels = matrix.shape
    runs = []
    for row in matrix:
        edges = np.flatnonzero(np.diff(np.concatenate([[0], row > 0, [0]])))
        runs.append([(a, b - a) for a, b in edges.reshape(-1, 2)])
    widest = max(map(len, runs))
    starts = [[a + first for a, _ in row] for row in runs]
    lengths = [[b for _, b in row] for row in runs]
    if variable:
        starts, lengths = ([np.array(r, "i2") for r in x] for x in (starts, lengths))
        form = f"PI({widest})"
    else:
        starts, lengths = ([r + [0] * (widest - len(r)) for r in x] for x in (starts, lengths))
        form = f"{widest}I"
    energies = np.linspace(1.0, 3.0, n_energies + 1)
    values = [row[row > 0].astype("f4") for row in matrix]
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column("ENERG_LO", "E", array=energies[:-1]),
            fits.Column("ENERG_HI", "E", array=energies[1:]),
            fits.Column("N_GRP", "I", array=[len(row) for row in runs]),
            fits.Column("F_CHAN", form, array=as_column(starts, variable)),
            fits.Column("N_CHAN", form, array=as_column(lengths, variable)),
            fits.Column("MATRIX", f"PE({n_channels})", array=as_column(values, True)),
        ],
        name="MATRIX",
    )
    if tlmin is not None:
        table.header["TLMIN4"] = tlmin
    bounds = fits.BinTableHDU.from_columns(
        [
            fits.Column("CHANNEL", "I", array=np.arange(n_channels) + first),
            fits.Column("E_MIN", "E", array=np.arange(n_channels) / 4),
            fits.Column("E_MAX", "E", array=np.arange(1, n_channels + 1) / 4),
        ],
        name="EBOUNDS",
    )
    content = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table, bounds]).writeto(content)
    return content.getvalue()


def as_column(rows, variable):
    if not variable:
        return np.array(rows, "i2")
    column = np.empty(len(rows), dtype=object)
    column[:] = rows
    return column


@pytest.mark.parametrize("variable", [False, True])
@pytest.mark.parametrize(("first", "tlmin"), [(0, 0), (0, "0"), (1, 1), (1, None)])
def test_expands_a_matrix_with_gaps(tmp_path, first, tlmin, variable):
    generator = np.random.default_rng(3)
    # Rows with one, several and no run of channels, of unequal length.
    matrix = generator.random((6, 12)) * (generator.random((6, 12)) > 0.4)
    matrix[1], matrix[2] = 0, np.arange(1, 13)
    path = tmp_path / "wheel.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(make_data.FOLDER + "a.rsp", ogip(matrix, first, tlmin, variable))
    with zipfile.ZipFile(path) as archive:
        full = make_data.read_response(archive, "a.rsp", None)
    np.testing.assert_allclose(full.effective_area, matrix.sum(axis=1), rtol=1e-6)
    product = full.effective_area[:, None] * full.redistribution
    np.testing.assert_allclose(product, matrix, rtol=1e-6)
    assert all(array.dtype == np.float64 for array in full)


def test_compacts_without_losing_counts():
    generator = np.random.default_rng(4)
    edges = np.cumsum(generator.random(41)) + 0.5
    redistribution = generator.random((40, 31)) / 31
    redistribution[:3] = 0
    channels = np.arange(32) / 10
    area = 100 * generator.random(40)
    full = make_data.FullResponse(
        edges[:-1], edges[1:], area, redistribution, channels[:-1], channels[1:]
    )
    recipe = make_data.Recipe("", None, 3, 1.7, 29, (0.0, 3.0))
    arrays = make_data.compact(full, recipe)
    assert arrays["redistribution"].shape[1] == 10
    assert len(arrays["energy_lo"]) < 37
    assert arrays["energy_lo"][0] == edges[3]  # three bins give no counts
    np.testing.assert_array_equal(arrays["energy_lo"][1:], arrays["energy_hi"][:-1])
    np.testing.assert_allclose(arrays["channel_hi"] - arrays["channel_lo"], 0.3)
    # A power law of index 2 must give the same counts in every group of channels.
    long, short = (
        ((1 / lo - 1 / hi) * area) @ matrix for lo, hi, area, matrix, *_ in (full, arrays.values())
    )
    np.testing.assert_allclose(short, long[:30].reshape(10, 3).sum(axis=1), rtol=1e-6)


def test_writes_the_same_bytes_twice(tmp_path):
    arrays = {"a": np.arange(5.0), "b": np.array("text"), "c": np.ones((2, 3), np.float32)}
    for name in ("one.npz", "two.npz"):
        make_data.save(tmp_path / name, arrays)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    with np.load(tmp_path / "one.npz", allow_pickle=False) as back:
        assert all((back[key] == value).all() for key, value in arrays.items())
    with zipfile.ZipFile(tmp_path / "one.npz") as archive:
        assert {member.date_time[0] for member in archive.infolist()} == {1980}


def test_leaves_no_half_file(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    path.write_bytes(b"before")

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(make_data.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        make_data.save(path, {"a": np.arange(3)})
    assert path.read_bytes() == b"before"


def test_refuses_another_wheel(tmp_path):
    other = tmp_path / "other.whl"
    other.write_bytes(b"not the wheel")
    with pytest.raises(SystemExit, match="SHA-256"):
        make_data.checked(other)
    with pytest.raises(SystemExit, match="no file"):
        make_data.checked(tmp_path / "none.whl")
