"""Campaign files: what a right one becomes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from phasecal.calibration.targets import alternatives_of, anchored_targets
from phasecal.campaign.context import TASKS
from phasecal.campaign.document import CampaignErrors
from phasecal.campaign.load import load_campaign
from phasecal.campaign.model import build_model
from phasecal.campaign.protocols import NAMES
from phasecal.campaign.reduced import SIGMA_A, reduced

COPPER = Path(__file__).parents[2] / "workflows" / "campaigns" / "copper.yaml"
CAMPAIGNS = Path(__file__).parent / "campaigns"
GOOD = (CAMPAIGNS / "copper.yaml").read_text()
LJ = (CAMPAIGNS / "lennard-jones.yaml").read_text()
FROZEN = (CAMPAIGNS / "titanium.yaml").read_text()
TARGETS = GOOD[GOOD.index("    targets:") : GOOD.index("protect:")]


def test_the_engine_of_bulk_states_is_said(validate, write):
    code, (line,) = validate(write(GOOD.replace("protocol: fast", "protocol: fast\nengine: jax-md")))
    assert (code, load_campaign(write(GOOD)).engine) == (0, "lammps")
    assert line.endswith("protocol fast; bulk states by jax-md, interfaces and free energies by LAMMPS")


def test_a_frozen_base_becomes_a_model_with_its_files(validate, write):
    campaign = load_campaign(write(FROZEN))
    model = build_model(campaign)
    assert (model.family, model.elements, campaign.source_name) == ("lammps", ("Ti",), "meam/spline")
    assert list(model.files) == ["Ti.meam.spline"]
    assert len(model.parameter_names) == 18
    assert model.hash == build_model(load_campaign(write(FROZEN))).hash
    bare = FROZEN.replace("  correction: {family: eam, pair: 12, density: 0, embedding: 6, cutoff: 6 A}\n", "")
    assert validate(write(bare), "--task", "transition")[0] == 0
    assert build_model(load_campaign(write(bare), task="transition")).parameter_names == ()


def test_a_file_must_not_replace_one_of_a_run(validate, write, tmp_path):
    (tmp_path / "bulk.in").write_text("shell ls")
    code, output = validate(write(FROZEN.replace("lammps://Ti.meam.spline", "bulk.in")))
    assert code == 2
    assert "model.files[0]: bulk.in is the name of a file of every run; expected another name" in output[0]


def test_without_the_key_every_bare_number_is_an_error(validate, write):
    code, output = validate(write(LJ.replace("units: lj\n", "")))
    keys = ["model.epsilon", "model.sigma", "phases.fcc.elements", "phases.fcc.density", "boundaries[0].guess"]
    assert code == 2
    assert [line.split(": ")[1] for line in output][:5] == keys
    assert output[0].endswith(
        "model.epsilon: no unit; expected depth of the potential, such as 119.8 K (or 1.0 with units: lj) (got 1.0)"
    )


def test_reduced_units_are_for_lennard_jones_only(validate, write):
    code, output = validate(write(GOOD.replace("title: copper", "title: copper\nunits: lj")))
    assert code == 2
    assert any("units: units: lj without family: lj" in line for line in output)


def test_reduced_numbers_become_internal_units_once(validate, write):
    campaign = load_campaign(write(LJ))
    data = campaign.to_dict()
    assert json.loads(json.dumps(data)) == data
    boundary = data["boundaries"][0]
    assert (data["units"], boundary["guess_k"], data["tolerance_k"]) == ("lj", 800.0, 2.0)
    assert boundary["targets"][0]["pressure_gpa"] == 2.185 * 0.5
    assert "density" not in data["phases"]["fcc"]
    assert data["phases"]["fcc"]["a"] == pytest.approx(SIGMA_A * (4 / 0.95) ** (1 / 3), rel=1e-12)
    assert data["protect"] == []  # two parameters cannot keep anything and meet a target
    model = build_model(campaign)
    assert (model.elements, model.masses, model.shift) == (("X",), {"X": 40.0}, True)
    assert model.epsilon == pytest.approx(8.617333262e-2, rel=1e-12)
    assert (model.cutoff_sigmas, model.sigma) == (2.5, SIGMA_A)
    assert reduced(boundary)["guess"] == 0.8
    assert reduced(boundary)["targets"][0]["pressure"] == 2.185
    assert validate(write(LJ), "--task", "transition") == (
        0, [f"{write(LJ)}: valid for transition: Lennard-Jones; lj X; fcc–liquid; 1 target; protocol fast"]
    )  # fmt: skip


def test_lennard_jones_in_ordinary_units(validate, write):
    text = (
        LJ.replace("units: lj\n", "")
        .replace("[X], density: 0.95", "[Ar], a: 5.45 A")
        .replace("epsilon: 1.0", "epsilon: 119.8 K")
    )
    text = (
        text.replace("sigma: 1.0", "sigma: 3.405 A")
        .replace("guess: 0.8", "guess: 84 K")
        .replace("tolerance: 0.002", "tolerance: 1 K")
    )
    text = text.replace("2.185, temperature: 0.8, sigma: 0.004", "0 GPa, temperature: 83.8 K, sigma: 0.1 K")
    campaign = load_campaign(write(text))
    model = build_model(campaign)
    assert campaign.to_dict()["units"] is None
    assert model.masses["Ar"] == pytest.approx(39.95, abs=0.01)
    assert model.epsilon == pytest.approx(0.010324, abs=1e-6)
    code, output = validate(write(text.replace("[Ar], a: 5.45 A", "[Ar], density: 0.95")))
    assert (code, len(output)) == (2, 1)
    assert "phases.fcc.density: a density without units: lj" in output[0]
    code, output = validate(write(text.replace("[Ar]", "[X]")))
    assert (code, len(output)) == (2, 1)
    assert "'X' is not a chemical symbol" in output[0]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("protocol", NAMES)
def test_the_copper_campaign_is_valid_for_every_task_and_protocol(validate, task, protocol):
    code, output = validate(COPPER, "--task", task, "--protocol", protocol)
    assert (code, len(output)) == (0, 1)


def test_a_campaign_becomes_numbers_in_internal_units(write):
    text = GOOD.replace("0 GPa", "10 kbar").replace("6 A", "0.6 nm").replace("protocol: fast\n", "protocol: balanced\n")
    campaign = load_campaign(write(text))
    data = campaign.to_dict()
    assert json.loads(json.dumps(data)) == data
    assert data["model"] == {
        "family": "eam",
        "source": "lammps://Cu_zhou.eam.alloy",
        "train": {"pair": 12, "density": 0, "embedding": 0},
        "cutoff": 6.0,
    }
    assert data["phases"]["liquid"] == {"melt": "fcc"}
    boundary = data["boundaries"][0]
    assert (boundary["phases"], boundary["guess_k"], boundary["pressures_gpa"]) == (["fcc", "liquid"], 1200.0, [])
    assert boundary["targets"][0] == {
        "pressure_gpa": pytest.approx(1.0),
        "temperature_k": 1357.77,
        "sigma_k": 0.5,
        "source": "SGTE, Dinsdale 1991",
    }
    assert (data["tolerance_k"], data["seed"], data["step"]) == (2.0, 1, "gauss-newton")
    assert data["protocol"]["anchor"]["start_spread_k"] is None
    assert 1350 * data["protocol"]["anchor"]["relative_spread"] == pytest.approx(15.0, abs=0.1)
    assert campaign.source_path.name == "Cu_zhou.eam.alloy"
    assert campaign.elements == ["Cu"]


def test_the_file_of_another_potential_is_enough(write):
    other = load_campaign(write(GOOD.replace("Cu_zhou.eam", "Cu_mishin1.eam")), task="calibrate")  # ends at 5.5 Å
    assert other.to_dict()["model"]["cutoff"] is None


def test_competitors_get_the_volume_per_atom_of_the_first_crystal(write):
    fcc, hcp = load_campaign(write(GOOD)).to_dict()["protect"]
    assert fcc == {"name": "fcc", "kind": "phase", "structure": {"prototype": "fcc", "elements": ["Cu"], "a": 3.615}}
    assert (hcp["name"], hcp["kind"]) == ("hcp", "competitor")
    assert hcp["structure"]["a"] == pytest.approx(3.615 / 2**0.5)


def test_every_crystal_is_protected_unless_the_campaign_says_otherwise(write):
    protect = load_campaign(write(GOOD.replace("protect: [fcc, hcp]\n", ""))).to_dict()["protect"]
    assert [(entry["name"], entry["kind"]) for entry in protect] == [("fcc", "phase"), ("bcc", "phase")]


def test_a_transition_needs_pressures_and_a_guess_instead_of_targets(validate, write):
    bare = GOOD.replace(TARGETS, "").replace("  train: {pair: 12}\n", "")
    assert validate(write(bare), "--task", "transition")[1][0].endswith(
        "boundaries[0]: neither pressures nor targets; expected pressures such as [0 GPa], or targets "
        "(got {'phases': ['fcc', 'liquid'], 'guess': '1200 K'})"
    )
    path = write(bare.replace("guess: 1200 K", "guess: 1200 K\n    pressures: [0 GPa, 5 GPa]"))
    assert validate(path, "--task", "transition")[0] == 0
    assert load_campaign(path, task="transition").to_dict()["boundaries"][0]["pressures_gpa"] == [0.0, 5.0]
    path = write(bare.replace("guess: 1200 K", "pressures: [0 GPa]"))
    assert "no guess, and no target at every pressure" in validate(path, "--task", "transition")[1][0]
    path = write(bare.replace("guess: 1200 K", "guess: 1200 K\n    pressures: [0 GPa, 0 GPa]"))
    assert "appears twice" in validate(path, "--task", "transition")[1][0]


def test_anchors_are_at_targets_of_a_calibration_and_at_pressures_of_a_diagram(validate, write):
    second = TARGETS.splitlines()[1].replace("0 GPa", "5 GPa").replace("1357.77", "1530")
    text = GOOD.replace(TARGETS, TARGETS + second + "\n")
    assert anchored_targets(load_campaign(write(text)).to_dict()) == [0, 1]
    text = text.replace("guess: 1200 K", "guess: 1200 K\n    anchors: [5 GPa]")
    assert anchored_targets(load_campaign(write(text)).to_dict()) == [1]
    for task in ("verify", "transition", "phase-diagram"):  # one file for all tasks
        assert validate(write(text), "--task", task)[0] == 0
    wider = text.replace("anchors: [5 GPa]", "anchors: [10 GPa]\n    pressures: [0 GPa, 10 GPa]")
    assert validate(write(wider), "--task", "phase-diagram")[0] == 0
    assert "10 GPa is not among the pressures" in validate(write(wider))[1][0]


def test_other_experiments_become_points_of_their_boundary(validate, write, tmp_path):
    table = tmp_path / "others.csv"
    table.write_text('# copper\npressure_gpa,temperature_k,source\n\n1.5,1410,"Doe, 1999"\n')
    path = write(GOOD.replace("guess: 1200 K", "guess: 1200 K\n    alternatives: others.csv"))
    (point,) = alternatives_of(load_campaign(path).to_dict())
    assert point == {
        "phases": ["fcc", "liquid"], "pressure_gpa": 1.5, "temperature_k": 1410.0, "source": "Doe, 1999",
    }  # fmt: skip
    assert alternatives_of(load_campaign(write(GOOD)).to_dict()) == []


@pytest.mark.parametrize(
    "row, message",
    [
        ("1.5,1410", "line 2: '1.5,1410'; expected a pressure in GPa, a temperature in K and a source"),
        ("1.5,hot,Doe", "line 2: '1.5,hot,Doe'; expected"),
        ("1.5,nan,Doe", "line 2: temperature_k: "),
        ("1.5,-3,Doe", "line 2: temperature_k: "),
        ("1e9,1410,Doe", "line 2: pressure_gpa: "),
        ("1.5,1410,", "line 2: source: "),
        ("1.5,1410,\x1b[31m", "line 2: source: "),
    ],
)
def test_a_row_that_is_no_point_is_named(validate, write, tmp_path, row, message):
    (tmp_path / "others.csv").write_text(f"pressure_gpa,temperature_k,source\n{row}\n")
    code, output = validate(write(GOOD.replace("guess: 1200 K", "guess: 1200 K\n    alternatives: others.csv")))
    assert code == 2
    assert f"boundaries[0].alternatives: others.csv, {message}" in output[0]


def test_relative_sources_are_relative_to_the_campaign_file(write, tmp_path, monkeypatch):
    potential = load_campaign(COPPER).source_path
    (tmp_path / "mine.alloy").write_bytes(potential.read_bytes())
    path = write(GOOD.replace("lammps://Cu_zhou.eam.alloy", "mine.alloy"))
    monkeypatch.chdir("/")
    assert load_campaign(path).source_path == (tmp_path / "mine.alloy").resolve()


def test_nobelium_is_an_element_and_not_a_truth_value(validate, write):
    code, output = validate(write(GOOD.replace("bcc, elements: [Cu]", "bcc, elements: [No]")))
    assert code == 2
    assert "No is not in Cu_zhou.eam.alloy" in output[0]


def test_protocols_are_overridden_key_by_key_and_replaced_by_name(write):
    path = write(GOOD.replace("protocol: fast", "protocol: {name: fast, anchor: {start_spread: 5 K}}"))
    fast = load_campaign(COPPER, protocol="fast").to_dict()["protocol"]
    changed = load_campaign(path).to_dict()["protocol"]
    assert changed["anchor"] == {**fast["anchor"], "start_spread_k": 5.0}
    assert {**changed, "anchor": fast["anchor"]} == fast
    balanced = load_campaign(path, protocol="balanced").to_dict()["protocol"]
    assert (balanced["name"], balanced["anchor"]["start_spread_k"]) == ("balanced", 5.0)


def test_protocols_ask_for_more_in_order_of_their_names():
    numbers = [load_campaign(COPPER, protocol=name).to_dict()["protocol"] for name in NAMES]
    for block in ("anchor", "reanchor", "verification"):
        cost = [
            p[block]["n_lateral"] ** 2 * p[block]["n_normal"] * p[block]["replicas"] * p[block]["production_steps"]
            for p in numbers
        ]
        assert cost == sorted(cost)
        assert cost[0] < cost[1] < cost[2]


def test_the_computer_can_be_replaced(write):
    assert load_campaign(COPPER, computer="cluster").to_dict()["resources"] == {"computer": "cluster", "slots": 2}
    path = write(GOOD.replace("resources: {computer: localhost, slots: 2}\n", ""))
    assert load_campaign(path, computer="cluster").resources.computer == "cluster"
    with pytest.raises(CampaignErrors, match=r"resources\.computer: unusable characters"):
        load_campaign(path, computer="a b")
