"""The section ``model`` of a campaign with a fitted moment-network."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from phasecal.campaign.context import context_of
from phasecal.campaign.fields import Section, Text, fault
from phasecal.campaign.sources import resolve_source
from phasecal.errors import DataError, InputError
from phasecal.potentials.base import load_model
from phasecal.potentials.moment_network import MomentNetworkModel


def read_network(source: str, folder: Path) -> MomentNetworkModel:
    """Read the model that a ``source`` names.

    Args:
        source: A path, absolute or relative to ``folder``.
        folder: Folder of the campaign file.

    Raises:
        InputError: There is no such file, or it is not a moment-network.
    """
    path = resolve_source(source, folder)
    try:
        model = load_model(path)
    except DataError as error:
        raise InputError(f"not a model of phasecal ({error}); expected what phasecal fit writes") from error
    if not isinstance(model, MomentNetworkModel):
        raise InputError(f"a model of family {model.family}; expected a moment-network, which phasecal fit writes")
    return model


class MomentNetwork(Section):
    """A small machine-learned potential; a calibration trains all weights of its networks."""

    family: Literal["moment-network"] = Field(description="moment-network")
    source: Text = Field(description="a .safetensors file of phasecal fit, a path relative to the campaign file")

    @field_validator("source")
    @classmethod
    def _usable(cls, value: str, info: ValidationInfo) -> str:
        """The file is a moment-network and describes the elements of the campaign."""
        context = context_of(info)
        try:
            read_network(value, context.folder).select(context.elements())
        except InputError as error:
            wrong, _, expected = str(error).partition("; expected ")
            raise fault(wrong, expected or "a model of the elements of all phases") from None
        return value

    def build(self, elements: list[str], folder: Path) -> MomentNetworkModel:
        """Return the original model.

        Args:
            elements: Chemical symbols in the order of the atom types.
            folder: Folder of the campaign file.
        """
        return read_network(self.source, folder).select(elements)
