"""Read what a LAMMPS run of phasecal leaves: the log with yaml thermo output and the text dump.

The reader expects damage: a run can be killed in the middle of a line and continued (log and dump are
appended to, steps after the last restart file appear twice), and numbers can be nan. Complete parts are used.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecal.bounded import printable, read_lines
from phasecal.engines.lammps.commands import LOG_FILE
from phasecal.engines.lammps.inputs import DUMP_FILE
from phasecal.engines.lammps.kinds import validate_task
from phasecal.engines.lammps.progress import preparation_steps
from phasecal.engines.lammps.task import MdTask
from phasecal.sample import Sample
from phasecal.units import BAR_PER_GPA

COLUMNS = {
    "Step": "step",
    "Temp": "temp",
    "PotEng": "pe",
    "KinEng": "ke",
    "TotEng": "etotal",
    "Enthalpy": "enthalpy",
    "Volume": "volume",
    "Lx": "lx",
    "Ly": "ly",
    "Lz": "lz",
    "Press": "press",
    "Pxx": "pxx",
    "Pyy": "pyy",
    "Pzz": "pzz",
    "c_force_sq": "force_sq",
}
"""Names of LAMMPS' thermo columns and ours: K, eV per cell, Å³, Å, GPa; force_sq is Σ F²/m in (eV/Å)²/amu."""
_PRESSURES = ("press", "pxx", "pyy", "pzz")
_STAGE = re.compile(r"^phasecal stage: (\w+)$")
_SAVED = re.compile(r"^variable stage index (\w+)$")
_KEYWORDS = re.compile(r"^keywords: \[(.*)\]$")
_ROW = re.compile(r"^\s+- \[(.*)\]$")
_LOOP = re.compile(r"^Loop time of (\S+) on")
_ATOMS = re.compile(r"^\s+(\d{1,12}) atoms$")
_DUMP_HEADER = 8
"""Lines of a frame, after its first, that are not atoms."""
MAX_NUMBER = 1e12
"""No coordinate and no number of an atom is larger; nan is neither."""
MAX_DUMP_LINE = 200
"""Characters; a line of a dump has at most a hundred."""


@dataclass(frozen=True)
class MdOutput:
    """One LAMMPS run.

    Attributes:
        thermo: Columns of the production stage (values of :data:`COLUMNS`), each of shape (n_lines,); in eV
            per cell, Å and GPa. A step that was run twice because of a restart appears once.
        sample: The frames of the production stage, or None when there is none.
        n_atoms: Number of atoms.
        steps_done: Production steps that left a line in the log.
        restart_step: Newest step from which the run can be continued, counted through all stages; 0 when there is none.
        finished: All production steps were done and LAMMPS ended in order.
        error: LAMMPS' last error message, if it ended with one.
        wall_s: Wall time of all stages, including lost parts of interrupted runs, s.
    """

    thermo: dict[str, NDArray[np.float64]]
    sample: Sample | None
    n_atoms: int
    steps_done: int
    restart_step: int
    finished: bool
    error: str | None
    wall_s: float


@dataclass
class _Log:
    """What the log holds; a row has the columns in the order of its run, and so they are kept with it."""

    rows: dict[int, tuple[tuple[str, ...], array[float]]]
    names: tuple[str, ...] = ()
    n_atoms: int = 0
    stage: str = ""
    saved: str = ""
    error: str | None = None
    wall_s: float = 0.0


