"""What the validators of one section know about the rest of a campaign."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationInfo

from phasecal.errors import InputError
from phasecal.potentials.setfl import Setfl
from phasecal.structures.crystals import composition, crystal, supercell
from phasecal.units import parse_quantity

TASKS = ("calibrate", "transition", "phase-diagram", "verify")
TASKS_WITH_TARGETS = ("calibrate", "verify")


@dataclass(frozen=True)
class Context:
    """The campaign as far as it is understood before it is validated.

    Attributes:
        task: One of :data:`TASKS`.
        phases: The phases as the file writes them; empty where that is not a mapping.
        source: The potential file, or why it cannot be used; None when the campaign names none.
        family: Family of the model as the file writes it.
        folder: Folder of the campaign file.
        units: ``lj`` when everything is in reduced units, else None.
    """

    task: str
    phases: dict[str, dict[str, Any]]
    source: tuple[Path, Setfl] | InputError | None
    family: str | None = None
    folder: Path = Path()
    units: str | None = None

    def is_melt(self, phase: str) -> bool:
        """Say whether a phase is made by melting another."""
        return "melt" in self.phases.get(phase, {})

    def structure(self, phase: str) -> dict[str, Any]:
        """Return the crystal a phase is, or is molten from, as the file writes it; empty when unclear."""
        entry = self.phases.get(phase, {})
        return self.phases.get(str(entry["melt"]), {}) if "melt" in entry else entry

    def composition(self, phase: str) -> dict[str, float] | None:
        """Return the fraction of each element in a phase; None when the phase is not understood."""
        try:
            return composition(self.structure(phase))
        except (InputError, KeyError, TypeError, ValueError):
            return None

    def has_melt_of(self, phase: str) -> bool:
        """Say whether a melt of the composition of a phase is among the phases."""
        wanted = self.composition(phase)
        return wanted is not None and any(
            self.is_melt(name) and self.composition(name) == wanted for name in self.phases
        )

    def neighbor_distance_a(self) -> float:
        """Return the nearest-neighbour distance in Å, the largest of all crystals that are understood, else 0."""
        largest = 0.0
        for entry in self.phases.values():
            try:
                a = parse_quantity(entry["a"], "length")
                structure = {"prototype": entry["prototype"], "elements": entry["elements"], "a": a}
                atoms = supercell(crystal(structure), 100)
            except (InputError, KeyError, TypeError, ValueError):
                continue  # reported where it is written
            largest = max(largest, float(atoms.get_distances(0, range(1, len(atoms)), mic=True).min()))
        return largest

    def elements(self) -> list[str]:
        """Return the elements of all phases, as far as they are understood, in the order in which they appear."""
        lists = [entry.get("elements") for entry in self.phases.values()]
        words = [word for entry in lists if isinstance(entry, list) for word in entry if isinstance(word, str)]
        return list(dict.fromkeys(words))

    def first_crystal(self) -> str | None:
        """Return the name of the first phase that is a crystal."""
        return next((name for name, entry in self.phases.items() if "melt" not in entry), None)


def context_of(info: ValidationInfo) -> Context:
    """Return the context that :func:`phasecal.campaign.load.load_campaign` gave."""
    context = info.context
    assert isinstance(context, Context)
    return context
