"""What is special about moment-networks: their invariants, several elements, the guard, and atom energies."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations_with_replacement

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import bulk
from titanium_models import TITANIUM, recorded_energies, section_of

from phasecal.artifact import read_artifact
from phasecal.engines.lammps.commands import ARTIFACT_FILE
from phasecal.errors import DataError, InputError
from phasecal.potentials.base import energies, frames_from_atoms, load_model
from phasecal.potentials.local import LocalModel, neighbor_vectors
from phasecal.potentials.moment_network import MomentNetworkModel
from phasecal.potentials.moments import invariants, moments, radial_basis, repulsion, split

CUTOFF = 5.0


def make(elements=("Ti",), inner=2.4, **settings):
    n = len(elements)
    options = {"n_radial": 3, "n_basis": 5, "hidden": (6, 5), "dtype": "float64", "seed": 3} | settings
    return MomentNetworkModel.initial(elements, CUTOFF, np.full((n, n), inner), **options)


def cluster(n_atoms=5, width=7, seed=1):
    """Vectors to neighbours inside the cutoff, the last two places padded by far ones."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n_atoms, width, 3))
    vectors *= rng.uniform(2.5, 4.8, (n_atoms, width, 1)) / np.linalg.norm(vectors, axis=-1, keepdims=True)
    vectors[:, -2:] = 40.0
    return vectors


def atom_energies(model, vectors, species, neighbor_species):
    function = jax.jit(lambda m, t, v: m(t, v, species, neighbor_species))
    return np.asarray(function(model.atom_energies, model.theta, vectors))


def test_invariants_are_sums_over_pairs_of_neighbours_of_powers_of_the_cosine():
    vectors, coefficients = cluster(n_atoms=1), np.random.default_rng(2).normal(size=(3, 5))
    unit, distance, inside = split(jnp.asarray(vectors), CUTOFF)
    radial = np.asarray(radial_basis(distance, inside, jnp.asarray(2.4), CUTOFF, 5)) @ coefficients.T
    found = np.asarray(invariants(moments(unit, jnp.asarray(radial))))[0]
    directions = np.stack(unit, axis=-1)[0]
    cosine, f = directions @ directions.T, radial[0]
    expected = list(f.sum(axis=0))
    for power in range(4):
        expected += [f[:, n] @ cosine**power @ f[:, m] for n, m in combinations_with_replacement(range(3), 2)]
    assert found == pytest.approx(np.array(expected), rel=1e-12, abs=1e-12)


def test_radial_functions_are_chebyshev_polynomials_that_end_smoothly_and_are_constant_inside():
    inner, r = 2.4, np.array([1.0, 2.0, 2.4, 3.7, 4.999, 5.0, 7.0])
    inside = jnp.asarray(r < CUTOFF)[None]
    values = np.asarray(radial_basis(jnp.asarray(r)[None], inside, jnp.asarray(inner), CUTOFF, 5))[0]
    lower = 0.9 * inner
    x = 2 * np.maximum(r, lower) / CUTOFF - 1
    taper = 8 * np.clip(1 - r / CUTOFF, 0, None) ** 3
    outside_clamp = r >= inner
    for k in range(5):
        expected = np.cos(k * np.arccos(np.clip(x, -1, 1))) * taper
        assert values[outside_clamp, k] == pytest.approx(expected[outside_clamp], abs=1e-12)
    innermost = np.cos(np.arange(5) * np.arccos(2 * lower / CUTOFF - 1))
    assert values[:2] / taper[:2, None] == pytest.approx(np.tile(innermost, (2, 1)), abs=1e-12)


@pytest.mark.parametrize("where", [0.9 * 2.4, 2.4, CUTOFF], ids=["clamp", "inner", "cutoff"])
def test_a_pair_is_twice_differentiable_everywhere(where):
    model = make()
    atoms = model.atom_energies

    def pair(r):
        vectors = jnp.zeros((1, 1, 3)).at[0, 0, 0].set(r)
        return jnp.sum(atoms(model.theta, vectors, jnp.zeros(1, int), jnp.zeros((1, 1), int)))

    second = jax.jit(jax.vmap(jax.grad(jax.grad(pair))))
    left, right = np.asarray(second(jnp.array([where - 1e-7, where + 1e-7])))
    assert right == pytest.approx(left, abs=1e-3 * max(1.0, abs(left)))


def test_padding_contributes_exactly_nothing_however_far_it_is():
    model, vectors = make(("Ti", "Al")), cluster()
    species, others = np.array([0, 1, 0, 1, 1]), np.random.default_rng(0).integers(0, 2, (5, 7))
    model32 = replace(model, dtype="float32")
    for far in (5.0, 40.0, 1e18):
        padded = vectors.copy()
        padded[:, -2:] = far
        for version in (model, model32):
            atoms, theta = version.atom_energies, version.theta
            slope = jax.jit(jax.grad(lambda v, a=atoms, t=theta: a(t, v, species, others).sum()))(padded)
            assert np.isfinite(slope).all()
            assert not np.asarray(slope)[:, -2:].any()
            whole = atom_energies(version, padded, species, others)
            assert np.array_equal(whole, atom_energies(version, vectors, species, others))


