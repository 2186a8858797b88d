"""Reweighting: averages and free energies under changed parameters, from frames of the unchanged model.

Sources: Thaler & Zavadlav, Nat. Commun. 12, 6884 (2021), eqs. 3–5 (weights and effective sample size); Fuchs &
Zavadlav, arXiv 2512.03974 (perturbation of the free energy of both phases); Zwanzig, J. Chem. Phys. 22, 1420 (1954).

With a = −β[U_θ(x) − U_ref(x)], the weights are softmax(a), N_eff = exp(−Σ w ln w), and G_θ − G_ref = −kT ln⟨exp a⟩.
At constant pressure the PV term cancels. All of it is refused when the frames do not carry the change: N_eff below a
floor raises :class:`~phasecal.errors.OverlapError`, because then a handful of frames decides.

Arguments: ``delta_u`` is U_θ(x) − U_ref(x) of the whole cell per frame, eV, shape (n_frames,); ``temperature_k`` in K.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from phasecal.errors import NumericError, OverlapError
from phasecal.units import KB

N_EFF_FLOOR = 0.1
"""Least effective fraction of the frames with which a reweighted number is given at all."""

FloatArray = NDArray[np.float64]


def weights(delta_u: FloatArray, temperature_k: float) -> FloatArray:
    """Return the normalised weights of the frames, shape (n_frames,).

    Raises:
        NumericError: An energy is not finite.
    """
    if not np.isfinite(delta_u).all():
        raise NumericError("energies of the changed model are not finite")
    exponent = -np.asarray(delta_u) / (KB * temperature_k)
    return np.asarray(np.exp(exponent - logsumexp(exponent)))


def effective_fraction(w: FloatArray) -> float:
    """Return the effective sample size N_eff = exp(−Σ w ln w) of weights, divided by the number of frames."""
    positive = w[w > 0]
    return math.exp(-float(positive @ np.log(positive))) / len(w)


def spread(delta_u: FloatArray, temperature_k: float) -> float:
    """Return sd(βΔU), the distance of the two models as seen by the frames (dimensionless)."""
    return float(np.std(delta_u)) / (KB * temperature_k)


def reweighted_mean(
    x: FloatArray, delta_u: FloatArray, temperature_k: float, *, n_eff_floor: float = N_EFF_FLOOR
) -> FloatArray:
    """Return the average of ``x`` under the changed model; ``x`` has shape (n_frames, ...).

    Raises:
        OverlapError: The effective fraction of the frames is below ``n_eff_floor``.
    """
    w = weights(delta_u, temperature_k)
    _require(effective_fraction(w), n_eff_floor)
    return np.asarray(np.tensordot(w, x, axes=1))


def perturbation(delta_u: FloatArray, temperature_k: float, *, n_eff_floor: float = N_EFF_FLOOR) -> tuple[float, float]:
    """Free-energy perturbation: G_θ − G_ref of the whole cell, and its standard deviation, eV.

    Args:
        delta_u: See the module; the frames must be independent.
        temperature_k: Temperature, K.
        n_eff_floor: Least effective fraction of the frames that is accepted.

    Raises:
        OverlapError: The effective fraction of the frames is below ``n_eff_floor``.
    """
    w = weights(delta_u, temperature_k)
    _require(effective_fraction(w), n_eff_floor)
    kT = KB * temperature_k
    n_frames = len(w)
    value = -kT * (float(logsumexp(-np.asarray(delta_u) / kT)) - math.log(n_frames))
    return value, kT * math.sqrt(float(np.var(n_frames * w, ddof=1)) / n_frames)


def cumulant(delta_u: FloatArray, temperature_k: float) -> float:
    """Predict G_θ − G_ref of the whole cell to second order, ⟨ΔU⟩ − β var(ΔU)/2, eV.

    Exact for Gaussian energies, and steadier than :func:`perturbation` for sd(βΔU) of 1–3. A forecast, not an
    estimate: it has no error and never decides anything.
    """
    return float(np.mean(delta_u) - np.var(delta_u) / (2 * KB * temperature_k))


def _require(fraction: float, floor: float) -> None:
    """Refuse to reweight when too few frames carry the result."""
    if not fraction >= floor:
        raise OverlapError(
            f"reweighting leaves an effective fraction of {fraction:.2g} of the frames, below {floor:.2g}: "
            "the change of the model is too large for these frames; take a smaller step or sample again"
        )
