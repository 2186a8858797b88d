"""Phase diagrams from synthetic boundaries of three phases whose free energies are known."""

from __future__ import annotations

import numpy as np
import pytest

from phasecal.freeenergy.diagram import MeasuredBoundary, assemble, is_stable, joined
from phasecal.freeenergy.line import Datum, predict
from phasecal.units import EV_PER_A3_IN_GPA

# G = H - T S + P V per atom: hcp, bcc and liquid with constant S and V; two boundaries meet where all three are equal.
PHASES = {"hcp": (0.0, 0.0, 17.9), "bcc": (0.0432, 3.74e-5, 17.72), "liquid": (0.1897, 1.129e-4, 18.2)}
PRESSURES = [0.0, 2.0, 4.0, 6.0]


def boundary(low, high, anchors=(0.0, 6.0), shift=0.0, sigma=1.0):
    (h1, s1, v1), (h2, s2, v2) = PHASES[low], PHASES[high]
    points = []
    for p in PRESSURES:
        point = {
            "pressure_gpa": p,
            "slope_k_gpa": (v2 - v1) / (s2 - s1) / EV_PER_A3_IN_GPA,
            "slope_k_gpa_sigma": 0.3,
            "delta_s_ev_k": s2 - s1,
            "delta_s_ev_k_sigma": 0.01 * (s2 - s1),
        }
        if p in anchors:
            t = (h2 - h1 + p / EV_PER_A3_IN_GPA * (v2 - v1)) / (s2 - s1)
            point |= {"temperature_k": t + (shift if p else 0.0), "sigma_k": sigma}
        points.append(point)
    return MeasuredBoundary((low, high), points)


def test_lines_of_the_known_system_and_their_checks():
    diagram = assemble([boundary("hcp", "bcc"), boundary("bcc", "liquid"), boundary("hcp", "liquid")])
    melting = diagram["boundaries"][1]["line"]
    assert melting["temperature_k"][0] == pytest.approx(0.1465 / 7.55e-5)
    assert all(sigma > 0 for sigma in melting["sigma_k"])
    assert len(diagram["checks"]) == 3 + 4
    assert all(check["passed"] for check in diagram["checks"]), diagram["checks"]
    assert all(melting["stable"])
    assert not any(diagram["boundaries"][2]["line"]["stable"])  # bcc lies between hcp and liquid


def test_an_anchor_that_is_off_fails_its_checks():
    """Negative control: one melting temperature 60 K too high."""
    diagram = assemble([boundary("hcp", "bcc"), boundary("bcc", "liquid", shift=60.0), boundary("hcp", "liquid")])
    failed = {check["name"] for check in diagram["checks"] if not check["passed"]}
    assert "Clausius-Clapeyron along bcc–liquid" in failed
    shifted = boundary("hcp", "liquid", anchors=(0.0,))
    shifted = MeasuredBoundary(shifted.phases, [{**shifted.points[0], "temperature_k": 1800.0}, *shifted.points[1:]])
    cycle = assemble([boundary("hcp", "bcc"), boundary("bcc", "liquid"), shifted])["checks"]
    assert not next(check for check in cycle if check["name"].startswith("cycle"))["passed"]


def test_triple_point_and_metastable_continuation(monkeypatch):
    monkeypatch.setitem(PHASES, "liquid", (0.1312, 1.129e-4, 18.2))
    monkeypatch.setitem(PHASES, "bcc", (0.0432, 3.74e-5, 18.02))
    diagram = assemble([boundary("hcp", "bcc"), boundary("bcc", "liquid")])
    (point,) = diagram["triple_points"]
    assert point["phases"] == ["bcc", "hcp", "liquid"]
    h, s, v = (np.array([PHASES[name][i] for name in ("hcp", "bcc", "liquid")]) for i in range(3))
    pressure = point["pressure_gpa"] / EV_PER_A3_IN_GPA
    g = h - point["temperature_k"] * s + pressure * v
    np.testing.assert_allclose(g, g[0], atol=1e-6)
    assert point["pressure_sigma_gpa"] > 0
    stable = np.array(diagram["boundaries"][0]["line"]["stable"])
    pressures = np.array(diagram["boundaries"][0]["line"]["pressure_gpa"])
    np.testing.assert_array_equal(stable, pressures < point["pressure_gpa"])


def test_stability_needs_a_line_at_that_pressure():
    line = boundary("hcp", "bcc").line()
    lines = {("hcp", "bcc"): line}
    assert is_stable(("hcp", "bcc"), 1155.0, 0.0, lines)
    lines["bcc", "liquid"] = boundary("bcc", "liquid").line()
    assert is_stable(("hcp", "bcc"), 5000.0, 0.0, lines) is False


def test_the_next_guess_follows_the_bend():
    slopes = [Datum(p, 40.0 - p, 0.5) for p in (0.0, 5.0, 10.0)]
    exact = 1326 + 40 * 15 - 15**2 / 2
    assert predict([Datum(0.0, 1326.0, 3.0)], slopes, 15.0) == pytest.approx(exact, abs=10)
    assert predict([Datum(0.0, 1326.0, 3.0)], slopes[:1], 5.0) == pytest.approx(1326 + 200)
    assert predict([Datum(0.0, 1326.0, 3.0)], slopes, 5.0) == pytest.approx(1326 + 200 - 12.5, abs=1)


def points_of(low, high, errors):
    """A transition of a boundary at every pressure, each with its own error, K."""
    found = boundary(low, high, anchors=PRESSURES, sigma=10.0).points
    return [
        {**point, "phases": [low, high], "temperature_k": point["temperature_k"] + error}
        for point, error in zip(found, errors, strict=True)
    ]


def test_points_of_several_pressures_are_known_better_on_their_line():
    errors = [8.0, -12.0, 3.0, 5.0]
    lines = joined([*points_of("bcc", "liquid", errors), points_of("hcp", "bcc", [0.0] * 4)[0]])
    (melting,) = lines["boundaries"]  # one point of hcp–bcc is no line
    assert melting["phases"] == ["bcc", "liquid"]
    at = {p: melting["line"]["pressure_gpa"].index(p) for p in PRESSURES}
    truth = [point["temperature_k"] for point in points_of("bcc", "liquid", [0.0] * 4)]
    misses = [melting["line"]["temperature_k"][i] - t for i, t in zip(at.values(), truth, strict=True)]
    assert np.allclose(misses, np.mean(errors), atol=0.5)  # slopes of 0.3 K/GPa leave one free number
    assert max(melting["line"]["sigma_k"]) < 5.6  # of 10 K: half, and what the slopes add
    (check,) = lines["checks"]
    assert check["passed"], check


def test_a_point_off_the_line_fails_the_check_of_the_line():
    """Negative control: one of four is six standard errors off."""
    (check,) = joined(points_of("bcc", "liquid", [0.0, 60.0, 0.0, 0.0]))["checks"]
    assert not check["passed"]


def test_points_without_a_second_pressure_have_no_line():
    assert joined([points_of("hcp", "bcc", [0.0] * 4)[0]]) is None
