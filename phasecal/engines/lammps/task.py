"""The MD task: everything a LAMMPS run of phasecal needs besides the model, as a JSON-able dictionary.

One class for each kind of run (:mod:`bulk <phasecal.engines.lammps.bulk>`, :mod:`coexistence
<phasecal.engines.lammps.coexistence>`) holds its entries and says which script it runs, from which configuration and
with which numbers. Numbers of steps and the seed are part of a task: a task and a model fix a run completely.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from ase import Atoms
from pydantic import BaseModel, ConfigDict, Field, model_validator

from phasecal.errors import InputError
from phasecal.structures.crystals import Barostat, crystal
from phasecal.units import BAR_PER_GPA

Steps = Annotated[int, Field(ge=0, le=10**10)]
PositiveSteps = Annotated[int, Field(ge=1, le=10**10)]
Kelvin = Annotated[float, Field(gt=0.0, le=1e5, allow_inf_nan=False)]
GigaPascal = Annotated[float, Field(ge=-100.0, le=1e4, allow_inf_nan=False)]
Femtosecond = Annotated[float, Field(gt=0.0, le=50.0, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=1, le=899_999_999)]

TIMESTEP_PER_ROOT_MASS = 0.35
"""fs/√amu: 2.8 fs for Cu, at which a coexistence run conserves its enthalpy."""
THERMOSTAT_STEPS = 100
"""Time constant of the thermostat in steps (0.28 ps for Cu)."""
BAROSTAT_STEPS = 500
"""Time constant of the barostat in steps (1.4 ps for Cu)."""
SKIN = 1.0
"""Extra distance of the neighbour list, Å."""

Parameters = dict[str, int | float | str]
"""Variables of ``parameters.in``, in LAMMPS' ``metal`` units (ps, bar)."""


def barostat_parameters(barostat: Barostat) -> Parameters:
    """Return how LAMMPS says which edges change together."""
    words = {"iso": ("iso", "xyz"), "hexagonal": ("aniso", "xy"), "aniso": ("aniso", "none")}
    return dict(zip(("barostat", "couple"), words[barostat], strict=True))


def timestep_fs(masses: Mapping[str, float]) -> float:
    """Time step for a set of elements: 0.35 fs √(lightest mass / amu), within [0.25, 3] fs.

    Args:
        masses: Atomic mass in amu by element.
    """
    return float(np.clip(round(TIMESTEP_PER_ROOT_MASS * min(masses.values()) ** 0.5, 1), 0.25, 3.0))


def sub_seeds(seed: int, n: int) -> list[int]:
    """Derive ``n`` independent seeds in LAMMPS' range [1, 9·10⁸) from one."""
    return [int(word) % 899_999_998 + 1 for word in np.random.SeedSequence(seed).generate_state(n, np.uint64)]


class MdTask(BaseModel, ABC):
    """What all kinds of run have in common.

    Attributes:
        columns: Thermo columns that this kind prints beyond those of all kinds: LAMMPS' name to ours.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    columns: ClassVar[Mapping[str, str]] = {}

    kind: str
    schema_: Literal[1] = Field(alias="schema")
    structure: dict[str, Any]
    temperature_k: Kelvin
    pressure_gpa: GigaPascal
    timestep_fs: Femtosecond
    production_steps: PositiveSteps
    thermo_every: PositiveSteps
    sample_every: PositiveSteps
    restart_every: PositiveSteps
    seed: Seed

    @model_validator(mode="after")
    def _intervals_and_structure(self) -> MdTask:
        """Every frame needs the thermo line of its own step; the structure must be buildable."""
        if self.sample_every % self.thermo_every:
            raise ValueError(
                f"sample_every ({self.sample_every}) must be a multiple of thermo_every ({self.thermo_every})"
            )
        try:
            crystal(self.structure)
        except InputError as error:
            raise ValueError(str(error)) from error
        return self

    @property
    @abstractmethod
    def sampled(self) -> str:
        """Name of what the frames show: a phase, or two joined by ``|``."""

    @abstractmethod
    def start_configuration(self) -> Atoms:
        """Build the crystal the run starts from."""

    def potential(self, commands: list[str], elements: Sequence[str]) -> list[str]:
        """Return the lines of ``potential.in``, from the commands that load the model and its elements by type."""
        return commands

    def parameters(self) -> Parameters:
        """Return the variables of the script; each kind adds its own to those of all kinds."""
        timestep_ps = self.timestep_fs / 1000.0
        return {
            "temperature": self.temperature_k,
            "pressure_bar": self.pressure_gpa * BAR_PER_GPA,
            "timestep_ps": timestep_ps,
            "tdamp_ps": THERMOSTAT_STEPS * timestep_ps,
            "pdamp_ps": BAROSTAT_STEPS * timestep_ps,
            "skin": SKIN,
            "production_steps": self.production_steps,
            "thermo_every": self.thermo_every,
            "sample_every": self.sample_every,
            "restart_every": self.restart_every,
        }
