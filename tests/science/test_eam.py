"""The EAM family: gauge freedom, corrections that stay where they belong, trimming, and the self-density."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk

from phasecal.campaign.sources import potentials_folder
from phasecal.errors import DataError, InputError
from phasecal.potentials.base import (
    energies,
    energy_change,
    forces,
    frames_from_atoms,
    frames_from_sample,
    gradients,
)
from phasecal.potentials.eam import EamModel
from phasecal.potentials.setfl import read_setfl, write_setfl
from phasecal.potentials.splines import cubic_bsplines
from phasecal.sample import Sample


def potential(name, **options):
    options = {"train": {"pair": 12}, **options}
    return EamModel.from_file(potentials_folder() / name, **options)


def hot(elements, noise=0.15, scale=1.0, seed=0):
    """A crystal of 32 atoms with thermal noise; much noise makes it a liquid in all but name."""
    rng = np.random.default_rng(seed)
    atoms = bulk("X", "fcc", a=3.7 * scale, cubic=True) * 2
    atoms.symbols = [elements[i % len(elements)] for i in range(len(atoms))]
    atoms.positions += rng.normal(0.0, noise, atoms.positions.shape)
    return atoms


def phases(model):
    """Two very different structures of the same atoms."""
    return frames_from_atoms(
        [hot(model.elements), hot(model.elements, noise=0.5, scale=1.03, seed=1)], model.elements, model.cutoff
    )


@pytest.fixture(scope="module")
def copper():
    return potential("Cu_mishin1.eam.alloy", train={"pair": 12, "density": 3, "embedding": 4})


@pytest.mark.parametrize("name", ["Cu_mishin1.eam.alloy", "AlCu.eam.alloy"])
def test_energy_offset_moves_no_phase(name):
    model = potential(name)
    shifted = replace(model, embedding=model.embedding + 0.3)
    frames = phases(model)
    assert energy_change(model, shifted, frames) == pytest.approx(0.3, abs=1e-12)
    assert forces(shifted, frames) == pytest.approx(forces(model, frames), abs=1e-10)
    assert gradients(shifted, frames) == pytest.approx(gradients(model, frames), abs=1e-10)


@pytest.mark.parametrize("name", ["Cu_mishin1.eam.alloy", "AlCu.eam.alloy", "CuZr_mm.eam.fs"])
def test_gauge_moves_nothing(name):
    """F_i → F_i + k_i ρ, φ_ij → φ_ij − k_i ρ_ji − k_j ρ_ij is no change: no energy, force or phase knows it."""
    model = potential(name)
    n = len(model.elements)
    k = np.linspace(0.1, 0.2, n) / np.mean(model.crystal_densities)
    rho = model.drho * np.arange(model.embedding.shape[1])
    r = model.dr * np.arange(model.pair.shape[1])
    density = model.density.reshape(n, -1, model.density.shape[1])  # [donor, receiver]
    density = np.broadcast_to(density, (n, n, density.shape[2]))
    pairs = [(i, j) for i in range(n) for j in range(i + 1)]
    gauge = np.array([r * (k[i] * density[j, i] + k[j] * density[i, j]) for i, j in pairs])
    changed = replace(model, embedding=model.embedding + k[:, None] * rho, pair=model.pair - gauge)
    frames = phases(model)
    assert energy_change(model, changed, frames) == pytest.approx(0.0, abs=2e-8)
    assert forces(changed, frames) == pytest.approx(forces(model, frames), abs=2e-6)
    # what calibration sees: the direction of the gauge has no slope in any phase, so none between phases
    half = replace(model, embedding=model.embedding + 1e-3 * k[:, None] * rho, pair=model.pair - 1e-3 * gauge)
    slopes = energy_change(model, half, frames) / 1e-3
    assert slopes[1] - slopes[0] == pytest.approx(0.0, abs=2e-8)
    # negative control: half of the gauge is a real change
    wrong = replace(model, embedding=model.embedding + k[:, None] * rho)
    assert np.abs(energy_change(model, wrong, frames)).min() > 1e-2


def test_self_density_would_be_noticed(copper):
    """Adding ρ(0) to the density, as some codes do, is an error of tens of meV/atom; here there is none."""
    crystal = frames_from_atoms([bulk("Cu", a=3.615)], ["Cu"], copper.cutoff)
    right = energies(copper, crystal)[0]
    assert right == pytest.approx(-3.54, abs=1e-3)  # Mishin, PRB 63, 224106: cohesive energy
    rho = copper.drho * np.arange(copper.embedding.shape[1])
    shifted = np.interp(rho + copper.density[0, 0], rho, copper.embedding[0])
    wrong = energies(replace(copper, embedding=shifted[None, :]), crystal)[0]
    assert abs(wrong - right) > 0.02


def test_corrections_are_smooth_and_compact():
    x = np.linspace(0.0, 6.0, 6001)
    splines = cubic_bsplines(x, 1.9, 5.5, 12)
    assert np.all(splines[:, (x <= 1.9) | (x >= 5.5)] == 0.0)
    assert splines[:, (x > 3.0) & (x < 4.4)].sum(axis=0) == pytest.approx(1.0)
    total = splines.sum(axis=0)
    step, spacing = x[1] - x[0], 3.6 / 15
    for order in (1, 2):  # continuous: from point to point no more than the next derivative allows
        derivative = np.diff(total, order) / step**order
        assert np.abs(np.diff(derivative)).max() < 3.1 * step / spacing ** (order + 1)


def test_wall_cutoff_and_origin_stay(copper):
    model = copper.with_theta(np.random.default_rng(0).normal(0.0, 0.1, copper.theta.size))
    before, after = copper.tables(), model.tables()
    wall = before["r"] <= 0.75 * 3.615 / np.sqrt(2.0)
    assert np.array_equal(after["phi"][0, wall], before["phi"][0, wall])
    assert np.array_equal(after["rho"][0, wall], before["rho"][0, wall])
    beyond = before["r"] >= copper.cutoff
    assert np.array_equal(after["phi"][0, beyond], before["phi"][0, beyond])
    crystal = copper.crystal_densities[0]
    outside = (before["density"] <= 0.4 * crystal) | (before["density"] >= 1.6 * crystal)
    assert np.array_equal(after["F"][0, outside], before["F"][0, outside])
    for name in ("phi", "rho", "F"):
        assert np.abs(after[name] - before[name]).max() > 1e-3


def test_pair_and_embedding_parameters_are_linear(copper):
    frames = phases(copper)
    linear = [i for i, name in enumerate(copper.parameter_names) if not name.startswith("density")]
    theta = np.zeros(copper.theta.size)
    theta[linear] = np.random.default_rng(2).normal(0.0, 0.05, len(linear))
    predicted = energies(copper, frames) + gradients(copper, frames) @ theta
    assert energies(copper, frames, theta) == pytest.approx(predicted, abs=1e-10)


def test_trimmed_cutoff_is_smooth_and_reported():
    full, trimmed = potential("Cu_zhou.eam.alloy"), potential("Cu_zhou.eam.alloy", cutoff=6.0)
    assert (full.cutoff, trimmed.cutoff) == (pytest.approx(9.0375), 6.0)
    frames = frames_from_atoms([hot(["Cu"])], ["Cu"], full.cutoff)
    change = energy_change(full, trimmed, frames)
    assert np.abs(change).max() < 1e-4
    assert np.abs(change).max() > 0.0
    tables = trimmed.tables()
    inside, tail = tables["r"] < 5.5, tables["r"] >= 6.0
    size = len(tables["r"])
    assert np.array_equal(tables["phi"][0, inside], full.tables()["phi"][0, :size][inside])
    assert np.all(tables["phi"][0, tail] == 0.0)
    assert np.all(tables["rho"][0, tail] == 0.0)
    curvature = np.diff(tables["phi"][0], 2) / trimmed.dr**2  # C²: no jump where the taper starts and ends
    assert np.abs(np.diff(curvature[tables["r"][:-2] > 5.0])).max() < 2e-3


def test_an_integer_cutoff_is_the_same_model():
    whole, real = (potential("Cu_zhou.eam.alloy", cutoff=cutoff) for cutoff in (6, 6.0))
    assert whole.hash == real.hash


@pytest.mark.parametrize("cutoff", [0.3, 10.0, float("nan")])
def test_impossible_cutoffs_are_refused(cutoff):
    with pytest.raises(InputError, match=r"cannot trim to .* the cutoff of the file is 9\.0375"):
        potential("Cu_zhou.eam.alloy", cutoff=cutoff)


def test_elements_are_selected_and_ordered():
    model = potential("NiAlH_jea.eam.alloy", elements=["Al", "Ni"], train={"pair": 2, "density": 1})
    other = potential("NiAlH_jea.eam.alloy", elements=["Ni", "Al"], train={"pair": 2})
    assert model.parameter_names[::2] == ("pair[Al-Al][0]", "pair[Al-Ni][0]", "pair[Ni-Ni][0]", "density[Al][0]")
    assert model.masses == {"Al": 26.982, "Ni": 58.71}
    structures = [hot(["Ni", "Al"])]
    a, b = (energies(m, frames_from_atoms(structures, m.elements, m.cutoff)) for m in (model, other))
    assert a == pytest.approx(b, abs=1e-10)
    with pytest.raises(InputError, match=r"has no Cu; its elements are Ni, Al, H"):
        potential("NiAlH_jea.eam.alloy", elements=["Cu"])
    with pytest.raises(DataError, match=r"the model has no Zr; its elements are Al, Ni"):
        frames_from_atoms([bulk("Zr")], model.elements, model.cutoff)


@pytest.mark.parametrize("train", [{"pair": -1}, {"pair": 2.5}, {"pairs": 3}])
def test_impossible_numbers_of_parameters_are_refused(train):
    with pytest.raises(InputError, match="train takes numbers"):
        potential("Cu_mishin1.eam.alloy", train=train)


def test_file_without_a_lattice_cannot_be_trained(tmp_path):
    setfl = read_setfl(potentials_folder() / "Cu_mishin1.eam.alloy")
    lattice = replace(setfl.lattices[0], constant=0.0)
    write_setfl(tmp_path / "no_lattice", replace(setfl, lattices=(lattice,)), "no lattice constant")
    with pytest.raises(InputError, match=r"no_lattice: the header of Cu must name its lattice"):
        EamModel.from_file(tmp_path / "no_lattice", {"pair": 12})


def test_frames_of_a_sample_see_wandering_atoms_at_home(copper):
    atoms = [hot(["Cu"], seed=seed) for seed in range(4)]
    images = np.random.default_rng(0).integers(-200, 200, (4, 32, 3))
    positions = np.array([a.positions + image @ a.cell.array for a, image in zip(atoms, images, strict=True)])
    sample = Sample(
        positions=positions.astype(np.float32),
        cells=np.array([a.cell.array for a in atoms]),
        energies=np.zeros(4),
        steps=np.arange(4),
        species=np.zeros(32, dtype=np.int32),
        elements=("Cu",),
        phase="fcc",
        temperature_k=300.0,
        pressure_gpa=0.0,
        timestep_fs=1.0,
        model_hash=copper.hash,
    )
    frames = frames_from_sample(sample, copper.cutoff, stride=2)
    expected = energies(copper, frames_from_atoms(atoms[::2], ["Cu"], copper.cutoff))
    assert frames.n_frames == 2
    assert energies(copper, frames) == pytest.approx(expected, abs=5e-2)  # float32 over 1400 Å
