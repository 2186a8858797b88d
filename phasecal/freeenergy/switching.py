"""Free-energy differences from switching one Hamiltonian into another and back.

H(λ) goes from λ₀ to λ₁ in a time t and back. With the works W_f = ∫ ∂H/∂λ dλ forward and W_b the same on the way back
(dλ of the other sign), to linear response both waste the same, so that (de Koning, J. Chem. Phys. 122, 104106 (2005),
eqs. 10–12; Freitas, Asta & de Koning, Comput. Mater. Sci. 112, 333 (2016), eq. 20)

    ΔF = F₁ − F₀ = (W_f − W_b)/2,        dissipation = (W_f + W_b)/2 ≥ 0 on average.

No exponential averages are taken: for some hundred atoms they converge to nothing. What is left of the second order of
the dissipation is not in the interval, which is why the dissipation is reported and limited. Repeats with other seeds
give the interval; with few of them it is Student's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecal.engines.lammps.switching import SwitchingTask
from phasecal.errors import ConvergenceError, DataError
from phasecal.observables.bulk import phase_of_frames
from phasecal.observables.ensemble import Thermo, not_finite
from phasecal.observables.statistics import student_factor
from phasecal.sample import Sample

FLOAT = NDArray[np.float64]


@dataclass(frozen=True)
class Leg:
    """One way along the path: λ and ∂H/∂λ (eV per cell) of every line, each of shape (n_lines,)."""

    scale: FLOAT
    gradient_ev: FLOAT

    @property
    def works_ev(self) -> FLOAT:
        """Work from the beginning of the leg to every line (trapezoids), eV per cell, shape (n_lines,)."""
        steps = (self.gradient_ev[1:] + self.gradient_ev[:-1]) / 2 * np.diff(self.scale)
        return np.concatenate([[0.0], np.cumsum(steps)])


@dataclass(frozen=True)
class Repeat:
    """One run there and back.

    Attributes:
        seed: Seed of the run.
        difference_ev: (W_f − W_b)/2, eV/atom.
        dissipation_ev: (W_f + W_b)/2, eV/atom.
        order: Bragg amplitude (solid) or Q6 (liquid) of every kept frame, on all legs.
        rejections: Why it cannot be used; empty when it can.
    """

    seed: int
    difference_ev: float
    dissipation_ev: float
    order: list[float]
    rejections: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Difference:
    """What repeats agree on: value ± sigma (68 %), and the mean dissipation, eV/atom."""

    value_ev: float
    sigma_ev: float
    dissipation_ev: float
    rejections: list[str]


def legs(thermo: Thermo, task: SwitchingTask, gradient_ev: FLOAT) -> tuple[Leg, Leg]:
    """Cut the way there and the way back out of a production series.

    Args:
        thermo: The series, with ``step`` and ``lambda``.
        task: The MD task of the run.
        gradient_ev: ∂H/∂λ of every line, eV per cell, shape (n_lines,).

    Raises:
        DataError: Lines of a leg are missing.
    """
    begin, end = task.hold_steps, task.hold_steps + task.switch_steps
    parts = []
    for first, last in ((begin, end), (end + task.hold_steps, task.production_steps)):
        inside = (thermo["step"] >= first) & (thermo["step"] <= last)
        expected = task.switch_steps // task.thermo_every + 1
        if int(inside.sum()) != expected:
            raise DataError(f"seed {task.seed}: {int(inside.sum())} lines of a switching leg, expected {expected}")
        parts.append(Leg(thermo["lambda"][inside], gradient_ev[inside]))
    return parts[0], parts[1]


def analyse_repeat(sample: Sample, thermo: Thermo, task: SwitchingTask, gradient_ev: FLOAT, *, solid: bool) -> Repeat:
    """Works of one run, and whether its phase survived in every frame of every leg.

    Args:
        sample: All frames of the production stage.
        thermo: The production series.
        task: The MD task of the run.
        gradient_ev: ∂H/∂λ of every line, eV per cell, shape (n_lines,).
        solid: Whether the phase is the crystal of the task; otherwise a liquid.
    """
    forward, backward = (float(leg.works_ev[-1]) / sample.n_atoms for leg in legs(thermo, task, gradient_ev))
    order, lost = phase_of_frames(sample, task.structure, task.n_atoms, solid=solid)
    return Repeat(
        seed=task.seed,
        difference_ev=(forward - backward) / 2,
        dissipation_ev=(forward + backward) / 2,
        order=[round(float(value), 4) for value in order],
        rejections=[reason for reason in (lost, not_finite(thermo)) if reason is not None],
    )


def mean_of_repeats(values: FLOAT) -> tuple[FLOAT, FLOAT]:
    """Mean of independent repeats and covariance of the mean, widened by Student's factor for few repeats.

    Args:
        values: One row per repeat, shape (n_repeats, n).

    Returns:
        Mean, shape (n,), and covariance, shape (n, n).

    Raises:
        ConvergenceError: Fewer than two repeats, or repeats that are the same.
    """
    n_repeats = len(values)
    if n_repeats < 2:
        raise ConvergenceError(f"{n_repeats} repeat has no interval; run at least 2, with different seeds")
    covariance = np.atleast_2d(np.cov(values, rowvar=False)) / n_repeats * student_factor(n_repeats - 1) ** 2
    if not np.diag(covariance).max() > 0:
        raise ConvergenceError("all repeats gave the same: they must have different seeds")
    return values.mean(axis=0), covariance


def combine_repeats(repeats: Sequence[Repeat], max_dissipation_ev: float) -> Difference:
    """Mean of the repeats, and why it cannot be used.

    Args:
        repeats: At least two.
        max_dissipation_ev: Largest dissipation that is allowed, eV/atom.

    Raises:
        ConvergenceError: Fewer than two repeats, or repeats that are the same.
    """
    mean, covariance = mean_of_repeats(np.array([[repeat.difference_ev] for repeat in repeats]))
    dissipation_ev = float(np.mean([repeat.dissipation_ev for repeat in repeats]))
    rejections = [f"seed {repeat.seed}: {reason}" for repeat in repeats for reason in repeat.rejections]
    if abs(dissipation_ev) > max_dissipation_ev:
        rejections.append(wasted(dissipation_ev, max_dissipation_ev))
    return Difference(float(mean[0]), float(covariance[0, 0] ** 0.5), dissipation_ev, rejections)


def wasted(dissipation_ev: float, limit_ev: float) -> str:
    """Say that a path was run too fast."""
    return (
        f"the dissipation is {1e3 * dissipation_ev:.2f} meV/atom, above {1e3 * limit_ev:.2f}: switch more slowly "
        "(switch_steps)"
    )
