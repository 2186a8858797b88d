"""The file that ``phasecal fit`` reads: data, model, and how it is trained.

It is checked as campaigns are: unknown keys are errors, units are always written, and everything that is wrong is said
at once with file, line and key.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from ase.data import chemical_symbols
from pydantic import AfterValidator, Field, field_validator, model_validator

from phasecal.campaign.fields import Energy, Force, Length, Pressure, Section, Text, fault, unique
from phasecal.campaign.load import load_section


class Architecture(Section):
    """What is fitted."""

    family: Literal["moment-network"] = Field(description="moment-network")
    elements: Annotated[list[str], AfterValidator(unique)] = Field(
        min_length=1, max_length=16, description="a list of chemical symbols, such as [Ti]"
    )
    cutoff: Length = Field(description="a length beyond which atoms do not interact, such as 5.5 A")
    radial: int = Field(6, ge=1, le=16, description="a number of radial functions, 1 to 16")
    basis: int = Field(8, ge=2, le=24, description="a number of polynomials that radial functions are made of, 2 to 24")
    hidden: list[Annotated[int, Field(ge=1, le=512)]] = Field(
        [32, 32], min_length=1, max_length=4, description="a list of widths of hidden layers, such as [32, 32]"
    )
    inner: Length | None = Field(
        None,
        description="a length below which a fixed repulsion acts and the network sees no difference, such as 1.9 A; "
        "the shortest distance in the data where that is longer. Frames with distances below 0.9 of it are left out",
    )
    dtype: Literal["float32", "float64"] = Field("float32", description="float32 or float64, of molecular dynamics")

    @field_validator("elements")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        """Every element exists."""
        for element in value:
            if element not in chemical_symbols[1:]:
                raise fault(f"{element!r} is not a chemical symbol")
        return value

    @model_validator(mode="after")
    def _enough_polynomials(self) -> Architecture:
        """Radial functions are combinations of polynomials."""
        if self.basis < self.radial:
            raise fault(
                f"basis {self.basis} is below radial {self.radial}", "at least as many polynomials as functions"
            )
        return self

    @model_validator(mode="after")
    def _room_for_bonds(self) -> Architecture:
        """There are distances between the repulsion and the cutoff."""
        if self.inner is not None and self.inner >= self.cutoff:
            raise fault(f"inner {self.inner:g} A is not below the cutoff, {self.cutoff:g} A", "a length below bonds")
        return self


class Split(Section):
    """Parts of the data that do not train."""

    validation: float = Field(0.1, gt=0, lt=0.5, description="a fraction for early stopping, such as 0.1")
    test: float = Field(0.1, gt=0, lt=0.5, description="a fraction that is looked at once, at the end, such as 0.1")


class Accuracy(Section):
    """Which error of each quantity counts the same in the loss."""

    energy: Energy = Field(0.002, description="an energy per atom, such as 2 meV")
    force: Force = Field(0.1, description="a force component, such as 100 meV/A")
    stress: Annotated[Pressure, Field(gt=0)] = Field(0.2, description="a stress component above 0, such as 0.2 GPa")


class Training(Section):
    """Muon with a learning rate that falls as a cosine to zero."""

    epochs: int = Field(300, ge=1, le=100_000, description="a number of passes over the data, such as 300")
    batch: int = Field(8, ge=1, le=1024, description="a number of frames per update, such as 8")
    learning_rate: float = Field(0.01, gt=0, le=1, description="a step size of Muon, such as 0.01")
    patience: int = Field(
        60,
        ge=1,
        le=100_000,
        description="a number of epochs without improvement after which training stops, such as 60",
    )


class Fit(Section):
    """A whole file."""

    version: int = Field(alias="schema", ge=1, le=1, description="1, the version of this format")
    title: Text = Field(description="a short title, such as titanium")
    data: list[Text] = Field(
        min_length=1, description="a list of extxyz files with energies and forces, relative to this file"
    )
    output: Text = Field(description="the file to write, such as titanium.safetensors")
    model: Architecture = Field(description="a mapping with family, elements and cutoff")
    split: Split = Field(Split(), description="a mapping with validation and test")
    accuracy: Accuracy = Field(Accuracy(), description="a mapping with energy, force and stress")
    training: Training = Field(Training(), description="a mapping with epochs, batch, learning_rate and patience")
    seed: int = Field(1, ge=1, le=899_999_999, description="a whole number from 1 to 899999999")

    @field_validator("output")
    @classmethod
    def _model_file(cls, value: str) -> str:
        """A model is a safetensors file, in the folder of the fit or below it: nothing else is overwritten."""
        if Path(value).is_absolute() or ".." in Path(value).parts:
            raise fault("leads out of the folder of this file", "a name such as titanium.safetensors")
        if not value.endswith(".safetensors"):
            raise fault("not the name of a model file", "a name that ends in .safetensors")
        return value


def load_fit(path: str | Path) -> Fit:
    """Read and check a file of ``phasecal fit``.

    Raises:
        CampaignErrors: The file is missing, not plain YAML, or breaks the rules; all errors found.
    """
    return load_section(path, Fit)
