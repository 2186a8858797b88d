"""The error of the mean temperature of a two-phase box, from the physics of its interfaces.

At constant enthalpy T wanders around T_m as the interfaces do. It is an Ornstein–Uhlenbeck process: a deviation decays
with the relaxation time τ of the interfaces (crystal grows where it is too cold, its latent heat warms the box), and
its variance is that of any system of heat capacity C = N c, V = kT²/C (Landau & Lifshitz, Statistical Physics, §112).
The mean over a time t then has the variance (Gardiner, Handbook of Stochastic Methods, §3.8.4)

    w(t) = 2Vτ/t · [1 − τ/t · (1 − exp(−t/τ))]

τ is long, 5000 to 10 000 steps for copper, and a run of a few τ shows too little of V for its own scatter or
autocorrelation to tell. Increments are enough: with the known V, the mean square change of T over a lag L,

    S(L) = 2V (1 − exp(−L/τ)) + noise,

gives τ without the mean of T. The kinetic noise does not depend on L and is fitted along.

Limits: one c for all substances (:data:`HEAT_CAPACITY_KB`; σ is proportional to 1/c). A box that still cools after its
preparation is not in equilibrium with its interfaces; replicas from both sides compensate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

HEAT_CAPACITY_KB = 3.5
"""Heat capacity per atom at constant pressure, k: of Zhou's copper 3.52 ± 0.02 (fcc, 300 to 1300 K) and 3.83 ± 0.08
(liquid, 1131 to 1300 K), docs/results/copper.md. The lower one is taken, which makes errors larger."""
BLOCKS = 20
"""Blocks of each run, over which T is averaged before increments are taken: 500 steps or more."""
LAGS = np.array([1, 2, 4, 8])
"""Lags of the mean square increments, in blocks."""
TAUS = np.geomspace(0.2, 1000.0, 200)
"""Relaxation times that are tried, in blocks: from no memory to a box that does not move."""

FloatArray = NDArray[np.float64]


def box_fluctuation(temperature: float, n_atoms: int) -> float:
    """Return √V, the standard deviation of the temperature of a two-phase box of N atoms in equilibrium."""
    return float(temperature / (HEAT_CAPACITY_KB * n_atoms) ** 0.5)


def wandering_error(series: Sequence[FloatArray], n_atoms: int) -> float:
    """Return the standard error of the mean T of all runs together, in the unit of the series.

    Args:
        series: Temperature of each run, equidistant and of the same step, each of shape (n_lines,).
        n_atoms: Number of atoms N.
    """
    length = min(len(one) for one in series) // BLOCKS
    if length < 1:
        return 0.0
    blocks = [one[: len(one) // length * length].reshape(-1, length).mean(axis=1) for one in series]
    variance = box_fluctuation(float(np.concatenate(series).mean()), n_atoms) ** 2
    increments = [np.concatenate([np.square(b[lag:] - b[:-lag]) for b in blocks]).mean() for lag in LAGS]
    tau = relaxation_time(np.array(increments) / (2 * variance))
    n_blocks = np.array([len(b) for b in blocks])
    variances = np.array([variance_of_mean(n / tau) for n in n_blocks]) * variance
    weights = n_blocks / n_blocks.sum()
    return float(np.sqrt(np.sum(weights**2 * variances)))


def relaxation_time(increments: FloatArray) -> float:
    """Return τ in blocks from S(L)/2V at :data:`LAGS`, shape (n_lags,): least squares over τ and a noise ≥ 0.

    A mean square over increments of lag L has a relative error that grows as √L, which sets the weights.
    """
    weights = 1 / (LAGS * np.maximum(increments, 1e-12) ** 2)
    rise = np.array([rise_of_blocks(tau) for tau in TAUS])
    noise = np.maximum(((increments - rise) @ weights) / weights.sum(), 0.0)
    misfit = np.square(increments - rise - noise[:, None]) @ weights
    return float(TAUS[int(misfit.argmin())])


def rise_of_blocks(tau: float) -> FloatArray:
    """Return S(L)/2V of means over blocks, without noise, at :data:`LAGS`: averaging takes away some of V."""
    y = 1 / tau
    same = variance_of_mean(y)
    apart = ((1 - np.exp(-y)) / y) ** 2 * np.exp(-(LAGS - 1) * y)
    return np.asarray(same - apart)


def variance_of_mean(x: float) -> float:
    """Return w(t)/V for x = t/τ; 1 for x = 0."""
    return 1.0 if x < 1e-6 else float(2 / x * (1 - (1 - np.exp(-x)) / x))
