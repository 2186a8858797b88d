"""What a step costs elsewhere: the functional prior against the identity, at equal change of a transition temperature.

Usage: python benchmarks/prior_metric.py MODEL.safetensors FRAMES.extxyz FOLDER [SHIFT_K]

A moment-network of titanium; frames that are labelled as its training data were. One step asks hcp and bcc, sampled at
their target of 1155 K, to meet SHIFT_K (60) lower than they do; nobody measured where they meet, as a step only needs
the difference. Both priors start from the same samples, and the trust region is opened so that both arrive. Printed:
the change that the step predicts, the errors on the labelled frames before and after, and the RMS change of the forces.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np

from phasecal.campaign.tasks import bulk_task, derive_seed
from phasecal.difftre.comparison import rms_force_change
from phasecal.engines.lammps import read_output, run_lammps, write_inputs
from phasecal.fitting.data import Labelled, read_labelled
from phasecal.observables.bulk import analyse_bulk
from phasecal.potentials.base import Model, energies, forces, frames_from_atoms, load_model
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
N_FRAMES = 100
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


def step(folder: Path, files: list[str], prior: str, shift_k: float) -> tuple[Model, float]:
    """Make one step; return the next model and by how much the boundary moves, K."""
    boundary = {"phases": ["hcp", "bcc"], "pressure_gpa": 0.0, "sigma_k": 0.5}
    task = {
        "schema": 1,
        "task": "calibration-step",
        "models": ["model.safetensors"],
        "samples": [{"file": file, "model": 0} for file in files],
        "anchors": [{**boundary, "temperature_k": TARGET_K + shift_k, "model": 0}],
        "targets": [{**boundary, "temperature_k": TARGET_K}],
        "step": {"prior": prior, "max_sd": 1e3},
        "tolerance_k": 1.0,
    }
    path = folder / "task.json"
    path.write_text(json.dumps(task))
    run_task(path)
    result = json.loads((folder / "result.json").read_text())
    (target,) = result["targets"]
    return load_model(folder / result["model_file"]), target["predicted_temperature_k"] - target["temperature_k"]


def errors(model: Model, labels: list[Labelled]) -> tuple[float, float]:
    """Return RMS errors of the energy (meV/atom) and of a force component (meV/Å)."""
    energy, force = [], []
    for label in labels:
        frames = frames_from_atoms([label.atoms], model.elements, model.cutoff)
        energy.append((energies(model, frames)[0] - label.energy) / len(label.atoms))
        force.append((forces(model, frames)[0] - label.forces).ravel())
    return 1e3 * float(np.sqrt(np.mean(np.square(energy)))), 1e3 * float(
        np.sqrt(np.mean(np.square(np.concatenate(force))))
    )


def main(file: Path, data: Path, folder: Path, shift_k: float) -> None:
    """Compare."""
    os.environ["OMP_NUM_THREADS"] = "1"
    model = load_model(file)
    folder.mkdir(parents=True)
    model.save(folder / "model.safetensors")
    labels = read_labelled([data], model.elements)
    chosen = np.random.default_rng(SEED).choice(len(labels), min(N_FRAMES, len(labels)), replace=False)
    labels = [labels[index] for index in chosen]
    files = samples(model, folder)
    print("{:<12} {:5.1f} meV/atom, {:6.1f} meV/A".format("before", *errors(model, labels)), flush=True)
    for prior in ("functional", "identity"):
        following, moved = step(folder, files, prior, shift_k)
        frames = [frames_from_atoms([label.atoms], model.elements, model.cutoff) for label in labels]
        change = np.sqrt(np.mean([rms_force_change(model, following, [frame]) ** 2 for frame in frames]))
        print(
            f"{prior:<12} {{:5.1f}} meV/atom, {{:6.1f}} meV/A; forces change by {1e3 * change:.1f} meV/A, "
            f"the boundary by {moved:.1f} K".format(*errors(following, labels)),
            flush=True,
        )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), float(sys.argv[4]) if len(sys.argv) > 4 else 60.0)
