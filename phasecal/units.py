"""Units and constants.

Inside phasecal energies are eV, lengths Å, masses atomic mass units, times fs, temperatures K and pressures GPa;
names of numbers that leave a module carry the unit (``temperature_k``, ``pressure_gpa``). Campaign files write units
(but for reduced ones, :mod:`phasecal.campaign.reduced`); :func:`parse_quantity` reads them.
"""

from __future__ import annotations

import math
import re

from phasecal.errors import InputError

KB = 8.617333262e-5
"""Boltzmann constant in eV/K (CODATA 2018, exact to the digits given)."""

EV_PER_A3_IN_GPA = 160.2176634
"""1 eV/Å³ in GPa (CODATA 2018)."""

BAR_PER_GPA = 1.0e4
"""1 GPa in bar, the pressure unit of LAMMPS' ``metal`` style."""

KJ_PER_MOL = 0.01036426966
"""1 kJ/mol in eV per particle (CODATA 2018)."""

UNITS: dict[str, dict[str, float]] = {
    "temperature": {"K": 1.0},
    "pressure": {"GPa": 1.0, "MPa": 1e-3, "kbar": 0.1, "bar": 1e-4, "atm": 1.01325e-4},
    "length": {"A": 1.0, "Å": 1.0, "angstrom": 1.0, "nm": 10.0},
    "energy": {"eV": 1.0, "meV": 1e-3, "kJ/mol": KJ_PER_MOL, "K": KB},
    "force": {"eV/A": 1.0, "meV/A": 1e-3},
    "time": {"fs": 1.0, "ps": 1e3, "ns": 1e6},
    "duration": {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0},
    "memory": {"kB": 1.0, "MB": 1024.0, "GB": 1024.0**2},
}
"""Accepted units per kind of quantity, with the factor to the internal unit; an energy in K is ε/k_B,
a duration that of a job, and a memory counts in 1024s, as schedulers do."""

_QUANTITY = re.compile(
    r"\s*+([-+]?(?:\d++\.?\d*+|\.\d++)(?:[eE][-+]?\d++)?|[-+]?(?:nan|inf|infinity))\s*+(\S*+)\s*+", re.I
)
"""Possessive throughout: with parts that give digits back, some thousand digits take minutes."""


def parse_quantity(text: object, kind: str) -> float:
    """Read a number with its unit, e.g. ``"1357.77 K"``, into the internal unit of ``kind``.

    Args:
        text: What the user wrote.
        kind: A key of :data:`UNITS`.

    Returns:
        The finite value in K, GPa, Å, eV, eV/Å, fs, s or kB.

    Raises:
        InputError: No unit, an unknown unit, or not a finite number.
    """
    accepted = ", ".join(UNITS[kind])
    match = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
    if match is None or not match[2]:
        raise InputError(f"expected a number with a unit of {kind} ({accepted}), got {text!r}")
    number, unit = float(match[1]), match[2]
    if unit not in UNITS[kind]:
        raise InputError(f"unknown unit {unit!r} of {kind}; use one of {accepted}")
    if not math.isfinite(number):
        raise InputError(f"expected a finite {kind}, got {text!r}")
    return number * UNITS[kind][unit]


def few_bits(value: float) -> float:
    """Round to 14 significant bits, such a number that AiiDA stores exactly (it keeps 14 decimal digits).

    Rounding in binary commutes with factors of 2 and 4, so that runs which are scaled by them stay scaled to the last
    bit. Meant for numbers that may be any nearby ones: time steps and starting temperatures.
    """
    mantissa, exponent = math.frexp(value)
    return math.ldexp(round(mantissa * 2**14), exponent - 14)
