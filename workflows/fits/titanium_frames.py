"""Frames of titanium for `phasecal fit`: molecular dynamics of Hennig's potential, labelled by it.

Usage: python workflows/fits/titanium_frames.py FOLDER         (writes FOLDER/hennig.extxyz; ten minutes of two cores)

Crystals, liquids and boxes with both, over the temperatures and pressures that a campaign from 0 to 5 GPa reaches;
hot liquids; some of these frames stretched until no atom sees another, and some with one pair pushed together: a
student that has never seen a gas may think it cheap, and one that has seen no collision explodes when a crystal is
molten.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from phasecal.campaign.load import load_campaign
from phasecal.campaign.model import build_model
from phasecal.campaign.tasks import Task, bulk_task, coexistence_tasks, derive_seed
from phasecal.engines.lammps import read_output, run_lammps, write_inputs
from phasecal.fitting.data import write_labelled
from phasecal.fitting.label import lammps_teacher, read_unlabelled

CAMPAIGN = Path(__file__).parents[1] / "campaigns" / "titanium-hennig.yaml"
COMMANDS, FILES = ("pair_style meam/spline", "pair_coeff * * Ti.meam.spline Ti"), ("lammps://Ti.meam.spline",)
STATES = {  # K, each at all pressures
    "hcp": (100.0, 500.0, 900.0, 1200.0, 1500.0, 1800.0),
    "bcc": (900.0, 1200.0, 1500.0, 1800.0, 2000.0),
    "liquid": (1600.0, 1900.0, 2200.0, 2600.0, 3400.0),
}
PRESSURES_GPA = (0.0, 6.0)
N_ATOMS, STEPS, EVERY = 112, 4000, 100
TWO_PHASES_K = (1750.0, 1900.0)
STRETCHES = (0.97, 1.04, 1.08, 1.12, 1.2, 1.4, 2.2)
"""Factors of all lengths; at the last no atom sees another."""
STRETCHED, COLLIDING = 2, 600
"""Frames for each factor, and with a collision: enough to know what a gas and a collision cost."""
COLLISIONS_A, NEIGHBOURS_A = (1.46, 2.3), 3.0
"""Distances to which a pair of neighbours is pushed; nearer, the student has a repulsion of its own."""
SEED = 1


def tasks(campaign: Task, timestep_fs: float) -> Iterator[Task]:
    """Yield all runs."""
    campaign = {**campaign, "phases": {**campaign["phases"], "liquid": {"melt": "bcc"}}}
    block = {"n_atoms": N_ATOMS, "melt_steps": 2000, "equilibration_steps": 1000, "production_steps": STEPS}
    block |= {"sample_every": EVERY, "thermo_every": EVERY}
    campaign["protocol"] = {**campaign["protocol"], "bulk": block}
    for phase, temperatures in STATES.items():
        for temperature in temperatures:
            for pressure in PRESSURES_GPA:
                yield bulk_task(
                    campaign,
                    phase=phase,
                    temperature_k=temperature,
                    pressure_gpa=pressure,
                    timestep_fs=timestep_fs,
                    seed=derive_seed(SEED, phase, temperature, pressure),
                )
    stage = {
        "name": "frames",
        "n_lateral": 4,
        "n_normal": 7,
        "replicas": 1,
        "relative_spread": 0.0,
        "start_spread_k": None,
    }
    stage |= {"relax_steps": 1000, "melt_steps": 1000, "cool_steps": 500, "settle_steps": 500}
    stage |= {"production_steps": STEPS, "sample_every": EVERY, "thermo_every": EVERY}
    parameters = {"phases": ["bcc", "liquid"], "structure": campaign["phases"]["bcc"], "pressure_gpa": 0.0}
    parameters |= {
        "timestep_fs": timestep_fs,
        "melt_factor": 2.0,
        "restart_every": 10**6,
        "seed": SEED,
    }
    for temperature in TWO_PHASES_K:
        parameters["label"] = f"frames:{temperature}"
        yield from coexistence_tasks(parameters, stage=stage, temperature_k=temperature, attempt=0)


def disturbed(frames: Sequence[Atoms]) -> Iterator[Atoms]:
    """Yield some frames, chosen at random, scaled or with one pair pushed together."""
    rng = np.random.default_rng(SEED)
    for factor in STRETCHES:
        for index in rng.choice(len(frames), STRETCHED, replace=False):
            frame = frames[index].copy()
            frame.set_cell(factor * frame.cell[:], scale_atoms=True)
            yield frame
    for index in rng.choice(len(frames), COLLIDING, replace=False):
        frame = frames[index].copy()
        first, second, apart = neighbor_list("ijd", frame, NEIGHBOURS_A)
        pair = rng.integers(len(first))
        pushed = min(rng.uniform(*COLLISIONS_A), apart[pair])
        frame.set_distance(first[pair], second[pair], pushed, fix=0.5, mic=True)
        yield frame


def main(folder: Path) -> None:
    """Run everything, two at a time, and label the frames."""
    os.environ["OMP_NUM_THREADS"] = "1"
    campaign = load_campaign(CAMPAIGN, task="transition")
    model = build_model(campaign)

    def run(task: Task) -> Path:
        place = folder / str(task["seed"])
        sample = place / "sample.npz"
        if not sample.exists():
            place.mkdir(parents=True, exist_ok=True)
            write_inputs(place, task, model)
            run_lammps(place, task["kind"])
            read_output(place, task, model.hash, model.elements).sample.save(sample)
        return sample

    with ThreadPoolExecutor(max_workers=2) as pool:
        samples = list(pool.map(run, tasks(campaign.to_dict(), model.timestep_fs)))
    frames = [atoms for sample in samples for atoms in read_unlabelled(sample)]
    labelled = lammps_teacher(COMMANDS, FILES, ["Ti"], folder)([*frames, *disturbed(frames)])
    write_labelled(folder / "hennig.extxyz", labelled)
    print(f"{len(labelled)} frames, {sum(len(frame.atoms) for frame in labelled)} atoms")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
