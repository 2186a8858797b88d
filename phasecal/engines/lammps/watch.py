"""Is a running LAMMPS job worth the rest of its time? From the end of its log, so that it can be asked again and again.

A run is stopped for what would have it rejected in the end. What the log does not show, above all whether an interface
is still there, is left to the analysis of the frames.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from phasecal.engines.lammps.progress import STAGE
from phasecal.units import KB

TAIL_BYTES = 500_000
"""Of a log: the newest 2000 lines of a run, which is all of a bulk run of any protocol."""
TOO_HOT = 10.0
"""Times the highest temperature that a task names. A crystal starts at twice its own, and no stage is hotter."""
LOST_KT = 0.5
"""Change of the potential energy per atom over a bulk run, in kT, at which its phase is lost. Melting takes 0.8 of
copper; what crystals up to 1.2 T_m and liquids still relax after their equilibration was 0.2 at most."""
LOST_LINES = 20
"""Thermodynamic lines that are averaged at either end of such a change; a verdict needs three times as many."""
MIN_ATOMS = 100
"""Energies of fewer atoms fluctuate by more than a phase differs."""
_ROW = re.compile(r"^\s+- \[([^\]\n]*), \]$", re.MULTILINE)
_ENDED = re.compile(r"^(ERROR|Total wall time)", re.MULTILINE)


class Verdict(NamedTuple):
    """Why a run need not go on: whether its numbers are lost or its phase, and the reason."""

    is_blown_up: bool
    reason: str


def judge_log(end: str, task: Mapping[str, Any]) -> Verdict | None:
    """Judge a run that goes on by the end of its log; None when it may, or when it has ended by itself.

    Args:
        end: The last :data:`TAIL_BYTES` of the log or fewer; the first line may be cut.
        task: The valid MD task of the run.
    """
    _, _, stage = end.rpartition(STAGE)
    if _ENDED.search(stage) or stage.startswith("done"):
        return None
    lines = _lines(stage)
    if not len(lines):
        return None
    return _blown_up(lines[-1], task) or (_lost_phase(lines, task) if stage.startswith("production") else None)


def _lines(stage: str) -> NDArray[np.float64]:
    """Step, temperature (K), potential and kinetic energy (eV) of all lines: the first numbers in every script."""
    rows = [row.split(",")[:4] for row in _ROW.findall(stage)]
    try:
        return np.array([row for row in rows if len(row) == 4], dtype=np.float64).reshape(-1, 4)
    except ValueError:
        return np.empty((0, 4))


def _blown_up(line: NDArray[np.float64], task: Mapping[str, Any]) -> Verdict | None:
    """Say so when the newest line has numbers that no run recovers from."""
    step, temperature, *_ = map(float, line)
    if not np.isfinite(line).all():
        return Verdict(True, f"numbers that are not finite at step {step:.0f}")
    hottest = max(value for key, value in task.items() if key.endswith("temperature_k") and value is not None)
    if temperature > TOO_HOT * hottest:
        return Verdict(True, f"{temperature:.3g} K at step {step:.0f} of a run at up to {hottest:.0f} K")
    return None


def _lost_phase(lines: NDArray[np.float64], task: Mapping[str, Any]) -> Verdict | None:
    """Say so when the energy of a bulk run has changed as only another phase changes it."""
    if task["kind"] != "bulk" or len(lines) < 3 * LOST_LINES or not np.isfinite(lines).all():
        return None
    kinetic = float(lines[:, 3].mean())
    if kinetic < 1.5 * KB * float(task["temperature_k"]) * MIN_ATOMS:
        return None
    first, last = (float(part[:, 2].mean()) for part in (lines[:LOST_LINES], lines[-LOST_LINES:]))
    change = (last - first) / (kinetic / 1.5)
    if math.fabs(change) < LOST_KT:
        return None
    how = "melted or transformed" if change > 0 else "crystallised or transformed"
    reason = f"{task['phase']}: it {how}: its energy changed by {change:.2f} kT per atom by step {lines[-1, 0]:.0f}"
    return Verdict(False, reason)
