"""The figures about the result: temperatures, convergence, functions of the potential, liquid structure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from phasecal.report import style
from phasecal.report.checks import Estimate, Outcome, estimate, target_of
from phasecal.report.data import Function, Rdf, ReportData, Round
from phasecal.report.numbers import with_sigma
from phasecal.report.style import Drawing

Floats = NDArray[np.float64]


def _array(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def _interval(axes: Axes, value: Estimate, y: float, colour: str, marker: str, zero: float = 0.0) -> None:
    """A marker with 1σ as a thick and 2σ as a thin bar, along x."""
    x = value.value - zero
    axes.plot([x - 2 * value.sigma, x + 2 * value.sigma], [y, y], color=colour, lw=1.0, solid_capstyle="butt")
    axes.plot([x - value.sigma, x + value.sigma], [y, y], color=colour, lw=3.2, solid_capstyle="butt")
    axes.plot(x, y, marker, color=colour, ms=6, mec="white", mew=0.8, zorder=3)


def _rows(item: Outcome) -> list[tuple[str, Estimate, str, str]]:
    """What is shown of a boundary: label, estimate, colour, marker."""
    candidates = [
        ("before", item.initial, style.BEFORE, "o"),
        ("training estimate", item.training, style.TRAINING, "D"),
        (item.kind, item.result, style.AFTER, "s"),
        ("experiment", item.target, style.EXPERIMENT, "^"),
    ]
    return [(label, value, c, m) for label, value, c, m in candidates if value is not None]


def _plain_panels(panels: Sequence[Axes]) -> None:
    """Rows without an axis of their own, and a light grid to read temperatures from."""
    for panel in panels:
        panel.tick_params(axis="y", length=0)
        panel.spines["left"].set_visible(False)
        panel.margins(x=0.08)
        panel.grid(axis="x", color=style.FAINT, lw=0.5)
        panel.set_axisbelow(True)


def temperatures(outcomes: Sequence[Outcome]) -> Drawing | None:
    """Transition temperatures before, in training, verified and from experiment, with intervals.

    Args:
        outcomes: One entry per boundary and pressure.

    Returns:
        The figure, or ``None`` if no temperature with an interval exists.
    """
    groups = [(item, _rows(item)) for item in outcomes]
    n_rows = sum(len(rows) for _, rows in groups)
    if n_rows == 0:
        return None
    zoom = any(item.target and (item.training or item.result) for item, _ in groups)
    with style.styled():
        figure, grid = style.new_figure(
            0.9 + 0.30 * (n_rows + (len(groups) if len(groups) > 1 else 0)),
            ncols=2 if zoom else 1,
            sharey=True,
            squeeze=False,
            gridspec_kw={"width_ratios": [1.25, 1]} if zoom else None,
        )
        axes = list(grid[0])
        y, ticks, labels = 0.0, [], []
        for item, rows in groups:
            if len(groups) > 1:
                axes[0].text(
                    0.0,
                    y,
                    style.short(item.name, 60),
                    transform=axes[0].get_yaxis_transform(),
                    weight="bold",
                    va="center",
                )
                y -= 1
            for label, value, colour, marker in rows:
                _interval(axes[0], value, y, colour, marker)
                if zoom and item.target and label != "before":
                    _interval(axes[1], value, y, colour, marker, zero=item.target.value)
                ticks.append(y)
                labels.append(f"{label}\n{with_sigma(value.value, value.sigma)} K")
                y -= 1
        axes[0].set_yticks(ticks, labels)
        axes[0].set_ylim(y + 0.4, 0.6)
        axes[0].set_xlabel("transition temperature / K")
        if zoom:
            axes[1].axvline(0, color=style.EXPERIMENT, lw=0.8, zorder=0)
            axes[1].set_xlabel("difference from experiment / K")
        _plain_panels(axes)
    words = "; ".join(
        f"{item.name}: " + ", ".join(f"{label} {value}" for label, value, _, _ in rows) for item, rows in groups
    )
    caption = "Transition temperatures. Thick bars are 1 σ, thin bars 2 σ."
    if zoom:
        caption += " Right: the same relative to experiment, without the initial model."
    return Drawing("temperatures", f"Transition temperatures with intervals. {words}.", caption, figure)


def _reanchored(data: ReportData) -> list[int]:
    """Indices of the rounds whose sampled model has an anchor of its own."""
    hashes = {anchor.model_hash for anchor in data.anchors if anchor.label == "re-anchor"}
    return [index for index, entry in enumerate(data.rounds) if entry.parent in hashes]


def _shifts(n_series: int) -> Floats:
    """Small shifts along x, shape (n_series,), that keep points of several series apart."""
    return np.linspace(-1, 1, n_series) * 0.025 * (n_series - 1)


def _round_temperatures(axes: Axes, data: ReportData, outcomes: Sequence[Outcome]) -> None:
    """T − T_exp of the sampled model per round, and the verification after the last one."""
    shifts = _shifts(len(outcomes))
    for index, item in enumerate(outcomes):
        look: dict[str, Any] = {
            "color": style.CYCLE[index % 6],
            "fmt": style.MARKERS[index % 6],
            "capsize": 2.5,
        }
        points = []
        for number, entry in enumerate(data.rounds, start=1):
            target = target_of(entry, item.boundary)
            value = estimate(target.temperature_k, target.sigma_k) if target else None
            if target and value:
                zero = item.target.value if item.target else target.target_k
                points.append((number + shifts[index], value.value - zero, value.sigma))
        if points:
            x, y, sigma = np.array(points).T
            axes.errorbar(x, y, sigma, ls="-", lw=1.0, label=style.short(item.name), **look)
        if item.result and item.target:
            last, difference = len(data.rounds) + 1 + shifts[index], item.result.value - item.target.value
            axes.errorbar(last, difference, item.result.sigma, mfc="white", **look)
        if item.target and len(outcomes) == 1:
            axes.axhspan(-item.target.sigma, item.target.sigma, color=style.EXPERIMENT, alpha=0.25, lw=0)
    axes.axhline(0, color=style.EXPERIMENT, lw=0.8, zorder=0)
    axes.set_ylabel("T − experiment / K")
    if len(outcomes) > 1:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def _round_phases(axes: Axes, rounds: Sequence[Round], field: str) -> None:
    """One diagnostic of every phase sample per round."""
    series: dict[str, list[tuple[int, float]]] = {}
    several = len({p.pressure_gpa for entry in rounds for p in entry.phases}) > 1
    for number, entry in enumerate(rounds, start=1):
        for phase in entry.phases:
            value = getattr(phase, field)
            name = f"{phase.phase}, {phase.pressure_gpa:g} GPa" if several else phase.phase
            if value is not None:
                series.setdefault(name, []).append((number, value))
    for index, (name, points) in enumerate(series.items()):
        x, y = np.array(points, dtype=float).T
        marker, colour = style.MARKERS[index % 6], style.CYCLE[index % 6]
        axes.plot(x + _shifts(len(series))[index], y, marker, ls="-", lw=1.0, color=colour, label=style.short(name))
    axes.set_ylim(0, 1.1 * max((value for points in series.values() for _, value in points), default=1.0))


def convergence(data: ReportData, outcomes: Sequence[Outcome]) -> Drawing | None:
    """Temperature, effective sample size and step width per round.

    Args:
        data: The data of the report.
        outcomes: One entry per boundary and pressure.

    Returns:
        The figure, or ``None`` if there was no round.
    """
    if not data.rounds:
        return None
    with style.styled():
        figure, axes = style.new_figure(5.2, nrows=3, sharex=True, gridspec_kw={"height_ratios": [1.6, 1, 1]})
        _round_temperatures(axes[0], data, outcomes)
        _round_phases(axes[1], data.rounds, "n_eff")
        axes[1].set_ylabel("Neff / N")
        if axes[1].lines:
            axes[1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        _round_phases(axes[2], data.rounds, "sd_beta_du")
        axes[2].set_ylabel("sd(βΔU)")
        n_rounds = len(data.rounds)
        verified = any(item.kind == "verified" for item in outcomes)
        ticks = list(range(1, n_rounds + 1))
        axes[2].set_xticks(
            ticks + ([n_rounds + 1] if verified else []),
            [str(k) for k in ticks] + (["verified"] if verified else []),
        )
        axes[2].set_xlim(0.6, n_rounds + (1.5 if verified else 0.4))
        axes[2].set_xlabel("round")
        for index in _reanchored(data):
            for panel in axes:
                panel.axvline(index + 0.5, color=style.INK, lw=0.8, ls=(0, (4, 3)))
            axes[0].annotate(" re-anchored", (index + 0.5, 0.03), xycoords=("data", "axes fraction"), va="bottom")
    caption = (
        "Top: transition temperature of the model sampled in each round minus experiment, ± 1 σ "
        "(green: experiment). "
        "Middle: effective share of the frames that the step was predicted to leave. "
        "Bottom: standard deviation of βΔU over the frames, which limits the step."
    )
    return Drawing("convergence", _convergence_words(data, outcomes), caption, figure)


def _convergence_words(data: ReportData, outcomes: Sequence[Outcome]) -> str:
    words = []
    for item in outcomes:
        for index, entry in enumerate(data.rounds):
            target = target_of(entry, item.boundary)
            value = estimate(target.temperature_k, target.sigma_k) if target else None
            if value is not None:
                words.append(f"{item.name}, round {index + 1}: {value}")
    return f"Convergence per round. {'; '.join(words)}."


def _curve(values: Sequence[float | None] | None) -> Floats | None:
    """The values of a curve, or ``None`` if there are not two to draw."""
    curve = np.array([]) if values is None else _array(values)
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
    symbol, abscissa, unit = {
        "pair": ("φ(r)", "r / Å", "eV"),
        "density": ("ρ(r)", "r / Å", "unit of the file"),
        "embedding": ("F(ρ)", "ρ / unit of the file", "eV"),
    }[kind]
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
    file_name = "function-" + "".join(c if c.isalnum() else "-" for c in f"{kind}-{name}")
    caption = f"{symbol} of {name}" + (" before and after the calibration." if final is not None else ".")
    alt = caption + (" The difference is drawn below." if changed else "")
    return Drawing(file_name, alt, caption, figure)


def _difference(axes: Axes, x: Floats, change: Floats, symbol: str, unit: str) -> None:
    factor, unit = (1e3, "meV") if unit == "eV" else (1.0, unit)
    style.zero_line(axes)
    axes.plot(x, factor * change, color=style.AFTER)
    axes.fill_between(x, factor * change, color=style.AFTER, alpha=0.15, lw=0)
    axes.set_ylabel(f"Δ{symbol} / {unit}")
    axes.yaxis.set_major_locator(MaxNLocator(5))


def function_figures(data: ReportData) -> list[Drawing]:
    """All functions of the potential that are worth a figure."""
    tables = {
        "pair": data.functions.pair,
        "density": data.functions.density,
        "embedding": data.functions.embedding,
    }
    drawings = [function_pair(name, entry, kind) for kind, table in tables.items() for name, entry in table.items()]
    return [drawing for drawing in drawings if drawing is not None]


def liquid_structure(rdf: Rdf | None) -> Drawing | None:
    """The radial distribution function of the liquid before and after."""
    x, initial, final = (_curve(rdf.r), _curve(rdf.initial), _curve(rdf.final)) if rdf else (None, None, None)
    if x is None or initial is None:
        return None
    with style.styled():
        figure, axes = style.new_figure(2.8)
        axes.axhline(1, color=style.FAINT, lw=0.8, zorder=0)
        axes.plot(x, initial, color=style.BEFORE, lw=2.4, label="this model" if final is None else "before")
        if final is not None:
            axes.plot(x, final, color=style.AFTER, ls=style.DASHES[1], label="after")
        axes.set_xlabel("r / Å")
        axes.set_ylabel("g(r)")
        axes.set_ylim(bottom=0)
        axes.set_xlim(0, float(np.nanmax(x)))
        axes.legend()
    peak = f"first peak before {np.nanmax(initial):.2f} at {x[np.nanargmax(initial)]:.2f} Å"
    if final is not None:
        peak += f", after {np.nanmax(final):.2f} at {x[np.nanargmax(final)]:.2f} Å"
    caption = "Radial distribution function of the liquid at the target temperature."
    return Drawing("liquid-rdf", f"Radial distribution function of the liquid; {peak}.", caption, figure)
