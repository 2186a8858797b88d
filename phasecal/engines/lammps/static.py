"""Energies, forces and virials that LAMMPS computes for single configurations in cells of any shape.

For a potential that exists only as LAMMPS commands; one process computes all configurations (``scripts/static.in``).
LAMMPS wants lower triangular cells: cell A = L Qᵀ, and everything is turned by the orthogonal Q and back.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from phasecal.engines.lammps.commands import LOG_FILE, check_commands
from phasecal.engines.lammps.inputs import run_lammps
from phasecal.engines.lammps.task import SKIN
from phasecal.errors import EngineError

BAR_PER_EV_A3 = 1.6021765e6
"""LAMMPS' own ``nktv2p`` of units metal: pressures become exactly the virials they were made from."""
_POINT = re.compile(r"^phasecal point: (.*)$", re.MULTILINE)

FLOAT = NDArray[np.float64]


@dataclass(frozen=True)
class PairPotential:
    """A potential that LAMMPS computes; hashable.

    Attributes:
        elements: Chemical symbols in the order of the atom types.
        masses: Their masses, amu.
        commands: Pair commands (:mod:`phasecal.engines.lammps.commands`).
        files: Name and content of the files that the commands name.
    """

    elements: tuple[str, ...]
    masses: tuple[float, ...]
    commands: tuple[str, ...]
    files: tuple[tuple[str, bytes], ...]

    def export(self, folder: Path) -> list[str]:
        """Write the files into ``folder``; return the commands with the masses."""
        for name, content in self.files:
            (folder / name).write_bytes(content)
        return [*self.commands, *(f"mass {i} {mass!r}" for i, mass in enumerate(self.masses, start=1))]


@dataclass(frozen=True)
class StaticPoint:
    """One configuration: energy (eV), forces (eV/Å, shape (n_atoms, 3)) and virial −∂U/∂ε (eV, shape (3, 3))."""

    energy: float
    forces: FLOAT
    virial: FLOAT


def static_points(potential: PairPotential, configurations: Sequence[Atoms]) -> list[StaticPoint]:
    """Compute configurations at rest.

    Raises:
        InputError: The potential's commands are not allowed.
        EngineError: There is no LAMMPS, or it failed.
    """
    with tempfile.TemporaryDirectory(prefix="phasecal-static-") as name:
        folder = Path(name)
        commands = potential.export(folder)
        check_commands(commands, {name for name, _ in potential.files}, potential.elements)
        (folder / "potential.in").write_text("\n".join(commands) + "\n", encoding="ascii")
        numbers = {"n_points": len(configurations), "skin": SKIN}
        lines = [f"variable {key} index {value}" for key, value in numbers.items()]
        (folder / "parameters.in").write_text("\n".join(lines) + "\n", encoding="ascii")
        turns = []
        for i, atoms in enumerate(configurations, start=1):
            text, turn = _data_file(atoms, potential)
            (folder / f"start.{i}.data").write_text(text, encoding="ascii")
            turns.append(turn)
        run_lammps(folder, "static")
        rows = [match.split() for match in _POINT.findall((folder / LOG_FILE).read_text(encoding="utf-8"))]
        if len(rows) != len(configurations):
            raise EngineError(f"LAMMPS computed {len(rows)} of {len(configurations)} configurations")
        return [
            _point(np.array(row, dtype=np.float64), folder / f"forces.{i}.dump", atoms, turn)
            for i, (row, atoms, turn) in enumerate(zip(rows, configurations, turns, strict=True), start=1)
        ]


def _data_file(atoms: Atoms, potential: PairPotential) -> tuple[str, FLOAT]:
    """Return a data file of a triclinic cell, and the orthogonal matrix Q (rows x ↦ x Q) that turned it."""
    turn, upper = np.linalg.qr(atoms.cell.array.T)
    signs = np.sign(np.diag(upper))
    turn = turn * signs
    lower = (upper * signs[:, None]).T
    lines = ["written by phasecal", "", f"{len(atoms)} atoms", f"{len(potential.elements)} atom types", ""]
    lines += [f"0.0 {float(lower[i, i])!r} {axis}lo {axis}hi" for i, axis in enumerate("xyz")]
    lines += [f"{float(lower[1, 0])!r} {float(lower[2, 0])!r} {float(lower[2, 1])!r} xy xz yz", "", "Masses", ""]
    lines += [f"{i} {mass!r}" for i, mass in enumerate(potential.masses, start=1)]
    lines += ["", "Atoms # atomic", ""]
    positions = (atoms.get_scaled_positions(wrap=True) @ lower).tolist()
    for i, (symbol, (x, y, z)) in enumerate(zip(atoms.symbols, positions, strict=True), start=1):
        lines.append(f"{i} {potential.elements.index(symbol) + 1} {x!r} {y!r} {z!r}")
    return "\n".join(lines) + "\n", turn


def _point(row: FLOAT, dump: Path, atoms: Atoms, turn: FLOAT) -> StaticPoint:
    """Read one configuration and turn it back."""
    forces = np.loadtxt(dump, skiprows=9, ndmin=2)[:, 1:]
    xx, yy, zz, xy, xz, yz = row[1:] * atoms.cell.volume / BAR_PER_EV_A3
    virial = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    return StaticPoint(float(row[0]), forces @ turn.T, turn @ virial @ turn.T)
