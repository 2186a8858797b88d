"""``python -m phasecal.engines.lammps.plugin FOLDER``: put the plugin into the folder of a run, where LAMMPS loads it.

To be called with the Python beside LAMMPS. A failure is written to the log of the run as LAMMPS writes its own errors,
so that whoever reads the run finds the reason.
"""

from __future__ import annotations

import sys
from pathlib import Path

from phasecal.engines.lammps.inputs import LOG_FILE
from phasecal.engines.lammps.plugin.build import install_plugin
from phasecal.errors import PhasecalError


def main(folder: str) -> int:
    """Install the plugin and return the exit status."""
    try:
        install_plugin(Path(folder))
    except PhasecalError as error:
        line = f"ERROR: {' '.join(str(error).split())}\n"
        with (Path(folder) / LOG_FILE).open("a", encoding="utf-8") as log:
            log.write(line)
        sys.stderr.write(line)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "."))
