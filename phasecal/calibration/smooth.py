"""Anchors of one boundary at several pressures, taken as a smooth function of pressure.

ΔG of one model is smooth along the targets of a boundary; what scatters about it is the error of the anchors. Where
enough targets have an anchor of their own, ΔG(P) is a polynomial through them by generalised least squares (Aitken
1935), and each target gets its value: a better estimate, and one that no step has to bend a potential for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from phasecal.calibration.uncertain import Uncertain, covariance, weighted_sum

DEGREE = 2
"""Of the polynomial: a boundary has a slope and a curvature over the pressures of an experiment."""
FEWEST = DEGREE + 2
"""Numbers without which a polynomial smooths nothing."""


def smoothed(numbers: Sequence[Uncertain], pressures: Sequence[float]) -> tuple[list[Uncertain], float]:
    """Return the polynomial in pressure through numbers at its pressures, and their χ².

    Args:
        numbers: At least :data:`FEWEST`; each has an independent error, else the covariance is singular.
        pressures: Where they are, all different, in any unit.

    Returns:
        One number for each, which keeps its sources, and the sum of squared misses in units of the errors, with
        ``DEGREE + 1`` degrees of freedom less than there are numbers.
    """
    scaled = np.interp(pressures, [min(pressures), max(pressures)], [-1.0, 1.0])
    powers = np.vander(scaled, DEGREE + 1)
    scales = np.array([number.sigma for number in numbers])  # so that the solution does not depend on the unit
    inverse = np.linalg.inv(covariance(numbers) / np.outer(scales, scales)) / np.outer(scales, scales)
    weights = powers @ np.linalg.solve(powers.T @ inverse @ powers, powers.T @ inverse)
    fitted = [weighted_sum(numbers, row) for row in weights]
    misses = np.array([number.value - fit.value for number, fit in zip(numbers, fitted, strict=True)])
    return fitted, float(misses @ inverse @ misses)
