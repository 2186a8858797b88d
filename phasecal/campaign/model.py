"""The potential a campaign starts from."""

from __future__ import annotations

from phasecal.campaign.schema import Campaign
from phasecal.potentials.base import Model
from phasecal.potentials.eam import EamModel


def build_model(campaign: Campaign) -> Model:
    """Return the uncorrected model of a campaign: its potential file with all trainable parameters at zero."""
    section = campaign.model
    return EamModel.from_file(
        campaign.source_path,
        train=section.train.model_dump() if section.train else {},
        elements=campaign.elements,
        cutoff=section.cutoff,
    )
