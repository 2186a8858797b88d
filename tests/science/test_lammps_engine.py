"""LAMMPS engine: tasks, inputs, and a reader that survives killed, continued and crashed runs."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest

from phasecal.engines import lammps
from phasecal.engines.lammps.progress import total_steps
from phasecal.engines.lammps.task import sub_seeds
from phasecal.errors import DataError, EngineError, InputError
from phasecal.observables.order import scaled_positions


def variables(folder):
    lines = (folder / "parameters.in").read_text().splitlines()
    return dict(re.fullmatch(r"variable (\S+) index (\S+)", line).groups() for line in lines)


# --- tasks


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "schema"),
        ({"kind": "dance"}, "bulk"),
        ({"temperature_k": -1.0}, "temperature_k: .*greater than 0"),
        ({"temperature_k": float("nan")}, "temperature_k"),
        ({"pressure_gpa": float("inf")}, "pressure_gpa"),
        ({"seed": 0}, "seed"),
        ({"seed": 900_000_000}, "seed"),
        ({"sample_every": 55}, "sample_every .55. must be a multiple of thermo_every"),
        ({"melt": True}, "melt: needs melt_temperature_k above"),
        ({"structure": {"prototype": "fcc", "elements": ["Cu"]}}, "structure: a must be a length"),
        ({"colour": "red"}, "colour: Extra"),
        ({"barostat": "triclinic"}, "barostat"),
    ],
)
def test_wrong_tasks_are_named(md, change, message):
    with pytest.raises(InputError, match=message):
        lammps.validate_task(md.bulk_task(**change))


def test_all_errors_of_a_task_are_reported_at_once(md):
    with pytest.raises(InputError, match=r"temperature_k.*seed"):
        lammps.validate_task(md.coexistence_task(temperature_k=0.0, seed=-3))
    with pytest.raises(InputError, match="melt_temperature_k must be above"):
        lammps.validate_task(md.coexistence_task(melt_temperature_k=1310.0))
    with pytest.raises(InputError, match="phases must differ"):
        lammps.validate_task(md.coexistence_task(phases=["fcc", "fcc"]))


@pytest.mark.parametrize(("mass", "expected"), [(63.546, 2.8), (47.867, 2.4), (26.98, 1.8), (1.008, 0.4), (238.0, 3.0)])
def test_the_time_step_follows_the_root_of_the_lightest_mass(mass, expected):
    assert lammps.timestep_fs({"X": mass, "Heavy": 300.0}) == pytest.approx(expected)


def test_half_the_time_step_is_the_same_run_in_time(md):
    for task in (md.bulk_task(), md.coexistence_task(), md.pinning_task()):
        halved = lammps.with_half_step(task)
        before, after = (lammps.validate_task(one) for one in (task, halved))
        assert after.timestep_fs == before.timestep_fs / 2
        assert total_steps(halved) == 2 * total_steps(task)
        for name in ("thermo_every", "sample_every", "restart_every"):
            assert getattr(after, name) == 2 * getattr(before, name)
        assert {key: halved[key] for key in ("seed", "temperature_k", "structure")}.items() <= task.items()
    with pytest.raises(InputError, match="production_steps"):
        lammps.with_half_step(md.bulk_task(production_steps=10**10))


# --- inputs


def test_inputs_carry_every_digit_in_lammps_units(md, tmp_path):
    task = md.bulk_task(temperature_k=1357.7699999999998, pressure_gpa=1.2345678901234567, timestep_fs=2.8)
    lammps.write_inputs(tmp_path, task, md.CopperFile())
    values = variables(tmp_path)
    assert float(values["temperature"]) == 1357.7699999999998
    assert float(values["pressure_bar"]) == 1.2345678901234567e4
    assert float(values["timestep_ps"]) == pytest.approx(0.0028, rel=1e-15)
    assert values["isrestart"] == "0"
    assert (tmp_path / "Cu_mishin1.eam.alloy").exists()
    data = (tmp_path / "start.data").read_text()
    assert "108 atoms" in data
    assert f"0.0 {3 * 3.65!r} xlo xhi" in data
    lammps.write_inputs(tmp_path, task, md.CopperFile(), restart=True)
    assert variables(tmp_path)["isrestart"] == "1"


def test_every_variable_of_the_scripts_is_written(md):
    own = {"edge_x", "edge_y", "edge_z", "force_sq", "isrestart", "stage"}
    for task in (md.bulk_task(), md.coexistence_task(), md.pinning_task()):
        kind = task["kind"]
        used = set(re.findall(r"\$\{(\w+)\}|v_(\w+)", lammps.script_path(kind).read_text()))
        names = {a or b for a, b in used} - own
        assert names == set(lammps.validate_task(task).parameters())


def test_seeds_are_derived_from_the_seed_of_the_task_alone():
    assert sub_seeds(7, 3) == sub_seeds(7, 3)
    assert sub_seeds(7, 3)[:1] == sub_seeds(7, 1)
    everything = [seed for start in range(1, 200) for seed in sub_seeds(start, 3)]
    assert len(set(everything)) == len(everything)
    assert min(everything) >= 1
    assert max(everything) < 900_000_000


def test_the_solid_part_of_a_two_phase_box_is_the_lower_planes(md):
    task = lammps.validate_task(md.coexistence_task(n_normal=10))
    box = task.start_configuration()
    n_solid = task.parameters()["n_solid"]
    heights = box.positions[:, 2]
    assert n_solid == 8 * 18
    assert heights[:n_solid].max() < heights[n_solid:].min()


def test_an_element_the_model_does_not_know_is_named(md, tmp_path):
    task = md.bulk_task(structure={"prototype": "B2", "elements": ["Ni", "Al"], "a": 2.9})
    with pytest.raises(InputError, match="knows Cu but not Al, Ni"):
        lammps.write_inputs(tmp_path, task, md.CopperFile())


def test_types_follow_the_order_of_the_models_elements(md, tmp_path):
    """Negative example: aiida-lammps numbers types by first site and gives Cu the potential of Al."""
    model = md.CopperFile()
    model.elements, model.masses = ("Al", "Cu"), {"Al": 26.98, "Cu": 63.546}
    lammps.write_inputs(tmp_path, md.bulk_task(n_atoms=4), model)
    data = (tmp_path / "start.data").read_text()
    assert "2 atom types" in data
    assert "\n1 2 0.0 0.0 0.0\n" in data


# --- reader


def test_a_complete_run_is_read(md):
    output, task = md.recorded("complete")
    assert (output.finished, output.steps_done, output.n_atoms, output.error) == (True, 3000, 32, None)
    np.testing.assert_array_equal(output.thermo["step"], np.arange(0, 3001, 100))
    np.testing.assert_allclose(output.thermo["pe"] + output.thermo["ke"], output.thermo["etotal"], rtol=1e-9)
    np.testing.assert_allclose(output.thermo["lx"] * output.thermo["ly"] * output.thermo["lz"], output.thermo["volume"])
    assert np.abs(output.thermo["press"]).max() < 20  # GPa, not bar
    sample = output.sample
    assert sample.n_frames == 16
    np.testing.assert_array_equal(sample.steps, np.arange(0, 3001, 200))
    np.testing.assert_array_equal(sample.energies, output.thermo["pe"][::2])
    np.testing.assert_allclose(sample.volumes, output.thermo["volume"][::2], rtol=1e-9)
    assert (sample.phase, sample.temperature_k, sample.elements) == ("fcc", task["temperature_k"], ("Cu",))
    assert 0 < output.wall_s < 10


def test_a_killed_run_gives_what_is_complete(md):
    whole, _ = md.recorded("complete")
    output, _ = md.recorded("interrupted")
    assert not output.finished
    assert output.error is None
    n = len(output.thermo["step"])
    assert output.steps_done == 1500  # the line of step 1600 is cut
    np.testing.assert_array_equal(output.thermo["pe"], whole.thermo["pe"][:n])
    assert output.sample.n_frames == 8
    np.testing.assert_array_equal(output.sample.positions, whole.sample.positions[:8])


def test_a_continued_run_has_every_step_once(md):
    whole, _ = md.recorded("complete")
    output, _ = md.recorded("continued")
    assert output.finished
    np.testing.assert_array_equal(output.thermo["step"], whole.thermo["step"])
    np.testing.assert_array_equal(output.sample.steps, whole.sample.steps)
    np.testing.assert_allclose(output.thermo["pe"][:17], whole.thermo["pe"][:17], rtol=1e-6)
    energies = dict(zip(output.thermo["step"], output.thermo["pe"], strict=True))
    np.testing.assert_array_equal(output.sample.energies, [energies[step] for step in output.sample.steps])


def test_a_crash_is_reported_with_lammps_own_words(md):
    output, _ = md.recorded("crashed")
    assert output.error == "ERROR: Lost atoms: original 32 current 24"
    assert not output.finished
    assert output.steps_done == 0
    assert output.sample is None


def test_nan_in_the_log_does_not_stop_the_reader(md, tmp_path):
    shutil.copytree(md.FIXTURES / "complete", tmp_path, dirs_exist_ok=True)
    log = (tmp_path / "log.lammps").read_text()
    line = next(row for row in log.splitlines() if row.startswith("  - [1400, "))
    numbers = line.split(", ")
    numbers[2] = "nan"
    (tmp_path / "log.lammps").write_text(log.replace(line, ", ".join(numbers)))
    output = lammps.read_output(tmp_path, md.recorded("complete")[1], "0", ("Cu",))
    assert np.isnan(output.thermo["pe"][14])
    assert output.sample.n_frames == 15


def test_no_log_no_output(md, tmp_path):
    with pytest.raises(DataError, match=r"log\.lammps"):
        lammps.read_output(tmp_path, md.bulk_task(), "0", ("Cu",))


# --- real runs


def test_a_bulk_run_is_reproducible_and_starts_where_it_should(md, tmp_path):
    model, task = md.CopperFile(), md.bulk_task(melt=True, phase="liquid", melt_temperature_k=2600.0, melt_steps=100)
    outputs = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        lammps.write_inputs(tmp_path / name, task, model)
        lammps.run_lammps(tmp_path / name, "bulk")
        outputs.append(lammps.read_output(tmp_path / name, task, model.hash, model.elements))
    assert outputs[0].finished
    np.testing.assert_array_equal(outputs[0].sample.positions, outputs[1].sample.positions)
    np.testing.assert_array_equal(outputs[0].thermo["pe"], outputs[1].thermo["pe"])
    assert sorted(path.name for path in (tmp_path / "one").glob(lammps.RESTART_GLOB)) == [
        "equilibrate.100.restart",
        "production.0.restart",
        "production.100.restart",
        "production.200.restart",
    ]


def test_the_box_of_a_crystal_does_not_ring(md, tmp_path):
    """Of the variance of V over 28 ps, 0.71 to 0.78 was in one line of 0.47 ps with the barostat of other runs."""
    task = md.bulk_task(equilibration_steps=2000, production_steps=10_000, restart_every=20_000, sample_every=1000)
    lammps.write_inputs(tmp_path, task | {"thermo_every": 5}, md.CopperFile())
    lammps.run_lammps(tmp_path, "bulk")
    volume = lammps.read_output(tmp_path, task, md.CopperFile.hash, ("Cu",)).thermo["volume"]
    power = np.abs(np.fft.rfft((volume - volume.mean()) * np.hanning(len(volume)))) ** 2
    peak = int(power.argmax())
    assert power[peak - 3 : peak + 4].sum() < 0.5 * power.sum()


def test_a_coexistence_run_keeps_its_sides_and_its_enthalpy(md, tmp_path):
    model, task = md.CopperFile(), md.coexistence_task()
    lammps.write_inputs(tmp_path, task, model)
    lammps.run_lammps(tmp_path, "coexistence")
    output = lammps.read_output(tmp_path, task, model.hash, model.elements)
    assert output.finished
    assert output.sample.phase == "fcc|liquid"
    assert np.ptp(output.thermo["lx"]) == 0
    assert np.ptp(output.thermo["lz"]) > 0
    assert np.ptp(output.thermo["etotal"]) / output.n_atoms < 0.002


def test_a_pinning_run_prints_the_order_that_its_frames_have_and_continues(md, tmp_path):
    """Q is |Σ exp(−i k·r)|/√N, and the bias pulls it towards its anchor."""
    model, task = md.CopperFile(), md.pinning_task()
    lammps.write_inputs(tmp_path, task, model)
    lammps.run_lammps(tmp_path, "pinning")
    output = lammps.read_output(tmp_path, task, model.hash, model.elements)
    assert output.finished
    assert (output.thermo["lx"][-1], output.thermo["ly"][0]) == (11.12, 11.12)
    assert np.ptp(output.thermo["lz"]) > 0
    waves = np.exp(2j * np.pi * scaled_positions(output.sample) @ lammps.validate_task(task).wave_vector)
    found = output.thermo["q"][np.isin(output.thermo["step"], output.sample.steps)]
    np.testing.assert_allclose(np.abs(waves.sum(axis=1)) / output.n_atoms**0.5, found, rtol=1e-5)
    (tmp_path / "production.200.restart").unlink()
    lammps.write_inputs(tmp_path, task, model, restart=True)
    lammps.run_lammps(tmp_path, "pinning")
    again = lammps.read_output(tmp_path, task, model.hash, model.elements)
    assert again.finished
    np.testing.assert_allclose(again.thermo["q"], output.thermo["q"], rtol=1e-3)


@pytest.mark.parametrize("kind", ["coexistence", "pinning"])
def test_a_run_that_was_killed_before_production_goes_on_with_the_stage_that_it_was_in(md, tmp_path, kind):
    model, task = md.CopperFile(), {"coexistence": md.coexistence_task, "pinning": md.pinning_task}[kind]()
    whole = tmp_path / "whole"
    whole.mkdir()
    lammps.write_inputs(whole, task, model)
    lammps.run_lammps(whole, kind)
    output = lammps.read_output(whole, task, model.hash, model.elements)
    log = (whole / lammps.LOG_FILE).read_text()
    stages = re.findall(r"^phasecal stage: (\w+)$", log, re.M)
    assert stages == ["start", "relax", "melt", "cool", "settle", "production", "done"]
    steps = []
    for stage in stages[2:6]:
        killed = tmp_path / stage
        killed.mkdir()
        lammps.write_inputs(killed, task, model, restart=True)
        first = min(whole.glob(f"{stage}.*.restart"), key=lambda path: int(path.name.split(".")[1]))
        shutil.copy(first, killed)
        (killed / lammps.CONTINUE_FILE).write_text(f"variable stage index {stage}\n")
        (killed / lammps.LOG_FILE).write_text(log[: log.index(f"\nphasecal stage: {stage}\n") + 1])
        steps.append(lammps.read_output(killed, task, model.hash, model.elements).restart_step)
        lammps.run_lammps(killed, kind)
        continued = lammps.read_output(killed, task, model.hash, model.elements)
        assert continued.finished
        rest = (killed / lammps.LOG_FILE).read_text().rpartition("phasecal stage: start\n")[2]
        assert re.findall(r"^phasecal stage: (\w+)$", rest, re.M) == stages[stages.index(stage) :]
        np.testing.assert_allclose(continued.thermo["lx"], output.thermo["lx"], rtol=1e-12)  # of the stage `relax`
        np.testing.assert_array_equal(continued.thermo["step"], output.thermo["step"])
    values = lammps.validate_task(task).parameters()
    lengths = [2 * values["relax_half"], values["melt_steps"], values["cool_steps"], values["settle_steps"]]
    assert steps == np.cumsum(lengths).tolist()


@pytest.mark.parametrize("role", ["solid", "liquid"])
def test_a_reference_of_pinning_is_all_of_one_phase(md, tmp_path, role):
    model, task = md.CopperFile(), md.pinning_task(role=role, melt_steps=600)
    lammps.write_inputs(tmp_path, task, model)
    lammps.run_lammps(tmp_path, "pinning")
    output = lammps.read_output(tmp_path, task, model.hash, model.elements)
    assert output.sample.phase == {"solid": "fcc", "liquid": "liquid"}[role]
    assert np.ptp(output.thermo["lx"]) == 0
    assert (output.thermo["q"].min() > 10) if role == "solid" else (output.thermo["q"].max() < 6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kappa_ev": 0.0}, "needs kappa_ev and anchor"),
        ({"role": "solid", "lateral_a": [11.0, 11.0]}, "lateral_a"),
        ({"lateral_a": None}, "lateral_a"),
        ({"role": "liquid", "kappa_ev": 1.0}, "a reference has no bias"),
        ({"melt_temperature_k": 1300.0}, "melt_temperature_k must be above"),
        ({"phases": ["fcc", "fcc"]}, "phases must differ"),
    ],
)
def test_pinning_tasks_that_make_no_sense_are_named(md, change, message):
    with pytest.raises(InputError, match=message):
        lammps.validate_task(md.pinning_task(**change))


def test_a_run_that_lammps_refuses_is_an_engine_error(md, tmp_path):
    lammps.write_inputs(tmp_path, md.bulk_task(), md.CopperFile())
    (tmp_path / "potential.in").write_text("pair_style no/such/style\n")
    with pytest.raises(EngineError, match="Unrecognized pair style 'no/such/style'"):
        lammps.run_lammps(tmp_path, "bulk")
