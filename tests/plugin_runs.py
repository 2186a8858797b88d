"""Plain LAMMPS with the plugin, on any number of ranks: forces, energies and stresses of atoms."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

BIN = Path(sys.executable).parent

STATIC = """
units metal
atom_style atomic
atom_modify map array sort 0 0
boundary p p p
read_data start.data
{commands}
compute energy all pe/atom
compute stress all stress/atom NULL virial
compute virial all pressure NULL virial
thermo_style custom step pe c_virial[*]
thermo_modify norm no format float %.17g
dump d all custom 1 {name}.dump id fx fy fz c_energy c_stress[*]
dump_modify d sort id format float %.17g
run 0
"""


def run(folder, script, name, commands, ranks=1):
    """Run LAMMPS; return its output."""
    (folder / f"{name}.in").write_text(script.format(commands="\n".join(commands), name=name))
    launcher = [BIN / "mpiexec", "-n", str(ranks)] if ranks > 1 else []
    return subprocess.run(
        [*launcher, BIN / "lmp", "-in", f"{name}.in", "-log", f"{name}.log"],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def static(folder, name, commands, ranks=1):
    """Return energy and virial pressure of the cell, and forces, energies and stresses of atoms."""
    done = run(folder, STATIC, name, commands, ranks)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    line = re.search(r"^ +0 +(.*)$", (folder / f"{name}.log").read_text(), re.MULTILINE).group(1)
    return np.array(line.split(), dtype=float), np.loadtxt(folder / f"{name}.dump", skiprows=9)[:, 1:]
