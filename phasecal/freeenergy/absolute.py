"""Gibbs energy of one phase at one state from the repeats of its switching runs: the result of `phasecal.free_energy`.

G = F(V) + PV at the mean volume V of an isothermal–isobaric run. F + PV is smallest at the right volume, so an error
of V can only raise it, by kT/(2 n_eff) per cell on average when V is the mean of n_eff independent volumes (their
variance is kT V/B): this is added to the interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from phasecal.engines.lammps.frenkel_ladd import FrenkelLaddTask
from phasecal.engines.lammps.kinds import validate_task
from phasecal.engines.lammps.uhlenbeck_ford import UhlenbeckFordTask
from phasecal.errors import DataError, InputError
from phasecal.freeenergy import frenkel_ladd, reversible_scaling, uhlenbeck_ford
from phasecal.freeenergy.switching import Repeat, combine_repeats
from phasecal.observables.ensemble import Thermo
from phasecal.observables.statistics import mean_with_error
from phasecal.sample import Sample
from phasecal.structures.crystals import CUBIC
from phasecal.units import EV_PER_A3_IN_GPA, KB

Run = tuple[Sample, Thermo, Mapping[str, Any]]


@dataclass(frozen=True)
class FreeEnergy:
    """Absolute free energy of a phase, per atom, momenta included; intervals are 68 %.

    Attributes:
        phase: Name of the phase.
        temperature_k: Temperature, K.
        pressure_gpa: Pressure, GPa.
        gibbs_ev: G, eV/atom.
        sigma_ev: Its standard deviation.
        helmholtz_ev: F at the volume of the cell, eV/atom.
        reference_ev: F of the reference system, a crystal's finite size included, eV/atom.
        difference_ev: F(reference) − F(phase) from switching, eV/atom.
        finite_size_ev: Part of F that corrects for the finite size, eV/atom; 0 for a liquid.
        volume_a3: Volume, Å³/atom.
        dissipation_ev: Mean dissipation, eV/atom.
        n_atoms: Number of atoms.
        sigma_parts_ev: Standard deviations of ``switching``, ``reference`` (of a crystal: its finite size), ``volume``.
        repeats: The runs.
        rejections: Why the result must not be used; empty when it can.
    """

    phase: str
    temperature_k: float
    pressure_gpa: float
    gibbs_ev: float
    sigma_ev: float
    helmholtz_ev: float
    reference_ev: float
    difference_ev: float
    finite_size_ev: float
    volume_a3: float
    dissipation_ev: float
    n_atoms: int
    sigma_parts_ev: dict[str, float]
    repeats: list[Repeat]
    rejections: list[str]

    @property
    def accepted(self) -> bool:
        """Whether the result can be used."""
        return not self.rejections

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {**asdict(self), "seeds": [repeat.seed for repeat in self.repeats], "accepted": self.accepted}


def cell_and_springs(sample: Sample, thermo: Thermo, task: Mapping[str, Any]) -> dict[str, Any]:
    """Mean cell of a bulk run, how well it is known, and for a crystal the springs.

    Args:
        sample: Frames of the run.
        thermo: Its series.
        task: Its MD task, of kind ``bulk``.

    Returns:
        ``cell_a`` (edges, Å), ``n_effective`` (independent volumes) and ``springs_ev_a2`` (by element; {} for a
        liquid).
    """
    edges = [float(thermo[name].mean()) for name in ("lx", "ly", "lz")]
    if task["melt"] or task["structure"]["prototype"] in CUBIC:
        stretch = (np.prod(edges) / np.prod([thermo[name][0] for name in ("lx", "ly", "lz")])) ** (1 / 3)
        edges = [float(thermo[name][0] * stretch) for name in ("lx", "ly", "lz")]
    springs = {} if task["melt"] else frenkel_ladd.springs_from_sample(sample, task["structure"], task["n_atoms"])
    return {
        "cell_a": edges,
        "n_effective": mean_with_error(thermo["volume"]).n_effective,
        "springs_ev_a2": springs,
    }


def free_energy(
    runs: Sequence[Run], masses: Mapping[str, float], *, n_effective: float, max_dissipation_ev: float
) -> FreeEnergy:
    """Combine the repeats of one phase at one state.

    Args:
        runs: At least two runs of tasks that differ in their seed only.
        masses: Atomic mass by element, amu.
        n_effective: Independent volumes behind the cell.
        max_dissipation_ev: Largest dissipation that is allowed, eV/atom.

    Raises:
        InputError: The tasks are not of a kind that gives absolute free energies.
        DataError: The tasks differ in more than the seed, or lines are missing.
        ConvergenceError: Fewer than two repeats.
    """
    tasks = [validate_task(task) for _, _, task in runs]
    task = tasks[0]
    if any(other.model_dump(exclude={"seed"}) != task.model_dump(exclude={"seed"}) for other in tasks):
        raise DataError("repeats of a free energy must differ in their seed only")
    if isinstance(task, FrenkelLaddTask):
        repeats = [frenkel_ladd.analyse_run(*run) for run in runs]
        finite_size, sigma_reference = frenkel_ladd.finite_size(task)
        reference = frenkel_ladd.crystal_reference(task, masses) + finite_size
    elif isinstance(task, UhlenbeckFordTask):
        repeats = [uhlenbeck_ford.analyse_run(*run) for run in runs]
        reference, sigma_reference = uhlenbeck_ford.fluid_reference(task, masses)
        finite_size = 0.0
    else:
        raise InputError(f"tasks of kind {task.kind} give no absolute free energy")
    difference = combine_repeats(repeats, max_dissipation_ev)
    n_atoms = runs[0][0].n_atoms
    volume = float(np.prod(task.cell_a)) / n_atoms
    parts = {
        "switching": difference.sigma_ev,
        "reference": sigma_reference,
        "volume": KB * task.temperature_k / (2 * n_effective * n_atoms),
    }
    helmholtz = reference - difference.value_ev
    return FreeEnergy(
        phase=task.phase,
        temperature_k=task.temperature_k,
        pressure_gpa=task.pressure_gpa,
        gibbs_ev=helmholtz + task.pressure_gpa * volume / EV_PER_A3_IN_GPA,
        sigma_ev=float(np.linalg.norm(list(parts.values()))),
        helmholtz_ev=helmholtz,
        reference_ev=reference,
        difference_ev=difference.value_ev,
        finite_size_ev=finite_size,
        volume_a3=volume,
        dissipation_ev=difference.dissipation_ev,
        n_atoms=n_atoms,
        sigma_parts_ev=parts,
        repeats=repeats,
        rejections=difference.rejections,
    )


def free_energy_result(
    switches: Sequence[Run],
    sweeps: Sequence[Run],
    masses: Mapping[str, float],
    *,
    n_effective: float,
    max_dissipation_ev: float,
) -> dict[str, Any]:
    """Return the Gibbs energy of a phase at one state and, with sweeps, along its isobar, as plain data.

    Args:
        switches: Runs for :func:`free_energy`.
        sweeps: Reversible-scaling runs from the same state, or none.
        masses: Atomic mass by element, amu.
        n_effective: Independent volumes behind the cell.
        max_dissipation_ev: Largest dissipation that is allowed, eV/atom, on each path.

    Returns:
        :meth:`FreeEnergy.to_dict` with ``phase_lost`` (some run lost its phase or blew up) and, with sweeps, ``curve``
        (:meth:`phasecal.freeenergy.crossing.Curve.to_dict`) and ``sweeps`` (their works and phases).
    """
    start = free_energy(switches, masses, n_effective=n_effective, max_dissipation_ev=max_dissipation_ev)
    result, repeats = start.to_dict(), list(start.repeats)
    if sweeps:
        state = ("phase", "temperature_k", "pressure_gpa")
        if any(sweep[2][name] != switches[0][2][name] for sweep in sweeps for name in state):
            raise DataError("the isobar must start at the state of the absolute free energy")
        found = [reversible_scaling.analyse_sweep(*run) for run in sweeps]
        curve, rejections = reversible_scaling.isobar(start.gibbs_ev, start.sigma_ev, found, max_dissipation_ev)
        repeats += [sweep.repeat for sweep in found]
        result |= {
            "curve": curve.to_dict(),
            "sweeps": [sweep.repeat.to_dict() for sweep in found],
            "seeds": [repeat.seed for repeat in repeats],
            "rejections": [*start.rejections, *rejections],
        }
    lost = any(repeat.rejections for repeat in repeats)
    return result | {"phase_lost": lost, "accepted": not result["rejections"]}
