"""What changed from one model of the record to another."""

from __future__ import annotations

import json

import numpy as np
import pytest
from aiida_phasecal.cli import cmd_phasecal
from aiida_phasecal.data.model import ModelData
from aiida_phasecal.difference import difference
from click.testing import CliRunner

from phasecal.difftre.comparison import boundary_shift
from phasecal.potentials.lj import LjModel


def invoke(*arguments: object, expect: int = 0) -> str:
    result = CliRunner().invoke(cmd_phasecal, ["models", "diff", *(str(argument) for argument in arguments)])
    assert result.exit_code == expect, result.output
    return result.output


@pytest.fixture(scope="module")
def changed(calibration) -> dict:
    """From the model as it came to the calibrated one."""
    return difference(calibration.models[0], calibration.models[2])


def test_parameters_are_compared_one_by_one_and_by_size(changed):
    assert [entry["name"] for entry in changed["parameters"]] == [f"pair[Cu-Cu][{i}]" for i in range(4)]
    assert [entry["b"] - entry["a"] for entry in changed["parameters"]] == pytest.approx([3e-3] * 4)
    (size,) = changed["groups"]
    assert (size["group"], size["change_rms"]) == ("pair[Cu-Cu]", pytest.approx(3e-3))


def test_functions_show_where_they_changed(changed):
    by_name = {(entry["function"], entry["name"]): entry for entry in changed["curves"]}
    assert 0 < abs(by_name["pair", "Cu-Cu"]["max"]) < 4 * 3e-3
    assert by_name["density", "Cu"]["max"] == by_name["embedding", "Cu"]["max"] == 0.0
    table = changed["functions"]["pair"]["Cu-Cu"]
    assert len(table["r"]) == len(table["initial"]) == len(table["final"])


def test_boundaries_are_those_of_the_record_and_of_reweighted_frames(calibration, changed):
    (entry,) = changed["boundaries"]
    assert (entry["a"]["temperature_k"], entry["a"]["source"]) == (1326.0, "coexistence")
    assert (entry["b"]["temperature_k"], entry["b"]["source"]) == (1359.0, "pinning")
    assert entry["difference_k"] == 33.0
    assert entry["difference_sigma_k"] == pytest.approx(18**0.5)
    samples = calibration.anchors[0].outputs.samples
    models = (calibration.models[0].get_model(), calibration.models[2].get_model())
    frames = (samples.low.get_sample(), samples.high.get_sample())
    expected = boundary_shift(*models, *frames, 1326.0, (0.13, 0.002))
    assert (entry["predicted_k"], entry["predicted_sigma_k"]) == (expected.value_k, expected.sigma_k)


def test_the_way_back_has_the_opposite_signs(calibration, changed):
    (there,) = changed["boundaries"]
    (back,) = difference(calibration.models[2], calibration.models[0])["boundaries"]
    assert back["difference_k"] == -there["difference_k"]
    assert np.sign(back["predicted_k"]) == -np.sign(there["predicted_k"])


def test_a_model_between_two_rounds_has_the_temperature_of_its_anchor_or_step(calibration, recorder):
    child = calibration.models[2].get_model()
    (entry,) = difference(calibration.models[1], calibration.models[2])["boundaries"]
    assert entry["a"]["temperature_k"] == 1351.0
    unmeasured = ModelData.from_model(child.with_theta(child.theta + 1e-3), round_index=3).store()
    (entry,) = difference(calibration.models[0], unmeasured)["boundaries"]
    assert (entry["b"], entry["difference_k"]) == (None, None)
    assert entry["predicted_k"] is not None


def test_forces_differ_on_frames_of_both_phases(changed):
    rmse = {entry["phase"]: entry["rmse_ev_a"] for entry in changed["forces"]}
    assert set(rmse) == {"fcc", "liquid"}
    assert all(0 < value < 0.1 for value in rmse.values())


def test_models_that_have_nothing_in_common_say_so(calibration):
    argon = LjModel.from_parameters(element="Ar", mass=39.95, epsilon=0.0103, sigma=3.4, cutoff_sigmas=2.5)
    other = ModelData.from_model(argon).store()
    found = difference(calibration.models[0], other)
    assert (found["parameters"], found["groups"], found["curves"], found["forces"]) == ([], [], [], [])
    assert any("do not have the same" in reason for reason in found["reasons"])
    assert any("no frames in common" in reason for reason in found["reasons"])
    assert "not compared: " in invoke(calibration.models[0].pk, other.pk)


def test_the_command_prints_tables_or_json(calibration, changed):
    pks = [calibration.models[i].pk for i in (0, 2)]
    text = invoke(*pks)
    for words in ("pair[Cu-Cu][3]", "φ Cu-Cu", "1326.0 ± 3.0 (coexistence)", "33.0 ± 4.2", "fcc (PK"):
        assert words in text, text
    assert json.loads(invoke(*pks, "--json")) == json.loads(json.dumps(changed))
    assert "models list" in invoke(pks[0], 999999, expect=2)
