"""The free-energy work chain: its tasks, its refusals, and one small real run."""

from __future__ import annotations

import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida_phasecal.workchains import free_energy
from aiida_phasecal.workchains.free_energy import FreeEnergyWorkChain

from phasecal.campaign.free_energy_tasks import cell_task, sweep_tasks, switching_tasks
from phasecal.engines import lammps

STATE = {"phase": "fcc", "temperature_k": 300.0, "pressure_gpa": 0.0, "label": "test", "end_temperature_k": 330.0}


@pytest.fixture
def campaign() -> dict:
    return {
        "seed": 3,
        "phases": {
            "fcc": {"prototype": "fcc", "elements": ["Cu"], "a": 3.63},
            "liquid": {"melt": "fcc"},
        },
        "protocol": {
            "melt_factor": 2.0,
            "restart_every": 5000,
            "bulk": {
                "n_atoms": 32,
                "melt_steps": 100,
                "equilibration_steps": 500,
                "production_steps": 100,
                "sample_every": 50,
                "thermo_every": 50,
            },
            "free_energy": {
                "n_atoms": 108,
                "cell_steps": 3000,
                "hold_steps": 200,
                "switch_steps": 600,
                "sweep_steps": 200,
                "repeats": 2,
                "sample_every": 100,
                "thermo_every": 10,
                "max_dissipation": 2.0,
            },
        },
    }


def test_all_tasks_are_valid_and_have_seeds_of_their_own(campaign):
    cell = {"cell_a": [10.9, 10.9, 10.9], "springs_ev_a2": {"Cu": 5.0}}
    tasks = []
    for phase in ("fcc", "liquid"):
        state = {**STATE, "phase": phase}
        tasks += [cell_task(campaign, state, 2.8), *switching_tasks(campaign, state, cell, 2.8)]
        tasks += sweep_tasks(campaign, state, 2.8)
    for task in tasks:
        lammps.validate_task(task)
    assert [task["kind"] for task in tasks[:5]] == ["bulk", *["frenkel-ladd"] * 2, *["reversible-scaling"] * 2]
    assert tasks[6]["kind"] == "uhlenbeck-ford"
    assert len({task["seed"] for task in tasks}) == len(tasks)
    without = {key: value for key, value in STATE.items() if key != "end_temperature_k"}
    assert sweep_tasks(campaign, without, 2.8) == []


def test_at_a_target_there_are_more_runs_and_the_first_are_the_same(campaign):
    cell = {"cell_a": [10.9, 10.9, 10.9], "springs_ev_a2": {"Cu": 5.0}}
    block = campaign["protocol"]["free_energy"]
    few = switching_tasks(campaign, {**STATE, "stage": "anchor"}, cell, 2.8)
    assert switching_tasks(campaign, {**STATE, "stage": "verification"}, cell, 2.8) == few  # none are asked for
    block["repeats_at_target"] = 5
    assert switching_tasks(campaign, {**STATE, "stage": "anchor"}, cell, 2.8) == few
    for stage in ("reanchor", "verification"):
        many = switching_tasks(campaign, {**STATE, "stage": stage}, cell, 2.8)
        assert (len(many), many[: len(few)]) == (5, few)
        assert len(sweep_tasks(campaign, {**STATE, "stage": stage}, 2.8)) == 5


def test_a_state_with_a_wrong_entry_is_refused(codes, model_node, campaign):
    inputs = {"code": codes["lmp"], "model": model_node, "campaign": orm.Dict(campaign)}
    with pytest.raises(ValueError, match="unknown entries: colour"):
        run_get_node(FreeEnergyWorkChain, **inputs, state=orm.Dict({**STATE, "colour": "red"}))


def test_real_run(codes, model_node, campaign):
    """Cu at 300 K: E_coh −3.54 eV, zero-point-free G near −3.6 eV/atom."""
    inputs = {"code": codes["lmp"], "model": model_node, "campaign": orm.Dict(campaign), "state": orm.Dict(STATE)}
    outputs, node = run_get_node(FreeEnergyWorkChain, **inputs)
    assert node.is_finished_ok, node.exit_message
    result = outputs["free_energy"]
    assert result["gibbs_ev"] == pytest.approx(-3.57, abs=0.06)
    assert result["sigma_ev"] > 0
    assert result["n_atoms"] == 108
    assert len(result["seeds"]) == 4
    assert min(result["repeats"][0]["order"]) > 0.9
    assert result["model_hash"] == model_node.model_hash
    gibbs = result["curve"]["gibbs_ev"]
    entropy = -(gibbs[-1] - gibbs[0]) / 30.0
    assert entropy == pytest.approx(3.6e-4, rel=0.25)  # 35 J/mol/K
    assert min(result["curve"]["sigma_ev"]) > 0


@pytest.mark.parametrize("n_losses", [1, 2])
def test_a_run_that_lost_its_phase_is_done_once_more(n_losses, codes, model_node, campaign, monkeypatch):
    """Of four runs one may be lost; with two the phase counts as lost."""
    campaign["protocol"]["free_energy"] |= {
        "n_atoms": 32,
        "cell_steps": 500,
        "switch_steps": 200,
        "max_dissipation": 99.0,
    }
    seen: list[list[int]] = []

    def losing(*args, **kwargs):
        result = analysed(*args, **kwargs)
        seen.append(result["seeds"])
        if len(seen) <= n_losses:
            result["sweeps"][1]["rejections"] = ["fcc: the crystal was lost"]
            result |= {"phase_lost": True, "accepted": False, "rejections": ["fcc: the crystal was lost"]}
        return result

    analysed = free_energy.free_energy_result
    monkeypatch.setattr(free_energy, "free_energy_result", losing)
    inputs = {"code": codes["lmp"], "model": model_node, "campaign": orm.Dict(campaign), "state": orm.Dict(STATE)}
    outputs, node = run_get_node(FreeEnergyWorkChain, **inputs)
    assert len(seen) == 2
    assert seen[1][:3] == seen[0][:3]
    assert seen[1][3] != seen[0][3]
    assert outputs["free_energy"]["replaced"] == [f"seed {seen[0][3]}: fcc: the crystal was lost"]
    assert node.exit_status == (0 if n_losses == 1 else 510), node.exit_message
