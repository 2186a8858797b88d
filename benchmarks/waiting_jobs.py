"""What jobs that wait in line cost the daemon: its worker's CPU time with phasecal's rests between looks, and without.

    python benchmarks/waiting_jobs.py FOLDER [--jobs N] [--seconds S]

A profile in the empty FOLDER, N jobs of small work chains that wait for slots which this script holds. When all
are in line, the CPU time of the worker over S seconds is its share of a core; then the daemon is started again with
rests of zero, as AiiDA alone would have it, and the same jobs are watched again.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import subprocess
import time
from pathlib import Path

import psutil
from many_chains import BIN, SLOTS, SUBMIT, python
from processes import end_all, processes_of

FOLDER = """
from aiida import load_profile, orm
from aiida_phasecal.calculations.base import slot_folder
load_profile()
print(slot_folder(orm.load_computer("localhost")))
"""
NO_REST = "import aiida_phasecal.calculations.waiting as waiting\nwaiting.LONGEST_S, waiting.SHARE = 1e-9, 0.0\n"


def in_line(folder: Path) -> int:
    """Count the jobs that wait for a slot."""
    count = 0
    for process in processes_of(folder):
        with contextlib.suppress(psutil.NoSuchProcess):
            count += process.cmdline()[:2] == ["flock", "8"]
    return count


def share_of_a_core(folder: Path, seconds: float) -> float:
    """Return the CPU time of the daemon's worker over some seconds, per second."""
    (worker,) = (process for process in processes_of(folder) if process.cmdline()[-2:] == ["daemon", "worker"])

    def used() -> float:
        times = worker.cpu_times()
        return times.user + times.system

    before, start = used(), time.monotonic()
    time.sleep(seconds)
    return (used() - before) / (time.monotonic() - start)


def measure(folder: Path, jobs: int, seconds: float) -> None:
    """Measure both sides on the same jobs and print their ratio."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "AIIDA_PATH": str(folder), "PATH": path, "OMP_NUM_THREADS": "1"}
    subprocess.run(["phasecal", "init"], env=environment, check=True)
    slots = Path(python(FOLDER, environment).strip())
    slots.mkdir(parents=True)
    held = [(slots / f"slot.{number}").open("w") for number in range(1, SLOTS + 1)]
    for file in held:
        fcntl.flock(file, fcntl.LOCK_EX)
    python(SUBMIT, environment, jobs, SLOTS)
    while in_line(folder) < jobs - 1:  # the first in line looks for a slot
        time.sleep(1)
    shares = []
    (folder / "sitecustomize.py").write_text(NO_REST, encoding="utf-8")
    for name in ("with rests", "without"):
        time.sleep(seconds)  # until what came before has settled
        shares.append(share_of_a_core(folder, seconds))
        print(f"{jobs} jobs in line, {name}: {shares[-1]:.2f} of a core", flush=True)
        if name == "with rests":
            subprocess.run(["verdi", "daemon", "stop"], env=environment, check=True)
            environment["PYTHONPATH"] = str(folder)
            subprocess.run(["phasecal", "init"], env=environment, check=True)
    print(f"ratio {shares[1] / shares[0]:.1f}")


def main() -> None:
    """Read the arguments, measure, and end whatever was started."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="an empty folder for the profile")
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=90)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        measure(folder, arguments.jobs, arguments.seconds)
    finally:
        end_all(folder)


if __name__ == "__main__":
    main()
