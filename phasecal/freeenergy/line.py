"""A boundary as a line T(P): few measured temperatures joined by the slopes between them.

A direct measurement of a boundary costs ten times what its slope costs: dT/dP = ΔV/ΔS (Clausius–Clapeyron) needs only
averages *within* each phase. So T is measured at few pressures (anchors) and the slope at more, and the line is the
generalised least-squares solution (Aitken 1935) of

    T(P_k) = T_0 + ∫ s dP′ (from P_0 to P_k),     s(P_j) = s_j ± σ_j,     T(P_a) = T_a ± σ_a

for T_0 and the slopes s_j at all knots, with s a natural cubic spline through them. Everything is linear in (T_0, s),
so the covariance of the whole line, off the knots too, is exact. With more than one anchor the equations are
over-determined: χ² says whether the anchors agree with the integrated slopes (the consistency check of Clausius and
Clapeyron), and an inconsistent line has its interval widened by √(χ²/dof) (Birge).

Limits: what the spline misses between knots is not in the interval; knots should be close enough for the slope to
change by less than about a third from one to the next. Beyond its first and last knot a line is not defined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq
from scipy.stats import chi2 as chi2_distribution

from phasecal.errors import DataError, InputError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Datum:
    """A measured number at a pressure.

    Attributes:
        pressure_gpa: Pressure, GPa.
        value: A temperature in K, or a slope in K/GPa.
        sigma: Its standard error, > 0.
    """

    pressure_gpa: float
    value: float
    sigma: float


@dataclass(frozen=True)
class BoundaryLine:
    """T(P) of a boundary with its covariance.

    Attributes:
        knots_gpa: Pressures where a slope is known, ascending, GPa, shape (n_knots,).
        parameters: T at the first knot, K, then the slope at every knot, K/GPa, shape (n_knots + 1,).
        covariance: Covariance of the parameters, shape (n_knots + 1, n_knots + 1).
        chi2: Σ of squared misses of all anchors and slopes, in units of their errors.
        n_redundant: Degrees of freedom of ``chi2``: anchors beyond the first.
    """

    knots_gpa: FloatArray
    parameters: FloatArray
    covariance: FloatArray
    chi2: float
    n_redundant: int

    def temperature(self, pressures_gpa: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return T, K, and its standard error at pressures within the line, each of shape (n,).

        Raises:
            InputError: A pressure is beyond the line.
        """
        rows = self._rows(pressures_gpa)
        return rows @ self.parameters, np.sqrt(np.einsum("ij,jk,ik->i", rows, self.covariance, rows))

    def slope(self, pressures_gpa: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return dT/dP, K/GPa, and its standard error at pressures within the line, each of shape (n,)."""
        rows = self._rows(pressures_gpa, derivative=True)
        return rows @ self.parameters, np.sqrt(np.einsum("ij,jk,ik->i", rows, self.covariance, rows))

    @property
    def p_value(self) -> float:
        """Probability that consistent anchors and slopes disagree as much as these do; 1 when nothing is redundant."""
        return float(chi2_distribution.sf(self.chi2, self.n_redundant)) if self.n_redundant else 1.0

    def covers(self, pressure_gpa: float) -> bool:
        """Say whether a pressure lies within the line."""
        return bool(self.knots_gpa[0] - 1e-9 <= pressure_gpa <= self.knots_gpa[-1] + 1e-9)

    @cached_property
    def _cardinal(self) -> list[CubicSpline]:
        """The natural spline that is 1 at one knot and 0 at the others, for each knot."""
        if len(self.knots_gpa) == 1:
            return []
        return [CubicSpline(self.knots_gpa, unit, bc_type="natural") for unit in np.eye(len(self.knots_gpa))]

    def _rows(self, pressures_gpa: ArrayLike, derivative: bool = False) -> FloatArray:
        """Return the rows that take the parameters to T (or to dT/dP) at pressures, shape (n, n_knots + 1)."""
        pressures = np.atleast_1d(np.asarray(pressures_gpa, dtype=np.float64))
        beyond = [p for p in pressures if not self.covers(p)]
        if beyond:
            first, last = self.knots_gpa[0], self.knots_gpa[-1]
            raise InputError(f"{beyond[0]:g} GPa is beyond the line, which goes from {first:g} to {last:g} GPa")
        if not self._cardinal:
            return np.array([[0.0, 1.0] if derivative else [1.0, 0.0]] * len(pressures))
        splines = self._cardinal if derivative else [spline.antiderivative() for spline in self._cardinal]
        first = np.zeros(len(pressures)) if derivative else np.ones(len(pressures))
        return np.column_stack([first, *(spline(pressures) for spline in splines)])


def fit_line(anchors: Sequence[Datum], slopes: Sequence[Datum]) -> BoundaryLine:
    """Join measured temperatures by measured slopes.

    Args:
        anchors: Temperatures of the boundary, K; at least one, each at a pressure where the slope is known.
        slopes: dT/dP, K/GPa, at different pressures.

    Raises:
        DataError: No anchor, a repeated pressure, an error that is not positive, or an anchor without a slope.
    """
    _check(anchors, slopes)
    slopes = sorted(slopes, key=lambda datum: datum.pressure_gpa)
    knots = np.array([datum.pressure_gpa for datum in slopes])
    empty = np.zeros(len(knots) + 1)
    blank = BoundaryLine(knots, empty, np.diag(empty), 0.0, len(anchors) - 1)
    rows = np.vstack([blank._rows([a.pressure_gpa for a in anchors]), np.eye(len(knots) + 1)[1:]])
    values = np.array([datum.value for datum in (*anchors, *slopes)])
    sigmas = np.array([datum.sigma for datum in (*anchors, *slopes)])
    whitened = rows / sigmas[:, None]
    # Columns differ by orders of magnitude (kelvin and kelvin per GPa): scaled, so that the solution is stable.
    scales = np.linalg.norm(whitened, axis=0)
    solution, *_ = np.linalg.lstsq(whitened / scales, values / sigmas, rcond=None)
    covariance = np.linalg.inv((whitened / scales).T @ (whitened / scales)) / np.outer(scales, scales)
    parameters = solution / scales
    chi2 = float(np.sum(((rows @ parameters - values) / sigmas) ** 2))
    birge = max(1.0, chi2 / (len(anchors) - 1)) if len(anchors) > 1 else 1.0
    return BoundaryLine(knots, parameters, covariance * birge, chi2, len(anchors) - 1)


def _check(anchors: Sequence[Datum], slopes: Sequence[Datum]) -> None:
    """Refuse data that do not define a line."""
    if not anchors or not slopes:
        raise DataError("a line needs at least one measured temperature and the slope there")
    for name, data in (("anchor", anchors), ("slope", slopes)):
        pressures = [datum.pressure_gpa for datum in data]
        if len(set(pressures)) != len(pressures):
            raise DataError(f"two {name}s at one pressure; combine them first")
        if not all(np.isfinite([d.value, d.sigma]).all() and d.sigma > 0 for d in data):
            raise DataError(f"{name}: a value without a positive standard error cannot be weighed")
    without = {a.pressure_gpa for a in anchors} - {s.pressure_gpa for s in slopes}
    if without:
        raise DataError(f"no slope at {min(without):g} GPa, where the temperature was measured")


@dataclass(frozen=True)
class Crossing:
    """Where two lines meet: a triple point.

    Attributes:
        pressure_gpa: Pressure, GPa.
        pressure_sigma_gpa: Its standard error.
        temperature_k: Temperature, K.
        temperature_sigma_k: Its standard error.
    """

    pressure_gpa: float
    pressure_sigma_gpa: float
    temperature_k: float
    temperature_sigma_k: float


def crossings(one: BoundaryLine, other: BoundaryLine, n_grid: int = 200) -> list[Crossing]:
    """Find where two independent boundary lines cross, with linear propagation of their errors.

    With slopes s₁ ≠ s₂ and errors δT₁, δT₂ at the crossing: δP = (δT₂ − δT₁)/(s₁ − s₂) and δT = δT₁ + s₁ δP.
    """
    low = max(one.knots_gpa[0], other.knots_gpa[0])
    high = min(one.knots_gpa[-1], other.knots_gpa[-1])
    if high <= low:
        return []

    def gap(pressure: float) -> float:
        return float(one.temperature(pressure)[0][0] - other.temperature(pressure)[0][0])

    grid = np.linspace(low, high, n_grid)
    gaps = np.array([gap(p) for p in grid])
    found = []
    for i in np.flatnonzero(np.sign(gaps[:-1]) * np.sign(gaps[1:]) < 0):
        pressure = float(brentq(gap, grid[i], grid[i + 1]))
        (t,), (sigma1,) = one.temperature(pressure)
        _, (sigma2,) = other.temperature(pressure)
        (s1,), (s2,) = one.slope(pressure)[0], other.slope(pressure)[0]
        sigma_p = float(np.hypot(sigma1, sigma2) / abs(s1 - s2))
        sigma_t = float(np.hypot(sigma1 * s2, sigma2 * s1) / abs(s1 - s2))
        found.append(Crossing(pressure, sigma_p, float(t), sigma_t))
    return found


def predict(anchors: Sequence[Datum], slopes: Sequence[Datum], pressure_gpa: float) -> float:
    """Guess where a boundary goes beyond the pressures known so far, K: a start for the next measurement, no result.

    The slope keeps changing as it did between the last two knots on that side.
    """
    line = fit_line(anchors, slopes)
    knots = line.knots_gpa
    edge = float(np.clip(pressure_gpa, knots[0], knots[-1]))
    (temperature,), (slope,) = line.temperature(edge)[0], line.slope(edge)[0]
    bend = 0.0
    if len(knots) > 1 and edge != pressure_gpa:
        pair = knots[-2:] if edge == knots[-1] else knots[:2]
        first, second = line.slope(pair)[0]
        bend = float((second - first) / (pair[1] - pair[0]))
    distance = pressure_gpa - edge
    return float(temperature + slope * distance + bend * distance**2 / 2)


def predict_from(points: Sequence[Mapping[str, Any]], pressure_gpa: float) -> float:
    """Guess where a boundary is from what is known of it (:func:`predict`), K.

    Args:
        points: Transitions (``temperature_k``, ``sigma_k``) and slopes without, each with ``pressure_gpa``,
            ``slope_k_gpa`` and ``slope_k_gpa_sigma``.
        pressure_gpa: Pressure, GPa.
    """
    anchors = [Datum(p["pressure_gpa"], p["temperature_k"], p["sigma_k"]) for p in points if "temperature_k" in p]
    slopes = [Datum(p["pressure_gpa"], p["slope_k_gpa"], p["slope_k_gpa_sigma"]) for p in points]
    return predict(anchors, slopes, pressure_gpa)
