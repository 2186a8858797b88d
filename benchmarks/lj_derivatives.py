"""Derivatives of the Lennard-Jones melting point by ε and σ: reweighting, exact expression, and finite difference.

Usage: python benchmarks/lj_derivatives.py FOLDER [PRODUCTION_STEPS] [REPLICAS]

At P = 2.185. DiffTRe: dT/dθ = Δ⟨∂U/∂θ⟩/ΔS from bulk frames of both phases at T = 0.8 (256 atoms). Exact, from averages
of the same runs: dT/dln ε = T − P dT/dP and dT/dln σ = 3P dT/dP (docs/topics/lennard-jones.md). Finite difference:
melting points by coexistence with the parameter e^0.1 times larger and smaller. Errors are one standard deviation.
"""

from __future__ import annotations

import math
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from lennard_jones import PRESSURE, T_MELT, crystal, lennard_jones, melting_points, run, two_phases

from phasecal.campaign.reduced import PRESSURE_GPA, TEMPERATURE_K
from phasecal.difftre.jacobian import PhaseRows, difference, phase_rows
from phasecal.observables.bulk import BulkResult, analyse_bulk
from phasecal.observables.statistics import mean_with_error
from phasecal.potentials.base import frames_from_sample, gradients
from phasecal.sample import Sample
from phasecal.units import EV_PER_A3_IN_GPA

T_K, P_GPA = T_MELT * TEMPERATURE_K, PRESSURE * PRESSURE_GPA
CHUNK = 500  # frames whose gradients are computed at once
STEP = 0.1  # of ln ε and ln σ, each way
EXACT_GUESS = {"epsilon": 0.63, "sigma": 0.51}  # where the search of the finite difference starts, no more


def bulk_task(phase: str, steps: int) -> dict:
    """Return the run of one phase."""
    melt = phase == "liquid"
    return {
        "schema": 1,
        "kind": "bulk",
        "phase": phase,
        "structure": crystal(),
        "melt": melt,
        "n_atoms": 256,
        "temperature_k": T_K,
        "pressure_gpa": P_GPA,
        "timestep_fs": lennard_jones().timestep_fs,
        "melt_temperature_k": 3 * T_K if melt else None,
        "melt_steps": 4000 if melt else 0,
        "equilibration_steps": 5000,
        "production_steps": steps,
        "sample_every": 20,
        "thermo_every": 20,
        "restart_every": 10**6,
        "barostat": "iso",
        "seed": 22 if melt else 21,
    }


def phase(name: str, steps: int, folder: Path) -> tuple[BulkResult, PhaseRows, np.ndarray]:
    """Sample one phase; return its averages, the derivatives by (ln ε, ln σ) and their σ in eV/atom.

    All frames are used: the virial forgets itself within some 20 steps, while the enthalpy takes 200.
    """
    model, task = lennard_jones(), bulk_task(name, steps)
    output = run(task, model, folder)
    sample = output.sample
    averages = analyse_bulk(sample, output.thermo, task, solid=name == "fcc")
    parts = [take(sample, slice(start, start + CHUNK)) for start in range(0, sample.n_frames, CHUNK)]
    g = np.concatenate([gradients(model, frames_from_sample(part, 1.02 * model.cutoff)) for part in parts])
    enthalpies = sample.energies + P_GPA / EV_PER_A3_IN_GPA * sample.volumes
    rows = phase_rows(g, enthalpies, sample.volumes, temperature_k=T_K, n_atoms=sample.n_atoms)
    sigmas = np.array([mean_with_error(column).sigma for column in g.T]) / sample.n_atoms
    print(f"{name}: {sample.n_frames} frames, {averages.rejections or 'accepted'}", flush=True)
    return averages, rows, sigmas


def take(sample: Sample, frames: slice) -> Sample:
    """Return some frames of a sample."""
    arrays = {name: getattr(sample, name)[frames] for name in ("positions", "cells", "energies", "steps")}
    return replace(sample, **arrays)


def reweighted_and_exact(steps: int, folder: Path) -> list[tuple[float, float, float]]:
    """Return dT/dln ε and dT/dln σ in reduced units: by DiffTRe, its σ, and exact from the same runs."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        low, high = pool.map(lambda name: phase(name, steps, folder), ("fcc", "liquid"))
    delta_s = (high[0].enthalpy_ev.value - low[0].enthalpy_ev.value) / T_K
    slope_term = P_GPA / EV_PER_A3_IN_GPA * (high[0].volume_a3.value - low[0].volume_a3.value) / delta_s
    values = difference(low[1], high[1]).free_energy / delta_s / TEMPERATURE_K
    sigmas = np.hypot(low[2], high[2]) / delta_s / TEMPERATURE_K
    exact = np.array([T_K - slope_term, 3 * slope_term]) / TEMPERATURE_K
    return [(float(v), float(s), float(e)) for v, s, e in zip(values, sigmas, exact, strict=True)]


def finite_differences(replicas: int, folder: Path) -> list[tuple[float, float]]:
    """Return both derivatives from two melting points each, with σ."""
    sets = []
    for name, guess in EXACT_GUESS.items():
        for sign in (1, -1):
            model = lennard_jones(**{name: math.exp(sign * STEP)})
            sets.append((model, two_phases(model, guess=T_MELT + sign * STEP * guess, replicas=replicas, seed=31)))
    points = melting_points(sets, folder)
    for result in points:
        print(
            f"T = {result.temperature_k / TEMPERATURE_K:.4f} ± {result.sigma_k / TEMPERATURE_K:.4f}", result.rejections
        )
    return [
        (
            (up.temperature_k - down.temperature_k) / (2 * STEP * TEMPERATURE_K),
            math.hypot(up.sigma_k, down.sigma_k) / (2 * STEP * TEMPERATURE_K),
        )
        for up, down in (points[:2], points[2:])
    ]


if __name__ == "__main__":
    place = Path(sys.argv[1])
    n_steps = int(sys.argv[2]) if len(sys.argv) > 2 else 400_000
    n_replicas = int(sys.argv[3]) if len(sys.argv) > 3 else 6
    derivatives = reweighted_and_exact(n_steps, place)
    for name, found, (value, sigma, exact) in zip(
        EXACT_GUESS, finite_differences(n_replicas, place), derivatives, strict=True
    ):
        print(
            f"dT/dln {name}: DiffTRe {value:.4f} ± {sigma:.4f}, exact {exact:.4f} ({100 * (value / exact - 1):+.1f} %)"
        )
        print(f"    finite difference {found[0]:.3f} ± {found[1]:.3f}")
