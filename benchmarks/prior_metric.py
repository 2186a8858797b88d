"""What a step costs elsewhere: priors compared at equal change of a transition temperature.

Usage: python benchmarks/prior_metric.py MODEL.safetensors FRAMES.extxyz FOLDER [SHIFT_K]

A moment-network of titanium, and labelled frames such as it was fitted to. One step asks hcp and bcc, sampled at
their target of 1155 K, to meet SHIFT_K (60) lower than they do; nobody measured where they meet, as a step only needs
the difference. All priors start from the same samples, and the trust region is opened so that all arrive: identity,
functional as far as the sampled phases tell, and functional with half of FRAMES as reference. Printed: the change that
the step predicts, the RMS change of the forces and their errors in the other half, and the change in the phases.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from phasecal.calibration.reference import Reference
from phasecal.campaign.tasks import bulk_task, derive_seed
from phasecal.engines.lammps import read_output, run_lammps, write_inputs
from phasecal.observables.bulk import analyse_bulk
from phasecal.potentials.base import Model, load_model
from phasecal.task import run_task

TARGET_K = 1155.0
PHASES = {
    "hcp": {"prototype": "hcp", "elements": ["Ti"], "a": 2.947, "c": 4.678},
    "bcc": {"prototype": "bcc", "elements": ["Ti"], "a": 3.28},
}
BULK = {
    "n_atoms": 112,
    "melt_steps": 0,
    "equilibration_steps": 3000,
    "production_steps": 12000,
    "sample_every": 100,
    "thermo_every": 50,
}
PRIORS = (
    ("identity", "identity", None),
    ("functional", "functional", None),
    ("functional with reference", "functional", "reference.extxyz"),
)
SEED = 1


def samples(model: Model, folder: Path) -> list[str]:
    """Sample both crystals and return the files.

    Raises:
        SystemExit: One of them was lost.
    """
    campaign = {"phases": PHASES, "protocol": {"bulk": BULK, "melt_factor": 2.0, "restart_every": 10**6}}
    files = []
    for phase in PHASES:
        task = bulk_task(
            campaign,
            phase=phase,
            temperature_k=TARGET_K,
            pressure_gpa=0.0,
            timestep_fs=model.timestep_fs,
            seed=derive_seed(SEED, phase),
        )
        place = folder / phase
        place.mkdir()
        write_inputs(place, task, model)
        run_lammps(place, task["kind"])
        output = read_output(place, task, model.hash, model.elements)
        rejections = analyse_bulk(output.sample, output.thermo, task, solid=True).rejections
        if rejections:
            raise SystemExit(f"{phase}: {'; '.join(rejections)}")
        output.sample.save(folder / f"{phase}.npz")
        files.append(f"{phase}.npz")
    return files


def step(folder: Path, files: list[str], prior: str, shift_k: float, reference: str | None) -> tuple[Model, dict]:
    """Make one step; return the next model and the result."""
    boundary = {"phases": ["hcp", "bcc"], "pressure_gpa": 0.0, "sigma_k": 0.5}
    task = {
        "schema": 1,
        "task": "calibration-step",
        "models": ["model.safetensors"],
        "samples": [{"file": file, "model": 0} for file in files],
        "anchors": [{**boundary, "temperature_k": TARGET_K + shift_k, "model": 0}],
        "targets": [{**boundary, "temperature_k": TARGET_K}],
        "reference": reference,
        "step": {"prior": prior, "max_sd": 1e3},
        "tolerance_k": 1.0,
    }
    path = folder / "task.json"
    path.write_text(json.dumps(task))
    run_task(path)
    result = json.loads((folder / "result.json").read_text())
    return load_model(folder / result["model_file"]), result


def main(file: Path, data: Path, folder: Path, shift_k: float) -> None:
    """Compare."""
    os.environ["OMP_NUM_THREADS"] = "1"
    model = load_model(file)
    folder.mkdir(parents=True)
    model.save(folder / "model.safetensors")
    shutil.copy(data, folder / "reference.extxyz")
    reference = Reference.read(data, model)
    files = samples(model, folder)
    print(f"half of {data.name}: {reference.report(model, model)['n_frames']} frames", flush=True)
    for name, prior, frames in PRIORS:
        following, result = step(folder, files, prior, shift_k, frames)
        (target,) = result["targets"]
        report = reference.report(model, following)
        there, here = 1e3 * report["force_rms_change_ev_a"], 1e3 * result["force_rms_change_ev_a"]
        error = report["force_rms_error_ev_a"]
        moved = target["predicted_temperature_k"] - target["temperature_k"]
        print(
            f"{name:<26} {moved:6.1f} K; forces change by {there:5.1f} meV/A there, {here:5.1f} in the phases; errors "
            f"{1e3 * error['original']:.1f} -> {1e3 * error['next']:.1f} meV/A",
            flush=True,
        )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), float(sys.argv[4]) if len(sys.argv) > 4 else 60.0)
