"""ΔG of every target under the current model: from an anchor, by one MBAR per phase and, beyond its reach, enthalpies.

An anchor says where ΔG of model a vanishes, at T_a. Of each phase one MBAR joins the states (model, T, P) that overlap
with the target's (calibration/joined.py); φ = G/NkT, and the kinetic part cancels between the phases at one T. From the
state of model a that both phases hold and that is nearest to the anchor, at T_s, it leads to the target at T in one go,

    ΔG(T)/kT = ΔG_a(T_s)/kT_s + [φ(current, T) − φ(a, T_s)]_high − [φ(current, T) − φ(a, T_s)]_low.

The samples that come with an anchor are taken at T_a, so as a rule T_s = T_a, ΔG_a(T_s) = 0, and this is exact. Where
they are too far from the target to overlap, T_s is as near to T_a as the MBAR reaches (at least the target itself), and
Gibbs–Helmholtz leads from T_a to T_s (freeenergy/carry.py). The newest anchor is used whose model was sampled at the
target.

Signs: Δ is (high-temperature phase) − (low-temperature phase), per atom. ΔS = (ΔH − ΔG)/T, and the boundary of the
current model is at T + ΔG/ΔS, exact when ΔC_p is small over the distance. Errors are named after their sources
(calibration/uncertain.py), those of an MBAR after its independent parts and, where they go with the mean enthalpy of a
sample, after that, so that enthalpies and MBAR of the same frames, and targets which share a phase, are correlated as
they should be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from phasecal.calibration.joined import JoinedStates, join_states
from phasecal.calibration.schema import Anchor, CalibrationStepTask, TargetState
from phasecal.calibration.states import Library, Sampled, State, state_of
from phasecal.calibration.uncertain import Uncertain
from phasecal.errors import DataError, InputError, PhaseError
from phasecal.freeenergy.carry import carry_weights
from phasecal.units import KB

MEASURED = "anchor:measured:"
"""What the source of an anchor's own error begins with."""


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
        chain: Its error from the change of the models at the target, K; the value is 0.
        start_k: Temperature of the anchor's model from where MBAR leads to the target, K.
    """

    target: TargetState
    low: State
    high: State
    delta_g: Uncertain
    delta_h: Uncertain
    delta_v: Uncertain
    temperature: Uncertain
    chain: Uncertain
    start_k: float

    @property
    def anchor(self) -> Uncertain:
        """Error of the temperature from the anchor and from carrying it to the target, K; the value is 0."""
        return Uncertain(0.0, (self.temperature - self.chain).parts)

    @property
    def carry_sigma_k(self) -> float:
        """Standard deviation of the temperature from carrying the anchor, and from ΔH, K."""
        return math.hypot(*(part for source, part in self.anchor.parts.items() if not source.startswith(MEASURED)))

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
) -> tuple[list[BoundaryEstimate], dict[State, JoinedStates]]:
    """Estimate ΔG of the current model at every target.

    Raises:
        InputError: A target has no anchor.
        DataError: Samples are missing, or do not belong to their model.
        OverlapError: Models are too different; the message names what is missing.
        PhaseError: ΔH is not positive.
        ConvergenceError: A sample is too short.
    """
    anchors = [choose_anchor(library, task, target) for target in task.targets]
    oldest: dict[State, int] = {}
    for target, (_, anchor) in zip(task.targets, anchors, strict=True):
        for state in target_states(target):
            oldest[state] = min(anchor.model, oldest.get(state, anchor.model))
    for target in task.targets:  # a phase that is not what it is called is told by its enthalpy, not by its overlap
        _delta_h(library, target, target.temperature_k, library.current)
    joined = join_states(library, oldest, task.step.min_overlap)
    estimates = [
        _estimate(library, target, anchored, joined) for target, anchored in zip(task.targets, anchors, strict=True)
    ]
    return estimates, joined


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


def carry_anchor(library: Library, target: TargetState, index: int, anchor: Anchor, start_k: float) -> Uncertain:
    """Return ΔG of the anchor's model at ``start_k`` and the pressure of the target by Gibbs–Helmholtz, eV/atom."""
    temperatures = library.temperatures(anchor.model, target.phases, target.pressure_gpa)
    delta_h = [_delta_h(library, target, t, anchor.model) for t in temperatures]
    weights = carry_weights(anchor.temperature_k, start_k, temperatures)
    at_anchor = float(np.interp(anchor.temperature_k, temperatures, [h.value for h in delta_h]))
    error = weights.scale * at_anchor / anchor.temperature_k * anchor.sigma_k
    carried = Uncertain(0.0, {f"{MEASURED}{index}": error, f"anchor:heat-capacity:{index}": weights.extrapolation_ev})
    for weight, h in zip(weights.enthalpy, delta_h, strict=True):
        carried = carried + h.scaled(float(weight))
    return carried


def _start(low: JoinedStates, high: JoinedStates, target: TargetState, anchor: Anchor) -> float:
    """Return the temperature nearest to the anchor, K, where the MBAR of both phases holds the anchor's model."""
    reached = [
        {key.state.temperature_k for key in phase.phi if _is_at(key, anchor.model, target.pressure_gpa)}
        for phase in (low, high)
    ]
    return min(set.intersection(*reached), key=lambda t: abs(t - anchor.temperature_k))


def _is_at(key: Sampled, model: int, pressure_gpa: float) -> bool:
    """Say whether a state is of one model and pressure."""
    return key == Sampled(model, state_of(key.state.phase, key.state.temperature_k, pressure_gpa))


def _delta_phi(
    target: TargetState, joined: Mapping[State, JoinedStates], start: tuple[int, float], end: int
) -> Uncertain:
    """Return the change of Δφ from model and temperature (``start``) to model ``end`` at the target."""
    changes = []
    for state in target_states(target):
        model, temperature_k = start
        beginning = state_of(state.phase, temperature_k, state.pressure_gpa)
        phi = joined[state].phi
        changes.append(phi[Sampled(end, state)] - phi[Sampled(model, beginning)])
    low, high = changes
    return high - low


def _estimate(
    library: Library, target: TargetState, anchored: tuple[int, Anchor], joined: Mapping[State, JoinedStates]
) -> BoundaryEstimate:
    """Put the pieces of one target together."""
    low, high = target_states(target)
    index, anchor = anchored
    t, kT = target.temperature_k, KB * target.temperature_k
    start_k = _start(joined[low], joined[high], target, anchor)
    carried = carry_anchor(library, target, index, anchor, start_k).scaled(t / start_k)
    carried = carried + _delta_phi(target, joined, (anchor.model, start_k), anchor.model).scaled(kT)
    chain = _delta_phi(target, joined, (anchor.model, t), library.current).scaled(kT)
    delta_g, delta_h = carried + chain, _delta_h(library, target, t, library.current)
    g, h = delta_g.value, delta_h.value
    if h - g <= 0:
        raise PhaseError(
            f"{'|'.join(target.phases)} at {t:g} K: ΔS is not positive (ΔH {1e3 * h:.1f}, ΔG {1e3 * g:.1f} meV/atom); "
            "the boundary is too far from the target: work at a temperature nearer to it first"
        )
    slope = t / (h - g) ** 2
    error = delta_g.scaled(slope * h) - delta_h.scaled(slope * g)
    return BoundaryEstimate(
        target,
        low,
        high,
        delta_g,
        delta_h,
        delta_v=library.volume(high, library.current) - library.volume(low, library.current),
        temperature=Uncertain(t * h / (h - g), error.parts),
        chain=Uncertain(0.0, chain.scaled(slope * h).parts),
        start_k=start_k,
    )


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
