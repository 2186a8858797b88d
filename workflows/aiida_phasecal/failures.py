"""Why a campaign failed: from its own exit code down to the process where it began, with what each advises."""

from __future__ import annotations

import re
from collections.abc import Mapping

from aiida.plugins.entry_point import load_entry_point_from_string

from aiida_phasecal.advice import Advice, parts_of, passed_on
from aiida_phasecal.tree import Process

NAMED = re.compile(r"<(\d+)>")
FROM_CHILD = re.compile(r":? ?\w+<\d+>: .*$", re.DOTALL)
"""What a chain's message repeats of its child's."""
RESTARTED = ("aiida.workflows:phasecal.md", "aiida.workflows:phasecal.jaxmd")
"""Work chains that restart jobs; their codes do not name the job that failed last."""
PASSED_ON = parts_of(passed_on(""))


def failure_path(tree: Mapping[int, Process], pk: int) -> list[dict]:
    """Failed processes from one down to where the failure began, each with the one that it failed of after it.

    Failed children that were dealt with (a run that was restarted, a phase that was lost by superheating) are not
    named by the chain that called them, and are not on the path.
    """
    path = []
    process: Process | None = tree[pk]
    while process is not None and process.has_failed:
        child = cause(tree, process)
        path.append(describe(process, child))
        process = child
    return path


def cause(tree: Mapping[int, Process], process: Process) -> Process | None:
    """The failed child that made a process fail; None when it failed by itself."""
    if process.process_state == "killed":
        return None  # and so were those that it had called
    failed = [child for child in tree.values() if child.caller == process.pk and child.has_failed]
    if process.process_type in RESTARTED or process.process_state != "finished":
        return failed[-1] if failed else None
    named = {int(pk) for pk in NAMED.findall(process.exit_message or "")}
    return next((child for child in failed if child.pk in named), None)


def describe(process: Process, child: Process | None) -> dict:
    """What happened to one failed process, and what its exit code advises; ``child`` is what it failed of."""
    what, look, next_step = advice_of(process)
    if child is not None:
        what = FROM_CHILD.sub("", what)
        if look == PASSED_ON.look or process.exit_status == child.exit_status:  # a run repeats the code of its job
            look = next_step = ""
    return {
        "pk": process.pk,
        "process": process.process_label,
        "exit_code": process.exit_status,
        "what": what,
        "look": look,
        "next": next_step,
    }


def advice_of(process: Process) -> Advice:
    """Message of a failed process; advice that was not recorded with it is what its class has for this code today."""
    report = f"`verdi process report {process.pk}`."
    if process.process_state == "killed":
        return Advice("It was killed.", report, "`phasecal resume` of the campaign; what was finished is not repeated.")
    if process.process_state == "excepted":
        last = (process.exception or "").strip().splitlines()[-1:]
        mend = (
            "mend what it names (a full disk, a lost computer), then `phasecal resume` the campaign; "
            "else report it as a fault of phasecal."
        )
        return Advice(" ".join(["It ended with an exception:", *last]), report, mend)
    recorded = parts_of(process.exit_message, process.pk)
    if recorded.look:
        return recorded
    today = parts_of(message_today(process), process.pk)
    return Advice(recorded.what, today.look or report, today.next_step)


def message_today(process: Process) -> str:
    """Message of the exit code of a process as its class declares it; empty where it has none."""
    if not process.process_type.partition(":")[2].startswith("phasecal."):
        return ""
    codes = load_entry_point_from_string(process.process_type).spec().exit_codes.values()
    return next((code.message for code in codes if code.status == process.exit_status), "")
