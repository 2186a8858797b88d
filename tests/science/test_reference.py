"""Reference frames: what is read, in which halves, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from phasecal.calibration.reference import Reference
from phasecal.campaign.sources import potentials_folder
from phasecal.errors import InputError
from phasecal.potentials.eam import EamModel


@pytest.fixture(scope="module")
def copper():
    """A potential of copper with something to train."""
    return EamModel.from_file(potentials_folder() / "Cu_mishin1.eam.alloy", train={"pair": 4})


@pytest.fixture
def file(tmp_path):
    """Return a function that writes labelled crystals of some sizes, with a force of (size, 0, 0) on every atom."""

    def make(sizes, element="Cu"):
        frames = []
        for n in sizes:
            atoms = bulk(element, a=3.6, cubic=True, crystalstructure="fcc").repeat((n, 1, 1))
            atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=np.tile([float(n), 0.0, 0.0], (len(atoms), 1)))
            frames.append(atoms)
        write(tmp_path / "frames.extxyz", frames)
        return tmp_path / "frames.extxyz"

    return make


def test_every_second_frame_is_for_the_test(file, copper):
    reference = Reference.read(file([1, 2, 3, 4, 5]), copper)
    assert [frame.n_atoms for frame in reference.frames] == [4, 12, 20]
    assert [frame.n_atoms for frame in reference.test] == [8, 16]
    assert [forces[0, 0] for forces in reference.test_forces] == [2.0, 4.0]


def test_errors_count_every_component_of_the_test_frames(file, copper):
    """Perfect crystals have no forces: the error is that of the labels, and no model changes that."""
    report = Reference.read(file([1, 2, 3]), copper).report(copper, copper.with_theta(copper.theta + 0.1))
    assert report["n_frames"] == 1
    assert report["force_rms_change_ev_a"] == pytest.approx(0.0, abs=1e-9)
    error = pytest.approx(2.0 / np.sqrt(3))
    assert report["force_rms_error_ev_a"] == {"original": error, "next": error}


def test_one_frame_has_no_half(file, copper):
    with pytest.raises(InputError, match="holds one frame; expected two or more"):
        Reference.read(file([1]), copper)


def test_another_element_is_refused(file, copper):
    with pytest.raises(InputError, match="holds Ni, which is not among the elements Cu"):
        Reference.read(file([1, 2], element="Ni"), copper)
