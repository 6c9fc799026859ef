"""Common code of the measurements of speed: clock, table, machine, arguments."""

import argparse
import platform
import resource
import time
import warnings

import matplotlib
import torch

from helpers import plotting


def best(call, repeats=5, clock=time.perf_counter):
    """Return the time, s, of the fastest of several calls, after a first call that is not counted."""
    call()
    seconds = []
    for _ in range(repeats):
        start = clock()
        call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(clock() - start)
    return min(seconds)


def row(what, value, aim=""):
    print(f"| {what} | {value} | {aim} |", flush=True)


def peak_memory():
    """Return the peak memory of this process, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def begin(doc):
    """Read and return the argument `--device`, and print the head of the table.

    It sets torch to one thread, because the steps are too small to be shared by two cores.
    """
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--device", default="cpu", type=torch.device)
    device = parser.parse_args().device
    matplotlib.use("agg")
    warnings.filterwarnings("ignore")
    plotting.use_course_style()
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or "CPU"
    print(f"{name}, torch {torch.__version__}\n\n| what | measured | aim |\n|---|---|---|")
    torch.set_num_threads(1)
    return device
