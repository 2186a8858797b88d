"""The run ``uhlenbeck-ford``: a liquid switched into the Uhlenbeck–Ford fluid at fixed volume, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from ase import Atoms
from pydantic import Field, model_validator

from phasecal.engines.lammps.switching import Edge, SwitchingTask, in_cell, scaled_model
from phasecal.engines.lammps.task import Kelvin, Parameters, PositiveSteps, sub_seeds
from phasecal.units import KB

CUTOFF_SIGMAS = 4.0
"""The fluid is cut off at this many σ: what is beyond is 2e-5 kT per atom at p = 50 (0.002 meV at 1326 K)."""


class UhlenbeckFordTask(SwitchingTask):
    """H(λ) = (1 − λ) U + λ U_UF, U_UF = −p kT Σ ln(1 − exp(−r²/σ²)) over pairs.

    Attributes:
        cell_a: Edges of the whole orthogonal cell, Å: the mean of an isothermal–isobaric run.
        uf_p: Strength p of the fluid.
        uf_sigma_a: Its length σ, Å.
    """

    columns: ClassVar[Mapping[str, str]] = {
        "v_lambda": "lambda",
        "c_model": "model_ev",
        "c_reference": "reference_ev",
    }

    kind: Literal["uhlenbeck-ford"]
    cell_a: Annotated[list[Edge], Field(min_length=3, max_length=3)]
    uf_p: Annotated[float, Field(gt=0.0, le=1e3)]
    uf_sigma_a: Annotated[float, Field(gt=0.05, le=20.0)]
    melt_temperature_k: Kelvin
    melt_steps: PositiveSteps

    @model_validator(mode="after")
    def _melting(self) -> UhlenbeckFordTask:
        """A liquid is made above its temperature."""
        if self.melt_temperature_k <= self.temperature_k:
            raise ValueError("melt_temperature_k must be above temperature_k")
        return self

    def start_configuration(self) -> Atoms:
        """Build the crystal that is molten, at the density of the liquid."""
        return in_cell(super().start_configuration(), self.cell_a)

    def potential(self, commands: list[str], elements: Sequence[str]) -> list[str]:
        """Scale the model and add the fluid, in which all atoms are alike."""
        fluid = [
            f"pair_style ufm {CUTOFF_SIGMAS * self.uf_sigma_a!r}",
            f"pair_coeff * * {self.uf_p * KB * self.temperature_k!r} {self.uf_sigma_a!r}",
        ]
        return scaled_model(commands, fluid)

    def parameters(self) -> Parameters:
        """Return the variables of ``uhlenbeck-ford.in``."""
        seeds = sub_seeds(self.seed, 3)
        return super().parameters() | {
            "melt_temperature": self.melt_temperature_k,
            "melt_steps": self.melt_steps,
            "seed": seeds[0],
            "seed_thermostat": seeds[1],
            "seed_melt": seeds[2],
        }
