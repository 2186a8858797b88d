"""What a step in the parameters starts from (phases, targets, protected values), and what it returns.

Everything about changed parameters follows from the frames of the current model by reweighting
(:class:`Moved`), so the same problem serves a linear solve (Gauss–Newton) and an iterative optimiser (Adam).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from phasecal.difftre import reweighting
from phasecal.difftre.jacobian import PhaseRows, phase_rows
from phasecal.difftre.minimal_change import metric_root
from phasecal.units import EV_PER_A3_IN_GPA

FloatArray = NDArray[np.float64]

Prior = Literal["functional", "identity"]


@dataclass(frozen=True)
class PhaseState:
    """Independent frames of one phase at one (T, P) under the current model.

    Attributes:
        phase: Name of the phase.
        temperature_k: Temperature, K.
        pressure_gpa: Pressure, GPa.
        n_atoms: Atoms in the cell.
        volumes: Volume of each frame, Å³, shape (n_frames,).
        current: Potential energy of each frame under the current model, eV, shape (n_frames,).
        energies: Potential energies of the frames at θ, eV, shape (n_frames,).
        gradients: ∂U/∂θ of the frames at θ, eV per unit of θ, shape (n_frames, n_parameters).
    """

    phase: str
    temperature_k: float
    pressure_gpa: float
    n_atoms: int
    volumes: FloatArray
    current: FloatArray
    energies: Callable[[FloatArray], FloatArray]
    gradients: Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Moved:
    """A phase at changed parameters, as seen through the frames of the current model.

    Attributes:
        state: The phase with its frames.
        theta: The changed parameters, shape (n_parameters,).
    """

    state: PhaseState
    theta: FloatArray

    @cached_property
    def delta_u(self) -> FloatArray:
        """U_θ − U_current of each frame, eV, shape (n_frames,)."""
        return self.state.energies(self.theta) - self.state.current

    @cached_property
    def weights(self) -> FloatArray:
        """Normalised weights of the frames, shape (n_frames,)."""
        return reweighting.weights(self.delta_u, self.state.temperature_k)

    @property
    def spread(self) -> float:
        """The distance sd(βΔU) from the current model."""
        return reweighting.spread(self.delta_u, self.state.temperature_k)

    @property
    def n_eff(self) -> float:
        """Effective fraction of the frames."""
        return reweighting.effective_fraction(self.weights)

    @property
    def forecast_ev(self) -> float:
        """Forecast of the change of G, eV/atom (second order)."""
        return reweighting.cumulant(self.delta_u, self.state.temperature_k) / self.state.n_atoms

    def shift_ev(self) -> float:
        """Return the change of G by perturbation, eV/atom; OverlapError where the frames do not carry it."""
        total, _ = reweighting.perturbation(self.delta_u, self.state.temperature_k)
        return total / self.state.n_atoms

    @cached_property
    def _enthalpies(self) -> FloatArray:
        """U + PV of the cell in each frame, eV, shape (n_frames,)."""
        pressure = self.state.pressure_gpa / EV_PER_A3_IN_GPA
        return self.state.current + self.delta_u + pressure * self.state.volumes

    @property
    def enthalpy_ev(self) -> float:
        """Mean U + PV, eV/atom."""
        return self._mean(self._enthalpies) / self.state.n_atoms

    @property
    def volume_a3(self) -> float:
        """Mean volume, Å³/atom."""
        return self._mean(self.state.volumes) / self.state.n_atoms

    def _mean(self, x: FloatArray) -> float:
        """Return the reweighted mean of one number per frame; OverlapError where the frames do not carry it."""
        return float(reweighting.reweighted_mean(x, self.delta_u, self.state.temperature_k))

    @cached_property
    def rows(self) -> PhaseRows:
        """Derivatives of G, H and V at the changed parameters."""
        return phase_rows(
            self.state.gradients(self.theta),
            self._enthalpies,
            self.state.volumes,
            temperature_k=self.state.temperature_k,
            n_atoms=self.state.n_atoms,
            weights=self.weights,
        )


@dataclass(frozen=True)
class SoftValue:
    """A quantity that should stay near a reference.

    Attributes:
        current: Its value under the current model.
        reference: Where it should stay.
        tolerance: Standard deviation that it may have from there, > 0.
    """

    current: float
    reference: float
    tolerance: float


@dataclass(frozen=True)
class Target:
    """A boundary at a state where ΔG must vanish; Δ is high minus low, per atom.

    Attributes:
        low: Index of the low-temperature phase in the states of the problem.
        high: Index of the high-temperature phase.
        delta_g_ev: ΔG of the current model, eV.
        prior_ev: How large ΔG may be expected to be before calibration, eV; sets the scale of the prior.
        enthalpy: ΔH, eV, if it is to stay.
        volume: ΔV, Å³, if it is to stay.
    """

    low: int
    high: int
    delta_g_ev: float
    prior_ev: float
    enthalpy: SoftValue | None = None
    volume: SoftValue | None = None


class Protection(Protocol):
    """Values that must not change."""

    def deviation(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return values at θ minus original values, and their derivatives by θ, in units of their tolerances.

        Returns:
            Deviations, shape (n_rows,), and Jacobian, shape (n_rows, n_parameters).
        """

    def worst(self, deviation: FloatArray) -> str:
        """Name the value that deviates most."""


