"""kill -9 of what campaigns depend on, at random moments: what is lost, done twice, or left behind?

    python benchmarks/faults.py FOLDER [KILLS] [SEED] [--slurm]

A profile in the empty FOLDER, and small Lennard-Jones transitions in it, each with a seed of its own, some at a time,
until as many processes were killed; then none is launched any more, and all end. Killed are AiiDA's worker, its broker,
its daemon, LAMMPS, and with --slurm, which runs the campaigns on a Slurm behind sshd, also sshd, slurmd and slurmctld.
After a kill comes what the documentation tells a user to do and nothing else: `phasecal init` after the daemon; the
servers of the cluster are started again by whoever runs it; what `phasecal status` calls stuck gets its remedy.

Counted at the end: campaigns finished; processes that never ended, and jobs without their outputs (lost); runs done
twice, and steps twice in a series (repeated); processes of FOLDER that live on after `verdi daemon stop` (orphans).
Each temperature is compared with the known melting point. docs/results/faults.md has the table of a long run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import services
from processes import processes_of

BIN = Path(sys.executable).parent
AT_A_TIME = 3
PAUSE_S = (3.0, 12.0)
"""Between the end of the reaction to a kill and the next one."""
LOOK_S = 45
"""Between two looks at what is stuck or has ended."""
END_S = 1800
MELTING_POINT = 0.6171  # docs/results/lennard-jones.md
SIGMA_OF_IT = 0.0012
CAMPAIGN = """
schema: 1
title: faults {seed}
units: lj
model: {{family: lj, epsilon: 1.0, sigma: 1.0, cutoff: 2.5}}
phases:
  fcc:    {{prototype: fcc, elements: [X], density: 0.95}}
  liquid: {{melt: fcc}}
boundaries:
  - {{phases: [fcc, liquid], pressures: [0], guess: 0.62}}
seed: {seed}
protocol:
  name: fast
  melt_factor: 3.0
  bulk: {{n_atoms: 256, melt_steps: 2000, equilibration_steps: 1000, production_steps: 5000}}
  locate: {{n_lateral: 5, n_normal: 12, melt_steps: 2000, cool_steps: 1000, production_steps: 5000}}
  transition: {{n_lateral: 5, n_normal: 12, replicas: 2, melt_steps: 2000, cool_steps: 1000, production_steps: 8000}}
