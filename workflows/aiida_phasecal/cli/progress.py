"""Live progress of a campaign, read from the database and from the logs of running jobs."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path

from aiida import orm
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from aiida_phasecal.calculations.jaxmd import JaxMdCalculation
from aiida_phasecal.calculations.lammps import LammpsMdCalculation
from aiida_phasecal.cli.common import console, in_campaign_units, interval
from aiida_phasecal.record import anchors_of, jobs_of, rounds_of, state_of, summarise
from phasecal.engines import jaxmd, lammps

REFRESH_S = 2.0
ROUTINE = ("|run_process", "|results", "|on_terminated")
"""Steps of AiiDA's restart work chains whose reports say only that a job started or ended."""
MD_LOGS = {
    LammpsMdCalculation: (lammps.LOG_FILE, re.compile(r"^\s*- \[\s*(\d+),", re.MULTILINE)),
    JaxMdCalculation: (jaxmd.LOG_FILE, re.compile(r"^step (\d+) of", re.MULTILINE)),
}
"""Log of each kind of MD job, and what a line with the number of its step looks like."""


def steps_of(job: orm.CalcJobNode) -> int | None:
    """Newest production step in the log of a running job on this machine; None elsewhere or before production."""
    if job.computer is None or job.computer.transport_type != "core.local" or not job.get_remote_workdir():
        return None
    name, line = MD_LOGS[job.process_class]
    try:
        log = (Path(job.get_remote_workdir()) / name).read_text(errors="replace")
    except OSError:
        return None
    _, started, production = log.partition("phasecal stage: production")
    found = line.findall(production)
    return (int(found[-1]) if found else 0) if started else None


def describe_job(job: orm.CalcJobNode) -> dict:
    """What a running job does and how far it is."""
    entry = {"pk": job.pk, "what": "calibration step", "steps_done": None, "steps": None}
    if job.process_class in MD_LOGS:
        task = job.inputs.task.get_dict()
        phase = task.get("phase") or "|".join(task["phases"])
        entry["what"] = f"{task['kind']} {phase} {task['temperature_k']:.0f} K"
        entry["steps_done"], entry["steps"] = steps_of(job), task["production_steps"]
    return entry


def progress_of(node: orm.WorkChainNode) -> dict:
    """Where a campaign stands, as plain data."""
    jobs = jobs_of(node)
    rounds = [
        {
            "round": i + 1,
            "temperatures_k": [t["temperature_k"] for t in job.outputs.result["targets"]],
            "sigmas_k": [t["sigma_k"] for t in job.outputs.result["targets"]],
            "n_eff": min((p["n_eff"] for p in job.outputs.result["phases"]), default=None),
        }
        for i, job in enumerate(rounds_of(node))
    ]
    now = datetime.now(UTC)
    return {
        **summarise(node),
        "rounds": rounds,
        "anchors": len(anchors_of(node)),
        "jobs": {
            "finished": sum(job.is_terminated for job in jobs),
            "running": sum(not job.is_terminated for job in jobs),
        },
        "running": [describe_job(job) for job in jobs if not job.is_terminated],
        "elapsed_s": round(((node.mtime if node.is_terminated else now) - node.ctime).total_seconds()),
    }


def render(progress: dict) -> Group:
    """Draw the progress of a campaign."""
    jobs = progress["jobs"]
    head = Text(
        f"{progress['title']} (PK {progress['pk']}): {progress['state']}, {progress['elapsed_s']} s, "
        f"{jobs['finished']} jobs done, {jobs['running']} running"
    )
    progress, kelvin, gpa, digits = in_campaign_units(progress)
    columns = [f"{name}{kelvin}" for name in ("initial", "now", "target")]
    boundaries = Table("boundary", f"P{gpa}", *columns, box=None)
    for entry in progress["boundaries"]:
        verified = f" verified by {entry['method']}" if entry.get("verified") else ""
        boundaries.add_row(
            "–".join(entry["phases"]),
            f"{entry['pressure_gpa']:g}",
            interval(entry["initial_k"], entry["initial_sigma_k"], digits),
            interval(entry["temperature_k"], entry["sigma_k"], digits) + verified,
            interval(entry["target_k"], entry["target_sigma_k"], digits),
        )
    parts: list[RenderableType] = [head, boundaries]
    if progress["rounds"]:
        rounds = Table("round", f"T ± σ{kelvin}", "N_eff", box=None)
        for entry in progress["rounds"]:
            pairs = zip(entry["temperatures_k"], entry["sigmas_k"], strict=True)
            n_eff = "–" if entry["n_eff"] is None else f"{entry['n_eff']:.2f}"
            rounds.add_row(str(entry["round"]), ", ".join(interval(t, s, digits) for t, s in pairs), n_eff)
        parts.append(rounds)
    running = Table.grid(padding=(0, 2))
    for job in progress["running"]:
        if job["steps"] and job["steps_done"] is not None:
            bar = ProgressBar(total=job["steps"], completed=job["steps_done"], width=30)
            running.add_row(f"  job {job['pk']}", job["what"], bar, f"{job['steps_done']}/{job['steps']} steps")
        else:
            running.add_row(f"  job {job['pk']}", job["what"], "", "waiting or preparing")
    return Group(*parts, running)


def follow(node: orm.WorkChainNode) -> None:
    """Show live progress until the campaign ends; Ctrl-C leaves it running."""
    if not console.is_terminal:
        follow_plainly(node)
        return
    with Live(render(progress_of(node)), console=console, refresh_per_second=1) as live:
        while state_of(node) == "running":
            time.sleep(REFRESH_S)
            live.update(render(progress_of(node)))


def follow_plainly(node: orm.WorkChainNode) -> None:
    """Follow without a terminal: one line whenever the campaign reports something."""
    from aiida.orm.logs import OrderSpecifier

    seen, belongs = 0, {node.pk: True}
    while True:
        ended = state_of(node) != "running"
        new = {"id": {">": seen}, "dbnode_id": {">=": node.pk}}
        for log in orm.Log.collection.find(new, order_by=[OrderSpecifier("id", "asc")]):
            seen = log.pk
            origin, _, words = log.message.partition("]: ")
            if not origin.endswith(ROUTINE) and is_below(log.dbnode_id, belongs):
                console.print(
                    f"{log.time.astimezone():%H:%M:%S} {words}", highlight=False, markup=False, soft_wrap=True
                )
        if ended:
            return
        time.sleep(REFRESH_S)


def is_below(pk: int, belongs: dict[int, bool]) -> bool:
    """Say whether a process was called, over any number of work chains, by one that ``belongs``; remember the answer.

    Looking up the callers of what is new costs a running campaign next to nothing; collecting all its descendants every
    two seconds took a tenth of a core.
    """
    if pk not in belongs:
        caller = orm.load_node(pk).caller
        belongs[pk] = caller is not None and is_below(caller.pk, belongs)
    return belongs[pk]


def follow_silently(node: orm.WorkChainNode) -> None:
    """Wait for the end without printing."""
    while state_of(node) == "running":
        time.sleep(REFRESH_S)
