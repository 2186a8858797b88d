"""Runs of one phase that may be a liquid: it starts as an overheated crystal."""

from __future__ import annotations

from pydantic import model_validator

from phasecal.engines.lammps.task import Kelvin, MdTask, Parameters, Steps
from phasecal.structures.crystals import crystal
from phasecal.units import BAR_PER_GPA, EV_PER_A3_IN_GPA, KB


class MeltingTask(MdTask):
    """A phase that is molten first when it is a liquid.

    Attributes:
        melt: The phase is a liquid.
        melt_temperature_k: Temperature at which its crystal melts within ``melt_steps``.
        melt_steps: MD steps there.
    """

    melt: bool
    melt_temperature_k: Kelvin | None
    melt_steps: Steps

    @model_validator(mode="after")
    def _melting(self) -> MeltingTask:
        """A liquid is made above its temperature, in at least one step."""
        hot = self.melt_temperature_k is not None and self.melt_temperature_k > self.temperature_k
        if self.melt and not (hot and self.melt_steps):
            raise ValueError("melt: needs melt_temperature_k above temperature_k and at least one of melt_steps")
        return self

    def parameters(self) -> Parameters:
        """Add the melting stage.

        Its pressure is kT/v above that of the phase, with v of the crystal (3 GPa for copper): what is so hot would
        evaporate at no pressure, as Lennard-Jones at 1.2 times its melting temperature does. A crystal that shall last
        starts with velocities of twice its temperature, half of which becomes potential energy; one that shall melt is
        left to the thermostat: atoms of 8000 K collide at distances that no potential was made for.
        """
        hot = self.melt_temperature_k if self.melt and self.melt_temperature_k else self.temperature_k
        cell = crystal(self.structure)
        thermal_gpa = KB * hot / (cell.cell.volume / len(cell)) * EV_PER_A3_IN_GPA
        return super().parameters() | {
            "start_temperature": hot if self.melt else 2 * hot,
            "melt_temperature": hot,
            "melt_pressure_bar": (self.pressure_gpa + thermal_gpa) * BAR_PER_GPA,
            "melt_steps": self.melt_steps if self.melt else 0,
        }
