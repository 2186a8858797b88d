"""The run ``bulk``: one phase at one temperature and pressure in the isothermal–isobaric ensemble."""

from __future__ import annotations

from typing import Annotated, Literal

from ase import Atoms
from pydantic import Field, model_validator

from phasecal.engines.lammps.task import Kelvin, MdTask, Parameters, PositiveSteps, Steps, sub_seeds
from phasecal.structures.crystals import crystal, supercell


class BulkTask(MdTask):
    """Sample one phase in the isothermal–isobaric ensemble."""

    kind: Literal["bulk"]
    phase: str
    melt: bool
    n_atoms: Annotated[int, Field(ge=2, le=10**8)]
    melt_temperature_k: Kelvin | None
    melt_steps: Steps
    equilibration_steps: PositiveSteps
    barostat: Literal["iso", "aniso"]

    @model_validator(mode="after")
    def _melting(self) -> BulkTask:
        """A liquid is made above its temperature, in at least one step."""
        hot = self.melt_temperature_k is not None and self.melt_temperature_k > self.temperature_k
        if self.melt and not (hot and self.melt_steps):
            raise ValueError("melt: needs melt_temperature_k above temperature_k and at least one of melt_steps")
        return self

    @property
    def sampled(self) -> str:
        """Name of the phase."""
        return self.phase

    def start_configuration(self) -> Atoms:
        """Build a near-cubic block of the crystal."""
        return supercell(crystal(self.structure), self.n_atoms)

    def parameters(self) -> Parameters:
        """Return the variables of ``bulk.in``."""
        melt_temperature = self.melt_temperature_k if self.melt else None
        return super().parameters() | {
            "barostat": self.barostat,
            "start_temperature": melt_temperature or self.temperature_k,
            "melt_temperature": melt_temperature or self.temperature_k,
            "melt_steps": self.melt_steps if self.melt else 0,
            "equilibration_steps": self.equilibration_steps,
            "seed": sub_seeds(self.seed, 1)[0],
        }
