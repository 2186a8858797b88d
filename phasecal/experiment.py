"""Experimental reference values, each with its source.

A value is here only if its source is known. ``sigma`` is the source's own interval; ``None`` means that the
source gives none, and the report says so. They are for comparison: targets come from the campaign file.

Sources
-------
- SGTE: A. T. Dinsdale, CALPHAD 15, 317 (1991), the SGTE unary data (transition temperatures and enthalpies).
- Kittel: C. Kittel, Introduction to Solid State Physics, 8th ed., table "Cohesive energies" (0 K, 1 atm).
- Lattice constants at 0 K: measured values extrapolated to 0 K (zero-point motion included) as collected by
  P. Haas, F. Tran, P. Blaha, Phys. Rev. B 79, 085104 (2009).
- Volume change of melting: V(liquid)·f/(1 + f) with the relative change f of T. Iida & R. I. L. Guthrie, The
  Physical Properties of Liquid Metals (1988): Cu 4.2 %, Al 6.5 %; liquid densities at the melting point of
  M. J. Assael et al.: Cu 7.997 g/cm³ (J. Phys. Chem. Ref. Data 39, 033105, 2010), Al 2.377 g/cm³ (ibid.
  35, 285, 2006). Compilations of f differ by about a tenth, which is the σ given here.
- Liquid Cu diffusion: J. Henderson & L. Yang, Trans. Metall. Soc. AIME 221, 72 (1961), capillary tracer,
  D = 1.46e-7 m²/s · exp(−40.6 kJ/mol / RT). Convection can only raise a capillary value; quasielastic neutron
  scattering (A. Meyer, Phys. Rev. B 81, 012102, 2010) finds a lower one.
"""

from __future__ import annotations

from dataclasses import dataclass

from phasecal.units import KJ_PER_MOL


@dataclass(frozen=True)
class Reference:
    """An experimental value in the unit of its property.

    Attributes:
        value: The value.
        sigma: Standard uncertainty given by the source, or ``None`` if it gives none.
        source: Where it was read.
    """

    value: float
    sigma: float | None
    source: str


@dataclass(frozen=True)
class Transition:
    """A transition at zero pressure: temperature in K, enthalpy and entropy as J/mol and J/mol/K."""

    temperature_k: float
    enthalpy_j_mol: float
    entropy_j_mol_k: float


SGTE = "SGTE unary data (Dinsdale 1991)"
KITTEL = "Kittel, 8th ed."
HAAS = "Haas, Tran & Blaha 2009 (measured, to 0 K)"
OVERTON = "Overton & Gaffney 1955 (to 0 K)"
KAMM = "Kamm & Alers 1964 (to 0 K)"
ALERS = "Alers, Neighbours & Sato 1960 (to 0 K)"
FISHER = "Fisher & Renken 1964 (4 K)"
IIDA = "Iida & Guthrie 1988; liquid density Assael et al."

TRANSITIONS: dict[tuple[str, str, str], Transition] = {
    ("Al", "fcc", "liquid"): Transition(933.47, 10714.0, 11.48),
    ("Cu", "fcc", "liquid"): Transition(1357.77, 13262.0, 9.77),
    ("Ni", "fcc", "liquid"): Transition(1728.1, 17400.0, 10.07),
    ("Ti", "hcp", "bcc"): Transition(1155.0, 4175.0, 3.61),
    ("Ti", "bcc", "liquid"): Transition(1941.0, 14140.0, 7.26),
    ("Zr", "hcp", "bcc"): Transition(1139.0, 4113.0, 3.61),
    ("Zr", "bcc", "liquid"): Transition(2127.9, 20992.0, 9.87),
    ("Na", "bcc", "liquid"): Transition(370.87, 2597.0, 7.00),
    ("Li", "bcc", "liquid"): Transition(453.6, 2999.0, 6.61),
    ("Mg", "hcp", "liquid"): Transition(923.0, 8474.0, 9.18),
}
"""SGTE transitions at zero pressure by (element, low phase, high phase)."""

_VALUES: dict[str, dict[str, Reference]] = {
    "Cu": {
        "a0": Reference(3.603, None, HAAS),
        "a[300 K]": Reference(3.615, None, "Straumanis & Yu 1969 (298 K)"),
        "C11": Reference(176.2, None, OVERTON),
        "C12": Reference(124.9, None, OVERTON),
        "C44": Reference(81.8, None, OVERTON),
        "bulk_modulus": Reference(142.0, None, f"(C11 + 2 C12)/3, {OVERTON}"),
        "cohesive_energy": Reference(3.49, None, KITTEL),
        "volume_change[fcc-liquid]": Reference(0.53, 0.05, IIDA),
        "diffusion": Reference(3.97e-9, None, "Henderson & Yang 1961, at the melting point (tracer)"),
    },
    "Al": {
        "a0": Reference(4.032, None, HAAS),
        "C11": Reference(114.3, None, KAMM),
        "C12": Reference(61.9, None, KAMM),
        "C44": Reference(31.6, None, KAMM),
        "bulk_modulus": Reference(79.4, None, f"(C11 + 2 C12)/3, {KAMM}"),
        "cohesive_energy": Reference(3.39, None, KITTEL),
        "volume_change[fcc-liquid]": Reference(1.15, 0.11, IIDA),
    },
    "Ni": {
        "a0": Reference(3.516, None, HAAS),
        "C11": Reference(261.2, None, ALERS),
        "C12": Reference(150.8, None, ALERS),
        "C44": Reference(131.7, None, ALERS),
        "bulk_modulus": Reference(187.6, None, f"(C11 + 2 C12)/3, {ALERS}"),
        "cohesive_energy": Reference(4.44, None, KITTEL),
    },
    "Ti": {
        "C11": Reference(176.1, None, FISHER),
        "C12": Reference(86.9, None, FISHER),
        "C13": Reference(68.3, None, FISHER),
        "C33": Reference(190.5, None, FISHER),
        "C44": Reference(50.8, None, FISHER),
        "cohesive_energy": Reference(4.85, None, KITTEL),
    },
}


def transition(element: str | None, phases: tuple[str, str], pressure_gpa: float) -> Transition | None:
    """The SGTE transition of an element, or ``None`` if it is not tabulated or the pressure is not zero."""
    return TRANSITIONS.get((element, *phases)) if element is not None and pressure_gpa == 0 else None


def reference(element: str | None, name: str) -> Reference | None:
    """The experimental value of a property of an element.

    Args:
        element: Chemical symbol, or ``None`` for an alloy.
        name: Name of a property as in :mod:`phasecal.report.properties`.

    Returns:
        The value in the unit of the property, or ``None`` if none is known.
    """
    if element is None:
        return None
    for (symbol, low, high), entry in TRANSITIONS.items():
        if symbol == element and name == f"enthalpy_change[{low}-{high}]":
            return Reference(entry.enthalpy_j_mol * KJ_PER_MOL, None, SGTE)  # J/mol to meV: 1e-3 · 1e3
    return _VALUES.get(element, {}).get(name)
