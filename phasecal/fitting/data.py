"""Labelled frames: what a potential is fitted to, read from extxyz through ASE.

Stress is ASE's: σ = (1/V) ∂E/∂ε, eV/Å³, positive in tension; it is optional. Energies and forces are not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from ase.io.extxyz import key_val_str_to_dict
from numpy.typing import NDArray

from phasecal.bounded import printable, read_lines
from phasecal.errors import DataError, InputError

FLOAT = NDArray[np.float64]

MAX_COLUMNS = 100
"""Numbers and words of an atom in an extxyz file."""
THINNEST = 0.5
"""Å between opposite faces of a cell: the number of images within a cutoff grows as it falls."""

T = TypeVar("T")
_COUNT = re.compile(r"\s*[0-9]{1,9}\s*", re.ASCII)  # what int() takes for spaces and digits


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
        labels = [x for x in (self.energy, self.forces, self.stress) if x is not None]
        if not (is_periodic(self.atoms) and all(np.isfinite(x).all() for x in labels)):
            raise DataError(f"{self.source}: expected a cell periodic in all directions and finite labels")
        if self.forces.shape != self.atoms.positions.shape or (self.stress is not None and self.stress.shape != (3, 3)):
            raise DataError(f"{self.source}: expected a force on each atom and a stress of 3 × 3")


def read_labelled(paths: Sequence[Path], elements: Sequence[str]) -> list[Labelled]:
    """Read all frames of files.

    Args:
        paths: extxyz files.
        elements: The elements that may occur.

    Raises:
        InputError: A file cannot be read, lacks labels, or holds another element.
    """
    return [_labelled(atoms, f"{path}[{i}]", elements) for path in paths for i, atoms in enumerate(read_frames(path))]


def read_frames(path: Path) -> list[Atoms]:
    """Read the frames of an extxyz file through ASE; no other format, some of which run code or open databases.

    Raises:
        InputError: The file cannot be read or is empty.
    """
    _check_counts(path)
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            frames = read(file, index=":", format="extxyz", properties_parser=_properties)
    except Exception as error:  # ASE's readers raise anything, down to StopIteration
        reason = printable(f"{type(error).__name__}: {error}", 200)
        raise InputError(f"{path}: not readable by ASE ({reason}); expected extxyz") from error
    if not frames:
        raise InputError(f"{path}: holds no frames; expected extxyz")
    return list(frames)


def _check_counts(path: Path) -> None:
    """Check that every frame has as many lines as it says it has atoms, before ASE counts to that number.

    Raises:
        InputError: One has not.
    """
    lines = enumerate(read_lines(path, InputError), start=1)
    for number, line in lines:
        if not line.strip():
            return  # ASE reads no further
        n_atoms = int(line) if _COUNT.fullmatch(line) else 0
        n_found = sum(1 for _ in islice(lines, n_atoms + 1)) - 1
        if not 0 < n_atoms == n_found:
            raise InputError(
                f"{path}:{number}: expected a number of atoms, a line about the cell and a line for each atom, got "
                f"{printable(line.strip(), 60)!r} and {max(n_found, 0)} lines of atoms"
            )


def _properties(line: str) -> dict[str, Any]:
    """Take apart a line about a cell and its columns, before ASE makes as many of them as it says.

    Raises:
        ValueError: There are too many.
    """
    found: dict[str, Any] = key_val_str_to_dict(line)
    if sum(map(int, str(found.get("Properties", "")).split(":")[2::3])) > MAX_COLUMNS:
        raise ValueError(f"more than {MAX_COLUMNS} columns")
    return found


def _labelled(atoms: Atoms, source: str, elements: Sequence[str]) -> Labelled:
    """Take the labels of one frame out of ASE's calculator."""
    strange = sorted(set(atoms.symbols) - set(elements))
    if strange:
        raise InputError(f"{source}: holds {', '.join(strange)}, which is not among the elements {', '.join(elements)}")
    try:
        energy, forces = float(atoms.get_potential_energy()), np.array(atoms.get_forces(apply_constraint=False))
    except (RuntimeError, PropertyNotImplementedError) as error:
        raise InputError(f"{source}: has no energy and forces; label it first (phasecal label)") from error
    except Exception as error:  # ASE keeps labels of any shape and kind
        raise InputError(f"{source}: its energy and forces are not readable ({printable(error, 100)})") from error
    try:
        stress = np.array(atoms.get_stress(voigt=False))
    except PropertyNotImplementedError:
        stress = None
    except Exception as error:  # the same
        raise InputError(f"{source}: its stress is not readable ({printable(error, 100)})") from error
    return Labelled(bare(atoms), energy, forces, stress, source)


def is_periodic(atoms: Atoms) -> bool:
    """Say whether atoms repeat in all directions, at finite places in a cell no flatter than :data:`THINNEST`."""
    cell = atoms.cell.array
    if not (atoms.pbc.all() and np.isfinite(cell).all() and np.isfinite(atoms.positions).all()):
        return False
    with np.errstate(all="ignore"):  # a cell so long that its volume overflows is none
        faces = np.linalg.norm(np.cross(cell[[1, 2, 0]], cell[[2, 0, 1]]), axis=1)
        return bool(np.inf > abs(np.linalg.det(cell)) > THINNEST * faces.max() > 0)


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


def divide(frames: Sequence[T], validation: float, test: float, seed: int) -> tuple[list[T], list[T], list[T]]:
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
