"""The interval is honest: ±1σ covers the truth in 50–85 % of many repeats, also for a few correlation times."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from phasecal.errors import ConvergenceError
from phasecal.observables.statistics import mean_with_error

REPEATS = 400


def ar1(rng, n, tau):
    """Stationary autoregressive series of unit variance, mean 0, correlation exp(-t/tau)."""
    a = np.exp(-1 / tau)
    noise = rng.normal(size=n) * np.sqrt(1 - a * a)
    noise[0] = rng.normal()
    return lfilter([1.0], [1.0, -a], noise)


def series(rng, n, tau, fast):
    """A slow fluctuation, and a fast one on top: temperature of a two-phase box."""
    return ar1(rng, n, tau) + fast * rng.normal(size=n)


def covered(estimate):
    """Repeats whose interval holds the true mean, and how many gave an interval at all."""
    rng = np.random.default_rng(20)
    hits = []
    for _ in range(REPEATS):
        try:
            value, sigma = estimate(rng)
        except ConvergenceError:
            continue
        assert sigma > 0
        hits.append(abs(value) < sigma)
    return np.mean(hits), len(hits)


@pytest.mark.parametrize("fast", [0.0, 1.0])
@pytest.mark.parametrize("independent", [5, 10, 30, 200])
def test_one_sigma_covers(independent, fast):
    def estimate(rng):
        found = mean_with_error(series(rng, 1000, 1000 / (2 * independent), fast))
        return found.value, found.sigma

    coverage, n_intervals = covered(estimate)
    assert n_intervals > 0.8 * REPEATS
    assert 0.50 < coverage < 0.85


@pytest.mark.parametrize("independent", [3, 6, 20])
def test_one_sigma_covers_for_two_replicas(independent):
    def estimate(rng):
        tau = 600 / (2 * independent)
        found = mean_with_error(*(series(rng, 600, tau, 0.5) for _ in range(2)), at_least=2.0)
        return found.value, found.sigma

    coverage, _ = covered(estimate)
    assert 0.50 < coverage < 0.85


@pytest.mark.parametrize("length", [2.5, 5, 10, 40])  # of a run, in correlation times of the slow fluctuation
def test_a_slow_fluctuation_under_fast_noise_is_not_overlooked(length):
    """As in a two-phase box: 12 K of kinetic noise over 8 K from wandering interfaces, two replicas."""

    def estimate(rng):
        n = 300
        slow = [ar1(rng, n, n / length) for _ in range(2)]
        found = mean_with_error(*(s + 1.5 * ar1(rng, n, 3.0) for s in slow), at_least=2.0)
        return found.value, found.sigma

    coverage, _ = covered(estimate)
    assert 0.50 < coverage < 0.85


def test_two_sigma_covers_most():
    def estimate(rng):
        found = mean_with_error(series(rng, 1000, 25.0, 0.5))
        return found.value, 2 * found.sigma

    assert 0.88 < covered(estimate)[0] < 0.99


def test_the_naive_error_does_not_cover():
    """Negative control: s/√n of a correlated series is far too small, and this test must see it."""

    def naive(rng):
        x = series(rng, 1000, 50.0, 0.0)
        return x.mean(), x.std(ddof=1) / len(x) ** 0.5

    assert covered(naive)[0] < 0.30
