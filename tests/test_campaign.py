"""Campaigns: every simulation once and the same bits, whatever is killed, full, damaged or changed."""

import contextlib
import functools
import gc
import importlib.metadata
import itertools
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import dask
import numpy as np
import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest
import torch
from dask.distributed import Client, LocalCluster, Worker
from distributed.utils import get_mp_context

from helpers import campaign
from helpers.campaign import CampaignError, shards, store
from helpers.campaign.__main__ import main

ROOT = Path(__file__).resolve().parent.parent
RECIPE = """
import torch

parameters = ("a", "b")
prior = torch.distributions.Independent(
    torch.distributions.Uniform(torch.tensor([0.0, -1.0]), torch.tensor([1.0, 1.0])), 1
)


def simulate(theta, generator):
    x = theta.sum(dim=1, keepdim=True) + torch.randn(len(theta), 3, generator=generator)
    return x
"""
# One in fifty raises, one in fifty is NaN in one place.
FRAGILE = RECIPE.replace(
    "    return x",
    """
    if bool((theta[:, 0] > 0.98).any()):
        raise ValueError("a is too large\\nby far")
    x[theta[:, 0] < 0.02, 1] = torch.nan
    return x
""",
)


@pytest.fixture(scope="module")
def client():
    options = {"threads_per_worker": 2, "processes": False, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(1, **options) as cluster, Client(cluster) as client:
        yield client


@pytest.fixture(scope="module", autouse=True)
def interrupts():
    """Ctrl-C as in a terminal: in the background it may be ignored, which every child would inherit."""
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, usual)


