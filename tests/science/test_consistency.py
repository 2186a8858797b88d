"""Contradictions between targets are found with their numbers; good sets of experiments are left in peace."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from phasecal.campaign.consistency import contradictions
from phasecal.cli import main

PHASES = {
    "hcp": {"prototype": "hcp", "elements": ["Ti"], "a": 2.95},
    "bcc": {"prototype": "bcc", "elements": ["Ti"], "a": 3.3},
    "liquid": {"melt": "bcc"},
}
HCP_BCC = [1154.7, 1124.5, 1094.4, 1064.3, 1034.2, 1005.0]
BCC_LIQUID = [1940.5, 1979.4, 2011.3, 2041.4, 2071.6, 2092.9]


def campaign(phases, temperatures, sigma=10.0, pressures=None):
    pressures = pressures or range(len(temperatures))
    targets = [
        {"pressure_gpa": float(p), "temperature_k": t, "sigma_k": sigma}
        for p, t in zip(pressures, temperatures, strict=True)
    ]
    return {"phases": PHASES, "boundaries": [{"phases": phases, "targets": targets}]}


@pytest.mark.parametrize(("phases", "temperatures"), [(["hcp", "bcc"], HCP_BCC), (["bcc", "liquid"], BCC_LIQUID)])
def test_titanium_does_not_contradict_itself(phases, temperatures):
    assert contradictions(campaign(phases, temperatures)) == []


def test_bar_for_gpa_is_an_impossible_volume():
    """ΔV = 3.61 J/mol/K x -1497 K/GPa = -5.40 cm3/mol, of the 10.9 cm3/mol of hcp titanium."""
    (found,) = contradictions(campaign(["hcp", "bcc"], [1154.7, 1005.0], pressures=[0.0, 0.1]))
    assert "dT/dP = -1497 ± 141 K/GPa" in found
    assert "volume change of -49 %" in found
    assert "Clausius-Clapeyron" in found


def test_one_mistyped_temperature_breaks_the_line():
    wrong = [*BCC_LIQUID[:2], 2311.3, *BCC_LIQUID[3:]]
    found = contradictions(campaign(["bcc", "liquid"], wrong))
    assert any("2311.3 K at 2 GPa" in text and "no boundary bends like this" in text for text in found)


def test_wide_errors_excuse_scatter():
    wrong = [*BCC_LIQUID[:2], 2061.3, *BCC_LIQUID[3:]]
    assert contradictions(campaign(["bcc", "liquid"], wrong, sigma=2.0))
    assert contradictions(campaign(["bcc", "liquid"], wrong, sigma=60.0)) == []


def test_the_command_warns_and_still_accepts(tmp_path):
    good = """\
schema: 1
title: copper
model: {family: eam, source: "lammps://Cu_zhou.eam.alloy", train: {pair: 12}}
phases: {fcc: {prototype: fcc, elements: [Cu], a: 3.615 A}, liquid: {melt: fcc}}
boundaries:
  - phases: [fcc, liquid]
    targets:
      - {pressure: 0 GPa, temperature: 1357.77 K, sigma: 0.5 K, source: SGTE}
      - {pressure: 1 GPa, temperature: 13970 K, sigma: 0.5 K, source: typed}
protocol: fast
"""
    path = tmp_path / "copper.yaml"
    path.write_text(good)
    result = CliRunner().invoke(main, ["validate", str(path)])
    assert result.exit_code == 0
    assert "warning: fcc–liquid: 1357.77 K at 0 GPa and 13970 K at 1 GPa mean dT/dP = 12612" in result.output
    found = json.loads(CliRunner().invoke(main, ["validate", str(path), "--json"]).stdout)
    assert len(found["warnings"]) == 1
    path.write_text(good.replace("13970", "1397"))
    assert "warning" not in CliRunner().invoke(main, ["validate", str(path)]).output
