"""A phase diagram from the measurements along its boundaries: lines, triple points, stability, consistency.

Every boundary is a line of its own (freeenergy/line.py). Where two lines that share a phase cross there is a triple
point; beyond it a line goes on as the metastable boundary of two phases of which a third is more stable than both.

Signs: a boundary is (low-temperature phase, high-temperature phase); near it ΔG(T) = −ΔS (T − T_t), per atom.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecal.freeenergy.line import BoundaryLine, Datum, crossings, fit_line

N_GRID = 81
"""Points at which a line is tabulated."""
MIN_P_VALUE = 0.003
"""Below this probability a consistency check has failed (3σ)."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class MeasuredBoundary:
    """What was measured along one boundary.

    Attributes:
        phases: Low- and high-temperature phase.
        points: Transitions of the boundary at several pressures: ``pressure_gpa``, ``slope_k_gpa``,
            ``slope_k_gpa_sigma``, ``delta_s_ev_k``; those that are anchors also ``temperature_k`` and ``sigma_k``.
    """

    phases: tuple[str, str]
    points: Sequence[dict[str, Any]]

    @property
    def anchors(self) -> list[Datum]:
        """Measured temperatures."""
        return [
            Datum(p["pressure_gpa"], p["temperature_k"], p["sigma_k"])
            for p in self.points
            if p.get("sigma_k") is not None
        ]

    @property
    def slopes(self) -> list[Datum]:
        """Measured slopes."""
        return [Datum(p["pressure_gpa"], p["slope_k_gpa"], p["slope_k_gpa_sigma"]) for p in self.points]

    def line(self) -> BoundaryLine:
        """Join the points (see :func:`phasecal.freeenergy.line.fit_line`)."""
        return fit_line(self.anchors, self.slopes)


def assemble(boundaries: Sequence[MeasuredBoundary]) -> dict[str, Any]:
    """Return lines, triple points and checks as plain data.

    Args:
        boundaries: Every boundary that was measured, each pair of phases once.

    Returns:
        ``boundaries`` (``phases``, ``line`` with ``pressure_gpa``, ``temperature_k``, ``sigma_k``, ``slope_k_gpa``,
        ``slope_sigma_k_gpa`` and ``stable``, all of equal length), ``triple_points`` and ``checks`` (``name``,
        ``passed`` and the numbers in ``text``).

    Raises:
        DataError: A boundary has no anchor, or numbers without an error.
    """
    lines = {boundary.phases: boundary.line() for boundary in boundaries}
    return {
        "boundaries": [{"phases": list(phases), "line": _table(phases, line, lines)} for phases, line in lines.items()],
        "triple_points": _triple_points(lines),
        "checks": [*_clapeyron_checks(boundaries, lines), *_cycle_checks(boundaries, lines)],
    }


