"""Large campaigns of simulations that survive a crash: local processes, or any Dask cluster.

Whatever stops a run, the same command goes on where it stopped, to the same bits: docs/campaigns.md.

`store` has the files, and refuses to mix what differs; `shards` is what a worker does; `coordinator`
sends it there, and says how far it is.
"""

from helpers.campaign.coordinator import Status, run, status
from helpers.campaign.store import CampaignError, export, load, pieces

__all__ = ["CampaignError", "Status", "export", "load", "pieces", "run", "status"]
