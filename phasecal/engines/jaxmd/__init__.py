"""Bulk states sampled with jax-md on CPU or GPU: any family that has energies in JAX, message passing included.

The run itself is :func:`phasecal.engines.jaxmd.runs.run`; it is not imported here, because jax-md takes
seconds to load.
"""

from phasecal.engines.jaxmd.job import LOG_FILE, MODEL_FILE, PART_GLOB, STATE_GLOB, TASK_FILE, check_task, write_inputs
from phasecal.engines.jaxmd.output import read_output

__all__ = [
    "LOG_FILE",
    "MODEL_FILE",
    "PART_GLOB",
    "STATE_GLOB",
    "TASK_FILE",
    "check_task",
    "read_output",
    "write_inputs",
]
