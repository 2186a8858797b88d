"""What LAMMPS around a JAX model costs: the plugin against the bare compiled function, and the native style.

CPU time, so that other work on the machine counts little: LAMMPS prints the wall time of a loop and its share of a CPU.
The bare function is the same executable on the same arrays as in the plugin: padding is paid on both sides. Atoms stay
near their sites (the random network would let them pass through each other), so that no step compiles anew.

    python benchmarks/plugin_overhead.py [N_CELLS] [REPEATS] [float32|float64]
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from ase.build import bulk
from matscipy.neighbours import neighbour_list

from phasecal.campaign.sources import potentials_folder
from phasecal.embedded import start
from phasecal.engines.lammps.commands import ARTIFACT_FILE
from phasecal.engines.lammps.inputs import data_file
from phasecal.engines.lammps.plugin import install_plugin
from phasecal.potentials.artifact import plugin_commands
from phasecal.potentials.eam import EamModel

STEPS = 200
SCRIPT = """
units metal
atom_style atomic
boundary p p p
read_data start.data
{commands}
velocity all create 10.0 7 mom yes
neighbor 1.0 bin
neigh_modify every 1 delay 0 check yes
timestep 0.002
fix md all nve
thermo 1000
run 20
run {steps}
"""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Moments:
    """Moments up to l = 3 of six radial functions, their norms, and a small network: the cost of a moment network."""

    cutoff: float = field(metadata={"static": True})
    weights: tuple[jax.Array, ...]

    def __call__(self, theta, vectors, species, neighbor_species):
        """Return the energy of each atom, eV, shape (n_atoms,)."""
        squared = jnp.sum(vectors * vectors, axis=-1)
        inside = squared < self.cutoff**2
        r = jnp.sqrt(jnp.where(inside, squared, 1.0))
        x = r / self.cutoff
        envelope = jnp.where(inside, (1.0 - x * x) ** 3, 0.0)
        radial = [envelope * x**n for n in range(6)]
        unit = vectors / r[..., None]
        u, v, w = unit[..., 0], unit[..., 1], unit[..., 2]
        angular = [jnp.ones_like(u), u, v, w]
        angular += [u * u, v * v, w * w, u * v, u * w, v * w]
        angular += [u**3, v**3, w**3, u * u * v, u * u * w, v * v * u, v * v * w, w * w * u, w * w * v, u * v * w]
        moments = jnp.einsum("nkr,nkm->nrm", jnp.stack(radial, -1), jnp.stack(angular, -1))
        norms = [jnp.sum(moments[..., a:b] ** 2, axis=-1) for a, b in ((0, 1), (1, 4), (4, 10), (10, 20))]
        hidden = jnp.concatenate(norms, axis=-1)
        for layer in self.weights[:-1]:
            hidden = jnp.tanh(hidden @ layer)
        return (hidden @ self.weights[-1])[:, 0]


class MomentModel(EamModel):
    """The same, as a model that exports itself (the tables of the EAM are not used)."""

    @property
    def atom_energies(self):
        """Random weights: only the cost matters."""
        rng = np.random.default_rng(3)
        sizes = (24, 32, 32, 1)
        layers = [1e-2 * rng.normal(size=shape) for shape in pairwise(sizes)]
        return Moments(cutoff=self.cutoff, weights=tuple(jnp.asarray(layer) for layer in layers))


def lammps_us(folder: Path, commands: list[str], n_atoms: int) -> float:
    """Return user time per atom and step of LAMMPS, µs."""
    (folder / "in.lmp").write_text(SCRIPT.format(commands="\n".join(commands), steps=STEPS))
    command = [Path(sys.executable).parent / "lmp", "-in", "in.lmp", "-log", "none"]
    output = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    wall = float(re.findall(r"Loop time of (\S+)", output)[-1])
    return 1e6 * wall * float(re.findall(r"(\S+)% CPU use", output)[-1]) / 100 / STEPS / n_atoms


def bare_us(folder: Path, vectors: np.ndarray, elements: tuple[str, ...]) -> tuple[float, tuple[int, ...]]:
    """Return user time per atom and call of the compiled function on the plugin's arrays, µs, and their shape."""
    session = start(folder / ARTIFACT_FILE, list(elements), 1)
    batch = session.grow(len(vectors), vectors.shape[1])
    batch[0][: len(vectors), : vectors.shape[1]] = vectors
    begin = time.process_time()
    for _ in range(STEPS):
        session.evaluate()
    return 1e6 * (time.process_time() - begin) / STEPS / len(vectors), batch[0].shape


def neighborhoods(atoms, cutoff: float) -> np.ndarray:
    """Return vectors to neighbours, padded, shape (n_atoms, width, 3)."""
    i, d = neighbour_list("iD", atoms, cutoff)
    counts = np.bincount(i, minlength=len(atoms))
    vectors = np.full((len(atoms), counts.max(), 3), 2 * cutoff)
    vectors[i, np.arange(len(i)) - np.repeat(np.cumsum(counts) - counts, counts)] = d
    return vectors


def main(n_cells: str = "5", repeats: str = "3", *dtypes: str) -> None:
    """Measure and print."""
    source = potentials_folder() / "Cu_mishin1.eam.alloy"
    atoms = bulk("Cu", "fcc", a=3.65, cubic=True) * int(n_cells)
    atoms.positions += np.random.default_rng(1).normal(0.0, 0.1, atoms.positions.shape)
    for label, kind in (("EAM", EamModel), ("moments", MomentModel)):
        model = kind.from_file(source, {"pair": 0})
        vectors = neighborhoods(atoms, model.cutoff)
        for dtype in dtypes or ("float32", "float64"):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                install_plugin(folder)
                (folder / "start.data").write_text(data_file(atoms, model.elements, model.masses))
                commands = plugin_commands(model, folder, dtype)
                rows = []
                for _ in range(int(repeats)):
                    bare, shape = bare_us(folder, vectors, model.elements)
                    rows.append((lammps_us(folder, commands, len(atoms)), bare))
                plugin, bare = np.median(rows, axis=0)
                ratios = ", ".join(f"{a / b:.2f}" for a, b in rows)
                print(
                    f"{label:8s} {dtype} {len(atoms)} atoms {shape}: plugin {plugin:.2f}, bare JAX {bare:.2f} "
                    f"µs/atom/step; ratios {ratios}",
                    flush=True,
                )
        if kind is EamModel:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                (folder / "start.data").write_text(data_file(atoms, model.elements, model.masses))
                print(f"EAM native: {lammps_us(folder, model.export_lammps(folder), len(atoms)):.2f} µs/atom/step")


if __name__ == "__main__":
    main(*sys.argv[1:])
