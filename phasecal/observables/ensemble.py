"""Does a thermodynamic series show the ensemble that was asked for? Each check returns a reason, or None."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phasecal.errors import ConvergenceError, DataError
from phasecal.observables.statistics import Estimate, mean_with_error
from phasecal.units import EV_PER_A3_IN_GPA, KB

AMU_A2_PER_FS2_IN_EV = 103.642696562
"""1 amu·(Å/fs)² in eV (CODATA 2018)."""

PRESSURE_TOLERANCE = 0.0138
"""How far a mean pressure may miss its target, beyond 4σ, in kT per volume of an atom: 0.02 GPa for Cu at 1350 K."""

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


def ensemble_temperature(thermo: Thermo, timestep_fs: float, n_atoms: int) -> NDArray[np.float64]:
    """Temperature of the ensemble that velocity Verlet samples, from the kinetic energy it shows.

    Velocity Verlet conserves a shadow Hamiltonian. Of an oscillator in equilibrium with it at T, the velocities on the
    step show T(1 − ω²dt²/6) and those half a step later T(1 + ω²dt²/12), so (T_on + 2 T_half)/3 is T up to dt⁴
    (shadow Hamiltonian: Hairer, Lubich & Wanner, Geometric Numerical Integration, ch. IX). The half-step kinetic
    energy is higher by Σ F²dt²/(8m). The shadow changes the free energy by kT ω²dt²/24 per mode, which cancels between
    phases but for the few per cent by which their ⟨ω²⟩ differ: phases coexist at T. For Cu at 1326 K and 2.8 fs the
    correction is +1.9 K.

    Args:
        thermo: Series with ``temp`` (K) and ``force_sq`` (Σ F²/m, (eV/Å)²/amu).
        timestep_fs: Time step, fs.
        n_atoms: Number of atoms N; 3N − 3 degrees of freedom.

    Returns:
        Temperature, K, shape (n_lines,).
    """
    half_step_excess = thermo["force_sq"] * timestep_fs**2 / 8 / AMU_A2_PER_FS2_IN_EV
    temperature: NDArray[np.float64] = thermo["temp"] + 2 / 3 * 2 * half_step_excess / (KB * (3 * n_atoms - 3))
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


def thermal_pressure_gpa(temperature_k: float, volume_a3: float) -> float:
    """Return kT/v, GPa: the natural scale of stresses in a run (1.45 GPa for Cu near melting).

    Args:
        temperature_k: Temperature, K.
        volume_a3: Volume per atom, Å³.
    """
    return KB * temperature_k / volume_a3 * EV_PER_A3_IN_GPA


def off_target(name: str, mean: Estimate | None, target: float, tolerance: float, unit: str) -> str | None:
    """Say so when a mean misses its target by more than ``tolerance`` plus 4σ."""
    if mean is None or abs(mean.value - target) <= tolerance + 4 * mean.sigma:
        return None
    return f"mean {name} is {mean.value:.4g} ± {mean.sigma:.2g} {unit}, expected {target:.4g} {unit}"
