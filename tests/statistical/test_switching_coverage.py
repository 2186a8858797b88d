"""The interval of a few switching repeats is honest: ±1σ covers the truth in 60–76 % of many trials."""

from __future__ import annotations

import numpy as np
import pytest

from phasecal.freeenergy.switching import mean_of_repeats
from phasecal.observables.statistics import student_factor

TRIALS = 1000


def coverage(n_repeats: int, factor: float) -> float:
    """Share of trials whose interval, times ``factor``, holds the true mean 0."""
    rng = np.random.default_rng(n_repeats)
    hits = 0
    for _ in range(TRIALS):
        mean, covariance = mean_of_repeats(rng.normal(size=(n_repeats, 1)))
        hits += abs(mean[0]) < factor * covariance[0, 0] ** 0.5
    return hits / TRIALS


@pytest.mark.parametrize("n_repeats", [2, 3, 5])
def test_one_sigma_covers(n_repeats):
    assert 0.63 < coverage(n_repeats, 1.0) < 0.73


def test_the_standard_error_of_two_repeats_does_not_cover():
    """Negative control: without Student's factor two repeats cover half, and this test must see it."""
    assert coverage(2, 1 / student_factor(1)) < 0.55
