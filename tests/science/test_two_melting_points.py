"""The transition between two crystals from their melting points, against phases known in closed form."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq

from phasecal.errors import DataError, PhaseError
from phasecal.freeenergy.two_melting_points import Phases, gibbs_difference, next_temperature, transition
from phasecal.units import KB

T0 = 1155.0
# H (eV/atom), S (eV/K per atom) at T0 and C_p (eV/K per atom): titanium's hcp, bcc and melt, roughly
PHASES = {
    "low": (0.0, 0.0, 3.6 * KB),
    "high": (0.0432, 0.0432 / T0, 3.2 * KB),
    "melt": (0.0432 + 0.135, 0.0432 / T0 + 0.0725e-3, 3.7 * KB),
}
SIGMA_H = 1e-3


def enthalpy(phase, t):
    h, _, heat_capacity = PHASES[phase]
    return h + heat_capacity * (t - T0)


def gibbs(phase, t):
    h, s, heat_capacity = PHASES[phase]
    return h + heat_capacity * (t - T0) - t * (s + heat_capacity * math.log(t / T0))


def root(low, high, start, end):
    return brentq(lambda t: gibbs(high, t) - gibbs(low, t), start, end)


T_LOW, T_HIGH = root("low", "melt", 1300, 2600), root("high", "melt", 1300, 2600)


def measured(temperatures=(1150.0, 1400.0), sigma_k=(3.0, 3.0), sigma_h=SIGMA_H, rng=None):
    """Both melting points and the enthalpies, with noise where there is a generator."""

    def noisy(value, sigma):
        return value + (rng.normal(0, sigma) if rng else 0.0)

    points = [(noisy(t, sigma), sigma) for t, sigma in zip((T_LOW, T_HIGH), sigma_k, strict=True)]
    (low_k, _), (high_k, _) = points
    where = {"low": [*temperatures, low_k], "high": [*temperatures, low_k, high_k], "melt": [low_k, high_k]}
    sampled = {name: {t: (noisy(enthalpy(name, t), sigma_h), sigma_h) for t in ts} for name, ts in where.items()}
    return Phases(*points, **sampled)


def test_the_model_is_like_titanium():
    assert root("low", "high", 900, 1400) == pytest.approx(T0)
    assert 1600 < T_LOW < T_HIGH < 2100


@pytest.mark.parametrize("temperatures", [(1150.0, 1400.0), (1100.0, 1250.0), (1000.0,)])
def test_the_transition_is_exact_for_constant_heat_capacities(temperatures):
    found = transition(measured(temperatures))
    assert found.temperature_k == pytest.approx(T0, abs=1e-6)
    assert found.delta_h_ev == pytest.approx(0.0432, abs=1e-9)
    assert found.sigma_k > 0


@pytest.mark.parametrize("t", [1000.0, 1155.0, 1500.0, 1610.0])
def test_it_is_the_difference_of_both_melting_curves(t):
    """The melt cancels: ΔG_AM − ΔG_BM with the melt followed all the way down gives the same."""
    value, _ = gibbs_difference(measured((1000.0,)), t)
    assert value == pytest.approx(gibbs("high", t) - gibbs("low", t), abs=1e-12)


def test_the_melting_points_dominate_as_their_entropies_say():
    exact = measured(sigma_h=1e-12)
    found = transition(exact)
    entropy = 0.0432 / T0
    for name, crystal, t in (("melting_low", "low", T_LOW), ("melting_high", "high", T_HIGH)):
        melting_entropy = (enthalpy("melt", t) - enthalpy(crystal, t)) / t
        assert found.budget_k[name] == pytest.approx(3.0 * melting_entropy * T0 / t / entropy, rel=1e-6)
        shifted = replace(exact, **{"low_k" if name.endswith("low") else "high_k": (t + 0.01, 3.0)})
        moved = abs(transition(shifted).temperature_k - found.temperature_k) / 0.01
        assert moved == pytest.approx(found.budget_k[name] / 3.0, rel=5e-3)
    assert found.sigma_k == pytest.approx(math.hypot(found.budget_k["melting_low"], found.budget_k["melting_high"]))


@pytest.mark.parametrize(("sigma_k", "sigma_h"), [((3.0, 3.0), 1e-3), ((1e-3, 1e-3), 1.5e-3), ((2.0, 6.0), 1e-6)])
def test_the_interval_covers_the_truth(sigma_k, sigma_h):
    rng = np.random.default_rng(3)
    z = []
    for _ in range(1500):
        found = transition(measured(sigma_k=sigma_k, sigma_h=sigma_h, rng=rng), max_extrapolation=0.1)
        z.append((found.temperature_k - T0) / found.sigma_k)
    assert np.mean(np.abs(z) < 1) == pytest.approx(0.683, abs=0.05)
    assert np.mean(np.square(z)) == pytest.approx(1.0, abs=0.15)
    assert abs(np.mean(z)) < 0.1


def test_runs_that_serve_both_integrals_count_once():
    """Without the covariance of B at the lower melting point the error would be another one."""
    phases = measured(sigma_k=(1e-9, 1e-9))
    shared = transition(phases).budget_k["enthalpies"]
    without = replace(phases, high={t: (h, 0.0 if t == T_LOW else s) for t, (h, s) in phases.high.items()})
    only = replace(
        phases,
        **{name: {t: (h, 0.0) for t, (h, _) in getattr(phases, name).items()} for name in ("low", "melt")},
        high={t: (h, s if t == T_LOW else 0.0) for t, (h, s) in phases.high.items()},
    )
    step = 1e-4
    bumped = replace(only, high={t: (h + (step if t == T_LOW else 0.0), s) for t, (h, s) in only.high.items()})
    moved = abs(transition(bumped).temperature_k - transition(only).temperature_k) / step * SIGMA_H
    assert transition(only).budget_k["enthalpies"] == pytest.approx(moved, rel=0.02)
    assert shared == pytest.approx(math.hypot(transition(without).budget_k["enthalpies"], moved), rel=0.02)


def test_swapped_crystals_are_refused():
    phases = measured()
    with pytest.raises(PhaseError, match="swapped, or this potential has no transition"):
        transition(replace(phases, low_k=phases.high_k, high_k=phases.low_k, low=phases.high, high=phases.low))


def test_without_a_crossing_there_is_no_temperature_but_a_next_one():
    phases = measured((1400.0, 1550.0))
    with pytest.raises(DataError, match="nowhere between 1400 and"):
        transition(phases)
    assert next_temperature(phases) == pytest.approx(T0, abs=40)  # one Newton step of 245 K
    assert transition(phases, max_extrapolation=0.2).budget_k["extrapolation"] > 1.0


def test_a_crystal_that_is_more_stable_everywhere_is_an_error():
    """The enthalpy between the crystals has the wrong sign: B is stable at all temperatures."""
    phases = measured()
    wrong = replace(phases, low={t: (h + 0.1, s) for t, (h, s) in phases.low.items()})
    with pytest.raises(DataError, match="low-temperature phase is given first"):
        transition(wrong)
    assert next_temperature(wrong) == pytest.approx(0.8 * 1150.0)


def test_a_melt_below_its_crystal_is_an_error():
    phases = measured()
    with pytest.raises(PhaseError, match="enthalpy of melting of the low-temperature crystal"):
        transition(replace(phases, melt={t: (h - 0.4, s) for t, (h, s) in phases.melt.items()}))


def test_phases_without_a_common_temperature_are_refused():
    phases = measured()
    with pytest.raises(DataError, match="no common temperature"):
        transition(replace(phases, low={900.0: (0.0, SIGMA_H)}))
