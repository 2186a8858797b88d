"""Each handler of the MD work chain: with a mocked child, and once for real."""

from __future__ import annotations

import re

import numpy as np
import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import run_get_node
from aiida.engine.utils import instantiate_process
from aiida.manage.caching import enable_caching
from aiida.manage.manager import get_manager
from aiida_phasecal.calculations.lammps import LammpsMdCalculation
from aiida_phasecal.failures import failure_path
from aiida_phasecal.record import atom_steps_of
from aiida_phasecal.tree import process_tree
from aiida_phasecal.workchains.common import task_as_run
from aiida_phasecal.workchains.md import LOST, NODE_FAILURE, OUT_OF_MEMORY, OUT_OF_WALLTIME, LammpsMdWorkChain
from plumpy import ProcessState

from phasecal.engines import lammps

CODES = LammpsMdCalculation.exit_codes
NOTHING_LEFT = [
    *(CODES.ERROR_INTERRUPTED_EARLY.status, CODES.ERROR_LOG_MISSING.status),
    *(OUT_OF_MEMORY, OUT_OF_WALLTIME, NODE_FAILURE),
]


@pytest.fixture
def inputs(codes, model_node, bulk_task):
    return {
        "code": codes["lmp"],
        "model": model_node,
        "task": orm.Dict(bulk_task),
        "script": orm.SinglefileData(lammps.script_path("bulk")),
    }


@pytest.fixture
def chain(inputs):
    process = instantiate_process(get_manager().get_runner(), LammpsMdWorkChain, **inputs)
    process.setup()
    return process


@pytest.fixture
def child(chain, aiida_localhost, tmp_path):
    """Return a function that makes the next run of the chain end with a status, and maybe a restart file."""

    def make(status: int, restart_step: int | None = None, *, has_folder: bool = True) -> orm.CalcJobNode:
        node = orm.CalcJobNode(computer=aiida_localhost, process_type="aiida.calculations:phasecal.lammps")
        node.base.links.add_incoming(chain.inputs.task.store(), link_type=LinkType.INPUT_CALC, link_label="task")
        node.store()
        outputs = {}
        if has_folder:
            outputs["remote_folder"] = orm.RemoteData(remote_path=str(tmp_path), computer=aiida_localhost)
        if restart_step is not None:
            outputs["results"] = orm.Dict({"restart_step": restart_step})
        for label, output in outputs.items():
            output.base.links.add_incoming(node, link_type=LinkType.CREATE, link_label=label)
            output.store()
        node.set_process_state(ProcessState.FINISHED)
        node.set_exit_status(status)
        node.set_exit_message("mocked")
        chain.ctx.iteration = 1
        chain.ctx.children = [node]
        return node

    return make


@pytest.mark.parametrize("status", [CODES.ERROR_INTERRUPTED.status, OUT_OF_MEMORY, OUT_OF_WALLTIME, NODE_FAILURE])
def test_an_interrupted_run_continues_from_its_folder(chain, child, status):
    node = child(status, restart_step=500)
    assert chain.inspect_process().status == 0
    assert chain.ctx.inputs.interrupted_folder.uuid == node.outputs.remote_folder.uuid


def test_a_job_whose_folder_is_not_on_record_counts_all_the_same(chain, child):
    """Seen after a worker was killed while it uploaded the job (docs/results/faults.md)."""
    child(CODES.ERROR_INTERRUPTED.status, restart_step=500, has_folder=False)
    assert chain.inspect_process().status == 0
    assert "interrupted_folder" not in chain.ctx.inputs
    outputs = LammpsMdWorkChain.spec().outputs
    assert not outputs["remote_folder"].required
    assert outputs["results"].required


def test_the_last_step_may_begin_again(chain, child):
    """Seen after a worker was killed within it: AiiDA leaves out what is attached, then misses it (exit code 11)."""
    job = child(0, restart_step=500)
    chain.results()
    chain.update_outputs()
    chain._outputs.clear()  # the next worker knows the chain as it was before the step
    chain.results()
    assert chain.outputs["results"].uuid == job.outputs.results.uuid
    assert {"results", "remote_folder", "task"} == set(chain.outputs)


@pytest.mark.parametrize("status", NOTHING_LEFT)
def test_a_lost_run_starts_again(chain, child, status):
    child(status)
    assert chain.inspect_process().status == 0
    assert "interrupted_folder" not in chain.ctx.inputs
    assert not chain.ctx.is_finished


