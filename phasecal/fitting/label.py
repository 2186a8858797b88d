"""Labelling frames by a teacher: any pair style of LAMMPS, or any ASE calculator.

LAMMPS computes every frame at rest (``run 0`` without any fix), so that forces are those of the potential: the force
array of a thermostatted run may hold random and friction forces (``fix langevin``), which are no labels.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.data import atomic_masses, atomic_numbers

from phasecal.bounded import POTENTIAL_BYTES, checked_file
from phasecal.campaign.sources import SCHEME, resolve_source
from phasecal.engines.lammps.static import PairPotential, static_points
from phasecal.errors import EngineError, InputError
from phasecal.fitting.data import Labelled, bare, is_periodic, read_frames
from phasecal.sample import Sample

Teacher = Callable[[Sequence[Atoms]], list[Labelled]]
"""Labels frames."""


def lammps_teacher(commands: Sequence[str], files: Sequence[str], elements: Sequence[str], folder: Path) -> Teacher:
    """Return a teacher that is a potential of LAMMPS.

    Args:
        commands: Pair commands from the allow-list (:mod:`phasecal.engines.lammps.commands`), units metal.
        files: The files that they name: paths, or ``lammps://NAME``.
        elements: Chemical symbols in the order of the atom types.
        folder: Where relative paths start.

    Raises:
        InputError: A file is missing or too large, or an element is none.
    """
    content = []
    for source in files:
        name = Path(source.removeprefix(SCHEME)).name
        try:
            path = checked_file(resolve_source(source, folder), POTENTIAL_BYTES, InputError)
            content.append((name, path.read_bytes()))
        except InputError as error:
            raise InputError(f"{source}: {error}") from None
    if unknown := [element for element in elements if element not in atomic_numbers]:
        raise InputError(f"{unknown[0]}: no chemical element; expected symbols in the order of the atom types")
    masses = tuple(float(atomic_masses[atomic_numbers[element]]) for element in elements)
    potential = PairPotential(tuple(elements), masses, tuple(commands), tuple(content))

    def label(frames: Sequence[Atoms]) -> list[Labelled]:
        """Compute all frames in one process; the stress is minus the virial per volume."""
        strange = sorted({symbol for atoms in frames for symbol in atoms.symbols} - set(elements))
        if strange:
            raise InputError(f"the frames hold {', '.join(strange)}; expected elements among {', '.join(elements)}")
        points = static_points(potential, frames)
        return [
            Labelled(atoms, point.energy, point.forces, -point.virial / atoms.cell.volume, f"frame {i}")
            for i, (atoms, point) in enumerate(zip(frames, points, strict=True))
        ]

    return label


def ase_teacher(entry: str) -> Teacher:
    """Return a teacher that is an ASE calculator.

    Args:
        entry: ``module:factory``; the factory is called without arguments and returns a calculator.

    Raises:
        InputError: There is no such factory, or it fails.
    """
    module, _, name = entry.partition(":")
    try:
        calculator = getattr(importlib.import_module(module), name)()
    except Exception as error:  # a user's module may fail in any way
        raise InputError(
            f"{entry}: makes no calculator ({type(error).__name__}: {error}); expected module:factory, such as "
            "ase.calculators.emt:EMT, in a module that Python finds (PYTHONPATH)"
        ) from error

    def label(frames: Sequence[Atoms]) -> list[Labelled]:
        """Compute the frames one after the other; a calculator without stress gives none."""
        return [_calculated(calculator, atoms, f"frame {i}") for i, atoms in enumerate(frames)]

    return label


def _calculated(calculator: Any, atoms: Atoms, source: str) -> Labelled:
    """Label one frame."""
    atoms = bare(atoms)
    atoms.calc = calculator
    try:
        energy, forces = float(atoms.get_potential_energy()), np.array(atoms.get_forces())
        try:
            stress = np.array(atoms.get_stress(voigt=False))
        except PropertyNotImplementedError:
            stress = None
    except Exception as error:  # a user's calculator may fail in any way
        raise EngineError(f"{source}: the calculator failed ({type(error).__name__}: {error})") from error
    atoms.calc = None
    return Labelled(atoms, energy, forces, stress, source)


def read_unlabelled(path: Path, stride: int = 1) -> list[Atoms]:
    """Read frames to label: a sample of phasecal (``.npz``), or extxyz.

    Args:
        path: The file.
        stride: Take every ``stride``-th frame.

    Raises:
        InputError: The file cannot be read, or a frame is not periodic.
        DataError: It is a broken sample.
    """
    if path.suffix != ".npz":
        frames = [bare(atoms) for atoms in read_frames(path)[::stride]]
        if not all(map(is_periodic, frames)):
            raise InputError(f"{path}: a frame is not periodic in all directions; expected periodic cells")
        return frames
    sample = Sample.load(path)
    symbols = [sample.elements[kind] for kind in sample.species]
    return [
        Atoms(symbols, positions=positions.astype(np.float64), cell=cell, pbc=True)
        for positions, cell in zip(sample.positions[::stride], sample.cells[::stride], strict=True)
    ]
