"""The run ``reversible-scaling``: one phase along an isobar, by scaling the model at constant temperature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import model_validator

from phasecal.engines.lammps.switching import SwitchingTask, scaled_model
from phasecal.engines.lammps.task import Kelvin, Parameters, Steps, sub_seeds


class ReversibleScalingTask(SwitchingTask):
    """H(λ) = K + λ U at the temperature T₀ and the pressure λ P: the phase at T₀/λ and P.

    Attributes:
        end_temperature_k: Temperature T₀/λ at the far end of the path; above or below ``temperature_k``.
    """

    columns: ClassVar[Mapping[str, str]] = {"v_lambda": "lambda", "c_model": "model_ev"}

    kind: Literal["reversible-scaling"]
    end_temperature_k: Kelvin
    melt: bool
    melt_temperature_k: Kelvin | None
    melt_steps: Steps
    barostat: Literal["iso", "aniso"]

    @model_validator(mode="after")
    def _path(self) -> ReversibleScalingTask:
        """The path leads somewhere; a liquid is made above its temperature, in at least one step."""
        if self.end_temperature_k == self.temperature_k:
            raise ValueError("end_temperature_k must differ from temperature_k")
        hot = self.melt_temperature_k is not None and self.melt_temperature_k > self.temperature_k
        if self.melt and not (hot and self.melt_steps):
            raise ValueError("melt: needs melt_temperature_k above temperature_k and at least one of melt_steps")
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
        melt_temperature = self.melt_temperature_k if self.melt else None
        return common | {
            "barostat": self.barostat,
            "end_scale": self.end_scale,
            "end_pressure_bar": self.end_scale * float(common["pressure_bar"]),
            "start_temperature": melt_temperature or self.temperature_k,
            "melt_temperature": melt_temperature or self.temperature_k,
            "melt_steps": self.melt_steps if self.melt else 0,
            "seed": seeds[0],
            "seed_thermostat": seeds[1],
        }
