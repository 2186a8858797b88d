"""Models whose energy is a sum of atom energies that see only neighbours within the cutoff.

What engines and exporters need of such a model: one function of the vectors to the neighbours. Everything about
periodic images, ghost atoms and neighbour lists is theirs.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jax import Array
from jax.typing import ArrayLike


class AtomEnergies(Protocol):
    """A pytree of a model's arrays, like an energy function, that computes the energy of every atom."""

    def __call__(
        self, theta: ArrayLike, vectors: ArrayLike, species: ArrayLike, neighbor_species: ArrayLike
    ) -> Array:
        """Return the energy of each atom, eV, shape (n_atoms,).

        Padding neighbours have vectors longer than the cutoff and contribute exactly nothing, also to derivatives.

        Args:
            theta: Parameters, shape (n_parameters,).
            vectors: From each atom to its neighbours, Å, shape (n_atoms, width, 3).
            species: Index of each atom into the model's elements, shape (n_atoms,).
            neighbor_species: The same for its neighbours, shape (n_atoms, width).
        """


@runtime_checkable
class LocalModel(Protocol):
    """A model that is a sum of atom energies."""

    @property
    def cutoff(self) -> float:
        """Distance beyond which atoms do not interact, Å."""

    @property
    def atom_energies(self) -> AtomEnergies:
        """The model's arrays on the device, as a pytree that computes atom energies."""
