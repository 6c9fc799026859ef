"""Simulate the archive of the exam: another seed, another sky, with a third of the sources sealed."""

from course.archive.simulate import simulate_archive
from course.archive.tables import table_bytes
from helpers.data import deal_sources

__all__ = ["LABELS", "SEED", "SIZE", "files", "simulate_another_sky"]

SEED = 2027
#: Half black holes, half neutron stars, unlike the archive of the lessons.
SIZE = {"n_rxte": 2400, "n_nicer": 100, "n_black_holes": 30, "n_neutron_stars": 30, "n_segments": 0}
#: Columns from a human reader, which the sealed pointings do not have.
LABELS = ["state_label", "object_label", "label_trust"]
_NAMES = ["obs_id", "source_id", "outburst_id"]


def simulate_another_sky(seed=SEED, processes=None):
    """Return pointings of one telescope with labels, and their truth: two tables with the same rows."""
    archive = simulate_archive(seed, processes=processes, **SIZE)
    return archive.rxte, archive.truth.iloc[: len(archive.rxte)]


def files(table, truth, seed=SEED):
    """Return {name: bytes}: known pointings, sealed ones without labels, and the truth of the sealed ones.

    `deal_sources` divides the sources, so that none is in two tables. Names begin with A (another), so
    that no row can be confused with the archive of the lessons, or looked up in its truth.
    """
    renamed = table.assign(**{name: "A" + table[name].str[1:] for name in _NAMES})
    _, sealed = deal_sources(renamed.source_id, renamed.object_label, 3, seed)[0]
    own = renamed.iloc[sealed]
    answers = own[["obs_id", "state_label"]].assign(
        state=truth.state.iloc[sealed], object=truth.object.iloc[sealed]
    )
    return {
        "observations_another_sky.csv": table_bytes(renamed.drop(index=own.index)),
        "observations_another_sky_sealed.csv": table_bytes(own.drop(columns=LABELS)),
        "another_sky_truth.csv": table_bytes(answers),
    }
