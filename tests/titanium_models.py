"""The models of titanium in the fixtures, and the energies that are on record for them."""

from __future__ import annotations

import re
from pathlib import Path

TITANIUM = Path(__file__).parents[1] / "fixtures" / "models" / "titanium"


def section_of(name: str) -> str:
    """What the README there says about one model."""
    return (TITANIUM / "README.md").read_text().split(f"`{name}.safetensors`")[1].split("\n# ")[0]


def recorded_energies(name: str) -> dict[str, float]:
    """Energy of hcp and bcc, eV/atom, in the lattices that the README gives."""
    rows = re.findall(r"^\| (hcp|bcc), .* \| (\S+) \|$", section_of(name), re.M)
    return {crystal: float(energy) for crystal, energy in rows}
