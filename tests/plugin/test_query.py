"""Questions to the record: what is found, what is left out, and that nobody waits for JAX."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from aiida import orm
from aiida_phasecal.cli import cmd_phasecal
from aiida_phasecal.data.phase_diagram import PhaseDiagramData
from aiida_phasecal.query import Selection, boundary_points, campaigns, load_model_node, models
from aiida_phasecal.record import load_campaign_node, summarise
from click.testing import CliRunner

from phasecal.campaign.reduced import REFERENCE
from phasecal.errors import InputError

LIGHT = """
import sys
from aiida_phasecal.cli import cmd_phasecal
for name in ("query", "models", "status"):
    cmd_phasecal.get_command(None, name)
import aiida_phasecal.query, aiida_phasecal.lineage, aiida_phasecal.record, aiida_phasecal.status
print(*sorted({"jax", "ase", "pymatgen", "scipy", "matplotlib", "aiida_lammps"} & set(sys.modules)))
"""


def invoke(*arguments: object, expect: int = 0) -> str:
    result = CliRunner().invoke(cmd_phasecal, [str(argument) for argument in arguments])
    assert result.exit_code == expect, result.output
    return result.output


def found(calibration, **filters) -> list[tuple[str, float]]:
    points = boundary_points(Selection(**filters))
    return [(p["role"], p["temperature_k"]) for p in points if p["campaign"]["pk"] == calibration.node.pk]


ALL = [("anchor", 1326.0), ("re-anchor", 1351.0), ("verification", 1359.0)]


def test_every_measured_point_of_a_calibration_is_found_with_its_target(calibration):
    points = boundary_points(Selection(campaign=calibration.node.pk))
    assert [(point["role"], point["temperature_k"]) for point in points] == ALL
    last = points[-1]
    assert last["pk"] == calibration.verified.outputs.transition.pk
    assert (last["target_k"], last["target_source"]) == (1357.77, "SGTE, Dinsdale 1991")
    assert last["difference_k"] == pytest.approx(1.23)
    assert last["difference_sigma_k"] == pytest.approx((3.0**2 + 0.5**2) ** 0.5)
    assert (last["method"], last["seeds"]) == ("pinning", [30])
    assert last["model_hash"] == calibration.models[-1].model_hash
    assert last["campaign"] == {"pk": calibration.node.pk, "title": "copper"}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"elements": ("Cu",)}, ALL),
        ({"elements": ("Cu", "Ni")}, []),
        ({"boundary": "fcc-liquid"}, ALL),
        ({"boundary": "liquid–fcc"}, ALL),
        ({"boundary": "bcc-liquid"}, []),
        ({"pressure": (0.0, 0.0)}, ALL),
        ({"pressure": (0.1, None)}, []),
        ({"difference": (None, 5.0)}, ALL[2:]),
        ({"difference": (5.0, 10.0)}, ALL[1:2]),
        ({"method": "pinning"}, ALL[2:]),
        ({"method": "free-energy"}, []),
        ({"role": "re-anchor"}, ALL[1:2]),
        ({"state": "finished"}, ALL),
        ({"state": "running"}, []),
        ({"campaign": "copper"}, ALL),
        ({"campaign": "copp"}, []),
        ({"since": datetime.now(UTC) - timedelta(days=1)}, ALL),
        ({"since": datetime.now(UTC) + timedelta(days=1)}, []),
        ({"until": datetime.now(UTC) - timedelta(days=1)}, []),
        ({"since": datetime.now(UTC) - timedelta(days=2), "until": datetime.now(UTC) - timedelta(days=1)}, []),
    ],
)
def test_filters_take_and_leave(calibration, filters, expected):
    assert found(calibration, **filters) == expected


def test_points_are_found_by_the_hash_of_their_model_and_campaigns_by_pk(calibration):
    assert found(calibration, model=calibration.models[1].model_hash[:10]) == ALL[1:2]
    assert found(calibration, model="0" * 64) == []
    assert found(calibration, campaign=calibration.node.pk) == ALL


def test_the_command_lists_campaigns_with_their_points(calibration):
    mine = ("query", "--campaign", calibration.node.pk)
    (entry,) = json.loads(invoke(*mine, "--element", "Cu", "--difference", ":5", "--json"))
    assert {key: entry[key] for key in ("pk", "title", "task", "state")} == {
        "pk": calibration.node.pk,
        "title": "copper",
        "task": "calibrate",
        "state": "finished",
    }
    assert [point["temperature_k"] for point in entry["points"]] == [1359.0]
    text = invoke(*mine, "--role", "verification")
    assert "1359.0 ± 3.0" in text and "1357.8 ± 0.5" in text and "1.2 ± 3.0" in text
    assert json.loads(invoke(*mine, "--method", "free-energy", "--json")) == []
    assert "no such campaign" in invoke("query", "--title", "nickel")
    assert "not a range" in invoke("query", "--pressure", "high", expect=2)


def test_query_and_show_agree_on_the_result(calibration):
    (shown,) = summarise(load_campaign_node(calibration.node.pk))["boundaries"]
    (point,) = boundary_points(Selection(role="verification", campaign=calibration.node.pk))
    for key in ("phases", "pressure_gpa", "temperature_k", "sigma_k", "target_k", "target_sigma_k", "method", "pk"):
        assert point[key] == shown[key], key


def test_a_campaign_in_reduced_units_is_asked_and_answers_in_them(recorder, model_node):
    target = {"pressure_gpa": 2 * REFERENCE["pressure"], "temperature_k": 800.0, "sigma_k": 1.0, "source": "exact"}
    boundary = {"phases": ["fcc", "liquid"], "guess_k": None, "method": "coexistence", "verify": "pinning"}
    campaign = orm.Dict({"boundaries": [{**boundary, "targets": [target]}], "units": "lj"})
    node = recorder.chain("points", {"model": model_node, "campaign": campaign}, label="LJ")
    recorder.transition(model_node, 801.0, 1, node, pressure_gpa=2 * REFERENCE["pressure"])
    mine = ("query", "--campaign", node.pk)
    (entry,) = json.loads(invoke(*mine, "--pressure", "2", "--difference", "0.001", "--json"))
    assert entry["points"][0]["temperature"] == 0.801
    assert "temperature_k" not in entry["points"][0]
    assert json.loads(invoke(*mine, "--difference", "0.002:", "--json")) == []
    assert "0.8010 ± 0.0030" in invoke(*mine)


def test_a_finished_phase_diagram_answers_with_its_lines(recorder, model_node):
    boundary = {"phases": ["fcc", "liquid"], "guess_k": 1330.0, "method": "coexistence", "verify": "pinning"}
    campaign = orm.Dict({"boundaries": [{**boundary, "targets": []}], "units": None})
    node = recorder.chain("phase_diagram", {"model": model_node, "campaign": campaign}, label="line")
    run = recorder.transition(model_node, 1326.0, 1, node)
    measured = {key: run.outputs.transition[key] for key in ("phases", "pressure_gpa", "sigma_k", "seeds")}
    on_line = {**measured, "temperature_k": 1325.0, "method": "coexistence", "pk": run.outputs.transition.pk}
    diagram = PhaseDiagramData(points=[on_line], model_hash=model_node.model_hash, elements=["Cu"])
    recorder.out(node, phase_diagram=diagram.store())
    (point,) = boundary_points(Selection(campaign=node.pk))
    assert (point["role"], point["temperature_k"], point["pk"]) == ("line", 1325.0, run.outputs.transition.pk)
    assert point["target_k"] is point["difference_k"] is None
    assert boundary_points(Selection(campaign=node.pk, difference=(None, None))) == []


def test_a_campaign_without_anything_yet_is_listed(aiida_profile):
    node = orm.WorkChainNode(process_type="aiida.workflows:phasecal.calibrate", label="new").store()
    node.set_process_state("waiting")
    (entry,) = json.loads(invoke("query", "--campaign", "new", "--json"))
    assert (entry["pk"], entry["state"], entry["points"]) == (node.pk, "running", [])
    assert json.loads(invoke("query", "--campaign", "new", "--boundary", "fcc-liquid", "--json")) == []
    assert json.loads(invoke("status", "--json"))[0]["pk"] == node.pk


def test_verifications_inside_a_calibration_are_no_campaigns(calibration):
    pks = [entry["pk"] for entry in campaigns()]
    assert calibration.node.pk in pks
    assert calibration.verified.caller.pk not in pks


def test_models_are_listed_and_named_by_pk_or_hash(calibration):
    everything = models()
    listed = [entry for entry in everything if entry["pk"] >= calibration.models[0].pk][:3]
    assert [entry["pk"] for entry in listed] == [node.pk for node in calibration.models]
    assert [entry["round"] for entry in listed] == [0, 1, 2]
    assert listed[1]["parent"] == listed[0]["hash"]
    assert json.loads(invoke("models", "list", "--json")) == everything
    last = calibration.models[-1]
    assert load_model_node(last.pk).pk == load_model_node(last.model_hash[:8]).pk == load_model_node(last.uuid).pk
    shown = json.loads(invoke("models", "show", last.model_hash[:12], "--json"))
    assert (shown["pk"], shown["hash"]) == (last.pk, last.model_hash)


@pytest.mark.parametrize("name", [999999, "deadbeef", "nonsense"])
def test_an_unknown_model_is_refused_in_one_sentence(aiida_profile, name):
    with pytest.raises(InputError, match=f"no model {name} in this profile; `phasecal models list`"):
        load_model_node(name)


def test_another_node_is_not_a_model(calibration):
    assert "not a model" in invoke("models", "show", calibration.node.pk, expect=2)


def test_questions_do_not_import_what_only_science_needs():
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
