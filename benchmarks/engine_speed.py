"""Cost of an MD step per family and engine, in runs as campaigns make them: NPT by `bulk.in` or its jax-md counterpart.

CPU time, so that other work on the machine counts little. LAMMPS prints the wall time of its production loop and its
share of a CPU. For jax-md, which shares no clock with its compilation, it is the difference of the CPU times of a run
and one with a tenth of its steps; both find what they compile in a folder that a first run has filled. All of a row in
one go; ratios are to the native style, or to the plugin where there is none. EAM: Zhou's copper, trimmed to 6 Å.
Message passing: two layers to l = 2 within 5 Å, random weights, atoms that move as a gas at the density of a crystal.

    python benchmarks/engine_speed.py [SECONDS] [N_ATOMS …] [FAMILY …]

CPU seconds per measurement: 5; atoms: 500 and 4000; all families.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import gpu_round
import numpy as np

from phasecal.campaign.sources import potentials_folder
from phasecal.embedded import ONE_THREAD
from phasecal.engines import jaxmd
from phasecal.engines.lammps import LOG_FILE, run_lammps, write_inputs
from phasecal.potentials.artifact import plugin_commands
from phasecal.potentials.base import Model
from phasecal.potentials.correction import eam_correction
from phasecal.potentials.eam import EamModel
from phasecal.potentials.frozen import FrozenModel
from phasecal.potentials.lj import LjModel
from phasecal.potentials.mace import MaceModel, MaceNetwork
from phasecal.potentials.moment_network import MomentNetworkModel
from phasecal.potentials.nequix import NequixModel, NequixNetwork
from phasecal.structures.crystals import crystal

COPPER = "Cu_zhou.eam.alloy"
JAX_ONLY = ("plugin", "fix external", "jax-md")
NEQUIX = gpu_round.SETTINGS | {
    "hidden_irreps": "32x0e + 16x1o + 8x2e",
    "lmax": 2,
    "cutoff": 5.0,
    "n_layers": 2,
    "radial_mlp_size": 32,
}
MACE = {
    "config": {
        "num_layers": 2,
        "num_channels": 16,
        "l_max": 2,
        "correlation": 2,
        "readout_irreps": ["16x0e", "0e"],
        "num_rbf": 8,
        "radial_mlp_hidden": [32],
    },
    "dataset_info": {
        "atomic_energies_map": {"22": 0.0},
        "graph_cutoff_angstrom": 5.0,
        "avg_num_neighbors": 50.0,
    },
}


@dataclass(frozen=True)
class Case:
    """A model and the state in which it is run; ``us``: about what a step costs, µs per atom, to choose how many."""

    model: Model
    structure: dict
    temperature_k: float
    pressure_gpa: float
    us: float
    engines: tuple[str, ...] = ("native", "plugin", "fix external", "jax-md")

    def task(self, n_atoms: int, steps: int) -> dict:
        """Return a bulk task of some production steps."""
        common = {"schema": 1, "kind": "bulk", "phase": "crystal", "melt": False, "barostat": "iso", "seed": 5}
        state = {"temperature_k": self.temperature_k, "pressure_gpa": self.pressure_gpa, "melt_temperature_k": None}
        numbers = {"n_atoms": n_atoms, "melt_steps": 0, "equilibration_steps": max(steps // 2, 20)}
        every = {"sample_every": 100, "thermo_every": 20, "restart_every": steps, "production_steps": steps}
        return common | state | numbers | every | {"structure": self.structure, "timestep_fs": self.model.timestep_fs}


class Artifact:
    """A model as if LAMMPS had no such style (what :func:`write_inputs` needs of it)."""

    def __init__(self, model: Model) -> None:
        """Take over what belongs to atoms."""
        self.model, self.elements, self.masses = model, model.elements, model.masses

    def export_lammps(self, folder: Path) -> list[str]:
        """Write an artifact in single precision."""
        return plugin_commands(self.model, folder)


def cases() -> dict[str, Case]:
    """Return what is measured. The guard of the network holds its atoms apart; its weights hardly matter."""
    copper = {"prototype": "fcc", "elements": ["Cu"], "a": 3.65}
    file = potentials_folder() / COPPER
    correction = eam_correction([crystal(copper)], ["Cu"], {"pair": 12, "embedding": 6}, 6.0)
    commands = ["pair_style eam/alloy", f"pair_coeff * * {COPPER} Cu"]
    frozen = FrozenModel.from_commands(["Cu"], commands, {COPPER: file.read_bytes()}, correction)
    frozen = frozen.with_theta(np.full(frozen.theta.size, 1e-3))
    argon = LjModel.from_parameters(element="Ar", mass=39.95, epsilon=0.1, sigma=3.4, cutoff_sigmas=2.5)
    network = MomentNetworkModel.initial(["Ti"], 5.5, [[2.8]], seed=1)
    network = replace(network, theta=1e-3 * network.theta, mean=np.full((1, 90), 10.0), scale=np.full((1, 90), 20.0))
    bcc = {"prototype": "bcc", "elements": ["Ti"], "a": 3.3}
    gas = {
        "structure": bcc,
        "temperature_k": 1000.0,
        "pressure_gpa": gpu_round.gas_pressure(1000.0),
        "engines": JAX_ONLY,
    }
    titanium = {"prototype": "fcc", "elements": ["Ti"], "a": 4.1}
    return {
        "eam": Case(EamModel.from_file(file, {}, cutoff=6.0), copper, 1000.0, 0.0, 4.0),
        "lj": Case(argon, {"prototype": "fcc", "elements": ["Ar"], "a": 5.35}, 400.0, 0.0, 3.0),
        "lammps + correction": Case(frozen, copper, 1000.0, 0.0, 4.0, ("native",)),
        "moment-network": Case(network, titanium, 1000.0, 10.0, 15.0, JAX_ONLY),
        "nequix": Case(gpu_round.random_network(NequixModel, NequixNetwork.of(NEQUIX), ["readout"]), **gas, us=400.0),
        "mace": Case(
            gpu_round.random_network(MaceModel, MaceNetwork.of(MACE), ["layers_1.readout_block"], 0.1), **gas, us=400.0
        ),
    }


def lammps_us(case: Case, model: object, n_atoms: int, steps: int) -> float:
    """Return the user time of the production loop, µs per atom and step."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, case.task(n_atoms, steps), model)
        run_lammps(folder, "bulk")
        log = (folder / LOG_FILE).read_text()
    wall, loop_steps, atoms = re.findall(r"Loop time of (\S+) on .* for (\d+) steps with (\d+) atoms", log)[-1]
    share = float(re.findall(r"(\S+)% CPU use", log)[-1]) / 100
    return 1e6 * float(wall) * share / int(loop_steps) / int(atoms)


