"""Read what a run of the jax-md engine leaves, complete or not, into what the LAMMPS engine's reader returns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecal.bounded import Arrays, printable, read_lines, read_npz
from phasecal.engines.jaxmd.job import LOG_FILE, PART_GLOB
from phasecal.engines.jaxmd.progress import read_progress
from phasecal.engines.jaxmd.state import COLUMNS
from phasecal.engines.lammps.bulk import BulkTask
from phasecal.engines.lammps.kinds import validate_task
from phasecal.engines.lammps.output import MdOutput
from phasecal.errors import DataError, InputError
from phasecal.sample import Sample

_STAGE = re.compile(r"^phasecal stage: (\w+)$")
_WALL = re.compile(r"^step .*, wall (\d{1,12}(?:\.\d+)?) s$")


def read_output(folder: Path, task: Mapping[str, Any], model_hash: str, elements: tuple[str, ...]) -> MdOutput:
    """Read the log and the recorded parts of a run.

    Args:
        folder: Folder with ``md.log`` and the ``production.*.npz``.
        task: The MD task of the run.
        model_hash: Hash of the model that drove it.
        elements: The model's elements.

    Raises:
        DataError: There is no log, or a part is damaged.
        InputError: The task is not a valid bulk task.
    """
    checked = validate_task(task)
    if not isinstance(checked, BulkTask):
        raise InputError(f"expected a task of kind bulk, got {checked.kind}")
    progress = read_progress(folder, task)
    stage, failure, wall_s = _read_log(read_lines(folder / LOG_FILE))
    symbols = list(checked.start_configuration().symbols)
    parts = [_read_part(path, len(symbols), checked.production_steps) for path in sorted(folder.glob(PART_GLOB))]
    table = np.concatenate([part["thermo"] for part in parts]) if parts else np.empty((0, 1 + len(COLUMNS)))
    thermo = dict(zip(("step", *COLUMNS), np.ascontiguousarray(table.T), strict=True))
    steps_done = int(table[-1, 0]) if len(table) else 0
    return MdOutput(
        thermo=thermo,
        sample=_sample(parts, thermo, checked, symbols, model_hash, elements) if parts else None,
        n_atoms=len(symbols),
        steps_done=steps_done,
        restart_step=0 if progress is None else progress.steps_done,  # the log has a line for every checkpoint
        finished=steps_done == checked.production_steps and failure is None and stage in ("production", "done"),
        error=failure,
        wall_s=wall_s,
    )


def _read_part(path: Path, n_atoms: int, last: int) -> Arrays:
    """Read a recorded part.

    Raises:
        DataError: It is damaged, or its arrays are not those of a run of this many atoms and steps.
    """
    part = read_npz(path)
    rows, frames = (len(part[name]) if name in part and part[name].ndim else 0 for name in ("thermo", "steps"))
    shapes = {
        "thermo": (rows, 1 + len(COLUMNS)),
        "steps": (frames,),
        "positions": (frames, n_atoms, 3),
        "edges": (frames, 3),
    }
    for name, shape in shapes.items():
        array = part.get(name, np.empty(0, dtype=object))
        if array.dtype.kind not in "if" or array.shape != shape:
            raise DataError(f"{path}: {name} has shape {array.shape} of {array.dtype}; expected numbers {shape}")
    steps = part["thermo"][:, 0]
    if not (part["steps"].dtype.kind == "i" and np.isin(part["steps"], steps).all()):
        raise DataError(f"{path}: a frame has no line of its step in the series")
    if not ((steps >= 0) & (steps <= last)).all():
        raise DataError(f"{path}: holds steps beyond those of the run, 0 to {last}")
    return part


def _sample(
    parts: list[Arrays],
    thermo: dict[str, NDArray[np.float64]],
    task: BulkTask,
    symbols: list[str],
    model_hash: str,
    elements: tuple[str, ...],
) -> Sample | None:
    """Frames of all parts; None when there is none."""
    steps, positions, edges = (
        np.concatenate([part[name] for part in parts]) for name in ("steps", "positions", "edges")
    )
    if not len(steps):
        return None
    energies = dict(zip(thermo["step"].astype(int).tolist(), thermo["pe"].tolist(), strict=True))
    return Sample(
        positions=positions,
        cells=np.array([np.diag(edge) for edge in edges]),
        energies=np.array([energies[step] for step in steps.tolist()]),
        steps=steps,
        species=np.array([elements.index(symbol) for symbol in symbols], dtype=np.int32),
        elements=elements,
        phase=task.sampled,
        temperature_k=task.temperature_k,
        pressure_gpa=task.pressure_gpa,
        timestep_fs=task.timestep_fs,
        model_hash=model_hash,
    )


def _read_log(lines: Iterable[str]) -> tuple[str, str | None, float]:
    """Last stage, the error after the last start, and the wall time of all starts."""
    stage, failure, wall_s, since_start = "", None, 0.0, 0.0
    for line in map(str.rstrip, lines):
        if match := _STAGE.match(line):
            stage = match[1]
            if stage == "start":
                failure, wall_s, since_start = None, wall_s + since_start, 0.0
        elif match := _WALL.match(line):
            since_start = float(match[1])
        elif line.startswith("ERROR"):
            failure = printable(line)
    return stage, failure, wall_s + since_start
