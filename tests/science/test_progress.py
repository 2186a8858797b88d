"""How far a run is, from its log: LAMMPS and the jax-md engine."""

from __future__ import annotations

import pytest

from phasecal.engines.jaxmd.progress import read_progress as read_jaxmd
from phasecal.engines.lammps.progress import read_progress, total_steps

TASK = {
    "schema": 1,
    "kind": "bulk",
    "phase": "liquid",
    "structure": {"prototype": "fcc", "elements": ["Cu"], "a": 3.615},
    "melt": True,
    "n_atoms": 108,
    "temperature_k": 1400.0,
    "pressure_gpa": 0.0,
    "timestep_fs": 2.0,
    "melt_temperature_k": 3000.0,
    "melt_steps": 100,
    "equilibration_steps": 200,
    "production_steps": 1000,
    "sample_every": 20,
    "thermo_every": 10,
    "restart_every": 100,
    "barostat": "iso",
    "seed": 1,
}


def run_of(*rows: tuple[int, float]) -> str:
    """One `run` as LAMMPS logs it, with step and CPU time."""
    lines = [f"  - [{step}, 1400.0, {cpu}, ]" for step, cpu in rows]
    return "\n".join(["keywords: ['Step', 'Temp', 'CPU', ]", "data:", *lines, "...", ""])


def stage(name: str) -> str:
    return f'print           "phasecal stage: {name}"\nphasecal stage: {name}\n'


PREPARED = stage("start") + stage("melt") + run_of((0, 0), (100, 2)) + stage("equilibrate")


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (stage("start"), ("start", 0, None)),
        (PREPARED, ("equilibrate", 100, None)),
        (PREPARED + run_of((100, 0), (200, 1)), ("equilibrate", 200, 100.0)),
        (PREPARED + run_of((100, 0), (300, 2)) + stage("production"), ("production", 300, None)),
        (PREPARED + stage("production") + run_of((0, 0), (10, 0.5), (20, 1.0)), ("production", 320, 20.0)),
        # killed in the middle of a line, and continued from a restart file
        (
            PREPARED
            + stage("production")
            + run_of((0, 0), (480, 9))[:-20]
            + "\n"
            + stage("start")
            + stage("production")
            + run_of((400, 0), (450, 1)),
            ("production", 750, 50.0),
        ),
        (PREPARED + stage("production") + run_of((0, 0), (1000, 10)) + stage("done"), ("done", 1300, None)),
        # the command alone, before LAMMPS has obeyed it
        (PREPARED + 'print           "phasecal stage: production"\n', ("equilibrate", 100, None)),
    ],
)
def test_a_log_of_lammps_says_stage_steps_and_speed(tmp_path, log, expected):
    (tmp_path / "log.lammps").write_text(log)
    found = read_progress(tmp_path, TASK)
    assert found is not None
    assert (found.stage, found.steps_done, found.steps_per_s) == expected
    assert found.steps == total_steps(TASK) == 1300


def test_nothing_is_said_of_a_run_that_has_not_begun(tmp_path):
    assert read_progress(tmp_path, TASK) is None
    (tmp_path / "log.lammps").write_text("LAMMPS\n")
    assert read_progress(tmp_path, TASK) is None


def test_a_crystal_is_not_molten_first():
    assert total_steps({**TASK, "melt": False, "melt_temperature_k": None, "phase": "fcc"}) == 1200


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("phasecal stage: start\nphasecal stage: melt\n", ("melt", 0, None)),
        (
            "phasecal stage: start\nphasecal stage: equilibrate\nstep 50 of 200: 1400.0 K, 12.0 A^3/atom, wall 1.00 s\n"
            "step 100 of 200: 1400.0 K, 12.0 A^3/atom, wall 3.00 s\n",
            ("equilibrate", 200, 25.0),
        ),
        (
            "phasecal stage: start\nphasecal stage: production\nstep 50 of 1000: 1400 K, 12.0 A^3/atom, wall 1.00 s\n",
            ("production", 350, None),
        ),
        ("phasecal stage: start\nphasecal stage: done\n", ("done", 1300, None)),
    ],
)
def test_a_log_of_jaxmd_counts_every_stage_from_zero(tmp_path, log, expected):
    (tmp_path / "md.log").write_text(log)
    found = read_jaxmd(tmp_path, TASK)
    assert found is not None
    assert (found.stage, found.steps_done, found.steps_per_s) == expected
    assert read_jaxmd(tmp_path / "nowhere", TASK) is None
