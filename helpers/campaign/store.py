"""Files of a campaign: settings, and shards that are written completely and verified when read."""

import difflib
import hashlib
import json
import os
import re
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

__all__ = ["CampaignError", "export", "load", "pieces"]

_SHARD = "shards/shard-{:06}.parquet"


class CampaignError(RuntimeError):
    """A campaign cannot continue; the message says what to do."""


def pieces(folder, size: int = 1_000_000) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield theta (n, P) and x (n, N) of a campaign, in order, without the failed simulations.

    A CampaignError says if the folder has no campaign, or a shard is damaged.

    Args:
        folder: folder of the campaign, which need not be complete.
        size: n of all pieces but the last, 1 or more; one piece and one shard must fit into memory.
    """
    if size < 1:
        raise CampaignError(f"size must be 1 or more, not {size}.")
    settings = read_settings(folder)
    n, piece = 0, None
    for number in shards_there(folder, settings):
        table = read_shard(folder, settings, number)
        good = table.filter(table["reason"].is_null())
        theta = np.stack([good[name].to_numpy() for name in settings["parameters"]], axis=1)
        x = good["x"].combine_chunks().flatten().to_numpy().reshape(len(good), -1)
        parts = torch.from_numpy(theta), torch.from_numpy(x.copy())
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
    """Read theta (n, P) and x (n, N) of all existing simulations that did not fail.

    A CampaignError says if there are none, or a shard is damaged.
    """
    settings = read_settings(folder)
    size = len(shards_there(folder, settings)) * settings["shard"]
    for everything in pieces(folder, max(1, size)):
        return everything
    raise CampaignError(f"{folder} holds no simulation yet that did not fail.")


def export(folder, out, *, format: str = "parquet", piece: int = 1_000_000) -> int:
    """Write a campaign without the failed simulations as files of equal size; return how many it wrote.

    Args:
        folder: folder of the campaign, which need not be complete.
        out: new folder, which appears after all is written, or not at all.
        format: "parquet", with columns as in the shards, or "torch": files for torch.load, each a
            dictionary of theta (n, P), x (n, N) and the names of the parameters.
        piece: simulations per file, which must fit into memory.
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
                # Clones, because torch saves the whole storage of a tensor that may be a part of it.
                content = {"theta": theta.clone(), "x": x.clone(), "parameters": names}
                torch.save(content, path.with_suffix(".pt"))
            else:
                _write(path.with_suffix(".parquet"), theta, x, names)
            written += len(theta)
        os.replace(unfinished, out)
    return written


def read_settings(folder) -> dict:
    """Return the settings of the campaign in this folder."""
    path = Path(folder, "campaign.json")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise CampaignError(f"{folder} holds no campaign: `run` begins one.") from None
    except ValueError as error:
        raise CampaignError(
            f"{path} is damaged: {in_a_line(error)}. Remove this file, and give the campaign's `run` "
            "command with the same recipe and settings: with others it simulates all shards again."
        ) from error


def refuse_others(folder, asked: dict, recipe: str, simulations: int) -> None:
    """Check that a folder has this campaign, or none yet; the error lists the differences."""
    if not Path(folder, "campaign.json").exists():
        foreign = {path.name for path in folder.glob("*")} - {"lock", "recipe.py", "shards"}
        if foreign:
            raise CampaignError(f"{folder} holds other files ({min(foreign)}): name a new folder.")
        return
    there, lines = read_settings(folder), []
    for name, here in asked.items():
        was = there.get(name)
        if not isinstance(here, dict):
            here, was = {"": here}, {"": was}
        for key in sorted({*here, *was}):
            if here.get(key) != was.get(key):
                label = f"{name} {key}".strip()
                lines.append(f"{label}: {was.get(key)} there, {here.get(key)} here")
    if there["recipe"] != digest(recipe):
        before = Path(folder, "recipe.py").read_text(encoding="utf-8").splitlines()
        names = "recipe there", "recipe here"
        lines += difflib.unified_diff(before, recipe.splitlines(), *names, lineterm="")
    if simulations < (n := there["simulations"]):
        lines.append(f"simulations: {n} there, {simulations} here; a campaign can only grow")
    if lines:
        lines.insert(0, "holds a campaign with other settings; take these, or a new folder")
        raise CampaignError(f"{folder} (seen from {socket.gethostname()}) " + "\n  ".join(lines))


def shards_there(folder, settings) -> list[int]:
    """Return the numbers of the shards that have a file, in order."""
    numbers = range(settings["simulations"] // settings["shard"])
    return [number for number in numbers if Path(folder, _SHARD.format(number)).exists()]


def read_shard(folder, settings, number, columns=None) -> pa.Table:
    """Read some columns of a shard, or all, and check that they are intact and right."""
    path = Path(folder, _SHARD.format(number))
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            if not file.schema_arrow.equals(_schema(settings, number), check_metadata=True):
                raise ValueError("it belongs to another campaign or shard")
            if (n := file.metadata.num_rows) != settings["shard"]:
                raise ValueError(f"it has {n} rows, not {settings['shard']}")
            return file.read(columns)
    except (OSError, ValueError, pa.ArrowException) as error:
        why = f"is damaged: {in_a_line(error)}. The campaign's `run` command simulates it again."
        raise CampaignError(f"{path} {why}") from error


def write_shard(folder, settings, number, theta, x, reasons) -> None:
    """Write a shard: theta (n, P), x (n, N), and n reasons or None."""
    sink, reason = pa.BufferOutputStream(), pa.array(reasons, pa.string())
    _write(sink, theta, x, settings["parameters"], _schema(settings, number), reason=reason)
    write_whole(Path(folder, _SHARD.format(number)), sink.getvalue())


def write_whole(path, data) -> None:
    """Write a file completely or not at all, whatever happens meanwhile."""
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
        unfinished.unlink(missing_ok=True)


def in_a_line(error) -> str:
    """Return an error in one line, the same in every process."""
    line = f"{type(error).__name__}: {error}".partition("\n")[0][:200]
    return re.sub(r"0x[0-9a-f]+", "0x…", line).rstrip(": .")


def digest(text: str) -> str:
    """Return the first 16 hexadecimal digits of a text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _schema(settings, number):
    kind = pa.from_numpy_dtype(settings["dtype"])
    # Parquet calls the items of a list element, whatever their previous name.
    x = pa.list_(pa.field("element", kind), settings["size of x"])
    fields = [*((name, kind) for name in settings["parameters"]), ("x", x), ("reason", pa.string())]
    return pa.schema(fields, {"campaign": settings["id"], "shard": str(number)})


def _write(where, theta, x, names, schema=None, **more):
    columns = dict(zip(names, theta.cpu().numpy().T.copy(), strict=True))
    values = pa.array(x.cpu().numpy().reshape(-1))
    columns["x"] = pa.FixedSizeListArray.from_arrays(values, x.shape[1])
    table = pa.table(columns | more)
    # Random numbers need neither dictionary nor statistics.
    options = {"use_dictionary": False, "write_statistics": False, "write_page_checksum": True}
    pq.write_table(table.cast(schema) if schema else table, where, compression="zstd", **options)
