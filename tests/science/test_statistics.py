"""Means of correlated series: known inefficiencies, no interval of zero, honest combination."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from phasecal.errors import ConvergenceError, DataError
from phasecal.observables.statistics import (
    Estimate,
    block_errors,
    block_plateau,
    chi_squared,
    combine,
    mean_with_error,
    statistical_inefficiency,
    student_factor,
)


def ar1(rng, n, tau):
    """Stationary autoregressive series of unit variance, correlation exp(-t/tau)."""
    a = np.exp(-1 / tau)
    noise = rng.normal(size=n) * np.sqrt(1 - a * a)
    noise[0] = rng.normal()
    return lfilter([1.0], [1.0, -a], noise)


@pytest.mark.parametrize("tau", [0.1, 5.0, 50.0])
def test_the_inefficiency_of_an_autoregressive_series_is_known(tau):
    a = np.exp(-1 / tau)
    found = statistical_inefficiency(ar1(np.random.default_rng(1), 100_000, tau))
    assert found == pytest.approx((1 + a) / (1 - a), rel=0.12)


def test_block_averages_agree_with_the_integral():
    x = ar1(np.random.default_rng(2), 50_000, 20.0)
    estimate = mean_with_error(x)
    assert block_plateau(x) == pytest.approx(estimate.sigma, rel=0.35)
    lengths, errors = block_errors(x)
    assert len(x) // lengths[-1] >= 6 > len(x) // (2 * lengths[-1]) and errors[0] < errors.max()
    assert abs(estimate.value) < 4 * estimate.sigma
    assert estimate.n_effective == pytest.approx(50_000 / 40, rel=0.2)


def test_discarding_removes_a_transient():
    x = ar1(np.random.default_rng(3), 5000, 5.0)
    x[:500] += 20.0
    assert abs(mean_with_error(x, discard=500).value) < 0.2
    assert mean_with_error(x).value > 1.0


def test_replicas_share_one_inefficiency_and_disagreement_widens_the_interval():
    rng = np.random.default_rng(4)
    one, two = ar1(rng, 4000, 10.0), ar1(rng, 4000, 10.0)
    together = mean_with_error(one, two)
    assert together.value == pytest.approx((one.mean() + two.mean()) / 2)
    assert mean_with_error(one, two + 3.0, at_least=2.0).sigma > 5 * together.sigma


def test_replicas_and_length_narrow_the_interval_as_they_should():
    rng = np.random.default_rng(4)
    ratios = []
    for _ in range(40):
        one, two = ar1(rng, 4000, 10.0), ar1(rng, 4000, 10.0)
        together = mean_with_error(one, two).sigma
        ratios.append([mean_with_error(one).sigma / together, mean_with_error(one, two[:1500]).sigma / together])
    np.testing.assert_allclose(np.median(ratios, axis=0), [2**0.5, (8000 / 5500) ** 0.5], rtol=0.15)


def test_ten_times_less_data_widens_the_interval_by_about_root_ten():
    x = ar1(np.random.default_rng(5), 40_000, 10.0)
    assert mean_with_error(x[:4000]).sigma / mean_with_error(x).sigma == pytest.approx(10**0.5, rel=0.35)


def test_a_series_that_only_drifts_is_refused():
    x = np.arange(300) + np.random.default_rng(6).normal(size=300)
    with pytest.raises(ConvergenceError, match="too short"):
        mean_with_error(x)


@pytest.mark.parametrize("bad", [[1.0, 2.0], [1.0] * 100, [1.0, np.nan] * 10, np.zeros((4, 4))])
def test_no_interval_from_nothing(bad):
    with pytest.raises(DataError):
        mean_with_error(bad)


def test_combination_weighs_by_error_and_widens_when_estimates_disagree():
    agree = [Estimate(10.0, 1.0, 50, 1), Estimate(11.0, 2.0, 50, 1)]
    both = combine(agree)
    assert both.value == pytest.approx(10.2)
    assert both.sigma == pytest.approx(0.8**0.5)
    assert chi_squared(agree) == pytest.approx(0.2)
    disagree = [Estimate(10.0, 1.0, 50, 1), Estimate(20.0, 1.0, 50, 1)]
    assert combine(disagree).sigma == pytest.approx(0.5**0.5 * 50**0.5)
    assert combine(agree[:1]) == agree[0]
    with pytest.raises(DataError):
        combine([])
    with pytest.raises(DataError):
        combine([Estimate(1.0, 0.0, 10, 1)])


def test_students_factor_vanishes_for_many_samples():
    assert student_factor(1e6) == pytest.approx(1.0, abs=1e-5)
    assert student_factor(3) == pytest.approx(1.1968, abs=2e-3)
