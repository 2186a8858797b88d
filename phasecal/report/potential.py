"""What a calibration changed in the potential, and the structure of the phases: functions of the distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from phasecal.report import style
from phasecal.report.data import Function, ReportData, Structure
from phasecal.report.style import Drawing

Floats = NDArray[np.float64]


def _curve(values: Sequence[float | None] | None) -> Floats | None:
    """The values of a curve, or ``None`` if there are not two to draw."""
    curve = np.array([np.nan if value is None else value for value in values or []], dtype=float)
    return curve if np.isfinite(curve).sum() > 1 else None


def _changed(initial: Floats, final: Floats | None) -> bool:
    """Whether a function changed by more than rounding."""
    if final is None:
        return False
    change = np.nan_to_num(np.abs(final - initial))
    return bool(change.max() > 1e-12 * max(float(np.nanmax(np.abs(initial))), 1.0))


def _well_limits(values: Floats) -> tuple[float, float]:
    """A range that shows the well of a pair function and cuts its repulsive wall."""
    low = min(float(np.nanmin(values)), 0.0)
    depth = -low if low < 0 else float(np.nanpercentile(values, 75)) or 1.0
    return low - 0.12 * depth, 1.5 * depth


_AXES = {
    "pair": ("φ(r)", "r / Å", "eV"),
    "density": ("ρ(r)", "r / Å", "unit of the file"),
    "embedding": ("F(ρ)", "ρ / unit of the file", "eV"),
}
"""What a kind of function is called, over what, and its unit."""


def function_pair(name: str, function: Function, kind: str) -> Drawing | None:
    """One function of the potential before and after, and the difference.

    Args:
        name: Element or pair of elements.
        function: The tabulated function.
        kind: ``pair``, ``density`` or ``embedding``.

    Returns:
        The figure; ``None`` for an empty table, and for a density or embedding function that did not change.
    """
    x, initial, final = _curve(function.abscissa), _curve(function.initial), _curve(function.final)
    if x is None or initial is None:
        return None
    changed = _changed(initial, final)
    if kind != "pair" and not changed:
        return None
    symbol, abscissa, unit = _AXES[kind]
    with style.styled():
        figure, grid = style.new_figure(
            4.2 if changed else 2.6,
            nrows=2 if changed else 1,
            sharex=True,
            squeeze=False,
            gridspec_kw={"height_ratios": [1.7, 1]} if changed else None,
        )
        top = grid[0][0]
        style.zero_line(top)
        top.plot(x, initial, color=style.BEFORE, lw=2.4, label="this model" if final is None else "before")
        if final is not None:
            top.plot(x, final, color=style.AFTER, ls=style.DASHES[1], label="after")
        if kind == "pair":
            limits = _well_limits(initial)
            top.set_ylim(*limits)
            visible = x[(initial < limits[1]) & (np.abs(initial) > 1e-6)]
            if visible.size:
                top.set_xlim(visible[0] - 0.1, visible[-1] + 0.1)
        top.set_ylabel(f"{symbol} / {unit}")
        top.legend(title=style.short(name), alignment="left")
        if changed and final is not None:
            _difference(grid[1][0], x, final - initial, symbol, unit)
        grid[-1][0].set_xlabel(abscissa)
    caption = f"{symbol} of {name}" + (" before and after the calibration." if final is not None else ".")
    alt = caption + (" The difference is drawn below." if changed else "")
    return Drawing(_file_name(kind, name), alt, caption, figure)


def correction(name: str, function: Function, kind: str) -> Drawing | None:
    """What is added to a function of a frozen potential before and after; ``None`` if nothing changed.

    Arguments as of :func:`function_pair`.
    """
    x, initial, final = _curve(function.abscissa), _curve(function.initial), _curve(function.final)
    if x is None or initial is None or final is None or not _changed(initial, final):
        return None
    symbol, abscissa, unit = _AXES[kind]
    factor, unit = (1e3, "meV") if unit == "eV" else (1.0, unit)
    with style.styled():
        figure, axes = style.new_figure(2.6)
        style.zero_line(axes)
        axes.plot(x, factor * initial, color=style.BEFORE, lw=2.4, label="before")
        axes.plot(x, factor * final, color=style.AFTER, ls=style.DASHES[1], label="after")
        axes.set_xlabel(abscissa)
        axes.set_ylabel(f"δ{symbol} / {unit}")
        axes.legend(title=style.short(name), alignment="left")
    caption = f"Correction δ{symbol} of {name}, added to the frozen potential, before and after the calibration."
    largest = int(np.nanargmax(np.abs(final - initial)))
    alt = f"{caption} It changes most, by {factor * (final - initial)[largest]:.3g} {unit}, at {x[largest]:.2f}."
    return Drawing(_file_name(kind, name), alt, caption, figure)


def _file_name(kind: str, name: str) -> str:
    return "function-" + "".join(c if c.isalnum() else "-" for c in f"{kind}-{name}")


def _difference(axes: Axes, x: Floats, change: Floats, symbol: str, unit: str) -> None:
    factor, unit = (1e3, "meV") if unit == "eV" else (1.0, unit)
    style.zero_line(axes)
    axes.plot(x, factor * change, color=style.AFTER, label="_difference")
    axes.fill_between(x, factor * change, color=style.AFTER, alpha=0.15, lw=0, label="_difference")
    axes.set_ylabel(f"Δ{symbol} / {unit}")
    axes.yaxis.set_major_locator(MaxNLocator(5))


def function_figures(data: ReportData) -> list[Drawing]:
    """All functions of the potential that are worth a figure."""
    tables = {
        "pair": data.functions.pair,
        "density": data.functions.density,
        "embedding": data.functions.embedding,
    }
    draw = correction if data.functions.correction else function_pair
    drawings = [draw(name, entry, kind) for kind, table in tables.items() for name, entry in table.items()]
    first = next((item.pk for item in data.lineage if item.round == 0), None)
    pks = tuple(pk for pk in (first, data.summary.model and data.summary.model.pk) if pk)
    return [replace(drawing, pks=pks) for drawing in drawings if drawing is not None]


def structures(data: ReportData) -> Drawing | None:
    """Radial distribution functions before and after, a panel per phase and pressure; ``None`` if there are none."""
    drawn = [entry for entry in data.structures if _curve(entry.r) is not None and _curve(entry.initial) is not None]
    if not drawn:
        return None
    n_columns = min(2, len(drawn))
    n_rows = -(-len(drawn) // n_columns)
    with style.styled():
        figure, grid = style.new_figure(2.4 * n_rows, nrows=n_rows, ncols=n_columns, squeeze=False)
        words = [_structure(axes, entry) for axes, entry in zip(grid.flat, drawn, strict=False)]
        for axes in grid.flat[len(drawn) :]:
            axes.set_axis_off()
    caption = "Radial distribution functions, each model at its own transition temperature."
    pks = tuple(pk for entry in drawn for pk in (entry.initial_pk, entry.final_pk) if pk)
    return Drawing("rdf", f"Radial distribution functions; first peaks: {'; '.join(words)}.", caption, figure, pks)


def _structure(axes: Axes, entry: Structure) -> str:
    """Draw one g(r) before and after; return its peaks in words."""
    x = np.array(entry.r, dtype=float)
    curves = [("before", _curve(entry.initial)), ("after", _curve(entry.final))]
    if entry.final is None:
        curves = [("this model", _curve(entry.initial))]
    looks: list[dict[str, Any]] = [{"color": style.BEFORE, "lw": 2.4}, {"color": style.AFTER, "ls": style.DASHES[1]}]
    words = []
    axes.axhline(1, color=style.FAINT, lw=0.8, zorder=0)
    for (label, curve), look in zip(curves, looks, strict=False):
        if curve is not None:
            axes.plot(x, curve, label=label, **look)
            words.append(f"{label} {np.nanmax(curve):.2f} at {x[np.nanargmax(curve)]:.2f} Å")
    axes.set_xlabel("r / Å")
    axes.set_ylabel("g(r)")
    axes.set_ylim(bottom=0)
    axes.set_xlim(0, float(np.nanmax(x)))
    axes.set_title(style.short(f"{entry.phase}, {entry.pressure_gpa:g} GPa"))
    axes.legend()
    return f"{entry.phase} at {entry.pressure_gpa:g} GPa {', '.join(words)}"
