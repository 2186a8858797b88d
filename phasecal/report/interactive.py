"""What a figure offers to a reader: series to switch off, and points whose numbers can be read.

Nothing is declared twice: a series is what has a label in the figure. A label with a leading underscore, which
matplotlib keeps out of legends, makes an artist part of the series of that name (its band, its curve in another panel).
The page's script (``page.js``) gets the ids of the artists in the SVG and the points in its coordinates.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

MAX_POINTS = 120
"""Points of one curve that can be read; the tables have all."""
SVG_DPI = 72
"""Points of an SVG per inch."""

_NO_NAME = re.compile(r"|_child\d+|_nolegend_|_ignore")


def series_of(figure: Figure) -> str:
    """Give the artists of every series an id, and describe the series as JSON.

    Args:
        figure: A figure whose layout is final and whose resolution is :data:`SVG_DPI`.

    Returns:
        A list of series: ``name``, ``ids`` of its artists, and ``curves``, each with what is on its axes (``x``, ``y``:
        name and unit) and ``points`` (x and y in the SVG, then both numbers as text).
    """
    found: dict[str, dict[str, Any]] = {}
    for axes in figure.axes:
        for name, artist in _named(axes):
            entry = found.setdefault(name, {"name": name, "ids": [], "curves": []})
            gid = f"series-{list(found).index(name)}-{len(entry['ids'])}"
            artist.set_gid(gid)
            entry["ids"].append(gid)
            if isinstance(artist, Line2D) and len(points := _points(figure, axes, artist)):
                entry["curves"].append({"x": _axis(axes, "x"), "y": _axis(axes, "y"), "points": points})
    return json.dumps(list(found.values()), ensure_ascii=False, separators=(",", ":"))


def _named(axes: Axes) -> Iterator[tuple[str, Artist]]:
    """Curves, bands and bars of some axes with the name of their series."""
    inside = {id(part): item for item in axes.containers for part in item.get_children()}
    for artist in (*axes.lines, *axes.collections, *axes.patches):
        name = _name(inside.get(id(artist), artist).get_label())
        if name is not None:
            yield name, artist


def _name(label: object) -> str | None:
    """The name of a series; ``None`` for a label that matplotlib made up."""
    text = str(label)
    return None if _NO_NAME.fullmatch(text) else text.lstrip("_")


def _axis(axes: Axes, which: str) -> list[str]:
    """Name and unit of an axis; of a shared one, where they are written."""
    siblings = getattr(axes, f"get_shared_{which}_axes")().get_siblings(axes)
    label = next((text for item in (axes, *siblings) if (text := getattr(item, f"get_{which}label")())), "")
    name, _, unit = label.partition(" / ")
    return [name, unit]


def _points(figure: Figure, axes: Axes, line: Line2D) -> list[list[Any]]:
    """The visible points of a curve: x and y in the SVG, and the numbers as text."""
    bars = _bars(axes, line)
    if line.get_transform() != axes.transData or (bars is not None and bars.lines[0] is not line):
        return []  # a line across the panel, or the caps of error bars
    values = np.column_stack([np.asarray(axis, dtype=float) for axis in line.get_data()])
    places = axes.transData.transform(values)
    low, high = axes.bbox.padded(1).get_points()
    chosen = np.flatnonzero(((places >= low) & (places <= high)).all(axis=1))  # nan compares as false
    chosen = chosen[:: max(1, -(-len(chosen) // MAX_POINTS))]
    sigma = _sigma(bars)
    words = [f"{y:.5g}" if sigma is None else f"{y:.5g} ± {sigma[i]:.2g}" for i, y in enumerate(values[:, 1])]
    places[:, 1] = figure.bbox.height - places[:, 1]
    return [[*places[i].round(1).tolist(), f"{values[i, 0]:.5g}", words[i]] for i in chosen]


def _bars(axes: Axes, line: Line2D) -> ErrorbarContainer | None:
    """The error bars that a line belongs to, as their points or their caps."""
    bars = [item for item in axes.containers if isinstance(item, ErrorbarContainer)]
    return next((item for item in bars if any(part is line for part in item.get_children())), None)


def _sigma(bars: ErrorbarContainer | None) -> NDArray[np.float64] | None:
    """Half the lengths of error bars along y, or ``None`` without such."""
    if bars is None or not bars.has_yerr:
        return None
    return np.array([np.ptp(segment[:, 1]) / 2 for segment in bars.lines[2][0].get_segments()])
