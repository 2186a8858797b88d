"""The molecular-dynamics tasks behind the free energy of one phase at one state.

A state has ``phase``, ``temperature_k``, ``pressure_gpa`` and ``label`` (the purpose, on which seeds depend), and
``end_temperature_k`` when the Gibbs energy is wanted along the isobar from ``temperature_k`` to there. Its
``stage``, if it has one, decides on the number of runs.
"""

from __future__ import annotations

from math import prod
from typing import Any

from phasecal.campaign.tasks import Task, bulk_task, crystal_of, derive_seed, is_liquid
from phasecal.freeenergy.uhlenbeck_ford import fluid_length, table
from phasecal.structures.crystals import barostat_of, crystal, supercell

AT_TARGET = ("reanchor", "verification")
"""Stages whose result is compared with experiment."""


def cell_task(campaign: Task, state: Task, timestep_fs: float) -> Task:
    """Return the bulk run that gives the mean cell and, for a crystal, the springs."""
    block = campaign["protocol"]["free_energy"]
    task = bulk_task(
        campaign,
        phase=state["phase"],
        temperature_k=state["temperature_k"],
        pressure_gpa=state["pressure_gpa"],
        timestep_fs=timestep_fs,
        seed=_seed(campaign, state, "cell"),
    )
    changes = {name: block[name] for name in ("n_atoms", "sample_every", "thermo_every")}
    return task | changes | {"production_steps": block["cell_steps"]}


def n_repeats(block: dict[str, Any], stage: str | None) -> int:
    """Return how many runs a free energy is the mean of: near a target its error is that of a result.

    Args:
        block: ``free_energy`` of a protocol.
        stage: What the boundary is measured for, such as ``verification``.
    """
    at_target: int | None = block.get("repeats_at_target") if stage in AT_TARGET else None
    return int(at_target or block["repeats"])


def switching_tasks(campaign: Task, state: Task, cell: dict[str, Any], timestep_fs: float) -> list[Task]:
    """Return the repeats that switch the phase into its reference system and back.

    Args:
        campaign: A validated campaign.
        state: The state.
        cell: What :func:`phasecal.freeenergy.absolute.cell_and_springs` found.
        timestep_fs: Time step, fs.
    """
    block = campaign["protocol"]["free_energy"]
    common = _common(campaign, state, timestep_fs, block["switch_steps"]) | {"cell_a": cell["cell_a"]}
    if is_liquid(campaign, state["phase"]):
        n_atoms = len(supercell(crystal(common["structure"]), block["n_atoms"]))
        own = {
            "kind": "uhlenbeck-ford",
            "uf_p": table().p,
            "uf_sigma_a": fluid_length(prod(cell["cell_a"]) / n_atoms),
            "melt_temperature_k": campaign["protocol"]["melt_factor"] * state["temperature_k"],
            "melt_steps": campaign["protocol"]["bulk"]["melt_steps"],
        }
    else:
        own = {"kind": "frenkel-ladd", "springs_ev_a2": cell["springs_ev_a2"]}
    return [
        common | own | {"seed": _seed(campaign, state, "switch", i)}
        for i in range(n_repeats(block, state.get("stage")))
    ]


def sweep_tasks(campaign: Task, state: Task, timestep_fs: float) -> list[Task]:
    """Return the repeats along the isobar; none when the state has no ``end_temperature_k``."""
    if "end_temperature_k" not in state:
        return []
    block = campaign["protocol"]["free_energy"]
    liquid = is_liquid(campaign, state["phase"])
    common = _common(campaign, state, timestep_fs, block["sweep_steps"])
    own = {
        "kind": "reversible-scaling",
        "end_temperature_k": state["end_temperature_k"],
        "melt": liquid,
        "melt_temperature_k": campaign["protocol"]["melt_factor"] * state["temperature_k"] if liquid else None,
        "melt_steps": campaign["protocol"]["bulk"]["melt_steps"] if liquid else 0,
        "barostat": "iso" if liquid else barostat_of(common["structure"]),
    }
    return [
        common | own | {"seed": _seed(campaign, state, "sweep", i)} for i in range(n_repeats(block, state.get("stage")))
    ]


def once_more(task: Task) -> Task:
    """Return the same task with another seed."""
    return task | {"seed": derive_seed(task["seed"], "once more")}


def _common(campaign: Task, state: Task, timestep_fs: float, switch_steps: int) -> Task:
    """Entries of all switching tasks but kind and seed."""
    block = campaign["protocol"]["free_energy"]
    return {
        "schema": 1,
        "phase": state["phase"],
        "structure": crystal_of(campaign, state["phase"]),
        "n_atoms": block["n_atoms"],
        "temperature_k": state["temperature_k"],
        "pressure_gpa": state["pressure_gpa"],
        "timestep_fs": timestep_fs,
        "hold_steps": block["hold_steps"],
        "switch_steps": switch_steps,
        "production_steps": 2 * (block["hold_steps"] + switch_steps),
        "sample_every": block["sample_every"],
        "thermo_every": block["thermo_every"],
        "restart_every": campaign["protocol"]["restart_every"],
    }


def _seed(campaign: Task, state: Task, *purpose: object) -> int:
    """Seed of one run of a state."""
    where = (state["label"], state["phase"], state["temperature_k"], state["pressure_gpa"])
    return derive_seed(campaign["seed"], *where, "free_energy", *purpose)
