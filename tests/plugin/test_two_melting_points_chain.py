"""The outline of the chain of two melting points with mocked runs: what it asks for, where it goes on, how it ends."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from aiida import orm
from aiida.engine.utils import instantiate_process
from aiida.manage.manager import get_manager
from aiida_phasecal.workchains.coexistence import CoexistenceWorkChain
from aiida_phasecal.workchains.sample import SampleWorkChain
from aiida_phasecal.workchains.two_melting_points import TwoMeltingPointsWorkChain

from phasecal.campaign.load import load_campaign
from phasecal.engines import lammps

CODES = TwoMeltingPointsWorkChain.exit_codes
CAMPAIGN = """\
schema: 1
title: two melting points
model: {family: eam, source: "lammps://Cu_mishin1.eam.alloy"}
phases:
  hcp: {prototype: hcp, elements: [Cu], a: 2.56 A}
  bcc: {prototype: bcc, elements: [Cu], a: 2.88 A}
  liquid: {melt: bcc}
boundaries:
  - {phases: [hcp, bcc], pressures: [0 GPa], guess: 1155 K, method: two-melting-points}
  - {phases: [bcc, liquid], pressures: [0 GPa], guess: 1941 K}
protocol: fast
"""
STATE = {
    "phases": ["hcp", "bcc"],
    "pressure_gpa": 0.0,
    "guess_k": 1155.0,
    "stages": ["locate", "transition"],
    "label": "test",
}
MELTING_K = {"hcp": 1700.0, "bcc": 1900.0}
DELTA_H = 0.135
"""Of melting bcc, eV/atom; all heat capacities are the same."""
DELTA_H_CRYSTALS = DELTA_H * (1 - 1700 / 1900) / (1700 / 1155 - 1)
"""Such that the crystals meet at 1155 K."""
ENTHALPY = {"hcp": -DELTA_H_CRYSTALS, "bcc": 0.0, "liquid": DELTA_H}


@pytest.fixture
def campaign(tmp_path):
    path = tmp_path / "campaign.yaml"
    path.write_text(CAMPAIGN)
    return load_campaign(path, task="transition").to_dict()


def good(**outputs):
    return SimpleNamespace(is_finished_ok=True, exit_status=0, outputs=SimpleNamespace(**outputs))


def bad(status, message):
    return SimpleNamespace(
        is_finished_ok=False, exit_status=status, process_label="SampleWorkChain", pk=7, exit_message=message
    )


@pytest.fixture
def chain(codes, model_node, campaign):
    """Return a function that makes a chain; what it submits is answered by a world in which T_t = 1155 K."""

    def make(melting=None, lost=None, **state):
        inputs = {
            "code": codes["lmp"],
            "model": model_node,
            "campaign": orm.Dict(campaign),
            "state": orm.Dict(STATE | state),
        }
        process = instantiate_process(get_manager().get_runner(), TwoMeltingPointsWorkChain, **inputs)
        process.melted, process.tasks = [], []

        def submit(child, **given):
            if child is CoexistenceWorkChain:
                parameters = given["parameters"].get_dict()
                process.melted.append(parameters)
                found = {"temperature_k": (melting or MELTING_K)[parameters["phases"][0]], "sigma_k": 3.0}
                facts = {"seeds": [len(process.melted)], "n_atoms": 2016, "model_hash": "abc"}
                return good(anchor=orm.Dict(found | facts))
            assert child is SampleWorkChain
            task = given["task"].get_dict()
            lammps.validate_task(task)
            process.tasks.append(task)
            if lost == (task["phase"], task["temperature_k"]):
                return bad(SampleWorkChain.exit_codes.ERROR_PHASE_LOST.status, "the crystal was lost")
            enthalpy = ENTHALPY[task["phase"]] + 3e-4 * task["temperature_k"]
            run = good(properties=orm.Dict({"enthalpy_ev": {"value": enthalpy, "sigma": 0.001}}))
            run.inputs = SimpleNamespace(task=given["task"])
            return run

        process.submit = submit
        return process

    return make


def go(process):
    """Walk the outline; return what a step ends it with, else None."""
    steps = [process.setup, process.run_melting, process.inspect_melting]
    while steps:
        end = steps.pop(0)()
        if isinstance(end, dict):
            process.ctx.update(end)
        elif end is not None:
            return end
        if not steps and process.should_sample():
            steps = [process.run_samples, process.inspect_samples]
    process.results()
    return None


def test_the_boundary_comes_from_both_melting_points(chain):
    process = chain()
    assert go(process) is None
    anchor = process.outputs["anchor"]
    assert anchor["temperature_k"] == pytest.approx(1155.0, abs=0.05)
    entropy = DELTA_H_CRYSTALS / 1155.0
    melting = math.hypot(3 * 1155 / 1700 * (DELTA_H + DELTA_H_CRYSTALS) / 1700, 3 * 1155 / 1900 * DELTA_H / 1900)
    assert anchor["sigma_k"] > melting / entropy
    assert anchor["method"] == "two-melting-points"
    assert (anchor["phases"], anchor["pressure_gpa"], anchor["n_atoms"]) == (["hcp", "bcc"], 0.0, 2016)
    assert (anchor["model_hash"], anchor["accepted"], anchor["rejections"]) == ("abc", True, [])
    assert [one["phase"] for one in anchor["melting"]] == ["hcp", "bcc"]
    assert len(set(anchor["seeds"])) == 2 + 9
    assert set(anchor["budget_k"]) == {"melting_low", "melting_high", "enthalpies", "extrapolation"}


def test_the_runs_are_those_that_are_needed(chain):
    process = chain()
    go(process)
    assert [parameters["phases"] for parameters in process.melted] == [["hcp", "liquid"], ["bcc", "liquid"]]
    assert [parameters["guess_k"] for parameters in process.melted] == [1941.0, 1941.0]
    assert len({parameters["label"] for parameters in process.melted}) == 2
    where = {(task["phase"], round(task["temperature_k"])) for task in process.tasks}
    crystals = {(phase, t) for phase in ("hcp", "bcc") for t in (1155, 1428, 1700)}
    assert where == crystals | {("bcc", 1900), ("liquid", 1700), ("liquid", 1900)}
    assert len({task["seed"] for task in process.tasks}) == 9
    assert {task["n_atoms"] for task in process.tasks} == {500}


def test_a_boundary_below_the_guess_is_looked_for_there(chain):
    process = chain(guess_k=1400.0)
    assert go(process) is None
    assert process.outputs["anchor"]["temperature_k"] == pytest.approx(1155.0, abs=0.05)
    extra = process.tasks[9:]
    assert [task["phase"] for task in extra] == ["hcp", "bcc"]
    assert extra[0]["temperature_k"] == pytest.approx(1155.0, abs=30)


def test_the_guess_of_the_boundary_is_below_melting(chain):
    process = chain(guess_k=2500.0)
    assert go(process) is None
    assert process.tasks[0]["temperature_k"] == pytest.approx(0.9 * 1700.0, abs=0.2)


def test_melting_points_in_the_wrong_order_end_the_chain(chain):
    process = chain(melting={"hcp": 1900.0, "bcc": 1700.0})
    end = go(process)
    assert end.status == CODES.ERROR_NO_TRANSITION.status
    assert "1900.0 ± 3.0 K, above the high-temperature one" in end.message
    assert not process.tasks


def test_crystals_that_never_meet_end_the_chain(chain, monkeypatch):
    monkeypatch.setitem(ENTHALPY, "hcp", 0.02)
    process = chain()
    end = go(process)
    assert end.status == CODES.ERROR_NO_TRANSITION.status
    assert "have the same Gibbs energy nowhere" in end.message
    assert len(process.tasks) == 9 + 2 * (process.MAX_ATTEMPTS - 1)


def test_a_phase_that_is_lost_says_which_and_what_to_do(chain):
    end = go(chain(lost=("bcc", 1155.0)))
    assert end.status == CODES.ERROR_PHASE_LOST.status
    assert "The bcc does not live at 1155 K" in end.message
    assert "free-energy" in end.message


def test_a_melting_point_that_is_not_found_ends_the_chain(chain):
    process = chain()
    process.setup()
    process.ctx.update(process.run_melting())
    process.ctx.melting_high = bad(510, "no coexistence")
    end = process.inspect_melting()
    assert end.status == CODES.ERROR_MELTING_FAILED.status
    assert "melting point of bcc was not found" in end.message


@pytest.mark.parametrize("phases", [["bcc", "liquid"], ["liquid", "bcc"]])
def test_a_melt_is_refused(chain, phases):
    end = chain(phases=phases).setup()
    assert end.status == CODES.ERROR_PHASES.status
    assert "need two crystals" in end.message
