"""``python -m phasecal.engines.lammps.plugin [FOLDER [RANKS]]``: put the plugin where LAMMPS loads it, if possible.

To be called with the Python beside LAMMPS, in the folder of a run, whose artifact is checked first. The exit status is
0 when the plugin is there, :data:`~phasecal.engines.lammps.plugin.choose.USE_EXTERNAL` when the run is one for ``fix
external``, else 1: the reason is then in the log of the run, where LAMMPS writes its own errors.
"""

from __future__ import annotations

import sys
from pathlib import Path

from phasecal.engines.lammps.plugin.choose import USE_EXTERNAL, prepare_model
from phasecal.engines.lammps.plugin.report import report_error
from phasecal.errors import PhasecalError


def main(folder: str = ".", ranks: str = "1") -> int:
    """Prepare the folder and return the exit status."""
    try:
        reason = prepare_model(Path(folder), int(ranks))
    except PhasecalError as error:
        report_error(error, Path(folder))
        return 1
    if reason is None:
        return 0
    sys.stderr.write(f"{reason}; python -m {__package__}.external SCRIPT runs the model without it\n")
    return USE_EXTERNAL


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
