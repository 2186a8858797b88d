"""Campaigns that go on from others: what is submitted."""

from __future__ import annotations

import pytest
from aiida import orm
from aiida_phasecal import again

from phasecal.errors import InputError


@pytest.fixture
def submitted(monkeypatch, calibration):
    """What was submitted; the campaign that stands for it is another one of the record."""
    builders = []

    def submit(builder):
        builders.append(builder)
        return calibration.anchors[0]

    monkeypatch.setattr(again, "submit", submit)
    return builders


def test_the_verification_of_a_calibration_is_extended_and_its_model_is_not_touched(calibration, submitted):
    group = orm.Group(label="campaigns of a test").store()
    group.add_nodes(calibration.node)
    new = again.extend(calibration.node, 1.5)  # 3 K from two replicas
    (builder,) = submitted
    assert builder.process_class.__name__ == "VerifyWorkChain"
    assert builder.model.uuid == calibration.models[-1].uuid
    assert builder.campaign["protocol"]["pinning_verification"] == {"replicas": 8}
    assert calibration.node.inputs.campaign["protocol"]["pinning_verification"] == {"replicas": 2}
    assert new.pk in {node.pk for node in group.nodes}
    assert builder.metadata.description == f"goes on from campaign {calibration.node.pk}"


def test_only_what_failed_is_resumed(recorder, calibration, submitted):
    with pytest.raises(InputError, match="finished; `phasecal extend`"):
        again.resume(calibration.node)
    failed = recorder.chain("calibrate", {"model": calibration.models[0]}, label="copper", status=401)
    again.resume(failed)
    (builder,) = submitted
    assert builder.process_class.__name__ == "CalibrateWorkChain"
    assert builder.model.uuid == calibration.models[0].uuid


def test_a_running_campaign_is_neither(recorder, calibration, submitted):
    running = recorder.chain("calibrate", {"model": calibration.models[0]}, label="copper")
    running.set_process_state("waiting")
    for go_on in (again.resume, lambda node: again.extend(node, 1.0)):
        with pytest.raises(InputError, match="phasecal status"):
            go_on(running)
    assert not submitted
