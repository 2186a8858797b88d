"""What the sections of a campaign and of a protocol are made of.

The description of a field says what is expected there, with an example; it is what the user reads when the
value is wrong (see :mod:`phasecal.campaign.load`).
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

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


def _quantity(kind: str) -> BeforeValidator:
    """Read a number with its unit into the internal unit."""

    def read(value: Any) -> float:
        try:
            return parse_quantity(value, kind)
        except InputError as error:
            bare = isinstance(value, int | float) and not isinstance(value, bool)
            wrong = "no unit" if bare or _is_number(value) else str(error).partition(", got ")[0]
            raise fault(wrong) from None

    return BeforeValidator(read)


def _is_number(value: Any) -> bool:
    """Say whether a text is a number without a unit."""
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


Temperature = Annotated[float, _quantity("temperature"), Field(gt=0.0, le=1e5)]
"""In K, as the engines accept it."""

Pressure = Annotated[float, _quantity("pressure"), Field(ge=-100.0, le=1e4)]
"""In GPa, as the engines accept it."""

Length = Annotated[float, _quantity("length"), Field(gt=0.5, lt=100.0)]
"""In Å, as :func:`phasecal.structures.crystals.crystal` accepts it."""

Text = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""One line."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,39}$")]
"""A word usable as a file name and as a label in the database."""
