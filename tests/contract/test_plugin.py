"""JAX models in LAMMPS: the plugin computes what the model computes, on any number of ranks, and says why when not."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.io.lammpsdata import write_lammps_data
from plugin_runs import BIN, STATIC, run, static

from phasecal.artifact import read_artifact
from phasecal.campaign.sources import potentials_folder
from phasecal.engines.lammps import read_output, run_lammps, write_inputs
from phasecal.engines.lammps.commands import ARTIFACT_FILE, PLUGIN_FILE, check_commands
from phasecal.engines.lammps.plugin import install_plugin, model_prologue
from phasecal.engines.lammps.plugin.__main__ import main
from phasecal.engines.lammps.plugin.build import find_toolchain
from phasecal.errors import EngineError, InputError
from phasecal.potentials.artifact import plugin_commands
from phasecal.potentials.eam import EamModel
from phasecal.potentials.lj import LjModel

pytestmark = pytest.mark.usefixtures("plugin_toolchain")

NVE = """
units metal
atom_style atomic
boundary p p p
read_data start.data
{commands}
velocity all create 1500.0 7 mom yes
timestep 0.001
neigh_modify every 1 delay 0 check yes
fix md all nve
thermo_style custom step pe ke etotal press
thermo 20
thermo_modify norm no format float %.15g
run 400
"""


class JaxLj(LjModel):
    """Lennard-Jones as if LAMMPS had no such style."""

    def export_lammps(self, folder):
        return plugin_commands(self, folder, "float64")


def lennard_jones(kind=LjModel):
    return kind.from_parameters(element="Ar", mass=39.95, epsilon=0.1, sigma=2.4, cutoff_sigmas=2.5)


def alloy():
    model = EamModel.from_file(potentials_folder() / "AlCu.eam.alloy", {"pair": 4}, elements=["Cu", "Al"])
    return model.with_theta(np.linspace(-0.02, 0.02, model.theta.size))


def disordered(model):
    """A hot crystal in a skew cell, with the elements mixed; two ranks split it."""
    atoms = bulk("X", "fcc", a=4.0, cubic=True) * (4, 2, 2)
    rng = np.random.default_rng(11)
    atoms.symbols = rng.choice(model.elements, len(atoms))
    atoms.set_cell([[16.0, 0.0, 0.0], [0.5, 8.2, 0.0], [-0.4, 0.7, 8.1]], scale_atoms=True)
    atoms.positions += rng.normal(0.0, 0.15, (len(atoms), 3))
    return atoms


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the plugin and a start configuration of an alloy."""
    path = tmp_path_factory.mktemp("plugin")
    install_plugin(path)
    write_lammps_data(path / "start.data", disordered(alloy()), specorder=["Cu", "Al"], masses=True)
    return path


@pytest.fixture(scope="module")
def small_artifact(folder):
    """Content of an artifact of the alloy in single precision."""
    plugin_commands(alloy(), folder)
    return (folder / ARTIFACT_FILE).read_bytes()


@pytest.fixture(scope="module")
def native(folder):
    return static(folder, "native", alloy().export_lammps(folder))


@pytest.mark.parametrize(
    ("dtype", "ranks", "error"), [("float64", 1, 1e-9), ("float64", 2, 1e-9), ("float32", 1, 1e-4)]
)
def test_the_plugin_agrees_with_the_native_style(folder, native, dtype, ranks, error):
    cell, atoms = static(folder, f"{dtype}-{ranks}", plugin_commands(alloy(), folder, dtype), ranks)
    assert cell[0] == pytest.approx(native[0][0], abs=error)
    assert cell[1:] == pytest.approx(native[0][1:], abs=error * np.abs(native[0][1:]).max())
    assert atoms[:, :4] == pytest.approx(native[1][:, :4], abs=error)  # forces, and energies of atoms
    assert atoms[:, 4:] == pytest.approx(native[1][:, 4:], abs=error * np.abs(native[1][:, 4:]).max())


def test_single_precision_conserves_energy_as_the_native_style_does(folder):
    """What is left is the error of the time step, which both have."""
    swing = {}
    for name, commands in (("nve", plugin_commands(alloy(), folder)), ("native", alloy().export_lammps(folder))):
        done = run(folder, NVE, name, commands)
        assert done.returncode == 0, done.stdout[-2000:]
        rows = re.findall(r"^ +\d+ +(\S+) +(\S+) +(\S+) +\S+ *$", (folder / f"{name}.log").read_text(), re.MULTILINE)
        potential, _, total = np.array(rows, dtype=float)[2:].T
        swing[name] = np.ptp(total)
        assert swing[name] < 0.01 * np.ptp(potential)
        assert abs(np.polyfit(np.linspace(0.0, 1.0, len(total)), total, 1)[0]) < 0.5 * swing[name]  # no drift
    assert swing["nve"] < 1.5 * swing["native"]