@pytest.fixture(scope="module", autouse=True)
def distributions():
    """The names of all packages that are installed, asked for once: a run asks in each process."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        found = importlib.metadata.packages_distributions()
        monkeypatch.setattr("importlib.metadata.packages_distributions", lambda: found)
        yield


@pytest.fixture
def made(tmp_path):
    return tmp_path / "made"


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.py"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def run(client, recipe, tmp_path):
    """Run a campaign of the recipe in this process, 200 simulations in shards of 20 by default."""

    def run(folder="made", simulations=200, text=None, **options):
        recipe.write_text(text or recipe.read_text())
        options = {"shard": 20, "client": client, "progress": False} | options
        return campaign.run(recipe, tmp_path / folder, simulations, **options)

    return run


@pytest.fixture(scope="module")
def fragile(client, tmp_path_factory):
    """The folder of 1000 simulations, some of which failed, in shards of 40. Only to be read."""
    recipe = tmp_path_factory.mktemp("fragile") / "recipe.py"
    recipe.write_text(FRAGILE)
    folder, options = recipe.with_name("made"), {"client": client, "progress": False}
    campaign.run(recipe, folder, 1000, shard=40, seed=5, **options)
    return folder


def refused(words, function, *arguments, **options):
    """See to it that nothing comes of a call but an error that says so."""
    with pytest.raises(CampaignError, match=words):
        function(*arguments, **options)


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(Path(folder, "shards").iterdir())}


def start(*arguments, **options):
    command = [sys.executable, "-m", "helpers.campaign", *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT, **options)


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def shards_of(folder):
    return list(Path(folder, "shards").glob("shard-*.parquet"))


# What a shard is ------------------------------------------------------------------------------


def test_shards_are_those_of_a_loop_written_by_hand(fragile):
    seen = set()
    for k in range(5):
        theta = torch.rand(40, 2, generator=shards.stream("cpu", 5, k, 0)) * torch.tensor(
            [1.0, 2.0]
        ) + torch.tensor([0.0, -1.0])

        def halves(start, stop, theta=theta, k=k):
            part = theta[start:stop]
            if bool((part[:, 0] > 0.98).any()):
                if stop - start == 1:
                    return [[np.nan] * 3], ["ValueError: a is too large"]
                middle = (start + stop) // 2
                (x, reasons), (y, more) = halves(start, middle), halves(middle, stop)
                return x + y, reasons + more
            noise = torch.randn(
                stop - start, 3, generator=shards.stream("cpu", 5, k, 1, start, stop)
            )
            x = (part.sum(dim=1, keepdim=True) + noise).numpy()
            bad = part[:, 0].numpy() < 0.02
            x[bad] = np.nan
            return x.tolist(), ["x is not finite" if b else None for b in bad]

        x, reasons = halves(0, 40)
        table = pq.read_table(fragile / f"shards/shard-{k:06}.parquet")
        assert table.column_names == ["a", "b", "x", "reason"]
        np.testing.assert_array_equal(table["a"].to_numpy(), theta[:, 0].numpy())
        np.testing.assert_array_equal(table["b"].to_numpy(), theta[:, 1].numpy())
        np.testing.assert_array_equal(np.stack(table["x"].to_numpy()), np.float32(x))
        assert table["reason"].to_pylist() == reasons
        seen.update(reasons)
    assert seen == {None, "ValueError: a is too large", "x is not finite"}


def test_streams_are_those_of_numpy():
    seed, key = 2**40 + 7, (3, 1, 0, 5)  # more than the 32 bits that torch takes
    ours = torch.rand(1000, generator=shards.stream("cpu", seed, *key))
    twister = np.random.MT19937(np.random.SeedSequence(seed, spawn_key=key))
    # numpy begins with the last word of the state that it has, torch with the first of the next.
    words = twister.random_raw(1001)[1:]
    assert (ours.numpy() == words % 2**24 / 2**24).all()


def test_no_state_leaks_and_theta_is_what_was_drawn(run, tmp_path):
    before = torch.random.get_rng_state()
    run(text=RECIPE.replace("    return x", "    theta.zero_()\n    return x"))
    assert torch.equal(torch.random.get_rng_state(), before)
    run("plain", text=RECIPE)
    ours, plain = (campaign.load(tmp_path / name) for name in ("made", "plain"))
    assert all(torch.equal(*pair) for pair in zip(ours, plain, strict=True))


def test_import_leaves_dask_alone():
    code = "import sys, helpers.campaign; print({'dask', 'distributed'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert found.stdout == "set()\n", found.stderr


# Resuming --------------------------------------------------------------------------------------


def test_order_and_restarts_and_growth_change_nothing(run, made, tmp_path):
    assert run("whole", text=FRAGILE).done == 200
    whole = contents(tmp_path / "whole")
    run(simulations=60)
    stamps = {p: p.stat().st_mtime_ns for p in shards_of(made)}
    run()
    assert contents(made) == whole
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    for k in (7, 0, 4):
        (made / f"shards/shard-{k:06}.parquet").unlink()
    (made / "shards/.shard-000004.parquet.12.tmp").write_bytes(b"half of i")
    run()
    assert contents(made) == whole
    refused("200 there, 180 here; a campaign can only grow", run, simulations=180)
    refused("ask for 200", run, simulations=210)


DAMAGE = {
    "cut": lambda p: os.truncate(p, p.stat().st_size // 2),
    "another shard": lambda p: shutil.copy(p.with_name("shard-000001.parquet"), p),
    "another campaign": lambda p: shutil.copy(p.parents[2] / "other/shards" / p.name, p),
    "fewer rows": lambda p: pq.write_table(pq.read_table(p).slice(1), p),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_shard_is_refused_and_made_anew(run, made, tmp_path, how):
    run("other", seed=2)
    run()
    whole = contents(made)
    path = made / "shards/shard-000003.parquet"
    DAMAGE[how](path)
    assert contents(made) != whole
    refused(r"shard-000003\.parquet is damaged", campaign.load, made)
    refused(r"shard-000003\.parquet is damaged", campaign.export, made, tmp_path / "out")
    assert not list(tmp_path.glob("out*"))
    run()
    assert contents(made) == whole


def test_no_bit_of_a_shard_can_flip_unseen(run, made):
    run(simulations=8, shard=8)
    known = store.read_settings(made)
    (path,) = shards_of(made)
    data, table = path.read_bytes(), store.read_shard(made, known, 0)
    seen = 0
    for i in range(len(data)):
        path.write_bytes(data[:i] + bytes([data[i] ^ 1 << i % 8]) + data[i + 1 :])
        try:
            assert store.read_shard(made, known, 0).equals(table)
        except CampaignError:
            seen += 1
    assert seen > len(data) // 2


@pytest.mark.parametrize("left", [b"", b'{"simulations": 2', b"\xff\xfe"])
def test_damaged_settings_are_named_and_made_anew(run, made, capsys, left):
    run()
    path = made / "campaign.json"
    whole = path.read_bytes()
    stamps = {p: p.stat().st_mtime_ns for p in shards_of(made)}
    path.write_bytes(left)
    words = r"made/campaign\.json is damaged: .*Error: .*\. Remove this file, and give"
    for function in (campaign.status, campaign.load, lambda _: run()):
        refused(words, function, made)
    assert main(["status", str(made)]) == 1
    assert re.match(f"error: .*{words}", capsys.readouterr().err)
    # The remedy that it names.
    path.unlink()
    run()
    assert path.read_bytes() == whole
    assert {p: p.stat().st_mtime_ns for p in shards_of(made)} == stamps


# Refusals --------------------------------------------------------------------------------------


def test_other_settings_are_refused_with_the_difference(run, made):
    run()
    before = contents(made)
    refused("shard: 20 there, 25 here\n  seed: 1 there, 3 here", run, shard=25, seed=3)
    refused("device: cpu there, cuda here", run, device="cuda")
    words = r"(?s)--- recipe there\n  \+\+\+ recipe here.+\n  -    torch\.distributions\.Uniform"
    refused(words, run, text=RECIPE.replace("1.0, 1.0", "1.0, 2.0"))
    assert contents(made) == before


def test_other_versions_and_sources_are_refused(run, made, tmp_path, monkeypatch):
    name = "pulses_of_my_own"
    own = tmp_path / "own" / name
    own.mkdir(parents=True)
    (own / "__init__.py").write_text("import scipy.signal\n\nfrom .heights import HEIGHT\n")
    (own / "heights.py").write_text("HEIGHT = 1.0\n")
    monkeypatch.syspath_prepend(own.parent)
    run(text=f"import {name}\n" + RECIPE)
    known = json.loads((made / "campaign.json").read_text())
    assert list(known["sources"]) == [name, f"{name}.heights"]
    (own / "heights.py").write_text("HEIGHT = 2.0\n")
    shards.environment.cache_clear()
    refused(rf"sources {name}.heights: \w+ there, \w+ here$", run)
    (own / "heights.py").write_text("HEIGHT = 1.0\n")
    shards.environment.cache_clear()
    assert run().done == 200
    known["versions"]["scipy"] = "0.1"
    (made / "campaign.json").write_text(json.dumps(known))
    refused(r"versions scipy: 0\.1 there, 1\.", run)


def test_the_course_is_covered_by_its_sources():
    text = (ROOT / "docs/recipes/dead_time.py").read_text()
    found = shards.environment(text, "cpu")
    names = {"dead_time", "light_curves", "streams"}
    assert {f"helpers.{name}" for name in names} < set(found["sources"])
    assert not {name for name in found["sources"] if "plotting" in name}
    assert not sys.stdlib_module_names & set(found["sources"])
    assert {"numba", "numpy", "scipy", "torch"} <= set(found["versions"])


BESIDE = """
from pathlib import Path

