"""Fitting: what can be learned is learned down to its noise, and what cannot is not."""

from __future__ import annotations

import hashlib
import json
import lzma
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from click.testing import CliRunner

from phasecal.cli import main
from phasecal.errors import ConvergenceError, InputError
from phasecal.fitting.batches import collate, graphs, packed, shortest_distances, sizes
from phasecal.fitting.data import Labelled, divide, read_labelled, reference_energies, write_labelled
from phasecal.fitting.loss import predict
from phasecal.fitting.schema import Fit, load_fit
from phasecal.fitting.train import fit
from phasecal.potentials.base import energies, forces, frames_from_atoms, load_model, virials
from phasecal.potentials.moment_network import MomentNetworkModel

LABELLED = Path(__file__).parents[2] / "fixtures" / "labelled"
NOISE = 0.05
"""Of the labels of the teacher, eV/Å."""
CONFIG = """\
schema: 1
title: a student
data: [frames.extxyz]
output: out/student.safetensors
model: {family: moment-network, elements: [Cu], cutoff: 4.2 A, inner: 2.2 A, radial: 3, basis: 5, hidden: [8, 8]}
split: {validation: 0.15, test: 0.2}
training: {epochs: 12, batch: 6, learning_rate: 0.01}
"""


def config(**changes):
    data = {
        "schema": 1,
        "title": "a student",
        "data": ["frames.extxyz"],
        "output": "student.safetensors",
        "model": {"family": "moment-network", "elements": ["Cu"], "cutoff": "4.2 A", "radial": 3, "basis": 5}
        | {"hidden": [8, 8]},
        "split": {"validation": 0.15, "test": 0.2},
        "accuracy": {"energy": "5 meV", "force": "50 meV/A", "stress": "0.5 GPa"},
        "training": {"epochs": 60, "batch": 6, "learning_rate": 0.02},
    }
    return Fit.model_validate(data | changes)


def hot_cells(n_frames, seed):
    """Strained and shaken cells of 4 and 8 atoms."""
    rng = np.random.default_rng(seed)
    cells = []
    for index in range(n_frames):
        atoms = bulk("Cu", "fcc", a=3.65, cubic=True) * ((1, 1, 1) if index % 2 else (2, 1, 1))
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0, 0.02, (3, 3))), scale_atoms=True)
        atoms.positions += rng.normal(0, 0.12, (len(atoms), 3))
        cells.append(atoms)
    return cells


def labelled(atoms):
    calculator = EMT()
    energy, force = calculator.get_potential_energy(atoms), calculator.get_forces(atoms)
    return Labelled(atoms, energy, force, _full(calculator.get_stress(atoms)))


def _full(voigt):
    xx, yy, zz, yz, xz, xy = voigt
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


@pytest.fixture(scope="module")
def emt():
    return [labelled(atoms) for atoms in hot_cells(60, 1)]


@pytest.fixture(scope="module")
def teacher_frames():
    """Labels of a model of the same family, with noise on the forces."""
    model = MomentNetworkModel.initial(["Cu"], 4.2, [[1.9]], n_radial=2, n_basis=4, hidden=(4,), seed=8)
    model = replace(model, mean=np.full((1, 14), 2.0), scale=np.full((1, 14), 8.0), references=np.array([-3.0]))
    model = replace(model, theta=2.2 * model.theta)  # forces well above the noise
    rng, frames = np.random.default_rng(6), []
    for atoms in hot_cells(120, 2):
        batch = frames_from_atoms([atoms], ["Cu"], 4.2)
        stress = -virials(model, batch)[0] / atoms.cell.volume
        force = forces(model, batch)[0] + rng.normal(0, NOISE, (len(atoms), 3))
        frames.append(Labelled(atoms, float(energies(model, batch)[0]), force, stress))
    return frames


def test_a_batch_predicts_what_the_model_predicts(emt):
    model = MomentNetworkModel.initial(["Cu"], 4.2, [[2.0]], n_radial=3, n_basis=5, hidden=(8, 8), seed=2)
    chosen = graphs(emt[:3], ["Cu"], 4.2)
    batch = collate(chosen, np.zeros(1), sizes(chosen, 4), 4.2)
    weights = {"theta": model.theta, "radial": model.radial}
    energy, force, stress = jax.jit(predict)(replace(model.atom_energies, dtype="float64"), weights, batch)
    start = 0
    for index, frame in enumerate(emt[:3]):
        single = frames_from_atoms([frame.atoms], ["Cu"], 4.2)
        n = len(frame.atoms)
        assert energy[index] == pytest.approx(energies(model, single)[0], abs=1e-4)
        assert force[start : start + n] == pytest.approx(forces(model, single)[0], abs=1e-4)
        assert stress[index] == pytest.approx(-virials(model, single)[0] / frame.atoms.cell.volume, abs=1e-5)
        start += n


