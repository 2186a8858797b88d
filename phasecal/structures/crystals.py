"""Crystals as orthogonal conventional cells, near-cubic supercells and two-phase boxes.

All cells are orthogonal with the cell vectors along x, y and z, because the two-phase method needs a growth
direction along z and the engines' barostats act on box edges. The prototypes and their atoms come from ASE.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from phasecal.errors import InputError

_LATTICES: dict[str, tuple[str, int]] = {
    "fcc": ("fcc", 1),
    "bcc": ("bcc", 1),
    "sc": ("sc", 1),
    "hcp": ("hcp", 1),
    "diamond": ("diamond", 1),
    "B1": ("rocksalt", 2),
    "B2": ("cesiumchloride", 2),
    "B3": ("zincblende", 2),
}
"""ASE's name of each lattice and how many elements it takes; L1_2 is decorated by hand."""

PROTOTYPES = (*_LATTICES, "L1_2")
CUBIC = frozenset(PROTOTYPES) - {"hcp"}
"""Prototypes whose three edges stay equal by symmetry."""

Barostat = Literal["iso", "hexagonal", "aniso"]
"""Which edges of a box change by the same factor: all, x and y, none."""


def crystal(structure: Mapping[str, Any]) -> Atoms:
    """Build the orthogonal conventional cell of a crystal.

    Args:
        structure: ``prototype`` (one of :data:`PROTOTYPES`), ``elements`` (chemical symbols; for L1_2 the
            corner element comes first), ``a`` in Å and, for hcp, optionally ``c`` in Å (ideal c/a otherwise).

    Returns:
        The cell, periodic in all directions: 4 atoms for fcc, 2 for bcc, 4 (a × √3 a × c) for hcp.

    Raises:
        InputError: Unknown prototype, wrong number of elements, or a lattice parameter that is not positive.
    """
    prototype, elements = structure.get("prototype"), structure.get("elements", ())
    if prototype not in PROTOTYPES:
        known = ", ".join(PROTOTYPES)
        raise InputError(f"structure: unknown prototype {prototype!r}; expected one of {known}")
    lattice, n_elements = _LATTICES.get(prototype, ("fcc", 2))
    if not isinstance(elements, list | tuple):
        raise InputError(f"structure: expected a list of elements, got {elements!r}")
    if len(elements) != n_elements:
        raise InputError(f"structure: prototype {prototype} takes {n_elements} element(s), got {list(elements)}")
    for element in elements:  # ASE would take any other text apart as a formula, with numbers of atoms in it
        if not (isinstance(element, str) and element in atomic_numbers):
            raise InputError(f"structure: unknown element {element!r}")
    a, c = structure.get("a"), structure.get("c")
    for name, length in (("a", a), ("c", c)):
        if (length is None and name == "a") or (length is not None and not _is_length(length)):
            raise InputError(f"structure: {name} must be a length between 0.5 and 100 Å, got {length!r}")
    if c is not None and prototype != "hcp":
        raise InputError(f"structure: c is only meaningful for hcp, not for {prototype}")
    atoms = _conventional(prototype, lattice, list(elements), float(structure["a"]), None if c is None else float(c))
    atoms.pbc = True
    return atoms


def barostat_of(structure: Mapping[str, Any]) -> Barostat:
    """Return the barostat that keeps the symmetry of a crystal: a box that may leave it is a way to another crystal."""
    return "iso" if structure["prototype"] in CUBIC else "hexagonal"


def _is_length(value: Any) -> bool:
    """Say whether a value is a sensible length in Å."""
    try:
        return not isinstance(value, bool) and 0.5 < float(value) < 100.0
    except (TypeError, ValueError, OverflowError):
        return False


def composition(structure: Mapping[str, Any]) -> dict[str, float]:
    """Return the fraction of each element in a crystal, whatever its size; raises like :func:`crystal`."""
    symbols = crystal({"prototype": structure["prototype"], "elements": structure["elements"], "a": 4.0}).symbols
    return {element: n / len(symbols) for element, n in sorted(Counter(symbols).items())}


def _conventional(prototype: str, lattice: str, elements: list[str], a: float, c: float | None) -> Atoms:
    """ASE's orthogonal conventional cell of one prototype."""
    from ase.build import bulk  # noqa: PLC0415  # a second of loading, which every MD job would wait for

    if prototype == "hcp":
        return bulk(elements[0], "hcp", a=a, c=c or a * (8 / 3) ** 0.5, orthorhombic=True)
    if prototype == "L1_2":
        atoms = bulk(elements[0], "fcc", a=a, cubic=True)
        atoms.symbols[1:] = elements[1]
        return atoms
    return bulk("".join(elements), lattice, a=a, cubic=True)


def repeats(atoms: Atoms, n_atoms: int) -> tuple[int, int, int]:
    """Repeats of a conventional cell that come closest to ``n_atoms`` atoms in a near-cubic block.

    Args:
        atoms: Orthogonal conventional cell.
        n_atoms: Wanted number of atoms.

    Returns:
        Repeats along x, y and z: of the blocks next to the ideal cube, the one with the smallest sum of the
        log of its aspect ratio and the log of how far its number of atoms is from ``n_atoms``.
    """
    lengths = atoms.cell.lengths()
    edge = (n_atoms / len(atoms) * float(np.prod(lengths))) ** (1 / 3)
    choices = [[max(1, int(np.floor(edge / length)) + shift) for shift in (0, 1)] for length in lengths]

    def cost(triple: tuple[int, int, int]) -> float:
        edges = np.array(triple) * lengths
        size = float(abs(np.log(len(atoms) * np.prod(triple) / n_atoms)))
        return size + float(np.log(edges.max() / edges.min()))

    triples = [(i, j, k) for i in choices[0] for j in choices[1] for k in choices[2]]
    return min(triples, key=cost)


def supercell(atoms: Atoms, n_atoms: int) -> Atoms:
    """Repeat a conventional cell to a near-cubic orthogonal block of about ``n_atoms`` atoms."""
    block: Atoms = atoms * repeats(atoms, n_atoms)
    return block


def two_phase_repeats(atoms: Atoms, n_lateral: int, n_normal: int) -> tuple[int, int, int]:
    """Repeats of a two-phase box: ``n_lateral`` along x, as square as possible, ``n_normal`` along z."""
    lengths = atoms.cell.lengths()
    return n_lateral, max(1, round(n_lateral * float(lengths[0] / lengths[1]))), n_normal


def two_phase_cell(atoms: Atoms, n_lateral: int, n_normal: int) -> Atoms:
    """Build the crystal that becomes a solid|liquid box: square cross-section in x and y, growth along z.

    Args:
        atoms: Orthogonal conventional cell.
        n_lateral: Repeats along x.
        n_normal: Repeats along z; half of them will be melted.
    """
    box: Atoms = atoms * two_phase_repeats(atoms, n_lateral, n_normal)
    return box
