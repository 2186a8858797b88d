"""Crystals of titanium at 0 K: cells and energies of hcp, bcc, omega and fcc, by a student and its teacher.

Usage: python workflows/fits/titanium_cold.py MODEL.safetensors FIGURE.png MODULE:FACTORY      (a minute of one core)

MODULE:FACTORY makes the teacher's ASE calculator, as for `phasecal label`. Minima come from grids of volumes and axial
ratios and polynomials through the lowest points, so that both are treated alike.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from ase import Atoms
from ase.build import bulk
from numpy.typing import NDArray

from phasecal.fitting.label import ase_teacher
from phasecal.potentials.base import energies, frames_from_atoms, load_model

VOLUMES_A3 = np.linspace(15.0, 20.0, 21)
RATIOS = {"hcp": np.linspace(1.54, 1.66, 7), "omega": np.linspace(0.59, 0.65, 7), "bcc": None, "fcc": None}
"""c/a of those that have one."""

Energies = Callable[[list[Atoms]], NDArray[np.float64]]


def cell(name: str, volume_a3: float, ratio: float | None) -> Atoms:
    """Return a primitive cell; the volume is that of an atom."""
    if name == "hcp":
        a = (4 * volume_a3 / np.sqrt(3) / ratio) ** (1 / 3)
        return bulk("Ti", "hcp", a=a, c=ratio * a)
    if name == "omega":
        a = (6 * volume_a3 / np.sqrt(3) / ratio) ** (1 / 3)
        places = [(0, 0, 0), (1 / 3, 2 / 3, 0.5), (2 / 3, 1 / 3, 0.5)]
        axes = [(a, 0, 0), (-a / 2, a * np.sqrt(0.75), 0), (0, 0, ratio * a)]
        return Atoms("Ti3", scaled_positions=places, cell=axes, pbc=True)
    return bulk("Ti", name, a=(volume_a3 * {"bcc": 2, "fcc": 4}[name]) ** (1 / 3))


def curve(name: str, of: Energies) -> tuple[NDArray[np.float64], float, float, float | None]:
    """Return the energies of all volumes (lowest over c/a), and volume, energy and c/a of the minimum."""
    ratios = RATIOS[name] if RATIOS[name] is not None else [None]
    frames = [cell(name, volume, ratio) for volume in VOLUMES_A3 for ratio in ratios]
    found = (of(frames) / [len(frame) for frame in frames]).reshape(len(VOLUMES_A3), -1)
    lowest, best = found[:, 0], None
    if RATIOS[name] is not None:
        minima = [minimum(ratios, row, 3) for row in found]
        best, lowest = np.array(minima).T
    near = slice(max(lowest.argmin() - 4, 0), lowest.argmin() + 5)
    volume, energy = minimum(VOLUMES_A3[near], lowest[near], 4)
    return lowest, volume, energy, None if best is None else float(np.interp(volume, VOLUMES_A3, best))


def minimum(x: NDArray[np.float64], y: NDArray[np.float64], degree: int) -> tuple[float, float]:
    """Return place and value of the minimum of a polynomial through points."""
    fine = np.linspace(x[0], x[-1], 2001)
    values = np.polyval(np.polyfit(x - x.mean(), y, degree), fine - x.mean())
    return float(fine[values.argmin()]), float(values.min())


def main(file: Path, figure: Path, entry: str) -> None:
    """Print a table and draw the curves."""
    model, teacher = load_model(file), ase_teacher(entry)
    methods: dict[str, Energies] = {
        "student": lambda frames: energies(model, frames_from_atoms(frames, model.elements, model.cutoff)),
        "teacher": lambda frames: np.array([label.energy for label in teacher(frames)]),
    }
    _, axes = plt.subplots(figsize=(6, 4.5), layout="constrained")
    for method, style in zip(methods, ("-", "o"), strict=True):
        found = {}
        for color, name in enumerate(RATIOS):
            lowest, volume, energy, ratio = curve(name, methods[method])
            found[name] = energy
            a = np.linalg.norm(cell(name, volume, ratio).cell[0]) * {"bcc": 2 / np.sqrt(3), "fcc": np.sqrt(2)}.get(
                name, 1
            )
            shape = "" if ratio is None else f"c/a {ratio:.4f}"
            above = 1e3 * (energy - found["hcp"])
            print(f"{method} {name:<6} V {volume:.3f} A^3  a {a:.4f} A  {above:6.1f} meV/atom above hcp  {shape}")
            axes.plot(VOLUMES_A3, lowest, style, color=f"C{color}", label=f"{name}, {method}", markersize=3)
        print(f"{method} hcp {found['hcp']:.4f} eV/atom")
    axes.set(xlabel="volume, Å³/atom", ylabel="energy, eV/atom")
    axes.legend()
    plt.savefig(figure, dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
