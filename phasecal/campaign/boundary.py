"""The sections of a campaign file about where phases meet: boundaries and their experimental targets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from phasecal.campaign.alternatives import Alternatives
from phasecal.campaign.context import TASKS_WITH_TARGETS, context_of
from phasecal.campaign.fields import Pressure, Section, Temperature, Text, fault, unique
from phasecal.campaign.methods import (
    METHODS,
    NEED_A_MELT,
    NEED_TWO_CRYSTALS,
    default_method,
    default_verification,
)


class Target(Section):
    """An experimental point of a boundary."""

    pressure: Pressure = Field(
        serialization_alias="pressure_gpa", description="a pressure with its unit, such as 0 GPa"
    )
    temperature: Temperature = Field(
        serialization_alias="temperature_k", description="a temperature above 0 K, such as 1357.77 K"
    )
    sigma: Temperature = Field(
        serialization_alias="sigma_k",
        description="the standard uncertainty of the temperature, above 0 K, such as 0.5 K",
    )
    source: Text = Field(description='where the value comes from, such as "SGTE, Dinsdale 1991"')


class Boundary(Section):
    """Two phases and where they meet: in experiment (targets) or where it shall be computed (pressures)."""

    phases: list[str] = Field(
        min_length=2, max_length=2, description="two phases, low-temperature first, such as [fcc, liquid]"
    )
    guess: Temperature | None = Field(
        None, serialization_alias="guess_k", description="a temperature above 0 K, such as 1200 K"
    )
    located: bool = Field(False, description="true where the guess is a measurement, and nothing is searched for first")
    pressures: Annotated[list[Pressure], AfterValidator(unique)] = Field(
        [], serialization_alias="pressures_gpa", description="a list of pressures, such as [0 GPa, 5 GPa]"
    )
    method: Literal[METHODS] | None = Field(  # type: ignore[valid-type]  # a tuple of names
        None, validate_default=True, description=f"how the boundary is measured: one of {', '.join(METHODS)}"
    )
    verify: Literal[METHODS] | None = Field(  # type: ignore[valid-type]  # a tuple of names
        None, validate_default=True, description=f"how a verification measures: one of {', '.join(METHODS)}"
    )
    targets: list[Target] = Field([], validate_default=True, description="a list of targets, each a mapping")
    anchors: Annotated[list[Pressure], AfterValidator(unique)] = Field(
        [],
        serialization_alias="anchors_gpa",
        description="those pressures where the boundary itself is measured, such as [0 GPa, 5 GPa]",
    )
    alternatives: Alternatives = Field([], description="a table of other experiments, a path to a csv file")

    @field_validator("phases")
    @classmethod
    def _two_phases_that_meet(cls, value: list[str], info: ValidationInfo) -> list[str]:
        """Both phases exist and have the same composition; a melt is the high-temperature phase."""
        context = context_of(info)
        unknown = [name for name in value if name not in context.phases]
        if unknown:
            raise fault(f"unknown phase {unknown[0]!r}", f"two of {', '.join(context.phases)}")
        if value[0] == value[1]:
            raise fault("the same phase twice", "two different phases, low-temperature first")
        if not all(context.phases[name] for name in value):
            return value  # a phase that is not understood is an error of its own
        melts = [context.is_melt(name) for name in value]
        if melts == [True, False]:
            raise fault("wrong order", f"the low-temperature phase first: [{value[1]}, {value[0]}]")
        if melts == [True, True]:
            raise fault("two melts", "a crystal and a melt, or two crystals")
        compositions = [context.composition(name) for name in value]
        if None not in compositions and compositions[0] != compositions[1]:
            raise fault("different compositions", "phases of the same composition")
        return value

    @field_validator("method", "verify")
    @classmethod
    def _fits_the_phases(cls, value: str | None, info: ValidationInfo) -> str | None:
        """Fill in the method of the kind of boundary, and another for its verification; refuse what cannot work."""
        phases = info.data.get("phases", [])
        context = context_of(info)
        melting = any(context.is_melt(name) for name in phases)
        has_melt = bool(phases) and context.has_melt_of(phases[0])
        if value is None:
            method = info.data.get("method")
            if info.field_name == "verify" and method is not None:
                return default_verification(method, melting=melting, has_melt=has_melt)
            return default_method(melting)
        if phases and not melting and value in NEED_A_MELT:
            raise fault("needs a melt", f"{default_method(False)}, for two crystals")
        if melting and value in NEED_TWO_CRYSTALS:
            raise fault("needs two crystals", f"{default_method(True)}, for a crystal and its melt")
        if phases and value in NEED_TWO_CRYSTALS and not has_melt:
            melt = f"a phase such as liquid: {{melt: {phases[1]}}}"
            raise fault("there is no melt of these crystals among the phases", f"{default_method(False)}, or {melt}")
        return value

    @field_validator("targets")
    @classmethod
    def _targets_where_needed(cls, value: list[Target], info: ValidationInfo) -> list[Target]:
        """Some tasks compare with experiment; there is one target per pressure."""
        task = context_of(info).task
        if not value and task in TASKS_WITH_TARGETS:
            raise fault(f"no targets, but the task {task} needs them", "a list with at least one target")
        unique([f"{target.pressure:g} GPa" for target in value])
        return value

    @field_validator("anchors")
    @classmethod
    def _among_the_pressures(cls, value: list[float], info: ValidationInfo) -> list[float]:
        """A boundary is measured where the task needs it: a calibration at its targets, others at their pressures."""
        if not {"pressures", "targets"} <= set(info.data):
            return value  # what is not understood is an error of its own
        of_targets = [target.pressure for target in info.data["targets"]]
        calibrates = context_of(info).task == "calibrate"
        known, name = (of_targets, "targets") if calibrates else (info.data["pressures"] or of_targets, "pressures")
        beyond = [pressure for pressure in value if pressure not in known]
        if beyond:
            raise fault(f"{beyond[0]:g} GPa is not among the pressures", f"some of the pressures of the {name}")
        return value

    @model_validator(mode="after")
    def _search_can_start(self, info: ValidationInfo) -> Boundary:
        """Every state to compute has a pressure and a temperature at which the search starts."""
        if not (self.pressures or self.targets):
            raise fault("neither pressures nor targets", "pressures such as [0 GPa], or targets")
        known = {target.pressure for target in self.targets}
        if self.located and self.guess is None:
            raise fault("located, but no guess", "a guess such as 1200 K, or no key located")
        if self.guess is None and not known.issuperset(self.pressures):
            raise fault("no guess, and no target at every pressure", "a guess such as 1200 K")
        return self
