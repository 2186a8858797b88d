"""The task job: what it writes, and how results and typed errors come back."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from aiida import orm
from aiida_phasecal.calculations.task import TaskCalculation
from aiida_phasecal.data.model import ModelData
from aiida_phasecal.data.sample import SampleData

from phasecal.errors import ERRORS_BY_KIND


@pytest.fixture
def sample_node(aiida_profile, copper_model, make_sample):
    return SampleData.from_sample(make_sample(copper_model.hash)).store()


def test_models_and_samples_are_written_beside_the_task(prepare_job, codes, model_node, sample_node):
    inputs = {
        "code": codes["phasecal"],
        "parameters": orm.Dict({"schema": 1, "task": "calibration-step"}),
        "models": {"m0": model_node},
        "samples": {"s0": sample_node},
        "metadata": {"options": {"resources": {"num_machines": 1}}},
    }
    calcinfo, folder = prepare_job(TaskCalculation, inputs)
    with folder:
        task = json.loads(Path(folder.abspath, "task.json").read_text())
    assert task["models"] == ["model_0.safetensors"]
    assert task["samples"] == [{"file": "sample_0.npz", "model": 0}]
    assert {name for _, _, name in calcinfo.local_copy_list} == {"model_0.safetensors", "sample_0.npz"}


def test_reference_frames_are_written_beside_the_task(prepare_job, codes, model_node, tmp_path):
    (tmp_path / "frames.extxyz").write_text("1\n\nCu 0 0 0\n")
    inputs = {
        "code": codes["phasecal"],
        "parameters": orm.Dict({"schema": 1, "task": "calibration-step"}),
        "models": {"m0": model_node},
        "reference": orm.SinglefileData(tmp_path / "frames.extxyz").store(),
        "metadata": {"options": {"resources": {"num_machines": 1}}},
    }
    calcinfo, folder = prepare_job(TaskCalculation, inputs)
    with folder:
        task = json.loads(Path(folder.abspath, "task.json").read_text())
    assert task["reference"] == "reference.extxyz"
    assert (inputs["reference"].uuid, "frames.extxyz", "reference.extxyz") in calcinfo.local_copy_list


def test_the_new_model_becomes_a_node(parse_job, model_node, copper_model, tmp_path):
    child = copper_model.with_theta(copper_model.theta + 0.01)
    child.save(tmp_path / "next.safetensors")
    result = {"schema": 1, "model_file": "next_model.safetensors", "converged": False}
    outputs, node = parse_job(
        "phasecal.task",
        {"result.json": json.dumps(result)},
        {"next_model.safetensors": tmp_path / "next.safetensors"},
        {"models": {"m0": model_node}},
    )
    assert node.is_finished_ok
    assert outputs["result"].get_dict() == result
    assert isinstance(outputs["model"], ModelData)
    assert outputs["model"].model_hash == child.hash
    assert outputs["model"].round_index == 1


@pytest.mark.parametrize("kind", ERRORS_BY_KIND)
def test_typed_errors_become_exit_codes(parse_job, model_node, kind):
    result = {"schema": 1, "error": {"kind": kind, "message": "the reason"}}
    _, node = parse_job("phasecal.task", {"result.json": json.dumps(result)}, {}, {"models": {"m0": model_node}})
    assert node.exit_status == ERRORS_BY_KIND[kind].status
    assert "the reason" in node.exit_message


@pytest.mark.parametrize(
    ("files", "status", "words"),
    [
        ({}, 302, "no output at all"),
        ({"phasecal.out": "Traceback\nKilled\n"}, 302, "Killed"),
        ({"phasecal.out": "Traceback\nOSError: [Errno 28] No space left on device\n"}, 304, "No space left"),
        ({"result.json": '{"schema": 1, "targ'}, 303, "delimiter|Unterminated"),
    ],
)
def test_missing_and_broken_results(parse_job, model_node, files, status, words):
    _, node = parse_job("phasecal.task", files, {}, {"models": {"m0": model_node}})
    assert node.exit_status == status
    assert re.search(words, node.exit_message)
