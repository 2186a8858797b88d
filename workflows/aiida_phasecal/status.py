"""Where a campaign stands: its jobs and how far they are, what waits and why, what was restarted, and the time left."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from aiida import orm
from aiida.engine.daemon.client import get_daemon_client
from aiida.manage import get_config, get_manager

from aiida_phasecal.calculations.base import busy_slots, slot_folder
from aiida_phasecal.failures import RESTARTED, advice_of
from aiida_phasecal.record import anchors_of, rounds_of, summarise, wall_s
from aiida_phasecal.tree import Process, dicts_of, process_tree
from phasecal.engines.jaxmd.progress import read_progress as read_jaxmd
from phasecal.engines.lammps.progress import RunProgress, total_steps
from phasecal.engines.lammps.progress import read_progress as read_lammps
from phasecal.errors import InputError

READERS = {"aiida.calculations:phasecal.lammps": read_lammps, "aiida.calculations:phasecal.jaxmd": read_jaxmd}
"""How far a job is, by its kind; others do not tell."""
LOST_AFTER_S = 60.0
"""A process without a task in the queue is lost; younger ones may be on their way there."""
START_DAEMON = "`verdi daemon start`"
REPAIR = "`verdi daemon stop`, `verdi process repair`, `verdi daemon start`"
REVIVE = "`verdi devel rabbitmq tasks revive -f {}` (works with the ZeroMQ broker too)"
ROUTINE = ("|run_process", "|results", "|on_terminated")
"""Steps of AiiDA's restart work chains whose reports say only that a job started or ended."""


def progress_of(node: orm.WorkChainNode) -> dict:
    """Where a campaign stands, as plain data; temperatures in K, times in s."""
    queued = queued_processes()  # before the processes are read: one that ends meanwhile is then no lost one
    tree = process_tree(node)
    jobs = [process for process in tree.values() if process.is_job]
    active = [job for job in jobs if not job.is_terminated]
    stuck = [] if node.is_terminated else find_stuck(tree.values(), queued)
    tasks = dicts_of((job.pk for job in jobs), "task", inputs=True) if active else {}
    running = [describe_job(job, tasks.get(job.pk), slots_of(node)) for job in active]
    for entry in running:
        if entry["pk"] in {found["pk"] for found in stuck}:
            entry["waits"] = "stuck, see below"
    add_time_left(running, jobs, tasks)
    return {
        **summarise(node, tree),
        "rounds": [describe_round(i + 1, job) for i, job in enumerate(rounds_of(node))],
        "anchors": len(anchors_of(node)),
        "jobs": {"finished": len(jobs) - len(active), "running": len(active)},
        "running": running,
        "stuck": stuck,
        "restarted": find_restarts(tree),
        "latest": None if node.is_terminated else latest_report(tree),
        "time_left_s": None if node.is_terminated or stuck else time_left(running, slots_of(node)),
        "elapsed_s": round(wall_s(node)),
    }


def describe_round(number: int, job: orm.CalcJobNode) -> dict:
    """Temperatures and effective sample size of one calibration step."""
    result = job.outputs.result
    return {
        "round": number,
        "pk": job.pk,
        "temperatures_k": [target["temperature_k"] for target in result["targets"]],
        "sigmas_k": [target["sigma_k"] for target in result["targets"]],
        "n_eff": min((phase["n_eff"] for phase in result["phases"]), default=None),
    }


# -- jobs ------------------------------------------------------------


def slots_of(node: orm.WorkChainNode) -> int | None:
    """Jobs that may run at once; None where a scheduler decides."""
    if node.inputs.code.computer.scheduler_type != "core.direct":
        return None
    return node.inputs.campaign["resources"]["slots"]


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


# -- time ------------------------------------------------------------


def size_of(task: Mapping) -> tuple:
    """What makes runs equally fast: kind and size."""
    return task["kind"], *((key, value) for key, value in sorted(task.items()) if key.startswith("n_"))


def add_time_left(running: list[dict], jobs: list[Process], tasks: dict[int, dict]) -> None:
    """Give every active job the seconds it still needs: from its own speed, or from that of a run of its size."""
    finished = [job.pk for job in jobs if job.is_terminated and not job.has_failed and job.pk in tasks]
    results = dicts_of(finished, "results", inputs=False) if running else {}
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


