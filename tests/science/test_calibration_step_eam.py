"""A calibration step on real copper, sampled by LAMMPS: a model that melts at its target is left alone."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from phasecal.calibration.reference import Reference
from phasecal.campaign.sources import potentials_folder
from phasecal.engines.lammps import read_output, run_lammps, write_inputs
from phasecal.errors import DataError
from phasecal.potentials.base import energies, forces, frames_from_atoms, load_model
from phasecal.potentials.correction import eam_correction
from phasecal.potentials.eam import EamModel
from phasecal.potentials.frozen import FrozenModel
from phasecal.sample import Sample
from phasecal.task import run_task

MELTING_K = 1326.0
"""Cu of Mishin et al. 2001, two-phase coexistence (PRB 63, 224106: 1327 K)."""
FCC = {"prototype": "fcc", "elements": ["Cu"], "a": 3.615}


def bulk_task(phase):
    melt = phase == "liquid"
    return {
        "schema": 1,
        "kind": "bulk",
        "phase": phase,
        "structure": FCC,
        "melt": melt,
        "n_atoms": 256,
        "temperature_k": MELTING_K,
        "pressure_gpa": 0.0,
        "timestep_fs": 2.8,
        "melt_temperature_k": 2700.0 if melt else None,
        "melt_steps": 1500 if melt else 0,
        "equilibration_steps": 1500,
        "production_steps": 5000,
        "sample_every": 50,
        "thermo_every": 50,
        "restart_every": 5000,
        "barostat": "iso",
        "seed": 4711,
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the task, the model and both samples."""
    folder = tmp_path_factory.mktemp("copper")
    model = EamModel.from_file(potentials_folder() / "Cu_mishin1.eam.alloy", train={"pair": 8})
    model.save(folder / "model_0.safetensors")
    boundary = {"phases": ["fcc", "liquid"], "pressure_gpa": 0.0, "temperature_k": MELTING_K}
    task = {
        "schema": 1,
        "task": "calibration-step",
        "models": ["model_0.safetensors"],
        "samples": [{"file": f"{phase}.npz", "model": 0} for phase in ("fcc", "liquid")],
        "anchors": [{**boundary, "sigma_k": 3.0, "model": 0}],
        "targets": [{**boundary, "sigma_k": 0.5}],
        "protect": [{"name": "fcc", "kind": "phase", "structure": FCC}],
        "tolerance_k": 2.0,
    }
    (folder / "task.json").write_text(json.dumps(task))
    for phase in ("fcc", "liquid"):
        run = folder / f"run_{phase}"
        run.mkdir()
        write_inputs(run, bulk_task(phase), model)
        run_lammps(run, "bulk")
        read_output(run, bulk_task(phase), model.hash, model.elements).sample.save(folder / f"{phase}.npz")
    return folder


def test_null_copper_at_its_own_melting_point(folder):
    run_task(folder / "task.json")
    result = json.loads((folder / "result.json").read_text())
    (target,) = result["targets"]
    assert result["converged"]
    assert target["temperature_k"] == pytest.approx(MELTING_K, abs=1e-6)
    assert target["sigma_k"] == pytest.approx(3.0, rel=0.05)
    assert target["delta_h_ev"] == pytest.approx(0.130, abs=0.015)
    assert target["delta_v_a3"] > 0.3
    assert result["force_rms_change_ev_a"] < 1e-3
    assert max(phase["sd_beta_du"] for phase in result["phases"]) < 0.1
    before, after = (load_model(folder / name) for name in ("model_0.safetensors", result["model_file"]))
    assert after.parent == before.hash
    assert result["cold"]["fcc"]["next"]["cell_a"] == pytest.approx([3.615] * 3, abs=2e-3)


def test_a_target_elsewhere_moves_the_model_there_and_keeps_the_crystal(folder):
    task = json.loads((folder / "task.json").read_text())
    task["anchors"][0]["temperature_k"] -= 20.0
    (folder / "away.json").write_text(json.dumps(task))
    run_task(folder / "away.json")
    result = json.loads((folder / "result.json").read_text())
    (target,) = result["targets"]
    assert not result["converged"]
    assert target["temperature_k"] == pytest.approx(MELTING_K - 20.0, abs=1.5)
    assert target["predicted_temperature_k"] == pytest.approx(MELTING_K, abs=4.0)
    for value in result["protected"]:
        tolerance = {"eV/atom": 1e-6, "GPa": 1e-3}[value["unit"]]
        assert abs(value["value_after"] - value["value_before"]) <= tolerance, value["name"]


