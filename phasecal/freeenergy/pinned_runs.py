"""Judge the runs of interface pinning: is each reference its phase, and does each two-phase box hold both?

The pathology of the method is a box that looks pinned and is not: the bias alone can keep Q at its anchor by ordering a
completely molten box, or crystal that has frozen out of register, and the formula then returns a plausible ΔG. Q cannot
reveal it, so three witnesses that the bias does not act on are asked: where along z the order sits, frame by frame, and
how much of the box is solid by its volume and by its enthalpy (lever rule between the references).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecal.engines.lammps.kinds import validate_task
from phasecal.engines.lammps.pinning import PinningTask
from phasecal.errors import ConvergenceError, DataError, InputError
from phasecal.freeenergy.settling import settled
from phasecal.observables.bulk import MAX_LIQUID_ORDER, MAX_LIQUID_Q6, MIN_SOLID_ORDER, TEMPERATURE_TOLERANCE
from phasecal.observables.ensemble import (
    PRESSURE_TOLERANCE,
    Thermo,
    average,
    ensemble_temperature,
    not_finite,
    off_target,
    thermal_pressure_gpa,
    wrong_degrees_of_freedom,
)
from phasecal.observables.order import bragg_order, global_q6, solid_fraction
from phasecal.observables.slab import Outcome, judge_slab, strained
from phasecal.observables.statistics import Estimate, mean_with_error
from phasecal.sample import Sample
from phasecal.structures.crystals import crystal
from phasecal.structures.reflections import bragg_vectors
from phasecal.units import EV_PER_A3_IN_GPA, KB

MAX_SHIFT = 0.1
"""Largest |⟨Q⟩ − a| in units of the change of Q on melting. Beyond, the bias no longer holds the interface in the
middle, and a box that was lost altogether is not far."""
SHARE_WINDOW = (0.2, 0.8)
"""Mean solid share of the box, by volume and by enthalpy, at which both layers are thick enough."""
MAX_DISAGREEMENT = 0.15
"""How far apart, beyond 2σ, the solid shares by order, volume and enthalpy may be. The interfaces, two of some 5 Å in
60 Å, count differently in the three; a layer that is not what Q takes it for makes a difference of about 0.5."""
RELAX_LONGER = "relax the crystal for longer"
MAX_EDGE_MISMATCH = 1e-6
"""Largest relative difference of lateral edges between a box and its references: they are copied, not measured."""


@dataclass(frozen=True)
class Reference:
    """One bulk phase in the box of the two-phase runs.

    Attributes:
        role: ``solid`` or ``liquid``.
        q: Mean of Q = |ρ_k|; None when the run was too short.
        q_variance: Variance of Q.
        enthalpy_ev: U + PV + 3/2 kT, eV/atom.
        volume_a3: Volume, Å³/atom.
        temperature_k: Temperature of the ensemble that was sampled: the thermostat's, plus the time-step correction.
        stress_gpa: (p_xx + p_yy)/2 − p_zz.
        lateral_a: Edges along x and y, Å.
        n_atoms: Number of atoms.
        seed: Seed of the run.
        rejections: Why it cannot be used; empty when it can.
    """

    role: str
    q: Estimate | None
    q_variance: float
    enthalpy_ev: Estimate | None
    volume_a3: Estimate | None
    temperature_k: float
    stress_gpa: Estimate | None
    lateral_a: tuple[float, float]
    n_atoms: int
    seed: int
    rejections: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        names = ("q", "enthalpy_ev", "volume_a3", "stress_gpa")
        estimates = {name: getattr(self, name) for name in names}
        return {
            "role": self.role,
            **{name: None if value is None else value.to_dict() for name, value in estimates.items()},
            "q_variance": self.q_variance,
            "temperature_k": self.temperature_k,
            "lateral_a": list(self.lateral_a),
            "n_atoms": self.n_atoms,
            "seed": self.seed,
            "rejections": self.rejections,
        }


@dataclass(frozen=True)
class PinnedReplica:
    """One two-phase run under the bias.

    Attributes:
        outcome: ``coexisting``, or which phase took over.
        field_ev: κ (Q − a) of the kept part, eV, shape (n_lines,).
        field_variance: Its variance in equilibrium, κ kT, eV².
        field: Its mean, with the error of its autocorrelation alone; None when there are too few independent samples.
        shares: Mean solid share of the box by ``order``, ``volume`` and ``enthalpy``.
        solid_fraction: By the profile of the order along z, of every frame, shape (n_frames,).
        time_ps: Time of every frame, shape (n_frames,).
        stress_gpa: (p_xx + p_yy)/2 − p_zz.
        temperature_k: Temperature of the ensemble that was sampled.
        seed: Seed of the run.
        rejections: Why it cannot be used; empty when it can.
    """

    outcome: Outcome
    field_ev: NDArray[np.float64]
    field_variance: float
    field: Estimate | None
    shares: dict[str, Estimate | None]
    solid_fraction: NDArray[np.float64]
    time_ps: NDArray[np.float64]
    stress_gpa: Estimate | None
    temperature_k: float
    seed: int
    rejections: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "outcome": self.outcome,
            "seed": self.seed,
            "field_ev": None if self.field is None else self.field.to_dict(),
            "shares": {name: None if share is None else share.to_dict() for name, share in self.shares.items()},
            "stress_gpa": None if self.stress_gpa is None else self.stress_gpa.to_dict(),
            "temperature_k": self.temperature_k,
            "time_ps": self.time_ps.round(3).tolist(),
            "solid_fraction": self.solid_fraction.round(4).tolist(),
            "rejections": self.rejections,
        }


def analyse_reference(sample: Sample, thermo: Thermo, task: Mapping[str, Any]) -> Reference:
    """Average a bulk reference and check every frame and the ensemble.

    Args:
        sample: Frames of the production stage.
        thermo: The production series.
        task: The MD task of the run, role ``solid`` or ``liquid``.

    Raises:
        InputError: The task is not that of a reference.
        DataError: Sample and series do not belong together, or the run ends within the discarded part.
    """
    checked = _checked(sample, thermo, task, ("solid", "liquid"))
    kept = settled(thermo, checked.production_steps)
    averages = {
        "q": average("Q", thermo["q"][kept]),
        "enthalpy_ev": average("enthalpy", enthalpy(thermo, checked, sample.n_atoms)[kept]),
        "volume_a3": average("volume", thermo["volume"][kept] / sample.n_atoms),
    }
    reasons = [_lost_reference(sample, checked), *_ensemble_reasons(thermo, kept, checked, sample.n_atoms)]
    reasons += [reason for _, reason in averages.values()]
    stress = _stress(thermo, kept)
    if checked.role == "solid":
        reasons.append(strained(stress, _thermal_pressure(thermo, checked, sample.n_atoms), RELAX_LONGER))
    return Reference(
        role=checked.role,
        **{name: value for name, (value, _) in averages.items()},
        q_variance=float(np.var(thermo["q"][kept])),
        temperature_k=_sampled_temperature(thermo, kept, checked, sample.n_atoms),
        stress_gpa=stress,
        lateral_a=(float(thermo["lx"][0]), float(thermo["ly"][0])),
        n_atoms=sample.n_atoms,
        seed=checked.seed,
        rejections=[f"{checked.role} reference: {reason}" for reason in reasons if reason is not None],
    )


def analyse_pinned(
    sample: Sample, thermo: Thermo, task: Mapping[str, Any], solid: Reference, liquid: Reference
) -> PinnedReplica:
    """Judge one two-phase run against its references.

    Args:
        sample: Frames of the production stage.
        thermo: The production series.
        task: The MD task of the run, role ``two-phase``.
        solid: Reference of the crystal, with averages.
        liquid: Reference of the liquid, with averages.

    Raises:
        InputError: The task is not that of a two-phase run.
        DataError: Sample, series and references do not belong together, or the run ends within the discarded part.
    """
    checked = _checked(sample, thermo, task, ("two-phase",))
    _same_box(sample, thermo, solid, liquid)
    kept = settled(thermo, checked.production_steps)
    vectors = bragg_vectors(crystal(checked.structure), checked.box_repeats, in_plane=True)
    fraction = solid_fraction(sample, vectors).fraction
    time_ps = sample.steps * checked.timestep_fs / 1000
    slab = judge_slab(fraction, time_ps, checked.n_normal)
    field_ev = checked.kappa_ev * (thermo["q"] - checked.anchor)[kept]
    field, no_field = average("Q", field_ev)
    shares = _shares(thermo, kept, checked, solid, liquid)
    stress = _stress(thermo, kept)
    reasons = [slab.rejection, no_field, _not_pinned(field, checked, solid), *_wrong_shares(shares)]
    reasons += _ensemble_reasons(thermo, kept, checked, sample.n_atoms)
    if slab.outcome == "coexisting":
        reasons.append(strained(stress, _thermal_pressure(thermo, checked, sample.n_atoms), RELAX_LONGER))
    return PinnedReplica(
        outcome=slab.outcome,
        field_ev=field_ev,
        field_variance=checked.kappa_ev * KB * checked.temperature_k,
        field=field,
        shares=shares,
        solid_fraction=fraction,
        time_ps=time_ps,
        stress_gpa=stress,
        temperature_k=_sampled_temperature(thermo, kept, checked, sample.n_atoms),
        seed=checked.seed,
        rejections=[reason for reason in reasons if reason is not None],
    )


def enthalpy(thermo: Thermo, task: PinningTask, n_atoms: int) -> NDArray[np.float64]:
    """U + PV + 3/2 kT without the bias, eV/atom, shape (n_lines,); T and P are those that were asked for."""
    work = task.pressure_gpa * thermo["volume"] / EV_PER_A3_IN_GPA
    series: NDArray[np.float64] = (thermo["pe"] + work) / n_atoms + 1.5 * KB * task.temperature_k
    return series


def _checked(sample: Sample, thermo: Thermo, task: Mapping[str, Any], roles: tuple[str, ...]) -> PinningTask:
    """The validated task, when it is of the right kind and sample and series fit together."""
    checked = validate_task(task)
    if not isinstance(checked, PinningTask) or checked.role not in roles:
        found = checked.role if isinstance(checked, PinningTask) else checked.kind
        raise InputError(f"expected a pinning task of role {' or '.join(roles)}, got {found}")
    if not np.isin(sample.steps, thermo["step"]).all():
        raise DataError(f"sample {sample.phase}: frames at steps that the series does not have")
    return checked


def _sampled_temperature(thermo: Thermo, kept: NDArray[np.bool_], task: PinningTask, n_atoms: int) -> float:
    """The thermostat's temperature plus the mean time-step correction, K: a thermostat sets the kinetic one."""
    correction = ensemble_temperature(thermo, task.timestep_fs, n_atoms) - thermo["temp"]
    mean = float(np.mean(correction[kept]))
    return task.temperature_k + (mean if np.isfinite(mean) else 0.0)


