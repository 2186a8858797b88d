"""Labelled frames: what a potential is fitted to, read from extxyz through ASE.

Stress is ASE's: σ = (1/V) ∂E/∂ε, eV/Å³, positive in tension; it is optional. Energies and forces are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from numpy.typing import NDArray

from phasecal.errors import DataError, InputError

FLOAT = NDArray[np.float64]


@dataclass(frozen=True)
class Labelled:
    """A periodic configuration with its labels.

    Attributes:
        atoms: The configuration.
        energy: eV.
        forces: eV/Å, shape (n_atoms, 3).
        stress: eV/Å³, shape (3, 3), or None.
        source: File and index, for messages.
    """

    atoms: Atoms
    energy: float
    forces: FLOAT
    stress: FLOAT | None
    source: str = "frame"

    def __post_init__(self) -> None:
        """Check the labels.

        Raises:
            DataError: A number is not finite, or the configuration is not periodic.
        """
        finite = all(np.isfinite(x).all() for x in (self.energy, self.forces, self.stress) if x is not None)
        if not (finite and self.atoms.pbc.all() and self.atoms.cell.volume > 0):
            raise DataError(f"{self.source}: expected a cell periodic in all directions and finite labels")


def read_labelled(paths: Sequence[Path], elements: Sequence[str]) -> list[Labelled]:
    """Read all frames of files.

    Args:
        paths: Files that ASE reads, such as extxyz.
        elements: The elements that may occur.

    Raises:
        InputError: A file cannot be read, lacks labels, or holds another element.
    """
    return [_labelled(atoms, f"{path}[{i}]", elements) for path in paths for i, atoms in enumerate(read_frames(path))]


def read_frames(path: Path) -> list[Atoms]:
    """Read configurations through ASE.

    Raises:
        InputError: The file cannot be read or is empty.
    """
    try:
        frames = read(path, index=":")
    except Exception as error:  # ASE's readers raise anything, down to StopIteration
        raise InputError(f"{path}: not readable by ASE ({type(error).__name__}: {error}); expected extxyz") from error
    if not frames:
        raise InputError(f"{path}: holds no frames; expected extxyz")
    return list(frames)


def _labelled(atoms: Atoms, source: str, elements: Sequence[str]) -> Labelled:
    """Take the labels of one frame out of ASE's calculator."""
    strange = sorted(set(atoms.symbols) - set(elements))
    if strange:
        raise InputError(f"{source}: holds {', '.join(strange)}, which is not among the elements {', '.join(elements)}")
    try:
        energy, forces = float(atoms.get_potential_energy()), np.array(atoms.get_forces(apply_constraint=False))
    except (RuntimeError, PropertyNotImplementedError) as error:
        raise InputError(f"{source}: has no energy and forces; label it first (phasecal label)") from error
    try:
        stress = np.array(atoms.get_stress(voigt=False))
    except PropertyNotImplementedError:
        stress = None
    return Labelled(bare(atoms), energy, forces, stress, source)


def bare(atoms: Atoms) -> Atoms:
    """Return atoms without labels, momenta or constraints (which take forces away)."""
    return Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)


def write_labelled(path: Path, frames: Sequence[Labelled]) -> None:
    """Write frames as extxyz that :func:`read_labelled` reads."""
    images = []
    for frame in frames:
        atoms = frame.atoms.copy()
        labels: dict[str, Any] = {"energy": frame.energy, "forces": frame.forces}
        if frame.stress is not None:
            xx, yy, zz = np.diag(frame.stress)
            labels["stress"] = np.array([xx, yy, zz, frame.stress[1, 2], frame.stress[0, 2], frame.stress[0, 1]])
        atoms.calc = SinglePointCalculator(atoms, **labels)
        images.append(atoms)
    write(path, images, format="extxyz")


def divide(
    frames: Sequence[Labelled], validation: float, test: float, seed: int
) -> tuple[list[Labelled], list[Labelled], list[Labelled]]:
    """Return frames that train, that decide when to stop, and that are looked at once; at random by the seed.

    Raises:
        InputError: There are too few frames for one of each.
    """
    order = np.random.default_rng(seed).permutation(len(frames))
    n_validation, n_test = (max(1, round(part * len(frames))) for part in (validation, test))
    if len(frames) - n_validation - n_test < 1:
        raise InputError(f"{len(frames)} frames cannot be split into training, validation and test; label more")
    parts = np.split(order, [len(frames) - n_validation - n_test, len(frames) - n_test])
    train, stop, last = ([frames[i] for i in part] for part in parts)
    return train, stop, last


def reference_energies(frames: Sequence[Labelled], elements: Sequence[str]) -> FLOAT:
    """Fit the energy of each element by least squares, E ≈ Σ_s n_s ε_s, eV, shape (n_elements,).

    Where compositions do not tell elements apart, the smallest of all solutions is taken.
    """
    counts = np.array([[frame.atoms.symbols.count(element) for element in elements] for frame in frames], dtype=float)
    energies = np.array([frame.energy for frame in frames])
    return np.asarray(np.linalg.lstsq(counts, energies, rcond=None)[0])
