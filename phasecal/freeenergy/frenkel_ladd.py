"""Absolute free energy of a crystal: the Frenkel–Ladd path to independent springs.

The dynamics keeps the centre of mass (weights μ_i = m_i/M) where it is, on both ends of the path. With the springs k_i
of an Einstein crystal, all in eV per cell (Polson, Trizac, Pronk & Frenkel, J. Chem. Phys. 112, 5339 (2000), eqs.
11–20; Freitas, Asta & de Koning, Comput. Mater. Sci. 112, 333 (2016), eqs. 21–24):

    F_E  = 3 kT Σ ln(ħω_i/kT),  ω_i = √(k_i/m_i)                    3N independent oscillators, momenta included
    F_cm = (3/2) kT ln(2π kT Σ μ_i²/k_i)                            fixing their centre of mass
    F_V  = −kT ln(V/N_p)                                            letting it go again, over one of the N_p lattice
    points F    = F_E + F_cm + F_V − ΔF,   ΔF = F(springs) − F(crystal) by switching, both with a fixed centre of mass

The centre of mass roams V/N_p and not V because a shift by a lattice vector only permutes the atoms. N_p counts
primitive cells: N for fcc and bcc, N/2 for hcp. For equal atoms F_cm + F_V is kT ln[(N_p/V)(2πkT/(N k))^{3/2}]. V
instead of V/N_p would lower F/N by kT ln N/N, 5 meV at 256 atoms.

Finite size: F/N of a periodic crystal of N atoms is that of a large one − (kT/2) ln N/N + O(1/N), which
:mod:`~phasecal.freeenergy.crystal_size` adds. (The excess over an ideal gas of N atoms, which Polson et al. plot, has
another (kT/2) ln(2πN)/N from N!.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from phasecal.engines.lammps.frenkel_ladd import FrenkelLaddTask
from phasecal.engines.lammps.kinds import validate_task
from phasecal.errors import DataError, InputError
from phasecal.freeenergy import crystal_size
from phasecal.freeenergy.switching import Repeat, analyse_repeat
from phasecal.observables.ensemble import AMU_A2_PER_FS2_IN_EV, Thermo
from phasecal.observables.order import scaled_positions
from phasecal.observables.symmetry import primitive
from phasecal.sample import Sample
from phasecal.structures.crystals import crystal, repeats, supercell
from phasecal.units import KB

HBAR_EV_FS = 0.6582119569
"""ħ in eV·fs (CODATA 2018)."""


def springs_from_sample(sample: Sample, structure: Mapping[str, Any], n_atoms: int) -> dict[str, float]:
    """Spring constants that make an Einstein crystal shake as much as the crystal: k = 3kT/⟨u²⟩ for each element.

    Displacements u are taken in fractional coordinates from the sites of the perfect crystal, times the mean edges,
    with the drift of their mean removed.

    Args:
        sample: Frames of the crystal in the isothermal–isobaric ensemble.
        structure: The crystal.
        n_atoms: Number of atoms that was asked for when the block was made.

    Returns:
        Spring constant by element, eV/Å².

    Raises:
        PhaseError: A frame is not the crystal.
        DataError: The sample has another number of atoms than the block.
    """
    block = supercell(crystal(structure), n_atoms)
    if len(block) != sample.n_atoms:
        raise DataError(f"the sample has {sample.n_atoms} atoms, the block of its structure {len(block)}")
    shifts = scaled_positions(sample) - block.get_scaled_positions(wrap=False)
    shifts -= shifts.mean(axis=1, keepdims=True)
    square = np.sum((shifts * np.diag(sample.cells.mean(axis=0))) ** 2, axis=-1).mean(axis=0)
    kT = KB * sample.temperature_k
    return {
        element: float(3 * kT / square[sample.species == i].mean())
        for i, element in enumerate(sample.elements)
        if (sample.species == i).any()
    }


def einstein_free_energy(
    masses: Sequence[float],
    springs: Sequence[float],
    *,
    temperature_k: float,
    volume_a3: float,
    n_lattice_points: int,
) -> float:
    """Free energy F_E + F_cm + F_V of an Einstein crystal whose centre of mass is free, eV per cell.

    Args:
        masses: Mass of every atom, amu, shape (n_atoms,).
        springs: Spring constant of every atom, eV/Å², shape (n_atoms,).
        temperature_k: Temperature, K.
        volume_a3: Volume of the cell, Å³.
        n_lattice_points: Number of primitive cells in it.
    """
    kT = KB * temperature_k
    m, k = np.array(masses, dtype=np.float64), np.array(springs, dtype=np.float64)
    frequencies = np.sqrt(k / (m * AMU_A2_PER_FS2_IN_EV))
    oscillators = 3 * kT * float(np.log(HBAR_EV_FS * frequencies / kT).sum())
    weights = m / m.sum()
    centre = 1.5 * kT * math.log(2 * math.pi * kT * float(np.sum(weights**2 / k)))
    return oscillators + centre - kT * math.log(volume_a3 / n_lattice_points)


def finite_size(task: FrenkelLaddTask) -> tuple[float, float]:
    """What a large crystal has more than the block of a task, and its standard deviation, eV/atom."""
    cell = crystal(task.structure)
    points = len(cell) // len(primitive(cell))
    cells = repeats(cell, task.n_atoms)
    cell.set_cell(np.array(task.cell_a) / cells, scale_atoms=True)
    springs = [task.springs_ev_a2[symbol] for symbol in cell.symbols]
    return crystal_size.finite_size(cell, cells, springs, temperature_k=task.temperature_k, n_lattice_points=points)


def crystal_reference(task: FrenkelLaddTask, masses: Mapping[str, float]) -> float:
    """Free energy of the Einstein crystal of a task, eV/atom.

    Args:
        task: The MD task.
        masses: Atomic mass by element, amu.
    """
    atoms = task.start_configuration()
    cell = crystal(task.structure)
    per_cell = einstein_free_energy(
        [masses[symbol] for symbol in atoms.symbols],
        [task.springs_ev_a2[symbol] for symbol in atoms.symbols],
        temperature_k=task.temperature_k,
        volume_a3=float(atoms.cell.volume),
        n_lattice_points=len(atoms) // len(primitive(cell)),
    )
    return per_cell / len(atoms)


def analyse_run(sample: Sample, thermo: Thermo, task: Mapping[str, Any]) -> Repeat:
    """Switching work of one run: F(springs) − F(crystal) with a fixed centre of mass.

    Raises:
        InputError: The task is not a Frenkel–Ladd task.
        DataError: Lines are missing.
    """
    checked = validate_task(task)
    if not isinstance(checked, FrenkelLaddTask):
        raise InputError(f"expected a task of kind frenkel-ladd, got {checked.kind}")
    return analyse_repeat(sample, thermo, checked, thermo["reference_ev"] - thermo["model_ev"], solid=True)
