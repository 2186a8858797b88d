"""The codes that phasecal needs on a computer, here or elsewhere."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath

from aiida import orm
from aiida.common.exceptions import NotExistent

PROGRAMS = {
    "lmp": ("lmp", "phasecal.lammps"),
    "phasecal": ("phasecal", "phasecal.task"),
    "python": ("jax-md", "phasecal.jaxmd"),
}
"""Programs of an environment with phasecal: the label of the code of each, and the job that it runs."""

# A job has one node: without the second line MPI listens on the machine's own address, also on one rank.
SETUP = "export OMP_NUM_THREADS=1\nexport UCX_TLS=${UCX_TLS:-self,sm}"
"""Shell lines before every program; whoever sets UCX_TLS in the environment of a computer is obeyed."""


def set_up_codes(computer: orm.Computer, paths: Mapping[str, str], setups: Mapping[str, str], setup: str) -> list[str]:
    """Make the codes of a computer that are not there yet; return what was made.

    Args:
        computer: Where they are.
        paths: Path of each of :data:`PROGRAMS`, or its name where the computer's environment has it on the path.
        setups: Shell lines before a program, where they are not ``setup``.
        setup: Shell lines before every other program.
    """
    made = []
    for program, (label, plugin) in PROGRAMS.items():
        name = f"{label}@{computer.label}"
        try:
            orm.load_code(name)
        except NotExistent:
            orm.InstalledCode(
                label=label,
                computer=computer,
                filepath_executable=paths[program],
                default_calc_job_plugin=plugin,
                prepend_text=SETUP + setups.get(program, setup),
            ).store()
            made.append(f"code {name}")
    return made


def keep_compiled(work_folder: str) -> str:
    """Shell lines that make JAX keep what it compiles: runs of one model need the same functions.

    It is below ``work_folder``, or where the environment of the computer says.
    """
    folder = PurePosixPath(work_folder, ".jax-compiled")
    return (
        f"\nexport JAX_COMPILATION_CACHE_DIR=${{JAX_COMPILATION_CACHE_DIR:-{shlex.quote(str(folder))}}}"
        "\nexport JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0"  # most take 0.2 s, but there are dozens
    )