def _ensemble_reasons(thermo: Thermo, kept: NDArray[np.bool_], task: PinningTask, n_atoms: int) -> list[str | None]:
    """Whether the series shows the temperature, the pressure and the degrees of freedom that were asked for."""
    temperature, _ = average("temperature", thermo["temp"][kept])
    pressure, _ = average("pressure", thermo["pzz"][kept])
    tolerance_k = TEMPERATURE_TOLERANCE * task.temperature_k
    scale_gpa = _thermal_pressure(thermo, task, n_atoms)
    return [
        not_finite(thermo),
        wrong_degrees_of_freedom(thermo, n_atoms),
        off_target("temperature", temperature, task.temperature_k, tolerance_k, "K"),
        off_target("p_zz", pressure, task.pressure_gpa, PRESSURE_TOLERANCE * scale_gpa, "GPa"),
    ]


def _stress(thermo: Thermo, kept: NDArray[np.bool_]) -> Estimate | None:
    """Mean of (p_xx + p_yy)/2 − p_zz, GPa."""
    return average("stress", ((thermo["pxx"] + thermo["pyy"]) / 2 - thermo["pzz"])[kept])[0]


def _thermal_pressure(thermo: Thermo, task: PinningTask, n_atoms: int) -> float:
    """Return kT per atomic volume, GPa: the natural scale of pressures (docs/adr/0013)."""
    return thermal_pressure_gpa(task.temperature_k, float(thermo["volume"].mean()) / n_atoms)