def test_batches_hold_every_frame_once_and_never_more_atoms_than_fit(emt):
    chosen = graphs(emt, ["Cu"], 4.2)  # cells of 4 and of 8 atoms
    shape = sizes(chosen, 6)
    batches = list(packed(chosen, shape))
    assert shape.n_atoms == 36  # six frames of mean size, where six of the largest would need 48
    assert [graph for batch in batches for graph in batch] == chosen
    assert max(sum(len(graph.species) for graph in batch) for batch in batches) <= shape.n_atoms
    assert max(len(batch) for batch in batches) <= shape.n_frames
    assert list(packed(chosen[:1], sizes(chosen[:1], 6))) == [chosen[:1]]


def test_a_student_learns_its_own_family_down_to_the_noise_and_no_further(teacher_frames):
    # as large as its teacher: 104 parameters learn little of the noise of 1400 force components
    architecture = {"family": "moment-network", "elements": ["Cu"], "cutoff": "4.2 A", "radial": 2, "basis": 4}
    training = {"epochs": 150, "batch": 6, "learning_rate": 0.02, "patience": 150}
    fitted = fit(config(model=architecture | {"hidden": [6]}, training=training), teacher_frames)
    test, before = fitted.rmse["test"], fitted.ignorance
    assert before.force_mev_a > 3e3 * NOISE  # there is something to learn
    assert 0.85e3 * NOISE < test.force_mev_a < 1.25e3 * NOISE
    losses = [epoch.validation_loss for epoch in fitted.curve]
    assert min(losses) == fitted.curve[fitted.best - 1].validation_loss < 0.1 * losses[0]


def test_shuffled_labels_are_not_learned(emt):
    rng = np.random.default_rng(3)
    strange = []
    for frame in emt:
        direction = rng.normal(size=frame.forces.shape)
        size = np.linalg.norm(frame.forces, axis=1, keepdims=True)
        turned = size * direction / np.linalg.norm(direction, axis=1, keepdims=True)
        strange.append(replace(frame, forces=turned))
    order = np.random.default_rng(4).permutation(len(emt))
    strange = [
        replace(frame, energy=emt[i].energy * len(frame.atoms) / len(emt[i].atoms), stress=emt[i].stress)
        for frame, i in zip(strange, order, strict=True)
    ]
    honest, shuffled = fit(config(), emt), fit(config(), strange)
    assert honest.rmse["test"].force_mev_a < 0.3 * honest.ignorance.force_mev_a
    assert shuffled.rmse["test"].force_mev_a > 0.9 * shuffled.ignorance.force_mev_a


def test_the_command_fits_writes_and_says_so(tmp_path, emt):
    near = bulk("Cu", "fcc", a=2.7, cubic=True)  # 1.91 Å between neighbours
    write_labelled(tmp_path / "frames.extxyz", [*emt[:30], Labelled(near, 0.0, np.zeros((4, 3)), None)])
    (tmp_path / "fit.yaml").write_text(CONFIG)
    result = CliRunner().invoke(main, ["fit", str(tmp_path / "fit.yaml"), "--json"])
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record["n_frames"] == {"train": 20, "validation": 4, "test": 6, "left_out": 1}
    assert record["rmse"]["test"]["stress_gpa"] > 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(record["files"])
    model = load_model(tmp_path / "out" / "student.safetensors")
    assert (model.hash, model.dtype) == (record["model_hash"], "float32")
    assert model.inner == 2.2  # some atoms of the data are nearer: these are left to the repulsion
    rows = (tmp_path / "out" / "student.learning.csv").read_text().splitlines()
    assert len(rows) == record["epochs"] + 1
    # the model file has the errors that are on record: its own energies of the test frames
    _, _, test = divide(read_labelled([tmp_path / "frames.extxyz"], ["Cu"])[:30], 0.15, 0.2, 1)
    errors = [(energies(model, frames_from_atoms([f.atoms], ["Cu"], 4.2))[0] - f.energy) / len(f.atoms) for f in test]
    rms = 1e3 * np.sqrt(np.mean(np.square(errors)))
    assert rms == pytest.approx(record["rmse"]["test"]["energy_mev_atom"], rel=1e-3)


