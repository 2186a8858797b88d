"""The run ``bulk``: one phase at one temperature and pressure in the isothermal–isobaric ensemble."""

from __future__ import annotations

from typing import Annotated, Literal

from ase import Atoms
from pydantic import Field

from phasecal.engines.lammps.melting import MeltingTask
from phasecal.engines.lammps.task import Parameters, PositiveSteps, barostat_parameters, sub_seeds
from phasecal.structures.crystals import Barostat, crystal, supercell

LIGHT_BAROSTAT_STEPS = 125
"""Time constant of the barostat in steps: a crystal's box then swings among its phonons, which damp it.

At the 500 steps of other runs it swings below them (0.5 ps for Ti) and rings for all of a run, by more or less than kT.
"""


class BulkTask(MeltingTask):
    """Sample one phase in the isothermal–isobaric ensemble."""

    kind: Literal["bulk"]
    phase: str
    n_atoms: Annotated[int, Field(ge=2, le=10**8)]
    equilibration_steps: PositiveSteps
    barostat: Barostat

    @property
    def sampled(self) -> str:
        """Name of the phase."""
        return self.phase

    def start_configuration(self) -> Atoms:
        """Build a near-cubic block of the crystal."""
        return supercell(crystal(self.structure), self.n_atoms)

    def parameters(self) -> Parameters:
        """Return the variables of ``bulk.in``."""
        common = super().parameters()
        return (
            common
            | barostat_parameters(self.barostat)
            | {
                "pdamp_ps": LIGHT_BAROSTAT_STEPS * float(common["timestep_ps"]),
                "equilibration_steps": self.equilibration_steps,
                "seed": sub_seeds(self.seed, 1)[0],
            }
        )