def _lost_reference(sample: Sample, task: PinningTask) -> str | None:
    """Say so when a frame of a reference is not the phase it stands for."""
    order = bragg_order(sample, bragg_vectors(crystal(task.structure), task.box_repeats))
    if task.role == "solid":
        lost = order < MIN_SOLID_ORDER
        what = f"the crystal was lost: Bragg amplitude {order.min():.2f}, expected at least {MIN_SOLID_ORDER}"
    else:
        q6 = global_q6(sample)
        lost = (order > MAX_LIQUID_ORDER) | (q6 > MAX_LIQUID_Q6)
        what = (
            f"not liquid: Bragg amplitude up to {order.max():.2f}, Q6 up to {q6.max():.2f}, expected below "
            f"{MAX_LIQUID_ORDER} and {MAX_LIQUID_Q6}"
        )
    return f"{what} ({int(lost.sum())} of {sample.n_frames} frames)" if lost.any() else None


def _same_box(sample: Sample, thermo: Thermo, solid: Reference, liquid: Reference) -> None:
    """Refuse references of another box: Q, N and the chemical potential of the crystal depend on it."""
    edges = np.array([thermo["lx"][0], thermo["ly"][0]])
    for reference, role in ((solid, "solid"), (liquid, "liquid")):
        if reference.role != role:
            raise DataError(f"the references are swapped: {reference.role} was given as {role}")
        if reference.n_atoms != sample.n_atoms:
            raise DataError(f"the {role} reference has {reference.n_atoms} atoms, the box {sample.n_atoms}")
        if np.abs(edges / np.array(reference.lateral_a) - 1).max() > MAX_EDGE_MISMATCH:
            raise DataError(f"the {role} reference has edges {reference.lateral_a} Å, the box {edges.tolist()} Å")


