"""The LAMMPS job: what it writes, what it refuses, and one real run."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida_phasecal.calculations.lammps import LammpsMdCalculation

from phasecal.engines import lammps
from phasecal.potentials.artifact import plugin_commands


@pytest.fixture
def inputs(codes, model_node, bulk_task) -> dict:
    return {
        "code": codes["lmp"],
        "model": model_node,
        "task": orm.Dict(bulk_task),
        "script": orm.SinglefileData(lammps.script_path("bulk")),
        "metadata": {"options": {"resources": {"num_machines": 1}}},
    }


def test_input_files_are_written(prepare_job, inputs):
    calcinfo, folder = prepare_job(LammpsMdCalculation, inputs)
    with folder:
        names = set(folder.get_content_list())
        assert {"input.in", "parameters.in", "potential.in", "start.data"} <= names
        assert "eam/alloy" in Path(folder.abspath, "potential.in").read_text()
    assert calcinfo.retrieve_temporary_list == [lammps.DUMP_FILE]
    assert calcinfo.codes_info[0].cmdline_params == ["-log", "none", "-in", "input.in"]


def test_a_continued_run_brings_log_dump_and_restart_files(prepare_job, inputs, aiida_localhost, tmp_path):
    interrupted = orm.RemoteData(remote_path=str(tmp_path), computer=aiida_localhost).store()
    calcinfo, folder = prepare_job(LammpsMdCalculation, {**inputs, "interrupted_folder": interrupted})
    with folder:
        assert "variable isrestart index 1" in Path(folder.abspath, "parameters.in").read_text()
    copied = {source.rsplit("/", 1)[1] for _, source, _ in calcinfo.remote_copy_list}
    assert copied == {lammps.LOG_FILE, lammps.DUMP_FILE, lammps.RESTART_GLOB, lammps.CONTINUE_FILE}


def test_a_model_without_a_native_style_brings_its_artifact_and_has_the_plugin_built(
    prepare_job, inputs, copper_model, monkeypatch
):
    monkeypatch.setattr(type(copper_model), "export_lammps", plugin_commands)
    calcinfo, folder = prepare_job(LammpsMdCalculation, inputs)
    with folder:
        assert lammps.ARTIFACT_FILE in folder.get_content_list()
        assert Path(folder.abspath, "potential.in").read_text().startswith("plugin load ./phasecal-plugin.so\n")
    lmp = str(inputs["code"].get_executable())
    expected = lammps.model_prologue(lmp, ranks=1, script="input.in", output="lammps.out")
    assert calcinfo.prepend_text == expected
    options = {"withmpi": True, "resources": {"num_machines": 2, "num_mpiprocs_per_machine": 3}}
    calcinfo, _ = prepare_job(LammpsMdCalculation, inputs | {"metadata": {"options": options}})
    assert "phasecal.engines.lammps.plugin . 6\n" in calcinfo.prepend_text


def test_a_model_with_a_native_style_needs_no_plugin(prepare_job, inputs):
    calcinfo, _ = prepare_job(LammpsMdCalculation, inputs)
    assert calcinfo.get("prepend_text") is None


def test_a_wrong_task_is_refused_with_its_key(inputs, bulk_task):
    wrong = orm.Dict({**bulk_task, "temperature_k": -1.0})
    with pytest.raises(ValueError, match="temperature_k"):
        run_get_node(LammpsMdCalculation, **{**inputs, "task": wrong})


def test_real_run(inputs):
    outputs, node = run_get_node(LammpsMdCalculation, **inputs)
    assert node.is_finished_ok, node.exit_message
    assert outputs["results"]["steps_done"] == 1000
    assert outputs["results"]["finished"] is True
    facts = outputs["sample"].facts
    assert (facts["phase"], facts["n_atoms"]) == ("fcc", 108)
    assert facts["model_hash"] == inputs["model"].model_hash
    assert outputs["thermo"].get_array("temp").mean() == pytest.approx(300, rel=0.1)
