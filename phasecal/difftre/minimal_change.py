"""Linear algebra of the smallest change: prior metric, exact rows and rows with an error.

A change δθ costs δθᵀ M δθ. Exact rows A δθ = b must hold; wanted rows J δθ ≈ r may miss by their covariance Σ. With the
prior covariance C ∝ M⁻¹ restricted to changes that leave the exact rows alone, the wanted part is the Gauss–Newton
(Kalman) step

    δθ = C Jᵀ (J C Jᵀ + Σ)⁻¹ r

(Tarantola, Inverse Problem Theory, SIAM 2005, eq. 3.37). Everything happens in whitened parameters Lᵀθ with M = L Lᵀ,
where the exact rows span one subspace (by SVD) and C is the identity on the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from phasecal.errors import InputError

RANK_TOLERANCE = 1e-6
"""Directions of the exact rows below this relative size are linear combinations of the others."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class MinimalChange:
    """The space of parameter changes with its metric and exact rows.

    Nothing here is a matrix of all parameters but the root of the metric, which is factorised once per problem: a
    machine-learned potential has thousands of them.

    Attributes:
        root: Lower triangular L of the metric M = L Lᵀ, shape (n_parameters, n_parameters).
        rows: Exact rows, each scaled to unit length after whitening, shape (n_rows, n_parameters).
        scales: Length of each whitened exact row before scaling, shape (n_rows,).
        fixed: Orthonormal basis of the whitened changes that move an exact row, shape (n_parameters, n_fixed).
    """

    root: FloatArray
    rows: FloatArray
    scales: FloatArray
    fixed: FloatArray

    @classmethod
    def build(cls, root: FloatArray, exact_rows: FloatArray) -> MinimalChange:
        """Whiten the parameters and split off the exact rows.

        Args:
            root: Root of the metric (:func:`metric_root`), shape (n_parameters, n_parameters).
            exact_rows: A, shape (n_rows, n_parameters); dependent rows are fine.

        Raises:
            InputError: The exact rows leave no freedom.
        """
        n_parameters = len(root)
        whitened = _whitened(root, exact_rows)
        scales = np.linalg.norm(whitened, axis=1)
        rows = np.divide(whitened, scales[:, None], out=np.zeros_like(whitened), where=scales[:, None] > 0)
        _, singular, vectors = np.linalg.svd(rows, full_matrices=False)
        rank = int((singular > RANK_TOLERANCE * singular.max(initial=0)).sum())
        if rank == n_parameters:
            raise InputError(
                f"the {len(rows)} protected values fix all {n_parameters} parameters, so nothing is left to calibrate "
                "with; train more parameters or protect fewer structures"
            )
        return cls(root, rows, scales, vectors[:rank].T)

    def freedom(self, row: FloatArray) -> float:
        """Return which part of a row's leverage, in the metric, the exact rows leave: 1 all of it, 0 none."""
        whitened = _whitened(self.root, row[None])
        length = np.linalg.norm(whitened)
        return float(np.linalg.norm(self._free(whitened)) / length) if length > 0 else 0.0

    def exact(self, b: FloatArray) -> FloatArray:
        """Return the smallest change that moves the exact rows by ``b`` (least squares if they clash)."""
        scaled = np.divide(b, self.scales, out=np.zeros_like(b), where=self.scales > 0)
        change, *_ = np.linalg.lstsq(self.rows, scaled, rcond=RANK_TOLERANCE)
        return self._change(np.asarray(change, dtype=np.float64))

    def along(self, change: FloatArray) -> FloatArray:
        """Return the part of a change that leaves the exact rows alone (projection in the metric)."""
        return self._change(self._free((self.root.T @ change)[None])[0])

    def wanted(self, rows: FloatArray, residuals: FloatArray, covariance: FloatArray, prior: FloatArray) -> FloatArray:
        """Return the Gauss–Newton step that leaves the exact rows alone.

        Args:
            rows: J, shape (n_wanted, n_parameters).
            residuals: r, shape (n_wanted,).
            covariance: Σ, shape (n_wanted, n_wanted).
            prior: Prior standard deviation of J δθ for the first rows, shape (n_first,): it sets the scale of
                C, as the mean over these rows of prior² / (J M⁻¹ Jᵀ).
        """
        free_rows = self._free(_whitened(self.root, rows))
        leverage = (free_rows[: len(prior)] ** 2).sum(axis=1)
        scale = float(np.mean(prior**2 / leverage))
        gram = scale * free_rows @ free_rows.T + covariance
        return self._change(scale * free_rows.T @ np.linalg.solve(gram, residuals))

    def _free(self, whitened: FloatArray) -> FloatArray:
        """Return the part of whitened rows that leaves the exact rows alone, shape (n_rows, n_parameters)."""
        return np.asarray(whitened - (whitened @ self.fixed) @ self.fixed.T)

    def _change(self, whitened: FloatArray) -> FloatArray:
        """Return the change of θ for a whitened one, shape (n_parameters,)."""
        return np.asarray(solve_triangular(self.root, whitened, lower=True, trans="T", check_finite=False))


def metric_root(metric: FloatArray, n_rows: int) -> FloatArray:
    """Return the lower triangular root of a metric with a ridge.

    A metric RᵀR is an estimate from the rows that were looked at, and changes that they do not see would be free. So as
    many rows as there are parameters, of the mean length and evenly in all directions, are added to it. For few
    parameters that is next to nothing; for a network with more weights than rows it is most of what they cost.

    Args:
        metric: Symmetric positive semi-definite M, not zero, shape (n_parameters, n_parameters).
        n_rows: Number of rows that it was made of.
    """
    metric = metric.copy()  # the only copy: it has the square of thousands of numbers
    metric.flat[:: len(metric) + 1] += np.trace(metric) / n_rows
    return np.asarray(cholesky(metric, lower=True, overwrite_a=True, check_finite=False))


def _whitened(root: FloatArray, rows: FloatArray) -> FloatArray:
    """Return rows for whitened changes, shape (n_rows, n_parameters)."""
    return np.asarray(solve_triangular(root, rows.T, lower=True, check_finite=False).T)
