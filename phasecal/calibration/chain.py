"""ΔG of every target under the current model: from an anchor, by one MBAR per phase and, beyond its reach, enthalpies.

An anchor says where ΔG of model a vanishes, at (T_a, P_a). Of each phase one MBAR joins the states (model, T, P) that
overlap with the target's (calibration/joined.py); φ = G/NkT, and the kinetic part cancels between the phases at one T.
From the state of model a at P_a that both phases hold and that is nearest to T_a, at T_s, it leads to the target at
(T, P) in one go,

    ΔG(T, P)/kT = ΔG_a(T_s, P_a)/kT_s + [φ(current, T, P) − φ(a, T_s, P_a)]_high − [the same]_low.

The samples that come with an anchor are taken at T_a, so as a rule T_s = T_a, ΔG_a(T_s) = 0, and this is exact. Where
they are too far from the target to overlap, T_s is as near to T_a as the MBAR reaches, and Gibbs–Helmholtz leads from
T_a to T_s at P_a (freeenergy/carry.py). Over pressures only the MBAR leads: at the target's own pressure it reaches the
target itself at least; at another one it may reach nothing, which is an error.

The anchors that count are those of one model, the newest that was sampled at the target: the one at the target's own
pressure, else all that the MBAR reaches, as their best combination by their covariance. Where many targets of a
boundary have an anchor of their own, these are taken as a smooth function of pressure (calibration/smooth.py).

Signs: Δ is (high-temperature phase) − (low-temperature phase), per atom. ΔS = (ΔH − ΔG)/T, and the boundary of the
current model is at T + ΔG/ΔS, exact when ΔC_p is small over the distance. Errors are named after their sources
(calibration/uncertain.py), those of an MBAR after its independent parts and, where they go with the mean enthalpy of a
sample, after that, so that enthalpies and MBAR of the same frames, and targets which share a phase, are correlated as
they should be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from phasecal.calibration.joined import JoinedStates, join_states
from phasecal.calibration.schema import Anchor, CalibrationStepTask, TargetState
from phasecal.calibration.smooth import DEGREE, FEWEST, smoothed
from phasecal.calibration.states import Library, Sampled, State, state_of
from phasecal.calibration.uncertain import Uncertain, combine
from phasecal.errors import DataError, InputError, OverlapError, PhaseError
from phasecal.freeenergy.carry import carry_weights
from phasecal.units import KB

MEASURED = "anchor:measured:"
"""What the source of an anchor's own error begins with."""


@dataclass(frozen=True)
class CarriedAnchors:
    """ΔG at a target under the model of its anchors.

    Attributes:
        delta_g: ΔG, eV/atom.
        pressures_gpa: Pressures of the anchors, GPa, the nearest first.
        start_k: Temperature from where MBAR leads to the target, of the anchor that is nearest in pressure, K.
        chi2: Squared misses of the anchors from their combination, in units of their errors. Where it is more than
            ``dof``, the part of the error that was measured is widened by √(χ²/dof) (Birge).
        dof: What is expected of ``chi2``: the number of anchors less one or, where they are taken as a smooth function
            of pressure, less the coefficients of that.
    """

    delta_g: Uncertain
    pressures_gpa: tuple[float, ...]
    start_k: float
    chi2: float
    dof: int


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
        chain: Its error from the change of the models at the target, K; the value is 0. The model of an anchor was
            always sampled at the target: what its other states add is part of carrying the anchor.
        anchors: The anchors it follows from.
    """

    target: TargetState
    low: State
    high: State
    delta_g: Uncertain
    delta_h: Uncertain
    delta_v: Uncertain
    temperature: Uncertain
    chain: Uncertain
    anchors: CarriedAnchors

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
        OverlapError: Models are too different, or anchors too far away in pressure; the message names what is missing.
        PhaseError: ΔH is not positive.
        ConvergenceError: A sample is too short.
    """
    anchors = [choose_anchors(library, task, target) for target in task.targets]
    oldest: dict[State, int] = {}
    for target, chosen in zip(task.targets, anchors, strict=True):
        model = chosen[0][1].model
        for state in target_states(target):
            oldest[state] = min(model, oldest.get(state, model))
    for target in task.targets:  # a phase that is not what it is called is told by its enthalpy, not by its overlap
        _delta_h(library, target, target.temperature_k, target.pressure_gpa, library.current)
    joined = join_states(library, oldest, task.step.min_overlap)
    models = [chosen[0][1].model for chosen in anchors]
    each = zip(task.targets, anchors, strict=True)
    carried = _smooth_anchors(task.targets, models, [_carry_anchors(library, *one, joined) for one in each])
    rows = zip(task.targets, models, carried, strict=True)
    return [_estimate(library, target, model, found, joined) for target, model, found in rows], joined


