"""Two-phase runs of Lennard-Jones (truncated and shifted at 2.5 σ) for the benchmarks, in reduced units."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from phasecal.campaign.lj import lattice_parameter
from phasecal.campaign.protocols import protocol_numbers
from phasecal.campaign.reduced import EPSILON_EV, MASS_AMU, PRESSURE_GPA, SIGMA_A, TEMPERATURE_K
from phasecal.campaign.tasks import coexistence_tasks
from phasecal.engines.lammps import MdOutput, read_output, run_lammps, write_inputs
from phasecal.freeenergy.coexistence import CoexistenceResult, Replica, analyse_replica, combine_replicas
from phasecal.potentials.lj import LjModel

PRESSURE, T_MELT = 2.185, 0.8
FCC = {"prototype": "fcc", "elements": ["X"]}


def lennard_jones(epsilon: float = 1.0, sigma: float = 1.0) -> LjModel:
    """Return the potential; ε and σ can be trained."""
    return LjModel.from_parameters(
        element="X",
        mass=MASS_AMU,
        epsilon=epsilon * EPSILON_EV,
        sigma=sigma * SIGMA_A,
        cutoff_sigmas=2.5,
        train=["epsilon", "sigma"],
    )


def crystal(sigma: float = 1.0) -> dict:
    """Return the crystal at the density that the hot one has about."""
    return {**FCC, "a": sigma * lattice_parameter(FCC, 0.95)}


def two_phases(model: LjModel, *, guess: float, replicas: int, seed: int) -> list[dict]:
    """Return the runs of one melting point: 2016 atoms, steps as in the stage `transition` of the protocol `fast`."""
    stage = {**protocol_numbers("fast")["transition"], "n_lateral": 6, "replicas": replicas, "name": "benchmark"}
    stage |= {"relative_spread": 0.012, "start_spread_k": None}  # one standard deviation of the temperature of the box
    stage |= {"melt_steps": 2500, "cool_steps": 1500, "settle_steps": 2000}
    parameters = {
        "phases": ["fcc", "liquid"],
        "structure": crystal(float(model.sigma) / SIGMA_A),
        "pressure_gpa": PRESSURE * PRESSURE_GPA,
        "timestep_fs": model.timestep_fs,
        "melt_factor": 3.0,
        "restart_every": 10**6,
        "seed": seed,
        "label": "benchmark",
    }
    return coexistence_tasks(parameters, stage=stage, temperature_k=guess * TEMPERATURE_K, attempt=0)


def run(task: dict, model: LjModel, folder: Path) -> MdOutput:
    """Run a task; nothing stays on disk."""
    place = folder / f"{model.hash[:12]}_{task['seed']}"
    place.mkdir(parents=True)
    write_inputs(place, task, model)
    run_lammps(place, task["kind"])
    output = read_output(place, task, model.hash, model.elements)
    shutil.rmtree(place)
    return output


def replica(task: dict, model: LjModel, folder: Path) -> Replica:
    """Run one two-phase box and judge it."""
    output = run(task, model, folder)
    return analyse_replica(output.sample, output.thermo, task)


def melting_points(sets: Iterable[tuple[LjModel, list[dict]]], folder: Path) -> list[CoexistenceResult]:
    """Return the melting point of every set of runs; two runs at a time."""
    os.environ["OMP_NUM_THREADS"] = "1"
    with ThreadPoolExecutor(max_workers=2) as pool:
        jobs = [[pool.submit(replica, task, model, folder) for task in tasks] for model, tasks in sets]
        return [combine_replicas([job.result() for job in of_set], wanted=len(of_set)) for of_set in jobs]
