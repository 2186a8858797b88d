"""The error of the temperature of a two-phase box, on simulated boxes whose relaxation time and T_m are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from phasecal.freeenergy.wandering import relaxation_time, rise_of_blocks, variance_of_mean, wandering_error
from phasecal.observables.statistics import mean_with_error

T_M, N = 1358.0, 5000
SD = T_M / (3.5 * N) ** 0.5
REPEATS = 300


def box(rng, n, tau, sd=SD):
    """Wandering interfaces under kinetic noise that is correlated over three lines."""

    def walk(sigma, correlation):
        a = np.exp(-1 / correlation)
        noise = rng.normal(size=n) * np.sqrt(1 - a * a)
        noise[0] = rng.normal()
        return sigma * lfilter([1.0], [1.0, -a], noise)

    return T_M + walk(sd, tau) + walk(12.0, 3.0)


@pytest.mark.parametrize("n_replicas", [2, 4])
@pytest.mark.parametrize("length", [1.0, 2.0, 5.0, 20.0])  # of a run, in relaxation times
def test_one_sigma_covers_however_short_the_run(length, n_replicas):
    rng = np.random.default_rng(7)
    hits, naive = [], []
    for _ in range(REPEATS):
        series = [box(rng, 400, 400 / length) for _ in range(n_replicas)]
        seen = mean_with_error(*series, at_least=2.0)
        hits.append(abs(seen.value - T_M) < max(seen.sigma, wandering_error(series, N)))
        naive.append(abs(seen.value - T_M) < seen.sigma)
    assert 0.55 < np.mean(hits) < 0.85
    if length <= 2.0 and n_replicas == 2:  # negative control: what short runs themselves show is not enough
        assert np.mean(naive) < np.mean(hits) - 0.05


def test_the_error_is_that_of_the_process():
    rng = np.random.default_rng(8)
    found = [wandering_error([box(rng, 800, 200.0) for _ in range(4)], N) for _ in range(100)]
    means = [np.mean([box(rng, 800, 200.0).mean() for _ in range(4)]) for _ in range(400)]
    assert np.median(found) == pytest.approx(np.std(means), rel=0.15)


def test_a_box_that_does_not_move_has_the_whole_variance():
    rng = np.random.default_rng(9)
    still = [T_M + 1e-6 * np.arange(400)]
    assert wandering_error(still, N) == pytest.approx(SD, rel=1e-2)
    assert wandering_error([np.full(5, T_M)], N) == 0.0
    assert wandering_error([box(rng, 400, 20.0) for _ in range(4)], N) < SD / 4


def test_closed_forms():
    for tau in (0.5, 3.0, 30.0):
        for noise in (0.0, 0.4):
            assert relaxation_time(rise_of_blocks(tau) + noise) == pytest.approx(tau, rel=0.05)
    assert relaxation_time(np.zeros(4)) == pytest.approx(1000.0)
    assert variance_of_mean(0.0) == 1.0
    assert variance_of_mean(1e-3) == pytest.approx(1.0, abs=1e-3)
    assert variance_of_mean(100.0) == pytest.approx(0.02, rel=0.02)
