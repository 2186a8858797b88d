"""A real transition with both engines on this machine, on a Slurm cluster and in PostgreSQL: the same digits."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import services
from aiida_phasecal.calculations.lammps import LammpsMdCalculation
from aiida_phasecal.schedulers.pack import IDLE_S
from processes import processes_of, wait_until, watched

SMALL = Path(__file__).parent / "small-jaxmd.yaml"
pytestmark = [pytest.mark.daemon, pytest.mark.slow]

JOBS = """
from aiida import load_profile, orm
import json, sys
load_profile()
node = orm.load_node(int(sys.argv[1]))
jobs = [n for n in node.called_descendants if isinstance(n, orm.CalcJobNode)]
print(json.dumps([[n.process_label, n.inputs.code.label, n.inputs.task["kind"], n.exit_status, n.computer.label]
                  for n in jobs]))
"""

REMAINS = """
from aiida import load_profile, orm
from pathlib import Path
import json, sys
load_profile()
node = orm.load_node(int(sys.argv[1]))
jobs = [n for n in node.called_descendants if isinstance(n, orm.CalcJobNode)]
kept = [n.outputs.remote_stash for n in jobs]
print(json.dumps({
    "scratch": [n.get_remote_workdir() for n in jobs],
    "packed": [n.get_job_id() for n in jobs if n.process_label == "LammpsMdCalculation"],
    "single": [n.get_job_id() for n in jobs if n.process_label == "JaxMdCalculation"],
    "kept": [str(Path(stash.target_basepath, name)) for stash in kept for name in stash.source_list],
}))
"""

RUN = """
from aiida import load_profile, orm
from aiida.engine import run_get_node
from aiida.plugins import WorkflowFactory
from aiida_phasecal.data.model import ModelData
from aiida_phasecal.remote import CHECK_TASK, argon
from aiida_phasecal.submit import job_options
from phasecal.engines import lammps
import json
load_profile()
_, node = run_get_node(
    WorkflowFactory("phasecal.md"),
    code=orm.load_code("lmp@older"),
    model=ModelData.from_model(argon()),
    task=orm.Dict(CHECK_TASK | {"n_atoms": 500, "production_steps": 30000, "restart_every": 500}),
    script=orm.SinglefileData(lammps.script_path("bulk")),
    options=orm.Dict(job_options(orm.load_computer("older"), slots=1)),
)
first, second = sorted(node.called, key=lambda job: job.pk)
print(json.dumps({
    "exits": [job.exit_status for job in (node, first, second)],
    "scheduler": first.get_scheduler_stderr(),
    "continued": second.inputs.interrupted_folder == first.outputs.remote_folder,
    "steps": node.outputs.sample.get_sample().steps.tolist(),
}))
"""


def answer_of(script: str, installation, *words: object) -> object:
    """What a Python script prints about the record."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, words)],
        env=installation.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def transition(installation, computer: str = "localhost", profile: str = "phasecal") -> dict:
    """Run the transition somewhere and return what `show` says."""
    words = ["--task", "transition", "--computer", computer, "-p", profile, "--wait"]
    out = installation.run("phasecal", "launch", SMALL, *words, timeout=1800)
    return installation.json("show", re.search(r"^PK (\d+)$", out, re.M)[1], "-p", profile)


def numbers(summary: dict) -> dict:
    """What must not depend on where a campaign ran: results, seeds, models, and the work that was done."""
    boundaries = [{key: value for key, value in entry.items() if key != "pk"} for entry in summary["boundaries"]]
    return {
        "state": summary["state"],
        "boundaries": boundaries,
        "model": summary["model"]["hash"],
        "atom_steps": summary["cost"]["atom_steps"],
    }


def jobs_of(summary: dict, installation) -> Counter:
    """How many jobs of each kind a campaign had: process, code, task, exit status, computer."""
    return Counter(map(tuple, answer_of(JOBS, installation, summary["pk"])))


@pytest.fixture(scope="module")
def here(installation):
    """The transition on this machine without services, and where its processes listened."""
    with watched(installation.folder) as sockets:
        return transition(installation), sockets


