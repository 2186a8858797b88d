"""What is left out of a run with a crystal and its melt: heat flows, and the interface settles, after it was set up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phasecal.errors import DataError

if TYPE_CHECKING:  # campaign files are checked without waiting for SciPy
    from phasecal.observables.ensemble import Thermo

STEPS = 1786
SHARE = 0.1
"""The larger of 1786 steps (5 ps for Cu) and a tenth of the run is left out."""
MIN_LINES = 4


def fewest_steps(thermo_every: int) -> int:
    """Return the length of the shortest run of which enough lines of the series are left."""
    return (-(-STEPS // thermo_every) + MIN_LINES - 1) * thermo_every


def settled(thermo: Thermo, production_steps: int) -> NDArray[np.bool_]:
    """Return which lines of the series of a run count, shape (n_lines,).

    Raises:
        DataError: The run ends within the part that is left out.
    """
    left_out = max(STEPS, SHARE * production_steps)
    kept = np.asarray(thermo["step"] >= left_out)
    if np.sum(kept) < MIN_LINES:
        raise DataError(f"the run ends within the {left_out:.0f} steps that are left out; it needs to be longer")
    return kept
