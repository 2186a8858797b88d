"""Live progress of a campaign: drawn in a terminal, as plain lines in a file."""

from __future__ import annotations

import time
from datetime import datetime

from aiida import orm
from rich.console import Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from aiida_phasecal.cli.common import console, in_campaign_units, interval
from aiida_phasecal.record import state_of
from aiida_phasecal.status import progress_of, words_of

REFRESH_S = 2.0
DRAW_S = 5.0
"""Drawing takes 0.2 s of a core."""
SUMMARY_S = 300.0
"""A file gets a line of numbers this often, whether or not the campaign reported something."""
BAR = 10
"""Characters of a bar."""


def duration(seconds: float | None) -> str:
    """A time in the two largest units; a dash where it is not known."""
    if seconds is None:
        return "–"
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def bar(fraction: float) -> str:
    """A bar of plain characters, the same in a terminal and in a file."""
    full = round(BAR * min(max(fraction, 0.0), 1.0))
    return "#" * full + "." * (BAR - full)


def headline(progress: dict) -> str:
    """State, age and jobs of a campaign in one line."""
    jobs, waiting = progress["jobs"], sum(job["waits"] is not None for job in progress["running"])
    counts = f"{jobs['finished']} jobs done, {jobs['running'] - waiting} running, {waiting} waiting"
    left = progress["time_left_s"]
    return (
        f"{progress['state']}, {duration(progress['elapsed_s'])}, {counts}"
        + (f", {len(progress['stuck'])} STUCK" if progress["stuck"] else "")
        + (f", about {duration(left)} for these jobs" if left is not None else "")
    )


def render(progress: dict) -> Group:
    """Draw the progress of a campaign, in 80 columns or more."""
    parts: list[RenderableType] = [
        Text(f"{progress['title']} ({progress['task']} {progress['pk']})", style="bold"),
        Text(headline(progress)),
    ]
    if progress["boundaries"]:
        parts.append(draw_boundaries(progress))
    if progress["rounds"]:
        parts.append(draw_rounds(progress))
    if progress["running"]:
        parts += draw_jobs(progress["running"])
    parts += [
        indented(f"restarted: {entry['process']} {entry['pk']}", *entry["why"]) for entry in progress["restarted"]
    ]
    if progress["latest"]:
        at = datetime.fromisoformat(progress["latest"]["time"]).astimezone()
        parts.append(Text(f"latest, {at:%H:%M:%S}: {progress['latest']['words']}"))
    for remedy in dict.fromkeys(entry["remedy"] for entry in progress["stuck"]):
        lines = [sentence(entry) for entry in progress["stuck"] if entry["remedy"] == remedy]
        parts.append(indented("STUCK: does not go on by itself", *lines, f"remedy: {remedy}", style="bold red"))
    return Group(*parts, *draw_failure(progress["failure"]))


def sentence(stuck: dict) -> str:
    """What is stuck, and why."""
    return " ".join(str(stuck[key]) for key in ("process", "pk", "why") if stuck[key] is not None)


def draw_boundaries(progress: dict) -> Table:
    """T ± σ of every boundary beside its target."""
    progress, kelvin, gpa, digits = in_campaign_units(progress)
    table = Table("boundary", f"P{gpa}", *(f"{name}{kelvin}" for name in ("initial", "now", "target")), "by", box=None)
    for entry in progress["boundaries"]:
        table.add_row(
            "–".join(entry["phases"]),
            f"{entry['pressure_gpa']:g}",
            interval(entry["initial_k"], entry["initial_sigma_k"], digits),
            interval(entry["temperature_k"], entry["sigma_k"], digits),
            interval(entry["target_k"], entry["target_sigma_k"], digits),
            (entry["method"] or "–") + (", verified" if entry.get("verified") else ""),
        )
    return table


