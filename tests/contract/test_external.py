"""JAX models in LAMMPS by `fix external`: the plugin's numbers without a compiler, and why not where that cannot be."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from phasecal.campaign.sources import potentials_folder
from phasecal.engines.lammps import model_prologue, read_output, run_lammps, script_path, write_inputs
from phasecal.engines.lammps.commands import ARTIFACT_FILE
from phasecal.errors import EngineError
from phasecal.potentials.artifact import plugin_commands
from phasecal.potentials.base import Model
from phasecal.potentials.eam import EamModel

BIN = Path(sys.executable).parent
TASK = {
    "schema": 1,
    "kind": "bulk",
    "phase": "B2",
    "structure": {"prototype": "B2", "elements": ["Al", "Cu"], "a": 2.95},
    "melt": False,
    "n_atoms": 54,
    "temperature_k": 2500.0,
    "pressure_gpa": 1.0,
    "timestep_fs": 2.0,
    "melt_temperature_k": None,
    "melt_steps": 0,
    "equilibration_steps": 30,
    "production_steps": 60,
    "sample_every": 20,
    "thermo_every": 10,
    "restart_every": 30,
    "barostat": "aniso",
    "seed": 3,
}
TWO_PHASES = {"n_lateral": 3, "n_normal": 6, "start_temperature_k": 2500.0, "melt_temperature_k": 3000.0}
STAGES = {"relax_steps": 20, "melt_steps": 20, "cool_steps": 10, "settle_steps": 10, "production_steps": 20}
COLUMNS = ("pe", "volume", "temp", "pxx", "pyy", "pzz")


class JaxAlloy(EamModel):
    """An alloy as if LAMMPS had no such style."""

    def export_lammps(self, folder):
        return plugin_commands(self, folder, "float64")


def coexistence_task() -> dict:
    bulk_only = ("phase", "melt", "n_atoms", "melt_steps", "equilibration_steps", "barostat")
    common = {key: value for key, value in TASK.items() if key not in bulk_only}
    return common | {"kind": "coexistence", "phases": ["B2", "liquid"]} | TWO_PHASES | STAGES


def alloy(scale: float = 1.0) -> JaxAlloy:
    model = JaxAlloy.from_file(potentials_folder() / "AlCu.eam.alloy", {"pair": 4}, elements=["Cu", "Al"])
    return model.with_theta(scale * np.linspace(-0.02, 0.02, model.theta.size))


def sampled(folder: Path, model: Model, task: dict = TASK):
    folder.mkdir()
    write_inputs(folder, task, model)
    run_lammps(folder, "bulk")
    return read_output(folder, task, model.hash, model.elements)


@pytest.fixture
def no_compiler(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")


def test_runs_are_those_of_the_plugin_and_go_on_after_an_interruption(tmp_path, plugin_toolchain, monkeypatch):
    through = sampled(tmp_path / "plugin", alloy())
    monkeypatch.setenv("CXX", "no-such-compiler")
    without = sampled(tmp_path / "external", alloy())
    assert not (tmp_path / "external" / "phasecal-plugin.so").exists()
    assert without.finished
    builds = re.findall(r"Neighbor list builds = (\d+)", (tmp_path / "external" / "log.lammps").read_text())
    assert int(builds[-1]) > 1  # the list was renewed on the way
    for name in set(COLUMNS) & set(through.thermo):
        scale = np.abs(through.thermo[name]).max()
        assert without.thermo[name] == pytest.approx(through.thermo[name], abs=1e-9 * scale), name
    assert {"pe", "volume"} <= set(through.thermo)
    assert without.sample.positions == pytest.approx(through.sample.positions, abs=1e-6)
    other = sampled(tmp_path / "other", alloy(-1.0))  # the same check tells models apart
    assert np.abs(other.thermo["pe"] - through.thermo["pe"]).max() > 1e-3 * np.abs(through.thermo["pe"]).max()

    longer = TASK | {"production_steps": 90}
    write_inputs(tmp_path / "external", longer, alloy(), restart=True)
    run_lammps(tmp_path / "external", "bulk")
    output = read_output(tmp_path / "external", longer, "", ("Cu", "Al"))
    assert (output.finished, output.steps_done) == (True, 90)


def test_messages_find_their_atoms_without_a_compiler_too(tmp_path, plugin_toolchain, monkeypatch, tiny_networks):
    model = tiny_networks.model("nequix", tmp_path / "tiny.nqx")
    crystal = {"prototype": "B2", "elements": ["Ti", "Al"], "a": 3.0}
    short = TASK | {"structure": crystal, "temperature_k": 300.0, "equilibration_steps": 5, "production_steps": 10}
    short |= {"n_atoms": 54, "sample_every": 5, "thermo_every": 5}
    through = sampled(tmp_path / "plugin", model, short)
    monkeypatch.setenv("CXX", "no-such-compiler")
    without = sampled(tmp_path / "external", model, short)
    assert np.ptp(through.thermo["pe"]) > 1e-3
    assert without.thermo["pe"] == pytest.approx(through.thermo["pe"], abs=1e-7)
    assert without.sample.positions == pytest.approx(through.sample.positions, abs=1e-6)


def test_a_job_without_a_compiler_does_it_before_lammps_would_start(tmp_path, no_compiler):
    short = coexistence_task()
    write_inputs(tmp_path, short, alloy())
    (tmp_path / "input.in").write_text(script_path("coexistence").read_text())
    prologue = model_prologue(str(BIN / "lmp"), ranks=1, script="input.in", output="lammps.out")
    command = ["bash", "-c", f"{prologue}\ntouch lammps-was-started"]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "no-such-compiler is not there" in done.stderr
    assert not (tmp_path / "lammps-was-started").exists()
    assert read_output(tmp_path, short, "", ("Cu", "Al")).finished

    content = bytearray((tmp_path / ARTIFACT_FILE).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / ARTIFACT_FILE).write_bytes(content)
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "changed since it was written" in read_output(tmp_path, short, "", ("Cu", "Al")).error


@pytest.mark.parametrize(
    ("ranks", "style", "message"),
    [
        (2, "phasecal", r"no-such-compiler is not there.*Without it, fix external runs on one process, not on 2"),
        (1, "hybrid/scaled v_a phasecal", r"Without it, fix external .* cannot scale a model, as free energies need"),
    ],
)
def test_where_neither_works_both_reasons_are_given(tmp_path, no_compiler, ranks, style, message):
    alloy().export_lammps(tmp_path)
    (tmp_path / "potential.in").write_text(f"plugin load ./phasecal-plugin.so\npair_style {style}\n")
    with pytest.raises(EngineError, match=message):
        run_lammps(tmp_path, "bulk", mpi=ranks)
