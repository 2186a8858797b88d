"""Means of correlated series with honest intervals.

The statistical inefficiency g (one independent sample per g correlated ones) is the integral of the
autocorrelation, cut off where sums of neighbouring values stop being positive (initial monotone sequence:
Geyer, Stat. Sci. 7, 473 (1992), §3.3). A series of only a few correlation times underestimates g, because the
autocorrelation is taken around the series' own mean, which lowers every value by about g/n; this is undone
self-consistently. With n_eff = n/g independent samples, σ² = s²/(n_eff − 1), times the square of Student's
factor that makes ±σ a 68 % interval for few samples.

Where a slow fluctuation hides under a fast one (the temperature of a two-phase box: kinetic noise on top of wandering
interfaces) the sequence is cut off too early. The scatter of a few long blocks (Flyvbjerg & Petersen, J. Chem. Phys.
91, 461 (1989)), with Student's factor, is the second opinion, and the larger of the two errors counts. The coverage,
measured by tests/statistical, is 0.5 to 0.6 for a run of few slow correlation times and 0.72 for a long one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student_t

from phasecal.errors import ConvergenceError, DataError

MIN_INDEPENDENT = 4.0
"""Fewer independent samples than this give no interval."""
FEWEST_BLOCKS = 6
"""Longest blocks of :func:`block_plateau`: the variance of fewer blocks is too uncertain."""
FEW_BLOCKS = 4
"""Blocks of the second opinion on an error: as long as can be, and enough of them for Student's factor to be small."""
_ONE_SIGMA = 0.8413447460685429
"""Cumulative probability of a normal variable at +1σ."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its error.

    Attributes:
        value: Mean, in the unit of the series.
        sigma: Half-width of the 68 % interval; positive.
        n_effective: Number of independent samples.
        inefficiency: Correlated samples per independent one.
    """

    value: float
    sigma: float
    n_effective: float
    inefficiency: float

    def to_dict(self) -> dict[str, float]:
        """Return the estimate as plain numbers."""
        return asdict(self)


