"""Local models: the energy is a sum of atom energies, each of which depends only on what is within the cutoff.

    U = Σ_i e_i({r_ij : |r_ij| < r_c}),    F_i = Σ_j (g_ij − g_ji),    −∂U/∂ε = −Σ_ij r_ij ⊗ g_ij,    g_ij = ∂e_i/∂r_ij,

with r_ij the vector from atom i to its neighbour j. Whoever has the neighbours of an atom has its energy, and whoever
owns atom i knows all g_ij: models of this kind are exact where a cell is divided among processes, with one exchange of
forces. Embedded atoms (F(ρ_i) and half of the pair sum) and Lennard-Jones are local; a model that passes messages
between atoms is not, nor is one with long-range forces.

Where atoms pass messages, the energy is still a function of all vectors r_ij to neighbours, together with whose
neighbour each is: the formulas hold with g_ij = ∂U/∂r_ij. But g_ij then depends on atoms beyond the neighbours of i, so
that one process must have all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from numpy.typing import NDArray


class AtomEnergies(Protocol):
    """A pytree of a model's arrays that computes the energy of each atom from its neighbours."""

    def __call__(self, theta: ArrayLike, vectors: ArrayLike, species: ArrayLike, neighbor_species: ArrayLike) -> Array:
        """Return the energy of each atom, eV, shape (n_atoms,).

        Args:
            theta: Parameters, shape (n_parameters,).
            vectors: From each atom to its neighbours, Å, shape (n_atoms, width, 3). Padding is longer than the cutoff
                and contributes exactly nothing, to derivatives neither.
            species: Index of each atom into the model's elements, shape (n_atoms,).
            neighbor_species: The same of the neighbours, shape (n_atoms, width); any valid index for padding.
        """


@runtime_checkable
class LocalModel(Protocol):
    """A model whose energy is a sum of atom energies."""

    @property
    def cutoff(self) -> float:
        """Distance beyond which atoms do not interact, Å."""

    @property
    def atom_energies(self) -> AtomEnergies:
        """The model's arrays on the device, as a pytree that computes the energy of each atom."""


@runtime_checkable
class NativeModel(Protocol):
    """A model that the LAMMPS plugin computes by itself, without JAX (:mod:`phasecal.native`)."""

    @property
    def native(self) -> tuple[str, Mapping[str, NDArray[Any]]]:
        """Formula, with its revision, and the arrays that it needs."""


class GraphEnergies(Protocol):
    """A pytree of a model's arrays that computes the energy of each atom from all neighbours of all atoms."""

    def __call__(self, theta: ArrayLike, vectors: ArrayLike, species: ArrayLike, neighbors: ArrayLike) -> Array:
        """Return the energy of each atom, eV, shape (n_atoms,).

        Args:
            theta: Parameters, shape (n_parameters,).
            vectors: From each atom to its neighbours, Å, shape (n_atoms, width, 3). Padding is longer than the cutoff
                and contributes exactly nothing, to derivatives neither.
            species: Index of each atom into the model's elements, shape (n_atoms,).
            neighbors: Index of each neighbour, shape (n_atoms, width); any valid index for padding.
        """


@runtime_checkable
class GraphModel(Protocol):
    """A model that passes messages between atoms."""

    @property
    def cutoff(self) -> float:
        """Distance beyond which atoms are no neighbours, Å."""

    @property
    def graph_energies(self) -> GraphEnergies:
        """The model's arrays on the device, as a pytree that computes the energy of each atom."""


def neighbor_vectors(
    positions: ArrayLike, cell: ArrayLike, neighbors: ArrayLike, shifts: ArrayLike, padding: ArrayLike
) -> tuple[Array, Array]:
    """Return vectors from each atom to its neighbours, and the neighbours with a valid index for padding.

    Args:
        positions: Cartesian positions, Å, shape (n_atoms, 3).
        cell: Cell vectors as rows, Å, shape (3, 3).
        neighbors: Full neighbour list padded with ``n_atoms``, shape (n_atoms, width).
        shifts: Cell images of the neighbours, shape (n_atoms, width, 3).
        padding: Each component of the vectors of padding, Å; beyond the cutoff.

    Returns:
        Vectors, Å, shape (n_atoms, width, 3), and indices, shape (n_atoms, width).
    """
    positions, cell = jnp.asarray(positions), jnp.asarray(cell)
    neighbors, shifts = jnp.asarray(neighbors), jnp.asarray(shifts)
    exists = neighbors < positions.shape[0]
    other = jnp.where(exists, neighbors, 0)
    vectors = positions[other] + shifts.astype(positions.dtype) @ cell - positions[:, None, :]
    return jnp.where(exists[..., None], vectors, padding), other
