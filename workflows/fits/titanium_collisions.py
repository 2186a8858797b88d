"""Is the student smooth where atoms collide? Pairs in hot frames pushed together in small steps, beside the teacher.

Usage: python workflows/fits/titanium_collisions.py MODEL.safetensors FRAMES.extxyz FOLDER      (a minute of one core)

FRAMES are those of `titanium_frames.py`; FOLDER is for the teacher. A step of molecular dynamics jumps over walls that
are narrower than it is long, 0.02 Å for a collision at 2600 K, and the energy of the run grows each time. Errors of
frames do not show such walls: what tells is the curvature along a scan, many times the teacher's.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from titanium_frames import COMMANDS, FILES

from phasecal.fitting.data import read_labelled
from phasecal.fitting.label import lammps_teacher
from phasecal.potentials.base import energies, frames_from_atoms, load_model

PAIRS, SEED = 24, 5
DISTANCES_A = np.arange(1.6, 2.1001, 0.005)
NEIGHBOURS_A = 2.5
"""Only pairs that are close already are pushed: the others would have to pass somebody."""
SHORTEST_A = 1.9
"""Frames with a shorter distance were pushed together when the data were made."""


def scans(hot: list[Atoms]) -> list[list[Atoms]]:
    """Return ``PAIRS`` scans: the same frame with one pair at all distances."""
    rng, found = np.random.default_rng(SEED), []
    rng.shuffle(hot)
    for frame in hot:
        first, second, apart = neighbor_list("ijd", frame, NEIGHBOURS_A)
        if len(first) == 0 or apart.min() < SHORTEST_A:
            continue
        pair = rng.integers(len(first))
        scan = [Atoms(frame.symbols, frame.positions, cell=frame.cell, pbc=True) for _ in DISTANCES_A]
        for pushed, distance in zip(scan, DISTANCES_A, strict=True):
            pushed.set_distance(first[pair], second[pair], distance, fix=0.5, mic=True)
        found.append(scan)
        if len(found) == PAIRS:
            return found
    raise SystemExit(f"{len(found)} frames with a pair to push; expected {PAIRS}")


def main(model_file: Path, frames_file: Path, folder: Path) -> None:
    """Print force errors and curvatures of both for each tenth of an Å."""
    labelled = read_labelled([frames_file], ["Ti"])
    hot = [frame.atoms for frame in labelled if len(neighbor_list("i", frame.atoms, NEIGHBOURS_A))]
    pushed, model = scans(hot), load_model(model_file)
    teacher, step = lammps_teacher(COMMANDS, FILES, ["Ti"], folder), DISTANCES_A[1] - DISTANCES_A[0]
    student = np.array([energies(model, frames_from_atoms(scan, model.elements, model.cutoff)) for scan in pushed])
    truth = np.array([[label.energy for label in teacher(scan)] for scan in pushed])
    slopes = [np.gradient(energy, step, axis=1) for energy in (student, truth)]
    curvatures = [np.gradient(slope, step, axis=1) for slope in slopes]
    print("distance, A   force error, eV/A: RMS, largest   curvature, eV/A^2, RMS: student, teacher")
    for low in np.arange(1.6, 2.05, 0.1):
        here = (DISTANCES_A > low) & (DISTANCES_A < low + 0.1)
        error = (slopes[0] - slopes[1])[:, here]
        rms = [np.sqrt(np.mean(part**2)) for part in (error, *(curvature[:, here] for curvature in curvatures))]
        print(f"{low:.1f} to {low + 0.1:.1f}    {rms[0]:8.2f} {np.abs(error).max():8.1f} {rms[1]:20.0f} {rms[2]:8.0f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