@pytest.mark.parametrize("status", NOTHING_LEFT)
def test_a_job_that_leaves_nothing_is_continued_from_where_the_one_before_it_was(chain, child, status):
    good = child(CODES.ERROR_INTERRUPTED.status, restart_step=500)
    chain.inspect_process()
    child(status)
    assert chain.inspect_process().status == 0
    assert chain.ctx.inputs.interrupted_folder.uuid == good.outputs.remote_folder.uuid


def test_jobs_that_get_further_are_not_counted_and_others_are_given_up(chain, child):
    for step in (300, 600, 900):  # as often as others are allowed
        child(CODES.ERROR_INTERRUPTED.status, restart_step=step)
        assert chain.inspect_process().status == 0
    for _ in range(LammpsMdWorkChain.MAX_LOST - 1):
        child(CODES.ERROR_INTERRUPTED.status, restart_step=900)
        assert chain.inspect_process().status == 0
    child(OUT_OF_MEMORY, restart_step=900)
    ended = chain.inspect_process()
    assert ended.status == LammpsMdWorkChain.exit_codes.ERROR_NO_PROGRESS.status
    assert "3 jobs in a row got no further: [110] mocked" in ended.message


def test_a_restart_file_that_was_half_written_is_not_used(chain, child):
    child(CODES.ERROR_INTERRUPTED.status, restart_step=500)
    chain.inspect_process()
    child(CODES.ERROR_RESTART_UNREADABLE.status, restart_step=500)
    assert chain.inspect_process().status == 0
    assert "interrupted_folder" not in chain.ctx.inputs
    for _ in range(2):
        child(CODES.ERROR_RESTART_UNREADABLE.status)
        status = chain.inspect_process().status
    assert status == LammpsMdWorkChain.exit_codes.ERROR_NO_PROGRESS.status


def test_a_blown_up_run_gets_half_the_time_step_once(chain, child, bulk_task):
    child(CODES.ERROR_INTERRUPTED.status, restart_step=500)
    chain.inspect_process()
    child(CODES.ERROR_BLOWN_UP.status)
    assert chain.inspect_process().status == 0
    assert chain.ctx.inputs.task.get_dict() == lammps.with_half_step(bulk_task)
    assert "interrupted_folder" not in chain.ctx.inputs
    child(CODES.ERROR_BLOWN_UP.status)
    ended = chain.inspect_process()
    assert (ended.status, ended.message) == (CODES.ERROR_BLOWN_UP.status, "mocked")


def test_a_run_that_lost_its_phase_is_not_run_again(chain, child):
    child(CODES.ERROR_PHASE_LOST.status, restart_step=500)
    assert chain.inspect_process().status == CODES.ERROR_PHASE_LOST.status


@pytest.mark.parametrize("label", ["ERROR_ENGINE", "ERROR_DISK_FULL", "ERROR_OUTPUT_UNREADABLE"])
def test_what_only_somebody_can_mend_is_not_repeated(chain, child, label):
    child(CODES[label].status)
    assert CODES[label].status not in LOST
    assert chain.inspect_process().status == LammpsMdWorkChain.exit_codes.ERROR_UNHANDLED_FAILURE.status


# -- for real: LAMMPS that is killed, blows up, finds a full disk or loses a file

WRAPPER = """\
#!/bin/bash
set -m
job=$(($(cat {count} 2>/dev/null) + 1))
echo $job > {count}
lammps() {{ {lmp} "$@"; }}
kill_at() {{  # run it in a process group of its own, and kill it when the log has the line of a step
  lammps "${{@:2}}" & while ! grep -q "^  - .$1," log.lammps; do sleep 0.02; done 2>/dev/null; kill -9 -$!
}}
{script}
"""


@pytest.fixture
def wrapped(codes, tmp_path):
    """Return a function that makes a code of LAMMPS inside a shell script; ``$job`` counts its jobs from 1."""

    def make(script: str) -> orm.InstalledCode:
        program, lmp = tmp_path / "lmp", codes["lmp"]
        program.write_text(WRAPPER.format(count=tmp_path / "count", lmp=lmp.filepath_executable, script=script))
        program.chmod(0o755)
        return orm.InstalledCode(
            label=f"wrapped-{tmp_path.name}",
            computer=lmp.computer,
            filepath_executable=str(program),
            default_calc_job_plugin="phasecal.lammps",
            prepend_text=lmp.prepend_text,
        ).store()

    return make


