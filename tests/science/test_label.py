"""Labels are what the teacher says of a frame at rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from click.testing import CliRunner

from phasecal.campaign.sources import potentials_folder
from phasecal.cli import main
from phasecal.errors import InputError
from phasecal.fitting.data import read_labelled
from phasecal.fitting.label import ase_teacher, lammps_teacher, read_unlabelled
from phasecal.potentials.base import energies, forces, frames_from_atoms, virials
from phasecal.potentials.eam import EamModel
from phasecal.sample import Sample

COMMANDS = ["pair_style eam/alloy", "pair_coeff * * Cu_mishin1.eam.alloy Cu"]
FILE = "lammps://Cu_mishin1.eam.alloy"


@pytest.fixture
def frames():
    """Two skew hot cells, one with an atom that is held."""
    rng, result = np.random.default_rng(1), []
    for _ in range(2):
        atoms = bulk("Cu", "fcc", a=3.6, cubic=True)
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0, 0.03, (3, 3))), scale_atoms=True)
        atoms.positions += rng.normal(0, 0.1, (4, 3))
        result.append(atoms)
    result[1].set_constraint(FixAtoms([0]))
    return result


def test_lammps_labels_are_energy_force_and_stress_of_the_potential(frames, tmp_path):
    labels = lammps_teacher(COMMANDS, [FILE], ["Cu"], tmp_path)(frames)
    model = EamModel.from_file(potentials_folder() / "Cu_mishin1.eam.alloy", {})
    batch = frames_from_atoms(frames, ["Cu"], model.cutoff)
    energy, force, virial = energies(model, batch), forces(model, batch), virials(model, batch)
    for i, label in enumerate(labels):
        assert label.energy == pytest.approx(energy[i], abs=1e-8)
        assert label.forces == pytest.approx(force[i], abs=1e-6)
        assert label.stress == pytest.approx(-virial[i] / frames[i].cell.volume, abs=1e-7)
        assert np.abs(label.forces).max() > 0.1  # there is something to compare


def test_ase_labels_hold_no_constraints_and_the_stress_is_the_slope_by_strain(frames):
    (_, label) = ase_teacher("ase.calculators.emt:EMT")(frames)
    atoms = frames[1].copy()
    atoms.set_constraint()
    atoms.calc = EMT()
    assert label.forces == pytest.approx(atoms.get_forces())
    assert label.forces[0].any()
    step, cell = 1e-4, atoms.cell.array.copy()
    energy = []
    for sign in (1, -1):
        strain = np.zeros((3, 3))
        strain[0, 1] = strain[1, 0] = sign * step / 2
        atoms.set_cell(cell @ (np.eye(3) + strain), scale_atoms=True)
        energy.append(atoms.get_potential_energy())
    slope = (energy[0] - energy[1]) / (2 * step)
    assert label.stress[0, 1] == pytest.approx(slope / frames[1].cell.volume, rel=1e-3)


def test_the_command_labels_files_and_samples_by_either_teacher(frames, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frames[0].write("a.extxyz")
    sample = Sample(
        positions=np.array([atoms.positions for atoms in frames], dtype=np.float32),
        cells=np.array([atoms.cell.array for atoms in frames]),
        energies=np.zeros(2),
        steps=np.arange(2),
        species=np.zeros(4, dtype=np.int32),
        elements=("Cu",),
        phase="fcc",
        temperature_k=300.0,
        pressure_gpa=0.0,
        timestep_fs=2.0,
        model_hash="none",
    )
    sample.save("b.npz")
    assert len(read_unlabelled(tmp_path / "b.npz", stride=2)) == 1
    commands = [word for command in COMMANDS for word in ("--lammps", command)]
    for teacher in ([*commands, "--file", FILE], ["--calculator", "ase.calculators.emt:EMT"]):
        result = CliRunner().invoke(main, ["label", "a.extxyz", "b.npz", "-o", "out.extxyz", *teacher])
        assert (result.exit_code, result.output) == (0, "out.extxyz: 3 frames, 12 atoms\n")
        first, same, _ = read_labelled([tmp_path / "out.extxyz"], ["Cu"])
        assert first.energy == pytest.approx(same.energy, abs=1e-4)  # a sample holds float32 positions
        assert first.stress is not None


WRONG = {
    "no teacher": ([], 2, "either --lammps"),
    "two teachers": (["--lammps", "pair_style zero 5", "--calculator", "a:b"], 2, "either --lammps"),
    "no such module": (["--calculator", "nowhere:EMT"], 2, "module:factory"),
    "no such factory": (["--calculator", "ase.calculators.emt:Nothing"], 2, "module:factory"),
    "missing file": (["--lammps", COMMANDS[0], "--file", "none.alloy"], 2, "none.alloy: no such file"),
    "a large file": (["--lammps", COMMANDS[0], "--file", "large.alloy"], 2, "large.alloy: 10000000000 bytes are too"),
    "no element": (["--lammps", "pair_style zero 5", "--elements", "Qq"], 2, "Qq: no chemical element"),
    "a shell": (["--lammps", "shell rm x"], 2, "pair_style"),
    "another element": (["--lammps", "pair_style zero 5", "--elements", "Ti"], 2, "hold Cu"),
}


@pytest.mark.parametrize("arguments, code, message", WRONG.values(), ids=WRONG)
def test_what_cannot_be_done_is_one_sentence(arguments, code, message, frames, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frames[0].write("a.extxyz")
    with Path("large.alloy").open("wb") as file:
        file.truncate(10**10)  # sparse: it takes no room
    result = CliRunner().invoke(main, ["label", "a.extxyz", "-o", "out.extxyz", *arguments])
    assert result.exit_code == code, result.output
    assert message in result.output
    assert not (tmp_path / "out.extxyz").exists()


def test_frames_that_are_missing_or_not_periodic_are_refused(tmp_path, frames):
    frames[0].pbc = [True, True, False]
    frames[0].write(tmp_path / "slab.extxyz")
    with pytest.raises(InputError, match=r"slab\.extxyz: a frame is not periodic"):
        read_unlabelled(tmp_path / "slab.extxyz")
    with pytest.raises(InputError, match=r"none\.extxyz"):
        read_unlabelled(tmp_path / "none.extxyz")
