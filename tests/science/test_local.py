"""Local models: atom energies add up to the energy, and all that is needed of a neighbour is its vector."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import bulk

from phasecal.campaign.sources import potentials_folder
from phasecal.potentials.base import energies, forces, frames_from_atoms, virials
from phasecal.potentials.correction import eam_correction
from phasecal.potentials.eam import EamModel
from phasecal.potentials.frozen import FrozenModel
from phasecal.potentials.lj import LjModel
from phasecal.potentials.local import LocalModel, neighbor_vectors


def eam(name, elements):
    train = {"pair": 3, "density": 3, "embedding": 2}
    return EamModel.from_file(potentials_folder() / name, train, elements=elements)


def lennard_jones():
    return LjModel.from_parameters(
        element="Ar", mass=39.95, epsilon=0.1, sigma=2.4, cutoff_sigmas=2.5, train=["epsilon", "sigma"]
    )


MODELS = {
    "eam-binary": lambda: eam("AlCu.eam.alloy", ["Cu", "Al"]),
    "eam-fs": lambda: eam("CuZr_mm.eam.fs", ["Cu", "Zr"]),
    "lj": lennard_jones,
}


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    original = MODELS[request.param]()
    return original.with_theta(np.random.default_rng(5).normal(0.0, 0.02, original.theta.size))


@pytest.fixture(scope="module")
def frames(model):
    atoms = bulk("X", "fcc", a=4.0, cubic=True) * (2, 2, 1)
    rng = np.random.default_rng(11)
    atoms.symbols = rng.choice(model.elements, len(atoms))
    atoms.positions += rng.normal(0.0, 0.15, atoms.positions.shape)
    return frames_from_atoms([atoms], model.elements, model.cutoff)


def edges_of(model, frames):
    """Vectors, species and species of neighbours of the only frame."""
    cell, neighbors, shifts = frames.cells[0], frames.neighbors[0], frames.shifts[0]
    vectors, other = neighbor_vectors(frames.positions[0], cell, neighbors, shifts, 2 * model.cutoff)
    return vectors, frames.species, frames.species[other]


def test_atom_energies_add_up(model, frames):
    assert isinstance(model, LocalModel)
    each = model.atom_energies(model.theta, *edges_of(model, frames))
    assert each.shape == (frames.n_atoms,)
    assert float(each.sum()) == pytest.approx(energies(model, frames)[0], rel=1e-13)
    assert np.ptp(each) > 1e-3  # no trivial share of the total


def test_derivatives_by_vectors_give_forces_and_virial(model, frames):
    vectors, *species = edges_of(model, frames)
    slopes = jax.grad(lambda v: model.atom_energies(model.theta, v, *species).sum())(vectors)
    force = np.array(slopes.sum(axis=1))
    neighbors = frames.neighbors[0]
    real = neighbors < frames.n_atoms
    np.subtract.at(force, neighbors[real], np.asarray(slopes)[real])
    assert force == pytest.approx(forces(model, frames)[0], abs=1e-12)
    virial = -np.einsum("ija,ijb->ab", vectors, slopes)
    assert virial == pytest.approx(virials(model, frames)[0], abs=1e-10)


def test_padding_adds_exactly_nothing_wherever_it_is(model, frames):
    vectors, species, others = edges_of(model, frames)
    more = jnp.concatenate([vectors, jnp.full((frames.n_atoms, 7, 3), 1e3)], axis=1)
    others_more = np.concatenate([others, np.zeros((frames.n_atoms, 7), dtype=others.dtype)], axis=1)

    def total(v, neighbor_species):
        return model.atom_energies(model.theta, v, species, neighbor_species).sum()

    assert float(total(more, others_more)) == pytest.approx(float(total(vectors, others)), rel=1e-14)
    slopes = jax.grad(total)(more, others_more)
    assert jnp.all(slopes[:, -7:] == 0.0)
    assert jnp.all(jnp.isfinite(slopes))
    inside = more.at[:, -1].set(0.4 * model.cutoff)  # the control: what is not beyond the cutoff does count
    assert abs(float(total(inside, others_more) - total(vectors, others))) > 1e-3


def test_a_pair_of_atoms_shares_its_energy_equally():
    model = lennard_jones()
    r = 2.0 ** (1 / 6) * model.sigma
    vectors = np.array([[[r, 0.0, 0.0]], [[-r, 0.0, 0.0]]])
    each = model.atom_energies(model.theta, vectors, np.zeros(2, dtype=int), np.zeros((2, 1), dtype=int))
    shift = 4 * 0.1 * (2.5**-12 - 2.5**-6)
    assert np.asarray(each) == pytest.approx([(-0.1 - shift) / 2] * 2, rel=1e-13)


def test_a_base_that_only_lammps_can_compute_is_not_local():
    correction = eam_correction([bulk("Cu", cubic=True)], ["Cu"], {"pair": 2}, 5.0)
    frozen = FrozenModel.from_commands(["Cu"], ["pair_style zero 5.0", "pair_coeff * *"], {}, correction)
    assert not isinstance(frozen, LocalModel)
