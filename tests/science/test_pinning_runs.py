"""Interface pinning: runs that are judged, and every gate with one that must fail it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from phasecal.errors import DataError, InputError
from phasecal.freeenergy.pinned_runs import Reference, analyse_pinned, analyse_reference
from phasecal.freeenergy.pinning import (
    bias_of,
    combine_points,
    combine_replicas,
)
from phasecal.observables.ensemble import ensemble_temperature
from phasecal.observables.statistics import Estimate
from phasecal.units import KB

T, T_M = 1340.0, 1326.0
DELTA_H = 0.125
DELTA_G = DELTA_H * (1 - T / T_M)  # eV/atom, Gibbs–Helmholtz; negative: the liquid is stable
DEBYE_WALLER = 0.75
LATERAL = [5 * 3.65, 5 * 3.65]
SOLID_EV, SOLID_A3, DELTA_A3 = -3.34, 12.76, 0.64


def task_of(md, role="two-phase", seed=1, **changes):
    size = {"n_lateral": 5, "n_normal": 12, "production_steps": 40_000, "sample_every": 5000, "thermo_every": 50}
    lateral = {} if role == "solid" else {"lateral_a": LATERAL}
    return md.pinning_task(**(size | {"role": role, "temperature_k": T, "seed": seed} | lateral | changes))


def thermo_of(md, task, n_atoms, share, q):
    """A series as the run prints it: ``share`` of the box is solid, Q fluctuates around ``q`` (n_lines,)."""
    rng = np.random.default_rng(task["seed"])
    steps = np.arange(0, task["production_steps"] + 1, task["thermo_every"], dtype=float)
    n = len(steps)
    temp = task["temperature_k"] + rng.normal(scale=12.0, size=n)
    ke = temp * KB * (3 * n_atoms - 3) / 2
    volume = (SOLID_A3 + (1 - share) * DELTA_A3) * n_atoms + md.slow(rng, n, 20.0, 5.0)
    pe = (SOLID_EV + (1 - share) * DELTA_H) * n_atoms + md.slow(rng, n, 1.0, 5.0)
    p = {axis: task["pressure_gpa"] + rng.normal(scale=0.3, size=n) for axis in ("pxx", "pyy", "pzz")}
    edges = {"lx": np.full(n, LATERAL[0]), "ly": np.full(n, LATERAL[1]), "lz": volume / LATERAL[0] / LATERAL[1]}
    return {
        "step": steps,
        "temp": temp,
        "ke": ke,
        "pe": pe,
        "etotal": pe + ke,
        "volume": volume,
        "force_sq": np.full(n, 0.04 * n_atoms),
        "press": sum(p.values()) / 3,
        "q": np.broadcast_to(q, n) + md.slow(rng, n, 0.3, 10.0),
        **p,
        **edges,
    }


def reference(md, role, change=None, shares=None, **task_changes):
    task = task_of(md, role, seed={"solid": 11, "liquid": 12}[role], **task_changes)
    share = float(role == "solid")
    sample = md.box_with(task, np.full(9, share) if shares is None else shares)
    thermo = thermo_of(md, task, sample.n_atoms, share, DEBYE_WALLER * sample.n_atoms**0.5 if share else 0.9)
    if change:
        change(thermo)
    return analyse_reference(sample, thermo, task)


@pytest.fixture(scope="module")
def bulk(md):
    return reference(md, "solid"), reference(md, "liquid")


def pinned(md, bulk, seed=1, delta_g=DELTA_G, share=0.5, shares=None, change=None, **task_changes):
    kappa, anchor = bias_of(*bulk)
    task = task_of(md, seed=seed, kappa_ev=kappa, anchor=anchor, **task_changes)
    sample = md.box_with(task, np.full(9, share) if shares is None else shares)
    n = sample.n_atoms
    rng = np.random.default_rng(seed + 1000)
    lines = task["production_steps"] // task["thermo_every"] + 1
    q = anchor + n * delta_g / (kappa * bulk[0].q.value) + md.slow(rng, lines, (KB * T / kappa) ** 0.5, 20.0)
    thermo = thermo_of(md, task, n, share, q)
    if change:
        change(thermo)
    return analyse_pinned(sample, thermo, task, *bulk)


def test_references_give_enthalpy_volume_and_order(bulk):
    solid, liquid = bulk
    assert solid.rejections == liquid.rejections == []
    n = solid.n_atoms
    assert solid.q.value == pytest.approx(DEBYE_WALLER * n**0.5, abs=4 * solid.q.sigma)
    assert liquid.enthalpy_ev.value - solid.enthalpy_ev.value == pytest.approx(DELTA_H, abs=0.001)
    assert liquid.volume_a3.value - solid.volume_a3.value == pytest.approx(DELTA_A3, abs=0.01)
    correction = ensemble_temperature({"temp": np.zeros(1), "force_sq": np.full(1, 0.04 * n)}, 2.8, n)[0]
    assert correction > 1
    assert solid.temperature_k == pytest.approx(T + correction)


def test_two_good_replicas_give_the_known_transition(md, bulk):
    point = combine_replicas(*bulk, [pinned(md, bulk, seed) for seed in (1, 2)])
    assert point.rejections == []
    value, sigma = point.delta_g_ev
    assert abs(value - DELTA_G) < 4 * sigma
    assert 0 < sigma < 0.001
    assert value < 0
    expected = point.temperature_k / (1 - DELTA_G / DELTA_H)
    assert abs(point.transition_k[0] - expected) < 4 * point.transition_k[1]
    assert point.next_guess_k == point.transition_k[0]
    summary = json.loads(json.dumps(combine_points([point.to_dict()]), allow_nan=False))
    assert summary["accepted"]
    assert summary["seeds"] == [11, 12, 1, 2]
    assert summary["delta_g_ev"] == value
    assert summary["delta_h_ev"] == pytest.approx(DELTA_H, abs=0.001)
    assert [replica["outcome"] for replica in summary["replicas"]] == ["coexisting", "coexisting"]


def test_a_stable_crystal_has_a_positive_difference(md, bulk):
    point = combine_replicas(*bulk, [pinned(md, bulk, seed, delta_g=0.003) for seed in (1, 2)])
    assert point.accepted
    assert point.delta_g_ev[0] > 0
    assert point.transition_k[0] > point.temperature_k


def test_points_at_two_temperatures_are_combined_and_must_agree(md, bulk):
    good = combine_replicas(*bulk, [pinned(md, bulk, seed) for seed in (1, 2)])
    again = combine_replicas(*bulk, [pinned(md, bulk, seed) for seed in (3, 4)])
    both = combine_points([good.to_dict(), again.to_dict()])
    assert both["accepted"]
    assert both["sigma_k"] < combine_points([good.to_dict()])["sigma_k"]
    assert len(both["points"]) == 2
    off = combine_replicas(*bulk, [pinned(md, bulk, seed, delta_g=0.004) for seed in (5, 6)])
    assert any("points disagree" in reason for reason in combine_points([good.to_dict(), off.to_dict()])["rejections"])


# --- negative controls


def test_a_melted_box_that_looks_pinned_is_rejected_by_every_witness(md, bulk):
    """Q sits at its anchor and gives a ΔG of 0; nothing of the box is solid."""
    lost = pinned(md, bulk, delta_g=0.0, share=0.0)
    assert lost.outcome == "melted"
    text = "; ".join(lost.rejections)
    assert "the slab melted" in text
    assert "by its volume" in text
    assert "by its enthalpy" in text
    assert "the bias orders what is not the crystal" in text
    assert "not pinned" not in text
    point = combine_replicas(*bulk, [lost])
    assert not point.accepted
    assert point.delta_g_ev is None
    assert point.next_guess_k < point.temperature_k
    summary = combine_points([point.to_dict()])
    assert not summary["accepted"]
    assert summary["temperature_k"] is None
    json.dumps(summary, allow_nan=False)


def references_of_the_recorded_runs(task):
    """What references at 1326 K show, scaled to the 288 atoms of the recorded runs."""
    one = Estimate(1.0, 1e-3, 50, 1.0)
    common = {"q_variance": 0.3, "temperature_k": T_M, "stress_gpa": None, "n_atoms": 288, "seed": 1, "rejections": []}
    edges = tuple(task["lateral_a"])
    solid = Reference(
        "solid",
        replace(one, value=12.9),
        enthalpy_ev=replace(one, value=-3.165),
        volume_a3=replace(one, value=12.76),
        lateral_a=edges,
        **common,
    )
    liquid = Reference(
        "liquid",
        replace(one, value=0.95),
        enthalpy_ev=replace(one, value=-3.040),
        volume_a3=replace(one, value=13.40),
        lateral_a=edges,
        **common,
    )
    return solid, liquid


def test_a_recorded_melted_box_that_looks_pinned_is_rejected(md):
    """Real run at 1900 K: ⟨Q⟩ = 2.6 is 3 % of the crystal's Q away from its anchor, and all of it is liquid."""
    output, task = md.recorded("pinned-melted")
    assert abs(output.thermo["q"][20:].mean() - task["anchor"]) < 0.05 * 12.9
    lost = analyse_pinned(output.sample, output.thermo, task, *references_of_the_recorded_runs(task))
    assert lost.outcome == "melted"
    text = "; ".join(lost.rejections)
    assert "the slab melted: solid fraction 0.0" in text
    assert "by its volume" in text
    assert "not pinned" not in text


