"""The jax-md engine: what its dynamics conserve and sample, agreement with LAMMPS, restarts and batches."""

from __future__ import annotations

import itertools
import shutil
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner

from phasecal.engines import jaxmd, lammps
from phasecal.engines.jaxmd import integrator, runs
from phasecal.engines.jaxmd.__main__ import main
from phasecal.engines.jaxmd.simulation import thermal_momenta
from phasecal.engines.jaxmd.state import CHAIN_LENGTH, Ensemble, State
from phasecal.errors import DataError, EngineError, InputError
from phasecal.observables.bulk import analyse_bulk
from phasecal.observables.ensemble import AMU_A2_PER_FS2_IN_EV
from phasecal.observables.statistics import mean_with_error
from phasecal.potentials.base import energies, frames_from_sample
from phasecal.potentials.frozen import FrozenModel
from phasecal.potentials.lj import LjModel
from phasecal.units import EV_PER_A3_IN_GPA, KB

# --- the integrator, on 27 atoms joined by springs and on an ideal gas

SPACING, SPRING, TEMPERATURE = 2.5, 2.0, 3000.0
SITES = np.array(list(itertools.product(range(3), repeat=3)))


def springs():
    """First, second atom and cell image of the springs to the 3 nearest and 6 next neighbours of every site."""
    steps = [
        step for step in itertools.product((-1, 0, 1), repeat=3) if 0 < np.abs(step).sum() < 3 and step > (0, 0, 0)
    ]
    ends = (SITES[:, None, :] + np.array(steps)[None]).reshape(-1, 3)
    first = np.repeat(np.arange(27), len(steps))
    rest = SPACING * np.linalg.norm(ends - SITES[first], axis=1)
    return first, ends % 3 @ np.array([9, 3, 1]), ends // 3, rest


def lattice_energy(positions, edges):
    first, second, image, rest = springs()
    vectors = positions[second] + image * edges - positions[first]
    return 0.5 * SPRING * jnp.sum((jnp.linalg.norm(vectors, axis=1) - rest) ** 2)


def fluid_energy(positions, edges):
    """Soft spheres: collisions mix what normal modes of a crystal keep for longer than a test lasts."""
    vectors = positions[:, None] - positions[None]
    vectors = vectors - edges * jnp.round(jax.lax.stop_gradient(vectors / edges))
    pairs = jnp.exp(-0.5 * jnp.sum(vectors**2, axis=-1))
    return 2.5 * (pairs.sum() - len(positions))


def wrong_sign(positions, edges):
    """The same energy with forces of the wrong sign."""
    energy = lattice_energy(positions, edges)
    return 2 * jax.lax.stop_gradient(energy) - energy


def no_energy(positions, edges):
    return 0.0 * (positions.sum() + edges.sum())


def masses_of(n_atoms):
    return np.full((n_atoms, 1), 40.0 * AMU_A2_PER_FS2_IN_EV)


def ensemble(timestep, pressure=0.0, tau=(200.0, 500.0)):
    values = (KB * TEMPERATURE, pressure, timestep, *tau)
    return Ensemble(*(jnp.asarray(value) for value in values))


def state_of(positions, edges, momenta):
    positions, zero = jnp.asarray(positions), jnp.zeros(3)
    chain, none = jnp.zeros((2, CHAIN_LENGTH)), jnp.zeros_like(positions)
    return State(positions, jnp.asarray(momenta), jnp.asarray(edges), zero, jnp.zeros(()), none, zero, chain, chain)


@partial(jax.jit, static_argnums=(0, 3, 4))
def thousands(surface, state, coupling, thermostat, barostat):
    """The state 4000 steps later, and what :func:`series` returns."""
    masses = jnp.asarray(masses_of(len(state.positions)))
    motion = {"thermostat": thermostat, "barostat": barostat}

    def one(state, _):
        state = integrator.begin_step(masses, coupling, state, **motion)
        state = integrator.end_step(surface, masses, coupling, state, **motion)
        temperature = 2 * integrator.kinetic_energies(state, masses).sum() / (KB * integrator.degrees_of_freedom(state))
        energy = integrator.conserved_energy(state, masses, coupling, barostat)
        drift = jnp.abs(state.momenta.sum(axis=0)).max()
        return state, (energy, temperature, jnp.prod(state.edges), drift)

    return jax.lax.scan(one, integrator.evaluate(surface, state), None, length=4000)


