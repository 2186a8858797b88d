"""When the rounds of a calibration go on from a stage on the way, and when they stop."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from phasecal.calibration.stages import comes_near
from phasecal.calibration.stop import is_converged


@pytest.mark.parametrize(
    ("target", "boundary", "stage", "near"),
    [
        (1155.0, 1460.0, 1440.0, True),  # a quarter of the reach: 27 K
        (1155.0, 1480.0, 1440.0, False),
        (1155.0, 1350.0, 1440.0, True),  # past it
        (1700.0, 1350.0, 1440.0, False),
        (1700.0, 1600.0, 1440.0, True),
        (1440.0, 1350.0, 1440.0, False),  # the target itself is to be met
        (1440.0, 1600.0, 1440.0, False),
    ],
)
def test_a_stage_ends_near_it_or_past_it(target, boundary, stage, near):
    assert comes_near([target], [boundary], [stage], [0.075]) is near
    assert comes_near([target, 1000.0], [boundary, 1000.0], [stage, 1000.0], [0.075, 0.15]) is near
    assert not comes_near([target, 1000.0], [boundary, 1100.0], [stage, 1000.0], [0.075, 0.15])


def stops(off_k, chain_k, tolerance_k=2.0):
    """Whether rounds stop with targets that are missed by ``off_k``, at an error of the chain."""
    return is_converged(
        [
            SimpleNamespace(
                target=SimpleNamespace(temperature_k=1000.0),
                temperature=SimpleNamespace(value=1000.0 + off),
                chain=SimpleNamespace(sigma=chain_k),
            )
            for off in off_k
        ],
        tolerance_k,
    )


def test_rounds_stop_at_the_root_mean_square_of_what_is_missed():
    assert stops([1.9], 1.0) and stops([-3.9], 4.0)
    assert not stops([2.1], 1.0) and not stops([4.1], 4.0)
    assert stops([3.5, -1.0, 0.5, 1.0], 1.0)  # one outside, 1.9 K in the mean
    assert not stops([2.5] * 12, 1.0)  # all on one side, each within two tolerances
    assert not stops([6.5, *[0.0] * 30], 1.0)  # one far off, however good the others are


def test_of_twelve_targets_that_are_met_some_are_outside_and_rounds_stop():
    draws = np.random.default_rng(3).normal(0.0, 2.0, (400, 12))
    assert np.mean([stops(draw, 2.0) for draw in draws]) > 0.4
    assert np.mean((np.abs(draws) <= 2.0).all(axis=1)) < 0.03
    assert np.mean([stops(draw + 4.0, 2.0) for draw in draws]) < 0.01
