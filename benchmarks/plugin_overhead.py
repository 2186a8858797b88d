"""What LAMMPS around a JAX model costs: the plugin against the bare compiled function, and the native style.

User time, so that other work on the machine counts little: LAMMPS prints the wall time of a loop and its share of CPU.
The bare function is the same executable on arrays of the size that the plugin ended with: padding is paid on both
sides. Every size that the plugin compiles is counted, from JAX's own log. Cold atoms stay near their sites; hot ones
flow (the guard of the network keeps them apart like a dense fluid), so that their numbers of neighbours change. What is
compiled once atoms are hot falls into the first of two runs, and the second is timed; a size costs some seconds of CPU
time, once.

    python benchmarks/plugin_overhead.py [N_CELLS] [REPEATS] [float32|float64] [STEPS]
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from matscipy.neighbours import neighbour_list

from phasecal.campaign.sources import potentials_folder
from phasecal.embedded import ONE_THREAD, WIDTH_MARGIN, start
from phasecal.engines.lammps.commands import ARTIFACT_FILE
from phasecal.engines.lammps.inputs import data_file
from phasecal.engines.lammps.plugin import install_plugin
from phasecal.potentials.artifact import plugin_commands
from phasecal.potentials.base import Model
from phasecal.potentials.eam import EamModel
from phasecal.potentials.moment_network import MomentNetworkModel

COLD_K, HOT_K = 10.0, 3000.0
SCRIPT = """
units metal
atom_style atomic
boundary p p p
read_data start.data
{commands}
velocity all create {temperature} 7 mom yes
neighbor 1.0 bin
neigh_modify every 1 delay 0 check yes
timestep 0.002
fix md all nve
thermo 1000
run {steps}
run {steps}
"""


@dataclass(frozen=True)
class Loop:
    """The second of two equal runs: user time per atom and step, µs, and what was compiled from the start on."""

    us: float
    n_compiled: int
    shape: tuple[int, int]


def run(folder: Path, commands: list[str], n_atoms: int, temperature_k: float, steps: int) -> Loop:
    """Run LAMMPS."""
    text = SCRIPT.format(commands="\n".join(commands), temperature=2 * temperature_k, steps=steps)
    (folder / "in.lmp").write_text(text)
    command = [Path(sys.executable).parent / "lmp", "-in", "in.lmp", "-log", "none"]
    environment = os.environ | {"JAX_LOG_COMPILES": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    wall = float(re.findall(r"Loop time of (\S+)", done.stdout)[-1])
    cpu = float(re.findall(r"(\S+)% CPU use", done.stdout)[-1]) / 100
    shapes = re.findall(r"^.*Compiling .*?\[(\d+),(\d+),3\]", done.stderr, re.MULTILINE)
    last = (int(shapes[-1][0]), int(shapes[-1][1])) if shapes else (0, 0)
    return Loop(1e6 * wall * cpu / steps / n_atoms, len(shapes), last)


def bare_us(folder: Path, atoms: Atoms, model: Model, shape: tuple[int, int], steps: int) -> float:
    """Return user time per atom and call of the compiled function on arrays of a size, µs."""
    session = start(folder / ARTIFACT_FILE, list(model.elements), 1)
    batch = session.grow(shape[0], int(shape[1] / WIDTH_MARGIN))
    assert batch[2].shape == shape
    i, vectors = neighbour_list("iD", atoms, model.cutoff)
    counts = np.bincount(i, minlength=len(atoms))
    batch[0][i, np.arange(len(i)) - np.repeat(np.cumsum(counts) - counts, counts)] = vectors
    begin = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    for _ in range(steps):
        session.evaluate()
    return 1e6 * (resource.getrusage(resource.RUSAGE_SELF).ru_utime - begin) / steps / len(atoms)


def systems(n_cells: int) -> dict[str, tuple[Model, Atoms]]:
    """Return what is measured; the weights of the network hardly matter, its guard does."""
    copper = bulk("Cu", "fcc", a=3.65, cubic=True) * n_cells
    titanium = bulk("Ti", "hcp", a=2.95, c=4.68, orthorhombic=True) * n_cells
    network = MomentNetworkModel.initial(["Ti"], 5.5, [[2.8]], seed=1)
    network = replace(network, theta=1e-3 * network.theta, mean=np.full((1, 90), 10.0), scale=np.full((1, 90), 20.0))
    for atoms in (copper, titanium):
        atoms.rattle(0.1, seed=1)
    eam = EamModel.from_file(potentials_folder() / "Cu_mishin1.eam.alloy", {"pair": 0})
    return {"eam": (eam, copper), "moment-network": (network, titanium)}


def main(n_cells: str = "5", repeats: str = "3", dtype: str = "float32", steps: str = "200") -> None:
    """Measure and print."""
    os.environ.update(ONE_THREAD)  # before JAX computes anything: threads that wait for each other cost CPU time
    for name, (model, atoms) in systems(int(n_cells)).items():
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            install_plugin(folder)
            (folder / "start.data").write_text(data_file(atoms, model.elements, model.masses))
            commands = plugin_commands(model, folder, dtype)
            for temperature in (COLD_K, HOT_K):
                ratios = []
                for _ in range(int(repeats)):
                    loop = run(folder, commands, len(atoms), temperature, int(steps))
                    bare = bare_us(folder, atoms, model, loop.shape, int(steps))
                    ratios.append(loop.us / bare)
                print(
                    f"{name:14s} {dtype} {len(atoms)} atoms at {temperature:g} K, {steps} steps: plugin {loop.us:.2f}, "
                    f"bare JAX {bare:.2f} µs/atom/step (last); ratios {', '.join(f'{r:.2f}' for r in ratios)}; "
                    f"{loop.n_compiled} sizes compiled, the last {loop.shape}",
                    flush=True,
                )
            if name == "eam":
                native = run(folder, model.export_lammps(folder), len(atoms), COLD_K, int(steps))
                print(f"{name:14s} native: {native.us:.2f} µs/atom/step")


if __name__ == "__main__":
    main(*sys.argv[1:])
