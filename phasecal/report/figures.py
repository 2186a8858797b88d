"""The figures about the result: temperatures before, in training, verified and from experiment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from phasecal.report import style
from phasecal.report.checks import Estimate, Outcome
from phasecal.report.numbers import with_sigma
from phasecal.report.style import Drawing


def _interval(axes: Axes, value: Estimate, y: float, look: dict[str, Any], zero: float = 0.0) -> None:
    """A marker with 1σ as a thick and 2σ as a thin bar, along x."""
    x = value.value - zero
    for width, n_sigma in ((1.0, 2), (3.2, 1)):
        half = n_sigma * value.sigma
        axes.hlines(y, x - half, x + half, lw=width, capstyle="butt", color=look["color"], label=look["label"])
    axes.plot(x, y, **look, ls="", ms=6, mec="white", mew=0.8, zorder=3)


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
                look = {"color": colour, "marker": marker, "label": label}
                _interval(axes[0], value, y, look)
                if zoom and item.target and label != "before":
                    _interval(axes[1], value, y, look, zero=item.target.value)
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
    pks = tuple(value.pk for _, rows in groups for _, value, _, _ in rows if value.pk)
    return Drawing("temperatures", f"Transition temperatures with intervals. {words}.", caption, figure, pks)
