"""The potential energy as molecular dynamics computes it: atoms in single precision, their sum in double.

A model whose energy is a sum over atoms gives the energy e_i of each and its slopes ∂U/∂r_ij from vectors between
neighbours (:mod:`phasecal.potentials.local`). Vectors are differences of positions in double precision, rounded once;
e_i and slopes are then single, as in the artifact that LAMMPS runs, and everything that is summed over many atoms or
steps is double. An error of 1e-7 of an atom's energy is far below what a thermostat does in a step; what is compared or
reweighted afterwards is computed anew, in double, from the frames.

Networks of other packages make constants of JAX's default type, so energies *and* slopes are traced in JAX's single
mode: in a mixed one they would be doubles without saying so.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from phasecal.potentials.base import EnergyFunction, Model
from phasecal.potentials.local import AtomEnergies, GraphEnergies, GraphModel, LocalModel, neighbor_vectors
from phasecal.potentials.moment_network import MomentNetworkModel


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SumOfAtoms:
    """An :class:`~phasecal.potentials.base.EnergyFunction` whose atoms are computed in single precision.

    Attributes:
        atoms: What computes their energies, with its real numbers in single precision.
        cutoff: Å.
        passes_messages: Whether it takes the indices of neighbours and not their species.
    """

    atoms: AtomEnergies | GraphEnergies
    cutoff: float = field(metadata={"static": True})
    passes_messages: bool = field(metadata={"static": True})

    def __call__(
        self,
        theta: ArrayLike,
        positions: ArrayLike,
        cell: ArrayLike,
        species: ArrayLike,
        neighbors: ArrayLike,
        shifts: ArrayLike,
    ) -> Array:
        """Return the energy of one configuration, eV (arguments as in :meth:`Model.energy`)."""
        vectors, other = neighbor_vectors(positions, cell, neighbors, shifts, 2.0 * self.cutoff)
        others = other if self.passes_messages else jnp.asarray(species)[other]
        energy: Array = _energy(self.atoms, _single(jnp.asarray(theta)), vectors, species, others)
        return energy


def sampled_energy(model: Model) -> EnergyFunction:
    """Return the energy that molecular dynamics samples.

    It is of single precision per atom where the model is a sum over atoms, unless a moment-network was made for double.
    """
    if isinstance(model, MomentNetworkModel) and model.dtype == "float64":
        return model.energy_function
    if isinstance(model, GraphModel):
        return SumOfAtoms(jax.tree.map(_single, model.graph_energies), model.cutoff, passes_messages=True)
    if isinstance(model, LocalModel):
        return SumOfAtoms(jax.tree.map(_single, model.atom_energies), model.cutoff, passes_messages=False)
    return model.energy_function


def _single(leaf: Array) -> Array:
    """Return an array in single precision if it holds real numbers."""
    return leaf.astype(jnp.float32) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf


@jax.custom_vjp
def _energy(atoms: AtomEnergies | GraphEnergies, theta: Array, vectors: Array, species: Array, others: Array) -> Array:
    """Return the sum of the atoms' energies, eV; only the vectors have a derivative."""
    return _energy_and_slopes(atoms, theta, vectors, species, others)[0]


def _energy_and_slopes(
    atoms: AtomEnergies | GraphEnergies, theta: Array, vectors: Array, species: Array, others: Array
) -> tuple[Array, Array]:
    """Return the energy, and its derivatives by the vectors, eV/Å."""

    def total(v: Array) -> tuple[Array, Array]:
        each = atoms(theta, v, species, others)
        return jnp.sum(each), each

    single = vectors.astype(jnp.float32)
    with jax.enable_x64(False):
        slopes, each = jax.grad(total, has_aux=True)(single)
    return jnp.sum(each.astype(vectors.dtype)), slopes


def _pull_back(slopes: Array, change: Array) -> tuple[None, None, Array, None, None]:
    """Return how the energy changes with the vectors."""
    return None, None, change * slopes.astype(change.dtype), None, None


_energy.defvjp(_energy_and_slopes, _pull_back)