def series(surface, state, coupling, *, n=1, thermostat=True, barostat=None):
    """Conserved energy (eV), temperature (K), volume (Å³) and total momentum after each of n times 4000 steps."""
    parts = []
    for _ in range(n):
        state, columns = thousands(surface, state, coupling, thermostat, barostat)
        parts.append(columns)
    return np.concatenate(parts, axis=1)


def lattice(temperature=2 * TEMPERATURE):
    return state_of(SPACING * SITES, np.full(3, 3 * SPACING), thermal_momenta(masses_of(27), temperature, 3))


ENSEMBLES = {
    "nve": {"thermostat": False},
    "nvt": {},
    "npt-iso": {"barostat": "iso"},
    "npt-hexagonal": {"barostat": "hexagonal"},
    "npt-aniso": {"barostat": "aniso"},
}


@pytest.mark.parametrize("motion", ENSEMBLES.values(), ids=ENSEMBLES)
def test_what_is_conserved_wavers_with_the_square_of_the_time_step_and_does_not_drift(motion):
    scatter = []
    for timestep in (2.0, 1.0):
        energy, _, _, momentum = series(lattice_energy, lattice(), ensemble(timestep, pressure=0.005), **motion)
        assert momentum.max() < 1e-6  # of 32 eV fs/Å for each atom
        drift = np.polyfit(np.arange(len(energy)) * timestep / 1000, energy / 27, 1)[0]
        assert abs(drift) < 5e-5  # eV per atom and ps; kT is 0.26 eV
        scatter.append(energy.std())
    assert 3.0 < scatter[0] / scatter[1] < 5.3  # 4, from some hundred independent values


def test_forces_of_the_wrong_sign_conserve_nothing():
    good, bad = (
        series(surface, lattice(), ensemble(2.0), thermostat=False)[0] for surface in (lattice_energy, wrong_sign)
    )
    assert not np.ptp(bad) < 100 * np.ptp(good)


@pytest.mark.parametrize("thermostat", [True, False], ids=["nvt", "nve"])
def test_temperature_fluctuates_as_in_the_canonical_ensemble_and_without_a_thermostat_it_does_not(thermostat):
    """Variance 2T²/(3N − 3); at constant energy it is smaller: the negative control."""
    start, _ = thousands(fluid_energy, lattice(TEMPERATURE), ensemble(2.0), True, None)
    temperature = series(fluid_energy, start, ensemble(2.0), n=16, thermostat=thermostat)[1]
    mean = mean_with_error(temperature)
    spread = mean_with_error((temperature - mean.value) ** 2)
    z = (spread.value - 2 * mean.value**2 / 78) / spread.sigma
    if thermostat:
        assert abs(mean.value - TEMPERATURE) < 4 * mean.sigma
        assert mean.sigma < 0.0125 * TEMPERATURE  # a third of what counting 3N degrees of freedom does
        assert abs(z) < 4
    else:
        assert z < -4


def test_volume_of_an_ideal_gas_is_gamma_distributed():
    """Weight V^(N−1) e^(−PV/kT): N − 1 independent atoms, because the total momentum is zero."""
    n, pressure = 4, 5e-3
    momenta = thermal_momenta(masses_of(n), TEMPERATURE, 3)
    start = state_of(np.random.default_rng(2).random((n, 3)) * 6, np.full(3, 6.0), momenta)
    coupling = ensemble(2.0, pressure, tau=(40.0, 100.0))
    volume = series(no_energy, start, coupling, n=30, barostat="iso")[2][8000:]
    unit = KB * TEMPERATURE / pressure
    mean = mean_with_error(volume[::5])
    square = mean_with_error((volume[::5] - n * unit) ** 2)
    assert mean.sigma < 0.04 * n * unit
    assert abs(mean.value - n * unit) < 4 * mean.sigma
    assert abs(square.value - n * unit**2) < 4 * square.sigma
    assert abs(mean.value - (n + 1) * unit) > 4 * mean.sigma  # the negative control: N + 1 free atoms


