"""What comes back from a computer is not trusted: no path, no byte and no text of it."""

from __future__ import annotations

import json

import pytest
from aiida import orm

from phasecal.engines import lammps


@pytest.mark.parametrize(
    "content",
    [
        "[1, 2]",
        '"text"',
        '{"schema": 1, "sigma_k": NaN}',
        '{"schema": 1, "sigma_k": 1e999}',
        '{"schema": 1, "model_file": "../next_model.safetensors"}',
        '{"schema": 1, "model_file": "/etc/passwd"}',
        '{"schema": 1, "model_file": ["next_model.safetensors"]}',
        '{"schema": 1, "model_file": ""}',
        '{"schema": 1, "model_file": "link.safetensors"}',
        '{"schema": 1, "model_file": "broken.safetensors"}',
        "[" * 200_000,
        b"\xff\xfe\x00",
    ],
)
def test_a_result_that_cannot_be_read_is_a_sentence(parse_job, model_node, tmp_path, content):
    (tmp_path / "link.safetensors").symlink_to("/etc/passwd")
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x00" * 8)
    _, node = parse_job(
        "phasecal.task", {"result.json": content}, {"broken.safetensors": broken}, {"models": {"m0": model_node}}
    )
    assert node.exit_status == 303
    assert node.exit_message.startswith("The result of the task cannot be read: ")


@pytest.mark.parametrize("error", [None, 3, "text", [], {"kind": ["input"], "message": "x"}, {"kind": "input"}])
def test_an_error_of_any_shape_is_an_exit_code(parse_job, model_node, error):
    result = json.dumps({"schema": 1, "error": error})
    _, node = parse_job("phasecal.task", {"result.json": result}, {}, {"models": {"m0": model_node}})
    assert node.exit_status in (210, 302)


def test_words_of_a_job_cannot_obey_a_terminal(parse_job, model_node):
    error = {"kind": "input", "message": "\x1b]0;title\x07 {message} \ud800" + "long " * 1000}
    result = json.dumps({"schema": 1, "error": error})
    _, node = parse_job("phasecal.task", {"result.json": result}, {}, {"models": {"m0": model_node}})
    assert node.exit_status == 210
    assert node.exit_message.replace("\n", "").isprintable()
    assert len(node.exit_message) < 2000
    _, node = parse_job("phasecal.task", {"phasecal.out": b"\xff\x1b[31m\n"}, {}, {"models": {"m0": model_node}})
    assert node.exit_status == 302
    assert node.exit_message.replace("\n", "").isprintable()


def test_a_log_of_any_bytes_is_read(parse_job, model_node, bulk_task):
    inputs = {"model": model_node, "task": orm.Dict(bulk_task)}
    _, node = parse_job("phasecal.lammps", {lammps.LOG_FILE: b"\xff\xfe\x00\x1b" * 1000}, {}, inputs)
    assert node.exit_status == 401, node.exit_message  # ended early: it says nothing of a stage
