"""Large campaigns of simulations that survive a crash: local processes, or any Dask cluster.

A *recipe* is a Python file with a `prior` and a function `simulate(theta, generator)`. A campaign runs
it shard by shard into a folder. The numbers of a shard hang on the settings and the shard's number
alone, and it is written whole or not at all. So whatever stops a run, the same command goes on where
it stopped, to the same bits. docs/campaigns.md shows how to use it, and what is in the folder.

`settings` refuses to mix what differs; `store` has the files; `shards` is what a worker does,
`coordinator` who sends it there, and how far it is.
"""

from helpers.campaign.coordinator import Status, run, status
from helpers.campaign.settings import CampaignError
from helpers.campaign.store import export, load, pieces

__all__ = ["CampaignError", "Status", "export", "load", "pieces", "run", "status"]
