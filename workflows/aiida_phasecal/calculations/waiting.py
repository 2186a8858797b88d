"""How often the daemon looks at a job: the less often, the more jobs wait and the longer it has waited."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any, ClassVar

from aiida.engine import CalcJob
from aiida.engine.processes.calcjobs.tasks import Waiting, task_update_job
from aiida.engine.utils import InterruptableFuture
from plumpy.process_states import ProcessState

LONGEST_S = 64.0
"""Between two looks. A look takes the daemon's only worker some tens of milliseconds."""
JOBS_OF_LONGEST = 64
SHARE = 1 / 50
"""Of the time that a job has waited: its end is noticed late by less than that on average."""
LONGEST_BY_SHARE_S = 8.0
"""A job that was long in line may be short."""


class PatientWaiting(Waiting):
    """AiiDA's waiting state, with a rest before each look at the job that grows with the number of jobs that rest.

    AiiDA looks at all jobs of a computer at once, at the interval of that computer, and writes what it saw to each
    node. With hundreds of jobs in line for two cores that alone fills a core.
    """

    resting: ClassVar[int] = 0
    since: float | None = None

    async def _launch_task(self, coro, *args: Any, **kwargs: Any) -> Any:
        if coro is task_update_job:
            self.since = time.monotonic() if self.since is None else self.since
            await super()._launch_task(rest, self.since)
        return await super()._launch_task(coro, *args, **kwargs)


async def rest(since: float, cancellable: InterruptableFuture) -> None:
    """Sleep until the next time to look at a job that waits since then; a kill or a pause ends it at once."""
    PatientWaiting.resting += 1
    now = time.monotonic()
    try:
        await cancellable.with_interrupt(asyncio.sleep(seconds_to_look(PatientWaiting.resting, now - since, now)))
    finally:
        PatientWaiting.resting -= 1


def seconds_to_look(jobs: int, waited: float, now: float) -> float:
    """Return the time until the next look at a job that has waited for some seconds, when a number of jobs rest.

    The period grows with the square of their number: few jobs are noticed soon, and many together cost no more than
    few. Where they are few it grows with the time that the job has waited. It is a power of two seconds and looks are
    at its multiples, so that those of all jobs coincide, however many there were when each began to rest: AiiDA then
    asks the computer once for all of them.
    """
    period = LONGEST_S * min(jobs / JOBS_OF_LONGEST, 1.0) ** 2
    period = max(period, min(SHARE * waited, LONGEST_BY_SHARE_S))
    period = 2.0 ** math.ceil(math.log2(period))
    return period - now % period


class PatientJob(CalcJob):
    """A job that is looked at less often while many wait."""

    @classmethod
    def get_state_classes(cls) -> dict:
        """Return the classes of the states of the process, with the patient one for waiting."""
        return {**super().get_state_classes(), ProcessState.WAITING: PatientWaiting}
