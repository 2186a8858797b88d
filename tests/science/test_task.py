"""The task runner: a result or a typed error, and never half a file."""

from __future__ import annotations

import json

import numpy as np
import pytest

import phasecal.task
from phasecal.errors import DataError, InputError, NumericError, OverlapError
from phasecal.task import run_task


def write(folder, content):
    path = folder / "task.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def result_of(folder):
    return json.loads((folder / "result.json").read_text())


def use(monkeypatch, function):
    """Make ``function`` the task ``test``."""
    monkeypatch.setitem(phasecal.task.TASKS, "test", "phasecal.task:stand_in")
    monkeypatch.setattr(phasecal.task, "stand_in", function, raising=False)


TEST = {"schema": 1, "task": "test"}


def test_a_task_runs_in_its_folder_and_leaves_a_result(tmp_path, monkeypatch):
    use(monkeypatch, lambda folder, task: {"folder": folder.name, "answer": task["question"] * 2})
    path = run_task(write(tmp_path, {**TEST, "question": 21}))
    assert path == tmp_path / "result.json"
    assert result_of(tmp_path) == {"schema": 1, "task": "test", "folder": tmp_path.name, "answer": 42}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["result.json", "task.json"]


def test_an_error_is_a_result_too(tmp_path, monkeypatch):
    def fail(folder, task):
        raise OverlapError("too far; sample between")

    use(monkeypatch, fail)
    with pytest.raises(OverlapError, match="too far"):
        run_task(write(tmp_path, TEST))
    assert result_of(tmp_path) == {
        "schema": 1,
        "error": {"kind": "overlap", "message": "too far; sample between"},
    }


def test_a_result_that_is_not_finite_is_an_error(tmp_path, monkeypatch):
    use(monkeypatch, lambda folder, task: {"value": float(np.nan)})
    with pytest.raises(NumericError, match="not finite"):
        run_task(write(tmp_path, TEST))
    assert result_of(tmp_path)["error"]["kind"] == "numeric"


def test_linear_algebra_that_fails_is_an_error_with_a_type(tmp_path, monkeypatch):
    use(monkeypatch, lambda folder, task: {"x": np.linalg.inv(np.zeros((2, 2))).tolist()})
    with pytest.raises(NumericError, match="matrix"):
        run_task(write(tmp_path, TEST))
    assert result_of(tmp_path)["error"]["kind"] == "numeric"


def test_an_old_result_does_not_survive_a_crash(tmp_path, monkeypatch):
    (tmp_path / "result.json").write_text('{"schema": 1, "old": true}')

    def crash(folder, task):
        raise RuntimeError("a bug")

    use(monkeypatch, crash)
    with pytest.raises(RuntimeError):
        run_task(write(tmp_path, TEST))
    assert not (tmp_path / "result.json").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a JSON file"),
        ("\x00\x01", "not a JSON file"),
        ("[1, 2]", "expected a JSON object"),
        ({"schema": 2, "task": "calibration-step"}, "schema: expected 1, got 2"),
        ({"task": "calibration-step"}, "schema: expected 1, got None"),
        ({"schema": 1, "task": "calibrate"}, "task: expected one of calibration-step, self-check"),
        ({"schema": 1, "task": ["x"]}, "task: expected one of"),
        ({"schema": 1}, "task: expected one of"),
    ],
)
def test_wrong_task_files_name_the_key(tmp_path, content, message):
    path = write(tmp_path, content)
    with pytest.raises(InputError, match=message) as error:
        run_task(path)
    assert str(path) in str(error.value)
    assert result_of(tmp_path)["error"] == {"kind": "input", "message": str(error.value)}


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.json: no such task file"):
        run_task(tmp_path / "nowhere.json")
    assert not list(tmp_path.iterdir())


CALIBRATION = {
    "schema": 1,
    "task": "calibration-step",
    "models": ["m.safetensors"],
    "samples": [{"file": "a.npz", "model": 0}, {"file": "b.npz", "model": 0}],
    "anchors": [
        {"model": 0, "phases": ["fcc", "liquid"], "pressure_gpa": 0.0, "temperature_k": 1100.0, "sigma_k": 5.0}
    ],
    "targets": [{"phases": ["fcc", "liquid"], "pressure_gpa": 0.0, "temperature_k": 1300.0, "sigma_k": 1.0}],
    "tolerance_k": 2.0,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": ["../m.safetensors"]}, r"models\.0: .*without a path"),
        ({"models": ["/etc/passwd"]}, r"models\.0: .*without a path"),
        ({"models": []}, "models: "),
        ({"samples": [{"file": "a.npz", "model": 3}]}, r"samples\.0\.model is 3, but there are 1 models"),
        ({"samples": [{"file": "a.npz", "model": -1}]}, r"samples\.0\.model"),
        ({"tolerance_k": -1.0}, "tolerance_k"),
        ({"tolerance_k": None}, "tolerance_k"),
        ({"surprise": 1}, "surprise: "),
        ({"step": {"method": "newton"}}, r"step\.method"),
        ({"step": {"max_sd": 0}}, r"step\.max_sd"),
        ({"protect": [{"name": "fcc", "kind": "stable", "structure": {}}]}, r"protect\.0\.kind"),
        ({"targets": [{**CALIBRATION["targets"][0], "sigma_k": 0.0}]}, r"targets\.0\.sigma_k"),
        ({"targets": [{**CALIBRATION["targets"][0], "phases": ["fcc", "fcc"]}]}, "two different phases"),
        ({"anchors": [{**CALIBRATION["anchors"][0], "model": 1}]}, r"anchors\.0\.model is 1"),
        ({"anchors": [{**CALIBRATION["anchors"][0], "temperature_k": "hot"}]}, r"anchors\.0\.temperature_k"),
    ],
)
def test_wrong_keys_of_a_calibration_step_are_named(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        run_task(write(tmp_path, {**CALIBRATION, **change}))


def test_all_wrong_keys_are_named_at_once(tmp_path):
    with pytest.raises(InputError, match=r"tolerance_k.*surprise|surprise.*tolerance_k"):
        run_task(write(tmp_path, {**CALIBRATION, "surprise": 1, "tolerance_k": 0.0}))


def test_a_missing_model_file_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match=r"m\.safetensors"):
        run_task(write(tmp_path, CALIBRATION))
    assert result_of(tmp_path)["error"]["kind"] == "data"
