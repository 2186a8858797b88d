"""The contract of every potential family, run over all of them with parameters that are not zero."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk

from phasecal.campaign.sources import potentials_folder
from phasecal.errors import DataError
from phasecal.potentials.base import (
    energies,
    energy_change,
    force_jacobian,
    forces,
    frames_from_atoms,
    gradients,
    load_model,
    virials,
)
from phasecal.potentials.correction import eam_correction
from phasecal.potentials.eam import EamModel
from phasecal.potentials.frozen import FrozenModel
from phasecal.potentials.lj import LjModel
from phasecal.potentials.moment_network import MomentNetworkModel


def eam(name, elements=None, cutoff=None, **train):
    return EamModel.from_file(potentials_folder() / name, train, elements=elements, cutoff=cutoff)


def lennard_jones(**changes):
    settings = {"epsilon": 0.1, "sigma": 2.4, "cutoff_sigmas": 2.5, "train": ["epsilon", "sigma"]}
    return LjModel.from_parameters(element="Ar", mass=39.95, **(settings | changes))


def frozen():
    """A correction of a base that has no energy: what is left must keep the whole contract."""
    crystals = [bulk("TiAl", "cesiumchloride", a=3.2, cubic=True)]
    correction = eam_correction(crystals, ["Ti", "Al"], {"pair": 4, "density": 2, "embedding": 3}, 5.5)
    return FrozenModel.from_commands(["Ti", "Al"], ["pair_style zero 5.0", "pair_coeff * *"], {}, correction)


def moment_network():
    """Two elements, inside the guard where the test squeezes."""
    inner = [[2.6, 2.4], [2.4, 2.2]]
    return MomentNetworkModel.initial(
        ["Ti", "Al"], 5.0, inner, n_radial=3, n_basis=5, hidden=(4, 3), dtype="float64", seed=3
    )


FAMILIES = {
    "eam-zhou-trimmed": lambda: eam("Cu_zhou.eam.alloy", pair=12, cutoff=6.0),
    "eam-mishin": lambda: eam("Cu_mishin1.eam.alloy", pair=6, density=4, embedding=4),
    "eam-binary": lambda: eam("AlCu.eam.alloy", ["Cu", "Al"], pair=4, density=3, embedding=3),
    "lj-shifted": lennard_jones,
    "lj-truncated": lambda: lennard_jones(shift=False, cutoff_sigmas=2.7),
    "frozen-zero": frozen,
    "moment-network": moment_network,
    "eam-fs": lambda: eam("CuZr_mm.eam.fs", pair=3, density=3, embedding=2),
}


NETWORKS = ("nequix", "mace")
"""Families whose models are tiny weight files; they pass messages."""


@pytest.fixture(scope="module", params=[*FAMILIES, *NETWORKS])
def model(request, tmp_path_factory, tiny_networks):
    """A model with random parameters, large enough to matter."""
    if request.param in NETWORKS:
        original = tiny_networks.model(request.param, tmp_path_factory.mktemp(request.param) / "weights")
    else:
        original = FAMILIES[request.param]()
    return original.with_theta(original.theta + np.random.default_rng(5).normal(0.0, 0.02, original.theta.size))


def disordered(model):
    """A hot crystal in a skew cell, with the elements mixed."""
    atoms = bulk("X", "fcc", a=4.0, cubic=True) * (2, 2, 1)
    rng = np.random.default_rng(11)
    atoms.symbols = rng.choice(model.elements, len(atoms))
    atoms.set_cell([[8.0, 0.0, 0.0], [0.5, 8.2, 0.0], [-0.4, 0.7, 4.1]], scale_atoms=True)
    atoms.positions += rng.normal(0.0, 0.15, (len(atoms), 3))
    return atoms


def squeezed(atoms):
    """Less than half the volume: repulsive walls, and densities beyond the tables of F."""
    atoms = atoms.copy()
    atoms.set_cell(0.78 * atoms.cell.array, scale_atoms=True)
    return atoms


def frames_of(model, *structures):
    """Frames whose neighbour rows have the width of a squeezed structure: all tests share compilations."""
    return frames_from_atoms([squeezed(structures[0]), *structures], model.elements, model.cutoff).take(
        [*range(1, len(structures) + 1)]
    )


@pytest.fixture(scope="module")
def frames(model):
    return frames_of(model, disordered(model))


def test_forces_are_minus_the_slope_of_the_energy(model, frames):
    step = 1e-5
    force = forces(model, frames)[0]
    for atom, axis in ((0, 0), (3, 1), (7, 2), (15, 0)):
        shift = np.zeros_like(frames.positions)
        shift[0, atom, axis] = step
        up, down = (energies(model, frames._replace(positions=frames.positions + s)) for s in (shift, -shift))
        assert force[atom, axis] == pytest.approx(-(up - down)[0] / (2 * step), abs=1e-6)
    assert force.sum(axis=0) == pytest.approx(0.0, abs=1e-10)


def test_virial_is_minus_the_slope_by_strain(model, frames):
    step = 1e-6
    virial = virials(model, frames)[0]
    for i, j in ((0, 0), (1, 2), (2, 2)):
        strain = np.zeros((3, 3))
        strain[i, j] = step
        up, down = (
            energies(
                model,
                frames._replace(positions=frames.positions @ (np.eye(3) + s), cells=frames.cells @ (np.eye(3) + s)),
            )
            for s in (strain, -strain)
        )
        assert virial[i, j] == pytest.approx(-(up - down)[0] / (2 * step), abs=1e-5)
    assert virial == pytest.approx(virial.T, abs=1e-10)  # no torque


def test_gradient_by_parameters(model, frames):
    step = 1e-5
    gradient = gradients(model, frames)[0]
    for index, unit in enumerate(np.eye(model.theta.size)):
        up, down = (energies(model, frames, model.theta + s * step * unit) for s in (1.0, -1.0))
        assert gradient[index] == pytest.approx((up - down)[0] / (2 * step), abs=1e-6, rel=1e-6)


def test_the_jacobian_of_forces_predicts_their_change(model, frames):
    direction = np.random.default_rng(3).normal(size=model.theta.size) * 1e-5
    change = forces(model, frames, model.theta + direction) - forces(model, frames, model.theta - direction)
    predicted = 2.0 * force_jacobian(model, frames) @ direction
    assert np.mean(predicted**2) == pytest.approx(np.mean(change**2), rel=1e-4)


@pytest.mark.parametrize("deform", [lambda atoms: atoms, squeezed], ids=["normal", "squeezed"])
def test_what_is_exported_runs_in_lammps_and_agrees(model, lammps, tmp_path, deform):
    atoms = deform(disordered(model))
    reference = lammps(model.export_lammps(tmp_path), atoms, model.elements, tmp_path)
    frames = frames_of(model, disordered(model), atoms).take([1])
    virial = virials(model, frames)[0]
    assert energies(model, frames)[0] / len(atoms) == pytest.approx(reference["energy"] / len(atoms), abs=1e-9)
    assert forces(model, frames)[0] == pytest.approx(reference["forces"], abs=1e-6)
    voigt = virial[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
    assert voigt == pytest.approx(reference["virial"], abs=1e-6, rel=1e-9)


def test_invariance_to_translation_rotation_and_order(model, frames):
    atoms = disordered(model)
    energy, force = energies(model, frames)[0], forces(model, frames)[0]
    moved = atoms.copy()
    moved.positions += [17.3, -5.1, 2.2]
    assert energies(model, frames_of(model, moved))[0] == pytest.approx(energy, abs=1e-9)
    turned = atoms.copy()
    turned.rotate(37.0, (1, 2, 3), rotate_cell=True)
    assert energies(model, frames_of(model, turned))[0] == pytest.approx(energy, abs=1e-9)
    order = np.random.default_rng(0).permutation(len(atoms))
    shuffled = frames_of(model, atoms[order])
    assert energies(model, shuffled)[0] == pytest.approx(energy, abs=1e-9)
    assert forces(model, shuffled)[0] == pytest.approx(force[order], abs=1e-9)


def test_neighbours_beyond_the_cutoff_do_not_count(model, frames):
    longer = frames_from_atoms([disordered(model)], model.elements, 1.3 * model.cutoff)
    assert (longer.neighbors < longer.n_atoms).sum() > (frames.neighbors < frames.n_atoms).sum()
    assert energies(model, longer)[0] == pytest.approx(energies(model, frames)[0], abs=1e-11)


def test_replica_has_twice_the_energy(model, frames):
    doubled = frames_of(model, disordered(model) * (2, 1, 1))
    assert energies(model, doubled)[0] == pytest.approx(2.0 * energies(model, frames)[0], rel=1e-12)


def test_same_bits_whatever_the_order_of_the_frames(model):
    atoms = disordered(model)
    batch = frames_of(model, atoms, squeezed(atoms), atoms[::-1][::-1])
    forward = energies(model, batch)
    assert np.array_equal(energies(model, batch.take([2, 0, 1])), forward[[2, 0, 1]])
    assert np.array_equal(energies(model, batch), forward)


def test_input_is_not_changed(model, frames):
    before = [np.copy(array) for array in (*frames, model.theta, *model.arrays().values())]
    for function in (energies, forces, virials, gradients):
        function(model, frames)
    after = [*frames, model.theta, *model.arrays().values()]
    assert all(np.array_equal(old, new) for old, new in zip(before, after, strict=True))
    with pytest.raises(ValueError, match="read-only"):
        model.theta[0] = 1.0


def test_file_holds_the_model_bit_for_bit(model, tmp_path):
    model.save(tmp_path / "a.safetensors")
    loaded = load_model(tmp_path / "a.safetensors")
    assert type(loaded) is type(model)
    assert (loaded.hash, loaded.parent, loaded.config) == (model.hash, model.parent, model.config)
    for name, array in model.arrays().items():
        assert loaded.arrays()[name].tobytes() == array.tobytes()
    loaded.save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_hash_names_the_content_and_not_the_parent(model):
    orphan = replace(model, parent=None)
    assert orphan.hash == model.hash
    child = model.with_theta(model.theta + 1e-15)
    assert child.parent == model.hash
    assert child.hash != model.hash


def test_parameters_that_do_not_fit_are_refused(model):
    assert len(model.parameter_names) == len(set(model.parameter_names)) == model.theta.size
    with pytest.raises(DataError, match="shape"):
        model.with_theta(model.theta[:-1])
    with pytest.raises(DataError, match="finite"):
        model.with_theta(model.theta * np.nan)


def test_too_short_neighbour_lists_are_refused(model):
    short = frames_from_atoms([disordered(model)], model.elements, model.cutoff - 0.1)
    with pytest.raises(DataError, match="too short"):
        energies(model, short)


def test_energy_change_between_versions(model, frames):
    child = model.with_theta(0.5 * model.theta)
    change = (energies(child, frames) - energies(model, frames)) / frames.n_atoms
    assert energy_change(model, child, frames) == pytest.approx(change, abs=1e-14)


def test_another_process_gives_the_same_hash_and_the_same_bits(tmp_path):
    model = FAMILIES["eam-binary"]()
    model = model.with_theta(np.linspace(-0.02, 0.02, model.theta.size))
    model.save(tmp_path / "model.safetensors")
    frames = frames_of(model, disordered(model))
    np.savez(tmp_path / "frames.npz", *frames)
    script = (
        "import sys, numpy as np\n"
        "from phasecal.potentials.base import Frames, energies, load_model\n"
        "model = load_model(sys.argv[1])\n"
        "with np.load(sys.argv[2]) as file:\n"
        "    *arrays, cutoff = file.values()\n"
        "print(model.hash, energies(model, Frames(*arrays, float(cutoff)))[0].hex())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "model.safetensors", tmp_path / "frames.npz"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [model.hash, float(energies(model, frames)[0]).hex()]


@pytest.mark.parametrize("damage", ["not a model", "flipped bit", "missing"])
def test_damaged_files_are_refused(damage, tmp_path):
    path = tmp_path / "model.safetensors"
    if damage == "not a model":
        path.write_text("F(rho)")
    if damage == "flipped bit":
        FAMILIES["eam-mishin"]().save(path)
        content = bytearray(path.read_bytes())
        content[-1000] ^= 1
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"model\.safetensors"):
        load_model(path)
