"""The active jobs of a campaign: what each does, how far it is, what it waits for, and the time left.

Imported only when there are such jobs: the readers of their logs take a second to load.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from aiida import orm

from aiida_phasecal.calculations.base import busy_slots, slot_folder
from aiida_phasecal.tree import Process, dicts_of
from phasecal.engines.jaxmd.progress import read_progress as read_jaxmd
from phasecal.engines.lammps.progress import RunProgress, total_steps
from phasecal.engines.lammps.progress import read_progress as read_lammps
from phasecal.errors import InputError

READERS = {"aiida.calculations:phasecal.lammps": read_lammps, "aiida.calculations:phasecal.jaxmd": read_jaxmd}
"""How far a job is, by its kind; others do not tell."""


def describe_jobs(jobs: list[Process], slots: int | None) -> list[dict]:
    """The active jobs of a campaign as plain data, with the seconds that each still needs.

    Args:
        jobs: All jobs of the campaign; those that are done tell how fast others of their size are.
        slots: Jobs that may run at once; None where a scheduler decides.
    """
    tasks = dicts_of((job.pk for job in jobs), "task", inputs=True)
    running = [describe_job(job, tasks.get(job.pk), slots) for job in jobs if not job.is_terminated]
    add_time_left(running, jobs, tasks)
    return running


def describe_job(job: Process, task: dict | None, slots: int | None) -> dict:
    """What an active job does and how far it is, or what it waits for."""
    entry: dict = {"pk": job.pk, "what": name_of(task), "stage": None, "steps_done": None, "steps": steps_of(task)}
    entry |= {"steps_per_s": None, "left_s": None, "waits": waits_for(job, slots)}
    if task is not None and entry["steps"] is not None and entry["waits"] is None:
        found = read_job(job, task)
        if found is not None:
            entry |= {"stage": found.stage, "steps_done": found.steps_done, "steps_per_s": found.steps_per_s}
    return entry


def name_of(task: dict | None) -> str:
    """What a job does, in few words."""
    if task is None:
        return "calibration step"
    return f"{task['kind']} {task.get('phase') or '|'.join(task['phases'])} {task['temperature_k']:.0f} K"


def steps_of(task: dict | None) -> int | None:
    """MD steps of a task; None of a calibration step, and of a task that an older version of phasecal wrote."""
    return None if task is None else count_steps(json.dumps(task, sort_keys=True))


@cache
def count_steps(task: str) -> int | None:
    """Steps of a task as JSON; the number is asked for again and again while a campaign is watched."""
    try:
        return total_steps(json.loads(task))
    except InputError:
        return None


@cache
def computer_of(pk: int) -> orm.Computer:
    """A computer, loaded once."""
    return orm.load_computer(pk)


def is_here(job: Process) -> bool:
    """Say whether the folder of a job is on this machine."""
    return job.computer is not None and computer_of(job.computer).transport_type == "core.local"


def read_job(job: Process, task: dict) -> RunProgress | None:
    """How far a running job on this machine is; None elsewhere."""
    if not (is_here(job) and job.remote_workdir and job.process_type in READERS):
        return None
    return READERS[job.process_type](Path(job.remote_workdir), task)


def waits_for(job: Process, slots: int | None) -> str | None:
    """Why an active job does not compute, in words; None when it does, or when nobody can tell."""
    if job.scheduler_state is None:
        return "being prepared by the daemon" if job.process_state != "created" else "not begun by the daemon yet"
    where = computer_of(job.computer).label if job.computer is not None else "its computer"
    if job.scheduler_state in ("queued", "queued held"):
        reason = (job.last_job_info or {}).get("annotation") if isinstance(job.last_job_info, dict) else None
        return f"in the queue of {where}" + (f" ({reason})" if reason else "")
    if job.scheduler_state == "running" and slots is not None and is_here(job) and not has_begun(job):
        busy = busy_slots(slot_folder(computer_of(job.computer)))
        return f"for a slot of {where}" + (f" ({busy} of {slots} busy)" if busy is not None else "")
    return None


def has_begun(job: Process) -> bool:
    """Say whether the program of a job writes its output already: its shell opens the file when a slot is free."""
    return job.remote_workdir is not None and Path(job.remote_workdir, job.output_filename or "").exists()


def size_of(task: Mapping) -> tuple:
    """What makes runs equally fast: kind and size."""
    return task["kind"], *((key, value) for key, value in sorted(task.items()) if key.startswith("n_"))


def add_time_left(running: list[dict], jobs: list[Process], tasks: dict[int, dict]) -> None:
    """Give every active job the seconds it still needs: from its own speed, or from that of a run of its size."""
    finished = [job.pk for job in jobs if job.is_terminated and not job.has_failed and job.pk in tasks]
    results = dicts_of(finished, "results", inputs=False)
    sizes = {size_of(tasks[pk]): pk for pk in finished if results.get(pk, {}).get("wall_s")}  # the newest of each
    speeds = {size: (steps_of(tasks[pk]) or 0) / results[pk]["wall_s"] for size, pk in sizes.items()}
    now = {size_of(tasks[e["pk"]]): e["steps_per_s"] for e in running if e["pk"] in tasks and e["steps_per_s"]}
    for entry in running:
        if entry["steps"] is None:
            continue
        size = size_of(tasks[entry["pk"]])
        speed = entry["steps_per_s"] or now.get(size) or speeds.get(size)
        if speed:
            entry["left_s"] = round((entry["steps"] - (entry["steps_done"] or 0)) / speed)
