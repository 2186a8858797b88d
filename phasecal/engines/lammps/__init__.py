"""LAMMPS: static scripts, inputs from an MD task and a model, and a reader that survives interrupted runs."""

from phasecal.engines.lammps.commands import ARTIFACT_FILE, LOG_FILE
from phasecal.engines.lammps.inputs import (
    CONTINUE_FILE,
    DUMP_FILE,
    RESTART_GLOB,
    lammps_executable,
    run_lammps,
    script_path,
    write_inputs,
)
from phasecal.engines.lammps.kinds import validate_task, with_half_step
from phasecal.engines.lammps.output import MdOutput, read_output
from phasecal.engines.lammps.plugin import model_prologue
from phasecal.engines.lammps.task import timestep_fs

__all__ = [
    "ARTIFACT_FILE",
    "CONTINUE_FILE",
    "DUMP_FILE",
    "LOG_FILE",
    "RESTART_GLOB",
    "MdOutput",
    "lammps_executable",
    "model_prologue",
    "read_output",
    "run_lammps",
    "script_path",
    "timestep_fs",
    "validate_task",
    "with_half_step",
    "write_inputs",
]
