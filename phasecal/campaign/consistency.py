"""Do the experimental targets of a campaign contradict themselves?

Two targets of one boundary imply a slope, and the slope with the entropy of the transition a change of volume (Clausius
and Clapeyron): ΔV = ΔS · dT/dP. A typing error (a zero too many, bar for GPa) or a mixture of two experiments shows as
a volume change that no substance has, or as slopes on both sides of a target that do not fit together. A contradiction
is reported, not forbidden: experiments do contradict each other, and the calibration weighs targets by their σ.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from phasecal.experiment import transition
from phasecal.structures.crystals import crystal
from phasecal.units import EV_PER_A3_IN_GPA, KB, KJ_PER_MOL

MAX_VOLUME_CHANGE = {True: 0.25, False: 0.10}
"""Largest |ΔV|/V that is believable, when melting (True) and between crystals (False): metals melt within 0.07, alkali
halides reach 0.25."""
MELTING_ENTROPY_KB = 1.2
"""Entropy of melting per atom where none is tabulated (Richards' rule: 1.0 to 1.4 k for most metals)."""
N_SIGMA = 3.0
MAX_SLOPE_CHANGE = 2.0
"""Factor between slopes on the two sides of a target beyond which they do not fit together."""


@dataclass(frozen=True)
class _Segment:
    """Slope between two neighbouring targets, K/GPa."""

    low: dict[str, Any]
    high: dict[str, Any]
    slope: float
    sigma: float


def contradictions(campaign: dict[str, Any]) -> list[str]:
    """Return one sentence, with the numbers, for every contradiction between targets of one boundary.

    Args:
        campaign: A validated campaign as a dictionary in internal units.
    """
    found = []
    for boundary in campaign["boundaries"]:
        segments = _segments(boundary["targets"])
        name = "–".join(boundary["phases"])
        found += _impossible_volumes(name, segments, *_entropy_and_volume(campaign, boundary["phases"]))
        found += _broken_lines(name, segments)
    return found


def _segments(targets: Sequence[dict[str, Any]]) -> list[_Segment]:
    """Return the slopes between targets that are neighbours in pressure."""
    ordered = sorted(targets, key=lambda target: target["pressure_gpa"])
    segments = []
    for low, high in itertools.pairwise(ordered):
        width = high["pressure_gpa"] - low["pressure_gpa"]
        slope = (high["temperature_k"] - low["temperature_k"]) / width
        segments.append(_Segment(low, high, slope, math.hypot(low["sigma_k"], high["sigma_k"]) / width))
    return segments


def _entropy_and_volume(campaign: dict[str, Any], phases: Sequence[str]) -> tuple[float | None, float, bool]:
    """Return ΔS in eV/K per atom (None if unknown), the volume of the crystal in Å³ per atom, and whether it melts."""
    low, high = (campaign["phases"][name] for name in phases)
    melting = "melt" in high
    atoms = crystal(campaign["phases"][low["melt"]] if "melt" in low else low)
    elements = sorted(set(atoms.symbols))
    prototypes = tuple(
        "liquid" if "melt" in description else str(description["prototype"]) for description in (low, high)
    )
    known = transition(elements[0] if len(elements) == 1 else None, (prototypes[0], prototypes[1]), 0.0)
    entropy = known.entropy_j_mol_k * KJ_PER_MOL / 1000 if known else MELTING_ENTROPY_KB * KB if melting else None
    return entropy, float(atoms.cell.volume) / len(atoms), melting


def _impossible_volumes(
    name: str, segments: Sequence[_Segment], entropy: float | None, volume: float, melting: bool
) -> list[str]:
    """Report slopes that no change of volume can explain."""
    if entropy is None:
        return []
    found = []
    for segment in segments:
        change = entropy * segment.slope * EV_PER_A3_IN_GPA
        sigma = entropy * segment.sigma * EV_PER_A3_IN_GPA
        if abs(change) - N_SIGMA * sigma > MAX_VOLUME_CHANGE[melting] * volume:
            found.append(
                f"{name}: {_between(segment)} mean dT/dP = {segment.slope:.0f} ± {segment.sigma:.0f} K/GPa, and with "
                f"ΔS = {entropy / KB:.2f} k a volume change of {100 * change / volume:.0f} % (Clausius-Clapeyron); "
                f"at most {100 * MAX_VOLUME_CHANGE[melting]:.0f} % is plausible: check temperatures and units"
            )
    return found


def _broken_lines(name: str, segments: Sequence[_Segment]) -> list[str]:
    """Report targets where the slope changes more abruptly than a boundary's does."""
    found = []
    for before, after in itertools.pairwise(segments):
        apart = abs(after.slope - before.slope) > N_SIGMA * math.hypot(after.sigma, before.sigma)
        small, large = sorted((abs(before.slope), abs(after.slope)))
        if apart and (before.slope * after.slope < 0 or large > MAX_SLOPE_CHANGE * small):
            found.append(
                f"{name}: dT/dP is {before.slope:.1f} ± {before.sigma:.1f} K/GPa below "
                f"{after.low['pressure_gpa']:g} GPa and {after.slope:.1f} ± {after.sigma:.1f} K/GPa above; "
                f"no boundary bends like this: {_between(before)} and {_between(after)} contradict each other, or "
                "their sigma is too small"
            )
    return found


def _between(segment: _Segment) -> str:
    """Name the two targets of a segment."""
    points = (f"{t['temperature_k']:g} K at {t['pressure_gpa']:g} GPa" for t in (segment.low, segment.high))
    return " and ".join(points)
