"""Neighbour lists of moving atoms, used as long as no pair can have come into reach unseen.

A list holds all pairs within ``cutoff + SKIN`` of its reference configuration. When the edges have changed by factors
of at least s and no atom has moved by more than d beyond that, a pair that is not in the list is further apart than
s (cutoff + SKIN) − 2d. As long as that exceeds the cutoff the list is exact.

Rows have a fixed width, because every new width is a new compilation. It has room to spare and grows in steps.

On a CPU lists are made by cells (matscipy). An accelerator looks at all pairs of a box that is so long that of each
pair only the nearest images can be in reach: that is more work, but no way to the host and back.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from matscipy.neighbours import neighbour_list
from numpy.typing import NDArray

from phasecal.engines.jaxmd.state import State
from phasecal.engines.lammps.task import SKIN
from phasecal.structures.neighbors import WIDTH_STEP

SPARE = 1.1
"""Room in new rows, in units of the longest one."""


class Lists(NamedTuple):
    """The neighbours of one configuration, on host or device; in a batch with a leading axis of replicas.

    Attributes:
        neighbors: Index of each neighbour, padded with ``n_atoms``, int32, shape (n_atoms, width).
        shifts: Cell image of each: it sits at ``positions[j] + shift * edges``; int32, shape (n_atoms, width, 3).
        positions: Unwrapped positions that the list was made for, Å, shape (n_atoms, 3).
        edges: Edges that it was made for, Å, shape (3,).
    """

    neighbors: Array | NDArray[Any]
    shifts: Array | NDArray[Any]
    positions: Array | NDArray[Any]
    edges: Array | NDArray[Any]


def exact(lists: Lists, state: State, cutoff: Array) -> Array:
    """Say whether the list holds all pairs within the cutoff, Å, of a state."""
    stretch = state.edges / lists.edges
    moved = state.positions - lists.positions * stretch
    furthest = jnp.sqrt(jnp.max(jnp.sum(moved * moved, axis=-1)))
    return stretch.min() * (cutoff + SKIN) - 2 * furthest > cutoff


def padded(longest: int) -> int:
    """Return the width of rows of which the longest one has so many neighbours."""
    return -(-int(SPARE * longest) // WIDTH_STEP) * WIDTH_STEP


@partial(jax.jit, static_argnums=3)
def lists_of_all_pairs(positions: Array, edges: Array, reach: Array, width: int) -> tuple[Lists, Array]:
    """List all pairs within reach on the device, in boxes of which every edge is longer than twice the reach.

    Args:
        positions: Unwrapped positions, Å, shape (n_replicas, n_atoms, 3).
        edges: Å, shape (n_replicas, 3).
        reach: Å.
        width: Width of the rows.

    Returns:
        The lists of all replicas, and the number of neighbours of the atom that has most. They are whole if that is not
        more than the width.
    """
    n_atoms = positions.shape[1]
    numbers = jnp.arange(n_atoms, dtype=jnp.int32)

    def listed(replica: tuple[Array, Array]) -> tuple[Array, Array, Array]:
        x, edge = replica
        vectors = x[None, :, :] - x[:, None, :]
        images = -jnp.round(vectors / edge).astype(jnp.int32)
        near = jnp.sum((vectors + images * edge) ** 2, axis=-1) < reach**2
        near &= numbers[:, None] != numbers
        neighbors = jnp.sort(jnp.where(near, numbers, n_atoms), axis=1)[:, :width]
        neighbors = jnp.pad(neighbors, [(0, 0), (0, width - neighbors.shape[1])], constant_values=n_atoms)
        rows, exists = numbers[:, None], neighbors < n_atoms
        shifts = jnp.where(exists[..., None], images[rows, jnp.where(exists, neighbors, 0)], 0)
        return neighbors, shifts, near.sum(axis=1).max()

    neighbors, shifts, most = jax.lax.map(listed, (positions, edges))
    return Lists(neighbors, shifts, positions, edges), most.max()


def make_lists(
    positions: NDArray[np.float64], edges: NDArray[np.float64], cutoff: float, width: int
) -> tuple[Lists, int]:
    """List all pairs within ``cutoff + SKIN`` on the host.

    Args:
        positions: Unwrapped positions, Å, shape (n_atoms, 3).
        edges: Å, shape (3,); may be shorter than the cutoff.
        cutoff: Of the potential, Å.
        width: Width of the rows; more when that does not suffice.

    Returns:
        The lists as host arrays, and their width.
    """
    n_atoms = len(positions)
    boxes = np.floor(positions / edges).astype(np.int32)
    i, j, shift = neighbour_list(
        "ijS", positions=positions - boxes * edges, cell=np.diag(edges), pbc=[True] * 3, cutoff=cutoff + SKIN
    )
    count = np.bincount(i, minlength=n_atoms)
    longest = int(count.max(initial=1))
    if longest > width:
        width = padded(longest)
    neighbors: NDArray[np.int32] = np.full((n_atoms, width), n_atoms, dtype=np.int32)
    shifts: NDArray[np.int32] = np.zeros((n_atoms, width, 3), dtype=np.int32)
    slot = np.arange(len(i)) - np.repeat(np.cumsum(count) - count, count)
    neighbors[i, slot] = j
    shifts[i, slot] = shift + boxes[i] - boxes[j]
    return Lists(neighbors, shifts, positions, edges), width


def widened(lists: Lists, width: int) -> Lists:
    """Return lists with wider rows, on the device."""
    neighbors, shifts = jnp.asarray(lists.neighbors), jnp.asarray(lists.shifts)
    n_atoms, narrow = neighbors.shape[-2:]
    pad = [*[(0, 0)] * (neighbors.ndim - 1), (0, width - narrow)]
    return lists._replace(
        neighbors=jnp.pad(neighbors, pad, constant_values=n_atoms), shifts=jnp.pad(shifts, [*pad, (0, 0)])
    )
