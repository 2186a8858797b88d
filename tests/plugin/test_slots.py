"""The limit on simultaneous jobs of computers without a queue."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from aiida_phasecal.calculations.base import slot_prepend_text

JOB = "{prepend}\nnow=$(date +%s.%N)\nsleep 0.5\necho $now $(date +%s.%N) >> {log}\n"


def start(prepend: str, log) -> subprocess.Popen:
    return subprocess.Popen(["bash", "-c", JOB.format(prepend=prepend, log=log)])


def most_at_once(log) -> int:
    intervals = [tuple(map(float, line.split())) for line in log.read_text().splitlines()]
    return max(sum(a <= start < b for a, b in intervals) for start, _ in intervals)


def test_never_more_jobs_than_slots(tmp_path):
    prepend = slot_prepend_text(2, str(tmp_path / "slots folder"))
    jobs = [start(prepend, tmp_path / "log") for _ in range(5)]
    assert [job.wait(timeout=30) for job in jobs] == [0] * 5
    assert most_at_once(tmp_path / "log") == 2


def test_only_the_first_in_line_is_awake(tmp_path):
    """The others wait in the kernel: they start no processes and use no time."""
    prepend = slot_prepend_text(1, str(tmp_path / "slots"))
    holder = subprocess.Popen(["bash", "-c", f"{prepend}\necho held > {tmp_path / 'held'}\nexec sleep 60"])
    while not (tmp_path / "held").exists():
        time.sleep(0.05)
    waiting = [start(prepend, tmp_path / "log") for _ in range(6)]
    time.sleep(1.0)

    def looks() -> list[int]:
        # flock runs as a child of the shell; minor faults of reaped children count the processes that a shell has had
        return [int(Path(f"/proc/{job.pid}/stat").read_text().rsplit(")", 1)[1].split()[8]) for job in waiting]

    before = looks()
    time.sleep(1.5)
    awake = [after > since for after, since in zip(looks(), before, strict=True)]
    assert sum(awake) == 1
    holder.kill()
    holder.wait()
    assert [job.wait(timeout=30) for job in waiting] == [0] * 6
    assert most_at_once(tmp_path / "log") == 1


def test_without_the_lines_all_jobs_run_at_once(tmp_path):
    jobs = [start("", tmp_path / "log") for _ in range(5)]
    assert [job.wait(timeout=30) for job in jobs] == [0] * 5
    assert most_at_once(tmp_path / "log") > 2


def test_a_killed_job_frees_its_slot(tmp_path):
    prepend = slot_prepend_text(1, str(tmp_path / "slots"))
    # `exec`, so that killing the shell is killing the job
    first = subprocess.Popen(["bash", "-c", f"{prepend}\necho held > {tmp_path / 'held'}\nexec sleep 60"])
    while not (tmp_path / "held").exists():
        time.sleep(0.05)
    second = start(prepend, tmp_path / "log")
    time.sleep(0.5)
    assert second.poll() is None
    first.kill()
    first.wait()
    assert second.wait(timeout=10) == 0