import torch
from torch.distributions import Independent, Uniform

from {module} import HEIGHT

SHAPE = float(Path(__file__).with_name("shape.txt").read_text())
prior = Independent(Uniform(torch.zeros(2), torch.ones(2)), 1)


def simulate(theta, generator):
    import {module}_later

    noise = torch.rand(len(theta), 1, generator=generator)
    return HEIGHT * SHAPE * {module}_later.two(theta[:, :1]) + 0 * noise
"""


def test_files_and_modules_beside_a_recipe_are_found(client, tmp_path, monkeypatch):
    """From another folder, and after the recipe has moved with all that lies beside it."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    home, folder = tmp_path / "home", tmp_path / "made"
    home.mkdir()
    (home / "recipe.py").write_text(BESIDE.format(module="pulse_beside"))
    (home / "pulse_beside.py").write_text("HEIGHT = 3.0\n")
    (home / "pulse_beside_later.py").write_text("def two(x):\n    return 2 * x\n")
    (home / "shape.txt").write_text("5")
    options = {"shard": 20, "client": client, "progress": False}
    with contextlib.chdir(tmp_path):
        assert campaign.run("home/recipe.py", folder, 40, **options).failed == 0
    theta, x = campaign.load(folder)
    assert torch.equal(x[:, 0], 3 * 5 * 2 * theta[:, 0])
    known = json.loads((folder / "campaign.json").read_text())
    assert set(known["sources"]) == {"pulse_beside", "pulse_beside_later"}
    # Another campaign on the same workers, with another module of the same name: not the first one's.
    other = shutil.copytree(home, tmp_path / "other")
    (other / "pulse_beside.py").write_text("HEIGHT = 4.0\n")
    words = "pulse_beside is .*other.*restart the workers"
    refused(words, campaign.run, other / "recipe.py", tmp_path / "made there", 20, **options)
    home.rename(tmp_path / "moved")
    sys.path.remove(str(other))  # as workers are that have been restarted
    for name in ("pulse_beside", "pulse_beside_later"):
        monkeypatch.delitem(sys.modules, name)
    assert campaign.run(tmp_path / "moved/recipe.py", folder, 60, **options).done == 60


