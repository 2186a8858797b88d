"""The cubic splines of the EAM family: LAMMPS' interpolation of tables, and cardinal B-splines."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray


def lammps_coefficients(tables: Array) -> Array:
    """Return the cubic of every interval as LAMMPS makes it (``PairEAM::interpolate`` in ``pair_eam.cpp``).

    Slopes are five-point differences inside, three-point next to the ends and one-sided at the ends; each
    interval is the cubic Hermite polynomial of its two values and slopes. The result is linear in the tables.

    Args:
        tables: Values on a uniform grid, shape (n_tables, n_points).

    Returns:
        Coefficients of 1, p, p², p³ with p ∈ [0, 1] in the interval, shape (n_tables, n_points − 1, 4).
    """
    f = tables
    inner = ((f[:, :-4] - f[:, 4:]) + 8.0 * (f[:, 3:-1] - f[:, 1:-3])) / 12.0
    slope = jnp.concatenate(
        [
            f[:, 1:2] - f[:, 0:1],
            0.5 * (f[:, 2:3] - f[:, 0:1]),
            inner,
            0.5 * (f[:, -1:] - f[:, -3:-2]),
            f[:, -1:] - f[:, -2:-1],
        ],
        axis=1,
    )
    step, left, right = f[:, 1:] - f[:, :-1], slope[:, :-1], slope[:, 1:]
    return jnp.stack([f[:, :-1], left, 3.0 * step - 2.0 * left - right, left + right - 2.0 * step], axis=-1)


def cubic_bsplines(x: NDArray[np.float64], lower: float, upper: float, count: int) -> NDArray[np.float64]:
    """Return cardinal cubic B-splines that all lie inside [lower, upper].

    Each is zero with two derivatives at both ends of the interval, so that any sum of them is a C² correction
    that leaves everything outside untouched.

    Args:
        x: Points, shape (n_points,).
        lower: Left end of the interval.
        upper: Right end.
        count: Number of splines; the knots are (upper − lower)/(count + 3) apart.

    Returns:
        Values, at most 2/3, shape (count, n_points).
    """
    spacing = (upper - lower) / (count + 3)
    centers = lower + spacing * (np.arange(count) + 2.0)
    t = np.abs(x[None, :] - centers[:, None]) / spacing
    outer = np.clip(2.0 - t, 0.0, None)
    inner = np.clip(1.0 - t, 0.0, None)
    return (outer * outer * outer - 4.0 * (inner * inner * inner)) / 6.0