def draw_rounds(progress: dict) -> Table:
    """T ± σ of every round, and the effective sample size as a bar."""
    progress, kelvin, _, digits = in_campaign_units(progress)
    table = Table("round", f"T ± σ{kelvin}", "N_eff", box=None)
    for entry in progress["rounds"]:
        pairs = zip(entry["temperatures_k"], entry["sigmas_k"], strict=True)
        n_eff = "–" if entry["n_eff"] is None else f"{bar(entry['n_eff'])} {entry['n_eff']:.2f}"
        table.add_row(str(entry["round"]), ", ".join(interval(t, s, digits) for t, s in pairs), n_eff)
    return table


def draw_jobs(running: list[dict]) -> list[RenderableType]:
    """A line for every job that computes, and one for all that wait for the same."""
    table = Table("job", "", "stage", "steps", "left", box=None)
    waiting: dict[str, list[dict]] = {}
    for job in running:
        if job["waits"] is not None:
            waiting.setdefault(job["waits"], []).append(job)
            continue
        steps = f"{bar(job['steps_done'] / job['steps'])} {job['steps_done']}" if job["steps_done"] is not None else "–"
        table.add_row(str(job["pk"]), job["what"], job["stage"] or "–", steps, duration(job["left_s"]))
    drawn: list[RenderableType] = [table] if table.row_count else []
    for reason, jobs in waiting.items():
        count = f"{len(jobs)} jobs wait" if len(jobs) > 1 else "1 job waits"
        drawn.append(indented(f"{count}: {reason}", " ".join(str(job["pk"]) for job in jobs)))
    return drawn


def draw_failure(path: list[dict]) -> list[RenderableType]:
    """From the exit code of a failed campaign down to where it began, with what each code advises."""
    drawn: list[RenderableType] = []
    for step in path:
        code = f" [{step['exit_code']}]" if step["exit_code"] is not None else ""
        advised = [f"{name}: {step[name]}" for name in ("look", "next") if step[name]]
        drawn.append(indented(f"{step['process']} {step['pk']}{code}: {step['what']}", *advised, style="red"))
    return drawn


def indented(head: str, *lines: str, style: str = "") -> RenderableType:
    """A line with lines below it that stay indented where they are wrapped."""
    return Group(Text(head, style=style), *(Padding(Text(line), (0, 0, 0, 2), expand=False) for line in lines))


def follow(node: orm.WorkChainNode) -> None:
    """Show live progress until the campaign ends; Ctrl-C leaves it running."""
    if not console.is_terminal:
        follow_plainly(node)
        return
    with Live(render(progress_of(node)), console=console, auto_refresh=False) as live:
        while state_of(node) == "running":
            time.sleep(DRAW_S)
            live.update(render(progress_of(node)), refresh=True)


def follow_plainly(node: orm.WorkChainNode) -> None:
    """Follow without a terminal: a line whenever the campaign reports something, and one of numbers now and then."""
    from aiida.orm.logs import OrderSpecifier

    seen, belongs, next_summary = 0, {node.pk: True}, time.monotonic() + SUMMARY_S
    while True:
        ended = state_of(node) != "running"
        new = {"id": {">": seen}, "dbnode_id": {">=": node.pk}}
        for log in orm.Log.collection.find(new, order_by=[OrderSpecifier("id", "asc")]):
            seen = log.pk
            words = words_of(log.message)
            if words and is_below(log.dbnode_id, belongs):
                print_line(log.time, words)
        if ended:
            return
        if time.monotonic() > next_summary:
            progress = progress_of(node)
            print_line(datetime.now().astimezone(), headline(progress))
            for entry in progress["stuck"]:
                print_line(datetime.now().astimezone(), f"STUCK: {sentence(entry)}; remedy: {entry['remedy']}")
            next_summary += SUMMARY_S
        time.sleep(REFRESH_S)


def print_line(at: datetime, words: str) -> None:
    """Print one line for a file: never wrapped, no control codes."""
    console.print(f"{at.astimezone():%H:%M:%S} {words}", highlight=False, markup=False, soft_wrap=True)


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
