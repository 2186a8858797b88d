"""Errors of what surrounds LAMMPS, written where a reader of runs finds those of LAMMPS."""

from __future__ import annotations

import sys
from pathlib import Path

from phasecal.engines.lammps.commands import LOG_FILE


def report_error(error: Exception, folder: Path) -> None:
    """Write one line into the log of the run, and to standard error."""
    line = f"ERROR: {' '.join(str(error).split())}\n"
    with (folder / LOG_FILE).open("a", encoding="utf-8") as log:
        log.write(line)
    sys.stderr.write(line)
    sys.stderr.flush()