def choose_anchors(library: Library, task: CalibrationStepTask, target: TargetState) -> list[tuple[int, Anchor]]:
    """Return the anchors of a target, with their indices: those of the newest anchored model that was sampled there.

    An anchor at the target's own pressure is the only one; without it all anchors of that model are returned.
    """
    low, high = target_states(target)
    for phase in (low, high):
        if not library.select(phase, library.current):
            raise DataError(f"no sample of {phase} under the current model {library.current}; sample it first")
    name = f"{'|'.join(target.phases)} at {target.pressure_gpa:g} GPa"
    of_boundary = [(index, anchor) for index, anchor in enumerate(task.anchors) if anchor.phases == target.phases]
    if not of_boundary:
        raise InputError(f"no anchor for {name}; measure the boundary of one model at this or another pressure")
    usable = [
        anchor.model
        for _, anchor in of_boundary
        if library.select(low, anchor.model) and library.select(high, anchor.model)
    ]
    if not usable:
        raise DataError(
            f"no anchor of {name} leads to {target.temperature_k:g} K: sample both phases there under the model of an "
            f"anchor (model {of_boundary[-1][1].model})"
        )
    newest = [(index, anchor) for index, anchor in of_boundary if anchor.model == usable[-1]]
    own = [entry for entry in newest if abs(entry[1].pressure_gpa - target.pressure_gpa) < 1e-6]
    return own[-1:] or newest


def carry_anchor(library: Library, index: int, anchor: Anchor, start_k: float) -> Uncertain:
    """Return ΔG of the anchor's model at ``start_k`` and the anchor's pressure by Gibbs–Helmholtz, eV/atom."""
    temperatures = library.temperatures(anchor.model, anchor.phases, anchor.pressure_gpa)
    delta_h = [_delta_h(library, anchor, t, anchor.pressure_gpa, anchor.model) for t in temperatures]
    weights = carry_weights(anchor.temperature_k, start_k, temperatures)
    at_anchor = float(np.interp(anchor.temperature_k, temperatures, [h.value for h in delta_h]))
    error = weights.scale * at_anchor / anchor.temperature_k * anchor.sigma_k
    carried = Uncertain(0.0, {f"{MEASURED}{index}": error, f"anchor:heat-capacity:{index}": weights.extrapolation_ev})
    for weight, h in zip(weights.enthalpy, delta_h, strict=True):
        carried = carried + h.scaled(float(weight))
    return carried


def _carry_anchors(
    library: Library,
    target: TargetState,
    anchors: Sequence[tuple[int, Anchor]],
    joined: Mapping[State, JoinedStates],
) -> CarriedAnchors:
    """Return ΔG of the anchors' model at the target, from all of them that the MBAR of both phases reaches."""
    low, high = (joined[state] for state in target_states(target))
    t = target.temperature_k
    pressures, starts, found = [], [], []
    for index, anchor in sorted(anchors, key=lambda entry: abs(entry[1].pressure_gpa - target.pressure_gpa)):
        start_k = _start(low, high, anchor)
        if start_k is not None:
            carried = carry_anchor(library, index, anchor, start_k).scaled(t / start_k)
            start = (anchor.model, start_k, anchor.pressure_gpa)
            pressures.append(anchor.pressure_gpa)
            starts.append(start_k)
            found.append(carried + _delta_phi(target, joined, start, anchor.model).scaled(KB * t))
    if not found:
        nearest = min((anchor.pressure_gpa for _, anchor in anchors), key=lambda p: abs(p - target.pressure_gpa))
        raise OverlapError(
            f"{'|'.join(target.phases)}: the samples do not lead from the anchor at {nearest:g} GPa to the target at "
            f"{target.pressure_gpa:g} GPa, which is too far away in pressure; measure an anchor at "
            f"{target.pressure_gpa:g} GPa (`anchors` of the boundary), add targets or samples at pressures in between, "
            "or use fewer atoms"
        )
    delta_g, chi2 = combine(found)
    dof = len(found) - 1
    return CarriedAnchors(_widened(delta_g, chi2, dof), tuple(pressures), starts[0], chi2, dof)


