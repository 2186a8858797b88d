"""Stages on the way to the targets: how far beyond a boundary the rounds may work, and when they go on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

NEAR = 0.25
"""How far from its temperature, as a part of its reach, a stage leaves boundaries to the next one."""


def reachable_temperature(target_k: float, anchor_k: float, superheating: float) -> float:
    """Return the temperature at which a stage of rounds works: the target, or as near as the phases survive.

    Both phases must stay alive in bulk where the model does not have them stable: the crystal above its melting point,
    the liquid below it. Beyond ``superheating`` (relative distance from the anchor) a stage stops short, the corrected
    model is anchored there, and the next stage goes on.
    """
    return min(max(target_k, anchor_k * (1 - superheating)), anchor_k * (1 + superheating))


def comes_near(
    targets_k: Sequence[float], boundaries_k: Sequence[float], stage_k: Sequence[float], reaches: Sequence[float]
) -> bool:
    """Say whether a model is so near to a stage on the way, or so far past it, that the next one can begin.

    A stage need not be met: what its noise leaves is seen again at the next, and a measured anchor ends the way. And
    after a phase was lost, a stage can lie behind what the model has come to.

    Args:
        targets_k: Where the way ends.
        boundaries_k: Where the model has its boundary, per target.
        stage_k: Where the rounds work.
        reaches: How far beyond a boundary they may, relative.
    """
    return all(
        abs(b - t) <= NEAR * reach * t or (b - t) * (target - t) > 0.0
        for target, b, t, reach in zip(targets_k, boundaries_k, stage_k, reaches, strict=True)
    )


def shorter_reaches(
    targets: Sequence[dict[str, Any]],
    stage_k: Sequence[float],
    boundaries_k: Sequence[float],
    reaches: Sequence[float],
    *,
    lost: set[tuple[str, float, float]],
    least: float,
) -> list[float]:
    """Return how far the rounds may work beyond each boundary after phases were lost: half as far at those concerned.

    Within ``least`` of the boundary a loss is chance, as when a small cell of liquid freezes at its melting point.

    Args:
        targets: In the form of :func:`phasecal.calibration.targets.targets_of`.
        stage_k: Where the rounds worked, per target.
        boundaries_k: Where the model has its boundary, as far as known.
        reaches: How far they were allowed to work beyond it, relative.
        lost: Phase, K and GPa of what was lost.
        least: What is left of a reach at least.
    """
    found = []
    for target, t, boundary, reach in zip(targets, stage_k, boundaries_k, reaches, strict=True):
        concerned = any((phase, t, target["pressure_gpa"]) in lost for phase in target["phases"])
        found.append(max(least, reach / 2) if concerned and abs(t / boundary - 1) > least else reach)
    return found
