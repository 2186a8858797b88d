"""A look at a running LAMMPS job from time to time: it is stopped when the rest of its time would be wasted."""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath

from aiida import orm
from aiida.engine.processes.calcjobs.monitors import CalcJobMonitorResult
from aiida.orm.nodes.process.calculation.calcjob import CalcJobNodeCaching
from aiida.schedulers import JobState
from aiida.transports import Transport

from phasecal.engines.lammps import LOG_FILE
from phasecal.engines.lammps.watch import TAIL_BYTES, judge_log

NAME = "watch"
ENTRY_POINT = "phasecal.watch"
INTERVAL_S = 30
"""At least so long between two looks at one job."""

# A monitor decides how soon a useless run ends, and nothing about a useful one. The cache must not compare it, or every
# run from before there was one would be done again (docs/adr/0034-watched-runs.md).
CalcJobNodeCaching._hash_ignored_inputs = [*CalcJobNodeCaching._hash_ignored_inputs, f"monitors__{NAME}"]


def monitors() -> dict[str, orm.Dict]:
    """Input ``monitors`` of a LAMMPS job."""
    return {NAME: orm.Dict({"entry_point": ENTRY_POINT, "minimum_poll_interval": INTERVAL_S})}


def watch(node: orm.CalcJobNode, transport: Transport) -> CalcJobMonitorResult | None:
    """Stop a job whose log says that it blew up or lost its phase; the parser finds the same in what is left.

    Nothing is returned for a job that has ended: to kill it would fail, and AiiDA would pause its process.
    """
    if node.get_scheduler_state() is not JobState.RUNNING or not (folder := node.get_remote_workdir()):
        return None
    log = shlex.quote(str(PurePosixPath(folder, LOG_FILE)))
    try:
        status, end, _ = transport.exec_command_wait(f"tail -c {TAIL_BYTES} {log}")
    except Exception as error:  # a look that fails, whatever a transport raises, must not end or pause a good run
        node.logger.warning("could not look at the log: %s", error)
        return None
    verdict = judge_log(end, node.inputs.task.get_dict()) if status == 0 else None
    return None if verdict is None else CalcJobMonitorResult(message=verdict.reason, override_exit_code=False)
