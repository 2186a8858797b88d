"""The potential a campaign starts from."""

from __future__ import annotations

from phasecal.campaign.frozen import FrozenBase
from phasecal.campaign.lj import LennardJones
from phasecal.campaign.message_passing import MessagePassing
from phasecal.campaign.moment_network import MomentNetwork
from phasecal.campaign.schema import Campaign
from phasecal.potentials.base import Model
from phasecal.potentials.eam import EamModel
from phasecal.structures.crystals import crystal


def build_model(campaign: Campaign) -> Model:
    """Return the model that a campaign starts from."""
    section = campaign.model
    if isinstance(section, LennardJones):
        return section.build(campaign.elements, reduced=campaign.units == "lj")
    if isinstance(section, FrozenBase):
        crystals = [crystal(phase.structure()) for phase in campaign.phases.values() if phase.melt is None]
        return section.build(campaign.elements, crystals, campaign.folder)
    if isinstance(section, MomentNetwork | MessagePassing):
        return section.build(campaign.elements, campaign.folder)
    assert campaign.source_path is not None  # the section was validated with its file
    return EamModel.from_file(
        campaign.source_path,
        train=section.train.model_dump() if section.train else {},
        elements=campaign.elements,
        cutoff=section.cutoff,
    )
