"""Every reason for doubt that a report names, and which estimate counts."""

from __future__ import annotations

import numpy as np
import pytest

from phasecal.report.checks import collect_warnings, outcomes
from phasecal.report.convergence import convergence
from phasecal.report.data import read_data


def test_verification_of_another_model_does_not_count(records) -> None:
    data = records.complete_data()
    data["anchors"][2]["model_hash"] = records.HASHES[3]
    checked = read_data(data)
    assert outcomes(checked)[0].kind == "not verified"
    assert outcomes(checked)[0].result is None
    found = " ".join(collect_warnings(checked))
    assert records.HASHES[3][:12] in found and "no verified result" in found


def test_disagreement_of_training_and_verification_is_a_warning(records) -> None:
    data = records.complete_data()
    data["summary"]["boundaries"][0].update(temperature_k=1345.0, sigma_k=2.0)
    (disagreement, missed) = collect_warnings(read_data(data))
    assert "training (1357.5 ± 3.1 K) and verification (1345.0 ± 2.0 K) disagree by 3.4 σ" in disagreement
    assert "6.2 σ from the target" in missed


def test_convergence_is_measured_from_experiment_even_when_a_stage_stops_short(records) -> None:
    data = records.complete_data()
    data["rounds"][0]["targets"][0]["target_k"] = 1250.0  # as near as superheating allowed
    checked = read_data(data)
    drawing = convergence(checked, outcomes(checked))
    assert drawing is not None
    first = np.ravel(drawing.figure.axes[0].lines[0].get_ydata())[0]
    assert np.isclose(first, 1130.2 - 1357.77)
    assert any(text.get_text() == " re-anchored" for text in drawing.figure.axes[0].texts)


def test_anchors_that_disagree_are_a_warning(records) -> None:
    data = records.complete_data()
    target = data["rounds"][-1]["targets"][0]
    target |= {"anchor_pressures_gpa": [5.0, 0.0], "anchor_chi2": 2.0}
    assert not any("disagree about" in warning for warning in collect_warnings(read_data(data)))
    target["anchor_chi2"] = 9.4
    (found,) = (warning for warning in collect_warnings(read_data(data)) if "disagree about" in warning)
    assert "the anchors at 0, 5 GPa disagree" in found and "χ² is 9.4 for 1 expected" in found
    target |= {"anchor_pressures_gpa": [0.0, 1.0, 2.0, 3.0, 4.0], "anchor_dof": 2, "anchor_chi2": 7.9}
    assert not any("disagree about" in warning for warning in collect_warnings(read_data(data)))
    target["anchor_chi2"] = 8.1
    (found,) = (warning for warning in collect_warnings(read_data(data)) if "disagree about" in warning)
    assert "χ² is 8.1 for 2 expected" in found


def test_a_start_without_an_anchor_is_the_first_round(records) -> None:
    data = records.complete_data()
    data["anchors"] = [entry for entry in data["anchors"] if entry["label"] != "initial"]
    initial = outcomes(read_data(data))[0].initial
    assert initial is not None and initial.pk == data["rounds"][0]["pk"]


def test_training_estimate_belongs_to_the_final_model(records) -> None:
    data = records.complete_data()
    training = outcomes(read_data(data))[0].training
    assert training is not None and training.value == 1357.5  # predicted by the step that made the final model
    data["summary"]["model"]["hash"] = records.HASHES[4]  # sampled in round 5
    training = outcomes(read_data(data))[0].training
    assert training is not None and training.value == 1364.0


@pytest.mark.parametrize(("final", "warns"), [(110.0, True), (128.0, False), (165.0, True)])
def test_right_temperature_for_the_wrong_reason(records, final: float, warns: bool) -> None:
    data = records.complete_data()
    data["properties"] = [records.property_("enthalpy_change[fcc-liquid]", "meV/atom", 137.0, 1.0, final, 1.0)]
    found = collect_warnings(read_data(data))
    assert any("Right T for the wrong reason" in item for item in found) == warns


def test_a_protected_property_that_moved_is_a_warning(records) -> None:
    data = records.complete_data()
    data["properties"] = [records.property_("C11", "GPa", 170.0, None, 172.0, None, protected=True)]
    assert collect_warnings(read_data(data)) == ["Protected, and yet it moved: C₁₁, 0 K by +1.18 %."]