def test_a_module_that_is_called_as_another_one_is_refused(run, recipe, made):
    recipe.with_name("stingray.py").write_text("HEIGHT = 3.0\n")
    refused("For the recipe stingray is .*name of its own", run, text="import stingray\n" + RECIPE)
    assert not shards_of(made)


def test_a_worker_that_differs_stops_the_run(run, made, monkeypatch):
    here = shards.environment(RECIPE, "cpu")
    answers = itertools.chain([here], itertools.repeat(here | {"versions": {"torch": "0.4"}}))
    monkeypatch.setattr(shards, "environment", lambda *_: next(answers))
    refused(r"(?s)seen from .+torch: .* there, 0\.4 here", run)
    assert not shards_of(made)


WRONG = {
    "def simulate": ("def simulates", "does not define `simulate`"),
    "    return x": ("    return x[0]", r"of shape \(3,\) on cpu, not .* of shape \(1, N\)"),
    "return x\n": ("return x.numpy()\n", "returned a ndarray, not a tensor"),
    ", generator=generator": ("", "`simulate` gives other numbers the second time"),
    "prior = ": ("prior = None and ", "'NoneType' object has no attribute 'sample'"),
    "[0.0, -1.0]": ("[0.0, -1e39]", r"prior.sample\(\(7,\)\)"),
    '("a", "b")': ('("a", "x")', "2 different names, none of them x or reason"),
    "import torch": ("import torhc", "cannot be used: ModuleNotFoundError"),
    "    x =": ("    raise OSError('no file')\n    x =", "on all of 7 draws.*no file"),
}


@pytest.mark.parametrize("old", WRONG)
def test_a_recipe_that_cannot_be_used(run, made, old):
    new, words = WRONG[old]
    refused(words, run, text=RECIPE.replace(old, new))
    assert not (made / "campaign.json").exists()
    assert run(text=RECIPE).done == 200


def test_what_is_refused_before_anything_is_there(run, recipe, made):
    for seed in (-1, 1.5, "1"):
        refused(f"an integer of 0 or more, not {seed!r}", run, seed=seed)
    recipe.write_bytes(f"# Zählrate\n{RECIPE}".encode("latin-1"))
    words = r"recipe\.py is not a text in UTF-8: UnicodeDecodeError: .* Save it as UTF-8"
    refused(words, campaign.run, recipe, made, 20, shard=20)
    assert not made.exists()
    for function in (campaign.status, campaign.load):
        refused("holds no campaign: `run` begins one", function, made)
    made.mkdir()
    (made / "thesis.tex").write_text("Chapter 1")
    refused(r"other files \(thesis\.tex\): name a new folder", run, text=RECIPE)


