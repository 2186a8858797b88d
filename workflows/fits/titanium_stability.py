"""Does the student hold? 50 ps of every phase from 1000 to 2100 K and 0 to 5 GPa, its frames labelled by the teacher.

Usage: python workflows/fits/titanium_stability.py MODEL.safetensors FOLDER

A run is judged as the samples of a calibration are: is the phase still there, is the temperature right. The error on
frames of its own says whether the student has left what it knows; FOLDER/student.extxyz can join the data of a fit.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from titanium_frames import CAMPAIGN, COMMANDS, FILES

from phasecal.campaign.load import load_campaign
from phasecal.campaign.tasks import Task, bulk_task, derive_seed
from phasecal.engines import jaxmd
from phasecal.engines.lammps import LOG_FILE, MdOutput, read_output, run_lammps, write_inputs
from phasecal.engines.lammps.progress import last_stage
from phasecal.fitting.data import Labelled, write_labelled
from phasecal.fitting.label import lammps_teacher, read_unlabelled
from phasecal.observables.bulk import analyse_bulk
from phasecal.potentials.base import Model, energies, forces, frames_from_sample, load_model
from phasecal.sample import Sample

STATES = {
    "hcp": (1000.0, 1250.0, 1500.0, 1750.0),
    "bcc": (1000.0, 1200.0, 1500.0, 1900.0),
    "liquid": (1700.0, 1900.0, 2100.0),
}
PRESSURES_GPA = (0.0, 2.5, 5.0)
N_ATOMS, PICOSECONDS, FRAMES = 250, 50.0, 40
"""Liquids of 128 atoms, in a box that fits the crystal, crystallise; the teacher's do, too."""
MELT_FACTOR, MELT_STEPS = 1.35, 8000
"""As in `titanium-mlip.yaml`: 2000 steps leave a liquid that is ordered soon; at 2.0, beyond boiling, it evaporates."""
SEED = 2
SAMPLE_FILE = "sample.npz"


def tasks(
    timestep_fs: float,
    states: Mapping[str, Sequence[float]] = STATES,
    pressures_gpa: Sequence[float] = PRESSURES_GPA,
    picoseconds: float = PICOSECONDS,
) -> list[Task]:
    """Return all runs."""
    campaign = load_campaign(CAMPAIGN, task="transition").to_dict()
    campaign["phases"]["liquid"] = {"melt": "bcc"}
    every = round(1000 * picoseconds / timestep_fs / FRAMES / 10) * 10
    steps = {"melt_steps": MELT_STEPS, "equilibration_steps": 2000, "production_steps": FRAMES * every}
    block = {"n_atoms": N_ATOMS, **steps}
    campaign["protocol"] |= {"bulk": block | {"sample_every": every, "thermo_every": 10}, "melt_factor": MELT_FACTOR}
    return [
        bulk_task(
            campaign,
            phase=phase,
            temperature_k=temperature,
            pressure_gpa=pressure,
            timestep_fs=timestep_fs,
            seed=derive_seed(SEED, phase, temperature, pressure),
        )
        for phase, temperatures in states.items()
        for temperature in temperatures
        for pressure in pressures_gpa
    ]


def place(folder: Path, task: Task) -> Path:
    """Return the folder of a task."""
    return folder / task["phase"] / f"{task['temperature_k']:.0f}K-{task['pressure_gpa']:.1f}GPa"


def run_in_lammps(task: Task, model: Model, here: Path) -> MdOutput:
    """Run one task in its folder."""
    stage = last_stage(here / LOG_FILE)
    if stage is None or stage[1] != "done":
        here.mkdir(parents=True, exist_ok=True)
        write_inputs(here, task, model)
        run_lammps(here, task["kind"])
    output = read_output(here, task, model.hash, model.elements)
    output.sample.save(here / SAMPLE_FILE)
    return output


def run_in_jaxmd(wanted: list[Task], model: Model, folder: Path, *, prepare: bool) -> list[MdOutput]:
    """Run the states of each phase together, or (``prepare``) only write what they start from."""
    for phase in dict.fromkeys(task["phase"] for task in wanted):
        here = {place(folder, task): task for task in wanted if task["phase"] == phase}
        for run, task in here.items():
            if not (run / jaxmd.TASK_FILE).exists():
                run.mkdir(parents=True, exist_ok=True)
                jaxmd.write_inputs(run, task, model)
        if not prepare and not all((run / SAMPLE_FILE).exists() for run in here):
            subprocess.run([sys.executable, "-m", "phasecal.engines.jaxmd", *map(str, here)], check=True)
    if prepare:
        return []
    return [jaxmd.read_output(place(folder, task), task, model.hash, model.elements) for task in wanted]


def errors(model: Model, sample: Sample, labels: list[Labelled]) -> tuple[float, float]:
    """Return RMS errors of the energy (meV/atom) and of a force component (meV/Å)."""
    frames = frames_from_sample(sample, model.cutoff)
    energy = (energies(model, frames) - [frame.energy for frame in labels]) / sample.n_atoms
    force = forces(model, frames) - np.array([frame.forces for frame in labels])
    return 1e3 * float(np.sqrt(np.mean(energy**2))), 1e3 * float(np.sqrt(np.mean(force**2)))


def main(file: Path, folder: Path, engine: str = "lammps", only: str = "") -> None:
    """Run everything, and print one line per state."""
    os.environ["OMP_NUM_THREADS"] = "1"
    model, teacher, known = load_model(file), lammps_teacher(COMMANDS, FILES, ["Ti"], folder), []
    wanted = tasks(model.timestep_fs)
    if engine == "jax-md":
        outputs = run_in_jaxmd(wanted, model, folder, prepare=only == "--prepare")
    else:
        with ThreadPoolExecutor(max_workers=2) as pool:
            outputs = list(pool.map(lambda task: run_in_lammps(task, model, place(folder, task)), wanted))
    for task, output in zip(wanted, outputs, strict=False):
        result = analyse_bulk(output.sample, output.thermo, task, solid=task["phase"] != "liquid")
        labels = teacher(read_unlabelled(place(folder, task) / SAMPLE_FILE))
        known += labels
        energy, force = errors(model, output.sample, labels)
        volume = float(output.sample.volumes.mean()) / output.sample.n_atoms
        print(
            f"{task['phase']:<7} {task['temperature_k']:6.0f} K {task['pressure_gpa']:4.1f} GPa  V {volume:.3f} A^3  "
            f"{energy:5.1f} meV/atom  {force:5.0f} meV/A  {'; '.join(result.rejections) or 'held'}",
            flush=True,
        )
    if known:
        write_labelled(folder / "student.extxyz", known)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
