"""When the rounds of a calibration go on from a stage on the way."""

from __future__ import annotations

import pytest

from phasecal.calibration.stages import comes_near


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