def jobs_of(chain: orm.WorkChainNode) -> list[orm.CalcJobNode]:
    return sorted((node for node in chain.called if isinstance(node, orm.CalcJobNode)), key=lambda node: node.pk)


def test_a_run_that_is_killed_twice_is_as_if_it_had_not_been(inputs, wrapped, bulk_task, copper_model, tmp_path):
    """Killed before there is anything to continue, then in production, and then left alone."""
    task = {**bulk_task, "equilibration_steps": 3000, "production_steps": 3000, "restart_every": 1000}
    script = 'case $job in 1) kill_at 0 "$@";; 2) kill_at 1010 "$@";; *) lammps "$@";; esac'
    builder = {**inputs, "task": orm.Dict(task).store(), "code": wrapped(script)}
    with enable_caching(identifier="aiida.calculations:phasecal.*"):  # as everywhere: a failed job must not be copied
        outputs, chain = run_get_node(LammpsMdWorkChain, **builder)
        _, resumed = run_get_node(LammpsMdWorkChain, **builder)
    (job,) = jobs_of(resumed)  # the run as a whole is known, although the job that ended it began in the middle
    assert job.base.caching.get_cache_source() == jobs_of(chain)[2].uuid
    assert chain.is_finished_ok, chain.exit_message
    early, interrupted = CODES.ERROR_INTERRUPTED_EARLY.status, CODES.ERROR_INTERRUPTED.status
    assert [job.exit_status for job in jobs_of(chain)] == [early, interrupted, 0]
    assert outputs["task"].get_dict() == task
    assert atom_steps_of([job.pk for job in jobs_of(chain)]) == dict(
        zip((job.pk for job in jobs_of(chain)), (0, 0, 3000 * 108), strict=True)
    )

    (tmp_path / "whole").mkdir()
    lammps.write_inputs(tmp_path / "whole", task, copper_model)
    lammps.run_lammps(tmp_path / "whole", "bulk")
    whole = lammps.read_output(tmp_path / "whole", task, copper_model.hash, copper_model.elements)
    pe = outputs["thermo"].get_array("pe")
    np.testing.assert_array_equal(outputs["thermo"].get_array("step"), whole.thermo["step"])
    np.testing.assert_array_equal(pe[:100], whole.thermo["pe"][:100])  # up to the restart file
    # neighbours are listed anew there, in another order: what comes after it differs by rounding, which grows
    np.testing.assert_allclose(pe[100:150], whole.thermo["pe"][100:150], rtol=1e-6)
    np.testing.assert_array_equal(outputs["sample"].get_sample().steps, whole.sample.steps)


def test_a_time_step_that_is_too_long_is_halved(inputs, bulk_task):
    """Copper holds together up to some 30 fs, ten times what phasecal takes."""
    task = {**bulk_task, "timestep_fs": 36.0, "production_steps": 200}
    outputs, chain = run_get_node(LammpsMdWorkChain, **{**inputs, "task": orm.Dict(task)})
    assert chain.is_finished_ok, chain.exit_message
    first, second = jobs_of(chain)
    assert first.exit_status == CODES.ERROR_BLOWN_UP.status
    assert second.inputs.task.get_dict() == outputs["task"].get_dict() == lammps.with_half_step(task)
    assert task_as_run(chain).uuid == outputs["task"].uuid
    sample = outputs["sample"].get_sample()
    assert (sample.timestep_fs, sample.steps[-1]) == (18.0, 400)


@pytest.mark.parametrize(
    ("script", "status", "words"),
    [
        ('ln -s /dev/full production.dump; lammps "$@"', CODES.ERROR_DISK_FULL.status, "No space left on device"),
        ('lammps "$@"; rm production.dump', CODES.ERROR_OUTPUT_UNREADABLE.status, "51 frames .* the first at step 0"),
    ],
    ids=["disk full", "dump not there"],
)
def test_what_a_full_disk_or_a_lost_file_leaves_is_not_taken_for_a_result(inputs, wrapped, script, status, words):
    _, chain = run_get_node(LammpsMdWorkChain, **{**inputs, "code": wrapped(script)})
    assert chain.exit_status == LammpsMdWorkChain.exit_codes.ERROR_UNHANDLED_FAILURE.status
    (job,) = jobs_of(chain)  # not tried again
    assert job.exit_status == status
    assert re.search(words, job.exit_message)
    last = failure_path(process_tree(chain), chain.pk)[-1]
    assert "phasecal resume" in last["next"]
