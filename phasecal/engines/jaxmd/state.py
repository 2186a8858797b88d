"""What moves and what it is coupled to. Units are eV, Å, fs; masses are in eV fs²/Å²."""

from __future__ import annotations

from typing import NamedTuple

from jax import Array

from phasecal.structures import crystals

CHAIN_LENGTH = 3
"""Thermostats per chain, as LAMMPS has by default."""

COLUMNS = (
    *("temp", "pe", "ke", "etotal", "enthalpy", "volume", "lx", "ly", "lz"),
    *("press", "pxx", "pyy", "pzz", "force_sq"),
)
"""What is recorded beside the step: K, eV per cell, Å³, Å, GPa; force_sq is Σ F²/m in (eV/Å)²/amu."""

Barostat = crystals.Barostat | None
"""Which edges change together; None keeps them."""


class Ensemble(NamedTuple):
    """What a run is coupled to; scalars, or arrays of shape (n_replicas,) in a batch.

    Attributes:
        kT: Temperature, eV.
        pressure: eV/Å³.
        timestep: fs.
        thermostat_time: Time constant of the thermostat, fs.
        barostat_time: Time constant of the barostat, fs.
    """

    kT: Array
    pressure: Array
    timestep: Array
    thermostat_time: Array
    barostat_time: Array


class State(NamedTuple):
    """Everything that a step changes; in a batch with a leading axis of replicas.

    Attributes:
        positions: Unwrapped, from the corner of the box, Å, shape (n_atoms, 3).
        momenta: eV fs/Å, shape (n_atoms, 3); they sum to zero.
        edges: Edges of the box, Å, shape (3,).
        edge_momenta: w d ln L/dt, eV fs, shape (3,).
        energy: Potential energy, eV.
        forces: eV/Å, shape (n_atoms, 3).
        virial: −∂U/∂ln L, eV, shape (3,).
        thermostat: Positions and momenta of the chain on the atoms, shape (2, CHAIN_LENGTH).
        barostat: The same of the chain on the box.
    """

    positions: Array
    momenta: Array
    edges: Array
    edge_momenta: Array
    energy: Array
    forces: Array
    virial: Array
    thermostat: Array
    barostat: Array
