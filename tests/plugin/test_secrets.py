"""No secret of a user's environment leaves it with a job or an archive; no title is more than a text."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from aiida import orm
from aiida.common.folders import SandboxFolder
from aiida.engine.utils import instantiate_process
from aiida.manage.manager import get_manager
from aiida_phasecal.archive import README, readme, write_archive
from aiida_phasecal.calculations.lammps import LammpsMdCalculation
from aiida_phasecal.calculations.task import TaskCalculation
from aiida_phasecal.cli import cmd_phasecal
from aiida_phasecal.data.sample import SampleData
from click.testing import CliRunner

from phasecal.engines.lammps.inputs import script_path

SECRET = "s3cr3t-value-of-a-key"
TITLE = "<script>alert(1)</script> | [/] $(id) `id` ;'\" =1+1 \x1b[31m"


@pytest.fixture
def secret(monkeypatch) -> bytes:
    """A key in the environment, as clouds want it."""
    for name in ("PHASECAL_TEST_SECRET", "AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, SECRET)
    return SECRET.encode()


def contents(folder: Path) -> bytes:
    """All files below a folder, one after the other."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_jobs_hold_no_secret(secret, codes, model_node, copper_model, make_sample, bulk_task):
    script = orm.SinglefileData(script_path("bulk"))
    sample = SampleData.from_sample(make_sample(copper_model.hash)).store()
    options = {"metadata": {"options": {"resources": {"num_machines": 1}}}}
    jobs = {
        LammpsMdCalculation: {"code": codes["lmp"], "script": script, "model": model_node, "task": orm.Dict(bulk_task)},
        TaskCalculation: {
            "code": codes["phasecal"],
            "parameters": orm.Dict({"schema": 1, "task": "calibration-step"}),
            "models": {"m0": model_node},
            "samples": {"s0": sample},
        },
    }
    for kind, inputs in jobs.items():
        process = instantiate_process(get_manager().get_runner(), kind, **inputs, **options)
        with SandboxFolder() as folder:
            process.presubmit(folder)
            written = contents(Path(folder.abspath))
        assert b"#!/bin/bash" in written
        assert secret not in written


def test_an_archive_holds_no_secret(secret, calibration, tmp_path):
    path = tmp_path / "campaign.aiida"
    for process in (calibration.node, *calibration.node.called_descendants):
        process.seal()
    write_archive(calibration.node, path)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "archive")
    written = contents(tmp_path / "archive")
    assert len(written) > 10_000
    assert secret not in written


def test_a_title_is_shown_and_not_obeyed(recorder, model_node, tmp_path):
    node = recorder.chain("points", {"model": model_node, "campaign": orm.Dict({"boundaries": []})}, label=TITLE)
    text = readme(node, "x.aiida")
    heading = text.splitlines()[0]
    assert heading.startswith("# \\<script\\>alert(1)\\</script\\> \\| \\[/\\] $(id) \\`id\\`"), heading
    assert "\x1b" not in text
    for command in (["show", str(node.pk)], ["query"]):
        done = CliRunner().invoke(cmd_phasecal, command)
        assert done.exit_code == 0, done.output
        assert "<script>" in done.output
        assert "[/]" in done.output
        assert "\x1b" not in done.output
    done = CliRunner().invoke(cmd_phasecal, ["archive", str(node.pk), "--dry-run"])
    name = done.output.partition(":")[0]
    assert name == "script-alert-1-script-id-id-1-1-31m.aiida", done.output
    assert README not in name
