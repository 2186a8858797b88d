"""ΔG of a solid–liquid boundary at a chosen (T, P) by interface pinning, and T_t from it.

Pedersen, Hummel, Kresse, Kahl & Dellago, Phys. Rev. B 88, 094101 (2013); Pedersen, J. Chem. Phys. 139, 104102 (2013).

A box of N atoms at (T, P) is part solid, share x, and part liquid. Q = |Σ_j exp(−i k·r_j)|/√N, with k a reflection of
the crystal in the plane of the interface, counts the solid: Q = x Q_s + (1 − x) Q_l, less a constant for the
interfaces. Moving the interface costs no interface, only chemical potential: the Gibbs energy along Q is straight,

    G(Q) = const + N Δμ_{s−l} (Q − Q_l)/(Q_s − Q_l),        Δμ_{s−l} = μ_s − μ_l

and the box would freeze or melt. The bias ½ κ (Q − a)² makes it a parabola with its minimum where
N Δμ_{s−l}/(Q_s − Q_l) + κ (Q − a) = 0: N Δμ_{s−l} = −κ (Q_s − Q_l)(⟨Q⟩ − a), the papers' formula. Here Δ is liquid −
solid per atom, ΔG = −Δμ_{s−l}, hence

    ΔG = κ (Q_s − Q_l)(⟨Q⟩ − a)/N        solid stable ⇔ ΔG > 0 ⇔ ⟨Q⟩ > a

Two departures from the papers, both small and zero at T_t:

* Q_l = 0. The papers take ⟨Q⟩ of the bulk liquid, some √π/2. But that is the modulus of a complex number of random
  phase; beside a crystal only its component in phase with the crystal's adds to the modulus of the sum, and that has
  mean 0. The squared rest adds (1 − x) S(k)/(4 x Q_s), whose slope in x is below 0.2 % of Q_s at 2000 atoms. With
  ⟨|ρ_l|⟩ the ΔG of 2000 copper atoms would come out 2–3 % too small.
* Under the force λ = κ (⟨Q⟩ − a) each phase responds: G(λ) = G + λ Q − ½ λ² β var(Q). Equal G(λ) of both phases gives
  N ΔG = λ (Q_s − Q_l) − ½ λ² β [var(Q_s) − ½⟨|ρ_l|²⟩]; the liquid counts with one component of ρ_l. Half of each of the
  two terms is taken as its own error, because the variances are those of short runs. For copper they nearly cancel.

The interval of ⟨Q⟩ needs care. Q is a fast breathing of the crystal on top of the slow wandering of the interfaces, and
a run that is short against the wandering sees little of it: the autocorrelation looks short and the error bar is too
small. But the variance is known: under the bias a straight G(Q) is a Gaussian of variance kT/κ. What a run has not seen
of it tells how far its mean may be off, and is added to the error (:func:`mean_field`).

T_t follows from Gibbs–Helmholtz with ΔH of the references: ΔG/T = ΔH (1/T − 1/T_t), one Newton step in 1/T. What a
constant ΔH neglects enters as in :mod:`phasecal.freeenergy.carry`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecal.errors import ConvergenceError, DataError
from phasecal.freeenergy.carry import gibbs_helmholtz
from phasecal.freeenergy.coexistence import GUESS_STEP
from phasecal.freeenergy.pinned_runs import PinnedReplica, Reference
from phasecal.observables.statistics import Estimate, chi_squared, combine, mean_with_error
from phasecal.units import KB

FLUCTUATION = 0.025
"""Standard deviation of the solid share that κ allows: less than one atomic layer of 28 to 32."""
MAX_SUPERHEATING = 0.05
"""Relative distance from T_t at which the bias must still hold the interface."""
SHIFT = 0.08
"""Shift of the solid share at that distance: inside the gate on |⟨Q⟩ − a|, see pinned_runs.MAX_SHIFT."""
MIN_INDEPENDENT = 8.0
"""Independent samples of Q, over all replicas, that an accepted result needs."""
ANCHOR_SHARE = 0.5
"""Share of the crystal's Q at which the interface is pinned. By volume the box is then 0.4 solid (interfaces have more
order than density): the liquid stays the thicker layer, because a thin one freezes above T_m."""


def spring_constant(order: float, temperature_k: float, n_atoms: int, delta_h_ev: float) -> float:
    """Strength of the bias, eV, that keeps the interface where it is put.

    With the bias alone the solid share x fluctuates by √(kT/κ)/Q_s; ΔG shifts it by N ΔG/(κ Q_s²), where ΔG is
    ΔH (T_t − T)/T_t. Both limits, :data:`FLUCTUATION` and :data:`SHIFT` at :data:`MAX_SUPERHEATING`, are kept:

        κ = max(kT/FLUCTUATION², N ΔH MAX_SUPERHEATING/SHIFT)/Q_s²

    The statistical error of ΔG does not depend on κ while the interface diffuses: its mobility and the time decide.

    Args:
        order: Q of the crystal.
        temperature_k: Temperature, K.
        n_atoms: Number of atoms N.
        delta_h_ev: Enthalpy of the transition, eV/atom.

    Raises:
        DataError: An argument is not positive: the phases are swapped, or the crystal does not scatter.
    """
    if not min(order, temperature_k, n_atoms, delta_h_ev) > 0:
        raise DataError(
            f"no bias can hold phases with Q = {order:.3g} and ΔH = {1e3 * delta_h_ev:.3g} meV/atom, both must be "
            "positive: write the phases of the boundary in the order [solid, liquid]"
        )
    thermal = KB * temperature_k / FLUCTUATION**2
    driven = n_atoms * delta_h_ev * MAX_SUPERHEATING / SHIFT
    return max(thermal, driven) / order**2


def bias_of(solid: Reference, liquid: Reference) -> tuple[float, float]:
    """Return κ (eV) and the anchor a of Q for a box with these references.

    Raises:
        DataError: The references have no averages, or no bias can hold them.
    """
    if solid.q is None or solid.enthalpy_ev is None or liquid.enthalpy_ev is None:
        raise DataError("the references have no averages: " + "; ".join(solid.rejections + liquid.rejections))
    delta_h = liquid.enthalpy_ev.value - solid.enthalpy_ev.value
    kappa = spring_constant(solid.q.value, solid.temperature_k, solid.n_atoms, delta_h)
    return kappa, ANCHOR_SHARE * solid.q.value


def free_energy_difference(field: Estimate, solid: Reference, liquid: Reference) -> tuple[float, float]:
    """ΔG = G_liquid − G_solid per atom and its standard error, eV.

    Args:
        field: λ = κ (⟨Q⟩ − a), eV.
        solid: Reference of the crystal: Q_s and its variance.
        liquid: Reference of the liquid: ⟨|ρ_l|²⟩.

    Raises:
        DataError: A reference has no mean Q.
    """
    if solid.q is None or liquid.q is None:
        raise DataError("the references have no mean Q: " + "; ".join(solid.rejections + liquid.rejections))
    response = 0.5 * field.value**2 / (KB * solid.temperature_k)
    of_solid = response * solid.q_variance
    of_liquid = response * (liquid.q.value**2 + liquid.q_variance) / 2
    value = field.value * solid.q.value - of_solid + of_liquid
    sigma = math.hypot(solid.q.value * field.sigma, field.value * solid.q.sigma, of_solid / 2, of_liquid / 2)
    return value / solid.n_atoms, sigma / solid.n_atoms


def transition_temperature(
    delta_g: tuple[float, float], delta_h: tuple[float, float], temperature_k: float
) -> tuple[float, float]:
    """T_t and its standard error, K, from ΔG and ΔH (value and σ, eV/atom) at one temperature.

    T_t = T/(1 − ΔG/ΔH). σ holds σ(ΔG), σ(ΔH) and the unknown ΔC_p, carried to T_t and divided by ΔS there.

    Raises:
        ConvergenceError: ΔG is so large that ΔH does not reach a transition from there.
    """
    ratio = delta_g[0] / delta_h[0]
    if not (delta_h[0] > 0 and abs(ratio) < 0.5):
        raise ConvergenceError(
            f"ΔG = {1e3 * delta_g[0]:.1f} meV/atom at {temperature_k:.0f} K is too far from a transition with "
            f"ΔH = {1e3 * delta_h[0]:.1f} meV/atom; measure closer to it"
        )
    found = temperature_k / (1 - ratio)
    _, sigma = gibbs_helmholtz(
        *delta_g,
        t0=temperature_k,
        t1=found,
        temperatures=[temperature_k],
        delta_h=[delta_h[0]],
        delta_h_sigma=[delta_h[1]],
    )
    return found, sigma * found / delta_h[0]


@dataclass(frozen=True)
class PinningPoint:
    """ΔG at one temperature from references and replicas.

    Attributes:
        temperature_k: Temperature of the sampled ensemble, K.
        delta_g_ev: ΔG and its standard error, eV/atom; None when no replica could be used.
        delta_h_ev: ΔH and its standard error, eV/atom; None without references.
        delta_v_a3: ΔV and its standard error, Å³/atom; None without references.
        transition_k: T_t from this point and its standard error, K.
        n_effective: Independent samples of Q in all.
        n_atoms: Number of atoms.
        rejections: Why the point must not be used; empty when it can.
        next_guess_k: Where to measure next.
        references: Solid and liquid.
        replicas: The two-phase runs.
    """

    temperature_k: float
    delta_g_ev: tuple[float, float] | None
    delta_h_ev: tuple[float, float] | None
    delta_v_a3: tuple[float, float] | None
    transition_k: tuple[float, float] | None
    n_effective: float
    n_atoms: int
    rejections: list[str]
    next_guess_k: float
    references: tuple[Reference, Reference]
    replicas: list[PinnedReplica]

    @property
    def accepted(self) -> bool:
        """Whether the point can be used."""
        return not self.rejections

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        runs: list[Reference | PinnedReplica] = [*self.references, *self.replicas]
        pairs = {"delta_g_ev": self.delta_g_ev, "delta_h_ev": self.delta_h_ev, "delta_v_a3": self.delta_v_a3}
        return {
            "at_k": self.temperature_k,
            **_flat(pairs),
            "temperature_k": None if self.transition_k is None else self.transition_k[0],
            "sigma_k": None if self.transition_k is None else self.transition_k[1],
            "n_effective": self.n_effective,
            "n_atoms": self.n_atoms,
            "accepted": self.accepted,
            "rejections": self.rejections,
            "next_guess_k": self.next_guess_k,
            "seeds": [run.seed for run in runs],
            "references": [reference.to_dict() for reference in self.references],
            "replicas": [replica.to_dict() for replica in self.replicas],
        }


def combine_replicas(solid: Reference, liquid: Reference, replicas: Sequence[PinnedReplica]) -> PinningPoint:
    """Pool the replicas of one state into ΔG, and carry it to T_t.

    Args:
        solid: Reference of the crystal.
        liquid: Reference of the liquid.
        replicas: Two-phase runs with the same bias; none when a reference was rejected before they were made.
    """
    rejections = [*solid.rejections, *liquid.rejections]
    rejections += [f"seed {replica.seed}: {reason}" for replica in replicas for reason in replica.rejections]
    delta_h = _difference(solid.enthalpy_ev, liquid.enthalpy_ev)
    field, missing = _pooled([replica for replica in replicas if replica.outcome == "coexisting"])
    rejections += [reason for reason in (missing, _swapped(delta_h)) if reason]
    averaged = solid.q is not None and liquid.q is not None
    delta_g = free_energy_difference(field, solid, liquid) if field is not None and averaged else None
    temperature = replicas[0].temperature_k if replicas else solid.temperature_k
    transition = None
    if delta_g is not None and delta_h is not None:
        try:
            transition = transition_temperature(delta_g, delta_h, temperature)
        except ConvergenceError as error:
            rejections.append(str(error))
    return PinningPoint(
        temperature_k=temperature,
        delta_g_ev=delta_g,
        delta_h_ev=delta_h,
        delta_v_a3=_difference(solid.volume_a3, liquid.volume_a3),
        transition_k=transition,
        n_effective=0.0 if field is None else field.n_effective,
        n_atoms=solid.n_atoms,
        rejections=rejections,
        next_guess_k=_next_guess(temperature, transition, solid, liquid, replicas),
        references=(solid, liquid),
        replicas=list(replicas),
    )


def combine_points(points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """T_t of all accepted points of one model and pressure, as plain data; without one, of none.

    Points at different temperatures must agree on T_t: ΔG is then linear with the slope that ΔH says. Their weighted
    mean has the error of :func:`phasecal.observables.statistics.combine`. ΔG, ΔH and ΔV are those of the accepted point
    nearest to T_t.

    Args:
        points: From :meth:`PinningPoint.to_dict`, in the order in which they were measured.

    Raises:
        DataError: No points.
    """
    if not points:
        raise DataError("no points to combine")
    used = [point for point in points if point["accepted"]]
    if not used:
        return {**points[-1], "points": list(points)}
    estimates = [Estimate(point["temperature_k"], point["sigma_k"], point["n_effective"], 1.0) for point in used]
    found, rejections = combine(estimates), _disagreements(estimates)
    return {
        **min(used, key=lambda point: abs(point["delta_g_ev"])),
        "temperature_k": found.value,
        "sigma_k": found.sigma,
        "chi2": chi_squared(estimates),
        "n_effective": found.n_effective,
        "next_guess_k": found.value,
        "accepted": not rejections,
        "rejections": rejections,
        "seeds": [seed for point in used for seed in point["seeds"]],
        "points": list(points),
    }


def _flat(pairs: dict[str, tuple[float, float] | None]) -> dict[str, float | None]:
    """Each value and, as ``…_sigma``, its error."""
    flat: dict[str, float | None] = {}
    for name, pair in pairs.items():
        flat[name], flat[f"{name}_sigma"] = pair if pair is not None else (None, None)
    return flat


def _difference(solid: Estimate | None, liquid: Estimate | None) -> tuple[float, float] | None:
    """Liquid − solid, and its standard error."""
    if solid is None or liquid is None:
        return None
    return liquid.value - solid.value, math.hypot(liquid.sigma, solid.sigma)


def _swapped(delta_h: tuple[float, float] | None) -> str | None:
    """Say so when the liquid does not have the higher enthalpy."""
    if delta_h is None or delta_h[0] > 2 * delta_h[1]:
        return None
    return (
        f"ΔH is {1e3 * delta_h[0]:.2f} ± {1e3 * delta_h[1]:.2f} meV/atom, it must be positive: write the phases in the "
        "order [solid, liquid]"
    )


def mean_field(series: Sequence[NDArray[np.float64]], variance: float) -> Estimate:
    """Mean of λ = κ (Q − a) over replicas, with what they have not seen of its known variance in the error.

    The variance s² seen around the mean is, in expectation, the true one less that of the mean: var(mean) = κ kT − s².
    This shortfall, beyond its own noise κ kT √(2/n_eff), is added to σ² from the autocorrelation, and n_eff is lowered
    to fit.

    Args:
        series: λ of each replica, eV, each of shape (n_lines,).
        variance: κ kT, eV².

    Raises:
        ConvergenceError: Fewer than two independent samples.
        DataError: Too few samples, not finite or constant.
    """
    seen = mean_with_error(*series, at_least=2.0)
    spread = float(np.var(np.concatenate(series)))
    unseen = max(0.0, variance * (1 - (2 / seen.n_effective) ** 0.5) - spread)
    sigma = math.hypot(seen.sigma, unseen**0.5)
    n_effective = min(seen.n_effective, max(1.0, variance / sigma**2)) if unseen else seen.n_effective
    return Estimate(seen.value, sigma, n_effective, seen.inefficiency * seen.n_effective / n_effective)


def _pooled(replicas: Sequence[PinnedReplica]) -> tuple[Estimate | None, str | None]:
    """Mean field of the coexisting replicas, or why there is none."""
    if not replicas:
        return None, None
    variance = float(np.mean([replica.field_variance for replica in replicas]))
    try:
        field = mean_field([replica.field_ev for replica in replicas], variance)
    except (ConvergenceError, DataError) as error:
        return None, str(error)
    if field.n_effective >= MIN_INDEPENDENT:
        return field, None
    return field, (
        f"only {field.n_effective:.1f} independent samples of Q, at least {MIN_INDEPENDENT:.0f} are needed; run longer"
    )


def _disagreements(points: Sequence[Estimate]) -> list[str]:
    """Say so when two temperatures give transition temperatures that differ by more than 3σ."""
    low, high = min(points, key=lambda p: p.value), max(points, key=lambda p: p.value)
    limit = 3 * math.hypot(low.sigma, high.sigma)
    if high.value - low.value <= limit:
        return []
    return [f"points disagree: {low.value:.4g} to {high.value:.4g} K, expected within {limit:.2g}"]


def _next_guess(
    temperature: float,
    transition: tuple[float, float] | None,
    solid: Reference,
    liquid: Reference,
    replicas: Sequence[PinnedReplica],
) -> float:
    """Where to measure next, K: T_t if there is one, else away from the side on which a phase was lost."""
    if transition is not None:
        return transition[0]
    melted = bool(solid.rejections) + sum(replica.outcome == "melted" for replica in replicas)
    frozen = bool(liquid.rejections) + sum(replica.outcome == "frozen" for replica in replicas)
    return temperature * (1 + GUESS_STEP * ((frozen > melted) - (melted > frozen)))
