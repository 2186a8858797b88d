"""The family ``lammps``: any pair style of LAMMPS as a frozen base, and a correction in embedded-atom form.

U_θ(x) = U_base(x) + δU_θ(x). The base is text and files: pair commands from the allow-list of
:mod:`phasecal.engines.lammps.commands` and the content of every file they name. It has no energy in JAX and needs none:
wherever versions of one model are compared, it cancels,

    U_θ(x) − U_θ'(x) = δU_θ(x) − δU_θ'(x),

and where the whole energy of a stored frame matters, LAMMPS has printed it: U_θ(x) = U_printed(x) + δU_θ(x) − δU_θ'(x),
with θ' of the model that drove the run. :meth:`FrozenModel.energy` is δU alone. In LAMMPS both parts add up in
``hybrid/overlay``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from ase.data import atomic_masses, atomic_numbers
from numpy.typing import NDArray

from phasecal.engines.lammps.commands import check_commands, check_file_name, overlay
from phasecal.engines.lammps.static import PairPotential
from phasecal.errors import InputError
from phasecal.potentials.base import FLOAT, Arrays, EnergyFunction, Model
from phasecal.potentials.eam import EamModel

_FILE = "file/"
_CORRECTION = "correction/"
"""Beginnings of the names of arrays that hold a file, and a table of the correction."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FrozenModel(Model):
    """A frozen LAMMPS potential with or without a correction (see the module).

    Attributes:
        commands: ``pair_style``, ``pair_coeff`` …, one command each; atom types in the order of :attr:`elements`.
        files: Content of every file that the commands name, by its plain name.
        correction: Embedded-atom tables that are zero, and what each parameter adds to them; None: nothing to train.
    """

    family: ClassVar[str] = "lammps"
    complete: ClassVar[bool] = False

    commands: tuple[str, ...]
    files: Mapping[str, bytes]
    correction: EamModel | None = None

    def __post_init__(self) -> None:
        """Check the commands and files, also of a model that was loaded from a file.

        Raises:
            InputError: A command is not allowed, or a file has an unusable name or is missing.
        """
        for name in self.files:
            check_file_name(name)
        check_commands(self.commands, set(self.files), self.elements)
        super().__post_init__()

    @classmethod
    def from_commands(
        cls,
        elements: Sequence[str],
        commands: Sequence[str],
        files: Mapping[str, bytes],
        correction: EamModel | None = None,
    ) -> Self:
        """Make the original model; masses are those of the ``mass`` commands, otherwise of the elements.

        Args:
            elements: Chemical symbols in the order of the atom types.
            commands: Pair commands.
            files: Content of the files that the commands name.
            correction: What can be trained (:func:`phasecal.potentials.correction.eam_correction`).
        """
        masses = {name: float(atomic_masses[atomic_numbers[name]]) for name in elements}
        own = [command.split() for command in commands if command.split()[:1] == ["mass"]]
        others = tuple(command for command in commands if command.split()[:1] != ["mass"])
        check_commands(commands, set(files), elements)
        masses |= {elements[int(index) - 1]: float(mass) for _, index, mass in own}
        return cls(
            elements=tuple(elements),
            cutoff=correction.cutoff if correction else 0.0,
            masses=masses,
            theta=correction.theta if correction else np.zeros(0),
            commands=others,
            files=dict(files),
            correction=replace(correction, masses=masses) if correction else None,
        )

    @cached_property
    def base(self) -> PairPotential:
        """The frozen part alone; the same for all versions of the model."""
        masses = tuple(self.masses[name] for name in self.elements)
        return PairPotential(self.elements, masses, self.commands, tuple(sorted(self.files.items())))

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Those of the correction."""
        return self.correction.parameter_names if self.correction else ()

    @property
    def config(self) -> dict[str, Any]:
        """Everything but the files and tables."""
        return {
            "elements": list(self.elements),
            "masses": dict(self.masses),
            "commands": list(self.commands),
            "files": sorted(self.files),
            "correction": self.correction.config if self.correction else None,
        }

    def arrays(self) -> Arrays:
        """Return the parameters, the files as bytes, and the (zero) tables that the correction is added to."""
        arrays: Arrays = {"theta": self.theta}
        arrays |= {_FILE + name: np.frombuffer(content, dtype=np.uint8) for name, content in self.files.items()}
        if self.correction:
            tables = {_CORRECTION + name: array for name, array in self.correction.arrays().items() if name != "theta"}
            arrays |= tables
        return arrays

    @classmethod
    def from_arrays(
        cls, config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], parent: str | None = None
    ) -> Self:
        """Rebuild a model from its config and arrays; commands and files are checked as those of a new one."""
        tables = {name.removeprefix(_CORRECTION): a for name, a in arrays.items() if name.startswith(_CORRECTION)}
        theta: FLOAT = arrays["theta"]
        correction = config["correction"]
        return cls(
            elements=tuple(config["elements"]),
            masses=config["masses"],
            cutoff=correction["cutoff"] if correction else 0.0,
            theta=theta,
            parent=parent,
            commands=tuple(config["commands"]),
            files={name: arrays[_FILE + name].tobytes() for name in config["files"]},
            correction=EamModel.from_arrays(correction, {"theta": 0 * theta, **tables}) if correction else None,
        )

    @cached_property
    def energy_function(self) -> EnergyFunction:
        """The correction on the device; the base is not in it."""
        if self.correction is None:
            raise InputError(
                "this model is a frozen LAMMPS potential without a correction: phasecal runs it, but cannot compute or "
                "train its energies; give it a correction"
            )
        return self.correction.energy_function

    def export_lammps(self, folder: Path) -> list[str]:
        """Write the files of the base and the correction's table; return the LAMMPS commands."""
        commands = self.base.export(Path(folder))
        if self.correction is None:
            return commands
        current = replace(self.correction, theta=self.theta, parent=self.hash)
        return overlay(self.commands, current.export_lammps(folder))
