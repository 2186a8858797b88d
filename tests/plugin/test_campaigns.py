"""The campaigns that are shipped are valid, and their potentials can be built."""

from __future__ import annotations

from pathlib import Path

import pytest

from phasecal.campaign.load import load_campaign
from phasecal.campaign.model import build_model

CAMPAIGNS = sorted((Path(__file__).parents[2] / "workflows" / "campaigns").glob("*.yaml"))


@pytest.mark.parametrize("path", CAMPAIGNS, ids=lambda path: path.stem)
def test_shipped_campaigns_are_valid(path):
    measured = path.stem.startswith("lj") or "mishin" in path.stem or "hennig" in path.stem
    task = "transition" if measured else "calibrate"
    campaign = load_campaign(path, task=task)
    assert build_model(campaign).elements == tuple(campaign.elements)
    assert campaign.to_dict()["boundaries"]