def time_left(running: list[dict], slots: int | None) -> int | None:
    """Seconds until the jobs submitted so far are done; None when the speed of some is not known.

    With slots, whose jobs share the machine: not less than the longest, nor than all together on all slots.
    """
    left = [entry["left_s"] for entry in running if entry["steps"] is not None]
    if not left or None in left:
        return None
    return max(*left, round(sum(left) / slots) if slots else 0)


# -- what does not go on ------------------------------------------------------------


def queued_processes() -> set[int] | None:
    """PKs of the processes that the broker holds for the daemon; None where it does not tell.

    Read from the files of the ZeroMQ broker. AiiDA's own reader (`get_process_tasks`) must not be used beside a running
    daemon: it moves tasks that are being worked on back into the queue.
    """
    profile = get_manager().get_profile()
    if profile.process_control_backend != "core.zeromq":
        return None
    queue = Path(get_config().filepaths(profile)["broker_service"]["dir"]) / "storage" / "tasks"
    found = set()
    for state in ("pending", "processing"):  # in the order in which tasks move, so that none slips through
        for path in queue.glob(f"{state}/*.json"):
            try:
                found.add(json.loads(path.read_text(encoding="utf8"))["body"]["args"]["pid"])
            except (OSError, ValueError, KeyError):
                continue  # moved on, or not that of a process
    return found


def find_stuck(processes: Iterable[Process], queued: set[int] | None) -> list[dict]:
    """Active processes that will not go on by themselves: why, and the remedy."""
    if not get_daemon_client().is_daemon_running:
        return [{"pk": None, "process": "the daemon", "why": "is not running: nothing goes on", "remedy": START_DAEMON}]
    processes = [process for process in processes if not process.is_terminated]
    stuck: list[dict] = []
    for process in processes:
        age = (datetime.now(UTC) - process.mtime).total_seconds()
        if process.paused:
            why, remedy = f"is paused ({process.process_status or 'by hand'})", f"`verdi process play {process.pk}`"
        elif queued is not None and process.pk not in queued and age > LOST_AFTER_S:
            never = process.process_state == "created"  # else a worker may hold it: only safe with the daemon stopped
            state, remedy = ("was never started", REVIVE) if never else ("will not go on", REPAIR)
            why = f"{state}: its task was lost, as when a daemon is killed"
        else:
            continue
        stuck.append({"pk": process.pk, "process": process.process_label, "why": why, "remedy": remedy})
    never_started = " ".join(str(entry["pk"]) for entry in stuck if entry["remedy"] is REVIVE)
    return [{**entry, "remedy": entry["remedy"].format(never_started)} for entry in stuck]


def find_restarts(tree: Mapping[int, Process]) -> list[dict]:
    """MD runs that needed more than one job, and why the jobs before the last one ended."""
    jobs: dict[int, list[Process]] = {}
    for process in tree.values():
        caller = None if process.caller is None else tree.get(process.caller)
        if process.is_job and caller is not None and caller.process_type in RESTARTED:
            jobs.setdefault(caller.pk, []).append(process)
    return [
        {
            "pk": pk,
            "process": tree[pk].process_label,
            "why": [f"[{j.exit_status}] {advice_of(j).what}" for j in ran[:-1]],
        }
        for pk, ran in jobs.items()
        if len(ran) > 1
    ]


def words_of(message: str) -> str:
    """What a report of a process says, in one line; empty for the routine of restart work chains."""
    origin, is_report, words = message.partition("]: ")
    if not is_report:
        return message.strip().rpartition("\n")[2]  # of a traceback, what was wrong
    return "" if origin.endswith(ROUTINE) else words


def latest_report(tree: Mapping[int, Process]) -> dict | None:
    """What the campaign reported last."""
    query = orm.QueryBuilder().append(
        orm.Log,
        filters={"dbnode_id": {"in": [pk for pk, process in tree.items() if not process.is_terminated]}},
        project=["time", "dbnode_id", "message"],
    )
    for time, pk, message in query.order_by({orm.Log: {"id": "desc"}}).limit(20).all():
        if words := words_of(message):
            return {"time": time.isoformat(timespec="seconds"), "pk": pk, "words": words}
    return None