# --- runs


@pytest.fixture(scope="module")
def argon():
    return LjModel.from_parameters(element="Ar", mass=39.95, epsilon=0.1, sigma=2.4, cutoff_sigmas=2.5, shift=True)


def bulk_task(md, **changes):
    structure = {"prototype": "fcc", "elements": ["Ar"], "a": 3.81}
    state = {"temperature_k": 580.0, "pressure_gpa": 1.0, "timestep_fs": 2.5, "n_atoms": 32}
    return md.bulk_task(**({"structure": structure} | state | changes))


def prepared(folder, task, model):
    folder.mkdir()
    jaxmd.write_inputs(folder, task, model)
    return folder


def read(folder, task, model):
    return jaxmd.read_output(folder, task, model.hash, model.elements)


def test_hcp_has_the_volume_shape_and_enthalpy_that_it_has_in_lammps(md, argon, tmp_path):
    task = bulk_task(
        md,
        phase="hcp",
        structure={"prototype": "hcp", "elements": ["Ar"], "a": 2.70, "c": 4.30},  # c is 2.5 % too short
        barostat="hexagonal",
        n_atoms=96,
        equilibration_steps=1500,
        production_steps=8000,
        restart_every=4000,
    )
    runs.run([prepared(tmp_path / "jaxmd", task, argon)])
    reference = tmp_path / "lammps"
    reference.mkdir()
    lammps.write_inputs(reference, task, argon)
    lammps.run_lammps(reference, "bulk")
    ours = read(tmp_path / "jaxmd", task, argon)
    theirs = lammps.read_output(reference, task, argon.hash, argon.elements)
    assert ours.finished
    assert ours.error is None
    assert ours.wall_s > 0
    assert ours.thermo.keys() == theirs.thermo.keys()
    assert np.array_equal(ours.thermo["step"], theirs.thermo["step"])
    assert np.array_equal(ours.sample.steps, theirs.sample.steps)
    for output in (ours, theirs):
        np.testing.assert_allclose(
            output.thermo["ly"], output.thermo["ly"][0] / output.thermo["lx"][0] * output.thermo["lx"]
        )
        assert np.ptp(output.thermo["lz"] / output.thermo["lx"]) > 0.01
    results = [analyse_bulk(output.sample, output.thermo, task, solid=True) for output in (ours, theirs)]
    assert [result.rejections for result in results] == [[], []]
    means = {name: [getattr(result, name) for result in results] for name in ("volume_a3", "enthalpy_ev")}
    means |= {name: [mean_with_error(output.thermo[name]) for output in (ours, theirs)] for name in ("lz", "force_sq")}
    for name, (mine, other) in means.items():
        sigma = np.hypot(mine.sigma, other.sigma)
        assert abs(mine.value - other.value) < 4 * sigma, name
        assert sigma < (0.03 if name == "force_sq" else 0.01) * abs(other.value), name
    for axis in ("pxx", "pyy", "pzz"):
        mean = mean_with_error(ours.thermo[axis])
        assert abs(mean.value - 1.0) < 4 * mean.sigma


@pytest.fixture(scope="module")
def liquid(md, argon, tmp_path_factory):
    """A molten run without interruption: folder and task."""
    task = bulk_task(
        md, phase="liquid", melt=True, melt_temperature_k=2400.0, melt_steps=120, temperature_k=1300.0,
        equilibration_steps=90, production_steps=150, restart_every=60, thermo_every=10, sample_every=30,
    )  # fmt: skip
    folder = prepared(tmp_path_factory.mktemp("liquid") / "whole", task, argon)
    runs.run([folder])
    return folder, task


def test_energies_are_those_of_the_frames_although_lists_are_kept_while_atoms_move(liquid, argon):
    output = read(*liquid, argon)
    frames = frames_from_sample(output.sample, argon.cutoff)
    assert output.sample.steps.tolist() == [0, 30, 60, 90, 120, 150]
    assert output.thermo["step"].tolist() == list(range(0, 151, 10))
    assert energies(argon, frames) == pytest.approx(output.sample.energies, abs=1e-4)
    work = output.thermo["press"] * output.thermo["volume"] / EV_PER_A3_IN_GPA
    assert output.thermo["enthalpy"] == pytest.approx(output.thermo["etotal"] + work)
    assert (liquid[0] / "sample.npz").exists()


