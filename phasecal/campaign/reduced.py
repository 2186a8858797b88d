"""Reduced Lennard-Jones units at the border: campaigns with ``units: lj`` in, results out.

Inside phasecal everything is K, GPa, Å and amu. Reduced numbers are converted once when a campaign is loaded and once
when results are shown, with a fixed reference atom: ε₀ = k_B·1000 K, σ₀ = 3.0225 Å such that ε₀/σ₀³ = 0.5 GPa, and
m₀ = 40 amu (docs/adr/0013). Reduced results do not depend on it: the model's own ε and σ are given in the same units.
"""

from __future__ import annotations

from typing import Any

from phasecal.units import EV_PER_A3_IN_GPA, KB

TEMPERATURE_K = 1000.0
PRESSURE_GPA = 0.5
EPSILON_EV = KB * TEMPERATURE_K
SIGMA_A = (EPSILON_EV / PRESSURE_GPA * EV_PER_A3_IN_GPA) ** (1 / 3)
MASS_AMU = 40.0
REFERENCE = {
    "temperature": TEMPERATURE_K,
    "pressure": PRESSURE_GPA,
    "length": SIGMA_A,
    "energy": EPSILON_EV,
    "density": SIGMA_A**-3,
}
"""Value of the reduced unit of each kind of quantity: K, GPa, Å, eV, atoms/Å³."""
SUFFIXES = {"_k": "temperature", "_gpa": "pressure"}
"""Ends of the keys of results that carry a unit."""


def is_reduced(campaign: dict[str, Any]) -> bool:
    """Say whether a campaign (as :meth:`phasecal.campaign.schema.Campaign.to_dict` gives it) is in reduced units."""
    return campaign.get("units") == "lj"


def reduced(data: Any, *, rename: bool = True) -> Any:
    """Return results in reduced units: ``temperature_k: 800.0`` becomes ``temperature: 0.8``, and so on.

    Args:
        data: Mappings, lists and plain values; keys that end in ``_k`` or ``_gpa`` hold K or GPa (or lists of them).
        rename: Take the unit off the keys; otherwise only the values change.
    """
    if isinstance(data, list):
        return [reduced(item, rename=rename) for item in data]
    if not isinstance(data, dict):
        return data
    result = {}
    for key, value in data.items():
        suffix = next((end for end in SUFFIXES if str(key).endswith(end)), None)
        if suffix is None:
            result[key] = reduced(value, rename=rename)
        else:
            result[key.removesuffix(suffix) if rename else key] = _scaled(value, REFERENCE[SUFFIXES[suffix]])
    return result


def _scaled(value: Any, unit: float) -> Any:
    """Divide numbers (also in lists and mappings) by a unit; rounding takes off what the conversion added."""
    if isinstance(value, list):
        return [_scaled(item, unit) for item in value]
    if isinstance(value, dict):
        return {key: _scaled(item, unit) if key in ("value", "sigma") else item for key, item in value.items()}
    return float(f"{value / unit:.12g}") if isinstance(value, int | float) else value
