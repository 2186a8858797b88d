"""The MD task: everything a LAMMPS run of phasecal needs besides the model, as a JSON-able dictionary.

Two kinds: ``bulk`` samples one phase at one (T, P); ``coexistence`` holds a solid and a liquid side by side
at constant enthalpy. Numbers of steps and the seed are part of it: a task and a model fix a run completely.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from phasecal.errors import InputError
from phasecal.structures.crystals import CUBIC, crystal

Steps = Annotated[int, Field(ge=0, le=10**10)]
PositiveSteps = Annotated[int, Field(ge=1, le=10**10)]
Kelvin = Annotated[float, Field(gt=0.0, le=1e5, allow_inf_nan=False)]
GigaPascal = Annotated[float, Field(ge=-100.0, le=1e4, allow_inf_nan=False)]
Femtosecond = Annotated[float, Field(gt=0.0, le=5.0, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=1, le=899_999_999)]

TIMESTEP_PER_ROOT_MASS = 0.35
"""fs/√amu: 2.8 fs for Cu, at which a coexistence run conserves its enthalpy."""


def timestep_fs(masses: Mapping[str, float]) -> float:
    """Time step for a set of elements: 0.35 fs √(lightest mass / amu), within [0.25, 3] fs.

    Args:
        masses: Atomic mass in amu by element.
    """
    return float(np.clip(round(TIMESTEP_PER_ROOT_MASS * min(masses.values()) ** 0.5, 1), 0.25, 3.0))


class _Task(BaseModel):
    """What both kinds of run have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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
    def _intervals_and_structure(self) -> _Task:
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


class BulkTask(_Task):
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


class CoexistenceTask(_Task):
    """Solid and liquid side by side at constant enthalpy."""

    kind: Literal["coexistence"]
    phases: Annotated[list[str], Field(min_length=2, max_length=2)]
    n_lateral: Annotated[int, Field(ge=2, le=1000)]
    n_normal: Annotated[int, Field(ge=4, le=10000)]
    start_temperature_k: Kelvin
    melt_temperature_k: Kelvin
    relax_steps: Annotated[int, Field(ge=2)]
    melt_steps: PositiveSteps
    cool_steps: PositiveSteps
    settle_steps: PositiveSteps

    @model_validator(mode="after")
    def _melting(self) -> CoexistenceTask:
        """Half of the box is molten above both temperatures."""
        if self.melt_temperature_k <= max(self.temperature_k, self.start_temperature_k):
            raise ValueError("melt_temperature_k must be above temperature_k and start_temperature_k")
        if self.phases[0] == self.phases[1]:
            raise ValueError(f"phases must differ, got {self.phases}")
        return self

    @property
    def barostat(self) -> str:
        """Barostat of the solid's relaxation: isotropic for cubic crystals, otherwise independent edges."""
        return "iso" if self.structure["prototype"] in CUBIC else "aniso"


Task = BulkTask | CoexistenceTask
_ADAPTER: TypeAdapter[Task] = TypeAdapter(Annotated[Task, Field(discriminator="kind")])


def validate_task(task: Mapping[str, Any]) -> Task:
    """Check an MD task.

    Args:
        task: The dictionary; see :class:`BulkTask` and :class:`CoexistenceTask` for its keys.

    Returns:
        The same task with attributes.

    Raises:
        InputError: Unknown, missing or impossible entries; the message lists all of them.
    """
    try:
        return _ADAPTER.validate_python(dict(task))
    except ValidationError as error:
        parts = []
        for item in error.errors():
            key = ".".join(str(part) for part in item["loc"] if part not in ("bulk", "coexistence"))
            message = item["msg"].removeprefix("Value error, ")
            parts.append(f"{key}: {message}" if key else message)
        raise InputError("MD task: " + "; ".join(parts)) from error
