"""Interface pinning: the formula on an exactly solvable lever, and the coverage of its interval."""

from __future__ import annotations

import numpy as np
import pytest

from phasecal.errors import ConvergenceError, DataError
from phasecal.freeenergy.pinned_runs import MAX_SHIFT
from phasecal.freeenergy.pinning import (
    FLUCTUATION,
    SHIFT,
    free_energy_difference,
    mean_field,
    spring_constant,
    transition_temperature,
)
from phasecal.observables.statistics import Estimate, mean_with_error
from phasecal.units import KB

T, T_M = 1340.0, 1326.0
DELTA_H = 0.125
DELTA_G = DELTA_H * (1 - T / T_M)  # eV/atom, Gibbs–Helmholtz; negative: the liquid is stable
DEBYE_WALLER = 0.75


def lever(rng, n_atoms, kappa, anchor, delta_g, n_layers=40, n_draws=100_000):
    """⟨Q⟩ under the bias of a box of independent atoms, by reweighting all divisions into solid and liquid layers.

    Solid atoms scatter around lattice sites, liquid atoms are anywhere; the sums of their waves are drawn from normal
    distributions with the exact moments. A solid atom is worth −ΔG. Nothing here knows the lever rule.
    """
    layers = np.repeat(np.arange(n_layers + 1), n_draws)
    solid = layers * (n_atoms // n_layers)
    in_phase = solid * ((1 + DEBYE_WALLER**4) / 2 - DEBYE_WALLER**2) + (n_atoms - solid) / 2
    out_of_phase = solid * (1 - DEBYE_WALLER**4) / 2 + (n_atoms - solid) / 2
    real = solid * DEBYE_WALLER + rng.normal(size=len(solid)) * in_phase**0.5
    q = np.hypot(real, rng.normal(size=len(solid)) * out_of_phase**0.5) / n_atoms**0.5
    energy = kappa * (q - anchor) ** 2 / 2 - delta_g * solid
    weights = np.exp(-(energy - energy.min()) / (KB * T))
    return float(weights @ q / weights.sum()), q[layers == n_layers], q[layers == 0]


class OrderOnly:
    """Stands in for a reference where only Q matters."""

    def __init__(self, n_atoms, q):
        self.q = Estimate(float(q.mean()), float(q.std() / len(q) ** 0.5), len(q), 1.0)
        self.q_variance = float(q.var())
        self.n_atoms, self.temperature_k, self.rejections = n_atoms, T, []


@pytest.mark.parametrize("delta_g", [-0.004, 0.0, 0.004])
def test_the_formula_returns_the_free_energy_of_a_box_of_independent_atoms(delta_g):
    n = 1000
    q_solid = DEBYE_WALLER * n**0.5
    kappa = spring_constant(q_solid, T, n, DELTA_H)
    anchor = q_solid / 2
    mean_q, solid_q, liquid_q = lever(np.random.default_rng(1), n, kappa, anchor, delta_g)
    solid, liquid = OrderOnly(n, solid_q), OrderOnly(n, liquid_q)
    found, _ = free_energy_difference(Estimate(kappa * (mean_q - anchor), 1e-3, 100, 1), solid, liquid)
    assert found == pytest.approx(delta_g, rel=0.004, abs=2e-5)
    if delta_g:
        assert (mean_q > anchor) == (delta_g > 0)  # solid stable ⇔ ⟨Q⟩ > a
        modulus = kappa * (solid_q.mean() - liquid_q.mean()) * (mean_q - anchor) / n
        assert abs(modulus / delta_g - 1) > 0.02  # ⟨|ρ_l|⟩ of the bulk liquid is not what counts


def test_the_interval_covers_the_known_free_energy(md):
    """A lever that diffuses in the parabola: its stationary state is Gaussian around a − NΔμ/(κ Q_s), variance kT/κ."""
    n, q_solid = 2000, 34.0
    kappa = spring_constant(q_solid, T, n, DELTA_H)
    rng = np.random.default_rng(5)
    hits = []
    for _ in range(300):
        own_q = q_solid + rng.normal(scale=0.1)
        q = n * DELTA_G / (kappa * q_solid) + md.slow(rng, 1500, (KB * T / kappa) ** 0.5, 20.0)
        solid, liquid = OrderOnly(n, own_q + np.zeros(9)), OrderOnly(n, np.zeros(9))
        solid.q = Estimate(own_q, 0.1, 50, 1.0)
        value, sigma = free_energy_difference(mean_with_error(kappa * q), solid, liquid)
        hits.append(abs(value - DELTA_G) < sigma)
    assert 0.60 < np.mean(hits) < 0.85  # the larger of two errors covers a little too often


def test_runs_too_short_for_the_wandering_interface_do_not_pretend(md):
    """Copper in numbers: breathing with variance 0.30 and 0.3 ps, wandering with 0.43 and 10 ps; runs of 50 ps.

    The error from the autocorrelation alone misses some of the wandering: it is the negative control.
    """
    rng = np.random.default_rng(8)
    outcomes = []
    for _ in range(400):
        series = [md.slow(rng, 900, 0.30**0.5, 5.0) + md.slow(rng, 900, 0.43**0.5, 180.0) for _ in range(2)]
        naive, pair, single = (
            mean_with_error(*series, at_least=2.0),
            mean_field(series, 0.73),
            mean_field(series[:1], 0.73),
        )
        assert pair.sigma >= naive.sigma
        outcomes.append([(one.value / one.sigma) ** 2 for one in (naive, pair, single)])
    naive_z2, pair_z2, single_z2 = np.array(outcomes).T
    assert 0.60 < np.mean(pair_z2 < 1) < 0.76
    assert np.mean(pair_z2) < 1.6 < np.mean(naive_z2)
    assert np.mean(single_z2) < 3
    long = md.slow(rng, 20_000, 0.73**0.5, 5.0)
    assert mean_field([long], 0.73).sigma == pytest.approx(mean_with_error(long).sigma, rel=0.3)


def test_a_quiet_run_is_refused_for_what_it_has_not_seen(md):
    """A series like the one recorded at 1356 K: half of κ kT, and an autocorrelation that claims 70 samples."""
    quiet = md.slow(np.random.default_rng(3), 900, 0.37**0.5, 6.0)
    assert mean_with_error(quiet).n_effective > 40
    assert mean_field([quiet], 0.73).n_effective < 8


def test_the_spring_holds_the_interface_and_no_more():
    q, n = 34.0, 2000
    for size in (n, 10 * n):
        kappa = spring_constant(q, T, size, DELTA_H)
        fluctuation = (KB * T / kappa) ** 0.5 / q
        shift = size * DELTA_H * 0.05 / (kappa * q**2)
        assert fluctuation <= FLUCTUATION + 1e-12
        assert shift <= SHIFT + 1e-12 < MAX_SHIFT
        assert max(fluctuation / FLUCTUATION, shift / SHIFT) == pytest.approx(1.0)
    assert spring_constant(4 * q, T, n, DELTA_H) == pytest.approx(spring_constant(q, T, n, DELTA_H) / 16)
    with pytest.raises(DataError, match=r"order \[solid, liquid\]"):
        spring_constant(q, T, n, -DELTA_H)
    with pytest.raises(DataError, match="both must be positive"):
        spring_constant(0.0, T, n, DELTA_H)


def test_the_transition_is_where_gibbs_helmholtz_says():
    found, sigma = transition_temperature((DELTA_G, 1e-4), (DELTA_H, 1e-3), T)
    assert found == pytest.approx(T_M, abs=1e-9)
    assert sigma == pytest.approx(1e-4 * T_M**2 / (T * DELTA_H), rel=0.05)
    at, at_sigma = transition_temperature((0.0, 1e-4), (DELTA_H, 1e-3), T)
    assert (at, at_sigma) == (T, pytest.approx(1e-4 * T / DELTA_H))
    assert transition_temperature((0.003, 1e-4), (DELTA_H, 1e-3), T)[0] > T  # the crystal is stable: it melts higher
    far = transition_temperature((10 * DELTA_G, 1e-4), (DELTA_H, 1e-3), T)
    assert far[1] > 2 * sigma
    with pytest.raises(ConvergenceError, match="too far from a transition"):
        transition_temperature((DELTA_H, 1e-4), (DELTA_H, 1e-3), T)