def test_a_recorded_pinned_box_holds_both_phases(md):
    output, task = md.recorded("pinned")
    held = analyse_pinned(output.sample, output.thermo, task, *references_of_the_recorded_runs(task))
    assert held.outcome == "coexisting"
    assert not any("is solid" in reason or "not pinned" in reason for reason in held.rejections)


def test_volume_and_enthalpy_alone_reveal_a_melted_box(md, bulk):
    """Had the profile shown a slab, the lever rule would still say that all of it is liquid."""

    def molten(thermo):
        thermo["volume"] += 0.5 * DELTA_A3 * bulk[0].n_atoms
        thermo["pe"] += 0.5 * DELTA_H * bulk[0].n_atoms

    lost = pinned(md, bulk, change=molten)
    assert lost.outcome == "coexisting"
    assert sum("it melted or froze" in reason for reason in lost.rejections) == 2


def test_a_witness_that_cannot_be_asked_is_a_reason_to_reject(md, bulk):
    task = task_of(md, kappa_ev=bias_of(*bulk)[0])
    without = replace(bulk[1], enthalpy_ev=None)
    sample, thermo, _ = _run(md, bulk)
    held = analyse_pinned(sample, thermo, task, bulk[0], without)
    assert any("no mean enthalpy" in reason for reason in held.rejections)


