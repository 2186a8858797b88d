"""The melting temperature from two-phase boxes whose interfaces wander, with the physics of the wandering put in.

At constant enthalpy T wanders around T_m as the interfaces do. It is an Ornstein–Uhlenbeck process: a deviation decays
with the relaxation time τ of the interfaces (crystal grows where it is too cold, its latent heat warms the box), and
its variance is that of any system of heat capacity C = N c, V = kT²/C (Landau & Lifshitz, Statistical Physics, §112).
Means over blocks of length 1 then have the covariance, in units of V (Gardiner, Handbook of Stochastic Methods,
§3.8.4),

    2τ [1 − τ (1 − e^(−1/τ))]                       of a block with itself,
    τ² (1 − e^(−1/τ))² e^(−(m−1)/τ)                 of blocks that are m apart.

On top of it comes noise that has nothing to do with the interfaces: kinetic energy, sound, heat on its way through the
box. It has a variance s² and is forgotten within τ_n, at most two blocks. τ is long, thousands of steps, and a run of
a few τ shows too little for its own scatter or autocorrelation to tell the two apart. V is known, though. T_m is
therefore inferred as the common mean of Gaussian processes of this covariance, all runs together. What all boxes of
one size share, τ, s and τ_n, is integrated over (flat priors of T_m, ln τ and ln s), so that what the runs do not
tell about them widens the interval. With white noise alone the rapid part is taken for short memory, and intervals of
copper come out a third too small (docs/adr/0014).

All runs start around one guess, √V above and below it. The guess itself is off by some δ, and runs of a few τ keep a
good part of it: δ e^(−t/τ) is common to all of them, however many there are, and pulls T_m towards where the search
began. It is integrated over too, with a prior of variance V (docs/adr/0032).

Limits: one c for all substances (:data:`HEAT_CAPACITY_KB`; σ is proportional to c^(−1/2) at most). A guess that is off
by more than about √V (10 K for 4500 atoms of copper) still pulls.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import toeplitz

HEAT_CAPACITY_KB = 3.5
"""Heat capacity per atom at constant pressure, k: of Zhou's copper 3.52 ± 0.02 (fcc, 300 to 1300 K) and 3.83 ± 0.08
(liquid, 1131 to 1300 K), docs/results/copper.md. The lower one is taken, which makes errors larger."""
BLOCKS = 20
"""Blocks of each run, over which T is averaged: 500 steps or more."""
TAUS = np.geomspace(0.2, 10 * BLOCKS, 22)
"""Relaxation times of the interfaces, in blocks: from no memory to a box that hardly moves."""
NOISES = np.geomspace(0.01, 10.0, 13)
"""Variances s² of a block's noise, in units of V."""
NOISE_TAUS = (0.01, 0.5, 1.0, 2.0)
"""How long noise is remembered, in blocks; the first is white."""
GUESS_VARIANCE = 1.0
"""Variance of what the guess, from which all runs start, is off by, in units of V."""

FloatArray = NDArray[np.float64]


def box_fluctuation(temperature: float, n_atoms: int) -> float:
    """Return √V, the standard deviation of the temperature of a two-phase box of N atoms in equilibrium."""
    return float(temperature / (HEAT_CAPACITY_KB * n_atoms) ** 0.5)


def common_mean(series: Sequence[FloatArray], n_atoms: int) -> tuple[float, float]:
    """Return the melting temperature and its standard error, in the unit of the series.

    Args:
        series: Temperature of each run, equidistant and of the same step, each of shape (n_lines,).
        n_atoms: Number of atoms N of every box.
    """
    length = max(1, min(len(one) for one in series) // BLOCKS)
    blocks = [one[: len(one) // length * length].reshape(-1, length).mean(axis=1) for one in series]
    centre = float(np.concatenate(blocks).mean())
    variance = box_fluctuation(centre, n_atoms) ** 2
    deviations = [(block - centre) / variance**0.5 for block in blocks]
    logs, means, variances = _posterior(deviations)
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    mean = float(weights @ means)
    spread = float(weights @ (variances + np.square(means - mean)))
    return centre + mean * variance**0.5, (spread * variance) ** 0.5


def _posterior(deviations: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Log likelihood with the mean integrated out, the mean and its variance, for every (τ, s², τ_n); units of V."""
    log = information = weighted = np.zeros(1)
    pulls = np.zeros((3, 1))  # of the common offset at the start: on itself, on the mean, on the data
    for n in {len(deviation) for deviation in deviations}:
        runs = np.array([deviation for deviation in deviations if len(deviation) == n])
        precisions, log_determinants, offsets = _precisions(n)
        solved = runs @ precisions  # (n_grid, n_runs, n)
        log = log - 0.5 * (solved * runs).sum(axis=(1, 2)) - 0.5 * len(runs) * log_determinants
        information = information + len(runs) * precisions.sum(axis=(1, 2))
        weighted = weighted + solved.sum(axis=(1, 2))
        pulled = np.einsum("gij,gj->gi", precisions, offsets)
        of_runs = len(runs) * np.stack([(offsets * pulled).sum(axis=1), pulled.sum(axis=1)])
        pulls = pulls + np.concatenate([of_runs, [np.einsum("grj,gj->g", solved, offsets)]])
    # the offset adds one direction to the covariance of all runs together (Sherman and Morrison)
    gain = GUESS_VARIANCE / (1.0 + GUESS_VARIANCE * pulls[0])
    log = log + 0.5 * gain * pulls[2] ** 2 - 0.5 * np.log1p(GUESS_VARIANCE * pulls[0])
    information = information - gain * pulls[1] ** 2
    weighted = weighted - gain * pulls[1] * pulls[2]
    log = log + 0.5 * weighted**2 / information - 0.5 * np.log(information)
    return log, weighted / information, 1 / information


@lru_cache(maxsize=8)
def _precisions(n_blocks: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """For every (τ, s², τ_n): inverse covariance of a run's blocks, log of its determinant, a unit offset's decay."""
    covariances, offsets = [], []
    for tau, noise, noise_tau in itertools.product(TAUS, NOISES, NOISE_TAUS):
        if noise_tau < tau:
            rapid = block_covariance(noise_tau, n_blocks)
            covariances.append(toeplitz(block_covariance(tau, n_blocks) + noise * rapid / rapid[0]))
            offsets.append(-tau * np.expm1(-1 / tau) * np.exp(-np.arange(n_blocks) / tau))
    return np.linalg.inv(covariances), np.linalg.slogdet(covariances)[1], np.array(offsets)


def block_covariance(tau: float, n_blocks: int) -> FloatArray:
    """Return the covariance, in units of V, of the mean of a block with itself and the next ones, shape (n_blocks,)."""
    decay = -np.expm1(-1 / tau)
    apart = (tau * decay) ** 2 * np.exp(-np.arange(-1, n_blocks - 1) / tau)
    apart[0] = 2 * tau * (1 - tau * decay)
    return np.asarray(apart)
