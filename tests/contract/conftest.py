"""Plain LAMMPS as an independent reference: energy, forces and pressure of one configuration."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io.lammpsdata import write_lammps_data

from phasecal.engines.lammps.commands import ARTIFACT_FILE
from phasecal.engines.lammps.plugin import install_plugin
from phasecal.engines.lammps.plugin.build import find_toolchain
from phasecal.errors import EngineError

SCRIPT = """
units metal
atom_style atomic
atom_modify map array sort 0 0
boundary p p p
read_data start.data
{commands}
compute c all pressure NULL virial
thermo_style custom step pe pxx pyy pzz pxy pxz pyz
variable pe equal pe
thermo_modify norm no
dump d all custom 1 out.dump id fx fy fz
dump_modify d sort id format float %.17g
run 0
variable results string "$(v_pe:%.17g) $(c_c[1]:%.17g) $(c_c[2]:%.17g) $(c_c[3]:%.17g)"
print "${{results}} $(c_c[4]:%.17g) $(c_c[5]:%.17g) $(c_c[6]:%.17g)" file out.txt
"""

BAR = 1.6021765e6
"""1 eV/Å³ in bar as LAMMPS has it (``nktv2p`` of units metal; 7e-8 below CODATA 2018)."""


def run_zero(commands: list[str], atoms: Atoms, elements: tuple[str, ...], folder: Path) -> dict:
    """Run zero steps; return ``energy`` (eV), ``forces`` (eV/Å) and ``virial`` (eV; xx yy zz xy xz yz).

    The cell must be lower triangular, so that LAMMPS does not rotate it. Potential files must be in ``folder``.
    """
    if (folder / ARTIFACT_FILE).exists():
        try:
            find_toolchain()
        except EngineError as error:
            pytest.skip(f"the plugin cannot be built: {error}")  # a machine without a compiler; CI has one
        install_plugin(folder)  # code that does not compile is an error
    write_lammps_data(folder / "start.data", atoms, specorder=list(elements), masses=True)
    (folder / "in.lmp").write_text(SCRIPT.format(commands="\n".join(commands)))
    done = subprocess.run(
        [Path(sys.executable).parent / "lmp", "-in", "in.lmp", "-log", "none"],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    numbers = np.array((folder / "out.txt").read_text().split(), dtype=float)
    forces = np.loadtxt(folder / "out.dump", skiprows=9)[:, 1:]
    return {"energy": numbers[0], "forces": forces, "virial": numbers[1:] * atoms.cell.volume / BAR}


@pytest.fixture
def lammps():
    """Run zero steps of plain LAMMPS (see :func:`run_zero`)."""
    return run_zero
