"""Results of campaigns in reduced units."""

from __future__ import annotations

import csv

import pytest

from phasecal.campaign.reduced import REFERENCE, reduced
from phasecal.report.data import read_data
from phasecal.report.tables import _boundaries

SUMMARY = {
    "task": "transition",
    "units": "lj",
    "state": "finished",
    "boundaries": [
        {
            "phases": ["fcc", "liquid"],
            "pressure_gpa": 2.185 * REFERENCE["pressure"],
            "temperature_k": 801.0,
            "sigma_k": 4.0,
            "target_k": None,
            "target_sigma_k": None,
            "seeds": [1, 2],
            "pk": 7,
        }
    ],
    "temperatures_k": [801.0, 619.0],
}


def test_keys_lose_their_units_and_values_are_reduced():
    data = reduced(SUMMARY)
    (boundary,) = data["boundaries"]
    expected = {"pressure": 2.185, "temperature": 0.801, "sigma": 0.004, "target": None, "target_sigma": None}
    assert boundary == {"phases": ["fcc", "liquid"], **expected, "seeds": [1, 2], "pk": 7}
    assert data["temperatures"] == [0.801, 0.619]
    assert reduced(SUMMARY, rename=False)["boundaries"][0]["temperature_k"] == 0.801
    assert SUMMARY["boundaries"][0]["temperature_k"] == 801.0


def test_the_reference_atom_is_one_in_its_own_units():
    assert REFERENCE["temperature"] == pytest.approx(1000.0)
    assert REFERENCE["pressure"] == pytest.approx(0.51135, rel=1e-4)


def test_the_table_of_a_report_is_reduced(tmp_path):
    data = read_data({"title": "LJ", "pk": 1, "summary": SUMMARY})
    (file,) = _boundaries(data, tmp_path)
    (row,) = csv.DictReader(file.read_text().splitlines())
    assert (row["pressure"], row["result"], row["result_sigma"]) == ("2.185", "0.801", "0.004")
    assert "pressure_gpa" not in row
