"""Muon with a cosine of the learning rate and early stopping.

Invariants of a neighbourhood are strongly correlated, which Adam, scaling each weight by itself, cannot undo; Muon
makes the momentum of each matrix of weights orthogonal (Bernstein & Newhouse, arXiv 2409.20325). Biases and last layers
are left to Adam. The learning rate falls as a cosine (Loshchilov & Hutter, arXiv 1608.03983, without restarts). The
gradient's norm is clipped, so that one strange frame cannot ruin the weights. What is kept are the weights of the epoch
with the smallest loss on the validation frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax  # type: ignore[import-untyped]  # optax has no type hints

from phasecal.errors import ConvergenceError
from phasecal.fitting.batches import Batch
from phasecal.fitting.loss import Errors, Weights, errors, loss
from phasecal.fitting.schema import Training
from phasecal.potentials.moment_network import MomentAtoms, layers
from phasecal.units import EV_PER_A3_IN_GPA

Layered = dict[str, Any]
"""``radial``, and ``layers``: a tuple of arrays."""
MAX_NORM = 100.0
"""The gradient is clipped to this norm; losses are of order one near the accuracy asked for."""
WEIGHT_DECAY = 0.05
"""Of matrices. An update of Muon has the same size however small the gradient: without decay weights grow as long as
training lasts, and networks with large weights have walls where there are few data."""


@dataclass(frozen=True)
class Rmse:
    """Root mean square errors; nan where there are no labels.

    Attributes:
        energy_mev_atom: meV/atom.
        force_mev_a: Of a component, meV/Å.
        stress_gpa: Of a component, GPa.
    """

    energy_mev_atom: float
    force_mev_a: float
    stress_gpa: float

    @classmethod
    def of(cls, found: Sequence[Errors]) -> Rmse:
        """Return the errors of several batches together."""
        totals = np.array([[float(x) for x in entry] for entry in found]).sum(axis=0)
        energy, force, stress = (
            math.sqrt(square / count) if count else math.nan
            for square, count in zip(totals[:3], totals[3:], strict=True)
        )
        return cls(1e3 * energy, 1e3 * force, EV_PER_A3_IN_GPA * stress)

    def loss(self, accuracy: tuple[float, float, float]) -> float:
        """Return the loss these errors make (see :func:`phasecal.fitting.loss.loss`)."""
        values = (1e-3 * self.energy_mev_atom, 1e-3 * self.force_mev_a, self.stress_gpa / EV_PER_A3_IN_GPA)
        energy, force, stress = (value / unit * (value / unit) for value, unit in zip(values, accuracy, strict=True))
        return energy + force + (0.0 if math.isnan(stress) else stress)


@dataclass(frozen=True)
class Epoch:
    """One pass over the training frames.

    Attributes:
        number: From 1.
        learning_rate: At its end.
        train_loss: Mean over its updates.
        validation: Errors after it.
        validation_loss: Their loss.
    """

    number: int
    learning_rate: float
    train_loss: float
    validation: Rmse
    validation_loss: float


def descend(
    training: Training,
    atoms: MomentAtoms,
    start: Weights,
    shuffled: Callable[[np.random.Generator], Iterator[Batch]],
    validation: Sequence[Batch],
    accuracy: tuple[float, float, float],
    *,
    seed: int,
    progress: Callable[[Epoch], None] | None = None,
) -> tuple[Weights, list[Epoch], int]:
    """Train.

    Args:
        training: Numbers of the training.
        atoms: Everything that is not trained.
        start: Initial weights.
        shuffled: Returns the training batches in random order.
        validation: Batches that decide when to stop.
        accuracy: See :func:`phasecal.fitting.loss.loss`.
        seed: Of the order.
        progress: Called after every epoch.

    Returns:
        The best weights, the learning curve, and the number of the best epoch.

    Raises:
        ConvergenceError: The loss is not finite.
    """
    rng = np.random.default_rng([seed, 1])
    n_updates = sum(1 for _ in shuffled(np.random.default_rng(0)))
    schedule, optimizer, update = _updater(training.learning_rate, training.epochs * n_updates, accuracy)
    weights, memory = start, optimizer.init(by_layer(start, atoms))
    best, best_number, curve = start, 0, list[Epoch]()
    lowest = math.inf
    for number in range(1, training.epochs + 1):
        losses = []
        for batch in shuffled(rng):
            weights, memory, value = update(atoms, weights, memory, batch)
            losses.append(value)
        found = Rmse.of([errors(atoms, weights, batch) for batch in validation])
        rate = float(schedule(number * n_updates))
        epoch = Epoch(number, rate, float(np.mean([float(x) for x in losses])), found, found.loss(accuracy))
        if not math.isfinite(epoch.train_loss + epoch.validation_loss):
            raise ConvergenceError(
                f"epoch {number}: the loss is not finite; look for wrong labels, or lower training.learning_rate "
                f"(now {training.learning_rate:g})"
            )
        curve.append(epoch)
        if progress:
            progress(epoch)
        if epoch.validation_loss < lowest:
            best, best_number, lowest = weights, number, epoch.validation_loss
        elif number - best_number >= training.patience:
            break
    return best, curve, best_number


@lru_cache(maxsize=8)
def _updater(
    learning_rate: float, n_updates: int, accuracy: tuple[float, float, float]
) -> tuple[Callable[[int], Any], optax.GradientTransformation, Callable[..., tuple[Weights, Any, jax.Array]]]:
    """Return the learning rate by update, the optimiser, and the compiled update; equal fits share a compilation."""
    schedule = optax.cosine_decay_schedule(learning_rate, n_updates)
    muon = optax.contrib.muon(schedule, weight_decay=WEIGHT_DECAY, muon_weight_dimension_numbers=_matrices)
    optimizer = optax.chain(optax.clip_by_global_norm(MAX_NORM), muon)

    @jax.jit
    def update(atoms: MomentAtoms, weights: Weights, memory: Any, batch: Batch) -> tuple[Weights, Any, jax.Array]:
        value, gradient = jax.value_and_grad(lambda w: loss(atoms, w, batch, accuracy))(weights)
        change, memory = optimizer.update(by_layer(gradient, atoms), memory, by_layer(weights, atoms))
        return optax.apply_updates(weights, joined(change)), memory, value

    return schedule, optimizer, update


def by_layer(weights: Weights, atoms: MomentAtoms) -> Layered:
    """Return the weights with an array for each layer, its first axis the element."""
    rows, arrays, start = weights["theta"].reshape(len(atoms.mean), -1), [], 0
    for _, shape in layers(atoms.mean.shape[1], atoms.hidden):
        stop = start + math.prod(shape)
        arrays.append(rows[:, start:stop].reshape(-1, *shape))
        start = stop
    return {"radial": weights["radial"], "layers": tuple(arrays)}


def joined(layered: Layered) -> Weights:
    """Return what :func:`by_layer` took apart."""
    rows = [array.reshape(len(array), -1) for array in layered["layers"]]
    return {"radial": layered["radial"], "theta": jnp.concatenate(rows, axis=1).ravel()}


def _matrices(layered: Layered) -> Layered:
    """Say for each array which axes make a matrix; arrays without are left to Adam."""
    axes = optax.contrib.MuonDimensionNumbers(reduction_axis=1, output_axis=2)
    return {name: jax.tree.map(lambda array: axes if array.ndim == 3 else None, part) for name, part in layered.items()}
