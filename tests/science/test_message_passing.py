"""Networks of other packages: what their own packages compute, from their own files, with any weights trained."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import zipfile
from dataclasses import replace

import equinox as eqx
import jax
import numpy as np
import pytest
from ase.build import bulk

from phasecal.artifact import read_artifact
from phasecal.embedded import Session
from phasecal.errors import DataError, InputError
from phasecal.potentials.artifact import export_artifact
from phasecal.potentials.base import energies, forces, frames_from_atoms, gradients, load_model, virials
from phasecal.potentials.message_passing import chosen_weights, package_module
from phasecal.potentials.nequix import nequix_module
from phasecal.sample import Sample
from phasecal.task import run_task


@pytest.fixture(scope="module", params=["nequix", "mace"])
def case(request, tmp_path_factory, tiny_networks):
    """A family, its weight file and its model."""
    path = tmp_path_factory.mktemp(request.param) / "weights"
    return request.param, path, tiny_networks.model(request.param, path)


@pytest.fixture(scope="module")
def nequix(tmp_path_factory, tiny_networks):
    """A weight file of the family that compiles faster, and its model."""
    path = tmp_path_factory.mktemp("nequix") / "tiny.nqx"
    return path, tiny_networks.model("nequix", path)


@pytest.fixture(scope="module")
def atoms():
    """A hot crystal with fewer atoms than an edge reaches over: atoms meet their own images."""
    atoms = bulk("TiAl", "cesiumchloride", a=3.0, cubic=True) * (2, 1, 1)
    atoms.rattle(0.15, seed=2)
    return atoms


# --- the packages' own numbers


def by_nequix(path, atoms):
    """Energy, forces and virial by the package nequix, with its own lists, in single precision as it runs."""
    data, model, jraph = (importlib.import_module(name) for name in ("nequix.data", "nequix.model", "jraph"))
    with jax.enable_x64(False):
        network, config = model.load_model(path)
        indices = {number: index for index, number in enumerate(config["atomic_numbers"])}
        graph = data.dict_to_graphstuple(data.preprocess_graph(atoms, indices, config["cutoff"], targets=False))
        graph = jraph.pad_with_graphs(graph, len(atoms) + 1, int(graph.n_edge.sum()) + 1, 2)
        energy, force, stress = eqx.filter_jit(network)(graph)
    return float(energy[0]), np.asarray(force)[: len(atoms)], -np.asarray(stress[0]) * atoms.cell.volume


def by_mlip(field, atoms):
    """The same by the package mlip."""
    system = importlib.import_module("mlip.data").ChemicalSystem.from_ase_atoms(atoms)
    with jax.enable_x64(False):
        graph = importlib.import_module("mlip.graph").Graph.from_chemical_system(system, 4.0)
        found = jax.jit(field.predict)(graph)
    return float(found.energy[0]), np.asarray(found.forces), -np.asarray(found.stress[0]) * atoms.cell.volume


def test_numbers_are_those_of_the_package(case, atoms, tiny_networks):
    family, path, model = case
    energy, force, virial = (
        by_nequix(path, atoms) if family == "nequix" else by_mlip(tiny_networks.force_field(), atoms)
    )
    frames = frames_from_atoms([atoms], model.elements, model.cutoff)
    scale = float(np.abs(force).max())
    assert scale > 0.05
    assert energies(model, frames)[0] == pytest.approx(energy, abs=1e-5)
    assert forces(model, frames)[0] == pytest.approx(force, abs=1e-4 * scale)
    assert virials(model, frames)[0] == pytest.approx(virial, abs=1e-4 * float(np.abs(virial).max()))
    # and a model with its elements exchanged is another one
    swapped = frames._replace(species=1 - frames.species)
    assert np.abs(forces(model, swapped)[0] - force).max() > 1e-2 * scale


# --- weights


def test_any_weights_can_be_trained_and_the_energy_is_the_same(nequix, atoms):
    path, some = nequix
    frames = frames_from_atoms([atoms], some.elements, some.cutoff)
    everything = type(some).from_file(path, some.elements, ["atom_energies", "layers", "readout"])
    nothing = type(some).from_file(path, some.elements, [])
    assert (everything.frozen, nothing.theta.size) == ({}, 0)
    assert everything.theta.size == some.theta.size + sum(array.size for array in some.frozen.values())
    expected = energies(some, frames)
    assert energies(everything, frames) == pytest.approx(expected, abs=1e-12)
    assert energies(nothing, frames) == pytest.approx(expected, abs=1e-12)
    part = dict(zip(everything.parameter_names, gradients(everything, frames)[0], strict=True))
    assert gradients(some, frames)[0] == pytest.approx([part[name] for name in some.parameter_names], abs=1e-12)


def test_free_atoms_shift_energies_by_their_number(nequix, atoms):
    path, some = nequix
    model = type(some).from_file(path, some.elements, ["atom_energies"])
    frames = frames_from_atoms([atoms], some.elements, some.cutoff)
    assert gradients(model, frames)[0] == pytest.approx([2.0, 2.0], abs=1e-12)


def test_names_are_chosen_up_to_a_dot():
    names = ["layers.1.skip", "layers.10.skip", "readout"]
    assert chosen_weights(names, ["layers.1", "readout"]) == ["layers.1.skip", "readout"]
    assert chosen_weights(names, []) == []
    for wrong in ("layer", "readout.", ""):
        with pytest.raises(InputError, match=r"no weight is, or begins with, .*layers.1, layers.10, readout"):
            chosen_weights(names, [wrong])


def test_weights_keep_the_precision_of_the_file(case, tmp_path):
    _, _, model = case
    assert {array.dtype for array in model.frozen.values()} == {np.dtype("float32")}
    model.save(tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors")
    assert loaded.energy_function.atoms.network == model.energy_function.atoms.network  # versions share compilations
    assert loaded.hash == model.hash


# --- files


def test_damaged_nequix_files_are_refused(nequix, tmp_path):
    path, model = nequix
    content = path.read_bytes()
    header, _, weights = content.partition(b"\n")
    settings = json.loads(header)
    wider = json.dumps(settings | {"radial_mlp_size": 5}).encode()
    damaged = {
        "short": content[:-10],
        "long": content + b"0",
        "wider": wider + b"\n" + weights,
        "text": b"a potential",
        "pickle": header + b"\n\x80\x04N.",
        "setting": header.replace(b'"lmax"', b'"l_max"') + b"\n" + weights,
    }
    for name, changed in damaged.items():
        (tmp_path / name).write_bytes(changed)
        with pytest.raises(InputError, match=f"{name}: not a weight file of family nequix"):
            type(model).from_file(tmp_path / name, ["Ti"], [])
    with pytest.raises(InputError, match="not a weight file"):
        type(model).from_file(tmp_path / "missing", ["Ti"], [])
    with pytest.raises(InputError, match="knows no Cu; expected some of Al, Ti"):
        type(model).from_file(path, ["Ti", "Cu"], [])


@pytest.mark.parametrize(
    "change",
    [
        {"n_layers": 10**9},
        {"n_layers": "2"},
        {"lmax": 40},
        {"hidden_irreps": "9999999999x0e"},
        {"hidden_irreps": " + ".join(["1x0e"] * 21)},
        {"radial_mlp_layers": 10**6},
        {"cutoff": 1e6},
        {"atomic_numbers": [-1, 22]},
        {"atomic_numbers": [22, 22]},
    ],
)
def test_networks_that_are_too_large_are_refused_before_they_are_built(nequix, tmp_path, monkeypatch, change):
    path, model = nequix
    monkeypatch.setitem(sys.modules, "nequix.model", None)
    header, _, weights = path.read_bytes().partition(b"\n")
    (tmp_path / "large.nqx").write_bytes(json.dumps(json.loads(header) | change).encode() + b"\n" + weights)
    with pytest.raises(InputError, match=r"large\.nqx: not a weight file of family nequix \((?!.*not installed)"):
        type(model).from_file(tmp_path / "large.nqx", ["Ti"], [])
    monkeypatch.setattr(type(model), "config", {**model.config, "network": model.network.settings | change})
    replace(model).save(tmp_path / "large.safetensors")  # a copy, since a model remembers its hash
    with pytest.raises(DataError, match=r"large\.safetensors: not a readable phasecal model"):
        load_model(tmp_path / "large.safetensors")


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("config", {"l_max": 6, "correlation": 3}, "tables that are too large"),
        ("config", {"num_layers": 10**9}, "num_layers is 1000000000"),
        ("config", {"radial_mlp_hidden": [10**9]}, "radial_mlp_hidden is 1000000000"),
        ("config", {"readout_irreps": ["9999999999x0e", "0e"]}, "9999999999x0e"),
        ("dataset_info", {"graph_cutoff_angstrom": 1e6}, "cutoff"),
        ("config", {"predict_partial_charges": True}, "a network with charges"),
        ("config", {"num_readout_heads": 2}, "several heads"),
        ("dataset_info", {"atomic_energies_map": [{"13": -1.0}]}, "several heads"),
        ("config", {"num_channels": 4}, "has shape"),
        ("config", {"num_layers": 3}, "has other weights"),
    ],
)
def test_mace_files_that_are_not_understood_are_refused(tmp_path, tiny_networks, section, change, message):
    path = tmp_path / "good.zip"
    model = tiny_networks.model("mace", path)
    with zipfile.ZipFile(path) as good, zipfile.ZipFile(tmp_path / "bad.zip", "w") as bad:
        header = json.loads(good.read("hyperparams.json"))
        header[section] |= change
        bad.writestr("hyperparams.json", json.dumps(header))
        bad.writestr("params.npz", good.read("params.npz"))
    with pytest.raises(InputError, match=rf"bad\.zip: not a weight file of family mace .*{message}"):
        type(model).from_file(tmp_path / "bad.zip", ["Ti"], [])


def test_a_model_with_a_weight_that_is_no_number_is_refused(nequix, tmp_path):
    path, model = nequix
    content = bytearray(path.read_bytes())
    content[-4:] = np.float32(np.nan).tobytes()
    (tmp_path / "nan.nqx").write_bytes(content)
    with pytest.raises(DataError, match="not finite"):
        type(model).from_file(tmp_path / "nan.nqx", ["Ti"], [])


# --- packages


def test_a_package_that_is_missing_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "nequix.model", None)
    with pytest.raises(
        InputError, match=r"the package nequix is not installed .*; expected what `pip install x` brings"
    ):
        package_module("nequix", "nequix.model", "pip install x")


def test_reading_a_network_changes_no_setting_of_the_process(nequix, monkeypatch):
    assert jax.config.jax_default_matmul_precision is None
    monkeypatch.delitem(sys.modules, "nequix")
    monkeypatch.delitem(sys.modules, "nequix.model")
    nequix_module()
    assert jax.config.jax_default_matmul_precision is None
    monkeypatch.delitem(sys.modules, "nequix")
    importlib.import_module("nequix")  # this is what would
    assert jax.config.jax_default_matmul_precision == "highest"
    jax.config.update("jax_default_matmul_precision", None)


# --- artifacts


@pytest.fixture(scope="module")
def artifact(case):
    return export_artifact(case[2], "float64")


def test_an_artifact_runs_where_the_package_is_not_installed(case, artifact, tmp_path):
    _, _, model = case
    assert artifact.record["passes_messages"] is True
    artifact.save(tmp_path / "model.artifact")
    assert read_artifact(tmp_path / "model.artifact").sha256 == artifact.sha256
    script = (
        "import sys\n"
        "for name in ('phasecal.potentials', 'nequix', 'mlip', 'e3nn_jax', 'flax', 'equinox'):\n"
        "    sys.modules[name] = None\n"
        "from phasecal.embedded import start\n"
        "session = start(sys.argv[1], sys.argv[2:], 1)\n"
        "session.grow(20, 30)\n"
        "session.evaluate()\n"  # compares with the reference
        "print(session.n_compiled)\n"
    )
    command = [sys.executable, "-c", script, tmp_path / "model.artifact", *model.elements]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


def test_an_artifact_computes_the_model_and_messages_matter(nequix, atoms):
    """By edges in rows, as the plugin gives them; with all neighbours said to be one atom it is another energy."""
    _, model = nequix
    frames = frames_from_atoms([atoms], model.elements, model.cutoff)
    exported = export_artifact(model, "float64").function()
    positions, cell, neighbors, shifts = frames.positions[0], frames.cells[0], frames.neighbors[0], frames.shifts[0]
    exists = neighbors < frames.n_atoms
    rows = np.where(exists, neighbors, 0).astype(np.int32)
    vectors = np.where(exists[..., None], positions[rows] + shifts @ cell - positions[:, None], 2 * model.cutoff)
    each, slopes = (np.array(output) for output in exported.call(vectors, frames.species, rows))
    assert each.sum() == pytest.approx(energies(model, frames)[0], abs=1e-12)
    force = slopes.sum(axis=1)
    np.subtract.at(force, rows.ravel(), slopes.reshape(-1, 3))
    assert force == pytest.approx(forces(model, frames)[0], abs=1e-12)
    virial = -np.einsum("ijx,ijy->xy", vectors, slopes)
    assert virial == pytest.approx(virials(model, frames)[0], abs=1e-11)
    other, _ = exported.call(vectors, frames.species, np.zeros_like(rows))
    assert abs(float(other.sum()) - each.sum()) > 1e-4


def test_single_precision_is_single_throughout(case, artifact):
    single = export_artifact(case[2], "float32")
    assert {array.dtype for array in single.reference.values()} == {np.dtype("float32"), np.dtype("int32")}
    assert "f64" not in single.function().mlir_module()
    for name in ("energies", "slopes"):
        scale = np.abs(artifact.reference[name]).max()
        assert 0.0 < np.abs(single.reference[name] - artifact.reference[name]).max() < 1e-5 * scale


def test_several_processes_are_refused(nequix, tmp_path):
    _, model = nequix
    export_artifact(model).save(tmp_path / "model.artifact")
    with pytest.raises(InputError, match=r"family nequix passes messages .* among 2 processes; run LAMMPS on one"):
        Session(tmp_path / "model.artifact", list(model.elements), n_processes=2)


# --- a calibration


def test_a_step_of_a_calibration(nequix, tmp_path):
    """Made-up frames of two crystals, their energies those of the model: one step moves the trained weights alone."""
    _, model = nequix
    model.save(tmp_path / "model_0.safetensors")
    rng = np.random.default_rng(1)
    for phase, kind, a in (("bcc", "cesiumchloride", 3.2), ("fcc", "rocksalt", 5.2)):
        frames = []
        for _ in range(40):
            crystal = bulk("TiAl", kind, a=a * rng.normal(1.0, 0.01), cubic=True)
            crystal.positions = (crystal.positions + rng.normal(0, 0.1, crystal.positions.shape)).astype(np.float32)
            frames.append(crystal)
        batch = frames_from_atoms(frames, model.elements, model.cutoff)
        Sample(
            positions=np.array([frame.positions for frame in frames], dtype=np.float32),
            cells=batch.cells,
            energies=energies(model, batch),
            steps=np.arange(40) * 100,
            species=batch.species,
            elements=model.elements,
            phase=phase,
            temperature_k=1000.0,
            pressure_gpa=0.0,
            timestep_fs=2.0,
            model_hash=model.hash,
        ).save(tmp_path / f"{phase}.npz")
    boundary = {"phases": ["bcc", "fcc"], "pressure_gpa": 0.0}
    task = {
        "schema": 1,
        "task": "calibration-step",
        "models": ["model_0.safetensors"],
        "samples": [{"file": f"{phase}.npz", "model": 0} for phase in ("bcc", "fcc")],
        "anchors": [{**boundary, "temperature_k": 990.0, "sigma_k": 3.0, "model": 0}],
        "targets": [{**boundary, "temperature_k": 1000.0, "sigma_k": 1.0}],
        "tolerance_k": 2.0,
    }
    (tmp_path / "task.json").write_text(json.dumps(task))
    run_task(tmp_path / "task.json")
    result = json.loads((tmp_path / "result.json").read_text())
    after = load_model(tmp_path / result["model_file"])
    assert after.parent == model.hash
    assert all(0.0 < phase["sd_beta_du"] < 2.01 for phase in result["phases"])  # within the trust region
    change = dict(zip(model.parameter_names, np.abs(after.theta - model.theta), strict=True))
    assert max(change.values()) > 1e-3
    assert max(change[f"atom_energies[{index}]"] for index in (0, 1)) < 1e-9  # which cancel between phases
    assert after.trained == model.trained
    assert all(np.array_equal(after.frozen[name], array) for name, array in model.frozen.items())
