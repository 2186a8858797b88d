"""A phase diagram on record: slopes and transitions joined to lines, the next guess, the command."""

from __future__ import annotations

import csv
import json
from types import SimpleNamespace

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine.utils import instantiate_process
from aiida.manage.manager import get_manager
from aiida_phasecal.cli import cmd_phasecal
from aiida_phasecal.data.phase_diagram import PhaseDiagramData
from aiida_phasecal.record import summarise
from aiida_phasecal.reporting import failed_checks
from aiida_phasecal.workchains.phase_diagram import PhaseDiagramWorkChain, join_lines, measure_slope
from aiida_phasecal.workchains.points import collect_points
from aiida_phasecal.workchains.sample import SampleWorkChain
from aiida_phasecal.workchains.transition import TransitionWorkChain
from click.testing import CliRunner

from phasecal.campaign.load import load_campaign
from phasecal.engines import lammps

CAMPAIGN = """\
schema: 1
title: copper line
model: {family: eam, source: "lammps://Cu_mishin1.eam.alloy"}
phases: {fcc: {prototype: fcc, elements: [Cu], a: 3.615 A}, liquid: {melt: fcc}}
boundaries:
  - {phases: [fcc, liquid], pressures: [0 GPa, 5 GPa, 10 GPa, 20 GPa], anchors: [0 GPa, 10 GPa], guess: 1330 K}
protocol: fast
"""
K_B = 8.617333262e-5


def averages(enthalpy, volume):
    return orm.Dict({"enthalpy_ev": {"value": enthalpy, "sigma": 1e-4}, "volume_a3": {"value": volume, "sigma": 0.005}})


def slope_at(pressure, temperature, delta_v):
    where = orm.Dict({"phases": ["fcc", "liquid"], "pressure_gpa": pressure, "expected_k": temperature})
    return measure_slope(where, averages(-3.2, 12.9), averages(-3.2 + 1.2 * K_B * temperature, 12.9 + delta_v))


def transition(model, pressure, temperature, delta_v):
    data = slope_at(pressure, temperature, delta_v).get_dict()
    data.pop("expected_k")
    return orm.Dict(
        {
            **data,
            "temperature_k": temperature,
            "sigma_k": 3.0,
            "method": "coexistence",
            "seeds": [1, 2],
            "model_hash": model.model_hash,
        }
    ).store()


@pytest.fixture
def measured(model_node):
    return {
        "b0_p0": transition(model_node, 0.0, 1326.0, 0.60),
        "b0_p1": slope_at(5.0, 1500.0, 0.55),
        "b0_p2": transition(model_node, 10.0, 1658.0, 0.50),
        "b0_p3": slope_at(20.0, 1935.0, 0.42),
    }


@pytest.fixture
def campaign(tmp_path):
    path = tmp_path / "line.yaml"
    path.write_text(CAMPAIGN)
    return load_campaign(path, task="phase-diagram").to_dict()


def test_slopes_carry_no_temperature_that_was_not_measured():
    slope = slope_at(5.0, 1500.0, 0.55).get_dict()
    assert slope["slope_k_gpa"] == pytest.approx(0.55 / (1.2 * K_B) / 160.2176634)
    assert "temperature_k" not in slope and "sigma_k" not in slope


def test_lines_join_anchors_and_slopes(model_node, measured):
    diagram = join_lines(model_node, **measured)
    assert [point["method"] for point in diagram.points] == ["coexistence", "clausius-clapeyron"] * 2
    assert all(point["sigma_k"] > 0 for point in diagram.points)
    assert diagram.points[3]["temperature_k"] == pytest.approx(1935, abs=15)
    assert diagram.points[3]["sigma_k"] > diagram.points[0]["sigma_k"]
    (check,) = diagram.lines["checks"]
    assert check["passed"], check


def test_an_anchor_of_another_model_is_refused(model_node, measured):
    wrong = orm.Dict({**measured["b0_p0"].get_dict(), "model_hash": "0" * 64})
    with pytest.raises(ValueError, match="belongs to model 000000000000"):
        join_lines(model_node, **{**measured, "b0_p0": wrong})


def test_the_walk_goes_from_the_lowest_pressure_with_better_and_better_guesses(model_node, measured, codes, campaign):
    inputs = {"model": model_node, "code": codes["lmp"], "campaign": orm.Dict(campaign)}
    chain = instantiate_process(get_manager().get_runner(), PhaseDiagramWorkChain, **inputs)
    chain.setup()
    expected = {0: (True, 1330.0, 1e-9), 1: (False, 1507.0, 1), 2: (True, 1658.0, 5), 3: (False, 1935.0, 15)}
    for index, (anchor, temperature, tolerance) in expected.items():
        chain.ctx.index = index
        assert chain.should_go_on()
        ((_, state),) = chain.next_states()
        assert state["anchor"] is anchor
        assert state["temperature_k"] == pytest.approx(temperature, abs=tolerance)
        chain.keep(0, measured[f"b0_p{index}"])
    chain.ctx.index = 4
    assert not chain.should_go_on()


