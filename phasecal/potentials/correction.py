"""A correction in embedded-atom form for a potential that has no tables: all functions are zero but one density.

δU = Σ_i δF(ρ_i) + ½ Σ_i≠j δφ(r_ij), ρ_i = Σ_j≠i (s(r_ij) + δρ(r_ij)), with the smooth splines
of :mod:`phasecal.potentials.eam`. s(r) = s₀ (1 − r²/r_c²)³ only measures how crowded an atom is: it is the same for all
elements, has two derivatives at the cutoff, and its sum is 1 at the most crowded atom of the given crystals. δρ does
nothing as long as δF is zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers
from matscipy.neighbours import neighbour_list

from phasecal.errors import InputError
from phasecal.potentials.eam import DENSITY_WINDOW, WALL, EamModel
from phasecal.potentials.setfl import Lattice

N_POINTS = 2001
"""Points of each table: about 0.003 Å apart."""
MAX_DENSITY = 2.0
"""End of the tables of F; beyond the window of its corrections F is zero anyway."""


def eam_correction(
    crystals: Sequence[Atoms], elements: Sequence[str], train: Mapping[str, int], cutoff: float
) -> EamModel:
    """Return tables that are zero and ready to be trained.

    Args:
        crystals: Crystals at about their density: where repulsive walls begin and how crowded atoms are.
        elements: Chemical symbols in the order of the atom types; each is in one of the crystals.
        train: Number of parameters per function, keys ``pair``, ``density``, ``embedding`` (missing: 0).
        cutoff: Distance at which the correction ends, Å.

    Raises:
        InputError: The cutoff does not reach the nearest neighbours of every element.
    """
    n = len(elements)
    nearest = np.full((n, n), np.inf)
    crowding: list[list[float]] = [[] for _ in elements]
    for crystal in crystals:
        species = np.array([elements.index(symbol) for symbol in crystal.symbols])
        first, second, distances = neighbour_list("ijd", crystal, cutoff)
        np.minimum.at(nearest, (species[first], species[second]), distances)
        shape = np.bincount(first, (1.0 - (distances / cutoff) ** 2) ** 3, len(crystal))
        for kind, value in zip(species, shape, strict=True):
            crowding[kind].append(float(value))
    if lonely := [name for name, values in zip(elements, crowding, strict=True) if not max(values, default=0.0) > 0]:
        raise InputError(
            f"cutoff {cutoff} Å does not reach the neighbours of {', '.join(lonely)}; expected a longer one"
        )
    largest = max(max(values) for values in crowding)
    crystal_densities = tuple(max(values) / largest for values in crowding)
    low, high = DENSITY_WINDOW
    r = np.linspace(0.0, cutoff, N_POINTS)
    density = (1.0 - (r / cutoff) ** 2) ** 3 / largest
    starts = np.where(np.isfinite(nearest), nearest, nearest.min())
    return EamModel(
        elements=tuple(elements),
        cutoff=cutoff,
        masses={name: float(atomic_masses[atomic_numbers[name]]) for name in elements},
        theta=np.zeros(
            train.get("pair", 0) * n * (n + 1) // 2 + (train.get("density", 0) + train.get("embedding", 0)) * n
        ),
        style="alloy",
        lattices=tuple(Lattice(int(atomic_numbers[name]), 0.0, "none") for name in elements),
        dr=cutoff / (N_POINTS - 1),
        drho=MAX_DENSITY / (N_POINTS - 1),
        pair=np.zeros((n * (n + 1) // 2, N_POINTS)),
        density=np.tile(density, (n, 1)),
        embedding=np.zeros((n, N_POINTS)),
        train={"pair": 0, "density": 0, "embedding": 0, **train},
        pair_starts=tuple(float(WALL * starts[i, j]) for i in range(n) for j in range(i + 1)),
        crystal_densities=crystal_densities,
        embedding_windows=tuple((low * rho, min(high * rho, MAX_DENSITY)) for rho in crystal_densities),
    )
