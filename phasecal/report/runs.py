"""The interface runs: temperature and solid fraction of every replica over time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from phasecal.observables.slab import SOLID_WINDOW
from phasecal.report import style
from phasecal.report.checks import estimate
from phasecal.report.data import Anchor, Replica, ReportData, Series
from phasecal.report.style import Drawing

Floats = NDArray[np.float64]

MAX_POINTS = 400
"""Points kept of a time series; more cannot be seen."""

_TITLES = {"initial": "initial model", "re-anchor": "re-anchor", "verification": "verification"}


def thin(time: Series, values: Series) -> tuple[Floats, Floats]:
    """Block means of a time series, at most :data:`MAX_POINTS` of them.

    Args:
        time: Times, ps; may be longer or shorter than ``values`` (a truncated run), the common part is used.
        values: Values, missing ones as ``None``.

    Returns:
        Times and values of the blocks, shape (n_blocks,) each, n_blocks ≤ :data:`MAX_POINTS`.
    """
    pairs = [(t, v) for t, v in zip(time, values, strict=False) if t is not None and v is not None]
    data = np.array(pairs, dtype=float).reshape(-1, 2)
    size = -(-len(data) // MAX_POINTS) or 1
    blocks = [data[start : start + size].mean(axis=0) for start in range(0, len(data), size)]
    means = np.array(blocks).reshape(-1, 2)
    return means[:, 0], means[:, 1]


def _running_mean(values: Floats) -> Floats:
    """Centred mean over a tenth of the series, with a window that shrinks at the ends."""
    half = max(len(values) // 20, 1)
    return np.array([values[max(i - half, 0) : i + half + 1].mean() for i in range(len(values))])


def _temperature_panel(axes: Axes, anchor: Anchor) -> None:
    for index, replica in enumerate(anchor.replicas):
        time, values = thin(replica.time_ps, replica.temperature_k)
        colour = style.CYCLE[index % 6]
        axes.plot(time, values, color=colour, lw=0.6, alpha=0.45)
        if len(values):
            mean = estimate(replica.temperature_mean_k, replica.temperature_sigma_k)
            name = f"replica {index + 1}" + (f": {mean}" if mean else "")
            axes.plot(time, _running_mean(values), color=colour, ls=style.DASHES[index % 4], lw=1.6, label=name)
    combined = estimate(anchor.temperature_k, anchor.sigma_k)
    if combined is not None:
        axes.axhspan(
            combined.value - combined.sigma,
            combined.value + combined.sigma,
            color=style.BEFORE,
            alpha=0.3,
            lw=0,
        )
        axes.axhline(combined.value, color=style.INK, lw=0.7)
    axes.set_ylabel("T / K")


def _fraction_panel(axes: Axes, replicas: Sequence[Replica]) -> None:
    for edge in ((0.0, SOLID_WINDOW[0]), (SOLID_WINDOW[1], 1.0)):
        axes.axhspan(*edge, color=style.FAINT, alpha=0.55, lw=0)
    for index, replica in enumerate(replicas):
        time, values = thin(replica.solid_fraction_time_ps, replica.solid_fraction)
        axes.plot(time, values, color=style.CYCLE[index % 6], ls=style.DASHES[index % 4])
    axes.set_ylim(0, 1)
    axes.set_ylabel("solid fraction")
    axes.set_xlabel("time / ps")


def interface_run(anchor: Anchor, number: int) -> Drawing | None:
    """Temperature and solid fraction of the replicas of one anchor.

    Args:
        anchor: The anchor.
        number: Its position among the anchors, from 1; part of the file name.

    Returns:
        The figure, or ``None`` if the anchor brought no time series.
    """
    if not any(replica.time_ps or replica.solid_fraction_time_ps for replica in anchor.replicas):
        return None
    combined = estimate(anchor.temperature_k, anchor.sigma_k)
    with style.styled():
        figure, axes = style.new_figure(3.8, nrows=2, sharex=True, gridspec_kw={"height_ratios": [1.4, 1]})
        _temperature_panel(axes[0], anchor)
        _fraction_panel(axes[1], anchor.replicas)
        handles, labels = axes[0].get_legend_handles_labels()
        if handles:
            figure.legend(handles, labels, loc="outside upper left", ncols=2)
    title = f"{_TITLES[anchor.label]}, model {anchor.model_hash[:12]}"
    result = f" Combined: {combined} (line and grey band)." if combined else ""
    caption = (
        f"Interface runs, {title}.{result} Faint: block means, bold: running mean. "
        f"Shaded solid fractions (below {SOLID_WINDOW[0]:g}, above {SOLID_WINDOW[1]:g}) reject a run."
    )
    alt = f"Temperature and solid fraction over time of {len(anchor.replicas)} replicas, {title}.{result}"
    return Drawing(f"interface-{number}-{anchor.label}", alt, caption, figure)


def interface_figures(data: ReportData) -> list[Drawing]:
    """One figure per anchor that brought time series."""
    drawings = [interface_run(anchor, number) for number, anchor in enumerate(data.anchors, start=1)]
    return [drawing for drawing in drawings if drawing is not None]
