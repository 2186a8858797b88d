"""The run ``coexistence``: solid and liquid side by side at constant enthalpy."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from ase import Atoms
from pydantic import Field, model_validator

from phasecal.engines.lammps.task import Kelvin, MdTask, Parameters, PositiveSteps, sub_seeds
from phasecal.structures.crystals import CUBIC, crystal, two_phase_cell

SLOW_BAROSTAT_STEPS = 1000
"""Time constant of the barostat in steps during production, where it must not drive the interface."""
SOLID_SHARE = 0.38
"""Share of a two-phase box that is kept solid while the rest melts. The compressed melt gives some of it back to the
crystal before the box has expanded, and the liquid needs to be the thicker layer: below some 15 Å between two halves
of one crystal it freezes although it is above T_m."""


class CoexistenceTask(MdTask):
    """Solid and liquid side by side at constant enthalpy."""

    kind: Literal["coexistence"]
    phases: Annotated[list[str], Field(min_length=2, max_length=2)]
    n_lateral: Annotated[int, Field(ge=2, le=1000)]
    n_normal: Annotated[int, Field(ge=4, le=10000)]
    start_temperature_k: Kelvin
    melt_temperature_k: Kelvin
    relax_steps: Annotated[int, Field(ge=2)]
    melt_steps: PositiveSteps
    cool_steps: PositiveSteps
    settle_steps: PositiveSteps

    @model_validator(mode="after")
    def _melting(self) -> CoexistenceTask:
        """Half of the box is molten above both temperatures."""
        if self.melt_temperature_k <= max(self.temperature_k, self.start_temperature_k):
            raise ValueError("melt_temperature_k must be above temperature_k and start_temperature_k")
        if self.phases[0] == self.phases[1]:
            raise ValueError(f"phases must differ, got {self.phases}")
        return self

    @property
    def sampled(self) -> str:
        """Both phases."""
        return "|".join(self.phases)

    def start_configuration(self) -> Atoms:
        """Build the crystal that becomes a two-phase box, sorted along z: the part that stays solid first."""
        atoms = two_phase_cell(crystal(self.structure), self.n_lateral, self.n_normal)
        return atoms[np.argsort(atoms.positions[:, 2].round(6), kind="stable")]

    def parameters(self) -> Parameters:
        """Return the variables of ``coexistence.in``; cubic crystals relax isotropically, others edge by edge."""
        common = super().parameters()
        seeds = sub_seeds(self.seed, 3)
        return common | {
            "barostat": "iso" if self.structure["prototype"] in CUBIC else "aniso",
            "pdamp_slow_ps": SLOW_BAROSTAT_STEPS * float(common["timestep_ps"]),
            "n_solid": n_solid(self.start_configuration()),
            "start_temperature": self.start_temperature_k,
            "melt_temperature": self.melt_temperature_k,
            "relax_half": self.relax_steps // 2,
            "melt_steps": self.melt_steps,
            "cool_steps": self.cool_steps,
            "settle_steps": self.settle_steps,
            "seed_solid": seeds[0],
            "seed_liquid": seeds[1],
            "seed_settle": seeds[2],
        }


def n_solid(box: Atoms) -> int:
    """Number of atoms, from the bottom of a box sorted along z, that stay solid: whole planes, about 38 %."""
    heights = box.positions[:, 2].round(6)
    planes = np.unique(heights)
    return int(np.sum(heights < planes[max(1, round(SOLID_SHARE * len(planes)))]))
