"""Write a report: figures, tables and the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from phasecal.errors import InputError
from phasecal.report.checks import outcomes
from phasecal.report.convergence import convergence, overlap
from phasecal.report.data import ReportData, read_data
from phasecal.report.diagram import over_pressure
from phasecal.report.figures import temperatures
from phasecal.report.page import build_page
from phasecal.report.potential import function_figures, structures
from phasecal.report.runs import interface_figures
from phasecal.report.style import Drawing, save
from phasecal.report.tables import write_tables


def _drawings(data: ReportData) -> list[Drawing]:
    results = outcomes(data)
    single = [
        temperatures(results),
        over_pressure(data.lines, results, data.alternatives),
        convergence(data, results),
        overlap(data),
        structures(data),
    ]
    return [item for item in single if item is not None] + function_figures(data) + interface_figures(data)


def write_report(data: dict[str, Any], out_dir: Path) -> list[Path]:
    """Write ``report.html`` with its figures (PNG and SVG) and tables (CSV).

    The page stands alone: figures are inline, nothing is loaded. What the data lack is left out, so that a
    failed, a running or a transition campaign gets a report of what exists. Files of an earlier report are
    overwritten.

    Args:
        data: What :class:`phasecal.report.data.ReportData` describes: plain dicts, lists, numbers, strings.
        out_dir: Folder to write to; made if it does not exist.

    Returns:
        The files written, the page first.

    Raises:
        DataError: The data are not usable.
        InputError: The folder cannot be written to.
    """
    checked = read_data(data)
    figures, tables = out_dir / "figures", out_dir / "tables"
    try:
        for folder in (figures, tables):
            folder.mkdir(parents=True, exist_ok=True)
        saved = [save(drawing, figures) for drawing in _drawings(checked)]
        page = out_dir / "report.html"
        page.write_text(build_page(checked, saved), encoding="utf-8")
        written = write_tables(checked, tables)
    except OSError as error:
        raise InputError(f"cannot write the report to {out_dir}: {error.strerror or error}") from error
    return [page, *(file for item in saved for file in item.files), *written]
