"""When the rounds of a calibration stop."""

from __future__ import annotations

from collections.abc import Sequence

from phasecal.calibration.chain import BoundaryEstimate


def is_converged(estimates: Sequence[BoundaryEstimate], tolerance_k: float) -> bool:
    """Say whether every boundary is at its target as far as more rounds could tell.

    Rounds with the same anchor cannot remove the anchor's error, so only the error of the chain of models
    counts: |T − T_target| ≤ max(tolerance, σ_chain).

    Args:
        estimates: The current model at every target.
        tolerance_k: Largest deviation that is wanted, K.
    """
    return all(abs(e.temperature.value - e.target.temperature_k) <= max(tolerance_k, e.chain.sigma) for e in estimates)
