"""One step in the parameters: minimal-change Gauss–Newton, or Adam as in the published method.

Sources: Thaler & Zavadlav, Nat. Commun. 12, 6884 (2021) and Fuchs & Zavadlav, arXiv 2512.03974 (Adam on reweighted
averages until N_eff falls); Kingma & Ba, arXiv 1412.6980. The Gauss–Newton step with protected rows and a trust region
in sd(βΔU) is this project's: a few constraints on many parameters are a linear problem, and the trust region, not the
optimiser, sets the number of rounds.

Both methods obey the same rules: protected values come back to their original values within tolerance (re-evaluated,
not linearised), and no phase is moved further than its frames can carry. Both move only part of the way if they must:
sample the next model and step again.

Limits: the trust region knows the frames of the current model only; a phase that loses its stability under the next
model is noticed when it is sampled, not before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import optax  # type: ignore[import-untyped]  # optax has no type hints
from numpy.typing import NDArray

import phasecal.potentials.base  # noqa: F401 - JAX in float64, also for optax
from phasecal.difftre.jacobian import PhaseRows, difference
from phasecal.difftre.minimal_change import MinimalChange
from phasecal.difftre.problem import Moved, Problem, Step, forecasts, outcome
from phasecal.errors import ConvergenceError, InputError, OverlapError

MIN_FREEDOM = 0.01
"""Least part of a target's leverage that protected values must leave for a step to be affordable."""

_SECOND_ORDER = 4
"""Solves of a step; each aims for what the one before is forecast to miss in second order."""
_MAX_RESTORE = 25
_MAX_SHRINK = 25

FloatArray = NDArray[np.float64]


class StepMethod(Protocol):
    """A way to choose the next parameters."""

    def step(self, problem: Problem) -> Step:
        """Return the next parameters.

        Raises:
            InputError: The protected values leave no freedom to reach a target.
            ConvergenceError: Protected values cannot be brought back to their original values.
            OverlapError: Even the smallest step leaves the frames behind.
        """


@dataclass(frozen=True)
class GaussNewton:
    """The smallest change that removes the residuals, shortened to what the frames can carry.

    ΔG also changes in second order, by −β var(ΔU)/2 of each phase, which does not cancel between them and does not get
    smaller with the residual where a change is made for many targets. So what the frames forecast beyond the first
    order is aimed for too, by a few more solves.

    Attributes:
        max_sd: Largest sd(βΔU) of any phase between the current and the next model.
    """

    max_sd: float = 2.0

    def step(self, problem: Problem) -> Step:
        """Return the next parameters (see :class:`StepMethod`)."""
        space, deviation = _space(problem)
        rows = _target_rows(problem)
        _require_freedom(space, rows)
        wanted, residuals, covariance = _wanted_rows(problem, rows)
        prior = np.array([target.prior_ev for target in problem.targets])
        restoring = space.exact(-deviation)
        fraction, n_solves = 1.0, 0
        for _ in range(_MAX_SHRINK):
            aim = fraction * residuals - wanted @ restoring
            beyond = np.zeros(len(aim))
            for _ in range(_SECOND_ORDER):
                change = restoring + space.wanted(wanted, aim - beyond, covariance, prior)
                moved = problem.moved(problem.theta + change)
                n_solves += 1
                if not _largest_spread(moved) <= self.max_sd:
                    break
                beyond[: len(rows)] = forecasts(problem, moved) - wanted[: len(rows)] @ change
            if _largest_spread(moved) <= self.max_sd:
                change, n_corrections = _restore(problem, change)
                moved = problem.moved(problem.theta + change)
                n_solves += n_corrections
            largest = _largest_spread(moved)
            if largest <= self.max_sd:
                return outcome(problem, moved, fraction, n_solves)
            fraction *= min(0.95, 0.98 * self.max_sd / largest)
        raise OverlapError(
            f"no step keeps sd(βΔU) of every phase within {self.max_sd:g}: restoring the protected values alone "
            "changes the model too much for these frames; the models of this calibration do not share their original"
        )


@dataclass(frozen=True)
class Adam:
    """Gradient descent on reweighted targets, until the frames are used up or the targets are met.

    The loss is ΔGᵀ Σ⁻¹ ΔG plus the squared misses of soft values in units of their tolerances. Updates run
    along changes that leave the protected values alone to first order; at the end they are restored exactly.

    Attributes:
        learning_rate: Adam's step size, in the units of θ; halved until the first update is affordable.
        n_eff_floor: Effective fraction of the frames of any phase where it stops.
        max_updates: Where it stops at the latest.
    """

    learning_rate: float = 5e-4
    n_eff_floor: float = 0.4
    max_updates: int = 300

    def step(self, problem: Problem) -> Step:
        """Return the next parameters (see :class:`StepMethod`)."""
        space, deviation = _space(problem)
        _require_freedom(space, _target_rows(problem))
        start = problem.moved(problem.theta + space.exact(-deviation))
        for halvings in range(_MAX_SHRINK):
            end, n_updates = self._descend(problem, space, start, self.learning_rate / 2**halvings)
            if n_updates > 0 or _met(problem, end):
                break
        else:
            raise OverlapError(
                f"no update of Adam keeps the effective fraction of the frames above {self.n_eff_floor:g}; sample more "
                "frames"
            )
        change, _ = _restore(problem, end[0].theta - problem.theta)
        end = problem.moved(problem.theta + change)
        before = np.linalg.norm([target.delta_g_ev for target in problem.targets])
        after = np.linalg.norm(_delta_g(problem, end))
        return outcome(problem, end, float(np.clip(1 - after / before, 0, 1)) if before > 0 else 1.0, n_updates)

    def _descend(
        self, problem: Problem, space: MinimalChange, moved: tuple[Moved, ...], learning_rate: float
    ) -> tuple[tuple[Moved, ...], int]:
        """Update until the targets are met or the frames used up; return where, and the number of updates."""
        optimizer = optax.adam(learning_rate)
        memory = optimizer.init(moved[0].theta)
        for n_updates in range(self.max_updates):
            if _met(problem, moved):
                return moved, n_updates
            update, memory = optimizer.update(_loss_gradient(problem, moved), memory)
            proposal = problem.moved(moved[0].theta + space.along(np.asarray(update, dtype=np.float64)))
            if min(m.n_eff for m in proposal) < self.n_eff_floor:
                return moved, n_updates
            moved = proposal
        return moved, self.max_updates


