"""Coexistence analysis: a recorded melted slab, and boxes built with a known answer and known faults."""

from __future__ import annotations

import json

import numpy as np
import pytest

from phasecal.errors import DataError, InputError
from phasecal.freeenergy.coexistence import analyse_replica, combine_replicas
from phasecal.observables.ensemble import ensemble_temperature
from phasecal.observables.slab import judge_slab
from phasecal.units import EV_PER_A3_IN_GPA, KB

T_M = 1326.0


def task_of(md, **changes):
    return md.coexistence_task(
        n_lateral=5, n_normal=12, production_steps=40_000, sample_every=5000, thermo_every=50, **changes
    )


def thermo_of(md, task, n_atoms, mean_k=T_M):
    """A series as an NPH run prints it, whose temperature fluctuates around ``mean_k``."""
    rng = np.random.default_rng(task["seed"])
    steps = np.arange(0, task["production_steps"] + 1, task["thermo_every"], dtype=float)
    n = len(steps)
    force_sq = np.full(n, 0.04 * n_atoms)
    correction = ensemble_temperature({"temp": np.zeros(1), "force_sq": force_sq[:1]}, task["timestep_fs"], n_atoms)
    temp = mean_k - correction + md.slow(rng, n, 15.0, 25.0) + rng.normal(scale=10.0, size=n)
    ke = temp * KB * (3 * n_atoms - 3) / 2
    volume = 12.9 * n_atoms + md.slow(rng, n, 20.0, 5.0)
    etotal = -3.3 * n_atoms - task["pressure_gpa"] * volume / EV_PER_A3_IN_GPA + rng.normal(scale=0.01, size=n)
    p = {axis: task["pressure_gpa"] + rng.normal(scale=0.3, size=n) for axis in ("pxx", "pyy", "pzz")}
    return {
        "step": steps,
        "temp": temp,
        "ke": ke,
        "pe": etotal - ke,
        "etotal": etotal,
        "volume": volume,
        "force_sq": force_sq,
        "press": sum(p.values()) / 3,
        **p,
    }


def replica(md, seed=1, shares=None, mean_k=T_M, change=None, **task_changes):
    task = task_of(md, seed=seed, **task_changes)
    sample = md.box_with(task, shares if shares is not None else np.linspace(0.45, 0.6, 9))
    thermo = thermo_of(md, task, sample.n_atoms, mean_k)
    if change:
        change(thermo)
    return analyse_replica(sample, thermo, task)


def test_two_good_replicas_give_the_known_temperature(md):
    result = combine_replicas([replica(md, seed=1), replica(md, seed=2)])
    assert result.rejections == []
    assert result.accepted
    assert result.coexisting
    assert 1.0 < result.sigma_k < 15.0  # 1200 atoms wander by 20 K
    assert abs(result.temperature_k - T_M) < 4 * result.sigma_k
    assert abs(result.next_guess_k - T_M) < 20
    data = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert data["temperature_k"] == result.temperature_k
    assert [one["outcome"] for one in data["replicas"]] == ["coexisting", "coexisting"]
    np.testing.assert_allclose(data["replicas"][0]["solid_fraction"], np.linspace(0.45, 0.6, 9), atol=0.06)


def test_the_time_step_correction_gives_the_temperature_of_the_shadow_ensemble():
    """One oscillator in equilibrium with the Hamiltonian that velocity Verlet conserves exactly.

    With w = ω²dt²/4 that is c·[p²/2m + (1 − w) mω²x²/2], c = asin(√w)/√(w(1 − w)).
    """
    mass, kt, w = 63.546, 0.1, 0.03
    dt = 8.0
    omega_sq = 4 * w / dt**2
    c = np.arcsin(w**0.5) / (w * (1 - w)) ** 0.5
    amu = 103.642696562  # eV per amu (Å/fs)²
    on_step = kt / c
    force_sq = (mass * amu * omega_sq) ** 2 * kt / c / (1 - w) / (mass * amu * omega_sq)
    thermo = {"temp": np.array([on_step / KB]), "force_sq": np.array([force_sq / mass])}
    found = ensemble_temperature(thermo, dt, n_atoms=4 / 3)[0] * KB  # 3N − 3 = 1 degree of freedom
    assert abs(found / kt - 1) < w**2
    assert abs(on_step / kt - 1) > 0.5 * w


def test_a_completely_melted_slab_is_rejected(md):
    output, task = md.recorded("melted-slab")
    melted = analyse_replica(output.sample, output.thermo, task)
    assert melted.outcome == "melted"
    assert melted.temperature_k is None
    assert any("slab melted" in reason for reason in melted.rejections)
    assert melted.next_guess_k < task["start_temperature_k"]
    result = combine_replicas([melted])
    assert not result.accepted
    assert not result.coexisting
    assert result.temperature_k is None
    json.dumps(result.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("n_normal", "share", "outcome"),
    [
        *[(14, 0.67, "coexisting"), (14, 0.7, "frozen"), (14, 0.15, "coexisting"), (14, 0.12, "melted")],
        *[(22, 0.78, "coexisting"), (22, 0.81, "frozen"), (22, 0.1, "coexisting"), (22, 0.08, "melted")],
        *[(7, 0.67, "coexisting"), (7, 0.7, "frozen"), (7, 0.15, "coexisting"), (7, 0.12, "melted")],
    ],
)
def test_layers_are_judged_by_their_thickness(n_normal, share, outcome):
    """4.5 cells of liquid and 2 of crystal; in a box of fewer than 14 cells as large a share as there."""
    judged = judge_slab(np.full(9, share), np.arange(9.0), n_normal)
    assert judged.outcome == outcome
    assert (judged.rejection is None) == (outcome == "coexisting")


