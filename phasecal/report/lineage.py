"""The lineage of a boundary point or a model as a figure: versions of the model, and beside them what made each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from phasecal.campaign.reduced import is_reduced, reduced
from phasecal.report import style
from phasecal.report.numbers import with_sigma
from phasecal.report.style import Drawing

ROW = 0.62
"""Height of a row, inch."""
BOX = (0.05, 1.75)
"""Left edge and width of the boxes of models, inch; what made them is written right of it."""
LINES = 4
"""Lines of text beside a box at most."""


def write_lineage(data: dict[str, Any], folder: Path) -> list[Path]:
    """Write ``lineage.svg`` and ``lineage.png``.

    Args:
        data: ``models``, ``rounds``, ``samples``, ``point``, ``targets``, ``runs`` and ``campaign`` as
            ``phasecal models lineage`` gives them, in internal units.
        folder: Made if missing.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return list(style.save(draw_lineage(data), folder).files)


def draw_lineage(data: dict[str, Any]) -> Drawing:
    """Draw the versions of a model from the first to the last, and the point measured for it."""
    units = ("", "") if data["campaign"] and is_reduced(data["campaign"]) else (" K", " GPa")
    if units == ("", ""):
        data = reduced(data, rename=False)
    rows = [(_model(model), style.AFTER, _made_by(data, i, units)) for i, model in enumerate(data["models"])]
    if data["point"]:
        rows.append((["boundary point", f"PK {data['point']['pk']}"], style.INK, _measured(data, units)))
    with style.styled():
        figure, axes = style.new_figure(ROW * len(rows) + 0.1)
        axes.set_xlim(0, style.WIDTH)
        axes.set_ylim(-ROW * len(rows), 0.1)
        axes.set_axis_off()
        for i, (name, colour, words) in enumerate(rows):
            _row(axes, -ROW * i, (name, colour, words), last=i == len(rows) - 1)
    text = "; ".join(f"{' '.join(name)}: {', '.join(words)}" for name, _, words in rows)
    return Drawing("lineage", f"Lineage. {text}.", "Versions of the model, and what each was made from.", figure)


def _row(axes: Axes, top: float, row: tuple[list[str], str, list[str]], *, last: bool) -> None:
    """A box, its text, the text beside it and the arrow to the next box."""
    name, colour, words = row
    height, (left, width) = 0.72 * ROW, BOX
    shape = FancyBboxPatch((left, top - height), width, height, boxstyle="round,pad=0,rounding_size=0.05")
    shape.set(facecolor="white", edgecolor=colour, linewidth=1.2)
    axes.add_patch(shape)
    middle = top - height / 2
    axes.text(left + width / 2, middle, "\n".join(name), ha="center", va="center", fontsize=8)
    axes.text(left + width + 0.12, middle, "\n".join(words), va="center", fontsize=7, linespacing=1.25)
    if not last:
        x, arrow = left + width / 2, {"arrowstyle": "-|>", "color": style.INK, "lw": 0.8}
        axes.annotate("", xy=(x, top - ROW), xytext=(x, top - height), arrowprops=arrow)


def _model(model: dict[str, Any]) -> list[str]:
    return [f"model {model['hash'][:12]}", style.short(f"PK {model['pk']}, {model['label'] or model['family']}", 30)]


def _place(entry: dict[str, Any], units: tuple[str, str]) -> str:
    """Boundary, pressure and temperature with its interval."""
    temperature = with_sigma(entry["temperature_k"], entry["sigma_k"])
    return f"{'–'.join(entry['phases'])} at {entry['pressure_gpa']:g}{units[1]}: {temperature}{units[0]}"


def _made_by(data: dict[str, Any], index: int, units: tuple[str, str]) -> list[str]:
    """What the step that made a version started from; nothing made the first."""
    if index == 0:
        return [style.short(f"the first version: {data['models'][0]['label'] or 'no file named'}", 90)]
    entry = data["rounds"][index - 1]
    phases = {sample["pk"]: sample["phase"] for sample in data["samples"]}
    counts = Counter(phases[pk] for pk in entry["samples"])
    words = [
        f"step {index} (PK {entry['pk']}), the model before it: "
        + "; ".join(_place(estimate, units) for estimate in entry["estimates"]),
        f"samples: {', '.join(f'{n} {phase}' for phase, n in counts.items())}",
    ]
    measured = [f"{_place(anchor, units)} ({anchor['method']})" for anchor in entry["anchors"]]
    words += [f"anchors: {len(measured)}, the newest {measured[-1]}"] if measured else []
    return [style.short(line, 90) for line in words[:LINES]]


def _measured(data: dict[str, Any], units: tuple[str, str]) -> list[str]:
    """The point, its method, seeds and target."""
    point = data["point"]
    seeds = " ".join(map(str, point["seeds"]))
    words = [f"{_place(point, units)} by {point['method']}", f"{len(data['runs'])} jobs, seeds {seeds or 'none'}"]
    words += [f"target {_place(target, units)} ({target['source']})" for target in data["targets"]]
    return [style.short(line, 90) for line in words[:LINES]]
