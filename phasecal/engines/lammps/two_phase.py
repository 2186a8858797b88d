"""What runs with solid and liquid side by side have in common: the box, how half of it melts, and its seeds."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from ase import Atoms
from pydantic import Field, model_validator

from phasecal.engines.lammps.task import Kelvin, MdTask, Parameters, PositiveSteps, barostat_parameters, sub_seeds
from phasecal.structures.crystals import barostat_of, crystal, two_phase_cell

SLOW_BAROSTAT_STEPS = 1000
"""Time constant of the barostat in steps while there is an interface, which it must not drive."""
SOLID_SHARE = 0.38
"""Share of a two-phase box that is kept solid while the rest melts. The compressed melt gives some of it back to the
crystal before the box has expanded, and the liquid needs to be the thicker layer: below some 15 Å between two halves
of one crystal it freezes although it is above T_m."""


class TwoPhaseTask(MdTask):
    """A crystal of which the upper part is molten at fixed box, cooled, and settled along z."""

    phases: Annotated[list[str], Field(min_length=2, max_length=2)]
    n_lateral: Annotated[int, Field(ge=2, le=1000)]
    n_normal: Annotated[int, Field(ge=4, le=10000)]
    melt_temperature_k: Kelvin
    relax_steps: Annotated[int, Field(ge=2)]
    melt_steps: PositiveSteps
    cool_steps: PositiveSteps
    settle_steps: PositiveSteps

    @model_validator(mode="after")
    def _two_phases(self) -> TwoPhaseTask:
        """A box of one phase has no interface."""
        if self.phases[0] == self.phases[1]:
            raise ValueError(f"phases must differ, got {self.phases}")
        return self

    @property
    def sampled(self) -> str:
        """Both phases."""
        return "|".join(self.phases)

    def start_configuration(self) -> Atoms:
        """Build the crystal, sorted along z: the part that stays solid first."""
        atoms = two_phase_cell(crystal(self.structure), self.n_lateral, self.n_normal)
        return atoms[np.argsort(atoms.positions[:, 2].round(6), kind="stable")]

    def parameters(self) -> Parameters:
        """Return the variables of the setup; the crystal relaxes within its symmetry."""
        seeds = sub_seeds(self.seed, 3)
        return (
            super().parameters()
            | barostat_parameters(barostat_of(self.structure))
            | {
                "n_solid": n_solid(self.start_configuration()),
                "melt_temperature": self.melt_temperature_k,
                "relax_half": self.relax_steps // 2,
                "melt_steps": self.melt_steps,
                "cool_steps": self.cool_steps,
                "settle_steps": self.settle_steps,
                "seed_solid": seeds[0],
                "seed_liquid": seeds[1],
                "seed_settle": seeds[2],
            }
        )


def n_solid(box: Atoms) -> int:
    """Number of atoms, from the bottom of a box sorted along z, that stay solid: whole planes, about 38 %."""
    heights = box.positions[:, 2].round(6)
    planes = np.unique(heights)
    return int(np.sum(heights < planes[max(1, round(SOLID_SHARE * len(planes)))]))
