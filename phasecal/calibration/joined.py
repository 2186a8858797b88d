"""One MBAR per phase over (model, T, P): which sampled states it joins, and how φ = G/NkT differs between them.

Every frame has to be evaluated under every model of its MBAR, and that is what a calibration step spends its time on.
So states are grouped first by what is known without any evaluation: conditions (T, P) whose thermal spread
(:func:`~phasecal.freeenergy.phase_mbar.thermal_spread`, from printed energies and volumes) exceeds
:data:`~phasecal.freeenergy.phase_mbar.BRIDGED_SD` do not overlap, whatever the models. Of a group that holds a target
the frames are evaluated, and the states that do overlap with the target's, directly or by others, are solved together.
What stays outside is reached by Gibbs–Helmholtz (:mod:`~phasecal.calibration.chain`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from phasecal.calibration.states import Library, Sampled, State
from phasecal.calibration.uncertain import Uncertain, correlated
from phasecal.errors import DataError, OverlapError
from phasecal.freeenergy.phase_mbar import (
    BRIDGED_SD,
    PhaseSample,
    independent_frames,
    overlapping_groups,
    phase_free_energies,
    thermal_spread,
)
from phasecal.potentials.base import Frames

FloatArray = NDArray[np.float64]


_Solution = tuple[Mapping[Sampled, Uncertain], float | None, FloatArray]


@dataclass(frozen=True)
class JoinedStates:
    """A target state of a phase, and all sampled states that overlap with it.

    Attributes:
        frames: Frames of the current model at the target state, with neighbours.
        energies: Their energies under the current model, eV, shape (n_frames,).
        inefficiency: Stored frames of the current model at the target state per independent one.
        phi: G/NkT of each joined state, up to a constant that they share and the kinetic part.
        overlap: Least two-state overlap of the pairs that join them; None for a state alone.
        overlap_matrix: Overlap of all of them, in the order of ``phi``, shape (n_states, n_states).
    """

    frames: Frames
    energies: FloatArray
    inefficiency: float
    phi: Mapping[Sampled, Uncertain]
    overlap: float | None
    overlap_matrix: FloatArray


def join_states(library: Library, oldest: Mapping[State, int], min_overlap: float) -> dict[State, JoinedStates]:
    """Join the sampled states of every phase around the target states.

    Args:
        library: Models and samples.
        oldest: Target states, and the oldest model that the current one is compared with there.
        min_overlap: Least two-state overlap of states that count as joined.

    Raises:
        DataError: Samples do not belong to their model, or hold too few independent frames.
        OverlapError: The models sampled at a target state do not overlap; the message names what is missing.
        ConvergenceError: A sample is too short.
    """
    joined: dict[State, JoinedStates] = {}
    for phase in dict.fromkeys(state.phase for state in oldest):
        targets = {state: model for state, model in oldest.items() if state.phase == phase}
        for group in groups_in_reach(library, phase, min(targets.values())):
            inside = {s: model for s, model in targets.items() if Sampled(library.current, s) in group}
            if inside:
                joined |= _join_group(library, group, inside, min_overlap)
    return {state: joined[state] for state in oldest}


def groups_in_reach(library: Library, phase: str, oldest: int) -> list[list[Sampled]]:
    """Return the sampled states of a phase, older models first, in groups that are out of reach of each other.

    Args:
        library: Models and samples.
        phase: Name of the phase.
        oldest: Index of the oldest model of interest.
    """
    sources = [s for s in library.sources if s.sample.phase == phase and s.model >= oldest]
    near = np.zeros((len(sources), len(sources)), dtype=bool)
    for i, one in enumerate(sources):
        for j, other in enumerate(sources):
            spread = thermal_spread(one.sample.energies, one.sample.volumes, one.state[1:], other.state[1:])
            near[i, j] = spread <= BRIDGED_SD
    n_groups, labels = connected_components(near & near.T, directed=False)
    return [
        sorted({Sampled(s.model, s.state) for s, label in zip(sources, labels, strict=True) if label == group})
        for group in range(n_groups)
    ]


def _join_group(
    library: Library, group: Sequence[Sampled], targets: Mapping[State, int], min_overlap: float
) -> dict[State, JoinedStates]:
    """Evaluate the frames of a group of states, and solve for those that overlap with each target."""
    models = sorted({key.model for key in group})
    frames = {
        state: library.frames(state, [key.model for key in group if key.state == state], models)
        for state in dict.fromkeys(key.state for key in group)
    }
    if len({found.last.n_atoms for found in frames.values()}) > 1:
        raise DataError(f"samples of {group[0].state.phase} hold different atoms; use one cell size for all rounds")
    sampled = {Sampled(sample.model, state): sample for state, f in frames.items() for sample in f.samples}
    independent = dict(zip(group, independent_frames([sampled[key] for key in group]), strict=True))
    try:
        labels = dict(zip(group, overlapping_groups([*independent.values()], min_overlap=min_overlap), strict=True))
    except DataError as error:
        raise DataError(f"{group[0].state.phase}, {error}") from error
    solved: dict[int, _Solution] = {}
    joined: dict[State, JoinedStates] = {}
    for state, oldest in targets.items():
        current = Sampled(library.current, state)
        needed = [key for key in group if key.state == state and key.model >= oldest]
        parts = {int(labels[key]) for key in needed}
        if not parts <= set(solved):
            together = {key: sample for key, sample in independent.items() if labels[key] in parts}
            solved[int(labels[current])] = _solve(library, together, min_overlap, needed)
        inefficiency = frames[state].n_stored / len(independent[current].volumes)
        own = (frames[state].last, frames[state].last_energies, inefficiency)
        joined[state] = JoinedStates(*own, *solved[int(labels[current])])
    return joined


def _solve(
    library: Library, samples: Mapping[Sampled, PhaseSample], min_overlap: float, needed: Sequence[Sampled]
) -> _Solution:
    """Return φ of all states that overlap, the least overlap of the pairs that join them, and the overlap of all.

    The part of its error that goes with the mean enthalpy of a sample has the same source as that mean.
    """
    n_atoms = library.select(needed[0].state, needed[0].model)[0].sample.n_atoms
    try:
        result = phase_free_energies([*samples.values()], n_atoms, min_overlap=min_overlap)
    except OverlapError as error:
        models = ", ".join(str(key.model) for key in needed)
        raise OverlapError(f"{needed[0].state}, models {models}: {error}") from error
    shared = result.with_enthalpy
    phi = correlated(result.phi, result.covariance - shared @ shared.T, f"mbar:{next(iter(samples))}")
    for key, column in zip(samples, shared.T, strict=True):
        enthalpy = library.enthalpy(key.state, key.model)
        one_sigma = Uncertain(0.0, enthalpy.scaled(1 / enthalpy.sigma).parts)
        phi = [one + one_sigma.scaled(float(part)) for one, part in zip(phi, column, strict=True)]
    overlap = float(result.overlap.min()) if len(result.overlap) else None
    return dict(zip(samples, phi, strict=True)), overlap, result.overlap_matrix
