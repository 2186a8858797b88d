"""Absolute free energies: closed forms through the estimators, and the mistakes that must not go unnoticed."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk

from phasecal.errors import ConvergenceError, DataError, InputError, PhaseError
from phasecal.freeenergy import crystal_size, frenkel_ladd, reversible_scaling, switching, uhlenbeck_ford
from phasecal.freeenergy.crossing import Curve, crossing, next_guess
from phasecal.observables.ensemble import AMU_A2_PER_FS2_IN_EV
from phasecal.units import EV_PER_A3_IN_GPA, KB

T = 1000.0
kT = KB * T
MASS = 63.546
FCC_NEIGHBORS = np.array(
    [(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1) if i * i + j * j + k * k == 2]
)


# --- crystals


def spring_lattice(n: int, k: float, a: float) -> tuple[float, float, int]:
    """Exact free energy (eV per cell) of an fcc crystal of n³ cubic cells whose neighbours are joined by springs.

    All normal modes but the three of the centre of mass; the centre of mass is a free particle in V/N.
    """
    n_atoms = 4 * n**3
    grid = np.stack(np.meshgrid(*[np.arange(2 * n)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    # wave vectors of the cubic supercell, one of each class modulo reciprocal vectors of fcc
    unique = set()
    for h in grid.tolist():
        images = [tuple((np.array(h) + n * np.array(g)) % (2 * n)) for g in ((0, 0, 0), (1, 1, 1))]
        unique.add(min(images))
    waves = np.array([h for h in unique if any(h)]) * 2 * np.pi / (n * a)
    directions = FCC_NEIGHBORS / 2**0.5
    weights = k * (1 - np.cos(waves @ FCC_NEIGHBORS.T * a / 2))
    dynamical = np.einsum("wd,da,db->wab", weights, directions, directions)
    assert len(waves) == n_atoms - 1
    frequencies = np.sqrt(np.linalg.eigvalsh(dynamical) / (MASS * AMU_A2_PER_FS2_IN_EV))
    vibration = kT * float(np.log(frenkel_ladd.HBAR_EV_FS * frequencies / kT).sum())
    mass = n_atoms * MASS * AMU_A2_PER_FS2_IN_EV
    wavelength = math.sqrt(2 * math.pi / (mass * kT)) * frenkel_ladd.HBAR_EV_FS
    volume_per_point = a**3 / 4
    return vibration - kT * math.log(volume_per_point / wavelength**3), volume_per_point, n_atoms


def through_the_estimator(n: int, k: float, a: float, lattice_points: int) -> tuple[float, float]:
    """The same by the Frenkel–Ladd route: Einstein crystal minus the exact difference of vibrations, eV/atom."""
    exact, per_point, n_atoms = spring_lattice(n, k, a)
    spring = 4 * k
    volume = per_point * n_atoms
    masses, springs = np.full(n_atoms, MASS), np.full(n_atoms, spring)
    settings = {"temperature_k": T, "volume_a3": volume}
    reference = frenkel_ladd.einstein_free_energy(masses, springs, n_lattice_points=lattice_points, **settings)
    # ΔF between 3N − 3 Einstein oscillators and the 3N − 3 modes of the crystal, which MD would measure
    frequency = math.sqrt(spring / (MASS * AMU_A2_PER_FS2_IN_EV))
    wavelength = math.sqrt(2 * math.pi / (n_atoms * MASS * AMU_A2_PER_FS2_IN_EV * kT)) * frenkel_ladd.HBAR_EV_FS
    vibrations = exact + kT * math.log(per_point / wavelength**3)
    difference = (3 * n_atoms - 3) * kT * math.log(frenkel_ladd.HBAR_EV_FS * frequency / kT) - vibrations
    return (reference - difference) / n_atoms, exact / n_atoms


@pytest.mark.parametrize("n", [2, 3])
def test_coupled_springs_are_exact(n):
    n_atoms = 4 * n**3
    found, exact = through_the_estimator(n, 1.3, 3.7, lattice_points=n_atoms)
    assert found == pytest.approx(exact, abs=1e-10)


def test_the_whole_volume_for_the_centre_of_mass_is_noticed():
    """Negative control: V instead of V/N is off by kT ln N/N, and the test above would see it."""
    found, exact = through_the_estimator(3, 1.3, 3.7, lattice_points=1)
    assert found - exact == pytest.approx(-kT * math.log(108) / 108, rel=1e-9)
    assert abs(found - exact) > 3e-3


def springs_and_corrections(k: float, a: float) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """F/N of an exact fcc crystal of neighbours joined by springs, N, and F_∞ − F_N by the correction, eV/atom."""
    cell, sizes = bulk("Ar", "fcc", a=a, cubic=True), (3, 4, 5, 7)
    exact = [spring_lattice(n, k, a) for n in sizes]
    corrections = []
    for n, (_, _, n_atoms) in zip(sizes, exact, strict=True):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(crystal_size, "EXPONENT", 60.0)  # neighbours alone
            square = kT / k * np.sum(1 / crystal_size.mode_stiffness(cell, [n] * 3)) / n_atoms
        springs = [3 * kT / square] * 4
        correction, _ = crystal_size.finite_size(cell, [n] * 3, springs, temperature_k=T, n_lattice_points=4)
        corrections.append(correction)
    n_atoms = np.array([number for *_, number in exact])
    return np.array([free for free, *_ in exact]) / n_atoms, n_atoms, corrections


@pytest.mark.parametrize(("exponent", "tolerance"), [(60.0, 0.002), (6.0, 0.06), (3.0, 0.15)])
def test_a_small_crystal_lacks_the_waves_that_do_not_fit(monkeypatch, exponent, tolerance):
    """N = 108 to 1372, whatever springs the correction assumes; (kT/2) ln N/N alone leaves 3 meV of 108 atoms."""
    monkeypatch.setattr(crystal_size, "EXPONENT", exponent)
    plain, n_atoms, corrections = springs_and_corrections(1.3, 3.7)
    large = (plain + corrections)[-1]
    lacking = large - plain
    assert plain + corrections == pytest.approx(large, abs=tolerance * lacking[0])
    assert (lacking - kT / 2 * np.log(n_atoms) / n_atoms)[0] > 3e-3


@pytest.mark.parametrize(
    ("cell", "mesh"),
    [
        (bulk("Ti", "hcp", a=2.95, c=4.7), (2, 4, 3)),
        (bulk("Ti", "bcc", a=3.3), (3, 5, 5)),
        (bulk("Si", "diamond", a=5.43), (2, 4, 4)),
    ],
)
def test_the_unit_cell_may_be_chosen_freely(cell, mesh):
    springs, settings = [2.0] * len(cell), {"temperature_k": T}
    one, sigma = crystal_size.finite_size(cell, (2 * mesh[0], *mesh[1:]), springs, n_lattice_points=1, **settings)
    two, _ = crystal_size.finite_size(cell * (2, 1, 1), mesh, springs * 2, n_lattice_points=2, **settings)
    assert one == pytest.approx(two, rel=2e-3)
    assert 1e-3 < one < 2e-2
    assert sigma < 0.1 * one


@pytest.mark.parametrize(
    ("cell", "mesh", "points"),
    [
        (bulk("Cu", "fcc", a=3.7, cubic=True), (3, 3, 3), 4),
        (bulk("Zr", "bcc", a=3.61, cubic=True), (4, 4, 4), 2),
        (bulk("Zr", "hcp", a=3.23, c=5.17, orthorhombic=True), (4, 3, 3), 2),
    ],
    ids=["fcc", "bcc", "hcp"],
)
def test_other_springs_are_within_the_interval(monkeypatch, cell, mesh, points):
    settings = {"temperature_k": T, "n_lattice_points": points}
    lacking, sigma = crystal_size.finite_size(cell, mesh, [2.0] * len(cell), **settings)
    for exponent in (4.0, 12.0):
        monkeypatch.setattr(crystal_size, "EXPONENT", exponent)
        other, _ = crystal_size.finite_size(cell, mesh, [2.0] * len(cell), **settings)
        assert 0.0 < abs(other - lacking) < sigma


def test_no_wave_is_unstable():
    modes = crystal_size.mode_stiffness(bulk("Ti", "hcp", a=2.95, c=4.7), (4, 4, 4))
    assert len(modes) == 3 * 2 * 64 - 3
    assert 0.01 < modes[0] < 1 < modes[-1]


def test_the_centre_of_mass_of_unequal_atoms_and_springs():
    """Against a determinant: 3N coupled coordinates with the constraint Σ m u = 0 as a stiff spring."""
    rng = np.random.default_rng(3)
    masses, springs = rng.uniform(10, 60, 6), rng.uniform(1, 4, 6)
    weights = masses / masses.sum()
    stiff = 1e9
    matrix = np.diag(springs) + stiff * np.outer(weights, weights)
    # ∫ exp(−βE) with δ(Σ μ u) = limit of the Gaussian integral times √(β stiff/2π)
    log_integral = 0.5 * np.log(2 * np.pi * kT / np.linalg.eigvalsh(matrix)).sum() + 0.5 * np.log(
        stiff / (2 * np.pi * kT)
    )
    wavelengths = np.sqrt(2 * np.pi / (masses * AMU_A2_PER_FS2_IN_EV * kT)) * frenkel_ladd.HBAR_EV_FS
    expected = -kT * (3 * log_integral - 3 * np.log(wavelengths).sum() + math.log(80.0 / 3))
    found = frenkel_ladd.einstein_free_energy(masses, springs, temperature_k=T, volume_a3=80.0, n_lattice_points=3)
    assert found == pytest.approx(expected, rel=1e-7)


# --- liquids


def test_ideal_gas_of_argon_is_sackur_tetrode():
    """Argon at 298.15 K and 1 bar: S = 154.845 J/mol/K (CODATA key value); F = U − TS."""
    temperature, n = 298.15, 1000
    volume = n * KB * temperature / (1e-4 / EV_PER_A3_IN_GPA)
    found = uhlenbeck_ford.ideal_free_energy({"Ar": n}, {"Ar": 39.948}, temperature_k=temperature, volume_a3=volume)
    entropy = 154.845 * 0.01036426966e-3
    assert found == pytest.approx(1.5 * KB * temperature - temperature * entropy, rel=2e-5)


def test_an_ideal_mixture_gains_its_mixing_entropy():
    settings = {"temperature_k": T, "volume_a3": 2000.0}
    masses = {"A": 20.0, "B": 20.0}
    pure = uhlenbeck_ford.ideal_free_energy({"A": 100}, masses, **settings)
    mixed = uhlenbeck_ford.ideal_free_energy({"A": 50, "B": 50}, masses, **settings)
    assert mixed - pure == pytest.approx(-kT * math.log(2), rel=1e-12)


def test_virial_coefficients_of_the_fluid():
    """p = 1: 1 and 0.2566001196 (Paula Leite et al. 2016, table I)."""
    assert uhlenbeck_ford.virial_coefficients(1.0) == pytest.approx((1.0, 0.2566001196), rel=1e-9)


def test_the_table_of_the_fluid_fits_its_polynomial():
    _, _, chi2 = uhlenbeck_ford.table().fit
    n_free = len(uhlenbeck_ford.table().x) - (uhlenbeck_ford.DEGREE - 1)
    assert chi2 / n_free < 4


@pytest.mark.parametrize(
    ("x", "published"), [(0.25, 3.218477), (0.5, 10.157574), (0.75, 20.243633), (0.975, 30.948395)]
)
def test_the_fluid_agrees_with_the_published_one(x, published):
    """Supplement of Paula Leite et al. 2016, p = 50, which gives no errors."""
    value, sigma = uhlenbeck_ford.excess_free_energy(x)
    assert 0 < sigma < 0.006
    assert abs(value - published) < 3 * sigma


def test_a_fluid_outside_of_the_table_is_refused():
    with pytest.raises(InputError, match="must be in"):
        uhlenbeck_ford.excess_free_energy(1.5)


def test_the_length_of_the_fluid_gives_its_reduced_density():
    sigma = uhlenbeck_ford.fluid_length(13.1)
    assert (math.pi * sigma**2) ** 1.5 / 2 / 13.1 == pytest.approx(uhlenbeck_ford.REDUCED_DENSITY)


# --- switching


def switched_oscillator(rng, n_steps: int, n: int, k0: float = 1.0, k1: float = 4.0) -> tuple[float, float]:
    """Works there and back of n overdamped oscillators whose spring goes from k0 to k1, kT = 1, mobility 1."""
    dt = 0.02
    scale = np.linspace(0, 1, n_steps + 1)
    works = []
    for path in (scale, scale[::-1]):
        x = rng.normal(size=n) / math.sqrt(k0 + (k1 - k0) * path[0])
        gradient = np.empty(len(path))
        for i, s in enumerate(path):
            gradient[i] = 0.5 * (k1 - k0) * np.sum(x**2)
            k = k0 + (k1 - k0) * s
            decay = math.exp(-k * dt)
            x = decay * x + math.sqrt((1 - decay**2) / k) * rng.normal(size=n)
        works.append(float(switching.Leg(path, gradient).works_ev[-1]) / n)
    return works[0], works[1]


def test_switching_both_ways_is_right_and_one_way_is_not():
    rng = np.random.default_rng(5)
    works = np.array([switched_oscillator(rng, 500, 200) for _ in range(12)])
    exact = 0.5 * math.log(4.0)
    both = (works[:, 0] - works[:, 1]) / 2
    sigma = both.std(ddof=1) / len(both) ** 0.5
    assert abs(both.mean() - exact) < 3 * sigma
    assert ((works.sum(axis=1)) / 2).mean() > 0
    assert works[:, 0].mean() - exact > 5 * sigma  # one way, the dissipation is taken for free energy


def test_few_repeats_give_students_interval_and_one_gives_none():
    values = np.array([[1.0], [1.2]])
    mean, covariance = switching.mean_of_repeats(values)
    assert mean[0] == pytest.approx(1.1)
    assert covariance[0, 0] ** 0.5 == pytest.approx(1.837 * 0.1, rel=1e-3)
    with pytest.raises(ConvergenceError, match="at least 2"):
        switching.mean_of_repeats(values[:1])
    with pytest.raises(ConvergenceError, match="different seeds"):
        switching.mean_of_repeats(np.ones((3, 1)))


def test_too_much_dissipation_is_rejected():
    repeats = [switching.Repeat(i, 0.1 + 1e-4 * i, 0.003, [], []) for i in range(3)]
    assert not switching.combine_repeats(repeats, 0.004).rejections
    assert "switch more slowly" in switching.combine_repeats(repeats, 0.002).rejections[0]


# --- reversible scaling


N = 100
PRESSURE = 2.0


def toy_leg(scales: np.ndarray, rng, *, barostat_follows: bool) -> switching.Leg:
    """N harmonic oscillators and N ideal atoms at T₀ and λP (or, wrongly, P): exact equilibrium samples of U + PV."""
    energy = kT / scales * rng.gamma(1.5 * N, size=len(scales))
    pressure = PRESSURE / EV_PER_A3_IN_GPA
    volume = kT / (pressure * (scales if barostat_follows else 1.0)) * rng.gamma(N + 1, size=len(scales))
    return switching.Leg(scales, energy + pressure * volume)


def toy_gibbs(temperature: float) -> float:
    """G of the toy at T, per atom, up to c·T: oscillators (3 kT ln 1/T) and a gas at constant P (−kT ln T^{5/2})."""
    return -KB * temperature * math.log(temperature) * (3.0 + 1.0 * (N + 1) / N)


@pytest.mark.parametrize("barostat_follows", [True, False])
def test_reversible_scaling_follows_the_isobar_only_if_the_barostat_does(barostat_follows):
    """Kinetic part: one set of momenta for N atoms, as in the formula. Negative control: the barostat stays at P."""
    rng = np.random.default_rng(8)
    scales = np.linspace(1.0, 0.7, 20_001)
    forward = toy_leg(scales, rng, barostat_follows=barostat_follows)
    backward = toy_leg(scales[::-1], rng, barostat_follows=barostat_follows)
    end = T / 0.7
    gain = reversible_scaling.gain(forward, backward, np.array([0.7]))[0] / N
    g0 = toy_gibbs(T)
    found = g0 / 0.7 + 1.5 * KB * end * math.log(0.7) + gain
    exact = toy_gibbs(end) + (g0 - toy_gibbs(T))
    assert (abs(found - exact) < 5e-5) == barostat_follows


def sweep(seed: int, noise: float) -> reversible_scaling.Sweep:
    temperatures = np.linspace(T, 1.2 * T, reversible_scaling.GRID)
    gains = 3 * temperatures / T - 3 + noise * np.random.default_rng(seed).normal(size=reversible_scaling.GRID)
    return reversible_scaling.Sweep(switching.Repeat(seed, 0.0, 1e-4, [], []), temperatures, gains)


def test_the_error_of_the_start_grows_with_temperature_and_is_shared():
    curve, rejections = reversible_scaling.isobar(-3.0, 1e-3, [sweep(i, 1e-9) for i in range(3)], 1e-3)
    assert not rejections
    sigma = np.sqrt(np.diag(curve.covariance_ev2))
    assert sigma[0] == pytest.approx(1e-3)
    assert sigma[-1] == pytest.approx(1.2e-3)
    assert curve.covariance_ev2[0, -1] == pytest.approx(1.2e-6)
    assert Curve.from_dict(curve.to_dict()).gibbs_ev == pytest.approx(curve.gibbs_ev)


# --- crossing


def curve(entropy: float, heat: float, crossing_k: float, sigma: float, temperatures: np.ndarray) -> Curve:
    """G = −S₀(T − T_t) − c[T ln(T/T_t) − (T − T_t)], with an error that is the same everywhere."""
    t = temperatures
    gibbs = -entropy * (t - crossing_k) - heat * (t * np.log(t / crossing_k) - (t - crossing_k))
    return Curve(t, gibbs, np.full((len(t), len(t)), sigma**2))


def test_a_crossing_of_analytic_curves():
    t_low, t_high = np.linspace(1200, 1450, 21), np.linspace(1450, 1250, 15)
    low = curve(7.0e-4, 3.1 * KB, 1326.0, 2e-4, t_low)
    high = curve(8.0e-4, 3.4 * KB, 1326.0, 1e-4, t_high)
    found = crossing(low, high)
    sigma_g = math.hypot(2e-4, 1e-4)
    assert found.temperature_k == pytest.approx(1326.0, abs=0.05)
    assert found.sigma_k == pytest.approx(sigma_g / 1e-4, rel=0.02)
    assert found.delta_s_ev_k == pytest.approx(1.0e-4, rel=2e-3)
    assert found.delta_h_ev == pytest.approx(0.1326, rel=2e-3)
    assert found.delta_s_ev_k_sigma > 0


def test_a_crossing_a_little_beyond_the_curves_counts_with_a_wider_interval():
    t = np.linspace(1200, 1450, 21)
    independent = [np.diag(np.full(21, 1e-10)) for _ in range(2)]
    for crossing_k, widening in ((1326.0, 1.0), (1480.0, 2.0)):
        low, high = curve(7e-4, 3.1 * KB, crossing_k, 0.0, t), curve(8e-4, 3.4 * KB, crossing_k, 0.0, t)
        curves = [replace(c, covariance_ev2=error) for c, error in zip((low, high), independent, strict=True)]
        found = crossing(*curves)
        assert found.temperature_k == pytest.approx(crossing_k, abs=0.3)
        assert found.sigma_k > widening * math.sqrt(2e-10 / 21) / found.delta_s_ev_k
    with pytest.raises(DataError, match="do not cross"):
        crossing(curve(7e-4, 3.1 * KB, 1520.0, 0.0, t), curve(8e-4, 3.4 * KB, 1520.0, 0.0, t))


def test_what_a_parabola_misses_counts_more_beyond_the_curves():
    """ΔG with a cubic term, T₃ of the window, 0.1 meV: the parabola is off by more than 1 K, and σ says so."""
    t = np.linspace(1200, 1450, 21)
    x = (t - 1325) / 125
    difference = -1e-4 * (t - 1480) + 1e-4 * (4 * x**3 - 3 * x)
    found = crossing(Curve(t, 0 * t, np.zeros((21, 21))), Curve(t, difference, np.zeros((21, 21))))
    y = (found.temperature_k - 1325) / 125
    missed = abs(-1e-4 * (found.temperature_k - 1480) + 1e-4 * (4 * y**3 - 3 * y))
    assert 1.0 < missed / 1e-4
    assert missed / 1e-4 < 2 * found.sigma_k


def test_swapped_and_parallel_curves_are_refused():
    t = np.linspace(1200, 1450, 11)
    low, high = curve(7e-4, 3 * KB, 1326.0, 1e-4, t), curve(8e-4, 3 * KB, 1326.0, 1e-4, t)
    with pytest.raises(PhaseError, match="low-temperature phase first"):
        crossing(high, low)
    with pytest.raises(DataError, match="do not cross"):
        crossing(low, curve(8e-4, 3 * KB, 1700.0, 1e-4, t))
    with pytest.raises(DataError, match="share"):
        crossing(low, curve(8e-4, 3 * KB, 1326.0, 1e-4, t + 240))


def test_curves_that_miss_say_where_to_look_next():
    """ΔG = -ΔS (T - 1366 K), seen from a window around 1200 K."""
    t = np.linspace(1100.0, 1300.0, 9)
    low, high = Curve(t, 0 * t, 1e-8 * np.eye(9)), Curve(t, -9.5e-5 * (t - 1366.0), 1e-8 * np.eye(9))
    with pytest.raises(DataError, match="do not cross"):
        crossing(low, high)
    assert next_guess(low, high, 1200.0) == pytest.approx(1366.0, abs=0.1)
    assert next_guess(low, high, 900.0) == pytest.approx(900.0 * 1.2)
    assert next_guess(high, low, 1200.0) == 1200.0  # the wrong slope tells nothing
