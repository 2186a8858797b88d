"""From labelled frames to a moment-network.

Radial functions are trained together with the networks. Shortest distances, standardisation and reference energies
come from the training frames alone; the validation frames decide when to stop, and the test frames are looked at once,
at the end. Training runs in float32; the model holds its weights in float64, the same numbers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from phasecal.errors import InputError
from phasecal.fitting.batches import Batch, Graph, Sizes, collate, graphs, packed, shortest_distances, sizes
from phasecal.fitting.data import Labelled, divide, reference_energies
from phasecal.fitting.descent import Epoch, Rmse, descend
from phasecal.fitting.loss import Weights, errors
from phasecal.fitting.schema import Architecture, Fit
from phasecal.potentials.moment_network import MomentAtoms, MomentNetworkModel
from phasecal.potentials.moments import CLAMP
from phasecal.units import EV_PER_A3_IN_GPA

FLOAT = NDArray[np.float64]
IQR_OF_A_NORMAL = 1.349
"""Distance of the quartiles of a normal distribution, in standard deviations."""


@dataclass(frozen=True)
class Fitted:
    """The outcome of a fit.

    Attributes:
        model: The model.
        curve: All epochs.
        best: Number of the epoch whose weights the model has.
        n_frames: Of training, validation and test, and those left out.
        rmse: Errors of ``train``, ``validation`` and ``test``.
        ignorance: Errors, on the test frames, of a model that knows reference energies only.
        wall_s: s.
    """

    model: MomentNetworkModel
    curve: tuple[Epoch, ...]
    best: int
    n_frames: tuple[int, int, int, int]
    rmse: dict[str, Rmse]
    ignorance: Rmse
    wall_s: float


def fit(config: Fit, frames: Sequence[Labelled], progress: Callable[[Epoch], None] | None = None) -> Fitted:
    """Fit a model.

    Args:
        config: What and how.
        frames: All labelled frames; they are split by the seed.
        progress: Called after every epoch.

    Raises:
        InputError: Too few frames, or atoms closer or farther than a potential can make sense of.
        ConvergenceError: The loss is not finite.
    """
    begin = time.monotonic()
    seen = [graph for graph in graphs(frames, config.model.elements, config.model.cutoff) if _is_seen(graph, config)]
    lists = divide(seen, config.split.validation, config.split.test, config.seed)
    data = _Data.build(config, lists)
    model = _initial(config.model, lists[0], data, config.seed)
    accuracy = (config.accuracy.energy, config.accuracy.force, config.accuracy.stress / EV_PER_A3_IN_GPA)
    start = {name: jnp.asarray(getattr(model, name), dtype=jnp.float32) for name in ("theta", "radial")}
    best, curve, number = descend(
        config.training,
        _training_atoms(model),
        start,
        lambda rng: data.batches(lists[0], rng.permutation(len(lists[0]))),
        list(data.batches(lists[1])),
        accuracy,
        seed=config.seed,
        progress=progress,
    )
    fitted = replace(model, theta=np.asarray(best["theta"], np.float64), radial=np.asarray(best["radial"], np.float64))
    atoms = _training_atoms(fitted)
    zero: Weights = {"theta": 0.0 * best["theta"], "radial": best["radial"]}
    names = ("train", "validation", "test")
    return Fitted(
        model=replace(fitted, references=data.references),
        curve=tuple(curve),
        best=number,
        n_frames=(len(lists[0]), len(lists[1]), len(lists[2]), len(frames) - len(seen)),
        rmse={
            name: Rmse.of([errors(atoms, best, batch) for batch in data.batches(part)])
            for name, part in zip(names, lists, strict=True)
        },
        ignorance=Rmse.of([errors(atoms, zero, batch) for batch in data.batches(lists[2])]),
        wall_s=time.monotonic() - begin,
    )


def _is_seen(graph: Graph, config: Fit) -> bool:
    """Say whether a network sees all distances of a frame; those that it does not see only teach it to be wrong."""
    nearest = CLAMP * (config.model.inner or 0.0)
    return bool((np.linalg.norm(graph.vectors, axis=1) >= nearest).all())


@dataclass(frozen=True)
class _Data:
    """What it takes to make batches.

    Attributes:
        references: eV, shape (n_elements,).
        collate: From frames to a batch.
        shape: Of all batches.
    """

    references: FLOAT
    collate: Callable[[Sequence[Graph]], Batch]
    shape: Sizes

    @classmethod
    def build(cls, config: Fit, lists: Sequence[Sequence[Graph]]) -> _Data:
        """Choose one shape for all batches."""
        size = min(config.training.batch, len(lists[0]))
        references = reference_energies([graph.frame for graph in lists[0]], config.model.elements)
        shape = sizes([graph for part in lists for graph in part], size)
        return cls(
            references,
            partial(collate, references=references, shape=shape, cutoff=config.model.cutoff),
            shape,
        )

    def batches(self, part: Sequence[Graph], order: NDArray[np.integer] | None = None) -> Iterator[Batch]:
        """Yield the frames of a part, in order, some at a time."""
        chosen = part if order is None else [part[i] for i in order]
        for batch in packed(chosen, self.shape):
            yield self.collate(batch)


def _initial(config: Architecture, train: Sequence[Graph], data: _Data, seed: int) -> MomentNetworkModel:
    """Return the model before training: random weights, and invariants standardised over the training frames."""
    shortest = shortest_distances(train, len(config.elements))
    if not (np.isfinite(shortest).all() and shortest.min() > 0.3):
        raise InputError(
            f"the shortest distance in the training frames is {shortest.min():.3g} Å and the cutoff {config.cutoff:g} "
            "Å; expected atoms within the cutoff, and none on top of each other"
        )
    inner = np.maximum(shortest, config.inner or 0.0)
    model = MomentNetworkModel.initial(
        config.elements,
        config.cutoff,
        inner,
        n_radial=config.radial,
        n_basis=config.basis,
        hidden=config.hidden,
        dtype=config.dtype,
        seed=seed,
    )
    atoms = _training_atoms(model)
    parts = [(_features(atoms, batch), batch) for batch in data.batches(train)]
    z = np.concatenate([features[batch.real > 0] for features, batch in parts]).astype(np.float64)
    kinds = np.concatenate([batch.species[batch.real > 0] for _, batch in parts])
    groups = [z[kinds == kind] if (kinds == kind).any() else z for kind in range(len(config.elements))]
    median, scale = zip(*(_standards(group) for group in groups), strict=True)
    return replace(model, mean=np.array(median), scale=np.array(scale))


def _standards(z: FLOAT) -> tuple[FLOAT, FLOAT]:
    """Return location and width of each column: by quartiles, so that a few frames of gas do not flatten the rest.

    A column that hardly varies is not blown up: the width is at least a tenth of its standard deviation, and a
    thousandth of its size.
    """
    low, median, high = np.quantile(z, [0.25, 0.5, 0.75], axis=0)
    size = np.sqrt(np.mean(z**2, axis=0))
    width = np.maximum.reduce([(high - low) / IQR_OF_A_NORMAL, 0.1 * z.std(axis=0), 1e-3 * size])
    return median, width + 1e-6


def _features(atoms: MomentAtoms, batch: Batch) -> NDArray[np.floating]:
    """Return the invariants of all atoms of a batch."""
    return np.asarray(_jitted_features(atoms, batch))


@jax.jit
def _jitted_features(atoms: MomentAtoms, batch: Batch) -> jax.Array:
    return atoms.standardised(batch.vectors, batch.species, batch.neighbor_species)[0]


def _training_atoms(model: MomentNetworkModel) -> MomentAtoms:
    """Return the model's arrays in float32, without reference energies."""
    return replace(model.atom_energies, dtype="float32", references=jnp.zeros(len(model.elements)))
