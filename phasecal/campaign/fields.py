"""What the sections of a campaign and of a protocol are made of.

The description of a field says what is expected there, with an example; it is what the user reads when the
value is wrong (see :mod:`phasecal.campaign.load`).
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from phasecal.campaign.reduced import REFERENCE
from phasecal.errors import InputError
from phasecal.units import parse_quantity


class Section(BaseModel):
    """A mapping of a YAML file: unknown keys are errors, values are not converted, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def fault(wrong: str, expected: str | None = None) -> PydanticCustomError:
    """Return the error a validator raises.

    Args:
        wrong: What is wrong with the value.
        expected: What was expected; by default the description of the field.
    """
    return PydanticCustomError("fault", "{wrong}", {"wrong": wrong, "expected": expected})


def quantity(kind: str) -> BeforeValidator:
    """Read a number with its unit, or a bare one of a campaign in reduced units, into the internal unit."""

    def read(value: Any, info: ValidationInfo) -> float:
        try:
            return read_quantity(value, kind, getattr(info.context, "units", None)) + 0.0  # of -0 and 0 one text
        except InputError as error:
            wrong, _, expected = str(error).partition("; expected ")
            raise fault(wrong, expected or None) from None

    return BeforeValidator(read)


def read_quantity(value: Any, kind: str, units: str | None) -> float:
    """Return a quantity of a campaign in the internal unit.

    Args:
        value: What the user wrote.
        kind: A key of :data:`phasecal.units.UNITS`.
        units: The campaign's ``units``: ``lj`` for reduced ones, else None.

    Raises:
        InputError: The unit is missing, unknown, or written where everything is reduced; not a finite number.
    """
    bare = isinstance(value, int | float) and not isinstance(value, bool)
    if units == "lj":
        if not bare:
            wrong = "has a unit, but the campaign has units: lj" if isinstance(value, str) else "wrong kind of value"
            raise InputError(f"{wrong}; expected a plain number in reduced units")
        if not math.isfinite(value):
            raise InputError(f"expected a finite {kind}")
        return float(value * REFERENCE[kind])
    if bare or _is_number(value):
        raise InputError("no unit")
    try:
        return parse_quantity(value, kind)
    except InputError as error:
        raise InputError(str(error).partition(", got ")[0]) from None


def _is_number(value: Any) -> bool:
    """Say whether a text is a number without a unit."""
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


Temperature = Annotated[float, quantity("temperature"), Field(gt=0.0, le=1e5)]
"""In K, as the engines accept it."""

Pressure = Annotated[float, quantity("pressure"), Field(ge=-100.0, le=1e4)]
"""In GPa, as the engines accept it."""

Length = Annotated[float, quantity("length"), Field(gt=0.5, lt=100.0)]
"""In Å, as :func:`phasecal.structures.crystals.crystal` accepts it."""

Energy = Annotated[float, quantity("energy"), Field(gt=0.0, le=100.0)]
"""In eV."""

Force = Annotated[float, quantity("force"), Field(gt=0.0, le=100.0)]
"""In eV/Å."""

Text = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}]*$")]
"""One line: no characters that terminals obey, or that hide or turn around others."""

Title = Annotated[Text, Field(max_length=200)]
"""It is a label in AiiDA's databases, which hold 255 characters."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,39}$")]
"""A word usable as a file name and as a label in the database."""

_Item = TypeVar("_Item")


def unique(items: list[_Item]) -> list[_Item]:
    """Reject a list that holds an item twice."""
    repeated = [item for item, count in Counter(map(str, items)).items() if count > 1]
    if repeated:
        raise fault(f"{repeated[0]} appears twice", "every entry once")
    return items
