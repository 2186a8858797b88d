"""Exit codes as help: three parts in every message, and the way from a campaign to the process where it failed."""

from __future__ import annotations

from importlib.metadata import entry_points
from types import SimpleNamespace

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida_phasecal.advice import parts_of, passed_on
from aiida_phasecal.calculations.lammps import LammpsMdCalculation
from aiida_phasecal.cli.progress import draw_failure
from aiida_phasecal.failures import failure_path
from aiida_phasecal.tree import process_tree
from aiida_phasecal.workchains.common import failure
from plumpy import ProcessState
from rich.console import Console

PROCESSES = [
    point
    for group in ("aiida.calculations", "aiida.workflows")
    for point in entry_points(group=group)
    if point.name.startswith("phasecal.")
]
OF_AIIDA = {1, 2, 10, 11, 100, 150, 160}
"""Codes that AiiDA gives itself and whose message comes with them."""


@pytest.mark.parametrize("point", PROCESSES, ids=lambda point: f"{point.group.rpartition('.')[2]}:{point.name}")
def test_every_code_says_what_happened_where_to_look_and_what_to_do(point):
    for code in point.load().spec().exit_codes.values():
        if code.status not in OF_AIIDA:
            assert all(parts_of(code.message)), f"{point.name} [{code.status}] {code.message}"


def test_advice_names_the_process():
    message = LammpsMdCalculation.exit_codes.ERROR_ENGINE.format(message="ERROR: no PK here").message
    what, look, next_step = parts_of(message, 42)
    assert what == "LAMMPS stopped with an error: ERROR: no PK here"
    assert "outputcat 42 log.lammps" in look
    assert "model" in next_step
    assert parts_of("of an older version") == ("of an older version", "", "")
    assert parts_of(None) == ("", "", "")


def test_what_a_child_advised_is_not_repeated_by_its_callers():
    message = LammpsMdCalculation.exit_codes.ERROR_ENGINE.format(message="ERROR").message
    child = SimpleNamespace(process_label="LammpsMdCalculation", pk=7, exit_message=message)
    assert failure(child) == "LammpsMdCalculation<7>: LAMMPS stopped with an error: ERROR"


@pytest.fixture
def make():
    """Return a function that stores a process with an exit status, called by another one."""

    def make(name, status, message="", caller=None, state=ProcessState.FINISHED):
        kind = orm.CalcJobNode if name == "lammps" else orm.WorkChainNode
        group = "calculations" if name == "lammps" else "workflows"
        node = kind(process_type=f"aiida.{group}:phasecal.{name}")
        if caller is not None:
            link = LinkType.CALL_CALC if name == "lammps" else LinkType.CALL_WORK
            node.base.links.add_incoming(caller, link_type=link, link_label=f"c{caller.pk}_{name}_{status}")
        node.set_process_label(name)
        node.set_process_state(state)
        if state == ProcessState.FINISHED:
            node.set_exit_status(status)
            node.set_exit_message(message)
        return node.store()

    return make


def name(node, what: str) -> str:
    """Message of a chain that passes on the failure of a child."""
    return passed_on(f"{what}: {{message}}").format(message=f"{node.process_label}<{node.pk}>: inner words")


def test_the_path_leads_through_every_chain_to_the_job(aiida_profile, make):
    campaign = make("points", None, state=ProcessState.RUNNING)
    transition = make("transition", None, caller=campaign, state=ProcessState.RUNNING)
    chain = make("md", 402, passed_on("A job failed."), caller=transition)
    make("lammps", 400, "The run ended at step 5 before it was finished.", caller=chain)  # this one was continued
    job = make("lammps", 320, "LAMMPS stopped with an error: ERROR: Unknown pair style", caller=chain)
    transition.set_process_state(ProcessState.FINISHED)
    transition.set_exit_status(401)
    transition.set_exit_message(name(chain, "The anchor failed"))
    campaign.set_process_state(ProcessState.FINISHED)
    campaign.set_exit_status(401)
    campaign.set_exit_message(name(transition, "A transition could not be measured"))

    path = failure_path(process_tree(campaign), campaign.pk)
    assert [step["pk"] for step in path] == [campaign.pk, transition.pk, chain.pk, job.pk]
    assert [step["exit_code"] for step in path] == [401, 401, 402, 320]
    assert path[0]["what"] == "A transition could not be measured"
    assert not any(step["look"] or step["next"] for step in path[:-1])
    assert path[-1]["what"].endswith("Unknown pair style")
    assert f"outputcat {job.pk} log.lammps" in path[-1]["look"]  # recorded before there was advice: today's is shown
    assert path[-1]["next"]

    console = Console(width=80, record=True)
    console.print(*draw_failure(path), sep="\n")
    text = console.export_text()
    assert "Unknown pair style" in text
    assert f"  look: `verdi calcjob outputcat {job.pk} log.lammps`" in text
    assert max(map(len, text.splitlines())) <= 80


def test_what_was_dealt_with_is_no_cause(aiida_profile, make):
    campaign = make("calibrate", 530, "Not converged after 9 rounds: 1340.0 ± 2.0 K for 1357.8 K")
    make("sample", 510, "The fcc sample is rejected: molten", caller=campaign)
    (step,) = failure_path(process_tree(campaign), campaign.pk)
    assert step["pk"] == campaign.pk
    assert "max_rounds" in step["next"]


def test_exceptions_and_kills_say_so(aiida_profile, make):
    campaign = make("points", None, state=ProcessState.EXCEPTED)
    campaign.set_exception("Traceback\nOSError: disk full")
    (step,) = failure_path(process_tree(campaign), campaign.pk)
    assert step["exit_code"] is None
    assert "OSError: disk full" in step["what"]
    killed = make("points", None, state=ProcessState.KILLED)
    make("transition", None, caller=killed, state=ProcessState.KILLED)
    (step,) = failure_path(process_tree(killed), killed.pk)
    assert "killed" in step["what"]


def test_a_campaign_that_runs_or_ended_well_has_no_path(aiida_profile, make):
    for node in (make("points", 0), make("points", None, state=ProcessState.RUNNING)):
        assert failure_path(process_tree(node), node.pk) == []