@pytest.fixture(scope="module")
def cluster(installation):
    """A Slurm that the home folder of the installation leads to."""
    # an allocation that waits for further packed jobs keeps two cores for a minute: nothing else shall wait for it
    with services.slurm(installation.home, cpus=2 + os.cpu_count()) as made:
        yield made


def init_computer(installation, name: str, text: str) -> list[dict]:
    """Set up the cluster as the computer of a file; return its two small jobs."""
    file = installation.folder / f"{name}.yaml"
    file.write_text(text)
    return installation.json("init", "--computer", file)["checked"]


@pytest.fixture(scope="module")
def lab(installation, cluster):
    """The cluster as a computer over asyncssh that packs jobs of LAMMPS and keeps frames: its two small jobs."""
    text = cluster.computer_file("lab", pack=2) + f"stash: {cluster.folder}/kept\n"
    return init_computer(installation, "lab", text)


@pytest.fixture(scope="module")
def older(installation, cluster):
    """The cluster as a computer over the older transport, where each job is one of Slurm: its two small jobs."""
    return init_computer(installation, "older", cluster.computer_file("older", "core.ssh"))


@pytest.fixture(scope="module")
def there(installation, cluster, lab):
    """The transition on the cluster, and where its processes listened."""
    with watched(installation.folder, cluster.folder) as sockets:
        return transition(installation, computer="lab"), sockets


def test_bulk_states_come_from_jaxmd_and_interfaces_from_lammps(installation, here):
    summary, _ = here
    (entry,) = summary["boundaries"]
    assert (summary["state"], entry["method"]) == ("finished", "coexistence")
    assert entry["temperature"] == pytest.approx(0.800, abs=4 * entry["sigma"])  # docs/topics/lennard-jones.md
    jobs = jobs_of(summary, installation)
    assert jobs.pop(("JaxMdCalculation", "jax-md", "bulk", 0, "localhost")) == 2
    assert set(jobs) == {("LammpsMdCalculation", "lmp", "coexistence", 0, "localhost")}


def test_nothing_listens_to_other_machines(installation, here):
    _, sockets = here
    # circus, which supervises AiiDA's daemon, was looked at too: it opens UDP port 12027 unless it is kept from that
    assert any("start-circus" in process.cmdline() for process in processes_of(installation.folder))
    assert not sockets.open


@pytest.mark.cluster
def test_small_jobs_come_back_from_the_cluster(lab):
    assert [job["engine"] for job in lab] == ["LAMMPS", "JAX"]


@pytest.mark.cluster
def test_small_jobs_come_back_over_the_older_transport(lab, older):
    assert [job["energy_ev_atom"] for job in older] == [job["energy_ev_atom"] for job in lab]


@pytest.mark.cluster
def test_a_cluster_gives_the_same_numbers(installation, here, there):
    assert numbers(there[0]) == numbers(here[0])
    jobs = jobs_of(there[0], installation)
    assert {computer for *_, computer in jobs} == {"lab"}
    assert sum(jobs.values()) == sum(jobs_of(here[0], installation).values())


@pytest.fixture(scope="module")
def remains(installation, there):
    """What the transition on the cluster left there: scratch folders, names of jobs, files that it kept."""
    return answer_of(REMAINS, installation, there[0]["pk"])


@pytest.mark.cluster
def test_packed_jobs_share_allocations(remains):
    (line,) = {Path(name).parent for name in remains["packed"]}
    assert (line / "allocation.sh").read_text().count("--ntasks-per-node=2") == 1
    allocations = list(line.glob("*.out"))  # each writes one, named by its number
    assert 1 <= len(allocations) < len(set(remains["packed"])) == len(remains["packed"])
    assert not {file.stem for file in allocations} & set(remains["single"])
    assert remains["single"] and all(number.isdigit() for number in remains["single"])
    assert not [*line.glob("waiting/*"), *line.glob("running/*")]


@pytest.mark.cluster
def test_frames_are_kept_and_scratch_is_not(cluster, remains):
    assert not [folder for folder in remains["scratch"] if Path(folder).exists()]
    kept = [list(Path(name).parent.glob(Path(name).name)) for name in remains["kept"]]
    assert len(kept) == len(remains["scratch"]) and all(kept)
    for file in (file for files in kept for file in files):
        assert file.is_relative_to(cluster.folder / "kept")
        assert file.stat().st_size > 1000


