"""Several jobs in one allocation, with a Slurm of two shell scripts."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from aiida.common.exceptions import FeatureNotAvailable
from aiida.schedulers import JobState, SchedulerError
from aiida.transports.plugins.local import LocalTransport
from aiida_phasecal.schedulers import pack
from aiida_phasecal.schedulers.packed import PackedSlurmScheduler, send_pack

SBATCH = """#!/bin/bash
number=$(( $(ls {folder}/slurm | wc -l) + 1 ))
SLURM_JOB_ID=$number setsid bash "$2" > {folder}/out.$number 2>&1 < /dev/null &
echo $! > {folder}/slurm/$number
echo $number
"""
SQUEUE = """#!/bin/bash
[[ -e {folder}/broken ]] && exit 1
for file in {folder}/slurm/*; do
    [[ -e $file ]] && kill -0 $(cat $file) 2>/dev/null && echo $(basename $file) R
done
exit 0
"""
JOB = """#!/bin/bash
#SBATCH --job-name="aiida-{name}"
#SBATCH --output=_scheduler-stdout.txt
#SBATCH --error=_scheduler-stderr.txt
#SBATCH --ntasks-per-node=1
#SBATCH --time=00:02:00
#SBATCH --mem=500
#PACK 2
date +%s.%N >> times
{work}
date +%s.%N >> times
echo done {name}
"""


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A work folder with pack.py, and a Slurm; its jobs end with the test."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (tmp_path / "slurm").mkdir()
    for name, text in {"sbatch": SBATCH, "squeue": SQUEUE}.items():
        (programs / name).write_text(text.format(folder=tmp_path))
        (programs / name).chmod(0o755)
    (programs / "python3").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    with LocalTransport(use_login_shell=False) as transport:
        send_pack(transport, str(tmp_path / "work"))
    yield tmp_path
    for file in (tmp_path / "slurm").iterdir():
        end_allocation(file, signal.SIGTERM)


def end_allocation(file: Path, sign: signal.Signals) -> None:
    try:
        os.kill(int(file.read_text()), sign)
    except ProcessLookupError:
        return


@pytest.fixture
def scheduler(cluster):
    """The plugin, with this machine for a cluster."""
    made = PackedSlurmScheduler()
    with LocalTransport(use_login_shell=False) as transport:
        made.set_transport(transport)
        yield made


@pytest.fixture
def submit(cluster, scheduler):
    """Return a function that submits a job as AiiDA does; it returns the folder and the name of the job."""

    def submit_job(name: str, work: str = "sleep 1") -> tuple[Path, str]:
        folder = cluster / "work" / "aa" / "bb" / name
        folder.mkdir(parents=True)
        (folder / "_aiidasubmit.sh").write_text(JOB.format(name=name, work=work))
        return folder, scheduler.submit_job(str(folder), "_aiidasubmit.sh")

    return submit_job


def wait_until(condition, message: str) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, message
        time.sleep(0.2)


def test_many_jobs_share_one_allocation(cluster, scheduler, submit):
    jobs = [submit(f"job {i}") for i in range(5)]
    names = [name for _, name in jobs]
    assert set(scheduler.get_jobs(names, as_dict=True)) <= set(names)
    wait_until(lambda: not scheduler.get_jobs(names), "jobs did not end")
    spans = []
    for i, (folder, _) in enumerate(jobs):
        assert (folder / "_scheduler-stdout.txt").read_text() == f"done job {i}\n"
        assert (folder / "_scheduler-stderr.txt").read_text() == ""
        spans.append([float(line) for line in (folder / "times").read_text().split()])
    assert max(sum(begin <= start < end for begin, end in spans) for start, _ in spans) == 2
    assert len(list((cluster / "slurm").iterdir())) == 1
    (script,) = (cluster / "work" / ".phasecal").glob("pack-*/allocation.sh")
    assert {"#SBATCH --ntasks-per-node=2", "#SBATCH --mem=1000"} <= set(script.read_text().splitlines())


def test_a_job_is_killed_whether_it_waits_or_runs(scheduler, submit):
    jobs = [submit(f"job {i}", "sleep 300") for i in range(3)]
    names = [name for _, name in jobs]

    def states() -> Counter:
        return Counter(job.job_state for job in scheduler.get_jobs(names))

    wait_until(lambda: states() == {JobState.RUNNING: 2, JobState.QUEUED: 1}, "two run")
    for name in names:
        assert scheduler.kill_job(name)
    wait_until(lambda: not states(), "jobs did not end")
    assert not any("done" in (folder / "_scheduler-stdout.txt").read_text() for folder, _ in jobs[:2])


def test_jobs_of_a_lost_allocation_are_gone_and_others_get_a_new_one(cluster, scheduler, submit):
    lost = submit("lost", "exec sleep 2")[1]
    wait_until(lambda: [job.job_state for job in scheduler.get_jobs([lost])] == [JobState.RUNNING], "it runs")
    end_allocation(cluster / "slurm" / "1", signal.SIGKILL)
    wait_until(lambda: not scheduler.get_jobs([lost]), "the job of a dead allocation is not gone")
    folder, name = submit("next")
    wait_until(lambda: not scheduler.get_jobs([name]), "the next job did not end")
    assert (folder / "_scheduler-stdout.txt").read_text() == "done next\n"


def test_a_silent_slurm_loses_no_job(cluster, scheduler, submit):
    _, name = submit("job", "sleep 2")
    (cluster / "broken").touch()
    with pytest.raises(SchedulerError, match=r"pack\.py list failed"):
        scheduler.get_jobs([name])
    (cluster / "broken").unlink()
    wait_until(lambda: not scheduler.get_jobs([name]), "the job did not end")


def test_what_cannot_be_submitted_does_not_stay_in_line(cluster, submit):
    (cluster / "broken").touch()
    with pytest.raises(SchedulerError):
        submit("job")
    assert not list((cluster / "work" / ".phasecal").glob("pack-*/waiting/*"))


def test_packed_jobs_have_no_accounting_and_others_are_slurms(scheduler):
    with pytest.raises(FeatureNotAvailable):
        scheduler.get_detailed_job_info("/scratch/.phasecal/pack-1/2")
    assert "sacct" in scheduler._get_detailed_job_info_command("12")
    assert scheduler._parse_submit_output(0, "Submitted batch job 12\n", "") == "12"


def test_it_runs_with_any_python3_and_nothing_else():
    text = Path(pack.__file__).read_text()
    imported = {line.split()[1] for line in text.splitlines() if line.startswith(("import ", "from "))}
    assert imported <= set(sys.stdlib_module_names)


@pytest.mark.parametrize(("text", "expected"), [("00:02:00", 120), ("1-02:03:04", 93784)])
def test_times_are_those_of_slurm(text, expected):
    assert pack.seconds(text) == expected
