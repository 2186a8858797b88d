"""Interatomic potentials: one family per file, all behind :class:`phasecal.potentials.base.Model`."""
