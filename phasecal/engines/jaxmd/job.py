"""The folder of one run: what it starts from, its checkpoints, and what it has recorded so far.

Every file is written beside its place and moved there in one go, so that a killed run leaves none of them half done.
A part holds what was recorded between two checkpoints; it is written before the checkpoint at its end, and a run that
is continued from an earlier checkpoint writes the same part again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecal.bounded import read_json, read_npz
from phasecal.engines.jaxmd.state import State
from phasecal.engines.lammps.bulk import BulkTask
from phasecal.engines.lammps.kinds import validate_task
from phasecal.errors import DataError, InputError
from phasecal.potentials.base import Model, load_model

TASK_FILE = "task.json"
MODEL_FILE = "model.safetensors"
LOG_FILE = "md.log"
STATE_GLOB = "state.*.npz"
PART_GLOB = "production.*.npz"
SAMPLE_FILE = "sample.npz"
THERMO_FILE = "thermo.npz"
STATES_KEPT = 2
"""Checkpoints that are kept: folders of one batch may end one checkpoint apart when they are killed."""


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes:
        folder: Its folder.
        task: What is run.
        model: The potential.
        species: Index of each atom into the model's elements, shape (n_atoms,).
        positions: Of the crystal it starts from, Å, shape (n_atoms, 3).
        edges: Of its box, Å, shape (3,).
        mark: Hash of task and model, which its checkpoints carry.
    """

    folder: Path
    task: BulkTask
    model: Model
    species: NDArray[np.int32]
    positions: NDArray[np.float64]
    edges: NDArray[np.float64]
    mark: str


@dataclass(frozen=True)
class Checkpoint:
    """Where a run can be continued.

    Attributes:
        stage: Index of the stage.
        step: Steps of it that are done.
        width: Width of the neighbour rows.
        state: The replica's state.
    """

    stage: int
    step: int
    width: int
    state: State


def write_inputs(folder: Path, task: Mapping[str, Any], model: Model) -> None:
    """Write ``task.json`` and ``model.safetensors`` of a run.

    Raises:
        InputError: The engine cannot do it, see :func:`check_task`.
    """
    check_task(task, model)
    (folder / TASK_FILE).write_text(json.dumps(task, indent=1) + "\n", encoding="utf-8")
    model.save(folder / MODEL_FILE)


def check_task(task: Mapping[str, Any], model: Model) -> BulkTask:
    """Return the task when this engine can do it with this model.

    Raises:
        InputError: The task is not valid or not of kind ``bulk``, the model lacks one of its elements, or its energies
            are not whole.
    """
    checked = validate_task(task)
    if not isinstance(checked, BulkTask):
        raise InputError(f"MD task: kind: jax-md samples bulk states, got {checked.kind!r}; use engine lammps for it")
    if not model.complete:
        raise InputError(f"a model of family {model.family} has a part that only LAMMPS computes; use engine lammps")
    missing = sorted(set(checked.structure["elements"]) - set(model.elements))
    if missing:
        raise InputError(f"structure: the model knows {', '.join(model.elements)} but not {', '.join(missing)}")
    return checked


def read_job(folder: Path) -> Job:
    """Read the task and the model of a run.

    Raises:
        InputError: There is no task, or the engine cannot do it.
        DataError: There is no model.
    """
    task = read_json(folder / TASK_FILE, InputError)
    model = load_model(folder / MODEL_FILE)
    checked = check_task(task, model)
    atoms = checked.start_configuration()
    canonical = json.dumps(checked.model_dump(by_alias=True), sort_keys=True)
    return Job(
        folder=folder,
        task=checked,
        model=model,
        species=np.array([model.elements.index(symbol) for symbol in atoms.symbols], dtype=np.int32),
        positions=atoms.positions,
        edges=atoms.cell.lengths(),
        mark=hashlib.sha256(f"{canonical}{model.hash}".encode()).hexdigest(),
    )


def save_checkpoint(job: Job, point: Checkpoint) -> None:
    """Write a checkpoint and remove those that are no longer needed."""
    meta = {"schema": 1, "mark": job.mark, "stage": point.stage, "step": point.step, "width": point.width}
    arrays = {name: np.asarray(array) for name, array in point.state._asdict().items()}
    write_npz(job.folder / f"state.{point.stage}.{point.step:010d}.npz", meta=json.dumps(meta), **arrays)
    for old in sorted(job.folder.glob(STATE_GLOB))[:-STATES_KEPT]:
        old.unlink()


def read_checkpoints(job: Job) -> dict[tuple[int, int], Checkpoint]:
    """Return the checkpoints of a run by stage and step.

    Raises:
        DataError: One is damaged, or of another task or model.
    """
    points = {}
    for path in sorted(job.folder.glob(STATE_GLOB)):
        arrays: dict[str, Any] = {**read_npz(path)}
        meta = read_json(str(arrays.pop("meta", "")).encode(), name=f"{path}: meta")
        if meta.get("mark") != job.mark:
            raise DataError(f"{path}: a checkpoint of another task or model; remove it, or use another folder")
        try:
            point = Checkpoint(meta["stage"], meta["step"], meta["width"], State(**arrays))
        except (KeyError, TypeError) as error:
            raise DataError(f"{path}: not a whole checkpoint ({error})") from error
        points[point.stage, point.step] = point
    return points


def write_npz(path: Path, **arrays: Any) -> None:
    """Write arrays in one go."""
    draft = path.with_name(path.name + ".part")
    with draft.open("wb") as file:
        np.savez(file, **arrays)
    os.replace(draft, path)
