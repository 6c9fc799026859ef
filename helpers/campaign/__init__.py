"""Large campaigns of simulations that survive a crash: local processes, or any Dask cluster.

A *recipe* is a Python file with a `prior` and a function `simulate(theta, generator)`. A campaign runs
it shard by shard into a folder, which holds

    campaign.json    the settings: sizes, seed, device, versions, hashes of the sources
    recipe.py        a copy of the recipe
    shards/          shard-000000.parquet, ...: a column for each parameter; x; and reason, which
                     says why a simulation failed, or is null
    lock             held by the run that is at work, and who that is

The numbers of a shard hang on the settings and the shard's number alone. A shard is written whole or
not at all. So whatever stops a run, the same command goes on where it stopped, to the same bits.

`settings` refuses to mix what differs; `store` has the files; `shards` is what a worker does,
`coordinator` who sends it there; `progress` looks on. docs/campaigns.md shows how to use it.
"""

from helpers.campaign.coordinator import run
from helpers.campaign.progress import Status, status
from helpers.campaign.settings import CampaignError
from helpers.campaign.store import export, load, pieces

__all__ = ["CampaignError", "Status", "export", "load", "pieces", "run", "status"]
