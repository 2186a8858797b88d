"""What chains do when a run was no good: a lost interface, models that do not overlap. Children are mocked."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from aiida import orm
from aiida.engine.utils import instantiate_process
from aiida.manage.manager import get_manager
from aiida_phasecal.data.model import ModelData
from aiida_phasecal.data.sample import SampleData
from aiida_phasecal.workchains import coexistence
from aiida_phasecal.workchains.calibrate import MAX_HALVINGS, NO_OVERLAP, NO_RESULT, CalibrateWorkChain
from aiida_phasecal.workchains.coexistence import CoexistenceWorkChain

from phasecal.campaign.load import load_campaign
from phasecal.campaign.tasks import coexistence_parameters

CAMPAIGN = """\
schema: 1
title: copper
model: {family: eam, source: "lammps://Cu_mishin1.eam.alloy", train: {pair: 4}}
phases: {fcc: {prototype: fcc, elements: [Cu], a: 3.615 A}, liquid: {melt: fcc}}
boundaries:
  - phases: [fcc, liquid]
    guess: 1330 K
    targets: [{pressure: 0 GPa, temperature: 1350 K, sigma: 1 K, source: test}]
protocol: fast
"""


@pytest.fixture
def campaign(tmp_path):
    path = tmp_path / "copper.yaml"
    path.write_text(CAMPAIGN)
    return load_campaign(path).to_dict()


def started(process, **inputs):
    """A chain that keeps what it submits."""
    chain = instantiate_process(get_manager().get_runner(), process, **inputs)
    chain.submitted = []
    chain.submit = lambda child, **given: chain.submitted.append(given) or orm.WorkChainNode()
    chain.setup()
    return chain


# -- a lost interface


@pytest.fixture
def interface(codes, model_node, campaign):
    where = {"phases": ["fcc", "liquid"], "pressure_gpa": 0.0, "label": "test"}
    parameters = coexistence_parameters(campaign, guess_k=1330.0, timestep_fs=2.8, stages=["anchor"], **where)
    return started(CoexistenceWorkChain, model=model_node, code=codes["lmp"], parameters=orm.Dict(parameters))


@pytest.fixture
def attempt(interface, monkeypatch):
    """Return a function that runs one attempt, which an analysis judges; it returns the exit code and the tasks."""

    def run(judged):
        interface.submitted.clear()
        interface.run_replicas()
        tasks = [given["task"].get_dict() for given in interface.submitted]
        for i, task in enumerate(tasks):
            outputs = SimpleNamespace(sample=orm.Int(i), thermo=orm.Int(i), task=orm.Dict(task))
            node = SimpleNamespace(is_finished_ok=True, outputs=outputs, inputs=SimpleNamespace(task=orm.Dict(task)))
            interface.ctx[f"replica_{i}"] = node
        monkeypatch.setattr(coexistence, "analyse_coexistence", lambda **nodes: judged)
        return interface.inspect_replicas(), tasks

    return run


MELTED = {
    "accepted": False,
    "temperature_k": None,
    "next_guess_k": 1250.0,
    "rejections": ["the crystal melted"],
    "replicas": [{"rejections": ["melted"]}, {"rejections": ["melted"]}],
}


def test_a_lost_interface_is_tried_again_from_a_better_guess_with_other_seeds(interface, attempt):
    code, first = attempt(MELTED)
    assert code is None
    assert interface.should_run_attempt()
    _, second = attempt(MELTED)
    assert [np.mean([task["start_temperature_k"] for task in tasks]) for tasks in (first, second)] == pytest.approx(
        [1330.0, 1250.0], abs=0.01
    )
    assert not {task["seed"] for task in first} & {task["seed"] for task in second}


def test_a_lost_interface_is_given_up_with_its_reason(attempt):
    codes = [attempt(MELTED)[0] for _ in range(CoexistenceWorkChain.MAX_ATTEMPTS)]
    assert codes[:-1] == [None] * (CoexistenceWorkChain.MAX_ATTEMPTS - 1)
    assert codes[-1].status == CoexistenceWorkChain.exit_codes.ERROR_NO_COEXISTENCE.status
    assert "the crystal melted" in codes[-1].message


def test_replicas_that_kept_both_phases_stay(interface, attempt):
    kept = {**MELTED, "replicas": [{"rejections": []}, {"rejections": ["melted"]}], "temperature_k": None}
    attempt(kept)
    assert len(interface.ctx.usable) == 1


# -- models that overlap too little


@pytest.fixture
def calibration(codes, model_node, copper_model, campaign, make_sample):
    """A calibration after its first step, whose new model is sampled and overlaps too little."""
    chain = started(
        CalibrateWorkChain,
        model=model_node,
        code=codes["lmp"],
        task_code=codes["phasecal"],
        campaign=orm.Dict(campaign),
    )
    far = copper_model.with_theta(copper_model.theta + 0.1)
    chain.ctx.models = [model_node, ModelData.from_model(far, round_index=1).store()]
    chain.ctx.samples = [
        SampleData.from_sample(replace(make_sample(model.hash), phase=phase, temperature_k=1350.0)).store()
        for model in (copper_model, far)
        for phase in ("fcc", "liquid")
    ]
    where = {"phases": ["fcc", "liquid"], "pressure_gpa": 0.0, "temperature_k": 1320.0, "sigma_k": 2.0}
    chain.ctx.anchors = [{**where, "model_hash": copper_model.hash}]
    chain.ctx.stage = [1350.0]
    chain.ctx.step_job = ended(NO_OVERLAP)
    return chain


def ended(status: int) -> SimpleNamespace:
    """A calibration step that failed."""
    return SimpleNamespace(
        is_finished_ok=False, exit_status=status, process_label="TaskCalculation", pk=7, exit_message="too little"
    )


def test_models_that_do_not_overlap_get_one_halfway_which_is_sampled(calibration, copper_model):
    assert calibration.inspect_update() is None
    first, middle = calibration.ctx.models
    assert first.model_hash == copper_model.hash
    assert middle.get_model().theta == pytest.approx(copper_model.theta + 0.05)
    assert (middle.round_index, middle.base.attributes.get("parent")) == (1, copper_model.hash)
    assert [node.facts["model_hash"] for node in calibration.ctx.samples] == 2 * [copper_model.hash]
    assert calibration.should_run_round()
    calibration.run_samples()
    assert [given["model"].model_hash for given in calibration.submitted] == 2 * [middle.model_hash]


def test_halving_ends(calibration):
    for _ in range(MAX_HALVINGS):
        assert calibration.inspect_update() is None
    assert calibration.inspect_update().status == CalibrateWorkChain.exit_codes.ERROR_UPDATE_FAILED.status


def test_nothing_is_halved_that_cannot_help(calibration):
    failed = CalibrateWorkChain.exit_codes.ERROR_UPDATE_FAILED.status
    calibration.ctx.anchors.append({"model_hash": calibration.ctx.models[-1].model_hash})
    assert calibration.inspect_update().status == failed
    calibration.ctx.models.pop()
    assert calibration.inspect_update().status == failed
    calibration.ctx.step_job = ended(530)
    assert calibration.inspect_update().status == failed


@pytest.mark.parametrize("status", NO_RESULT)
def test_a_step_whose_machine_was_restarted_runs_again_once(calibration, status):
    calibration.ctx.round = 3
    calibration.ctx.step_job = ended(status)
    models = list(calibration.ctx.models)
    assert calibration.inspect_update() is None
    assert (calibration.ctx.round, calibration.ctx.models) == (2, models)
    calibration.run_samples()
    assert not calibration.submitted
    calibration.run_update()
    assert [given["metadata"]["call_link_label"] for given in calibration.submitted] == ["round_03"]
    assert calibration.inspect_update().status == CalibrateWorkChain.exit_codes.ERROR_UPDATE_FAILED.status
