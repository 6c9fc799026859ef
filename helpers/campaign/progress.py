"""How far a campaign is, seen from its folder alone, and who is at work in it."""

import contextlib
import fcntl
import json
import os
import socket
import time
import warnings
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from helpers.campaign.settings import CampaignError, read_settings
from helpers.campaign.store import count, failures, shard_path, shards_there

__all__ = ["Status", "lock", "status"]

# Failed simulations, or shards, that are shown.
_FEW = 5


@dataclass(frozen=True)
class Status:
    """How far a campaign is.

    Attributes:
        folder: where it is.
        simulations: how many are asked for.
        done: how many there are, failed ones included.
        failed: how many of these raised, or are not finite.
        failures: the first few of them, in words: shard, row, parameters, reason.
        damaged: numbers of shards that cannot be read; the next run simulates them anew.
        at_work: who runs it at this moment, or "".
        rate: simulations per second of that run, or None.
    """

    folder: Path
    simulations: int
    done: int
    failed: int
    failures: tuple[str, ...]
    damaged: tuple[int, ...]
    at_work: str
    rate: float | None

    @property
    def seconds_left(self) -> float | None:
        """At this rate, or None."""
        return (self.simulations - self.done) / self.rate if self.rate else None

    def __str__(self):
        lines = [f"{self.folder}: {self.done:,} of {self.simulations:,} simulations"]
        if self.at_work:
            lines.append(f"at work: {self.at_work}")
            if self.rate:
                left = timedelta(seconds=round(self.seconds_left))
                lines[-1] += f"; {self.rate:,.0f} simulations/s, {left} left"
        elif self.done < self.simulations:
            lines.append("no run is at work: the same `run` command goes on")
        if self.damaged:
            numbers = ", ".join(map(str, self.damaged[:_FEW]))
            lines.append(
                f"shards that are damaged, to be simulated anew: {len(self.damaged)}: {numbers}"
            )
        if self.failed:
            lines.append(f"simulations that failed: {self.failed:,}; the first of them:")
            lines += [f"  {failure}" for failure in self.failures]
        return "\n".join(lines)


def status(folder) -> Status:
    """How far the campaign in this folder is, at work or not.

    Counts the shards, and reads what the last lines of each say of it; whether their content is
    intact, `run` and those who read all of it find out.

    Raises:
        CampaignError: if the folder holds no campaign.
    """
    settings = read_settings(folder)
    at_work, since = _holder(folder)
    done, new, failed, first, damaged = 0, 0, 0, [], []
    for number in shards_there(folder, settings):
        try:
            failed_here = count(folder, settings, number)
            if failed_here and len(first) < _FEW:
                first += failures(folder, settings, number)
        except CampaignError:
            damaged.append(number)
            continue
        failed += failed_here
        done += settings["shard"]
        new += settings["shard"] * (shard_path(folder, number).stat().st_mtime >= since)
    rate = new / (time.time() - since) if at_work and new else None
    return Status(
        Path(folder), settings["simulations"], done, failed, tuple(first[:_FEW]), tuple(damaged),
        at_work, rate,
    )  # fmt: skip


@contextlib.contextmanager
def lock(folder):
    """The right to run a campaign, which the system takes back however this process ends.

    Where the file system has no locks a warning says so, and it is up to the user.

    Raises:
        CampaignError: if another process has it.
    """
    with Path(folder, "lock").open("a+", encoding="utf-8") as file:
        for attempt in range(20):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if attempt == 19:
                    raise CampaignError(
                        f"Another run is at work in {folder}: {_holder(folder)[0]}. Wait, or end it."
                    ) from None
                time.sleep(0.05)  # somebody may only be asking for the status
            except OSError as error:
                warnings.warn(
                    f"The file system of {folder} has no locks ({error.strerror}): see to it that "
                    "no other run is at work there.",
                    stacklevel=3,
                )
                break
        file.truncate(0)
        json.dump(
            {"host": socket.gethostname(), "process": os.getpid(), "since": time.time()}, file
        )
        file.flush()
        yield


def _holder(folder):
    """Who has the lock, in words, and since when; "" and 0 if nobody."""
    with contextlib.suppress(OSError), Path(folder, "lock").open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            try:
                holder = json.load(file)
            except ValueError:
                return "a run that has just begun", time.time()
            since = datetime.fromtimestamp(holder["since"])
            words = (
                f"{holder['host']}, process {holder['process']}, since {since:%Y-%m-%d %H:%M:%S}"
            )
            return words, holder["since"]
    return "", 0.0
