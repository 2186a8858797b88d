"""How free energy, enthalpy and volume of a phase respond to the parameters.

Source: Thaler & Zavadlav, Nat. Commun. 12, 6884 (2021), eq. 6 (gradients of reweighted averages). At constant T and P,
with g = ∂U/∂θ of each frame and H = U + PV (the kinetic part cancels in every difference):

    ∂G/∂θ   = ⟨g⟩
    ∂⟨H⟩/∂θ = ⟨g⟩ − β cov(H, g)
    ∂⟨V⟩/∂θ = −β cov(V, g)

The rows are per atom, exact derivatives at the parameters that were sampled (or, with weights, at those they stand
for). No derivative of the trajectory is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasecal.errors import DataError, NumericError
from phasecal.units import KB

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class PhaseRows:
    """Derivatives of one phase, per atom and per unit of each parameter, each of shape (n_parameters,).

    Covariances are kept as their factors, a row for each frame: networks have thousands of parameters, campaigns dozens
    of states.

    Attributes:
        free_energy: ∂G/∂θ, eV.
        free_energy_noise: B with BᵀB its statistical covariance, eV, shape (n_frames, n_parameters).
        fluctuation: A with AᵀA = β² cov(g) of the cell, shape (n_frames, n_parameters): ‖A δθ‖² is the variance of
            βΔU, the square of the distance that a step moves the phase.
        enthalpy: ∂H/∂θ, eV.
        volume: ∂V/∂θ, Å³.
    """

    free_energy: FloatArray
    free_energy_noise: FloatArray
    fluctuation: FloatArray
    enthalpy: FloatArray
    volume: FloatArray


def phase_rows(
    gradients: FloatArray,
    enthalpies: FloatArray,
    volumes: FloatArray,
    *,
    temperature_k: float,
    n_atoms: int,
    weights: FloatArray | None = None,
) -> PhaseRows:
    """Return the derivatives of one phase from independent frames.

    Args:
        gradients: ∂U/∂θ of each frame, eV per unit of θ, shape (n_frames, n_parameters).
        enthalpies: U + PV of the cell, eV, shape (n_frames,).
        volumes: Volume of the cell, Å³, shape (n_frames,).
        temperature_k: Temperature, K.
        n_atoms: Atoms in the cell.
        weights: Normalised weights of the frames, shape (n_frames,); equal if not given.

    Raises:
        DataError: There are fewer than two frames.
        NumericError: A number is not finite.
    """
    n_frames = len(gradients)
    if n_frames < 2:
        raise DataError("derivatives of a phase need two or more frames")
    if not all(np.isfinite(x).all() for x in (gradients, enthalpies, volumes)):
        raise NumericError("a derivative of an energy by the parameters, an enthalpy or a volume is not finite")
    w = np.full(n_frames, 1 / n_frames) if weights is None else weights
    bias = 1 / (1 - float(w @ w))
    mean = w @ gradients
    centred = gradients - mean
    beta = 1 / (KB * temperature_k)
    covariance_h = bias * ((w * (enthalpies - w @ enthalpies)) @ centred)
    covariance_v = bias * ((w * (volumes - w @ volumes)) @ centred)
    centred *= np.sqrt(bias)
    return PhaseRows(
        free_energy=mean / n_atoms,
        free_energy_noise=w[:, None] * centred / n_atoms,
        fluctuation=beta * np.sqrt(w)[:, None] * centred,
        enthalpy=(mean - beta * covariance_h) / n_atoms,
        volume=-beta * covariance_v / n_atoms,
    )


def difference(low: PhaseRows, high: PhaseRows) -> PhaseRows:
    """Return the derivatives of the high-temperature phase minus those of the low-temperature phase."""
    return PhaseRows(
        free_energy=high.free_energy - low.free_energy,
        free_energy_noise=np.concatenate([high.free_energy_noise, low.free_energy_noise]),
        fluctuation=np.concatenate([high.fluctuation, low.fluctuation]),
        enthalpy=high.enthalpy - low.enthalpy,
        volume=high.volume - low.volume,
    )
