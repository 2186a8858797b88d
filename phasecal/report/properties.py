"""The properties a report knows: their names, units and how many digits are meaningful.

A name is a base with an optional qualifier in brackets. The low-temperature phase of the campaign is
unqualified (``C11``), other structures are named (``C11[hcp]``), temperatures are written with their unit
(``a[300 K]``). Boundaries are written low-high (``enthalpy_change[fcc-liquid]`` = H(liquid) − H(fcc)), pairs
of structures as the difference they are (``energy_difference[bcc-fcc]`` = E(bcc) − E(fcc)).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(r"(?P<base>[A-Za-z_0-9]+)(?:\[(?P<qualifier>[^\]]*)\])?")


@dataclass(frozen=True)
class PropertyKind:
    """How a property is shown.

    Attributes:
        label: What it is, in words.
        unit: The one unit it is reported in.
        digits: Decimals shown when the value has no statistical error.
        exact: Computed without sampling (0 K relaxations, or defined on the recorded frames), so that no
            interval applies: the error is numerical and smaller than the last digit shown.
        joint: What joins the phases of a qualifier in print: ``→`` for boundaries, ``−`` for differences.
    """

    label: str
    unit: str
    digits: int = 3
    exact: bool = False
    joint: str = "-"


PROPERTIES: dict[str, PropertyKind] = {
    "a0": PropertyKind("a, 0 K", "Å", 4, exact=True),
    "c0": PropertyKind("c, 0 K", "Å", 4, exact=True),
    "a": PropertyKind("a", "Å"),
    "c_over_a": PropertyKind("c/a", "1"),
    "enthalpy_change": PropertyKind("ΔH", "meV/atom", joint=" → "),
    "volume_change": PropertyKind("ΔV", "Å³/atom", joint=" → "),
    "bulk_modulus": PropertyKind("bulk modulus, 0 K", "GPa", 2, exact=True),
    "C11": PropertyKind("C₁₁, 0 K", "GPa", 2, exact=True),
    "C12": PropertyKind("C₁₂, 0 K", "GPa", 2, exact=True),
    "C13": PropertyKind("C₁₃, 0 K", "GPa", 2, exact=True),
    "C33": PropertyKind("C₃₃, 0 K", "GPa", 2, exact=True),
    "C44": PropertyKind("C₄₄, 0 K", "GPa", 2, exact=True),
    "cohesive_energy": PropertyKind("cohesive energy, 0 K", "eV/atom", 4, exact=True),
    "energy_difference": PropertyKind("ΔE, 0 K", "meV/atom", 2, exact=True, joint=" − "),
    "force_rms_change": PropertyKind("force change, RMS", "meV/Å", 2, exact=True),
    "force_rms_error": PropertyKind("force error, RMS", "meV/Å", 2, exact=True),
    "density": PropertyKind("density", "g/cm³"),
    "diffusion": PropertyKind("liquid diffusion", "m²/s"),
}
"""Every base name a report knows. ΔH, ΔV, density and diffusion are those at each model's own transition."""


def _parts(name: str) -> tuple[str, str] | None:
    match = _NAME.fullmatch(name)
    return (match["base"], match["qualifier"] or "") if match else None


def describe(name: str) -> PropertyKind | None:
    """The kind of a property name, or ``None`` for a name that is not in :data:`PROPERTIES`."""
    parts = _parts(name)
    return PROPERTIES.get(parts[0]) if parts else None


def label(name: str) -> str:
    """What to print for a property name, e.g. ``enthalpy of transition ΔH (fcc → liquid)``."""
    kind, parts = describe(name), _parts(name)
    if kind is None or parts is None:
        return name
    return f"{kind.label} ({parts[1].replace('-', kind.joint)})" if parts[1] else kind.label
