"""Where do the phases of a student live? 15 ps of hcp, bcc and liquid at many temperatures, 0 and 5 GPa.

Usage: python workflows/fits/titanium_window.py MODEL.safetensors FOLDER     (twenty minutes of one core)

Runs are made and judged as those of `titanium_stability.py`, but are shorter and not labelled: `titanium_mattersim.py`
labels FOLDER/*/*/sample.npz.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from titanium_stability import place, run_in_lammps, tasks

from phasecal.observables.bulk import analyse_bulk
from phasecal.potentials.base import load_model

STATES = {
    "hcp": (800.0, 1100.0, 1400.0),
    "bcc": (1000.0, 1200.0, 1400.0, 1600.0),
    "liquid": (1500.0, 1800.0, 2000.0),
}
PRESSURES_GPA, PICOSECONDS = (0.0, 5.0), 15.0


def main(file: Path, folder: Path) -> None:
    """Run one state after the other, and print a line for each."""
    os.environ["OMP_NUM_THREADS"] = "1"
    model = load_model(file)
    for task in tasks(model.timestep_fs, STATES, PRESSURES_GPA, PICOSECONDS):
        output = run_in_lammps(task, model, place(folder, task))
        result = analyse_bulk(output.sample, output.thermo, task, solid=task["phase"] != "liquid")
        state = f"{task['phase']:<7} {task['temperature_k']:6.0f} K {task['pressure_gpa']:3.0f} GPa"
        volume = float(output.sample.volumes.mean()) / output.sample.n_atoms
        energy = float(output.thermo["pe"].mean()) / output.sample.n_atoms
        verdict = "; ".join(result.rejections) or "held"
        print(f"{state}  V {volume:.3f} A^3  U {energy:.4f} eV  {verdict}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
