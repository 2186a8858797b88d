"""The task runner: a versioned task file in, ``result.json`` out.

This is what a job calls on a node (``phasecal run TASK.json``): it needs the files in the folder of the task,
and neither AiiDA nor a network. A failure is a result too: ``{"schema": 1, "error": {"kind": ..., "message":
...}}``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from phasecal.bounded import read_json
from phasecal.errors import InputError, NumericError, PhasecalError

RESULT_FILE = "result.json"

TaskFunction = Callable[[Path, dict[str, Any]], dict[str, Any]]

TASKS = {"calibration-step": "phasecal.calibration.step:run", "self-check": "phasecal.check:run"}
"""Where the function of each task lives: ``run(folder, task)`` returns the result (imported when needed)."""


def run_task(path: str | Path) -> Path:
    """Run a task in the folder of its file and write ``result.json`` next to it.

    Args:
        path: The task, JSON with ``schema`` 1 and the name of the ``task``.

    Returns:
        The path of the result.

    Raises:
        InputError: The file is not a task; or, as every :class:`~phasecal.errors.PhasecalError`, what the
            task itself raised. The result then holds kind and message of the error.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such task file")
    result = path.parent / RESULT_FILE
    result.unlink(missing_ok=True)
    try:
        task = read_json(path, InputError)
        outcome = _outcome(_function(path, task), path.parent, task)
        _write(result, {"schema": 1, "task": task["task"], **outcome})
    except PhasecalError as error:
        _write(result, {"schema": 1, "error": {"kind": error.kind, "message": str(error)}})
        raise
    return result


def _function(path: Path, task: dict[str, Any]) -> TaskFunction:
    """Return the function that runs a task."""
    if task.get("schema") != 1:
        raise InputError(f"{path}: schema: expected 1, got {task.get('schema')!r}")
    name = task.get("task")
    if not isinstance(name, str) or name not in TASKS:
        raise InputError(f"{path}: task: expected one of {', '.join(TASKS)}, got {name!r}")
    module, function = TASKS[name].split(":")
    run: TaskFunction = getattr(import_module(module), function)
    return run


def _outcome(function: TaskFunction, folder: Path, task: dict[str, Any]) -> dict[str, Any]:
    """Return the result of a task; linear algebra that fails is a typed error too.

    Raises:
        NumericError: A matrix is singular, or holds numbers that are not finite.
    """
    try:
        return function(folder, task)
    except np.linalg.LinAlgError as error:
        raise NumericError(
            f"a matrix of the calculation is singular or holds numbers that are not finite ({error})"
        ) from error


def _write(path: Path, result: dict[str, Any]) -> None:
    """Write a result in one go, so that a killed job leaves none rather than half of one.

    Raises:
        NumericError: The result holds a number that is not finite.
    """
    try:
        text = json.dumps(result, indent=1, allow_nan=False)
    except ValueError as error:
        raise NumericError(f"the result holds a number that is not finite ({error})") from error
    draft = path.with_name(path.name + ".part")
    draft.write_text(text + "\n", encoding="utf-8")
    os.replace(draft, path)
