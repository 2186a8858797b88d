"""Gibbs energies of hcp and bcc against the number of atoms: corrected for it, neither depends on it.

    python benchmarks/crystal_size.py FOLDER [--model zirconium|FILE.safetensors] [--sizes N ...] [--repeats R]

`zirconium` is `Zr_mm.eam.fs` at 1365 K; a file is a model of titanium at 1154.7 K. Protocol `fast`, 0 GPa. Each line
has what the correction adds: with (kT/2) ln N/N alone a small crystal is too low by the difference.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from phasecal.campaign.free_energy_tasks import cell_task, switching_tasks
from phasecal.campaign.protocols import protocol_numbers
from phasecal.campaign.sources import potentials_folder
from phasecal.engines.lammps import MdOutput, read_output, run_lammps, write_inputs
from phasecal.freeenergy.absolute import cell_and_springs, free_energy
from phasecal.potentials.base import Model, load_model
from phasecal.potentials.eam import EamModel
from phasecal.units import KB

ZIRCONIUM = (
    1365.0,
    {
        "hcp": {"prototype": "hcp", "elements": ["Zr"], "a": 3.23, "c": 5.15},
        "bcc": {"prototype": "bcc", "elements": ["Zr"], "a": 3.57},
    },
)
TITANIUM = (
    1154.7,
    {
        "hcp": {"prototype": "hcp", "elements": ["Ti"], "a": 2.95, "c": 4.72},
        "bcc": {"prototype": "bcc", "elements": ["Ti"], "a": 3.29},
    },
)


def md(place: Path, task: dict, model: Model) -> MdOutput:
    """Run one task."""
    place.mkdir(parents=True)
    write_inputs(place, task, model)
    run_lammps(place, task["kind"])
    return read_output(place, task, model.hash, model.elements)


def gibbs(folder: Path, model: Model, campaign: dict, state: dict, n_atoms: int) -> dict:
    """Return the Gibbs energy of one phase with about ``n_atoms`` atoms."""
    block = campaign["protocol"]["free_energy"] | {"n_atoms": n_atoms}
    campaign = campaign | {"protocol": campaign["protocol"] | {"free_energy": block}}
    state = state | {"label": f"size {n_atoms}"}
    task, place = cell_task(campaign, state, model.timestep_fs), folder / f"{state['phase']}_{n_atoms}"
    output = md(place / "cell", task, model)
    cell, runs = cell_and_springs(output.sample, output.thermo, task), []
    for i, switch in enumerate(switching_tasks(campaign, state, cell, model.timestep_fs)):
        out = md(place / f"switch_{i}", switch, model)
        runs.append((out.sample, out.thermo, switch))
    found = free_energy(runs, model.masses, n_effective=cell["n_effective"], max_dissipation_ev=math.inf)
    n, kT = output.sample.n_atoms, KB * state["temperature_k"]
    result = {
        "phase": state["phase"],
        "n_atoms": n,
        "g_mev": 1e3 * found.gibbs_ev,
        "sigma_mev": 1e3 * found.sigma_ev,
        "finite_size_mev": 1e3 * found.finite_size_ev,
        "logarithm_mev": 1e3 * kT / 2 * math.log(n) / n,
        "rejections": found.rejections,
    }
    print(json.dumps(result), flush=True)
    return result


def main() -> None:
    """Run all sizes, two at a time, and print differences of the crystals with both corrections."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="zirconium")
    parser.add_argument("--sizes", type=int, nargs="+", default=[54, 128, 250, 500])
    parser.add_argument("--repeats", type=int, default=4)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    if arguments.model == "zirconium":
        model, (temperature_k, phases) = EamModel.from_file(potentials_folder() / "Zr_mm.eam.fs", train={}), ZIRCONIUM
    else:
        model, (temperature_k, phases) = load_model(Path(arguments.model)), TITANIUM
    campaign = {"phases": phases, "protocol": protocol_numbers("fast"), "seed": 1}
    campaign["protocol"]["free_energy"]["repeats"] = arguments.repeats
    states = [{"phase": phase, "temperature_k": temperature_k, "pressure_gpa": 0.0} for phase in phases]
    with ThreadPoolExecutor(max_workers=2) as pool:
        jobs = [
            [pool.submit(gibbs, arguments.folder, model, campaign, state, n_atoms) for state in states]
            for n_atoms in arguments.sizes
        ]
        for hcp, bcc in ([job.result() for job in pair] for pair in jobs):
            difference, sigma = bcc["g_mev"] - hcp["g_mev"], math.hypot(bcc["sigma_mev"], hcp["sigma_mev"])
            before = [one["g_mev"] - one["finite_size_mev"] + one["logarithm_mev"] for one in (hcp, bcc)]
            print(
                f"{hcp['n_atoms']:5d} and {bcc['n_atoms']:5d} atoms: {difference:6.2f} ± {sigma:.2f} meV/atom, "
                f"{before[1] - before[0]:6.2f} with (kT/2) ln N/N alone"
            )


if __name__ == "__main__":
    main()
