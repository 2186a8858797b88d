"""Which change of a potential is the smallest: at the same effect on ΔG, the functional metric changes forces less."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from phasecal.difftre.problem import PhaseState, Problem, Target, forecasts
from phasecal.difftre.steps import GaussNewton
from phasecal.observables.cold import ColdState, protected_rows
from phasecal.potentials.base import force_jacobian, forces, frames_from_atoms
from phasecal.potentials.moment_network import MomentNetworkModel
from phasecal.potentials.prepared import prepare

DELTA_G = 0.005
"""What the step has to remove, eV/atom."""


def crystal(rng):
    atoms = bulk("Ti", "bcc", a=3.3, cubic=True) * (2, 2, 2)
    atoms.positions += rng.normal(0, 0.2, (16, 3))
    return atoms


def disorder(rng):
    """Random positions on a coarse mesh, 6 % wider."""
    sites = rng.permutation(27)[:16]
    mesh = np.array(np.unravel_index(sites, (3, 3, 3))).T
    return Atoms("Ti16", positions=2.25 * mesh + rng.normal(0, 0.15, (16, 3)), cell=[6.75] * 3, pbc=True)


@pytest.fixture(scope="module")
def case():
    """A small network, and frames of two phases: for the step, and others to look at."""
    model = MomentNetworkModel.initial(["Ti"], 4.5, [[1.6]], n_radial=2, n_basis=4, hidden=(6,), seed=2)
    rng = np.random.default_rng(3)
    batches = [frames_from_atoms([make(rng) for _ in range(24)], ["Ti"], 4.5) for make in (crystal, disorder)]
    z = np.sinh(np.concatenate([invariants(model, frames) for frames in batches]))
    model = replace(model, mean=z.mean(axis=0)[None], scale=z.std(axis=0)[None])  # as a fit does
    return model, [batch.take(slice(0, 12)) for batch in batches], [batch.take(slice(12, None)) for batch in batches]


def invariants(model, frames):
    """What the networks see of every atom of some frames."""
    columns = (frames.positions, frames.cells, frames.neighbors, frames.shifts)
    return np.concatenate(
        [
            model.energy_function.features(positions, cell, frames.species, neighbors, shifts)[0]
            for positions, cell, neighbors, shifts in zip(*columns, strict=True)
        ]
    )


def problem(model, batches, prior):
    states = []
    for name, frames in zip(("bcc", "liquid"), batches, strict=True):
        ready = prepare(model, frames)
        current = ready.energies(model.theta)
        states.append(PhaseState(name, 2000.0, 0.0, 16, frames.volumes, current, ready.energies, ready.gradients))
    rows = [force_jacobian(model, frames) for frames in batches]
    rows = np.concatenate([part / np.sqrt(len(part) * len(rows)) for part in rows])
    target = Target(0, 1, DELTA_G, prior_ev=0.02)
    return Problem(model.theta, tuple(states), (target,), np.array([[1e-10]]), rows, prior=prior)


def test_at_equal_effect_the_functional_prior_changes_forces_less_than_the_identity(case):
    model, used, others = case
    changes, lengths = {}, {}
    for prior in ("functional", "identity"):
        task = problem(model, used, prior)
        step = GaussNewton(max_sd=50.0).step(task)
        change = step.theta - model.theta
        assert step.fraction == 1.0
        assert forecasts(task, task.moved(step.theta)) == pytest.approx([-DELTA_G], rel=1e-4)
        moved = [forces(model, frames, step.theta) - forces(model, frames) for frames in others]
        changes[prior] = np.sqrt(np.mean([np.mean(force**2) for force in moved]))
        lengths[prior] = np.linalg.norm(change)
    assert changes["functional"] < 0.8 * changes["identity"]
    assert lengths["identity"] < lengths["functional"]  # and each is the smallest in its own sense


def test_rows_by_forces_or_by_parameters_are_the_same(case):
    model, (frames, _), _ = case
    few = frames.take(slice(0, 1))
    small = replace(model, hidden=(2,), theta=np.random.default_rng(1).normal(size=14 * 2 + 2 + 2))
    assert small.theta.size < 3 * few.n_atoms < model.theta.size
    for version in (small, model):
        jacobian, step = force_jacobian(version, few), 1e-4
        direction = np.random.default_rng(2).normal(size=version.theta.size)
        pair = [forces(version, few, version.theta + sign * step * direction) for sign in (1, -1)]
        change = (pair[0] - pair[1]) / (2 * step)
        assert np.mean((jacobian @ direction) ** 2) == pytest.approx(np.mean(change**2), rel=1e-5)


def test_some_components_of_the_forces_stand_for_all(case):
    model, (frames, _), _ = case
    assert model.theta.size > 3 * frames.n_atoms
    whole, some = (force_jacobian(model, frames, n_components=n) for n in (None, 12))
    assert (len(whole), len(some)) == (3 * frames.n_atoms * frames.n_frames, 12 * frames.n_frames)
    direction = np.random.default_rng(2).normal(size=model.theta.size)
    assert np.mean((some @ direction) ** 2) == pytest.approx(np.mean((whole @ direction) ** 2), rel=0.3)


def test_cold_rows_by_numbers_or_by_parameters_are_the_same(case):
    model, atoms = case[0], bulk("Ti", "hcp", a=2.95, c=4.68)
    state = ColdState(atoms, 0.0, 1.0, 0.0)
    assert model.theta.size > 1 + 9 + 81
    rows = protected_rows(model, state, "phase")
    step = 1e-5
    for parameter in (0, 50, model.theta.size - 1):
        unit = step * np.eye(model.theta.size)[parameter]
        up, down = (protected_rows(model, state, "phase", model.theta + sign * unit).values for sign in (1, -1))
        assert rows.jacobian[:, parameter] == pytest.approx((up - down) / (2 * step), rel=1e-4, abs=1e-6)
