"""Where a campaign stands: its jobs and how far they are, what waits and why, what was restarted, and the time left."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from aiida import orm
from aiida.manage import get_config, get_manager

from aiida_phasecal.daemon import is_daemon_running, is_without_worker, start_command
from aiida_phasecal.failures import RESTARTED, advice_of
from aiida_phasecal.record import anchors_of, rounds_of, summarise, wall_s
from aiida_phasecal.tree import Process, process_tree

LOST_AFTER_S = 60.0
"""A process without a task in the queue is lost; younger ones may be on their way there."""
REPAIR = "`verdi daemon stop`, `verdi process repair`, `phasecal init`"
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
    running: list[dict] = []
    if active:
        from aiida_phasecal.jobs import describe_jobs  # takes a second to load

        running = describe_jobs(jobs, slots_of(node))
    for entry in running:
        if entry["pk"] in {found["pk"] for found in stuck}:
            entry["waits"] = "stuck, see below"
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


def slots_of(node: orm.WorkChainNode) -> int | None:
    """Jobs that may run at once; None where a scheduler decides."""
    if node.inputs.code.computer.scheduler_type != "core.direct":
        return None
    return node.inputs.campaign["resources"]["slots"]


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
    if not is_daemon_running():
        return [
            {"pk": None, "process": "the daemon", "why": "is not running: nothing goes on", "remedy": start_command()}
        ]
    stuck: list[dict] = []
    if is_without_worker(get_manager().get_profile().name, LOST_AFTER_S):
        why, remedy = "has no worker that takes tasks: nothing goes on", f"`verdi daemon stop`, {start_command()}"
        stuck.append({"pk": None, "process": "the daemon", "why": why, "remedy": remedy})
    for process in processes:
        if process.is_terminated or not process.has_task:
            continue
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
