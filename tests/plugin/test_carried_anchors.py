"""A calibration with anchors at few pressures: what is measured, where rounds work, what the record says."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from aiida import orm
from aiida.engine.utils import instantiate_process
from aiida.manage.manager import get_manager
from aiida_phasecal.data.model import ModelData
from aiida_phasecal.data.sample import SampleData
from aiida_phasecal.record import calibration_points
from aiida_phasecal.workchains.calibrate import PHASE_LOST, CalibrateWorkChain

from phasecal.campaign.load import load_campaign

CAMPAIGN = """\
schema: 1
title: copper
model: {family: eam, source: "lammps://Cu_mishin1.eam.alloy", train: {pair: 4}}
phases:
  fcc: {prototype: fcc, elements: [Cu], a: 3.615 A}
  bcc: {prototype: bcc, elements: [Cu], a: 2.88 A}
  liquid: {melt: bcc}
boundaries:
  - phases: [fcc, bcc]
    anchors: [0 GPa]
    targets:
      - {pressure: 0 GPa, temperature: 1000 K, sigma: 1 K, source: test}
      - {pressure: 1 GPa, temperature: 970 K, sigma: 1 K, source: test}
      - {pressure: 2 GPa, temperature: 940 K, sigma: 1 K, source: test}
  - phases: [bcc, liquid]
    targets: [{pressure: 0 GPa, temperature: 1000 K, sigma: 1 K, source: test}]
