"""What a small crystal's free energy lacks: the lattice waves that do not fit into its box.

A harmonic crystal of N atoms in a periodic box, its centre of mass free in the volume v of one primitive cell, has per
kT, with λ the force constants of its 3N − 3 modes at q ≠ 0,

    F_N = ½ Σ ln λ − (3N − 3)/2 ln 2πkT − (3/2) ln N − ln v

and terms ∝ N. The sum is over a mesh of wave vectors. With finer meshes of the same shape it is

    ½ Σ ln λ = N s + ln N + c + …,

which gives s, that of an infinite crystal, and so F_∞ − F_N: (kT/2) ln N/N and a term ∝ 1/N that is twice as large for
metals near their melting points. It hangs on the lattice, on the shape of the box and on how far atoms move compared
with their distance, as ln[(2π⟨u²⟩)^{3/2}/v], and hardly on the forces. Here they are central springs ∝ r⁻⁶, as stiff as
lets atoms of the box move as far as those of the simulation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from phasecal.units import KB

EXPONENT = 6.0
REACH = 2.1
"""In shortest distances."""
UNCERTAIN = 0.1
"""Share of the term ∝ 1/N: springs ∝ r⁻⁴ to r⁻¹² change it by 8 % at most in fcc, bcc and hcp."""
FINEST = 12
"""Cells along the shortest edge of the meshes from which the infinite crystal is extrapolated, at least."""

FloatArray = NDArray[np.float64]


def finite_size(
    cell: Atoms, repeats: Sequence[int], springs: Sequence[float], *, temperature_k: float, n_lattice_points: int
) -> tuple[float, float]:
    """Return what a large crystal has more than a small one, F_∞ − F_N, and its standard deviation, eV/atom.

    Args:
        cell: Unit cell of the crystal, as large as it is at this temperature.
        repeats: Number of cells along its three edges in the box of the simulation.
        springs: 3kT/⟨u²⟩ of every atom of the cell, eV/Å², shape (n_cell,).
        temperature_k: Temperature, K.
        n_lattice_points: Number of primitive cells in the cell.
    """
    kT = KB * temperature_k
    shape = np.array(repeats)
    n_atoms = len(cell) * int(shape.prod())
    stiffness = mode_stiffness(cell, shape)
    scale = np.sum(1 / stiffness) / n_atoms / np.mean(3 / np.array(springs))
    small = 0.5 * float(np.log(stiffness).sum()) - n_atoms * _per_atom(cell, shape)
    volume = float(cell.cell.volume) / n_lattice_points
    excess = small - 1.5 * math.log(n_atoms) - math.log(volume) + 1.5 * math.log(2 * math.pi * kT / scale)
    lacking = -kT * excess / n_atoms
    return lacking, UNCERTAIN * abs(lacking - 0.5 * kT * math.log(n_atoms) / n_atoms)


def _per_atom(cell: Atoms, shape: NDArray[np.int_]) -> float:
    """Return s, half the mean logarithm of the stiffness per atom in an infinite crystal."""
    factor = max(1, math.ceil(FINEST / 2 / shape.min()))
    sizes, sums = [], []
    for mesh in (factor * shape, 2 * factor * shape):
        sizes.append(len(cell) * int(mesh.prod()))
        sums.append(0.5 * float(np.log(mode_stiffness(cell, mesh)).sum()) - math.log(sizes[-1]))
    return (sums[1] - sums[0]) / (sizes[1] - sizes[0])


def mode_stiffness(cell: Atoms, mesh: Sequence[int] | NDArray[np.int_]) -> FloatArray:
    """Return the force constants of all modes with q ≠ 0 and of the optical ones at q = 0, shape (3 N − 3,).

    Springs between atoms have the stiffness r⁻⁶ in units of the shortest distance.
    """
    shortest = float(neighbor_list("d", cell, _nearest(cell) * 1.01).min())
    i, j, distance, vector = neighbor_list("ijdD", cell, REACH * shortest)
    unit = vector / distance[:, None]
    spring = (distance / shortest) ** -EXPONENT
    blocks = spring[:, None, None] * unit[:, :, None] * unit[:, None, :]
    n = len(cell)
    own = np.zeros((n, 3, 3))
    np.add.at(own, i, blocks)
    q = 2 * np.pi * _wave_vectors(cell, np.array(mesh))
    matrix = np.zeros((len(q), n, 3, n, 3), dtype=np.complex128)
    for first, second, block, r in zip(i, j, blocks, vector, strict=True):
        matrix[:, first, :, second, :] -= np.exp(1j * q @ r)[:, None, None] * block
    for atom in range(n):
        matrix[:, atom, :, atom, :] += own[atom]
    values = np.linalg.eigvalsh(matrix.reshape(len(q), 3 * n, 3 * n))
    return np.sort(values.ravel())[3:]  # but the three that move the crystal as a whole


def _nearest(cell: Atoms) -> float:
    """Return a radius within which every atom has a neighbour."""
    return float(2 * (cell.cell.volume / len(cell)) ** (1 / 3))


def _wave_vectors(cell: Atoms, mesh: NDArray[np.int_]) -> FloatArray:
    """Return the wave vectors that fit into a block of cells, 1/Å, shape (n_cells, 3)."""
    fractions = np.stack(np.meshgrid(*[np.arange(n) / n for n in mesh], indexing="ij"), axis=-1).reshape(-1, 3)
    return np.asarray(fractions @ np.linalg.inv(cell.cell.array).T)
