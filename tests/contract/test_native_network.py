"""Moment-networks in the plugin's own C++: what JAX computes, on any number of ranks, and refused when it is not."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk
from ase.io.lammpsdata import write_lammps_data
from plugin_runs import STATIC, run, static
from titanium_models import TITANIUM, recorded_energies

from phasecal.artifact import read_artifact
from phasecal.embedded import Session
from phasecal.engines.lammps.commands import ARTIFACT_FILE
from phasecal.engines.lammps.plugin import install_plugin
from phasecal.errors import DataError
from phasecal.native import MOMENT_NETWORK
from phasecal.potentials.artifact import export_artifact, plugin_commands
from phasecal.potentials.base import load_model
from phasecal.potentials.moment_network import MomentNetworkModel

pytestmark = pytest.mark.usefixtures("plugin_toolchain")


def network(dtype):
    """Two elements, layers that fill no block of registers, distances below the shortest, standardised invariants."""
    model = MomentNetworkModel.initial(
        ["Ti", "O"], 5.0, [[2.6, 2.3], [2.3, 2.0]], n_radial=5, n_basis=7, hidden=(20, 11), dtype=dtype, seed=3
    )
    rng = np.random.default_rng(5)
    shape = model.mean.shape
    return replace(
        model,
        theta=model.theta + rng.normal(0.0, 0.1, model.theta.shape),
        mean=rng.normal(0.0, 1.0, shape),
        scale=rng.uniform(0.5, 20.0, shape),
        references=np.array([-7.5, -4.25]),
    )


def crystal():
    atoms = bulk("Ti", "fcc", a=4.1, cubic=True) * (4, 2, 2)
    rng = np.random.default_rng(11)
    atoms.symbols = rng.choice(["Ti", "O"], len(atoms), p=[0.7, 0.3])
    atoms.set_cell([[16.4, 0.0, 0.0], [0.5, 8.3, 0.0], [-0.4, 0.7, 8.2]], scale_atoms=True)
    atoms.positions += rng.normal(0.0, 0.3, (len(atoms), 3))
    return atoms


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("native")
    install_plugin(path)
    write_lammps_data(path / "start.data", crystal(), specorder=["Ti", "O"], masses=True)
    return path


def without_native(folder, commands):
    """The same artifact without the arrays, which JAX runs."""
    path = folder / ARTIFACT_FILE
    artifact = read_artifact(path)
    record = {key: value for key, value in artifact.record.items() if key != "native"}
    replace(artifact, record=record, native={}).save(folder / "jax.artifact")
    return [line.replace(ARTIFACT_FILE, "jax.artifact") for line in commands]


@pytest.mark.parametrize(("dtype", "error"), [("float64", 1e-11), ("float32", 1e-5)])
def test_the_plugin_computes_what_jax_computes(folder, dtype, error):
    commands = plugin_commands(network(dtype), folder, dtype)
    _, native = static(folder, f"native-{dtype}", commands)
    _, jax = static(folder, f"jax-{dtype}", without_native(folder, commands))
    _, shared = static(folder, f"shared-{dtype}", commands, ranks=2)
    scale = np.abs(jax).max(axis=0)
    assert crystal().get_all_distances(mic=True)[np.triu_indices(64, 1)].min() < 2.0  # the guard acts
    assert np.all(np.abs(native - jax) <= error * scale)
    assert np.all(np.abs(shared - native) <= 0.1 * error * scale)


def test_jax_is_not_imported_for_it(folder):
    export_artifact(network("float32")).save(folder / "fast.artifact")
    script = (
        "import sys\n"
        "from phasecal.embedded import start\n"
        "session = start(sys.argv[1], ['Ti', 'O'], 1)\n"
        "session.grow(100, 40)\n"
        "print(len(session.native), 'jax' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, folder / "fast.artifact"], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["11", "False"], done.stderr


def test_a_formula_that_the_plugin_does_not_know_runs_through_jax(folder):
    artifact = export_artifact(network("float64"), "float64")
    assert artifact.record["native"] == MOMENT_NETWORK
    replace(artifact, record={**artifact.record, "native": "moment-network 99"}).save(folder / "newer.artifact")
    assert Session(folder / "newer.artifact", ["Ti", "O"]).native is None


def test_a_plugin_that_computes_something_else_stops(folder):
    commands = plugin_commands(network("float64"), folder, "float64")
    artifact = read_artifact(folder / ARTIFACT_FILE)
    other = {**artifact.native, "theta": artifact.native["theta"] * (1 + 1e-6)}
    replace(artifact, native=other).save(folder / ARTIFACT_FILE)
    done = run(folder, STATIC, "other", commands)
    assert done.returncode != 0
    assert re.search(r"ERROR.*differ from its reference by", done.stdout + done.stderr)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("theta", lambda array: array[:-1]),
        ("mean", lambda array: array.astype(np.float32)),
        ("hidden", lambda array: array * 0),
        ("radial", lambda array: array[0]),
        ("inner", lambda array: array[:1]),
    ],
)
def test_arrays_of_another_shape_are_refused(tmp_path, name, change):
    artifact = export_artifact(network("float32"))
    replace(artifact, native={**artifact.native, name: change(artifact.native[name])}).save(tmp_path / "bad")
    with pytest.raises(DataError, match="not a readable artifact of phasecal"):
        read_artifact(tmp_path / "bad")


@pytest.mark.parametrize("name", ["student", "calibrated"])
def test_models_of_titanium_give_their_recorded_energies_in_lammps(name, lammps, tmp_path):
    recorded = recorded_energies(name)
    cells = {"hcp": bulk("Ti", "hcp", a=2.947, c=4.703), "bcc": bulk("Ti", "bcc", a=3.272, cubic=True)}
    shutil.copytree(TITANIUM / "lammps" / name, tmp_path, dirs_exist_ok=True)
    header, *commands = (tmp_path / "potential.in").read_text().splitlines()
    assert header.endswith(load_model(TITANIUM / f"{name}.safetensors").hash)
    read_artifact(tmp_path / ARTIFACT_FILE).check_module()
    for crystal_name, cell in cells.items():
        found = lammps(commands, cell, ("Ti",), tmp_path)
        assert found["energy"] / len(cell) == pytest.approx(recorded[crystal_name], abs=2e-6)
