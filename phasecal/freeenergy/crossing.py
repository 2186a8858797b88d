"""Where two phases have the same Gibbs energy.

ΔG(T) = G_high − G_low on the common temperatures of two curves is fitted by a parabola around its root T_t, with
weights that do not depend on the data, so that the covariance of the curves carries over exactly:

    σ(T_t) = σ[ΔG(T_t)]/|ΔS|,     ΔS = −dΔG/dT,     ΔH = T_t ΔS

What the parabola misses (rms) is added to σ(ΔG), and over half of the window to σ(ΔS). A little beyond the common
window the root counts, too, for a phase may be lost where another isobar would have to go; there the miss grows as the
first polynomial that the parabola lacks does, Chebyshev's T₃.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecal.errors import DataError, PhaseError

FLOAT = NDArray[np.float64]
DEGREE = 2
"""Of the polynomial: over a window of 20 % of T, ΔC_p is constant to well below a kelvin."""
BEYOND = 0.25
"""How far beyond an end of the common window a crossing counts, as a part of the window."""


@dataclass(frozen=True)
class Curve:
    """Gibbs energy of one phase along an isobar.

    Attributes:
        temperatures_k: Temperatures, all different, K, shape (n,).
        gibbs_ev: Gibbs energy, eV/atom, shape (n,).
        covariance_ev2: Covariance of ``gibbs_ev``, shape (n, n).
    """

    temperatures_k: FLOAT
    gibbs_ev: FLOAT
    covariance_ev2: FLOAT

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, with σ of every point."""
        return {
            "temperatures_k": self.temperatures_k.tolist(),
            "gibbs_ev": self.gibbs_ev.tolist(),
            "sigma_ev": np.sqrt(np.diag(self.covariance_ev2)).tolist(),
            "covariance_ev2": self.covariance_ev2.tolist(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Curve:
        """Return the curve of :meth:`to_dict`."""
        return cls(*(np.array(data[name]) for name in ("temperatures_k", "gibbs_ev", "covariance_ev2")))

    def at(self, temperatures: FLOAT) -> tuple[FLOAT, FLOAT]:
        """Gibbs energy and its covariance at temperatures within the curve, by linear interpolation."""
        order = np.argsort(self.temperatures_k)
        basis = np.array(
            [np.interp(temperatures, self.temperatures_k[order], row[order]) for row in np.eye(len(order))]
        ).T
        return basis @ self.gibbs_ev, basis @ self.covariance_ev2 @ basis.T


@dataclass(frozen=True)
class Crossing:
    """A transition: temperature (K), ΔH (eV/atom) and ΔS (eV/K per atom), each with its standard deviation."""

    temperature_k: float
    sigma_k: float
    delta_h_ev: float
    delta_h_ev_sigma: float
    delta_s_ev_k: float
    delta_s_ev_k_sigma: float


def crossing(low: Curve, high: Curve) -> Crossing:
    """Find the transition between two phases on one isobar, from independent curves.

    Args:
        low: The phase that is stable below the transition.
        high: The phase that is stable above it.

    Raises:
        DataError: The curves share fewer than four temperatures' width, or do not cross there or a little beyond.
        PhaseError: They cross the wrong way: the phases are swapped.
    """
    temperatures = _common(low, high)
    (g_low, c_low), (g_high, c_high) = low.at(temperatures), high.at(temperatures)
    difference, covariance = g_high - g_low, c_low + c_high
    middle, half = temperatures.mean(), np.ptp(temperatures) / 2
    scaled = (temperatures - middle) / half
    design = np.vander(scaled, DEGREE + 1, increasing=True)
    fit = np.linalg.pinv(design)
    coefficients = fit @ difference
    roots = np.roots(coefficients[::-1])
    near = np.real(roots[(np.abs(np.imag(roots)) < 1e-12) & (np.abs(np.real(roots)) <= 1 + 2 * BEYOND)])
    if not len(near):
        ends = ", ".join(f"{1e3 * difference[i]:.2f} meV/atom at {temperatures[i]:.0f} K" for i in (0, -1))
        raise DataError(f"the curves do not cross near their ends (G_high - G_low is {ends}); extend the path")
    root = float(near[np.argmin(np.abs(near))])
    value_row = np.vander([root], DEGREE + 1, increasing=True)[0] @ fit
    slope_row = np.array([n * root ** max(n - 1, 0) for n in range(DEGREE + 1)]) @ fit / half
    entropy = -float(slope_row @ difference)
    misfit = float(np.std(difference - design @ coefficients))
    sigma_g = _sigma(value_row, covariance) + misfit * max(1.0, abs(4 * root**3 - 3 * root))
    sigma_s = _sigma(slope_row, covariance) + misfit / half
    if entropy <= 0:
        raise PhaseError(
            f"the entropy of transition is {1e3 * entropy:.4f} ± {1e3 * sigma_s:.4f} meV/K per atom; it must be "
            "positive: give the low-temperature phase first"
        )
    temperature = float(middle + half * root)
    return Crossing(
        temperature_k=temperature,
        sigma_k=sigma_g / entropy,
        delta_h_ev=temperature * entropy,
        delta_h_ev_sigma=float(np.hypot(temperature * sigma_s, sigma_g)),
        delta_s_ev_k=entropy,
        delta_s_ev_k_sigma=sigma_s,
    )


def _sigma(row: FLOAT, covariance: FLOAT) -> float:
    """Standard deviation of a linear combination; rounding may make a vanishing variance negative."""
    return float(np.sqrt(max(float(row @ covariance @ row), 0.0)))


def _common(low: Curve, high: Curve) -> FLOAT:
    """Temperatures of the common window: those of the curve that has more of them there, ascending."""
    first = max(low.temperatures_k.min(), high.temperatures_k.min())
    last = min(low.temperatures_k.max(), high.temperatures_k.max())
    inside = [np.sort(t[(t >= first) & (t <= last)]) for t in (low.temperatures_k, high.temperatures_k)]
    chosen = max(inside, key=len)
    if len(chosen) <= DEGREE + 1:
        raise DataError(
            f"the curves share {len(chosen)} temperatures (from {first:.0f} to {last:.0f} K); at least {DEGREE + 2} "
            "are needed: choose paths that overlap"
        )
    return np.array(chosen)


def next_guess(low: Curve, high: Curve, guess_k: float) -> float:
    """Return where curves that do not cross in their common window are expected to, K, at most a fifth away.

    ΔG at the middle of the window over ΔS there; a start for the next paths, no result.
    """
    temperatures = _common(low, high)
    difference = high.at(temperatures)[0] - low.at(temperatures)[0]
    slope, offset = np.polyfit(temperatures - guess_k, difference, 1)
    step = -offset / slope if slope < 0 else 0.0  # the wrong slope tells nothing: try the same again
    return guess_k + float(np.clip(step, -0.2 * guess_k, 0.2 * guess_k))
