"""ΔG of every target under the current model: anchor, Gibbs–Helmholtz, and one MBAR per phase.

An anchor says where ΔG of model a vanishes. ΔG of that model at the target follows from the enthalpies of its samples
(freeenergy/carry.py); from there to the current model leads, for each phase, the change of G between models at the
target's T and P (freeenergy/overlap.py; the models in between are the bridges). The newest anchor is used whose model
was sampled at the target.

Signs: Δ is (high-temperature phase) − (low-temperature phase), per atom. ΔS = (ΔH − ΔG)/T, and the boundary of the
current model is at T + ΔG/ΔS, exact when ΔC_p is small over the distance. Errors are named after their sources
(calibration/uncertain.py); the correlation between a sample's mean enthalpy and its share in MBAR is neglected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from phasecal.calibration.schema import Anchor, CalibrationStepTask, TargetState
from phasecal.calibration.states import Library, State, StateFrames, state_of
from phasecal.calibration.uncertain import Uncertain
from phasecal.errors import DataError, InputError, OverlapError, PhaseError
from phasecal.freeenergy.carry import carry_weights
from phasecal.freeenergy.overlap import mbar
from phasecal.units import KB


@dataclass(frozen=True)
class ChainLink:
    """The change of one phase's free energy along the models at one state.

    Attributes:
        frames: The independent frames that it rests on.
        shifts: G of the current model minus G of each model, eV/atom, by index of the model.
        overlap: Least two-state overlap of consecutive models; None for a single model.
    """

    frames: StateFrames
    shifts: Mapping[int, Uncertain]
    overlap: float | None


@dataclass(frozen=True)
class BoundaryEstimate:
    """The current model at one target.

    Attributes:
        target: The target.
        low: State of the low-temperature phase.
        high: State of the high-temperature phase.
        delta_g: ΔG, eV/atom.
        delta_h: ΔH, eV/atom.
        delta_v: ΔV, Å³/atom.
        temperature: Where the boundary of the current model is, K.
    """

    target: TargetState
    low: State
    high: State
    delta_g: Uncertain
    delta_h: Uncertain
    delta_v: Uncertain
    temperature: Uncertain

    @property
    def delta_s(self) -> float:
        """ΔS, eV/K per atom."""
        return (self.delta_h.value - self.delta_g.value) / self.target.temperature_k


def target_states(target: TargetState) -> tuple[State, State]:
    """Return the states of the low- and the high-temperature phase of a target."""
    low, high = (state_of(phase, target.temperature_k, target.pressure_gpa) for phase in target.phases)
    return low, high


def estimate_targets(
    library: Library, task: CalibrationStepTask
) -> tuple[list[BoundaryEstimate], dict[State, ChainLink]]:
    """Estimate ΔG of the current model at every target.

    Raises:
        InputError: A target has no anchor.
        DataError: Samples are missing, or do not belong to their model.
        OverlapError: Consecutive models are too different.
        PhaseError: ΔH is not positive.
        ConvergenceError: A sample is too short.
    """
    anchors = [choose_anchor(library, task, target) for target in task.targets]
    oldest: dict[State, int] = {}
    for target, (_, anchor) in zip(task.targets, anchors, strict=True):
        for state in target_states(target):
            oldest[state] = min(anchor.model, oldest.get(state, anchor.model))
    links = {state: link_models(library, state, model, task.step.min_overlap) for state, model in oldest.items()}
    estimates = []
    for target, (index, anchor) in zip(task.targets, anchors, strict=True):
        carried = carry_anchor(library, target, index, anchor)
        estimates.append(_estimate(library, target, carried, anchor.model, links))
    return estimates, links


def choose_anchor(library: Library, task: CalibrationStepTask, target: TargetState) -> tuple[int, Anchor]:
    """Return the newest anchor of a target's boundary whose model was sampled at the target, and its index."""
    low, high = target_states(target)
    for phase in (low, high):
        if not library.select(phase, library.current):
            raise DataError(f"no sample of {phase} under the current model {library.current}; sample it first")
    of_boundary = [
        (index, anchor)
        for index, anchor in enumerate(task.anchors)
        if anchor.phases == target.phases and abs(anchor.pressure_gpa - target.pressure_gpa) < 1e-6
    ]
    if not of_boundary:
        raise InputError(
            f"no anchor of {'|'.join(target.phases)} at {target.pressure_gpa:g} GPa; measure the boundary of one model "
            "there"
        )
    for index, anchor in reversed(of_boundary):
        if library.select(low, anchor.model) and library.select(high, anchor.model):
            return index, anchor
    raise DataError(
        f"no anchor of {'|'.join(target.phases)} at {target.pressure_gpa:g} GPa leads to {target.temperature_k:g} K: "
        f"sample both phases there under the model of an anchor (model {of_boundary[-1][1].model})"
    )


