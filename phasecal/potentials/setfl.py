"""Reading and writing EAM tables in the setfl format: LAMMPS' ``eam/alloy`` and ``eam/fs`` files.

Layout (documentation of LAMMPS' ``pair_style eam``): three comment lines, elements, ``Nrho drho Nr dr
cutoff``; per element a line ``Z mass a lattice``, F(ρ), and ρ(r) (``fs``: one ρ(r) for each element that
receives it); then r·φ(r) for each pair i ≥ j. A list starts on a new line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from phasecal.errors import InputError

MIN_POINTS = 5
"""Fewest points of a table: the five-point slope of LAMMPS' splines needs them."""

FLOAT = NDArray[np.float64]


@dataclass(frozen=True)
class Lattice:
    """Header of an element: atomic number, lattice constant (Å) and lattice name (lower case)."""

    number: int
    constant: float
    name: str


@dataclass(frozen=True)
class Setfl:
    """The content of a setfl file.

    Attributes:
        style: ``alloy`` or ``fs`` (one element reads the same in both: ``alloy``).
        elements: Chemical symbols.
        masses: Atomic masses, amu, one per element.
        lattices: Header of each element.
        drho: Spacing of the embedding tables, units of density; the first point is ρ = 0.
        dr: Spacing of the density and pair tables, Å; the first point is r = 0.
        cutoff: Å.
        embedding: F(ρ), eV, shape (n_elements, n_rho).
        density: ρ(r), shape (n_elements, n_r); for ``fs`` (n_elements², n_r), row
            ``donor * n_elements + receiver``.
        pair: r·φ(r), eV·Å, shape (n_elements (n_elements + 1)/2, n_r), rows (0,0), (1,0), (1,1), (2,0), …
        source: The file, for messages.
    """

    style: Literal["alloy", "fs"]
    elements: tuple[str, ...]
    masses: tuple[float, ...]
    lattices: tuple[Lattice, ...]
    drho: float
    dr: float
    cutoff: float
    embedding: FLOAT
    density: FLOAT
    pair: FLOAT
    source: str = "setfl"


class _Reader:
    """The lines of a file without comments and blanks, with line numbers for messages."""

    def __init__(self, path: Path) -> None:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        lines = text.splitlines()
        self.path = path
        self.comments = lines[:3]
        self.lines = [
            (number, tokens) for number, line in enumerate(lines[3:], start=4) if (tokens := line.split("#")[0].split())
        ]
        self.next = 0

    def error(self, message: str, line: int | None = None) -> InputError:
        """Return the error for a line (default: the one read last)."""
        if line is None:
            line = self.lines[self.next - 1][0] if self.next else 4
        return InputError(f"{self.path}:{line}: {message}")

    def tokens(self, what: str) -> list[str]:
        """Return the words of the next line."""
        if self.next == len(self.lines):
            raise self.error(f"the file ends before {what}; is it a complete eam/alloy or eam/fs file?")
        self.next += 1
        return self.lines[self.next - 1][1]

    def next_is_number(self) -> bool:
        """Return whether the next line ends in a number (and so is not the header of an element)."""
        if self.next == len(self.lines):
            return False
        try:
            float(self.lines[self.next][1][-1])
        except ValueError:
            return False
        return True

    def number(self, text: str, what: str) -> float:
        """Return a finite number from the line that was read last."""
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.error(f"expected {what}, a finite number, got {text!r}")
        return value

    def table(self, count: int, what: str) -> FLOAT:
        """Return ``count`` numbers that start on the next line and end with a line."""
        values: list[float] = []
        while len(values) < count:
            words = self.tokens(f"the end of {what} ({count} numbers, {len(values)} found)")
            values += [self.number(word, what) for word in words]
        if len(values) > count:
            raise self.error(f"{what} has more than the {count} numbers announced on line 5")
        return np.array(values)


