"""Gibbs energies of hcp and bcc zirconium against the number of atoms: does their difference converge like 1/N?

Usage: python benchmarks/crystal_size.py FOLDER [REPEATS]

`Zr_mm.eam.fs` at 1365 K and 0 GPa, where the protocol `fast` with 500 atoms finds equal Gibbs energies; its numbers of
steps.
"""

from __future__ import annotations

import json
import math
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from phasecal.campaign.free_energy_tasks import cell_task, switching_tasks
from phasecal.campaign.protocols import protocol_numbers
from phasecal.campaign.sources import potentials_folder
from phasecal.engines.lammps import MdOutput, read_output, run_lammps, write_inputs
from phasecal.freeenergy.absolute import cell_and_springs, free_energy
from phasecal.potentials.eam import EamModel

T_K = 1365.0
PHASES = {
    "hcp": {"prototype": "hcp", "elements": ["Zr"], "a": 3.23, "c": 5.15},
    "bcc": {"prototype": "bcc", "elements": ["Zr"], "a": 3.57},
}
SIZES = (128, 250, 500, 1000)


def md(place: Path, task: dict, model: EamModel) -> MdOutput:
    """Run one task."""
    place.mkdir(parents=True)
    write_inputs(place, task, model)
    run_lammps(place, task["kind"])
    return read_output(place, task, model.hash, model.elements)


def gibbs(folder: Path, model: EamModel, phase: str, n_atoms: int, repeats: int) -> dict:
    """Return the Gibbs energy of one phase with about ``n_atoms`` atoms."""
    campaign = {"phases": PHASES, "protocol": protocol_numbers("fast"), "seed": 1}
    campaign["protocol"]["free_energy"] |= {"n_atoms": n_atoms, "repeats": repeats}
    state = {"phase": phase, "temperature_k": T_K, "pressure_gpa": 0.0, "label": f"size {n_atoms}"}
    task, place = cell_task(campaign, state, model.timestep_fs), folder / f"{phase}_{n_atoms}"
    output = md(place / "cell", task, model)
    cell, runs = cell_and_springs(output.sample, output.thermo, task), []
    for i, switch in enumerate(switching_tasks(campaign, state, cell, model.timestep_fs)):
        out = md(place / f"switch_{i}", switch, model)
        runs.append((out.sample, out.thermo, switch))
    found = free_energy(runs, model.masses, n_effective=cell["n_effective"], max_dissipation_ev=math.inf)
    result = {"phase": phase, "n_atoms": output.sample.n_atoms, "g_ev": found.gibbs_ev, "sigma_ev": found.sigma_ev}
    print(json.dumps(result | {"rejections": found.rejections}), flush=True)
    return result


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    place, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 4
    potential = EamModel.from_file(potentials_folder() / "Zr_mm.eam.fs", train={})
    with ThreadPoolExecutor(max_workers=2) as pool:
        jobs = [[pool.submit(gibbs, place, potential, phase, n_atoms, count) for phase in PHASES] for n_atoms in SIZES]
        for hcp, bcc in ([job.result() for job in pair] for pair in jobs):
            difference = 1e3 * (bcc["g_ev"] - hcp["g_ev"])
            sigma = 1e3 * math.hypot(bcc["sigma_ev"], hcp["sigma_ev"])
            print(f"{hcp['n_atoms']:5d} and {bcc['n_atoms']:5d} atoms: {difference:6.2f} ± {sigma:.2f} meV/atom")