def test_reference_frames_keep_what_the_phases_do_not_see(folder):
    """Compressed crystals, whose pairs are nearer than any in the phases; labels are of the potential itself."""
    model = load_model(folder / "model_0.safetensors")
    labelled = []
    for seed in range(8):
        atoms = bulk("Cu", a=3.3, cubic=True).repeat(2)
        atoms.rattle(0.1, seed=seed)
        frame = frames_from_atoms([atoms], ["Cu"], model.cutoff)
        label = {"energy": energies(model, frame)[0], "forces": forces(model, frame)[0]}
        atoms.calc = SinglePointCalculator(atoms, **label)
        labelled.append(atoms)
    write(folder / "compressed.extxyz", labelled)
    task = json.loads((folder / "task.json").read_text())
    task["anchors"][0]["temperature_k"] -= 20.0
    task["protect"], changes = [], {}
    for name in (None, "compressed.extxyz"):
        (folder / "step.json").write_text(json.dumps({**task, "reference": name}))
        run_task(folder / "step.json")
        result = json.loads((folder / "result.json").read_text())
        assert result["targets"][0]["predicted_temperature_k"] == pytest.approx(MELTING_K, abs=4.0)
        following = load_model(folder / result["model_file"])
        changes[name] = Reference.read(folder / "compressed.extxyz", model).report(model, following)
        assert result["reference"] == ({} if name is None else changes[name])
    known, unknown = changes["compressed.extxyz"], changes[None]
    assert known["n_frames"] == 4
    assert known["force_rms_error_ev_a"]["original"] == pytest.approx(0.0, abs=1e-6)
    assert known["force_rms_error_ev_a"]["next"] == pytest.approx(known["force_rms_change_ev_a"], rel=1e-3)
    # 0.43 to 0.90 of it in six draws of the sampled frames: what no frame sees changes by chance
    assert known["force_rms_change_ev_a"] < unknown["force_rms_change_ev_a"]


def test_frames_of_another_potential_are_noticed(folder):
    """The same file name and hash, but the energies printed are those of something else."""
    task = json.loads((folder / "task.json").read_text())
    other = load_model(folder / "model_0.safetensors")
    other.with_theta(other.theta + 0.01).save(folder / "model_1.safetensors")
    task["models"].append("model_1.safetensors")
    task["samples"] = [{**sample, "model": 1} for sample in task["samples"]]
    (folder / "other.json").write_text(json.dumps(task))
    with pytest.raises(DataError, match="made by model"):
        run_task(folder / "other.json")


@pytest.fixture(scope="module")
def frozen_folder(folder, tmp_path_factory):
    """The same copper, its table frozen and the same splines beside it: everything must come out as it does there."""
    path = potentials_folder() / "Cu_mishin1.eam.alloy"
    known = load_model(folder / "model_0.safetensors")
    correction = eam_correction([bulk("Cu", a=3.615)], ["Cu"], {"pair": 8}, known.cutoff)
    commands = ["pair_style eam/alloy", f"pair_coeff * * {path.name} Cu"]
    model = FrozenModel.from_commands(["Cu"], commands, {path.name: path.read_bytes()}, correction)
    assert correction.pair_starts == pytest.approx(known.pair_starts)
    frozen = tmp_path_factory.mktemp("frozen")
    model.save(frozen / "model_0.safetensors")
    for phase in ("fcc", "liquid"):
        replace(Sample.load(folder / f"{phase}.npz"), model_hash=model.hash).save(frozen / f"{phase}.npz")
    task = json.loads((folder / "task.json").read_text())
    task["anchors"][0]["temperature_k"] -= 20.0
    task["protect"].append({"name": "hcp", "kind": "competitor", "structure": {**FCC, "prototype": "hcp", "a": 2.55}})
    for place in (folder, frozen):
        (place / "both.json").write_text(json.dumps(task))
    return frozen


def test_a_frozen_base_gives_the_step_of_the_same_potential_in_jax(folder, frozen_folder):
    results, models = [], []
    for place in (folder, frozen_folder):
        run_task(place / "both.json")
        results.append(json.loads((place / "result.json").read_text()))
        models.append(load_model(place / results[-1]["model_file"]))
    known, found = results
    for name in ("delta_g_ev", "delta_h_ev", "delta_v_a3", "temperature_k", "sigma_k", "predicted_temperature_k"):
        assert found["targets"][0][name] == pytest.approx(known["targets"][0][name], rel=1e-3), name
    assert models[1].theta == pytest.approx(models[0].theta, abs=0.01 * np.abs(models[0].theta).max())
    assert found["force_rms_change_ev_a"] == pytest.approx(known["force_rms_change_ev_a"], rel=0.01)
    for old, new in zip(known["protected"], found["protected"], strict=True):
        tolerance = {"eV/atom": 1e-6, "GPa": 1e-2}[new["unit"]]
        assert (new["name"], new["value_after"]) == (old["name"], pytest.approx(old["value_after"], abs=tolerance))
        assert abs(new["value_after"] - new["value_before"]) <= tolerance / 5, new["name"]
    assert found["cold"]["fcc"]["next"]["cell_a"] == pytest.approx(known["cold"]["fcc"]["next"]["cell_a"], abs=1e-4)
