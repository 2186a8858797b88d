"""How often the daemon looks at jobs that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

import numpy as np
import pytest
from aiida.engine.processes.calcjobs.tasks import Waiting, task_retrieve_job, task_update_job
from aiida.engine.utils import InterruptableFuture
from aiida.plugins import CalculationFactory
from aiida_phasecal.calculations import waiting
from aiida_phasecal.calculations.waiting import PatientWaiting, rest, seconds_to_look
from plumpy.events import get_or_create_event_loop
from plumpy.process_states import ProcessState

JOBS = ["phasecal.lammps", "phasecal.jaxmd", "phasecal.task"]


def run(coroutine: Coroutine) -> object:
    """Do what `asyncio.run` does and put AiiDA's loop back, which would be dropped unclosed: later tests run on it."""
    loop = get_or_create_event_loop()
    try:
        return asyncio.run(coroutine)
    finally:
        asyncio.set_event_loop(loop)


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
        assert run(state._launch_task(task, "node")) == "result"
    run(state._launch_task(task_update_job, "node"))
    rests = [since for task, since in launched if task is rest]
    assert len(rests) == 2 and rests[0] == rests[1], "the time that a job has waited is counted from its first look"
    assert [task for task, _ in launched] == [rest, task_update_job, task_retrieve_job, rest, task_update_job]


def test_a_single_job_is_looked_at_soon_and_many_together():
    assert max(seconds_to_look(1, 0.0, now) for now in np.linspace(1000, 1001, 100)) < 0.02
    assert seconds_to_look(8, 0.0, now=1001.75) == pytest.approx(0.25)
    # from 46 jobs on every 64 s, and whoever comes on the way meets the others
    looks = [now + seconds_to_look(jobs, 0.0, now) for jobs, now in [(46, 1000.0), (99, 1003.7), (5000, 1019.0)]]
    assert looks == pytest.approx([1024.0] * 3)


@pytest.mark.parametrize(("waited", "period"), [(10, 0.25), (60, 2.0), (240, 8.0), (1e5, 8.0)])
def test_a_job_that_has_run_for_long_is_looked_at_less_often(waited, period):
    assert seconds_to_look(1, waited, now=1024.0) == period
    assert seconds_to_look(64, waited, now=1024.0) == 64.0, "many jobs decide"


def test_those_that_rest_are_counted(monkeypatch):
    counted = []

    def noted(jobs: int, waited: float, now: float) -> float:
        counted.append(jobs)
        return 0.0

    async def rest_together(jobs: int) -> None:
        await asyncio.gather(*(rest(0.0, InterruptableFuture()) for _ in range(jobs)))

    monkeypatch.setattr(waiting, "seconds_to_look", noted)
    run(rest_together(3))
    run(rest_together(1))
    assert counted == [1, 2, 3, 1]


def test_a_kill_ends_a_rest(monkeypatch):
    monkeypatch.setattr(waiting, "seconds_to_look", lambda jobs, waited, now: 60.0)

    async def killed() -> None:
        future = InterruptableFuture()
        asyncio.get_running_loop().call_later(0.05, future.interrupt, KeyError("killed"))
        await rest(0.0, future)

    with pytest.raises(KeyError, match="killed"):
        run(asyncio.wait_for(killed(), 30))
    assert PatientWaiting.resting == 0