def test_a_frozen_slab_is_rejected_and_the_next_guess_is_higher(md, bulk):
    frozen = pinned(md, bulk, share=1.0)
    assert frozen.outcome == "frozen"
    point = combine_replicas(*bulk, [frozen])
    assert not point.accepted
    assert point.next_guess_k > point.temperature_k


def test_a_slab_that_is_lost_on_the_way_is_rejected(md, bulk):
    assert pinned(md, bulk, shares=np.linspace(0.6, 0.0, 9)).outcome == "melted"


def test_a_bias_that_does_not_hold_is_rejected(md, bulk):
    weak = pinned(md, bulk, delta_g=-0.02)
    assert any("not pinned" in reason for reason in weak.rejections)


def test_swapped_phases_are_refused(md, bulk):
    solid, liquid = bulk
    with pytest.raises(DataError, match="swapped"):
        pinned(md, (solid, liquid), share=0.5) and analyse_pinned(*_run(md, bulk), liquid, solid)

    def cold(thermo):
        thermo["pe"] -= 2 * DELTA_H * solid.n_atoms

    wrong = reference(md, "liquid", change=cold)
    with pytest.raises(DataError, match="write the phases"):
        bias_of(solid, wrong)
    assert any("must be positive" in reason for reason in combine_replicas(solid, wrong, []).rejections)


