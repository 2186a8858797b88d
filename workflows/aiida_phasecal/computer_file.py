"""The file that ``phasecal init --computer`` reads: a Slurm computer, and what its jobs may use.

It is checked as campaigns are: unknown keys are errors, units are always written, and everything that is wrong is said
at once with file, line and key.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from aiida.common.datastructures import StashMode
from pydantic import Field, ValidationInfo, field_validator, model_validator

from aiida_phasecal.schedulers.pack import MARK
from phasecal.campaign.fields import Name, Section, fault, quantity
from phasecal.campaign.load import load_section
from phasecal.engines import jaxmd, lammps

Duration = Annotated[float, quantity("duration"), Field(ge=60.0, le=30 * 86400.0)]
"""In s; Slurm counts minutes."""

Interval = Annotated[float, quantity("duration"), Field(ge=0.0, le=3600.0)]
"""In s."""

Memory = Annotated[float, quantity("memory"), Field(ge=1024.0, le=1024.0**4)]
"""In kB, of a whole job."""

Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,99}$")]
"""A name of a host, user, queue or account: it reaches shells and scripts as it is."""

FRAMES = {"md": lammps.DUMP_FILE, "jax-md": jaxmd.PART_GLOB}
"""What holds the frames of a run, by kind of job."""


class Job(Section):
    """What one kind of job may use; all of it is on one node."""

    walltime: Duration = Field(86400.0, description="a time from 1 min to 30 d, such as 24 h")
    memory: Memory | None = Field(None, description="the memory of a job, such as 4 GB")
    gpus: int = Field(0, ge=0, le=64, description="a number of GPUs, such as 1")
    queue: Word | None = Field(None, description="a queue (partition) instead of the computer's")
    account: Word | None = Field(None, description="an account instead of the computer's")
    pack: int = Field(1, ge=1, le=256, description="how many jobs share one allocation, such as 8")

    @model_validator(mode="after")
    def _small_if_packed(self) -> Self:
        """Several programs side by side cannot each have MPI processes or GPUs of their own there."""
        if self.pack > 1 and (self.gpus or getattr(self, "ranks", 1) > 1):
            raise fault("pack with ranks or gpus", "pack for jobs of one rank without GPUs")
        return self

    def resources(self) -> dict[str, int]:
        """Return resources as AiiDA's Slurm plugin takes them."""
        return {"num_machines": 1, "num_mpiprocs_per_machine": 1}

    def options(self, queue: str | None, account: str | None) -> dict[str, Any]:
        """Return the options of such jobs; queue and account are the computer's."""
        resources = self.resources()
        options = {
            "resources": resources,
            "max_wallclock_seconds": int(self.walltime),
            "max_memory_kb": None if self.memory is None else int(self.memory),
            "withmpi": resources["num_mpiprocs_per_machine"] > 1,
            "queue_name": self.queue or queue,
            "account": self.account or account,
            "custom_scheduler_commands": self.commands(),
        }
        return {key: value for key, value in options.items() if value is not None}

    def allocation(self, queue: str | None, account: str | None) -> dict[str, Any]:
        """Return the options of what Slurm is asked for: those of a job, or of several that share it."""
        options = self.options(queue, account)
        resources = options["resources"]
        options["resources"] = resources | {
            "num_mpiprocs_per_machine": self.pack * resources["num_mpiprocs_per_machine"]
        }
        if "max_memory_kb" in options:
            options["max_memory_kb"] *= self.pack
        return options

    def commands(self) -> str | None:
        """Return further lines for the header of job scripts."""
        if self.gpus:
            return f"#SBATCH --gres=gpu:{self.gpus}"
        return f"{MARK} {self.pack}" if self.pack > 1 else None


class MdJob(Job):
    """Molecular dynamics with LAMMPS."""

    ranks: int = Field(1, ge=1, le=1024, description="a number of MPI processes, such as 4")

    def resources(self) -> dict[str, int]:
        """Return resources as AiiDA's Slurm plugin takes them."""
        return {"num_machines": 1, "num_mpiprocs_per_machine": self.ranks}


