"""What the runs that switch the Hamiltonian have in common: their schedule, and a model that can be scaled.

A run is one loop, in four legs: hold, forward, hold, backward. ``progress`` goes from 0 to 1 and back; the script of
each kind turns it into λ. Nothing is averaged over legs: works come from the thermo lines, every one of which has λ
and both unscaled energies. A line is exact at its own step, so a restarted run is as good as an uninterrupted one.

Found by experiment with the wheel (2025.7.22.4.0), and tested: ``pe`` of ``hybrid/scaled`` is the scaled sum, ``compute
pair`` is not scaled; ``fix ti/spring`` starts its schedule again in a continued run, so springs are ``fix spring/self``
with a variable constant, which gives the same trajectory; ``hybrid/scaled`` refuses ``omp`` styles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from ase import Atoms
from pydantic import Field, model_validator

from phasecal.engines.lammps.commands import combined, read_pair
from phasecal.engines.lammps.task import MdTask, Parameters, PositiveSteps
from phasecal.errors import InputError
from phasecal.structures.crystals import crystal, supercell

Edge = Annotated[float, Field(gt=0.5, lt=1e5, allow_inf_nan=False)]

SWITCHING_THERMOSTAT_STEPS = 20
"""Time constant of the thermostat of these runs, in steps: what forgets itself sooner dissipates less (ADR 0022)."""


class SwitchingTask(MdTask):
    """A run that switches from one Hamiltonian to another and back.

    ``production_steps`` is 2 (``hold_steps`` + ``switch_steps``): the first hold is also the equilibration.
    """

    phase: str
    n_atoms: Annotated[int, Field(ge=2, le=10**8)]
    hold_steps: PositiveSteps
    switch_steps: PositiveSteps

    @model_validator(mode="after")
    def _legs(self) -> SwitchingTask:
        """Legs begin and end with a thermo line, and every leg has frames in which the phase can be checked."""
        if self.production_steps != 2 * (self.hold_steps + self.switch_steps):
            raise ValueError("production_steps must be 2 (hold_steps + switch_steps)")
        for name, steps in (("hold_steps", self.hold_steps), ("switch_steps", self.switch_steps)):
            if steps % self.thermo_every:
                raise ValueError(f"{name} ({steps}) must be a multiple of thermo_every ({self.thermo_every})")
            if self.sample_every > steps:
                raise ValueError(f"sample_every ({self.sample_every}) must not exceed {name} ({steps})")
        return self

    @property
    def sampled(self) -> str:
        """Name of the phase."""
        return self.phase

    def start_configuration(self) -> Atoms:
        """Build a near-cubic block of the crystal."""
        return supercell(crystal(self.structure), self.n_atoms)

    def parameters(self) -> Parameters:
        """Return the variables that all switching scripts share."""
        return super().parameters() | {
            "tdamp_ps": SWITCHING_THERMOSTAT_STEPS * self.timestep_fs / 1000.0,
            "switch_steps": self.switch_steps,
            "end_hold": self.hold_steps,
            "end_forward": self.hold_steps + self.switch_steps,
            "end_far": 2 * self.hold_steps + self.switch_steps,
        }


def in_cell(block: Atoms, edges: Sequence[float]) -> Atoms:
    """Stretch a block to the edges of an orthogonal cell, Å."""
    stretched: Atoms = block.copy()
    stretched.set_cell(list(edges), scale_atoms=True)
    return stretched


def scaled_model(commands: Sequence[str], reference: Sequence[str] = ()) -> list[str]:
    """Rewrite a model's commands so that its forces and energies are multiplied by the variable ``scale_model``.

    Args:
        commands: What ``export_lammps`` returns: ``pair_style X …`` and any number of ``pair_coeff I J …``,
            ``pair_modify …`` and other lines; X may be ``hybrid/overlay``.
        reference: The same of a reference system, multiplied by ``scale_reference``.

    Returns:
        Commands with ``pair_style hybrid/scaled`` and the computes ``model`` and ``reference`` of the unscaled
        energies.

    Raises:
        InputError: The model is another hybrid, has not exactly one pair style, or has long-range forces beyond it.
    """
    groups = {"model": commands, "reference": reference} if reference else {"model": commands}
    if kspace := [line for group in groups.values() for line in group if line.startswith("kspace")]:
        raise InputError(f"free energies need a potential without {kspace[0].split()[0]}, which LAMMPS cannot scale")
    pairs = [read_pair(group) for group in groups.values()]
    lines, names = combined(pairs, [f"scale_{name}" for name in groups])
    for name, styles in zip(groups, names, strict=True):
        lines += _energy(name, styles)
    return lines


def _energy(name: str, styles: Sequence[str]) -> list[str]:
    """Return a compute of the unscaled energy of some pair styles.

    LAMMPS sums the scalars of computes in variables only, and only an atom-style variable can become a compute again:
    the mean over atoms of the sum, which is the same for all atoms. So the scripts find one compute for any model.
    """
    if len(styles) == 1:
        return [f"compute {name} all pair {styles[0]}"]
    parts = [f"compute {name}_{i} all pair {style}" for i, style in enumerate(styles, start=1)]
    terms = "+".join(f"c_{name}_{i}" for i in range(1, len(styles) + 1))
    total = [f"variable {name}_energy equal {terms}", f"variable {name}_sum atom v_{name}_energy"]
    return [*parts, *total, f"compute {name} all reduce ave v_{name}_sum"]