# Simulations that fail -------------------------------------------------------------------------


def test_failed_simulations_are_kept_with_their_theta(fragile):
    table = pd.read_parquet(fragile / "shards")
    failed = table["reason"].notna()
    assert (failed == ~table["a"].between(0.02, 0.98)).all()
    found = campaign.status(fragile)
    assert (found.done, found.failed, len(found.failures)) == (1000, failed.sum(), 5)
    first = table[failed].iloc[0]
    number, row = divmod(int(first.name), 40)
    line = f"  shard {number}, row {row}: a = {first['a']:.6g}, b = {first['b']:.6g}: {first['reason']}"
    assert line in str(found).splitlines()

    theta, x = campaign.load(fragile)
    kept = table[~failed]
    np.testing.assert_array_equal(theta, kept[["a", "b"]])
    np.testing.assert_array_equal(x, np.stack(kept["x"]))


@pytest.mark.parametrize("error", ["MemoryError()", "RuntimeError('CUDA error: launch failure')"])
def test_what_is_not_the_simulators_fault_is_not_stored(run, made, error):
    spoiled = f"    if len(theta) == 20:\n        raise {error}\n    return x"
    words = r"Shard \d cannot be simulated on .*tries again"
    refused(words, run, text=RECIPE.replace("    return x", spoiled))
    assert not shards_of(made)


# Taking it out ---------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [1, 7, 40, 60, 5000])
def test_pieces_are_the_whole_cut(fragile, piece):
    refused(f"size must be 1 or more, not {1 - piece}", next, campaign.pieces(fragile, 1 - piece))
    theta, x = campaign.load(fragile)
    parts = list(campaign.pieces(fragile, piece))
    assert {len(part[0]) for part in parts[:-1]} <= {piece}
    assert torch.equal(torch.cat([part[0] for part in parts]), theta)
    assert torch.equal(torch.cat([part[1] for part in parts]), x)


def test_nothing_to_load_yet(run, made):
    run(simulations=20)
    shards_of(made)[0].unlink()
    assert list(campaign.pieces(made)) == []
    refused("holds no simulation yet", campaign.load, made)


def test_export(fragile, tmp_path):
    theta, x = campaign.load(fragile)
    number = campaign.export(fragile, tmp_path / "tensors", format="torch", piece=350)
    assert number == len(theta) < 1000
    files = sorted((tmp_path / "tensors").iterdir())
    assert [path.name for path in files] == [f"piece-0000{i}.pt" for i in range(3)]
    loaded = [torch.load(path, weights_only=True) for path in files]
    assert loaded[0]["parameters"] == ["a", "b"]
    assert torch.equal(torch.cat([piece["theta"] for piece in loaded]), theta)
    assert torch.equal(torch.cat([piece["x"] for piece in loaded]), x)
    assert files[-1].stat().st_size < files[0].stat().st_size

    campaign.export(fragile, tmp_path / "tables", piece=350)
    table = pd.read_parquet(tmp_path / "tables")
    assert list(table) == ["a", "b", "x"]
    np.testing.assert_array_equal(table[["a", "b"]], theta)
    np.testing.assert_array_equal(np.stack(table["x"]), x)
    refused("tables exists: remove it", campaign.export, fragile, tmp_path / "tables")


