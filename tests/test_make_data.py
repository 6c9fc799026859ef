"""How the real course data are built: responses read, made compact, written whole."""

import zipfile

import numpy as np
import pytest

from course import make_data


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
