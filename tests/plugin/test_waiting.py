"""How often the daemon looks at jobs that wait."""

from __future__ import annotations

import asyncio

import pytest
from aiida.engine.processes.calcjobs.tasks import Waiting, task_retrieve_job, task_update_job
from aiida.engine.utils import InterruptableFuture
from aiida.plugins import CalculationFactory
from aiida_phasecal.calculations import waiting
from aiida_phasecal.calculations.waiting import PatientWaiting, rest
from plumpy.process_states import ProcessState

JOBS = ["phasecal.lammps", "phasecal.jaxmd", "phasecal.task"]


@pytest.mark.parametrize("name", JOBS)
def test_every_job_is_patient(name):
    assert CalculationFactory(name).get_state_classes()[ProcessState.WAITING] is PatientWaiting


def test_only_a_look_at_the_queue_is_put_off(monkeypatch):
    launched = []

    async def launch(self, coro, *args):
        launched.append((coro, *args))
        return "result"

    monkeypatch.setattr(Waiting, "_launch_task", launch)
    state = PatientWaiting.__new__(PatientWaiting)
    for task in (task_update_job, task_retrieve_job):
        assert asyncio.run(state._launch_task(task, "node")) == "result"
    assert launched == [(rest,), (task_update_job, "node"), (task_retrieve_job, "node")]


def test_the_more_jobs_rest_the_longer(monkeypatch):
    """So there are as many looks in a second however many jobs wait; but none rests longer than the limit."""
    asked = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        asked.append(seconds)
        await sleep(0)

    async def rest_together(jobs: int) -> None:
        await asyncio.gather(*(rest(InterruptableFuture()) for _ in range(jobs)))

    monkeypatch.setattr(waiting.asyncio, "sleep", noted)
    asyncio.run(rest_together(300))
    assert asked[:4] == [0.25, 0.5, 0.75, 1.0]
    assert asked[239:] == [60.0] * 61
    asked.clear()
    asyncio.run(rest_together(1))
    assert asked == [0.25]
    assert PatientWaiting.resting == 0


def test_a_kill_ends_a_rest(monkeypatch):
    monkeypatch.setattr(waiting, "SECONDS_PER_JOB", 60.0)

    async def killed() -> None:
        future = InterruptableFuture()
        asyncio.get_running_loop().call_later(0.05, future.interrupt, KeyError("killed"))
        await rest(future)

    with pytest.raises(KeyError, match="killed"):
        asyncio.run(asyncio.wait_for(killed(), 30))
    assert PatientWaiting.resting == 0
