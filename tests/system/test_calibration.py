"""A real calibration through the daemon: two pressures at once, from the first anchors to the verification."""

from __future__ import annotations

from pathlib import Path

import pytest

SMALL = Path(__file__).parent / "small-lj.yaml"
pytestmark = [pytest.mark.daemon, pytest.mark.slow]


@pytest.fixture(scope="module")
def summary(installation):
    """Launch, wait, and show."""
    installation.run("phasecal", "launch", SMALL, "--wait", timeout=1800)
    (campaign,) = (entry for entry in installation.json("query") if entry["title"] == "small Lennard-Jones")
    return installation.json("show", campaign["pk"])


def test_every_target_is_met_and_verified(summary):
    assert (summary["state"], summary["exit_code"]) == ("finished", 0)
    assert [entry["pressure"] for entry in summary["boundaries"]] == [0.0, 2.185]
    for entry, initial in zip(summary["boundaries"], (0.619, 0.800), strict=True):  # docs/topics/lennard-jones.md
        assert entry["verified"]
        assert entry["initial"] == pytest.approx(initial, abs=4 * entry["initial_sigma"])
        assert entry["temperature"] == pytest.approx(entry["target"], abs=3 * entry["sigma"] + 0.01)
        assert entry["estimate"] == pytest.approx(entry["target"], abs=0.02)
        assert 0 < entry["sigma"] < 0.02


def test_the_report_shows_what_changed(installation, summary):
    installation.run("phasecal", "report", summary["pk"], "-o", "calibrated")
    written = {path.name for path in (installation.folder / "calibrated").rglob("*.*")}
    figures = {"phase-diagram.svg", "convergence.svg", "overlap.svg", "rdf.svg", "interface-1-initial.svg"}
    tables = {"lines.csv", "parameters.csv", "interface-profile.csv", "interface-block-errors.csv", "cost.csv"}
    assert figures | tables <= written
    lines = (installation.folder / "calibrated" / "tables" / "lines.csv").read_text()
    assert "initial,fcc,liquid" in lines and "verification,fcc,liquid" in lines
    assert "verified by coexistence" in (installation.folder / "calibrated" / "report.html").read_text()


def test_the_model_is_a_new_version(installation, summary):
    shown = installation.json("models", "show", summary["model"]["pk"])
    assert shown["hash"] == summary["model"]["hash"]
    assert shown["parent"]
