"""How a calibration converged: temperature, effective samples and overlap, round by round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from phasecal.report import style
from phasecal.report.checks import Outcome, estimate, target_of
from phasecal.report.data import ReportData, Round, RoundPhase
from phasecal.report.style import Drawing

Floats = NDArray[np.float64]


def _reanchored(data: ReportData) -> list[int]:
    """Indices of the rounds whose sampled model has an anchor of its own."""
    hashes = {anchor.model_hash for anchor in data.anchors if anchor.label == "re-anchor"}
    return [index for index, entry in enumerate(data.rounds) if entry.parent in hashes]


def _shifts(n_series: int) -> Floats:
    """Small shifts along x, shape (n_series,), that keep points of several series apart."""
    return np.linspace(-1, 1, n_series) * 0.025 * (n_series - 1)


def _round_temperatures(axes: Axes, data: ReportData, outcomes: Sequence[Outcome]) -> None:
    """T − T_exp of one boundary of the sampled model per round, and the verification after the last one."""
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
            name = f"_{style.short(item.name)}"
            axes.errorbar(last, difference, item.result.sigma, mfc="white", label=name, **look)
        if item.target and len(outcomes) == 1:
            axes.axhspan(-item.target.sigma, item.target.sigma, color=style.EXPERIMENT, alpha=0.25, lw=0)
    axes.axhline(0, color=style.EXPERIMENT, lw=0.8, zorder=0)
    axes.set_ylabel("T − experiment / K")


def _round_phases(axes: Axes, rounds: Sequence[Round], field: str, worst: Callable[[list[float]], float]) -> None:
    """One diagnostic of every phase per round: the worst of its samples."""
    series: dict[str, list[tuple[int, float]]] = {}
    for number, entry in enumerate(rounds, start=1):
        for name in dict.fromkeys(phase.phase for phase in entry.phases):
            values = [getattr(phase, field) for phase in entry.phases if phase.phase == name]
            if known := [value for value in values if value is not None]:
                series.setdefault(name, []).append((number, worst(known)))
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
    boundaries = list(dict.fromkeys(tuple(item.boundary.phases) for item in outcomes))
    ratios = [1.6] * len(boundaries) + [1, 1]
    with style.styled():
        figure, axes = style.new_figure(
            1.45 * sum(ratios), nrows=len(ratios), sharex=True, gridspec_kw={"height_ratios": ratios}
        )
        for panel, phases in zip(axes, boundaries, strict=False):
            _round_temperatures(panel, data, [item for item in outcomes if tuple(item.boundary.phases) == phases])
        _round_phases(axes[-2], data.rounds, "n_eff", min)
        axes[-2].set_ylabel("Neff / N")
        _round_phases(axes[-1], data.rounds, "sd_beta_du", max)
        axes[-1].set_ylabel("sd(βΔU)")
        for panel in axes[:-1]:
            if panel.get_legend_handles_labels()[0] and (len(outcomes) > 1 or panel is axes[-2]):
                panel.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        n_rounds = len(data.rounds)
        verified = any(item.kind == "verified" for item in outcomes)
        ticks = list(range(1, n_rounds + 1))
        axes[-1].set_xticks(
            ticks + ([n_rounds + 1] if verified else []),
            [str(k) for k in ticks] + (["verified"] if verified else []),
        )
        axes[-1].set_xlim(0.6, n_rounds + (1.5 if verified else 0.4))
        axes[-1].set_xlabel("round")
        for index in _reanchored(data):
            for panel in axes:
                panel.axvline(index + 0.5, color=style.INK, lw=0.8, ls=(0, (4, 3)))
            axes[0].annotate(" re-anchored", (index + 0.5, 0.03), xycoords=("data", "axes fraction"), va="bottom")
    caption = (
        "Top: transition temperature of the model sampled in each round minus experiment, ± 1 σ "
        "(green: experiment). "
        "Below: effective share of the frames that the step was predicted to leave. "
        "Bottom: standard deviation of βΔU over the frames, which limits the step. "
        "Of a phase that was sampled at several states the worst is shown."
    )
    pks = tuple(entry.pk for entry in data.rounds if entry.pk)
    return Drawing("convergence", _convergence_words(data, outcomes), caption, figure, pks)


def _convergence_words(data: ReportData, outcomes: Sequence[Outcome]) -> str:
    words = []
    for item in outcomes:
        for index, entry in enumerate(data.rounds):
            target = target_of(entry, item.boundary)
            value = estimate(target.temperature_k, target.sigma_k) if target else None
            if value is not None:
                words.append(f"{item.name}, round {index + 1}: {value}")
    return f"Convergence per round. {'; '.join(words)}."


def overlap(data: ReportData) -> Drawing | None:
    """The overlap matrices of the last round, one per phase and group of states.

    Args:
        data: The data of the report.

    Returns:
        The figure, or ``None`` if the record holds no matrix of two states or more.
    """
    number, phases = next(
        ((n, found) for n, entry in reversed([*enumerate(data.rounds, start=1)]) if (found := _joined(entry))), (0, [])
    )
    if not phases:
        return None
    groups = _same_states(phases)
    most = max(len(group[0].overlap_matrix) for group in groups)
    n_columns = min(2, len(groups))
    n_rows = -(-len(groups) // n_columns)
    with style.styled():
        figure, grid = style.new_figure(n_rows * (0.35 * most + 0.9), nrows=n_rows, ncols=n_columns, squeeze=False)
        for axes, group in zip(grid.flat, groups, strict=False):
            _matrix(axes, group[0], _pressures(group))
        for axes in grid.flat[len(groups) :]:
            axes.set_axis_off()
    caption = (
        f"Overlap of the states that round {number} joined: the probability that a frame of the row's state belongs to "
        "the column's (rows sum to 1). Model 0 is the initial one."
    )
    words = "; ".join(
        f"{group[0].phase} at {_pressures(group)}: {len(group[0].joined)} states"
        + (f", least overlap of neighbours {group[0].overlap:.2f}" if group[0].overlap is not None else "")
        for group in groups
    )
    pk = data.rounds[number - 1].pk
    return Drawing("overlap", f"Overlap matrices of round {number}. {words}.", caption, figure, (pk,) if pk else ())


def _joined(entry: Round) -> list[RoundPhase]:
    """The phases of a round whose matrix is whole and holds several states."""
    n = [len(phase.joined) for phase in entry.phases]
    return [
        phase
        for phase, size in zip(entry.phases, n, strict=True)
        if size > 1 and [len(row) for row in phase.overlap_matrix] == [size] * size
    ]


def _same_states(phases: Sequence[RoundPhase]) -> list[list[RoundPhase]]:
    """Group samples that were joined with the same others: they have one matrix."""
    groups: dict[tuple[str, ...], list[RoundPhase]] = {}
    for phase in phases:
        groups.setdefault((phase.phase, *phase.joined), []).append(phase)
    return list(groups.values())


def _pressures(group: Sequence[RoundPhase]) -> str:
    """E.g. ``0, 1, 5 GPa``."""
    return f"{', '.join(f'{pressure:g}' for pressure in sorted({phase.pressure_gpa for phase in group}))} GPa"


def _matrix(axes: Axes, phase: RoundPhase, pressures: str) -> None:
    """One matrix as tiles with their numbers; tiles are drawn, for an image would have to be loaded."""
    values = np.array([[np.nan if v is None else v for v in row] for row in phase.overlap_matrix])
    axes.pcolormesh(values, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=1)
    for (i, j), value in np.ndenumerate(values):
        ink = "white" if value > 0.55 else style.INK
        axes.text(j + 0.5, i + 0.5, f"{value:.2f}", ha="center", va="center", fontsize=7, color=ink)
    names = [style.short(name.removeprefix(f"{phase.phase} at "), 40) for name in phase.joined]
    places = np.arange(len(names)) + 0.5
    axes.set_xticks(places, [str(i + 1) for i in range(len(names))])
    axes.set_yticks(places, [f"{name}: {i + 1}" for i, name in enumerate(names)], fontsize=7)
    axes.invert_yaxis()
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_title(style.short(f"{phase.phase}, {pressures}"))
