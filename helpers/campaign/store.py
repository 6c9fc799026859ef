"""The files of a campaign: shards in Parquet that are written whole, and verified when read."""

import contextlib
import os
import re
import shutil
import socket
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
    "count",
    "export",
    "failures",
    "load",
    "pieces",
    "read_shard",
    "shard_path",
    "shards_there",
    "write_shard",
    "write_whole",
]

# Numbers as random as these have no use for a dictionary; the one statistic counts failures.
_PARQUET = {
    "compression": "zstd",
    "use_dictionary": False,
    "write_statistics": ["reason"],
    "write_page_checksum": True,
}


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
    """theta (n, P) and x (n, N) of all of a campaign that is there, without the failed simulations.

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
    names, out = read_settings(folder)["parameters"], Path(out)
    if format not in ("parquet", "torch") or piece < 1:
        raise CampaignError(
            f'format must be "parquet" or "torch", not {format!r}, and piece 1 or more, not {piece}.'
        )
    if out.exists():
        raise CampaignError(f"{out} exists: remove it, or export into another folder.")
    unfinished = out.with_name(out.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    written = 0
    try:
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
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return written


def shard_path(folder, number) -> Path:
    """Where a shard is, once it is."""
    return Path(folder, "shards", f"shard-{number:06}.parquet")


def shards_there(folder, settings) -> list[int]:
    """Numbers of the shards that have a file, in order."""
    found = (
        re.fullmatch(r"shard-(\d+)\.parquet", p.name) for p in Path(folder, "shards").glob("*")
    )
    n_shards = settings["simulations"] // settings["shard"]
    return sorted(number for match in found if match and (number := int(match[1])) < n_shards)


def count(folder, settings, number) -> int:
    """How many simulations of a shard failed, as its last lines say.

    Raises:
        CampaignError: if these cannot be read.
    """
    path = shard_path(folder, number)
    try:
        group = pq.read_metadata(path).row_group(0)
        columns = map(group.column, range(group.num_columns))
        (reason,) = (column for column in columns if column.path_in_schema == "reason")
        return group.num_rows - reason.statistics.null_count
    # What is damaged can fail at any step.
    except Exception as error:
        raise _damaged(path, error) from error


def failures(folder, settings, number) -> list[str]:
    """The simulations of a shard that failed, in words: where, theta, and why."""
    table = read_shard(folder, settings, number).drop_columns("x")
    lines = []
    for row in np.flatnonzero(table["reason"].is_valid().to_numpy()).tolist():
        (record,) = table.slice(row, 1).to_pylist()
        theta = ", ".join(f"{name} = {record[name]:.6g}" for name in settings["parameters"])
        lines.append(f"shard {number}, row {row}: {theta}: {record['reason']}")
    return lines


def read_shard(folder, settings, number) -> pa.Table:
    """A shard, if it is intact and what it should be.

    Raises:
        CampaignError: if it is not.
    """
    path = shard_path(folder, number)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
        if not table.schema.equals(_schema(settings, number), check_metadata=True):
            raise ValueError("it belongs to another campaign or shard")
        if len(table) != settings["shard"]:
            raise ValueError(f"it has {len(table)} rows, not {settings['shard']}")
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _damaged(path, error) from error
    return table


def write_shard(folder, settings, number, theta, x, reasons) -> None:
    """Put a shard into its place: theta (n, P), x (n, N), and n reasons or None."""
    table = _table(theta, x, settings["parameters"])
    table = table.append_column("reason", pa.array(reasons, pa.string()))
    sink = pa.BufferOutputStream()
    pq.write_table(table.cast(_schema(settings, number)), sink, **_PARQUET)
    write_whole(shard_path(folder, number), sink.getvalue())


def write_whole(path, data) -> None:
    """Write a file whole or not at all, whatever happens in between.

    Raises:
        CampaignError: if the disk is full, or does not take it for another reason.
    """
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
            unfinished.unlink(missing_ok=True)


def _damaged(path, error):
    return CampaignError(
        f"{path} is damaged: {in_a_line(error)}. The campaign's `run` command simulates it anew."
    )


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
