"""Results of campaigns in reduced units."""

from __future__ import annotations

import csv

import pytest

from phasecal.campaign.reduced import REFERENCE, reduced
from phasecal.report.data import read_data
from phasecal.report.tables import _boundaries
from phasecal.units import KB, few_bits

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
    assert REFERENCE["energy"] / KB == pytest.approx(REFERENCE["temperature"]) == 1000.0
    assert REFERENCE["energy"] / REFERENCE["length"] ** 3 * 160.2176634 == pytest.approx(REFERENCE["pressure"]) == 0.5
    assert REFERENCE["length"] == pytest.approx(3.0225, abs=1e-4)


@pytest.mark.parametrize("value", [1357.77, 83.8, 2.6320500851116364, 1.0111 * 801.2345])
def test_rounding_in_binary_survives_aiida_and_factors_of_four(value):
    short = few_bits(value)
    assert short == pytest.approx(value, rel=2**-14)
    for scaled in (short, 4 * short, short / 2):
        assert float(f"{scaled:.14g}") == scaled
    assert few_bits(4 * value) == 4 * short


def test_the_table_of_a_report_is_reduced(tmp_path):
    data = read_data({"title": "LJ", "pk": 1, "summary": SUMMARY})
    (file,) = _boundaries(data, tmp_path)
    (row,) = csv.DictReader(file.read_text().splitlines())
    assert (row["pressure"], row["result"], row["result_sigma"]) == ("2.185", "0.801", "0.004")
    assert "pressure_gpa" not in row
