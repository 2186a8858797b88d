"""What other experiments say about a boundary: points that a campaign shows and does not calibrate to."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo

from phasecal.bounded import one_line, read_lines
from phasecal.campaign.context import context_of
from phasecal.campaign.fields import Section, Text, fault
from phasecal.campaign.sources import resolve_path
from phasecal.errors import InputError

COLUMNS = ("pressure_gpa", "temperature_k", "source")
MAX_BYTES = 1_000_000


class Alternative(Section):
    """One point of another experiment; it has no σ, since it weighs nothing."""

    pressure_gpa: float = Field(ge=-100.0, le=1e4, allow_inf_nan=False)
    temperature_k: float = Field(gt=0.0, le=1e5, allow_inf_nan=False)
    source: Text


def read_alternatives(path: Path) -> list[Alternative]:
    """Read points of other experiments from a table with the columns :data:`COLUMNS`; ``#`` begins a comment.

    Raises:
        InputError: The file is no such table; the message names the line.
    """
    lines = [(i, line) for i, line in enumerate(read_lines(path, InputError, MAX_BYTES), 1) if _says_something(line)]
    if not lines or tuple(lines[0][1].strip().split(",")) != COLUMNS:
        raise InputError(f"{path.name}: expected a table with the columns {','.join(COLUMNS)}")
    return [_point(row, f"{path.name}, line {i}") for i, row in lines[1:]]


def _says_something(line: str) -> bool:
    """Whether a line is neither empty nor a comment."""
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _point(line: str, where: str) -> Alternative:
    """Read one row."""
    try:
        pressure, temperature, source = next(csv.reader([line.strip()]))
        return Alternative(pressure_gpa=float(pressure), temperature_k=float(temperature), source=source)
    except (ValueError, csv.Error) as error:
        wrong = f"{one_line(line)!r}"
        if isinstance(error, ValidationError):
            wrong = "; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors())
        raise InputError(f"{where}: {wrong}; expected a pressure in GPa, a temperature in K and a source") from None


def _read(value: Any, info: ValidationInfo) -> list[Alternative]:
    """Read the file that the campaign names."""
    if not isinstance(value, str):
        raise fault("wrong kind of value")
    try:
        return read_alternatives(resolve_path(value, context_of(info).folder))
    except InputError as error:
        wrong, _, expected = str(error).partition("; expected ")
        raise fault(wrong, expected or None) from None


Alternatives = Annotated[list[Alternative], BeforeValidator(_read, json_schema_input_type=str)]
