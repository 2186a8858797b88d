"""What a fit leaves: the model, its learning curve as table and figure, and the errors on record."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib.ticker import LogLocator, StrMethodFormatter

from phasecal.fitting.data import read_labelled
from phasecal.fitting.descent import Epoch, Rmse
from phasecal.fitting.schema import load_fit
from phasecal.fitting.train import Fitted, fit
from phasecal.report import style
from phasecal.report.style import Drawing

COLUMNS = ("epoch", "learning_rate", "train_loss", "validation_loss", "energy_mev_atom", "force_mev_a", "stress_gpa")
QUANTITIES = (
    ("energy_mev_atom", "energy, meV/atom"),
    ("force_mev_a", "force, meV/Å"),
    ("stress_gpa", "stress, GPa"),
)


def run_fit(path: str | Path, progress: Any = None) -> dict[str, Any]:
    """Fit what a file describes, and write the model and the rest beside it.

    Args:
        path: The file (:mod:`~phasecal.fitting.schema`).
        progress: Called after every epoch with an :class:`~phasecal.fitting.descent.Epoch`.

    Returns:
        The content of ``NAME.fit.json``, with the names of all files.

    Raises:
        InputError: The file or the data are not usable.
        ConvergenceError: The training did not work.
    """
    config, folder = load_fit(path), Path(path).parent
    frames = read_labelled([folder / name for name in config.data], config.model.elements)
    fitted = fit(config, frames, progress)
    output = folder / config.output
    output.parent.mkdir(parents=True, exist_ok=True)
    fitted.model.save(output)
    table, record = output.with_suffix(".learning.csv"), output.with_suffix(".fit.json")
    write_curve(table, fitted.curve)
    with style.styled():
        saved = style.save(learning_figure(fitted, f"{output.stem}.learning"), output.parent)
    result = summary(config.title, fitted)
    result["files"] = [file.name for file in (output, record, table, *saved.files)]
    record.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return result


def summary(title: str, fitted: Fitted) -> dict[str, Any]:
    """Return what is known about a fit, JSON-able; what has no labels is null."""
    train, validation, test, left_out = fitted.n_frames
    return {
        "schema": 1,
        "title": title,
        "model_hash": fitted.model.hash,
        "n_parameters": len(fitted.model.theta),
        "n_frames": {"train": train, "validation": validation, "test": test, "left_out": left_out},
        "epochs": len(fitted.curve),
        "best_epoch": fitted.best,
        "rmse": {name: _plain(rmse) for name, rmse in fitted.rmse.items()},
        "rmse_of_reference_energies_alone": _plain(fitted.ignorance),
        "wall_s": round(fitted.wall_s, 1),
    }


def _plain(rmse: Rmse) -> dict[str, float | None]:
    """Return errors with null for what has no labels."""
    return {name: value if math.isfinite(value) else None for name, value in asdict(rmse).items()}


def write_curve(path: Path, curve: tuple[Epoch, ...]) -> None:
    """Write one line per epoch; the last three columns are validation errors."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for epoch in curve:
            errors = _plain(epoch.validation).values()
            writer.writerow([epoch.number, epoch.learning_rate, epoch.train_loss, epoch.validation_loss, *errors])


def learning_figure(fitted: Fitted, name: str) -> Drawing:
    """Draw the validation errors by epoch, with the test errors of the kept epoch as points."""
    figure, panels = style.new_figure(2.4, ncols=3)
    numbers = [epoch.number for epoch in fitted.curve]
    for axes, (key, label) in zip(panels, QUANTITIES, strict=True):
        values = [getattr(epoch.validation, key) for epoch in fitted.curve]
        axes.plot(numbers, values, color=style.AFTER, label="validation")
        axes.plot(
            [fitted.best], [getattr(fitted.rmse["test"], key)], "s", color=style.REJECTED, label="test, at the end"
        )
        if any(value > 0 for value in values):
            axes.set_yscale("log")
            axes.yaxis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
            for formatter in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
                formatter(StrMethodFormatter("{x:g}"))  # the style has no powers of ten
        axes.set_xlabel("epoch")
        axes.set_title(f"RMSE of {label}")
    panels[0].legend()
    test = fitted.rmse["test"]
    caption = (
        f"Errors on frames that do not train. The weights of epoch {fitted.best} are kept; on the test frames they "
        f"miss by {test.energy_mev_atom:.3g} meV/atom and {test.force_mev_a:.3g} meV/Å (root mean square)."
    )
    return Drawing(name, f"Learning curve: {caption}", caption, figure)
