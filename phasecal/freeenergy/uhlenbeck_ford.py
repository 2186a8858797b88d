"""Absolute free energy of a liquid: the path to the Uhlenbeck–Ford fluid.

The fluid u(r) = −p kT ln(1 − exp(−r²/σ²)) is repulsive and soft, has no phase transition that a liquid could meet on
the way, and one variable, x = b ρ with b = (πσ²)^{3/2}/2 (Paula Leite, Freitas, Azevedo & de Koning, J. Chem. Phys.
145, 194101 (2016), eqs. 1–9; Paula Leite & de Koning, Comput. Mater. Sci. 159, 316 (2019)). Per atom

    F = F_ideal + kT φ(x) − ΔF,     φ(x) = ∫₀ˣ [Z(x′) − 1]/x′ dx′,     ΔF = F(fluid) − F(liquid) by switching
    F_ideal = kT Σ_s c_s [ln(c_s ρ Λ_s³) − 1],    Λ = h/√(2π m kT)

Z(x), the compressibility factor at p = 50, was measured by benchmarks/uhlenbeck_ford_table.py. (Z − 1)/x begins with
B₂/b and B₃x/b², known exactly; the next powers are fitted and the polynomial is integrated. σ of the fluid follows
from the density, so that x is the same for every liquid.

Finite size: F_ideal is that of a large system. The (kT/2) ln(2πN)/N that N! adds in a small one is the same for fluid
and liquid but for their compressibilities: what is left is O(1/N).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dst

from phasecal.engines.lammps.kinds import validate_task
from phasecal.engines.lammps.uhlenbeck_ford import UhlenbeckFordTask
from phasecal.errors import InputError
from phasecal.freeenergy.frenkel_ladd import HBAR_EV_FS
from phasecal.freeenergy.switching import Repeat, analyse_repeat
from phasecal.observables.ensemble import AMU_A2_PER_FS2_IN_EV, Thermo
from phasecal.sample import Sample
from phasecal.units import KB

DEGREE = 8
"""Of the polynomial (Z − 1)/x in y over x in [0, 1]; χ² says that it is enough (tests/science)."""
MAPPING = 0.4
"""c of the variable y(x); with a plain polynomial in x of the same degree χ² is 9 for 2 degrees of freedom."""
REDUCED_DENSITY = 0.75
"""x of the fluid that stands for every liquid: σ is 1.5 Å for copper at its melting point."""

FLOAT = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """What is known of the fluid at one p.

    Attributes:
        p: Strength.
        n_atoms: Number of atoms it was measured with.
        x: Reduced densities, shape (n_nodes,).
        excess: Z − 1 there, shape (n_nodes,).
        sigma: Its standard deviations, shape (n_nodes,).
    """

    p: float
    n_atoms: int
    x: FLOAT
    excess: FLOAT
    sigma: FLOAT

    @property
    def fit(self) -> tuple[FLOAT, FLOAT, float]:
        """Coefficients of (Z − 1)/x as a polynomial in y(x), their covariance, and χ² of the measured ones.

        The first two coefficients are B₂/b and B₃/b², exactly; the others are fitted to the nodes, which are brought to
        N → ∞ with what was fitted before.
        """
        exact = virial_coefficients(self.p)
        powers = np.arange(2, DEGREE + 1)
        weights = self.x / self.sigma
        design = mapped(self.x)[:, None] ** powers * weights[:, None]
        inverse = np.linalg.pinv(design)
        coefficients = np.array(exact)
        for _ in range(4):
            excess = self.excess + self.finite_size(coefficients)
            wanted = (excess / self.x - exact[0] - exact[1] * mapped(self.x)) * weights
            coefficients = np.concatenate([exact, inverse @ wanted])
        chi2 = float(np.sum((wanted - design @ coefficients[2:]) ** 2))
        birge = max(1.0, chi2 / (len(self.x) - len(powers)))  # nodes that scatter more than their errors widen them
        covariance = np.zeros((DEGREE + 1, DEGREE + 1))
        covariance[2:, 2:] = inverse @ inverse.T * birge
        return coefficients, covariance, chi2

    def finite_size(self, coefficients: FLOAT) -> FLOAT:
        """What Z at the nodes lacks because it was measured with N atoms: (x/2N) d ln D/dx, D = d(xZ)/dx.

        A fixed number of atoms adds (kT/2N) ln(2πN ρkTκ) to F per atom, and ρkTκ = 1/D; at x → 0 it is B₂x/N, as
        pairs are N(N − 1)/2 and not N²/2.
        """
        step = 1e-4

        def pressure(x: FLOAT) -> FLOAT:
            return np.asarray(x + x**2 * np.polynomial.Polynomial(coefficients)(mapped(x)))

        below, here, above = (pressure(self.x + shift) for shift in (-step, 0.0, step))
        slope, curvature = (above - below) / (2 * step), (above - 2 * here + below) / step**2
        change: FLOAT = self.x / (2 * self.n_atoms) * curvature / slope
        return change


def mapped(x: FLOAT) -> FLOAT:
    """y(x) = x/(1 + x/c): the virial series has a singularity at a small negative x, which y keeps far away."""
    y: FLOAT = x / (1 + x / MAPPING)
    return y


@cache
def table() -> Table:
    """Read the measured compressibility factors."""
    raw = json.loads((files("phasecal.freeenergy") / "uhlenbeck_ford.json").read_text(encoding="ascii"))
    return Table(raw["p"], raw["n_atoms"], *(np.array(raw[name]) for name in ("x", "excess", "sigma")))


def virial_coefficients(p: float) -> tuple[float, float]:
    """B₂/b and B₃/b² of the fluid from its Mayer function f = (1 − exp(−r²))^p − 1, with σ = 1.

    B₂ = −2π ∫ f r² dr and B₃ = −(1/3) ∫ f(r) (f∗f)(r) d³r, the convolution by sine transforms. For p = 1 they are 1 and
    0.2566001196 (Paula Leite et al., table I).
    """
    n, reach = 8192, 24.0
    r, k = np.arange(1, n) * reach / n, np.arange(1, n) * np.pi / reach
    mayer = (1 - np.exp(-(r**2))) ** p - 1
    transform = 2 * np.pi / k * dst(r * mayer, type=1) * reach / n
    convolution = dst(k * transform**2, type=1) / (4 * np.pi**2 * r) * np.pi / reach
    b = math.pi**1.5 / 2
    second = -2 * math.pi * float(np.sum(mayer * r**2)) * reach / n
    third = -4 / 3 * math.pi * float(np.sum(r**2 * mayer * convolution)) * reach / n
    return second / b, third / b**2


def excess_free_energy(x: float) -> tuple[float, float]:
    """φ(x), the excess free energy of the fluid at p = 50 in units of kT per atom, and its standard deviation.

    Raises:
        InputError: x is outside of the table.
    """
    known = table()
    if not 0 < x <= known.x[-1]:
        raise InputError(f"x of the Uhlenbeck-Ford fluid must be in (0, {known.x[-1]:.3f}], got {x}")
    coefficients, covariance, _ = known.fit
    points, weights = np.polynomial.legendre.leggauss(40)
    share = weights * x / 2 @ mapped((points + 1) / 2 * x)[:, None] ** np.arange(DEGREE + 1)
    return float(share @ coefficients), float(np.sqrt(share @ covariance @ share))


def fluid_length(volume_a3: float) -> float:
    """σ of the fluid that has x = 0.75 at a volume per atom (Å³), Å."""
    return math.sqrt((2 * REDUCED_DENSITY * volume_a3) ** (2 / 3) / math.pi)


def ideal_free_energy(
    counts: Mapping[str, int], masses: Mapping[str, float], *, temperature_k: float, volume_a3: float
) -> float:
    """Free energy of an ideal mixture of atoms in the limit of many atoms, eV/atom.

    Args:
        counts: Number of atoms of each element in the cell.
        masses: Atomic mass by element, amu.
        temperature_k: Temperature, K.
        volume_a3: Volume of the cell, Å³.
    """
    kT = KB * temperature_k
    total = 0.0
    for element, count in counts.items():
        wavelength = math.sqrt(2 * math.pi / (masses[element] * AMU_A2_PER_FS2_IN_EV * kT)) * HBAR_EV_FS
        total += count * (math.log(count / volume_a3 * wavelength**3) - 1)
    return kT * total / sum(counts.values())


def fluid_reference(task: UhlenbeckFordTask, masses: Mapping[str, float]) -> tuple[float, float]:
    """Free energy of the fluid of a task and its standard deviation, eV/atom.

    Args:
        task: The MD task.
        masses: Atomic mass by element, amu.

    Raises:
        InputError: Its p or x is not in the table.
    """
    if task.uf_p != table().p:
        raise InputError(f"uf_p: only p = {table().p:g} is tabulated, got {task.uf_p}")
    atoms = task.start_configuration()
    volume = float(atoms.cell.volume)
    symbols = list(atoms.symbols)
    counts = {element: symbols.count(element) for element in dict.fromkeys(symbols)}
    ideal = ideal_free_energy(counts, masses, temperature_k=task.temperature_k, volume_a3=volume)
    phi, sigma = excess_free_energy(len(atoms) / volume * (math.pi * task.uf_sigma_a**2) ** 1.5 / 2)
    kT = KB * task.temperature_k
    return ideal + kT * phi, kT * sigma


def analyse_run(sample: Sample, thermo: Thermo, task: Mapping[str, Any]) -> Repeat:
    """Switching work of one run: F(fluid) − F(liquid).

    Raises:
        InputError: The task is not an Uhlenbeck–Ford task.
        DataError: Lines are missing.
    """
    checked = validate_task(task)
    if not isinstance(checked, UhlenbeckFordTask):
        raise InputError(f"expected a task of kind uhlenbeck-ford, got {checked.kind}")
    return analyse_repeat(sample, thermo, checked, thermo["reference_ev"] - thermo["model_ev"], solid=False)
