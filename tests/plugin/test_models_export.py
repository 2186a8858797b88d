"""`phasecal models export --format artifact`: a folder in which LAMMPS runs the model, or a sentence why not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from aiida_phasecal.cli import cmd_phasecal
from aiida_phasecal.data.model import ModelData
from ase.build import bulk
from click.testing import CliRunner

from phasecal.engines.lammps import lammps_executable
from phasecal.engines.lammps.inputs import data_file
from phasecal.potentials.base import energies, frames_from_atoms
from phasecal.potentials.frozen import FrozenModel
from phasecal.potentials.moment_network import MomentNetworkModel

SCRIPT = """
units metal
atom_style atomic
boundary p p p
read_data start.data
include potential.in
run 0
print "energy $(pe:%.15g)" file energy.txt
"""


def export(node: ModelData, folder: Path):
    arguments = ["models", "export", str(node.pk), "-o", str(folder), "--format", "artifact", "--json"]
    return CliRunner().invoke(cmd_phasecal, arguments)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lammps_runs_what_was_exported(aiida_profile, plugin_toolchain, tmp_path, dtype):
    model = MomentNetworkModel.initial(["Ti"], 5.0, [[2.4]], n_radial=3, n_basis=4, hidden=(6,), dtype=dtype, seed=2)
    folder = tmp_path / "model"
    result = export(ModelData.from_model(model).store(), folder)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["files"] == ["model.artifact", "model.safetensors", "potential.in"]
    subprocess.run([sys.executable, "-m", "phasecal.engines.lammps.plugin", str(folder)], check=True)
    atoms = bulk("Ti", "fcc", a=4.1, cubic=True) * 2
    atoms.rattle(0.1, seed=4)
    atoms.wrap()
    (folder / "start.data").write_text(data_file(atoms, model.elements, model.masses))
    (folder / "in.test").write_text(SCRIPT)
    command = [str(lammps_executable()), "-in", "in.test", "-log", "none"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    found = float((folder / "energy.txt").read_text().split()[1])
    (expected,) = energies(model, frames_from_atoms([atoms], ["Ti"], model.cutoff))
    assert found == pytest.approx(expected, rel=1e-5 if dtype == "float32" else 1e-11)


def test_a_model_that_is_not_in_jax_has_no_artifact(aiida_profile, tmp_path):
    model = FrozenModel.from_commands(["Ar"], ["pair_style lj/cut 8.0", "pair_coeff * * 0.01 3.4"], {}, None)
    result = export(ModelData.from_model(model).store(), tmp_path / "model")
    assert result.exit_code != 0
    assert "family lammps is not a sum of atom energies" in result.output
    assert "Traceback" not in result.output