def test_commands(run, made, tmp_path, capsys):
    run(text=FRAGILE)
    for path in sorted(shards_of(made))[:2]:
        path.write_bytes(b"")
    assert main(["status", str(made)]) == 0
    found = capsys.readouterr().out
    assert f"{made}: 160 of 200 simulations\nno run is active" in found
    assert "damaged shards, to be made again: 2: 0, 1\n" in found
    for path in sorted(shards_of(made))[:2]:
        path.unlink()
    out = tmp_path / "out"
    assert main(["export", str(made), str(out), "--format", "torch"]) == 0
    n = len(torch.load(out / "piece-00000.pt")["theta"])
    said = f"{n} simulations in {out}; left out: {160 - n} that failed, 40 that are not made yet\n"
    assert capsys.readouterr().out == said
    assert main(["export", str(made), str(out)]) == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_workers_and_gpus(run, monkeypatch):
    asked = []

    def stop(specification, *_, **__):
        asked.append([worker["options"]["env"] for worker in specification.values()])
        raise RuntimeError("enough")

    def workers(**options):
        refused(r"did not start \(enough\)", run, client=None, **options)
        return asked.pop()

    monkeypatch.setattr("distributed.SpecCluster", stop)
    assert workers(device="cpu", workers=3) == [{}, {}, {}]
    refused("0 workers", run, client=None, workers=0)
    name = "CUDA_VISIBLE_DEVICES"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for visible, first, second in ("GPU-a,GPU-b", "GPU-a", "GPU-b"), ("", "0", "1"):
        monkeypatch.setenv(name, visible)
        assert workers(device="cuda") == [{name: first}, {name: second}]
        assert workers(device="cuda", workers=3)[2] == {name: first}
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    refused("No GPU is visible", run, client=None, device="cuda")


def test_the_page(client, tmp_path, monkeypatch, capsys):
    """docs/campaigns.md: what needs no cluster is run, on fewer simulations."""
    text = (ROOT / "docs/campaigns.md").read_text(encoding="utf-8")
    here, _, cluster = text.partition("## On a cluster")
    blocks = re.findall(r"```(bash|python)\n(.*?)```", here, re.S)
    recipe = ROOT / "docs/recipes/dead_time.py"
    assert recipe.read_text(encoding="utf-8").endswith(blocks.pop(0)[1])
    monkeypatch.chdir(tmp_path)
    names = {}
    run = functools.partial(campaign.run, client=client)
    monkeypatch.setattr("helpers.campaign.__main__.run", run)
    for language, block in blocks:
        block = re.sub(r"(?<=[ \d])000\b", "0", block)
        if language == "python":
            exec(block, names)
            continue
        for line in block.splitlines():
            options = line.replace("docs/recipes/dead_time.py", str(recipe)).split()
            assert main(options[3:]) == 0
    assert names["x"].shape == (300 % 80, 81)
    assert names["draws"].shape == (10, 4)
    assert len(torch.load("lf-tensors/piece-00000.pt")["theta"]) == 80
    for block in re.findall(r"```python\n(.*?)```", cluster, re.S):
        compile(block, "docs", "exec")
    (line,) = re.findall(r"^python -m helpers.campaign (.*)", cluster, re.M)
    asked = {}
    monkeypatch.setattr("helpers.campaign.__main__.run", lambda **options: asked.update(options))
    monkeypatch.setattr("distributed.Client", lambda address: contextlib.nullcontext(address))
    assert main(line.split()) == 0
    assert asked["client"] == "lf.scheduler"
    for link in re.findall(r"\]\((?!http)([^)]+)\)", text):
        assert (ROOT / "docs" / link).exists()
    said = capsys.readouterr()
    assert "300 of 300 simulations" in said.out
    assert "300/300" in said.err


# Ctrl-C ----------------------------------------------------------------------------------------


@pytest.fixture
def start_to_end(recipe, tmp_path, monkeypatch):
    """Run a campaign that starts and closes its own cluster, of threads of this process."""
    monkeypatch.setattr("distributed.Nanny", lambda *a, env, **options: Worker(*a, **options))
    options = {"shard": 10, "device": "cpu", "workers": 1, "progress": False}
    return lambda folder: campaign.run(recipe, tmp_path / folder, 60, **options)


def counted(function, *arguments, interrupt=None):
    """How many functions are called in this thread meanwhile; SIGINT arrives at one of the calls."""
    n = 0

    def count(frame, event, argument):
        nonlocal n
        n += "call" in event
        if n == interrupt and "call" in event:
            signal.raise_signal(signal.SIGINT)

    sys.setprofile(count)
    try:
        function(*arguments)
    finally:
        sys.setprofile(None)
    return n


