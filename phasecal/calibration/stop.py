"""When the rounds of a calibration stop."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phasecal.calibration.chain import BoundaryEstimate

WORST = 3.0
"""How many times max(tolerance, σ_chain) a single target may be off, when the others make up for it; and how many times
its whole σ, when no step would go on."""

FloatArray = NDArray[np.float64]


def is_converged(
    estimates: Sequence[BoundaryEstimate], tolerance_k: float, forecasts_k: Sequence[float] | None = None
) -> bool:
    """Say whether the boundaries are at their targets as far as more rounds could tell.

    Rounds with the same anchor cannot remove the anchor's error, so only the error of the chain of models counts. With
    z = (T − T_target)/max(tolerance, σ_chain), the root mean square of z over the targets is at most 1 and no |z| is
    above :data:`WORST`: of one target that is |z| ≤ 1, while twelve that are all right have some |z| above 1 as a rule.

    Or the next step would not move them: a step weighs what is left with the whole error, that of the anchors
    included, against what removing it costs in the potential. So differences between targets that no anchor has
    measured well stay. With z of what the step would move, and every target within :data:`WORST` of its own σ, the
    same rule then stops the rounds: fresh anchors can tell more, further rounds cannot.

    Args:
        estimates: The current model at every target.
        tolerance_k: Largest deviation that is wanted, K.
        forecasts_k: Where the next step would move the boundaries, K, if it goes all the way that it wants to.
    """
    now = np.array([estimate.temperature.value for estimate in estimates])
    off = now - [estimate.target.temperature_k for estimate in estimates]
    scale = np.array([max(tolerance_k, estimate.chain.sigma) for estimate in estimates])
    if _is_little(off / scale):
        return True
    sigma = np.array([estimate.temperature.sigma for estimate in estimates])
    within = bool((np.abs(off) <= WORST * sigma).all())
    return forecasts_k is not None and within and _is_little((now - forecasts_k) / scale)


def _is_little(z: FloatArray) -> bool:
    """Say whether the root mean square of z is at most 1 and none is far above."""
    return bool(np.mean(np.square(z)) <= 1 and np.abs(z).max() <= WORST)
