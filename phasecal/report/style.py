"""How figures look and how they are saved: one palette, one font size, small self-contained SVG and PNG."""

from __future__ import annotations

import io
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

from phasecal.report.interactive import SVG_DPI, series_of

BEFORE = "#6b6b6b"
TRAINING = "#e69f00"
AFTER = "#0072b2"
EXPERIMENT = "#009e73"
REJECTED = "#d55e00"
OTHERS = "#9a9a9a"
"""Other experiments than those of the targets."""
INK = "#222222"
FAINT = "#d9d9d9"
CYCLE = (AFTER, REJECTED, EXPERIMENT, "#cc79a7", "#56b4e9", TRAINING)
"""Colours of Okabe & Ito, told apart with any kind of colour vision; every series also differs in shape."""

MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.4, 1.4)), (0, (5, 1.4, 1.4, 1.4)))

WIDTH = 7.0
"""Width of every figure, inch."""

RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "lines.linewidth": 1.3,
    "lines.markersize": 5,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.handlelength": 2.2,
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "svg.fonttype": "path",
    "svg.hashsalt": "phasecal",
    "text.parse_math": False,  # a user's "$" is a dollar sign
}


@dataclass(frozen=True)
class Drawing:
    """A figure with the words that go with it.

    Attributes:
        name: File name without suffix; also the prefix of the ids in the page.
        alt: What a reader who cannot see the figure is told.
        caption: What stands under it.
        figure: The figure.
        pks: Keys of the nodes that its numbers come from.
    """

    name: str
    alt: str
    caption: str
    figure: Figure
    pks: tuple[int, ...] = ()


@dataclass(frozen=True)
class Saved:
    """A saved figure: its files, the SVG as it stands in the page, and its series (:mod:`.interactive`)."""

    drawing: Drawing
    svg: str
    series: str
    files: tuple[Path, ...]


def styled() -> AbstractContextManager[None]:
    """The style, while a figure is drawn or saved; matplotlib's settings are left as they were."""
    return matplotlib.rc_context(RC)


def new_figure(height: float, **grid: Any) -> tuple[Figure, Any]:
    """A figure of :data:`WIDTH` × ``height`` inch without pyplot's global state, and its axes.

    Args:
        height: Height, inch.
        **grid: Passed to ``Figure.subplots`` (``nrows``, ``ncols``, ``sharex``, ``gridspec_kw``).

    Returns:
        The figure and its axes, an array of them if there are several.
    """
    figure = _empty_figure(height)
    return figure, figure.subplots(**grid)


def new_mosaic(height: float, layout: Any, **grid: Any) -> tuple[Figure, dict[str, Axes]]:
    """A figure as of :func:`new_figure` whose axes are laid out by name: rows of names (``Figure.subplot_mosaic``)."""
    figure = _empty_figure(height)
    return figure, figure.subplot_mosaic(layout, **grid)


def _empty_figure(height: float) -> Figure:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def short(text: str, limit: int = 32) -> str:
    """A user's text for a figure: one line, at most ``limit`` characters, only those the font has."""
    known = get_font(findfont("DejaVu Sans")).get_charmap()
    line = "".join(c if ord(c) in known and c.isprintable() else "□" for c in " ".join(text.split()))
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def zero_line(axes: Axes) -> None:
    """A thin line at zero."""
    axes.axhline(0, color=INK, lw=0.6, zorder=0)


def save(drawing: Drawing, folder: Path) -> Saved:
    """Write ``NAME.svg`` and ``NAME.png`` and return the SVG for the page.

    The SVG holds no metadata, no date and no reference to anything outside; text is drawn as paths,
    coordinates have two decimals.

    Args:
        drawing: What to save.
        folder: Existing folder.

    Returns:
        The files and the inline SVG.
    """
    svg_file, png_file = folder / f"{drawing.name}.svg", folder / f"{drawing.name}.png"
    buffer = io.StringIO()
    with styled():
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        drawing.figure.set_dpi(SVG_DPI)
        drawing.figure.draw_without_rendering()
        series = series_of(drawing.figure)
        drawing.figure.savefig(buffer, format="svg", metadata=nothing)
        drawing.figure.savefig(png_file, format="png", metadata={"Software": None})
    svg = _shorten(buffer.getvalue())
    svg_file.write_text(svg, encoding="utf-8")
    return Saved(drawing, _inline(svg, drawing.name), series, (svg_file, png_file))


def _shorten(svg: str) -> str:
    """Two decimals are a hundredth of a point: enough for any screen or printer."""

    def fewer_digits(match: re.Match[str]) -> str:
        return re.sub(r"(\.\d\d)\d+", r"\1", match[0])

    return re.sub(r'\b(?:d|x|y)="[^"]*"', fewer_digits, svg)


def _inline(svg: str, prefix: str) -> str:
    """Strip the prolog and make the ids unique within a page that holds several figures."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r'\bid="', f'id="{prefix}-', body)
    body = body.replace('href="#', f'href="#{prefix}-').replace("url(#", f"url(#{prefix}-")
    head, rest = body.split(">", 1)
    return re.sub(r' (?:width|height)="[^"]*"', "", head) + ">" + rest