def read_output(folder: Path, task: Mapping[str, Any], model_hash: str, elements: tuple[str, ...]) -> MdOutput:
    """Read log and dump of a run, complete or not.

    Args:
        folder: Folder with ``log.lammps`` and, when frames are wanted, ``production.dump``.
        task: The MD task of the run.
        model_hash: Hash of the model that drove it.
        elements: The model's elements, in the order of LAMMPS' atom types.

    Raises:
        DataError: There is no log.
        InputError: The task is not valid.
    """
    checked = validate_task(task)
    columns = COLUMNS | dict(checked.columns)
    log = _read_log(read_lines(folder / LOG_FILE), set(columns), checked.production_steps)
    thermo = _thermo(log, columns)
    steps_done = int(thermo["step"][-1]) if len(thermo["step"]) else 0
    dump = folder / DUMP_FILE
    sample = _sample(dump, thermo, checked, model_hash, elements) if dump.exists() else None
    return MdOutput(
        thermo=thermo,
        sample=sample,
        n_atoms=log.n_atoms,
        steps_done=steps_done,
        restart_step=_restart_step(log, checked, steps_done),
        finished=log.stage == "done" and steps_done == checked.production_steps,
        error=log.error,
        wall_s=log.wall_s,
    )


def _restart_step(log: _Log, task: MdTask, steps_done: int) -> int:
    """Newest step, of all stages, whose restart file is there."""
    if not log.saved and log.stage != "production":
        return 0
    # the restart file of a step is written after the line of that step
    in_production = max(0, steps_done - 1) // task.restart_every * task.restart_every
    return preparation_steps(task, log.saved or "production") + in_production


def missing(output: MdOutput, task: Mapping[str, Any]) -> str | None:
    """Say what a finished run does not have of its series and frames, as when a disk was full; None if all is there.

    Raises:
        InputError: The task is not valid.
    """
    checked = validate_task(task)
    frames = np.empty(0, dtype=np.int64) if output.sample is None else output.sample.steps
    every = {"lines": (checked.thermo_every, output.thermo["step"]), "frames": (checked.sample_every, frames)}
    for what, (interval, steps) in every.items():
        absent = np.setdiff1d(np.arange(0, checked.production_steps + 1, interval), steps.astype(np.int64))
        if len(absent):
            return f"{len(absent)} {what} of the production stage are missing, the first at step {absent[0]}"
    return None


def _sample(
    dump: Path, thermo: dict[str, NDArray[np.float64]], task: MdTask, model_hash: str, elements: tuple[str, ...]
) -> Sample | None:
    """Frames whose potential energy is in the log; None when there is none."""
    energies = dict(zip(thermo["step"].astype(int).tolist(), thermo["pe"].tolist(), strict=True))
    n_atoms = len(task.start_configuration())
    found = read_dump(dump, n_atoms, len(elements))
    by_step = {frame.step: frame for frame in found if np.isfinite(energies.get(frame.step, np.nan))}
    frames = [by_step[step] for step in sorted(by_step)]
    if not frames:
        return None
    return Sample(
        positions=np.array([frame.positions for frame in frames], dtype=np.float32),
        cells=np.array([np.diag(frame.lengths) for frame in frames]),
        energies=np.array([energies[frame.step] for frame in frames]),
        steps=np.array([frame.step for frame in frames], dtype=np.int64),
        species=frames[0].types - np.int32(1),
        elements=elements,
        phase=task.sampled,
        temperature_k=task.temperature_k,
        pressure_gpa=task.pressure_gpa,
        timestep_fs=task.timestep_fs,
        model_hash=model_hash,
    )


def _read_log(lines: Iterable[str], needed: set[str], last: int) -> _Log:
    """Collect production rows by step (a later run overwrites), the last error and stage, the time and the atoms.

    Args:
        lines: The log.
        needed: Columns without which a row is none.
        last: The last step there can be.
    """
    log = _Log(rows={})
    cpu = 0.0
    for line in map(str.rstrip, lines):
        if match := _STAGE.match(line):
            log.stage = match[1]
            if log.stage == "start":
                log.error = None
                log.wall_s += cpu
                cpu = 0.0
        elif match := _SAVED.match(line):
            log.saved = match[1]
        elif match := _KEYWORDS.match(line):
            log.names = tuple(name.strip(" '") for name in match[1].split(",") if name.strip())
        elif (match := _ROW.match(line)) and {"Step", "CPU"} <= set(log.names):
            row = _numbers(match[1])
            if len(row) == len(log.names):
                step, cpu = row[log.names.index("Step")], _seconds(row[log.names.index("CPU")])
                # `step in range(last + 1)` counts up to a float
                if log.stage == "production" and needed <= set(log.names) and step.is_integer() and 0 <= step <= last:
                    log.rows[int(step)] = log.names, row
        elif match := _LOOP.match(line):
            log.wall_s += _seconds(*_numbers(match[1])[:1])
            cpu = 0.0
        elif line.startswith("ERROR"):
            log.error = printable(line)
        elif not log.n_atoms and (match := _ATOMS.match(line)):
            log.n_atoms = int(match[1])
    log.wall_s += cpu
    return log


