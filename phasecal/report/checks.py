"""What the data say about the result: training beside verification, and every reason for doubt."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from phasecal.campaign.reduced import REFERENCE
from phasecal.experiment import Reference, reference
from phasecal.report.data import Anchor, Boundary, Property, ReportData, Round, RoundTarget
from phasecal.report.numbers import percent, property_value, tabulated, with_sigma
from phasecal.report.properties import describe, label

WRONG_REASON = 0.15
"""Relative error of ΔH or ΔV above which a right temperature is right for the wrong reason."""

DISAGREE = 4.0
"""χ² of several anchors at one target, relative to its degrees of freedom, above which they disagree."""

PROTECTED_CHANGE = 0.005
"""Relative change above which a protected property counts as moved."""


@dataclass(frozen=True)
class Estimate:
    """A temperature with its standard uncertainty, K, and the key of the node that holds it."""

    value: float
    sigma: float
    pk: int | None = field(default=None, compare=False)

    def differs(self, other: Estimate) -> float:
        """The difference in units of the combined standard uncertainty."""
        return abs(self.value - other.value) / math.hypot(self.sigma, other.sigma)

    def __str__(self) -> str:
        return f"{with_sigma(self.value, self.sigma)} K"


def estimate(value: float | None, sigma: float | None, pk: int | None = None) -> Estimate | None:
    """The estimate, or ``None`` if the value or its interval is missing."""
    return None if value is None or sigma is None else Estimate(value, sigma, pk)


@dataclass(frozen=True)
class Outcome:
    """What is known about one boundary at one pressure.

    Attributes:
        boundary: The entry of the summary.
        initial: Transition temperature of the initial model.
        training: Estimate of the calibration for the final model, or the last sampled one: a diagnostic.
        result: The temperature to quote; a training estimate never is.
        kind: Whether ``result`` was verified by independent runs of the final model, measured (a task without
            calibration), or neither.
        target: The experimental temperature.
    """

    boundary: Boundary
    initial: Estimate | None
    training: Estimate | None
    result: Estimate | None
    kind: Literal["verified", "measured", "not verified"]
    target: Estimate | None

    @property
    def name(self) -> str:
        """E.g. ``fcc → liquid, 0 GPa``."""
        low, high = self.boundary.phases
        return f"{low} → {high}, {self.boundary.pressure_gpa:g} GPa"

    @property
    def on_line(self) -> Estimate | None:
        """The temperature on the line through all measured points of the boundary; None where there is no line."""
        return estimate(self.boundary.line_k, self.boundary.line_sigma_k) if self.result else None


def _concerns(item: Anchor | RoundTarget, boundary: Boundary, only_one: bool) -> bool:
    if item.phases is None:
        return only_one
    pressure = boundary.pressure_gpa if item.pressure_gpa is None else item.pressure_gpa
    return item.phases == boundary.phases and math.isclose(pressure, boundary.pressure_gpa, abs_tol=1e-9)


def anchors_of(data: ReportData, boundary: Boundary, label_: str) -> list[Anchor]:
    """The anchors of a boundary with a label, oldest first."""
    only_one = len(data.summary.boundaries) == 1
    return [item for item in data.anchors if item.label == label_ and _concerns(item, boundary, only_one)]


def target_of(entry: Round, boundary: Boundary) -> RoundTarget | None:
    """The target of a round that belongs to a boundary."""
    return next((item for item in entry.targets if _concerns(item, boundary, False)), None)


def _training(data: ReportData, boundary: Boundary) -> Estimate | None:
    """The training estimate of the final model: of the round that sampled it, else the step that made it."""
    final = data.summary.model.hash if data.summary.model else None
    for entry in reversed(data.rounds):
        target = target_of(entry, boundary)
        if target is not None and (final is None or entry.parent == final):
            return estimate(target.temperature_k, target.sigma_k, entry.pk)
        if target is not None and entry.model_hash == final:
            return estimate(target.predicted_temperature_k, target.sigma_k, entry.pk)
    return None


def _verified(data: ReportData, boundary: Boundary) -> Estimate | None:
    """The temperature of the final model from runs that name it, or ``None``."""
    final = data.summary.model.hash if data.summary.model else None
    own = [item for item in anchors_of(data, boundary, "verification") if item.model_hash == final]
    if not own:
        return None
    quoted = estimate(boundary.temperature_k, boundary.sigma_k, boundary.pk)
    return quoted or estimate(own[-1].temperature_k, own[-1].sigma_k, own[-1].pk)


def outcome(data: ReportData, boundary: Boundary) -> Outcome:
    """Collect what is known about a boundary."""
    target = estimate(boundary.target_k, boundary.target_sigma_k)
    if data.summary.task != "calibrate":
        measured = estimate(boundary.temperature_k, boundary.sigma_k, boundary.pk)
        return Outcome(boundary, initial=None, training=None, result=measured, kind="measured", target=target)
    first = anchors_of(data, boundary, "initial")
    sources = first[-1:] or data.rounds[:1]  # an anchor, or the first round, which carried one of another pressure
    initial = estimate(boundary.initial_k, boundary.initial_sigma_k, sources[0].pk if sources else None)
    if initial is None and first:
        initial = estimate(first[-1].temperature_k, first[-1].sigma_k, first[-1].pk)
    result = _verified(data, boundary)
    kind: Literal["verified", "not verified"] = "verified" if result else "not verified"
    return Outcome(boundary, initial, _training(data, boundary), result, kind, target)


def outcomes(data: ReportData) -> list[Outcome]:
    """What is known about every boundary, in the order of the summary."""
    return [outcome(data, boundary) for boundary in data.summary.boundaries]


def relative_change(item: Property) -> tuple[float | None, float | None]:
    """Relative change of a property from the initial to the final model, with its interval if it has one."""
    if item.initial in (None, 0.0) or item.final is None or item.initial is None:
        return None, None
    change = item.final / item.initial - 1
    if item.initial_sigma is None or item.final_sigma is None:
        exact = (kind := describe(item.name)) is not None and kind.exact
        return (change, None) if exact else (None, None)
    ratio = item.final / item.initial
    return change, math.hypot(item.final_sigma / item.initial, ratio * item.initial_sigma / item.initial)


def _boundary_warnings(data: ReportData, item: Outcome) -> list[str]:
    found = []
    final = data.summary.model.hash if data.summary.model else None
    strangers = {a.model_hash for a in anchors_of(data, item.boundary, "verification")} - {final}
    if final is not None and strangers:
        found.append(
            f"{item.name}: a verification belongs to model {', '.join(sorted(h[:12] for h in strangers))}, "
            f"not to the final model {final[:12]}; it is not counted."
        )
    if item.kind == "not verified":
        found.append(f"{item.name}: there is no verified result; a training estimate is only a diagnostic.")
    if item.training and item.result and item.training.differs(item.result) > 3:
        found.append(
            f"{item.name}: training ({item.training}) and verification ({item.result}) disagree by "
            f"{item.training.differs(item.result):.1f} σ."
        )
    checked = data.summary.task in {"calibrate", "verify"}
    if checked and item.result and item.target and item.result.differs(item.target) > 2:
        found.append(
            f"{item.name}: the {item.kind} temperature ({item.result}) is "
            f"{item.result.differs(item.target):.1f} σ from the target ({item.target})."
        )
    return found


def _wrong_reason(item: Property, experiment: Reference | None, calibrated: bool) -> str | None:
    """A warning if ΔH or ΔV of the resulting model is far from experiment."""
    value, sigma = (item.final, item.final_sigma) if calibrated else (item.initial, item.initial_sigma)
    if experiment is None or value is None or sigma is None:
        return None
    error = value / experiment.value - 1
    if not item.name.startswith(("enthalpy_change", "volume_change")) or abs(error) <= WRONG_REASON:
        return None
    return (
        f"{'Right T for the wrong reason: ' if calibrated else ''}{label(item.name)} is "
        f"{with_sigma(value, sigma)} {item.unit}, {abs(100 * error):.0f} % "
        f"{'above' if error > 0 else 'below'} experiment ({tabulated(experiment.value, experiment.sigma)}, "
        f"{experiment.source}). A transition temperature fixes only the ratio ΔH/ΔS."
    )


def _anchor_warnings(data: ReportData) -> list[str]:
    """Anchors that disagree about one target, in the last round: each pair of phases once."""
    worst: dict[tuple[str, str], RoundTarget] = {}
    for target in data.rounds[-1].targets if data.rounds else []:
        seen = worst.get(target.phases)
        if (target.anchor_chi2 or 0.0) > ((seen and seen.anchor_chi2) or 0.0):
            worst[target.phases] = target
    found = []
    for (low, high), target in worst.items():
        dof = len(target.anchor_pressures_gpa) - 1 if target.anchor_dof is None else target.anchor_dof
        if (target.anchor_chi2 or 0.0) > DISAGREE * dof:
            pressures = ", ".join(f"{p:g}" for p in sorted(target.anchor_pressures_gpa))
            found.append(
                f"{low} → {high}, {target.pressure_gpa:g} GPa: the anchors at {pressures} GPa disagree about "
                f"this target: χ² is {target.anchor_chi2:.1f} for {dof} expected; their interval is widened."
            )
    return found


def _property_warnings(data: ReportData) -> list[str]:
    found = []
    for item in data.properties:
        reason = _wrong_reason(item, reference(data.element, item.name), data.summary.task == "calibrate")
        if reason is not None:
            found.append(reason)
        change, sigma = relative_change(item)
        if item.protected and change is not None and abs(change) > max(PROTECTED_CHANGE, 2 * (sigma or 0.0)):
            found.append(f"Protected, and yet it moved: {label(item.name)} by {percent(change, sigma)} %.")
    return found


def withheld(data: ReportData) -> list[str]:
    """What is not shown because it has no interval."""
    names = []
    for item in data.properties:
        kind = describe(item.name)
        values = [(item.initial, item.initial_sigma), (item.final, item.final_sigma)]
        if any(v is not None and property_value(v, s, kind) == with_sigma(None, None) for v, s in values):
            names.append(label(item.name))
    for boundary in data.summary.boundaries:
        pairs = [
            (boundary.temperature_k, boundary.sigma_k),
            (boundary.initial_k, boundary.initial_sigma_k),
            (boundary.target_k, boundary.target_sigma_k),
        ]
        if any(value is not None and sigma is None for value, sigma in pairs):
            names.append(f"a temperature of {boundary.phases[0]} → {boundary.phases[1]}")
    return names


def collect_warnings(data: ReportData) -> list[str]:
    """Every reason for doubt, the campaign's own first."""
    found = list(data.warnings)
    if data.summary.units == "lj":
        found.append(
            f"A campaign in reduced units: this page has T in K (1 is {REFERENCE['temperature']:.0f} K) and P in GPa "
            f"(1 is {REFERENCE['pressure']:.6f} GPa); boundaries.csv has them reduced."
        )
    for item in outcomes(data):
        found += _boundary_warnings(data, item)
    if data.rejected:
        n = len(data.rejected)
        found.append(
            f"{n} {'run was' if n == 1 else 'runs were'} rejected and not used; why is listed under Interface runs."
        )
    found += _anchor_warnings(data) + _property_warnings(data)
    if names := withheld(data):
        found.append(f"Not shown, because it came without an interval: {', '.join(names)}.")
    return found
