"""How often the daemon looks at a job: the less often, the more jobs wait."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from aiida.engine import CalcJob
from aiida.engine.processes.calcjobs.tasks import Waiting, task_update_job
from aiida.engine.utils import InterruptableFuture
from plumpy.process_states import ProcessState

SECONDS_PER_JOB = 0.25  # at most four looks in a second, each some 15 to 60 ms of the daemon's only worker
LONGEST_S = 60.0


class PatientWaiting(Waiting):
    """AiiDA's waiting state, with a rest before each look at the job that grows with the number of jobs that rest.

    AiiDA looks at all jobs of a computer at once, at the interval of that computer, and writes what it saw to each
    node. With hundreds of jobs in line for two cores that alone fills a core.
    """

    resting: ClassVar[int] = 0

    async def _launch_task(self, coro, *args: Any, **kwargs: Any) -> Any:
        if coro is task_update_job:
            await super()._launch_task(rest)
        return await super()._launch_task(coro, *args, **kwargs)


async def rest(cancellable: InterruptableFuture) -> None:
    """Sleep until it is this job's turn to be looked at again; a kill or a pause ends it at once."""
    PatientWaiting.resting += 1
    try:
        await cancellable.with_interrupt(asyncio.sleep(min(SECONDS_PER_JOB * PatientWaiting.resting, LONGEST_S)))
    finally:
        PatientWaiting.resting -= 1


class PatientJob(CalcJob):
    """A job that is looked at less often while many wait."""

    @classmethod
    def get_state_classes(cls) -> dict:
        """Return the classes of the states of the process, with the patient one for waiting."""
        return {**super().get_state_classes(), ProcessState.WAITING: PatientWaiting}
