"""The section ``model`` of a campaign with any pair style of LAMMPS as a frozen base, and what corrects it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from ase import Atoms
from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from phasecal.bounded import POTENTIAL_BYTES
from phasecal.campaign.context import context_of
from phasecal.campaign.fields import Length, Section, Text, fault, unique
from phasecal.campaign.sources import SCHEME, resolve_source
from phasecal.engines.lammps.commands import check_command, check_commands, check_file_name
from phasecal.errors import InputError
from phasecal.potentials.correction import eam_correction
from phasecal.potentials.frozen import FrozenModel


class Correction(Section):
    """A trainable potential that is added to the base: smooth corrections of functions that are zero."""

    family: Literal["eam"] = Field(description="eam, the form of the correction")
    pair: int = Field(0, ge=0, le=64, description="a number of corrections of φ(r), 0 to 64")
    density: int = Field(0, ge=0, le=64, description="a number of corrections of ρ(r), 0 to 64")
    embedding: int = Field(0, ge=0, le=64, description="a number of corrections of F(ρ), 0 to 64")
    cutoff: Length = Field(description="a length at which the correction ends, such as 6 A")

    @field_validator("cutoff")
    @classmethod
    def _reaches_neighbors(cls, value: float, info: ValidationInfo) -> float:
        """A correction between nearest neighbours needs room for them and their vibrations."""
        neighbors = context_of(info).neighbor_distance_a()
        if value < 1.2 * neighbors:
            raise fault("hardly reaches the nearest neighbours", f"at least {1.2 * neighbors:.2f} A")
        return value

    @model_validator(mode="after")
    def _something_to_train(self) -> Correction:
        """A correction without parameters is none; corrections of ρ act through F only."""
        if self.pair + self.density + self.embedding == 0:
            raise fault("nothing to train", "at least one correction, such as {pair: 12}")
        if self.density and not self.embedding:
            raise fault(
                "density without embedding has no effect", "embedding as well, such as {density: 4, embedding: 6}"
            )
        return self

    @property
    def train(self) -> dict[str, int]:
        """Number of parameters per function."""
        return {"pair": self.pair, "density": self.density, "embedding": self.embedding}


def _one_command(command: str) -> str:
    """Reject a command that is not allowed."""
    try:
        check_command(command)
    except InputError as error:
        wrong, _, expected = str(error).partition("; expected ")
        raise fault(wrong, expected) from None
    return command


def _one_file(source: str, info: ValidationInfo) -> str:
    """Reject a file that is not there, too large, or cannot lie beside a run's own files."""
    try:
        path = resolve_source(source, context_of(info).folder)
        check_file_name(path.name if source.startswith(SCHEME) else Path(source).name)
    except InputError as error:
        wrong, _, expected = str(error).partition("; expected ")
        raise fault(wrong, expected) from None
    if path.stat().st_size > POTENTIAL_BYTES:
        raise fault(f"larger than {POTENTIAL_BYTES} bytes", "the file of a potential")
    return source


class FrozenBase(Section):
    """A potential that LAMMPS computes and phasecal leaves as it is."""

    family: Literal["lammps"] = Field(description="lammps, any pair style of LAMMPS")
    files: list[Annotated[Text, AfterValidator(_one_file)]] = Field(
        [],
        description="a list of files that the commands name, each a path relative to the campaign file, or lammps://NAME",
    )
    commands: list[Annotated[str, AfterValidator(_one_command)]] = Field(
        min_length=1, max_length=200, description='a list of LAMMPS commands, such as "pair_style meam/spline"'
    )
    correction: Correction | None = Field(
        None, validate_default=True, description="a mapping, such as {family: eam, pair: 12, cutoff: 6 A}"
    )

    @field_validator("files")
    @classmethod
    def _each_name_once(cls, value: list[str]) -> list[str]:
        """All files lie in one folder."""
        unique([Path(source.removeprefix(SCHEME)).name for source in value])
        return value

    @field_validator("commands")
    @classmethod
    def _a_potential(cls, value: list[str], info: ValidationInfo) -> list[str]:
        """The commands set up one potential, from the given files, for the elements of the campaign."""
        if "files" not in info.data:  # reported where they are written
            return value
        names = {Path(source.removeprefix(SCHEME)).name for source in info.data["files"]}
        try:
            check_commands(value, names, context_of(info).elements())
        except InputError as error:
            wrong, _, expected = str(error).partition("; expected ")
            raise fault(wrong, expected or None) from None
        return value

    @field_validator("correction")
    @classmethod
    def _needed_to_calibrate(cls, value: Correction | None, info: ValidationInfo) -> Correction | None:
        """A frozen base has no parameters."""
        if value is None and context_of(info).task == "calibrate":
            raise fault(
                "nothing to train", "a correction of the frozen base, such as {family: eam, pair: 12, cutoff: 6 A}"
            )
        return value

    def build(self, elements: list[str], crystals: list[Atoms], folder: Path) -> FrozenModel:
        """Return the original model.

        Args:
            elements: Chemical symbols in the order of the atom types.
            crystals: The crystals of the campaign.
            folder: Folder of the campaign file.
        """
        files = {}
        for source in self.files:
            path = resolve_source(source, folder)
            files[Path(source.removeprefix(SCHEME)).name] = path.read_bytes()
        correction = self.correction
        tables = eam_correction(crystals, elements, correction.train, correction.cutoff) if correction else None
        return FrozenModel.from_commands(elements, self.commands, files, tables)
