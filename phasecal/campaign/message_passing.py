"""The sections ``model`` of a campaign with a network of another package, from a user's weight file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from phasecal.campaign.context import context_of
from phasecal.campaign.fields import Section, Text, fault, unique
from phasecal.campaign.sources import resolve_source
from phasecal.errors import DataError, InputError
from phasecal.potentials.mace import MaceModel
from phasecal.potentials.message_passing import MessagePassingModel
from phasecal.potentials.nequix import NequixModel

MAX_TRAINED = 10_000
"""Parameters of a calibration; the metric of its steps is a matrix of them, here of 0.8 GB."""


class MessagePassing(Section):
    """A network of another package; a calibration trains the weights that ``train`` names."""

    model_type: ClassVar[type[MessagePassingModel]]

    source: Text = Field(description="a weight file, a path relative to the campaign file")
    train: Annotated[list[Text], AfterValidator(unique)] = Field(
        [],
        validate_default=True,
        description="a list of names of weights, or of their beginnings up to a dot, such as [readout]",
    )

    @field_validator("source")
    @classmethod
    def _usable(cls, value: str, info: ValidationInfo) -> str:
        """The file is one of the package and describes the elements of the campaign."""
        context = context_of(info)
        cls._read(value, context.elements(), [], context.folder)
        return value

    @field_validator("train")
    @classmethod
    def _something_to_train(cls, value: list[str], info: ValidationInfo) -> list[str]:
        """Names are of weights; a calibration needs some, and not too many."""
        context = context_of(info)
        if "source" not in info.data:  # reported where it is written
            return value
        if context.task == "calibrate" and not value:
            raise fault("nothing to train", "names of weights, or their beginnings up to a dot, such as [readout]")
        n_trained = cls._read(info.data["source"], context.elements(), value, context.folder).theta.size
        if n_trained > MAX_TRAINED:
            raise fault(f"{n_trained} numbers to train", f"fewer or smaller weights, of at most {MAX_TRAINED} numbers")
        return value

    @classmethod
    def _read(cls, source: str, elements: list[str], train: list[str], folder: Path) -> MessagePassingModel:
        """Return the model; what is wrong becomes an error of the campaign."""
        try:
            return cls.model_type.from_file(resolve_source(source, folder), elements, train)
        except (DataError, InputError) as error:
            wrong, _, expected = str(error).partition("; expected ")
            raise fault(wrong, expected or f"a weight file of family {cls.model_type.family}") from None

    def build(self, elements: list[str], folder: Path) -> MessagePassingModel:
        """Return the original model.

        Args:
            elements: Chemical symbols in the order of the atom types.
            folder: Folder of the campaign file.
        """
        return self.model_type.from_file(resolve_source(self.source, folder), elements, self.train)


class Nequix(MessagePassing):
    """A NequIP network of the package nequix."""

    model_type: ClassVar[type[MessagePassingModel]] = NequixModel

    family: Literal["nequix"] = Field(description="nequix")


class Mace(MessagePassing):
    """A MACE network of the package mlip."""

    model_type: ClassVar[type[MessagePassingModel]] = MaceModel

    family: Literal["mace"] = Field(description="mace")
