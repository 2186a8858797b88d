"""Nodes: round trips, queryable facts, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from aiida import orm
from aiida_phasecal.data.model import ModelData
from aiida_phasecal.data.phase_diagram import PhaseDiagramData
from aiida_phasecal.data.sample import SampleData

POINT = {
    "phases": ["fcc", "liquid"],
    "pressure_gpa": 0.0,
    "temperature_k": 1326.0,
    "sigma_k": 4.0,
    "method": "coexistence",
    "seeds": [1],
    "pk": 1,
}


def test_model_round_trip(model_node, copper_model):
    assert model_node.get_model().hash == copper_model.hash == model_node.model_hash
    found = orm.QueryBuilder().append(ModelData, filters={"attributes.hash": copper_model.hash}).all(flat=True)
    assert model_node in found


def test_a_child_names_its_parent(aiida_profile, copper_model):
    child = copper_model.with_theta(copper_model.theta + 0.01)
    node = ModelData.from_model(child, round_index=1)
    assert node.base.attributes.get("parent") == copper_model.hash
    assert node.round_index == 1
    assert node.model_hash != copper_model.hash


def test_sample_round_trip(aiida_profile, make_sample):
    sample = make_sample("abc")
    node = SampleData.from_sample(sample).store()
    loaded = node.get_sample()
    np.testing.assert_array_equal(loaded.positions, sample.positions)
    assert (loaded.phase, loaded.elements) == ("liquid", ("Cu",))
    assert node.facts["n_frames"] == 3


def test_phase_diagram_keeps_its_points(aiida_profile):
    node = PhaseDiagramData(points=[POINT], model_hash="abc", elements=["Cu"]).store()
    assert orm.load_node(node.pk).points == [POINT]


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan")])
def test_a_point_without_an_interval_is_refused(aiida_profile, sigma):
    with pytest.raises(ValueError, match="sigma_k"):
        PhaseDiagramData(points=[{**POINT, "sigma_k": sigma}], model_hash="abc", elements=["Cu"])
