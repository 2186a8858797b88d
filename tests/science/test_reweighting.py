"""Reweighting of harmonic oscillators and Gaussian energies, where everything is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from phasecal.difftre import reweighting
from phasecal.errors import DataError, OverlapError
from phasecal.units import KB

T = 1200.0
KT = KB * T
N_OSCILLATORS = 300


def oscillators(rng, n_frames, stiffness):
    """Positions of independent oscillators with energy k x²/2, shape (n_frames, N_OSCILLATORS)."""
    return rng.normal(0.0, math.sqrt(KT / stiffness), (n_frames, N_OSCILLATORS))


def stiffer(x, before, after):
    """Energy change of each frame, eV."""
    return (after - before) * (x**2).sum(axis=1) / 2


def exact(before, after):
    """Free-energy change, eV."""
    return N_OSCILLATORS * KT / 2 * math.log(after / before)


def test_perturbation_gives_the_known_free_energy():
    rng = np.random.default_rng(1)
    z = []
    for _ in range(40):
        x = oscillators(rng, 400, 2.0)
        value, sigma = reweighting.perturbation(stiffer(x, 2.0, 2.1), T)
        z.append((value - exact(2.0, 2.1)) / sigma)
    assert abs(np.mean(z)) < 4 / math.sqrt(40)
    assert 0.7 < np.std(z) < 1.35


def test_the_forecast_is_close_where_it_is_used():
    rng = np.random.default_rng(2)
    delta_u = stiffer(oscillators(rng, 4000, 2.0), 2.0, 2.3)
    assert 1.5 < reweighting.spread(delta_u, T) < 2.2
    assert reweighting.cumulant(delta_u, T) == pytest.approx(exact(2.0, 2.3), abs=0.3 * KT)


def test_reweighted_mean_square_displacement():
    rng = np.random.default_rng(3)
    x = oscillators(rng, 3000, 2.0)
    values = (x**2).mean(axis=1)
    mean = reweighting.reweighted_mean(values, stiffer(x, 2.0, 2.1), T)
    assert mean == pytest.approx(KT / 2.1, abs=4 * 1.3 * values.std() / math.sqrt(3000))
    assert abs(values.mean() - KT / 2.1) > 10 * values.std() / math.sqrt(3000)


@pytest.mark.parametrize("sd", [0.0, 0.5, 1.0, 1.5])
def test_effective_fraction_of_gaussian_energies(sd):
    delta_u = np.random.default_rng(4).normal(0.0, sd * KT, 200_000)
    fraction = reweighting.effective_fraction(reweighting.weights(delta_u, T))
    assert fraction == pytest.approx(math.exp(-(sd**2) / 2), rel=0.03)


def test_weights_do_not_care_for_offsets_or_overflow():
    delta_u = np.random.default_rng(5).normal(0.0, KT, 100)
    w = reweighting.weights(delta_u, T)
    assert w.sum() == pytest.approx(1.0)
    assert reweighting.weights(delta_u + 5e4, T) == pytest.approx(w, rel=1e-6)
    value, _ = reweighting.perturbation(delta_u + 5e4, T)
    assert value - 5e4 == pytest.approx(reweighting.perturbation(delta_u, T)[0], abs=1e-9)


def test_a_huge_distance_in_one_shot_is_refused():
    rng = np.random.default_rng(6)
    delta_u = stiffer(oscillators(rng, 400, 2.0), 2.0, 3.5)
    with pytest.raises(OverlapError, match="smaller step or sample again"):
        reweighting.perturbation(delta_u, T)
    with pytest.raises(OverlapError):
        reweighting.reweighted_mean(delta_u, delta_u, T)


def test_without_the_floor_it_would_be_wrong_by_many_sigma():
    """Negative control: what the refusal protects from."""
    rng = np.random.default_rng(7)
    delta_u = stiffer(oscillators(rng, 400, 2.0), 2.0, 3.5)
    value, sigma = reweighting.perturbation(delta_u, T, n_eff_floor=0.0)
    assert abs(value - exact(2.0, 3.5)) > 5 * sigma


def test_energies_that_are_not_finite_are_refused():
    with pytest.raises(DataError, match="finite"):
        reweighting.weights(np.array([0.0, np.nan]), T)
