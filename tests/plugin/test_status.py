"""What waits and why, what is stuck, and how it is drawn."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from aiida import orm
from aiida.manage import get_config, get_manager
from aiida_phasecal import jobs as active_jobs
from aiida_phasecal import status
from aiida_phasecal.calculations.base import busy_slots
from aiida_phasecal.cli.progress import bar, duration, follow_plainly, headline, render
from aiida_phasecal.tree import Process
from plumpy import ProcessState
from rich.console import Console

NOW = datetime.now(UTC)
JOB = Process(
    pk=9,
    caller=8,
    process_type="aiida.calculations:phasecal.lammps",
    node_type="process.calculation.calcjob.CalcJobNode.",
    computer=None,
    ctime=NOW - timedelta(hours=1),
    mtime=NOW - timedelta(hours=1),
    process_label="LammpsMdCalculation",
    process_state="waiting",
    process_status=None,
    paused=None,
    exit_status=None,
    exit_message=None,
    exception=None,
    scheduler_state="running",
    last_job_info=None,
    remote_workdir=None,
    output_filename="lammps.out",
)


@pytest.fixture
def daemon(aiida_profile, monkeypatch):
    """Return a function that says whether the daemon runs."""

    def say(running: bool) -> None:
        monkeypatch.setattr(status, "is_daemon_running", lambda: running)

    return say


def test_a_process_without_a_task_is_stuck(daemon):
    daemon(True)
    created = replace(JOB, process_state="created")
    assert status.find_stuck([created], {9}) == []
    assert status.find_stuck([created], None) == []  # a broker that does not tell
    assert status.find_stuck([replace(created, mtime=datetime.now(UTC))], set()) == []  # on its way there
    (stuck,) = status.find_stuck([created], {1, 2})
    assert (stuck["pk"], "never started" in stuck["why"]) == (9, True)
    assert "tasks revive -f 9`" in stuck["remedy"]
    (stuck,) = status.find_stuck([JOB], set())
    assert "will not go on" in stuck["why"]
    assert "verdi process repair" in stuck["remedy"]
    assert status.find_stuck([replace(JOB, process_state="finished", exit_status=0)], set()) == []
    within = replace(created, node_type="process.calculation.calcfunction.CalcFunctionNode.")
    assert status.find_stuck([within], set()) == []  # part of its caller, which has a task


def test_pauses_and_a_stopped_daemon_are_stuck(daemon):
    daemon(True)
    (stuck,) = status.find_stuck([replace(JOB, paused=True, process_status="failed five times")], {9})
    assert stuck["remedy"] == "`verdi process play 9`"
    assert "failed five times" in stuck["why"]
    daemon(False)
    (stuck,) = status.find_stuck([JOB], {9})
    assert stuck["process"] == "the daemon"
    assert stuck["remedy"] == f"`phasecal init -p {get_manager().get_profile().name}`"


def test_a_daemon_whose_worker_takes_no_tasks_is_stuck(daemon, monkeypatch, tmp_path):
    daemon(True)
    monkeypatch.setattr(type(get_config()), "filepaths", lambda *_: {"broker_service": {"dir": tmp_path}})
    assert status.find_stuck([JOB], {9}) == []  # no broker yet
    pid_file, state = tmp_path / "broker.pid", tmp_path / "broker.status"
    pid_file.write_text("aiida-zeromq-broker 7")
    state.write_text('{"task_subscribers": 0}')
    assert status.find_stuck([JOB], {9}) == []  # its worker is starting
    os.utime(pid_file, (0, 0))
    (stuck,) = status.find_stuck([JOB], {9})
    assert (stuck["process"], "no worker" in stuck["why"]) == ("the daemon", True)
    assert stuck["remedy"].startswith("`verdi daemon stop`, `phasecal init -p ")
    for words in ('{"task_subscribers": 1}', "{"):
        state.write_text(words)
        assert status.find_stuck([JOB], {9}) == []


def test_the_tasks_of_the_broker_are_only_read(monkeypatch, tmp_path):
    folder = tmp_path / "storage" / "tasks"
    for state, pk in (("pending", 3), ("processing", 4)):
        (folder / state).mkdir(parents=True)
        (folder / state / f"1_{pk}.json").write_text(json.dumps({"body": {"args": {"pid": pk}}}))
    (folder / "pending" / "2_other.json").write_text("{}")
    before = sorted(tmp_path.rglob("*"))
    profile = type("Profile", (), {"process_control_backend": "core.zeromq"})()
    monkeypatch.setattr(status, "get_manager", type("M", (), {"get_profile": lambda self: profile}))
    paths = {"broker_service": {"dir": str(tmp_path)}}
    monkeypatch.setattr(status, "get_config", type("C", (), {"filepaths": lambda self, _: paths}))
    assert status.queued_processes() == {3, 4}
    assert sorted(tmp_path.rglob("*")) == before
    profile.process_control_backend = "core.rabbitmq"
    assert status.queued_processes() is None


def test_busy_slots_are_counted_without_touching_them(tmp_path):
    for i in (1, 2):
        (tmp_path / f"slot.{i}").touch()
    assert busy_slots(str(tmp_path)) == 0
    with (tmp_path / "slot.2").open() as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert busy_slots(str(tmp_path)) == 1
    assert busy_slots(str(tmp_path)) == 0


def test_a_job_says_what_it_waits_for(aiida_localhost, tmp_path):
    here = replace(JOB, computer=aiida_localhost.pk, remote_workdir=str(tmp_path))
    assert "for a slot" in (active_jobs.waits_for(here, 2) or "")
    assert active_jobs.waits_for(here, None) is None  # a scheduler decides, and it says running
    (tmp_path / "lammps.out").touch()
    assert active_jobs.waits_for(here, 2) is None
    queued = replace(here, scheduler_state="queued", last_job_info={"annotation": "Priority"})
    assert active_jobs.waits_for(queued, None) == "in the queue of localhost (Priority)"
    assert "prepared" in (active_jobs.waits_for(replace(here, scheduler_state=None), 2) or "")
    assert "not begun" in (active_jobs.waits_for(replace(here, scheduler_state=None, process_state="created"), 2) or "")


def test_the_speed_of_a_waiting_job_is_that_of_a_run_of_its_size(monkeypatch, bulk_task):
    tasks = {1: bulk_task, 2: bulk_task, 3: {**bulk_task, "n_atoms": 500}, 4: bulk_task}
    done = [replace(JOB, pk=1, process_state="finished", exit_status=0)]
    monkeypatch.setattr(active_jobs, "dicts_of", lambda *_, **__: {1: {"wall_s": 12.0}})
    waiting = [{"pk": pk, "steps": 1200, "steps_done": None, "steps_per_s": None, "left_s": None} for pk in (2, 3)]
    active_jobs.add_time_left(waiting, done, tasks)
    assert [entry["left_s"] for entry in waiting] == [12, None]  # 1200 steps in 12 s; no run of 500 atoms yet
    running = {"pk": 4, "steps": 1200, "steps_done": 200, "steps_per_s": 50.0, "left_s": None}
    active_jobs.add_time_left([running], done, tasks)
    assert running["left_s"] == 20
    assert active_jobs.steps_of({**bulk_task, "kind": "of an older version"}) is None


def test_runs_that_were_restarted_say_why():
    chain = replace(JOB, pk=8, caller=7, process_type="aiida.workflows:phasecal.md", process_label="LammpsMdWorkChain")
    first = replace(JOB, pk=9, process_state="finished", exit_status=400, exit_message="The run ended at step 5.")
    tree = {8: chain, 9: first, 10: replace(JOB, pk=10)}
    (entry,) = status.find_restarts(tree)
    assert entry == {"pk": 8, "process": "LammpsMdWorkChain", "why": ["[400] The run ended at step 5."]}
    assert status.find_restarts({8: chain, 9: first}) == []


def test_time_left_is_that_of_all_jobs_on_their_slots():
    jobs = [{"steps": 10, "left_s": left} for left in (100, 50, 30)]
    assert status.time_left(jobs, 2) == 100
    assert status.time_left([*jobs, {"steps": 10, "left_s": 60}], 2) == 120
    assert status.time_left(jobs, None) == 100
    assert status.time_left([*jobs, {"steps": 10, "left_s": None}], 2) is None
    assert status.time_left([*jobs, {"steps": None, "left_s": None}], 2) == 100  # a calibration step
    assert status.time_left([], 2) is None


RUNNING = {"stage": "production", "steps": 1000, "steps_per_s": 10.0, "left_s": 60, "waits": None}
PROGRESS = {
    "title": "zirconium",
    "pk": 2192,
    "task": "calibrate",
    "units": None,
    "state": "running",
    "exit_code": None,
    "message": "",
    "failure": [],
    "boundaries": [
        {
            "phases": ["hcp", "bcc"],
            "pressure_gpa": 5.0,
            "temperature_k": 1135.2,
            "sigma_k": 12.1,
            "initial_k": 1205.7,
            "initial_sigma_k": 10.3,
            "target_k": 1136.0,
            "target_sigma_k": 15.0,
            "method": "two-melting-points",
            "verified": True,
        }
    ],
    "rounds": [{"round": 1, "pk": 5, "temperatures_k": [1150.0] * 4, "sigmas_k": [9.0] * 4, "n_eff": 0.62}],
    "jobs": {"finished": 12, "running": 4},
    "running": [
        {"pk": 2463, "what": "coexistence hcp|liquid 2130 K", "steps_done": 730, **RUNNING},
        {"pk": 2464, "what": "calibration step", **RUNNING, "steps": None, "steps_done": None, "left_s": None},
        *({"pk": i, "what": "", "steps_done": None, **RUNNING, "waits": "for a slot of localhost"} for i in (7, 8)),
    ],
    "stuck": [{"pk": 842, "process": "LammpsMdCalculation", "why": "was never started", "remedy": "`verdi x`"}],
    "restarted": [{"pk": 411, "process": "LammpsMdWorkChain", "why": ["[400] The run ended at step 5."]}],
    "latest": {"time": NOW.isoformat(), "pk": 5, "words": "locate: 12 replicas from 2130 K, and " + "more " * 20},
    "time_left_s": 4000,
    "elapsed_s": 700,
}


def test_a_file_gets_plain_lines_of_80_columns(tmp_path):
    with (tmp_path / "out.log").open("w") as file:
        Console(file=file, width=80).print(render(PROGRESS))
    text = (tmp_path / "out.log").read_text()
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80
    for words in (
        "1135.2 ± 12.1",
        "######.... 0.62",
        "#######... 730",
        "2 jobs wait: for a slot",
        "restarted",
        "842 was",
    ):
        assert words in text
    assert "2 running, 2 waiting, 1 STUCK, about 67 min" in headline(PROGRESS)


def test_without_a_terminal_reports_come_line_by_line(aiida_profile, capsys, monkeypatch):
    node = orm.WorkChainNode(process_type="aiida.workflows:phasecal.points")
    node.set_process_state(ProcessState.FINISHED)
    node.set_exit_status(0)
    node.store()
    node.logger.report("[1|PointsWorkChain|run]: 6 replicas")
    node.logger.report("[1|PointsWorkChain|run_process]: launching")
    monkeypatch.setitem(follow_plainly.__globals__["print_line"].__globals__, "console", Console(width=80))
    follow_plainly(node)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" ")[2] for line in lines if "replicas" in line or "launching" in line] == ["6 replicas"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "–"), (42, "42 s"), (600, "10 min"), (7500, "2 h 05 min"), (200000, "2 d 8 h")],
)
def test_durations_are_short(seconds, words):
    assert duration(seconds) == words
    assert bar(0.25) == "##........"
