"""Energy, forces and stress of a batch, and how far they are from the labels.

With g_ik = ∂U/∂r_ik for the vector r_ik from atom i to its neighbour k,

    F_i = Σ_k g_ik − Σ_(j,k→i) g_jk,    σ = (1/V) Σ_ik r_ik ⊗ g_ik,

so that one derivative by the vectors gives both. The loss is the sum of the mean squares of the error of the energy per
atom, of a force component and of a stress component, each in units of the accuracy asked for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from phasecal.fitting.batches import Batch
from phasecal.potentials.moment_network import MomentAtoms

Weights = dict[str, Array]
"""What is trained: ``theta`` and ``radial``."""


class Errors(NamedTuple):
    """Sums of squares over a batch, and how many numbers each holds; sums of these add up.

    Attributes:
        energy: (eV/atom)².
        force: (eV/Å)².
        stress: (eV/Å³)².
        n_energy: Frames.
        n_force: Force components.
        n_stress: Stress components.
    """

    energy: Array
    force: Array
    stress: Array
    n_energy: Array
    n_force: Array
    n_stress: Array


def predict(atoms: MomentAtoms, weights: Weights, batch: Batch) -> tuple[Array, Array, Array]:
    """Return energies beyond the references (eV), forces (eV/Å) and stresses (eV/Å³) of a batch."""
    n_frames = len(batch.counts)
    model = replace(atoms, radial=weights["radial"])
    owner = jnp.asarray(batch.frame)

    def total(vectors: Array) -> tuple[Array, Array]:
        energies = model(weights["theta"], vectors, batch.species, batch.neighbor_species) * batch.real
        return jnp.sum(energies), energies

    vectors = jnp.asarray(batch.vectors)
    slope, energies = jax.grad(total, has_aux=True)(vectors)
    energy = jax.ops.segment_sum(energies, owner, n_frames + 1)[:n_frames]
    flat = slope.reshape(-1, 3)
    reaction = jax.ops.segment_sum(flat, jnp.asarray(batch.neighbors).ravel(), slope.shape[0])
    strain = jax.ops.segment_sum(jnp.einsum("ika,ikb->iab", vectors, slope), owner, n_frames + 1)[:n_frames]
    return energy, jnp.sum(slope, axis=1) - reaction, strain / batch.volumes[:, None, None]


@jax.jit
def errors(atoms: MomentAtoms, weights: Weights, batch: Batch) -> Errors:
    """Return how far a batch is from its labels."""
    energy, forces, stress = predict(atoms, weights, batch)
    return Errors(
        energy=jnp.sum(batch.weights * ((energy - batch.energies) / batch.counts) ** 2),
        force=jnp.sum(batch.real[:, None] * (forces - batch.forces) ** 2),
        stress=jnp.sum(batch.stress_weights[:, None, None] * (stress - batch.stresses) ** 2),
        n_energy=jnp.sum(batch.weights),
        n_force=3.0 * jnp.sum(batch.real),
        n_stress=9.0 * jnp.sum(batch.stress_weights),
    )


def loss(atoms: MomentAtoms, weights: Weights, batch: Batch, accuracy: tuple[float, float, float]) -> Array:
    """Return the loss of a batch.

    Args:
        atoms: Everything that is not trained.
        weights: What is.
        batch: The frames.
        accuracy: Errors that count as 1: eV/atom, eV/Å, eV/Å³.
    """
    found = errors(atoms, weights, batch)
    parts = zip(
        (found.energy, found.force, found.stress),
        (found.n_energy, found.n_force, found.n_stress),
        accuracy,
        strict=True,
    )
    total: Array = sum((square / jnp.maximum(count, 1.0) / unit**2 for square, count, unit in parts), jnp.zeros(()))
    return total
