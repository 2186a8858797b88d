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
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasecal.errors import DataError, OverlapError
from phasecal.freeenergy.overlap import MIN_OVERLAP, mbar, subsample
from phasecal.observables.statistics import statistical_inefficiency
from phasecal.units import EV_PER_A3_IN_GPA, KB

BRIDGED_SD = 2.0
"""Standard deviation of the reduced energy difference of two states that BAR bridges comfortably, kT."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class PhaseSample:
    """Frames of one phase in one state.

    Attributes:
        model: Index of the model that drove the run.
        temperature_k: Temperature, K.
        pressure_gpa: Pressure, GPa.
        energies: Energy of each frame under every model, eV per cell, shape (n_models, n_frames).
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

    @property
    def inefficiency(self) -> float:
        """Correlated frames per independent one, of the reduced potential."""
        return statistical_inefficiency(self.reduced(self))


@dataclass(frozen=True)
class PhaseFreeEnergies:
    """Reduced free energies of all states of a phase.

    Attributes:
        phi: φ_k per atom relative to the first state, shape (n_states,).
        covariance: Their covariance, shape (n_states, n_states); row and column 0 are zero.
        overlap: Two-state overlap of the pairs that join the states, shape (n_states - 1,).
    """

    phi: FloatArray
    covariance: FloatArray
    overlap: FloatArray

    def change(self, start: int, end: int) -> tuple[float, float]:
        """Return φ of one state minus φ of another, and its standard error."""
        c = self.covariance
        variance = c[start, start] + c[end, end] - 2 * c[start, end]
        return float(self.phi[end] - self.phi[start]), float(np.sqrt(max(variance, 0.0)))


def phase_free_energies(
    samples: Sequence[PhaseSample], n_atoms: int, *, min_overlap: float = MIN_OVERLAP
) -> PhaseFreeEnergies:
    """Solve one MBAR for all states of a phase.

    Args:
        samples: Each state once; frames are thinned to independent ones.
        n_atoms: Atoms in the cell, N.
        min_overlap: Least two-state overlap (0.5 is complete) of states that count as joined.

    Raises:
        DataError: No samples, a state twice, too few independent frames, or numbers that are not finite.
        OverlapError: States share no configurations; the message names what is missing.
    """
    names = [str(sample) for sample in samples]
    if not samples or len(set(names)) != len(names):
        raise DataError("one MBAR needs every state exactly once; merge the samples of one state first")
    thinned = [sample.take(subsample(len(sample.volumes), sample.inefficiency)) for sample in samples]
    u_kn = np.array([np.concatenate([state.reduced(frames) for frames in thinned]) for state in thinned])
    n_k = np.array([len(sample.volumes) for sample in thinned])
    try:
        result = mbar(u_kn, n_k, min_overlap=min_overlap, names=names)
    except OverlapError as error:
        raise OverlapError(f"{error}; {_missing(samples)}") from error
    return PhaseFreeEnergies(result.f_k / n_atoms, result.covariance / n_atoms**2, result.neighbor_overlap)


def block_bootstrap(samples: Sequence[PhaseSample], n_atoms: int, *, n_copies: int = 40, seed: int = 1) -> FloatArray:
    """Return the covariance of φ_k from resampled blocks, shape (n_states, n_states).

    An independent second opinion on :attr:`PhaseFreeEnergies.covariance`: blocks of two inefficiencies are drawn with
    replacement in every state (Künsch, Ann. Stat. 17, 1217 (1989)), never single frames, which are correlated.
    """
    rng = np.random.default_rng(seed)
    copies = []
    for _ in range(n_copies):
        drawn = []
        for sample in samples:
            n_frames = len(sample.volumes)
            length = int(np.clip(np.ceil(2 * sample.inefficiency), 1, n_frames))
            starts = rng.integers(0, n_frames - length + 1, int(np.ceil(n_frames / length)))
            drawn.append(sample.take((starts[:, None] + np.arange(length)).ravel()[:n_frames]))
        copies.append(phase_free_energies(drawn, n_atoms).phi)
    return np.atleast_2d(np.cov(np.array(copies), rowvar=False))


def _missing(samples: Sequence[PhaseSample]) -> str:
    """Say which states are missing: between states of one model that are too far apart in T or P, or between models."""
    ordered = sorted(samples, key=lambda s: (s.model, s.pressure_gpa, s.temperature_k))
    gaps = []
    for one, other in itertools.pairwise(ordered):
        spread = max(np.std(other.reduced(f) - one.reduced(f)) for f in (one, other))
        n_missing = int(np.ceil(spread / BRIDGED_SD)) - 1
        if n_missing > 0:
            gaps.append(f"{n_missing} between {one} and {other}")
    return f"missing states: {', '.join(gaps)}" if gaps else "sample the states longer"