def _not_pinned(field: Estimate | None, task: PinningTask, solid: Reference) -> str | None:
    """Say so when the bias does not hold the interface near its anchor."""
    if field is None or solid.q is None:
        return None
    shift = field.value / task.kappa_ev / solid.q.value
    if abs(shift) < MAX_SHIFT:
        return None
    return (
        f"not pinned: ⟨Q⟩ is {shift:+.2f} of the crystal's Q away from its anchor, expected within {MAX_SHIFT}; "
        "start closer to the transition or use a stronger bias"
    )


def _shares(
    thermo: Thermo, kept: NDArray[np.bool_], task: PinningTask, solid: Reference, liquid: Reference
) -> dict[str, Estimate | None]:
    """Mean solid share of the box by order, volume and enthalpy: (liquid − X)/(liquid − solid)."""
    shares: dict[str, Estimate | None] = {}
    series = {
        "volume": (thermo["volume"] / solid.n_atoms, solid.volume_a3, liquid.volume_a3),
        "enthalpy": (enthalpy(thermo, task, solid.n_atoms), solid.enthalpy_ev, liquid.enthalpy_ev),
    }
    shares["order"] = None if solid.q is None else _share(thermo["q"][kept] / solid.q.value)
    for name, (values, low, high) in series.items():
        if low is None or high is None:
            shares[name] = None
        else:
            shares[name] = _share((high.value - values[kept]) / (high.value - low.value))
    return shares


def _share(series: NDArray[np.float64]) -> Estimate | None:
    """Mean of a solid share; two independent samples are enough for its wide windows. None when there are fewer."""
    try:
        return mean_with_error(series, at_least=2.0)
    except (ConvergenceError, DataError):
        return None


def _wrong_shares(shares: dict[str, Estimate | None]) -> list[str]:
    """Say so when the box is not half solid by volume and enthalpy, or the order says otherwise."""
    low, high = SHARE_WINDOW
    order, reasons = shares["order"], []
    for name in ("volume", "enthalpy"):
        share = shares[name]
        if share is None or order is None:
            reasons.append(f"no mean {name} of the box or its references, by which its solid share would be judged")
            continue
        if not low <= share.value <= high:
            reasons.append(
                f"by its {name} {share.value:.2f} of the box is solid, expected {low} to {high}: it melted or froze"
            )
        if abs(order.value - share.value) - 2 * float(np.hypot(order.sigma, share.sigma)) > MAX_DISAGREEMENT:
            reasons.append(
                f"Q says that {order.value:.2f} of the box is solid, the {name} {share.value:.2f}, expected within "
                f"{MAX_DISAGREEMENT}: the bias orders what is not the crystal"
            )
    return reasons
