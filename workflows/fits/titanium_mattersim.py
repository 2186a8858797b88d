"""Titanium labelled by MatterSim-5M, for `phasecal fit`: frames of `titanium_frames.py`, and cold crystals.

Usage: MATTERSIM_WEIGHTS=mattersim-v1.0.0-5M.pth python workflows/fits/titanium_mattersim.py OUT.extxyz FRAMES...
       [--count N] [--crystals]                         (half a second to a second per frame of one core)

FRAMES are extxyz or samples of phasecal (.npz). Needs an environment of its own with phasecal, PyTorch and
mattersim 1.2.3, whose weights are inside the wheel of mattersim 1.0.0rc8; nobody needs it who uses what it wrote.
Positions and labels are rounded, positions before they are labelled, so that the file compresses to a quarter. It is
written as labels come, and a run that was ended goes on where it stopped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from titanium_frames import STRETCHES

from phasecal.fitting.data import Labelled, bare, read_frames, write_labelled
from phasecal.fitting.label import ase_teacher, read_unlabelled

CRYSTALS = {
    "hcp": bulk("Ti", "hcp", a=2.94, c=4.66) * (3, 3, 3),
    "bcc": bulk("Ti", "bcc", a=3.26, cubic=True) * (3, 3, 3),
    "fcc": bulk("Ti", "fcc", a=4.11, cubic=True) * (2, 2, 2),
    "omega": Atoms(
        "Ti3",
        scaled_positions=[(0, 0, 0), (1 / 3, 2 / 3, 0.5), (2 / 3, 1 / 3, 0.5)],
        cell=[(4.58, 0, 0), (-2.29, 4.58 * np.sqrt(0.75), 0), (0, 0, 2.83)],
        pbc=True,
    )
    * (3, 3, 3),
}
"""Those that compete, too: a student that has not seen them may prefer them."""
EACH, LENGTHS, STRAIN, SHAKE_A = 16, (0.95, 1.05), 0.015, (0.0, 0.15)
"""Frames of each crystal: range of the factor of all lengths, standard deviation of strains, range of that of
displacements. And each is stretched once by every factor of `STRETCHES`, the last of which leaves free atoms."""
DIGITS_A, DIGITS_STRESS = 4, 6
"""Decimals of Å, eV and eV/Å; and of eV/Å³."""
SEED, BATCH = 7, 20


def calculator() -> Calculator:
    """Return MatterSim-5M on one core."""
    import torch  # noqa: PLC0415  # the rest of this module needs none
    from mattersim.forcefield.potential import MatterSimCalculator, Potential  # noqa: PLC0415  # the same

    torch.set_num_threads(1)
    weights = os.environ["MATTERSIM_WEIGHTS"]
    potential = Potential.from_checkpoint(load_path=weights, device="cpu", load_training_state=False)
    return MatterSimCalculator(potential=potential, device="cpu")


def crystals() -> Iterator[Atoms]:
    """Yield strained crystals with displaced atoms, some far apart."""
    rng = np.random.default_rng(SEED)
    for crystal in CRYSTALS.values():
        for length in (*rng.uniform(*LENGTHS, EACH), *STRETCHES):
            frame, strain = crystal.copy(), rng.normal(0.0, STRAIN, (3, 3))
            frame.set_cell(frame.cell @ (length * np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
            frame.positions += rng.normal(0.0, rng.uniform(*SHAKE_A), frame.positions.shape)
            yield frame


def rounded(atoms: Atoms) -> Atoms:
    """Return atoms whose places and cell have few decimals."""
    atoms = bare(atoms)
    atoms.set_cell(atoms.cell.round(DIGITS_A), scale_atoms=True)
    atoms.positions = atoms.positions.round(DIGITS_A)
    return atoms


def short(label: Labelled) -> Labelled:
    """Return a label of few decimals."""
    energy, forces = round(label.energy, DIGITS_A), label.forces.astype(float).round(DIGITS_A)
    stress = None if label.stress is None else label.stress.astype(float).round(DIGITS_STRESS)
    return Labelled(label.atoms, energy, forces, stress, label.source)


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option("--count", type=int, help="Take so many of the frames, at random.")
@click.option("--crystals", "with_crystals", is_flag=True, help="Cold crystals, too; they come first.")
def main(out: Path, files: tuple[Path, ...], count: int | None, with_crystals: bool) -> None:
    """Label what OUT does not hold yet; frames in random order, so that the beginning is as good as any part."""
    given = [atoms for file in files for atoms in read_unlabelled(file)]
    order = np.random.default_rng(SEED).permutation(len(given))[:count]
    frames = [*(crystals() if with_crystals else ()), *(given[i] for i in order)]
    done = len(read_frames(out)) if out.exists() else 0
    teacher, batch = ase_teacher(f"{Path(__file__).stem}:calculator"), out.with_suffix(".part.extxyz")
    for start in range(done, len(frames), BATCH):
        labels = teacher([rounded(atoms) for atoms in frames[start : start + BATCH]])
        write_labelled(batch, [short(label) for label in labels])
        with out.open("a") as file:
            file.write(batch.read_text())
        batch.unlink()
    print(f"{len(frames)} frames, {sum(map(len, frames))} atoms, {done} of them labelled before")


if __name__ == "__main__":
    main()
