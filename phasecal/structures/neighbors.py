"""Batches of configurations with their neighbour lists: what potentials compute energies from.

Neighbour lists are full (i–j and j–i), made by matscipy on the host and padded to a common width, so that a
compiled energy function serves every frame. Cells are row vectors (ASE's convention) and may be smaller than
the cutoff.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms
from matscipy.neighbours import neighbour_list
from numpy.typing import NDArray

from phasecal.errors import DataError
from phasecal.sample import Sample

MAX_IMAGES = 100
"""Periodic images within a cutoff, along an edge; they are kept as int8."""
MAX_NEIGHBORS = 100_000
"""Neighbours of an atom; real ones have some hundred."""
MAX_BINS = 1e7
"""Volume of a cell in cubes of the cutoff; so many bins are sorted."""
WIDTH_STEP = 16
"""Neighbour rows are padded to a multiple of this, so that batches of one phase share a compiled function."""


class Frames(NamedTuple):
    """Configurations of the same atoms, with neighbours.

    Attributes:
        positions: Cartesian positions wrapped into the cell, Å, float64, shape (n_frames, n_atoms, 3).
        cells: Cell vectors as rows, Å, float64, shape (n_frames, 3, 3).
        species: Index of each atom into the model's elements, int32, shape (n_atoms,).
        neighbors: Index of each neighbour, padded with ``n_atoms``, int32, shape (n_frames, n_atoms, width).
        shifts: Cell image of each neighbour: it sits at ``positions[j] + shift @ cell``; int8,
            shape (n_frames, n_atoms, width, 3).
        cutoff: Radius of the neighbour lists, Å.
    """

    positions: NDArray[np.float64]
    cells: NDArray[np.float64]
    species: NDArray[np.int32]
    neighbors: NDArray[np.int32]
    shifts: NDArray[np.int8]
    cutoff: float

    def take(self, indices: Sequence[int] | NDArray[np.integer] | slice) -> Frames:
        """Return some of the frames."""
        index = indices if isinstance(indices, slice) else np.asarray(indices)
        return self._replace(
            positions=self.positions[index],
            cells=self.cells[index],
            neighbors=self.neighbors[index],
            shifts=self.shifts[index],
        )

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return int(self.positions.shape[0])

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return int(self.positions.shape[1])

    @property
    def volumes(self) -> NDArray[np.float64]:
        """Cell volumes, Å³, shape (n_frames,)."""
        return np.asarray(np.abs(np.linalg.det(self.cells)))


def frames_from_sample(sample: Sample, cutoff: float, stride: int = 1) -> Frames:
    """Make frames with neighbour lists from a sample.

    Args:
        sample: Frames of one phase.
        cutoff: Radius of the neighbour lists, Å; at least the cutoff of every model they are used with.
        stride: Take every ``stride``-th frame.
    """
    return _frames(sample.positions[::stride], sample.cells[::stride], sample.species, cutoff)


def frames_from_atoms(atoms: Sequence[Atoms], elements: Sequence[str], cutoff: float) -> Frames:
    """Make frames with neighbour lists from periodic ASE structures of the same composition and order.

    Args:
        atoms: Structures, periodic in all directions.
        elements: The model's elements; ``species`` are indices into them.
        cutoff: Radius of the neighbour lists, Å.

    Raises:
        DataError: The structures differ in their atoms, or hold an element that is not in ``elements``.
    """
    symbols = list(atoms[0].symbols)
    if any(list(other.symbols) != symbols for other in atoms):
        raise DataError("frames of one batch must hold the same atoms in the same order")
    missing = sorted(set(symbols) - set(elements))
    if missing:
        raise DataError(f"the model has no {', '.join(missing)}; its elements are {', '.join(elements)}")
    species = np.array([list(elements).index(symbol) for symbol in symbols], dtype=np.int32)
    positions = np.array([frame.positions for frame in atoms])
    return _frames(positions, np.array([frame.cell.array for frame in atoms]), species, cutoff)


def _check_cells(cells: NDArray[np.float64], n_atoms: int, cutoff: float) -> None:
    """Check that the neighbours in frames can be listed: cells neither flat nor empty nor overfull.

    Raises:
        DataError: They cannot.
    """
    with np.errstate(all="ignore"):  # what overflows is refused
        volumes = np.abs(np.linalg.det(cells))
        faces = np.linalg.norm(np.cross(cells[:, [1, 2, 0]], cells[:, [2, 0, 1]]), axis=2)
        heights = volumes[:, None] / faces / cutoff
        n_neighbors = 4.2 * cutoff**3 * n_atoms / volumes
    if not ((heights > 1 / MAX_IMAGES).all() and (n_neighbors < MAX_NEIGHBORS).all()):
        raise DataError(f"{n_atoms} atoms are in a cell too flat or too small for neighbours up to {cutoff:g} Å")
    if not (heights.prod(axis=1) < MAX_BINS).all():
        raise DataError(f"{n_atoms} atoms are in a cell too large for neighbours up to {cutoff:g} Å")


def _frames(
    positions: NDArray[np.floating], cells: NDArray[np.float64], species: NDArray[np.int32], cutoff: float
) -> Frames:
    """Wrap the positions, list the neighbours of every frame and pad the lists to one width."""
    cells = np.array(cells, dtype=np.float64)
    _check_cells(cells, positions.shape[1], cutoff)
    fractional = np.matmul(positions.astype(np.float64), np.linalg.inv(cells))
    wrapped = np.matmul(fractional - np.floor(fractional), cells)
    lists = [
        neighbour_list("ijS", positions=x, cell=c, pbc=[True] * 3, cutoff=cutoff)
        for x, c in zip(wrapped, cells, strict=True)
    ]
    n_atoms = wrapped.shape[1]
    counts = [np.bincount(i, minlength=n_atoms) for i, _, _ in lists]
    width = -(-max(1, *(int(count.max()) for count in counts)) // WIDTH_STEP) * WIDTH_STEP
    neighbors = np.full((len(lists), n_atoms, width), n_atoms, dtype=np.int32)
    shifts = np.zeros((len(lists), n_atoms, width, 3), dtype=np.int8)
    for frame, ((i, j, shift), count) in enumerate(zip(lists, counts, strict=True)):
        slot = np.arange(len(i)) - np.repeat(np.cumsum(count) - count, count)
        neighbors[frame, i, slot] = j
        shifts[frame, i, slot] = shift
    return Frames(wrapped, cells, np.array(species, dtype=np.int32), neighbors, shifts, cutoff)
