"""Numbers whose errors remember where they come from, so that sums and covariances are right.

Errors propagate linearly. Each independent source (an anchor, the enthalpy of a sample, the MBAR of a phase)
has a name; two numbers that share a source are correlated through it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Uncertain:
    """A number with its errors.

    Attributes:
        value: The number.
        parts: Signed standard error from each independent source, in the unit of the number.
    """

    value: float
    parts: Mapping[str, float] = field(default_factory=dict)

    def __add__(self, other: Uncertain) -> Uncertain:
        sources = dict.fromkeys([*self.parts, *other.parts])
        return Uncertain(
            self.value + other.value,
            {source: self.parts.get(source, 0.0) + other.parts.get(source, 0.0) for source in sources},
        )

    def __sub__(self, other: Uncertain) -> Uncertain:
        return self + other.scaled(-1.0)

    def scaled(self, factor: float) -> Uncertain:
        """Return the number and its errors times an exact factor."""
        return Uncertain(factor * self.value, {source: factor * part for source, part in self.parts.items()})

    @property
    def sigma(self) -> float:
        """Standard deviation from all sources."""
        return math.hypot(*self.parts.values())

    def sigma_of(self, prefix: str) -> float:
        """Return the standard deviation from the sources whose name begins with ``prefix``."""
        return math.hypot(*(part for source, part in self.parts.items() if source.startswith(prefix)))


def correlated(values: NDArray[np.float64], covariance: NDArray[np.float64], name: str) -> list[Uncertain]:
    """Return numbers with a known covariance matrix, as sums of its independent parts (eigenvectors).

    Args:
        values: The numbers, shape (n_numbers,).
        covariance: Their covariance, shape (n_numbers, n_numbers).
        name: What the sources of their errors begin with; one that no other numbers have.
    """
    variances, vectors = np.linalg.eigh(covariance)
    parts = vectors * np.sqrt(np.maximum(variances, 0.0))
    return [
        Uncertain(float(value), {f"{name}:{i}": float(part) for i, part in enumerate(row)})
        for value, row in zip(values, parts, strict=True)
    ]


def covariance(numbers: Sequence[Uncertain]) -> NDArray[np.float64]:
    """Return the covariance matrix of numbers, shape (n_numbers, n_numbers)."""
    sources = sorted({source for number in numbers for source in number.parts})
    parts = np.array([[number.parts.get(source, 0.0) for source in sources] for number in numbers])
    return np.asarray(parts @ parts.T)


def weighted_sum(numbers: Sequence[Uncertain], weights: Sequence[float] | NDArray[np.float64]) -> Uncertain:
    """Return Σ weight × number."""
    total = Uncertain(0.0)
    for weight, number in zip(weights, numbers, strict=True):
        total = total + number.scaled(float(weight))
    return total


def combine(numbers: Sequence[Uncertain]) -> tuple[Uncertain, float]:
    """Return the best linear unbiased estimate from several of one number, and their χ² (Aitken 1935).

    Args:
        numbers: At least one; each has an independent error, else the covariance is singular.

    Returns:
        The estimate, which keeps its sources, and the sum of squared misses in units of the errors, with one degree of
        freedom less than there are numbers.
    """
    scales = np.array([number.sigma for number in numbers])  # so that the solution does not depend on the unit
    inverse = np.linalg.inv(covariance(numbers) / np.outer(scales, scales)) / np.outer(scales, scales)
    weights = inverse.sum(axis=0) / inverse.sum()
    best = weighted_sum(numbers, weights)
    misses = np.array([number.value - best.value for number in numbers])
    return best, float(misses @ inverse @ misses)
