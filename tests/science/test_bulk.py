"""Bulk analysis: a superheated solid that melted, crystals called liquid, wrong ensembles; RDF and diffusion."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.signal import lfilter

from phasecal.errors import DataError, InputError
from phasecal.observables.bulk import analyse_bulk
from phasecal.observables.liquid import diffusion_coefficient, rdf
from phasecal.sample import Sample
from phasecal.structures.crystals import crystal, supercell
from phasecal.units import EV_PER_A3_IN_GPA, KB

N_FRAMES = 40


def frames_of(task, positions, cell, phase):
    n = len(positions)
    return Sample(
        positions=np.asarray(positions, dtype=np.float32),
        cells=np.repeat(np.asarray(cell)[None], n, axis=0),
        energies=np.zeros(n),
        steps=np.arange(n) * task["sample_every"],
        species=np.zeros(len(positions[0]), dtype=np.int32),
        elements=("Cu",),
        phase=phase,
        temperature_k=task["temperature_k"],
        pressure_gpa=task["pressure_gpa"],
        timestep_fs=task["timestep_fs"],
        model_hash="0",
    )


def solid_of(task, n_frames=N_FRAMES):
    block = supercell(crystal(task["structure"]), task["n_atoms"])
    rng = np.random.default_rng(1)
    shaken = block.positions + rng.normal(scale=0.12, size=(n_frames, *block.positions.shape))
    return frames_of(task, shaken, block.cell.array, task["phase"])


def liquid_of(task, n_frames=N_FRAMES):
    """Atoms 0.9 Å (one sd per coordinate) off their sites: enough of a liquid for the order parameters."""
    block = supercell(crystal(task["structure"]), task["n_atoms"])
    rng = np.random.default_rng(2)
    start = block.positions + rng.normal(scale=0.9, size=block.positions.shape)
    moved = start + np.cumsum(rng.normal(scale=0.1, size=(n_frames, *start.shape)), axis=0)
    return frames_of(task, moved, block.cell.array, task["phase"])


def thermo_of(task, sample):
    rng = np.random.default_rng(task["seed"])
    steps = np.arange(0, sample.steps[-1] + 1, task["thermo_every"], dtype=float)
    n, n_atoms = len(steps), sample.n_atoms
    temp = task["temperature_k"] + rng.normal(scale=20, size=n)
    ke = temp * KB * (3 * n_atoms - 3) / 2
    pe = n_atoms * (-3.3 + rng.normal(scale=0.005, size=n))
    press = task["pressure_gpa"] + rng.normal(scale=0.4, size=n)
    volume = n_atoms * (12.7 + lfilter([1], [1, -0.9], rng.normal(scale=0.01, size=n)))
    series = {"step": steps, "temp": temp, "ke": ke, "pe": pe, "press": press, "volume": volume}
    ideal = sample.cells[0].diagonal()
    shear = np.exp(rng.normal(scale=1e-3, size=n))
    scales = np.cbrt(volume / np.prod(ideal)) * np.array([1 / shear, np.ones(n), shear])
    return series | dict(zip(("lx", "ly", "lz"), scales * ideal[:, None], strict=True))


def test_a_good_solid_gives_its_averages(md):
    task = md.bulk_task(pressure_gpa=2.0)
    sample = solid_of(task)
    result = analyse_bulk(sample, thermo_of(task, sample), task, solid=True)
    assert result.rejections == []
    expected = -3.3 + 2.0 * 12.7 / EV_PER_A3_IN_GPA + 1.5 * KB * 1000
    assert abs(result.enthalpy_ev.value - expected) < 4 * result.enthalpy_ev.sigma
    assert abs(result.volume_a3.value - 12.7) < 4 * result.volume_a3.sigma
    assert min(result.order) > 0.7
    data = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert data["accepted"]
    assert data["volume_a3"]["sigma"] > 0
    assert len(data["order"]) == N_FRAMES


@pytest.mark.parametrize(
    ("structure", "expected"),
    [
        ({"prototype": "bcc", "elements": ["Cu"], "a": 2.9}, {"a": (2 * 12.7) ** (1 / 3)}),
        (
            {"prototype": "hcp", "elements": ["Cu"], "a": 2.6, "c": 4.2},
            {"a": (2 * 12.7 / 0.75**0.5 / (4.2 / 2.6)) ** (1 / 3), "c_over_a": 4.2 / 2.6},
        ),
    ],
)
def test_lattice_parameters_are_those_of_the_mean_cell(md, structure, expected):
    task = md.bulk_task(structure=structure)
    sample = solid_of(task)
    lattice = analyse_bulk(sample, thermo_of(task, sample), task, solid=True).lattice
    assert {name: mean.value for name, mean in lattice.items()} == pytest.approx(expected, rel=1e-3)


def test_a_superheated_solid_that_melted_during_sampling_is_rejected_with_the_time(md):
    """A real run, 474 K above T_m: solid at 0 and 1.1 ps, melting at 2.2 ps."""
    output, task = md.recorded("superheated")
    result = analyse_bulk(output.sample, output.thermo, task, solid=True)
    assert not result.accepted
    assert "crystal was lost (melted or transformed) at frame 2 of 11 (2.2 ps; 9 frames in all)" in result.rejections[0]
    assert result.order[0] > 0.7
    assert result.order[-1] < 0.2


def test_a_real_solid_keeps_its_order(md):
    output, task = md.recorded("complete")
    result = analyse_bulk(output.sample, output.thermo, task, solid=True)
    assert not any("crystal" in reason or "freedom" in reason for reason in result.rejections)
    assert min(result.order) > 0.6


def test_a_liquid_is_accepted_and_called_solid_it_is_rejected(md):
    task = md.bulk_task(phase="liquid", melt=True, melt_temperature_k=2000.0, melt_steps=10, n_atoms=256)
    sample = liquid_of(task)
    thermo = thermo_of(task, sample)
    assert analyse_bulk(sample, thermo, task, solid=False).rejections == []
    assert any("crystal was lost" in reason for reason in analyse_bulk(sample, thermo, task, solid=True).rejections)


def test_a_liquid_that_never_melted_is_rejected(md):
    task = md.bulk_task(phase="liquid", melt=True, melt_temperature_k=2000.0, melt_steps=10)
    sample = solid_of(task)
    result = analyse_bulk(sample, thermo_of(task, sample), task, solid=False)
    assert any("never melted" in reason for reason in result.rejections)


def test_a_liquid_that_crystallised_in_another_orientation_is_rejected(md):
    """The last frames are a crystal whose lattice has nothing to do with the one that was molten."""
    task = md.bulk_task(phase="liquid", melt=True, melt_temperature_k=2000.0, melt_steps=10, n_atoms=256)
    sample = liquid_of(task)
    bcc = crystal({"prototype": "bcc", "elements": ["Cu"], "a": 2.9}).repeat((4, 4, 8))
    bcc.set_cell(sample.cells[0], scale_atoms=True)
    positions = sample.positions.copy()
    positions[30:] = bcc.positions + np.random.default_rng(3).normal(scale=0.1, size=(10, 256, 3))
    frozen = frames_of(task, positions, sample.cells[0], "liquid")
    result = analyse_bulk(frozen, thermo_of(task, frozen), task, solid=False)
    assert any("the liquid crystallised at frame 30 of 40" in reason for reason in result.rejections)


@pytest.mark.parametrize(
    ("column", "factor", "shift", "message"),
    [
        ("temp", (3 * 108 - 3) / (3 * 108), 0.0, "degrees of freedom"),
        ("press", 1.01325, 0.0, "mean pressure"),
        ("temp", 1.0, 40.0, "mean temperature"),
        ("volume", np.nan, 0.0, "volume not finite"),
    ],
)
def test_wrong_ensembles_are_rejected(md, column, factor, shift, message):
    """3N degrees of freedom, atm for bar at 20 GPa, a thermostat at another temperature, a blown-up run."""
    task = md.bulk_task(pressure_gpa=20.0)
    sample = solid_of(task)
    thermo = thermo_of(task, sample)
    thermo[column] = thermo[column] * factor + shift
    result = analyse_bulk(sample, thermo, task, solid=True)
    assert any(message in reason for reason in result.rejections)
    json.dumps(result.to_dict(), allow_nan=False)


def test_a_run_that_is_too_short_says_so(md):
    task = md.bulk_task()
    sample = solid_of(task)
    thermo = thermo_of(task, sample)
    thermo["pe"] = sample.n_atoms * (-3.3 + np.linspace(0, 0.01, len(thermo["step"])))
    result = analyse_bulk(sample, thermo, task, solid=True)
    assert result.enthalpy_ev is None
    assert any("enthalpy: only" in reason for reason in result.rejections)


def test_what_cannot_be_analysed_is_an_error(md):
    task = md.bulk_task()
    sample = solid_of(task)
    thermo = thermo_of(task, sample)
    with pytest.raises(InputError, match="kind bulk"):
        analyse_bulk(sample, thermo, md.coexistence_task(), solid=True)
    with pytest.raises(DataError, match="frames at steps"):
        analyse_bulk(sample, {name: column[:5] for name, column in thermo.items()}, task, solid=True)


def test_rdf_of_a_gas_is_one_and_of_a_crystal_has_twelve_neighbours(md):
    task = md.bulk_task(n_atoms=256)
    block = supercell(crystal(task["structure"]), 256)
    rng = np.random.default_rng(4)
    gas = frames_of(task, rng.random((200, 256, 3)) * block.cell.lengths(), block.cell.array, "gas")
    _, g = rdf(gas, 7.0, 20)
    np.testing.assert_allclose(g[4:], 1.0, atol=0.05)
    r, g = rdf(frames_of(task, block.positions[None], block.cell.array, "fcc"), 7.0, 700)
    near = r < 3.0
    density = 255 / block.get_volume()
    assert np.sum(4 * np.pi * r[near] ** 2 * g[near] * density) * 0.01 == pytest.approx(12.0, rel=0.01)
    with pytest.raises(DataError, match="half the shortest edge"):
        rdf(gas, 8.0)


def test_diffusion_of_random_walkers_is_known(md):
    """Steps of sd s per coordinate every t: D = s²/2t; the box breathes and drifts, which must not count."""
    task = md.bulk_task(n_atoms=500, sample_every=100)
    block = supercell(crystal(task["structure"]), 500)
    rng = np.random.default_rng(5)
    step = 0.4
    walk = (
        block.positions
        + np.cumsum(rng.normal(scale=step, size=(200, 500, 3)), axis=0)
        + 0.5 * np.arange(200)[:, None, None]
    )
    stretch = 1 + 0.01 * np.sin(np.arange(200))
    sample = frames_of(task, walk * stretch[:, None, None], block.cell.array, "liquid")
    object.__setattr__(sample, "cells", sample.cells * stretch[:, None, None])
    expected = step**2 / 2 / (100 * 2.8e-3) * 1e-8
    found = diffusion_coefficient(sample)
    assert found.value == pytest.approx(expected, rel=0.05)
    assert abs(found.value - expected) < 4 * found.sigma
    with pytest.raises(DataError, match="equidistant"):
        diffusion_coefficient(solid_of(task, n_frames=20))
