"""A campaign with `engine: jax-md`: bulk states are sampled by jax-md, everything else by LAMMPS."""

from __future__ import annotations

import sys

import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.engine.utils import instantiate_process
from aiida.manage.manager import get_manager
from aiida_phasecal import submit as submission
from aiida_phasecal.data.model import ModelData
from aiida_phasecal.workchains.calibrate import CalibrateWorkChain
from aiida_phasecal.workchains.coexistence import CoexistenceWorkChain
from aiida_phasecal.workchains.free_energy import FreeEnergyWorkChain
from aiida_phasecal.workchains.sample import SampleWorkChain
from aiida_phasecal.workchains.transition import TransitionWorkChain

from phasecal.campaign.load import load_campaign
from phasecal.campaign.model import build_model
from phasecal.campaign.tasks import bulk_task

CAMPAIGN = """\
schema: 1
title: Lennard-Jones
units: lj
engine: jax-md
model: {family: lj, epsilon: 1.0, sigma: 1.0, cutoff: 2.5, train: [epsilon]}
phases: {fcc: {prototype: fcc, elements: [X], density: 0.97}, liquid: {melt: fcc}}
boundaries: [{phases: [fcc, liquid], targets: [{pressure: 0, temperature: 0.65, sigma: 0.01, source: test}]}]
protocol:
  name: fast
  bulk: {n_atoms: 108, equilibration_steps: 200, production_steps: 3000, sample_every: 50, thermo_every: 10}
"""


@pytest.fixture
def campaign(tmp_path):
    path = tmp_path / "lj.yaml"
    path.write_text(CAMPAIGN)
    return load_campaign(path)


@pytest.fixture
def jaxmd(aiida_code_installed):
    return aiida_code_installed(
        default_calc_job_plugin="phasecal.jaxmd", filepath_executable=sys.executable, label="jax-md"
    )


@pytest.fixture
def inputs(campaign, codes, jaxmd):
    """Inputs of a calibration."""
    model = ModelData.from_model(build_model(campaign)).store()
    return {
        "model": model,
        "code": codes["lmp"],
        "bulk_code": jaxmd,
        "task_code": codes["phasecal"],
        "campaign": orm.Dict(campaign.to_dict()),
    }


def started(process, inputs):
    """A chain that keeps what it submits."""
    chain = instantiate_process(get_manager().get_runner(), process, **inputs)
    chain.submitted = []
    chain.submit = lambda child, **given: chain.submitted.append((child, given)) or orm.WorkChainNode()
    chain.setup()
    return chain


def anchored_at(chain, temperature_k):
    """Let the rounds of a calibration begin at a temperature, with its initial model as anchor."""
    chain.ctx.anchors = [{"phases": chain.ctx.targets[0]["phases"], "model_hash": chain.ctx.models[0].model_hash}]
    chain.ctx.stage = [temperature_k]


def test_rounds_are_sampled_with_jaxmd_and_anchors_with_lammps(inputs, jaxmd, codes):
    chain = started(CalibrateWorkChain, inputs)
    chain.run_anchors()
    ((child, given),) = chain.submitted
    assert child is TransitionWorkChain
    assert (given["code"].pk, given["bulk_code"].pk) == (codes["lmp"].pk, jaxmd.pk)
    transition = started(TransitionWorkChain, given)
    transition.run_anchor()
    ((child, anchored),) = transition.submitted
    assert child is CoexistenceWorkChain
    assert (anchored["code"].pk, "bulk_code" in anchored) == (codes["lmp"].pk, False)
    chain.submitted.clear()
    anchored_at(chain, 650.0)
    chain.run_samples()
    assert [(child, given["code"].pk) for child, given in chain.submitted] == 2 * [(SampleWorkChain, jaxmd.pk)]


def test_without_the_key_lammps_samples(inputs, codes):
    chain = started(CalibrateWorkChain, {name: node for name, node in inputs.items() if name != "bulk_code"})
    anchored_at(chain, 650.0)
    chain.run_samples()
    assert {given["code"].pk for _, given in chain.submitted} == {codes["lmp"].pk}


def test_a_bulk_sample_of_the_campaign_with_jaxmd(inputs, campaign):
    task = bulk_task(campaign.to_dict(), phase="fcc", temperature_k=500.0, pressure_gpa=0.0, timestep_fs=5.0, seed=3)
    outputs, node = run_get_node(SampleWorkChain, model=inputs["model"], code=inputs["bulk_code"], task=orm.Dict(task))
    assert node.is_finished_ok, node.exit_message
    assert (outputs["sample"].facts["phase"], outputs["sample"].facts["n_frames"]) == ("fcc", 61)
    assert outputs["properties"]["temperature_k"]["value"] == pytest.approx(500.0, rel=0.2)
    assert outputs["sample"].facts["model_hash"] == inputs["model"].model_hash


@pytest.mark.parametrize("process", [CoexistenceWorkChain, FreeEnergyWorkChain, CalibrateWorkChain])
def test_what_only_lammps_does_refuses_jaxmd(inputs, jaxmd, process):
    state = {"phase": "fcc", "temperature_k": 500.0, "pressure_gpa": 0.0, "label": "test"}
    more = {CoexistenceWorkChain: ("parameters", orm.Dict({})), FreeEnergyWorkChain: ("state", orm.Dict(state))}
    names = ("model", "campaign") if process is FreeEnergyWorkChain else ("model",)
    given = inputs if process is CalibrateWorkChain else {name: inputs[name] for name in names}
    given = dict(given) | dict([more[process]] if process in more else [])
    with pytest.raises(ValueError, match="jax-md engine, which samples bulk states only; this needs LAMMPS"):
        instantiate_process(get_manager().get_runner(), process, **(given | {"code": jaxmd}))


def test_the_campaign_decides_which_codes_are_used(campaign, codes, jaxmd, monkeypatch):
    builders = []
    monkeypatch.setattr(submission, "submit", lambda builder: builders.append(builder) or orm.WorkChainNode().store())
    label = codes["lmp"].computer.label
    here = campaign.model_copy(update={"resources": campaign.resources.model_copy(update={"computer": label})})
    submission.submit_campaign(here, task="calibrate", text="")
    submission.submit_campaign(here.model_copy(update={"engine": "lammps"}), task="verify", text="")
    first, second = builders
    assert (first.code.pk, first.task_code.pk) == (codes["lmp"].pk, codes["phasecal"].pk)
    assert (first.bulk_code.pk, second.code.pk) == (jaxmd.pk, codes["lmp"].pk)
    assert "bulk_code" not in second
