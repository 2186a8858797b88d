"""Reading and writing EAM tables in the setfl format: LAMMPS' ``eam/alloy`` and ``eam/fs`` files.

Layout (documentation of LAMMPS' ``pair_style eam``): three comment lines, elements, ``Nrho drho Nr dr
cutoff``; per element a line ``Z mass a lattice``, F(ρ), and ρ(r) (``fs``: one ρ(r) for each element that
receives it); then r·φ(r) for each pair i ≥ j. A list starts on a new line.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from phasecal.bounded import MAX_CUTOFF, POTENTIAL_BYTES, printable, read_lines
from phasecal.errors import InputError

MIN_POINTS = 5
"""Fewest points of a table: the five-point slope of LAMMPS' splines needs them."""
MAX_POINTS = 1_000_000
"""Most points of a table; real ones have at most some ten thousand."""
MAX_ELEMENTS = 16

_ELEMENT = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,15}")
_COUNT = re.compile(r"[0-9]{1,9}")

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
        self.path, self.line = path, 4
        lines = read_lines(path, InputError, POTENTIAL_BYTES)
        self.comments = list(islice(lines, 3))
        numbered = ((number, line.split("#")[0].split()) for number, line in enumerate(lines, start=4))
        self.lines = (entry for entry in numbered if entry[1])
        self.ahead: tuple[int, list[str]] | None = None

    def error(self, message: str, line: int | None = None) -> InputError:
        """Return the error for a line (default: the one read last)."""
        return InputError(f"{self.path}:{line or self.line}: {printable(message)}")

    def peek(self) -> tuple[int, list[str]] | None:
        """Return number and words of the next line without going on; None at the end."""
        if self.ahead is None:
            self.ahead = next(self.lines, None)
        return self.ahead

    def tokens(self, what: str) -> list[str]:
        """Return the words of the next line."""
        found, self.ahead = self.peek(), None
        if found is None:
            raise self.error(f"the file ends before {what}; is it a complete eam/alloy or eam/fs file?")
        self.line, words = found
        return words

    def next_is_number(self) -> bool:
        """Return whether the next line ends in a number (and so is not the header of an element)."""
        found = self.peek()
        if found is None:
            return False
        try:
            float(found[1][-1])
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
    if words[0] != str(len(words) - 1) or not 1 < len(words) <= MAX_ELEMENTS + 1:
        raise reader.error(f"expected the number of elements and their names, got {' '.join(words)[:60]!r}")
    if len(set(words)) != len(words):
        raise reader.error(f"an element is named twice: {' '.join(words[1:])}")
    if strange := [word for word in words[1:] if not _ELEMENT.fullmatch(word)]:
        raise reader.error(f"expected names of elements, got {strange[0][:60]!r}")
    return tuple(words[1:])


def _grid(reader: _Reader) -> tuple[int, float, int, float, float]:
    """Read the line ``Nrho drho Nr dr cutoff``."""
    words = reader.tokens("the line 'Nrho drho Nr dr cutoff'")
    if len(words) != 5 or not (_COUNT.fullmatch(words[0]) and _COUNT.fullmatch(words[2])):
        raise reader.error(f"expected 'Nrho drho Nr dr cutoff', got {' '.join(words)[:60]!r}")
    n_rho, n_r = int(words[0]), int(words[2])
    drho, dr, cutoff = (reader.number(words[i], name) for i, name in ((1, "drho"), (3, "dr"), (4, "cutoff")))
    if min(n_rho, n_r) < MIN_POINTS or min(drho, dr, cutoff) <= 0:
        raise reader.error(f"expected at least {MIN_POINTS} points and positive drho, dr and cutoff")
    if max(n_rho, n_r) > MAX_POINTS or cutoff > MAX_CUTOFF:
        raise reader.error(f"expected at most {MAX_POINTS} points and a cutoff of at most {MAX_CUTOFF:g} Å")
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
    if not 0 <= number < 1000:
        raise reader.error(f"expected the atomic number of {element}, got {words[0]}")
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