@pytest.mark.cluster
def test_a_cluster_listens_to_this_machine_only(cluster, there):
    _, sockets = there
    assert not sockets.open
    ports = re.findall(r"^Slurmc?t?l?dPort=(\d+)$", (cluster.folder / "slurm.conf").read_text(), re.M)
    assert {("tcp", "127.0.0.1", int(port)) for port in ports} <= sockets.seen


@pytest.fixture(scope="module")
def stopped(installation, cluster, older):
    """A run that Slurm ended for its walltime, as its work chain tells it.

    Slurm's shortest walltime is a minute; so the run is held after its first restart file, and its end moved to now.
    """
    run = subprocess.Popen([sys.executable, "-c", RUN], env=installation.environment, stdout=subprocess.PIPE, text=True)
    try:
        scratch = cluster.folder / "scratch"
        known = set(scratch.rglob("production.[1-9]*.restart"))
        wait_until(lambda: set(scratch.rglob("production.[1-9]*.restart")) - known, 120, "no restart file")
        for process in processes_of(cluster.folder):
            if process.name() == "lmp":
                process.send_signal(signal.SIGSTOP)
        jobs = dict(line.split() for line in cluster.ask("squeue", "-h", "-o", "%j %i").splitlines())
        (job,) = (number for name, number in jobs.items() if name.startswith("aiida-"))
        cluster.ask("scontrol", "update", f"JobId={job}", "EndTime=now")
        out, _ = run.communicate(timeout=180)
    finally:
        run.kill()
    return json.loads(out)


@pytest.mark.cluster
def test_a_job_that_ran_out_of_walltime_goes_on(stopped):
    assert "DUE TO TIME LIMIT" in stopped["scheduler"]
    assert stopped["exits"] == [0, LammpsMdCalculation.exit_codes.ERROR_INTERRUPTED.status, 0]
    assert stopped["continued"]
    assert stopped["steps"] == list(range(stopped["steps"][0], 30100, 100))


@pytest.mark.cluster
def test_nothing_stays_in_the_queue(cluster, there, stopped):
    wait_until(lambda: not cluster.ask("squeue", "-h"), IDLE_S + 30, "allocations without jobs do not end")


@pytest.mark.cluster
def test_servers_that_are_killed_start_again_and_jobs_live_on(installation, cluster):
    job = cluster.ask("sbatch", "--parsable", "--output=/dev/null", "--wrap=sleep 2")

    def is_now(state: str) -> bool:
        return f"JobState={state} " in cluster.ask("scontrol", "--oneliner", "show", "job", job)

    def start_again(*names: str) -> None:
        for server in (cluster.servers[name] for name in names):
            killed = server.process.pid
            server.kill()
            server.start()
            assert server.process.pid != killed

    wait_until(lambda: is_now("RUNNING"), 60, "the job does not start")
    start_again("sshd", "munged", "slurmd")
    wait_until(lambda: is_now("COMPLETED"), 60, "the job does not end")
    start_again("slurmctld")  # last: it saves its jobs every few seconds, and what it has not saved is lost with it
    there = ["ssh", "-F", installation.home / ".ssh/config", "-o", "BatchMode=yes", "labcluster", "hostname"]
    assert subprocess.run(there, capture_output=True, text=True, check=True).stdout.strip() == socket.gethostname()


@pytest.fixture(scope="module")
def group(installation):
    """A profile with its record in PostgreSQL and tasks through RabbitMQ, made as the page says; and its servers."""
    with services.postgresql() as database, services.rabbitmq() as broker:
        try:
            script = services.profile_script(database, broker, installation.folder)
            installation.run("/bin/bash", "-eu", "-c", script)
            yield database, broker
        finally:
            installation.run("verdi", "-p", "group", "daemon", "stop")


def test_a_record_in_postgresql_has_the_same_numbers(installation, here, group):
    database, broker = group
    workers = len(installation.workers())
    with watched(installation.folder, database.folder, broker.folder) as sockets:
        summary = transition(installation, profile="group")
    assert numbers(summary) == numbers(here[0])
    assert workers == 1 + 2  # of the profile without services, and of this one
    assert not sockets.open
    assert {("tcp", "127.0.0.1", server.port) for server in group} <= sockets.seen
