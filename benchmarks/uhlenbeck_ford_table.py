"""Compressibility factor of the Uhlenbeck–Ford fluid, from which phasecal/freeenergy/uhlenbeck_ford.json is made.

Usage: python benchmarks/uhlenbeck_ford_table.py FOLDER [N_STEPS]      (every node is kept in FOLDER; a second call
adds)

In reduced units (kT = 1, σ = 1) the fluid u(r) = −p ln(1 − exp(−r²)) has one variable, x = ρ π^{3/2}/2. Z(x) is
measured at Gauss–Legendre nodes of [0, X_MAX] with a Langevin integrator whose configurations have no error of the
time step in a harmonic well (Grønbech-Jensen & Farago, Mol. Phys. 111, 983 (2013)); dt = 0.01 leaves next to nothing
of it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from phasecal.engines.lammps import lammps_executable
from phasecal.observables.statistics import mean_with_error

P, X_MAX, N_NODES, CELLS, CUTOFF = 50, 1.0, 10, 5, 4.5
LONGER = (4, 8, 6, 5, 5, 2, 1, 1, 1, 1)
"""Times N_STEPS of each node: the integrand is (Z − 1)/x, so that errors at small x weigh most."""
SETTLE, TIME_BETWEEN_LINES = 2.0, 0.05
"""The lattice at the start is forgotten after some 2/x: atoms must diffuse over the distance of their neighbours."""
SCRIPT = """units lj
atom_style atomic
lattice fcc {density}
region box block 0 {cells} 0 {cells} 0 {cells}
create_box 1 box
create_atoms 1 box
mass 1 1.0
pair_style ufm {cutoff}
pair_coeff * * {p} 1.0
neighbor 0.4 bin
neigh_modify every 1 delay 0 check yes
timestep 0.01
velocity all create 2.0 {seed} mom yes dist gaussian
fix heat all langevin 1.0 1.0 0.25 {seed} zero yes gjf vhalf
fix nve all nve
compute virial all pressure NULL virial
thermo_style custom step c_virial pe
thermo_modify line yaml format float %.10g
run {equilibration}
thermo 5
run {steps}
"""


def node(folder: Path, x: float, seed: int, n_steps: int) -> np.ndarray:
    """Series of Z − 1 at one x."""
    density = 2 * x / np.pi**1.5
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {"density": density, "cells": CELLS, "cutoff": CUTOFF, "p": P, "seed": seed}
    text = SCRIPT.format(**numbers, equilibration=1500, steps=n_steps)
    (folder / "in.uf").write_text(text)
    command = [str(lammps_executable()), "-in", "in.uf", "-log", "log.lammps"]
    subprocess.run(
        command, cwd=folder, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, check=True
    )
    rows = re.findall(r"^  - \[(\d+), (\S+), ", (folder / "log.lammps").read_text(), re.MULTILINE)
    return np.array([float(virial) / density for step, virial in rows if int(step) > 1500])


def main(folder: Path, n_steps: int) -> None:
    """Measure all nodes once more, print what is known so far and write the table."""
    known = []
    nodes = (np.polynomial.legendre.leggauss(N_NODES)[0] + 1) / 2 * X_MAX
    for i, x in list(enumerate(nodes.tolist()))[1:]:  # at the first node B₂ and B₃ say more than a run
        file = folder / f"node_{i}.json"
        series = json.loads(file.read_text()) if file.exists() else []
        seed = 1000 * (len(series) + 1) + i
        series.append(node(folder / f"run_{i}", x, seed, LONGER[i] * n_steps).tolist())
        file.write_text(json.dumps(series))
        excess = mean_with_error(*series, discard=round(SETTLE / x / TIME_BETWEEN_LINES))
        print(f"{x:.12f} {excess.value:.6f} {excess.sigma:.6f} {excess.n_effective:.0f}", flush=True)
        known.append((x, round(excess.value, 7), round(excess.sigma, 7)))
    nodes_x, excesses, sigmas = (list(column) for column in zip(*known, strict=True))
    table = {"schema": 1, "p": P, "n_atoms": 4 * CELLS**3, "x": nodes_x, "excess": excesses, "sigma": sigmas}
    (folder / "uhlenbeck_ford.json").write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10000)
