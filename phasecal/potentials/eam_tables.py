"""What happens to the tables of a setfl file before training: elements, cutoff, scales of the corrections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from ase.build import bulk
from ase.data import atomic_numbers
from matscipy.neighbours import neighbour_list

from phasecal.errors import InputError
from phasecal.potentials.setfl import Setfl

NEIGHBOR_FRACTION = {"fcc": 0.5**0.5, "bcc": 0.75**0.5, "hcp": 1.0, "diamond": 0.1875**0.5, "sc": 1.0}
"""Nearest-neighbour distance over the lattice constant."""

MAX_CUTOFF_DISTANCES = 20
"""Largest cutoff in nearest-neighbour distances, within which there are some ten thousand atoms; real ones: 2 to 4."""

TAPER = 0.5
"""Width of the taper of a trimmed cutoff, Å."""


def select_elements(setfl: Setfl, elements: Sequence[str]) -> Setfl:
    """Keep some elements, in the given order."""
    missing = [element for element in elements if element not in setfl.elements]
    if missing or not elements or len(set(elements)) != len(elements):
        problem = f"it has no {', '.join(missing)}" if missing else f"cannot take {list(elements)} from it"
        raise InputError(f"{setfl.source}: {problem}; its elements are {', '.join(setfl.elements)}")
    keep = [setfl.elements.index(element) for element in elements]
    n = len(setfl.elements)
    pairs = [max(i, j) * (max(i, j) + 1) // 2 + min(i, j) for a, i in enumerate(keep) for j in keep[: a + 1]]
    densities = [i * n + j for i in keep for j in keep] if setfl.style == "fs" else keep
    return replace(
        setfl,
        elements=tuple(elements),
        masses=tuple(setfl.masses[i] for i in keep),
        lattices=tuple(setfl.lattices[i] for i in keep),
        embedding=setfl.embedding[keep],
        density=setfl.density[densities],
        pair=setfl.pair[pairs],
    )


def trim_cutoff(setfl: Setfl, cutoff: float) -> Setfl:
    """Taper φ and ρ to zero at a shorter cutoff with 1 − 10x³ + 15x⁴ − 6x⁵ (C² at both ends)."""
    if not TAPER < cutoff <= setfl.cutoff:
        raise InputError(f"{setfl.source}: cannot trim to {cutoff} Å; the cutoff of the file is {setfl.cutoff} Å")
    n_r = min(setfl.pair.shape[1], int(np.ceil(cutoff / setfl.dr)) + 1)
    x = np.clip((setfl.dr * np.arange(n_r) - (cutoff - TAPER)) / TAPER, 0.0, 1.0)
    taper = 1.0 - x * x * x * (10.0 - 15.0 * x + 6.0 * x * x)
    return replace(
        setfl, cutoff=float(cutoff), pair=setfl.pair[:, :n_r] * taper, density=setfl.density[:, :n_r] * taper
    )


def neighbor_distance(setfl: Setfl, index: int) -> float:
    """Return the nearest-neighbour distance in the crystal named in the file's header, Å."""
    lattice, element = setfl.lattices[index], setfl.elements[index]
    if lattice.constant <= 0 or lattice.name not in NEIGHBOR_FRACTION:
        raise InputError(
            f"{setfl.source}: the header of {element} must name its lattice ({', '.join(NEIGHBOR_FRACTION)}) "
            "and a positive lattice constant, which tell where its repulsive wall is; "
            f"got {lattice.constant} {lattice.name!r}"
        )
    distance = float(NEIGHBOR_FRACTION[lattice.name] * lattice.constant)
    if not 1 < setfl.cutoff / distance < MAX_CUTOFF_DISTANCES:
        raise InputError(
            f"{setfl.source}: the header of {element} says that neighbours are {distance:g} Å apart, but the cutoff is "
            f"{setfl.cutoff:g} Å; expected 1 to {MAX_CUTOFF_DISTANCES} times as much"
        )
    return distance


def crystal_density(setfl: Setfl, index: int) -> float:
    """Return the density at an atom of the element's own crystal."""
    lattice = setfl.lattices[index]
    name = setfl.elements[index]  # any word: ASE takes others apart as formulas; an hcp element has its own c/a
    crystal = bulk(name if name in atomic_numbers else "X", lattice.name, a=lattice.constant)
    first, distances = neighbour_list("id", crystal, setfl.cutoff)
    row = index * len(setfl.elements) + index if setfl.style == "fs" else index
    return float(
        np.interp(distances[first == 0], setfl.dr * np.arange(setfl.density.shape[1]), setfl.density[row]).sum()
    )
