"""Several jobs in one allocation of Slurm, where a queue dislikes many small jobs.

This file is copied to the cluster and run by whatever python3 is there, without anything installed:

    python3 pack.py submit SCRIPT   put the job script of the present folder into a line; print the name of the job
    python3 pack.py list NAME...    print the jobs that wait or run; ask for an allocation where some wait for one
    python3 pack.py kill NAME       end a job
    python3 pack.py run LINE        what an allocation does: take jobs from its line and run them side by side

A line is a folder beside this file, for jobs whose headers ask for the same. A job is a file in its ``waiting``; an
allocation takes it by renaming it into ``running``, which one of them can do. Jobs of an allocation that is gone are
gone too, as with Slurm itself. At most one allocation of a line waits in the queue of Slurm, and it takes jobs for
the first half of its time, so that each has at least the other half.
"""

import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict

MARK = "#PACK"
OWN = ("--job-name", "--output", "--error")
"""Options of a single job, which are not those of its line."""
IDLE_S = 60.0
"""An allocation without a job ends after this time."""
OVERDUE_S = 5.0
"""A job that waits longer found no place: another allocation is asked for."""
KILL_S = 10.0
LOOK_S = 0.5


def submit(script: str) -> str:
    """Put the job script of the present folder into the line of its header."""
    header = [line.strip() for line in Path(script).read_text().splitlines() if line.startswith("#")]
    options = [line.split(None, 1)[1] for line in header if line.startswith("#SBATCH ")]
    places = next(int(line.split()[1]) for line in header if line.startswith(MARK))
    common = sorted(option for option in options if option.split("=")[0] not in OWN)
    line = Path(__file__).resolve().parent / (
        "pack-" + hashlib.sha256(repr((common, places)).encode()).hexdigest()[:12]
    )
    for name in ("waiting", "running", "killed", "allocations"):
        (line / name).mkdir(parents=True, exist_ok=True)
    write(line / "allocation.sh", allocation_script(line, common, places))
    names = {option.split("=")[0]: option.split("=", 1)[1] for option in options if "=" in option}
    job = {"folder": os.getcwd(), "script": script, "out": names["--output"], "error": names["--error"]}
    job_id = f"{now_ns()}-{os.getpid()}"
    write(line / "waiting" / job_id, json.dumps(job))
    try:
        ask_for_allocation(line)
    except subprocess.CalledProcessError:
        (line / "waiting" / job_id).unlink()
        raise
    return str(line / job_id)


def allocation_script(line: Path, options: list, places: int) -> str:
    """Return the script of an allocation with places for several jobs of a line."""
    many = {"--ntasks-per-node": places, "--mem": places}
    lines = ["#!/bin/bash", "#SBATCH --job-name=phasecal", f"#SBATCH --output={line}/%j.out"]
    for option in options:
        name, _, value = option.partition("=")
        lines.append(f"#SBATCH {name}={int(value) * many[name]}" if name in many else f"#SBATCH {option}")
    time_s = next((seconds(option.partition("=")[2]) for option in options if option.startswith("--time=")), 86400)
    lines.append(f"exec python3 '{Path(__file__).resolve()}' run '{line}' {places} {time_s // 2}")
    return "\n".join(lines) + "\n"


def seconds(duration: str) -> int:
    """Read a duration as sbatch takes it: [days-]hours:minutes:seconds."""
    days, _, rest = duration.rpartition("-")
    hours, minutes, secs = map(int, rest.split(":"))
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + secs


def now_ns() -> int:
    """Time in ns; Python 3.6 has no time.time_ns."""
    return int(time.time() * 1e9)


def write(path: Path, text: str) -> None:
    """Write a file in one go."""
    draft = path.parent.parent / f".{path.name}.{os.getpid()}"
    draft.write_text(text)
    draft.rename(path)


def allocations() -> dict:
    """State of every job of this user in Slurm, by its number."""
    command = ["squeue", "--noheader", "--user", str(os.getuid()), "--format", "%A %t"]
    out = subprocess.run(command, stdout=subprocess.PIPE, check=True, universal_newlines=True).stdout
    return dict(line.split() for line in out.splitlines())