def test_a_slab_that_freezes_is_rejected_and_the_next_guess_is_higher(md):
    frozen = replica(md, shares=np.linspace(0.6, 1.0, 9))
    assert frozen.outcome == "frozen"
    assert frozen.next_guess_k > T_M
    at_once = replica(md, shares=np.full(9, 1.0))
    assert at_once.next_guess_k == pytest.approx(1.1 * 1320.0)


def test_one_lost_replica_spoils_the_result_but_not_the_next_guess(md):
    lost = replica(md, seed=2, shares=np.linspace(0.5, 0.0, 9))
    result = combine_replicas([replica(md, seed=1), lost], wanted=2)
    assert not result.accepted
    assert result.coexisting
    assert abs(result.temperature_k - T_M) < 20
    assert abs(result.next_guess_k - T_M) < 20


def test_temperatures_from_3n_degrees_of_freedom_are_rejected(md):
    def wrong(thermo):
        n = thermo["volume"][0] / 12.9
        thermo["temp"] *= (3 * n - 3) / (3 * n)

    found = replica(md, change=wrong)
    assert any("degrees of freedom" in reason for reason in found.rejections)


def test_a_pressure_in_the_wrong_unit_is_rejected(md):
    """1 GPa taken for 10⁴ atm instead of 10⁴ bar is off by 1.3 %."""

    def atmospheres(thermo):
        for name in ("press", "pxx", "pyy", "pzz"):
            thermo[name] *= 1.01325

    assert replica(md, pressure_gpa=10.0).rejections == []
    assert any("p_zz" in reason for reason in replica(md, pressure_gpa=10.0, change=atmospheres).rejections)


def test_lateral_stress_is_rejected(md):
    def strained(thermo):
        thermo["pxx"] += 0.15
        thermo["pyy"] += 0.15

    assert any("not hydrostatic" in reason for reason in replica(md, change=strained).rejections)


def test_drifting_enthalpy_is_rejected(md):
    def drifting(thermo):
        n = thermo["volume"][0] / 12.9
        thermo["etotal"] += np.linspace(0, 0.004, len(thermo["step"])) * n

    assert any("drifts" in reason for reason in replica(md, change=drifting).rejections)


def test_a_blown_up_run_is_rejected(md):
    def blown_up(thermo):
        for column in ("temp", "pe", "etotal", "pxx"):
            thermo[column][-1] = np.nan

    found = replica(md, change=blown_up)
    assert any("temp, pe, etotal, pxx not finite" in reason for reason in found.rejections)
    json.dumps(combine_replicas([found]).to_dict(), allow_nan=False)


def test_replicas_further_apart_than_interfaces_wander_are_rejected(md):
    result = combine_replicas([replica(md, seed=1), replica(md, seed=2, mean_k=T_M + 120)], wanted=2)
    assert any("replicas disagree" in reason for reason in result.rejections)
    assert result.sigma_k > 10


def test_replicas_are_added_until_enough_are_usable(md):
    def strained(thermo):
        thermo["pxx"] += 0.3
        thermo["pyy"] += 0.3

    good, bad, more = replica(md, seed=1), replica(md, seed=2, change=strained), replica(md, seed=3)
    first = combine_replicas([good, bad], wanted=2)
    assert any(reason.startswith("seed 2: not hydrostatic") for reason in first.rejections)
    both = combine_replicas([good, bad, more], wanted=2)
    assert both.accepted
    assert both.temperature_k == combine_replicas([good, more], wanted=2).temperature_k
    assert both.sigma_k < first.sigma_k


def test_ten_times_less_data_widens_the_interval_or_is_refused(md):
    long = combine_replicas([replica(md, seed=1), replica(md, seed=2)])
    short = []
    for seed in (1, 2):
        task = task_of(md, seed=seed) | {"production_steps": 5000, "sample_every": 500}
        sample = md.box_with(task, np.linspace(0.45, 0.6, 9))
        short.append(analyse_replica(sample, thermo_of(md, task, sample.n_atoms), task))
    result = combine_replicas(short)
    assert result.coexisting
    assert result.sigma_k > 1.2 * long.sigma_k  # both are near the 20 K by which 1200 atoms wander


def test_what_cannot_be_analysed_is_an_error(md):
    output, task = md.recorded("melted-slab")
    with pytest.raises(InputError, match="kind coexistence"):
        analyse_replica(output.sample, output.thermo, md.bulk_task())
    early = {name: column[:3] for name, column in output.thermo.items()}
    with pytest.raises(DataError, match="frames at steps that the series does not have"):
        analyse_replica(output.sample, early, task)
    with pytest.raises(DataError, match="left out"):
        short = task_of(md) | {"production_steps": 1000, "sample_every": 500}
        sample = md.box_with(short, [0.5, 0.5, 0.5])
        analyse_replica(sample, thermo_of(md, short, sample.n_atoms), short)
    with pytest.raises(DataError, match="no replicas"):
        combine_replicas([])
