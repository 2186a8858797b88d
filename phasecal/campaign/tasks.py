"""From a validated campaign and its protocol to the molecular-dynamics tasks of the engine.

A campaign here is the dictionary of :meth:`phasecal.campaign.schema.Campaign.to_dict`: internal units, protocol
resolved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from phasecal.structures.crystals import barostat_of
from phasecal.units import few_bits

MAX_SEED = 899_999_999
"""LAMMPS' random number generators accept seeds from 1 to about 9·10⁸."""

Task = dict[str, Any]


def derive_seed(base: int, *labels: object) -> int:
    """Return a seed in [1, 9·10⁸) for a purpose; different labels give independent streams.

    Seeds come from a hash rather than from counting up, so that adding a run to a campaign changes no other run.
    """
    text = ":".join(str(label) for label in (base, *labels))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % (MAX_SEED - 1) + 1


def state_label(purpose: str, phases: Sequence[str], pressure_gpa: float) -> str:
    """Return what the seeds of all runs at one boundary and pressure are made from."""
    return f"{purpose}:{'-'.join(phases)}:{pressure_gpa}"


def crystal_of(campaign: Task, phase: str) -> Task:
    """Return the crystal structure of a phase; for a liquid the crystal it is molten from."""
    description = campaign["phases"][phase]
    return dict(campaign["phases"][description["melt"]] if "melt" in description else description)


def is_liquid(campaign: Task, phase: str) -> bool:
    """Say whether the phase is made by melting another one."""
    return "melt" in campaign["phases"][phase]


def crystals_of(campaign: Task) -> list[str]:
    """Return the names of the crystalline phases."""
    return [name for name in campaign["phases"] if not is_liquid(campaign, name)]


def bulk_task(
    campaign: Task, *, phase: str, temperature_k: float, pressure_gpa: float, timestep_fs: float, seed: int
) -> Task:
    """Return the MD task that samples one phase at one state in the isothermal–isobaric ensemble.

    A liquid is molten at ``melt_factor`` times the temperature first; cubic crystals and liquids keep an isotropic
    barostat, other crystals get three independent axes.
    """
    protocol = campaign["protocol"]
    structure = crystal_of(campaign, phase)
    liquid = is_liquid(campaign, phase)
    block = protocol["bulk"]
    return {
        "schema": 1,
        "kind": "bulk",
        "phase": phase,
        "structure": structure,
        "melt": liquid,
        "n_atoms": block["n_atoms"],
        "temperature_k": temperature_k,
        "pressure_gpa": pressure_gpa,
        "timestep_fs": timestep_fs,
        "melt_temperature_k": protocol["melt_factor"] * temperature_k if liquid else None,
        "melt_steps": block["melt_steps"] if liquid else 0,
        "equilibration_steps": block["equilibration_steps"],
        "production_steps": block["production_steps"],
        "sample_every": block["sample_every"],
        "thermo_every": block["thermo_every"],
        "restart_every": protocol["restart_every"],
        "barostat": "iso" if liquid else barostat_of(structure),
        "seed": seed,
    }


def coexistence_parameters(
    campaign: Task,
    *,
    phases: list[str],
    pressure_gpa: float,
    guess_k: float,
    timestep_fs: float,
    stages: list[str],
    label: str,
) -> Task:
    """Return the inputs of a coexistence work chain: what to run, in which stages (protocol blocks), from where."""
    protocol = campaign["protocol"]
    return {
        "phases": phases,
        "structure": crystal_of(campaign, phases[0]),
        "pressure_gpa": pressure_gpa,
        "guess_k": guess_k,
        "timestep_fs": timestep_fs,
        "melt_factor": protocol["melt_factor"],
        "restart_every": protocol["restart_every"],
        "seed": campaign["seed"],
        "label": label,
        "stages": [{"name": name, **protocol[name]} for name in stages],
    }


def coexistence_tasks(parameters: Task, *, stage: Task, temperature_k: float, attempt: int) -> list[Task]:
    """Return the MD tasks of all replicas of one attempt at one stage.

    Replicas start alternately above and below ``temperature_k``, by the share ``relative_spread`` of it or by
    ``start_spread_k`` where that is given: agreement from both sides is one of the conditions for believing the result.
    """
    temperature_k = few_bits(temperature_k)
    spread_k = stage["start_spread_k"] or stage["relative_spread"] * temperature_k
    tasks = []
    for replica in range(stage["replicas"]):
        spread = spread_k * (1 if replica % 2 == 0 else -1)
        tasks.append(
            {
                "schema": 1,
                "kind": "coexistence",
                "phases": parameters["phases"],
                "structure": parameters["structure"],
                "n_lateral": stage["n_lateral"],
                "n_normal": stage["n_normal"],
                "temperature_k": temperature_k,
                "start_temperature_k": few_bits(temperature_k + spread),
                "pressure_gpa": parameters["pressure_gpa"],
                "timestep_fs": parameters["timestep_fs"],
                "melt_temperature_k": parameters["melt_factor"] * temperature_k,
                "relax_steps": stage["relax_steps"],
                "melt_steps": stage["melt_steps"],
                "cool_steps": stage["cool_steps"],
                "settle_steps": stage["settle_steps"],
                "production_steps": stage["production_steps"],
                "thermo_every": stage["thermo_every"],
                "sample_every": stage["sample_every"],
                "restart_every": parameters["restart_every"],
                "seed": derive_seed(parameters["seed"], parameters["label"], stage["name"], attempt, replica),
            }
        )
    return tasks
