"""Frames of any size as arrays of one shape, so that all batches share one compilation.

The atoms of a batch lie one after the other, padded to a fixed number; vectors to the neighbours are computed once on
the host, in float64, and then rounded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from matscipy.neighbours import neighbour_list
from numpy.typing import NDArray

from phasecal.fitting.data import Labelled

FLOAT = NDArray[np.float64]


class Graph(NamedTuple):
    """One frame with its neighbours.

    Attributes:
        frame: The frame.
        species: Element of each atom, shape (n_atoms,).
        first: Atom of each pair, shape (n_pairs,), ascending.
        second: Its neighbour, shape (n_pairs,).
        vectors: From the one to the other, Å, shape (n_pairs, 3).
    """

    frame: Labelled
    species: NDArray[np.int32]
    first: NDArray[np.int32]
    second: NDArray[np.int32]
    vectors: FLOAT


class Batch(NamedTuple):
    """Some frames; frames and atoms that pad have weight 0 and belong to frame ``n_frames``.

    Attributes:
        vectors: To the neighbours, Å, shape (n_atoms, width, 3).
        neighbors: Their indices, shape (n_atoms, width).
        neighbor_species: Their elements, same shape.
        species: Element of each atom, shape (n_atoms,).
        frame: Frame of each atom, shape (n_atoms,).
        forces: eV/Å, shape (n_atoms, 3).
        real: 1 for atoms of a frame, 0 for padding, shape (n_atoms,).
        counts: Atoms of each frame (1 for padding), shape (n_frames,).
        volumes: Å³ (1 for padding), shape (n_frames,).
        energies: Energies beyond the references, eV, shape (n_frames,).
        stresses: eV/Å³, shape (n_frames, 3, 3).
        weights: 1 for frames, 0 for padding, shape (n_frames,).
        stress_weights: 1 for frames with a stress, shape (n_frames,).
    """

    vectors: NDArray[np.floating]
    neighbors: NDArray[np.int32]
    neighbor_species: NDArray[np.int32]
    species: NDArray[np.int32]
    frame: NDArray[np.int32]
    forces: FLOAT
    real: FLOAT
    counts: FLOAT
    volumes: FLOAT
    energies: FLOAT
    stresses: FLOAT
    weights: FLOAT
    stress_weights: FLOAT


class Sizes(NamedTuple):
    """What all batches of a fit have in common: frames, atoms, and neighbours of an atom."""

    n_frames: int
    n_atoms: int
    width: int


def graphs(frames: Sequence[Labelled], elements: Sequence[str], cutoff: float) -> list[Graph]:
    """List the neighbours of every frame."""
    result = []
    for frame in frames:
        i, j, vectors = neighbour_list("ijD", frame.atoms, cutoff)
        species = np.array([list(elements).index(symbol) for symbol in frame.atoms.symbols], dtype=np.int32)
        result.append(Graph(frame, species, i.astype(np.int32), j.astype(np.int32), vectors))
    return result


def sizes(all_graphs: Sequence[Graph], n_frames: int) -> Sizes:
    """Return the shape of batches of ``n_frames`` frames of mean size, or of fewer larger ones."""
    counts = [len(graph.species) for graph in all_graphs]
    width = max(int(np.bincount(graph.first, minlength=1).max(initial=1)) for graph in all_graphs)
    return Sizes(n_frames, max(*counts, math.ceil(n_frames * sum(counts) / len(counts))), width)


def packed(chosen: Iterable[Graph], shape: Sizes) -> Iterator[list[Graph]]:
    """Yield the frames in their order, as many at a time as fit into a batch."""
    batch, n_atoms = list[Graph](), 0
    for graph in chosen:
        size = len(graph.species)
        if len(batch) == shape.n_frames or n_atoms + size > shape.n_atoms:
            yield batch
            batch, n_atoms = [], 0
        batch.append(graph)
        n_atoms += size
    if batch:
        yield batch


def shortest_distances(all_graphs: Sequence[Graph], n_elements: int) -> FLOAT:
    """Return the shortest distance of each pair of elements, Å; of pairs that never meet, the mean of their elements'.

    Returns:
        Shape (n_elements, n_elements), symmetric.
    """
    shortest = np.full((n_elements, n_elements), np.inf)
    for graph in all_graphs:
        pair = graph.species[graph.first], graph.species[graph.second]
        np.minimum.at(shortest, pair, np.linalg.norm(graph.vectors, axis=1))
    shortest = np.minimum(shortest, shortest.T)
    own = np.where(np.isfinite(np.diag(shortest)), np.diag(shortest), shortest.min(axis=1))
    mean = 0.5 * (own[:, None] + own[None, :])
    return np.where(np.isfinite(shortest), shortest, mean)


def collate(chosen: Sequence[Graph], references: FLOAT, shape: Sizes, cutoff: float) -> Batch:
    """Put frames into one batch.

    Args:
        chosen: Frames that fit (:func:`packed`).
        references: Energy of each element, eV, shape (n_elements,).
        shape: Of the batch.
        cutoff: Å; padding neighbours are twice as far away.
    """
    batch = _empty(shape, cutoff)
    start = 0
    for index, graph in enumerate(chosen):
        n = len(graph.species)
        stop, labels = start + n, graph.frame
        counts = np.bincount(graph.first, minlength=n)
        slot = np.arange(len(graph.first)) - np.repeat(np.cumsum(counts) - counts, counts)
        rows = start + graph.first
        batch.vectors[rows, slot] = graph.vectors
        batch.neighbors[rows, slot] = start + graph.second
        batch.neighbor_species[rows, slot] = graph.species[graph.second]
        batch.species[start:stop] = graph.species
        batch.frame[start:stop] = index
        batch.forces[start:stop] = labels.forces
        batch.real[start:stop] = 1.0
        batch.counts[index] = n
        batch.volumes[index] = labels.atoms.cell.volume
        batch.energies[index] = labels.energy - references[graph.species].sum()
        batch.weights[index] = 1.0
        if labels.stress is not None:
            batch.stresses[index] = labels.stress
            batch.stress_weights[index] = 1.0
        start = stop
    return batch._replace(vectors=batch.vectors.astype(np.float32))


def _empty(shape: Sizes, cutoff: float) -> Batch:
    """Return a batch of padding."""
    n_frames, n_atoms, width = shape
    vectors = np.zeros((n_atoms, width, 3))
    vectors[..., 0] = 2.0 * cutoff
    return Batch(
        vectors=vectors,
        neighbors=np.zeros((n_atoms, width), dtype=np.int32),
        neighbor_species=np.zeros((n_atoms, width), dtype=np.int32),
        species=np.zeros(n_atoms, dtype=np.int32),
        frame=np.full(n_atoms, n_frames, dtype=np.int32),
        forces=np.zeros((n_atoms, 3)),
        real=np.zeros(n_atoms),
        counts=np.ones(n_frames),
        volumes=np.ones(n_frames),
        energies=np.zeros(n_frames),
        stresses=np.zeros((n_frames, 3, 3)),
        weights=np.zeros(n_frames),
        stress_weights=np.zeros(n_frames),
    )
