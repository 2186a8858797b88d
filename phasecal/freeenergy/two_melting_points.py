"""The transition between two crystals from the melting points of both.

A is the low-, B the high-temperature crystal and M their melt. At one pressure, with Δ = (high) − (low) per atom and
A < B < M in this order, Gibbs–Helmholtz from each melting point, where ΔG = 0, gives

    ΔG_AM(T)/T = −∫_{T_A}^{T} ΔH_AM/T'² dT',     ΔG_BM(T)/T = −∫_{T_B}^{T} ΔH_BM/T'² dT',     ΔG_AB = ΔG_AM − ΔG_BM

and T_t is where ΔG_AB vanishes: positive below (A is stable), negative above. The melt of the first integral cancels
that of the second wherever both run over the same temperatures, since ΔH_AM − ΔH_BM = ΔH_AB. So the same number
follows from ΔG_AM(T_A) = 0 and

    ΔG_AB(T_A) = −ΔG_BM(T_A),     ΔG_AB(T)/T = ΔG_AB(T_A)/T_A − ∫_{T_A}^{T} ΔH_AB/T'² dT'

and that is computed: the melt is needed from T_A to T_B only, and never deep below its freezing point, where it
would not live. T_A < T_B, or B is not the stable crystal anywhere below the melting points and there is no T_t there.

Errors, by the derivatives of ΔG_AB(T) by what is measured:

    ∂/∂T_A = (T/T_A) ΔS_AM(T_A),     ∂/∂T_B = −(T/T_B) ΔS_BM(T_B),     ∂/∂H(phase, T') = its weight in the integrals

the last with the sign of the phase, so that a run which serves both integrals counts once. ΔH beyond the sampled
temperatures carries the error of :mod:`phasecal.freeenergy.carry`. σ(T_t) = σ(ΔG_AB)/ΔS_AB: the melting points
dominate, since their σ is multiplied by ΔS of melting over ΔS between the crystals (2 for titanium). The curvature of
ΔH between sampled temperatures is neglected. The integrals are Gibbs–Helmholtz as in :mod:`phasecal.freeenergy.carry`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq

from phasecal.errors import DataError, PhaseError
from phasecal.freeenergy.carry import carry_weights

Enthalpies = Mapping[float, tuple[float, float]]
"""Enthalpy and its standard deviation, eV/atom, by temperature, K."""
MAX_MOVE = 0.2
"""Largest relative distance of the next temperature at which crystals are sampled."""


@dataclass(frozen=True)
class Phases:
    """What was measured of A (``low``), B (``high``) and M (``melt``).

    Attributes:
        low_k: Melting point of A and its standard deviation, K.
        high_k: Melting point of B and its standard deviation, K.
        low: Enthalpies of A, from the lower melting point down.
        high: Enthalpies of B, there and up to its own melting point.
        melt: Enthalpies of M, between the melting points.
    """

    low_k: tuple[float, float]
    high_k: tuple[float, float]
    low: Enthalpies
    high: Enthalpies
    melt: Enthalpies


@dataclass(frozen=True)
class TwoMeltingPoints:
    """The transition between two crystals.

    Attributes:
        temperature_k: T_t, K.
        sigma_k: Its standard deviation, K.
        delta_h_ev: ΔH_AB at T_t, eV/atom.
        delta_h_ev_sigma: Its standard deviation.
        budget_k: What contributes to ``sigma_k``, K: ``melting_low``, ``melting_high``, ``enthalpies``,
            ``extrapolation``.
    """

    temperature_k: float
    sigma_k: float
    delta_h_ev: float
    delta_h_ev_sigma: float
    budget_k: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return dict(vars(self))


def check_order(low_k: tuple[float, float], high_k: tuple[float, float]) -> None:
    """Refuse melting points between which no transition below them can be.

    Args:
        low_k: Melting point of the low-temperature crystal and its standard deviation, K.
        high_k: The same of the high-temperature crystal.

    Raises:
        PhaseError: The low-temperature crystal melts at the higher temperature.
    """
    if not low_k[0] < high_k[0]:
        raise PhaseError(
            f"the low-temperature crystal melts at {low_k[0]:.1f} ± {low_k[1]:.1f} K, above the high-temperature one "
            f"({high_k[0]:.1f} ± {high_k[1]:.1f} K): the phases are swapped, or this potential has no transition "
            "between them below melting"
        )


def gibbs_difference(phases: Phases, temperature_k: float) -> tuple[float, dict[str, float]]:
    """ΔG_AB at one temperature, and what contributes to its error.

    Args:
        phases: What was measured.
        temperature_k: Temperature, K.

    Returns:
        ΔG_AB, eV/atom, and the standard deviations in eV/atom that add in quadrature to its error, by the names of
        ``budget_k``.

    Raises:
        DataError: Two phases of a leg share no temperature.
        PhaseError: A melting enthalpy is not positive.
    """
    (t_low, sigma_low), (t_high, sigma_high) = phases.low_k, phases.high_k
    melting, crystals = _common(phases.high, phases.melt), _common(phases.low, phases.high)
    down = carry_weights(t_high, t_low, melting)
    across = carry_weights(t_low, temperature_k, crystals)
    weights: dict[tuple[str, float], float] = {}
    for sign, names, temperatures, values in (
        (-across.scale, ("high", "melt"), melting, down.enthalpy),
        (1.0, ("low", "high"), crystals, across.enthalpy),
    ):
        for at, weight in zip(temperatures, values, strict=True):
            for name, side in zip(names, (-1.0, 1.0), strict=True):
                weights[name, at] = weights.get((name, at), 0.0) + sign * side * float(weight)
    delta_g = sum(weight * getattr(phases, name)[at][0] for (name, at), weight in weights.items())
    entropy_low = _melting_enthalpy(phases.low, phases.melt, t_low, "low") / t_low
    entropy_high = _melting_enthalpy(phases.high, phases.melt, t_high, "high") / t_high
    parts = [weight * getattr(phases, name)[at][1] for (name, at), weight in weights.items()]
    return delta_g, {
        "melting_low": temperature_k / t_low * entropy_low * sigma_low,
        "melting_high": temperature_k / t_high * entropy_high * sigma_high,
        "enthalpies": float(np.linalg.norm(parts)),
        "extrapolation": math.hypot(across.scale * down.extrapolation_ev, across.extrapolation_ev),
    }


def transition(phases: Phases, max_extrapolation: float = 0.0) -> TwoMeltingPoints:
    """Find the transition between the crystals.

    Args:
        phases: What was measured.
        max_extrapolation: How far, relative, T_t may be below the lowest temperature at which both crystals were
            sampled.

    Raises:
        PhaseError: The order of the melting points or the sign of an enthalpy contradicts the order of the phases.
        DataError: ΔG_AB does not vanish within the sampled temperatures.
    """
    check_order(phases.low_k, phases.high_k)
    top = phases.low_k[0]
    lowest = (1 - max_extrapolation) * min(_common(phases.low, phases.high))
    ends = [gibbs_difference(phases, t)[0] for t in (lowest, top)]
    if not ends[0] > 0 > ends[1]:
        raise DataError(
            f"the crystals have the same Gibbs energy nowhere between {lowest:.0f} and {top:.0f} K (ΔG = "
            f"{1e3 * ends[0]:.2f} and {1e3 * ends[1]:.2f} meV/atom; it must fall from above to below 0): sample them "
            "at lower temperatures, or check that the low-temperature phase is given first"
        )
    root = float(brentq(lambda t: gibbs_difference(phases, t)[0], lowest, top, xtol=1e-9))
    delta_h, sigma_h = _transition_enthalpy(phases, root)
    if delta_h <= 0:
        raise PhaseError(
            f"the enthalpy of transition is {1e3 * delta_h:.2f} ± {1e3 * sigma_h:.2f} meV/atom at {root:.0f} K; it "
            "must be positive: give the low-temperature phase first"
        )
    budget = {name: root * part / delta_h for name, part in gibbs_difference(phases, root)[1].items()}
    return TwoMeltingPoints(root, float(np.linalg.norm(list(budget.values()))), delta_h, sigma_h, budget)


def next_temperature(phases: Phases) -> float:
    """Where crystals without a crossing should be sampled next, K: below all so far, at most a fifth.

    ΔG over ΔS at the lowest temperature so far; a start for more runs, no result.
    """
    lowest = min(_common(phases.low, phases.high))
    delta_g = gibbs_difference(phases, lowest)[0]
    delta_s = (_transition_enthalpy(phases, lowest)[0] - delta_g) / lowest
    step = delta_g / delta_s if delta_s > 0 else -math.inf
    return lowest * (1 + float(np.clip(step / lowest, -MAX_MOVE, 0.0)))


def _common(first: Enthalpies, second: Enthalpies) -> list[float]:
    """Temperatures at which both phases were sampled, ascending."""
    common = sorted(set(first) & set(second))
    if not common:
        raise DataError("two phases were sampled at no common temperature, so their enthalpies cannot be compared")
    return common


def _melting_enthalpy(crystal: Enthalpies, melt: Enthalpies, temperature_k: float, role: str) -> float:
    """Enthalpy of melting at the common temperature nearest to a melting point, eV/atom."""
    nearest = min(_common(crystal, melt), key=lambda t: abs(t - temperature_k))
    delta_h = melt[nearest][0] - crystal[nearest][0]
    if delta_h <= 0:
        raise PhaseError(
            f"the enthalpy of melting of the {role}-temperature crystal is {1e3 * delta_h:.2f} meV/atom at "
            f"{nearest:.0f} K; it must be positive: one of the phases is not what it is called"
        )
    return delta_h


def _transition_enthalpy(phases: Phases, temperature_k: float) -> tuple[float, float]:
    """ΔH_AB and its standard deviation by linear interpolation, constant beyond the sampled temperatures."""
    temperatures = _common(phases.low, phases.high)
    weights = np.array([np.interp(temperature_k, temperatures, row) for row in np.eye(len(temperatures))])
    values = np.array([phases.high[t][0] - phases.low[t][0] for t in temperatures])
    sigmas = np.array([math.hypot(phases.high[t][1], phases.low[t][1]) for t in temperatures])
    return float(weights @ values), float(np.linalg.norm(weights * sigmas))
