"""The parser of LAMMPS runs on recorded output: finished, interrupted, continued, crashed, missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from aiida import orm
from aiida_phasecal.calculations.lammps import LammpsMdCalculation

from phasecal.engines import lammps

RECORDED = Path(__file__).parents[2] / "fixtures" / "lammps"
CODES = LammpsMdCalculation.exit_codes


@pytest.fixture
def parse_recorded(parse_job, model_node):
    def parse(name: str, without: tuple[str, ...] = (), printed: dict[str, str] | None = None, more: str = "", said=""):
        folder = RECORDED / name
        task = orm.Dict(json.loads((folder / "task.json").read_text()))
        log, dump = folder / lammps.LOG_FILE, folder / lammps.DUMP_FILE
        files = {lammps.LOG_FILE: log.read_bytes() + more.encode()} if lammps.LOG_FILE not in without else {}
        options = {"output_filename": "lammps.out", "scheduler_stderr": "_scheduler-stderr.txt"}
        temporary = {lammps.DUMP_FILE: dump} if dump.exists() else {}
        inputs = {"model": model_node, "task": task}
        return parse_job("phasecal.lammps", files | (printed or {}), temporary, inputs, options=options, said=said)

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


def test_a_log_with_a_gap_is_no_result(parse_recorded, tmp_path, monkeypatch):
    """As a disk leaves it that was full for a while: LAMMPS goes on, and ends in order."""
    folder = shutil.copytree(RECORDED / "complete", tmp_path / "recorded" / "gap")
    log = folder / lammps.LOG_FILE
    log.write_text("".join(line for line in log.read_text().splitlines(True) if not line.startswith("  - [1400,")))
    monkeypatch.setattr(f"{__name__}.RECORDED", tmp_path / "recorded")
    _, node = parse_recorded("gap")
    assert node.exit_status == CODES.ERROR_OUTPUT_UNREADABLE.status
    assert "1 lines of the production stage are missing, the first at step 1400" in node.exit_message


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("ERROR on proc 0: Error writing dump frames: No space left on device (src/src/dump.cpp:543)", "DISK_FULL"),
        ("ERROR: I/O error while writing restart (src/src/write_restart.cpp:375)", "DISK_FULL"),
        ("cp: error writing 'production.500.restart': Disk quota exceeded", "DISK_FULL"),
        ("srun: error: node7: task 0: Killed", "INTERRUPTED"),
    ],
)
@pytest.mark.parametrize("name", ["lammps.out", "_scheduler-stderr.txt"])
def test_a_full_disk_is_known_by_its_words_wherever_they_are(parse_recorded, name, words, code):
    _, node = parse_recorded("interrupted", printed={name: f"some line\n{words}\nanother line\n"})
    assert node.exit_status == CODES[f"ERROR_{code}"].status
    assert code != "DISK_FULL" or words in node.exit_message


@pytest.mark.parametrize(
    "words",
    [
        "Incomplete or corrupted LAMMPS restart file (src/src/read_restart.cpp:1046)",
        "Invalid LAMMPS restart file (src/src/read_restart.cpp:995)",
    ],
)
def test_a_restart_file_that_is_half_written_has_a_code_of_its_own(parse_recorded, words):
    _, node = parse_recorded("interrupted", more=f"\nphasecal stage: start\nERROR: {words}\n")
    assert node.exit_status == CODES.ERROR_RESTART_UNREADABLE.status


def test_what_the_scheduler_says_is_passed_on(parse_recorded):
    _, node = parse_recorded("interrupted", said="The job ran out of memory.")
    assert "before it was finished (The job ran out of memory)." in node.exit_message


def test_without_a_log_there_is_nothing_to_parse(parse_recorded):
    _, node = parse_recorded("complete", without=(lammps.LOG_FILE,))
    assert node.exit_status == CODES.ERROR_LOG_MISSING.status
