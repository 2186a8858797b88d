"""Absolute free energy of a Lennard-Jones crystal against the number of atoms: corrected for its size it is constant.

Usage: python benchmarks/free_energy_size.py FOLDER [SWITCH_STEPS] [REPEATS]

Argon-like fcc (ε = 10.32 meV, σ = 3.405 Å, cut and shifted at 2.2 σ, below half of the smallest cell) at 30 K. χ² of a
constant is printed for F as it comes out, and for (kT/2) ln N/N as its only correction, which must not be constant. The
closed form of the same statement, for coupled springs, is in tests/science/test_free_energy.py.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np

from phasecal.engines.lammps import read_output, run_lammps, write_inputs
from phasecal.freeenergy.absolute import free_energy
from phasecal.units import KB

SIZES = (3, 4, 5, 6)  # cubic cells along an edge: N = 108, 256, 500, 864
T_K, EDGE_A, SPRING_EV_A2 = 30.0, 5.33, 0.2


class Argon:
    """A Lennard-Jones model for the engine."""

    elements = ("Ar",)
    masses = {"Ar": 39.948}  # noqa: RUF012 - as a model has it

    def export_lammps(self, folder: Path) -> list[str]:
        """Return the commands; there are no files."""
        return ["pair_style lj/cut 7.491", "pair_modify shift yes", "pair_coeff 1 1 0.01032 3.405"]


def task_of(n: int, switch_steps: int, seed: int) -> dict:
    """Task of one run of n³ cubic cells."""
    return {
        "schema": 1,
        "kind": "frenkel-ladd",
        "phase": "fcc",
        "structure": {"prototype": "fcc", "elements": ["Ar"], "a": EDGE_A},
        "n_atoms": 4 * n**3,
        "temperature_k": T_K,
        "pressure_gpa": 0.0,
        "timestep_fs": 3.0,
        "hold_steps": 2000,
        "switch_steps": switch_steps,
        "production_steps": 2 * (2000 + switch_steps),
        "sample_every": 2000,
        "thermo_every": 5,
        "restart_every": 10**6,
        "seed": seed,
        "cell_a": [n * EDGE_A] * 3,
        "springs_ev_a2": {"Ar": SPRING_EV_A2},
    }


def free(folder: Path, n: int, switch_steps: int, repeats: int) -> tuple[float, float, float]:
    """Free energy, the correction in it, and its standard deviation, eV/atom."""
    runs = []
    for i in range(repeats):
        task = task_of(n, switch_steps, 1000 * n + i)
        place = folder / f"n{n}_{i}"
        place.mkdir(parents=True)
        write_inputs(place, task, Argon())
        run_lammps(place, "frenkel-ladd")
        output = read_output(place, task, "argon", Argon.elements)
        runs.append((output.sample, output.thermo, task))
    result = free_energy(runs, Argon.masses, n_effective=1e9, max_dissipation_ev=1.0)
    values = {"f_ev": result.helmholtz_ev, "finite_size_ev": result.finite_size_ev, "sigma_ev": result.sigma_ev}
    print(json.dumps({"n": 4 * n**3} | values), flush=True)
    return result.helmholtz_ev, result.finite_size_ev, result.sigma_ev


def chi_squared(values: np.ndarray, sigmas: np.ndarray) -> float:
    """χ² per degree of freedom of a weighted mean."""
    mean = np.average(values, weights=1 / sigmas**2)
    return float(np.sum(((values - mean) / sigmas) ** 2)) / (len(values) - 1)


if __name__ == "__main__":
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 20000
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 8
    found = [free(Path(sys.argv[1]), n, steps, count) for n in SIZES]
    values, corrections, sigmas = np.array(found).T
    logarithms = np.array([KB * T_K / 2 * math.log(4 * n**3) / (4 * n**3) for n in SIZES])
    print(f"chi2 per degree of freedom: {chi_squared(values, sigmas):.2f}", end=", ")
    print(f"with (kT/2) ln N/N only {chi_squared(values - corrections + logarithms, sigmas):.2f}")
