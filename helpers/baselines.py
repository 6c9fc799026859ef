"""Accretion states by published cuts, as an astronomer reads them off: what a model has to beat.

Lesson 08 derives both in the open and compares them with a model. Both were published for black holes, and neither
learns anything from data.
"""

import numpy as np

from helpers.plotting import HUES

__all__ = ["hue_states", "remillard_mcclintock"]


def hue_states(hue):
    """The state in whose sector of the power-colour wheel each hue lies.

    The sectors are those of `helpers.plotting.HUES`: LHS from -20 to 140 deg, HIMS to 220, SIMS to 300, HSS to 340.
    They cover the circle. A border belongs to the sector that begins there.

    Reference: Heil, Uttley & Klein-Wolt 2015, MNRAS 448, 3339: found with black holes. Neutron stars vary several times
    faster, which moves their hues.

    Args:
        hue: angles in deg, of any shape; whole turns do not matter.

    Returns:
        Strings of the shape of `hue`; "" where a hue is missing.

    Example:
        >>> hue_states([10.0, 350.0, 160.0, 250.0, 320.0, float("nan")]).tolist()
        ['LHS', 'LHS', 'HIMS', 'SIMS', 'HSS', '']
    """
    hue = np.asarray(hue, dtype=float)
    with np.errstate(invalid="ignore"):  # a hue of infinity is as missing as NaN
        sectors = [(hue - low) % 360 < high - low for low, high in HUES.values()]
    return np.select(sectors, list(HUES), default="")


def remillard_mcclintock(table):
    """The state by the cuts of Remillard & McClintock, as far as the archive measures what they cut.

    ===========  ==========================================================================
    LHS          f < 0.2, 1.4 < Γ < 2.1, r > 0.1 ("hard")
    HSS          f > 0.75, r < 0.075, no QPO of a fractional rms above 0.005 ("thermal")
    intermediate all the rest, their "steep power law" among it
    ===========  ==========================================================================

    Here f is `disc_frac`, the disc's share of the fitted flux at 2-20 keV, Γ is `gamma`, and r is `rms_0p1_64`. Four
    things are not as in the paper. Its r covers 0.1-10 Hz; ours goes on to 64 Hz, is a little larger for the same
    source, and much noisier for a faint one. A QPO that was not found counts as absent, while the archive finds few as
    weak as half a per cent. HIMS and SIMS are younger names, which do not map one to one on "intermediate" and "steep
    power law": we call all of them intermediate. And the cuts are those of black holes.

    Reference: Remillard & McClintock 2006, ARA&A 44, 49, Table 2.

    Args:
        table: rows of observations, with `disc_frac`, `gamma`, `rms_0p1_64` and `qpo_rms`, none with a unit.

    Returns:
        (n_rows,) strings: "LHS", "HSS" or "intermediate"; "" where f is missing, or where r is and would decide. A
        missing Γ fulfils no cut.

    Raises:
        ValueError: if the table lacks one of the columns.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"disc_frac": [0.1, 0.9, 0.5, 0.9], "gamma": [1.7, 2.5, 2.6, 2.5]})
        >>> table["rms_0p1_64"] = [0.3, 0.02, 0.08, np.nan]
        >>> table["qpo_rms"] = [np.nan, np.nan, 0.04, np.nan]
        >>> remillard_mcclintock(table).tolist()
        ['LHS', 'HSS', 'intermediate', '']
    """
    names = ("disc_frac", "gamma", "rms_0p1_64", "qpo_rms")
    missing = [name for name in names if name not in table]
    if missing:
        raise ValueError(f"table lacks {', '.join(missing)}: give the rows of observations.")
    disc, photon_index, rms, qpo = (table[name].to_numpy(float) for name in names)
    hard = (disc < 0.2) & (photon_index > 1.4) & (photon_index < 2.1)
    thermal = (disc > 0.75) & ~(qpo > 0.005)
    undecided = np.isnan(disc) | ((hard | thermal) & np.isnan(rms))
    cases = [undecided, hard & (rms > 0.1), thermal & (rms < 0.075)]
    return np.select(cases, ["", "LHS", "HSS"], default="intermediate")
