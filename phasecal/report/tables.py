"""The numbers behind the figures as CSV, full precision, one header line with units.

The rule of the page holds here too: a number that needs an interval and has none is left empty.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from phasecal.campaign.reduced import reduced
from phasecal.experiment import reference
from phasecal.report.checks import Estimate, estimate, outcomes, relative_change
from phasecal.report.data import Function, Property, ReportData
from phasecal.report.properties import describe
from phasecal.report.runs import thin

Cell = str | float | int | None


def _cell(value: Cell) -> Cell:
    """Keep a spreadsheet from running a user's text as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t")) else value


def _write(file: Path, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> list[Path]:
    """Write a table, unless it would be empty."""
    body = [[_cell(value) for value in row] for row in rows]
    if not body:
        return []
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([list(header), *body])
    return [file]


def _pair(value: Estimate | None) -> tuple[Cell, Cell]:
    return (value.value, value.sigma) if value else (None, None)


def _boundaries(data: ReportData, folder: Path) -> list[Path]:
    header = ["low_phase", "high_phase", "pressure_gpa"]
    for name in ("initial", "training", "result", "target"):
        header += [f"{name}_k", f"{name}_sigma_k"]
    rows: list[list[Cell]] = [
        [
            *item.boundary.phases,
            item.boundary.pressure_gpa,
            *_pair(item.initial),
            *_pair(item.training),
            *_pair(item.result),
            *_pair(item.target),
            item.kind,
            item.boundary.method,
            " ".join(map(str, item.boundary.seeds)),
            item.boundary.pk,
        ]
        for item in outcomes(data)
    ]
    header += ["kind", "method", "seeds", "pk"]
    if data.summary.units == "lj":
        tables = [reduced(dict(zip(header, row, strict=True))) for row in rows]
        header, rows = [*reduced(dict.fromkeys(header))], [list(table.values()) for table in tables]
    return _write(folder / "boundaries.csv", header, rows)


def _rounds(data: ReportData, folder: Path) -> list[Path]:
    targets: list[list[Cell]] = []
    phases: list[list[Cell]] = []
    for number, entry in enumerate(data.rounds, start=1):
        for target in entry.targets:
            value = estimate(target.temperature_k, target.sigma_k)
            row: list[Cell] = [number, entry.parent, *target.phases, target.pressure_gpa, target.target_k]
            targets.append([*row, *_pair(value), target.anchor_sigma_k, target.chain_sigma_k, entry.pk])
        for phase in entry.phases:
            diagnostics = [phase.n_eff, phase.sd_beta_du, phase.overlap]
            phases.append([number, phase.phase, phase.pressure_gpa, *diagnostics])
    head = [
        "round",
        "model",
        "low_phase",
        "high_phase",
        "pressure_gpa",
        "target_k",
        "temperature_k",
        "sigma_k",
    ]
    files = _write(folder / "rounds.csv", [*head, "anchor_sigma_k", "chain_sigma_k", "pk"], targets)
    head = ["round", "phase", "pressure_gpa", "n_eff_fraction", "sd_beta_du", "overlap"]
    return files + _write(folder / "reweighting.csv", head, phases)


def _shown(item: Property, value: float | None, sigma: float | None) -> tuple[Cell, Cell]:
    kind = describe(item.name)
    return (value, sigma) if sigma is not None or (kind is not None and kind.exact) else (None, None)


def _properties(data: ReportData, folder: Path) -> list[Path]:
    header = ["property", "unit", "before", "before_sigma", "after", "after_sigma", "change", "change_sigma"]
    rows: list[list[Cell]] = []
    for item in data.properties:
        known = reference(data.element, item.name)
        before, after = (
            _shown(item, item.initial, item.initial_sigma),
            _shown(item, item.final, item.final_sigma),
        )
        experiment: list[Cell] = [known.value, known.sigma, known.source] if known else [None, None, None]
        row: list[Cell] = [item.name, item.unit, *before, *after, *relative_change(item)]
        rows.append([*row, *experiment, "yes" if item.protected else "no"])
    header += ["experiment", "experiment_sigma", "experiment_source", "protected"]
    return _write(folder / "properties.csv", header, rows)


def _functions(data: ReportData, folder: Path) -> list[Path]:
    files = []
    kinds: dict[str, dict[str, Function]] = {
        "pair": data.functions.pair,
        "density": data.functions.density,
        "embedding": data.functions.embedding,
    }
    for kind, functions in kinds.items():
        for name, entry in functions.items():
            safe = "".join(c if c.isalnum() else "-" for c in f"{kind}-{name}")
            final = entry.final if entry.final is not None else [None] * len(entry.initial)
            head = ["r_angstrom" if entry.r else "rho", "before", "after"]
            rows = zip(entry.abscissa, entry.initial, final, strict=True)
            files += _write(folder / f"function-{safe}.csv", head, rows)
    return files


def _runs(data: ReportData, folder: Path) -> list[Path]:
    head = ["anchor", "label", "model", "replica", "time_ps"]
    temperatures: list[list[Cell]] = []
    fractions: list[list[Cell]] = []
    for number, anchor in enumerate(data.anchors, start=1):
        for index, replica in enumerate(anchor.replicas, start=1):
            key: list[Cell] = [number, anchor.label, anchor.model_hash, index]
            series = zip(*thin(replica.time_ps, replica.temperature_k), strict=True)
            temperatures += [[*key, float(t), float(v)] for t, v in series]
            series = zip(*thin(replica.solid_fraction_time_ps, replica.solid_fraction), strict=True)
            fractions += [[*key, float(t), float(v)] for t, v in series]
    files = _write(folder / "interface-temperature.csv", [*head, "temperature_k"], temperatures)
    return files + _write(folder / "interface-solid-fraction.csv", [*head, "solid_fraction"], fractions)


def _rdf(data: ReportData, folder: Path) -> list[Path]:
    if data.rdf is None:
        return []
    final = data.rdf.final if data.rdf.final is not None else [None] * len(data.rdf.r)
    rows = zip(data.rdf.r, data.rdf.initial, final, strict=False)
    return _write(folder / "liquid-rdf.csv", ["r_angstrom", "before", "after"], rows)


def write_tables(data: ReportData, folder: Path) -> list[Path]:
    """Write every table that has rows.

    Args:
        data: The data of the report.
        folder: Existing folder.

    Returns:
        The files written.
    """
    lineage = [[item.round, item.pk, item.hash, item.parent] for item in data.lineage]
    files = _boundaries(data, folder) + _rounds(data, folder) + _properties(data, folder)
    files += _functions(data, folder) + _rdf(data, folder) + _runs(data, folder)
    return files + _write(folder / "lineage.csv", ["round", "pk", "hash", "parent"], lineage)
