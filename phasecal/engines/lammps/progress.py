"""How far a LAMMPS run of phasecal is, from the end of its log: cheap enough to ask every few seconds."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasecal.bounded import read_lines
from phasecal.engines.lammps.commands import LOG_FILE
from phasecal.engines.lammps.kinds import validate_task
from phasecal.engines.lammps.task import MdTask
from phasecal.errors import DataError

STAGE = "\nphasecal stage: "
"""At the beginning of a line: LAMMPS prints the command before what it prints."""
_KEYWORDS = re.compile(r"^keywords: \[(.*)\]$", re.MULTILINE)
_ROW = re.compile(r"^\s+- \[(.*), \]$", re.MULTILINE)
_PREPARATION = {
    "relax": ("relax_half", 2),
    "melt": ("melt_steps", 1),
    "cool": ("cool_steps", 1),
    "settle": ("settle_steps", 1),
    "equilibrate": ("equilibration_steps", 1),
}
"""Stages before production in their order: the variable of the scripts that says how long one is, and how often."""
_ROWS_OF_SPEED = 200
"""Speed is that of the newest lines: a machine that others use too does not stay as fast as it was."""


@dataclass(frozen=True)
class RunProgress:
    """Where a run is.

    Attributes:
        stage: Name of the stage, such as ``melt`` or ``production``.
        steps_done: MD steps done in all stages.
        steps: MD steps of all stages together.
        steps_per_s: Speed now, steps per second of wall time; None when there are too few lines to tell.
    """

    stage: str
    steps_done: int
    steps: int
    steps_per_s: float | None


def total_steps(task: Mapping[str, Any]) -> int:
    """Return the number of MD steps of a task in all its stages.

    Raises:
        InputError: The task is not valid.
    """
    checked = validate_task(task)
    return preparation_steps(checked) + checked.production_steps


def preparation_steps(task: MdTask, before: str = "production") -> int:
    """MD steps before production, or before an earlier stage."""
    parameters = task.parameters()
    stages = itertools.takewhile(lambda stage: stage != before, _PREPARATION)
    return sum(times * int(parameters.get(name, 0)) for name, times in map(_PREPARATION.__getitem__, stages))


def read_progress(folder: Path, task: Mapping[str, Any]) -> RunProgress | None:
    """Read how far a run in a folder is; None before it has written a stage into its log.

    Raises:
        InputError: The task is not valid.
    """
    if (found := last_stage(folder / LOG_FILE)) is None:
        return None
    before, stage, current = found
    checked = validate_task(task)
    preparation = preparation_steps(checked)
    total = preparation + checked.production_steps
    if stage == "done":
        return RunProgress(stage, total, total, None)
    rows = _rows(current)
    if stage == "production":
        done = preparation + (int(rows[-1][0]) if rows else 0)
    else:  # steps are counted on from stage to stage, and a stage begins with a line of the step it starts at
        done = int((rows or _rows(before.rpartition(STAGE)[2]) or [(0, 0)])[-1][0])
    return RunProgress(stage, min(done, total), total, _speed(rows))


def last_stage(log: Path) -> tuple[str, str, str] | None:
    """Return what a log says before its last stage, the name of that stage, and what follows; None before the first."""
    try:
        text = "".join(read_lines(log))
    except DataError:
        return None
    before, found, current = text.rpartition(STAGE)
    return (before, current.partition("\n")[0].strip(), current) if found else None


def _rows(text: str) -> list[tuple[float, float]]:
    """Step and CPU time (s, since the run began) of the newest lines of the last run in a part of a log."""
    headings = list(_KEYWORDS.finditer(text))
    if not headings:
        return []
    names = [name.strip(" '") for name in headings[-1][1].split(",") if name.strip()]
    lines = text[headings[-1].end() :].splitlines()[-_ROWS_OF_SPEED:]
    rows = [match[1].split(",") for match in _ROW.finditer("\n".join(lines))]
    if "CPU" not in names:
        return []
    pairs = [(_finite(row[0]), _finite(row[names.index("CPU")])) for row in rows if len(row) == len(names)]
    return [(step, seconds) for step, seconds in pairs if step is not None and seconds is not None]


def _finite(word: str) -> float | None:
    """Return a finite number; None for all else."""
    try:
        value = float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _speed(rows: list[tuple[float, float]]) -> float | None:
    """Steps per second between the first and the last line."""
    if len(rows) < 2:
        return None
    steps, seconds = (last - first for first, last in zip(rows[0], rows[-1], strict=True))
    return steps / seconds if steps > 0 and seconds > 0 else None
