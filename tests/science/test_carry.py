"""Gibbs–Helmholtz and Clausius–Clapeyron against phases whose free energies are known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest

from phasecal.errors import DataError, InputError
from phasecal.freeenergy.carry import carry_weights, clapeyron_slope, gibbs_helmholtz
from phasecal.units import EV_PER_A3_IN_GPA, KB

MELTING_K = 1130.0
DELTA_H = 0.135


def exact(t, heat_capacity):
    """ΔG(T) of two phases with ΔH(T) = DELTA_H + ΔC_p (T − T_m), zero at T_m."""
    delta_h = DELTA_H + heat_capacity * (t - MELTING_K)
    delta_s = DELTA_H / MELTING_K + heat_capacity * math.log(t / MELTING_K)
    return delta_h - t * delta_s


def enthalpies(temperatures, heat_capacity):
    return [DELTA_H + heat_capacity * (t - MELTING_K) for t in temperatures]


def carry(t0, t1, temperatures, heat_capacity, sigma=1e-3, sigma0=0.0):
    return gibbs_helmholtz(
        exact(t0, heat_capacity),
        sigma0,
        t0=t0,
        t1=t1,
        temperatures=temperatures,
        delta_h=enthalpies(temperatures, heat_capacity),
        delta_h_sigma=[sigma] * len(temperatures),
    )


@pytest.mark.parametrize("heat_capacity", [0.0, 0.7 * KB, -0.4 * KB])
@pytest.mark.parametrize("t1", [1357.77, 950.0])
@pytest.mark.parametrize("knots", [(900.0, 1400.0), (1200.0, 900.0, 1500.0)])
def test_a_linear_enthalpy_is_carried_exactly(heat_capacity, t1, knots):
    value, _ = carry(MELTING_K, t1, knots, heat_capacity)
    assert value == pytest.approx(exact(t1, heat_capacity), abs=1e-12)


def test_carrying_there_and_back_changes_nothing():
    there, _ = carry(MELTING_K, 1357.77, (1130.0, 1357.77), 0.5 * KB)
    assert there == pytest.approx(-0.0272, abs=2e-3)
    assert exact(1357.77, 0.5 * KB) == pytest.approx(there)
    back, _ = carry(1357.77, MELTING_K, (1130.0, 1357.77), 0.5 * KB)
    assert back == pytest.approx(0.0, abs=1e-12)


def test_one_enthalpy_carries_with_an_error_that_covers_the_heat_capacity():
    for heat_capacity in (-KB, KB):
        value, sigma = carry(MELTING_K, 1357.77, (1357.77,), heat_capacity, sigma=1e-9)
        assert abs(value - exact(1357.77, heat_capacity)) == pytest.approx(sigma, rel=1e-3)
    _, near = carry(1350.0, 1357.77, (1357.77,), 0.0, sigma=1e-9)
    assert near < 2e-6


def test_the_error_is_that_of_repeated_measurements():
    rng = np.random.default_rng(1)
    temperatures, sigmas = (1130.0, 1250.0, 1357.77), np.array([2e-3, 1e-3, 1.5e-3])
    values = []
    for _ in range(4000):
        delta_h = np.array(enthalpies(temperatures, 0.3 * KB)) + sigmas * rng.normal(size=3)
        value, sigma = gibbs_helmholtz(
            rng.normal(0, 5e-4),
            5e-4,
            t0=MELTING_K,
            t1=1357.77,
            temperatures=temperatures,
            delta_h=delta_h,
            delta_h_sigma=sigmas,
        )
        values.append(value)
    assert np.std(values) == pytest.approx(sigma, rel=4 / math.sqrt(8000))


def test_wrong_sign_of_the_enthalpy_is_far_off():
    """Negative control: the test above would notice a sign."""
    weights = carry_weights(MELTING_K, 1357.77, (1130.0, 1357.77))
    wrong = -weights.enthalpy @ enthalpies((1130.0, 1357.77), 0.0)
    assert abs(wrong - exact(1357.77, 0.0)) > 0.05


def test_nonsense_is_refused():
    with pytest.raises(InputError, match="positive"):
        carry_weights(-1.0, 1000.0, (900.0,))
    with pytest.raises(InputError, match="positive"):
        carry_weights(1000.0, math.nan, (900.0,))
    with pytest.raises(DataError, match="different temperatures"):
        carry_weights(1000.0, 1100.0, ())
    with pytest.raises(DataError, match="different temperatures"):
        carry_weights(1000.0, 1100.0, (1000.0, 1000.0))


def test_slope_of_the_lennard_jones_melting_line():
    """Pedersen 2013: ΔV 0.1091 σ³ and ΔS 1.408 k give dT/dP = 0.0775 ε/k per ε/σ³."""
    slope, sigma = clapeyron_slope((0.1091, 0.001), (1.408, 0.01))
    assert slope * EV_PER_A3_IN_GPA == pytest.approx(0.0775, abs=1e-4)
    assert sigma / slope == pytest.approx(math.hypot(0.001 / 0.1091, 0.01 / 1.408))
    with pytest.raises(DataError, match="entropy"):
        clapeyron_slope((0.1, 0.0), (0.0, 0.1))