def test_everything_wrong_in_the_file_is_said_at_once(tmp_path):
    path = tmp_path / "fit.yaml"
    path.write_text(CONFIG.replace("4.2 A", "4.2").replace("[Cu]", "[Xx]").replace("epochs: 12", "epoch: 12"))
    with pytest.raises(InputError) as error:
        load_fit(path)
    message = str(error.value)
    assert ":5: model.cutoff: no unit" in message
    assert "model.elements: 'Xx' is not a chemical symbol" in message
    assert "training.epoch: unknown key; expected epochs" in message
    result = CliRunner().invoke(main, ["fit", str(path)])
    assert (result.exit_code, result.output.strip()) == (2, message)
    path.write_text(CONFIG.replace("inner: 2.2 A", "inner: 4.2 A"))
    with pytest.raises(InputError, match=r"model: inner 4\.2 A is not below the cutoff, 4\.2 A; expected"):
        load_fit(path)


def test_data_that_cannot_be_used_are_refused(tmp_path, emt):
    with pytest.raises(InputError, match="cannot be read"):
        read_labelled([tmp_path / "missing.extxyz"], ["Cu"])
    write_labelled(tmp_path / "a.extxyz", emt[:2])
    with pytest.raises(InputError, match=r"a\.extxyz\[0\]: holds Cu"):
        read_labelled([tmp_path / "a.extxyz"], ["Ti"])
    emt[0].atoms.write(tmp_path / "bare.extxyz")
    with pytest.raises(InputError, match="label it first"):
        read_labelled([tmp_path / "bare.extxyz"], ["Cu"])
    with pytest.raises(InputError, match="cannot be split"):
        divide(emt[:2], 0.1, 0.1, 1)
    with pytest.raises(InputError, match="on top of each other"):
        fit(config(model={"family": "moment-network", "elements": ["Cu"], "cutoff": "1.0 A"}), emt[:6])


def test_labels_survive_the_file(tmp_path, emt):
    write_labelled(tmp_path / "a.extxyz", [*emt[:2], replace(emt[2], stress=None)])
    for read, frame in zip(read_labelled([tmp_path / "a.extxyz"], ["Cu"]), emt, strict=False):
        assert read.energy == pytest.approx(frame.energy, abs=1e-7)
        assert read.forces == pytest.approx(frame.forces, abs=1e-7)
        assert read.stress is None if frame is emt[2] else read.stress == pytest.approx(frame.stress, abs=1e-7)


def test_a_loss_that_is_not_finite_ends_the_fit(emt):
    broken = [replace(frame, energy=1e300) for frame in emt[:10]]
    with pytest.raises(ConvergenceError, match="not finite"):
        fit(config(), broken)


def test_reference_energies_and_shortest_distances():
    mixed = [bulk("CuAu", "cesiumchloride", a=3.1, cubic=True), bulk("Cu", "fcc", a=3.6, cubic=True)]
    frames = [
        Labelled(atoms, energy, np.zeros((len(atoms), 3)), None)
        for atoms, energy in zip(mixed, (-7.5, -14.0), strict=True)
    ]
    assert reference_energies(frames, ["Cu", "Au"]) == pytest.approx([-3.5, -4.0])
    inner = shortest_distances(graphs(frames, ["Cu", "Au"], 4.0), 2)
    assert inner == pytest.approx(np.array([[3.6 / 2**0.5, 3.1 * 0.75**0.5], [3.1 * 0.75**0.5, 3.1]]))


def test_the_labels_of_mattersim_are_those_on_record(tmp_path):
    packed_file = LABELLED / "titanium-mattersim.extxyz.xz"
    recorded = {name: digest for digest, name in map(str.split, (LABELLED / "SHA256SUMS").read_text().splitlines())}
    content = lzma.decompress(packed_file.read_bytes())
    assert hashlib.sha256(packed_file.read_bytes()).hexdigest() == recorded[packed_file.name]
    assert hashlib.sha256(content).hexdigest() == recorded[packed_file.stem]
    (tmp_path / packed_file.stem).write_bytes(content)
    frames = read_labelled([tmp_path / packed_file.stem], ["Ti"])
    n_atoms = sum(len(frame.atoms) for frame in frames)
    assert f"{len(frames)} frames of titanium ({n_atoms} atoms)" in (LABELLED / "README.md").read_text()
    assert all(frame.stress is not None for frame in frames)
    model, cold = load_model(LABELLED.parent / "models" / "titanium" / "mattersim.safetensors"), frames[:16]
    batch = frames_from_atoms([frame.atoms for frame in cold], ["Ti"], model.cutoff)
    per_atom = (energies(model, batch) - [frame.energy for frame in cold]) / len(cold[0].atoms)
    assert np.sqrt(np.mean(per_atom**2)) < 0.010  # the labels themselves spread by 0.07
    stress = virials(model, batch) / -np.array([frame.atoms.get_volume() for frame in cold])[:, None, None]
    assert np.abs(stress - [frame.stress for frame in cold]).max() < 0.4 * np.abs(stress).max()
