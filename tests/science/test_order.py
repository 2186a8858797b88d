"""Order parameters against perfect crystals, the Debye–Waller factor, random gases and built two-phase boxes."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms

from phasecal.errors import InputError
from phasecal.observables.order import bragg_order, global_q6, solid_fraction
from phasecal.sample import Sample
from phasecal.structures.crystals import crystal, repeats, supercell, two_phase_cell, two_phase_repeats
from phasecal.structures.reflections import bragg_vectors

STRUCTURES = {
    "fcc": {"prototype": "fcc", "elements": ["Cu"], "a": 3.6},
    "bcc": {"prototype": "bcc", "elements": ["Ti"], "a": 3.3},
    "hcp": {"prototype": "hcp", "elements": ["Ti"], "a": 2.95, "c": 4.68},
    "diamond": {"prototype": "diamond", "elements": ["Si"], "a": 5.43},
    "B1": {"prototype": "B1", "elements": ["Na", "Cl"], "a": 5.64},
}
Q6 = {"fcc": 0.57452, "bcc": 0.51069, "hcp": 0.48476}
"""Mickel et al., J. Chem. Phys. 138, 044501 (2013), table I; bcc with 14 neighbours, hcp of ideal c/a."""


def sample_of(frames: list[Atoms]) -> Sample:
    n = len(frames)
    return Sample(
        positions=np.array([frame.positions for frame in frames], dtype=np.float32),
        cells=np.array([frame.cell.array for frame in frames]),
        energies=np.zeros(n),
        steps=np.arange(n),
        species=np.zeros(len(frames[0]), dtype=np.int32),
        elements=("X",),
        phase="x",
        temperature_k=1000.0,
        pressure_gpa=0.0,
        timestep_fs=1.0,
        model_hash="0",
    )


def shaken(atoms: Atoms, width: float, seed: int) -> Atoms:
    copy = atoms.copy()
    copy.positions += np.random.default_rng(seed).normal(scale=width, size=copy.positions.shape)
    return copy


def gas(atoms: Atoms, seed: int) -> Atoms:
    copy = atoms.copy()
    copy.set_scaled_positions(np.random.default_rng(seed).random((len(atoms), 3)))
    return copy


@pytest.mark.parametrize("name", STRUCTURES)
def test_bragg_amplitude_is_one_in_the_crystal_and_follows_debye_and_waller(name):
    cell = crystal(STRUCTURES[name])
    block = supercell(cell, 500)
    vectors = bragg_vectors(cell, repeats(cell, 500))
    width = 0.15
    drifted = block.copy()
    drifted.positions += [7.3, -11.0, 40.0]
    order = bragg_order(sample_of([block, drifted, shaken(block, width, 1), gas(block, 2)]), vectors)
    np.testing.assert_allclose(order[:2], 1.0, atol=1e-5)
    lengths = np.linalg.norm(vectors @ block.cell.reciprocal().array, axis=1) * 2 * np.pi
    assert order[2] == pytest.approx(np.exp(-((lengths * width) ** 2) / 2).mean(), abs=0.03)
    assert order[3] < 3 / len(block) ** 0.5


def test_bragg_amplitude_vanishes_for_another_crystal():
    fcc = crystal(STRUCTURES["fcc"])
    bcc = crystal({"prototype": "bcc", "elements": ["Cu"], "a": 3.6 / 2 ** (1 / 3)})
    vectors = bragg_vectors(fcc, repeats(fcc, 432))
    assert bragg_order(sample_of([bcc.repeat((6, 6, 6))]), vectors)[0] < 0.3


def test_no_reflections_without_a_lattice():
    random = Atoms("Cu40", cell=[10, 10, 10], pbc=True, scaled_positions=np.random.default_rng(1).random((40, 3)))
    with pytest.raises(InputError, match="no reflections"):
        bragg_vectors(random, (1, 1, 1))


@pytest.mark.parametrize("name", Q6)
def test_global_q6_of_crystals_is_known_and_does_not_depend_on_orientation(name):
    structure = STRUCTURES[name] | ({"c": 2.95 * (8 / 3) ** 0.5} if name == "hcp" else {})
    block = supercell(crystal(structure), 500)
    swapped = block.copy()
    swapped.set_cell(np.diag(block.cell.lengths()[[2, 0, 1]]))
    swapped.positions = block.positions[:, [2, 0, 1]]
    values = global_q6(sample_of([block, swapped, gas(block, 3)]))
    assert values[0] == pytest.approx(Q6[name], abs=1e-4)
    assert values[1] == pytest.approx(values[0], abs=1e-6)
    assert values[2] < 0.1


@pytest.mark.parametrize("width", [0.12, 0.22, 0.32])  # amplitudes 0.92, 0.74 and 0.54 (hot)
def test_solid_fraction_of_built_boxes(width):
    """Part shaken crystal, part random gas, in boxes of known share; also when the slab wraps around z."""
    cell = crystal(STRUCTURES["fcc"])
    box = two_phase_cell(cell, 6, 14)
    vectors = bragg_vectors(cell, two_phase_repeats(cell, 6, 14), in_plane=True)
    frames, shares = [], (0.0, 0.25, 0.5, 0.75, 1.0)
    for share in shares:
        frame, random = shaken(box, width, 5), gas(box, 6)
        height = frame.get_scaled_positions()[:, 2]
        mixed = frame.copy()
        in_gas = (height > share) & (height < 1.0)
        scaled = random.get_scaled_positions()[in_gas]
        scaled[:, 2] = share + (1 - share) * scaled[:, 2]
        positions = mixed.get_scaled_positions()
        positions[in_gas] = scaled
        positions[:, 2] += 0.6
        mixed.set_scaled_positions(positions)
        frames.append(mixed)
    order = solid_fraction(sample_of(frames), vectors)
    np.testing.assert_allclose(order.fraction, shares, atol=0.06)
    assert order.profile.shape == (5, 200)
