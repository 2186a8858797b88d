"""The interface runs: temperature, solid fraction, profile and block errors of every replica."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray

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


def _name(index: int, replica: Replica) -> str:
    """What the series of a replica is called in every panel."""
    mean = estimate(replica.temperature_mean_k, replica.temperature_sigma_k)
    return f"replica {index + 1}" + (f": {mean}" if mean else "")


def _look(index: int, replica: Replica) -> dict[str, Any]:
    """Colour, dashes and hidden label of a replica."""
    return {"color": style.CYCLE[index % 6], "ls": style.DASHES[index % 4], "label": f"_{_name(index, replica)}"}


def _temperature_panel(axes: Axes, anchor: Anchor) -> None:
    for index, replica in enumerate(anchor.replicas):
        time, values = thin(replica.time_ps, replica.temperature_k)
        if len(values):
            look = _look(index, replica)
            axes.plot(time, values, **{**look, "ls": "-"}, lw=0.6, alpha=0.45)
            axes.plot(time, _running_mean(values), **{**look, "label": _name(index, replica)}, lw=1.6)
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
    for window in {replica.solid_window for replica in replicas if replica.solid_window}:
        for edge in ((0.0, window[0]), (window[1], 1.0)):
            axes.axhspan(*edge, color=style.FAINT, alpha=0.55, lw=0)
    for index, replica in enumerate(replicas):
        time, values = thin(replica.solid_fraction_time_ps, replica.solid_fraction)
        axes.plot(time, values, **_look(index, replica))
    axes.set_ylim(0, 1)
    axes.set_ylabel("solid fraction")
    axes.set_xlabel("time / ps")


def _profile_panel(axes: Axes, replicas: Sequence[Replica]) -> None:
    """In-plane order along the box: high in the crystal, low in the liquid; the last frame bold, the first faint."""
    for index, replica in enumerate(replicas):
        look = _look(index, replica)
        axes.plot(*thin(replica.profile_z, replica.profile_first), **look, lw=0.7, alpha=0.55)
        axes.plot(*thin(replica.profile_z, replica.profile_last), **look, lw=1.5)
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("z / box")
    axes.set_ylabel("in-plane order")


def _block_panel(axes: Axes, replicas: Sequence[Replica]) -> None:
    """Error of the mean temperature from blocks: it rises with their length until they are independent."""
    for index, replica in enumerate(replicas):
        look = _look(index, replica)
        axes.plot(*thin(replica.block_ps, replica.block_sigma_k), marker=style.MARKERS[index % 6], ms=3.5, **look)
        if replica.temperature_sigma_k is not None:
            axes.axhline(replica.temperature_sigma_k, lw=0.8, alpha=0.7, **look)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())  # the default writes mathematics, which the style leaves unread
    axes.margins(y=0.12)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("block length / ps")
    axes.set_ylabel("σ of the mean / K")


def _panels(replicas: Sequence[Replica]) -> tuple[Figure, dict[str, Axes]]:
    """The axes for what the replicas brought: the last row is there only if something stands in it."""
    last = []
    if any(replica.profile_z for replica in replicas):
        last.append("profile")
    if any(replica.block_ps for replica in replicas):
        last.append("blocks")
    rows = [["temperature"] * 2, ["fraction"] * 2, *([[last[0], last[-1]]] if last else [])]
    figure, axes = style.new_mosaic(5.4 if last else 3.8, rows, height_ratios=[1.4, 1.0, 1.2][: len(rows)])
    axes["temperature"].sharex(axes["fraction"])
    axes["temperature"].tick_params(labelbottom=False)
    return figure, axes


def interface_run(anchor: Anchor, number: int) -> Drawing | None:
    """Temperature, solid fraction, profile and block errors of the replicas of one anchor.

    Args:
        anchor: The anchor.
        number: Its position among the anchors, from 1; part of the file name.

    Returns:
        The figure, or ``None`` if the anchor brought no time series.
    """
    replicas = anchor.replicas
    if not any(replica.time_ps or replica.solid_fraction_time_ps for replica in replicas):
        return None
    combined = estimate(anchor.temperature_k, anchor.sigma_k)
    with style.styled():
        figure, axes = _panels(replicas)
        _temperature_panel(axes["temperature"], anchor)
        _fraction_panel(axes["fraction"], replicas)
        if "profile" in axes:
            _profile_panel(axes["profile"], replicas)
        if "blocks" in axes:
            _block_panel(axes["blocks"], replicas)
        handles, labels = axes["temperature"].get_legend_handles_labels()
        if handles:
            figure.legend(handles, labels, loc="outside upper left", ncols=2)
    title = _title(anchor)
    result = f" Combined: {combined} (line and grey band)." if combined else ""
    caption = (
        f"Interface runs, {title}.{result} Temperature: block means faint, running mean bold. Shaded solid fractions "
        "reject a run."
    )
    if "profile" in axes:
        caption += " Profile along the box: last frame bold, first faint; crystal high, liquid low."
    if "blocks" in axes:
        caption += (
            " Block errors: points rise to a plateau, the error of the mean; lines: the quoted σ of each replica, "
            "which also knows how far interfaces wander."
        )
    alt = f"Temperature and solid fraction over time of {len(replicas)} replicas, {title}.{result}"
    pks = tuple(pk for pk in (anchor.pk, *(replica.pk for replica in replicas)) if pk)
    return Drawing(f"interface-{number}-{anchor.label}", alt, caption, figure, pks)


def _title(anchor: Anchor) -> str:
    """What the runs were for, where, and of which model."""
    where = f", {' → '.join(anchor.phases)}" if anchor.phases else ""
    where += f" at {anchor.pressure_gpa:g} GPa" if anchor.pressure_gpa is not None else ""
    return f"{_TITLES[anchor.label]}{where}, model {anchor.model_hash[:12]}"


def interface_figures(data: ReportData) -> list[Drawing]:
    """One figure per anchor that brought time series."""
    drawings = [interface_run(anchor, number) for number, anchor in enumerate(data.anchors, start=1)]
    return [drawing for drawing in drawings if drawing is not None]