def statistical_inefficiency(*series: ArrayLike) -> float:
    """Number of correlated samples that are worth one independent sample.

    Args:
        *series: Equidistant samples, each of shape (n_samples,). Several series are independent measurements of one
            quantity (replicas): deviations are taken from their common mean, so that replicas which disagree count as
            one slow fluctuation.

    Returns:
        g ≥ 1, at most half of the total number of samples.

    Raises:
        DataError: Fewer than 4 samples, not finite, or constant.
    """
    checked = [_checked(one) for one in series]
    n = sum(len(one) for one in checked)
    longest = max(len(one) for one in checked)
    mean = sum(float(one.sum()) for one in checked) / n
    products, counts = np.zeros(longest), np.zeros(longest)
    for one in checked:
        spectrum = np.fft.rfft(one - mean, 2 * longest)
        products += np.fft.irfft(np.abs(spectrum) ** 2)[:longest]
        counts += np.maximum(len(one) - np.arange(longest), 0)
    correlation = products / counts * counts[0] / products[0]
    pairs = correlation[: longest // 2 * 2].reshape(-1, 2).sum(axis=1)
    g = 1.0
    for _ in range(50):
        bias = min(g / n, 0.5)
        unbiased = pairs * (1 - bias) + 2 * bias
        ends = np.nonzero(pairs <= 2 * bias)[0]
        positive = unbiased[: ends[0] if len(ends) else None]
        previous, g = g, float(np.clip(2 * np.minimum.accumulate(positive).sum() - 1, 1.0, n / 2))
        if abs(g - previous) < 1e-3 * g:
            break
    return g


def block_errors(series: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Error of the mean from averages of blocks, for block lengths that double as long as 6 blocks are left.

    The errors grow with the length until blocks are independent: the plateau is the error.

    Args:
        series: Equidistant samples, shape (n_samples,).

    Returns:
        Block lengths in samples, and standard errors of the mean in the unit of the series, each of shape (n_lengths,).

    Raises:
        DataError: Fewer than 12 samples, not finite, or constant.
    """
    x = _checked(series, at_least=2 * FEWEST_BLOCKS)
    lengths = 2 ** np.arange(int(np.log2(len(x) // FEWEST_BLOCKS)) + 1)
    errors = []
    for length in lengths:
        n_blocks = len(x) // length
        blocks = x[: n_blocks * length].reshape(n_blocks, length).mean(axis=1)
        errors.append(float(blocks.std(ddof=1)) / n_blocks**0.5)
    return lengths, np.array(errors)


def block_plateau(series: ArrayLike) -> float:
    """Return the largest of the :func:`block_errors`: error of the mean of a series of shape (n_samples,)."""
    return float(block_errors(series)[1].max())


def mean_with_error(*series: ArrayLike, discard: int = 0, at_least: float = MIN_INDEPENDENT) -> Estimate:
    """Mean of a correlated series, or of several independent ones of the same quantity.

    Args:
        *series: Equidistant samples, each of shape (n_samples,); see :func:`statistical_inefficiency`.
        discard: Number of leading samples of every series to leave out.
        at_least: Number of independent samples below which there is no estimate.

    Raises:
        DataError: Too few samples, not finite, or constant (no interval is ever 0).
        ConvergenceError: Fewer than ``at_least`` independent samples.
    """
    kept = [_checked(np.asarray(one, dtype=np.float64)[discard:]) for one in series]
    x = np.concatenate(kept)
    g = statistical_inefficiency(*kept)
    n_effective = len(x) / g
    if n_effective < at_least:
        raise ConvergenceError(
            f"only {n_effective:.1f} independent samples in {len(x)} (one per {g:.0f}); the run is too short"
        )
    sigma = float(x.std(ddof=1)) / (n_effective - 1) ** 0.5 * student_factor(n_effective - 1)
    return Estimate(float(x.mean()), max(sigma, _error_of_blocks(kept)), n_effective, g)


def _error_of_blocks(series: Sequence[NDArray[np.float64]]) -> float:
    """Error of the mean from a few long blocks of about equal length, as the half-width of a 68 % interval."""
    length = sum(len(one) for one in series) / max(FEW_BLOCKS, len(series))
    blocks = [block for one in series for block in np.array_split(one, max(1, round(len(one) / length)))]
    means = np.array([block.mean() for block in blocks])
    return float(means.std(ddof=1) / len(means) ** 0.5) * student_factor(len(means) - 1)


def student_factor(degrees_of_freedom: float) -> float:
    """How much wider than 1σ the 68 % interval is when σ itself comes from few independent samples."""
    return float(student_t.ppf(_ONE_SIGMA, degrees_of_freedom))


def combine(estimates: Sequence[Estimate]) -> Estimate:
    """Mean of independent estimates of one quantity, weighted by 1/σ².

    When they scatter more than their errors allow (χ² per degree of freedom above 1) the error is widened by
    the Birge ratio √(χ²/(n − 1)).

    Args:
        estimates: At least one.

    Raises:
        DataError: No estimates, or one whose σ is not positive.
    """
    values = np.array([estimate.value for estimate in estimates])
    sigmas = np.array([estimate.sigma for estimate in estimates])
    if not len(values) or not (sigmas > 0).all() or not np.isfinite(values).all():
        raise DataError(f"cannot combine estimates {values.tolist()} with errors {sigmas.tolist()}")
    weights = sigmas**-2 / np.sum(sigmas**-2)
    value = float(weights @ values)
    birge = float(np.sqrt(chi_squared(estimates) / max(len(values) - 1, 1)))
    n_effective = float(sum(estimate.n_effective for estimate in estimates))
    inefficiency = float(np.mean([estimate.inefficiency for estimate in estimates]))
    return Estimate(value, float(np.sum(sigmas**-2) ** -0.5) * max(1.0, birge), n_effective, inefficiency)


def chi_squared(estimates: Sequence[Estimate]) -> float:
    """Σ (value − weighted mean)²/σ² of independent estimates."""
    values = np.array([estimate.value for estimate in estimates])
    weights = np.array([estimate.sigma for estimate in estimates]) ** -2
    return float(weights @ (values - weights @ values / weights.sum()) ** 2)


def _checked(series: ArrayLike, at_least: int = 4) -> NDArray[np.float64]:
    """The series as float64, or a DataError when nothing can be said about it."""
    x = np.asarray(series, dtype=np.float64)
    if x.ndim != 1 or len(x) < at_least:
        raise DataError(f"a series of at least {at_least} samples is needed, got shape {x.shape}")
    if not np.isfinite(x).all():
        raise DataError("the series is not finite")
    if np.ptp(x) <= 1e-12 * np.abs(x).max():
        raise DataError("the series is constant: an interval of 0 would be wrong")
    return x
