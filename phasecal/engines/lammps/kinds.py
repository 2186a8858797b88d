"""All kinds of run, and how a task is checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from phasecal.bounded import MAX_PROBLEMS, one_line
from phasecal.engines.lammps.bulk import BulkTask
from phasecal.engines.lammps.coexistence import CoexistenceTask
from phasecal.engines.lammps.frenkel_ladd import FrenkelLaddTask
from phasecal.engines.lammps.pinning import PinningTask
from phasecal.engines.lammps.reversible_scaling import ReversibleScalingTask
from phasecal.engines.lammps.task import MdTask
from phasecal.engines.lammps.uhlenbeck_ford import UhlenbeckFordTask
from phasecal.errors import InputError

KINDS = BulkTask | CoexistenceTask | FrenkelLaddTask | PinningTask | ReversibleScalingTask | UhlenbeckFordTask
_NAMES = {kind.model_fields["kind"].annotation.__args__[0] for kind in KINDS.__args__}
_ADAPTER: TypeAdapter[KINDS] = TypeAdapter(Annotated[KINDS, Field(discriminator="kind")])


def with_half_step(task: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same run, as long in time, with half the time step: all its numbers of steps are twice as large.

    Frames and thermodynamic lines are as far apart in time as they were, and there are as many of them; the seed stays
    (docs/adr/0033-blown-up-runs.md).

    Raises:
        InputError: The task is not valid, or a number of steps becomes too large.
    """
    doubled = {key: 2 * value for key, value in task.items() if key.endswith(("_steps", "_every"))}
    halved = {**task, **doubled, "timestep_fs": task["timestep_fs"] / 2}
    validate_task(halved)
    return halved


def validate_task(task: Mapping[str, Any]) -> MdTask:
    """Check an MD task.

    Args:
        task: The dictionary; see the class of its ``kind`` for its keys.

    Returns:
        The same task with attributes.

    Raises:
        InputError: Unknown, missing or impossible entries; the message lists all of them.
    """
    try:
        return _ADAPTER.validate_python(dict(task))
    except ValidationError as error:
        parts = []
        for item in error.errors():
            key = ".".join(str(part) for part in item["loc"] if part not in _NAMES)
            message = item["msg"].removeprefix("Value error, ")
            parts.append(f"{key}: {message}" if key else message)
        raise InputError(f"MD task: {one_line('; '.join(parts), MAX_PROBLEMS)}") from error
