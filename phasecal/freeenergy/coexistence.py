"""Melting temperature from solid and liquid side by side at constant enthalpy.

Without a thermostat a two-phase box settles at T_m by itself: when it is too hot some solid melts and cools
it (Morris, Wang, Ho & Chan, Phys. Rev. B 49, 3109 (1994); here in NPH with only the box length along the
growth direction free). Temperature then fluctuates slowly around T_m as the interfaces wander. What is averaged is
the temperature of 3N − 3 degrees of freedom, corrected for the finite time step. Replicas, started above and below,
are pooled, and the interval knows how interfaces wander (freeenergy/wandering.py). Nothing that could be used is
thrown away when a result is not good enough yet: repeating runs until two happen to agree would select them, so more
replicas are added instead.

A run is only as good as its two phases: the in-plane order of the seed crystal along z must show both phases in
every frame, the solid must be free of lateral stress, and the enthalpy must be conserved. Otherwise it is rejected
with the reason. Gates are in the natural scales of the run (steps, kT, kT per atomic volume), so that a potential with
another energy scale is judged alike and corresponding states hold exactly (docs/adr/0013); what they are for copper is
said beside each. Known limit: one orientation of the crystal, [001] along the growth direction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecal.engines.lammps.coexistence import CoexistenceTask
from phasecal.engines.lammps.kinds import validate_task
from phasecal.errors import ConvergenceError, DataError, InputError
from phasecal.freeenergy.settling import settled
from phasecal.freeenergy.wandering import box_fluctuation, common_mean
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
from phasecal.observables.order import TwoPhaseOrder, solid_fraction
from phasecal.observables.slab import Outcome, Slab, judge_slab, strained
from phasecal.observables.statistics import Estimate, chi_squared, mean_with_error
from phasecal.sample import Sample
from phasecal.structures.crystals import crystal, two_phase_repeats
from phasecal.structures.reflections import bragg_vectors
from phasecal.units import EV_PER_A3_IN_GPA, KB

MAX_DRIFT = 0.0172
"""Largest drift of the conserved enthalpy per atom over the run, in kT: 2 meV for Cu at 1350 K, 1.5 % of the box frozen
or melted by the integrator."""
AGREEMENT = 3.0
"""How far apart, in standard deviations of their difference, replicas may be."""
RELAX_NEARER = "relax the crystal at a temperature closer to the one found"
GUESS_STEP = 0.04
GUESS_STEP_AT_ONCE = 0.1
"""How far beyond the temperature at which the slab was lost the next guess goes; further when it was lost at once,
during setup. A slab survives starts within some 10 % of T_m, which its latent heat makes up for."""


@dataclass(frozen=True)
class Replica:
    """One two-phase run.

    Attributes:
        outcome: ``coexisting``, or which phase took over.
        temperature_k: Melting temperature from this run alone, after the discarded part; None when there are too
            few independent samples or the slab was lost.
        series_k: Kept temperatures, K, shape (n_lines,).
        solid_fraction: Of every frame, shape (n_frames,).
        time_ps: Time of every frame, shape (n_frames,).
        stress_gpa: (p_xx + p_yy)/2 − p_zz.
        drift_ev: Drift of the conserved enthalpy over the run, eV/atom; None when the run blew up.
        n_atoms: Number of atoms.
        next_guess_k: Where to start again if this run was no good.
        seed: Seed of the run.
        rejections: Why it cannot be used; empty when it can.
    """

    outcome: Outcome
    temperature_k: Estimate | None
    series_k: NDArray[np.float64]
    solid_fraction: NDArray[np.float64]
    time_ps: NDArray[np.float64]
    stress_gpa: Estimate | None
    drift_ev: float | None
    n_atoms: int
    next_guess_k: float
    seed: int
    rejections: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "outcome": self.outcome,
            "seed": self.seed,
            "temperature_k": None if self.temperature_k is None else self.temperature_k.to_dict(),
            "stress_gpa": None if self.stress_gpa is None else self.stress_gpa.to_dict(),
            "drift_ev": self.drift_ev,
            "time_ps": self.time_ps.round(3).tolist(),
            "solid_fraction": self.solid_fraction.round(4).tolist(),
            "rejections": self.rejections,
        }


@dataclass(frozen=True)
class CoexistenceResult:
    """The melting temperature from all replicas.

    Attributes:
        temperature_k: Melting temperature from the coexisting replicas, K; None when none coexists.
        sigma_k: Its 68 % half-width, K.
        chi2: Σ (T_i − mean)²/σ_i² over the replicas that have an estimate of their own.
        n_effective: Independent samples in all.
        coexisting: At least one replica kept both phases: good enough to start the next stage from.
        rejections: Why the result must not be used; empty when it can.
        next_guess_k: Where to start more replicas, or the next stage.
        replicas: The runs, also those that are left out with their reasons.
    """

    temperature_k: float | None
    sigma_k: float | None
    chi2: float
    n_effective: float
    coexisting: bool
    rejections: list[str]
    next_guess_k: float
    replicas: list[Replica]

    @property
    def accepted(self) -> bool:
        """Whether the result can be used."""
        return not self.rejections

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "temperature_k": self.temperature_k,
            "sigma_k": self.sigma_k,
            "chi2": self.chi2,
            "n_effective": self.n_effective,
            "coexisting": self.coexisting,
            "accepted": self.accepted,
            "rejections": self.rejections,
            "next_guess_k": self.next_guess_k,
            "replicas": [replica.to_dict() for replica in self.replicas],
        }


def analyse_replica(sample: Sample, thermo: Thermo, task: Mapping[str, Any]) -> Replica:
    """Judge one two-phase run.

    Args:
        sample: Frames of the production stage.
        thermo: The production series.
        task: The MD task of the run.

    Raises:
        InputError: The task is not a coexistence task.
        DataError: Sample and series do not belong together, or the run ends within the discarded part.
    """
    checked = _coexistence_task(task)
    if not np.isin(sample.steps, thermo["step"]).all():
        raise DataError(f"sample {sample.phase}: frames at steps that the series does not have")
    fraction = two_phase_order(sample, task).fraction
    time_ps = sample.steps * checked.timestep_fs / 1000
    slab = judge_slab(fraction, time_ps, checked.n_normal)
    guess_k = _next_guess(slab, time_ps, thermo, checked)

    kept = kept_lines(thermo, task)
    series_k = ensemble_temperature(thermo, checked.timestep_fs, sample.n_atoms)[kept]
    stress, stress_missing = average("stress", ((thermo["pxx"] + thermo["pyy"]) / 2 - thermo["pzz"])[kept])
    pressure, _ = average("pressure", thermo["pzz"][kept])
    blown_up = not_finite(thermo)
    drift_ev = None if blown_up else _drift_ev(thermo, checked.pressure_gpa, sample.n_atoms)
    drifting = _drifting(drift_ev, KB * checked.temperature_k)
    reasons = [slab.rejection, blown_up, wrong_degrees_of_freedom(thermo, sample.n_atoms), drifting]
    if slab.outcome == "coexisting":
        scale_gpa = thermal_pressure_gpa(checked.temperature_k, float(thermo["volume"].mean()) / sample.n_atoms)
        tolerance_gpa = PRESSURE_TOLERANCE * scale_gpa
        off_pressure = off_target("p_zz", pressure, checked.pressure_gpa, tolerance_gpa, "GPa")
        reasons += [off_pressure, stress_missing, strained(stress, scale_gpa, RELAX_NEARER)]
    return Replica(
        outcome=slab.outcome,
        temperature_k=_melting_point([series_k], sample.n_atoms)[0] if slab.outcome == "coexisting" else None,
        series_k=series_k,
        solid_fraction=fraction,
        time_ps=time_ps,
        stress_gpa=stress,
        drift_ev=drift_ev,
        n_atoms=sample.n_atoms,
        next_guess_k=guess_k if np.isfinite(guess_k) else checked.start_temperature_k,
        seed=checked.seed,
        rejections=[reason for reason in reasons if reason is not None],
    )


def _coexistence_task(task: Mapping[str, Any]) -> CoexistenceTask:
    """Return the task of a two-phase run, or an InputError."""
    checked = validate_task(task)
    if not isinstance(checked, CoexistenceTask):
        raise InputError(f"expected a task of kind coexistence, got {checked.kind}")
    return checked


def two_phase_order(sample: Sample, task: Mapping[str, Any]) -> TwoPhaseOrder:
    """Where the box of a two-phase run is solid.

    Raises:
        InputError: The task is not a coexistence task.
    """
    checked = _coexistence_task(task)
    cell = crystal(checked.structure)
    box = two_phase_repeats(cell, checked.n_lateral, checked.n_normal)
    return solid_fraction(sample, bragg_vectors(cell, box, in_plane=True))


def kept_lines(thermo: Thermo, task: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Which lines of the series of a two-phase run count, shape (n_lines,): not those while heat still flows.

    Raises:
        InputError: The task is not a coexistence task.
        DataError: The run ends within the discarded part.
    """
    return settled(thermo, _coexistence_task(task).production_steps)


