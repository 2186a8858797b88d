"""How far a run of the jax-md engine is, from the end of its log."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phasecal.engines.jaxmd.job import LOG_FILE
from phasecal.engines.lammps.kinds import validate_task
from phasecal.engines.lammps.progress import RunProgress, last_stage, preparation_steps

_LINE = re.compile(r"^step (\d{1,15}) of \d+:.*, wall (\d{1,12}(?:\.\d+)?) s$", re.MULTILINE)


def read_progress(folder: Path, task: Mapping[str, Any]) -> RunProgress | None:
    """Read how far a run in a folder is; None before it has written a stage into its log.

    Unlike LAMMPS the engine counts the steps of every stage from 0.

    Raises:
        InputError: The task is not valid.
    """
    if (found := last_stage(folder / LOG_FILE)) is None:
        return None
    _, stage, current = found
    checked = validate_task(task)
    before, total = preparation_steps(checked), preparation_steps(checked) + checked.production_steps
    if stage == "done":
        return RunProgress(stage, total, total, None)
    lines = [(int(step), float(wall)) for step, wall in _LINE.findall(current)]
    done = lines[-1][0] if lines else 0
    passed = {"production": before, "equilibrate": int(checked.parameters().get("melt_steps", 0))}.get(stage, 0)
    steps, seconds = (lines[-1][i] - lines[0][i] for i in (0, 1)) if lines else (0, 0.0)
    return RunProgress(stage, passed + done, total, steps / seconds if steps > 0 and seconds > 0 else None)
