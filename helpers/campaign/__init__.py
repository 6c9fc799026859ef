"""Run large campaigns of simulations that survive a crash, in local processes or a Dask cluster.

If a run stops, the same command continues where it stopped, with the same numbers: docs/campaigns.md.
`store` reads and writes files, `shards` is the work of a worker, `coordinator` distributes it.
"""

from helpers.campaign.coordinator import Status, run, status
from helpers.campaign.store import CampaignError, export, load, pieces

__all__ = ["CampaignError", "Status", "export", "load", "pieces", "run", "status"]
