"""What a report is told from the record: rejected runs, cost by part, lines over pressure, corrections."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from aiida import orm
from aiida.common.extendeddicts import AttributeDict
from aiida_phasecal.report_model import functions, parameters
from aiida_phasecal.report_properties import reference_properties, room_temperature
from aiida_phasecal.report_runs import cost_parts, rejections
from aiida_phasecal.reporting import drawn
from aiida_phasecal.tree import process_tree
from ase.build import bulk

from phasecal.freeenergy.diagram import joined
from phasecal.potentials.correction import eam_correction
from phasecal.potentials.frozen import FrozenModel
from phasecal.potentials.lj import LjModel
from phasecal.report.properties import describe


@pytest.fixture(scope="module")
def measured(recorder, copper_model):
    """A campaign that measured one boundary with two interface runs, of which one was rejected."""
    from aiida_phasecal.data.model import ModelData  # noqa: PLC0415 - after the profile is loaded

    model = ModelData.from_model(copper_model).store()
    node = recorder.chain("points", {"model": model}, label="copper")
    run = recorder.chain("transition", {"model": model}, node)
    run.base.attributes.set("process_label", "TransitionWorkChain")
    jobs = []
    for seed in (11, 12):
        jobs.append(recorder.job("lammps", {"model": model, "task": orm.Dict({"seed": seed})}, run))
        recorder.out(jobs[-1], results=orm.Dict({"steps_done": 1000, "n_atoms": 500}))
    replicas = [{"seed": 11, "rejections": []}, {"seed": 12, "rejections": ["the slab melted"]}]
    analysis = recorder.function("analysis.analyse_coexistence", {"task_0": orm.Dict({})}, run)
    found = {"replicas": replicas, "phases": ["fcc", "liquid"], "pressure_gpa": 0.0}
    recorder.out(analysis, result=orm.Dict(found))
    return node, jobs


def test_a_rejected_run_is_told_once_with_its_job(measured):
    node, jobs = measured
    what = "interface run of fcc–liquid at 0 GPa"
    expected = {"what": what, "seed": 12, "pk": jobs[1].pk, "reasons": ["the slab melted"]}
    assert rejections(process_tree(node)) == [expected]


def test_cost_is_told_by_part(measured):
    node, _ = measured
    (part,) = cost_parts(node.pk, process_tree(node))
    assert (part["name"], part["jobs"], part["atom_steps"]) == ("measuring boundaries", 2, 1_000_000)


def test_a_line_goes_through_its_points_with_their_slopes():
    slopes = {"slope_k_gpa": 40.0, "slope_k_gpa_sigma": 1.0}
    where = {"phases": ["fcc", "liquid"], "sigma_k": 3.0, **slopes}
    points = [{**where, "pressure_gpa": p, "temperature_k": 1350 + 40 * p} for p in (0.0, 2.0)]
    (line,) = drawn("initial", joined(points))
    assert (line["label"], line["phases"]) == ("initial", ["fcc", "liquid"])
    assert np.allclose(line["temperature_k"], 1350 + 40 * np.array(line["pressure_gpa"]))
    assert 0 < max(line["sigma_k"]) <= 3.0 + 1e-9
    assert drawn("initial", joined(points[:1])) == []


def test_the_correction_of_a_frozen_potential_has_functions():
    correction = eam_correction([bulk("Ar", "fcc", a=5.3)], ["Ar"], {"pair": 3}, 8.0)
    commands = ["pair_style lj/cut 8.0", "pair_coeff 1 1 0.0103 3.405"]
    before = FrozenModel.from_commands(["Ar"], commands, {}, correction)
    after = before.with_theta(np.array([0.01, -0.02, 0.0]))
    table = functions(before, after)["pair"]["Ar-Ar"]
    assert not np.any(table["initial"]) and np.any(table["final"])
    assert functions(FrozenModel.from_commands(["Ar"], commands, {}), None) == {}
    (group,) = parameters(before, after)
    assert (group["name"], group["n"], group["initial"]) == ("pair[Ar-Ar]", 3, 0.0)


def test_a_single_parameter_is_told_with_its_sign():
    before = LjModel.from_parameters(
        element="Ar", mass=39.95, epsilon=0.0103, sigma=3.4, cutoff_sigmas=2.5, train=["epsilon"]
    )
    (told,) = parameters(before, before.with_theta(before.theta - 0.1))
    assert told["n"] == 1 and told["change"] == pytest.approx(-0.1)


def test_forces_of_reference_frames_are_reported_in_mev():
    errors = {"original": 0.148, "next": 0.151}
    entry = {"pk": 7, "reference": {"force_rms_change_ev_a": 0.034, "force_rms_error_ev_a": errors}}
    change, error = reference_properties(entry)
    assert (change["name"], change["final"]) == ("force_rms_change[reference]", pytest.approx(34.0))
    assert (error["initial"], error["final"]) == pytest.approx((148.0, 151.0))
    assert describe(change["name"]).unit == describe(error["name"]).unit == "meV/Å"
    assert reference_properties({"pk": 7}) == []


def test_lattices_at_room_temperature_are_reported_as_far_as_they_are_known():
    def sampled(**lattice):
        known = {name: {"value": value, "sigma": 0.01} for name, value in lattice.items()}
        return SimpleNamespace(pk=5, get_dict=lambda: {"lattice": known})

    room = {"initial_hcp": sampled(a=2.95, c_over_a=1.59), "final_hcp": sampled(a=2.96, c_over_a=1.6)}
    room["final_bcc"] = sampled(a=3.3)
    phases = {"hcp": {"prototype": "hcp"}, "bcc": {"prototype": "bcc"}, "liquid": {"melt": "bcc"}}
    inputs = SimpleNamespace(campaign=SimpleNamespace(get_dict=lambda: {"phases": phases}))
    found = room_temperature(SimpleNamespace(inputs=inputs, outputs=AttributeDict({"room_temperature": room})))
    assert [(entry["name"], entry.get("initial"), entry["final"]) for entry in found] == [
        ("a[300 K]", 2.95, 2.96),
        ("c_over_a[300 K]", 1.59, 1.6),
        ("a[bcc 300 K]", None, 3.3),
    ]
    assert [describe(entry["name"]).unit for entry in found] == [entry["unit"] for entry in found]
