"""How often the interval of a melting point holds the truth: many repeats of one cheap transition with fresh seeds.

Usage: python benchmarks/coverage.py FOLDER [REPEATS]

Lennard-Jones at P = 2.185, two replicas of 2016 atoms per repeat, from a guess of its own: it is off by about what the
temperature of such a box fluctuates by, as guesses are. Every repeat is judged against the mean of the others, whose
error counts. Coverage is printed for 1σ and 2σ, with the scatter of the repeats over their mean σ; for the whole runs,
and for the same runs as if they had ended earlier: what an interval is worth depends on how often a run forgets itself.
"""

from __future__ import annotations

import json
import math
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from lennard_jones import T_MELT, lennard_jones, run, two_phases

from phasecal.campaign.reduced import TEMPERATURE_K
from phasecal.engines.lammps import MdOutput
from phasecal.freeenergy.coexistence import CoexistenceResult, Replica, analyse_replica, combine_replicas
from phasecal.freeenergy.wandering import box_fluctuation

N_ATOMS, REPLICAS = 2016, 2
SHARES = (1.0, 0.5, 0.25)


def ended_early(output: MdOutput, task: dict, share: float) -> Replica:
    """Judge the beginning of a run as if there were no more of it."""
    steps = int(share * task["production_steps"])
    sample = output.sample.take(np.flatnonzero(output.sample.steps <= steps))
    kept = output.thermo["step"] <= steps
    thermo = {name: values[kept] for name, values in output.thermo.items()}
    return analyse_replica(sample, thermo, {**task, "production_steps": steps})


def line(share: float, repeat: int, result: CoexistenceResult) -> str:
    """Return one repeat as JSON, temperatures in reduced units."""
    return json.dumps(
        {
            "share": share,
            "repeat": repeat,
            "seeds": [replica.seed for replica in result.replicas],
            "temperature": result.temperature_k and round(result.temperature_k / TEMPERATURE_K, 5),
            "sigma": result.sigma_k and round(result.sigma_k / TEMPERATURE_K, 5),
            "rejections": result.rejections,
        }
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


def main(folder: Path, count: int) -> None:
    """Run everything, two runs at a time, and print every repeat and the coverage of each share."""
    os.environ["OMP_NUM_THREADS"] = "1"
    model = lennard_jones()
    guesses = np.random.default_rng(1).normal(T_MELT, box_fluctuation(T_MELT, N_ATOMS), count)
    tasks = [
        task
        for i, guess in enumerate(guesses)
        for task in two_phases(model, guess=guess, replicas=REPLICAS, seed=1000 + i)
    ]

    def judged(task: dict) -> list[Replica]:
        output = run(task, model, folder)
        return [ended_early(output, task, share) for share in SHARES]

    with ThreadPoolExecutor(max_workers=2) as pool:
        replicas = list(pool.map(judged, tasks))
    for column, share in enumerate(SHARES):
        of_share = [of_run[column] for of_run in replicas]
        sets = [of_share[start : start + REPLICAS] for start in range(0, len(of_share), REPLICAS)]
        results = [combine_replicas(one, wanted=REPLICAS) for one in sets]
        for i, result in enumerate(results):
            print(line(share, i, result))
        accepted = [result for result in results if result.accepted]
        found = np.array([(r.temperature_k, r.sigma_k) for r in accepted]).T / TEMPERATURE_K
        print(f"{share:g} of {tasks[0]['production_steps']} steps, {summary(*found)}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 20)
