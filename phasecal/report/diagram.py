"""The phase diagram as a figure and as tables."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecal.report import style
from phasecal.report.style import Drawing

LINE_COLUMNS = ("pressure_gpa", "temperature_k", "sigma_k", "slope_k_gpa", "slope_sigma_k_gpa", "stable")
POINT_COLUMNS = ("pressure_gpa", "temperature_k", "sigma_k", "method", "pk")


def write_diagram(data: dict[str, Any], folder: Path) -> list[Path]:
    """Write ``phase_diagram.svg``, ``.png``, ``lines.csv`` and ``points.csv``.

    Args:
        data: ``title``, ``lines`` (:func:`phasecal.freeenergy.diagram.assemble`), ``points`` (measured or followed
            points) and ``targets`` (experiment), each point with ``phases``, ``pressure_gpa``, ``temperature_k``
            and ``sigma_k``.
        folder: Made if missing.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    saved = style.save(phase_diagram(data), folder)
    lines, points = folder / "lines.csv", folder / "points.csv"
    with lines.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["boundary", *LINE_COLUMNS])
        for boundary in data["lines"]["boundaries"]:
            columns = [boundary["line"][name] for name in LINE_COLUMNS]
            writer.writerows(["–".join(boundary["phases"]), *row] for row in zip(*columns, strict=True))
    with points.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["boundary", *POINT_COLUMNS])
        writer.writerows(["–".join(p["phases"]), *(p[name] for name in POINT_COLUMNS)] for p in data["points"])
    return [*saved.files, lines, points]


def phase_diagram(data: dict[str, Any]) -> Drawing:
    """Draw T(P) with intervals as bands, metastable continuations dashed, measured points and experiment."""
    names = ["–".join(boundary["phases"]) for boundary in data["lines"]["boundaries"]]
    with style.styled():
        figure, axes = style.new_figure(4.2)
        for i, (name, boundary) in enumerate(zip(names, data["lines"]["boundaries"], strict=True)):
            colour = style.CYCLE[i % len(style.CYCLE)]
            _line(axes, boundary["line"], colour, style.short(name))
            of_boundary = [p for p in data["points"] if "–".join(p["phases"]) == name]
            measured = [p for p in of_boundary if p["method"] != "clausius-clapeyron"]
            _markers(axes, measured, style.MARKERS[i % len(style.MARKERS)], colour, None)
            targets = [t for t in data["targets"] if "–".join(t["phases"]) == name]
            _markers(axes, targets, "x", style.EXPERIMENT, "experiment" if i == 0 else None)
        for point in data["lines"]["triple_points"]:
            axes.plot(point["pressure_gpa"], point["temperature_k"], "*", color=style.INK, ms=9, zorder=4)
        axes.set_xlabel("P, GPa")
        axes.set_ylabel("T, K")
        axes.set_title(style.short(data["title"], 60))
        axes.grid(color=style.FAINT, lw=0.5)
        axes.legend()
    return Drawing(
        name="phase_diagram",
        alt=f"Phase diagram of {data['title']}: boundaries {', '.join(names)} over pressure",
        caption="Boundaries with 1σ bands; dashed where a third phase is more stable; markers are direct measurements.",
        figure=figure,
    )


def _line(axes: Any, line: dict[str, Any], colour: str, label: str) -> None:
    """A line with its band; dashed where it is metastable."""
    pressure, temperature, sigma = (np.array(line[key]) for key in LINE_COLUMNS[:3])
    stable = np.array(line["stable"], dtype=bool)
    axes.fill_between(pressure, temperature - sigma, temperature + sigma, color=colour, alpha=0.2, lw=0)
    if stable.any():
        axes.plot(pressure, _only(temperature, stable), color=colour, label=label)
    if not stable.all():
        name = None if stable.any() else f"{label} (metastable)"
        axes.plot(pressure, _only(temperature, ~stable), color=colour, ls=style.DASHES[1], label=name)


def _only(values: NDArray[np.float64], chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Values where chosen, a gap elsewhere."""
    return np.where(chosen, values, np.nan)


def _markers(axes: Any, points: list[dict[str, Any]], marker: str, colour: str, label: str | None) -> None:
    """Points with error bars."""
    if points:
        keys = ("pressure_gpa", "temperature_k", "sigma_k")
        x, y, e = (np.array([point[key] for point in points], dtype=float) for key in keys)
        axes.errorbar(x, y, e, fmt=marker, color=colour, ms=5, capsize=2, lw=1, label=label, zorder=3)
