"""Two models side by side: parameters, forces on the same frames, and how far the second moves a boundary.

The shift of a boundary. Frames of both phases under model A at its transition (T, P) give G_B − G_A of each phase by
perturbation (Zwanzig; :mod:`phasecal.difftre.reweighting`). There ΔG_A = 0, so the difference of the two, high minus
low per atom, is ΔG_B(T) = δ. With ΔH taken as constant, Gibbs–Helmholtz, d(ΔG/T)/d(1/T) = ΔH, gives the temperature
where ΔG_B vanishes,

    T_B = T ΔH/(ΔH − δ) ≈ T + δ/ΔS.

A model that lowers the high-temperature phase (δ < 0) has its boundary at a lower temperature. Its error is that of δ
and of ΔH; that of T itself is common to both models and not in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from phasecal.difftre.reweighting import perturbation
from phasecal.errors import DataError
from phasecal.observables.statistics import statistical_inefficiency
from phasecal.potentials.base import Frames, Model, energies, forces, frames_from_sample
from phasecal.sample import Sample

FEW_FRAMES = 4
"""Frames of each phase from which forces are compared."""


@dataclass(frozen=True)
class Shift:
    """How far a boundary moves from one model to another.

    Attributes:
        value_k: T_B − T_A, K.
        sigma_k: Its standard deviation, K.
    """

    value_k: float
    sigma_k: float


def structure(model: Model) -> tuple[object, ...]:
    """Return what all models of one calibration share: everything but the parameters."""
    arrays = {name: array.tobytes() for name, array in model.arrays().items() if name != "theta"}
    return model.family, model.config, model.parameter_names, arrays


def require_comparable(a: Model, b: Model) -> None:
    """Refuse to compare energies that are not of the same kind.

    Raises:
        DataError: Other elements, or energies that are not whole (a frozen base) and of different bases.
    """
    if a.elements != b.elements:
        raise DataError(f"models of {'-'.join(a.elements)} and {'-'.join(b.elements)} have no frames in common")
    if not (a.complete and b.complete) and structure(a) != structure(b):
        raise DataError("a frozen potential of LAMMPS is compared with versions of itself only: its base is not in JAX")


def groups(a: Model, b: Model) -> list[dict[str, Any]]:
    """Return the size of the parameters of both models by group (`pair[Cu-Cu]`, `weight1[Ti]`); none in common: empty.

    Returns:
        Per group ``group``, ``n_parameters`` and the root mean squares ``a_rms``, ``b_rms`` and ``change_rms``.
    """
    if a.parameter_names != b.parameter_names:
        return []
    members: dict[str, list[int]] = {}
    for i, name in enumerate(a.parameter_names):
        members.setdefault(name.rpartition("[")[0] or name, []).append(i)
    return [
        {
            "group": group,
            "n_parameters": len(indices),
            "a_rms": _rms(a.theta[indices]),
            "b_rms": _rms(b.theta[indices]),
            "change_rms": _rms(b.theta[indices] - a.theta[indices]),
        }
        for group, indices in members.items()
    ]


def few(frames: Frames) -> Frames:
    """Return :data:`FEW_FRAMES` of the frames, spread over the run."""
    return frames.take(np.unique(np.linspace(0, frames.n_frames - 1, FEW_FRAMES).astype(int)))


def rms_force_change(before: Model, after: Model, batches: Sequence[Frames]) -> float:
    """Return the root mean square change of a force component, eV/Å, mean over batches."""
    changes = [forces(after, frames) - forces(before, frames) for frames in batches]
    return math.sqrt(float(np.mean([np.mean(np.square(change)) for change in changes])))


def rms_force_difference(a: Model, b: Model, sample: Sample) -> float:
    """Return the root mean square difference of a force component on a few frames of a sample, eV/Å.

    Raises:
        DataError: See :func:`require_comparable`.
    """
    require_comparable(a, b)
    return rms_force_change(a, b, [few(frames_from_sample(sample, max(a.cutoff, b.cutoff)))])


def boundary_shift(
    a: Model, b: Model, low: Sample, high: Sample, temperature_k: float, delta_h_ev: tuple[float, float]
) -> Shift:
    """Predict how far a boundary moves from model A to model B (see the module).

    Args:
        a: The model that drove both samples.
        b: The other model.
        low: Frames of the low-temperature phase at the transition of A.
        high: The same of the high-temperature phase.
        temperature_k: Transition temperature of A, K.
        delta_h_ev: ΔH of A per atom, high minus low, and its standard deviation, eV.

    Raises:
        DataError: See :func:`require_comparable`; or ΔH does not exceed δ: the boundary is out of reach.
        OverlapError: The frames of A do not carry the change to B.
    """
    require_comparable(a, b)
    parts = [_free_energy_change(a, b, sample, temperature_k) for sample in (low, high)]
    delta = parts[1][0] - parts[0][0]
    enthalpy, enthalpy_sigma = delta_h_ev
    if not enthalpy > max(delta, 0.0):
        raise DataError(f"ΔH = {enthalpy:.4f} eV/atom does not carry a change of ΔG by {delta:.4f} eV/atom")
    scale = temperature_k / (enthalpy - delta) ** 2
    sigma = math.hypot(scale * enthalpy * math.hypot(parts[0][1], parts[1][1]), scale * delta * enthalpy_sigma)
    return Shift(temperature_k * delta / (enthalpy - delta), sigma)


def _free_energy_change(a: Model, b: Model, sample: Sample, temperature_k: float) -> tuple[float, float]:
    """Return G_B − G_A of one phase and its standard deviation, eV/atom; correlated frames count as fewer."""
    frames = frames_from_sample(sample, max(a.cutoff, b.cutoff))
    value, sigma = perturbation(energies(b, frames) - energies(a, frames), temperature_k)
    return value / frames.n_atoms, sigma * math.sqrt(statistical_inefficiency(sample.energies)) / frames.n_atoms


def _rms(values: np.ndarray[Any, Any]) -> float:
    """Return the root mean square of some numbers."""
    return math.sqrt(float(np.mean(np.square(values))))
