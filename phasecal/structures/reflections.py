"""Reflections of perfect crystals."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from phasecal.errors import InputError

FULL_AMPLITUDE = 0.999
"""A reflection counts when the perfect crystal scatters at least this fraction of the maximum."""


def bragg_vectors(crystal: Atoms, repeats: tuple[int, int, int], *, in_plane: bool = False) -> NDArray[np.int64]:
    """Find the shortest reflections in which a perfect crystal scatters fully.

    Args:
        crystal: Conventional cell.
        repeats: How often it is repeated along each cell vector in the frames to be analysed.
        in_plane: Only reflections without a component along the third axis.

    Returns:
        Miller indices with respect to the repeated cell, one of each ±pair, shape (n_vectors, 3): whole
        shells of equal length, shortest first, until they span all (in-plane: two) directions.

    Raises:
        InputError: No such reflections among Miller indices up to 4 (not a crystal).
    """
    rank = 2 if in_plane else 3
    span = np.arange(-4, 5)
    grid = np.stack(np.meshgrid(span, span, [0] if in_plane else span, indexing="ij"), axis=-1).reshape(-1, 3)
    grid = grid[[tuple(h) > (0, 0, 0) for h in grid.tolist()]]
    scaled = crystal.cell.scaled_positions(crystal.positions)
    amplitude = np.abs(np.exp(2j * np.pi * grid @ scaled.T).mean(axis=1))
    grid = grid[amplitude > FULL_AMPLITUDE]
    lengths = np.linalg.norm(grid @ crystal.cell.reciprocal().array, axis=1).round(6)
    for length in np.unique(lengths):
        shell = grid[lengths <= length]
        if np.linalg.matrix_rank(shell) == rank:
            indices: NDArray[np.int64] = (shell * np.array(repeats)).astype(np.int64)
            return indices
    raise InputError("no reflections found in which this structure scatters fully")
