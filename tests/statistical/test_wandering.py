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


def walk(rng, sigma, correlation, start=None):
    """An Ornstein–Uhlenbeck process from a start in units of sigma; stationary without one."""
    a = np.exp(-1 / correlation)
    noise = rng.normal(size=LINES) * np.sqrt(1 - a * a)
    noise[0] = rng.normal() if start is None else start
    return sigma * lfilter([1.0], [1.0, -a], noise)


def boxes(rng, tau, n_replicas, rapid=0.0, off=1.0):
    """Runs from both sides of a guess that is off by some √V.

    Wandering interfaces, kinetic noise that is correlated over three lines, and noise that lasts for a block.
    """
    guess = off * rng.normal()
    return [
        T_M + walk(rng, SD, tau, guess + (-1) ** i) + walk(rng, 12.0, 3.0) + walk(rng, rapid * SD, BLOCK)
        for i in range(n_replicas)
    ]


def coverage(length, n_replicas, rapid):
    """How often the interval holds T_m, at 1σ and 2σ."""
    rng = np.random.default_rng(7)
    distances = []
    for _ in range(REPEATS):
        value, sigma = common_mean(boxes(rng, LINES / length, n_replicas, rapid), N)
        distances.append(abs(value - T_M) / sigma)
    return np.mean(np.array(distances) < 1), np.mean(np.array(distances) < 2)


@pytest.mark.parametrize("rapid", [0.0, 0.6])
@pytest.mark.parametrize("n_replicas", [2, 6])
@pytest.mark.parametrize("length", [1.0, 2.0, 5.0, 20.0])  # of a run, in relaxation times
def test_one_sigma_covers_however_short_the_run(length, n_replicas, rapid):
    one, two = coverage(length, n_replicas, rapid)
    assert 0.57 < one < (0.97 if n_replicas == 2 else 0.92)  # two long runs cannot tell how long they remember
    assert two > 0.86


def test_white_noise_alone_is_not_enough(monkeypatch):
    """Negative control: noise that lasts is then taken for interfaces that forget quickly."""
    full = coverage(2.0, 6, 0.6)
    monkeypatch.setattr(wandering, "NOISE_TAUS", (0.01,))
    wandering._precisions.cache_clear()
    one, two = coverage(2.0, 6, 0.6)
    wandering._precisions.cache_clear()
    assert one < full[0] - 0.05 and two < full[1] - 0.04


def pull(off):
    """Mean of what is found less T_m, in units of the guess's distance, for runs of two relaxation times."""
    rng = np.random.default_rng(8)
    found = []
    for _ in range(100):
        runs = boxes(rng, LINES / 2, 6, off=0.0)
        decay = off * SD * np.exp(-np.arange(LINES) / (LINES / 2))
        found.append(common_mean([run + decay for run in runs], N)[0] - T_M)
    return np.mean(found) / (off * SD)


def test_a_wrong_guess_pulls_less_than_it_would(monkeypatch):
    """Negative control: without the common offset two relaxation times keep half of what the guess is off by."""
    known = pull(1.5)
    monkeypatch.setattr(wandering, "GUESS_VARIANCE", 0.0)
    unknown = pull(1.5)
    assert unknown > 0.4
    assert known < 0.6 * unknown


def test_a_guess_that_is_off_is_not_covered_without_its_offset(monkeypatch):
    full = coverage(2.0, 6, 0.0)
    monkeypatch.setattr(wandering, "GUESS_VARIANCE", 0.0)
    one, two = coverage(2.0, 6, 0.0)
    assert one < full[0] - 0.1 and two < full[1] - 0.05


def test_replicas_that_lie_apart_widen_the_interval():
    rng = np.random.default_rng(9)
    together = boxes(rng, 20.0, 2)
    apart = [one + shift for one, shift in zip(together, (-2 * SD, 2 * SD), strict=True)]
    assert common_mean(apart, N)[1] > 1.5 * common_mean(together, N)[1]


def test_a_box_that_does_not_move_has_the_whole_variance():
    still = [np.full(LINES, T_M) + 1e-6 * np.arange(LINES)]
    both = 2**0.5 * SD  # its own, and that of the guess
    assert common_mean(still, N)[1] == pytest.approx(both, rel=0.05)
    assert common_mean([np.linspace(T_M - 1, T_M + 1, 5)], N)[1] < 1.2 * both


def test_closed_forms():
    for tau in (0.5, 3.0, 30.0):
        covariance = block_covariance(tau, 50)
        fine = np.exp(-np.abs(np.subtract.outer(np.arange(2000), np.arange(2000))) / (tau * 500))  # four blocks of 500
        for m in range(4):
            assert covariance[m] == pytest.approx(fine[:500, 500 * m : 500 * (m + 1)].mean(), rel=2e-3)
    assert box_fluctuation(T_M, N) == pytest.approx(SD)
