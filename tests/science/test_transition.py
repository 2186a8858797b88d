"""First-order properties of a transition: a known answer, and swapped phases refused."""

from __future__ import annotations

import pytest

from phasecal.errors import PhaseError
from phasecal.freeenergy.transition import transition_properties

ANCHOR = {"temperature_k": 1000.0, "sigma_k": 5.0}
LOW = {"enthalpy_ev": {"value": -3.5, "sigma": 0.0003}, "volume_a3": {"value": 12.0, "sigma": 0.003}}
HIGH = {"enthalpy_ev": {"value": -3.4, "sigma": 0.0004}, "volume_a3": {"value": 12.6, "sigma": 0.004}}


def test_known_differences():
    found = transition_properties(ANCHOR, LOW, HIGH)
    assert found["delta_h_ev"] == pytest.approx(0.1)
    assert found["delta_h_ev_sigma"] == pytest.approx(0.0005)
    assert found["delta_s_ev_k"] == pytest.approx(1e-4)
    assert found["delta_v_a3"] == pytest.approx(0.6)
    assert found["slope_k_gpa"] == pytest.approx(0.6 / 1e-4 / 160.2176634)
    assert found["slope_k_gpa_sigma"] > found["slope_k_gpa"] * 0.005 / 0.6


def test_swapped_phases_are_refused():
    with pytest.raises(PhaseError, match="must be positive"):
        transition_properties(ANCHOR, HIGH, LOW)
