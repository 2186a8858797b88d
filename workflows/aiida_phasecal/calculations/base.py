"""What the jobs of phasecal share: exit codes in bands, and slots on computers without a queue."""

from __future__ import annotations

from aiida.engine.processes.process_spec import CalcJobProcessSpec

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


class BandedProcessSpec(CalcJobProcessSpec):
    """Exit codes below 400 mean unusable output: a cached copy of such a job is never reused."""

    def exit_code(self, status: int, label: str, message: str, invalidates_cache: bool = False) -> None:
        """Declare an exit code; 2xx and 3xx always invalidate the cache."""
        super().exit_code(status, label, message, invalidates_cache=invalidates_cache or 200 <= status < 400)


def slot_prepend_text(slots: int, folder: str) -> str:
    """Shell lines that make a job wait until one of ``slots`` places on the machine is free.

    ``core.direct`` starts every job at once; these lines are its queue. However many wait, only one of them is awake.
    """
    return SLOT_SCRIPT.format(slots=int(slots), folder=f"'{folder}'")
