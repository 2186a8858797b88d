"""The ways to measure a boundary, and which of them checks which."""

from __future__ import annotations

from typing import Final

METHODS: Final = ("coexistence", "pinning", "free-energy", "two-melting-points")
"""Two phases side by side at constant enthalpy; the same held by a bias at (T, P); absolute free energies of both; the
melting points of two crystals and Gibbs–Helmholtz."""

NEED_A_MELT = frozenset({"coexistence", "pinning"})
"""Methods with an interface: between two crystals it hardly moves, and the boundary would not be found."""

NEED_TWO_CRYSTALS = frozenset({"two-melting-points"})
"""Methods that go around an interface between crystals."""


def default_method(melting: bool) -> str:
    """Return the method for melting, or for two crystals."""
    return "coexistence" if melting else "free-energy"


def default_verification(method: str, *, melting: bool, has_melt: bool) -> str:
    """Return the method that checks another one: an independent one wherever there is one (docs/adr/0016).

    Args:
        method: How the boundary is measured.
        melting: Whether it is one of a crystal and its melt.
        has_melt: Whether the campaign has a melt of the same composition.
    """
    if melting:
        return "pinning" if method == "coexistence" else "coexistence"
    return "two-melting-points" if method == "free-energy" and has_melt else "free-energy"


def how_verified(method: str, anchor_method: str | None) -> str:
    """Name the method of a verification and say whether it is another than the anchor's, as far as that is known."""
    if anchor_method is None:
        return method
    return f"{method} (as the anchor)" if method == anchor_method else f"{method} (anchor by {anchor_method})"
