"""Free-energy differences between states that share configurations: BAR for two states, MBAR for several.

Sources: Bennett, J. Comput. Phys. 22, 245 (1976) for BAR; Shirts & Chodera, J. Chem. Phys. 129, 124105 (2008) for MBAR
and its covariance (eqs. 8 and 12); Klimovich, Shirts & Mobley, J. Comput.-Aided Mol. Des. 29, 397 (2015) for the
overlap matrix and the limit of 0.03. The numbers come from pymbar.

Departures from pymbar:

* Where states do not overlap it is an :class:`~phasecal.errors.OverlapError` (``pymbar.bar`` returns 0 ± 0).
* MBAR starts from BAR along the pairs of states that overlap most (a spanning tree): from zero it fails when states
  differ by hundreds of kT.
* Frames must be independent (:func:`subsample`); pymbar cannot know.
* pymbar logs banners at import and takes a second to load: it is imported when first needed, with its log quiet.

All energies and free energies here are reduced, that is, in units of kT.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

from phasecal.errors import DataError, OverlapError

MIN_OVERLAP = 0.03
"""Overlap of neighbouring states below which a free-energy difference is not trusted (Klimovich 2015)."""

_MIN_FRAMES = 4

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class MbarResult:
    """Free energies of several states.

    Attributes:
        f_k: Reduced free energies relative to state 0, shape (n_states,).
        covariance: Covariance of ``f_k``, shape (n_states, n_states); row and column 0 are zero.
        overlap: Overlap matrix, shape (n_states, n_states); each row sums to 1.
        neighbor_overlap: Two-state overlap of the pairs that join the states, shape (n_states - 1,); 0.5 is
            complete.
        influence: What each frame adds to the error of each ``f_k``, shape (n_states, n_frames): the error is the sum
            over frames, from the linearised MBAR equations; row 0 is zero. Its square is about ``covariance``.
    """

    f_k: FloatArray
    covariance: FloatArray
    overlap: FloatArray
    neighbor_overlap: FloatArray
    influence: FloatArray


def subsample(n_frames: int, inefficiency: float) -> NDArray[np.int64]:
    """Return indices of frames that are independent of each other.

    Args:
        n_frames: Length of the series.
        inefficiency: Statistical inefficiency g ≥ 1 in frames: one frame in g is independent.

    Returns:
        Increasing indices with a mean spacing of g.
    """
    step = max(1.0, inefficiency)
    return np.array(np.floor(np.arange(0.0, n_frames, step)), dtype=np.int64)


def bar(work_f: FloatArray, work_r: FloatArray, *, min_overlap: float = MIN_OVERLAP) -> tuple[float, float]:
    """Free-energy difference of two states from Bennett's acceptance ratio.

    Args:
        work_f: u₁(x) − u₀(x) on independent frames x of state 0, shape (n_frames_0,), in kT.
        work_r: u₀(x) − u₁(x) on independent frames x of state 1, shape (n_frames_1,), in kT.
        min_overlap: Least two-state overlap (0.5 is complete) that is accepted.

    Returns:
        f₁ − f₀ and its standard deviation, in kT.

    Raises:
        DataError: Not finite, fewer than 4 frames, or the dissipated work is negative (a sign is wrong).
        OverlapError: The states share too few configurations.
    """
    difference, sigma, overlap = _bar(_series(work_f, "forward"), _series(work_r, "reverse"))
    if overlap < min_overlap:
        raise OverlapError(_no_overlap("the two states", overlap, min_overlap))
    return difference, sigma


def mbar(
    u_kn: FloatArray,
    n_k: NDArray[np.integer],
    *,
    min_overlap: float = MIN_OVERLAP,
    names: Sequence[str] | None = None,
) -> MbarResult:
    """Free energies of several states from all their frames.

    Args:
        u_kn: ``u_kn[k, n]`` is the reduced potential of frame n in state k, shape (n_states, n_frames).
            Frames are independent and ordered by the state they were sampled in; a constant per frame
            cancels.
        n_k: Frames sampled in each state, shape (n_states,).
        min_overlap: Least two-state overlap (0.5 is complete) of states that count as joined.
        names: What the states are called in errors; by default ``state 0``, ``state 1``, …

    Raises:
        DataError: Shapes disagree, numbers are not finite, or a state has fewer than 4 frames.
        OverlapError: The states fall into groups that share too few configurations; the message names them.
    """
    u_kn, n_k = _checked(u_kn, n_k)
    names = [f"state {k}" for k in range(len(n_k))] if names is None else names
    differences, overlaps = _pairs(u_kn, np.cumsum(n_k), names)
    start, joined = _join(differences, overlaps, min_overlap, names)
    if len(n_k) == 1:
        return MbarResult(start, np.zeros((1, 1)), np.ones((1, 1)), joined, np.zeros((1, int(n_k[0]))))
    solver = {"method": "adaptive", "options": {"min_sc_iter": 0}}  # pymbar's default makes scipy warn
    estimate = _pymbar().MBAR(u_kn - u_kn.min(axis=0), n_k, initial_f_k=start, solver_protocol=(solver,))
    variance = estimate.compute_free_energy_differences()["dDelta_f"] ** 2
    covariance = (variance[0][:, None] + variance[0][None, :] - variance) / 2
    influence = _influence(np.asarray(estimate.W_nk), n_k)
    return MbarResult(np.array(estimate.f_k), covariance, estimate.compute_overlap()["matrix"], joined, influence)


def _influence(weights: FloatArray, n_k: NDArray[np.int64]) -> FloatArray:
    """Return the error of f_k that each frame makes, shape (n_states, n_frames).

    MBAR solves 1 − Σ_n W_nk = 0. To first order its error is δf = −A⁻¹ Σ_n (W_nk − mean of W_k over the frames of the
    same state), A = 1 − WᵀW diag(N), with δf_0 = 0: A is singular, as f is known up to a constant only.
    """
    ends = np.cumsum(n_k)[:-1]
    deviation = np.concatenate([part - part.mean(axis=0) for part in np.split(weights, ends)])
    a = np.eye(len(n_k)) - weights.T @ weights * n_k
    influence = np.zeros((len(n_k), len(weights)))
    influence[1:] = -np.linalg.solve(a[1:, 1:], deviation[:, 1:].T)
    return influence


def overlapping(
    u_kn: FloatArray, n_k: NDArray[np.integer], *, min_overlap: float = MIN_OVERLAP, names: Sequence[str]
) -> NDArray[np.int64]:
    """Return the number of the group of each state, shape (n_states,): one :func:`mbar` is possible for each group.

    Raises:
        DataError: As :func:`mbar`.
    """
    u_kn, n_k = _checked(u_kn, n_k)
    _, overlaps = _pairs(u_kn, np.cumsum(n_k), names)
    return np.asarray(connected_components(overlaps >= min_overlap, directed=False)[1], dtype=np.int64)


def _checked(u_kn: FloatArray, n_k: NDArray[np.integer]) -> tuple[FloatArray, NDArray[np.int64]]:
    """Check the table of reduced potentials."""
    energies, counts = np.asarray(u_kn, dtype=np.float64), np.asarray(n_k, dtype=np.int64)
    if energies.shape != (len(counts), counts.sum()):
        raise DataError(f"u_kn has shape {energies.shape}, expected {(len(counts), int(counts.sum()))}")
    if not np.isfinite(energies).all():
        raise DataError("reduced potentials are not finite")
    return energies, counts


def _pairs(u_kn: FloatArray, ends: NDArray[np.int64], names: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """Differences f_j − f_i and two-state overlaps of all pairs of states, each of shape (n_states, n_states)."""
    frames = [slice(*pair) for pair in itertools.pairwise([0, *ends])]
    differences, overlaps = np.zeros((2, len(ends), len(ends)))
    for i, j in itertools.combinations(range(len(ends)), 2):
        forward = _series(u_kn[j, frames[i]] - u_kn[i, frames[i]], names[i])
        reverse = _series(u_kn[i, frames[j]] - u_kn[j, frames[j]], names[j])
        difference, _, overlap = _bar(forward, reverse)
        differences[i, j], differences[j, i] = difference, -difference
        overlaps[i, j] = overlaps[j, i] = overlap
    return differences, overlaps


def _join(
    differences: FloatArray, overlaps: FloatArray, min_overlap: float, names: Sequence[str]
) -> tuple[FloatArray, FloatArray]:
    """First free energies along the pairs that overlap most, and the overlaps of those pairs.

    Raises:
        OverlapError: Some states are joined with the others by no pair.
    """
    n_groups, group = connected_components(overlaps >= min_overlap, directed=False)
    if n_groups > 1:
        best = np.where(group[:, None] != group[None, :], overlaps, -1.0)
        i, j = sorted(int(k) for k in np.unravel_index(best.argmax(), best.shape))
        raise OverlapError(_no_overlap(f"{names[i]} and {names[j]}", overlaps[i, j], min_overlap))
    start, joined = np.zeros(len(names)), []
    tree = minimum_spanning_tree(np.where(overlaps > 0, 2.0 - overlaps, 0.0))
    order, parent = breadth_first_order(tree, 0, directed=False)
    for k in order[1:]:
        start[k] = start[parent[k]] + differences[parent[k], k]
        joined.append(overlaps[parent[k], k])
    return start, np.array(joined)


def _bar(forward: FloatArray, reverse: FloatArray) -> tuple[float, float, float]:
    """Difference, standard deviation and two-state overlap; overlap 0 where BAR has no solution.

    The variance is that of MBAR with two states, written with the overlap O: (1/N₀ + 1/N₁)(1/(2 O) − 1).
    """
    dissipated = forward.mean() + reverse.mean()
    noise = np.sqrt(forward.var() / len(forward) + reverse.var() / len(reverse))
    if dissipated < -5 * noise - 1e-9:
        raise DataError(
            f"the mean forward plus reverse work is {dissipated:.3g} ± {noise:.2g} kT; it cannot be negative "
            "(Gibbs-Bogoliubov): check the sign of the reverse work and which state the frames come from"
        )
    if np.ptp(np.concatenate([forward, -reverse])) < 1e-10:
        return float(forward.mean()), 0.0, 0.5  # the same state up to an offset; pymbar would divide 0 by 0
    with np.errstate(over="ignore", under="ignore"):
        difference = float(_pymbar().bar(forward, reverse, compute_uncertainty=False)["Delta_f"])
        overlap = _two_state_overlap(forward, reverse, difference) if np.isfinite(difference) else 0.0
    if overlap == 0.0:
        return 0.0, np.inf, 0.0
    sigma = np.sqrt((1 / len(forward) + 1 / len(reverse)) * max(0.5 / overlap - 1, 0.0))
    return difference, float(sigma), overlap


def _two_state_overlap(forward: FloatArray, reverse: FloatArray, difference: float) -> float:
    """Off-diagonal element of the two-state overlap matrix, between 0 and 0.5 (Klimovich 2015, eq. 14).

    It is Σ_n (N₀ + N₁)/2 · W₀(n) W₁(n) with the MBAR weights W of all frames; for N₀ = N₁ this is O₀₁.
    """
    n0, n1 = len(forward), len(reverse)
    excess = np.concatenate([forward, -reverse]) - difference
    log_denominator = np.logaddexp(np.log(n0), np.log(n1) - excess)
    return float((n0 + n1) / 2 * np.exp(-excess - 2 * log_denominator).sum())


def _series(work: FloatArray, name: str) -> FloatArray:
    """Check one series of work values."""
    work = np.asarray(work, dtype=np.float64)
    if work.ndim != 1 or len(work) < _MIN_FRAMES:
        raise DataError(f"{name}: {work.size} independent frames; at least {_MIN_FRAMES} are needed: sample longer")
    if not np.isfinite(work).all():
        raise DataError(f"{name}: work values are not finite")
    return work


def _no_overlap(what: str, overlap: float, least: float) -> str:
    """Say that states do not overlap, and what to do."""
    return (
        f"the overlap of {what} is {overlap:.2g}, below {least:.2g}: their configurations are too different to "
        "compare; sample a state between them, or take smaller steps (lower max_sd)"
    )


def _pymbar() -> Any:
    """Import pymbar without the banners that it logs."""
    logging.getLogger("pymbar").setLevel(logging.ERROR)
    import pymbar  # noqa: PLC0415 - a second of loading, only where it is used

    return pymbar
