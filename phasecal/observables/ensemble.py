"""Does a thermodynamic series show the ensemble that was asked for? Each check returns a reason, or None."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phasecal.errors import ConvergenceError, DataError
from phasecal.observables.statistics import Estimate, mean_with_error
from phasecal.units import KB

AMU_A2_PER_FS2_IN_EV = 103.642696562
"""1 amu·(Å/fs)² in eV (CODATA 2018)."""

Thermo = Mapping[str, NDArray[np.float64]]


def wrong_degrees_of_freedom(thermo: Thermo, n_atoms: int) -> str | None:
    """Compare kinetic energy and temperature: momentum is conserved, so there are 3N − 3 degrees of freedom.

    Temperatures taken from 3N are too low by 1/N: 5 K at 256 atoms.

    Args:
        thermo: Series with ``ke`` (eV per cell) and ``temp`` (K).
        n_atoms: Number of atoms N.
    """
    found = float(np.median(2.0 * thermo["ke"] / (KB * thermo["temp"])))
    expected = 3 * n_atoms - 3
    if abs(found - expected) < 0.5:
        return None
    return f"temperature and kinetic energy fit {found:.1f} degrees of freedom, expected 3N − 3 = {expected}"


def configurational_temperature(thermo: Thermo, timestep_fs: float, n_atoms: int) -> NDArray[np.float64]:
    """Temperature that the positions show, corrected for the finite time step.

    With velocity Verlet the velocities on the step are colder than the positions: in a harmonic system by the factor
    1 − ω²dt²/4, while the velocities half a step later agree with the positions (Eastwood et al., J. Chem. Theory
    Comput. 6, 2045 (2010)). Their kinetic energy is higher by Σ F²dt²/(8m). For Cu at 1326 K and 2.8 fs: +2.9 K.

    Args:
        thermo: Series with ``temp`` (K) and ``force_sq`` (Σ F²/m, (eV/Å)²/amu).
        timestep_fs: Time step, fs.
        n_atoms: Number of atoms N; 3N − 3 degrees of freedom.

    Returns:
        Temperature, K, shape (n_lines,).
    """
    energy = thermo["force_sq"] * timestep_fs**2 / 8 / AMU_A2_PER_FS2_IN_EV
    temperature: NDArray[np.float64] = thermo["temp"] + 2 * energy / (KB * (3 * n_atoms - 3))
    return temperature


def not_finite(thermo: Thermo) -> str | None:
    """Name the columns that hold nan or inf: the run blew up."""
    bad = [name for name, column in thermo.items() if not np.isfinite(column).all()]
    return f"the run blew up: {', '.join(bad)} not finite" if bad else None


def average(name: str, series: ArrayLike) -> tuple[Estimate | None, str | None]:
    """Mean with error, or the reason why there is none."""
    try:
        return mean_with_error(series), None
    except (ConvergenceError, DataError) as error:
        return None, f"{name}: {error}"


def off_target(name: str, mean: Estimate | None, target: float, tolerance: float, unit: str) -> str | None:
    """Say so when a mean misses its target by more than ``tolerance`` plus 4σ."""
    if mean is None or abs(mean.value - target) <= tolerance + 4 * mean.sigma:
        return None
    return f"mean {name} is {mean.value:.4g} ± {mean.sigma:.2g} {unit}, expected {target:.4g} {unit}"
