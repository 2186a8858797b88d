"""Frames whose energies and ∂U/∂θ are asked for again and again, at changing parameters.

A step in the parameters evaluates the same frames many times, and a calibration does so for several versions of one
model. Where everything but a small function of θ is the same for all of them (a moment-network: neighbours, moments,
invariants), it is computed once per frame and kept: U(θ; x) = f(θ; features(x)). A family offers this by an energy
function with the two methods of :class:`FeatureFunction`; for all others :func:`prepare` is the plain evaluation, and
callers need not know the difference.

Frames run one after the other, as everywhere (:mod:`~phasecal.potentials.base`); the features are float64.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from phasecal.errors import DataError
from phasecal.potentials.base import FLOAT, Frames, Model, energies, gradients


@runtime_checkable
class FeatureFunction(Protocol):
    """An energy function that is a function of θ and of features that do not depend on θ."""

    def features(
        self, positions: ArrayLike, cell: ArrayLike, species: ArrayLike, neighbors: ArrayLike, shifts: ArrayLike
    ) -> Any:
        """Return the features of a configuration, a pytree of arrays."""

    def from_features(self, theta: ArrayLike, features: Any, species: ArrayLike) -> Array:
        """Return the energy of a configuration, eV."""


class Prepared(Protocol):
    """Frames that are ready to be evaluated at any θ."""

    def energies(self, theta: ArrayLike) -> FLOAT:
        """Return the potential energy of every frame, eV, shape (n_frames,)."""

    def gradients(self, theta: ArrayLike) -> FLOAT:
        """Return ∂U/∂θ of every frame, eV per unit of θ, shape (n_frames, n_parameters)."""


class _Plain:
    """Frames of a family without features: every evaluation starts at the positions."""

    def __init__(self, model: Model, frames: Frames) -> None:
        self.model, self.frames = model, frames

    def energies(self, theta: ArrayLike) -> FLOAT:
        """Return energies (see :class:`Prepared`)."""
        return energies(self.model, self.frames, theta)

    def gradients(self, theta: ArrayLike) -> FLOAT:
        """Return gradients (see :class:`Prepared`)."""
        return gradients(self.model, self.frames, theta)


class _Featured:
    """Frames with stored features."""

    def __init__(self, function: FeatureFunction, frames: Frames) -> None:
        self.function = function
        self.species = jnp.asarray(frames.species)
        self.features = [
            _features(function, positions, cell, self.species, neighbors, shifts)
            for positions, cell, neighbors, shifts in zip(
                frames.positions, frames.cells, frames.neighbors, frames.shifts, strict=True
            )
        ]

    def energies(self, theta: ArrayLike) -> FLOAT:
        """Return energies (see :class:`Prepared`)."""
        theta = jnp.asarray(theta, dtype=jnp.float64)
        return np.array([float(_energy(self.function, theta, x, self.species)) for x in self.features])

    def gradients(self, theta: ArrayLike) -> FLOAT:
        """Return gradients (see :class:`Prepared`)."""
        theta = jnp.asarray(theta, dtype=jnp.float64)
        return np.stack([np.asarray(_gradient(self.function, theta, x, self.species)) for x in self.features])


def prepare(model: Model, frames: Frames) -> Prepared:
    """Return frames that are ready to be evaluated at any parameters of the versions of a model.

    Args:
        model: Any version of it.
        frames: Configurations with neighbour lists of at least the model's cutoff.

    Raises:
        DataError: The neighbour lists are shorter than that.
    """
    if not isinstance(model.energy_function, FeatureFunction):
        return _Plain(model, frames)
    if frames.cutoff < model.cutoff:
        raise DataError(f"neighbour lists to {frames.cutoff} Å are too short for a cutoff of {model.cutoff} Å")
    return _Featured(model.energy_function, frames)


@jax.jit
def _features(function: FeatureFunction, *frame: Array) -> Any:
    return function.features(*frame)


@jax.jit
def _energy(function: FeatureFunction, theta: Array, features: Any, species: Array) -> Array:
    return function.from_features(theta, features, species)


@jax.jit
def _gradient(function: FeatureFunction, theta: Array, features: Any, species: Array) -> Array:
    gradient: Array = jax.grad(function.from_features)(theta, features, species)
    return gradient