def test_two_elements_that_are_the_same_are_one_and_others_are_not():
    one, vectors = make(), cluster()
    two = make(("Ti", "Al"))
    arrays = {name: np.repeat(getattr(one, name), 2, axis=0) for name in ("radial", "mean", "scale", "references")}
    twins = replace(two, theta=np.tile(one.theta, 2), **arrays)
    rng = np.random.default_rng(4)
    species, others = rng.integers(0, 2, 5), rng.integers(0, 2, (5, 7))
    expected = atom_energies(one, vectors, np.zeros(5, int), np.zeros((5, 7), int))
    assert atom_energies(twins, vectors, species, others) == pytest.approx(expected, abs=1e-12)
    here = atom_energies(two, vectors, species, others)
    assert np.abs(atom_energies(two, vectors, 1 - species, others) - here).min() > 1e-4
    assert np.abs(atom_energies(two, vectors, species, 1 - others) - here).min() > 1e-4
    swapped = two.select(["Al", "Ti"])
    assert atom_energies(swapped, vectors, 1 - species, 1 - others) == pytest.approx(here, abs=1e-12)
    assert (swapped.elements, swapped.parent) == (("Al", "Ti"), two.hash)
    with pytest.raises(InputError, match="no Cu"):
        two.select(["Cu"])


def test_atom_energies_sum_to_the_energy_and_single_precision_is_close(bulk_ti):
    model = replace(make(("Ti",), n_radial=6, n_basis=8, hidden=(32, 32)), references=np.array([-7.8]))
    frames = frames_from_atoms([bulk_ti], model.elements, model.cutoff)
    vectors, other = neighbor_vectors(frames.positions[0], frames.cells[0], frames.neighbors[0], frames.shifts[0], 10.0)
    assert isinstance(model, LocalModel)
    whole = energies(model, frames)[0]
    double = atom_energies(model, vectors, frames.species, frames.species[other])
    assert double.sum() == pytest.approx(whole, abs=1e-10)
    single = atom_energies(replace(model, dtype="float32"), vectors, frames.species, frames.species[other])
    assert single.dtype == np.float64
    assert np.abs(single - double).max() < 1e-5
    assert not np.array_equal(single, double)


def test_the_guard_is_nothing_outside_and_drives_atoms_apart_inside():
    inner = jnp.asarray(2.4)
    r = jnp.linspace(0.2, 3.0, 57)[:, None]
    inside = jnp.ones_like(r, dtype=bool)
    energy = np.asarray(repulsion(r, inside, inner, 1000.0))
    outside = np.asarray(r)[:, 0] >= 2.4
    assert not energy[outside].any()
    assert (np.diff(energy[~outside]) < 0).all()
    assert repulsion(jnp.array([[0.8 * 2.4]]), jnp.array([[True]]), inner, 1000.0) == pytest.approx(5.0)  # half a pair
    model = make()  # a network alone is bounded; with the guard no dimer falls in
    vectors = jnp.zeros((1, 1, 3)).at[0, 0, 0].set(1.2)
    slope = jax.grad(lambda v: model.atom_energies(model.theta, v, jnp.zeros(1, int), jnp.zeros((1, 1), int)).sum())
    assert slope(vectors)[0, 0, 0] < -50.0


@pytest.mark.parametrize(
    "change",
    [
        {"scale": np.zeros((1, 27))},
        {"inner": np.array([[6.0]])},
        {"references": np.zeros(2)},
        {"mean": np.full((1, 27), np.nan)},
        {"dtype": "float16"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_arrays_that_do_not_fit_are_refused(change):
    with pytest.raises(DataError, match=next(iter(change)) if "dtype" not in change else "float32"):
        replace(make(), **change)


def test_names_say_where_a_weight_is_and_the_file_keeps_everything(tmp_path):
    model = make(("Ti", "Al"))
    assert model.parameter_names[0] == "weight1[Ti][0,0]"
    assert model.parameter_names[-1] == "weight3[Al][4]"
    assert "bias2[Al][4]" in model.parameter_names
    model.save(tmp_path / "model.safetensors")
    assert load_model(tmp_path / "model.safetensors").hash == model.hash
    assert replace(model, dtype="float32").hash != model.hash
    assert replace(model, guard=500.0).hash != model.hash


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_is_exported_for_lammps_in_its_own_precision(tmp_path, dtype):
    model = make(("Ti", "Al"), dtype=dtype)
    assert "pair_style phasecal" in model.export_lammps(tmp_path)
    artifact = read_artifact(tmp_path / ARTIFACT_FILE)
    reference = artifact.reference
    expected = atom_energies(model, *(reference[name] for name in ("vectors", "species", "neighbor_species")))
    assert (artifact.record["dtype"], reference["energies"].dtype) == (dtype, dtype)
    assert reference["energies"] == pytest.approx(expected, abs=1e-4 if dtype == "float32" else 1e-12)


@pytest.fixture
def bulk_ti():
    atoms = bulk("Ti", "hcp", a=2.95, c=4.68) * (3, 3, 2)
    atoms.rattle(0.1, seed=2)
    return atoms


@pytest.mark.parametrize("name", ["student", "mattersim", "mlip", "calibrated"])
def test_a_network_of_titanium_has_the_energies_on_record(name):
    recorded, section = recorded_energies(name), section_of(name)
    cells = {"hcp": bulk("Ti", "hcp", a=2.947, c=4.703), "bcc": bulk("Ti", "bcc", a=3.272)}
    assert list(recorded) == list(cells)
    model = load_model(TITANIUM / f"{name}.safetensors")
    record = TITANIUM / f"{name}.fit.json"
    assert model.hash == json.loads(record.read_text())["model_hash"] if record.exists() else model.hash in section
    for crystal, energy in recorded.items():
        frames = frames_from_atoms([cells[crystal]], model.elements, model.cutoff)
        assert energies(model, frames)[0] / len(cells[crystal]) == pytest.approx(energy, abs=2e-6)
