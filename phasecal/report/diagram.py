"""The phase diagram as a figure and as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecal.report import style
from phasecal.report.checks import Outcome
from phasecal.report.data import Line, OtherExperiment
from phasecal.report.style import Drawing
from phasecal.report.tables import write_csv

LINE_COLUMNS = ("pressure_gpa", "temperature_k", "sigma_k", "slope_k_gpa", "slope_sigma_k_gpa", "stable")
POINT_COLUMNS = ("pressure_gpa", "temperature_k", "sigma_k", "method", "pk")


def write_diagram(data: dict[str, Any], folder: Path) -> list[Path]:
    """Write ``phase_diagram.svg``, ``.png``, ``lines.csv`` and ``points.csv``.

    Args:
        data: ``title``, ``lines`` (:func:`phasecal.freeenergy.diagram.assemble`), ``points`` (measured or followed
            points) and ``targets`` (experiment), each point with ``phases``, ``pressure_gpa``, ``temperature_k``
            and ``sigma_k``; ``alternatives`` (other experiments) have ``source`` instead of ``sigma_k``.
        folder: Made if missing.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    saved = style.save(phase_diagram(data), folder)
    lines, points = folder / "lines.csv", folder / "points.csv"
    rows = [
        ["–".join(boundary["phases"]), *row]
        for boundary in data["lines"]["boundaries"]
        for row in zip(*(boundary["line"][name] for name in LINE_COLUMNS), strict=True)
    ]
    write_csv(lines, ["boundary", *LINE_COLUMNS], rows)
    rows = [["–".join(p["phases"]), *(p[name] for name in POINT_COLUMNS)] for p in data["points"]]
    write_csv(points, ["boundary", *POINT_COLUMNS], rows)
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
            _others(axes, [p for p in data["alternatives"] if "–".join(p["phases"]) == name])
        for point in data["lines"]["triple_points"]:
            axes.plot(point["pressure_gpa"], point["temperature_k"], "*", color=style.INK, ms=9, zorder=4)
        axes.set_xlabel("P, GPa")
        axes.set_ylabel("T, K")
        axes.set_title(style.short(data["title"], 60))
        axes.grid(color=style.FAINT, lw=0.5)
        _legend_once(axes)
    return Drawing(
        name="phase_diagram",
        alt=f"Phase diagram of {data['title']}: boundaries {', '.join(names)} over pressure",
        caption="Boundaries with 1σ bands; dashed where a third phase is more stable; markers are direct measurements.",
        figure=figure,
    )


def over_pressure(
    lines: Sequence[Line], outcomes: Sequence[Outcome], alternatives: Sequence[OtherExperiment] = ()
) -> Drawing | None:
    """Draw the boundaries over pressure before and after a calibration, or as measured, and experiment.

    Args:
        lines: The boundaries over pressure, of each model.
        outcomes: One entry per boundary and pressure.
        alternatives: Points of other experiments.

    Returns:
        The figure, or ``None`` without a boundary at two pressures.
    """
    of_boundary: dict[str, list[Outcome]] = {}
    for item in outcomes:
        of_boundary.setdefault("–".join(item.boundary.phases), []).append(item)
    if not lines and max(map(len, of_boundary.values()), default=0) < 2:
        return None
    with style.styled():
        figure, axes = style.new_figure(4.0)
        for i, (name, items) in enumerate(of_boundary.items()):
            looks = {
                "before": ("before", style.BEFORE),
                "verified": ("verified", style.AFTER),
                "measured": (style.short(name), style.CYCLE[i % len(style.CYCLE)]),
                "experiment": ("experiment", style.EXPERIMENT),
            }
            for line in lines:
                if "–".join(line.phases) == name:
                    label, colour = looks[_KINDS[line.label]]
                    _line(axes, line.model_dump(), colour, label)
            for kind, (label, colour) in looks.items():
                found = [point for item in items if (point := _point(item, kind)) is not None]
                _markers(axes, found, style.MARKERS[i % len(style.MARKERS)], colour, label)
                if kind == "experiment":
                    _experiment(axes, found)
            _others(axes, [point.model_dump() for point in alternatives if "–".join(point.phases) == name])
        axes.set_xlabel("P / GPa")
        axes.set_ylabel("T / K")
        axes.grid(color=style.FAINT, lw=0.5)
        _legend_once(axes)
    caption = f"{', '.join(of_boundary)} over pressure; error bars and bands are 1 σ. "
    caption += "Lines join the points of a model by their slopes (Clausius and Clapeyron). " if lines else ""
    caption += "The band of experiment is straight between targets, only to guide the eye."
    if alternatives:
        caption += f" Grey points: {'; '.join(dict.fromkeys(point.source for point in alternatives))}."
    words = "; ".join(f"{item.name}: result {item.result}, experiment {item.target}" for item in outcomes)
    pks = tuple(known.pk for item in outcomes for known in (item.initial, item.result) if known and known.pk)
    return Drawing("phase-diagram", f"Boundaries over pressure. {words}.", caption, figure, pks)


_KINDS = {"initial": "before", "verification": "verified", "measured": "measured"}
"""What the line of a model is called in the figure."""


def _point(item: Outcome, label: str) -> dict[str, Any] | None:
    """What is known of a boundary under a label, as a point."""
    known = {"before": item.initial, "experiment": item.target, item.kind: item.result}.get(label)
    if known is None:
        return None
    return {"pressure_gpa": item.boundary.pressure_gpa, "temperature_k": known.value, "sigma_k": known.sigma}


def _experiment(axes: Any, points: list[dict[str, Any]]) -> None:
    """The band of the targets' σ, straight between them."""
    points = sorted(points, key=lambda point: float(point["pressure_gpa"]))
    x, y, e = (np.array([point[key] for point in points], dtype=float) for key in LINE_COLUMNS[:3])
    axes.fill_between(x, y - e, y + e, color=style.EXPERIMENT, alpha=0.25, lw=0, label="_experiment")


def _others(axes: Any, points: list[dict[str, Any]]) -> None:
    """Points of other experiments, which have no known σ."""
    if points:
        x, y = (np.array([point[key] for point in points], dtype=float) for key in LINE_COLUMNS[:2])
        axes.plot(x, y, ".", color=style.OTHERS, ms=5, label="other experiments", zorder=1)


def _legend_once(axes: Any) -> None:
    """A legend that names each series once."""
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        *zip(*{label: (handle, label) for handle, label in zip(handles, labels, strict=True)}.values(), strict=True)
    )


def _line(axes: Any, line: Mapping[str, Any], colour: str, label: str) -> None:
    """A line with its band; dashed where it is metastable."""
    pressure, temperature, sigma = (np.array(line[key], dtype=float) for key in LINE_COLUMNS[:3])
    stable = np.array(line["stable"], dtype=bool)
    band = (temperature - sigma, temperature + sigma)
    axes.fill_between(pressure, *band, color=colour, alpha=0.2, lw=0, label=f"_{label}")
    if stable.any():
        axes.plot(pressure, _only(temperature, stable), color=colour, label=label)
    if not stable.all():
        name = f"_{label}" if stable.any() else f"{label} (metastable)"
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
