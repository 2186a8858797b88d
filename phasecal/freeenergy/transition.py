"""First-order properties of a transition from the averages of both phases at T_t.

Signs: Δ is high-temperature phase minus low-temperature phase, per atom. At coexistence ΔG = 0, so ΔS = ΔH/T_t, and the
slope is Clausius–Clapeyron's dT/dP = ΔV/ΔS.
"""

from __future__ import annotations

import math
from typing import Any

from phasecal.errors import PhaseError
from phasecal.freeenergy.carry import clapeyron_slope


def transition_properties(anchor: dict[str, Any], low: dict[str, Any], high: dict[str, Any]) -> dict[str, float]:
    """Return ΔH, ΔS, ΔV and dT/dP with their standard errors.

    Args:
        anchor: ``temperature_k`` and ``sigma_k`` of the transition.
        low: Averages of the low-temperature phase at T_t: ``enthalpy_ev`` and ``volume_a3`` per atom, each with
            ``value`` and ``sigma``.
        high: The same of the high-temperature phase.

    Returns:
        ``delta_h_ev``, ``delta_s_ev_k``, ``delta_v_a3``, ``slope_k_gpa`` and a ``…_sigma`` for each.

    Raises:
        PhaseError: ΔH is not positive: the phases are swapped, or one of them is not what it is called.
    """
    temperature = anchor["temperature_k"]
    delta_h = high["enthalpy_ev"]["value"] - low["enthalpy_ev"]["value"]
    sigma_h = math.hypot(high["enthalpy_ev"]["sigma"], low["enthalpy_ev"]["sigma"])
    delta_v = high["volume_a3"]["value"] - low["volume_a3"]["value"]
    sigma_v = math.hypot(high["volume_a3"]["sigma"], low["volume_a3"]["sigma"])
    if delta_h <= 2 * sigma_h:
        raise PhaseError(
            f"the enthalpy of transition is {1e3 * delta_h:.2f} ± {1e3 * sigma_h:.2f} meV/atom at {temperature:.0f} K; "
            "it must be positive: write the phases of the boundary in the order [low-temperature, high-temperature]"
        )
    delta_s = delta_h / temperature
    sigma_s = delta_s * math.hypot(sigma_h / delta_h, anchor["sigma_k"] / temperature)
    slope, sigma_slope = clapeyron_slope((delta_v, sigma_v), (delta_s, sigma_s))
    return {
        "delta_h_ev": delta_h,
        "delta_h_ev_sigma": sigma_h,
        "delta_s_ev_k": delta_s,
        "delta_s_ev_k_sigma": sigma_s,
        "delta_v_a3": delta_v,
        "delta_v_a3_sigma": sigma_v,
        "slope_k_gpa": slope,
        "slope_k_gpa_sigma": sigma_slope,
    }
