"""Large campaigns of simulations that survive a crash: local processes, or any Dask cluster.

Whatever stops a run, the same command goes on where it stopped, to the same bits: docs/campaigns.md.
`store` has the files and mixes nothing, `shards` a worker's part; `coordinator` sends it there.
"""

from helpers.campaign.coordinator import Status, run, status
from helpers.campaign.store import CampaignError, export, load, pieces

__all__ = ["CampaignError", "Status", "export", "load", "pieces", "run", "status"]
