"""Cost of a melting point against calphy: the same potential, machine and LAMMPS, CPU time to the same error.

Usage: python benchmarks/against_calphy.py FOLDER CALPHY_ENVIRONMENT [REPEATS]

CALPHY_ENVIRONMENT is a virtual environment with `calphy` and `lammps[mpi]`; its licence keeps it out of ours. Mishin's
copper, 1326 K in the literature, from where both begin. calphy: mode `melting_temperature` with its own numbers (500
atoms, 25 000 steps of equilibration, 50 000 of switching), 2.8 fs as ours. phasecal: absolute free energies of both
phases at that temperature with the numbers of the protocol `fast`, T = T₀ + ΔG/ΔS. The error of a run is the scatter of
the repeats, or its deviation from coexistence, which holds what all repeats have in common. CPU time × error² does not
depend on how long a run is: the ratio of these products is that of the CPU times to the same error. By scatter it is
known no better than a ratio of variances: its 68 % interval is printed too. FOLDER/runs.jsonl keeps what is done: the
same command goes on from there.
"""

from __future__ import annotations

import json
import math
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f

from phasecal.campaign.free_energy_tasks import cell_task, switching_tasks
from phasecal.campaign.protocols import protocol_numbers
from phasecal.campaign.sources import potentials_folder
from phasecal.engines.lammps import MdOutput, read_output, run_lammps, write_inputs
from phasecal.freeenergy.absolute import cell_and_springs, free_energy
from phasecal.potentials.eam import EamModel

POTENTIAL = potentials_folder() / "Cu_mishin1.eam.alloy"
FLOAT = NDArray[np.float64]
GUESS_K = 1326.0
COEXISTENCE_K = 1326.4
"""± 2.5 K, docs/results/free-energies.md."""
CAMPAIGN = {
    "phases": {
        "fcc": {"prototype": "fcc", "elements": ["Cu"], "a": 3.615},
        "liquid": {"melt": "fcc"},
    }
}

CALPHY = """\
calculations:
- mode: melting_temperature
  element: Cu
  mass: 63.546
  lattice: fcc
  lattice_constant: 3.63
  repeat: [5, 5, 5]
  temperature: {guess}
  pressure: 0
  pair_style: eam/alloy
  pair_coeff: "* * {potential} Cu"
  melting_temperature: {{step: 100, attempts: 5}}
  md: {{timestep: 0.0028, seed: {seed}}}
  lammps_executable: {executable}
"""


def calphy(folder: Path, environment: Path, repeat: int) -> float:
    """Return the melting point of one calphy run, K."""
    place = folder / f"calphy_{repeat}"
    place.mkdir(parents=True)
    text = CALPHY.format(guess=GUESS_K, potential=POTENTIAL, seed=101 + repeat, executable=environment / "bin/lmp")
    (place / "input.yaml").write_text(text)
    command = [str(environment / "bin/calphy_kernel"), "-i", "input.yaml", "-k", "0"]
    subprocess.run(command, cwd=place, check=True, capture_output=True)
    (log,) = place.glob("melting_temperature*.log")
    return float(re.search(r"Found melting temperature = ([\d.]+)", log.read_text())[1])


def phasecal(folder: Path, repeat: int) -> float:
    """Return the melting point from the free energies of one run, K."""
    model, found = EamModel.from_file(POTENTIAL, train={}), {}
    campaign = {**CAMPAIGN, "protocol": protocol_numbers("fast"), "seed": 101 + repeat}
    for phase in CAMPAIGN["phases"]:
        state = {"phase": phase, "temperature_k": GUESS_K, "pressure_gpa": 0.0, "label": "benchmark"}
        task = cell_task(campaign, state, model.timestep_fs)
        output = md(folder / f"phasecal_{repeat}" / phase / "cell", task, model)
        cell = cell_and_springs(output.sample, output.thermo, task)
        runs = []
        for i, switch in enumerate(switching_tasks(campaign, state, cell, model.timestep_fs)):
            out = md(folder / f"phasecal_{repeat}" / phase / f"switch_{i}", switch, model)
            runs.append((out.sample, out.thermo, switch))
        gibbs = free_energy(runs, model.masses, n_effective=cell["n_effective"], max_dissipation_ev=math.inf)
        if gibbs.rejections:
            raise SystemExit(f"repeat {repeat}: {gibbs.rejections}")
        enthalpy = float(output.thermo["enthalpy"].mean()) / output.sample.n_atoms
        found[phase] = np.array([gibbs.gibbs_ev, enthalpy])
    gibbs_ev, enthalpy_ev = found["liquid"] - found["fcc"]
    entropy = (enthalpy_ev - gibbs_ev) / GUESS_K
    return float(GUESS_K + gibbs_ev / entropy)


def md(place: Path, task: dict[str, Any], model: EamModel) -> MdOutput:
    """Run one task of phasecal."""
    place.mkdir(parents=True)
    write_inputs(place, task, model)
    run_lammps(place, task["kind"])
    return read_output(place, task, model.hash, model.elements)


def cpu_seconds() -> float:
    """CPU time of this process and all that it has waited for, s."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def cost(name: str, runs: Sequence[tuple[float, float]]) -> FLOAT:
    """Return CPU time × error² of runs (temperature in K, CPU time in s), s K²; print what is behind it.

    Returns:
        By the scatter of the runs, and by their root mean square distance from coexistence.
    """
    temperatures, seconds = np.array(runs).T
    scatter, cpu = float(temperatures.std(ddof=1)), float(seconds.mean())
    deviation = float(np.sqrt(np.mean((temperatures - COEXISTENCE_K) ** 2)))
    mean = f"{temperatures.mean():.1f} ± {scatter / len(runs) ** 0.5:.1f} K"
    print(
        f"{name}: {mean}; one run: {cpu:.0f} s, scatter {scatter:.1f} K, off coexistence {deviation:.1f} K", flush=True
    )
    return cpu * np.array([scatter, deviation]) ** 2


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    place, environment = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 6
    codes: dict[str, Callable[[int], float]] = {
        "calphy": lambda repeat: calphy(place, environment, repeat),
        "phasecal": lambda repeat: phasecal(place, repeat),
    }
    place.mkdir(parents=True, exist_ok=True)
    record = place / "runs.jsonl"
    done = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
    for repeat, (name, run) in product(range(count), codes.items()):
        if not any((entry["code"], entry["repeat"]) == (name, repeat) for entry in done):
            before = cpu_seconds()
            temperature = run(repeat)
            done.append({"code": name, "repeat": repeat, "t_k": temperature, "cpu_s": cpu_seconds() - before})
            with record.open("a") as file:
                print(json.dumps(done[-1]), file=file)
            print(json.dumps(done[-1]), flush=True)
    runs = {name: [(entry["t_k"], entry["cpu_s"]) for entry in done if entry["code"] == name] for name in codes}
    by_scatter, by_deviation = cost("calphy", runs["calphy"]) / cost("phasecal", runs["phasecal"])
    low, high = by_scatter / f.ppf([0.84, 0.16], count - 1, count - 1)
    print(f"CPU time to the same scatter, calphy / phasecal: {by_scatter:.1f} ({low:.1f} to {high:.1f})")
    print(f"CPU time to the same distance from coexistence: {by_deviation:.1f}")