def joined(points: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the lines through transitions of one model, as :func:`assemble` does, or None where there is none.

    Args:
        points: Transitions with their slopes, of any boundaries; one that was measured at one pressure has no line.
    """
    of_boundary: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for point in points:
        low, high = point["phases"]
        of_boundary.setdefault((low, high), []).append(point)
    boundaries = [MeasuredBoundary(phases, found) for phases, found in of_boundary.items() if len(found) > 1]
    return assemble(boundaries) if boundaries else None


def _table(phases: tuple[str, str], line: BoundaryLine, lines: dict[tuple[str, str], BoundaryLine]) -> dict[str, Any]:
    """Tabulate one line."""
    knots = line.knots_gpa
    pressures = np.unique(np.concatenate([knots, np.linspace(knots[0], knots[-1], N_GRID)]))
    (temperature, sigma), (slope, slope_sigma) = line.temperature(pressures), line.slope(pressures)
    return {
        "pressure_gpa": pressures.tolist(),
        "temperature_k": temperature.tolist(),
        "sigma_k": sigma.tolist(),
        "slope_k_gpa": slope.tolist(),
        "slope_sigma_k_gpa": slope_sigma.tolist(),
        "stable": [is_stable(phases, float(t), float(p), lines) for t, p in zip(temperature, pressures, strict=True)],
    }


def is_stable(
    phases: tuple[str, str], temperature_k: float, pressure_gpa: float, lines: dict[tuple[str, str], BoundaryLine]
) -> bool:
    """Say whether no third phase is more stable than the two that coexist at a point of their boundary.

    Compared is only with phases that share a known boundary with one of the two at this pressure.
    """
    for (low, high), other in lines.items():
        if {low, high} == set(phases) or not other.covers(pressure_gpa):
            continue
        boundary_k = float(other.temperature(pressure_gpa)[0][0])
        third_is_high = low in phases and high not in phases
        third_is_low = high in phases and low not in phases
        if (third_is_high and temperature_k > boundary_k) or (third_is_low and temperature_k < boundary_k):
            return False
    return True


def _triple_points(lines: dict[tuple[str, str], BoundaryLine]) -> list[dict[str, Any]]:
    """Find where lines that share a phase cross."""
    found = []
    for (one, first), (other, second) in itertools.combinations(lines.items(), 2):
        if len(set(one) & set(other)) != 1:
            continue
        for crossing in crossings(first, second):
            found.append(
                {
                    "phases": sorted(set(one) | set(other)),
                    "boundaries": ["–".join(one), "–".join(other)],
                    "pressure_gpa": crossing.pressure_gpa,
                    "pressure_sigma_gpa": crossing.pressure_sigma_gpa,
                    "temperature_k": crossing.temperature_k,
                    "temperature_sigma_k": crossing.temperature_sigma_k,
                }
            )
    return found


def _clapeyron_checks(
    boundaries: Sequence[MeasuredBoundary], lines: dict[tuple[str, str], BoundaryLine]
) -> list[dict[str, Any]]:
    """Compare measured temperatures with the integral of the slopes, where there are two or more."""
    checks = []
    for boundary in boundaries:
        line = lines[boundary.phases]
        if line.n_redundant == 0:
            continue
        checks.append(
            {
                "name": f"Clausius-Clapeyron along {'–'.join(boundary.phases)}",
                "passed": line.p_value >= MIN_P_VALUE,
                "text": f"{line.n_redundant + 1} measured temperatures against the integral of "
                f"{len(boundary.slopes)} measured ΔV/ΔS: chi2 = {line.chi2:.1f} for {line.n_redundant} degrees of "
                f"freedom, p = {line.p_value:.2g}",
            }
        )
    return checks


def _cycle_checks(
    boundaries: Sequence[MeasuredBoundary], lines: dict[tuple[str, str], BoundaryLine]
) -> list[dict[str, Any]]:
    """Add up ΔG around a → b → c → a wherever all three boundaries were measured at one pressure."""
    known = {boundary.phases: {p["pressure_gpa"]: p for p in boundary.points} for boundary in boundaries}
    checks = []
    for (a, b), (b2, c) in itertools.permutations(known, 2):
        if b != b2 or (a, c) not in known:
            continue
        for pressure in sorted(set(known[a, b]) & set(known[b, c]) & set(known[a, c])):
            value, sigma = _cycle(pressure, [(1.0, (a, b)), (1.0, (b, c)), (-1.0, (a, c))], known, lines)
            checks.append(
                {
                    "name": f"cycle {a} → {b} → {c} → {a} at {pressure:g} GPa",
                    "passed": abs(value) <= 3 * sigma,
                    "text": f"the sum of ΔG is {1e3 * value:.2f} ± {1e3 * sigma:.2f} meV/atom, expected 0",
                }
            )
    return checks


def _cycle(
    pressure: float,
    signed: Sequence[tuple[float, tuple[str, str]]],
    known: dict[tuple[str, str], dict[float, dict[str, Any]]],
    lines: dict[tuple[str, str], BoundaryLine],
) -> tuple[float, float]:
    """Σ ± ΔG at the mean of the boundaries' temperatures, and its standard error, eV/atom.

    ΔG = −ΔS (T − T_t), so that its error is ΔS σ(T_t) and (T − T_t) σ(ΔS).
    """
    at = {phases: lines[phases].temperature(pressure) for _, phases in signed}
    common = float(np.mean([temperature[0] for temperature, _ in at.values()]))
    total, parts = 0.0, []
    for sign, phases in signed:
        point, (boundary_k, sigma_k) = known[phases][pressure], at[phases]
        total -= sign * point["delta_s_ev_k"] * (common - float(boundary_k[0]))
        parts += [
            point["delta_s_ev_k"] * float(sigma_k[0]),
            (common - float(boundary_k[0])) * point["delta_s_ev_k_sigma"],
        ]
    return total, math.hypot(*parts)