def test_anchors_are_measured_and_the_rest_is_sampled_with_seeds_of_its_own(model_node, measured, codes, campaign):
    inputs = {"model": model_node, "code": codes["lmp"], "campaign": orm.Dict(campaign)}
    chain = instantiate_process(get_manager().get_runner(), PhaseDiagramWorkChain, **inputs)
    submitted = []

    def submit(child, **given):
        submitted.append((child, given))
        if child is TransitionWorkChain:
            anchor = measured["b0_p0" if given["state"]["pressure_gpa"] == 0 else "b0_p2"]
            return SimpleNamespace(is_finished_ok=True, outputs=SimpleNamespace(transition=anchor))
        lammps.validate_task(task := given["task"].get_dict())
        enthalpy = -3.2 + (1.2 * K_B * task["temperature_k"] if task["melt"] else 0)
        properties = averages(enthalpy, 13.4 if task["melt"] else 12.9)
        return SimpleNamespace(is_finished_ok=True, outputs=SimpleNamespace(properties=properties))

    chain.submit = submit
    chain.setup()
    while chain.should_go_on():
        chain.ctx.update(chain.run_next())
        assert chain.inspect_anchors() is None
        assert chain.inspect_samples() is None
    anchors = [given["state"].get_dict() for child, given in submitted if child is TransitionWorkChain]
    tasks = [given["task"].get_dict() for child, given in submitted if child is SampleWorkChain]
    assert [state["pressure_gpa"] for state in anchors] == [0.0, 10.0]
    assert [(task["phase"], task["pressure_gpa"]) for task in tasks] == [
        (phase, pressure) for pressure in (5.0, 20.0) for phase in ("fcc", "liquid")
    ]
    assert len({task["seed"] for task in tasks}) == len(tasks)
    assert len({state["label"] for state in anchors}) == len(anchors)
    assert sorted(chain.ctx.measured) == ["b0_p0", "b0_p1", "b0_p2", "b0_p3"]


@pytest.fixture
def finished(model_node, measured, campaign):
    node = orm.WorkChainNode(process_type="aiida.workflows:phasecal.phase_diagram", label="copper line")
    for name, value in (("model", model_node), ("campaign", orm.Dict(campaign).store())):
        node.base.links.add_incoming(value, link_type=LinkType.INPUT_WORK, link_label=name)
    node.set_process_state("finished")
    node.set_exit_status(0)
    node.store()
    diagram = PhaseDiagramData(
        points=(found := join_lines(model_node, **measured)).points,
        lines=found.lines,
        model_hash=model_node.model_hash,
        elements=["Cu"],
    ).store()
    diagram.base.links.add_incoming(node, link_type=LinkType.RETURN, link_label="phase_diagram")
    return node


def test_the_command_writes_figure_and_tables(finished, tmp_path):
    folder = tmp_path / "out"
    result = CliRunner().invoke(cmd_phasecal, ["diagram", str(finished.pk), "-o", str(folder)])
    assert result.exit_code == 0, result.output
    assert "passed: Clausius-Clapeyron along fcc–liquid" in result.output
    with (folder / "points.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == ["coexistence", "clausius-clapeyron"] * 2
    assert {"phase_diagram.svg", "phase_diagram.png", "lines.csv"} <= {path.name for path in folder.iterdir()}
    shown = json.loads(CliRunner().invoke(cmd_phasecal, ["show", str(finished.pk), "--json"]).stdout)
    assert shown["task"] == "phase-diagram"
    assert [entry["pressure_gpa"] for entry in shown["boundaries"]] == [0.0, 5.0, 10.0, 20.0]


def test_a_campaign_without_lines_says_how_to_get_them(finished):
    unfinished = orm.WorkChainNode(process_type="aiida.workflows:phasecal.phase_diagram").store()
    result = CliRunner().invoke(cmd_phasecal, ["diagram", str(unfinished.pk)])
    assert result.exit_code == 2
    assert "has no lines over pressure" in result.output


def verification(recorder, model, transitions):
    """A finished verification of transitions that were measured one by one."""
    node = recorder.chain("verify", {"model": model, "campaign": orm.Dict({"boundaries": []})}, label="copper")
    for measured in transitions:
        recorder.out(recorder.chain("transition", {"model": model}, node), transition=measured)
    diagram = collect_points(model, **{f"state_{i}": measured for i, measured in enumerate(transitions)})
    recorder.out(node, phase_diagram=diagram)
    return node


def test_points_verified_one_by_one_are_shown_beside_their_line(recorder, model_node, tmp_path):
    temperatures = {0.0: 1329.0, 5.0: 1497.0, 10.0: 1659.0}
    found = [transition(model_node, p, t, 0.60 - 0.01 * p) for p, t in temperatures.items()]
    node = verification(recorder, model_node, found)
    entries = {entry["pressure_gpa"]: entry for entry in summarise(node)["boundaries"]}
    assert {p: entry["temperature_k"] for p, entry in entries.items()} == temperatures  # themselves as measured
    assert all(0 < entry["line_sigma_k"] < entry["sigma_k"] for entry in entries.values())
    assert max(abs(entry["line_k"] - entry["temperature_k"]) for entry in entries.values()) < 10
    assert failed_checks(node) == []
    shown = CliRunner().invoke(cmd_phasecal, ["show", str(node.pk)]).output
    assert "on the" in shown
    drawn = CliRunner().invoke(cmd_phasecal, ["diagram", str(node.pk), "-o", str(tmp_path)])
    assert drawn.exit_code == 0, drawn.output
    assert "passed: Clausius-Clapeyron along fcc–liquid" in drawn.output
    assert (tmp_path / "phase_diagram.svg").exists()


def test_a_verified_point_off_the_line_is_a_warning(recorder, model_node):
    """Negative control: 60 K, of 3."""
    found = [transition(model_node, p, t, 0.60 - 0.01 * p) for p, t in {0.0: 1329.0, 5.0: 1557.0, 10.0: 1659.0}.items()]
    (warning,) = failed_checks(verification(recorder, model_node, found))
    assert warning.startswith("Clausius-Clapeyron along fcc–liquid failed: 3 measured temperatures")


def test_one_pressure_has_no_line(recorder, model_node):
    node = verification(recorder, model_node, [transition(model_node, 0.0, 1329.0, 0.60)])
    (entry,) = summarise(node)["boundaries"]
    assert entry["line_k"] is None
    assert "on the" not in CliRunner().invoke(cmd_phasecal, ["show", str(node.pk)]).output
