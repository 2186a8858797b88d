"""Read what a LAMMPS run of phasecal leaves: the log with yaml thermo output and the text dump.

The reader expects damage: a run can be killed in the middle of a line and continued (log and dump are
appended to, steps after the last restart file appear twice), and numbers can be nan. Complete parts are used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecal.engines.lammps.commands import LOG_FILE
from phasecal.engines.lammps.inputs import DUMP_FILE
from phasecal.engines.lammps.kinds import validate_task
from phasecal.engines.lammps.task import MdTask
from phasecal.errors import DataError
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
_KEYWORDS = re.compile(r"^keywords: \[(.*)\]$")
_ROW = re.compile(r"^\s+- \[(.*)\]$")
_LOOP = re.compile(r"^Loop time of (\S+) on")


@dataclass(frozen=True)
class MdOutput:
    """One LAMMPS run.

    Attributes:
        thermo: Columns of the production stage (values of :data:`COLUMNS`), each of shape (n_lines,); in eV
            per cell, Å and GPa. A step that was run twice because of a restart appears once.
        sample: The frames of the production stage, or None when there is none.
        n_atoms: Number of atoms.
        steps_done: Production steps that left a line in the log.
        finished: All production steps were done and LAMMPS ended in order.
        error: LAMMPS' last error message, if it ended with one.
        wall_s: Wall time of all stages, including lost parts of interrupted runs, s.
    """

    thermo: dict[str, NDArray[np.float64]]
    sample: Sample | None
    n_atoms: int
    steps_done: int
    finished: bool
    error: str | None
    wall_s: float


@dataclass
class _Log:
    """What the log holds."""

    rows: dict[int, list[float]]
    names: list[str]
    stage: str = ""
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
    try:
        text = (folder / LOG_FILE).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataError(f"{folder / LOG_FILE}: cannot be read ({error})") from error
    log = _read_log(text)
    thermo = _thermo(log, COLUMNS | dict(checked.columns))
    steps_done = int(thermo["step"][-1]) if len(thermo["step"]) else 0
    dump = folder / DUMP_FILE
    sample = _sample(dump, thermo, checked, model_hash, elements) if dump.exists() else None
    return MdOutput(
        thermo=thermo,
        sample=sample,
        n_atoms=_n_atoms(text),
        steps_done=steps_done,
        finished=log.stage == "done" and steps_done == checked.production_steps,
        error=log.error,
        wall_s=log.wall_s,
    )


def _sample(
    dump: Path, thermo: dict[str, NDArray[np.float64]], task: MdTask, model_hash: str, elements: tuple[str, ...]
) -> Sample | None:
    """Frames whose potential energy is in the log; None when there is none."""
    energies = dict(zip(thermo["step"].astype(int).tolist(), thermo["pe"].tolist(), strict=True))
    by_step = {frame.step: frame for frame in read_dump(dump) if np.isfinite(energies.get(frame.step, np.nan))}
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


def _read_log(text: str) -> _Log:
    """Collect production rows by step (a later run overwrites), the last error and stage, and the time."""
    log = _Log(rows={}, names=[])
    cpu = 0.0
    for line in text.splitlines():
        if match := _STAGE.match(line):
            log.stage = match[1]
            if log.stage == "start":
                log.error = None
                log.wall_s += cpu
                cpu = 0.0
        elif match := _KEYWORDS.match(line):
            log.names = [name.strip(" '") for name in match[1].split(",") if name.strip()]
        elif match := _ROW.match(line):
            row = _numbers(match[1])
            if len(row) == len(log.names) and "CPU" in log.names:
                cpu = row[log.names.index("CPU")]
                if log.stage == "production":
                    log.rows[int(row[log.names.index("Step")])] = row
        elif match := _LOOP.match(line):
            log.wall_s += float(match[1])
            cpu = 0.0
        elif line.startswith("ERROR"):
            log.error = line
    log.wall_s += cpu
    return log


def _numbers(text: str) -> list[float]:
    """Numbers of a yaml flow sequence; empty when one of them is not a number (nan and inf are)."""
    try:
        return [float(word) for word in text.split(",") if word.strip()]
    except ValueError:
        return []


def _thermo(log: _Log, columns: Mapping[str, str]) -> dict[str, NDArray[np.float64]]:
    """Columns under our names and units, ordered by step."""
    table = np.array([log.rows[step] for step in sorted(log.rows)], dtype=np.float64)
    thermo = {}
    for theirs, ours in columns.items():
        column = table[:, log.names.index(theirs)] if len(table) else np.empty(0)
        thermo[ours] = column / BAR_PER_GPA if ours in _PRESSURES else column
    return thermo


def _n_atoms(text: str) -> int:
    """Number of atoms as LAMMPS counted them when it read the data or the restart file."""
    found = re.search(r"^\s+(\d+) atoms$", text, re.MULTILINE)
    return int(found[1]) if found else 0


@dataclass(frozen=True)
class DumpFrame:
    """One frame: positions (n_atoms, 3) unwrapped, from the box corner; lengths (3,), types (n_atoms,)."""

    step: int
    positions: NDArray[np.float64]
    lengths: NDArray[np.float64]
    types: NDArray[np.int32]


def read_dump(path: Path) -> Iterator[DumpFrame]:
    """Yield the complete frames of a sorted, orthogonal ``id type xu yu zu`` text dump; skip broken ones."""
    for block in path.read_text(encoding="ascii", errors="replace").split("ITEM: TIMESTEP\n")[1:]:
        frame = _dump_frame(block)
        if frame is not None:
            yield frame


def _dump_frame(block: str) -> DumpFrame | None:
    """One frame of a dump, or None when it is truncated."""
    head, _, body = block.partition("ITEM: ATOMS id type xu yu zu\n")
    lines = head.splitlines()
    try:
        step, n_atoms = int(lines[0]), int(lines[2])
        bounds = np.array([[float(word) for word in line.split()] for line in lines[4:7]])
        table = np.array(body.split(), dtype=np.float64).reshape(n_atoms, 5)
    except (ValueError, IndexError):
        return None
    if bounds.shape != (3, 2) or not body.endswith("\n"):
        return None
    return DumpFrame(step, table[:, 2:] - bounds[:, 0], bounds[:, 1] - bounds[:, 0], table[:, 1].astype(np.int32))
