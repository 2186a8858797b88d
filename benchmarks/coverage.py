"""How often the interval of a melting point holds the truth: many repeats of one cheap transition with fresh seeds.

Usage: python benchmarks/coverage.py FOLDER [REPEATS]

Lennard-Jones, truncated and shifted at 2.5 σ, P = 2.185 ε/σ³, in two-phase boxes of 2016 atoms with the numbers of the
protocol `fast` (two replicas). Every repeat is judged against the mean of all others, whose error counts in the
interval. Coverage is printed for 1σ and 2σ, with the scatter of the repeats over their mean σ. Two runs at a time.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from phasecal.campaign.lj import lattice_parameter
from phasecal.campaign.protocols import protocol_numbers
from phasecal.campaign.reduced import EPSILON_EV, MASS_AMU, PRESSURE_GPA, SIGMA_A, TEMPERATURE_K
from phasecal.campaign.tasks import coexistence_tasks
from phasecal.engines.lammps import read_output, run_lammps, write_inputs
from phasecal.freeenergy.coexistence import CoexistenceResult, Replica, analyse_replica, combine_replicas
from phasecal.potentials.lj import LjModel

PRESSURE, GUESS = 2.185, 0.8  # reduced units
FCC = {"prototype": "fcc", "elements": ["X"]}
MODEL = LjModel.from_parameters(
    element="X", mass=MASS_AMU, epsilon=EPSILON_EV, sigma=SIGMA_A, cutoff_sigmas=2.5, shift=True, train=[]
)


def tasks_of(repeat: int) -> list[dict]:
    """Return the runs of one repeat: the box of `locate` with the length of `transition`."""
    protocol = protocol_numbers("fast")
    stage = {
        **protocol["transition"],
        "n_lateral": 6,
        "replicas": 2,
        "relative_spread": 0.012,
        "start_spread_k": None,
        "name": "coverage",
    }
    stage |= {"melt_steps": 2500, "cool_steps": 1500, "settle_steps": 2000}
    parameters = {
        "phases": ["fcc", "liquid"],
        "structure": {**FCC, "a": lattice_parameter(FCC, 0.95)},
        "pressure_gpa": PRESSURE * PRESSURE_GPA,
        "timestep_fs": MODEL.timestep_fs,
        "melt_factor": 3.0,
        "restart_every": 10**6,
        "seed": 1000 + repeat,
        "label": f"coverage:{repeat}",
    }
    return coexistence_tasks(parameters, stage=stage, temperature_k=GUESS * TEMPERATURE_K, attempt=0)


def run(task: dict, folder: Path) -> Replica:
    """Run one replica and judge it; only what the judgement needs is kept in memory, nothing on disk."""
    place = folder / f"seed_{task['seed']}"
    place.mkdir(parents=True)
    write_inputs(place, task, MODEL)
    run_lammps(place, "coexistence")
    output = read_output(place, task, MODEL.hash, MODEL.elements)
    shutil.rmtree(place)
    return analyse_replica(output.sample, output.thermo, task)


def report(repeat: int, result: CoexistenceResult) -> None:
    """Print one repeat."""
    print(
        json.dumps(
            {
                "repeat": repeat,
                "seeds": [replica.seed for replica in result.replicas],
                "temperature": result.temperature_k and result.temperature_k / TEMPERATURE_K,
                "sigma": result.sigma_k and result.sigma_k / TEMPERATURE_K,
                "rejections": result.rejections,
            }
        ),
        flush=True,
    )


def summary(values: np.ndarray, sigmas: np.ndarray) -> str:
    """Say how often an interval holds the mean of all other repeats."""
    n = len(values)
    others = (values.sum() - values) / (n - 1)
    scatter = values.std(ddof=1)
    distance = np.abs(values - others) / np.hypot(sigmas, scatter / math.sqrt(n - 1))
    covered = ", ".join(f"{k}σ covers {100 * np.mean(distance < k):.0f} %" for k in (1, 2))
    mean = f"T = {values.mean():.4f} ± {scatter / math.sqrt(n):.4f}"
    return f"{n} repeats: {mean}, {covered}, scatter / mean σ = {scatter / sigmas.mean():.2f}"


if __name__ == "__main__":
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    os.environ["OMP_NUM_THREADS"] = "1"
    pairs = [tasks_of(repeat) for repeat in range(count)]
    with ThreadPoolExecutor(max_workers=2) as pool:
        replicas = list(pool.map(partial(run, folder=Path(sys.argv[1])), [task for pair in pairs for task in pair]))
    results = [combine_replicas(replicas[2 * i : 2 * i + 2], wanted=2) for i in range(count)]
    for i, result in enumerate(results):
        report(i, result)
    accepted = [result for result in results if result.accepted]
    print(summary(*np.array([(r.temperature_k, r.sigma_k) for r in accepted]).T / TEMPERATURE_K))
