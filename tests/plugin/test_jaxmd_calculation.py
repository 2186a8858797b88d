"""The jax-md job: what it writes, what it refuses, who chooses it, and one real run with its parser."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.engine.utils import instantiate_process
from aiida.manage.manager import get_manager
from aiida_phasecal.calculations.jaxmd import FILES_OF_INTERRUPTED, JaxMdCalculation
from aiida_phasecal.data.model import ModelData
from aiida_phasecal.workchains.common import md_inputs, samples_with_jaxmd
from aiida_phasecal.workchains.md import JaxMdWorkChain

from phasecal.engines import jaxmd
from phasecal.potentials.lj import LjModel

CODES = JaxMdCalculation.exit_codes


@pytest.fixture
def python(aiida_code_installed):
    return aiida_code_installed(
        default_calc_job_plugin="phasecal.jaxmd", filepath_executable=sys.executable, label="jaxmd"
    )


@pytest.fixture
def argon(aiida_profile):
    model = LjModel.from_parameters(element="Ar", mass=39.95, epsilon=0.1, sigma=2.4, cutoff_sigmas=2.5)
    return ModelData.from_model(model, label="argon").store()


@pytest.fixture
def inputs(python, argon, bulk_task) -> dict:
    structure = {"prototype": "fcc", "elements": ["Ar"], "a": 3.81}
    steps = {"n_atoms": 32, "equilibration_steps": 20, "production_steps": 40}
    return {
        "code": python,
        "model": argon,
        "task": orm.Dict(bulk_task | {"structure": structure} | steps),
        "metadata": {"options": {"resources": {"num_machines": 1}}},
    }


def test_task_and_model_are_written(prepare_job, inputs):
    calcinfo, folder = prepare_job(JaxMdCalculation, inputs)
    with folder:
        assert json.loads(Path(folder.abspath, jaxmd.TASK_FILE).read_text()) == inputs["task"].get_dict()
        assert Path(folder.abspath, jaxmd.MODEL_FILE).exists()
    assert calcinfo.codes_info[0].cmdline_params == ["-m", "phasecal.engines.jaxmd"]
    assert calcinfo.retrieve_temporary_list == [jaxmd.PART_GLOB]


def test_a_continued_run_brings_log_parts_and_checkpoints(prepare_job, inputs, aiida_localhost, tmp_path):
    interrupted = orm.RemoteData(remote_path=str(tmp_path), computer=aiida_localhost).store()
    calcinfo, folder = prepare_job(JaxMdCalculation, {**inputs, "interrupted_folder": interrupted})
    with folder:
        copied = {source.rsplit("/", 1)[1] for _, source, _ in calcinfo.remote_copy_list}
    assert copied == set(FILES_OF_INTERRUPTED)


def test_the_code_chooses_the_engine(codes, inputs):
    assert samples_with_jaxmd(inputs["code"])
    assert not samples_with_jaxmd(codes["lmp"])
    runner = get_manager().get_runner()
    chain = instantiate_process(runner, JaxMdWorkChain, **{k: v for k, v in inputs.items() if k != "metadata"})
    chain.setup()
    assert "script" not in md_inputs(chain, inputs["task"].get_dict())
    assert chain.ctx.inputs.task.uuid == inputs["task"].uuid


def test_a_real_run_gives_series_and_frames(inputs):
    outputs, node = run_get_node(JaxMdCalculation, **inputs)
    assert node.is_finished_ok, node.exit_message
    assert outputs["results"]["steps_done"] == 40
    assert outputs["results"]["n_atoms"] == 32
    facts = outputs["sample"].facts
    assert (facts["phase"], facts["n_frames"], facts["model_hash"]) == ("fcc", 3, inputs["model"].model_hash)
    assert outputs["thermo"].get_array("step").tolist() == [0, 10, 20, 30, 40]


@pytest.mark.parametrize(
    ("log", "status"),
    [
        ("phasecal stage: start\nphasecal stage: equilibrate\n", CODES.ERROR_INTERRUPTED_EARLY.status),
        # a checkpoint of any stage is enough to continue from
        (
            "phasecal stage: start\nphasecal stage: equilibrate\nstep 10 of 20: 300.0 K, 12.0 A^3/atom, wall 1.00 s\n",
            CODES.ERROR_INTERRUPTED.status,
        ),
        ("phasecal stage: start\nERROR: Non-numeric energy\n", CODES.ERROR_BLOWN_UP.status),
        ("phasecal stage: start\nERROR: out of luck\n", CODES.ERROR_ENGINE.status),
        (None, CODES.ERROR_LOG_MISSING.status),
    ],
)
def test_what_went_wrong_has_its_exit_code(parse_job, inputs, log, status):
    files = {} if log is None else {jaxmd.LOG_FILE: log}
    _, node = parse_job("phasecal.jaxmd", files, {}, {"model": inputs["model"], "task": inputs["task"]})
    assert node.exit_status == status
