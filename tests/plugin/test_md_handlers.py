"""Each handler of the MD work chain, with a mocked child."""

from __future__ import annotations

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine.utils import instantiate_process
from aiida.manage.manager import get_manager
from aiida_phasecal.calculations.lammps import LammpsMdCalculation
from aiida_phasecal.workchains.md import NODE_FAILURE, OUT_OF_WALLTIME, LammpsMdWorkChain
from plumpy import ProcessState

from phasecal.engines import lammps

CODES = LammpsMdCalculation.exit_codes


@pytest.fixture
def chain(codes, model_node, bulk_task):
    inputs = {
        "code": codes["lmp"],
        "model": model_node,
        "task": orm.Dict(bulk_task),
        "script": orm.SinglefileData(lammps.script_path("bulk")),
    }
    process = instantiate_process(get_manager().get_runner(), LammpsMdWorkChain, **inputs)
    process.setup()
    return process


@pytest.fixture
def child(chain, aiida_localhost, tmp_path):
    """Return a function that makes the first run of the chain end with a status."""

    def make(status: int) -> orm.CalcJobNode:
        node = orm.CalcJobNode(computer=aiida_localhost, process_type="aiida.calculations:phasecal.lammps").store()
        node.set_process_state(ProcessState.FINISHED)
        node.set_exit_status(status)
        node.set_exit_message("mocked")
        folder = orm.RemoteData(remote_path=str(tmp_path), computer=aiida_localhost)
        folder.base.links.add_incoming(node, link_type=LinkType.CREATE, link_label="remote_folder")
        folder.store()
        chain.ctx.iteration = 1
        chain.ctx.children = [node]
        return node

    return make


def test_an_interrupted_run_continues_from_its_folder(chain, child):
    node = child(CODES.ERROR_INTERRUPTED.status)
    assert chain.inspect_process().status == 0
    assert chain.ctx.inputs.parent_folder.uuid == node.outputs.remote_folder.uuid


@pytest.mark.parametrize(
    "status",
    [CODES.ERROR_INTERRUPTED_EARLY.status, CODES.ERROR_LOG_MISSING.status, OUT_OF_WALLTIME, NODE_FAILURE],
)
def test_a_lost_run_starts_again(chain, child, status):
    child(status)
    assert chain.inspect_process().status == 0
    assert "parent_folder" not in chain.ctx.inputs
    assert not chain.ctx.is_finished


def test_a_blown_up_run_gets_one_other_seed(chain, child, bulk_task):
    child(CODES.ERROR_BLOWN_UP.status)
    assert chain.inspect_process().status == 0
    assert chain.ctx.inputs.task["seed"] != bulk_task["seed"]
    child(CODES.ERROR_BLOWN_UP.status)
    assert chain.inspect_process().status == CODES.ERROR_BLOWN_UP.status


def test_an_engine_error_is_not_repeated(chain, child):
    child(CODES.ERROR_ENGINE.status)
    assert chain.inspect_process().status == LammpsMdWorkChain.exit_codes.ERROR_UNHANDLED_FAILURE.status