@pytest.fixture(scope="module")
def messages(tmp_path_factory, tiny_networks):
    """A folder with a model that passes messages, and its commands."""
    path = tmp_path_factory.mktemp("messages")
    model = tiny_networks.model("nequix", path / "tiny.nqx")
    install_plugin(path)
    write_lammps_data(path / "start.data", disordered(model), specorder=list(model.elements), masses=True)
    return path, plugin_commands(model, path, "float64")


def test_messages_find_their_atoms_when_lists_and_order_change(messages):
    path, commands = messages
    script = NVE.replace("atom_style atomic", "atom_style atomic\natom_modify sort 10 4.0").replace(
        "run 400", "run 100"
    )
    done = run(path, script.replace("every 1 delay 0 check yes", "every 10 delay 0 check no"), "nve", commands)
    assert done.returncode == 0, done.stdout[-2000:]
    rows = re.findall(r"^ +\d+ +(\S+) +(\S+) +(\S+) +\S+ *$", (path / "nve.log").read_text(), re.MULTILINE)
    potential, _, total = np.array(rows, dtype=float).T
    assert np.ptp(potential) > 0.1
    assert np.ptp(total) < 0.01 * np.ptp(potential)


def test_messages_are_not_shared_among_ranks(messages):
    path, commands = messages
    done = run(path, STATIC, "ranks", commands, ranks=2)
    assert done.returncode != 0
    assert re.search(r"ERROR.*passes messages between atoms, which cannot be shared among 2 processes", done.stdout)


def bulk_task():
    return {
        "schema": 1,
        "kind": "bulk",
        "phase": "fcc",
        "structure": {"prototype": "fcc", "elements": ["Ar"], "a": 3.8},
        "melt": False,
        "n_atoms": 108,
        "temperature_k": 500.0,
        "pressure_gpa": 0.0,
        "timestep_fs": 3.0,
        "melt_temperature_k": None,
        "melt_steps": 0,
        "equilibration_steps": 100,
        "production_steps": 300,
        "sample_every": 100,
        "thermo_every": 10,
        "restart_every": 100,
        "barostat": "iso",
        "seed": 7,
    }


def sampled(folder, model):
    folder.mkdir()
    write_inputs(folder, bulk_task(), model)
    run_lammps(folder, "bulk")
    return read_output(folder, bulk_task(), model.hash, model.elements)


