"""Stored features give what the positions give, for any parameters, and are computed once."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

from phasecal.campaign.sources import potentials_folder
from phasecal.errors import DataError
from phasecal.potentials import prepared as module
from phasecal.potentials.base import energies, frames_from_atoms, gradients
from phasecal.potentials.eam import EamModel
from phasecal.potentials.moment_network import MomentNetworkModel
from phasecal.potentials.prepared import prepare


def network():
    return MomentNetworkModel.initial(
        ["Cu", "Au"], 4.5, [[2.2, 2.4], [2.4, 2.5]], n_radial=2, n_basis=4, hidden=(5, 4), seed=1
    )


def alloy(model, cutoff=4.5):
    atoms = bulk("CuAu", "cesiumchloride", a=3.1, cubic=True) * (2, 1, 1)
    images = []
    for seed in range(3):
        images.append(atoms.copy())
        images[-1].rattle(0.1, seed=seed)
    return frames_from_atoms(images, model.elements, cutoff)


def test_features_give_the_energies_and_gradients_of_the_positions(monkeypatch):
    model = network()
    frames, calls = alloy(model), []
    plain = module._features
    monkeypatch.setattr(module, "_features", lambda *args: calls.append(1) or plain(*args))
    ready = prepare(model, frames)
    for theta in (model.theta, 0.5 * model.theta):
        assert ready.energies(theta) == pytest.approx(energies(model, frames, theta), abs=1e-11)
        assert ready.gradients(theta) == pytest.approx(gradients(model, frames, theta), abs=1e-11)
    assert np.abs(ready.energies(model.theta) - ready.energies(0.5 * model.theta)).min() > 1e-3
    assert len(calls) == frames.n_frames
    child = model.with_theta(0.7 * model.theta)
    assert ready.energies(child.theta) == pytest.approx(energies(child, frames), abs=1e-11)


def test_a_family_without_features_is_evaluated_as_ever():
    model = EamModel.from_file(potentials_folder() / "Cu_mishin1.eam.alloy", {"pair": 3})
    frames = frames_from_atoms([bulk("Cu", "fcc", a=3.6, cubic=True)], ["Cu"], model.cutoff)
    ready, theta = prepare(model, frames), np.array([0.01, -0.02, 0.03])
    assert np.array_equal(ready.energies(theta), energies(model, frames, theta))
    assert np.array_equal(ready.gradients(theta), gradients(model, frames, theta))


def test_too_short_neighbour_lists_are_refused():
    with pytest.raises(DataError, match="too short"):
        prepare(network(), alloy(network(), cutoff=4.4))