def _widened(delta_g: Uncertain, chi2: float, dof: int) -> Uncertain:
    """Return a number with the measured part of its error times √(χ²/dof) where that is more than 1 (Birge)."""
    birge = math.sqrt(max(1.0, chi2 / dof)) if dof else 1.0
    parts = {name: part * (birge if name.startswith(MEASURED) else 1.0) for name, part in delta_g.parts.items()}
    return Uncertain(delta_g.value, parts)


def _smooth_anchors(
    targets: Sequence[TargetState], models: Sequence[int], carried: Sequence[CarriedAnchors]
) -> list[CarriedAnchors]:
    """Return the anchors, those of one model and boundary that has many as a smooth function of pressure.

    That is for targets with an anchor of their own. Others follow from anchors that the MBAR of both phases carries to
    them, which is smooth already.
    """
    found = list(carried)
    own_of: dict[tuple[Sequence[str], int], list[int]] = {}
    for i, (target, model, anchors) in enumerate(zip(targets, models, carried, strict=True)):
        if anchors.pressures_gpa == (target.pressure_gpa,):
            own_of.setdefault((tuple(target.phases), model), []).append(i)
    for own in own_of.values():
        if len(own) < FEWEST:
            continue
        pressures = [targets[i].pressure_gpa for i in own]
        numbers, chi2 = smoothed([carried[i].delta_g for i in own], pressures)
        dof = len(own) - DEGREE - 1
        for i, number in zip(own, numbers, strict=True):
            nearest = sorted(pressures, key=lambda p: abs(p - targets[i].pressure_gpa))
            found[i] = CarriedAnchors(_widened(number, chi2, dof), tuple(nearest), carried[i].start_k, chi2, dof)
    return found


def _start(low: JoinedStates, high: JoinedStates, anchor: Anchor) -> float | None:
    """Return the temperature nearest to the anchor, K, where both MBARs hold its model at its pressure, if any."""
    reached = [
        {key.state.temperature_k for key in phase.phi if _is_at(key, anchor.model, anchor.pressure_gpa)}
        for phase in (low, high)
    ]
    return min(set.intersection(*reached), key=lambda t: abs(t - anchor.temperature_k), default=None)


def _is_at(key: Sampled, model: int, pressure_gpa: float) -> bool:
    """Say whether a state is of one model and pressure."""
    return key == Sampled(model, state_of(key.state.phase, key.state.temperature_k, pressure_gpa))


def _delta_phi(
    target: TargetState, joined: Mapping[State, JoinedStates], start: tuple[int, float, float], end: int
) -> Uncertain:
    """Return the change of Δφ from model, temperature and pressure (``start``) to model ``end`` at the target."""
    changes = []
    for state in target_states(target):
        model, temperature_k, pressure_gpa = start
        beginning = state_of(state.phase, temperature_k, pressure_gpa)
        phi = joined[state].phi
        changes.append(phi[Sampled(end, state)] - phi[Sampled(model, beginning)])
    low, high = changes
    return high - low


def _estimate(
    library: Library,
    target: TargetState,
    model: int,
    anchors: CarriedAnchors,
    joined: Mapping[State, JoinedStates],
) -> BoundaryEstimate:
    """Put the pieces of one target together: its anchors, of one model, and the change of models since."""
    low, high = target_states(target)
    t, p = target.temperature_k, target.pressure_gpa
    chain = _delta_phi(target, joined, (model, t, p), library.current).scaled(KB * t)
    delta_g, delta_h = anchors.delta_g + chain, _delta_h(library, target, t, p, library.current)
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
        anchors=anchors,
    )


def _delta_h(
    library: Library, boundary: Anchor | TargetState, temperature_k: float, pressure_gpa: float, model: int
) -> Uncertain:
    """Return ΔH of a boundary under one model, eV/atom; it must be positive."""
    low, high = (state_of(phase, temperature_k, pressure_gpa) for phase in boundary.phases)
    delta_h = library.enthalpy(high, model) - library.enthalpy(low, model)
    if delta_h.value <= 2 * delta_h.sigma:
        raise PhaseError(
            f"{'|'.join(boundary.phases)} at {temperature_k:g} K, model {model}: ΔH is {1e3 * delta_h.value:.2f} ± "
            f"{1e3 * delta_h.sigma:.2f} meV/atom, but must be positive: the phases look swapped (the low-temperature "
            "phase comes first), or one is not what it is called"
        )
    return delta_h
