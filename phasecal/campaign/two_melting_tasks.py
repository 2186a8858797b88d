"""From a validated campaign to the runs behind a boundary of two crystals that is found from their melting points.

A state has ``phases`` (low-, high-temperature crystal), ``pressure_gpa``, ``guess_k`` (of the boundary) and ``label``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from phasecal.campaign.tasks import Task, bulk_task, crystal_of, derive_seed, is_liquid
from phasecal.errors import InputError
from phasecal.structures.crystals import composition
from phasecal.units import few_bits

MELTING_RATIO = 1.6
"""Melting point over the temperature of a transition between crystals, where a campaign says nothing about melting: 1.4
to 1.9 for Fe, Ti and Zr. Only where the search starts."""
BELOW_MELTING = 0.9
"""Share of the lower melting point to which a guess of the boundary above it is taken back."""


def melt_of(campaign: Task, phases: Sequence[str]) -> str:
    """Return the melt of two crystals.

    Raises:
        InputError: The phases are not two crystals, or the campaign has no melt of their composition.
    """
    if any(is_liquid(campaign, phase) for phase in phases):
        raise InputError(
            f"two melting points need two crystals, got {list(phases)}: use coexistence for a crystal and its melt"
        )
    wanted = composition(crystal_of(campaign, phases[0]))
    for name in campaign["phases"]:
        if is_liquid(campaign, name) and composition(crystal_of(campaign, name)) == wanted:
            return str(name)
    raise InputError(
        f"two melting points need the melt of {list(phases)}: add a phase such as liquid: {{melt: {phases[1]}}}"
    )


def melting_guess(campaign: Task, state: Task, crystal: str) -> float:
    """Return where the search for the melting point of a crystal starts, K.

    That is what the campaign says of this or else of any boundary with the melt, at the nearest pressure.
    """
    melt = melt_of(campaign, state["phases"])
    melting = [boundary for boundary in campaign["boundaries"] if boundary["phases"][1] == melt]
    for boundary in sorted(melting, key=lambda boundary: boundary["phases"][0] != crystal):
        if boundary["guess_k"] is not None:
            return float(boundary["guess_k"])
        nearest = min(boundary["targets"], key=lambda target: abs(target["pressure_gpa"] - state["pressure_gpa"]))
        return float(nearest["temperature_k"])
    return MELTING_RATIO * float(state["guess_k"])


def ladder(state: Task, melting_k: tuple[float, float], temperatures: int) -> dict[str, list[float]]:
    """Return the temperatures of the first runs of each phase, K, by ``low``, ``high`` and ``melt``.

    Both crystals from the guess to the lower melting point; the melt and the high-temperature crystal at both.
    """
    lower, upper = melting_k
    guess = min(state["guess_k"], BELOW_MELTING * lower)
    crystals = [few_bits(float(t)) for t in np.linspace(guess, lower, temperatures)[:-1]]
    return {"low": [*crystals, lower], "high": [*crystals, lower, upper], "melt": [lower, upper]}


def enthalpy_tasks(
    campaign: Task, state: Task, temperatures_k: Mapping[str, Sequence[float]], timestep_fs: float
) -> dict[str, Task]:
    """Return the bulk runs at the temperatures of :func:`ladder`, by ``low_0``, ``low_1``, … and so on."""
    names = dict(zip(("low", "high"), state["phases"], strict=True)) | {"melt": melt_of(campaign, state["phases"])}
    block = campaign["protocol"]["two_melting_points"]
    changes = {"n_atoms": block["n_atoms"], "production_steps": block["production_steps"]}
    return {
        f"{role}_{i}": bulk_task(
            campaign,
            phase=names[role],
            temperature_k=temperature,
            pressure_gpa=state["pressure_gpa"],
            timestep_fs=timestep_fs,
            seed=derive_seed(
                campaign["seed"], state["label"], "two-melting-points", names[role], temperature, state["pressure_gpa"]
            ),
        )
        | changes
        for role, chosen in temperatures_k.items()
        for i, temperature in enumerate(chosen)
    }
