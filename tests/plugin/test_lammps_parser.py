"""The parser of LAMMPS runs on recorded output: finished, interrupted, continued, crashed, missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aiida import orm
from aiida_phasecal.calculations.lammps import LammpsMdCalculation

from phasecal.engines import lammps

RECORDED = Path(__file__).parents[2] / "fixtures" / "lammps"
CODES = LammpsMdCalculation.exit_codes


@pytest.fixture
def parse_recorded(parse_job, model_node):
    def parse(name: str, without: tuple[str, ...] = ()):
        folder = RECORDED / name
        task = orm.Dict(json.loads((folder / "task.json").read_text()))
        log, dump = folder / lammps.LOG_FILE, folder / lammps.DUMP_FILE
        files = {lammps.LOG_FILE: log} if lammps.LOG_FILE not in without else {}
        temporary = {lammps.DUMP_FILE: dump} if dump.exists() else {}
        return parse_job("phasecal.lammps", files, temporary, {"model": model_node, "task": task})

    return parse


@pytest.mark.parametrize("name", ["complete", "continued"])
def test_a_finished_run_gives_series_and_frames(parse_recorded, model_node, name):
    outputs, node = parse_recorded(name)
    assert node.is_finished_ok, node.exit_message
    steps = outputs["thermo"].get_array("step")
    assert (steps[1:] > steps[:-1]).all()
    assert outputs["results"]["finished"] is True
    assert outputs["sample"].facts["model_hash"] == model_node.model_hash
    assert outputs["sample"].facts["n_frames"] > 1


def test_an_interrupted_run_says_how_far_it_came(parse_recorded):
    outputs, node = parse_recorded("interrupted")
    assert node.exit_status == CODES.ERROR_INTERRUPTED.status
    assert str(outputs["results"]["steps_done"]) in node.exit_message
    assert "sample" not in outputs


def test_a_crashed_run_gives_the_words_of_lammps(parse_recorded):
    _, node = parse_recorded("crashed")
    assert node.exit_status in (CODES.ERROR_ENGINE.status, CODES.ERROR_BLOWN_UP.status)
    assert len(node.exit_message) > 40


def test_without_a_log_there_is_nothing_to_parse(parse_recorded):
    _, node = parse_recorded("complete", without=(lammps.LOG_FILE,))
    assert node.exit_status == CODES.ERROR_LOG_MISSING.status