protect: []
protocol: fast
"""
FIRST, MELT = ["fcc", "bcc"], ["bcc", "liquid"]


@pytest.fixture
def chain(codes, model_node, tmp_path):
    """A calibration that keeps what it submits."""
    path = tmp_path / "copper.yaml"
    path.write_text(CAMPAIGN)
    chain = instantiate_process(
        get_manager().get_runner(),
        CalibrateWorkChain,
        model=model_node,
        code=codes["lmp"],
        task_code=codes["phasecal"],
        campaign=orm.Dict(load_campaign(path).to_dict()),
    )
    chain.submitted = []
    chain.submit = lambda child, **given: chain.submitted.append(given) or orm.WorkChainNode()
    chain.setup()
    return chain


@pytest.fixture
def measured(make_sample):
    """Return a function that gives a finished transition of a model at 0 GPa."""

    def run(model, phases, temperature_k, slope):
        numbers = {"temperature_k": temperature_k, "sigma_k": 3.0, "slope_k_gpa": slope, "slope_k_gpa_sigma": 1.0}
        place = {"phases": phases, "pressure_gpa": 0.0, "model_hash": model.model_hash}
        samples = {
            role: SampleData.from_sample(
                replace(make_sample(model.model_hash), phase=phase, temperature_k=temperature_k)
            ).store()
            for role, phase in zip(("low", "high"), phases, strict=True)
        }
        outputs = SimpleNamespace(transition=orm.Dict({**numbers, **place}).store(), samples=SimpleNamespace(**samples))
        return SimpleNamespace(is_finished_ok=True, outputs=outputs)

    return run


@pytest.fixture
def anchored(chain, measured, model_node):
    """The calibration after its first anchors."""
    chain.run_anchors()
    chain.ctx.anchor_0 = measured(model_node, FIRST, 1000.0, -200.0)
    chain.ctx.anchor_3 = measured(model_node, MELT, 1100.0, 30.0)
    assert chain.inspect_anchors() is None
    return chain


def test_only_anchors_are_measured_and_the_rest_is_expected_on_the_line(anchored):
    states = [given["state"].get_dict() for given in anchored.submitted]
    assert [(state["phases"], state["pressure_gpa"]) for state in states] == [(FIRST, 0.0), (MELT, 0.0)]
    assert sorted(anchored.outputs["initial"]) == ["target_0", "target_3"]
    assert anchored.ctx.boundaries == pytest.approx([1000.0, 800.0, 600.0, 1100.0])
    limit = 1 + anchored.ctx.superheating[1]
    assert limit * 800 < 970  # where the line says so, rounds stop short, though the anchor itself is near the target
    assert anchored.ctx.stage == pytest.approx([1000.0, limit * 800, limit * 600, 1000.0])


def test_a_campaign_may_leave_fresh_anchors_to_the_verification(anchored):
    anchored.ctx.converged = True
    assert anchored.should_anchor_again()
    anchored.ctx.settings["reanchors"] = 0
    assert not anchored.should_anchor_again()
    assert not anchored.should_run_round()


def test_a_state_that_serves_two_boundaries_is_sampled_once(anchored, model_node):
    states = anchored.missing_states()
    assert len(states) == len(set(states))
    # fcc at 1000 K and 0 GPa came with the anchor, and so did bcc there, for both of its boundaries
    assert [state for state in states if state[2] == 0.0] == [("liquid", 1000.0, 0.0, model_node.model_hash)]
    anchored.ctx.samples = []
    assert [state[0] for state in anchored.missing_states() if state[2] == 0.0] == ["fcc", "bcc", "liquid"]


def test_a_step_gets_every_target_and_the_anchors_there_are(anchored):
    anchored.submitted.clear()
    anchored.run_update()
    task = anchored.submitted[0]["parameters"].get_dict()
    assert [(anchor["phases"], anchor["pressure_gpa"]) for anchor in task["anchors"]] == [(FIRST, 0.0), (MELT, 0.0)]
    assert [(target["phases"], target["pressure_gpa"]) for target in task["targets"]] == [
        *((FIRST, pressure) for pressure in (0.0, 1.0, 2.0)),
        (MELT, 0.0),
    ]


LOST = SimpleNamespace(
    is_finished_ok=False, exit_status=PHASE_LOST, process_label="SampleWorkChain", pk=7, exit_message="lost"
)


def test_a_lost_phase_reaches_less_far_from_its_line(anchored, model_node):
    before = anchored.ctx.stage
    anchored.ctx.states, anchored.ctx.sample_0 = [("fcc", before[2], 2.0, model_node.model_hash)], LOST
    reach = anchored.ctx.superheating[2]
    assert anchored.inspect_samples() is None
    assert not anchored.samples_complete()
    assert anchored.ctx.stage[2] == pytest.approx((1 + reach / 2) * 600)
    assert anchored.ctx.stage[:2] + anchored.ctx.stage[3:] == before[:2] + before[3:]


def test_a_phase_that_is_lost_at_its_boundary_is_tried_again_with_another_seed(anchored, model_node):
    def seeds():
        anchored.submitted.clear()
        anchored.run_samples()
        return {given["task"].get_dict()["phase"]: given["task"].get_dict()["seed"] for given in anchored.submitted}

    anchored.ctx.latest = [1000.0, 970.0, 940.0, 1005.0]  # where the estimate of a round has them
    stage, first = anchored.ctx.stage, seeds()
    anchored.ctx.states, anchored.ctx.sample_0 = [("liquid", 1000.0, 0.0, model_node.model_hash)], LOST
    assert anchored.inspect_samples() is None
    assert anchored.ctx.stage == stage
    assert seeds()["liquid"] != first["liquid"]
    for _ in range(5):
        anchored.ctx.states, anchored.ctx.sample_0 = [("liquid", 1000.0, 0.0, model_node.model_hash)], LOST
        failed = anchored.inspect_samples()
    assert failed.status == 402


def test_where_a_stage_moves_the_model_of_the_anchor_is_sampled_too(anchored, model_node, copper_model):
    anchored.ctx.models.append(
        ModelData.from_model(copper_model.with_theta(copper_model.theta + 0.1), round_index=1).store()
    )
    anchored.ctx.stage = [1000.0, 900.0, 700.0, 1000.0]
    at_900 = [state for state in anchored.missing_states() if state[1] == 900.0]
    hashes = [node.model_hash for node in anchored.ctx.models]
    assert at_900 == [(phase, 900.0, 1.0, name) for name in hashes for phase in FIRST]


@pytest.mark.parametrize(("off_k", "goes_on"), [(-0.03, True), (-0.05, False), (0.05, False)])
def test_a_stage_on_the_way_ends_when_the_model_comes_near(anchored, off_k, goes_on):
    stage = anchored.ctx.stage
    estimates = [
        {**target, "temperature_k": t * (1 + off_k), "sigma_k": 4.0}
        for target, t in zip(anchored.ctx.targets, stage, strict=True)
    ]
    outputs = SimpleNamespace(result={"targets": estimates, "converged": False}, model=anchored.ctx.models[-1])
    anchored.ctx.step_job = SimpleNamespace(is_finished_ok=True, outputs=outputs)
    assert anchored.inspect_update() is None
    assert (len(anchored.ctx.models) == 1) is goes_on  # the next stage starts with the same model
    assert (anchored.ctx.stage[2] > stage[2]) is goes_on


def test_measured_anchors_replace_estimates_of_the_same_model(anchored, measured, copper_model):
    corrected = ModelData.from_model(copper_model.with_theta(copper_model.theta + 0.1), round_index=1).store()
    anchored.ctx.models.append(corrected)
    estimates = [
        {"phases": t["phases"], "pressure_gpa": t["pressure_gpa"], "temperature_k": 990.0, "sigma_k": 4.0}
        for t in anchored.ctx.targets
    ]
    anchored.ctx.step_job = SimpleNamespace(
        is_finished_ok=True, outputs=SimpleNamespace(result={"targets": estimates, "converged": True})
    )
    assert anchored.inspect_update() is None
    assert anchored.ctx.stage == [t["temperature_k"] for t in anchored.ctx.targets]
    assert [a["model_hash"] == corrected.model_hash for a in anchored.ctx.anchors] == 2 * [False] + 4 * [True]
    anchored.ctx.anchor_0 = measured(corrected, FIRST, 1001.0, -30.0)
    anchored.ctx.anchor_3 = measured(corrected, MELT, 1001.0, 30.0)
    assert anchored.inspect_anchors() is None
    of_corrected = [a for a in anchored.ctx.anchors if a["model_hash"] == corrected.model_hash]
    assert [(a["phases"], a["temperature_k"]) for a in of_corrected] == [(FIRST, 1001.0), (MELT, 1001.0)]
    assert anchored.model_is_anchored()
    assert anchored.ctx.boundaries == pytest.approx([1001.0, 971.0, 941.0, 1001.0])


def test_the_record_says_where_the_model_started_without_an_anchor(recorder, copper_model):
    keys = ("pressure_gpa", "temperature_k", "sigma_k", "source")
    targets = [dict(zip(keys, values, strict=True)) for values in ((0.0, 1357.77, 0.5, "a"), (2.0, 1430.0, 5.0, "b"))]
    boundary = {"phases": ["fcc", "liquid"], "guess_k": None, "method": "coexistence", "verify": "pinning"}
    campaign = orm.Dict({"title": "copper", "boundaries": [{**boundary, "targets": targets, "anchors_gpa": [0.0]}]})
    model = ModelData.from_model(copper_model).store()
    node = recorder.chain("calibrate", {"model": model, "campaign": campaign}, label="copper")
    recorder.transition(model, 1326.0, 10, node)
    before = calibration_points(node)
    assert [entry["initial_k"] for entry in before] == [1326.0, None]
    assert [entry["temperature_k"] for entry in before] == [1326.0, None]
    for temperature in (1400.0, 1431.0):
        estimates = [{"temperature_k": t, "sigma_k": 6.0} for t in (1326.5, temperature)]
        job = recorder.job("task", {"models__m0": model}, node)
        recorder.out(job, result=orm.Dict({"targets": estimates}))
    after = calibration_points(node)
    assert [set(entry) for entry in after] == [set(entry) for entry in before] == 2 * [set(before[0])]
    assert [(entry["initial_k"], entry["initial_sigma_k"]) for entry in after] == [(1326.0, 3.0), (1400.0, 6.0)]
    assert [(entry["estimate_k"], entry["anchor_method"]) for entry in after] == [
        (1326.5, "coexistence"),
        (1431.0, "coexistence"),
    ]
