"""Large campaigns of simulations that survive a crash: local processes, or any Dask cluster.

The numbers of a shard hang on the settings and the shard's number alone, and it is written whole or
not at all. So whatever stops a run, the same command goes on where it stopped, to the same bits.
docs/campaigns.md shows how to use it, and what is in the folder of a campaign.

`store` has the files, and refuses to mix what differs; `shards` is what a worker does; `coordinator`
sends it there, and says how far it is.
"""

from helpers.campaign.coordinator import Status, run, status
from helpers.campaign.store import CampaignError, export, load, pieces

__all__ = ["CampaignError", "Status", "export", "load", "pieces", "run", "status"]
