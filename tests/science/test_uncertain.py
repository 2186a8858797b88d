"""Numbers with errors that have names: shared ones are correlated."""

from __future__ import annotations

import math

import numpy as np
import pytest

from phasecal.calibration.uncertain import Uncertain, covariance


def test_errors_from_a_shared_source_are_correlated():
    a = Uncertain(1.0, {"anchor": 0.3, "x": 0.4})
    b = Uncertain(2.0, {"anchor": -0.3, "y": 0.1})
    assert a.sigma == pytest.approx(0.5)
    assert (a + b).sigma == pytest.approx(math.hypot(0.4, 0.1))
    assert (a - b).value == -1.0
    assert (a - b).sigma_of("anchor") == pytest.approx(0.6)
    assert covariance([a, b]) == pytest.approx(np.array([[0.25, -0.09], [-0.09, 0.1]]))
    assert a.scaled(-2.0).parts["x"] == pytest.approx(-0.8)
