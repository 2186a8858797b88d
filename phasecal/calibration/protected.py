"""Cold values that a calibration must not change, and what crystals are like before and after.

The reference is always the original model: every structure relaxed under it, and its values there. Deviations
are counted in tolerances far below anything that matters, so that they cannot add up over the rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecal.calibration.schema import Protected
from phasecal.errors import InputError
from phasecal.observables.cold import ColdState, ProtectedRows, elastic_constants, protected_rows, relax
from phasecal.observables.symmetry import independent_elastic_constants, primitive
from phasecal.potentials.base import Model
from phasecal.structures.crystals import crystal

TOLERANCES = {"eV/atom": 1e-6, "GPa": 1e-3}
"""Within which a protected value counts as unchanged."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ColdProtection:
    """The protected values of all structures as exact rows (:class:`~phasecal.difftre.problem.Protection`).

    Attributes:
        model: A model of the calibration; its parameters are replaced by θ.
        entries: The structures.
        references: Each at rest under the original model.
        original: Their values under the original model.
    """

    model: Model
    entries: tuple[Protected, ...]
    references: tuple[ColdState, ...]
    original: tuple[ProtectedRows, ...]

    @classmethod
    def build(cls, original: Model, entries: Sequence[Protected]) -> ColdProtection:
        """Relax the structures under the original model and note their values.

        Raises:
            InputError: A structure cannot be built, or holds an element that the model lacks.
            ConvergenceError: The original model does not bind a structure.
        """
        references = []
        for entry in entries:
            atoms = crystal(entry.structure)
            missing = sorted(set(atoms.symbols) - set(original.elements))
            if missing:
                raise InputError(f"protect: {entry.name} holds {', '.join(missing)}, which the model does not describe")
            references.append(relax(original, atoms))
        rows = tuple(
            protected_rows(original, reference, entry.kind)
            for entry, reference in zip(entries, references, strict=True)
        )
        return cls(original, tuple(entries), tuple(references), rows)

    @property
    def names(self) -> list[str]:
        """Name of each value, e.g. ``fcc C11``."""
        return [
            f"{entry.name} {name}"
            for entry, rows in zip(self.entries, self.original, strict=True)
            for name in rows.names
        ]

    @property
    def units(self) -> list[str]:
        """Unit of each value."""
        return [unit for rows in self.original for unit in rows.units]

    def deviation(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return deviations and their Jacobian (see :class:`~phasecal.difftre.problem.Protection`)."""
        tolerances = np.array([TOLERANCES[unit] for unit in self.units])
        rows = self._rows(theta)
        change = _values(rows) - _values(self.original)
        jacobian = np.concatenate([row.jacobian for row in rows])
        return np.asarray(change / tolerances), np.asarray(jacobian / tolerances[:, None])

    def worst(self, deviation: FloatArray) -> str:
        """Say which value deviates most, and by how much."""
        row = int(np.abs(deviation).argmax())
        unit = self.units[row]
        return f"{self.names[row]} is off by {deviation[row] * TOLERANCES[unit]:.2g} {unit}"

    def report(self, theta: FloatArray) -> list[dict[str, Any]]:
        """Return each value under the original model and at θ."""
        before, after = _values(self.original), _values(self._rows(theta))
        return [
            {"name": name, "value_before": float(old), "value_after": float(new), "unit": unit}
            for name, old, new, unit in zip(self.names, before, after, self.units, strict=True)
        ]

    def _rows(self, theta: FloatArray) -> list[ProtectedRows]:
        """Return values and derivatives of every structure at θ."""
        return [
            protected_rows(self.model, reference, entry.kind, theta)
            for entry, reference in zip(self.entries, self.references, strict=True)
        ]


def _values(rows: Sequence[ProtectedRows]) -> FloatArray:
    """Return the values of all structures, shape (n_rows,)."""
    return np.concatenate([row.values for row in rows])


def cold_properties(model: Model, entry: Protected, reference: ColdState) -> dict[str, Any]:
    """Return what a structure is like at rest under a model.

    Args:
        model: The model.
        entry: The structure.
        reference: It at rest under the original model, where the relaxation starts.

    Returns:
        ``cell_a`` (edges of the conventional cell, Å), ``energy_ev`` and ``volume_a3`` per atom; for a phase
        also ``elastic_gpa`` by name of the constant.
    """
    conventional = crystal(entry.structure)
    state = relax(model, reference.atoms)
    cell = conventional.cell.array
    for before, after in ((conventional, reference.atoms), (reference.atoms, state.atoms)):
        cell = cell @ np.linalg.solve(primitive(before).cell.array, after.cell.array)
    properties: dict[str, Any] = {
        "cell_a": np.linalg.norm(cell, axis=1).tolist(),
        "energy_ev": state.energy_per_atom_ev,
        "volume_a3": state.volume_per_atom,
    }
    if entry.kind == "phase":
        elastic = elastic_constants(model, state)
        properties["elastic_gpa"] = {
            f"C{i + 1}{j + 1}": float(elastic[i, j]) for i, j in independent_elastic_constants(state.atoms)
        }
    return properties
