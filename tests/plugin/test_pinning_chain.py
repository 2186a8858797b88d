"""The outline of the pinning chain with mocked runs and analyses: where it goes next, and how it ends."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.engine.utils import instantiate_process
from aiida.manage.manager import get_manager
from aiida_phasecal.workchains import pinning as module
from aiida_phasecal.workchains.pinning import PinningWorkChain

from phasecal.campaign.protocols import Protocol, protocol_numbers
from phasecal.engines import lammps

CODES = PinningWorkChain.exit_codes
CAMPAIGN = {
    "seed": 5,
    "phases": {"fcc": {"prototype": "fcc", "elements": ["Cu"], "a": 3.615}, "liquid": {"melt": "fcc"}},
    "protocol": Protocol.model_validate(protocol_numbers("fast")).model_dump(by_alias=True),
}
STATE = {"phases": ["fcc", "liquid"], "pressure_gpa": 0.0, "temperature_k": 1356.0, "label": "test"}


@pytest.fixture
def chain(codes, model_node):
    """Return a function that makes a chain; its submitted tasks are collected in ``tasks``."""

    def make(**state):
        inputs = {
            "code": codes["lmp"],
            "model": model_node,
            "campaign": orm.Dict(CAMPAIGN),
            "state": orm.Dict(STATE | state),
        }
        process = instantiate_process(get_manager().get_runner(), PinningWorkChain, **inputs)
        process.tasks = []

        def submit(_, task, **inputs):
            lammps.validate_task(task.get_dict())
            process.tasks.append(task.get_dict())
            thermo = orm.ArrayData({"lx": np.array([22.1]), "ly": np.array([22.2])})
            return SimpleNamespace(
                is_finished_ok=True,
                outputs=SimpleNamespace(sample=None, thermo=thermo),
                inputs=SimpleNamespace(task=task),
            )

        process.submit = submit
        return process

    return make


@pytest.fixture
def analysis(monkeypatch):
    """Replace the analyses; ``points`` are returned one after the other."""
    control = SimpleNamespace(points=[], bias={"kappa_ev": 0.16, "anchor": 16.0, "rejections": []})
    monkeypatch.setattr(module, "ToContext", lambda **runs: runs)
    monkeypatch.setattr(module, "choose_bias", lambda **nodes: orm.Dict(control.bias))
    monkeypatch.setattr(module, "analyse_pinning", lambda **nodes: orm.Dict(control.points.pop(0)))
    return control


def attempt(process):
    """Go through the loop of the outline once."""
    for step in (process.run_solid, process.run_liquid, process.run_replicas):
        process.ctx.update(step() or {})
    return process.inspect_replicas()


def point(at_k, temperature_k, *, accepted=True, next_guess_k=None):
    return {
        "at_k": at_k,
        "temperature_k": temperature_k if accepted else None,
        "sigma_k": 5.0,
        "n_effective": 10.0,
        "delta_g_ev": 1e-4 * (temperature_k - at_k),
        "accepted": accepted,
        "rejections": [] if accepted else ["the slab melted"],
        "next_guess_k": next_guess_k or temperature_k,
        "seeds": [1, 2],
    }


def test_one_attempt_makes_two_references_and_the_replicas_in_one_box(chain, analysis):
    process = chain()
    assert process.setup() is None
    analysis.points = [point(1356.0, 1350.0)]
    assert attempt(process) is None
    roles = [task["role"] for task in process.tasks]
    assert roles == ["solid", "liquid", "two-phase", "two-phase"]
    assert [task["lateral_a"] for task in process.tasks] == [None, *3 * [[22.1, 22.2]]]
    assert [task["kappa_ev"] for task in process.tasks] == [0.0, 0.0, 0.16, 0.16]
    assert len({task["seed"] for task in process.tasks}) == 4
    assert not process.should_run_attempt()


def test_far_from_the_boundary_one_more_temperature_is_measured(chain, analysis):
    process = chain()
    process.setup()
    analysis.points = [point(1356.0, 1326.0), point(1328.0, 1300.0)]
    attempt(process)
    assert process.should_run_attempt()
    assert process.ctx.temperature_k == 1326.0
    attempt(process)
    assert process.tasks[-1]["temperature_k"] == 1326.0
    assert not process.should_run_attempt()  # two accepted temperatures are enough


def test_a_rejected_attempt_is_repeated_elsewhere_with_other_seeds(chain, analysis):
    process = chain()
    process.setup()
    analysis.points = [point(1356.0, 0.0, accepted=False, next_guess_k=1300.0), point(1300.0, 1310.0)]
    attempt(process)
    assert process.ctx.temperature_k == 1300.0
    attempt(process)
    assert not process.should_run_attempt()
    assert len({task["seed"] for task in process.tasks}) == 8


def test_a_lost_reference_spares_the_replicas(chain, analysis):
    process = chain()
    process.setup()
    analysis.bias = {"rejections": ["solid reference: the crystal was lost"]}
    analysis.points = [point(1356.0, 0.0, accepted=False, next_guess_k=1300.0)]
    attempt(process)
    assert [task["role"] for task in process.tasks] == ["solid", "liquid"]
    assert process.should_run_attempt()


def test_it_gives_up_with_the_reason(chain, analysis):
    process = chain()
    process.setup()
    analysis.points = [point(1356.0, 0.0, accepted=False, next_guess_k=1300.0) for _ in range(process.MAX_ATTEMPTS)]
    ends = [attempt(process) for _ in range(process.MAX_ATTEMPTS)]
    assert ends[:-1] == [None] * (process.MAX_ATTEMPTS - 1)
    assert ends[-1].status == CODES.ERROR_NOT_PINNED.status
    assert "5 attempts: the slab melted" in ends[-1].message


def test_one_accepted_temperature_survives_later_rejections(chain, analysis):
    process = chain()
    process.setup()
    bad = [point(1326.0, 0.0, accepted=False, next_guess_k=1326.0) for _ in range(process.MAX_ATTEMPTS - 1)]
    analysis.points = [point(1356.0, 1326.0), *bad]
    assert [attempt(process) for _ in range(process.MAX_ATTEMPTS)] == [None] * process.MAX_ATTEMPTS
    assert not process.should_run_attempt()


@pytest.mark.parametrize("lost", ["solid", "liquid", "replica_1"])
def test_a_failed_run_ends_the_chain(chain, analysis, lost):
    process = chain()
    process.setup()
    steps = {"solid": process.run_solid, "liquid": process.run_liquid, "replicas": process.run_replicas}
    for name, step in steps.items():
        end = step()
        if not isinstance(end, dict):
            break
        process.ctx.update(end)
        if lost.startswith(name.rstrip("s")) or lost == name:
            process.ctx[lost] = SimpleNamespace(
                is_finished_ok=False, process_label="LammpsMdWorkChain", pk=7, exit_message="lost atoms"
            )
    else:
        end = process.inspect_replicas()
    assert end.status == CODES.ERROR_MD_FAILED.status
    assert "LammpsMdWorkChain<7>: lost atoms" in end.message


def test_a_verification_has_a_larger_cell_than_training(chain, analysis):
    process = chain(stage="pinning_verification")
    process.setup()
    process.run_solid()
    assert process.tasks[0]["n_lateral"] > CAMPAIGN["protocol"]["reanchor"]["n_lateral"]


def test_the_crystal_must_come_first(chain):
    end = chain(phases=["liquid", "fcc"]).setup()
    assert end.status == CODES.ERROR_PHASES.status
    assert "write the crystal first" in end.message


def test_contradicting_temperatures_are_rejected(chain, aiida_profile):
    process = chain()
    process.setup()
    process.ctx.points = [orm.Dict(point(1356.0, 1300.0)).store(), orm.Dict(point(1300.0, 1380.0)).store()]
    end = process.results()
    assert end.status == CODES.ERROR_NOT_PINNED.status
    assert "points disagree" in end.message


@pytest.mark.slow
def test_a_real_chain_measures_or_says_why_not(codes, model_node, monkeypatch):
    """All runs and analyses, on record; 288 atoms for some 15 ps are too few to insist on an accepted result."""
    monkeypatch.setattr(PinningWorkChain, "MAX_ATTEMPTS", 1)
    block = {
        "n_lateral": 3,
        "n_normal": 8,
        "relax_steps": 3000,
        "melt_steps": 600,
        "cool_steps": 300,
        "settle_steps": 300,
    }
    pinning = CAMPAIGN["protocol"]["pinning"] | block | {"reference_steps": 5000, "production_steps": 5000}
    campaign = CAMPAIGN | {"protocol": CAMPAIGN["protocol"] | {"pinning": pinning}}
    outputs, node = run_get_node(
        PinningWorkChain,
        code=codes["lmp"],
        model=model_node,
        campaign=orm.Dict(campaign),
        state=orm.Dict(STATE | {"temperature_k": 1326.0}),
    )
    points = [called for called in node.called if called.process_label == "analyse_pinning"]
    found = points[0].outputs.result.get_dict()
    assert len(points) == 1
    assert found["delta_h_ev"] > 0.08
    assert found["model_hash"] == model_node.model_hash
    assert (found["method"], found["phases"], found["n_atoms"]) == ("pinning", ["fcc", "liquid"], 288)
    assert len(found["seeds"]) == 4
    if found["accepted"]:
        assert node.exit_status == 0
        assert outputs["anchor"]["sigma_k"] > 0
    else:
        assert node.exit_status == CODES.ERROR_NOT_PINNED.status
        assert found["rejections"][0] in node.exit_message
