"""Lennard-Jones: closed forms, exact scaling, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from phasecal.errors import DataError, InputError
from phasecal.potentials.base import energies, frames_from_atoms, gradients, virials
from phasecal.potentials.lj import LjModel
from phasecal.units import KB


def lennard_jones(**changes):
    settings = {"epsilon": 0.08, "sigma": 3.0, "cutoff_sigmas": 2.5, "train": ["epsilon", "sigma"]}
    return LjModel.from_parameters(element="X", mass=40.0, **(settings | changes))


def energy_of(model, atoms):
    return energies(model, frames_from_atoms([atoms], model.elements, model.cutoff))[0]


def dimer(r):
    return Atoms("X2", positions=[[0, 0, 0], [r, 0, 0]], cell=[40.0] * 3, pbc=True)


def hot_crystal(scale=1.0):
    atoms = bulk("X", "fcc", a=4.8, cubic=True) * (2, 2, 2)
    atoms.positions += np.random.default_rng(4).normal(0.0, 0.2, (len(atoms), 3))
    atoms.set_cell(atoms.cell * scale, scale_atoms=True)
    return atoms


def test_a_pair_has_the_textbook_energy():
    plain, shifted = lennard_jones(shift=False), lennard_jones(shift=True)
    assert energy_of(plain, dimer(2 ** (1 / 6) * 3.0)) == pytest.approx(-0.08, rel=1e-12)
    at_cutoff = 4 * 0.08 * (2.5**-12 - 2.5**-6)
    assert energy_of(shifted, dimer(3.0)) == pytest.approx(-at_cutoff, rel=1e-12)
    assert energy_of(plain, dimer(7.51)) == energy_of(shifted, dimer(7.51)) == 0.0


def test_the_perfect_crystal_has_the_known_lattice_sums():
    """fcc: Σ r⁻⁶ = 14.4539, Σ r⁻¹² = 12.1319 in nearest-neighbour distances (Kittel); E = −8.610 ε at r₀ = 1.0902 σ."""
    model = lennard_jones(shift=False, cutoff_sigmas=8.0)
    r = (2 * 12.13188 / 14.45392) ** (1 / 6) * 3.0
    atoms = bulk("X", "fcc", a=2**0.5 * r)
    tail = 8 / 3 * np.pi * 2**0.5 / (r / 3.0) ** 3 * 8.0**-3
    assert energy_of(model, atoms) / 0.08 == pytest.approx(-8.610 + tail, abs=2e-3)


def test_energies_scale_exactly():
    model, atoms = lennard_jones(), hot_crystal()
    assert energy_of(replace(model, epsilon=4 * 0.08), atoms) == 4 * energy_of(model, atoms)
    assert energy_of(replace(model, sigma=6.0), hot_crystal(2.0)) == pytest.approx(energy_of(model, atoms), rel=1e-13)
    assert lennard_jones(epsilon=4 * 0.08).timestep_fs == model.timestep_fs / 2
    assert model.timestep_fs == pytest.approx(0.004 * 3.0 * (40 * 103.642697 / 0.08) ** 0.5, rel=1e-4)
    trained = model.with_theta(np.log([2.0, 0.9]))
    assert trained.parameters() == pytest.approx((0.16, 2.7))
    assert energy_of(trained, hot_crystal(0.9)) == pytest.approx(2 * energy_of(model, atoms), rel=1e-12)


def test_gradients_are_the_energy_and_the_virial():
    model = lennard_jones().with_theta([0.03, -0.02])
    frames = frames_from_atoms([hot_crystal()], model.elements, model.cutoff)
    expected = [energies(model, frames)[0], np.trace(virials(model, frames)[0])]
    assert gradients(model, frames)[0] == pytest.approx(expected, rel=1e-12)


def test_a_subset_of_the_parameters_can_be_trained():
    full = lennard_jones().with_theta([0.0, 0.02])
    part = lennard_jones(train=["sigma"]).with_theta([0.02])
    assert part.parameter_names == ("ln(sigma)",)
    assert energy_of(part, hot_crystal()) == energy_of(full, hot_crystal())
    assert lennard_jones(train=[]).theta.shape == (0,)


def test_parameters_may_move_by_the_margin_of_the_neighbour_lists():
    model = lennard_jones()
    frames = frames_from_atoms([hot_crystal()], model.elements, model.cutoff)
    moved = energies(model, frames, np.array([0.0, 0.009]))[0]
    assert moved == pytest.approx(energy_of(model.with_theta([0.0, 0.009]), hot_crystal()), rel=1e-13)
    with pytest.raises(DataError, match="too short"):
        energies(model, frames, np.array([0.0, 0.02]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": ["mass"]}, "lj trains epsilon and sigma, got mass"),
        ({"epsilon": -1.0}, "epsilon and sigma above 0"),
        ({"sigma": float("nan")}, "epsilon and sigma above 0"),
        ({"cutoff_sigmas": 1.0}, "a cutoff beyond the minimum"),
    ],
)
def test_what_makes_no_potential_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        lennard_jones(**change)


def test_one_kind_of_atom():
    with pytest.raises(InputError, match="one kind of atom"):
        replace(lennard_jones(), elements=("Ar", "Kr"))


def test_argon_has_the_time_step_of_its_own_time_scale():
    argon = LjModel.from_parameters(element="Ar", mass=39.948, epsilon=119.8 * KB, sigma=3.405, cutoff_sigmas=2.5)
    assert argon.timestep_fs == pytest.approx(8.63, abs=0.02)
