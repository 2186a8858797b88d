"""What the user reads about a campaign in reduced units."""

from __future__ import annotations

import pytest
from aiida_phasecal.cli import common, progress
from aiida_phasecal.cli.show import print_summary
from aiida_phasecal.record import presented
from rich.console import Console

from phasecal.campaign.reduced import REFERENCE

ENTRY = {
    "phases": ["fcc", "liquid"],
    "pressure_gpa": 2.185 * REFERENCE["pressure"],
    "temperature_k": 801.0,
    "sigma_k": 4.0,
    "initial_k": 801.0,
    "initial_sigma_k": 4.0,
    "target_k": None,
    "target_sigma_k": None,
    "line_k": None,
    "line_sigma_k": None,
    "method": "coexistence",
    "seeds": [1],
    "pk": 7,
}
SUMMARY = {
    "title": "LJ",
    "pk": 1,
    "task": "transition",
    "units": "lj",
    "state": "finished",
    "exit_code": 0,
    "message": "",
    "failure": [],
    "boundaries": [ENTRY],
    "model": {"pk": 2, "hash": "ab" * 32, "parent": None},
    "cost": {"atom_steps": 1000, "wall_s": 2.0, "rounds": 0},
}
PROGRESS = {**SUMMARY, "rounds": [], "running": [], "elapsed_s": 3, "jobs": {"finished": 1, "running": 0}}
PROGRESS |= {"stuck": [], "restarted": [], "latest": None, "time_left_s": None}


def test_json_has_reduced_values_under_keys_without_units():
    entry = presented(SUMMARY)["boundaries"][0]
    assert (entry["temperature"], entry["sigma"], entry["pressure"]) == (0.801, 0.004, 2.185)
    assert not [key for key in entry if key.endswith(("_k", "_gpa"))]
    assert presented({**SUMMARY, "units": None})["boundaries"][0] == ENTRY


@pytest.mark.parametrize("units", ["lj", None])
def test_tables_are_in_the_units_of_the_campaign(units, monkeypatch):
    console = Console(width=140, record=True)
    monkeypatch.setitem(print_summary.__globals__, "console", console)
    print_summary({**SUMMARY, "units": units})
    console.print(progress.render({**PROGRESS, "units": units}))
    text = console.export_text()
    assert ("0.8010 ± 0.0040" in text) == (units == "lj")
    assert ("801.0 ± 4.0" in text) == (units is None)
    assert (", K" in text) == ("GPa" in text) == (units is None)
    assert common.in_campaign_units({**SUMMARY, "units": units})[3] == (4 if units else 1)
