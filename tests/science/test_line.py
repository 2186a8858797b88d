"""Boundary lines from anchors and slopes: exact on curves the spline can follow, honest in its intervals."""

from __future__ import annotations

import numpy as np
import pytest

from phasecal.errors import DataError, InputError
from phasecal.freeenergy.line import Datum, crossings, fit_line, predict_from

KNOTS = np.array([0.0, 5.0, 10.0, 15.0, 20.0])


def simon(pressure):
    """A melting curve of Simon and Glatzel with the numbers of copper, K."""
    return 1326.0 * (1 + np.asarray(pressure) / 15.0) ** (1 / 1.9)


def simon_slope(pressure):
    return 1326.0 / 15.0 / 1.9 * (1 + np.asarray(pressure) / 15.0) ** (1 / 1.9 - 1)


def data(function, pressures, sigma, rng=None):
    noise = np.zeros(len(pressures)) if rng is None else rng.normal(scale=sigma, size=len(pressures))
    return [Datum(float(p), float(function(p) + e), sigma) for p, e in zip(pressures, noise, strict=True)]


def test_one_anchor_and_exact_slopes_give_the_melting_curve():
    line = fit_line(data(simon, [0.0], 1.0), data(simon_slope, KNOTS, 0.1))
    between = np.linspace(0, 20, 41)
    temperature, sigma = line.temperature(between)
    np.testing.assert_allclose(temperature, simon(between), atol=2.5)
    assert sigma[0] == pytest.approx(1.0)
    assert (np.diff(sigma) > 0).all()  # away from its only anchor a line gets less certain
    np.testing.assert_allclose(line.slope(KNOTS)[0], simon_slope(KNOTS))
    assert line.p_value == 1.0


def test_intervals_cover_and_more_anchors_narrow_them():
    rng = np.random.default_rng(1)
    inside, chi2, sigmas = [], [], {1: [], 3: []}
    for _ in range(400):
        slopes = data(lambda p: 40.0 - 0.5 * p, KNOTS, 2.0, rng)
        anchors = data(lambda p: 1300 + 40.0 * p - 0.25 * p**2, [0.0, 10.0, 20.0], 5.0, rng)
        for n in (1, 3):
            line = fit_line(anchors[:n], slopes)
            temperature, sigma = line.temperature([0.0, 7.0, 20.0])
            sigmas[n].append(sigma[2])
        chi2.append(line.chi2)
        inside.append(np.abs(temperature - [1300, 1300 + 280 - 12.25, 1300 + 800 - 100]) < sigma)
    assert 0.64 < np.mean(inside) < 0.80  # Birge factors only ever widen
    assert np.mean(chi2) == pytest.approx(2.0, abs=0.3)
    assert np.mean(sigmas[3]) < np.mean(sigmas[1]) / 3


def test_inconsistent_anchors_are_noticed_and_widen_the_interval():
    """Negative control: an anchor 20 sigma off the integrated slopes."""
    good = fit_line(data(simon, [0.0, 20.0], 3.0), data(simon_slope, KNOTS, 0.3))
    wrong = [*data(simon, [0.0], 3.0), Datum(20.0, simon(20.0) + 100.0, 3.0)]
    bad = fit_line(wrong, data(simon_slope, KNOTS, 0.3))
    assert good.p_value > 0.05
    assert bad.p_value < 1e-6
    assert bad.temperature([10.0])[1][0] > 5 * good.temperature([10.0])[1][0]


def test_a_single_point_is_a_line_of_length_zero():
    line = fit_line([Datum(0.0, 1326.0, 3.0)], [Datum(0.0, 38.0, 2.0)])
    assert line.temperature(0.0)[0][0] == 1326.0
    assert line.slope(0.0)[1][0] == pytest.approx(2.0)
    with pytest.raises(InputError, match="1 GPa is beyond the line"):
        line.temperature(1.0)


def straight(t0, slope, sigma_t=2.0, sigma_s=1e-6):
    return fit_line([Datum(0.0, t0, sigma_t)], [Datum(p, slope, sigma_s) for p in (0.0, 5.0, 10.0)])


def test_triple_point_of_titanium_like_lines():
    """hcp-bcc falls, hcp-omega-like rises: they meet where arithmetic says, with linearly propagated errors."""
    falling, rising = straight(1155.0, -30.0, 4.0), straight(900.0, 21.0, 3.0)
    (point,) = crossings(falling, rising)
    assert point.pressure_gpa == pytest.approx(5.0)
    assert point.temperature_k == pytest.approx(1005.0)
    assert point.pressure_sigma_gpa == pytest.approx(5.0 / 51.0, rel=1e-4)
    rng = np.random.default_rng(2)
    t1, t2 = 1155 + rng.normal(scale=4, size=20000), 900 + rng.normal(scale=3, size=20000)
    sampled = t1 - 30 * (t1 - t2) / 51
    assert point.temperature_sigma_k == pytest.approx(sampled.std(), rel=0.03)
    assert crossings(straight(1155.0, -30.0), straight(1940.0, 30.0)) == []


@pytest.mark.parametrize(
    ("anchors", "slopes", "message"),
    [
        ([], [Datum(0, 1, 1)], "at least one measured temperature"),
        ([Datum(0, 1, 1)], [], "at least one measured temperature"),
        ([Datum(0, 1, 1)] * 2, [Datum(0, 1, 1)], "two anchors at one pressure"),
        ([Datum(0, 1, 0.0)], [Datum(0, 1, 1)], "positive standard error"),
        ([Datum(0, 1, 1)], [Datum(0, np.nan, 1)], "positive standard error"),
        ([Datum(1, 1, 1)], [Datum(0, 1, 1)], "no slope at 1 GPa"),
    ],
)
def test_what_defines_no_line_is_refused(anchors, slopes, message):
    with pytest.raises(DataError, match=message):
        fit_line(anchors, slopes)


def test_a_boundary_is_expected_from_transitions_and_slopes():
    slope = {"slope_k_gpa": 40.0, "slope_k_gpa_sigma": 1.0}
    measured = {"pressure_gpa": 1.0, "temperature_k": 1400.0, "sigma_k": 3.0, **slope}
    assert predict_from([measured], 3.0) == pytest.approx(1480.0)
    assert predict_from([measured], 0.0) == pytest.approx(1360.0)
    flatter = {"pressure_gpa": 3.0, "slope_k_gpa": 20.0, "slope_k_gpa_sigma": 1.0}
    assert predict_from([measured, flatter], 3.0) == pytest.approx(1460.0)
