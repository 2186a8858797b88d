"""Carrying a known free-energy difference to other temperatures, and boundaries to other pressures.

Gibbs–Helmholtz: ΔG(T)/T = ΔG(T₀)/T₀ − ∫ ΔH/T′² dT′. Clausius–Clapeyron: dT/dP = ΔV/ΔS. Δ is (high-temperature phase) −
(low-temperature phase), per atom.

ΔH is known at a few temperatures; it is taken as linear between them and as constant beyond them. What this constant
neglects, the difference ΔC_p of the heat capacities, enters as an error of 1 k_B per atom, which covers simple metals
(their ΔC_p at melting is 0–1 k_B). The curvature of ΔH between temperatures is neglected.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasecal.errors import DataError, InputError
from phasecal.units import EV_PER_A3_IN_GPA, KB

HEAT_CAPACITY_SIGMA = KB
"""Standard deviation of the unknown ΔC_p where ΔH is extrapolated, eV/K per atom."""


@dataclass(frozen=True)
class CarryWeights:
    """ΔG(t₁) from what is known: ``scale``·ΔG(t₀) + ``enthalpy``·ΔH, ± ``extrapolation_ev``.

    Attributes:
        scale: t₁/t₀.
        enthalpy: Weight of each ΔH, in the order of the temperatures given, shape (n_temperatures,).
        extrapolation_ev: Standard deviation from ΔH beyond its temperatures, eV/atom.
    """

    scale: float
    enthalpy: NDArray[np.float64]
    extrapolation_ev: float


def carry_weights(t0: float, t1: float, temperatures: Sequence[float]) -> CarryWeights:
    """Return the weights of Gibbs–Helmholtz integration from ``t0`` to ``t1``, K.

    Args:
        t0: Temperature where ΔG is known, K.
        t1: Temperature where ΔG is wanted, K.
        temperatures: Temperatures where ΔH is known, K, all different.

    Raises:
        InputError: A temperature is not positive and finite.
        DataError: No or repeated temperatures of ΔH.
    """
    knots = np.array(temperatures, dtype=np.float64)
    if not all(math.isfinite(t) and t > 0 for t in (t0, t1, *knots)):
        raise InputError(f"temperatures must be positive, got {t0}, {t1} and {list(temperatures)} K")
    if len(knots) == 0 or len(np.unique(knots)) != len(knots):
        raise DataError("Gibbs-Helmholtz needs the enthalpy difference at one or more different temperatures")
    order = np.argsort(knots)
    knots = knots[order]
    breaks = np.unique(np.clip([min(t0, t1), *knots, max(t0, t1)], min(t0, t1), max(t0, t1)))
    weights, beyond = np.zeros(len(knots)), 0.0
    for low, high in itertools.pairwise(breaks):
        inverse, log = 1 / low - 1 / high, math.log(high / low)
        if low >= knots[-1] or high <= knots[0]:
            edge = -1 if low >= knots[-1] else 0
            weights[edge] += inverse
            beyond += abs(log - knots[edge] * inverse)
            continue
        i = int(np.searchsorted(knots, low, side="right")) - 1
        slope = (log - knots[i] * inverse) / (knots[i + 1] - knots[i])
        weights[[i, i + 1]] += inverse - slope, slope
    signed = np.empty_like(weights)
    signed[order] = -t1 * math.copysign(1.0, t1 - t0) * weights
    return CarryWeights(t1 / t0, signed, HEAT_CAPACITY_SIGMA * t1 * beyond)


def gibbs_helmholtz(
    delta_g0: float,
    sigma0: float,
    *,
    t0: float,
    t1: float,
    temperatures: Sequence[float],
    delta_h: Sequence[float],
    delta_h_sigma: Sequence[float],
) -> tuple[float, float]:
    """Carry ΔG from ``t0`` to ``t1`` along an isobar.

    Args:
        delta_g0: ΔG(t0), eV/atom.
        sigma0: Its standard deviation, eV/atom.
        t0: Temperature where ΔG is known, K.
        t1: Temperature where ΔG is wanted, K.
        temperatures: Temperatures where ΔH is known, K.
        delta_h: ΔH there, eV/atom.
        delta_h_sigma: Independent standard deviations of ``delta_h``, eV/atom.

    Returns:
        ΔG(t1) and its standard deviation, eV/atom.
    """
    weights = carry_weights(t0, t1, temperatures)
    value = weights.scale * delta_g0 + float(weights.enthalpy @ np.asarray(delta_h))
    parts = [
        weights.scale * sigma0,
        *(weights.enthalpy * np.asarray(delta_h_sigma)),
        weights.extrapolation_ev,
    ]
    return value, float(np.linalg.norm(parts))


def clapeyron_slope(delta_v: tuple[float, float], delta_s: tuple[float, float]) -> tuple[float, float]:
    """Slope dT/dP of a boundary and its standard deviation, K/GPa.

    Args:
        delta_v: ΔV and its standard deviation, Å³/atom.
        delta_s: ΔS and its independent standard deviation, eV/K per atom.

    Raises:
        DataError: ΔS is zero.
    """
    if delta_s[0] == 0:
        raise DataError("Clausius-Clapeyron needs an entropy difference that is not zero")
    slope = delta_v[0] / delta_s[0] / EV_PER_A3_IN_GPA
    sigma = math.hypot(delta_v[1] / delta_s[0] / EV_PER_A3_IN_GPA, slope * delta_s[1] / delta_s[0])
    return slope, sigma
