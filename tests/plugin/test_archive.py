"""A campaign as one file: what it takes, its README, and the same numbers in another database."""

from __future__ import annotations

import zipfile

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.manage.configuration import profile_context
from aiida.storage.sqlite_temp import SqliteTempBackend
from aiida.storage.sqlite_zip.backend import SqliteZipBackend
from aiida.tools.archive import import_archive
from aiida_phasecal.archive import README, compression, contents_of, write_archive
from aiida_phasecal.data.phase_diagram import PhaseDiagramData
from aiida_phasecal.data.sample import SampleData
from aiida_phasecal.query import campaigns
from aiida_phasecal.record import load_campaign_node, summarise
from aiida_phasecal.reporting import diagram_data
from plumpy import ProcessState

from phasecal.errors import InputError

CAMPAIGN = {"boundaries": [{"phases": ["fcc", "liquid"], "targets": []}], "resources": {"slots": 2}}
TRANSITION = {
    "phases": ["fcc", "liquid"],
    "pressure_gpa": 5.0,
    "temperature_k": 1526.0460900695123,
    "sigma_k": 4.4399381394799,
    "method": "coexistence",
    "seeds": [26016468, 509923699],
}


def ended(node, *inputs, caller=None):
    """Store a process that ended well, with its inputs."""
    work = isinstance(node, orm.WorkChainNode)
    for label, data in inputs:
        kind = LinkType.INPUT_WORK if work else LinkType.INPUT_CALC
        node.base.links.add_incoming(data, link_type=kind, link_label=label)
    if caller is not None:
        kind = LinkType.CALL_WORK if work else LinkType.CALL_CALC
        node.base.links.add_incoming(caller, link_type=kind, link_label=node.process_type.rpartition(".")[2])
    node.set_process_label(node.process_type)
    node.set_process_state(ProcessState.FINISHED)
    node.set_exit_status(0)
    return node.store()


def link(data, node, kind: LinkType, label: str) -> None:
    """Make stored or new data the output of a process."""
    data.base.links.add_incoming(node, link_type=kind, link_label=label)
    data.store()


@pytest.fixture
def campaign(model_node, make_sample):
    """A phase diagram with one point, as it is recorded."""
    inputs = [("campaign", orm.Dict(CAMPAIGN).store()), ("model", model_node)]
    node = orm.WorkChainNode(process_type="aiida.workflows:phasecal.phase_diagram", label="melting line")
    node = ended(node, *inputs)
    sample = SampleData.from_sample(make_sample(model_node.model_hash)).store()
    analysis = orm.CalcFunctionNode(process_type="aiida_phasecal.workchains.analysis.analyse_coexistence")
    analysis = ended(analysis, ("sample", sample), caller=node)
    transition = orm.Dict(TRANSITION)
    link(transition, analysis, LinkType.CREATE, "result")
    join = orm.CalcFunctionNode(process_type="aiida_phasecal.workchains.phase_diagram.join_lines")
    join = ended(join, ("model", model_node), ("b0_p0", transition), caller=node)
    points, lines = [{**TRANSITION, "pk": transition.pk}], {"boundaries": []}
    diagram = PhaseDiagramData(points=points, lines=lines, model_hash=model_node.model_hash, elements=["Cu"])
    link(diagram, join, LinkType.CREATE, "result")
    link(diagram, node, LinkType.RETURN, "phase_diagram")
    for process in (node, analysis, join):
        process.seal()
    return node


def test_the_ratio_estimator_tells_its_error():
    assert compression([], 0.25) == (0.0, 0.0)
    assert compression([(100, 50)] * 9, 0.25) == (0.5, 0.0)
    ratio, sigma = compression([(100, 40), (100, 60)] * 8, 0.25)
    assert ratio == 0.5
    assert sigma == pytest.approx(0.1 * (3 / 4 / 15) ** 0.5, rel=1e-12)


def numbers(node) -> dict:
    """What `show` and `phasecal diagram` say, without the numbers of one database."""
    summary = summarise(node)
    (point,) = summary["boundaries"]
    pk = point.pop("pk")
    assert orm.load_node(pk)["temperature_k"] == point["temperature_k"]  # the origin, in whatever database
    diagram = diagram_data(node)
    assert [entry.pop("pk") for entry in diagram["points"]] == [pk]
    for entry in (summary, summary["model"], diagram):
        entry.pop("pk")
    return {"summary": summary, "diagram": diagram}


def test_another_database_gives_the_same_numbers(campaign, tmp_path):
    path = tmp_path / "line.aiida"
    contents = contents_of(campaign)
    assert not path.exists()
    write_archive(campaign, path)
    size = path.stat().st_size
    assert abs(contents.estimate_bytes - size) < 4 * contents.sigma_bytes + 0.05 * size + 2000
    with zipfile.ZipFile(path) as archive:
        text = archive.read(README).decode()
        assert archive.testzip() is None
    assert campaign.uuid in text
    assert "| fcc–liquid | 5 | 1526.0 ± 4.4 | – | coexistence |" in text

    expected, uuid = numbers(campaign), campaign.uuid
    with profile_context(SqliteTempBackend.create_profile("other"), allow_switch=True):
        orm.User(email="other@localhost").store()
        orm.Int(1).store()
        import_archive(path)
        assert numbers(load_campaign_node(uuid)) == expected
        assert [entry["title"] for entry in campaigns()] == ["melting line"]
    with profile_context(SqliteZipBackend.create_profile(path), allow_switch=True):  # as it is
        assert numbers(load_campaign_node(uuid)) == expected


def test_nothing_is_overwritten_and_nothing_unfinished_archived(campaign, tmp_path, model_node):
    path = tmp_path / "line.aiida"
    path.touch()
    with pytest.raises(InputError, match="exists already"):
        write_archive(campaign, path)
    running = orm.WorkChainNode(process_type="aiida.workflows:phasecal.points")
    running.set_process_state(ProcessState.WAITING)
    with pytest.raises(InputError, match="verdi process kill"):
        contents_of(running.store())
