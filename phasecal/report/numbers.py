"""Numbers as text: a value with its interval, rounded to what the interval supports."""

from __future__ import annotations

import math

from phasecal.report.properties import PropertyKind

NOT_SHOWN = "–"
"""Printed where a number is missing or has no interval."""

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _decimals(sigma: float) -> int:
    """Decimals that leave two significant digits of σ."""
    return 1 - math.floor(math.log10(sigma))


def _fixed(value: float, decimals: int) -> str:
    text = f"{round(value, decimals):.{max(decimals, 0)}f}"
    negative_zero = text.startswith("-") and not text.strip("-0.")
    return (text.lstrip("-") if negative_zero else text).replace("-", "−")


def with_sigma(value: float | None, sigma: float | None) -> str:
    """``1364.8 ± 2.8``: the value with two significant digits of its interval.

    Args:
        value: The value.
        sigma: Its standard uncertainty, in the same unit.

    Returns:
        The text; :data:`NOT_SHOWN` if either is missing, for a number without an interval is not shown.
    """
    if value is None or sigma is None:
        return NOT_SHOWN
    size = max(abs(value), sigma)
    if 1e-4 < size < 1e6:
        decimals = _decimals(sigma)
        return f"{_fixed(value, decimals)} ± {_fixed(sigma, decimals)}"
    exponent = math.floor(math.log10(size))
    scale = 10.0**-exponent
    return f"({with_sigma(value * scale, sigma * scale)}) × 10{str(exponent).translate(_SUPERSCRIPT)}"


def property_value(value: float | None, sigma: float | None, kind: PropertyKind | None) -> str:
    """A property: with its interval, or bare if it was computed without sampling (``kind.exact``)."""
    if value is not None and sigma is None and kind is not None and kind.exact:
        return _fixed(value, kind.digits)
    return with_sigma(value, sigma)


def tabulated(value: float, sigma: float | None) -> str:
    """An experimental value; where its source gives no interval, as the source prints it."""
    if sigma is not None:
        return with_sigma(value, sigma)
    if abs(value) < 1e-4:
        exponent = math.floor(math.log10(abs(value)))
        return f"{value * 10.0**-exponent:.3g} × 10{str(exponent).translate(_SUPERSCRIPT)}"
    return f"{value:.5g}" if abs(value) < 1e3 else f"{value:.7g}"


def percent(change: float | None, sigma: float | None = None) -> str:
    """A relative change in percent, with its interval if it has one."""
    if change is None:
        return NOT_SHOWN
    if sigma is not None:
        text = with_sigma(100 * change, 100 * sigma)
        return text if text.startswith(("−", NOT_SHOWN)) else f"+{text}"
    text = _fixed(100 * change, 2)
    return text if text.startswith("−") or not text.strip("0.") else f"+{text}"


def duration(seconds: float) -> str:
    """Seconds as ``4 h 12 min``, ``12 min 5 s`` or ``42 s``."""
    total = round(seconds)
    hours, minutes, rest = total // 3600, total % 3600 // 60, total % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def count(value: float) -> str:
    """A large count as ``1.92 × 10⁸``, a small one as it is."""
    if value < 1e5:
        return f"{value:.0f}"
    exponent = math.floor(math.log10(value))
    return f"{value / 10.0**exponent:.3g} × 10{str(exponent).translate(_SUPERSCRIPT)}"
