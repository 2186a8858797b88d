"""When the rounds of a calibration stop."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from phasecal.calibration.chain import BoundaryEstimate

WORST = 3.0
"""How many times max(tolerance, σ_chain) a single target may be off, when the others make up for it."""


def is_converged(estimates: Sequence[BoundaryEstimate], tolerance_k: float) -> bool:
    """Say whether the boundaries are at their targets as far as more rounds could tell.

    Rounds with the same anchor cannot remove the anchor's error, so only the error of the chain of models counts. With
    z = (T − T_target)/max(tolerance, σ_chain), the root mean square of z over the targets is at most 1 and no |z| is
    above :data:`WORST`: of one target that is |z| ≤ 1, while twelve that are all right have some |z| above 1 as a rule.

    Args:
        estimates: The current model at every target.
        tolerance_k: Largest deviation that is wanted, K.
    """
    off = [abs(e.temperature.value - e.target.temperature_k) / max(tolerance_k, e.chain.sigma) for e in estimates]
    return bool(np.mean(np.square(off)) <= 1 and max(off) <= WORST)
