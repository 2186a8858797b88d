"""The ways to measure a boundary."""

from __future__ import annotations

from typing import Final

METHODS: Final = ("coexistence", "pinning", "free-energy")
"""Two phases side by side at constant enthalpy; the same held by a bias at (T, P); absolute free energies of both."""

NEED_A_MELT = frozenset({"coexistence", "pinning"})
"""Methods with an interface: between two crystals it hardly moves, and the boundary would not be found."""


def default_method(melting: bool) -> str:
    """Return the method for melting, or for two crystals."""
    return "coexistence" if melting else "free-energy"
