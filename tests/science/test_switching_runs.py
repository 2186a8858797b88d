"""The runs that switch the Hamiltonian: their tasks, scripts and a few real steps of LAMMPS."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from pydantic import ValidationError

from phasecal.campaign.protocols import NAMES, FreeEnergy, protocol_numbers
from phasecal.engines import lammps
from phasecal.engines.lammps.switching import scaled_model
from phasecal.errors import DataError, InputError
from phasecal.freeenergy import absolute, frenkel_ladd
from phasecal.freeenergy.switching import legs

KINDS = ("frenkel-ladd", "uhlenbeck-ford", "reversible-scaling")


def task_of(kind: str, **changes) -> dict:
    common = {
        "schema": 1,
        "kind": kind,
        "phase": "fcc",
        "structure": {"prototype": "fcc", "elements": ["Cu"], "a": 3.65},
        "n_atoms": 32,
        "temperature_k": 1000.0,
        "pressure_gpa": 2.0,
        "timestep_fs": 2.8,
        "hold_steps": 50,
        "switch_steps": 100,
        "production_steps": 300,
        "sample_every": 50,
        "thermo_every": 5,
        "restart_every": 75,
        "seed": 7,
    }
    own = {
        "frenkel-ladd": {"cell_a": [7.3, 7.3, 7.3], "springs_ev_a2": {"Cu": 2.5}},
        "uhlenbeck-ford": {
            "cell_a": [7.6, 7.6, 7.6],
            "uf_p": 50.0,
            "uf_sigma_a": 1.5,
            "melt_temperature_k": 4000.0,
            "melt_steps": 100,
        },
        "reversible-scaling": {
            "end_temperature_k": 1250.0,
            "melt": False,
            "melt_temperature_k": None,
            "melt_steps": 0,
            "barostat": "iso",
        },
    }
    return common | own[kind] | changes


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("frenkel-ladd", {"production_steps": 301}, "must be 2 .hold_steps"),
        ("frenkel-ladd", {"hold_steps": 52, "production_steps": 304}, "hold_steps .52. must be a multiple"),
        ("frenkel-ladd", {"sample_every": 100}, "sample_every .100. must not exceed hold_steps"),
        ("frenkel-ladd", {"springs_ev_a2": {"Al": 1.0}}, "no spring for Cu"),
        ("uhlenbeck-ford", {"melt_temperature_k": 900.0}, "above temperature_k"),
        ("reversible-scaling", {"end_temperature_k": 1000.0}, "must differ"),
        ("reversible-scaling", {"melt": True}, "melt: needs"),
    ],
)
def test_wrong_tasks_are_named(kind, change, message):
    with pytest.raises(InputError, match=message):
        lammps.validate_task(task_of(kind, **change))


@pytest.mark.parametrize("kind", KINDS)
def test_every_variable_of_the_scripts_is_written(kind):
    text = lammps.script_path(kind).read_text()
    own = set(re.findall(r"^variable\s+(\w+)", text, re.MULTILINE)) | {"isrestart", "spring", "stage"}
    used = {a or b for a, b in re.findall(r"\$\{(\w+)\}|v_(\w+)", text)}
    parameters = set(lammps.validate_task(task_of(kind)).parameters())
    assert used - own <= parameters
    idle = parameters - used
    assert idle <= {"pressure_bar", "pdamp_ps"}  # of all kinds, but not of runs at fixed volume


@pytest.mark.parametrize("name", NAMES)
def test_protocols_give_tasks_whose_legs_can_be_cut(name):
    block = FreeEnergy.model_validate(protocol_numbers(name)["free_energy"])
    for change in ({"repeats": 1}, {"hold_steps": block.thermo_every + 1}, {"sample_every": 10**9}):
        with pytest.raises(ValidationError, match=next(iter(change))):
            FreeEnergy.model_validate(block.model_dump() | change)


# --- the potential


def test_any_single_pair_style_can_be_scaled():
    lines = scaled_model(
        [
            "pair_style lj/cut 8.5",
            "pair_modify shift yes",
            "pair_coeff 1 1 0.1 3.4",
            "pair_coeff 1 2 0.2 3.0",
            "mass 1 40",
        ]
    )
    assert lines == [
        "pair_style hybrid/scaled v_scale_model lj/cut 8.5",
        "pair_modify pair lj/cut shift yes",
        "pair_coeff 1 1 lj/cut 0.1 3.4",
        "pair_coeff 1 2 lj/cut 0.2 3.0",
        "mass 1 40",
        "compute model all pair lj/cut",
    ]


@pytest.mark.parametrize(
    ("commands", "message"),
    [
        (["pair_style hybrid/scaled 1.0 eam/alloy"], "hybrid/scaled cannot be scaled"),
        (["pair_style hybrid/overlay eam/alloy zero 6"], "the styles are unclear"),
        (["pair_coeff * * x Cu"], "not one pair_style"),
    ],
)
def test_what_is_no_sum_of_pair_styles_cannot_be_scaled(commands, message):
    with pytest.raises(InputError, match=message):
        scaled_model(commands)


def test_springs_follow_the_types_of_the_model():
    structure = {"prototype": "B2", "elements": ["Ni", "Al"], "a": 2.9}
    task = lammps.validate_task(task_of("frenkel-ladd", structure=structure, springs_ev_a2={"Ni": 3.0, "Al": 2.0}))
    last = task.potential(["pair_style eam/alloy", "pair_coeff * * f Al Cu Ni"], ("Al", "Cu", "Ni"))[-1]
    assert last == "variable spring atom (type==1)*2.0+(type==2)*0.0+(type==3)*3.0"


# --- real runs


@pytest.fixture(scope="module")
def runs(md, tmp_path_factory):
    found = {}
    for kind in KINDS:
        task = task_of(kind)
        folder = tmp_path_factory.mktemp(kind)
        lammps.write_inputs(folder, task, md.CopperFile())
        lammps.run_lammps(folder, kind)
        found[kind] = (lammps.read_output(folder, task, "0", ("Cu",)), task, folder)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_goes_there_and_back(runs, kind):
    output, task, _ = runs[kind]
    assert output.finished
    assert output.sample.n_frames == 7
    scale = dict(zip(output.thermo["step"].astype(int), output.thermo["lambda"], strict=True))
    start, end = (1.0, 0.8) if kind == "reversible-scaling" else (0.0, 1.0)
    assert [scale[step] for step in (0, 50, 150, 200, 300)] == pytest.approx([start, start, end, end, start])
    assert scale[100] == pytest.approx((start + end) / 2)
    forward, backward = legs(output.thermo, lammps.validate_task(task), output.thermo["model_ev"])
    assert forward.scale == pytest.approx(backward.scale[::-1], abs=1e-12)


def test_the_printed_energy_is_the_scaled_one_and_the_columns_are_not(runs):
    """What LAMMPS calls pe and what compute pair reports decide the sign and size of every work."""
    thermo = runs["uhlenbeck-ford"][0].thermo
    mixed = (1 - thermo["lambda"]) * thermo["model_ev"] + thermo["lambda"] * thermo["reference_ev"]
    assert thermo["pe"] == pytest.approx(mixed, rel=1e-9, abs=1e-8)
    thermo = runs["frenkel-ladd"][0].thermo
    assert thermo["pe"] == pytest.approx((1 - thermo["lambda"]) * thermo["model_ev"], rel=1e-9, abs=1e-8)
    thermo = runs["reversible-scaling"][0].thermo
    assert thermo["pe"] == pytest.approx(thermo["lambda"] * thermo["model_ev"], rel=1e-9)


def test_the_spring_energy_is_that_of_the_displacements(runs):
    output, task, _ = runs["frenkel-ladd"]
    sites = lammps.validate_task(task).start_configuration().positions
    energies = dict(zip(output.thermo["step"], output.thermo["reference_ev"], strict=True))
    for frame, step in zip(output.sample.positions, output.sample.steps, strict=True):
        expected = 0.5 * 2.5 * np.sum((frame - sites) ** 2)
        assert energies[step] == pytest.approx(expected, rel=1e-4, abs=1e-4)
        assert np.abs((frame - sites).mean(axis=0)).max() < 1e-5  # the centre of mass stays


def test_a_continued_run_keeps_its_schedule_and_its_sites(md, runs, tmp_path):
    """fix ti/spring does not: in a continued run it begins again with λ = 0."""
    whole, task, folder = runs["frenkel-ladd"]
    for name in ("production.75.restart", "continue.in", "start.data", "Cu_mishin1.eam.alloy"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    log = (folder / "log.lammps").read_text()
    (tmp_path / "log.lammps").write_text(log[: log.index("  - [80, ")])
    (tmp_path / "production.dump").write_text(
        (folder / "production.dump").read_text().split("ITEM: TIMESTEP\n100\n")[0]
    )
    lammps.write_inputs(tmp_path, task, md.CopperFile(), restart=True)
    lammps.run_lammps(tmp_path, "frenkel-ladd")
    output = lammps.read_output(tmp_path, task, "0", ("Cu",))
    assert output.finished
    np.testing.assert_array_equal(output.thermo["step"], whole.thermo["step"])
    assert output.thermo["lambda"] == pytest.approx(whole.thermo["lambda"], abs=1e-12)
    sites = lammps.validate_task(task).start_configuration().positions
    expected = 0.5 * 2.5 * np.sum((output.sample.positions[-1] - sites) ** 2)
    assert output.thermo["reference_ev"][-1] == pytest.approx(expected, rel=1e-4)


def test_a_continued_isobar_keeps_its_leg(md, runs, tmp_path):
    whole, task, folder = runs["reversible-scaling"]
    for name in ("production.225.restart", "continue.in", "start.data", "Cu_mishin1.eam.alloy"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    log = (folder / "log.lammps").read_text()
    (tmp_path / "log.lammps").write_text(log[: log.index("  - [230, ")])
    (tmp_path / "production.dump").write_text(
        (folder / "production.dump").read_text().split("ITEM: TIMESTEP\n250\n")[0]
    )
    lammps.write_inputs(tmp_path, task, md.CopperFile(), restart=True)
    lammps.run_lammps(tmp_path, "reversible-scaling")
    output = lammps.read_output(tmp_path, task, "0", ("Cu",))
    assert output.finished
    assert output.thermo["lambda"] == pytest.approx(whole.thermo["lambda"], abs=1e-12)


def test_springs_of_an_einstein_crystal_are_found(md):
    """Frames of known amplitude, shifted as a whole: the drift must not soften the springs."""
    rng = np.random.default_rng(2)
    task = lammps.validate_task(task_of("frenkel-ladd", n_atoms=108, cell_a=[10.95] * 3))
    sites = task.start_configuration().positions
    sample = md.recorded("complete")[0].sample
    k, kT = 2.5, 8.617333262e-5 * 1000
    noise = rng.normal(size=(40, 108, 3)) * math.sqrt(kT / k)
    drift = np.linspace(0, 1, 40)[:, None, None] * np.array([3.0, -2.0, 1.0])
    frames = type(sample)(
        positions=(sites + noise + drift).astype(np.float32),
        cells=np.tile(np.diag([10.95] * 3), (40, 1, 1)),
        energies=np.zeros(40),
        steps=np.arange(40),
        species=np.zeros(108, dtype=np.int32),
        elements=("Cu",),
        phase="fcc",
        temperature_k=1000.0,
        pressure_gpa=0.0,
        timestep_fs=2.8,
        model_hash="0",
    )
    found = frenkel_ladd.springs_from_sample(frames, task.structure, 108)
    assert found["Cu"] == pytest.approx(k * 108 / 107, rel=0.03)


def test_repeats_must_differ_in_their_seed_only(md, runs):
    output, task, _ = runs["frenkel-ladd"]
    run = (output.sample, output.thermo, task)
    settings = {"n_effective": 20.0, "max_dissipation_ev": 1.0}
    other = (output.sample, output.thermo, task | {"seed": 8, "temperature_k": 900.0})
    with pytest.raises(DataError, match="seed only"):
        absolute.free_energy([run, other], md.CopperFile.masses, **settings)
    twin = (output.sample, {**output.thermo, "model_ev": output.thermo["model_ev"] + 0.1}, task | {"seed": 8})
    found = absolute.free_energy([run, twin], md.CopperFile.masses, **settings)
    assert -5 < found.gibbs_ev < -3
    assert found.sigma_ev > 0
    assert found.gibbs_ev - found.helmholtz_ev == pytest.approx(2.0 * found.volume_a3 / 160.2176634)


def test_the_reference_counts_primitive_cells():
    """hcp has two atoms per lattice point: its centre of mass roams twice the volume per atom."""
    structure = {"prototype": "hcp", "elements": ["Cu"], "a": 2.6}
    task = lammps.validate_task(task_of("frenkel-ladd", structure=structure, n_atoms=48, cell_a=[7.8, 9.0, 8.5]))
    n = len(task.start_configuration())
    plain = frenkel_ladd.einstein_free_energy(
        [63.546] * n, [2.5] * n, temperature_k=1000.0, volume_a3=7.8 * 9.0 * 8.5, n_lattice_points=n // 2
    )
    assert frenkel_ladd.crystal_reference(task, {"Cu": 63.546}) == pytest.approx(plain / n, rel=1e-12)