@dataclass(frozen=True)
class Problem:
    """The input of a step.

    Attributes:
        theta: Parameters of the current model, shape (n_parameters,).
        states: Phases with frames of the current model.
        targets: Boundaries that must be moved.
        covariance: Covariance of the targets' ΔG (statistical and experimental), eV², shape (n_targets,
            n_targets).
        force_rows: R with ‖R δθ‖² the mean square change of a force component, eV/Å, shape (n_rows, n_parameters).
        protection: Values that must not change, if any.
        prior: Which changes of the parameters are cheap: ``functional``, those that change forces and the
            distributions of the phases little; or ``identity``, those that are small as numbers.
    """

    theta: FloatArray
    states: tuple[PhaseState, ...]
    targets: tuple[Target, ...]
    covariance: FloatArray
    force_rows: FloatArray
    protection: Protection | None = None
    prior: Prior = "functional"

    @cached_property
    def current(self) -> tuple[Moved, ...]:
        """The states at the current parameters."""
        return self.moved(self.theta)

    @cached_property
    def root(self) -> FloatArray:
        """Lower triangular root of the metric: what changes cost of forces and of the distributions, in equal parts.

        The metric is what the prior covariance of the parameters is the inverse of, but for a factor; ``identity`` is
        the usual choice where parameters are weights of a network, and blind to what they do.

        Forces alone leave volumes free, and a cheap change of the forces may move a phase far beyond what its frames
        can carry; the variance of βΔU alone does not see changes that average out over a cell. What neither sees costs
        as much as a mean row (:func:`phasecal.difftre.minimal_change.metric_root`).
        """
        if self.prior == "identity":
            return np.eye(len(self.theta))
        parts = [self.force_rows, np.concatenate([m.rows.fluctuation for m in self.current])]
        rows = np.concatenate([part / length for part in parts if (length := np.linalg.norm(part)) > 0])
        return metric_root(np.asarray(rows.T @ rows), len(rows))

    def moved(self, theta: FloatArray) -> tuple[Moved, ...]:
        """Return the states at θ."""
        return tuple(Moved(state, theta) for state in self.states)


@dataclass(frozen=True)
class Step:
    """The outcome of a step.

    Attributes:
        theta: Parameters of the next model, shape (n_parameters,).
        fraction: Part of the residual that the step removes (1 is all of it).
        n_iterations: Linear solves or gradient updates that it took.
        spreads: sd(βΔU) for each state, shape (n_states,).
        n_eff: Predicted effective fraction of the frames of each state, shape (n_states,).
        delta_g_ev: Forecast of ΔG of each target, eV, shape (n_targets,).
        delta_g_sigma_ev: Error of the forecast of its change, eV, shape (n_targets,).
    """

    theta: FloatArray
    fraction: float
    n_iterations: int
    spreads: FloatArray
    n_eff: FloatArray
    delta_g_ev: FloatArray
    delta_g_sigma_ev: FloatArray


def forecasts(problem: Problem, moved: tuple[Moved, ...]) -> FloatArray:
    """Return the forecast of the change of ΔG of each target, eV/atom, shape (n_targets,)."""
    shifts = [m.forecast_ev for m in moved]
    return np.array([shifts[target.high] - shifts[target.low] for target in problem.targets])


def outcome(problem: Problem, moved: tuple[Moved, ...], fraction: float, n_iterations: int) -> Step:
    """Describe the step from the current parameters to those of ``moved``."""
    change = moved[0].theta - problem.theta
    variances = [np.square(m.rows.free_energy_noise @ change).sum() for m in problem.current]
    return Step(
        theta=moved[0].theta,
        fraction=fraction,
        n_iterations=n_iterations,
        spreads=np.array([m.spread for m in moved]),
        n_eff=np.array([m.n_eff for m in moved]),
        delta_g_ev=np.array([target.delta_g_ev for target in problem.targets]) + forecasts(problem, moved),
        delta_g_sigma_ev=np.sqrt([variances[t.high] + variances[t.low] for t in problem.targets]),
    )
