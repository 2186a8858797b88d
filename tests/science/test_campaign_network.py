"""A campaign names the file of a fitted moment-network."""

from __future__ import annotations

import numpy as np
import pytest

from phasecal.campaign.document import CampaignErrors
from phasecal.campaign.load import load_campaign
from phasecal.campaign.model import build_model
from phasecal.potentials.lj import LjModel
from phasecal.potentials.moment_network import MomentNetworkModel

CAMPAIGN = """\
schema: 1
title: titanium
model:
  family: moment-network
  source: ti.safetensors
phases:
  hcp: {prototype: hcp, elements: [Ti], a: 2.95 A, c: 4.68 A}
  bcc: {prototype: bcc, elements: [Ti], a: 3.3 A}
boundaries:
  - phases: [hcp, bcc]
    targets: [{pressure: 0 GPa, temperature: 1155 K, sigma: 3 K, source: "SGTE"}]
protocol: fast
"""


@pytest.fixture
def folder(tmp_path):
    for name, elements in (("ti", ["Ti"]), ("alti", ["Al", "Ti"]), ("cu", ["Cu"])):
        n = len(elements)
        model = MomentNetworkModel.initial(elements, 5.0, np.full((n, n), 2.0), n_radial=2, n_basis=3, seed=1)
        model.save(tmp_path / f"{name}.safetensors")
    lj = LjModel.from_parameters(
        element="Ti", mass=47.9, epsilon=0.1, sigma=2.4, cutoff_sigmas=2.5, shift=True, train=["epsilon"]
    )
    lj.save(tmp_path / "lj.safetensors")
    (tmp_path / "text.safetensors").write_text("no model")
    return tmp_path


def load(folder, text):
    (folder / "campaign.yaml").write_text(text)
    return load_campaign(folder / "campaign.yaml")


def test_a_campaign_starts_from_the_fitted_model_and_trains_all_its_weights(folder):
    campaign = load(folder, CAMPAIGN)
    model = build_model(campaign)
    assert (model.family, model.elements, campaign.source_name) == ("moment-network", ("Ti",), "ti.safetensors")
    assert len(model.parameter_names) == 14 * 32 + 32 + 32 * 32 + 32 + 32
    assert campaign.to_dict()["model"] == {"family": "moment-network", "source": "ti.safetensors"}
    assert campaign.to_dict()["protocol"]["calibration"]["step"]["prior"] == "functional"


def test_a_model_of_more_elements_is_cut_to_those_of_the_campaign(folder):
    model = build_model(load(folder, CAMPAIGN.replace("ti.safe", "alti.safe")))
    assert model.elements == ("Ti",)
    assert model.inner.shape == (1, 1)


WRONG = {
    "missing file": ("ti.safe", "none.safe", 5, "no such file"),
    "not a model": ("ti.safe", "text.safe", 5, "not a model of phasecal"),
    "another family": ("ti.safe", "lj.safe", 5, "a model of family lj; expected a moment-network"),
    "another element": ("ti.safe", "cu.safe", 5, "has no Ti"),
    "a table": ("source: ti.safetensors", "source: lammps://Cu_zhou.eam.alloy", 5, "not a model of phasecal"),
    "unknown key": ("  source:", "  train: {pair: 3}\n  source:", 5, "unknown key"),
    "missing source": ("  source: ti.safetensors\n", "", 3, "missing key"),
    "unknown prior": ("protocol: fast", "protocol: {name: fast, calibration: {step: {prior: flat}}}", 12, "prior"),
}


@pytest.mark.parametrize("old, new, line, message", WRONG.values(), ids=WRONG)
def test_one_fault_gives_one_line(folder, old, new, line, message):
    assert CAMPAIGN.count(old) == 1
    with pytest.raises(CampaignErrors) as errors:
        load(folder, CAMPAIGN.replace(old, new))
    (problem,) = errors.value.problems
    assert problem.line == line
    assert message in str(problem)
