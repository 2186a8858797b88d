"""The run ``bulk``: one phase at one temperature and pressure in the isothermal–isobaric ensemble."""

from __future__ import annotations

from typing import Annotated, Literal

from ase import Atoms
from pydantic import Field

from phasecal.engines.lammps.melting import MeltingTask
from phasecal.engines.lammps.task import Parameters, PositiveSteps, sub_seeds
from phasecal.structures.crystals import crystal, supercell


class BulkTask(MeltingTask):
    """Sample one phase in the isothermal–isobaric ensemble."""

    kind: Literal["bulk"]
    phase: str
    n_atoms: Annotated[int, Field(ge=2, le=10**8)]
    equilibration_steps: PositiveSteps
    barostat: Literal["iso", "aniso"]

    @property
    def sampled(self) -> str:
        """Name of the phase."""
        return self.phase

    def start_configuration(self) -> Atoms:
        """Build a near-cubic block of the crystal."""
        return supercell(crystal(self.structure), self.n_atoms)

    def parameters(self) -> Parameters:
        """Return the variables of ``bulk.in``."""
        return super().parameters() | {
            "barostat": self.barostat,
            "equilibration_steps": self.equilibration_steps,
            "seed": sub_seeds(self.seed, 1)[0],
        }