class JaxJob(Job):
    """What JAX computes: calibration steps, and bulk runs of jax-md."""

    cores: int = Field(1, ge=1, le=1024, description="a number of cores, such as 4")

    def resources(self) -> dict[str, int]:
        """Return resources as AiiDA's Slurm plugin takes them."""
        return super().resources() | {"num_cores_per_mpiproc": self.cores}


class Jobs(Section):
    """Kinds of job."""

    md: MdJob = Field(MdJob(), description="a mapping with ranks, walltime, memory, gpus, queue, account, pack")
    jaxmd: JaxJob = Field(
        JaxJob(), alias="jax-md", description="a mapping with cores, walltime, memory, gpus, queue, account, pack"
    )
    step: JaxJob = Field(JaxJob(), description="a mapping with cores, walltime, memory, gpus, queue, account, pack")


class ComputerFile(Section):
    """A whole file."""

    version: int = Field(alias="schema", ge=1, le=1, description="1, the version of this format")
    name: Name = Field(description="what campaigns call the computer, such as cluster")
    hostname: Word = Field(description="a Host entry of ~/.ssh/config, or the name of the host")
    transport: Literal["core.ssh_async", "core.ssh"] = Field("core.ssh_async", description="core.ssh_async or core.ssh")
    user: Word | None = Field(
        None, description="the user there; with core.ssh_async no such key but `User` in ~/.ssh/config"
    )
    work_folder: str = Field(
        pattern=r"^/[A-Za-z0-9_./{}@+-]{1,500}$",
        description="an absolute path of letters, digits and . _ - + @, in which {username} may stand; such as "
        "/scratch/{username}/phasecal",
    )
    environment: str = Field(
        "",
        max_length=5000,
        description="shell lines after which lmp, phasecal and python are on the path, such as "
        "'source ~/phasecal/bin/activate'",
    )
    mpirun: str = Field(
        "mpirun -np {tot_num_mpiprocs}",
        pattern=r"^[^\x00-\x1f\x7f]{1,500}$",
        description="how programs are started on several ranks, such as mpirun -np {tot_num_mpiprocs}",
    )
    queue: Word | None = Field(None, description="the queue (partition) of jobs")
    account: Word | None = Field(None, description="the account of jobs")
    stash: str | None = Field(
        None,
        pattern=r"^/[A-Za-z0-9_./@+-]{1,500}$",
        description="an absolute path of letters, digits and . _ - + @ where frames of all runs are kept there, such "
        "as /project/phasecal",
    )
    poll: Interval = Field(
        15.0, description="the shortest time between two connections and two looks at the queue, such as 15 s"
    )
    jobs: Jobs = Field(Jobs(), description="a mapping with md, jax-md and step")

    @field_validator("user")
    @classmethod
    def _only_with_ssh(cls, value: str | None, info: ValidationInfo) -> str | None:
        """The transport core.ssh_async takes the user from ~/.ssh/config only."""
        if value is not None and info.data.get("transport") == "core.ssh_async":
            raise fault("a user with core.ssh_async", f"`User {value}` below the Host entry in ~/.ssh/config instead")
        return value

    @field_validator("work_folder")
    @classmethod
    def _only_username_in_braces(cls, value: str) -> str:
        """Nothing but the user's name is filled in."""
        if {"{", "}"} & set(value.replace("{username}", "")):
            raise fault("braces that are not {username}")
        return value

    @property
    def is_packed(self) -> bool:
        """Whether some jobs share allocations."""
        return any(job.pack > 1 for job in self.kinds().values())

    def kinds(self) -> dict[str, Job]:
        """Return what every kind of job may use."""
        return {"md": self.jobs.md, "jax-md": self.jobs.jaxmd, "step": self.jobs.step}

    def job_options(self) -> dict[str, dict[str, Any]]:
        """Return the options of every kind of job."""
        options = {kind: job.options(self.queue, self.account) for kind, job in self.kinds().items()}
        if self.stash is not None:
            for kind, frames in FRAMES.items():
                keep = {"target_base": self.stash, "source_list": [frames], "stash_mode": StashMode.COPY.value}
                options[kind]["stash"] = keep
        return options


def load_computer_file(path: str | Path) -> ComputerFile:
    """Read and check a file of ``phasecal init --computer``.

    Raises:
        CampaignErrors: The file is missing, not plain YAML, or breaks the rules; all errors found.
    """
    return load_section(path, ComputerFile)
