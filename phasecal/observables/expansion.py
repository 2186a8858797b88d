"""The energy of a crystal to second order in strains and displacements, and that of a frozen LAMMPS potential.

Coordinates q are six strains (Voigt order xx, yy, zz, yz, xz, xy with engineering shears) and the displacements of all
atoms but the first: rows x of positions and cell become (x + u)(1 + ε(q)).

A potential in JAX is differentiated exactly (:mod:`phasecal.observables.cold`). LAMMPS gives forces F and the virial
W = −∂U/∂η of a strained crystal x(1 + η), exact first derivatives; with D = 1 + ε they are, by the chain rule,

    ∂U/∂q_i = −Σ_ab W_ab (D⁻¹ ∂ε/∂q_i)_ab,      ∂U/∂u = −F Dᵀ,

and second derivatives are their central differences. A step of 2e-4 leaves about 1e-6 of them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from phasecal.engines.lammps.static import PairPotential, StaticPoint, static_points

FLOAT = NDArray[np.float64]

STEP = 2e-4
"""Of the central differences: strain, and Å."""

UNIT_STRAINS = np.zeros((6, 3, 3))
"""∂ε/∂q_i of the six strains."""
for _row, (_i, _j) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
    UNIT_STRAINS[_row, _i, _j] += 0.5
    UNIT_STRAINS[_row, _j, _i] += 0.5


class Expansion(NamedTuple):
    """Energy (eV) to second order in six strains and the displacements of all atoms but the first."""

    energy: float
    gradient: FLOAT
    hessian: FLOAT

    def plus(self, other: Expansion) -> Expansion:
        """Return the expansion of the sum of two potentials around the same crystal."""
        return Expansion(self.energy + other.energy, self.gradient + other.gradient, self.hessian + other.hessian)


def strained(atoms: Atoms, coordinates: FLOAT) -> Atoms:
    """Return the structure at the given strain and displacements."""
    deformation = np.eye(3) + np.tensordot(coordinates[:6], UNIT_STRAINS, 1)
    shifts = np.vstack([np.zeros((1, 3)), coordinates[6:].reshape(-1, 3)])
    return Atoms(
        numbers=atoms.numbers,
        cell=atoms.cell.array @ deformation,
        positions=(atoms.positions + shifts) @ deformation,
        pbc=True,
    )


def lammps_expansion(potential: PairPotential, atoms: Atoms) -> Expansion:
    """Return the expansion of a LAMMPS potential around a crystal.

    Raises:
        EngineError: LAMMPS failed.
    """
    return _cached(potential, atoms.numbers.tobytes(), atoms.cell.array.tobytes(), atoms.positions.tobytes())


@lru_cache(maxsize=512)
def _cached(potential: PairPotential, numbers: bytes, cell: bytes, positions: bytes) -> Expansion:
    """Compute an expansion; the same crystal is asked for many times at different parameters of a correction."""
    atoms = Atoms(
        numbers=np.frombuffer(numbers, dtype=np.int64),
        cell=np.frombuffer(cell).reshape(3, 3),
        positions=np.frombuffer(positions).reshape(-1, 3),
        pbc=True,
    )
    units = np.eye(3 + 3 * len(atoms))
    shifts = [np.zeros(len(units)), *(sign * STEP * unit for unit in units for sign in (1.0, -1.0))]
    points = static_points(potential, [strained(atoms, shift) for shift in shifts])
    slopes = np.array([_gradient(point, shift) for point, shift in zip(points, shifts, strict=True)])
    hessian = (slopes[1::2] - slopes[2::2]) / (2.0 * STEP)
    return Expansion(points[0].energy, slopes[0], (hessian + hessian.T) / 2.0)


def _gradient(point: StaticPoint, coordinates: FLOAT) -> FLOAT:
    """Return ∂U/∂q at a strained crystal (see the module), shape (n_coordinates,)."""
    deformation = np.eye(3) + np.tensordot(coordinates[:6], UNIT_STRAINS, 1)
    response = np.linalg.solve(deformation, UNIT_STRAINS)
    return np.concatenate(
        [-np.einsum("ab,iab->i", point.virial, response), -(point.forces @ deformation.T)[1:].ravel()]
    )