def native_us(case: Case, n_atoms: int, steps: int) -> float:
    """The pair style of LAMMPS."""
    return lammps_us(case, case.model, n_atoms, steps)


def plugin_us(case: Case, n_atoms: int, steps: int) -> float:
    """The pair style ``phasecal``."""
    return lammps_us(case, Artifact(case.model), n_atoms, steps)


def external_us(case: Case, n_atoms: int, steps: int) -> float:
    """What runs where there is no compiler."""
    os.environ["CXX"] = "no-compiler"
    try:
        return lammps_us(case, Artifact(case.model), n_atoms, steps)
    finally:
        del os.environ["CXX"]


def jaxmd_us(case: Case, n_atoms: int, steps: int) -> float:
    """The jax-md engine."""
    short = max(steps // 10, 20)
    spent = {}
    for n_steps in (short, short, steps):  # the first one fills the folder of what is compiled
        with tempfile.TemporaryDirectory() as name:
            task = case.task(n_atoms, n_steps) | {"equilibration_steps": 20}
            jaxmd.write_inputs(Path(name), task, case.model)
            before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
            subprocess.run([sys.executable, "-m", jaxmd.__name__], cwd=name, check=True)
            spent[n_steps] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    return 1e6 * (spent[steps] - spent[short]) / (steps - short) / n_atoms


ENGINES: dict[str, Callable[[Case, int, int], float]] = {
    "native": native_us,
    "plugin": plugin_us,
    "fix external": external_us,
    "jax-md": jaxmd_us,
}


def main(seconds: str = "5", *words: str) -> None:
    """Measure and print."""
    sizes = [word for word in words if word.isdigit()] or ["500", "4000"]
    families = [word for word in words if not word.isdigit()] or list(cases())
    os.environ.update(ONE_THREAD | {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"})
    print(f"{'family':>20} {'atoms':>6}" + "".join(f"{name:>21}" for name in ENGINES) + "   µs/atom/step (ratio)")
    for label, case in ((family, cases()[family]) for family in families):
        for n_atoms in map(int, sizes):
            steps = max(100, round(1e6 * float(seconds) / case.us / n_atoms / 100) * 100)
            with tempfile.TemporaryDirectory() as compiled:
                os.environ["JAX_COMPILATION_CACHE_DIR"] = compiled
                found = {name: ENGINES[name](case, n_atoms, steps) for name in case.engines}
            first = found[case.engines[0]]
            cells = [f"{found[name]:.2f} ({found[name] / first:.2f})" if name in found else "–" for name in ENGINES]
            print(f"{label:>20} {n_atoms:>6}" + "".join(f"{cell:>21}" for cell in cells), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
