"""A Slurm computer: set up in the database, looked at through ssh, and tried with one small job of each engine."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from typing import Any

import asyncssh
import paramiko
from aiida import orm
from aiida.common.datastructures import CodeRunMode
from aiida.common.exceptions import NotExistent
from aiida.engine import run_get_node
from aiida.manage.caching import disable_caching
from aiida.schedulers.datastructures import JobTemplate
from aiida.transports import Transport
from aiida.transports.plugins.ssh import SshTransport, parse_sshconfig

import phasecal
from aiida_phasecal.calculations.lammps import LammpsMdCalculation
from aiida_phasecal.calculations.task import TaskCalculation
from aiida_phasecal.codes import PROGRAMS, keep_compiled, set_up_codes
from aiida_phasecal.computer_file import ComputerFile
from aiida_phasecal.data.model import ModelData
from aiida_phasecal.schedulers.packed import send_pack
from aiida_phasecal.submit import JOBS_PROPERTY, job_options
from aiida_phasecal.workchains.common import options_for
from phasecal.check import crystal_under
from phasecal.engines import lammps
from phasecal.errors import EngineError, InputError
from phasecal.potentials.base import Model
from phasecal.potentials.lj import LjModel

ARGON = {"prototype": "fcc", "elements": ["Ar"], "a": 5.3}
CHECK_TASK: dict[str, Any] = {
    "schema": 1,
    "kind": "bulk",
    "phase": "fcc",
    "structure": ARGON,
    "melt": False,
    "n_atoms": 108,
    "temperature_k": 40.0,
    "pressure_gpa": 0.0,
    "timestep_fs": 4.0,
    "melt_temperature_k": None,
    "melt_steps": 0,
    "equilibration_steps": 100,
    "production_steps": 200,
    "sample_every": 100,
    "thermo_every": 10,
    "restart_every": 100,
    "barostat": "iso",
    "seed": 1,
}
CHECK_WALLTIME_S = 600
AGREEMENT = 1e-9
"""Relative difference that two machines may have in the energy of a crystal."""


def set_up_slurm(setup: ComputerFile) -> tuple[orm.Computer, list[str]]:
    """Make or change the computer of a file, see that it works, and make its codes; return also what was made.

    Raises:
        InputError: The name is that of another machine; or connection, work folder, scheduler or environment does not
            work.
    """
    computer, new = store_computer(setup)
    folder = look_around(computer, setup)
    codes = set_up_codes(computer, {name: name for name in PROGRAMS}, {}, keep_compiled(folder))
    return computer, [f"computer {setup.name}"] * new + codes


def store_computer(setup: ComputerFile) -> tuple[orm.Computer, bool]:
    """Make or change the computer of a file; return it, and whether it is new.

    Raises:
        InputError: There is a computer of that name which is another machine.
    """
    host = setup.hostname
    if setup.transport == "core.ssh":  # paramiko connects to hosts, not to entries of ~/.ssh/config
        host = parse_sshconfig(setup.hostname)["hostname"]
    scheduler = "phasecal.packed" if setup.is_packed else "core.slurm"
    identity = {"hostname": host, "transport_type": setup.transport, "scheduler_type": scheduler}
    try:
        computer, new = orm.load_computer(setup.name), False
        if any(getattr(computer, key) != value for key, value in identity.items()):
            raise InputError(
                f"name: {setup.name} is a computer of this profile already, {computer.hostname} over "
                f"{computer.transport_type} with {computer.scheduler_type}, and its jobs are on record; "
                "choose another name"
            )
    except NotExistent:
        computer, new = orm.Computer(label=setup.name, **identity).store(), True
    computer.set_workdir(setup.work_folder)
    computer.set_prepend_text(setup.environment)
    computer.set_mpirun_command(shlex.split(setup.mpirun))
    computer.set_minimum_job_poll_interval(setup.poll)
    computer.set_property(JOBS_PROPERTY, setup.job_options())
    computer.configure(**connection(computer, setup))
    return computer, new


def connection(computer: orm.Computer, setup: ComputerFile) -> dict[str, Any]:
    """Parameters of the transport; those that the file does not name are those of ~/.ssh/config."""
    parameters: dict[str, Any] = {"safe_interval": setup.poll, "use_login_shell": True}
    if setup.transport == "core.ssh_async":
        return parameters | {"host": setup.hostname}
    known = parse_sshconfig(setup.hostname)
    parameters |= {"load_system_host_keys": True, "key_policy": "RejectPolicy", "port": int(known.get("port", 22))}
    if user := setup.user or known.get("user"):
        parameters["username"] = user
    if keys := known.get("identityfile"):
        parameters["key_filename"] = keys[0]
    for key in ("proxycommand", "proxyjump"):
        if key in known:
            parameters[f"{key[:5]}_{key[5:]}"] = known[key]
    return {key: value for key, value in parameters.items() if key in SshTransport.get_valid_auth_params()}


def look_around(computer: orm.Computer, setup: ComputerFile) -> str:
    """Check connection, work folder, scheduler and environment; return the work folder with the name of the user.

    Raises:
        InputError: One of them does not work; the message says which, what it answered, and the remedy.
    """
    try:
        transport = computer.get_transport()
        with transport:
            user = transport.whoami()
            folder = setup.work_folder.format(username=user)
            quoted = shlex.quote(folder)
            answer(
                transport,
                f"mkdir -p {quoted} && touch {quoted}/.phasecal-try && rm {quoted}/.phasecal-try",
                f"work_folder: {user} cannot write to {folder}",
                "name a folder of yours on a file system that compute nodes see",
            )
            answer(
                transport,
                "command -v sbatch squeue scancel && squeue",
                "Slurm does not answer",
                "log in there by ssh and see that `squeue` works",
            )
            for kind, job in setup.kinds().items():
                ask_scheduler(computer, transport, kind, job.allocation(setup.queue, setup.account))
            check_environment(transport, setup)
            if setup.is_packed:
                send_pack(transport, folder)
    except (OSError, asyncssh.Error, paramiko.SSHException) as error:
        raise InputError(
            f"hostname: no connection to {setup.hostname} over {setup.transport} ({error}); see that "
            f"`ssh -o BatchMode=yes {setup.hostname} true` works without a question: the host in ~/.ssh/config, its "
            "key in known_hosts, a key of yours without passphrase or in an agent"
        ) from error
    return folder


def answer(transport: Transport, command: str, wrong: str, remedy: str, stdin: str | None = None) -> str:
    """Run a command there and return what it prints.

    Raises:
        InputError: It failed: ``wrong``, its last words, and the remedy.
    """
    code, out, error = transport.exec_command_wait(command, stdin=stdin)
    if code != 0:
        words = (error.strip() or out.strip() or f"exit code {code}").splitlines()[-1]
        raise InputError(f"{wrong} ({words}); {remedy}")
    return out.strip()


def ask_scheduler(computer: orm.Computer, transport: Transport, kind: str, options: Mapping[str, Any]) -> None:
    """Ask Slurm whether it would take such a job, without submitting one: a refused one would be tried for minutes."""
    scheduler = computer.get_scheduler()
    names = ("max_wallclock_seconds", "max_memory_kb", "queue_name", "account", "custom_scheduler_commands")
    template = JobTemplate({name: options[name] for name in names if name in options})
    template.job_resource = scheduler.create_job_resource(**options["resources"])
    template.sched_output_path = template.sched_error_path = "/dev/null"
    template.codes_info, template.codes_run_mode = [], CodeRunMode.SERIAL
    answer(
        transport,
        "sbatch --test-only",
        f"jobs.{kind}: Slurm would not take such a job",
        "correct queue, account, walltime, memory, ranks, cores or gpus in the file; `sinfo` lists what there is",
        stdin=scheduler.get_submit_script(template),
    )


def check_environment(transport: Transport, setup: ComputerFile) -> None:
    """See that the programs are there and of this version of phasecal."""
    remedy = (
        "make an environment there with `pip install phasecal` (AiiDA is not needed) and write the lines that activate "
        "it, such as 'source ~/phasecal/bin/activate'"
    )
    script = f"set -e\n{setup.environment}\n"
    for program in PROGRAMS:
        lines = f"{script}\ncommand -v {program} || {{ echo no {program} on the path >&2; exit 1; }}\n"
        answer(transport, "bash", "environment: it does not lead to phasecal and its programs", remedy, lines)
    # the last line: what else the environment prints is not the version
    printed = answer(
        transport,
        "bash",
        "environment: its python does not import phasecal",
        remedy,
        f"{script}python -c 'import phasecal; print(phasecal.__version__)'\n",
    )
    there = printed.splitlines()[-1]
    if there != phasecal.__version__:
        raise InputError(
            f"environment: phasecal is version {there} there and {phasecal.__version__} here; install "
            f"`phasecal=={phasecal.__version__}` there"
        )


def try_jobs(computer: orm.Computer) -> list[dict]:
    """Run one small job of LAMMPS and one of JAX, and return what came back.

    Raises:
        EngineError: A job failed, or JAX computes another energy there than here.
    """
    model = argon()
    node = ModelData.from_model(model, label="argon of `phasecal init`").store()
    options = job_options(computer, slots=1)
    with disable_caching():  # it is the computer that is tried
        return [run_lammps(computer, node, options), run_jax(computer, node, model, options)]


def argon() -> LjModel:
    """The potential of the small jobs."""
    return LjModel.from_parameters(
        element="Ar", mass=39.95, epsilon=0.0104, sigma=3.4, cutoff_sigmas=2.5, shift=True, train=("epsilon", "sigma")
    )


def check_options(options: dict, kind: str) -> dict:
    """Options of a job of that kind which is over soon."""
    return {"options": options_for(options, kind) | {"max_wallclock_seconds": CHECK_WALLTIME_S}}


def run_lammps(computer: orm.Computer, model: ModelData, options: dict) -> dict:
    """Melt nothing, but move 108 atoms of argon for 300 steps."""
    _, job = run_get_node(
        LammpsMdCalculation,
        code=orm.load_code(f"lmp@{computer.label}"),
        model=model,
        task=orm.Dict(CHECK_TASK),
        script=orm.SinglefileData(lammps.script_path("bulk")),
        metadata=check_options(options, "md"),
    )
    require_finished(job, "LAMMPS")
    energy = float(job.outputs.thermo.get_array("pe").mean()) / CHECK_TASK["n_atoms"]
    return {"computer": computer.label, "engine": "LAMMPS", "pk": job.pk, "energy_ev_atom": energy}


def run_jax(computer: orm.Computer, node: ModelData, model: Model, options: dict) -> dict:
    """Compute a crystal with JAX there and here."""
    _, job = run_get_node(
        TaskCalculation,
        code=orm.load_code(f"phasecal@{computer.label}"),
        parameters=orm.Dict({"schema": 1, "task": "self-check", "structure": ARGON}),
        models={"m0": node},
        metadata=check_options(options, "step"),
    )
    require_finished(job, "JAX")
    result = job.outputs.result
    here, there = crystal_under(model, ARGON)["energy_ev_atom"], result["energy_ev_atom"]
    if not math.isclose(here, there, rel_tol=AGREEMENT):
        raise EngineError(
            f"JAX on {computer.label} ({result['device']}) gives {there!r} eV for an atom of a crystal and "
            f"here {here!r}; install the same version of JAX on both sides"
        )
    return {"computer": computer.label, "engine": "JAX", "pk": job.pk, "energy_ev_atom": there}


def require_finished(job: orm.CalcJobNode, engine: str) -> None:
    """See that a job ended well.

    Raises:
        EngineError: It did not; the message is that of its exit code, with the last words of the scheduler's files.
    """
    if job.is_finished_ok:
        return
    words = (job.get_scheduler_stderr() or "").strip().splitlines()[-1:]
    said = f" ({words[0]})" if words else ""
    raise EngineError(
        f"the small {engine} job {job.pk} on {job.computer.label} failed: {job.exit_message or job.process_state.value}"
        f"{said}; its folder there is {job.get_remote_workdir()}"
    )