def _next_guess(slab: Slab, time_ps: NDArray[np.float64], thermo: Thermo, task: CoexistenceTask) -> float:
    """A better temperature to start from, K: where the box settled, or beyond where a phase was lost."""
    if slab.first is None:
        return float(np.mean(thermo["temp"][len(thermo["temp"]) // 4 :]))
    direction = -1.0 if slab.outcome == "melted" else 1.0
    if slab.first == 0:
        return task.start_temperature_k * (1 + direction * GUESS_STEP_AT_ONCE)
    steps = time_ps[slab.first] * 1000 / task.timestep_fs
    approach = (thermo["step"] <= steps) & (thermo["step"] >= 0.75 * steps)
    return float(np.mean(thermo["temp"][approach])) * (1 + direction * GUESS_STEP)


def _drift_ev(thermo: Thermo, pressure_gpa: float, n_atoms: int) -> float:
    """Linear drift of E + PV over the run, eV/atom."""
    enthalpy = (thermo["etotal"] + pressure_gpa * thermo["volume"] / EV_PER_A3_IN_GPA) / n_atoms
    slope = np.polyfit(thermo["step"], enthalpy, 1)[0]
    return float(slope * (thermo["step"][-1] - thermo["step"][0]))


def _drifting(drift_ev: float | None, kt_ev: float) -> str | None:
    """Say so when the integrator heats or cools the box."""
    if drift_ev is None or abs(drift_ev) <= MAX_DRIFT * kt_ev:
        return None
    return f"the enthalpy drifts by {1e3 * drift_ev:.2g} meV/atom; shorten the time step"


def combine_replicas(replicas: Sequence[Replica], wanted: int = 1) -> CoexistenceResult:
    """Pool the usable replicas into the melting temperature.

    Args:
        replicas: At least one run of the same model, state and cell.
        wanted: How many of them must be usable.

    Raises:
        DataError: No replicas.
    """
    if not replicas:
        raise DataError("no replicas to combine")
    usable = [replica for replica in replicas if not replica.rejections]
    coexisting = usable or [replica for replica in replicas if replica.outcome == "coexisting"]
    pooled, missing = _pooled(coexisting)
    own = [replica.temperature_k for replica in coexisting if replica.temperature_k is not None]
    rejections = [missing] if missing else []
    if len(usable) < wanted:
        rejections += [f"seed {replica.seed}: {reason}" for replica in replicas for reason in replica.rejections]
        rejections = rejections or [f"only {len(usable)} of {wanted} replicas"]
    if pooled is not None:
        rejections += _disagreement(coexisting)
    return CoexistenceResult(
        temperature_k=None if pooled is None else pooled.value,
        sigma_k=None if pooled is None else pooled.sigma,
        chi2=chi_squared(own) if own else 0.0,
        n_effective=0.0 if pooled is None else pooled.n_effective,
        coexisting=pooled is not None,
        rejections=rejections,
        next_guess_k=float(np.mean([replica.next_guess_k for replica in coexisting or replicas])),
        replicas=list(replicas),
    )


def _disagreement(replicas: Sequence[Replica]) -> list[str]:
    """Say so when two replicas are further apart than the temperature of a box in equilibrium fluctuates.

    The bound is physics: means over any time scatter by less than √V. A relaxation time fitted to the runs themselves
    would be too uncertain for a gate; what it and the scatter of the replicas say is in the interval.
    """
    means = [float(replica.series_k.mean()) for replica in replicas]
    limit_k = AGREEMENT * 2**0.5 * box_fluctuation(float(np.mean(means)), replicas[0].n_atoms)
    if max(means) - min(means) <= limit_k:
        return []
    seen = f"{min(means):.0f} to {max(means):.0f} K"
    return [f"replicas disagree: {seen}, boxes of this size in equilibrium stay within {limit_k:.0f} K"]


def _pooled(replicas: Sequence[Replica]) -> tuple[Estimate | None, str | None]:
    """Melting temperature from all coexisting replicas, or why there is none."""
    return _melting_point([replica.series_k for replica in replicas], replicas[0].n_atoms) if replicas else (None, None)


def _melting_point(series: Sequence[NDArray[np.float64]], n_atoms: int) -> tuple[Estimate | None, str | None]:
    """Melting temperature with the error that wandering interfaces make, or why there is none."""
    try:
        seen = mean_with_error(*series, at_least=2.0)
    except (ConvergenceError, DataError) as error:
        return None, str(error)
    value, sigma = common_mean(series, n_atoms)
    return replace(seen, value=value, sigma=sigma), None