def carry_anchor(library: Library, target: TargetState, index: int, anchor: Anchor) -> Uncertain:
    """Return ΔG of the anchor's model at the target, eV/atom."""
    temperatures = library.temperatures(anchor.model, target.phases, target.pressure_gpa)
    delta_h = [_delta_h(library, target, t, anchor.model) for t in temperatures]
    weights = carry_weights(anchor.temperature_k, target.temperature_k, temperatures)
    at_anchor = float(np.interp(anchor.temperature_k, temperatures, [h.value for h in delta_h]))
    error = weights.scale * at_anchor / anchor.temperature_k * anchor.sigma_k
    carried = Uncertain(
        0.0, {f"anchor:measured:{index}": error, f"anchor:heat-capacity:{index}": weights.extrapolation_ev}
    )
    for weight, h in zip(weights.enthalpy, delta_h, strict=True):
        carried = carried + h.scaled(float(weight))
    return carried


def link_models(library: Library, state: State, oldest: int, min_overlap: float) -> ChainLink:
    """Compare the models from ``oldest`` to the current one at one state by MBAR."""
    frames = library.frames(state, tuple(range(oldest, library.current + 1)))
    if len(frames.models) == 1:
        return ChainLink(frames, {library.current: Uncertain(0.0)}, None)
    kT = KB * state.temperature_k
    try:
        result = mbar(frames.energies / kT, frames.counts, min_overlap=min_overlap)
    except (OverlapError, DataError) as error:
        models = ", ".join(str(model) for model in frames.models)
        raise type(error)(f"{state}, models {models}: {error}") from error
    per_atom = kT / frames.last.n_atoms
    difference = result.f_k[-1] - result.f_k
    covariance = result.covariance
    variance = covariance[-1, -1] + np.diag(covariance) - 2 * covariance[-1]
    sigma = np.sqrt(np.maximum(variance, 0.0))
    shifts = {
        model: Uncertain(float(per_atom * f), {f"chain:{state}:{model}": float(per_atom * s)})
        for model, f, s in zip(frames.models, difference, sigma, strict=True)
    }
    return ChainLink(frames, shifts, float(result.neighbor_overlap.min()))


def _estimate(
    library: Library,
    target: TargetState,
    carried: Uncertain,
    anchored: int,
    links: Mapping[State, ChainLink],
) -> BoundaryEstimate:
    """Put the pieces of one target together."""
    low, high = target_states(target)
    delta_g = carried
    if anchored != library.current:
        delta_g = delta_g + links[high].shifts[anchored] - links[low].shifts[anchored]
    delta_h = _delta_h(library, target, target.temperature_k, library.current)
    t, g, h = target.temperature_k, delta_g.value, delta_h.value
    if h - g <= 0:
        raise PhaseError(
            f"{'|'.join(target.phases)} at {t:g} K: ΔS is not positive (ΔH {1e3 * h:.1f}, ΔG {1e3 * g:.1f} meV/atom); "
            "the boundary is too far from the target: work at a temperature nearer to it first"
        )
    slope = t / (h - g) ** 2
    error = delta_g.scaled(slope * h) - delta_h.scaled(slope * g)
    temperature = Uncertain(t * h / (h - g), error.parts)
    delta_v = library.volume(high, library.current) - library.volume(low, library.current)
    return BoundaryEstimate(target, low, high, delta_g, delta_h, delta_v, temperature)


def _delta_h(library: Library, target: TargetState, temperature_k: float, model: int) -> Uncertain:
    """Return ΔH of a boundary under one model, eV/atom; it must be positive."""
    low, high = (state_of(phase, temperature_k, target.pressure_gpa) for phase in target.phases)
    delta_h = library.enthalpy(high, model) - library.enthalpy(low, model)
    if delta_h.value <= 2 * delta_h.sigma:
        raise PhaseError(
            f"{'|'.join(target.phases)} at {temperature_k:g} K, model {model}: ΔH is {1e3 * delta_h.value:.2f} ± "
            f"{1e3 * delta_h.sigma:.2f} meV/atom, but must be positive: the phases look swapped (the low-temperature "
            "phase comes first), or one is not what it is called"
        )
    return delta_h
