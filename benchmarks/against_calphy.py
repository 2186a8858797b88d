"""Cost of a melting point against calphy: the same potential, machine and LAMMPS, CPU time to the same error.

Usage: python benchmarks/against_calphy.py FOLDER CALPHY_ENVIRONMENT [REPEATS]

CALPHY_ENVIRONMENT is a virtual environment with `calphy` and `lammps[mpi]`; its licence keeps it out of ours. Mishin's
copper, 1326 K in the literature. calphy: mode `melting_temperature` with its own numbers (500 atoms, 25 000 steps of
equilibration, 50 000 of switching), 2.8 fs as ours. phasecal: coexistence with the boxes of the protocol `fast`, stage
`transition`, one replica per repeat. The error of a run is the scatter of the repeats; both means are printed, for they
must agree. CPU time × error² does not depend on how long a run is: the ratio of these products is that of the CPU
times to the same error.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from phasecal.campaign.protocols import protocol_numbers
from phasecal.campaign.sources import potentials_folder
from phasecal.campaign.tasks import coexistence_tasks
from phasecal.engines.lammps import read_output, run_lammps, write_inputs
from phasecal.freeenergy.coexistence import analyse_replica
from phasecal.potentials.eam import EamModel

POTENTIAL = potentials_folder() / "Cu_mishin1.eam.alloy"
GUESS_K = 1326.0

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
    """Return the temperature of one two-phase box, K."""
    model = EamModel.from_file(POTENTIAL, train={})
    stage = {**protocol_numbers("fast")["transition"], "replicas": 1, "name": "benchmark", "start_spread_k": None}
    side = 1 if repeat % 2 else -1  # replicas start above and below in turn
    stage["relative_spread"] *= side
    parameters = {
        "phases": ["fcc", "liquid"],
        "structure": {"prototype": "fcc", "elements": ["Cu"], "a": 3.615},
        "pressure_gpa": 0.0,
        "timestep_fs": model.timestep_fs,
        "melt_factor": 2.0,
        "restart_every": 10**6,
        "seed": 101 + repeat,
        "label": "benchmark",
    }
    (task,) = coexistence_tasks(parameters, stage=stage, temperature_k=GUESS_K, attempt=0)
    place = folder / f"phasecal_{repeat}"
    place.mkdir(parents=True)
    write_inputs(place, task, model)
    run_lammps(place, "coexistence")
    output = read_output(place, task, model.hash, model.elements)
    replica = analyse_replica(output.sample, output.thermo, task)
    if replica.rejections:
        raise SystemExit(f"repeat {repeat}: {replica.rejections}")
    return float(replica.series_k.mean())


def measured(name: str, run: Callable[[int], float], repeats: int) -> tuple[float, float]:
    """Run the repeats one after the other; return their mean and CPU time × variance, s K²."""
    temperatures, seconds = [], []
    for repeat in range(repeats):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        temperatures.append(run(repeat))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        print(json.dumps({"code": name, "repeat": repeat, "t_k": temperatures[-1], "cpu_s": seconds[-1]}), flush=True)
    scatter, cpu = float(np.std(temperatures, ddof=1)), float(np.mean(seconds))
    mean = float(np.mean(temperatures))
    print(f"{name}: {mean:.1f} ± {scatter / repeats**0.5:.1f} K; one run: {cpu:.0f} s, {scatter:.1f} K", flush=True)
    return mean, cpu * scatter**2


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    place, environment = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 6
    _, theirs = measured("calphy", lambda repeat: calphy(place, environment, repeat), count)
    _, ours = measured("phasecal", lambda repeat: phasecal(place, repeat), count)
    print(f"CPU time to the same error, calphy / phasecal: {theirs / ours:.1f}")
