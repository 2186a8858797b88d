"""Is a two-phase box still one: both layers thick enough in every frame, and the crystal free of lateral stress?

Source of the gates: docs/adr/0009 (stress), 0013 (natural scales), 0014 and 0046 (the window).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from phasecal.observables.statistics import Estimate

THINNEST_CRYSTAL, THINNEST_LIQUID = 2.0, 4.5
"""Cells along the box that both layers have by in-plane order, in every frame: a thin liquid freezes above T_m.

In a box of 14 cells these are 0.14 and 0.32 of it. By the bond order of the atoms the crystal fills 0.07 more
(docs/adr/0014): 0.2 to 0.7 of the box.
"""
SHORTEST_BOX = 14
"""Cells of a box below which its layers are shares of it instead: no box is long enough for less."""
MEDIAN_FRAMES = 5
"""Frames over which the solid fraction is smoothed (running median) before it is judged: single frames are noisy."""
MAX_STRESS = 0.0692
"""Largest difference of normal stresses, (p_xx + p_yy)/2 − p_zz, that is allowed beyond 2σ, in kT per atomic volume:
0.1 GPa for Cu at 1350 K and 12.9 Å³. The stress of the two interfaces is part of it, and a strained crystal melts lower
only by some 0.1 K at 0.1 GPa (docs/adr/0009)."""

Outcome = Literal["coexisting", "melted", "frozen"]


@dataclass(frozen=True)
class Slab:
    """What became of the crystal's layer.

    Attributes:
        outcome: ``coexisting``, or which phase took over.
        first: Index of the first frame in which it had; None when both were there to the end.
        rejection: Why the run cannot be used; None when it can.
    """

    outcome: Outcome
    first: int | None
    rejection: str | None


def solid_window(n_normal: int) -> tuple[float, float]:
    """Return the solid fractions between which both layers of a box of ``n_normal`` cells are thick enough."""
    n_cells = max(n_normal, SHORTEST_BOX)
    return round(THINNEST_CRYSTAL / n_cells, 2), round(1 - THINNEST_LIQUID / n_cells, 2)


def judge_slab(fraction: NDArray[np.float64], time_ps: NDArray[np.float64], n_normal: int) -> Slab:
    """Judge a box of ``n_normal`` cells by the solid fraction and the time (ps) of every frame, shape (n_frames,)."""
    low, high = solid_window(n_normal)
    smooth = median_filter(fraction, MEDIAN_FRAMES, mode="nearest")
    outside = np.nonzero((smooth < low) | (smooth > high))[0]
    if not len(outside):
        return Slab("coexisting", None, None)
    first = int(outside[0])
    outcome: Outcome = "melted" if smooth[first] < low else "frozen"
    where = f"solid fraction {smooth[first]:.2f} at {time_ps[first]:.1f} ps"
    return Slab(outcome, first, f"the slab {outcome}: {where}, expected {low} to {high}")


def strained(stress: Estimate | None, thermal_pressure_gpa: float, remedy: str) -> str | None:
    """Say so when the crystal is strained sideways: its chemical potential is then not that at the pressure.

    Args:
        stress: (p_xx + p_yy)/2 − p_zz, GPa.
        thermal_pressure_gpa: kT per atomic volume, GPa.
        remedy: What the user can do.
    """
    limit_gpa = MAX_STRESS * thermal_pressure_gpa
    if stress is None or abs(stress.value) - 2 * stress.sigma <= limit_gpa:
        return None
    return (
        f"not hydrostatic: (p_xx + p_yy)/2 − p_zz = {stress.value:.3f} ± {stress.sigma:.3f} GPa, expected within "
        f"{limit_gpa:.2g}; {remedy}"
    )
