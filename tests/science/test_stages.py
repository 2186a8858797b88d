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


def stops(off_k, chain_k, tolerance_k=2.0, *, anchor_k=0.0, moves_k=None):
    """Whether rounds stop with targets missed by ``off_k``, at errors of chain and anchors, before a step."""
    estimates = [
        SimpleNamespace(
            target=SimpleNamespace(temperature_k=1000.0),
            temperature=SimpleNamespace(value=1000.0 + off, sigma=np.hypot(anchor_k, chain_k)),
            chain=SimpleNamespace(sigma=chain_k),
        )
        for off in off_k
    ]
    forecasts = None if moves_k is None else [1000.0 + off + move for off, move in zip(off_k, moves_k, strict=True)]
    return is_converged(estimates, tolerance_k, forecasts)


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


def test_rounds_stop_where_what_is_left_is_the_anchors_error_and_no_step_would_remove_it():
    left = {"off_k": [-86.0, 43.0], "chain_k": 2.0, "tolerance_k": 15.0}
    assert stops(**left, anchor_k=50.0, moves_k=[14.0, -7.0])
    assert not stops(**left, anchor_k=50.0, moves_k=[24.0, -7.0])  # the step still moves them
    assert not stops(**left, anchor_k=50.0)  # the step goes only part of its way
    assert not stops(**left, anchor_k=20.0, moves_k=[14.0, -7.0])  # a model that cannot reach its targets
