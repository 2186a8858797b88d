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
    """Keep a spreadsheet from running a user's text as a formula, however it begins."""
    return f"'{value}" if isinstance(value, str) and value.lstrip()[:1] in ("=", "+", "-", "@") else value


def _write(file: Path, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> list[Path]:
    """Write a table, unless it would be empty."""
    body = list(rows)
    return write_csv(file, header, body) if body else []


def write_csv(file: Path, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> list[Path]:
    """Write a table whose texts are no formulas; return the file."""
    body = [[_cell(value) for value in row] for row in rows]
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([list(header), *body])
    return [file]


def _pair(value: Estimate | None) -> tuple[Cell, Cell]:
    return (value.value, value.sigma) if value else (None, None)


def _boundaries(data: ReportData, folder: Path) -> list[Path]:
    header = ["low_phase", "high_phase", "pressure_gpa"]
    for name in ("initial", "training", "result", "line", "target"):
        header += [f"{name}_k", f"{name}_sigma_k"]
    rows: list[list[Cell]] = [
        [
            *item.boundary.phases,
            item.boundary.pressure_gpa,
            *_pair(item.initial),
            *_pair(item.training),
            *_pair(item.result),
            *_pair(item.on_line),
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
    head = ["anchor", "label", "model", "replica"]
    columns = {
        "interface-temperature": ("time_ps", "temperature_k"),
        "interface-solid-fraction": ("time_ps", "solid_fraction"),
        "interface-block-errors": ("block_ps", "sigma_k"),
        "interface-profile": ("z", "order_first", "order_last"),
    }
    rows: dict[str, list[list[Cell]]] = {name: [] for name in columns}
    for number, anchor in enumerate(data.anchors, start=1):
        for index, replica in enumerate(anchor.replicas, start=1):
            key: list[Cell] = [number, anchor.label, anchor.model_hash, index]
            temperature = thin(replica.time_ps, replica.temperature_k)
            fraction = thin(replica.solid_fraction_time_ps, replica.solid_fraction)
            series: list[Iterable[Iterable[float | None]]] = [
                [values.tolist() for values in temperature],
                [values.tolist() for values in fraction],
                [replica.block_ps, replica.block_sigma_k],
                [replica.profile_z, replica.profile_first, replica.profile_last],
            ]
            for name, found in zip(columns, series, strict=True):
                rows[name] += [[*key, *point] for point in zip(*found, strict=False)]
    return [
        file for name, table in rows.items() for file in _write(folder / f"{name}.csv", [*head, *columns[name]], table)
    ]


def _structures(data: ReportData, folder: Path) -> list[Path]:
    rows: list[list[Cell]] = []
    for entry in data.structures:
        final = entry.final if entry.final is not None else [None] * len(entry.r)
        curves = zip(entry.r, entry.initial, final, strict=True)
        rows += [[entry.phase, entry.pressure_gpa, *point] for point in curves]
    return _write(folder / "rdf.csv", ["phase", "pressure_gpa", "r_angstrom", "before", "after"], rows)


def _lines(data: ReportData, folder: Path) -> list[Path]:
    rows: list[list[Cell]] = []
    for line in data.lines:
        columns = zip(line.pressure_gpa, line.temperature_k, line.sigma_k, line.stable, strict=True)
        rows += [[line.label, *line.phases, *point] for point in columns]
    head = ["model", "low_phase", "high_phase", "pressure_gpa", "temperature_k", "sigma_k", "stable"]
    return _write(folder / "lines.csv", head, rows)


def _overlaps(data: ReportData, folder: Path) -> list[Path]:
    rows: list[list[Cell]] = []
    for number, entry in enumerate(data.rounds, start=1):
        for phase in entry.phases:
            for one, row in zip(phase.joined, phase.overlap_matrix, strict=False):
                pairs = zip(phase.joined, row, strict=False)
                rows += [[number, phase.phase, phase.pressure_gpa, one, other, value] for other, value in pairs]
    return _write(folder / "overlap.csv", ["round", "phase", "pressure_gpa", "state", "other", "overlap"], rows)


def _others(data: ReportData, folder: Path) -> list[Path]:
    """Versions, parameters, what was not used, and what it cost."""
    lineage = [[item.round, item.pk, item.hash, item.parent] for item in data.lineage]
    parameters = [[item.name, item.n, item.initial, item.final, item.change] for item in data.parameters]
    rejected = [[item.what, item.pk, item.seed, "; ".join(item.reasons)] for item in data.rejected]
    cost = [[item.name, item.jobs, item.atom_steps, item.job_s] for item in data.cost_parts]
    return [
        *_write(folder / "lineage.csv", ["round", "pk", "hash", "parent"], lineage),
        *_write(folder / "parameters.csv", ["parameter", "n", "before", "after", "change"], parameters),
        *_write(folder / "rejected.csv", ["what", "pk", "seed", "reasons"], rejected),
        *_write(folder / "cost.csv", ["part", "jobs", "atom_steps", "job_s"], cost),
    ]


def write_tables(data: ReportData, folder: Path) -> list[Path]:
    """Write every table that has rows.

    Args:
        data: The data of the report.
        folder: Existing folder.

    Returns:
        The files written.
    """
    parts = (_boundaries, _rounds, _overlaps, _properties, _functions, _structures, _lines, _runs, _others)
    return [file for part in parts for file in part(data, folder)]
