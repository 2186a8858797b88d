"""Responses to the parameters against exact derivatives of the toy model."""

from __future__ import annotations

import numpy as np
import pytest

from phasecal.difftre.jacobian import difference, phase_rows
from phasecal.difftre.reweighting import weights
from phasecal.errors import DataError
from phasecal.potentials.base import energies, frames_from_sample, gradients
from phasecal.units import EV_PER_A3_IN_GPA

T = 1300.0
PRESSURE = 0.5
N_FRAMES = 1500


@pytest.fixture(scope="module")
def data(toy):
    """Frames of both phases with gradients, enthalpies and volumes."""
    rng = np.random.default_rng(1)
    exact = toy.Exact(np.zeros(9), pressure_gpa=PRESSURE)
    model = toy.make_model()
    result = {}
    for phase in ("fcc", "liquid"):
        sample = exact.sample(rng, phase, T, n_frames=N_FRAMES)
        frames = frames_from_sample(sample, 1.0)._replace(cutoff=model.cutoff)
        work = PRESSURE / EV_PER_A3_IN_GPA * frames.volumes
        result[phase] = (gradients(model, frames), energies(model, frames) + work, frames.volumes, frames)
    return result


def rows(entry, **kwargs):
    gradient, enthalpies, volumes, frames = entry
    return phase_rows(gradient, enthalpies, volumes, temperature_k=T, n_atoms=frames.n_atoms, **kwargs)


def averages(toy, theta, phase):
    """Exact G, H, V per atom of a phase."""
    exact = toy.Exact(theta, pressure_gpa=PRESSURE)
    h = 0.5
    ratio = [exact.free_energy(phase, t) / t for t in (T - h, T + h)]
    x = exact.grids[phase]
    log_density = exact.log_density(phase, T)
    density = np.exp(log_density - log_density.max())
    volume = (density * np.exp(x)).sum() / density.sum()
    return np.array([exact.free_energy(phase, T), -(T**2) * (ratio[1] - ratio[0]) / (2 * h), volume])


def exact_derivatives(toy, phase, theta=None):
    """Exact derivatives of G, H, V by θ, shape (3, n_parameters)."""
    theta = np.zeros(9) if theta is None else theta
    step = 1e-5
    return np.array(
        [(averages(toy, theta + d, phase) - averages(toy, theta - d, phase)) / (2 * step) for d in step * np.eye(9)]
    ).T


def bootstrap_sigmas(entry, n_copies=30):
    """Standard errors of the three rows from resampled frames."""
    rng = np.random.default_rng(2)
    gradient, enthalpies, volumes, frames = entry
    copies = []
    for _ in range(n_copies):
        take = rng.integers(0, N_FRAMES, N_FRAMES)
        row = rows((gradient[take], enthalpies[take], volumes[take], frames))
        copies.append([row.free_energy, row.enthalpy, row.volume])
    return np.std(copies, axis=0, ddof=1)


@pytest.mark.parametrize("phase", ["fcc", "liquid"])
def test_rows_are_the_exact_derivatives(toy, data, phase):
    row = rows(data[phase])
    sigma = bootstrap_sigmas(data[phase])
    z = (np.array([row.free_energy, row.enthalpy, row.volume]) - exact_derivatives(toy, phase)) / sigma
    assert np.abs(z).max() < 4.5  # 27 numbers, errors known to 13 %
    assert np.linalg.norm(row.free_energy_noise, axis=0) == pytest.approx(sigma[0], rel=0.5)


@pytest.mark.parametrize("phase", ["fcc", "liquid"])
def test_the_mean_gradient_alone_is_not_the_derivative_of_the_enthalpy(toy, data, phase):
    """Negative control: leaving out the response of the distribution is noticed."""
    row = rows(data[phase])
    z = (row.free_energy - exact_derivatives(toy, phase)[1]) / bootstrap_sigmas(data[phase])[1]
    assert np.abs(z).max() > 6


def test_weighted_rows_are_those_of_the_changed_model(toy, data):
    theta = np.zeros(9)
    theta[6] = 0.006
    gradient, enthalpies, volumes, frames = data["liquid"]
    changed = gradient @ theta
    row = rows((gradient, enthalpies + changed, volumes, frames), weights=weights(changed, T))
    want = exact_derivatives(toy, "liquid", theta)
    sigma = bootstrap_sigmas(data["liquid"])
    assert np.abs((row.free_energy - want[0]) / sigma[0]).max() < 5
    assert np.abs((row.volume - want[2]) / sigma[2]).max() < 5
    unweighted = rows((gradient, enthalpies + changed, volumes, frames))
    assert np.abs((unweighted.free_energy - want[0]) / sigma[0]).max() > 8


def test_fluctuation_is_the_variance_of_the_reduced_change(toy, data):
    gradient = data["fcc"][0]
    change = np.linspace(-1e-3, 1e-3, 9)
    row = rows(data["fcc"])
    assert np.square(row.fluctuation @ change).sum() == pytest.approx(
        np.var(gradient @ change, ddof=1) / (8.617333262e-5 * T) ** 2, rel=1e-9
    )


def test_difference_is_high_minus_low(data):
    low, high = rows(data["fcc"]), rows(data["liquid"])
    delta = difference(low, high)
    assert delta.free_energy == pytest.approx(high.free_energy - low.free_energy)
    assert np.square(delta.free_energy_noise).sum(axis=0) == pytest.approx(
        np.square(high.free_energy_noise).sum(axis=0) + np.square(low.free_energy_noise).sum(axis=0)
    )


def test_nonsense_is_refused():
    with pytest.raises(DataError, match="finite"):
        phase_rows(np.full((5, 2), np.nan), np.ones(5), np.ones(5), temperature_k=T, n_atoms=4)
    with pytest.raises(DataError, match="two or more"):
        phase_rows(np.ones((1, 2)), np.ones(1), np.ones(1), temperature_k=T, n_atoms=4)