def test_a_family_without_a_style_samples_like_one_that_has(tmp_path):
    plain = sampled(tmp_path / "native", lennard_jones())
    through = sampled(tmp_path / "plugin", lennard_jones(JaxLj))
    assert (tmp_path / "plugin" / "potential.in").read_text().startswith("plugin load ./phasecal-plugin.so\npair_style")
    assert through.finished
    # the same trajectory while rounding has not yet grown, which takes more steps than this run has
    for name in ("pe", "volume"):
        assert through.thermo[name] == pytest.approx(plain.thermo[name], rel=1e-6)

    # a continued run: the artifact and the plugin are loaded again, and the series goes on
    write_inputs(tmp_path / "plugin", bulk_task() | {"production_steps": 400}, lennard_jones(JaxLj), restart=True)
    run_lammps(tmp_path / "plugin", "bulk")
    longer = read_output(tmp_path / "plugin", bulk_task() | {"production_steps": 400}, "", ("Ar",))
    assert longer.finished
    assert longer.steps_done == 400


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("bytes", "changed since it was written"),
        ("order", r"has the elements Cu Al, in this order; got Al Cu"),
        ("arguments", "takes no arguments"),
        ("units", "needs units metal"),
        ("newton", "needs newton on"),
    ],
)
def test_lammps_stops_with_the_reason(folder, small_artifact, damage, message):
    commands = ["plugin load ./phasecal-plugin.so", "pair_style phasecal", "pair_coeff * * damaged.artifact Cu Al"]
    content, script = bytearray(small_artifact), STATIC
    if damage == "bytes":
        content[len(content) // 2] ^= 1
    if damage == "order":
        commands[2] = commands[2].replace("Cu Al", "Al Cu")
    if damage == "arguments":
        commands[1] += " 5.0"
    if damage == "units":
        script = script.replace("units metal", "units real")
    if damage == "newton":
        script = "newton off\n" + script
    (folder / "damaged.artifact").write_bytes(content)
    done = run(folder, script, "damaged", commands)
    assert done.returncode != 0
    assert re.search(f"ERROR.*{message}", done.stdout + done.stderr), done.stdout[-1500:] + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


# --- building, and what users may write


def test_the_plugin_is_built_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first, second = tmp_path / "a", tmp_path / "b"
    for path in (first, second):
        path.mkdir()
        install_plugin(path)
    built = list((tmp_path / "cache" / "phasecal").iterdir())
    assert [path.name for path in built] == [f"plugin-{find_toolchain().key}.so"]
    built[0].write_bytes(b"from the cache")
    install_plugin(first)
    assert (first / PLUGIN_FILE).read_bytes() == b"from the cache"


def test_a_machine_without_a_compiler_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(EngineError, match=r"CXX=no-such-compiler is not there; install one"):
        install_plugin(tmp_path)
    assert main(str(tmp_path)) == 1
    assert (tmp_path / "log.lammps").read_text().startswith("ERROR: a JAX model runs in LAMMPS through a plugin")


def test_a_job_has_the_plugin_built_where_it_runs(tmp_path):
    prologue = model_prologue(str(BIN / "lmp"), ranks=2, script="input.in", output="lammps.out")
    command = ["bash", "-c", f"{prologue}\ntouch lammps-was-started"]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {PLUGIN_FILE, "lammps-was-started"}
    failed = tmp_path / "failed"
    failed.mkdir()
    missing = os.environ | {"CXX": "no-such-compiler", "XDG_CACHE_HOME": str(tmp_path)}
    assert subprocess.run(command, cwd=failed, env=missing, capture_output=True, check=False).returncode == 1
    assert {path.name for path in failed.iterdir()} == {"log.lammps"}
    error = read_output(failed, bulk_task(), "", ("Ar",)).error
    assert "no-such-compiler is not there" in error
    assert "fix external runs on one process, not on 2" in error


def test_a_compiler_that_fails_is_quoted(tmp_path, monkeypatch):
    compiler = tmp_path / "c++"
    compiler.write_text("#!/bin/sh\necho 'pair.h:1: error: no good' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CXX", str(compiler))
    with pytest.raises(EngineError, match=r"failed: pair\.h:1: error: no good"):
        install_plugin(tmp_path)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(EngineError, match="XDG_CACHE_HOME may name another folder"):
        install_plugin(tmp_path)


def test_another_lammps_than_that_of_the_plugin_is_refused(tmp_path):
    (tmp_path / ARTIFACT_FILE).write_text("")
    with pytest.raises(EngineError, match="runs in the LAMMPS beside"):
        run_lammps(tmp_path, "bulk", executable=Path("/usr/bin/lmp"))


@pytest.mark.parametrize(
    "commands",
    [
        ["plugin load ./phasecal-plugin.so", "pair_style phasecal", "pair_coeff * * model.artifact Cu"],
        ["pair_style phasecal", "pair_coeff * * model.artifact Cu"],
        ["pair_style hybrid/overlay phasecal zero 5.0", "pair_coeff * * phasecal model.artifact Cu"],
    ],
)
def test_no_text_of_a_user_reaches_the_plugin(commands):
    with pytest.raises(InputError, match=r"the command 'plugin' is refused|runs code"):
        check_commands(commands, {"model.artifact"}, ["Cu"])


def test_what_phasecal_writes_for_the_plugin_is_checked_too(tmp_path):
    good = plugin_commands(lennard_jones(), tmp_path)
    check_commands(good[1:], {ARTIFACT_FILE}, ["Ar"], plugin=True)
    assert read_artifact(tmp_path / ARTIFACT_FILE).record["elements"] == ["Ar"]
    for bad in (good, [*good[1:], "plugin load ./other.so"], [good[1], "pair_coeff * * elsewhere.artifact Ar"]):
        with pytest.raises(InputError):
            check_commands(bad, {ARTIFACT_FILE}, ["Ar"], plugin=True)


def test_a_style_that_is_not_ours_is_no_part_of_the_plugin():
    with pytest.raises(InputError, match="runs code"):
        check_commands(["pair_style python/phasecal 5.0", "pair_coeff * *"], set(), ["Cu"], plugin=True)