@pytest.mark.parametrize("checkpoint", [1, 3, 5], ids=["while melting", "while equilibrating", "in production"])
def test_an_interrupted_run_continues_bit_for_bit(liquid, argon, tmp_path, monkeypatch, checkpoint):
    whole, task = liquid
    folder = prepared(tmp_path / "killed", task, argon)
    written = []

    def killed_after(job, point):
        if len(written) == checkpoint:
            raise KeyboardInterrupt
        written.append(point)
        save(job, point)

    save = runs.save_checkpoint
    with monkeypatch.context() as patch:
        patch.setattr(runs, "save_checkpoint", killed_after)
        with pytest.raises(KeyboardInterrupt):
            runs.run([folder])
    assert not read(folder, task, argon).finished
    runs.run([folder])
    ours, expected = read(folder, task, argon), read(whole, task, argon)
    assert ours.finished
    for name, column in expected.thermo.items():
        assert np.array_equal(ours.thermo[name], column)
    for name in ("positions", "cells", "energies", "steps"):
        assert np.array_equal(getattr(ours.sample, name), getattr(expected.sample, name))


def test_a_batch_gives_what_its_runs_give_alone(liquid, argon, tmp_path):
    whole, task = liquid
    other = task | {"seed": 8, "temperature_k": 1400.0, "pressure_gpa": 2.0}
    folders = [prepared(tmp_path / name, one, argon) for name, one in (("a", task), ("b", other))]
    result = CliRunner().invoke(main, [str(folder) for folder in folders])
    assert result.exit_code == 0, result.output
    ours, expected = read(folders[0], task, argon), read(whole, task, argon)
    assert ours.thermo["pe"] == pytest.approx(expected.thermo["pe"], abs=1e-6)
    assert ours.sample.positions == pytest.approx(expected.sample.positions, abs=1e-4)
    second = read(folders[1], other, argon)
    assert second.finished
    assert abs(second.thermo["pe"] - ours.thermo["pe"]).max() > 0.01


def test_what_cannot_be_run_is_refused(md, argon, tmp_path):
    with pytest.raises(InputError, match="samples bulk states"):
        jaxmd.check_task(md.coexistence_task(), argon)
    with pytest.raises(InputError, match="knows Ar but not Cu"):
        jaxmd.check_task(md.bulk_task(), argon)
    base = FrozenModel.from_commands(["Cu"], ["pair_style zero 5.0", "pair_coeff * *"], {}, None)
    with pytest.raises(InputError, match="only LAMMPS computes"):
        jaxmd.check_task(md.bulk_task(), base)
    with pytest.raises(InputError, match=r"task\.json"):
        runs.run([tmp_path])
    first = prepared(tmp_path / "first", bulk_task(md), argon)
    for name, change, message in (
        ("larger", {"n_atoms": 108}, "32 atoms"),
        ("longer", {"production_steps": 400}, "different production_steps"),
    ):
        with pytest.raises(InputError, match=message):
            runs.run([first, prepared(tmp_path / name, bulk_task(md, **change), argon)])


def test_a_checkpoint_of_another_task_is_refused(liquid, argon, md, tmp_path):
    folder = prepared(tmp_path / "other", bulk_task(md), argon)
    for path in liquid[0].glob("state.*.npz"):
        shutil.copy(path, folder)
    with pytest.raises(DataError, match="another task or model"):
        runs.run([folder])


def test_a_run_that_blows_up_says_so(md, argon, tmp_path):
    task = bulk_task(md, timestep_fs=50.0, temperature_k=20000.0)
    folder = prepared(tmp_path / "hot", task, argon)
    with pytest.raises(EngineError, match="Non-numeric"):
        runs.run([folder])
    output = read(folder, task, argon)
    assert "Non-numeric" in output.error
    assert not output.finished
