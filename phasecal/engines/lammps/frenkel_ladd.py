"""The run ``frenkel-ladd``: a crystal switched into independent springs at fixed volume, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from ase import Atoms
from pydantic import Field, model_validator

from phasecal.engines.lammps.switching import Edge, SwitchingTask, in_cell, scaled_model
from phasecal.engines.lammps.task import Parameters, sub_seeds

Spring = Annotated[float, Field(gt=0.0, le=1e4, allow_inf_nan=False)]


class FrenkelLaddTask(SwitchingTask):
    """H(λ) = (1 − λ) U + λ Σ k u²/2, u from the sites of the perfect crystal in the cell of the task.

    Attributes:
        cell_a: Edges of the whole orthogonal cell, Å: the mean of an isothermal–isobaric run.
        springs_ev_a2: Spring constant of each element, eV/Å².
    """

    columns: ClassVar[Mapping[str, str]] = {
        "v_lambda": "lambda",
        "c_model": "model_ev",
        "c_reference": "reference_ev",
    }

    kind: Literal["frenkel-ladd"]
    cell_a: Annotated[list[Edge], Field(min_length=3, max_length=3)]
    springs_ev_a2: dict[str, Spring]

    @model_validator(mode="after")
    def _springs(self) -> FrenkelLaddTask:
        """Every element of the crystal has its spring."""
        missing = sorted(set(self.structure["elements"]) - set(self.springs_ev_a2))
        if missing:
            raise ValueError(f"springs_ev_a2: no spring for {', '.join(missing)}")
        return self

    def start_configuration(self) -> Atoms:
        """Build the perfect crystal in the cell of the task: its atoms are where the springs are fixed."""
        return in_cell(super().start_configuration(), self.cell_a)

    def potential(self, commands: list[str], elements: Sequence[str]) -> list[str]:
        """Scale the model, and give every atom the spring of its element."""
        springs = [f"(type=={i})*{self.springs_ev_a2.get(name, 0.0)!r}" for i, name in enumerate(elements, start=1)]
        return [*scaled_model(commands), f"variable spring atom {'+'.join(springs)}"]

    def parameters(self) -> Parameters:
        """Return the variables of ``frenkel-ladd.in``."""
        seeds = sub_seeds(self.seed, 2)
        return super().parameters() | {"seed": seeds[0], "seed_thermostat": seeds[1]}
