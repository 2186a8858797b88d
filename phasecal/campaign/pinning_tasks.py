"""From a validated campaign and its protocol to the molecular-dynamics tasks of interface pinning."""

from __future__ import annotations

from collections.abc import Sequence

from phasecal.campaign.tasks import Task, crystal_of, derive_seed, is_liquid
from phasecal.errors import InputError

BLOCK = "pinning"
"""Protocol block of a state that does not name another as its ``stage``."""


def block_of(campaign: Task, state: Task) -> Task:
    """Return the protocol's numbers for a state."""
    return dict(campaign["protocol"][state.get("stage", BLOCK)])


def check_phases(campaign: Task, phases: Sequence[str]) -> None:
    """Refuse a boundary that pinning cannot measure.

    Raises:
        InputError: The phases are not a crystal and the melt of one, in this order.
    """
    if [is_liquid(campaign, phase) for phase in phases] != [False, True]:
        raise InputError(
            f"interface pinning needs phases [solid, liquid], got {list(phases)}: write the crystal first, or use "
            "another method between crystals"
        )


def reference_task(
    campaign: Task,
    state: Task,
    *,
    role: str,
    temperature_k: float,
    timestep_fs: float,
    attempt: int,
    lateral_a: Sequence[float] | None = None,
) -> Task:
    """Return the MD task of one bulk reference.

    Args:
        campaign: A validated campaign with its protocol.
        state: ``phases`` (solid, liquid), ``pressure_gpa``, ``label``, and ``stage`` where not :data:`BLOCK`.
        role: ``solid``, which finds its lateral edges, or ``liquid``, which takes them.
        temperature_k: Temperature, K.
        timestep_fs: Time step, fs.
        attempt: Number of the attempt; seeds depend on it.
        lateral_a: Edges along x and y, Å; None for the solid.
    """
    steps = block_of(campaign, state)["reference_steps"]
    task = _task(campaign, state, temperature_k=temperature_k, timestep_fs=timestep_fs, seed_labels=(attempt, role))
    lateral = None if lateral_a is None else list(lateral_a)
    return task | {"role": role, "lateral_a": lateral, "kappa_ev": 0.0, "anchor": 0.0, "production_steps": steps}


def pinned_tasks(
    campaign: Task,
    state: Task,
    *,
    temperature_k: float,
    timestep_fs: float,
    attempt: int,
    lateral_a: Sequence[float],
    bias: Task,
) -> list[Task]:
    """Return the MD tasks of all replicas of one attempt.

    Args:
        campaign: A validated campaign with its protocol.
        state: ``phases`` (solid, liquid), ``pressure_gpa``, ``label``, and ``stage`` where not :data:`BLOCK`.
        temperature_k: Temperature, K.
        timestep_fs: Time step, fs.
        attempt: Number of the attempt; seeds depend on it.
        lateral_a: Edges along x and y of the references, Å.
        bias: ``kappa_ev`` and ``anchor``.
    """
    chosen = {"role": "two-phase", "lateral_a": list(lateral_a), "kappa_ev": bias["kappa_ev"], "anchor": bias["anchor"]}
    common = {"temperature_k": temperature_k, "timestep_fs": timestep_fs}
    return [
        _task(campaign, state, **common, seed_labels=(attempt, "two-phase", replica)) | chosen
        for replica in range(block_of(campaign, state)["replicas"])
    ]


def _task(
    campaign: Task, state: Task, *, temperature_k: float, timestep_fs: float, seed_labels: tuple[int | str, ...]
) -> Task:
    """What all roles share."""
    block = block_of(campaign, state)
    names = ("n_lateral", "n_normal", "relax_steps", "melt_steps", "cool_steps", "settle_steps")
    return {
        "schema": 1,
        "kind": "pinning",
        "phases": state["phases"],
        "structure": crystal_of(campaign, state["phases"][0]),
        "temperature_k": temperature_k,
        "pressure_gpa": state["pressure_gpa"],
        "timestep_fs": timestep_fs,
        "melt_temperature_k": campaign["protocol"]["melt_factor"] * temperature_k,
        **{name: block[name] for name in names},
        "production_steps": block["production_steps"],
        "thermo_every": block["thermo_every"],
        "sample_every": block["sample_every"],
        "restart_every": campaign["protocol"]["restart_every"],
        "seed": derive_seed(campaign["seed"], state["label"], "pinning", *seed_labels),
    }
