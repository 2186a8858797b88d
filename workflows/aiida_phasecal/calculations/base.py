"""What the jobs of phasecal share: exit codes in bands, and slots on computers without a queue."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from aiida import orm
from aiida.engine.processes.process_spec import CalcJobProcessSpec
from aiida.orm.nodes.process.calculation.calcjob import CalcJobNodeCaching

from aiida_phasecal.advice import advice
from aiida_phasecal.tree import INTERRUPTED

# Holds one of N lock files for as long as the job's processes live: the kernel frees it even after kill -9. Only the
# first in line looks for a free one; the others sleep in the kernel, which wakes them in the order in which they came.
SLOT_SCRIPT = """\
mkdir -p {folder}
exec 8> {folder}/line
flock 8
while true; do
  for ((slot = 1; slot <= {slots}; slot++)); do
    exec 9> {folder}/slot.$slot
    flock --nonblock 9 && break 2
  done
  sleep 0.2
done
exec 8>&-"""


# A job that continued an interrupted one and came to the end has the result of the whole run. The cache must not
# compare where it began, or a campaign that is resumed would do every run again that had been interrupted once. The
# name is phasecal's own: this list is that of all jobs of the profile.
CalcJobNodeCaching._hash_ignored_inputs = [*CalcJobNodeCaching._hash_ignored_inputs, INTERRUPTED]

SCHEDULER_LOG = "`verdi calcjob outputcat PK _scheduler-stderr.txt`."
RESTARTED = (
    "nothing at first: MD runs are restarted by themselves, a calibration step once if its node failed; else "
    "`phasecal resume` the campaign."
)
MAKE_ROOM = (
    "make room on the disk or in the quota of the computer (`verdi calcjob cleanworkdir` empties folders of old jobs), "
    "then `phasecal resume` the campaign: what is done is not done again."
)
SCHEDULER_MESSAGES = {
    110: advice(
        "The job ran out of memory.",
        look=SCHEDULER_LOG,
        next_step="an MD run goes on from its restart file a few times; if that does not help, more memory per job on "
        "that computer, fewer slots, or a smaller cell.",
    ),
    120: advice("The job ran out of walltime.", look=SCHEDULER_LOG, next_step=RESTARTED),
    131: advice(
        "The account given to the scheduler is invalid.",
        look=SCHEDULER_LOG,
        next_step="name one that the computer's scheduler knows.",
    ),
    140: advice("The node failed.", look=SCHEDULER_LOG, next_step=RESTARTED),
}
"""Advice for AiiDA's codes of schedulers, by status."""


class BandedProcessSpec(CalcJobProcessSpec):
    """Exit codes below 500 mean that there is no result: a cached copy of such a job is never reused.

    Interrupted jobs (4xx) are among them: the next job of a run that begins again has the same inputs, and would
    otherwise be a copy of the one that failed.
    """

    def exit_code(self, status: int, label: str, message: str, invalidates_cache: bool = False) -> None:
        """Declare an exit code; 2xx to 4xx always invalidate the cache."""
        message = SCHEDULER_MESSAGES.get(status, message)
        super().exit_code(status, label, message, invalidates_cache=invalidates_cache or 200 <= status < 500)


def slot_prepend_text(slots: int, folder: str) -> str:
    """Shell lines that make a job wait until one of ``slots`` places on the machine is free.

    ``core.direct`` starts every job at once; these lines are its queue. However many wait, only one of them is awake.
    """
    return SLOT_SCRIPT.format(slots=int(slots), folder=shlex.quote(folder))


def slot_folder(computer: orm.Computer) -> str:
    """Folder of the lock files of a computer; all campaigns there share it."""
    return os.path.join(computer.get_workdir().format(username=os.environ.get("USER", "user")), ".phasecal-slots")


def busy_slots(folder: str) -> int | None:
    """Count the slots that jobs hold on this machine; None where the kernel does not list its locks.

    Asking for the locks themselves would, for a moment, take one away from a job that is looking for it.
    """
    try:
        locks = [line.split() for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()]
    except OSError:
        return None
    # "1: FLOCK ADVISORY WRITE pid device:inode 0 EOF"; who waits for a lock has "->" before FLOCK
    held = {int(fields[5].rpartition(":")[2]) for fields in locks if fields[1] == "FLOCK"}
    return sum(path.stat().st_ino in held for path in Path(folder).glob("slot.*"))
