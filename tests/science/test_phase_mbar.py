"""One MBAR per phase against a crystal whose Gibbs energy is known for every model, temperature and pressure.

N atoms on springs in an elastic volume, U = K (u² of 3N coordinates)/2 + B (V − V₀)²/(2 V₀), both Gaussian, so that G
follows in closed form and frames can be drawn exactly.
"""

from __future__ import annotations

import numpy as np
import pytest

from phasecal.errors import DataError, OverlapError
from phasecal.freeenergy.phase_mbar import (
    PhaseSample,
    block_bootstrap,
    independent_frames,
    overlapping_groups,
    phase_free_energies,
    thermal_spread,
)
from phasecal.units import EV_PER_A3_IN_GPA, KB

N = 60
V0 = 12.0 * N
MODELS = ((6.0, 0.8), (6.6, 0.9), (7.2, 0.85))
"""Spring constant K, eV/Å², and bulk modulus B, eV/Å³, of each model."""


def exact(model, temperature, pressure):
    """βG of the configurations up to a constant: 3N springs and a Gaussian volume under pressure."""
    stiffness, bulk = MODELS[model]
    kT, p = KB * temperature, pressure / EV_PER_A3_IN_GPA
    springs = 1.5 * N * np.log(stiffness / kT)
    volume = p * V0 / kT - p**2 * V0 / (2 * bulk * kT) + 0.5 * np.log(bulk / (V0 * kT))
    return (springs + volume) / N


def sample(rng, state, n_frames=300, correlated=0.0):
    model, temperature, pressure = state
    stiffness, bulk = MODELS[model]
    kT, p = KB * temperature, pressure / EV_PER_A3_IN_GPA
    squares = kT / stiffness * rng.chisquare(3 * N, n_frames)
    volumes = V0 - p * V0 / bulk + np.sqrt(V0 * kT / bulk) * rng.normal(size=n_frames)
    if correlated:
        keep = np.cumsum(rng.random(n_frames) > correlated)
        squares, volumes = squares[keep % n_frames], volumes[keep % n_frames]
    energies = np.array([k * squares / 2 + b * (volumes - V0) ** 2 / (2 * V0) for k, b in MODELS])
    return PhaseSample(model, temperature, pressure, energies, volumes)


STATES = [(0, 1000.0, 0.0), (1, 1000.0, 0.0), (2, 1060.0, 0.0), (1, 1060.0, 0.0), (2, 1060.0, 1.0), (0, 1060.0, 0.0)]


def expected(states=STATES):
    values = np.array([exact(*state) for state in states])
    return values - values[0]


def test_all_states_at_once_in_any_order():
    rng = np.random.default_rng(1)
    z = []
    for _ in range(8):
        found = phase_free_energies([sample(rng, state) for state in STATES], N)
        z.append((found.phi - expected())[1:] / np.sqrt(np.diag(found.covariance))[1:])
    assert np.abs(z).max() < 4
    assert 0.6 < np.std(z) < 1.5
    change, sigma = found.change(1, 4)
    assert abs(change - (expected()[4] - expected()[1])) < 4 * sigma
    assert found.change(2, 2) == (0.0, 0.0)


def test_temperature_pressure_and_models_each_have_the_right_sign():
    """Negative control: any of the three signs or a missing PV would be off by many standard errors."""
    rng = np.random.default_rng(2)
    for end in ((0, 1040.0, 0.0), (0, 1000.0, 1.0), (1, 1000.0, 0.0)):
        states = [(0, 1000.0, 0.0), end]
        found = phase_free_energies([sample(rng, state, 2000) for state in states], N)
        change, sigma = found.change(0, 1)
        truth = expected(states)[1]
        assert abs(change - truth) < 4 * sigma
        assert abs(change + truth) > 20 * sigma


def test_block_bootstrap_agrees_also_for_correlated_frames():
    rng = np.random.default_rng(3)
    samples = [sample(rng, state, 600, correlated=0.7) for state in STATES[:3]]
    blocks = np.diag(block_bootstrap(samples, N))[1:]
    found = phase_free_energies(independent_frames(samples), N)
    assert (np.abs(np.log(np.sqrt(blocks / np.diag(found.covariance)[1:]))) < np.log(1.6)).all()
    # Negative control: all frames taken as independent ones.
    blind = phase_free_energies(samples, N)
    assert (np.sqrt(blocks / np.diag(blind.covariance)[1:]) > 1.4).all()


def test_the_thermal_spread_says_what_can_overlap():
    rng = np.random.default_rng(6)
    run = sample(rng, (0, 1000.0, 0.0), 2000)
    energies, volumes = run.energies[0], run.volumes
    for end in ((1060.0, 0.0), (1000.0, 2.0), (1060.0, 2.0)):
        other = PhaseSample(0, *end, run.energies, volumes)
        spread = np.std(other.reduced(run) - run.reduced(run))
        assert thermal_spread(energies, volumes, (1000.0, 0.0), end) == pytest.approx(spread, rel=1e-9)
    heat_capacity = 1.5 * N + 0.5
    found = thermal_spread(energies, volumes, (1000.0, 0.0), (1060.0, 0.0))
    assert found == pytest.approx((1 - 1000 / 1060) * np.sqrt(heat_capacity), rel=0.1)


def test_states_fall_into_groups_that_overlap():
    rng = np.random.default_rng(7)
    states = [(0, 1000.0, 0.0), (0, 3000.0, 0.0), (1, 1000.0, 0.0), (1, 3000.0, 0.0)]
    assert overlapping_groups([sample(rng, state) for state in states]).tolist() == [0, 1, 0, 1]


def test_missing_states_are_named():
    rng = np.random.default_rng(4)
    states = [(0, 1000.0, 0.0), (0, 3000.0, 0.0)]
    with pytest.raises(OverlapError, match=r"missing states: \d between model 0 at 1000 K .* and model 0 at 3000 K"):
        phase_free_energies([sample(rng, state) for state in states], N)


def test_the_error_knows_what_goes_with_the_mean_enthalpy():
    """The error of φ against the error of the mean enthalpy of each sample, over repeats."""
    rng = np.random.default_rng(8)
    states = [(0, 1000.0, 0.0), (0, 1100.0, 0.0)]
    shared, errors, means = [], [], []
    for _ in range(200):
        samples = [sample(rng, state, 100) for state in states]
        found = phase_free_energies(samples, N)
        shared.append(found.with_enthalpy[1])
        errors.append(found.change(0, 1)[0])
        means.append([one.reduced(one).mean() for one in samples])
    means = (means - np.mean(means, axis=0)) / np.std(means, axis=0)
    regression = (errors - np.mean(errors)) @ means / len(errors)
    assert regression == pytest.approx(np.mean(shared, axis=0), abs=4 * np.std(errors) / np.sqrt(200))
    assert (regression < -0.4 * np.std(errors)).all()


def test_a_state_twice_is_refused():
    rng = np.random.default_rng(5)
    with pytest.raises(DataError, match="exactly once"):
        phase_free_energies([sample(rng, STATES[0]), sample(rng, STATES[0])], N)