resources: {{computer: {computer}, slots: 2}}
"""

COUNT = """
import json, sys
import numpy as np
from aiida import load_profile, orm
load_profile()
processes = orm.QueryBuilder().append(orm.ProcessNode).all(flat=True)
jobs = [p for p in processes if isinstance(p, orm.CalcJobNode) and p.exit_status == 0 and "task" in p.inputs]
own = [j for j in jobs if j.base.caching.get_cache_source() is None]
runs = [(j.inputs.task["kind"], j.inputs.task["seed"], j.inputs.model.model_hash) for j in own]
outputs = {"lost": [j.pk for j in jobs if not {"retrieved", "sample"} <= set(j.outputs)]}
outputs["never_ended"] = [p.pk for p in processes if not p.is_terminated]
outputs["run_twice"] = len(runs) - len(set(runs))
steps = [j.outputs.sample.get_sample().steps for j in jobs if "sample" in j.outputs]
outputs["steps_twice"] = int(sum((np.diff(s) <= 0).sum() for s in steps))
outputs["jobs"] = len(jobs)
outputs["interrupted_jobs"] = sum(isinstance(p, orm.CalcJobNode) and p.exit_status != 0 for p in processes)
print(json.dumps(outputs))
"""


class Site:
    """A profile in a folder, used as a user does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.cluster: services.Cluster | None = None
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        own = {"AIIDA_PATH": str(folder), "HOME": str(self.home), "PATH": path, "OMP_NUM_THREADS": "1"}
        self.environment = os.environ | own

    def use(self, cluster: services.Cluster) -> None:
        """Run the campaigns on a cluster from now on."""
        file = self.folder / "lab.yaml"
        file.write_text(cluster.computer_file("lab"))
        self.run("phasecal", "init", "--computer", file)
        self.cluster = cluster

    def run(self, *command: object) -> str:
        """Run a command and return what it printed; one that fails is told."""
        words = [str(BIN / str(command[0])), *map(str, command[1:])]
        done = subprocess.run(words, cwd=self.folder, env=self.environment, text=True, capture_output=True, check=False)
        if done.returncode != 0:
            tell(f"{' '.join(words[1:])}: {done.returncode}: {(done.stdout + done.stderr).strip()[-500:]}")
        return done.stdout

    def json(self, *command: object) -> dict:
        """Run a phasecal command with --json."""
        return json.loads(self.run("phasecal", *command, "--json") or "{}")

    def launch(self, seed: int) -> int:
        """Launch a campaign and return its PK."""
        file = self.folder / f"{seed}.yaml"
        file.write_text(CAMPAIGN.format(seed=seed, computer="lab" if self.cluster else "localhost"))
        return int(self.json("launch", file, "--task", "transition")["pk"])

    def processes(self) -> list[psutil.Process]:
        """All processes that were started for this profile, jobs included."""
        return processes_of(self.folder, *([self.cluster.folder] if self.cluster else []))

    def named(self, *words: str) -> list[psutil.Process]:
        """Processes of this profile with these words on their command line."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                if set(words) <= {Path(word).name for word in process.cmdline()}:
                    found.append(process)
        return found


FAULTS: dict[str, tuple[str, ...]] = {
    "worker": ("daemon", "worker"),
    "broker": ("daemon", "broker"),
    "daemon": ("daemon", "start-circus"),
    "LAMMPS": ("lmp",),
}
"""What is killed, and the words of its command line."""
SERVERS = ("sshd", "slurmd", "slurmctld")
"""What is killed of a cluster."""


def tell(text: str) -> None:
    """Print with the time."""
    print(time.strftime("%H:%M:%S"), text, flush=True)


def kill(site: Site, kind: str) -> bool:
    """Kill one process of a kind; say whether there was one."""
    if kind in SERVERS:
        site.cluster.servers[kind].kill()
        tell(f"killed {kind}")
        return True
    found = site.named(*FAULTS[kind])
    if not found:
        return False
    victim = random.choice(found)
    with contextlib.suppress(psutil.Error):
        victim.kill()
        tell(f"killed {kind} {victim.pid}")
        return True
    return False


def react(site: Site, kind: str, remedies: Counter) -> None:
    """Do what a user is told to do after a kill."""
    time.sleep(random.uniform(1.0, 4.0))
    if kind in SERVERS:
        site.cluster.servers[kind].start()
    if kind == "daemon":
        site.run("phasecal", "init")
        remedies["phasecal init"] += 1


def heal(site: Site, active: list[int], remedies: Counter) -> None:
    """Give what `phasecal status` calls stuck the remedy that it names."""
    wanted = {entry["remedy"] for pk in active for entry in site.json("status", pk).get("stuck", [])}
    for remedy in wanted:
        tell(f"stuck: {remedy}")
        for command in remedy.split("`")[1::2]:
            site.run(*command.split())
        remedies[remedy.split("`")[1].rsplit(" -f ")[0]] += 1


def look(site: Site, active: list[int], remedies: Counter) -> list[int]:
    """Give what is stuck its remedy, resume what failed, and return the campaigns that go on."""
    heal(site, active, remedies)
    states = {entry["pk"]: entry["state"] for entry in site.json("query")}
    going_on = []
    for pk in active:
        if states[pk] not in ("finished", "failed"):
            going_on.append(pk)
        elif states[pk] == "failed":
            tell(f"failed: {site.json('show', pk)['message']}")
            going_on.append(int(site.json("resume", pk)["pk"]))
            remedies["phasecal resume"] += 1
    return going_on


def run(site: Site, kills: int) -> tuple[Counter, Counter]:
    """Kill and react until there were enough kills, then let everything end; return what was killed, and remedies."""
    active: list[int] = []
    killed: Counter = Counter()
    remedies: Counter = Counter()
    n_launched, next_look, end = 0, 0.0, math.inf
    while active or killed.total() < kills:
        while len(active) < AT_A_TIME and killed.total() < kills:
            active.append(site.launch(1000 + n_launched))
            n_launched += 1
        time.sleep(random.uniform(*PAUSE_S))
        kind = random.choice([*FAULTS, *(SERVERS if site.cluster else ())])
        if killed.total() < kills and kill(site, kind):
            killed[kind] += 1
            react(site, kind, remedies)
            end = time.monotonic() + END_S
        if time.monotonic() > next_look:
            active = look(site, active, remedies)
            next_look = time.monotonic() + LOOK_S
        if time.monotonic() > end:
            tell(f"gave up waiting for {active}")
            break
    return killed, remedies


def report(site: Site, killed: Counter, remedies: Counter) -> None:
    """Print the tables."""
    counts = json.loads(
        subprocess.run(
            [sys.executable, "-c", COUNT], env=site.environment, text=True, capture_output=True, check=True
        ).stdout
    )
    states: Counter = Counter()
    pulls = []
    for pk in sorted(entry["pk"] for entry in site.json("query")):
        shown = site.json("show", pk)
        states[shown["state"] if shown["exit_code"] == 0 else f"{shown['state']} [{shown['exit_code']}]"] += 1
        for entry in shown["boundaries"]:
            if entry.get("temperature"):
                sigma = (entry["sigma"] ** 2 + SIGMA_OF_IT**2) ** 0.5
                pulls.append((entry["temperature"] - MELTING_POINT) / sigma)
    site.run("verdi", "daemon", "stop")
    time.sleep(5)
    servers = {server.process.pid for server in site.cluster.servers.values()} if site.cluster else set()
    orphans = [process.cmdline() for process in site.processes() if process.pid not in servers]
    print("| killed | times |\n|---|---|\n" + "\n".join(f"| {kind} | {n} |" for kind, n in killed.items()))
    print(f"remedies: {dict(remedies)}")
    print(f"campaigns: {dict(states)}; record: {counts}; orphans: {orphans}")
    print(f"(T - T_m) / sigma: {', '.join(f'{pull:.1f}' for pull in pulls)}")
    print(site.run("verdi", "storage", "info"))


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("kills", type=int, nargs="?", default=50)
    parser.add_argument("seed", type=int, nargs="?", default=1)
    parser.add_argument("--slurm", action="store_true", help="Run the campaigns on a Slurm behind sshd.")
    given = parser.parse_args()
    random.seed(given.seed)
    given.folder.mkdir(parents=True)
    site = Site(given.folder.resolve())
    site.home.mkdir()
    site.run("phasecal", "init")
    if not given.slurm:
        report(site, *run(site, given.kills))
        return
    with services.slurm(site.home) as cluster:
        site.use(cluster)
        report(site, *run(site, given.kills))


if __name__ == "__main__":
    main()
