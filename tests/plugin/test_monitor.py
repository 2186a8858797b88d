"""The monitor of LAMMPS jobs: a real job is stopped, others are left alone, and the cache does not see it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.engine.utils import instantiate_process
from aiida.manage.manager import get_manager
from aiida.schedulers import JobState
from aiida_phasecal import monitor
from aiida_phasecal.calculations.lammps import LammpsMdCalculation
from aiida_phasecal.workchains.md import LammpsMdWorkChain
from aiida_phasecal.workchains.sample import SampleWorkChain

from phasecal.engines import lammps
from phasecal.engines.lammps.watch import TAIL_BYTES

RECORDED = Path(__file__).parents[2] / "fixtures" / "lammps"
CODES = LammpsMdCalculation.exit_codes


@pytest.fixture
def inputs(codes, model_node, tmp_path):
    """A run of which the log of another one, that still runs, is all there will be for two minutes."""
    program = tmp_path / "lmp"
    program.write_text(f"#!/bin/bash\ncp {RECORDED / 'melted-late' / lammps.LOG_FILE} .\nsleep 120.25\n")
    program.chmod(0o755)
    code = orm.InstalledCode(
        label="sleeps",
        computer=codes["lmp"].computer,
        filepath_executable=str(program),
        default_calc_job_plugin="phasecal.lammps",
    )
    task = json.loads((RECORDED / "melted-late" / "task.json").read_text())
    return {"code": code.store(), "model": model_node, "task": orm.Dict(task)}


def test_a_real_job_whose_phase_is_lost_is_stopped_and_its_sample_rejected(inputs, monkeypatch):
    monkeypatch.setattr(monitor, "INTERVAL_S", 1)
    start = time.monotonic()
    _, chain = run_get_node(SampleWorkChain, **inputs)
    assert time.monotonic() - start < 60
    assert chain.exit_status == SampleWorkChain.exit_codes.ERROR_PHASE_LOST.status
    assert "it melted" in chain.exit_message
    (job,) = (node for node in chain.called_descendants if isinstance(node, orm.CalcJobNode))
    assert job.exit_status == CODES.ERROR_PHASE_LOST.status
    assert job.exit_message.startswith("The phase was lost, and the run stopped: fcc: it melted")
    assert not any(process.info["cmdline"] == ["sleep", "120.25"] for process in psutil.process_iter(["cmdline"]))


@pytest.fixture
def look(inputs, aiida_localhost, tmp_path):
    """Return a function that looks at a job once; the log is what its transport returns."""

    def look(answer, state=JobState.RUNNING):
        warnings = []
        node = SimpleNamespace(
            get_scheduler_state=lambda: state,
            get_remote_workdir=lambda: "/somewhere/with a space",
            inputs=SimpleNamespace(task=inputs["task"]),
            logger=SimpleNamespace(warning=lambda *words: warnings.append(words)),
        )
        commands = []

        def execute(command):
            commands.append(command)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return monitor.watch(node, SimpleNamespace(exec_command_wait=execute)), commands, warnings

    return look


MELTED = (RECORDED / "melted-late" / lammps.LOG_FILE).read_text()


def test_the_parser_has_the_last_word(look):
    verdict, commands, _ = look((0, MELTED, ""))
    assert verdict.action is monitor.CalcJobMonitorResult().action
    assert (verdict.override_exit_code, verdict.parse) == (False, True)
    assert commands == [f"tail -c {TAIL_BYTES} '/somewhere/with a space/log.lammps'"]


@pytest.mark.parametrize("state", [JobState.DONE, JobState.QUEUED, None])
def test_a_job_that_does_not_run_is_left_alone(look, state):
    """Killing one that is done fails under core.direct, and AiiDA would pause its process."""
    assert look((0, MELTED, ""), state) == (None, [], [])


def test_no_log_and_no_connection_stop_nothing(look):
    assert look((1, "", "no such file"))[0] is None
    verdict, _, warnings = look(OSError("connection lost"))
    assert verdict is None
    assert len(warnings) == 1


def test_the_cache_does_not_see_the_monitor(inputs):
    script = orm.SinglefileData(lammps.script_path("bulk")).store()
    options = {"options": {"resources": {"num_machines": 1}}, "store_provenance": True}
    runner = get_manager().get_runner()

    def hash_of(**more):
        process = instantiate_process(
            runner, LammpsMdCalculation, script=script, metadata=options, **{**inputs, **more}
        )
        return process.node.base.caching.compute_hash()

    assert hash_of() == hash_of(monitors=monitor.monitors())
    assert hash_of() != hash_of(task=orm.Dict({**inputs["task"].get_dict(), "seed": 8}))


def test_every_lammps_run_is_watched_unless_it_brings_its_own_monitors(inputs):
    script = orm.SinglefileData(lammps.script_path("bulk"))
    chain = instantiate_process(get_manager().get_runner(), LammpsMdWorkChain, script=script, **inputs)
    chain.setup()
    assert chain.ctx.inputs.monitors[monitor.NAME]["entry_point"] == monitor.ENTRY_POINT