def _largest_spread(moved: tuple[Moved, ...]) -> float:
    """Return the largest sd(βΔU) of all phases; nan, which no limit allows, if one phase has no finite energy."""
    return float(np.max([m.spread for m in moved]))


def _space(problem: Problem) -> tuple[MinimalChange, FloatArray]:
    """Return the space of changes, and the present deviation of the protected values."""
    if problem.protection is None:
        return MinimalChange.build(problem.root, np.zeros((0, len(problem.theta)))), np.zeros(0)
    deviation, rows = problem.protection.deviation(problem.theta)
    return MinimalChange.build(problem.root, rows), deviation


def _restore(problem: Problem, change: FloatArray) -> tuple[FloatArray, int]:
    """Correct a change by Newton's method until every protected value is back within its tolerance."""
    if problem.protection is None:
        return change, 0
    for n_iterations in range(_MAX_RESTORE):
        deviation, rows = problem.protection.deviation(problem.theta + change)
        if np.abs(deviation).max() <= 1.0:
            return change, n_iterations
        change = change + MinimalChange.build(problem.root, rows).exact(-deviation)
    raise ConvergenceError(
        f"protected values did not come back to those of the original model in {_MAX_RESTORE} corrections "
        f"({problem.protection.worst(deviation)}); protect fewer structures or train more parameters"
    )


def _target_rows(problem: Problem) -> list[PhaseRows]:
    """Return the rows of each target at the current parameters."""
    rows = [m.rows for m in problem.current]
    return [difference(rows[target.low], rows[target.high]) for target in problem.targets]


def _require_freedom(space: MinimalChange, rows: list[PhaseRows]) -> None:
    """Refuse targets that the protected values pin down."""
    for index, row in enumerate(rows):
        freedom = space.freedom(row.free_energy)
        if freedom < MIN_FREEDOM:
            raise InputError(
                f"target {index}: the {len(space.rows)} protected values leave {100 * freedom:.2g} % of the "
                "parameters' leverage on its ΔG, so no affordable change reaches it; train more parameters or protect "
                "fewer structures"
            )


def _wanted_rows(problem: Problem, rows: list[PhaseRows]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return rows, residuals and covariance of what is wanted: first the targets, then the soft values."""
    wanted = [row.free_energy for row in rows]
    residuals = [-target.delta_g_ev for target in problem.targets]
    variances = [0.0] * len(wanted)
    for target, row in zip(problem.targets, rows, strict=True):
        for soft, derivative in ((target.enthalpy, row.enthalpy), (target.volume, row.volume)):
            if soft is not None:
                wanted.append(derivative)
                residuals.append(soft.reference - soft.current)
                variances.append(soft.tolerance**2)
    covariance = np.diag(variances)
    covariance[: len(rows), : len(rows)] = problem.covariance
    return np.array(wanted), np.array(residuals), covariance


def _delta_g(problem: Problem, moved: tuple[Moved, ...]) -> FloatArray:
    """Return ΔG of the targets at changed parameters, eV/atom, by perturbation, shape (n_targets,)."""
    shifts = [m.shift_ev() for m in moved]
    return np.array([t.delta_g_ev + shifts[t.high] - shifts[t.low] for t in problem.targets])


def _met(problem: Problem, moved: tuple[Moved, ...]) -> bool:
    """Say whether every ΔG is a small part of its own error, below which an optimiser only fits noise."""
    return bool((np.abs(_delta_g(problem, moved)) <= 0.1 * np.sqrt(np.diag(problem.covariance))).all())


def _loss_gradient(problem: Problem, moved: tuple[Moved, ...]) -> FloatArray:
    """Return half the gradient of Adam's loss at changed parameters, shape (n_parameters,)."""
    pull = np.linalg.solve(problem.covariance, _delta_g(problem, moved))
    gradient = np.zeros_like(problem.theta)
    for index, target in enumerate(problem.targets):
        row = difference(moved[target.low].rows, moved[target.high].rows)
        gradient += pull[index] * row.free_energy
        for soft, name, derivative in (
            (target.enthalpy, "enthalpy_ev", row.enthalpy),
            (target.volume, "volume_a3", row.volume),
        ):
            if soft is not None:
                now, before = (
                    getattr(m[target.high], name) - getattr(m[target.low], name) for m in (moved, problem.current)
                )
                gradient += (soft.current + now - before - soft.reference) / soft.tolerance**2 * derivative
    return gradient
