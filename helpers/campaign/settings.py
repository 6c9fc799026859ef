"""What the numbers of a campaign hang on, kept beside them, and the refusal to mix what differs."""

import ast
import difflib
import functools
import hashlib
import importlib.metadata
import importlib.util
import itertools
import json
import platform
import re
import socket
import sys
from pathlib import Path

import torch

__all__ = [
    "CampaignError",
    "digest",
    "environment",
    "in_a_line",
    "read_settings",
    "refuse_others",
    "settings_here",
    "source",
]


class CampaignError(RuntimeError):
    """A campaign that cannot go on, and what to do about it."""


def in_a_line(error) -> str:
    """An error in one line, the same in every process."""
    line = f"{type(error).__name__}: {error}".partition("\n")[0][:200]
    return re.sub(r"0x[0-9a-f]+", "0x…", line).rstrip(": .")


def digest(text: str) -> str:
    """The first 16 hexadecimal digits of a text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_settings(folder) -> dict:
    """The settings of the campaign in this folder."""
    path = Path(folder, "campaign.json")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise CampaignError(f"{folder} holds no campaign: `run` begins one.") from None
    except ValueError as error:
        raise CampaignError(
            f"{path} is damaged: {in_a_line(error)}. Remove this file, and give the campaign's `run` "
            "command with the same recipe and settings: with others it simulates all shards anew."
        ) from error


@functools.lru_cache(maxsize=1)
def settings_here(folder, identity) -> tuple[dict, str]:
    """Settings and recipe of a campaign, once this process is found to be as they demand."""
    settings = read_settings(folder)
    if settings["id"] != identity:
        raise CampaignError(f"{folder} was changed while a run is at work in it.")
    text = Path(folder, "recipe.py").read_text(encoding="utf-8")
    here = {"recipe": digest(text)} | environment(text, settings["device"])
    refuse_others(folder, here, text, settings["simulations"])
    return settings, text


def refuse_others(folder, asked: dict, recipe: str, simulations: int) -> None:
    """See to it that a folder holds the campaign that is asked for, or none yet.

    The error lists what differs of the settings that are asked for, all or some, of the recipe's
    text, and of the number of simulations.
    """
    if not Path(folder, "campaign.json").exists():
        foreign = {path.name for path in folder.glob("*")} - {"lock", "recipe.py", "shards"}
        if foreign:
            raise CampaignError(
                f"{folder} holds no campaign, but other files ({min(foreign)}): name a new folder."
            )
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
        listed = "\n  ".join([f"(here: {socket.gethostname()})", *lines])
        raise CampaignError(
            f"{folder} holds a campaign with other settings; take these, or a new folder:\n  {listed}"
        )


def environment(recipe: str, device: str) -> dict:
    """What numbers hang on beside recipe and seed: versions of packages, local sources, the GPU.

    The packages are those that the recipe imports, or that its local modules import. Local are
    modules that are not installed: a user's own, and this course as a working copy.
    """
    sources, packages, texts = {}, {"numpy", "pyarrow", "torch"}, [("", recipe)]
    while texts:
        for name in _imported(*texts.pop()):
            top = name.partition(".")[0]
            if name in sources or top in sys.stdlib_module_names:
                continue
            try:
                spec = importlib.util.find_spec(name)
            except (ImportError, AttributeError, ValueError):
                continue  # a name in a module, not a module
            origin = (spec and spec.origin) or ""
            if {"site-packages", "dist-packages"} & set(Path(origin).parts):
                packages.add(top)
            elif origin.endswith(".py"):
                text = source(origin)
                sources[name] = digest(text)
                texts.append((spec.parent, text))
    names = {name for package in packages for name in _distributions().get(package, [])}
    versions = {name: importlib.metadata.version(name) for name in sorted(names)}
    versions["python"] = ".".join(platform.python_version_tuple()[:2])
    found = {"versions": versions, "sources": dict(sorted(sources.items()))}
    # Streams of random numbers differ between models of GPU.
    return found | ({"gpu": torch.cuda.get_device_name()} if device == "cuda" else {})


_distributions = functools.cache(importlib.metadata.packages_distributions)


@functools.cache
def source(path) -> str:
    """A file's text, once per process: what a process imported does not change with the file."""
    return Path(path).read_text(encoding="utf-8")


def _imported(package, text):
    """What a module's text imports: names of modules, and some of what is in them."""
    for node in ast.walk(ast.parse(text)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
        for name in names:
            yield from itertools.accumulate(name.split("."), "{}.{}".format)
