"""How large a network of a weight file may be.

A few digits of its settings describe a network that takes hours to build, and its package does not ask. So they are
checked before: published networks have degrees up to 4, a handful of layers and some hundred channels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from phasecal.bounded import MAX_CUTOFF

MAX_ELEMENT = 118
MAX_DEGREE = 6
"""Of spherical harmonics."""
MAX_LAYERS = 16
MAX_CHANNELS = 9999
"""Of a layer, or of one kind of irreducible representation."""
_IRREP = rf"(\d{{1,4}}x)?[0-{MAX_DEGREE}][eo]"
_IRREPS = re.compile(rf"{_IRREP}( ?\+ ?{_IRREP}){{0,19}}", re.ASCII)


def check_whole(settings: Mapping[str, Any], limits: Mapping[str, int]) -> None:
    """Check that settings, where they are given, are whole numbers from 0 to their limits.

    Raises:
        ValueError: One is not.
    """
    for key, limit in limits.items():
        value = settings.get(key)
        if value is not None and not (type(value) is int and 0 <= value <= limit):
            raise ValueError(f"{key} is {value!r}; expected a whole number of at most {limit}")


def check_irreps(text: Any) -> None:
    """Check a sum of irreducible representations, such as ``128x0e + 64x1o``.

    Raises:
        ValueError: It is none, or a large one.
    """
    if not (isinstance(text, str) and _IRREPS.fullmatch(text)):
        raise ValueError(
            f"{text!r} is no sum of at most 20 terms such as 128x0e, up to {MAX_CHANNELS}x and degree {MAX_DEGREE}"
        )


def check_elements_and_cutoff(numbers: Any, cutoff: Any) -> None:
    """Check atomic numbers and the length of edges, Å.

    Raises:
        ValueError: They are not those of elements, or the cutoff is too long.
    """
    if not (isinstance(numbers, list) and numbers and all(type(n) is int and 0 < n <= MAX_ELEMENT for n in numbers)):
        raise ValueError(f"the atomic numbers are {numbers!r}")
    if len(set(numbers)) < len(numbers):
        raise ValueError("an element occurs twice")
    if not (isinstance(cutoff, int | float) and 0 < cutoff <= MAX_CUTOFF):
        raise ValueError(f"the cutoff is {cutoff!r}; expected at most {MAX_CUTOFF:g} Å")