def _run(md, bulk):
    """Sample, series and task of a good run."""
    task = task_of(md)
    sample = md.box_with(task, np.full(9, 0.5))
    return sample, thermo_of(md, task, sample.n_atoms, 0.5, 6.0), task


def test_references_of_another_size_are_refused(md, bulk):
    other = reference(md, "solid", n_normal=10)
    with pytest.raises(DataError, match="1000 atoms, the box 1200"):
        analyse_pinned(*_run(md, bulk), other, bulk[1])
    sample, thermo, task = _run(md, bulk)
    thermo["lx"] = thermo["lx"] * 1.001
    with pytest.raises(DataError, match="has edges"):
        analyse_pinned(sample, thermo, task, *bulk)


def test_references_that_are_not_their_phase_are_rejected(md):
    assert any(
        "the crystal was lost" in reason for reason in reference(md, "solid", shares=np.linspace(1, 0, 9)).rejections
    )
    assert any("not liquid" in reason for reason in reference(md, "liquid", shares=np.linspace(0, 1, 9)).rejections)


@pytest.mark.parametrize(
    ("column", "change", "message"),
    [
        ("pxx", lambda x: x + 0.4, "not hydrostatic"),
        ("pzz", lambda x: x + 0.2, "p_zz"),
        ("temp", lambda x: x * 1.01, "mean temperature"),
        ("temp", lambda x: x * (3 * 1200 - 3) / (3 * 1200), "degrees of freedom"),
        ("pe", lambda x: np.where(np.arange(len(x)) > 400, np.nan, x), "blown|blew"),
    ],
)
def test_a_wrong_ensemble_is_rejected(md, bulk, column, change, message):
    def wrong(thermo):
        thermo[column] = change(thermo[column])

    reasons = "; ".join(pinned(md, bulk, change=wrong).rejections)
    assert any(word in reasons for word in message.split("|")), reasons


def test_replicas_that_disagree_leave_too_few_independent_samples(md, bulk):
    replicas = [pinned(md, bulk, 1, delta_g=-0.004), pinned(md, bulk, 2, delta_g=0.004)]
    assert any("independent samples" in reason for reason in combine_replicas(*bulk, replicas).rejections)


def test_ten_times_less_data_widens_the_interval_or_is_refused(md, bulk):
    long = combine_replicas(*bulk, [pinned(md, bulk, 1, production_steps=200_000, sample_every=25_000)])
    short = combine_replicas(*bulk, [pinned(md, bulk, 1, production_steps=20_000, sample_every=2500)])
    assert short.delta_g_ev[1] > 1.5 * long.delta_g_ev[1]
    assert any("independent samples" in reason for reason in short.rejections)


def test_what_cannot_be_analysed_is_an_error(md, bulk):
    sample, thermo, task = _run(md, bulk)
    with pytest.raises(InputError, match="role solid or liquid, got two-phase"):
        analyse_reference(sample, thermo, task)
    with pytest.raises(InputError, match="role two-phase, got coexistence"):
        analyse_pinned(sample, thermo, md.coexistence_task(), *bulk)
    early = {name: column[:3] for name, column in thermo.items()}
    with pytest.raises(DataError, match="frames at steps"):
        analyse_pinned(sample, early, task, *bulk)
    with pytest.raises(DataError, match="left out"):
        short = task_of(md, production_steps=1000, sample_every=500)
        box = md.box_with(short, [0.5, 0.5, 0.5])
        analyse_pinned(box, thermo_of(md, short, box.n_atoms, 0.5, 6.0), short, *bulk)
    with pytest.raises(DataError, match="no points"):
        combine_points([])
