"""Gibbs energy along an isobar from one run at constant temperature: reversible scaling.

The potential scaled by λ at the temperature T₀ and the pressure λP samples the configurations of the potential itself
at T = T₀/λ and P, because exp[−(λU + λPV)/kT₀] = exp[−(U + PV)/kT]. So g(λ) = λ × (configurational G at T₀/λ) has the
slope ∂g/∂λ = ⟨U + PV⟩, momenta add 3kT ln Λ(T) per atom, and (de Koning, Antonelli & Yip, Phys. Rev. Lett. 83, 3973
(1999), eq. 6, here for G)

    G(T₀/λ) = G₀/λ + (3/2) k (T₀/λ) ln λ + [I_f(λ) + I_b(λ)]/(2λ)

per atom, with I_f(λ) = ∫₁^λ (U + PV) dλ′ from the way there and I_b(λ) the same integral from the way back. A barostat
that stays at P instead ends the path at P/λ: at 5 GPa some 10 K of a melting point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecal.engines.lammps.kinds import validate_task
from phasecal.engines.lammps.reversible_scaling import ReversibleScalingTask
from phasecal.errors import DataError, InputError
from phasecal.freeenergy.crossing import Curve
from phasecal.freeenergy.switching import Leg, Repeat, analyse_repeat, legs, mean_of_repeats, wasted
from phasecal.observables.ensemble import Thermo
from phasecal.sample import Sample
from phasecal.units import EV_PER_A3_IN_GPA, KB

GRID = 21
"""Temperatures at which a curve is given, evenly spaced, both ends included."""

FLOAT = NDArray[np.float64]


@dataclass(frozen=True)
class Sweep:
    """One run along the isobar: the repeat, and what G gains on the way.

    Attributes:
        repeat: Its work at the far end, dissipation and phase.
        temperatures_k: Temperatures, ``GRID`` of them.
        gain_ev: [I_f + I_b]/(2λ), eV/atom, shape (GRID,).
    """

    repeat: Repeat
    temperatures_k: FLOAT
    gain_ev: FLOAT


def enthalpy_series(thermo: Thermo, pressure_gpa: float) -> FLOAT:
    """∂H/∂λ = U + PV of every line, with the unscaled potential and pressure, eV per cell."""
    return thermo["model_ev"] + pressure_gpa * thermo["volume"] / EV_PER_A3_IN_GPA


def gain(forward: Leg, backward: Leg, scales: FLOAT) -> FLOAT:
    """[I_f(λ) + I_b(λ)]/(2λ) at given λ, eV per cell.

    Args:
        forward: The way from λ = 1 to the far end.
        backward: The way back.
        scales: λ, within the path, shape (n,).
    """
    there = _at(forward.scale, forward.works_ev, scales)
    works = backward.works_ev - backward.works_ev[-1]
    back = _at(backward.scale, works, scales)
    return (there + back) / (2 * scales)


def _at(scale: FLOAT, works: FLOAT, wanted: FLOAT) -> FLOAT:
    """Interpolate a running integral over a monotonic λ."""
    order = np.argsort(scale)
    values: FLOAT = np.interp(wanted, scale[order], works[order])
    return values


def analyse_sweep(sample: Sample, thermo: Thermo, task: Mapping[str, Any]) -> Sweep:
    """Works of one run along the isobar.

    Raises:
        InputError: The task is not a reversible-scaling task.
        DataError: Lines are missing.
    """
    checked = validate_task(task)
    if not isinstance(checked, ReversibleScalingTask):
        raise InputError(f"expected a task of kind reversible-scaling, got {checked.kind}")
    enthalpy = enthalpy_series(thermo, checked.pressure_gpa)
    temperatures = np.linspace(checked.temperature_k, checked.end_temperature_k, GRID)
    forward, backward = legs(thermo, checked, enthalpy)
    gains = gain(forward, backward, checked.temperature_k / temperatures) / sample.n_atoms
    repeat = analyse_repeat(sample, thermo, checked, enthalpy, solid=not checked.melt)
    return Sweep(repeat, temperatures, gains)


def isobar(
    gibbs_ev: float, sigma_ev: float, sweeps: Sequence[Sweep], max_dissipation_ev: float
) -> tuple[Curve, list[str]]:
    """Gibbs energy along the isobar, and why it must not be used.

    Args:
        gibbs_ev: G at the common start of the sweeps, eV/atom.
        sigma_ev: Its standard deviation.
        sweeps: At least two runs along the same path.
        max_dissipation_ev: Largest dissipation that is allowed over the whole path, eV/atom.

    Raises:
        DataError: The sweeps have different paths.
        ConvergenceError: Fewer than two sweeps.
    """
    temperatures = sweeps[0].temperatures_k
    if any(not np.array_equal(sweep.temperatures_k, temperatures) for sweep in sweeps):
        raise DataError("sweeps of different paths cannot be combined")
    gains, covariance = mean_of_repeats(np.array([sweep.gain_ev for sweep in sweeps]))
    ratio = temperatures / temperatures[0]  # 1/λ
    curve = Curve(
        temperatures_k=temperatures,
        gibbs_ev=gibbs_ev * ratio - 1.5 * KB * temperatures * np.log(ratio) + gains,
        covariance_ev2=covariance + sigma_ev**2 * np.outer(ratio, ratio),
    )
    rejections = [f"seed {sweep.repeat.seed}: {reason}" for sweep in sweeps for reason in sweep.repeat.rejections]
    dissipation_ev = float(np.mean([sweep.repeat.dissipation_ev for sweep in sweeps]))
    if abs(dissipation_ev) > max_dissipation_ev:
        rejections.append(wasted(dissipation_ev, max_dissipation_ev))
    return curve, rejections
