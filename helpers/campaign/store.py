"""The files of a campaign: shards in Parquet that are written whole, and verified when read."""

import contextlib
import os
import socket
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from helpers.campaign.settings import CampaignError, in_a_line, read_settings

__all__ = [
    "export",
    "load",
    "pieces",
    "read_shard",
    "shard_path",
    "shards_there",
    "write_shard",
    "write_whole",
]

# Numbers as random as these have no use for a dictionary, nor their columns for statistics.
_PARQUET = {"compression": "zstd", "use_dictionary": False, "write_statistics": False}
_PARQUET["write_page_checksum"] = True


def pieces(folder, size: int = 1_000_000) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield theta (n, P) and x (n, N) of a campaign, in order, without the failed simulations.

    Args:
        folder: of the campaign, which need not be complete.
        size: n of all pieces but the last: memory is needed for one piece and one shard.

    Raises:
        CampaignError: if the folder holds no campaign, a shard is damaged, or size is below 1.
    """
    if size < 1:
        raise CampaignError(f"size must be 1 or more, not {size}.")
    settings = read_settings(folder)
    n, piece = 0, None
    for number in shards_there(folder, settings):
        parts = _tensors(read_shard(folder, settings, number), settings)
        while len(parts[0]):
            if piece is None:
                piece = [part.new_empty(size, part.shape[1]) for part in parts]
            for whole, part in zip(piece, parts, strict=True):
                whole[n : n + len(part)] = part[: size - n]
            n, parts = n + len(parts[0]), [part[size - n :] for part in parts]
            if n >= size:
                yield tuple(piece)
                n, piece = 0, None
    if n:
        yield tuple(whole[:n] for whole in piece)


def load(folder) -> tuple[Tensor, Tensor]:
    """Read theta (n, P) and x (n, N) of all simulations that are there and did not fail.

    Raises:
        CampaignError: if the folder holds no simulation, or a shard is damaged.
    """
    settings = read_settings(folder)
    size = len(shards_there(folder, settings)) * settings["shard"]
    for everything in pieces(folder, max(1, size)):
        return everything
    raise CampaignError(f"{folder} holds no simulation yet that did not fail.")


def export(folder, out, *, format: str = "parquet", piece: int = 1_000_000) -> int:
    """Write a campaign, without the failed simulations, as files of equal size into a new folder.

    Args:
        folder: of the campaign, which need not be complete.
        out: the folder to make: there after all is written, or not at all.
        format: "parquet", with columns as in the shards, or "torch": files for torch.load, each a
            dictionary of theta (n, P), x (n, N) and the names of the parameters.
        piece: simulations in a file: memory is needed for as many.

    Returns:
        How many simulations were written.

    Raises:
        CampaignError: if the folder holds no campaign, a shard is damaged, or `out` exists.
    """
    names, out, written = read_settings(folder)["parameters"], Path(out), 0
    if format not in ("parquet", "torch"):
        raise CampaignError(f'format must be "parquet" or "torch", not {format!r}.')
    if out.exists():
        raise CampaignError(f"{out} exists: remove it, or export into another folder.")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f"{out.name}.unfinished.") as home:
        unfinished = Path(home, out.name)
        unfinished.mkdir()
        for i, (theta, x) in enumerate(pieces(folder, piece)):
            path = unfinished / f"piece-{i:05}"
            if format == "torch":
                # Clones, because torch saves all of a storage of which a tensor may be a part.
                content = {"theta": theta.clone(), "x": x.clone(), "parameters": names}
                torch.save(content, path.with_suffix(".pt"))
            else:
                pq.write_table(_table(theta, x, names), path.with_suffix(".parquet"), **_PARQUET)
            written += len(theta)
        os.replace(unfinished, out)
    return written


def shard_path(folder, number) -> Path:
    """Where a shard is, once it is."""
    return Path(folder, "shards", f"shard-{number:06}.parquet")


def shards_there(folder, settings) -> list[int]:
    """Numbers of the shards that have a file, in order."""
    names = {path.name for path in Path(folder, "shards").glob("*")}
    n_shards = settings["simulations"] // settings["shard"]
    return [number for number in range(n_shards) if shard_path(folder, number).name in names]


def read_shard(folder, settings, number, columns=None) -> pa.Table:
    """Some columns of a shard, or all, if they are intact and what they should be."""
    path = shard_path(folder, number)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            if not file.schema_arrow.equals(_schema(settings, number), check_metadata=True):
                raise ValueError("it belongs to another campaign or shard")
            if (n := file.metadata.num_rows) != settings["shard"]:
                raise ValueError(f"it has {n} rows, not {settings['shard']}")
            return file.read(columns)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise CampaignError(
            f"{path} is damaged: {in_a_line(error)}. The campaign's `run` command simulates it anew."
        ) from error


def write_shard(folder, settings, number, theta, x, reasons) -> None:
    """Put a shard into its place: theta (n, P), x (n, N), and n reasons or None."""
    table = _table(theta, x, settings["parameters"])
    table = table.append_column("reason", pa.array(reasons, pa.string()))
    sink = pa.BufferOutputStream()
    pq.write_table(table.cast(_schema(settings, number)), sink, **_PARQUET)
    write_whole(shard_path(folder, number), sink.getvalue())


def write_whole(path, data) -> None:
    """Write a file whole or not at all, whatever happens in between."""
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with unfinished.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        raise CampaignError(
            f"{path} cannot be written on {socket.gethostname()}: {error.strerror}. Make room (this "
            f"file takes {len(data) / 1e6:.3g} MB), then give the same command: what is done is kept."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


def _schema(settings, number):
    kind = pa.from_numpy_dtype(settings["dtype"])
    # Parquet calls what a list holds element, whatever it was called before.
    x = pa.list_(pa.field("element", kind), settings["size of x"])
    return pa.schema(
        [*((name, kind) for name in settings["parameters"]), ("x", x), ("reason", pa.string())],
        {"campaign": settings["id"], "shard": str(number)},
    )


def _table(theta, x, names):
    columns = dict(zip(names, theta.cpu().numpy().T.copy(), strict=True))
    values = pa.array(x.cpu().numpy().reshape(-1))
    return pa.table(columns | {"x": pa.FixedSizeListArray.from_arrays(values, x.shape[1])})


def _tensors(table, settings):
    """theta (n, P) and x (n, N) of the rows of a table that did not fail."""
    good = table.filter(table["reason"].is_null())
    theta = np.stack([good[name].to_numpy() for name in settings["parameters"]], axis=1)
    x = good["x"].combine_chunks().flatten().to_numpy().reshape(len(good), -1)
    return torch.from_numpy(theta), torch.from_numpy(x.copy())