def test_a_hundred_interrupts(start_to_end, tmp_path):
    """From before the cluster starts until after it is closed: none is lost, none costs a bit."""
    start_to_end("warm")
    whole, n = contents(tmp_path / "warm"), counted(start_to_end, "counted")
    usual = signal.getsignal(signal.SIGINT)
    for i in range(100):
        folder = f"made {i}"
        with pytest.raises(KeyboardInterrupt):
            counted(start_to_end, folder, interrupt=1 + i * (n - n // 20) // 100)
        assert signal.getsignal(signal.SIGINT) is usual
        if (tmp_path / folder / "shards").exists():
            assert contents(tmp_path / folder).items() <= whole.items()
        if i % 10 == 0:
            assert start_to_end(folder).done == 60
            assert contents(tmp_path / folder) == whole


def test_an_interrupt_where_python_drops_exceptions(start_to_end, monkeypatch):
    """In a callback of the garbage collector: Dask has one, and Ctrl-C was lost there."""
    pressed = []

    def press(phase, info):
        if not pressed and threading.current_thread() is threading.main_thread():
            pressed.append(phase)
            signal.raise_signal(signal.SIGINT)

    def collecting(*arguments):
        gc.callbacks.append(press)
        gc.collect()
        return refuse(*arguments)

    refuse = store.refuse_others
    answers = itertools.chain([refuse, collecting], itertools.repeat(refuse))
    monkeypatch.setattr(store, "refuse_others", lambda *a: next(answers)(*a))
    try:
        with pytest.raises(KeyboardInterrupt):
            start_to_end("made")
    finally:
        gc.callbacks.remove(press)
    assert pressed == ["start"]


def test_a_second_interrupt_ends_at_once(start_to_end, monkeypatch):
    passed = []

    def a_cluster_that_does_not_come(*_, **__):
        for i in range(3):
            passed.append(i)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("distributed.SpecCluster", a_cluster_that_does_not_come)
    with pytest.raises(KeyboardInterrupt):
        start_to_end("made")
    assert passed == [0, 1]


def test_an_interrupt_stops_a_cluster_that_stays(run, client, tmp_path, monkeypatch):
    monkeypatch.setenv("SLEEP", "0.05")
    pressing = threading.Thread(
        target=lambda: (
            wait_for(lambda: shards_of(tmp_path / "made")),
            os.kill(os.getpid(), signal.SIGINT),
        )
    )
    pressing.start()
    with pytest.raises(KeyboardInterrupt) as kept:
        run(text=SLEEPY, simulations=4000)
    assert kept.value.__traceback__
    pressing.join()
    wait_for(lambda: not any(client.processing().values()))
    assert len(shards_of(tmp_path / "made")) < 50


def test_in_a_thread_that_may_have_no_signals(run):
    found = []
    thread = threading.Thread(target=lambda: found.append(run().done))
    thread.start()
    thread.join()
    assert found == [200]


# Processes -------------------------------------------------------------------------------------


def family_of(process):
    """The process and all that come from it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [first := psutil.Process(process.pid), *first.children(recursive=True)]
    return []


def workers_of(process):
    family = filter(alive, family_of(process))
    return {p for p in family if "--multiprocessing-fork" in p.cmdline()}


def alive(process):
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


# It takes as long as the environment says, so that the same recipe can be run to the end in no time.
SLEEPY = "import os\nimport time\n" + RECIPE.replace(
    "    return x", "    time.sleep(float(os.environ.get('SLEEP', 0)))\n    return x"
)


@pytest.fixture(scope="module")
def process():
    """A client of one process, whose successors come in no time when it is killed."""
    dask_options = {
        "distributed.worker.multiprocessing-method": "forkserver",
        "distributed.scheduler.allowed-failures": 0,
    }
    options = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    with dask.config.set(dask_options):
        get_mp_context().set_forkserver_preload(["distributed", "helpers.campaign"])
        with LocalCluster(1, **options) as cluster, Client(cluster) as client:
            yield client


def test_killed_and_interrupted(run, recipe, made, tmp_path, monkeypatch):
    """SIGKILL for a worker and a run, Ctrl-C for the next: the shards are those of a quiet run."""
    recipe.write_text(SLEEPY)
    folder, random = made, np.random.default_rng(1)
    monkeypatch.setenv("SLEEP", "1.0")
    arguments = ("run", recipe, folder, "--simulations", 4000, "--shard", 20, "--workers", 2)
    first = start(*arguments)
    wait_for(lambda: len(shards_of(folder)) > 2)
    workers = workers_of(first)
    assert len(workers) == 2
    found = campaign.status(folder)
    assert 60 <= found.done < 4000
    assert f"process {first.pid}, since " in found.at_work
    sockets = [socket for p in family_of(first) for socket in p.net_connections()]
    assert {s.laddr.ip for s in sockets if s.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
    for worker in workers:
        variables = worker.environ()
        assert variables["OMP_NUM_THREADS"] == "1"
        # With it, as Dask has it, simulators of large arrays take twice as long.
        assert variables.get("MALLOC_TRIM_THRESHOLD_") == os.environ.get("MALLOC_TRIM_THRESHOLD_")
    refused(f"Another run is active in .*process {first.pid}", run, simulations=4000)

    min(workers, key=lambda worker: worker.pid).kill()
    wait_for(lambda: workers_of(first) - workers)
    time.sleep(random.uniform(0.0, 1.5))
    family = family_of(first)
    first.kill()
    first.communicate()
    wait_for(lambda: not any(map(alive, family)), 20)

    done = len(shards_of(folder))
    # A terminal sends Ctrl-C to all processes that run in it.
    second = start(*arguments[:-1], 1, start_new_session=True)
    wait_for(lambda: len(shards_of(folder)) > done)
    family = family_of(second)
    time.sleep(random.uniform(0.0, 0.5))
    os.killpg(second.pid, signal.SIGINT)
    _, err = second.communicate(timeout=60)
    assert second.returncode == 130
    assert err.endswith("stopped: the same command continues from here\n")
    wait_for(lambda: not any(map(alive, family)))
    assert campaign.status(folder).at_work == ""

    monkeypatch.delenv("SLEEP")
    done = len(shards_of(folder))
    assert run(simulations=4000).done == 4000
    assert done < 200
    assert not list(folder.glob("**/.*"))
    run("undisturbed", 4000)
    assert contents(folder) == contents(tmp_path / "undisturbed")
    assert len(campaign.load(folder)[0].unique(dim=0)) == 4000


def test_a_lost_worker_costs_its_shard_only(run, process, made, tmp_path):
    # Shard 3 ends every process that simulates it, shard 5 the first one.
    log = tmp_path / "log"
    prior = shards.read_recipe(RECIPE, "").prior
    number_of = {float(shards.draw(prior, 20, 1, k)[0, 0]): k for k in range(10)}
    deadly = f"""
    number = {number_of}.get(float(theta[0, 0]))
    with open({str(log)!r}, "a+") as file:
        file.seek(0)
        first = str(number) not in file.read().split()
        file.write(f"{{number}}\\n")
    if number == 3 or number == 5 and first:
        os.kill(os.getpid(), signal.SIGKILL)
    return x"""
    text = "import os\nimport signal\n" + RECIPE.replace("    return x", deadly)
    refused(r"killed the processes of .* repeatedly: 3\.", run, text=text, client=process)
    found = campaign.status(made)
    assert (found.done, found.at_work) == (180, "")
    calls = [line for line in log.read_text().split() if line != "None"]
    assert sorted(calls) == sorted("012334556789")


def test_a_full_disk(run, process, made):
    wide = RECIPE.replace("theta), 3", "theta), 3000")

    def limit(size):
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))

    process.wait_for_workers(1)  # the last test may have killed it
    process.run(limit, 100_000)  # bytes: less than a shard
    words = r"made/shards/shard-\d+\.parquet cannot be written on .*: File too large\. Make room"
    refused(words, run, text=wide, client=process)
    assert list((made / "shards").iterdir()) == []
    process.run(limit, resource.RLIM_INFINITY)
    assert run(client=process).done == 200
