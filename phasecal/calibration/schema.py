"""The task ``calibration-step``: what one round of a calibration is given, as it stands in ``task.json``.

Lists hold the oldest first. Indices of models count from 0 in ``models``; the last model is the current one.
Files lie in the folder of the task.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from phasecal.bounded import MAX_PROBLEMS, one_line
from phasecal.errors import InputError


def _plain_name(name: str) -> str:
    """Reject anything but the name of a file in the folder of the task."""
    if not name or PurePath(name).name != name or name in {".", ".."}:
        raise ValueError("expected the name of a file in the folder of the task, without a path")
    return name


FileName = Annotated[str, AfterValidator(_plain_name)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Index = Annotated[int, Field(ge=0)]


class _Section(BaseModel):
    """A mapping of the task: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SampleFile(_Section):
    """A sample and the model that drove it."""

    file: FileName
    model: Index


class _Boundary(_Section):
    """A boundary (low-temperature phase first) at a pressure, with a temperature and its error."""

    phases: tuple[str, str]
    pressure_gpa: Finite
    temperature_k: Positive
    sigma_k: Positive

    @model_validator(mode="after")
    def _different_phases(self) -> _Boundary:
        if self.phases[0] == self.phases[1]:
            raise ValueError(f"a boundary needs two different phases, got {self.phases[0]!r} twice")
        return self


class Anchor(_Boundary):
    """A direct measurement of a boundary for one model."""

    model: Index


class TargetState(_Boundary):
    """Where ΔG must vanish: both phases are sampled there under the current model."""


class Protected(_Section):
    """A crystal whose cold properties must stay: all of a phase, the energy of a competitor."""

    name: str
    kind: Literal["phase", "competitor"]
    structure: dict[str, Any]


class StepSettings(_Section):
    """How to step.

    Attributes:
        method: ``gauss-newton`` (smallest change) or ``adam`` (gradient descent).
        prior: What makes a change small (:class:`~phasecal.difftre.problem.Problem`).
        max_sd: Gauss–Newton: largest sd(βΔU) of any phase between consecutive models.
        min_overlap: Least two-state overlap of consecutive models (0.5 is complete).
        enthalpy_tolerance: How far ΔH may drift from the oldest model's, relative (one standard deviation).
        volume_tolerance: The same for ΔV.
        learning_rate: Adam: step size, in the units of the parameters.
        n_eff_floor: Adam: effective fraction of the frames of any phase where it stops.
    """

    method: Literal["gauss-newton", "adam"] = "gauss-newton"
    prior: Literal["functional", "identity"] = "functional"
    max_sd: Positive = 2.0
    min_overlap: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    enthalpy_tolerance: Positive = 0.1
    volume_tolerance: Positive = 0.1
    learning_rate: Positive = 5e-4
    n_eff_floor: Annotated[float, Field(gt=0, lt=1)] = 0.4


class CalibrationStepTask(_Section):
    """One round: from samples and anchors to ΔG of the current model, and to the next model."""

    schema_: Literal[1] = Field(alias="schema")
    task: Literal["calibration-step"]
    models: Annotated[tuple[FileName, ...], Field(min_length=1)]
    samples: Annotated[tuple[SampleFile, ...], Field(min_length=1)]
    anchors: Annotated[tuple[Anchor, ...], Field(min_length=1)]
    targets: Annotated[tuple[TargetState, ...], Field(min_length=1)]
    protect: tuple[Protected, ...] = ()
    reference: FileName | None = None
    step: StepSettings = StepSettings()
    tolerance_k: Positive
    seed: int = 1  # of the campaign, for the record: nothing in a step is random

    @model_validator(mode="after")
    def _known_models(self) -> CalibrationStepTask:
        used = {f"samples.{i}": sample.model for i, sample in enumerate(self.samples)}
        used |= {f"anchors.{i}": anchor.model for i, anchor in enumerate(self.anchors)}
        for where, model in used.items():
            if model >= len(self.models):
                raise ValueError(f"{where}.model is {model}, but there are {len(self.models)} models")
        return self


def read_task(data: object) -> CalibrationStepTask:
    """Check the content of a task file.

    Raises:
        InputError: Keys are unknown, missing or wrong; the message names all of them.
    """
    try:
        return CalibrationStepTask.model_validate(data)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in e['loc']) or 'task'}: {e['msg']}" for e in error.errors()
        )
        raise InputError(f"calibration-step task: {one_line(problems, MAX_PROBLEMS)}") from error
