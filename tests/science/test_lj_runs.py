"""Lennard-Jones through LAMMPS and the analysis: corresponding states, and exact derivatives of the melting point."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from phasecal.campaign.reduced import EPSILON_EV, MASS_AMU, REFERENCE, SIGMA_A
from phasecal.difftre.jacobian import difference, phase_rows
from phasecal.engines import lammps
from phasecal.freeenergy.coexistence import analyse_replica, combine_replicas
from phasecal.observables.bulk import analyse_bulk
from phasecal.potentials.base import energies, frames_from_sample, gradients
from phasecal.potentials.lj import LjModel

STRUCTURE = {"prototype": "fcc", "elements": ["X"], "a": (4 / 0.97) ** (1 / 3) * SIGMA_A}
T_K, P_GPA = 0.8 * REFERENCE["temperature"], 2.185 * REFERENCE["pressure"]


def lennard_jones(factor=1.0):
    return LjModel.from_parameters(
        element="X",
        mass=MASS_AMU,
        epsilon=factor * EPSILON_EV,
        sigma=SIGMA_A,
        cutoff_sigmas=2.5,
        train=["epsilon", "sigma"],
    )


def run(folder, task, model):
    folder.mkdir()
    lammps.write_inputs(folder, task, model)
    lammps.run_lammps(folder, task["kind"])
    return lammps.read_output(folder, task, model.hash, model.elements)


def two_phases(md, model, factor):
    return md.coexistence_task(
        structure=STRUCTURE,
        n_lateral=3,
        n_normal=10,
        temperature_k=factor * T_K,
        start_temperature_k=1.0111 * factor * T_K,
        melt_temperature_k=3 * factor * T_K,
        pressure_gpa=factor * P_GPA,
        timestep_fs=model.timestep_fs,
        melt_steps=1500,
        cool_steps=300,
        settle_steps=300,
        production_steps=2400,
        thermo_every=20,
        sample_every=200,
    )


def test_four_times_the_energies_give_exactly_four_times_the_temperature(md, tmp_path):
    """ε, T and P × 4 with the same seeds: every atom takes the same path in half the time."""
    found = []
    for factor in (1.0, 4.0):
        model = lennard_jones(factor)
        task = two_phases(md, model, factor)
        output = run(tmp_path / f"x{factor:g}", task, model)
        found.append((output, analyse_replica(output.sample, output.thermo, task)))
    (one, judged), (four, judged_four) = found
    np.testing.assert_array_equal(four.sample.positions, one.sample.positions)
    np.testing.assert_array_equal(four.sample.cells, one.sample.cells)
    for name in ("temp", "pe", "etotal"):
        np.testing.assert_allclose(four.thermo[name], 4 * one.thermo[name], rtol=1e-11)
    assert one.thermo["pxx"].std() > 0
    np.testing.assert_allclose(four.thermo["pzz"], 4 * one.thermo["pzz"], rtol=1e-10)
    np.testing.assert_allclose(judged_four.series_k, 4 * judged.series_k, rtol=1e-11)
    np.testing.assert_array_equal(judged_four.solid_fraction, judged.solid_fraction)
    assert judged_four.outcome == judged.outcome
    assert len(judged_four.rejections) == len(judged.rejections)
    assert judged_four.next_guess_k == pytest.approx(4 * judged.next_guess_k, rel=1e-9)
    pooled, pooled_four = (combine_replicas([replica]) for replica in (judged, judged_four))
    if pooled.temperature_k is not None:
        assert pooled_four.temperature_k == pytest.approx(4 * pooled.temperature_k, rel=1e-9)
        assert pooled_four.sigma_k == pytest.approx(4 * pooled.sigma_k, rel=1e-8)


def test_a_time_step_that_does_not_scale_leaves_the_path(md, tmp_path):
    """Negative control: energies × 4 with the old time step is another trajectory."""
    model = lennard_jones()
    task = two_phases(md, model, 1.0) | {"production_steps": 200, "melt_steps": 100, "cool_steps": 50}
    one = run(tmp_path / "one", task, model)
    four_times = two_phases(md, model, 4.0) | {"production_steps": 200, "melt_steps": 100, "cool_steps": 50}
    four = run(tmp_path / "four", four_times, lennard_jones(4.0))
    assert np.abs(four.thermo["temp"] / one.thermo["temp"] / 4 - 1).max() > 1e-3


@pytest.fixture(scope="module")
def phases(md, tmp_path_factory):
    """Rows, with the frames, of crystal and liquid at (T, P) = (0.8, 2.185)."""
    model, found = lennard_jones(), {}
    for phase in ("fcc", "liquid"):
        melt = phase == "liquid"
        task = md.bulk_task(
            phase=phase,
            structure=STRUCTURE,
            melt=melt,
            n_atoms=256,
            temperature_k=T_K,
            pressure_gpa=P_GPA,
            timestep_fs=model.timestep_fs,
            melt_temperature_k=3 * T_K if melt else None,
            melt_steps=4000 if melt else 0,
            equilibration_steps=3000,
            production_steps=12000,
            sample_every=20,
            thermo_every=20,
            restart_every=5000,
            seed=11,
        )
        output = run(tmp_path_factory.mktemp("bulk") / phase, task, model)
        result = analyse_bulk(output.sample, output.thermo, task, solid=not melt)
        assert result.accepted, result.rejections
        found[phase] = (result, frames_from_sample(output.sample, 1.02 * model.cutoff), output.sample)
    return found


def rows_of(phases, gradients_of):
    """Δ of the derivatives of G, eV/atom per ln ε and ln σ, with σ."""
    rows = []
    for result, frames, sample in phases.values():
        work = P_GPA / 160.2176634 * sample.volumes
        g = gradients_of(frames)
        row = phase_rows(g, sample.energies + work, sample.volumes, temperature_k=T_K, n_atoms=sample.n_atoms)
        rows.append(row)
        assert result.accepted
    return difference(*rows)


def test_derivatives_of_the_melting_point_are_the_exact_ones(phases):
    """dT/dln ε = T − P dT/dP and dT/dln σ = 3P dT/dP.

    From dT/dθ = Δ⟨∂U/∂θ⟩/ΔS: ∂U/∂ln ε = U with ΔU = ΔH − PΔV, and ∂U/∂ln σ = W with Δ⟨W⟩ = 3PΔV (virial theorem at
    constant pressure; the kinetic parts cancel). Published: 0.631 and 0.508.
    """
    model = lennard_jones()
    low, high = (phases[name][0] for name in ("fcc", "liquid"))
    delta_h = high.enthalpy_ev.value - low.enthalpy_ev.value
    delta_v = high.volume_a3.value - low.volume_a3.value
    delta_s = delta_h / T_K
    slope_term = P_GPA / 160.2176634 * delta_v / delta_s
    rows = rows_of(phases, lambda frames: gradients(model, frames))
    found = rows.free_energy / delta_s
    sigma = np.linalg.norm(rows.free_energy_noise, axis=0) / delta_s
    expected = np.array([T_K - slope_term, 3 * slope_term])
    assert (np.abs(found - expected) < 4 * sigma).all()
    assert (sigma < [60, 90]).all()
    assert (np.abs(found / 1000 - [0.631, 0.508]) < 4 * sigma / 1000 + 0.02).all()


def test_a_cutoff_that_does_not_scale_gives_another_derivative(phases):
    """Negative control: with the cutoff fixed in Å, Euler's theorem for σ does not hold."""
    model, step = lennard_jones(), 1e-4

    def fixed_cutoff(frames):
        up, down = (
            energies(replace(model, sigma=SIGMA_A * np.exp(s), cutoff_sigmas=2.5 * np.exp(-s)), frames)
            for s in (step, -step)
        )
        return np.column_stack([energies(model, frames), (up - down) / (2 * step)])

    scaled = rows_of(phases, lambda frames: gradients(model, frames)).free_energy[1]
    fixed = rows_of(phases, fixed_cutoff).free_energy[1]
    assert fixed / scaled < 0.8
