"""Crystals: known numbers of atoms, densities and neighbour distances; clear errors."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

from phasecal.errors import InputError
from phasecal.structures.crystals import crystal, supercell, two_phase_cell

NEAREST = {  # prototype: (elements, atoms per cell, nearest-neighbour distance / a)
    "fcc": (["Cu"], 4, 0.5**0.5),
    "bcc": (["Ti"], 2, 0.75**0.5),
    "sc": (["Po"], 1, 1.0),
    "hcp": (["Ti"], 4, 1.0),
    "diamond": (["Si"], 8, 0.1875**0.5),
    "B1": (["Na", "Cl"], 8, 0.5),
    "B2": (["Cs", "Cl"], 2, 0.75**0.5),
    "B3": (["Zn", "S"], 8, 0.1875**0.5),
    "L1_2": (["Al", "Ni"], 4, 0.5**0.5),
}


@pytest.mark.parametrize("prototype", NEAREST)
def test_conventional_cells_are_orthogonal_with_known_neighbours(prototype):
    elements, n_atoms, nearest = NEAREST[prototype]
    cell = crystal({"prototype": prototype, "elements": elements, "a": 4.0})
    assert len(cell) == n_atoms
    assert cell.cell.orthorhombic
    assert cell.pbc.all()
    block = cell * (3, 3, 3)
    distances = block.get_distances(0, range(1, len(block)), mic=True)
    assert distances.min() == pytest.approx(4.0 * nearest, rel=1e-9)


def test_l12_has_one_corner_and_three_face_atoms():
    assert crystal({"prototype": "L1_2", "elements": ["Al", "Ni"], "a": 3.57}).symbols.formula.count() == {
        "Al": 1,
        "Ni": 3,
    }


def test_hcp_has_the_volume_of_the_primitive_cell():
    cell = crystal({"prototype": "hcp", "elements": ["Ti"], "a": 2.95, "c": 4.68})
    primitive = bulk("Ti", "hcp", a=2.95, c=4.68)
    assert cell.get_volume() / len(cell) == pytest.approx(primitive.get_volume() / len(primitive), rel=1e-12)


def test_supercells_are_near_cubic_and_of_about_the_wanted_size():
    fcc = crystal({"prototype": "fcc", "elements": ["Cu"], "a": 3.6})
    assert len(supercell(fcc, 500)) == 500
    assert len(supercell(fcc, 450)) == 500
    hcp = supercell(crystal({"prototype": "hcp", "elements": ["Ti"], "a": 2.95, "c": 4.68}), 500)
    lengths = hcp.cell.lengths()
    assert 400 < len(hcp) < 640
    assert lengths.max() / lengths.min() < 1.2
    assert len(supercell(fcc, 1)) == 4


def test_two_phase_boxes_have_a_square_cross_section_and_grow_along_z():
    hcp = crystal({"prototype": "hcp", "elements": ["Ti"], "a": 2.95, "c": 4.68})
    box = two_phase_cell(hcp, 7, 10)
    lengths = box.cell.lengths()
    assert lengths[0] == pytest.approx(7 * 2.95)
    assert 0.85 < lengths[1] / lengths[0] < 1.15
    assert lengths[2] == pytest.approx(46.8)
    np.testing.assert_allclose(box.cell.angles(), 90.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prototype": "A99"}, "unknown prototype 'A99'"),
        ({"prototype": None}, "unknown prototype None"),
        ({"elements": ["Cu", "Ni"]}, "takes 1 element"),
        ({"elements": ["Qq"]}, "unknown element"),
        ({"elements": ["9999999999"]}, "unknown element"),  # ASE would make that many atoms
        ({"elements": "C"}, "a list of elements"),
        ({"a": -1.0}, "a must be a length"),
        ({"a": float("nan")}, "a must be a length"),
        ({"a": None}, "a must be a length"),
        ({"a": []}, "a must be a length"),
        ({"a": True}, "a must be a length"),
        ({"a": 10**400}, "a must be a length"),
        ({"c": 5.0}, "only meaningful for hcp"),
    ],
)
def test_wrong_structures_are_named(change, message):
    with pytest.raises(InputError, match=message):
        crystal({"prototype": "fcc", "elements": ["Cu"], "a": 3.6} | change)