def ask_for_allocation(line: Path) -> None:
    """Ask Slurm for an allocation if jobs wait, and none is on its way to them."""
    with (line / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = [int(path.name.split("-")[0]) for path in (line / "waiting").iterdir()]
        if not waiting:
            return
        known = {path.name for path in (line / "allocations").iterdir()}
        states = allocations()
        for gone in known - set(states):
            (line / "allocations" / gone).unlink()
        alive = known & set(states)
        if any(states[number] in ("PD", "CF") for number in alive):
            return
        if alive and now_ns() - min(waiting) < OVERDUE_S * 1e9:
            return
        command = ["sbatch", "--parsable", str(line / "allocation.sh")]
        out = subprocess.run(command, stdout=subprocess.PIPE, check=True, universal_newlines=True).stdout
        (line / "allocations" / out.strip().split(";")[0]).touch()


def list_jobs(names: list) -> list:
    """Return name and state (PD or R) of the jobs that wait or run."""
    for line in sorted({Path(name).parent for name in names}):
        ask_for_allocation(line)
    waiting = [name for name in names if (Path(name).parent / "waiting" / Path(name).name).exists()]
    running = {name: taken(Path(name)) for name in set(names) - set(waiting)}
    states = allocations()  # asked last: what it does not know by now has ended
    found = [(name, "PD") for name in waiting]
    for name, path in running.items():
        if path is not None and path.name.rpartition("~")[2] in states:
            found.append((name, "R"))
    return found


def taken(name: Path) -> "Path | None":
    """Return the file of a job that an allocation has taken."""
    return next((name.parent / "running").glob(f"{name.name}~*"), None)


def kill(name: Path) -> None:
    """End a job, or take it from the line."""
    try:
        (name.parent / "waiting" / name.name).unlink()
    except FileNotFoundError:
        (name.parent / "killed" / name.name).touch()


class Allocation:
    """Runs the jobs of a line side by side, in as many places as it has."""

    def __init__(self, line: Path, places: int, open_s: float) -> None:
        self.line = line
        self.places = places
        self.number = os.environ["SLURM_JOB_ID"]
        self.closes = time.monotonic() + open_s
        self.jobs: Dict[Path, subprocess.Popen] = {}

    def run(self) -> None:
        """Take and run jobs until there are none for a while, or there is no time for more."""
        signal.signal(signal.SIGTERM, self.stop)
        idle_since = time.monotonic()
        while True:
            for path in [path for path, job in self.jobs.items() if job.poll() is not None]:
                del self.jobs[path]
                path.unlink()
            self.end_killed()
            while time.monotonic() < self.closes and len(self.jobs) < self.places and self.take():
                pass
            if self.jobs:
                idle_since = time.monotonic()
            elif time.monotonic() > min(self.closes, idle_since + IDLE_S):
                return
            time.sleep(LOOK_S)

    def take(self) -> bool:
        """Start the oldest job that waits; say whether there was one."""
        for path in sorted((self.line / "waiting").iterdir()):
            mine = self.line / "running" / f"{path.name}~{self.number}"
            try:
                path.rename(mine)
            except FileNotFoundError:  # another allocation was faster, or it was killed
                continue
            job = json.loads(mine.read_text())
            folder = Path(job["folder"])
            with (folder / job["out"]).open("w") as out, (folder / job["error"]).open("w") as error:
                self.jobs[mine] = subprocess.Popen(
                    ["bash", job["script"]], cwd=folder, stdout=out, stderr=error, start_new_session=True
                )
            return True
        return False

    def end_killed(self) -> None:
        """End the jobs that somebody killed."""
        for path, job in self.jobs.items():
            order = self.line / "killed" / path.name.rpartition("~")[0]
            if order.exists():
                end(job)
                order.unlink()

    def stop(self, *_: object) -> None:
        """End all jobs with the allocation."""
        for job in self.jobs.values():
            end(job)
        sys.exit(1)


def end(job: subprocess.Popen) -> None:
    """End a job and its children."""
    for sign, wait_s in ((signal.SIGTERM, KILL_S), (signal.SIGKILL, None)):
        try:
            os.killpg(job.pid, sign)
            job.wait(wait_s)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def main(command: str, *words: str) -> None:
    """Do what the first word says."""
    if command == "submit":
        print(submit(*words))
    elif command == "list":
        for name, state in list_jobs(list(words)):
            print(state, name)
    elif command == "kill":
        kill(Path(*words))
    else:
        line, places, open_s = words
        Allocation(Path(line), int(places), float(open_s)).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
