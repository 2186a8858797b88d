"""The task ``self-check``: does JAX compute on a node what it computes elsewhere?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax

import phasecal
from phasecal.errors import InputError
from phasecal.potentials.base import Model, energies, frames_from_atoms, gradients, load_model
from phasecal.structures.crystals import crystal, supercell

N_ATOMS = 108


def run(folder: Path, task: dict[str, Any]) -> dict[str, Any]:
    """Compute a crystal with the first model of the task.

    Returns:
        Version of phasecal, kind of device, and what :func:`crystal_under` returns.

    Raises:
        InputError: The task names no model or no crystal.
        DataError: The model cannot be read, or lacks an element of the crystal.
    """
    if not task.get("models") or not isinstance(task.get("structure"), dict):
        raise InputError("self-check task: expected models and structure")
    found = crystal_under(load_model(folder / task["models"][0]), task["structure"])
    return {"version": phasecal.__version__, "device": jax.default_backend(), **found}


def crystal_under(model: Model, structure: dict[str, Any]) -> dict[str, Any]:
    """Return the energy per atom (eV) of a crystal of about 108 atoms, and its derivatives by the parameters."""
    atoms = supercell(crystal(structure), N_ATOMS)
    frames = frames_from_atoms([atoms], model.elements, model.cutoff)
    return {
        "energy_ev_atom": float(energies(model, frames)[0]) / len(atoms),
        "gradient_ev_atom": (gradients(model, frames)[0] / len(atoms)).tolist(),
    }
