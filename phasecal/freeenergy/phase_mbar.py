"""One MBAR for everything that was sampled of a phase: all models, temperatures and pressures at once.

The reduced potential of state k = (θ_k, T_k, P_k) is u_k(x) = β_k [U_θk(x) + P_k V(x)] (Shirts & Chodera, J. Chem.
Phys. 129, 124105 (2008), §II); the kinetic part cancels between the phases of a boundary at one T. What comes out are
dimensionless free energies per atom,

    φ_k = f_k / N,     f_k = β_k G_k up to the kinetic part and a constant of the phase,

so that from one state to another ΔG/kT of a boundary changes by the difference between its two phases of the change of
φ. This is Gibbs–Helmholtz, Clausius–Clapeyron and the chain of models in one equation, exact where states overlap.
Limit: states overlap when their T differ by less than about T/√(N c_p/k), 50 K at 1900 K and N = 500.

States need not be in any order (:func:`phasecal.freeenergy.overlap.mbar` joins the pairs that overlap most); where they
fall into groups that share no configurations the error names the two nearest states and how many are missing between.

Whether two conditions (T, P) can overlap at all shows before any model is evaluated: at one θ the standard deviation of
u_2 − u_1 = (β_2 − β_1) U + (β_2 P_2 − β_1 P_1) V follows from printed energies and volumes (:func:`thermal_spread`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import minimum_spanning_tree

from phasecal.errors import DataError, OverlapError
from phasecal.freeenergy.overlap import MIN_OVERLAP, mbar, overlapping, subsample
from phasecal.observables.statistics import statistical_inefficiency
from phasecal.units import EV_PER_A3_IN_GPA, KB

BRIDGED_SD = 2.0
"""Standard deviation of the reduced energy difference of two states that BAR bridges comfortably, kT."""

_FEWEST_TO_JUDGE = 8

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class PhaseSample:
    """Frames of one phase in one state.

    Attributes:
        model: Index of the model that drove the run.
        temperature_k: Temperature, K.
        pressure_gpa: Pressure, GPa.
        energies: Energy of each frame under every model, eV per cell, shape (n_models, n_frames); rows of models that
            no state of interest has may be nan.
        volumes: Volume of each frame, Å³ per cell, shape (n_frames,).
    """

    model: int
    temperature_k: float
    pressure_gpa: float
    energies: FloatArray
    volumes: FloatArray

    def __str__(self) -> str:
        return f"model {self.model} at {self.temperature_k:g} K and {self.pressure_gpa:g} GPa"

    def reduced(self, frames: PhaseSample) -> FloatArray:
        """Return the reduced potential in this state of the frames of a sample, shape (n_frames,)."""
        work = self.pressure_gpa / EV_PER_A3_IN_GPA * frames.volumes
        return np.asarray((frames.energies[self.model] + work) / (KB * self.temperature_k))

    def take(self, frames: NDArray[np.int64]) -> PhaseSample:
        """Return some of the frames."""
        return PhaseSample(
            self.model, self.temperature_k, self.pressure_gpa, self.energies[:, frames], self.volumes[frames]
        )


@dataclass(frozen=True)
class PhaseFreeEnergies:
    """Reduced free energies of all states of a phase.

    Attributes:
        phi: φ_k per atom relative to the first state, shape (n_states,).
        covariance: Their covariance, shape (n_states, n_states); row and column 0 are zero.
        overlap: Two-state overlap of the pairs that join the states, shape (n_states - 1,).
        overlap_matrix: Overlap of all states, shape (n_states, n_states); each row sums to 1.
        with_enthalpy: Error of each φ_k that goes with one standard error of the mean enthalpy of each sample, shape
            (n_states, n_states): the covariance of the two divided by that standard error.
    """

    phi: FloatArray
    covariance: FloatArray
    overlap: FloatArray
    overlap_matrix: FloatArray
    with_enthalpy: FloatArray

    def change(self, start: int, end: int) -> tuple[float, float]:
        """Return φ of one state minus φ of another, and its standard error."""
        c = self.covariance
        variance = c[start, start] + c[end, end] - 2 * c[start, end]
        return float(self.phi[end] - self.phi[start]), float(np.sqrt(max(variance, 0.0)))


def thermal_spread(
    energies: FloatArray, volumes: FloatArray, start: tuple[float, float], end: tuple[float, float]
) -> float:
    """Return how far apart two conditions are for one model: sd of the reduced energy difference.

    Args:
        energies: Energy of each frame under the model that drove it, eV per cell, shape (n_frames,).
        volumes: Volume of each frame, Å³ per cell, shape (n_frames,).
        start: Temperature, K, and pressure, GPa, of one condition; the frames come from either.
        end: Those of the other.
    """
    (beta, work), (beta2, work2) = ((1 / (KB * t), p / EV_PER_A3_IN_GPA / (KB * t)) for t, p in (start, end))
    return float(np.std((beta2 - beta) * energies + (work2 - work) * volumes))


def independent_frames(samples: Sequence[PhaseSample]) -> list[PhaseSample]:
    """Return the samples of all states of a phase, thinned to frames that are independent of each other.

    Args:
        samples: The states, older models first. What counts is the correlation of the energy difference to another
            state: the newest other model at the same T and P where there is one, else the last other state.
    """
    return [sample.take(subsample(len(sample.volumes), _inefficiency(sample, samples))) for sample in samples]


def overlapping_groups(samples: Sequence[PhaseSample], *, min_overlap: float = MIN_OVERLAP) -> NDArray[np.int64]:
    """Return the number of the group of each state, shape (n_states,): states of one overlap, directly or by others.

    Raises:
        DataError: As :func:`phase_free_energies`.
    """
    names, u_kn, n_k = _table(samples)
    return overlapping(u_kn, n_k, min_overlap=min_overlap, names=names)


def phase_free_energies(
    samples: Sequence[PhaseSample], n_atoms: int, *, min_overlap: float = MIN_OVERLAP
) -> PhaseFreeEnergies:
    """Solve one MBAR for all states of a phase.

    Args:
        samples: Each state once, with independent frames (:func:`independent_frames`).
        n_atoms: Atoms in the cell, N.
        min_overlap: Least two-state overlap (0.5 is complete) of states that count as joined.

    Raises:
        DataError: No samples, a state twice, too few frames, or numbers that are not finite.
        OverlapError: States share no configurations; the message names what is missing.
    """
    names, u_kn, n_k = _table(samples)
    try:
        result = mbar(u_kn, n_k, min_overlap=min_overlap, names=names)
    except OverlapError as error:
        raise OverlapError(f"{error}; {_missing(samples)}") from error
    with_enthalpy, start = [], 0
    for sample in samples:
        enthalpies = sample.reduced(sample)
        direction = (enthalpies - enthalpies.mean()) / (np.std(enthalpies) * np.sqrt(len(enthalpies)))
        with_enthalpy.append(result.influence[:, start : start + len(enthalpies)] @ direction / n_atoms)
        start += len(enthalpies)
    return PhaseFreeEnergies(
        result.f_k / n_atoms,
        result.covariance / n_atoms**2,
        result.neighbor_overlap,
        result.overlap,
        np.array(with_enthalpy).T,
    )


def block_bootstrap(samples: Sequence[PhaseSample], n_atoms: int, *, n_copies: int = 40, seed: int = 1) -> FloatArray:
    """Return the covariance of φ_k from resampled blocks, shape (n_states, n_states).

    An independent second opinion on :attr:`PhaseFreeEnergies.covariance`: blocks of two inefficiencies are drawn with
    replacement in every state (Künsch, Ann. Stat. 17, 1217 (1989)), never single frames, which are correlated.

    Args:
        samples: Each state once, with all frames, older models first.
        n_atoms: Atoms in the cell, N.
        n_copies: Resampled data sets; the relative error of a standard deviation is about (2·n_copies)^(−1/2).
        seed: Of the resampling.
    """
    rng = np.random.default_rng(seed)
    lengths = [int(np.clip(np.ceil(2 * _inefficiency(sample, samples)), 1, len(sample.volumes))) for sample in samples]
    copies = []
    for _ in range(n_copies):
        drawn = []
        for sample, length in zip(samples, lengths, strict=True):
            n_frames = len(sample.volumes)
            starts = rng.integers(0, n_frames - length + 1, int(np.ceil(n_frames / length)))
            drawn.append(sample.take((starts[:, None] + np.arange(length)).ravel()[:n_frames]))
        copies.append(phase_free_energies(drawn, n_atoms).phi)
    return np.atleast_2d(np.cov(np.array(copies), rowvar=False))


def _table(samples: Sequence[PhaseSample]) -> tuple[list[str], FloatArray, NDArray[np.int64]]:
    """Return names, reduced potentials of all frames in all states, and the number of frames of each state."""
    names = [str(sample) for sample in samples]
    if not samples or len(set(names)) != len(names):
        raise DataError("one MBAR needs every state exactly once; merge the samples of one state first")
    u_kn = np.array([np.concatenate([state.reduced(frames) for frames in samples]) for state in samples])
    return names, u_kn, np.array([len(sample.volumes) for sample in samples])


def _inefficiency(sample: PhaseSample, samples: Sequence[PhaseSample]) -> float:
    """Return the correlated frames per independent one; 1 for a series that is too short or constant to tell."""
    others = [other for other in samples if other is not sample]
    condition = (sample.temperature_k, sample.pressure_gpa)
    beside = [other for other in others if (other.temperature_k, other.pressure_gpa) == condition]
    if not others:
        return 1.0
    difference = (beside or others)[-1].reduced(sample) - sample.reduced(sample)
    if len(difference) < _FEWEST_TO_JUDGE or np.ptp(difference) < 1e-9:
        return 1.0
    return statistical_inefficiency(difference)


def _missing(samples: Sequence[PhaseSample]) -> str:
    """Say how many states are missing between the nearest ones: in T or P of one model, or between models."""
    gaps = []
    for one, other, spread in _nearest_pairs(samples):
        n_missing = int(np.ceil(spread / BRIDGED_SD)) - 1
        if n_missing > 0:
            gaps.append(f"{n_missing} between {one} and {other}")
    return f"missing states: {', '.join(gaps)}" if gaps else "sample the states longer"


def _nearest_pairs(samples: Sequence[PhaseSample]) -> Iterator[tuple[PhaseSample, PhaseSample, float]]:
    """Join all states by the pairs that are nearest; with each pair its sd of the reduced energy difference."""
    spreads = np.zeros((len(samples), len(samples)))
    for i, one in enumerate(samples):
        for j, other in enumerate(samples[:i]):
            spreads[j, i] = max(np.std(other.reduced(f) - one.reduced(f)) for f in (one, other))
    tree = minimum_spanning_tree(spreads).tocoo()
    for i, j in sorted(zip(tree.row, tree.col, strict=True)):
        yield samples[i], samples[j], float(spreads[i, j])
