"""The run ``reversible-scaling``: one phase along an isobar, by scaling the model at constant temperature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import model_validator

from phasecal.engines.lammps.melting import MeltingTask
from phasecal.engines.lammps.switching import SwitchingTask, scaled_model
from phasecal.engines.lammps.task import Kelvin, Parameters, barostat_parameters, sub_seeds
from phasecal.structures.crystals import Barostat


class ReversibleScalingTask(MeltingTask, SwitchingTask):
    """H(λ) = K + λ U at the temperature T₀ and the pressure λ P: the phase at T₀/λ and P.

    Attributes:
        end_temperature_k: Temperature T₀/λ at the far end of the path; above or below ``temperature_k``.
    """

    columns: ClassVar[Mapping[str, str]] = {"v_lambda": "lambda", "c_model": "model_ev"}

    kind: Literal["reversible-scaling"]
    end_temperature_k: Kelvin
    barostat: Barostat

    @model_validator(mode="after")
    def _path(self) -> ReversibleScalingTask:
        """The path leads somewhere."""
        if self.end_temperature_k == self.temperature_k:
            raise ValueError("end_temperature_k must differ from temperature_k")
        return self

    @property
    def end_scale(self) -> float:
        """λ at the far end."""
        return self.temperature_k / self.end_temperature_k

    def potential(self, commands: list[str], elements: Sequence[str]) -> list[str]:
        """Scale the model."""
        return scaled_model(commands)

    def parameters(self) -> Parameters:
        """Return the variables of ``reversible-scaling.in``."""
        seeds = sub_seeds(self.seed, 2)
        common = super().parameters()
        return (
            common
            | barostat_parameters(self.barostat)
            | {
                "end_scale": self.end_scale,
                "end_pressure_bar": self.end_scale * float(common["pressure_bar"]),
                "seed": seeds[0],
                "seed_thermostat": seeds[1],
            }
        )
