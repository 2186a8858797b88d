"""The melting temperature of two-phase boxes, on simulated boxes whose relaxation time and T_m are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from phasecal.freeenergy import wandering
from phasecal.freeenergy.wandering import block_covariance, box_fluctuation, common_mean

T_M, N = 1358.0, 5000
SD = T_M / (3.5 * N) ** 0.5
LINES, BLOCK = 400, 20
REPEATS = 300


def walk(rng, sigma, correlation, n=LINES):
    """A stationary Ornstein–Uhlenbeck process."""
    a = np.exp(-1 / correlation)
    noise = rng.normal(size=n) * np.sqrt(1 - a * a)
    noise[0] = rng.normal()
    return sigma * lfilter([1.0], [1.0, -a], noise)


def box(rng, tau, rapid=0.0):
    """Wandering interfaces, kinetic noise that is correlated over three lines, and noise that lasts for a block."""
    return T_M + walk(rng, SD, tau) + walk(rng, 12.0, 3.0) + walk(rng, rapid * SD, BLOCK)


def coverage(length, n_replicas, rapid):
    """How often the interval holds T_m, at 1σ and 2σ."""
    rng = np.random.default_rng(7)
    distances = []
    for _ in range(REPEATS):
        value, sigma = common_mean([box(rng, LINES / length, rapid) for _ in range(n_replicas)], N)
        distances.append(abs(value - T_M) / sigma)
    return np.mean(np.array(distances) < 1), np.mean(np.array(distances) < 2)


@pytest.mark.parametrize("rapid", [0.0, 0.6])
@pytest.mark.parametrize("n_replicas", [2, 6])
@pytest.mark.parametrize("length", [1.0, 2.0, 5.0, 20.0])  # of a run, in relaxation times
def test_one_sigma_covers_however_short_the_run(length, n_replicas, rapid):
    one, two = coverage(length, n_replicas, rapid)
    assert 0.57 < one < 0.95  # two long runs cannot tell how long they remember: their interval is wide
    assert two > 0.86


def test_white_noise_alone_is_not_enough(monkeypatch):
    """Negative control: noise that lasts is then taken for interfaces that forget quickly."""
    full = coverage(2.0, 6, 0.6)
    monkeypatch.setattr(wandering, "NOISE_TAUS", (0.01,))
    wandering._precisions.cache_clear()
    one, two = coverage(2.0, 6, 0.6)
    wandering._precisions.cache_clear()
    assert one < full[0] - 0.05 and two < full[1] - 0.04


def test_the_error_is_that_of_the_process():
    rng = np.random.default_rng(8)
    found = np.array([common_mean([box(rng, 200.0) for _ in range(4)], N) for _ in range(300)])
    assert np.sqrt(np.mean(found[:, 1] ** 2)) == pytest.approx(np.std(found[:, 0]), rel=0.12)


def test_replicas_that_lie_apart_widen_the_interval():
    rng = np.random.default_rng(9)
    together = [box(rng, 20.0) for _ in range(2)]
    apart = [one + shift for one, shift in zip(together, (-2 * SD, 2 * SD), strict=True)]
    assert common_mean(apart, N)[1] > 1.5 * common_mean(together, N)[1]


def test_a_box_that_does_not_move_has_the_whole_variance():
    still = [np.full(LINES, T_M) + 1e-6 * np.arange(LINES)]
    assert common_mean(still, N)[1] == pytest.approx(SD, rel=0.05)
    assert common_mean([np.linspace(T_M - 1, T_M + 1, 5)], N)[1] < 1.2 * SD


def test_closed_forms():
    for tau in (0.5, 3.0, 30.0):
        covariance = block_covariance(tau, 50)
        fine = np.exp(-np.abs(np.subtract.outer(np.arange(2000), np.arange(2000))) / (tau * 500))  # four blocks of 500
        for m in range(4):
            assert covariance[m] == pytest.approx(fine[:500, 500 * m : 500 * (m + 1)].mean(), rel=2e-3)
    assert box_fluctuation(T_M, N) == pytest.approx(SD)
