"""Which components of a crystal's stress and elastic tensors are independent under its point group."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import spglib
from ase import Atoms
from numpy.typing import NDArray

from phasecal.errors import InputError

FLOAT = NDArray[np.float64]

SYMMETRY_TOLERANCE = 1e-3
"""Atoms closer than this to where symmetry puts them count as symmetric, Å."""

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""Tensor indices of the Voigt components xx, yy, zz, yz, xz, xy."""


def primitive(atoms: Atoms) -> Atoms:
    """Return the primitive cell, without rotating or idealising the structure.

    Raises:
        InputError: The structure has no recognisable symmetry (overlapping atoms, a flat cell).
    """
    found = _analysed(spglib.standardize_cell, atoms, to_primitive=True, no_idealize=True)
    cell, scaled, numbers = found
    return Atoms(numbers=numbers, cell=cell, scaled_positions=scaled, pbc=True)


def independent_stresses(atoms: Atoms) -> list[int]:
    """Return Voigt indices of the stress components that, with the pressure, fix the stress of a crystal.

    The pressure comes first and is not listed: nothing is left for a cubic crystal, zz for a hexagonal one.
    """
    order = [2, 0, 1, 3, 4, 5]
    tensors = np.array([np.eye(3) / 3.0, *(_unit(*VOIGT[index]) for index in order)])
    rotations = cartesian_rotations(atoms)
    projected = np.einsum("nai,nbj,tij->tab", rotations, rotations, tensors) / len(rotations)
    return [order[row - 1] for row in _independent(projected) if row > 0]


def independent_elastic_constants(atoms: Atoms) -> list[tuple[int, int]]:
    """Return Voigt index pairs of an independent set of elastic constants: (0, 0), (0, 1), (3, 3) if cubic."""
    pairs = [(i, j) for i in range(6) for j in range(i, 6)]
    units = [(_unit(*VOIGT[i]), _unit(*VOIGT[j])) for i, j in pairs]
    tensors = np.array([np.multiply.outer(a, b) + np.multiply.outer(b, a) for a, b in units]) / 2.0
    rotations = cartesian_rotations(atoms)
    projected = np.zeros_like(tensors)
    for rotation in rotations:
        projected += np.einsum(
            "ai,bj,ck,dl,tijkl->tabcd", rotation, rotation, rotation, rotation, tensors, optimize=True
        )
    return [pairs[row] for row in _independent(projected / len(rotations))]


def cartesian_rotations(atoms: Atoms) -> FLOAT:
    """Return the point group of the crystal as Cartesian matrices R (columns x ↦ R x), shape (n, 3, 3).

    Raises:
        InputError: The structure has no recognisable symmetry.
    """
    found = _analysed(spglib.get_symmetry, atoms)
    columns = atoms.cell.array.T
    return np.asarray(columns @ np.unique(found["rotations"], axis=0) @ np.linalg.inv(columns))


def _analysed(function: Callable[..., Any], atoms: Atoms, **options: bool) -> Any:
    """Call spglib, which tells failures by exceptions or by None, depending on its version."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # about that very change
        try:
            found = function(_spglib_cell(atoms), symprec=SYMMETRY_TOLERANCE, **options)
        except spglib.SpglibError:
            found = None
    if found is None:
        raise InputError(f"{atoms.symbols} is not a crystal that spglib can analyse (do atoms overlap?)")
    return found


def _spglib_cell(atoms: Atoms) -> tuple[list[list[float]], list[list[float]], list[int]]:
    """Return cell, fractional positions and atomic numbers."""
    fractional = np.linalg.solve(atoms.cell.array.T, atoms.positions.T).T
    return atoms.cell.array.tolist(), fractional.tolist(), atoms.numbers.tolist()


def _unit(i: int, j: int) -> FLOAT:
    """Return the symmetric tensor whose product with a symmetric T is T_ij."""
    tensor = np.zeros((3, 3))
    tensor[i, j] += 0.5
    tensor[j, i] += 0.5
    return tensor


def _independent(tensors: FLOAT) -> list[int]:
    """Return the rows that are not combinations of earlier rows (Gram–Schmidt)."""
    basis: list[FLOAT] = []
    chosen = []
    for index, row in enumerate(tensors.reshape(len(tensors), -1)):
        rest = row - sum((vector * (vector @ row) for vector in basis), np.zeros_like(row))
        if np.linalg.norm(rest) > 1e-6:
            basis.append(rest / np.linalg.norm(rest))
            chosen.append(index)
    return chosen
