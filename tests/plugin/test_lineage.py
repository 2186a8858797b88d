"""From a boundary point, or a model, back to frames, files, experiment and seeds."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest
from aiida import orm
from aiida_phasecal.cli import cmd_phasecal
from aiida_phasecal.data.phase_diagram import PhaseDiagramData
from aiida_phasecal.lineage import lineage
from click.testing import CliRunner

from phasecal.campaign.reduced import REFERENCE
from phasecal.errors import InputError


def invoke(*arguments: object, expect: int = 0) -> str:
    result = CliRunner().invoke(cmd_phasecal, ["models", "lineage", *(str(argument) for argument in arguments)])
    assert result.exit_code == expect, result.output
    return result.output


@pytest.fixture(scope="module")
def traced(calibration) -> dict:
    return lineage(calibration.verified.outputs.transition.pk)


def test_a_point_leads_to_its_target_and_its_campaign(calibration, traced):
    assert (traced["point"]["temperature_k"], traced["point"]["method"]) == (1359.0, "pinning")
    (target,) = traced["targets"]
    assert (target["temperature_k"], target["source"]) == (1357.77, "SGTE, Dinsdale 1991")
    assert (traced["campaign"]["pk"], traced["campaign"]["title"]) == (calibration.node.pk, "copper")


def test_a_point_leads_to_the_jobs_and_seeds_behind_it_and_to_no_others(calibration, traced):
    jobs = {job["pk"]: job for job in traced["jobs"]}
    assert sorted(jobs[pk]["seed"] for pk in traced["runs"]) == [30, 31, 32]
    assert {jobs[pk]["process"] for pk in traced["runs"]} == {"phasecal.lammps"}
    assert all(orm.load_node(pk).caller.pk == calibration.verified.pk for pk in traced["runs"])


def test_a_point_leads_to_every_version_of_its_model(calibration, traced):
    assert [entry["pk"] for entry in traced["models"]] == [node.pk for node in calibration.models]
    assert traced["models"][0]["label"] == "Cu_mishin1.eam.alloy"
    assert [(entry["from"], entry["to"], entry["pk"]) for entry in traced["rounds"]] == [
        (calibration.models[k].pk, calibration.models[k + 1].pk, calibration.rounds[k].pk) for k in (0, 1)
    ]
    assert [entry["estimates"][0]["temperature_k"] for entry in traced["rounds"]] == [1326.5, 1350.0]


def test_rounds_lead_to_samples_and_anchors_with_their_nodes(calibration, traced):
    first, second = traced["rounds"]
    assert [anchor["pk"] for anchor in second["anchors"]] == [run.outputs.transition.pk for run in calibration.anchors]
    assert [anchor["model_hash"] for anchor in second["anchors"]] == [
        node.model_hash for node in calibration.models[:2]
    ]
    assert first["anchors"] == second["anchors"][:1]
    assert (len(first["samples"]), len(second["samples"])) == (2, 4)
    samples = {sample["pk"]: sample for sample in traced["samples"]}
    assert sorted(samples) == second["samples"]
    jobs = {job["pk"]: job for job in traced["jobs"]}
    assert [jobs[samples[pk]["job"]]["seed"] for pk in second["samples"]] == [11, 12, 21, 22]


def test_codes_and_versions_are_named(traced):
    engine, task = sorted(traced["codes"], key=lambda code: code["label"])
    assert (engine["label"], engine["engine"]) == ("lmp@recorded", ["LAMMPS (22 Jul 2025 - Update 4)"])
    assert (task["label"], task["executable"], task["jobs"]) == ("phasecal@recorded", "/opt/phasecal", 2)
    assert traced["versions"] == ["aiida-core 2.9.4", "phasecal 0.1.0"]


def test_an_anchor_that_no_run_measured_is_an_estimate(calibration, recorder):
    model, place = calibration.models[0], {"phases": ["fcc", "liquid"], "pressure_gpa": 0.0}
    anchor = {**place, "temperature_k": 1333.0, "sigma_k": 5.0, "model": 0}
    job = recorder.job("task", {"parameters": orm.Dict({"anchors": [anchor]}), "models__m0": model}, calibration.node)
    child = model.get_model().with_theta(model.get_model().theta + 0.5)
    made = type(model).from_model(child, round_index=1)
    estimate = {**place, "temperature_k": 1333.0, "sigma_k": 5.0}
    recorder.out(job, model=made, result=orm.Dict({"targets": [estimate]}))
    (entry,) = lineage(made.pk)["rounds"]
    assert (entry["anchors"][0]["pk"], entry["anchors"][0]["method"]) == (None, "reweighting")
    assert lineage(job.pk)["models"] == lineage(made.pk)["models"]


def test_a_model_is_traced_by_its_hash_with_all_targets_of_its_campaign(calibration):
    traced = lineage(calibration.models[-1].model_hash[:12])
    assert (traced["point"], traced["runs"]) == (None, [])
    assert len(traced["targets"]) == 1
    assert [entry["pk"] for entry in traced["models"]] == [node.pk for node in calibration.models]


def test_a_users_model_has_no_history(calibration):
    traced = lineage(calibration.models[0].pk)
    assert (traced["rounds"], traced["samples"], traced["jobs"], traced["campaign"]) == ([], [], [], None)
    assert "the first of them" in invoke(calibration.models[0].pk)


def test_a_point_on_a_line_has_the_temperature_of_the_line(recorder, model_node):
    boundary = {"phases": ["fcc", "liquid"], "guess_k": 800.0, "method": "coexistence", "verify": "pinning"}
    campaign = orm.Dict({"boundaries": [{**boundary, "targets": []}], "units": "lj"})
    node = recorder.chain("phase_diagram", {"model": model_node, "campaign": campaign}, label="LJ line")
    averages = [recorder.sample(model_node, phase, 800.0, 0.5, 7, node)[2] for phase in ("fcc", "liquid")]
    where = {"phases": ["fcc", "liquid"], "pressure_gpa": REFERENCE["pressure"], "slope_k_gpa": 30.0}
    function = recorder.function("phase_diagram.measure_slope", {"low": averages[0], "high": averages[1]}, node)
    recorder.out(function, result=(slope := orm.Dict(where)))
    joined = recorder.function("phase_diagram.join_lines", {"b0_p0": slope, "model": model_node}, node)
    point = {
        **where,
        "temperature_k": 801.0,
        "sigma_k": 4.0,
        "method": "clausius-clapeyron",
        "seeds": [],
        "pk": slope.pk,
    }
    recorder.out(joined, result=PhaseDiagramData(points=[point], model_hash=model_node.model_hash, elements=["Cu"]))
    traced = lineage(slope.pk)
    assert (traced["point"]["temperature_k"], traced["point"]["model_hash"]) == (801.0, model_node.model_hash)
    assert len(traced["runs"]) == 2
    printed = json.loads(invoke(slope.pk, "--json"))
    assert (printed["point"]["temperature"], printed["point"]["pressure"]) == (0.801, 1.0)
    assert "fcc–liquid at 1: 0.8010 ± 0.0040 (clausius-clapeyron" in invoke(slope.pk)


def test_the_command_prints_a_tree_json_and_a_drawing(calibration, traced, tmp_path):
    pk = calibration.verified.outputs.transition.pk
    text = invoke(pk, "-o", tmp_path / "drawn")
    for words in (
        f"fcc–liquid at 0 GPa: 1359.0 ± 3.0 K (pinning, seeds 30, PK {pk})",
        "target fcc–liquid at 0 GPa: 1357.8 ± 0.5 K: SGTE, Dinsdale 1991",
        "measured in 3 jobs",
        "4 samples, of these new:",
        f"(PK {calibration.models[0].pk}) eam Cu_mishin1.eam.alloy, the first of them",
        "code lmp@recorded",
        "LAMMPS (22 Jul 2025 - Update 4)",
    ):
        assert words in text, text
    assert json.loads(invoke(pk, "--json")) == json.loads(json.dumps(traced))
    drawn = tmp_path / "drawn" / "lineage.svg"
    assert ElementTree.parse(drawn).getroot().tag.endswith("svg")
    assert "http" not in drawn.read_text().replace("http://www.w3.org", "")


@pytest.mark.parametrize("name", ["999999", "nonsense"])
def test_an_unknown_node_is_refused_in_one_sentence(calibration, name):
    assert invoke(name, expect=2).splitlines() == [
        f"no node {name} in this profile; `phasecal query` lists points with their PKs"
    ]


def test_other_nodes_are_refused_with_the_remedy(calibration):
    for node in (calibration.node, calibration.anchors[0].inputs.state.creator or calibration.node.inputs.campaign):
        with pytest.raises(InputError, match="neither a boundary point nor a model"):
            lineage(node.pk)
    with pytest.raises(InputError, match="not the result of any run"):
        lineage(calibration.anchors[0].inputs.state.pk)