def read_setfl(path: str | Path) -> Setfl:
    """Read an ``eam/alloy`` or ``eam/fs`` file; which one it is follows from its content.

    Args:
        path: The file, in units metal (eV, Å).

    Raises:
        InputError: The file is missing or broken; the message names file and line.
    """
    reader = _Reader(Path(path))
    if any("UNITS:" in line and line.split("UNITS:")[1].split()[:1] != ["metal"] for line in reader.comments[:1]):
        raise reader.error("only files in units metal (eV, Å) can be read", line=1)
    elements = _elements(reader)
    n_rho, drho, n_r, dr, cutoff = _grid(reader)
    n = len(elements)
    masses, lattices, embedding, density = [], [], [], []
    per_element = 1
    for element in elements:
        mass, lattice = _element_header(reader, element)
        masses.append(mass)
        lattices.append(lattice)
        embedding.append(reader.table(n_rho, f"F(rho) of {element}"))
        density.append(reader.table(n_r, f"rho(r) of {element}"))
        if element == elements[0] and n > 1 and reader.next_is_number():
            per_element = n
        density += [reader.table(n_r, f"rho(r) of {element} at {other}") for other in elements[1:per_element]]
    pair = [reader.table(n_r, f"r*phi(r) of {elements[i]}-{elements[j]}") for i in range(n) for j in range(i + 1)]
    return Setfl(
        style="fs" if per_element > 1 else "alloy",
        elements=elements,
        masses=tuple(masses),
        lattices=tuple(lattices),
        drho=drho,
        dr=dr,
        cutoff=cutoff,
        embedding=np.array(embedding),
        density=np.array(density),
        pair=np.array(pair),
        source=str(path),
    )


def _elements(reader: _Reader) -> tuple[str, ...]:
    """Read the line ``N El1 El2 …``."""
    words = reader.tokens("the line of elements")
    if not words[0].isdigit() or int(words[0]) != len(words) - 1 or len(words) == 1:
        raise reader.error(f"expected the number of elements and their names, got {' '.join(words)[:60]!r}")
    if len(set(words)) != len(words):
        raise reader.error(f"an element is named twice: {' '.join(words[1:])}")
    return tuple(words[1:])


def _grid(reader: _Reader) -> tuple[int, float, int, float, float]:
    """Read the line ``Nrho drho Nr dr cutoff``."""
    words = reader.tokens("the line 'Nrho drho Nr dr cutoff'")
    if len(words) != 5 or not (words[0].isdigit() and words[2].isdigit()):
        raise reader.error(f"expected 'Nrho drho Nr dr cutoff', got {' '.join(words)[:60]!r}")
    n_rho, n_r = int(words[0]), int(words[2])
    drho, dr, cutoff = (reader.number(words[i], name) for i, name in ((1, "drho"), (3, "dr"), (4, "cutoff")))
    if min(n_rho, n_r) < MIN_POINTS or min(drho, dr, cutoff) <= 0:
        raise reader.error(f"expected at least {MIN_POINTS} points and positive drho, dr and cutoff")
    return n_rho, drho, n_r, dr, cutoff


def _element_header(reader: _Reader, element: str) -> tuple[float, Lattice]:
    """Read the line ``Z mass a lattice`` of an element."""
    words = reader.tokens(f"the header of {element}")
    if len(words) < 2:
        raise reader.error(f"expected 'Z mass a lattice' of {element}, got {' '.join(words)!r}")
    number = reader.number(words[0], f"the atomic number of {element}")
    mass = reader.number(words[1], f"the mass of {element}")
    constant = reader.number(words[2], f"the lattice constant of {element}") if len(words) > 2 else 0.0
    if mass <= 0:
        raise reader.error(f"expected a positive mass of {element}, got {words[1]}")
    return mass, Lattice(int(number), constant, words[3].lower() if len(words) > 3 else "")


def write_setfl(path: str | Path, setfl: Setfl, comment: str) -> None:
    """Write an ``eam/alloy`` or ``eam/fs`` file whose numbers read back bit for bit.

    Args:
        path: The file to write.
        setfl: The tables.
        comment: One line about where the tables come from.
    """
    n = len(setfl.elements)
    per_element = n if setfl.style == "fs" else 1
    sizes = f"{setfl.embedding.shape[1]} {setfl.drho!r} {setfl.pair.shape[1]} {setfl.dr!r} {setfl.cutoff!r}"
    lines = [
        f"# UNITS: metal {comment}",
        f"# eam/{setfl.style}",
        "# written by phasecal",
        " ".join([str(n), *setfl.elements]),
        sizes,
    ]
    for i in range(n):
        lattice = setfl.lattices[i]
        lines.append(f"{lattice.number} {setfl.masses[i]!r} {lattice.constant!r} {lattice.name}".rstrip())
        lines += _numbers(setfl.embedding[i])
        for row in setfl.density[i * per_element : (i + 1) * per_element]:
            lines += _numbers(row)
    for row in setfl.pair:
        lines += _numbers(row)
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _numbers(values: FLOAT) -> list[str]:
    """Format a table, five numbers a line, with the 17 digits that identify a float64."""
    return [" ".join(f"{value:.16e}" for value in values[i : i + 5]) for i in range(0, len(values), 5)]
