"""Cost of an MD step: Zhou's copper table as it is against trimmed to 6 Å, plain styles against `omp` on one thread.

Usage: python benchmarks/lammps_styles.py
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

from phasecal.campaign.sources import potentials_folder
from phasecal.engines.lammps import lammps_executable
from phasecal.potentials.eam import EamModel

SCRIPT = """units metal
{suffix}
lattice fcc 3.7
region box block 0 5 0 5 0 5
create_box 1 box
create_atoms 1 box
include potential.in
velocity all create 2700 1
fix md all npt temp 1358 1358 0.28 iso 0 0 1.4
timestep 0.0028
run {steps}
"""
OMP = "package omp 1\nsuffix omp"
STEPS, N_ATOMS, REPEATS = 1000, 500, 3


def cost(cutoff: float | None, suffix: str) -> float:
    """µs per atom and step, the best of a few runs."""
    model = EamModel.from_file(potentials_folder() / "Cu_zhou.eam.alloy", train={}, cutoff=cutoff)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "potential.in").write_text("\n".join(model.export_lammps(folder)) + "\n")
        (folder / "in.md").write_text(SCRIPT.format(suffix=suffix, steps=STEPS))
        times = []
        for _ in range(REPEATS):
            out = subprocess.run(
                [str(lammps_executable()), "-in", "in.md"],
                cwd=folder,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            times.append(float(re.search(r"Loop time of (\S+)", out)[1]))
    return 1e6 * min(times) / STEPS / N_ATOMS


if __name__ == "__main__":
    baseline = cost(None, "")
    print(f"{'table':>12} {'styles':>8} {'µs/atom/step':>14} {'speed-up':>10}")
    for cutoff, suffix in ((None, ""), (None, OMP), (6.0, ""), (6.0, OMP)):
        value = cost(cutoff, suffix)
        table, styles = "9.04 Å" if cutoff is None else f"{cutoff:g} Å", "omp" if suffix else "plain"
        print(f"{table:>12} {styles:>8} {value:14.2f} {baseline / value:10.1f}")
