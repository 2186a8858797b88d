"""Energy, forces and stress of a batch, and how far they are from the labels.

With g_ik = ∂U/∂r_ik for the vector r_ik from atom i to its neighbour k,

    F_i = Σ_k g_ik − Σ_(j,k→i) g_jk,    σ = (1/V) Σ_ik r_ik ⊗ g_ik,

so that one derivative by the vectors gives both. The loss is the sum of the means, over energies per atom, force
components and stress components, of the square of the error in units of the accuracy asked for. A few frames that no
model of this size can describe, a gas or a crush, must not decide the fit: the unit of a force is the accuracy or a
tenth of the force, and beyond five units the loss is linear (Huber, Ann. Math. Stat. 35, 73 (1964)).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax  # type: ignore[import-untyped]  # optax has no type hints
from jax import Array
from jax.typing import ArrayLike

from phasecal.fitting.batches import Batch
from phasecal.potentials.moment_network import MomentAtoms

FORCE_FRACTION = 0.1
"""Share of an atom's force by which its error may be larger than the accuracy asked for."""
LINEAR_BEYOND = 5.0
"""Errors in units of the accuracy asked for, beyond which the loss is linear."""
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


def _differences(atoms: MomentAtoms, weights: Weights, batch: Batch) -> tuple[Array, Array, Array]:
    """Return prediction minus label: of the energy, eV/atom; the forces, eV/Å; and the stress, eV/Å³."""
    energy, forces, stress = predict(atoms, weights, batch)
    return (energy - batch.energies) / batch.counts, forces - batch.forces, stress - batch.stresses


def _masks(batch: Batch) -> tuple[Array, Array, Array]:
    """Return which of these are labelled: 1 or 0, of shapes that broadcast to theirs."""
    weights, real, stress = (jnp.asarray(x) for x in (batch.weights, batch.real, batch.stress_weights))
    return weights, real[:, None], stress[:, None, None]


@jax.jit
def errors(atoms: MomentAtoms, weights: Weights, batch: Batch) -> Errors:
    """Return how far a batch is from its labels."""
    masks = _masks(batch)
    squares = [jnp.sum(mask * d**2) for mask, d in zip(masks, _differences(atoms, weights, batch), strict=True)]
    counts = [size * jnp.sum(mask) for size, mask in zip((1.0, 3.0, 9.0), masks, strict=True)]
    return Errors(*squares, *counts)


def loss(atoms: MomentAtoms, weights: Weights, batch: Batch, accuracy: tuple[float, float, float]) -> Array:
    """Return the loss of a batch.

    Args:
        atoms: Everything that is not trained.
        weights: What is.
        batch: The frames.
        accuracy: Errors that count as 1: eV/atom, eV/Å, eV/Å³.
    """
    total = jnp.zeros(())
    for mask, size, difference, unit in zip(
        _masks(batch), (1.0, 3.0, 9.0), _differences(atoms, weights, batch), _units(batch, accuracy), strict=True
    ):
        # optax halves the square
        losses = 2.0 * optax.losses.huber_loss(difference / unit, delta=LINEAR_BEYOND)
        total = total + jnp.sum(mask * losses) / jnp.maximum(size * jnp.sum(mask), 1.0)
    return total


def _units(batch: Batch, accuracy: tuple[float, float, float]) -> tuple[ArrayLike, ArrayLike, ArrayLike]:
    """Return which errors count as 1."""
    energy, force, stress = accuracy
    size = jnp.linalg.norm(jnp.asarray(batch.forces), axis=1, keepdims=True)
    return energy, jnp.hypot(force, FORCE_FRACTION * size), stress