def _seconds(value: float = 0.0) -> float:
    """Return a time; 0 for what cannot be one."""
    return value if 0 <= value < math.inf else 0.0


def _numbers(text: str) -> array[float]:
    """Numbers of a yaml flow sequence; empty when one of them is not a number (nan and inf are)."""
    try:
        return array("d", [float(word) for word in text.split(",") if word.strip()])
    except ValueError:
        return array("d")


def _thermo(log: _Log, columns: Mapping[str, str]) -> dict[str, NDArray[np.float64]]:
    """Columns under our names and units, ordered by step."""
    rows = [log.rows[step] for step in sorted(log.rows)]
    thermo = {}
    for theirs, ours in columns.items():
        column = np.array([row[names.index(theirs)] for names, row in rows], dtype=np.float64)
        thermo[ours] = column / BAR_PER_GPA if ours in _PRESSURES else column
    return thermo


@dataclass(frozen=True)
class DumpFrame:
    """One frame: positions (n_atoms, 3) unwrapped, from the box corner; lengths (3,), types (n_atoms,)."""

    step: int
    positions: NDArray[np.float64]
    lengths: NDArray[np.float64]
    types: NDArray[np.int32]


def read_dump(path: Path, n_atoms: int, n_types: int) -> Iterator[DumpFrame]:
    """Yield the complete frames of a sorted, orthogonal ``id type xu yu zu`` text dump; skip broken ones.

    Args:
        path: The dump.
        n_atoms: Atoms of the run; a frame of more or fewer is broken.
        n_types: Types of atoms.

    Raises:
        DataError: The file cannot be read.
    """
    block: list[str] = []
    for line in read_lines(path):
        if line.endswith("ITEM: TIMESTEP\n"):  # after a kill in the middle of a line there is something before it
            block += [rest] if (rest := line.removesuffix("ITEM: TIMESTEP\n")) else []
            if (frame := _dump_frame(block, n_atoms, n_types)) is not None:
                yield frame
            block = []
        elif len(block) <= n_atoms + _DUMP_HEADER:  # one line more than a frame has: it is broken
            block.append(line[:MAX_DUMP_LINE])
    if (frame := _dump_frame(block, n_atoms, n_types)) is not None:
        yield frame


def _dump_frame(block: list[str], n_atoms: int, n_types: int) -> DumpFrame | None:
    """One frame of a dump from its lines, or None when it is broken."""
    if len(block) != n_atoms + _DUMP_HEADER or block[_DUMP_HEADER - 1] != "ITEM: ATOMS id type xu yu zu\n":
        return None
    try:
        step = int(block[0])
        bounds = np.array([line.split() for line in block[4:7]], dtype=np.float64).reshape(3, 2)
        table = np.array([line.split() for line in block[_DUMP_HEADER:]], dtype=np.float64).reshape(n_atoms, 5)
    except ValueError:
        return None
    is_whole = block[-1].endswith("\n") and all((np.abs(numbers) < MAX_NUMBER).all() for numbers in (bounds, table))
    if not (is_whole and (bounds[:, 1] > bounds[:, 0]).all() and np.isin(table[:, 1], np.arange(1, n_types + 1)).all()):
        return None
    return DumpFrame(step, table[:, 2:] - bounds[:, 0], bounds[:, 1] - bounds[:, 0], table[:, 1].astype(np.int32))
