"""A campaign names the weight file of a network of another package, and which of its weights are trained."""

from __future__ import annotations

import pytest

from phasecal.campaign import message_passing
from phasecal.campaign.document import CampaignErrors
from phasecal.campaign.load import load_campaign
from phasecal.campaign.model import build_model

CAMPAIGN = """\
schema: 1
title: titanium
model:
  family: nequix
  source: tiny.nqx
  train: [readout, layers.1.radial_mlp]
phases:
  hcp: {prototype: hcp, elements: [Ti], a: 2.95 A, c: 4.68 A}
  bcc: {prototype: bcc, elements: [Ti], a: 3.3 A}
boundaries:
  - phases: [hcp, bcc]
    targets: [{pressure: 0 GPa, temperature: 1155 K, sigma: 3 K, source: "SGTE"}]
protocol: fast
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_networks):
    folder = tmp_path_factory.mktemp("campaign")
    tiny_networks.write("nequix", folder / "tiny.nqx")
    return folder


def load(folder, text, task="calibrate"):
    (folder / "campaign.yaml").write_text(text)
    return load_campaign(folder / "campaign.yaml", task=task)


def test_a_campaign_starts_from_the_weight_file(folder):
    campaign = load(folder, CAMPAIGN)
    model = build_model(campaign)
    assert (model.family, model.elements, campaign.source_name) == ("nequix", ("Ti",), "tiny.nqx")
    assert {name.split(".")[0] for name, _ in model.trained} == {"readout", "layers"}
    assert campaign.to_dict()["model"] == {
        "source": "tiny.nqx",
        "train": ["readout", "layers.1.radial_mlp"],
        "family": "nequix",
    }


def test_mace_is_a_family_too(folder, tiny_networks):
    tiny_networks.write("mace", folder / "tiny.zip")
    text = CAMPAIGN.replace("nequix", "mace").replace("tiny.nqx", "tiny.zip")
    model = build_model(load(folder, text.replace("[readout, layers.1.radial_mlp]", "[layers_1.readout_block]")))
    assert (model.family, model.elements) == ("mace", ("Ti",))
    assert model.theta.size == 3 * 2 + 2


def test_other_tasks_train_nothing(folder):
    text = CAMPAIGN.replace("  train: [readout, layers.1.radial_mlp]\n", "")
    assert build_model(load(folder, text, task="transition")).theta.size == 0


WRONG = {
    "missing file": ("tiny.nqx", "none.nqx", 5, "no such file"),
    "another family": ("family: nequix", "family: mace", 5, "not a weight file of family mace"),
    "a table": ("tiny.nqx", "lammps://Cu_zhou.eam.alloy", 5, "not a weight file of family nequix"),
    "another element": ("[Ti]", "[Cu]", 5, "knows no Cu; expected some of Al, Ti"),
    "no weight": ("[readout,", "[read,", 6, "no weight is, or begins with, 'read'; expected names among atom_energies"),
    "nothing": ("[readout, layers.1.radial_mlp]", "[]", 6, "nothing to train"),
    "twice": ("layers.1.radial_mlp", "readout", 6, "readout appears twice"),
    "missing source": ("  source: tiny.nqx\n", "", 3, "missing key"),
}


@pytest.mark.parametrize("old, new, line, message", WRONG.values(), ids=WRONG)
def test_one_fault_gives_one_line(folder, old, new, line, message):
    assert old in CAMPAIGN
    with pytest.raises(CampaignErrors) as errors:
        load(folder, CAMPAIGN.replace(old, new))
    (problem,) = errors.value.problems
    assert problem.line == line
    assert message in str(problem)


def test_more_numbers_than_the_metric_of_a_step_can_hold_are_refused(folder, monkeypatch):
    monkeypatch.setattr(message_passing, "MAX_TRAINED", 5)
    with pytest.raises(CampaignErrors, match=r"numbers to train; expected fewer or smaller weights, of at most 5"):
        load(folder, CAMPAIGN)


def test_a_package_that_is_not_installed_is_named(folder, monkeypatch):
    def missing(*_):
        raise message_passing.InputError("the package nequix is not installed; expected what `pip …` brings")

    monkeypatch.setattr(message_passing.NequixModel, "from_file", missing)
    with pytest.raises(CampaignErrors, match="the package nequix is not installed; expected what `pip"):
        load(folder, CAMPAIGN)
