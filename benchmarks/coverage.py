"""How often the interval of a melting point holds the truth: many repeats of one cheap transition with fresh seeds.

Usage: python benchmarks/coverage.py FOLDER [REPEATS]

Lennard-Jones at P = 2.185, two replicas of 2016 atoms per repeat, from a guess of its own: it is off by about what the
temperature of such a box fluctuates by, as guesses are. Every repeat is judged against the mean of the others, whose
error counts. Coverage is printed for 1σ and 2σ, with the scatter of the repeats over their mean σ.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
from lennard_jones import T_MELT, lennard_jones, melting_points, two_phases

from phasecal.campaign.reduced import TEMPERATURE_K
from phasecal.freeenergy.coexistence import CoexistenceResult
from phasecal.freeenergy.wandering import box_fluctuation

N_ATOMS = 2016


def line(repeat: int, result: CoexistenceResult) -> str:
    """Return one repeat as JSON, temperatures in reduced units."""
    return json.dumps(
        {
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


if __name__ == "__main__":
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    model = lennard_jones()
    guesses = np.random.default_rng(1).normal(T_MELT, box_fluctuation(T_MELT, N_ATOMS), count)
    sets = [(model, two_phases(model, guess=guess, replicas=2, seed=1000 + i)) for i, guess in enumerate(guesses)]
    results = melting_points(sets, Path(sys.argv[1]))
    for i, result in enumerate(results):
        print(line(i, result))
    accepted = [result for result in results if result.accepted]
    print(summary(*np.array([(r.temperature_k, r.sigma_k) for r in accepted]).T / TEMPERATURE_K))
