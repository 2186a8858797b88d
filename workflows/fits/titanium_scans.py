"""What colliding and parting atoms cost MatterSim, and a student: a dimer, a crystal stretched, pairs pushed together.

Usage: python workflows/fits/titanium_scans.py FRAMES.extxyz FIGURE.png MODULE:FACTORY [MODEL.safetensors]

FRAMES are labelled; pairs of hot ones are pushed as in `titanium_collisions.py`, which needs a quick teacher and tells
more. MODULE:FACTORY makes the teacher's ASE calculator (three minutes of one core), whose energies are kept beside the
figure and not computed again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import titanium_collisions as collisions
from ase import Atoms
from ase.build import bulk

from phasecal.fitting.data import read_frames
from phasecal.fitting.label import ase_teacher
from phasecal.potentials.base import energies, frames_from_atoms, load_model

DIMER_A = np.arange(1.4, 6.0, 0.1)
LATTICE_A = np.arange(3.4, 9.0, 0.15)
PUSHED_A = np.arange(1.4, 2.45, 0.05)
PAIRS = 4


def scans(file: Path) -> dict[str, tuple[np.ndarray, list[Atoms]]]:
    """Return the distances and frames of each scan."""
    dimers = [Atoms("Ti2", positions=[(0, 0, 0), (d, 0, 0)], cell=[18.0] * 3, pbc=True) for d in DIMER_A]
    stretched = [bulk("Ti", "fcc", a=a) for a in LATTICE_A]
    found = {"dimer": (DIMER_A, dimers), "fcc": (LATTICE_A / np.sqrt(2), stretched)}
    collisions.PAIRS, collisions.DISTANCES_A = PAIRS, PUSHED_A
    hot = [atoms for atoms in read_frames(file) if len(atoms) >= 112]
    pushed = collisions.scans(hot)
    return found | {f"pair {i + 1}": (PUSHED_A, scan) for i, scan in enumerate(pushed)}


def main(file: Path, figure: Path, entry: str, model_file: str = "") -> None:
    """Draw all scans; energies of pushed pairs are from the largest distance."""
    wanted, kept = scans(file), figure.with_suffix(".npz")
    if not kept.exists():
        teacher = ase_teacher(entry)
        np.savez(kept, **{name: [x.energy for x in teacher(frames)] for name, (_, frames) in wanted.items()})
    truth = np.load(kept)
    model = load_model(Path(model_file)) if model_file else None
    _, axes = plt.subplots(2, 3, figsize=(12, 7), layout="constrained")
    for axis, (name, (distance, frames)) in zip(axes.flat, wanted.items(), strict=True):
        pushed = name.startswith("pair")
        zero = truth[name][-1] if pushed else 0.0
        axis.plot(distance, (truth[name] - zero) / (1 if pushed else len(frames[0])), "o", ms=3, label="teacher")
        if model is not None:
            energy = energies(model, frames_from_atoms(frames, model.elements, model.cutoff))
            zero = energy[-1] if pushed else 0.0
            axis.plot(distance, (energy - zero) / (1 if pushed else len(frames[0])), label="student")
        axis.set(title=name, xlabel="distance, Å", ylabel="eV" if pushed else "eV/atom")
    axes.flat[0].legend()
    plt.savefig(figure, dpi=90)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
