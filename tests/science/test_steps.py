"""Both kinds of step on phases with Gaussian energies, where the change of ΔG is known for any parameters."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from phasecal.difftre.minimal_change import MinimalChange, metric_root
from phasecal.difftre.problem import PhaseState, Problem, SoftValue, Target
from phasecal.difftre.steps import Adam, GaussNewton
from phasecal.errors import ConvergenceError, InputError, OverlapError
from phasecal.units import KB

T = 1200.0
KT = KB * T
N_ATOMS = 200
N_PARAMETERS = 6
N_FRAMES = 150


@dataclass(frozen=True)
class LinearPhase:
    """A phase whose U = U₀ + f·θ with Gaussian features f per frame: G is known to second order, and exactly."""

    mean: np.ndarray
    spread: np.ndarray

    def state(self, rng, theta):
        features = N_ATOMS * self.mean + N_ATOMS**0.5 * rng.normal(size=(N_FRAMES, N_PARAMETERS)) * self.spread
        base = rng.normal(0.0, 3.0, N_FRAMES)
        volumes = N_ATOMS * 12.0 + rng.normal(0.0, 10.0, N_FRAMES)
        return PhaseState(
            phase="x",
            temperature_k=T,
            pressure_gpa=0.0,
            n_atoms=N_ATOMS,
            volumes=volumes,
            current=base + features @ theta,
            energies=lambda t: base + features @ t,
            gradients=lambda t: features,
        )

    def shift_ev(self, change):
        """Exact change of G per atom."""
        return self.mean @ change - (self.spread**2 @ change**2) / (2 * KT)


LOW = LinearPhase(np.array([1.0, 0.5, -0.2, 0.3, 0.0, 0.1]), np.full(N_PARAMETERS, 0.8))
HIGH = LinearPhase(np.array([0.2, 0.9, 0.4, 0.3, 0.5, -0.3]), np.full(N_PARAMETERS, 0.8))


def make_problem(delta_g=-0.004, *, seed=1, sigma=2e-4, protection=None, theta=None, soft=False):
    rng = np.random.default_rng(seed)
    theta = np.zeros(N_PARAMETERS) if theta is None else theta
    target = Target(
        low=0,
        high=1,
        delta_g_ev=delta_g,
        prior_ev=0.012,
        enthalpy=SoftValue(0.1, 0.1, 0.002) if soft else None,
        volume=SoftValue(0.6, 0.6, 0.05) if soft else None,
    )
    return Problem(
        theta=theta,
        states=(LOW.state(rng, theta), HIGH.state(rng, theta)),
        targets=(target,),
        covariance=np.array([[sigma**2]]),
        force_rows=np.diag(np.sqrt(np.linspace(0.5, 2.0, N_PARAMETERS))),
        protection=protection,
    )


def true_delta_g(problem, theta):
    change = theta - problem.theta
    return problem.targets[0].delta_g_ev + HIGH.shift_ev(change) - LOW.shift_ev(change)


@dataclass(frozen=True)
class Rows:
    """Protected values A θ + curvature·(c·θ)², in units of their tolerances."""

    matrix: np.ndarray
    curvature: float = 0.0

    def deviation(self, theta):
        bend = self.curvature * (theta @ theta) ** 2
        slope = 4 * self.curvature * (theta @ theta) * theta
        return self.matrix @ theta + bend, self.matrix + slope

    def worst(self, deviation):
        return f"row {np.abs(deviation).argmax()}"


PROTECTED = Rows(1e6 * np.array([[1.0, 0.4, 0.0, 0.0, 0.2, 0.0], [0.0, 0.3, 1.0, 0.0, 0.0, 0.5]]))


@pytest.mark.parametrize("method", [GaussNewton(max_sd=2.0), Adam(learning_rate=2e-4)])
def test_both_steps_reduce_the_same_residual(method):
    problem = make_problem()
    step = method.step(problem)
    assert abs(true_delta_g(problem, step.theta)) < 0.2 * 0.004
    assert step.delta_g_ev[0] == pytest.approx(true_delta_g(problem, step.theta), abs=5 * step.delta_g_sigma_ev[0])
    assert step.fraction > 0.8


@pytest.mark.parametrize("method", [GaussNewton(), Adam(learning_rate=2e-4)])
def test_steps_go_the_right_way_for_either_sign(method):
    """Negative control in itself: a wrong sign of the rows would double the residual."""
    for delta_g in (-0.003, 0.003):
        problem = make_problem(delta_g)
        assert abs(true_delta_g(problem, method.step(problem).theta)) < abs(delta_g) / 4


def test_gauss_newton_takes_the_cheapest_way():
    problem = make_problem()
    change = GaussNewton().step(problem).theta
    row = problem.current[1].rows.free_energy - problem.current[0].rows.free_energy
    metric = problem.root @ problem.root.T
    best = np.linalg.solve(metric, row)
    cosine = change @ metric @ best
    cosine /= np.sqrt((change @ metric @ change) * (best @ metric @ best))
    assert cosine == pytest.approx(1.0, abs=1e-4)


def test_gauss_newton_aims_for_the_second_order_too():
    """A phase whose energies fluctuate more gains more from any change: linear rows alone would miss by half of it."""
    rng, wide = np.random.default_rng(4), replace(HIGH, spread=np.full(N_PARAMETERS, 3.0))
    problem = make_problem(sigma=1e-6)
    problem = replace(problem, states=(problem.states[0], wide.state(rng, problem.theta)))
    step = GaussNewton().step(problem)
    change = step.theta - problem.theta
    first = (problem.current[1].rows.free_energy - problem.current[0].rows.free_energy) @ change
    second = step.delta_g_ev[0] - problem.targets[0].delta_g_ev - first
    assert second < -3e-4
    assert abs(step.delta_g_ev[0]) < 0.05 * abs(second)
    exact = wide.shift_ev(change) - LOW.shift_ev(change) + problem.targets[0].delta_g_ev
    assert abs(exact) < 5 * step.delta_g_sigma_ev[0]


def test_the_trust_region_shortens_a_long_way():
    problem = make_problem(-0.08)
    step = GaussNewton(max_sd=1.0).step(problem)
    assert 0.9 < step.spreads.max() <= 1.0
    assert 0.02 < step.fraction < 0.6
    assert abs(true_delta_g(problem, step.theta)) < 0.08


def test_adam_stops_where_the_frames_end():
    problem = make_problem(-0.08)
    step = Adam(learning_rate=5e-4, n_eff_floor=0.4).step(problem)
    assert 0.35 < step.n_eff.min() < 0.8
    assert 0.0 < step.fraction < 1.0
    assert abs(true_delta_g(problem, step.theta)) < 0.08


def test_adam_halves_a_learning_rate_that_is_too_large():
    problem = make_problem(-0.01)
    step = Adam(learning_rate=1.0).step(problem)
    assert step.n_eff.min() >= 0.4
    assert abs(true_delta_g(problem, step.theta)) < 0.01


def test_rounds_of_small_steps_arrive():
    for method in (GaussNewton(max_sd=0.7), Adam(learning_rate=5e-4, n_eff_floor=0.7)):
        theta, delta_g = np.zeros(N_PARAMETERS), -0.03
        for seed in range(30):
            problem = make_problem(delta_g, seed=seed, theta=theta)
            step = method.step(problem)
            delta_g, theta = true_delta_g(problem, step.theta), step.theta
            if abs(delta_g) < 4e-4:
                break
        assert abs(delta_g) < 4e-4
        assert seed > 1


@pytest.mark.parametrize("method", [GaussNewton(), Adam(learning_rate=2e-4)])
def test_protected_values_stay_exactly(method):
    curved = replace(PROTECTED, curvature=3e9)
    for protection in (PROTECTED, curved):
        problem = make_problem(-0.003, protection=protection)
        theta = method.step(problem).theta
        assert np.abs(protection.deviation(theta)[0]).max() <= 1.0
        assert abs(true_delta_g(problem, theta)) < 0.0009
    unprotected = method.step(make_problem(-0.003)).theta
    assert np.abs(PROTECTED.deviation(unprotected)[0]).max() > 100


def test_protected_values_that_drifted_come_back_to_the_original():
    theta = np.array([1e-3, 0.0, -1e-3, 0.0, 0.0, 0.0])
    problem = make_problem(-0.002, protection=PROTECTED, theta=theta)
    assert np.abs(PROTECTED.deviation(theta)[0]).max() > 500
    assert np.abs(PROTECTED.deviation(GaussNewton().step(problem).theta)[0]).max() <= 1.0


def test_too_many_protected_values_are_refused():
    everything = Rows(np.vstack([np.eye(N_PARAMETERS), np.ones((2, N_PARAMETERS))]))
    for method in (GaussNewton(), Adam()):
        with pytest.raises(InputError, match="train more parameters or protect fewer"):
            method.step(make_problem(protection=everything))


def test_a_target_within_the_protected_values_is_refused():
    problem = make_problem()
    row = problem.current[1].rows.free_energy - problem.current[0].rows.free_energy
    with pytest.raises(InputError, match="target 0"):
        GaussNewton().step(replace(problem, protection=Rows(1e6 * row[None, :])))


def test_protected_values_that_cannot_come_back_are_an_error():
    @dataclass(frozen=True)
    class Stuck(Rows):
        def deviation(self, theta):
            values, slope = super().deviation(theta)
            return values + 50.0 * np.sign(values + 1e-300), slope

    with pytest.raises(ConvergenceError, match="did not come back"):
        GaussNewton().step(make_problem(protection=Stuck(PROTECTED.matrix)))


def test_protected_values_far_from_the_original_are_an_error():
    theta = np.array([0.3, 0.0, -0.3, 0.0, 0.0, 0.0])
    with pytest.raises(OverlapError, match="restoring the protected values alone"):
        GaussNewton(max_sd=0.5).step(make_problem(protection=PROTECTED, theta=theta))


def test_soft_values_hold_back_what_they_name():
    free, held = make_problem(-0.006), make_problem(-0.006, soft=True)
    changes = [GaussNewton(max_sd=5.0).step(problem).theta for problem in (free, held)]
    rows = [m.rows for m in free.current]
    enthalpy, volume = rows[1].enthalpy - rows[0].enthalpy, rows[1].volume - rows[0].volume
    assert abs(enthalpy @ changes[1]) < 0.5 * abs(enthalpy @ changes[0])
    assert abs(volume @ changes[1]) < 0.1
    for change in changes:
        assert abs(true_delta_g(free, change)) < 0.001


def test_conflicting_targets_are_weighed_by_their_errors():
    problem = make_problem()
    sharp, blunt = problem.targets[0], replace(problem.targets[0], delta_g_ev=0.004)
    both = replace(problem, targets=(sharp, blunt), covariance=np.diag([1e-4**2, 4e-4**2]))
    step = GaussNewton().step(both)
    moved = step.delta_g_ev[0] - sharp.delta_g_ev
    assert moved == pytest.approx(0.004 * (16 - 1) / (16 + 1), rel=0.05)


def test_nothing_to_do_changes_nothing():
    for method in (GaussNewton(), Adam()):
        step = method.step(make_problem(0.0))
        assert np.abs(step.theta).max() < 1e-12
        assert step.n_eff == pytest.approx([1.0, 1.0])


def test_minimal_change_takes_dependent_rows():
    row = np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0], [0.0, 0.0, 0.0]])
    space = MinimalChange.build(np.eye(3), row)
    assert space.fixed.shape == (3, 1)
    assert row @ space.exact(np.array([0.5, 1.0, 0.0])) == pytest.approx([0.5, 1.0, 0.0])
    assert space.along(np.array([1.0, 2.0, 3.0])) == pytest.approx([0.0, 0.0, 3.0])
    assert space.freedom(np.array([1.0, 2.0, 0.0])) == pytest.approx(0.0, abs=1e-12)
    assert space.freedom(np.array([2.0, -1.0, 5.0])) == pytest.approx(1.0)


def test_what_no_row_sees_costs_as_much_as_a_mean_row():
    rows = np.array([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    root = metric_root(rows.T @ rows, len(rows))
    assert root @ root.T == pytest.approx(np.diag([4.0, 1.0, 0.0]) + 2.5 * np.eye(3))
    many = np.tile(rows, (10_000, 1)) / 100
    assert metric_root(many.T @ many, len(many)) == pytest.approx(np.diag([2.0, 1.0, 0.0]), abs=0.02)


def test_a_phase_without_energies_far_away_shortens_the_step():
    """Negative control: Python's max() of 1 and nan is 1, and the step would be taken."""
    problem = make_problem()

    def energies(theta):
        values = problem.states[1].energies(theta)
        return values if np.abs(theta - problem.theta).max() < limit else np.full_like(values, np.nan)

    limit = np.inf
    states = (problem.states[0], replace(problem.states[1], energies=energies))
    whole = GaussNewton(max_sd=20.0).step(replace(problem, states=states))
    assert whole.fraction == 1.0
    limit = 0.6 * np.abs(whole.theta - problem.theta).max()
    step = GaussNewton(max_sd=20.0).step(replace(problem, states=states))
    assert np.isfinite(step.spreads).all()
    assert 0.3 < step.fraction < 0.7
