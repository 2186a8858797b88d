"""The run ``coexistence``: solid and liquid side by side at constant enthalpy."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from phasecal.engines.lammps.task import Kelvin, Parameters
from phasecal.engines.lammps.two_phase import SLOW_BAROSTAT_STEPS, TwoPhaseTask


class CoexistenceTask(TwoPhaseTask):
    """Solid and liquid side by side at constant enthalpy."""

    kind: Literal["coexistence"]
    start_temperature_k: Kelvin

    @model_validator(mode="after")
    def _melting(self) -> CoexistenceTask:
        """Half of the box is molten above both temperatures."""
        if self.melt_temperature_k <= max(self.temperature_k, self.start_temperature_k):
            raise ValueError("melt_temperature_k must be above temperature_k and start_temperature_k")
        return self

    def parameters(self) -> Parameters:
        """Return the variables of ``coexistence.in``."""
        common = super().parameters()
        return common | {
            "pdamp_slow_ps": SLOW_BAROSTAT_STEPS * float(common["timestep_ps"]),
            "start_temperature": self.start_temperature_k,
        }
