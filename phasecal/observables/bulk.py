"""Averages of one bulk run, and whether it is what it claims to be.

Every frame is checked: a solid keeps the Bragg amplitude of its lattice, a liquid has neither that nor global
bond order. The thermodynamic series must show the ensemble that was asked for: temperature, pressure and 3N −
3 degrees of freedom. A run that fails is rejected with the reason; its averages mean nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecal.engines.lammps.bulk import BulkTask
from phasecal.engines.lammps.kinds import validate_task
from phasecal.errors import DataError, InputError
from phasecal.observables.ensemble import (
    PRESSURE_TOLERANCE,
    Thermo,
    average,
    not_finite,
    off_target,
    thermal_pressure_gpa,
    wrong_degrees_of_freedom,
)
from phasecal.observables.order import bragg_order, global_q6
from phasecal.observables.statistics import Estimate
from phasecal.sample import Sample
from phasecal.structures.crystals import crystal, repeats
from phasecal.structures.reflections import bragg_vectors
from phasecal.units import EV_PER_A3_IN_GPA, KB

MIN_SOLID_ORDER = 0.5
"""Bragg amplitude below which a frame is no longer the crystal it started from."""
MAX_LIQUID_ORDER = 0.3
"""Bragg amplitude above which a frame is not liquid."""
MAX_LIQUID_Q6 = 0.2
"""Global Q6 above which a frame has crystallised, whatever its lattice."""
TEMPERATURE_TOLERANCE = 0.002
"""A mean temperature may miss its target by this share plus 4σ."""


@dataclass(frozen=True)
class BulkResult:
    """Averages of a bulk run, per atom; None where the run was too short or was rejected before averaging.

    Attributes:
        phase: Name of the phase.
        temperature_k: Mean kinetic temperature, K.
        pressure_gpa: Mean pressure, GPa.
        potential_ev: Potential energy, eV/atom.
        enthalpy_ev: U + PV + 3/2 kT at the thermostat's T and the barostat's P, eV/atom.
        volume_a3: Volume, Å³/atom.
        lattice: Of a crystal: ``a``, Å, and of hcp ``c_over_a``; ``None`` as above.
        order: Bragg amplitude of every frame of a solid, global Q6 of every frame of a liquid.
        rejections: Why the run cannot be used; empty when it can.
    """

    phase: str
    temperature_k: Estimate | None
    pressure_gpa: Estimate | None
    potential_ev: Estimate | None
    enthalpy_ev: Estimate | None
    volume_a3: Estimate | None
    lattice: dict[str, Estimate | None]
    order: list[float]
    rejections: list[str]

    @property
    def accepted(self) -> bool:
        """Whether the run can be used."""
        return not self.rejections

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        names = ("temperature_k", "pressure_gpa", "potential_ev", "enthalpy_ev", "volume_a3")
        estimates = {name: getattr(self, name) for name in names}
        return {
            "phase": self.phase,
            **{name: _plain(value) for name, value in estimates.items()},
            "lattice": {name: _plain(value) for name, value in self.lattice.items()},
            "order": self.order,
            "accepted": self.accepted,
            "rejections": self.rejections,
        }


def _plain(value: Estimate | None) -> dict[str, Any] | None:
    """An estimate for JSON."""
    return None if value is None else value.to_dict()


def analyse_bulk(sample: Sample, thermo: Thermo, task: Mapping[str, Any], solid: bool) -> BulkResult:
    """Average a bulk run and check every frame and the ensemble.

    Args:
        sample: All frames of the production stage.
        thermo: The production series.
        task: The MD task of the run.
        solid: Whether the phase is the crystal of the task; otherwise a liquid.

    Raises:
        InputError: The task is not a bulk task.
        DataError: Sample and series do not belong together.
    """
    checked = validate_task(task)
    if not isinstance(checked, BulkTask):
        raise InputError(f"expected a task of kind bulk, got {checked.kind}")
    if not np.isin(sample.steps, thermo["step"]).all():
        raise DataError(f"sample {sample.phase}: frames at steps that the series does not have")
    order, lost = phase_of_frames(sample, checked.structure, checked.n_atoms, solid=solid)
    n = sample.n_atoms
    reasons = [lost, not_finite(thermo), wrong_degrees_of_freedom(thermo, n)]
    work = checked.pressure_gpa * thermo["volume"] / EV_PER_A3_IN_GPA
    kinetic = 1.5 * KB * checked.temperature_k
    series = {
        "temperature": thermo["temp"],
        "pressure": thermo["press"],
        "potential energy": thermo["pe"] / n,
        "enthalpy": (thermo["pe"] + work) / n + kinetic,
        "volume": thermo["volume"] / n,
    }
    means = {name: average(name, values) for name, values in series.items()}
    reasons += [reason for _, reason in means.values()]
    volume_a3 = float(thermo["volume"].mean()) / n
    tolerance_gpa = PRESSURE_TOLERANCE * thermal_pressure_gpa(checked.temperature_k, volume_a3)
    tolerance_k = TEMPERATURE_TOLERANCE * checked.temperature_k
    reasons += [
        off_target("temperature", means["temperature"][0], checked.temperature_k, tolerance_k, "K"),
        off_target("pressure", means["pressure"][0], checked.pressure_gpa, tolerance_gpa, "GPa"),
    ]
    return BulkResult(
        phase=sample.phase,
        temperature_k=means["temperature"][0],
        pressure_gpa=means["pressure"][0],
        potential_ev=means["potential energy"][0],
        enthalpy_ev=means["enthalpy"][0],
        volume_a3=means["volume"][0],
        lattice=_lattice(thermo, checked) if solid else {},
        order=[round(float(value), 4) for value in order],
        rejections=[reason for reason in reasons if reason is not None],
    )


def _lattice(thermo: Thermo, task: BulkTask) -> dict[str, Estimate | None]:
    """Mean edge of the cubic cell, or a and c/a of hcp, whose orthogonal cell has the edges a, √3 a and c."""
    cell = crystal(task.structure)
    edges = [thermo[name] / n for name, n in zip(("lx", "ly", "lz"), repeats(cell, task.n_atoms), strict=True)]
    if task.structure["prototype"] != "hcp":
        return {"a": average("a", np.cbrt(np.prod(edges, axis=0)))[0]}
    a = np.sqrt(edges[0] * edges[1] / 3**0.5)
    return {"a": average("a", a)[0], "c_over_a": average("c/a", edges[2] / a)[0]}


def phase_of_frames(
    sample: Sample, structure: Mapping[str, Any], n_atoms: int, *, solid: bool
) -> tuple[NDArray[np.float64], str | None]:
    """Check that every frame shows one phase.

    Args:
        sample: Frames of one block of the crystal, or of its melt.
        structure: The crystal.
        n_atoms: Number of atoms that was asked for when the block was made.
        solid: Whether the frames should be the crystal; otherwise a liquid.

    Returns:
        Bragg amplitude (solid) or global Q6 (liquid) of every frame, and when and how the phase was lost, or None.
    """
    cell = crystal(structure)
    bragg = bragg_order(sample, bragg_vectors(cell, repeats(cell, n_atoms)))
    return (bragg, _lost_crystal(sample, bragg)) if solid else _liquid_frames(sample, bragg)


def _lost_crystal(sample: Sample, order: NDArray[np.float64]) -> str | None:
    """When the crystal was lost."""
    lost = np.nonzero(order < MIN_SOLID_ORDER)[0]
    if not len(lost):
        return None
    where = _when(sample, int(lost[0]), len(lost))
    return (
        f"{sample.phase}: the crystal was lost (melted or transformed) {where}: Bragg amplitude {order[lost[0]]:.2f}, "
        f"expected at least {MIN_SOLID_ORDER}; sample at a lower temperature"
    )


def _liquid_frames(sample: Sample, bragg: NDArray[np.float64]) -> tuple[NDArray[np.float64], str | None]:
    """Q6 of every frame, and when it was not liquid."""
    q6 = global_q6(sample)
    wrong = np.nonzero((bragg > MAX_LIQUID_ORDER) | (q6 > MAX_LIQUID_Q6))[0]
    if not len(wrong):
        return q6, None
    first, where = int(wrong[0]), _when(sample, int(wrong[0]), len(wrong))
    why = "never melted" if bragg[first] > MAX_LIQUID_ORDER else "crystallised"
    return q6, (
        f"{sample.phase}: the liquid {why} {where}: Bragg amplitude {bragg[first]:.2f}, Q6 {q6[first]:.2f}, "
        f"expected below {MAX_LIQUID_ORDER} and {MAX_LIQUID_Q6}"
    )


def _when(sample: Sample, frame: int, n_frames: int) -> str:
    """Where in the run something first happened, and in how many frames."""
    time_ps = float(sample.steps[frame]) * sample.timestep_fs / 1000
    return f"at frame {frame} of {sample.n_frames} ({time_ps:.1f} ps; {n_frames} frames in all)"
